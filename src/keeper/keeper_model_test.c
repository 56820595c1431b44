/* The keeper against a model of what ZooKeeper does that is too simple to be wrong: an array of
 * znodes that is searched from end to end, and a multi that works on a copy of everything.
 *
 * Writes are prepared several at a time and then applied; the model does them one after the other.
 */
#include "test/keeper_workload.h"

enum {
    seed_count = 3000,
    step_count = 60,
    znode_count_max = 400,
    watch_count_max = 400,
    write_count_max = 4,
    part_count_max = 4,
    events_bytes_max = 8192,
    acl_count = 6,
};

/* --- requests --- */

/* A write, or a part of a multi. */
struct write {
    int32_t type;
    int client;
    char path[workload_path_bytes_max];
    const char *data;
    int32_t flags;
    int32_t version;
    int acl;
    int part_count;
    struct write *parts; /* Of a multi. */
};

/* Who may do what: acls[n] of client c is decided by model_grants below. */
static struct zk_acl acls[acl_count];

/* --- the model --- */

struct model_znode {
    char path[workload_path_bytes_max];
    const char *data;
    int32_t version, creates, aversion;
    int64_t czxid, mzxid, pzxid, ctime, mtime, owner;
    int acl;
};

struct model_watch {
    int client;
    char path[workload_path_bytes_max];
    bool is_child;
    int modes;
};

struct model {
    struct model_znode znodes[znode_count_max];
    int znode_count;
    struct model_watch watches[watch_count_max];
    int watch_count;
    int64_t zxid, time_ms;
    int64_t sessions[driver_connection_count];
    char events[events_bytes_max];
};

/* What a write answers. */
struct answer {
    int32_t code;
    char path[workload_path_bytes_max + 16];
    struct zk_stat stat;
    int32_t part_codes[part_count_max];
};

static struct driver driver;
static struct model model;

/* parent may be path itself. */
static void parent_of(const char *path, char parent[workload_path_bytes_max])
{
    memmove(parent, path, strlen(path) + 1);
    char *slash = strrchr(parent, '/');
    slash[slash == parent ? 1 : 0] = '\0';
}

static struct model_znode *model_find(const char *path)
{
    for (int index = 0; index < model.znode_count; index++)
        if (strcmp(model.znodes[index].path, path) == 0)
            return &model.znodes[index];
    return NULL;
}

static bool is_child(const char *path, const char *parent)
{
    char its_parent[workload_path_bytes_max];
    parent_of(path, its_parent);
    return strcmp(path, "/") != 0 && strcmp(its_parent, parent) == 0;
}

static int32_t model_child_count(const char *path)
{
    int32_t count = 0;
    for (int index = 0; index < model.znode_count; index++)
        count += is_child(model.znodes[index].path, path);
    return count;
}

static struct zk_stat model_stat(const struct model_znode *znode)
{
    const int32_t child_count = model_child_count(znode->path);
    const bool is_ephemeral = znode->owner > 0;
    return (struct zk_stat){
        .czxid = znode->czxid,
        .mzxid = znode->mzxid,
        .ctime = znode->ctime,
        .mtime = znode->mtime,
        .version = znode->version,
        .cversion = 2 * znode->creates - child_count,
        .aversion = znode->aversion,
        .ephemeral_owner = is_ephemeral ? znode->owner : 0,
        .data_length = znode->data == NULL ? 0 : (int32_t)strlen(znode->data),
        .num_children = child_count,
        .pzxid = znode->pzxid,
    };
}

/* acls: open, read for all, all for u0, all for u1, everything but delete and admin, nothing. */
static bool model_grants(int acl, int client, int32_t permission)
{
    switch (acl) {
    case 0: return true;
    case 1: return permission == ACL_READ;
    case 2: return client == 0;
    case 3: return client == 1;
    case 4: return permission != ACL_DELETE && permission != ACL_ADMIN;
    }
    return false;
}

/* --- the model's watches --- */

static void model_tell(int client, int type, const char *path, const char *mark)
{
    const size_t used = strlen(model.events);
    snprintf(model.events + used, sizeof model.events - used, "%d:%d%s%s ", client, type, path,
             mark);
}

static void model_remove_watch(int index)
{
    model.watch_count--;
    memmove(&model.watches[index], &model.watches[index + 1],
            (size_t)(model.watch_count - index) * sizeof model.watches[0]);
}

static struct model_watch *model_find_watch(int client, const char *path, bool child)
{
    for (int index = 0; index < model.watch_count; index++) {
        struct model_watch *watch = &model.watches[index];
        if (watch->client == client && watch->is_child == child && strcmp(watch->path, path) == 0)
            return watch;
    }
    return NULL;
}

static void model_watch_path(int client, const char *path, bool child, int mode)
{
    struct model_watch *watch = model_find_watch(client, path, child);
    if (watch == NULL) {
        assert_true(model.watch_count < watch_count_max);
        watch = &model.watches[model.watch_count++];
        *watch = (struct model_watch){.client = client, .is_child = child};
        snprintf(watch->path, sizeof watch->path, "%s", path);
    }
    watch->modes |= mode;
}

static bool model_unwatch(int client, const char *path, bool child, int modes)
{
    struct model_watch *watch = model_find_watch(client, path, child);
    if (watch == NULL || (watch->modes & modes) == 0)
        return false;
    watch->modes &= ~modes;
    if (watch->modes == 0)
        model_remove_watch((int)(watch - model.watches));
    return true;
}

static void model_fire(bool child, int type, const char *path, int acl,
                       bool told[driver_connection_count])
{
    for (int index = 0; index < model.watch_count;) {
        struct model_watch *watch = &model.watches[index];
        if (watch->is_child != child || strcmp(watch->path, path) != 0) {
            index++;
            continue;
        }
        if (!told[watch->client] && model_grants(acl, watch->client, ACL_READ))
            model_tell(watch->client, type, path, "");
        told[watch->client] = true;
        watch->modes &= ~WATCH_MODE_STANDARD;
        if (watch->modes == 0)
            model_remove_watch(index);
        else
            index++;
    }
    char ancestor[workload_path_bytes_max];
    snprintf(ancestor, sizeof ancestor, "%s", path);
    while (!child && strcmp(ancestor, "/") != 0) {
        parent_of(ancestor, ancestor);
        for (int index = 0; index < model.watch_count; index++) {
            const struct model_watch *watch = &model.watches[index];
            if (watch->is_child || strcmp(watch->path, ancestor) != 0 ||
                (watch->modes & WATCH_MODE_RECURSIVE) == 0)
                continue;
            if (!told[watch->client] && model_grants(acl, watch->client, ACL_READ))
                model_tell(watch->client, type, path, "");
            told[watch->client] = true;
        }
    }
}

static void model_fire_parent(const char *path)
{
    char parent[workload_path_bytes_max];
    parent_of(path, parent);
    bool told[driver_connection_count] = {false};
    model_fire(true, WATCH_EVENT_CHILDREN_CHANGED, parent, model_find(parent)->acl, told);
}

/* --- the model's writes --- */

static int32_t model_create(const struct write *write, struct answer *answer)
{
    if (strchr(write->path, '/') == NULL)
        return CODE_BAD_ARGUMENTS;
    char path[sizeof answer->path];
    char parent_path[workload_path_bytes_max];
    parent_of(write->path, parent_path);
    struct model_znode *parent = model_find(parent_path);
    if (parent == NULL)
        return CODE_NO_NODE;
    if (!model_grants(parent->acl, write->client, ACL_CREATE))
        return CODE_NO_AUTH;
    const bool sequential = write->flags == 2 || write->flags == 3;
    snprintf(path, sizeof path, sequential ? "%s%010d" : "%s", write->path, parent->creates);
    if (model_find(path) != NULL)
        return CODE_NODE_EXISTS;
    if (parent->owner > 0)
        return CODE_NO_CHILDREN_FOR_EPHEMERALS;
    assert_true(model.znode_count < znode_count_max && strlen(path) < workload_path_bytes_max);
    struct model_znode *znode = &model.znodes[model.znode_count++];
    *znode = (struct model_znode){.data = write->data,
                                  .czxid = model.zxid,
                                  .mzxid = model.zxid,
                                  .pzxid = model.zxid,
                                  .ctime = model.time_ms,
                                  .mtime = model.time_ms,
                                  .acl = write->acl};
    memcpy(znode->path, path, sizeof znode->path);
    if (write->flags == 1 || write->flags == 3)
        znode->owner = model.sessions[write->client];
    parent->creates++;
    parent->pzxid = model.zxid;
    memcpy(answer->path, path, sizeof path);
    answer->stat = model_stat(znode);
    bool told[driver_connection_count] = {false};
    model_fire(false, WATCH_EVENT_CREATED, path, znode->acl, told);
    model_fire_parent(path);
    return CODE_OK;
}

static void model_erase(const char *path)
{
    struct model_znode *znode = model_find(path);
    const int acl = znode->acl;
    char parent_path[workload_path_bytes_max];
    parent_of(path, parent_path);
    model.znode_count--;
    memmove(znode, znode + 1, (size_t)(&model.znodes[model.znode_count] - znode) * sizeof *znode);
    model_find(parent_path)->pzxid = model.zxid;
    bool told[driver_connection_count] = {false};
    model_fire(false, WATCH_EVENT_DELETED, path, acl, told);
    model_fire(true, WATCH_EVENT_DELETED, path, acl, told);
    model_fire_parent(path);
}

static int32_t model_delete(const struct write *write)
{
    static const char *const special[] = {"/", "/zookeeper", "/zookeeper/quota",
                                          "/zookeeper/config"};
    for (size_t index = 0; index < ARRAY_COUNT(special); index++)
        if (strcmp(write->path, special[index]) == 0)
            return CODE_BAD_ARGUMENTS;
    char parent_path[workload_path_bytes_max];
    parent_of(write->path, parent_path);
    const struct model_znode *parent = model_find(parent_path);
    if (parent == NULL)
        return CODE_NO_NODE;
    if (!model_grants(parent->acl, write->client, ACL_DELETE))
        return CODE_NO_AUTH;
    const struct model_znode *znode = model_find(write->path);
    if (znode == NULL)
        return CODE_NO_NODE;
    if (write->version != -1 && write->version != znode->version)
        return CODE_BAD_VERSION;
    if (model_child_count(write->path) > 0)
        return CODE_NOT_EMPTY;
    char path[workload_path_bytes_max];
    memcpy(path, write->path, sizeof path);
    model_erase(path);
    return CODE_OK;
}

static int32_t model_set(const struct write *write, struct answer *answer)
{
    struct model_znode *znode = model_find(write->path);
    if (znode == NULL)
        return CODE_NO_NODE;
    const bool sets_data = write->type == OP_SET_DATA;
    if (!model_grants(znode->acl, write->client, sets_data ? ACL_WRITE : ACL_ADMIN))
        return CODE_NO_AUTH;
    int32_t *version = sets_data ? &znode->version : &znode->aversion;
    if (write->version != -1 && write->version != *version)
        return CODE_BAD_VERSION;
    ++*version;
    if (!sets_data) {
        znode->acl = write->acl;
        answer->stat = model_stat(znode);
        return CODE_OK;
    }
    znode->data = write->data;
    znode->mzxid = model.zxid;
    znode->mtime = model.time_ms;
    answer->stat = model_stat(znode);
    bool told[driver_connection_count] = {false};
    model_fire(false, WATCH_EVENT_DATA_CHANGED, write->path, znode->acl, told);
    return CODE_OK;
}

static int32_t model_check(const struct write *write)
{
    const struct model_znode *znode = model_find(write->path);
    if (znode == NULL)
        return CODE_NO_NODE;
    if (!model_grants(znode->acl, write->client, ACL_READ))
        return CODE_NO_AUTH;
    return write->version == -1 || write->version == znode->version ? CODE_OK : CODE_BAD_VERSION;
}

static int32_t model_single(const struct write *write, struct answer *answer)
{
    switch (write->type) {
    case OP_CREATE2: return model_create(write, answer);
    case OP_DELETE: return model_delete(write);
    case OP_SET_DATA:
    case OP_SET_ACL: return model_set(write, answer);
    case OP_CHECK: return model_check(write);
    }
    fail_msg("type %d", write->type);
    return 0;
}

static void model_multi(const struct write *write, struct answer *answer)
{
    static struct model before;
    before = model;
    bool failed = false;
    for (int index = 0; index < write->part_count; index++) {
        struct answer part;
        answer->part_codes[index] = failed ? (int32_t)CODE_RUNTIME_INCONSISTENCY
                                           : model_single(&write->parts[index], &part);
        if (answer->part_codes[index] != CODE_OK && !failed) {
            failed = true;
            model = before;
        }
    }
}

static void model_close(int client)
{
    model.zxid++;
    for (int index = 0; index < model.znode_count;) {
        if (model.znodes[index].owner != model.sessions[client]) {
            index++;
            continue;
        }
        char path[workload_path_bytes_max];
        memcpy(path, model.znodes[index].path, sizeof path);
        model_erase(path);
    }
}

/* --- random requests --- */

static void random_part(struct prng *prng, struct write *write)
{
    static const int32_t types[] = {OP_CREATE2, OP_CREATE2, OP_DELETE, OP_SET_DATA, OP_CHECK};
    static const char *const values[] = {NULL, "", "x", "some longer value"};
    static const int32_t flags[] = {0, 0, 1, 2, 3};
    workload_path(prng, write->path);
    write->type = types[prng_below(prng, ARRAY_COUNT(types))];
    write->data = values[prng_below(prng, ARRAY_COUNT(values))];
    write->flags = flags[prng_below(prng, ARRAY_COUNT(flags))];
    write->version = workload_version(prng);
    write->acl = prng_chance(prng, 1, 4) ? (int)prng_below(prng, acl_count) : 0;
}

static void random_write(struct prng *prng, struct write *write, struct write parts[part_count_max])
{
    *write = (struct write){.client = (int)prng_below(prng, driver_connection_count)};
    random_part(prng, write);
    if (write->type == OP_CHECK) {
        write->type = OP_SET_ACL;
    } else if (prng_chance(prng, 1, 4)) {
        write->type = OP_MULTI;
        write->part_count = (int)prng_below(prng, part_count_max + 1);
        write->parts = parts;
        for (int index = 0; index < write->part_count; index++) {
            parts[index] = (struct write){.client = write->client};
            random_part(prng, &parts[index]);
        }
    }
}

static struct slice text_or_null(const char *text)
{
    return text == NULL ? SLICE_NULL : slice_from_text(text);
}

/* The request as its record; the union is the caller's. */
union any_request {
    struct zk_create_request create;
    struct zk_delete_request delete;
    struct zk_set_data_request set_data;
    struct zk_set_acl_request set_acl;
    struct zk_check_request check;
};

static const struct wire_record *to_request(const struct write *write, union any_request *request)
{
    const struct slice path = slice_from_text(write->path);
    switch (write->type) {
    case OP_CREATE2:
        request->create = (struct zk_create_request){.path = path,
                                                     .data = text_or_null(write->data),
                                                     .acl = {&acls[write->acl], 1},
                                                     .flags = write->flags};
        return &zk_create_request_wire;
    case OP_DELETE:
        request->delete = (struct zk_delete_request){path, write->version};
        return &zk_delete_request_wire;
    case OP_SET_DATA:
        request->set_data =
            (struct zk_set_data_request){path, text_or_null(write->data), write->version};
        return &zk_set_data_request_wire;
    case OP_SET_ACL:
        request->set_acl = (struct zk_set_acl_request){
            .path = path, .acl = {&acls[write->acl], 1}, .version = write->version};
        return &zk_set_acl_request_wire;
    case OP_CHECK:
        request->check = (struct zk_check_request){path, write->version};
        return &zk_check_request_wire;
    }
    fail_msg("type %d", write->type);
    return NULL;
}

static void prepare(const struct write *write)
{
    union any_request request;
    if (write->type != OP_MULTI) {
        const struct wire_record *record = to_request(write, &request);
        assert_int_equal(driver_prepare(&driver, write->client, write->type, record, &request),
                         CODE_OK);
        return;
    }
    struct driver_multi multi = driver_multi_begin(&driver);
    for (int index = 0; index < write->part_count; index++) {
        const struct wire_record *record = to_request(&write->parts[index], &request);
        driver_multi_add(&multi, write->parts[index].type, record, &request);
    }
    assert_int_equal(
        driver_prepare_bytes(&driver, write->client, OP_MULTI, driver_multi_end(&multi)), CODE_OK);
}

/* --- comparison --- */

static void same_stat(const struct zk_stat *a, const struct zk_stat *b)
{
    uint8_t encoded[2][68];
    struct wire_writer writers[2] = {wire_writer_of(encoded[0], 68),
                                     wire_writer_of(encoded[1], 68)};
    wire_encode(&zk_stat_wire, 0, a, &writers[0]);
    wire_encode(&zk_stat_wire, 0, b, &writers[1]);
    assert_memory_equal(encoded[0], encoded[1], 68);
}

static void same_events(void)
{
    assert_string_equal(driver_events(&driver), model.events);
    model.events[0] = '\0';
}

static void apply_and_compare(const struct write *write)
{
    struct answer answer = {0};
    model.zxid++;
    model.time_ms = 1000000 + driver.now_ms;
    if (write->type == OP_MULTI)
        model_multi(write, &answer);
    else
        answer.code = model_single(write, &answer);
    assert_int_equal(driver_apply(&driver), answer.code);
    assert_int_equal(driver.keeper.zxid_applied, model.zxid);
    for (int index = 0; index < write->part_count; index++)
        assert_int_equal(driver.result.results[index].code, answer.part_codes[index]);
    if (answer.code == CODE_OK && write->type == OP_CREATE2)
        assert_true(slice_equal_text(driver.result.path, answer.path));
    if (answer.code == CODE_OK && write->type != OP_MULTI && write->type != OP_DELETE)
        same_stat(&driver.result.stat, &answer.stat);
    same_events();
}

static void read_and_compare(struct prng *prng)
{
    static const int32_t types[] = {OP_EXISTS, OP_GET_DATA, OP_GET_CHILDREN2};
    const int32_t type = types[prng_below(prng, 3)];
    const int client = (int)prng_below(prng, driver_connection_count);
    const bool watch = prng_chance(prng, 1, 2);
    char path[workload_path_bytes_max];
    workload_path(prng, path);
    const struct model_znode *znode = model_find(path);
    int32_t code = znode == NULL ? CODE_NO_NODE : CODE_OK;
    if (znode != NULL && !model_grants(znode->acl, client, ACL_READ))
        code = CODE_NO_AUTH;
    assert_int_equal(driver_look(&driver, client, type, path, watch), code);
    if (watch && (code == CODE_OK || (code == CODE_NO_NODE && type == OP_EXISTS)))
        model_watch_path(client, path, type == OP_GET_CHILDREN2, WATCH_MODE_STANDARD);
    if (code != CODE_OK)
        return;
    const struct zk_stat stat = model_stat(znode);
    same_stat(&driver.reply.stat, &stat);
    if (type == OP_GET_DATA)
        assert_true(slice_equal(driver.reply.data, text_or_null(znode->data)));
    if (type != OP_GET_CHILDREN2)
        return;
    int32_t at = 0;
    for (int index = 0; index < model.znode_count; index++) {
        if (!is_child(model.znodes[index].path, path))
            continue;
        const char *name = strrchr(model.znodes[index].path, '/') + 1;
        assert_true(slice_equal_text(driver.reply.names.items[at++], name));
    }
    assert_int_equal(driver.reply.names.count, at);
}

static void add_or_remove_watch(struct prng *prng)
{
    const int client = (int)prng_below(prng, driver_connection_count);
    char path[workload_path_bytes_max];
    workload_path(prng, path);
    if (prng_chance(prng, 1, 2)) {
        const struct zk_add_watch_request request = {slice_from_text(path),
                                                     (int32_t)prng_below(prng, 2)};
        assert_int_equal(
            driver_read(&driver, client, OP_ADD_WATCH, &zk_add_watch_request_wire, &request),
            CODE_OK);
        if (request.mode == 0)
            model_watch_path(client, path, true, WATCH_MODE_PERSISTENT);
        model_watch_path(client, path, false,
                         request.mode == 0 ? WATCH_MODE_PERSISTENT : WATCH_MODE_RECURSIVE);
        return;
    }
    static const int modes[6][2] = {{0, 0},
                                    {0, WATCH_MODE_STANDARD},
                                    {WATCH_MODE_STANDARD, 0},
                                    {WATCH_MODE_ANY, WATCH_MODE_ANY},
                                    {WATCH_MODE_PERSISTENT, WATCH_MODE_PERSISTENT},
                                    {WATCH_MODE_RECURSIVE, 0}};
    const struct zk_remove_watches_request request = {slice_from_text(path),
                                                      (int32_t)prng_between(prng, 1, 5)};
    const bool data = model_unwatch(client, path, false, modes[request.type][0]);
    const bool child = model_unwatch(client, path, true, modes[request.type][1]);
    assert_int_equal(
        driver_read(&driver, client, OP_REMOVE_WATCHES, &zk_remove_watches_request_wire, &request),
        data || child ? CODE_OK : CODE_NO_WATCHER);
}

/* One path in each list, as a client sends them after a reconnect. */
static void set_watches(struct prng *prng)
{
    const int client = (int)prng_below(prng, driver_connection_count);
    char paths[3][workload_path_bytes_max];
    struct slice lists[3];
    for (int list = 0; list < 3; list++) {
        workload_path(prng, paths[list]);
        lists[list] = slice_from_text(paths[list]);
    }
    const int64_t seen = model.zxid - (int64_t)prng_below(prng, 10);
    const struct zk_set_watches_request request = {
        .relative_zxid = seen,
        .data_watches = {&lists[0], 1},
        .exist_watches = {&lists[1], 1},
        .child_watches = {&lists[2], 1},
    };
    const struct model_znode *znodes[3] = {model_find(paths[0]), model_find(paths[1]),
                                           model_find(paths[2])};
    if (znodes[0] == NULL || znodes[0]->mzxid > seen)
        model_tell(client, znodes[0] == NULL ? 2 : 3, paths[0], "!");
    else
        model_watch_path(client, paths[0], false, WATCH_MODE_STANDARD);
    if (znodes[1] != NULL)
        model_tell(client, 1, paths[1], "!");
    else
        model_watch_path(client, paths[1], false, WATCH_MODE_STANDARD);
    if (znodes[2] == NULL || znodes[2]->pzxid > seen)
        model_tell(client, znodes[2] == NULL ? 2 : 4, paths[2], "!");
    else
        model_watch_path(client, paths[2], true, WATCH_MODE_STANDARD);
    assert_int_equal(
        driver_read(&driver, client, OP_SET_WATCHES, &zk_set_watches_request_wire, &request),
        CODE_OK);
    same_events();
}

static void add_identity(int client)
{
    if (client < 2)
        driver_add_auth(&driver, client, client == 0 ? "u0:p" : "u1:p");
}

/* The session ends; its connection goes and comes again. */
static void close_and_reconnect(int client)
{
    model_close(client);
    assert_int_equal(driver_close(&driver, client), CODE_OK);
    same_events();
    for (int index = 0; index < model.watch_count;) {
        if (model.watches[index].client == client)
            model_remove_watch(index);
        else
            index++;
    }
    keeper_connection_deinit(&driver.keeper, &driver.clients[client].connection);
    driver_connect(&driver, client);
    add_identity(client);
    model.sessions[client] = driver.clients[client].connection.session_id;
    model.zxid++;
}

/* --- runs --- */

static void write_several(struct prng *prng)
{
    struct write writes[write_count_max];
    struct write parts[write_count_max][part_count_max];
    const int count = (int)prng_between(prng, 1, write_count_max);
    for (int index = 0; index < count; index++) {
        random_write(prng, &writes[index], parts[index]);
        prepare(&writes[index]);
    }
    for (int index = 0; index < count; index++)
        apply_and_compare(&writes[index]);
    assert_int_equal(driver.keeper.pending.by_path.count, 0);
    assert_int_equal(driver.keeper.pending.reserved_bytes, 0);
}

static void make_acls(void)
{
    const struct zk_id anyone = {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")};
    acls[0] = (struct zk_acl){ACL_ALL, anyone};
    acls[1] = (struct zk_acl){ACL_READ, anyone};
    acls[2] = (struct zk_acl){ACL_ALL, driver.clients[0].connection.auth.items[1]};
    acls[3] = (struct zk_acl){ACL_ALL, driver.clients[1].connection.auth.items[1]};
    acls[4] = (struct zk_acl){ACL_READ | ACL_WRITE | ACL_CREATE, anyone};
    acls[5] = (struct zk_acl){0, anyone};
}

static void start(void)
{
    static uint8_t hashes[2][64];
    driver_init(&driver, driver_options());
    for (int client = 0; client < driver_connection_count; client++)
        add_identity(client);
    make_acls();
    for (int user = 0; user < 2; user++) {
        /* Of its own memory: connections come and go. */
        struct zk_id *id = &acls[2 + user].id;
        memcpy(hashes[user], id->id.data, id->id.size);
        *id = (struct zk_id){SLICE_LITERAL("digest"), slice_of(hashes[user], id->id.size)};
    }
    model = (struct model){.zxid = driver.keeper.zxid_applied};
    static const char *const builtins[] = {"/", "/zookeeper"};
    for (size_t index = 0; index < ARRAY_COUNT(builtins); index++) {
        struct model_znode *znode = &model.znodes[model.znode_count++];
        snprintf(znode->path, sizeof znode->path, "%s", builtins[index]);
        znode->data = "";
    }
    for (int client = 0; client < driver_connection_count; client++)
        model.sessions[client] = driver.clients[client].connection.session_id;
}

static void keeper_does_what_the_model_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        start();
        for (int step = 0; step < step_count; step++) {
            arena_reset(&driver.arena);
            driver.now_ms += (int64_t)prng_below(&prng, 5);
            switch (prng_below(&prng, 20)) {
            case 0: close_and_reconnect((int)prng_below(&prng, driver_connection_count)); break;
            case 1: set_watches(&prng); break;
            case 2:
            case 3: add_or_remove_watch(&prng); break;
            case 4:
            case 5:
            case 6:
            case 7:
            case 8: read_and_compare(&prng); break;
            default: write_several(&prng); break;
            }
        }
        assert_int_equal(keeper_znode_count(&driver.keeper), model.znode_count + 3);
        driver_deinit(&driver);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeper_does_what_the_model_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
