/* Any bytes as requests of clients: each is a byte for the client, one for the type, two for the
 * size, and a body. The keeper must answer everything and keep its books. */
#include "base/assert.h"
#include "base/bytes.h"
#include "keeper/keeper.h"
#include "keeper/txn_codec.h"
#include "keeper/write_request.h"

enum { arena_bytes = 1 << 20, client_count = 3, request_head_bytes = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(16) uint8_t memory[arena_bytes];

static const int32_t types[] = {
    OP_CREATE,          OP_CREATE2,      OP_CREATE_CONTAINER, OP_CREATE_TTL,
    OP_DELETE,          OP_SET_DATA,     OP_SET_ACL,          OP_MULTI,
    OP_CLOSE_SESSION,   OP_RECONFIG,     OP_EXISTS,           OP_GET_DATA,
    OP_GET_ACL,         OP_GET_CHILDREN, OP_GET_CHILDREN2,    OP_CHECK_WATCHES,
    OP_REMOVE_WATCHES,  OP_MULTI_READ,   OP_SET_WATCHES,      OP_GET_EPHEMERALS,
    OP_SET_WATCHES2,    OP_ADD_WATCH,    OP_WHO_AM_I,         OP_GET_ALL_CHILDREN_NUMBER,
    OP_DELETE_CONTAINER};

struct world {
    struct keeper_sink sink;
    struct keeper keeper;
    struct keeper_connection connections[client_count];
};

static void on_watch(struct keeper_sink *sink, struct keeper_connection *connection,
                     const struct watch_event *event)
{
    (void)sink;
    assert(connection->watcher.watches.next != NULL);
    assert(event->path.data != NULL);
}

static void write_one(struct world *world, const struct keeper_request *request)
{
    struct arena arena;
    arena_init(&arena, memory, arena_bytes);
    struct txn txn;
    (void)write_request_wants_ephemeral(request->type, request->body, &arena);
    if (keeper_prepare(&world->keeper, request, &arena, &txn) != CODE_OK)
        return;
    assert(txn_codec_entry_bytes(&txn) <= (size_t)world->keeper.options.record_bytes_max);
    struct txn_result result;
    keeper_apply(&world->keeper, &txn, 0, &world->sink, &arena, &result);
    assert(world->keeper.pending.by_path.count == 0 && world->keeper.pending.reserved_bytes == 0);
}

static void handle(struct world *world, const uint8_t *head, struct slice body)
{
    struct keeper_connection *connection = &world->connections[head[0] % client_count];
    const struct keeper_request request = {
        .session_id = connection->session_id,
        .owner = (uint64_t)connection->session_id,
        .type = types[head[1] % ARRAY_COUNT(types)],
        .body = body,
        .identities = auth_set_list(&connection->auth),
    };
    if (op_class_of(request.type) != OP_CLASS_READ) {
        write_one(world, &request);
        return;
    }
    struct arena arena;
    arena_init(&arena, memory, arena_bytes);
    struct keeper_reply reply;
    keeper_read(&world->keeper, &request, connection, &world->sink, &arena, &reply);
}

static void open_session(struct world *world, struct keeper_connection *connection)
{
    const enum err err =
        keeper_connection_init(&world->keeper, connection, SLICE_LITERAL("127.0.0.1"));
    assert(err == ERR_OK);
    connection->session_id = keeper_next_session_id(&world->keeper);
    const struct keeper_request request = {.session_id = connection->session_id,
                                           .type = OP_CREATE_SESSION,
                                           .body = SLICE_LITERAL("\0\0\x10\0")};
    write_one(world, &request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 16 << 20});
    struct world world = {.sink = {on_watch}};
    const enum err err = keeper_init(&world.keeper, &heap,
                                     (struct keeper_options){.memory_bytes_max = 64 << 10,
                                                             .session_count_max = 10,
                                                             .watch_count_max = 20,
                                                             .tick_ms = 2000,
                                                             .record_bytes_max = 4096,
                                                             .extended_types_enabled = true},
                                     0);
    assert(err == ERR_OK);
    for (int client = 0; client < client_count; client++)
        open_session(&world, &world.connections[client]);
    struct slice input = slice_of(data, size);
    while (input.size >= request_head_bytes) {
        const uint8_t *head = input.data;
        input = slice_skip(input, request_head_bytes);
        const size_t body_size = min_size(load_u16(head + 2), input.size);
        handle(&world, head, slice_of(input.data, body_size));
        input = slice_skip(input, body_size);
    }
    for (int client = 0; client < client_count; client++)
        keeper_connection_deinit(&world.keeper, &world.connections[client]);
    keeper_deinit(&world.keeper);
    assert(heap.block_count == 0 && heap.used_bytes == 0);
    return 0;
}
