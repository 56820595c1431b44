/* Random requests on few paths, so that they meet; and the comparison of two keepers. */
#ifndef TEST_KEEPER_WORKLOAD_H
#define TEST_KEEPER_WORKLOAD_H

#include "base/prng.h"
#include "test/keeper_driver.h"

enum { workload_depth_max = 3, workload_name_count = 3, workload_path_bytes_max = 64 };

/* "/", "/b", "/b/a/c"; sometimes a name that a sequence made. */
static inline void workload_path(struct prng *prng, char path[workload_path_bytes_max])
{
    size_t used = 0;
    const uint64_t depth =
        prng_below(prng, 40) == 0 ? 0 : prng_between(prng, 1, workload_depth_max);
    for (uint64_t level = 0; level < depth; level++) {
        const char name = (char)('a' + (char)prng_below(prng, workload_name_count));
        const bool numbered = prng_chance(prng, 1, 12);
        used += (size_t)snprintf(path + used, workload_path_bytes_max - used,
                                 numbered ? "/%c%010d" : "/%c", name, (int)prng_below(prng, 5));
    }
    if (depth == 0)
        snprintf(path, workload_path_bytes_max, "/");
}

static inline int32_t workload_version(struct prng *prng)
{
    return (int32_t)prng_below(prng, 4) - 1;
}

/* Open, or somebody's. */
static inline struct zk_acl workload_acl(struct prng *prng)
{
    static const char *const ids[] = {"u0:x", "u1:x"};
    if (prng_chance(prng, 9, 10))
        return driver_open_acl[0];
    const uint64_t who = prng_below(prng, 3);
    if (who == 2)
        return (struct zk_acl){(int32_t)prng_below(prng, 32),
                               {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    return (struct zk_acl){(int32_t)prng_below(prng, 32),
                           {SLICE_LITERAL("digest"), slice_from_text(ids[who])}};
}

/* Longer than most slices have left. */
static inline const char *workload_big_value(void)
{
    static char big[2000];
    memset(big, 'y', sizeof big - 1);
    return big;
}

static inline void workload_create(struct driver *driver, struct prng *prng, int client)
{
    char path[workload_path_bytes_max];
    workload_path(prng, path);
    struct zk_acl acl = workload_acl(prng);
    const int32_t flags = (int32_t)prng_below(prng, 7);
    const char *value = prng_chance(prng, 1, 3) ? workload_big_value() : "data";
    struct zk_create_request request = driver_create_request(path, value, flags);
    request.acl.items = &acl;
    if (prng_chance(prng, 1, 10))
        request.data = prng_chance(prng, 1, 2) ? SLICE_NULL : SLICE_LITERAL("");
    if (flags == 5 || flags == 6)
        driver_create_ttl(driver, client, path, flags, 1000);
    else if (flags == 4)
        driver_write(driver, client, OP_CREATE_CONTAINER, &zk_create_request_wire, &request);
    else
        driver_write(driver, client, prng_chance(prng, 1, 2) ? OP_CREATE : OP_CREATE2,
                     &zk_create_request_wire, &request);
}

static inline void workload_multi(struct driver *driver, struct prng *prng, int client)
{
    struct driver_multi multi = driver_multi_begin(driver);
    for (uint64_t left = prng_below(prng, 5); left > 0; left--) {
        char path[workload_path_bytes_max];
        workload_path(prng, path);
        switch (prng_below(prng, 4)) {
        case 0: driver_multi_create(&multi, OP_CREATE, path, (int32_t)prng_below(prng, 5)); break;
        case 1: driver_multi_delete(&multi, path, workload_version(prng)); break;
        case 2: driver_multi_set(&multi, path, workload_version(prng)); break;
        case 3: driver_multi_check(&multi, path, workload_version(prng)); break;
        }
    }
    driver_multi_write(&multi, client);
}

static inline void workload_reconnect(struct driver *driver, int client)
{
    driver_close(driver, client);
    keeper_connection_deinit(&driver->keeper, &driver->clients[client].connection);
    driver_connect(driver, client);
}

/* Whatever happens under path is counted from now on. */
static inline void workload_add_quota(struct driver *driver, const char *path)
{
    char name[128];
    static const char *const names[] = {"", "/zookeeper_limits", "/zookeeper_stats"};
    for (int index = 0; index < 3; index++) {
        snprintf(name, sizeof name, "/zookeeper/quota%s%s", path, names[index]);
        assert_int_equal(driver_create(driver, 0, name, 0), CODE_OK);
    }
}

/* One request of one client, prepared and applied. */
static inline void workload_step(struct driver *driver, struct prng *prng)
{
    const int client = (int)prng_below(prng, driver_connection_count);
    char path[workload_path_bytes_max];
    workload_path(prng, path);
    arena_reset(&driver->arena);
    driver->now_ms += (int64_t)prng_below(prng, 10);
    const uint64_t kind = prng_below(prng, 100);
    if (kind < 45) {
        workload_create(driver, prng, client);
    } else if (kind < 65) {
        driver_delete(driver, client, path, workload_version(prng));
    } else if (kind < 80) {
        const char *const values[] = {NULL, "", "x", workload_big_value()};
        driver_set(driver, client, path, values[prng_below(prng, 4)], workload_version(prng));
    } else if (kind < 85) {
        const struct zk_acl acl = workload_acl(prng);
        driver_set_acl(driver, client, path, &acl, 1, workload_version(prng));
    } else if (kind < 98) {
        workload_multi(driver, prng, client);
    } else {
        workload_reconnect(driver, client);
    }
}

/* --- comparison --- */

static inline void workload_encode_stat(const struct keeper *keeper, const struct znode *znode,
                                        uint8_t out[68])
{
    struct zk_stat stat;
    tree_stat(&keeper->tree, znode, &stat);
    struct wire_writer writer = wire_writer_of(out, 68);
    wire_encode(&zk_stat_wire, 0, &stat, &writer);
}

static inline void workload_same_znode(const struct keeper *a, const struct keeper *b,
                                       const struct znode *znode, struct slice path)
{
    const struct znode *other = tree_find(&b->tree, path);
    if (other == NULL)
        fail_msg("no %.*s", (int)path.size, (const char *)path.data);
    uint8_t stat[2][68];
    workload_encode_stat(a, znode, stat[0]);
    workload_encode_stat(b, other, stat[1]);
    assert_memory_equal(stat[0], stat[1], sizeof stat[0]);
    assert_true(slice_equal(tree_data(&a->tree, znode), tree_data(&b->tree, other)));
    assert_true(acl_list_equal(tree_acl(&a->tree, znode)->list, tree_acl(&b->tree, other)->list));
    assert_int_equal(tree_owner_id(znode), tree_owner_id(other));
    assert_int_equal(znode->digest, other->digest);
}

static inline void workload_same_owners(const struct keeper *a, const struct keeper *b)
{
    assert_int_equal(a->tree.containers.znode_count, b->tree.containers.znode_count);
    assert_int_equal(a->tree.ttl_znodes.znode_count, b->tree.ttl_znodes.znode_count);
    assert_int_equal(a->tree.ephemeral_count, b->tree.ephemeral_count);
    uint64_t position = 0;
    struct session *session = NULL;
    while ((session = session_table_next(&a->sessions, &position, session)) != NULL) {
        const struct session *other = session_table_find(&b->sessions, session->id);
        assert_non_null(other);
        assert_int_equal(session->timeout_ms, other->timeout_ms);
        const struct tree_owner *owner = tree_find_owner(&a->tree, session->id);
        const struct tree_owner *other_owner = tree_find_owner(&b->tree, session->id);
        assert_int_equal(owner == NULL ? 0 : owner->znode_count,
                         other_owner == NULL ? 0 : other_owner->znode_count);
    }
    assert_int_equal(a->sessions.by_id.count, b->sessions.by_id.count);
}

/* Fails unless both keepers hold the same. */
static inline void workload_same(struct keeper *a, const struct keeper *b)
{
    uint8_t path[1024];
    struct tree_cursor cursor;
    tree_cursor_open(&a->tree, &cursor);
    const struct znode *znode = NULL;
    while ((znode = tree_cursor_next(&cursor)) != NULL)
        workload_same_znode(a, b, znode, tree_path_write(&a->tree, znode, path));
    tree_cursor_close(&cursor);
    assert_int_equal(a->tree.by_path.count, b->tree.by_path.count);
    assert_int_equal(a->tree.digest, b->tree.digest);
    assert_int_equal(a->tree.data_bytes, b->tree.data_bytes);
    assert_int_equal(a->tree.acls.by_list.count, b->tree.acls.by_list.count);
    assert_int_equal(a->zxid_applied, b->zxid_applied);
    workload_same_owners(a, b);
}

#endif
