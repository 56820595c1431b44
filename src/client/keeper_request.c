#include "client/keeper_request.h"

#include "client/keeper_message.h"
#include "wire/gen/zk.h"

/* Forgets what an earlier use of op left, and makes the full path. */
static struct slice prepare(struct keeper_client *client, struct keeper_op *op,
                            struct keeper_message_path *place, const char *path)
{
    op->message = NULL;
    op->watch = NULL;
    op->part_count = 0;
    return keeper_message_join(place, keeper_client_chroot(client), path);
}

static struct net_message *make(struct keeper_client *client, int32_t type, struct slice path,
                                const struct wire_record *record, const void *request)
{
    return path.data == NULL
               ? NULL
               : keeper_message_make(keeper_client_heap(client), type, record, request);
}

static void give_watch(struct keeper_op *op, struct keeper_watch *watch, const char *path,
                       enum keeper_watch_kind kind)
{
    op->watch = watch;
    if (watch == NULL || watch->is_armed)
        return;
    list_init(&watch->link);
    watch->path = path;
    watch->kind = kind;
}

void keeper_client_create(struct keeper_client *client, struct keeper_op *op,
                          struct keeper_create create)
{
    struct keeper_message_path place;
    struct zk_create2_request request = {
        .path = prepare(client, op, &place, create.path),
        .data = create.data,
        .flags = create.flags,
    };
    if (create.is_outside_chroot)
        request.path = slice_from_text(create.path);
    request.acl.items =
        (struct zk_acl *)(create.acl == NULL ? &keeper_message_open_acl : create.acl);
    request.acl.count = create.acl == NULL ? 1 : create.acl_count;
    keeper_client_submit(
        client, op, ZK_OP_CREATE2,
        make(client, ZK_OP_CREATE2, request.path, &zk_create2_request_wire, &request));
}

void keeper_client_delete(struct keeper_client *client, struct keeper_op *op, const char *path,
                          int32_t version)
{
    struct keeper_message_path place;
    const struct zk_delete_request request = {
        .path = prepare(client, op, &place, path),
        .version = version,
    };
    keeper_client_submit(
        client, op, ZK_OP_DELETE,
        make(client, ZK_OP_DELETE, request.path, &zk_delete_request_wire, &request));
}

void keeper_client_exists(struct keeper_client *client, struct keeper_op *op, const char *path,
                          struct keeper_watch *watch)
{
    struct keeper_message_path place;
    const struct zk_exists_request request = {
        .path = prepare(client, op, &place, path),
        .watch = watch != NULL,
    };
    give_watch(op, watch, path, KEEPER_WATCH_DATA);
    keeper_client_submit(
        client, op, ZK_OP_EXISTS,
        make(client, ZK_OP_EXISTS, request.path, &zk_exists_request_wire, &request));
}

void keeper_client_get_data(struct keeper_client *client, struct keeper_op *op, const char *path,
                            struct keeper_watch *watch)
{
    struct keeper_message_path place;
    const struct zk_get_data_request request = {
        .path = prepare(client, op, &place, path),
        .watch = watch != NULL,
    };
    give_watch(op, watch, path, KEEPER_WATCH_DATA);
    keeper_client_submit(
        client, op, ZK_OP_GET_DATA,
        make(client, ZK_OP_GET_DATA, request.path, &zk_get_data_request_wire, &request));
}

void keeper_client_get_children(struct keeper_client *client, struct keeper_op *op,
                                const char *path, struct keeper_watch *watch)
{
    struct keeper_message_path place;
    const struct zk_get_children2_request request = {
        .path = prepare(client, op, &place, path),
        .watch = watch != NULL,
    };
    give_watch(op, watch, path, KEEPER_WATCH_CHILDREN);
    keeper_client_submit(
        client, op, ZK_OP_GET_CHILDREN2,
        make(client, ZK_OP_GET_CHILDREN2, request.path, &zk_get_children2_request_wire, &request));
}

void keeper_client_set_data(struct keeper_client *client, struct keeper_op *op, const char *path,
                            struct slice data, int32_t version)
{
    struct keeper_message_path place;
    const struct zk_set_data_request request = {
        .path = prepare(client, op, &place, path),
        .data = data,
        .version = version,
    };
    keeper_client_submit(
        client, op, ZK_OP_SET_DATA,
        make(client, ZK_OP_SET_DATA, request.path, &zk_set_data_request_wire, &request));
}

void keeper_client_get_acl(struct keeper_client *client, struct keeper_op *op, const char *path)
{
    struct keeper_message_path place;
    const struct zk_get_acl_request request = {.path = prepare(client, op, &place, path)};
    keeper_client_submit(
        client, op, ZK_OP_GET_ACL,
        make(client, ZK_OP_GET_ACL, request.path, &zk_get_acl_request_wire, &request));
}

void keeper_client_set_acl(struct keeper_client *client, struct keeper_op *op, const char *path,
                           const struct zk_acl *acl, int32_t acl_count, int32_t version)
{
    struct keeper_message_path place;
    struct zk_set_acl_request request = {
        .path = prepare(client, op, &place, path),
        .version = version,
    };
    request.acl.items = (struct zk_acl *)acl;
    request.acl.count = acl_count;
    keeper_client_submit(
        client, op, ZK_OP_SET_ACL,
        make(client, ZK_OP_SET_ACL, request.path, &zk_set_acl_request_wire, &request));
}

void keeper_client_sync(struct keeper_client *client, struct keeper_op *op, const char *path)
{
    struct keeper_message_path place;
    const struct zk_sync_request request = {.path = prepare(client, op, &place, path)};
    keeper_client_submit(client, op, ZK_OP_SYNC,
                         make(client, ZK_OP_SYNC, request.path, &zk_sync_request_wire, &request));
}

void keeper_client_multi(struct keeper_client *client, struct keeper_op *op,
                         const struct keeper_multi_op *ops, uint32_t op_count)
{
    op->message = NULL;
    op->watch = NULL;
    op->part_count = (int32_t)op_count;
    keeper_client_submit(client, op, ZK_OP_MULTI,
                         keeper_message_multi(keeper_client_heap(client),
                                              keeper_client_chroot(client), ops, op_count));
}
