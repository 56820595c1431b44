#include "server/broker/bootstrap.h"

#include "broker/znode_json.h"

/* Parents first. */
static const char *const skeleton_paths[bootstrap_path_count] = {
    "/consumers",
    "/brokers",
    "/brokers/ids",
    "/brokers/topics",
    "/brokers/seqid",
    "/config",
    "/config/changes",
    "/config/topics",
    "/config/clients",
    "/config/users",
    "/config/brokers",
    "/config/ips",
    "/admin",
    "/admin/delete_topics",
    "/isr_change_notification",
    "/latest_producer_id_block",
    "/log_dir_event_notification",
};

static void read_cluster_id(struct bootstrap *bootstrap);

void bootstrap_init(struct bootstrap *bootstrap, struct bootstrap_options options,
                    struct bootstrap_handler handler)
{
    *bootstrap = (struct bootstrap){.options = options, .handler = handler};
    bootstrap->broker_id = options.broker_id;
}

static void fail(struct bootstrap *bootstrap, const struct keeper_result *result)
{
    if (result->code != KEEPER_SESSION_EXPIRED)
        bootstrap->handler.on_failed(bootstrap->handler.context, keeper_code_name(result->code));
}

static struct bootstrap *bootstrap_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct bootstrap, request);
}

static void send(struct bootstrap *bootstrap, enum zk_request_kind kind, const char *path,
                 void (*done)(struct zk_request *request, const struct keeper_result *result))
{
    bootstrap->request.kind = kind;
    bootstrap->request.path = path;
    bootstrap->request.done = done;
    bootstrap->request.is_outside_chroot = false;
    zk_session_send(bootstrap->options.session, &bootstrap->request);
}

/* ---- broker id ---- */

static void on_sequence(struct zk_request *request, const struct keeper_result *result)
{
    struct bootstrap *bootstrap = bootstrap_of(request);
    if (result->code != KEEPER_OK) {
        fail(bootstrap, result);
        return;
    }
    bootstrap->broker_id = bootstrap->options.broker_id_reserved_max + result->stat->version;
    bootstrap->handler.on_done(bootstrap->handler.context);
}

/* Each write raises the version: that is the sequence. */
static void find_broker_id(struct bootstrap *bootstrap)
{
    if (bootstrap->broker_id >= 0) {
        bootstrap->handler.on_done(bootstrap->handler.context);
        return;
    }
    bootstrap->request.data = slice_of("", 0);
    bootstrap->request.version = keeper_any_version;
    send(bootstrap, ZK_REQUEST_SET_DATA, "/brokers/seqid", on_sequence);
}

/* ---- cluster id ---- */

static void on_cluster_id_made(struct zk_request *request, const struct keeper_result *result)
{
    struct bootstrap *bootstrap = bootstrap_of(request);
    if (result->code == KEEPER_OK)
        find_broker_id(bootstrap);
    else if (result->code == KEEPER_NODE_EXISTS)
        read_cluster_id(bootstrap); /* Another broker's counts. */
    else
        fail(bootstrap, result);
}

static void on_cluster_made(struct zk_request *request, const struct keeper_result *result)
{
    struct bootstrap *bootstrap = bootstrap_of(request);
    if (result->code != KEEPER_OK && result->code != KEEPER_NODE_EXISTS) {
        fail(bootstrap, result);
        return;
    }
    struct uuid id;
    uint8_t entropy[16];
    struct arena arena;
    do
        io_entropy(bootstrap->options.io, entropy, sizeof entropy);
    while (!uuid_from_entropy(entropy, &id));
    uuid_print(id, bootstrap->cluster_id);
    arena_init(&arena, bootstrap->memory, sizeof bootstrap->memory);
    bootstrap->request.data =
        znode_json_write_cluster_id(&arena, slice_from_text(bootstrap->cluster_id));
    send(bootstrap, ZK_REQUEST_CREATE, "/cluster/id", on_cluster_id_made);
}

static void on_cluster_id_read(struct zk_request *request, const struct keeper_result *result)
{
    struct bootstrap *bootstrap = bootstrap_of(request);
    if (result->code == KEEPER_NO_NODE) {
        bootstrap->request.data = SLICE_NULL;
        send(bootstrap, ZK_REQUEST_CREATE, "/cluster", on_cluster_made);
        return;
    }
    if (result->code != KEEPER_OK) {
        fail(bootstrap, result);
        return;
    }
    struct arena arena;
    struct slice id;
    arena_init(&arena, bootstrap->memory, sizeof bootstrap->memory);
    if (znode_json_read_cluster_id(result->data, &arena, &id) != ERR_OK ||
        id.size > bootstrap_cluster_id_size_max) {
        bootstrap->handler.on_failed(bootstrap->handler.context, "/cluster/id is not readable");
        return;
    }
    memcpy(bootstrap->cluster_id, id.data, id.size);
    bootstrap->cluster_id[id.size] = '\0';
    find_broker_id(bootstrap);
}

static void read_cluster_id(struct bootstrap *bootstrap)
{
    send(bootstrap, ZK_REQUEST_GET_DATA, "/cluster/id", on_cluster_id_read);
}

/* ---- skeleton ---- */

static void close_one(struct bootstrap *bootstrap, const struct keeper_result *result)
{
    if (result->code != KEEPER_OK && result->code != KEEPER_NODE_EXISTS && !bootstrap->has_failed) {
        bootstrap->has_failed = true;
        fail(bootstrap, result);
    }
    if (--bootstrap->open_count == 0 && !bootstrap->has_failed)
        read_cluster_id(bootstrap);
}

/* The context of a request of the skeleton is found by its place in the array. */
static struct bootstrap *bootstrap_of_part(struct zk_request *request)
{
    size_t index = 0;
    while (request->path != skeleton_paths[index])
        index++;
    return CONTAINER_OF(request - index, struct bootstrap, skeleton);
}

static void on_part_made(struct zk_request *request, const struct keeper_result *result)
{
    close_one(bootstrap_of_part(request), result);
}

/* Replies come in the order of requests, so parents are made before their children. */
static void on_part_seen(struct zk_request *request, const struct keeper_result *result)
{
    if (result->code != KEEPER_NO_NODE) {
        close_one(bootstrap_of_part(request), result);
        return;
    }
    request->kind = ZK_REQUEST_CREATE;
    request->done = on_part_made;
    zk_session_send(request->session, request);
}

static void make_skeleton(struct bootstrap *bootstrap)
{
    bootstrap->open_count = bootstrap_path_count;
    bootstrap->has_failed = false;
    for (size_t index = 0; index < bootstrap_path_count; index++) {
        bootstrap->skeleton[index] = (struct zk_request){
            .kind = ZK_REQUEST_EXISTS,
            .path = skeleton_paths[index],
            .done = on_part_seen,
        };
        zk_session_send(bootstrap->options.session, &bootstrap->skeleton[index]);
    }
}

/* ---- chroot ---- */

static void make_chroot(struct bootstrap *bootstrap);

static void on_chroot_part(struct zk_request *request, const struct keeper_result *result)
{
    struct bootstrap *bootstrap = bootstrap_of(request);
    if (result->code == KEEPER_OK || result->code == KEEPER_NODE_EXISTS)
        make_chroot(bootstrap);
    else
        fail(bootstrap, result);
}

/* The next part of "/a/b": "/a", then "/a/b". */
static void make_chroot(struct bootstrap *bootstrap)
{
    const struct slice chroot = bootstrap->options.chroot;
    if (bootstrap->chroot_cursor == chroot.size) {
        make_skeleton(bootstrap);
        return;
    }
    size_t end = bootstrap->chroot_cursor + 1;
    while (end < chroot.size && chroot.data[end] != '/')
        end++;
    bootstrap->chroot_cursor = end;
    memcpy(bootstrap->path, chroot.data, end);
    bootstrap->path[end] = '\0';
    bootstrap->request = (struct zk_request){
        .kind = ZK_REQUEST_CREATE,
        .path = bootstrap->path,
        .is_outside_chroot = true,
        .done = on_chroot_part,
    };
    zk_session_send(bootstrap->options.session, &bootstrap->request);
}

void bootstrap_begin(struct bootstrap *bootstrap)
{
    bootstrap->chroot_cursor = 0;
    bootstrap->request = (struct zk_request){0};
    if (bootstrap->options.chroot.size >= sizeof bootstrap->path)
        bootstrap->handler.on_failed(bootstrap->handler.context, "the chroot is too long");
    else
        make_chroot(bootstrap);
}
