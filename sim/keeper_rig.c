#include "sim/keeper_rig.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/keeper/keeper_write.h"

#include <stdio.h>

/* Of all writes but those of ephemerals. */
enum { own_session_id = 77 };

enum { large_bytes = 300000 };

static uint8_t filling[large_bytes];

static void on_line(struct diag *diag, enum diag_level level, struct slice line)
{
    struct keeper_rig *rig = CONTAINER_OF(diag, struct keeper_rig, diag);
    const size_t used = strlen(rig->told);
    (void)level;
    snprintf(rig->told + used, sizeof rig->told - used, "%" SLICE_FORMAT "\n", SLICE_ARGS(line));
}

enum err keeper_rig_start(struct keeper_rig *rig, struct sim_node *node, const char *more)
{
    char text[512];
    *rig = (struct keeper_rig){.node = node, .diag = {.write = on_line, .level_min = DIAG_WARN}};
    snprintf(text, sizeof text,
             "dataDir=/data\nclientPort=2181\ntickTime=2000\ndisk.reserveMb=0\npreAllocSize=64\n"
             "clientPortAddress=127.0.0.1\nmemory.limitMb=64\nadmin.enableServer=false\n"
             "commitLog.limitKb=4096\n%s",
             more);
    rig->shard =
        (struct shard){.name = "keeper", .io = node->io, .heap = &node->heap, .diag = &rig->diag};
    enum err err = keeper_config_load(&rig->config, &node->heap, &rig->diag,
                                      (struct config_source){"zoo.cfg", slice_from_text(text)});
    rig->config.is_ensemble = true;
    if (err == ERR_OK)
        err = keeper_server_start(&rig->server, &rig->shard, &rig->config);
    return err;
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

void keeper_rig_stop(struct keeper_rig *rig)
{
    bool is_stopped = false;
    keeper_server_stop(rig->server, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(rig->node->io, UINT64_MAX);
    keeper_server_free(rig->server);
    rig->server = NULL;
}

static void write_body(struct keeper_rig *rig, int64_t session_id, int32_t type, struct slice body)
{
    const struct keeper_write_request request = {
        .type = type, .session_id = session_id, .body = body};
    while (!keeper_write_is_possible(rig->server))
        io_run(rig->node->io, UINT64_MAX);
    const enum code code = keeper_write_start(rig->server, &request);
    assert(code == CODE_OK);
}

static void open_session(struct keeper_rig *rig, int64_t session_id)
{
    if (session_table_find(&rig->server->keeper.sessions, session_id) != NULL)
        return;
    keeper_rig_open_session(rig, session_id);
    keeper_rig_run_all(rig);
}

static void write_record(struct keeper_rig *rig, int64_t session_id, int32_t type,
                         const struct wire_record *record, const void *value)
{
    open_session(rig, session_id);
    const size_t size = wire_size(record, 0, value);
    uint8_t *bytes = heap_take(&rig->node->heap, size);
    struct wire_writer writer = wire_writer_of(bytes, size);
    assert(bytes != NULL);
    wire_encode(record, 0, value, &writer);
    write_body(rig, session_id, type, slice_of(bytes, size));
    heap_give(&rig->node->heap, bytes);
}

static void create(struct keeper_rig *rig, int64_t session_id, const char *path, size_t size,
                   const struct zk_acl *acl)
{
    struct zk_create_request request = {.path = slice_from_text(path),
                                        .data = slice_of(filling, size),
                                        .flags = session_id == 0 ? 0 : 1};
    request.acl.items = (struct zk_acl *)(uintptr_t)acl;
    request.acl.count = 1;
    write_record(rig, session_id == 0 ? own_session_id : session_id, OP_CREATE,
                 &zk_create_request_wire, &request);
}

void keeper_rig_create(struct keeper_rig *rig, int64_t session_id, const char *path, size_t size)
{
    create(rig, session_id, path, size,
           &(struct zk_acl){31, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}});
}

void keeper_rig_create_with_acl(struct keeper_rig *rig, const char *path, const char *user)
{
    create(rig, 0, path, 10,
           &(struct zk_acl){31, {SLICE_LITERAL("digest"), slice_from_text(user)}});
}

void keeper_rig_set(struct keeper_rig *rig, const char *path, size_t size)
{
    const struct zk_set_data_request request = {slice_from_text(path), slice_of(filling, size), -1};
    write_record(rig, own_session_id, OP_SET_DATA, &zk_set_data_request_wire, &request);
}

void keeper_rig_delete(struct keeper_rig *rig, const char *path)
{
    const struct zk_delete_request request = {slice_from_text(path), -1};
    write_record(rig, own_session_id, OP_DELETE, &zk_delete_request_wire, &request);
}

void keeper_rig_open_session(struct keeper_rig *rig, int64_t session_id)
{
    uint8_t timeout_ms[4];
    store_i32(timeout_ms, 40000);
    write_body(rig, session_id, OP_CREATE_SESSION, slice_of(timeout_ms, sizeof timeout_ms));
}

void keeper_rig_run_all(struct keeper_rig *rig)
{
    while (!list_empty(&rig->server->writes))
        io_run(rig->node->io, UINT64_MAX);
}

void keeper_rig_write_some(struct keeper_rig *rig, uint64_t seed, int count)
{
    struct prng prng;
    char path[64];
    prng_init(&prng, seed);
    for (size_t i = 0; i < sizeof filling; i++)
        filling[i] = (uint8_t)(i * 7 + seed);
    for (int i = 0; i < count; i++) {
        const int node = (int)prng_below(&prng, 100);
        const size_t size = prng_below(&prng, 50) == 0 ? large_bytes : prng_below(&prng, 300);
        const int64_t session_id = 1000 + (int64_t)(seed * 10) + node % 3;
        snprintf(path, sizeof path, "/n%d", node);
        switch (prng_below(&prng, 8)) {
        case 0: keeper_rig_delete(rig, path); break;
        case 1: keeper_rig_set(rig, path, size); break;
        case 2: keeper_rig_open_session(rig, session_id); break;
        case 3:
            snprintf(path, sizeof path, "/user%d-%d", node, (int)seed);
            keeper_rig_create_with_acl(rig, path, path + 1);
            break;
        case 4:
            snprintf(path, sizeof path, "/e%d-%d", node, (int)seed);
            keeper_rig_create(rig, session_id, path, size);
            break;
        default: keeper_rig_create(rig, 0, path, size); break;
        }
    }
    keeper_rig_run_all(rig);
}

struct logged {
    struct keeper_rig *rig;
    struct journal_append append;
    struct iovec vector;
    uint8_t record[];
};

static void on_logged(struct journal_append *append, enum err err)
{
    struct logged *logged = CONTAINER_OF(append, struct logged, append);
    struct keeper_rig *rig = logged->rig;
    struct keeper_server *server = rig->server;
    struct txn txn;
    struct txn_result result;
    const size_t framing = txn_record_head_bytes + txn_record_tail_bytes;
    const struct slice entry =
        slice_of(logged->record + txn_record_head_bytes, logged->vector.iov_len - framing);
    arena_reset(&server->arena);
    const enum err decoded = txn_codec_decode_entry(entry, &server->arena, &txn);
    assert(err == ERR_OK && decoded == ERR_OK);
    keeper_apply(&server->keeper, &txn, 0, NULL, &server->arena, &result);
    txn_cache_add(&server->cache, txn.zxid, entry);
    rig->logging_count--;
    heap_give(&rig->node->heap, logged);
}

void keeper_rig_log(struct keeper_rig *rig, int64_t zxid, struct slice entry)
{
    struct journal *journal = &rig->server->journal;
    const size_t size = entry.size + txn_record_head_bytes + txn_record_tail_bytes;
    struct logged *logged = heap_take(&rig->node->heap, sizeof *logged + size);
    assert(logged != NULL);
    *logged = (struct logged){.rig = rig, .vector = {logged->record, size}};
    memcpy(logged->record + txn_record_head_bytes, entry.data, entry.size);
    txn_codec_seal_record(logged->record, entry.size);
    logged->append = (struct journal_append){.vectors = &logged->vector,
                                             .vector_count = 1,
                                             .is_durable = true,
                                             .is_essential = true,
                                             .done = on_logged};
    const bool is_fresh = journal->segment_count > 0 && journal_end(journal).base == (uint64_t)zxid;
    enum err err = ERR_OK;
    if (!is_fresh && (journal->segment_count == 0 || rig->server->wants_roll))
        err = journal_roll(journal, (uint64_t)zxid);
    rig->server->wants_roll = false;
    if (err == ERR_OK)
        err = journal_append(journal, &logged->append);
    assert(err == ERR_OK);
    rig->logging_count++;
}

bool keeper_rig_is_logging(const struct keeper_rig *rig)
{
    return rig->logging_count > 0;
}

void keeper_rig_begin_epoch(struct keeper_rig *rig, int64_t epoch)
{
    keeper_rig_run_all(rig);
    rig->server->keeper.zxid_prepared = epoch << 32;
}

bool keeper_rig_is_equal(const struct keeper *one, const struct keeper *other)
{
    uint64_t position = 0;
    struct session *session = NULL;
    while ((session = session_table_next(&one->sessions, &position, session)) != NULL) {
        const struct session *found = session_table_find(&other->sessions, session->id);
        if (found == NULL || found->timeout_ms != session->timeout_ms)
            return false;
    }
    return one->zxid_applied == other->zxid_applied && one->tree.digest == other->tree.digest &&
           one->tree.by_path.count == other->tree.by_path.count &&
           one->tree.acls.by_id.count == other->tree.acls.by_id.count &&
           one->sessions.by_id.count == other->sessions.by_id.count;
}
