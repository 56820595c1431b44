#include "server/keeper/znode_reaper.h"

#include "base/bytes.h"
#include "server/keeper/keeper_write.h"

enum { minute_ms = 60 * 1000, millisecond_ns = 1000000 };

void znode_reaper_init(struct znode_reaper *reaper, struct keeper_server *server)
{
    *reaper = (struct znode_reaper){.server = server};
}

/* One that never had a child waits for its first, for so long. */
static bool is_spent_container(const struct tree *tree, const struct znode *znode, int64_t wall_ms,
                               int64_t unused_ms_max)
{
    const struct znode_more more = tree_more(tree, znode);
    if (more.child_count > 0)
        return false;
    return more.cversion > 0 || (unused_ms_max > 0 && wall_ms - tree_mtime(znode) > unused_ms_max);
}

static bool is_spent_ttl(const struct tree *tree, const struct znode *znode, int64_t wall_ms)
{
    return tree_more(tree, znode).child_count == 0 &&
           wall_ms - tree_mtime(znode) > tree_ttl_ms(tree_owner_id(znode));
}

/* The body is the protocol's: the path behind its length. */
static bool start_delete(struct keeper_server *server, const struct znode *znode)
{
    const struct tree *tree = &server->keeper.tree;
    const size_t size = tree_path_bytes(tree, znode);
    uint8_t *body = heap_take(server->shard->heap, size + 4);
    if (body == NULL)
        return false;
    store_u32(body, (uint32_t)size);
    (void)tree_path_write(tree, znode, body + 4);
    const enum code code =
        keeper_write_start(server, &(struct keeper_write_request){.type = OP_DELETE_CONTAINER,
                                                                  .body = slice_of(body, size + 4),
                                                                  .is_essential = true});
    heap_give(server->shard->heap, body);
    return code == CODE_OK;
}

/* How many deletes it started. */
static int64_t reap(struct znode_reaper *reaper)
{
    struct keeper_server *server = reaper->server;
    const struct tree *tree = &server->keeper.tree;
    const int64_t wall_ms = io_wall_ms(server->shard->io);
    const int64_t interval_share = server->config.container_count_max_per_minute *
                                   server->config.container_check_interval_ms / minute_ms;
    const int64_t unused_ms_max = server->config.container_unused_ms_max;
    const int64_t share = interval_share > 0 ? interval_share : 1;
    int64_t left = share;
    /* Deleting only starts a write, so the lists stay as they are meanwhile. */
    list_each (link, &tree->containers.znodes) {
        if (left > 0 && is_spent_container(tree, tree_owned(link), wall_ms, unused_ms_max) &&
            start_delete(server, tree_owned(link)))
            left--;
    }
    list_each (link, &tree->ttl_znodes.znodes) {
        if (left > 0 && is_spent_ttl(tree, tree_owned(link), wall_ms) &&
            start_delete(server, tree_owned(link)))
            left--;
    }
    return share - left;
}

static void on_timer(struct io_op *op, int64_t result);

static void submit_timer(struct znode_reaper *reaper, int64_t delay_ms)
{
    struct io *io = reaper->server->shard->io;
    reaper->timer_op = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_timer};
    reaper->timer_op.timer.deadline_ns = io_now_ns(io) + (uint64_t)delay_ms * millisecond_ns;
    reaper->is_waiting = true;
    io_submit(io, &reaper->timer_op);
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct znode_reaper *reaper = CONTAINER_OF(op, struct znode_reaper, timer_op);
    struct keeper_server *server = reaper->server;
    const struct keeper_config *config = &server->config;
    reaper->is_waiting = false;
    if (server->phase != KEEPER_SERVER_SERVING) {
        keeper_server_pump_stop(server);
        return;
    }
    int64_t deleted_count = 0;
    /* What it deletes is a candidate still while the disk is behind. */
    if (result == 0 && keeper_server_decides(server) &&
        server->keeper.zxid_applied >= reaper->zxid_awaited) {
        deleted_count = reap(reaper);
        reaper->zxid_awaited = server->keeper.zxid_prepared;
    }
    if (deleted_count > 0)
        submit_timer(reaper,
                     max_i64(config->container_check_interval_ms,
                             deleted_count * minute_ms / config->container_count_max_per_minute));
    else
        znode_reaper_wake(reaper);
}

void znode_reaper_wake(struct znode_reaper *reaper)
{
    struct keeper_server *server = reaper->server;
    const struct tree *tree = &server->keeper.tree;
    if (!reaper->is_waiting && server->phase == KEEPER_SERVER_SERVING &&
        keeper_server_decides(server) &&
        (!list_empty(&tree->containers.znodes) || !list_empty(&tree->ttl_znodes.znodes)))
        submit_timer(reaper, server->config.container_check_interval_ms);
}

void znode_reaper_cancel(struct znode_reaper *reaper)
{
    if (reaper->is_waiting)
        io_cancel(reaper->server->shard->io, &reaper->timer_op);
}

bool znode_reaper_is_idle(const struct znode_reaper *reaper)
{
    return !reaper->is_waiting;
}
