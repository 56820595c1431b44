#include "server/broker/zk_session.h"

static void on_client_event(void *context, enum keeper_client_event event)
{
    struct zk_session *session = context;
    switch (event) {
    case KEEPER_EVENT_CONNECTED:
        if (session->session_id == keeper_client_session_id(session->client))
            return; /* The same session on another connection. */
        session->session_id = keeper_client_session_id(session->client);
        session->handler.on_session(session->handler.context);
        return;
    case KEEPER_EVENT_EXPIRED:
        session->earlier_session_id = session->session_id;
        session->session_id = 0;
        session->handler.on_expired(session->handler.context);
        keeper_client_start(session->client);
        return;
    case KEEPER_EVENT_STOPPED: session->handler.on_stopped(session->handler.context); return;
    case KEEPER_EVENT_DISCONNECTED:
    case KEEPER_EVENT_AUTH_FAILED: return;
    }
}

enum err zk_session_init(struct zk_session *session, struct io *io, struct net *net,
                         struct heap *heap, struct diag *diag, struct keeper_client_options options,
                         struct zk_session_handler handler)
{
    *session = (struct zk_session){.handler = handler};
    return keeper_client_init(
        &session->client, io, net, heap, diag, options,
        (struct keeper_client_handler){.on_event = on_client_event, .context = session});
}

void zk_session_deinit(struct zk_session *session)
{
    keeper_client_deinit(session->client);
    session->client = NULL;
}

void zk_session_start(struct zk_session *session)
{
    keeper_client_start(session->client);
}

void zk_session_stop(struct zk_session *session)
{
    keeper_client_stop(session->client);
}

static void submit(struct zk_request *request)
{
    struct keeper_client *client = request->session->client;
    struct keeper_op *op = &request->op;
    switch (request->kind) {
    case ZK_REQUEST_CREATE:
        keeper_client_create(client, op,
                             (struct keeper_create){
                                 .path = request->path,
                                 .data = request->data,
                                 .flags = request->flags,
                                 .is_outside_chroot = request->is_outside_chroot,
                             });
        return;
    case ZK_REQUEST_DELETE:
        keeper_client_delete(client, op, request->path, request->version);
        return;
    case ZK_REQUEST_EXISTS: keeper_client_exists(client, op, request->path, request->watch); return;
    case ZK_REQUEST_GET_DATA:
        keeper_client_get_data(client, op, request->path, request->watch);
        return;
    case ZK_REQUEST_GET_CHILDREN:
        keeper_client_get_children(client, op, request->path, request->watch);
        return;
    case ZK_REQUEST_SET_DATA:
        keeper_client_set_data(client, op, request->path, request->data, request->version);
        return;
    case ZK_REQUEST_MULTI: keeper_client_multi(client, op, request->ops, request->op_count); return;
    }
}

static void on_done(struct keeper_op *op, const struct keeper_result *result)
{
    struct zk_request *request = CONTAINER_OF(op, struct zk_request, op);
    if (result->code == KEEPER_CONNECTION_LOSS)
        submit(request); /* It waits for a connection. */
    else
        request->done(request, result);
}

void zk_session_send(struct zk_session *session, struct zk_request *request)
{
    request->session = session;
    request->op.done = on_done;
    submit(request);
}
