/* A keeper with a few connections, driven through its front door with the bytes that clients send;
 * for the unit tests of src/keeper. Every transaction goes through its journal form on the way. */
#ifndef TEST_KEEPER_DRIVER_H
#define TEST_KEEPER_DRIVER_H

#include "test/unit_test.h"

#include "keeper/keeper.h"
#include "keeper/txn_codec.h"

#include <stdio.h>

enum {
    driver_connection_count = 4,
    driver_queue_max = 256,
    driver_arena_bytes = 8 << 20,
    driver_bytes_max = 1 << 20,
    driver_timeout_ms = 10000,
};

struct driver_client {
    struct keeper_connection connection;
    uint64_t owner;
};

struct driver {
    struct keeper_sink sink;
    struct heap heap;
    struct keeper keeper;
    struct arena arena;
    struct driver_client clients[driver_connection_count];
    uint8_t *queue[driver_queue_max]; /* Entries, in test memory. */
    size_t queue_bytes[driver_queue_max];
    int queue_first;
    int queue_count;
    int64_t now_ms;
    struct txn_result result; /* Of what was applied last. */
    /* Hears of every entry that is applied, if set. */
    void (*on_entry)(struct driver *driver, struct slice entry);
    struct keeper_reply reply;
    char events[4096]; /* "0:1/a 1:4/ " for client 0, created, /a; client 1, children, /. */
};

static inline void driver_on_watch(struct keeper_sink *sink, struct keeper_connection *connection,
                                   const struct watch_event *event)
{
    struct driver *driver = CONTAINER_OF(sink, struct driver, sink);
    const struct driver_client *client = CONTAINER_OF(connection, struct driver_client, connection);
    const size_t used = strlen(driver->events);
    snprintf(driver->events + used, sizeof driver->events - used, "%d:%d%" SLICE_FORMAT "%s ",
             (int)(client - driver->clients), (int)event->type, SLICE_ARGS(event->path),
             event->zxid == -1 ? "!" : "");
}

static inline struct keeper_options driver_options(void)
{
    return (struct keeper_options){
        .memory_bytes_max = 64 << 20,
        .session_count_max = 100,
        .watch_count_max = 100000,
        .tick_ms = 2000,
        .timeout_ms_min = 4000,
        .timeout_ms_max = 40000,
        .server_id = 1,
        .hash_seed = 17,
        .record_bytes_max = 2 << 20,
        .auth = {.super_digest = SLICE_LITERAL("super:D/InIHSb7yEEbrWz8b9l71RjZJU=")},
        .extended_types_enabled = true,
    };
}

/* --- writes --- */

static inline struct slice driver_encode(struct driver *driver, const struct wire_record *record,
                                         const void *value)
{
    const size_t size = record == NULL ? 0 : wire_size(record, 0, value);
    uint8_t *bytes = arena_take(&driver->arena, size);
    assert_non_null(bytes);
    struct wire_writer writer = wire_writer_of(bytes, size);
    if (record != NULL)
        wire_encode(record, 0, value, &writer);
    return slice_of(bytes, size);
}

static inline struct keeper_request driver_request(struct driver *driver, int client, int32_t type,
                                                   struct slice body)
{
    return (struct keeper_request){
        .session_id = driver->clients[client].connection.session_id,
        .owner = driver->clients[client].owner,
        .cxid = 1,
        .type = type,
        .body = body,
        .identities = auth_set_list(&driver->clients[client].connection.auth),
        .time_ms = 1000000 + driver->now_ms,
    };
}

/* Queues the transaction; the code of a refusal without one. */
static inline enum code driver_prepare_bytes(struct driver *driver, int client, int32_t type,
                                             struct slice body)
{
    const struct keeper_request request = driver_request(driver, client, type, body);
    struct txn txn;
    const enum code code = keeper_prepare(&driver->keeper, &request, &driver->arena, &txn);
    if (code != CODE_OK)
        return code;
    assert_int_equal(txn.zxid, driver->keeper.zxid_prepared);
    assert_true(driver->queue_count < driver_queue_max);
    const int slot = (driver->queue_first + driver->queue_count) % driver_queue_max;
    driver->queue_count++;
    driver->queue_bytes[slot] = txn_codec_record_bytes(&txn);
    driver->queue[slot] = test_malloc(driver->queue_bytes[slot]);
    txn_codec_encode_record(&txn, driver->queue[slot]);
    return CODE_OK;
}

static inline enum code driver_prepare(struct driver *driver, int client, int32_t type,
                                       const struct wire_record *record, const void *value)
{
    return driver_prepare_bytes(driver, client, type, driver_encode(driver, record, value));
}

/* Applies the oldest one and answers its code. */
static inline int32_t driver_apply(struct driver *driver)
{
    assert_true(driver->queue_count > 0);
    const int slot = driver->queue_first;
    driver->queue_first = (slot + 1) % driver_queue_max;
    driver->queue_count--;
    struct slice entry;
    size_t size;
    assert_int_equal(txn_codec_read_record(slice_of(driver->queue[slot], driver->queue_bytes[slot]),
                                           &entry, &size),
                     TXN_RECORD_OK);
    const struct slice kept = arena_copy(&driver->arena, entry);
    struct txn txn;
    assert_int_equal(txn_codec_decode_entry(kept, &driver->arena, &txn), ERR_OK);
    test_free(driver->queue[slot]);
    if (driver->on_entry != NULL)
        driver->on_entry(driver, kept);
    keeper_apply(&driver->keeper, &txn, driver->now_ms, &driver->sink, &driver->arena,
                 &driver->result);
    return driver->result.code;
}

static inline void driver_apply_all(struct driver *driver)
{
    while (driver->queue_count > 0)
        driver_apply(driver);
}

/* Prepares and applies one request; the code that its client sees. */
static inline int32_t driver_write(struct driver *driver, int client, int32_t type,
                                   const struct wire_record *record, const void *value)
{
    const enum code code = driver_prepare(driver, client, type, record, value);
    if (code != CODE_OK)
        return code;
    int32_t answer = 0;
    while (driver->queue_count > 0)
        answer = driver_apply(driver);
    return answer;
}

/* --- set up --- */

static inline void driver_connect(struct driver *driver, int client)
{
    struct driver_client *it = &driver->clients[client];
    assert_int_equal(
        keeper_connection_init(&driver->keeper, &it->connection, SLICE_LITERAL("127.0.0.1")),
        ERR_OK);
    it->owner = (uint64_t)client + 1;
    it->connection.session_id = keeper_next_session_id(&driver->keeper);
    uint8_t timeout[4] = {0, 0, driver_timeout_ms >> 8, driver_timeout_ms & 0xff};
    assert_int_equal(
        driver_prepare_bytes(driver, client, OP_CREATE_SESSION, slice_of(timeout, sizeof timeout)),
        CODE_OK);
    driver_apply_all(driver);
    assert_int_equal(driver->result.code, CODE_OK);
}

static inline void driver_init(struct driver *driver, struct keeper_options options)
{
    static _Alignas(16) uint8_t memory[driver_arena_bytes];
    memset(driver, 0, sizeof *driver);
    driver->sink.on_watch = driver_on_watch;
    arena_init(&driver->arena, memory, sizeof memory);
    heap_init(&driver->heap, (struct heap_options){.limit_bytes = 256 << 20});
    assert_int_equal(keeper_init(&driver->keeper, &driver->heap, options, 0), ERR_OK);
    keeper_start(&driver->keeper, 0, 1000000);
    for (int client = 0; client < driver_connection_count; client++)
        driver_connect(driver, client);
}

static inline void driver_deinit(struct driver *driver)
{
    assert_int_equal(driver->queue_count, 0);
    for (int client = 0; client < driver_connection_count; client++)
        keeper_connection_deinit(&driver->keeper, &driver->clients[client].connection);
    keeper_deinit(&driver->keeper);
    assert_int_equal(driver->heap.block_count, 0);
    assert_int_equal(driver->heap.used_bytes, 0);
}

/* What the clients heard since the last call. */
static inline const char *driver_events(struct driver *driver)
{
    static char taken[sizeof driver->events];
    memcpy(taken, driver->events, sizeof taken);
    driver->events[0] = '\0';
    return taken;
}

/* --- requests in short --- */

static const struct zk_acl driver_open_acl[] = {
    {ACL_ALL, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}}};

static inline struct zk_create_request driver_create_request(const char *path, const char *data,
                                                             int32_t flags)
{
    struct zk_create_request request = {.path = slice_from_text(path), .flags = flags};
    request.data = data == NULL ? SLICE_NULL : slice_from_text(data);
    request.acl.items = (struct zk_acl *)(uintptr_t)driver_open_acl;
    request.acl.count = 1;
    return request;
}

static inline int32_t driver_create(struct driver *driver, int client, const char *path,
                                    int32_t flags)
{
    const struct zk_create_request request = driver_create_request(path, "data", flags);
    return driver_write(driver, client, OP_CREATE2, &zk_create_request_wire, &request);
}

static inline int32_t driver_create_ttl(struct driver *driver, int client, const char *path,
                                        int32_t flags, int64_t ttl_ms)
{
    const struct zk_create_request plain = driver_create_request(path, "data", flags);
    struct zk_create_ttl_request request = {
        .path = plain.path, .data = plain.data, .flags = flags, .ttl_ms = ttl_ms};
    request.acl.items = plain.acl.items;
    request.acl.count = plain.acl.count;
    return driver_write(driver, client, OP_CREATE_TTL, &zk_create_ttl_request_wire, &request);
}

static inline int32_t driver_create_with(struct driver *driver, int client, const char *path,
                                         const struct zk_acl *acl, int32_t acl_count)
{
    struct zk_create_request request = driver_create_request(path, "data", 0);
    request.acl.items = (struct zk_acl *)(uintptr_t)acl;
    request.acl.count = acl_count;
    return driver_write(driver, client, OP_CREATE, &zk_create_request_wire, &request);
}

static inline int32_t driver_delete(struct driver *driver, int client, const char *path,
                                    int32_t version)
{
    const struct zk_delete_request request = {slice_from_text(path), version};
    return driver_write(driver, client, OP_DELETE, &zk_delete_request_wire, &request);
}

static inline int32_t driver_set(struct driver *driver, int client, const char *path,
                                 const char *data, int32_t version)
{
    const struct zk_set_data_request request = {
        slice_from_text(path), data == NULL ? SLICE_NULL : slice_from_text(data), version};
    return driver_write(driver, client, OP_SET_DATA, &zk_set_data_request_wire, &request);
}

static inline int32_t driver_set_acl(struct driver *driver, int client, const char *path,
                                     const struct zk_acl *acl, int32_t acl_count, int32_t version)
{
    struct zk_set_acl_request request = {.path = slice_from_text(path), .version = version};
    request.acl.items = (struct zk_acl *)(uintptr_t)acl;
    request.acl.count = acl_count;
    return driver_write(driver, client, OP_SET_ACL, &zk_set_acl_request_wire, &request);
}

static inline int32_t driver_close(struct driver *driver, int client)
{
    return driver_write(driver, client, OP_CLOSE_SESSION, NULL, NULL);
}

static inline int32_t driver_read_bytes(struct driver *driver, int client, int32_t type,
                                        struct slice body)
{
    const struct keeper_request request = driver_request(driver, client, type, body);
    const enum code code = keeper_check_session(&driver->keeper, request.session_id, request.owner);
    if (code != CODE_OK)
        return code;
    keeper_read(&driver->keeper, &request, &driver->clients[client].connection, &driver->sink,
                &driver->arena, &driver->reply);
    return driver->reply.code;
}

static inline int32_t driver_read(struct driver *driver, int client, int32_t type,
                                  const struct wire_record *record, const void *value)
{
    return driver_read_bytes(driver, client, type, driver_encode(driver, record, value));
}

/* exists, getData, getChildren and getChildren2 ask alike. */
static inline int32_t driver_look(struct driver *driver, int client, int32_t type, const char *path,
                                  bool watch)
{
    const struct zk_get_data_request request = {slice_from_text(path), watch};
    return driver_read(driver, client, type, &zk_get_data_request_wire, &request);
}

static inline struct zk_stat driver_stat(struct driver *driver, const char *path)
{
    assert_int_equal(driver_look(driver, 0, OP_EXISTS, path, false), CODE_OK);
    return driver->reply.stat;
}

static inline void driver_add_auth(struct driver *driver, int client, const char *secret)
{
    assert_int_equal(keeper_connection_auth(&driver->keeper, &driver->clients[client].connection,
                                            SLICE_LITERAL("digest"), slice_from_text(secret)),
                     CODE_OK);
}

/* --- multi --- */

/* A multi request that is being written. */
struct driver_multi {
    struct driver *driver;
    struct wire_writer writer;
};

static inline struct driver_multi driver_multi_begin(struct driver *driver)
{
    uint8_t *bytes = arena_take(&driver->arena, 65536);
    assert_non_null(bytes);
    return (struct driver_multi){driver, wire_writer_of(bytes, 65536)};
}

static inline void driver_multi_add(struct driver_multi *multi, int32_t type,
                                    const struct wire_record *record, const void *value)
{
    const struct zk_multi_header header = {.type = type, .done = false, .err = -1};
    wire_encode(&zk_multi_header_wire, 0, &header, &multi->writer);
    if (record != NULL)
        wire_encode(record, 0, value, &multi->writer);
}

static inline void driver_multi_create(struct driver_multi *multi, int32_t type, const char *path,
                                       int32_t flags)
{
    const struct zk_create_request request = driver_create_request(path, "data", flags);
    driver_multi_add(multi, type, &zk_create_request_wire, &request);
}

static inline void driver_multi_delete(struct driver_multi *multi, const char *path,
                                       int32_t version)
{
    const struct zk_delete_request request = {slice_from_text(path), version};
    driver_multi_add(multi, OP_DELETE, &zk_delete_request_wire, &request);
}

static inline void driver_multi_set(struct driver_multi *multi, const char *path, int32_t version)
{
    const struct zk_set_data_request request = {slice_from_text(path), SLICE_LITERAL("set"),
                                                version};
    driver_multi_add(multi, OP_SET_DATA, &zk_set_data_request_wire, &request);
}

static inline void driver_multi_check(struct driver_multi *multi, const char *path, int32_t version)
{
    const struct zk_check_request request = {slice_from_text(path), version};
    driver_multi_add(multi, OP_CHECK, &zk_check_request_wire, &request);
}

static inline struct slice driver_multi_end(struct driver_multi *multi)
{
    const struct zk_multi_header header = {.type = -1, .done = true, .err = -1};
    wire_encode(&zk_multi_header_wire, 0, &header, &multi->writer);
    return slice_of(multi->writer.data, multi->writer.used);
}

static inline int32_t driver_multi_write(struct driver_multi *multi, int client)
{
    const enum code code =
        driver_prepare_bytes(multi->driver, client, OP_MULTI, driver_multi_end(multi));
    return code == CODE_OK ? driver_apply(multi->driver) : (int32_t)code;
}

#endif
