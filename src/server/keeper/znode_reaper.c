#include "server/keeper/znode_reaper.h"

#include "base/bytes.h"
#include "server/keeper/keeper_write.h"

enum { minute_ms = 60 * 1000, millisecond_ns = 1000000 };

void znode_reaper_init(struct znode_reaper *reaper, struct keeper_server *server)
{
    *reaper = (struct znode_reaper){.server = server};
    reaper->due_at_ns = io_now_ns(server->shard->io) +
                        (uint64_t)server->config.container_check_interval_ms * millisecond_ns;
}

/* One that never had a child waits for its first, for so long. */
static bool is_spent_container(const struct znode *znode, int64_t wall_ms, int64_t unused_ms_max)
{
    if (znode->child_count > 0)
        return false;
    return znode->cversion > 0 || (unused_ms_max > 0 && wall_ms - znode->mtime > unused_ms_max);
}

static bool is_spent_ttl(const struct znode *znode, int64_t wall_ms)
{
    return znode->child_count == 0 && wall_ms - znode->mtime > tree_ttl_ms(znode->owner);
}

/* The body is the protocol's: the path behind its length. */
static bool start_delete(struct keeper_server *server, const struct znode *znode)
{
    const size_t size = tree_path_bytes(znode);
    uint8_t *body = heap_take(server->shard->heap, size + 4);
    if (body == NULL)
        return false;
    store_u32(body, (uint32_t)size);
    (void)tree_path_write(znode, body + 4);
    const enum code code =
        keeper_write_start(server, &(struct keeper_write_request){.type = OP_DELETE_CONTAINER,
                                                                  .body = slice_of(body, size + 4),
                                                                  .is_essential = true});
    heap_give(server->shard->heap, body);
    return code == CODE_OK;
}

static void reap(struct znode_reaper *reaper)
{
    struct keeper_server *server = reaper->server;
    const struct tree *tree = &server->keeper.tree;
    const int64_t wall_ms = io_wall_ms(server->shard->io);
    const int64_t share = server->config.container_count_max_per_minute *
                          server->config.container_check_interval_ms / minute_ms;
    const int64_t unused_ms_max = server->config.container_unused_ms_max;
    int64_t left = share > 0 ? share : 1;
    /* Deleting only starts a write, so the lists stay as they are meanwhile. */
    list_each (link, &tree->containers.znodes) {
        if (left > 0 && is_spent_container(tree_owned(link), wall_ms, unused_ms_max) &&
            start_delete(server, tree_owned(link)))
            left--;
    }
    list_each (link, &tree->ttl_znodes.znodes) {
        if (left > 0 && is_spent_ttl(tree_owned(link), wall_ms) &&
            start_delete(server, tree_owned(link)))
            left--;
    }
}

void znode_reaper_tick(struct znode_reaper *reaper)
{
    struct keeper_server *server = reaper->server;
    const uint64_t now_ns = io_now_ns(server->shard->io);
    if (now_ns < reaper->due_at_ns)
        return;
    reaper->due_at_ns =
        now_ns + (uint64_t)server->config.container_check_interval_ms * millisecond_ns;
    reap(reaper);
}
