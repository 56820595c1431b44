#include "server/broker/roll_call.h"

static void on_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct roll_call *call = CONTAINER_OF(request, struct roll_call, request);
    call->is_asking = false;
    /* Doubted anew, and not yet spoken of; or the session is over, so it will be. */
    if (call->is_due || result->code == KEEPER_SESSION_EXPIRED)
        return;
    if (result->code != KEEPER_OK) {
        diag_warn(call->diag, "/brokers/topics: %s: topics that are gone may be shown",
                  keeper_code_name(result->code));
        return;
    }
    for (int32_t index = 0; index < result->child_count; index++)
        metadata_view_vouch(call->view, result->children[index]);
    const uint32_t count = metadata_view_end_doubted(call->view);
    if (count > 0)
        diag_info(call->diag, "%u topics went while this broker was away", (unsigned)count);
}

static void on_view_changed(struct metadata_listener *listener)
{
    struct roll_call *call = CONTAINER_OF(listener, struct roll_call, listener);
    if (!call->is_due || call->is_asking)
        return;
    call->is_due = false;
    call->is_asking = true;
    call->request = (struct zk_request){
        .kind = ZK_REQUEST_GET_CHILDREN, .path = "/brokers/topics", .done = on_listed};
    zk_session_send(call->session, &call->request);
}

void roll_call_init(struct roll_call *call, struct metadata_view *view, struct zk_session *session,
                    struct diag *diag)
{
    *call = (struct roll_call){
        .view = view, .session = session, .diag = diag, .listener.changed = on_view_changed};
    metadata_view_listen(view, &call->listener);
}

void roll_call_begin(struct roll_call *call)
{
    metadata_view_doubt(call->view);
    call->is_due = call->view->topic_count > 0;
}
