#include "server/broker/registration.h"

#include <stdalign.h>
#include <stdio.h>

#include "broker/znode_json.h"

enum { read_memory_size = 16384 };

static void create(struct registration *registration);
static void on_read(struct zk_request *request, const struct keeper_result *result);
static void on_watch(struct keeper_watch *watch, enum keeper_event_type type);

void registration_init(struct registration *registration, struct registration_options options,
                       struct registration_handler handler)
{
    *registration = (struct registration){
        .session = options.session,
        .diag = options.diag,
        .broker_id = options.broker_id,
        .handler = handler,
        .watch.fired = on_watch,
    };
    snprintf(registration->path, sizeof registration->path, "/brokers/ids/%d",
             (int)options.broker_id);
}

static void refuse(struct registration *registration, const char *reason)
{
    registration->handler.on_refused(registration->handler.context, reason);
}

static void on_leftover_deleted(struct zk_request *request, const struct keeper_result *result)
{
    struct registration *registration = CONTAINER_OF(request, struct registration, request);
    if (result->code == KEEPER_OK || result->code == KEEPER_NO_NODE)
        create(registration);
    else if (result->code != KEEPER_SESSION_EXPIRED)
        refuse(registration, "the znode of an earlier session cannot be removed");
}

static void delete_leftover(struct registration *registration, int64_t session_id)
{
    diag_info(registration->diag, "%s is left over from session 0x%llx: taking its place",
              registration->path, (long long)session_id);
    registration->request.kind = ZK_REQUEST_DELETE;
    registration->request.version = keeper_any_version;
    registration->request.done = on_leftover_deleted;
    zk_session_send(registration->session, &registration->request);
}

/* The watch sees to it that a node that vanishes is made anew. */
static void read(struct registration *registration)
{
    registration->request.kind = ZK_REQUEST_GET_DATA;
    registration->request.watch = &registration->watch;
    registration->request.done = on_read;
    zk_session_send(registration->session, &registration->request);
}

static void tell(struct registration *registration, int64_t broker_epoch)
{
    if (registration->broker_epoch == broker_epoch)
        return;
    registration->broker_epoch = broker_epoch;
    registration->handler.on_registered(registration->handler.context, broker_epoch);
}

static bool has_our_endpoints(const struct registration *registration, struct slice data)
{
    alignas(16) uint8_t memory[read_memory_size];
    struct arena arena;
    struct znode_broker broker;
    arena_init(&arena, memory, sizeof memory);
    if (znode_json_read_broker(data, &arena, &broker) != ERR_OK ||
        broker.record.endpoint_count != registration->record.endpoint_count)
        return false;
    for (uint32_t index = 0; index < broker.record.endpoint_count; index++) {
        const struct broker_endpoint *theirs = &broker.record.endpoints[index];
        const struct broker_endpoint *ours = &registration->record.endpoints[index];
        if (!slice_equal(theirs->host, ours->host) || theirs->port != ours->port ||
            !slice_equal(theirs->listener, ours->listener))
            return false;
    }
    return true;
}

static void on_read(struct zk_request *request, const struct keeper_result *result)
{
    struct registration *registration = CONTAINER_OF(request, struct registration, request);
    if (result->code == KEEPER_SESSION_EXPIRED)
        return;
    if (result->code == KEEPER_NO_NODE) {
        create(registration);
        return;
    }
    if (result->code != KEEPER_OK) {
        refuse(registration, keeper_code_name(result->code));
        return;
    }
    const int64_t owner = result->stat->ephemeral_owner;
    if (owner == registration->session->session_id) {
        tell(registration, result->stat->czxid);
        return;
    }
    keeper_client_disarm(registration->session->client, &registration->watch);
    if (owner != 0 && (owner == registration->session->earlier_session_id ||
                       has_our_endpoints(registration, result->data)))
        delete_leftover(registration, owner);
    else
        refuse(registration, "another broker is registered under this broker.id");
}

static void on_created(struct zk_request *request, const struct keeper_result *result)
{
    struct registration *registration = CONTAINER_OF(request, struct registration, request);
    switch (result->code) {
    case KEEPER_OK:
        tell(registration, result->parts[1].stat->czxid);
        read(registration);
        return;
    case KEEPER_SESSION_EXPIRED: return;
    case KEEPER_NODE_EXISTS: read(registration); return;
    default: refuse(registration, keeper_code_name(result->code));
    }
}

static void on_watch(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct registration *registration = CONTAINER_OF(watch, struct registration, watch);
    if (type == KEEPER_WATCH_ENDED || registration->is_over)
        return;
    if (type == KEEPER_NODE_DELETED)
        diag_warn(registration->diag, "%s was deleted by somebody else: registering again",
                  registration->path);
    read(registration);
}

/* Created without data and set in one transaction: so its reply carries the czxid. */
static void create(struct registration *registration)
{
    registration->ops[0] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_CREATE,
        .path = registration->path,
        .flags = KEEPER_EPHEMERAL,
    };
    registration->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_SET_DATA,
        .path = registration->path,
        .data = registration->data,
        .version = 0,
    };
    registration->request.kind = ZK_REQUEST_MULTI;
    registration->request.ops = registration->ops;
    registration->request.op_count = 2;
    registration->request.done = on_created;
    zk_session_send(registration->session, &registration->request);
}

void registration_begin(struct registration *registration, const struct broker_record *record,
                        int64_t timestamp_ms)
{
    struct arena arena;
    const struct znode_broker broker = {.record = *record, .timestamp_ms = timestamp_ms};
    arena_init(&arena, registration->memory, sizeof registration->memory);
    registration->record = *record;
    registration->broker_epoch = -1;
    registration->data = znode_json_write_broker(&arena, &broker);
    registration->request.path = registration->path;
    if (registration->data.data == NULL)
        refuse(registration, "advertised.listeners and broker.rack are too long");
    else
        create(registration);
}

void registration_end(struct registration *registration)
{
    registration->is_over = true;
}
