#define _GNU_SOURCE
/* The keeper server in the simulated world, by a client that speaks the protocol by hand. */
#include "server/keeper/keeper_server.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "journal/small_file.h"
#include "sim/sim_node.h"

#include <stdio.h>

enum { client_heap_bytes = 64 << 20, frame_bytes_max = 64 * 1024, rounds_max = 10000000 };

enum { OPEN_ACL = 31 };

struct client {
    struct heap heap;
    struct net *net;
    struct net_connection *connection;
    uint64_t frame_count; /* Received. */
    uint64_t event_count;
    int64_t session_id;
    uint8_t password[16];
    int32_t xid;
    int32_t code;
    int32_t kept_xid; /* The front of its reply is kept. */
    uint8_t kept[64];
    uint8_t last[frame_bytes_max];
    size_t last_size;
    bool is_closed;
};

struct world {
    struct sim sim;
    struct sim_node *node;
    struct shard shard;
    struct keeper_config config;
    struct keeper_server *server;
    struct client client;
    size_t used_bytes_before; /* Of the node's heap, without a server. */
};

/* ---- a client ---- */

static bool on_open(struct net_connection *connection)
{
    struct client *client = connection->user;
    client->connection = connection;
    return true;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct client *client = connection->user;
    assert_true(size <= sizeof client->last);
    memcpy(client->last, data, size);
    client->last_size = size;
    if (client->frame_count > 0 && load_i32(data) == -1) {
        client->event_count++;
        return;
    }
    client->frame_count++;
    if (client->frame_count > 1 && load_i32(data) == client->kept_xid)
        memcpy(client->kept, data, min_size(size, sizeof client->kept));
    if (client->frame_count > 1)
        client->code = load_i32(data + 12);
}

static void on_raw(struct net_connection *connection, struct slice bytes)
{
    (void)connection;
    (void)bytes;
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct client *client = connection->user;
    (void)reason;
    client->is_closed = true;
    client->connection = NULL;
}

static const struct net_handler client_handler = {
    .on_open = on_open,
    .on_length = on_length,
    .on_frame = on_frame,
    .on_raw = on_raw,
    .on_close = on_close,
};

static void send_frame(struct client *client, const uint8_t *payload, size_t size)
{
    struct net_message *message =
        net_message_acquire(&client->heap, (struct net_message_options){.capacity = 4096});
    assert_non_null(message);
    store_u32(message->data, (uint32_t)size);
    memcpy(message->data + 4, payload, size);
    message->size = (uint32_t)size + 4;
    net_push(client->connection, message);
}

/* Runs the world until the client has so many replies, or is closed. */
static void await(struct world *world, uint64_t frame_count)
{
    struct client *client = &world->client;
    for (int i = 0; i < rounds_max; i++) {
        if (client->is_closed || client->frame_count >= frame_count)
            return;
        io_run(world->node->io, UINT64_MAX);
    }
    fail_msg("no reply");
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    const size_t size = strlen(text);
    store_u32(at, (uint32_t)size);
    memcpy(at + 4, text, size);
    return at + 4 + size;
}

static uint8_t *begin(struct client *client, uint8_t *frame, enum op op, const char *path)
{
    store_i32(frame, ++client->xid);
    store_i32(frame + 4, op);
    return path == NULL ? frame + 8 : put_text(frame + 8, path);
}

static void send_create(struct client *client, const char *path, int32_t flags)
{
    uint8_t frame[512];
    uint8_t *at = put_text(begin(client, frame, OP_CREATE, path), "data");
    store_i32(at, 1);
    store_i32(at + 4, OPEN_ACL);
    at = put_text(put_text(at + 8, "world"), "anyone");
    store_i32(at, flags);
    send_frame(client, frame, (size_t)(at + 4 - frame));
}

static void send_create_container(struct client *client, const char *path)
{
    uint8_t frame[512];
    uint8_t *at = put_text(begin(client, frame, OP_CREATE_CONTAINER, path), "data");
    store_i32(at, 1);
    store_i32(at + 4, OPEN_ACL);
    at = put_text(put_text(at + 8, "world"), "anyone");
    store_i32(at, 4);
    send_frame(client, frame, (size_t)(at + 4 - frame));
}

static void send_delete(struct client *client, const char *path)
{
    uint8_t frame[512];
    uint8_t *at = begin(client, frame, OP_DELETE, path);
    store_i32(at, -1);
    send_frame(client, frame, (size_t)(at + 4 - frame));
}

static void send_set(struct client *client, const char *path, const char *data)
{
    uint8_t frame[512];
    uint8_t *at = put_text(begin(client, frame, OP_SET_DATA, path), data);
    store_i32(at, -1);
    send_frame(client, frame, (size_t)(at + 4 - frame));
}

static void send_read(struct client *client, enum op op, const char *path, bool watch)
{
    uint8_t frame[512];
    uint8_t *at = begin(client, frame, op, path);
    *at = watch;
    send_frame(client, frame, (size_t)(at + 1 - frame));
}

static void send_connect(struct client *client, int32_t timeout_ms)
{
    uint8_t frame[45] = {0};
    store_i32(frame + 12, timeout_ms);
    store_i64(frame + 16, client->session_id);
    store_i32(frame + 24, 16);
    memcpy(frame + 28, client->password, 16);
    send_frame(client, frame, sizeof frame);
}

static void connect_client(struct world *world, int32_t timeout_ms)
{
    struct client *client = &world->client;
    const struct net_options options = {
        .connection_count_max = 10,
        .receive_bytes_first = 4096,
        .open_reply_count_max = 100,
        .unsent_bytes_max = 1 << 20,
    };
    if (client->net == NULL) {
        heap_init(&client->heap,
                  (struct heap_options){.limit_bytes = client_heap_bytes, .tracked = true});
        assert_int_equal(ERR_OK, net_init(&client->net, world->node->io, &client->heap,
                                          world->node->diag, options));
    }
    client->frame_count = 0;
    client->is_closed = false;
    assert_int_equal(ERR_OK,
                     net_connect(client->net, &world->server->address, &client_handler, client));
    while (client->connection == NULL && !client->is_closed)
        io_run(world->node->io, UINT64_MAX);
    send_connect(client, timeout_ms);
    await(world, 1);
    if (client->is_closed)
        return;
    client->session_id = load_i64(client->last + 8);
    memcpy(client->password, client->last + 20, 16);
}

/* ---- a world with a server ---- */

static const char *more_settings = "";
static const char *line_wanted; /* Diag lines with this in them are counted. */
static uint32_t line_count;

static void on_line(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)diag;
    (void)level;
    if (line_wanted != NULL &&
        memmem(line.data, line.size, line_wanted, strlen(line_wanted)) != NULL)
        line_count++;
}

static void count_lines(const char *text)
{
    line_wanted = text;
    line_count = 0;
}

static struct diag listening = {.write = on_line};

static void try_start(struct world *world, enum err expected)
{
    char text[1024];
    snprintf(text, sizeof text,
             "dataDir=/data\nclientPort=2181\ntickTime=100\ndisk.reserveMb=0\nsnapCount=1000\n"
             "preAllocSize=64\n4lw.commands.whitelist=*\nclientPortAddress=127.0.0.1\n%s",
             more_settings);
    const struct config_source source = {"zoo.cfg", slice_from_text(text)};
    world->shard = (struct shard){
        .name = "keeper", .io = world->node->io, .heap = &world->node->heap, .diag = &listening};
    assert_int_equal(
        ERR_OK, keeper_config_load(&world->config, &world->node->heap, world->node->diag, source));
    world->used_bytes_before = world->node->heap.used_bytes;
    assert_int_equal(expected, keeper_server_start(&world->server, &world->shard, &world->config));
}

static void start_server(struct world *world)
{
    try_start(world, ERR_OK);
}

static void make(struct world *world)
{
    memset(world, 0, sizeof *world);
    sim_init(&world->sim, (struct sim_options){.seed = 1, .node_count = 1});
    world->node = world->sim.nodes[0];
}

static void start(struct world *world)
{
    make(world);
    start_server(world);
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void stop_server(struct world *world)
{
    bool is_stopped = false;
    keeper_server_stop(world->server, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(world->node->io, UINT64_MAX);
    keeper_server_free(world->server);
}

static void end(struct world *world)
{
    if (world->client.net != NULL) {
        net_deinit(world->client.net);
        for (int i = 0; i < 100; i++)
            io_run(world->node->io, 0);
        heap_deinit(&world->client.heap);
    }
    sim_deinit(&world->sim);
}

/* ---- tests ---- */

static struct world world;

static void test_writes_survive_a_restart(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 0);
    send_create(&world.client, "/a", 0);
    await(&world, 3);
    assert_int_equal(CODE_NODE_EXISTS, world.client.code);
    const int64_t zxid = world.server->keeper.zxid_applied;
    stop_server(&world);
    start_server(&world);
    assert_true(world.server->keeper.zxid_applied == zxid);
    assert_non_null(tree_find(&world.server->keeper.tree, SLICE_LITERAL("/a")));
    connect_client(&world, 10000); /* The same session. */
    send_read(&world.client, OP_GET_DATA, "/a", false);
    await(&world, 2);
    assert_int_equal(CODE_OK, world.client.code);
    stop_server(&world);
    end(&world);
}

/* Reads behind the client's own write see it, and come in order. */
static void test_reads_wait_for_own_writes(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 0);
    send_read(&world.client, OP_GET_DATA, "/a", true);
    send_set(&world.client, "/a", "new");
    send_read(&world.client, OP_GET_DATA, "/a", false);
    await(&world, 5);
    assert_int_equal(CODE_OK, world.client.code);
    assert_int_equal(1, world.client.event_count);
    assert_memory_equal("\0\0\0\3new", world.client.last + 16, 7);
    assert_int_equal(4, load_i32(world.client.last));
    stop_server(&world);
    end(&world);
}

/* A write that cannot be understood has no zxid: it tells that of the write before it. */
static void test_refused_writes_wait_for_earlier_ones(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 10000);
    uint8_t cut[8];
    send_create(&world.client, "/a", 0);
    send_create(&world.client, "/b", 0);
    begin(&world.client, cut, OP_CREATE, NULL);
    send_frame(&world.client, cut, sizeof cut);
    await(&world, 4);
    assert_int_equal(CODE_MARSHALLING_ERROR, world.client.code);
    assert_int_equal(world.server->keeper.zxid_applied, load_i64(world.client.last + 4));
    stop_server(&world);
    end(&world);
}

static void test_unknown_operations_have_no_zxid(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 10000);
    uint8_t frame[8];
    begin(&world.client, frame, (enum op)42, NULL);
    send_frame(&world.client, frame, sizeof frame);
    await(&world, 2);
    assert_int_equal(CODE_UNIMPLEMENTED, world.client.code);
    assert_int_equal(-1, load_i64(world.client.last + 4));
    await(&world, 3);
    assert_true(world.client.is_closed);
    stop_server(&world);
    end(&world);
}

static void test_a_malformed_auth_packet_has_no_answer(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 10000);
    uint8_t frame[8];
    begin(&world.client, frame, OP_AUTH, NULL);
    send_frame(&world.client, frame, sizeof frame);
    await(&world, 2);
    assert_true(world.client.is_closed);
    assert_int_equal(1, world.client.frame_count); /* Of the handshake. */
    stop_server(&world);
    end(&world);
}

/* A read that waits for a write is done for who the client was when it asked, as in Apache's
 * server; an auth packet that comes meanwhile does not wait. */
static void test_a_waiting_read_keeps_its_identities(void **state)
{
    (void)state;
    uint8_t frame[64];
    start(&world);
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 0);
    (void)begin(&world.client, frame, OP_WHO_AM_I, NULL);
    world.client.kept_xid = world.client.xid;
    send_frame(&world.client, frame, 8);
    (void)begin(&world.client, frame, OP_AUTH, NULL);
    store_i32(frame, -4);
    store_i32(frame + 8, 0);
    const uint8_t *after = put_text(put_text(frame + 12, "digest"), "ann:secret");
    send_frame(&world.client, frame, (size_t)(after - frame));
    await(&world, 4);
    assert_int_equal(CODE_OK, world.client.code);
    assert_int_equal(1, load_i32(world.client.kept + 16));
    stop_server(&world);
    end(&world);
}

static void test_a_ping_of_an_ending_session_is_refused(void **state)
{
    (void)state;
    uint8_t frame[16];
    start(&world);
    connect_client(&world, 10000);
    session_table_mark_closing(&world.server->keeper.sessions, world.client.session_id);
    (void)begin(&world.client, frame, OP_PING, NULL);
    store_i32(frame, -2);
    send_frame(&world.client, frame, 8);
    await(&world, 2);
    assert_int_equal(CODE_SESSION_EXPIRED, world.client.code);
    stop_server(&world);
    end(&world);
}

static void test_an_expired_session_takes_its_ephemerals(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 500);
    send_create(&world.client, "/e", 1);
    await(&world, 2);
    assert_non_null(tree_find(&world.server->keeper.tree, SLICE_LITERAL("/e")));
    while (!world.client.is_closed)
        io_run(world.node->io, UINT64_MAX);
    assert_null(tree_find(&world.server->keeper.tree, SLICE_LITERAL("/e")));
    const int64_t old = world.client.session_id;
    connect_client(&world, 500);
    assert_int_equal(0, world.client.session_id); /* It cannot be resumed. */
    assert_true(old != 0);
    stop_server(&world);
    end(&world);
}

/* Many transactions, so that snapshots are taken, the journal moves on, and a restart uses both. */
static void test_snapshots_while_serving(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 10000);
    char path[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof path, "/n%d", i);
        send_create(&world.client, path, 0);
        if (i % 50 == 49)
            await(&world, (uint64_t)i + 2);
    }
    assert_int_equal(CODE_OK, world.client.code);
    assert_true(world.server->stats.summaries.snapshot_time.count >= 4);
    assert_true(world.server->journal.segment_count >= 4);
    stop_server(&world);
    start_server(&world);
    assert_int_equal(5000 + 5, keeper_znode_count(&world.server->keeper));
    assert_true(world.server->snapshot.zxid_last > 0);
    stop_server(&world);
    end(&world);
}

static void write_bytes(const char *path, uint64_t offset, const char *bytes, size_t size)
{
    struct io_op op = {.kind = IO_OPEN, .handle = io_handle_none};
    op.path.path = path;
    op.path.flags = IO_OPEN_WRITE;
    const int64_t handle = io_wait(world.node->io, &op);
    assert_true(handle >= 0);
    struct iovec vector = {(void *)(uintptr_t)bytes, size};
    op = (struct io_op){.kind = IO_WRITE, .handle = (int32_t)handle};
    op.write.vectors = &vector;
    op.write.vector_count = 1;
    op.write.offset = offset;
    assert_int_equal(size, io_wait(world.node->io, &op));
    op = (struct io_op){.kind = IO_CLOSE, .handle = (int32_t)handle};
    assert_int_equal(0, io_wait(world.node->io, &op));
}

/* A stopped server with ten znodes in log.1; the end of its journal's bytes. */
static uint64_t leave_a_journal(void)
{
    char path[32];
    start(&world);
    connect_client(&world, 10000);
    for (int i = 0; i < 10; i++) {
        snprintf(path, sizeof path, "/n%d", i);
        send_create(&world.client, path, 0);
    }
    await(&world, 11);
    const uint64_t end_offset = journal_end(&world.server->journal).offset;
    stop_server(&world);
    return end_offset;
}

static void test_damage_is_refused(void **state)
{
    (void)state;
    const uint64_t end_offset = leave_a_journal();
    write_bytes("/data/version-2/log.1", end_offset / 2, "damage", 6);
    try_start(&world, ERR_CORRUPT);
    end(&world);
    (void)leave_a_journal();
    write_bytes("/data/version-2/log.1", 0, "damage", 6);
    try_start(&world, ERR_CORRUPT);
    end(&world);
    /* The last record was acknowledged, and the mark knows. */
    (void)leave_a_journal();
    write_bytes("/data/version-2/log.1", end_offset - 3, "x", 1);
    try_start(&world, ERR_CORRUPT);
    end(&world);
}

static void test_a_torn_tail_is_cut(void **state)
{
    (void)state;
    const uint64_t end_offset = leave_a_journal();
    write_bytes("/data/version-2/log.1", end_offset, "\0\0\0\0\1\2\3\4\0\0\0\x30torn", 16);
    write_bytes("/data/version-2/log.1", end_offset + 4096, "more", 4);
    try_start(&world, ERR_OK);
    assert_int_equal(10 + 5, keeper_znode_count(&world.server->keeper));
    connect_client(&world, 10000);
    send_create(&world.client, "/again", 0);
    await(&world, 2);
    assert_int_equal(CODE_OK, world.client.code);
    stop_server(&world);
    try_start(&world, ERR_OK);
    assert_int_equal(11 + 5, keeper_znode_count(&world.server->keeper));
    stop_server(&world);
    end(&world);
}

static void load_once(struct client *client)
{
    send_set(client, "/a", "some data");
    send_read(client, OP_GET_DATA, "/a", false);
    send_read(client, OP_EXISTS, "/a", false);
    send_read(client, OP_GET_CHILDREN2, "/", false);
}

/* Once warm, requests take no memory from the process. */
static void test_hot_paths_do_not_allocate(void **state)
{
    (void)state;
    start(&world);
    world.server->snapshot.txn_count_trigger = UINT64_MAX;
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 0);
    uint64_t count = 2;
    uint64_t before = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 8; i++)
            load_once(&world.client);
        count += 32;
        await(&world, count);
        if (round == 200)
            before = world.node->heap.system_take_count;
    }
    assert_int_equal(CODE_OK, world.client.code);
    assert_int_equal(before, world.node->heap.system_take_count);
    stop_server(&world);
    end(&world);
}

static void test_stop_gives_everything_back(void **state)
{
    (void)state;
    start(&world);
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 1);
    send_read(&world.client, OP_GET_DATA, "/a", true);
    send_set(&world.client, "/a", "x");
    await(&world, 2);
    send_set(&world.client, "/a", "y"); /* In flight when it stops. */
    stop_server(&world);
    for (int i = 0; i < 100; i++)
        io_run(world.node->io, 0);
    assert_int_equal(world.used_bytes_before, world.node->heap.used_bytes);
    end(&world);
}

/* What a server reads when it starts is on its own heap, and the settings of zoo.cfg are not. */
static void test_what_lies_in_other_files_is_given_back(void **state)
{
    (void)state;
    make(&world);
    struct io *io = world.node->io;
    const struct slice lines =
        SLICE_LITERAL("server.1=a:2888:3888;127.0.0.1:2181\ngroup.1=1\nweight.1=1\n");
    assert_int_equal(0, small_file_make_directory_wait(io, "/data"));
    assert_int_equal(0, small_file_replace_wait(io, "/data/myid", SLICE_LITERAL("1")));
    assert_int_equal(0, small_file_replace_wait(io, "/data/dynamic", lines));
    more_settings = "dynamicConfigFile=/data/dynamic\n";
    start_server(&world);
    more_settings = "";
    stop_server(&world);
    for (int i = 0; i < 100; i++)
        io_run(world.node->io, 0);
    assert_int_equal(world.used_bytes_before, world.node->heap.used_bytes);
    end(&world);
}

/* ---- settings ---- */

static void start_with(const char *settings)
{
    more_settings = settings;
    start(&world);
    more_settings = "";
}

static void test_the_gate_holds_requests_in_order(void **state)
{
    (void)state;
    start_with("request_throttle_max_requests=1\n");
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 0);
    send_set(&world.client, "/a", "new");
    send_read(&world.client, OP_GET_DATA, "/a", false);
    while (world.server->gate.held_count != 2)
        io_run(world.node->io, UINT64_MAX);
    await(&world, 4);
    assert_int_equal(CODE_OK, world.client.code);
    assert_memory_equal("\0\0\0\3new", world.client.last + 16, 7);
    assert_int_equal(3, load_i32(world.client.last));
    assert_int_equal(0, world.server->gate.held_count);
    stop_server(&world);
    end(&world);
}

/* The disk takes longer than a millisecond for the first, so the second has waited too long. */
static void test_a_request_held_too_long_is_throttled(void **state)
{
    (void)state;
    start_with("request_throttle_max_requests=1\nthrottled_op_wait_time=1\n");
    connect_client(&world, 10000);
    world.sim.faults.stall_per_million = 1000000;
    send_create(&world.client, "/a", 0);
    send_create(&world.client, "/b", 0);
    await(&world, 3);
    assert_int_equal(CODE_THROTTLED_OP, world.client.code);
    assert_int_equal(1, world.server->stats.counts.throttled_request_count);
    assert_int_equal(1, world.server->stats.counts.held_request_count);
    assert_non_null(tree_find(&world.server->keeper.tree, SLICE_LITERAL("/a")));
    assert_null(tree_find(&world.server->keeper.tree, SLICE_LITERAL("/b")));
    stop_server(&world);
    end(&world);
}

static void test_a_stale_request_ends_its_connection(void **state)
{
    (void)state;
    start_with("request_throttle_max_requests=1\nrequest_stale_latency_check=true\n"
               "minSessionTimeout=1\n");
    connect_client(&world, 1);
    world.sim.faults.stall_per_million = 1000000;
    send_create(&world.client, "/a", 0);
    send_create(&world.client, "/b", 0);
    await(&world, 3);
    assert_true(world.client.is_closed);
    assert_int_equal(1, world.server->stats.counts.stale_request_count);
    assert_int_equal(2, world.client.frame_count); /* Not even that the session is expired. */
    stop_server(&world);
    end(&world);
}

static void test_what_is_held_ends_with_the_server(void **state)
{
    (void)state;
    start_with("request_throttle_max_requests=1\nlargeRequestThreshold=1\n");
    connect_client(&world, 10000);
    for (int count = 0; count < 3; count++)
        send_create(&world.client, "/a", 0);
    uint8_t frame[16];
    send_frame(&world.client, frame,
               (size_t)(begin(&world.client, frame, OP_CLOSE_SESSION, NULL) - frame));
    while (world.server->gate.held_count != 3)
        io_run(world.node->io, UINT64_MAX);
    assert_true(world.server->gate.large_bytes > 0);
    stop_server(&world);
    for (int i = 0; i < 100; i++)
        io_run(world.node->io, 0);
    assert_int_equal(world.used_bytes_before, world.node->heap.used_bytes);
    end(&world);
}

static void test_a_large_request_too_many_closes(void **state)
{
    (void)state;
    start_with("largeRequestThreshold=40\nlargeRequestMaxBytes=100\n");
    connect_client(&world, 10000);
    world.sim.faults.stall_per_million = 1000000;
    send_create(&world.client, "/large", 0);
    send_create(&world.client, "/large2", 0);
    await(&world, 3);
    assert_true(world.client.is_closed);
    while (world.server->write_count > 0)
        io_run(world.node->io, UINT64_MAX);
    assert_int_equal(0, world.server->gate.large_bytes);
    assert_int_equal(1, world.server->stats.counts.large_request_refused_count);
    world.client.session_id = 0;
    connect_client(&world, 10000);
    send_create(&world.client, "/large3", 0);
    await(&world, 2);
    assert_int_equal(CODE_OK, world.client.code);
    stop_server(&world);
    end(&world);
}

/* Trap 54 of the reference: -124, then the connection is closed. */
static void test_enforced_auth(void **state)
{
    (void)state;
    start_with("enforce.auth.enabled=true\nenforce.auth.schemes=digest\n");
    connect_client(&world, 10000);
    count_lines("closed 1 connections, the last one from 127.0.0.1:");
    send_create(&world.client, "/a", 0);
    await(&world, 2);
    assert_int_equal(CODE_SESSION_CLOSED_REQUIRE_AUTH, world.client.code);
    assert_int_equal(0, load_i64(world.client.last + 4));
    await(&world, 3);
    assert_true(world.client.is_closed);
    assert_int_equal(1, line_count);
    count_lines(NULL);
    world.client.session_id = 0;
    connect_client(&world, 10000);
    uint8_t frame[64];
    store_i32(frame, -4);
    store_i32(frame + 4, OP_AUTH);
    store_i32(frame + 8, 0);
    send_frame(&world.client, frame,
               (size_t)(put_text(put_text(frame + 12, "digest"), "a:b") - frame));
    send_create(&world.client, "/a", 0);
    await(&world, 3);
    assert_int_equal(CODE_OK, world.client.code);
    stop_server(&world);
    end(&world);
}

static void test_tokens_of_sessions(void **state)
{
    (void)state;
    start_with("connection_throttle_tokens=1\nconnection_throttle_fill_time=1000000\n");
    connect_client(&world, 10000);
    assert_false(world.client.is_closed);
    net_connection_close(world.client.connection, "the test goes on", false);
    connect_client(&world, 10000);
    assert_true(world.client.is_closed);
    stop_server(&world);
    end(&world);
}

static void test_more_than_max_cnxns_are_closed(void **state)
{
    (void)state;
    start_with("maxCnxns=1\n");
    connect_client(&world, 10000);
    struct net_connection *first = world.client.connection;
    world.client.connection = NULL;
    world.client.session_id = 0;
    connect_client(&world, 10000);
    assert_true(world.client.is_closed);
    net_connection_close(first, "the test goes on", false);
    while (net_connection_count(world.server->net) > 0)
        io_run(world.node->io, UINT64_MAX);
    connect_client(&world, 10000);
    assert_false(world.client.is_closed);
    stop_server(&world);
    end(&world);
}

static void test_slow_syncs_are_told(void **state)
{
    (void)state;
    start_with("fsync.warningthresholdms=1\n");
    connect_client(&world, 10000);
    count_lines("syncing the journal took");
    world.sim.faults.stall_per_million = 1000000;
    send_create(&world.client, "/a", 0);
    await(&world, 2);
    assert_in_range(line_count, 1, 2);
    count_lines(NULL);
    stop_server(&world);
    end(&world);
}

/* Many in a second are one line. */
static void test_an_exceeded_quota_is_told(void **state)
{
    (void)state;
    start_with("enforceQuota=true\n");
    connect_client(&world, 10000);
    count_lines("quota exceeded: /q [current bytes=8, soft limit=7]");
    send_create(&world.client, "/q", 0);
    send_create(&world.client, "/zookeeper/quota/q", 0);
    send_create(&world.client, "/zookeeper/quota/q/zookeeper_limits", 0);
    send_create(&world.client, "/zookeeper/quota/q/zookeeper_stats", 0);
    send_set(&world.client, "/zookeeper/quota/q/zookeeper_limits", "bytes=7");
    await(&world, 6);
    send_create(&world.client, "/q/a", 0);
    send_create(&world.client, "/q/b", 0);
    await(&world, 8);
    assert_int_equal(CODE_OK, world.client.code);
    assert_int_equal(1, line_count);
    count_lines(NULL);
    stop_server(&world);
    end(&world);
}

static bool audit_file_has(const char *path, const char *text)
{
    const struct slice file = sim_disk_peek(&world.node->disk, path);
    return file.size > 0 && memmem(file.data, file.size, text, strlen(text)) != NULL;
}

/* What clients did, and nothing that a client can forge a field with. */
static void test_the_audit_trail(void **state)
{
    (void)state;
    start_with("audit.enable=true\n");
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 3);
    send_create(&world.client, "/b\tresult=success\n", 0);
    await(&world, 3);
    stop_server(&world);
    for (int i = 0; i < 100; i++)
        io_run(world.node->io, 0);
    assert_int_equal(world.used_bytes_before, world.node->heap.used_bytes);
    const char *path = "/data/zookeeper_audit.log";
    assert_true(audit_file_has(path, "user=<NA>\toperation=serverStart\tresult=success\n"));
    assert_true(audit_file_has(path, "\tip=127.0.0.1\toperation=create\tznode=/a0000000000\t"
                                     "znode_type=ephemeral_sequential\tresult=success\n"));
    assert_true(audit_file_has(path, "\tznode=/b?result=success?\tznode_type=persistent\t"
                                     "result=failure\n"));
    assert_true(audit_file_has(path, "\toperation=serverStop\tresult=invoked\n"));
    end(&world);
}

/* Lines may be lost, but clients are served. */
static void test_an_audit_trail_on_a_full_disk(void **state)
{
    (void)state;
    start_with("audit.enable=true\naudit.fileSizeMb=1\naudit.fileCount=1\n");
    connect_client(&world, 10000);
    send_create(&world.client, "/a", 0);
    await(&world, 2);
    world.server->audit.size = 2 << 20; /* The next line is the last one of this file. */
    send_set(&world.client, "/a", "b");
    await(&world, 3);
    while (world.server->audit.step != AUDIT_FILE_IDLE)
        io_run(world.node->io, UINT64_MAX);
    assert_true(audit_file_has("/data/zookeeper_audit.log.1", "operation=setData"));
    assert_int_equal(0, sim_disk_peek(&world.node->disk, "/data/zookeeper_audit.log").size);
    world.node->disk.quota_bytes = 1;
    send_set(&world.client, "/a", "c"); /* Its record has its place in the journal's file. */
    await(&world, 4);
    assert_int_equal(CODE_OK, world.client.code);
    while (world.server->audit.step != AUDIT_FILE_IDLE)
        io_run(world.node->io, UINT64_MAX);
    assert_true(world.server->audit.has_failed);
    world.node->disk.quota_bytes = 0;
    send_set(&world.client, "/a", "d");
    await(&world, 5);
    stop_server(&world);
    assert_true(audit_file_has("/data/zookeeper_audit.log", "operation=setData"));
    end(&world);
}

static void test_large_journal_files_are_followed_by_others(void **state)
{
    (void)state;
    start_with("txnLogSizeLimitInKb=1\n");
    connect_client(&world, 10000);
    for (uint64_t count = 0; count < 30; count++) {
        send_create(&world.client, "/a", 0);
        await(&world, count + 2);
    }
    /* A failed create takes some 70 bytes. */
    assert_in_range(world.server->journal.segment_count, 2, 4);
    stop_server(&world);
    end(&world);
}

/* A minute's tick: what is quicker has not waited for one. */
static void test_a_spent_container_does_not_wait_for_a_tick(void **state)
{
    (void)state;
    start_with("tickTime=60000\nznode.container.checkIntervalMs=1\n");
    connect_client(&world, 600000);
    world.sim.faults.stall_per_million = 1000000;
    for (uint64_t round = 0; round < 10; round++) {
        send_create_container(&world.client, "/c");
        send_create(&world.client, "/c/a", 0);
        send_delete(&world.client, "/c/a");
        await(&world, 4 + 3 * round);
        assert_int_equal(CODE_OK, world.client.code);
        const uint64_t began_ns = io_now_ns(world.node->io);
        while (tree_find(&world.server->keeper.tree, SLICE_LITERAL("/c")) != NULL)
            io_run(world.node->io, UINT64_MAX);
        assert_in_range(io_now_ns(world.node->io) - began_ns, 0, 30000000000);
        /* It is deleted once, though the disk takes longer than the interval. */
        assert_int_equal(5 + 4 * round, world.server->keeper.zxid_prepared);
    }
    stop_server(&world);
    end(&world);
}

/* An interval of 1 ms looks 60000 times in a minute, and deletes no more than it may. */
static void test_a_short_interval_keeps_to_the_limit(void **state)
{
    (void)state;
    start_with("znode.container.checkIntervalMs=1\nznode.container.maxPerMinute=60\n"
               "znode.container.maxNeverUsedIntervalMs=1\n");
    connect_client(&world, 600000);
    for (uint64_t i = 0; i < 5; i++) {
        send_create_container(&world.client, (char[]){'/', (char)('a' + i), 0});
        await(&world, 2 + i);
        assert_int_equal(CODE_OK, world.client.code);
    }
    const uint64_t began_ns = io_now_ns(world.node->io);
    while (!list_empty(&world.server->keeper.tree.containers.znodes))
        io_run(world.node->io, UINT64_MAX);
    assert_in_range(io_now_ns(world.node->io) - began_ns, 3900000000, 5100000000);
    stop_server(&world);
    end(&world);
}

static uint64_t operations_in_a_minute(void)
{
    const uint64_t until_ns = io_now_ns(world.node->io) + 60000000000;
    const uint64_t before = world.node->io->submitted_count;
    while (io_now_ns(world.node->io) < until_ns)
        io_run(world.node->io, until_ns);
    return world.node->io->submitted_count - before;
}

/* The shortest interval costs nothing while no znode can be spent, and otherwise a look at the
 * candidates, but neither sessions nor the disk. */
static void test_a_short_interval_does_not_burn_cpu(void **state)
{
    (void)state;
    start_with("tickTime=10000\nznode.container.checkIntervalMs=1\n");
    connect_client(&world, 200000);
    send_create(&world.client, "/a", 0);
    await(&world, 2);
    assert_in_range(operations_in_a_minute(), 1, 1000);
    send_create_container(&world.client, "/c"); /* It waits for its first child. */
    await(&world, 3);
    const int64_t zxid = world.server->keeper.zxid_prepared;
    assert_in_range(operations_in_a_minute(), 50000, 61000);
    assert_int_equal(zxid, world.server->keeper.zxid_prepared);
    stop_server(&world); /* With the timer in flight, */
    start_server(&world);
    assert_true(world.server->reaper.is_waiting); /* which a restart has again. */
    stop_server(&world);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_survive_a_restart),
        cmocka_unit_test(test_reads_wait_for_own_writes),
        cmocka_unit_test(test_refused_writes_wait_for_earlier_ones),
        cmocka_unit_test(test_unknown_operations_have_no_zxid),
        cmocka_unit_test(test_a_malformed_auth_packet_has_no_answer),
        cmocka_unit_test(test_a_waiting_read_keeps_its_identities),
        cmocka_unit_test(test_a_ping_of_an_ending_session_is_refused),
        cmocka_unit_test(test_an_expired_session_takes_its_ephemerals),
        cmocka_unit_test(test_snapshots_while_serving),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_a_torn_tail_is_cut),
        cmocka_unit_test(test_hot_paths_do_not_allocate),
        cmocka_unit_test(test_stop_gives_everything_back),
        cmocka_unit_test(test_what_lies_in_other_files_is_given_back),
        cmocka_unit_test(test_the_gate_holds_requests_in_order),
        cmocka_unit_test(test_a_request_held_too_long_is_throttled),
        cmocka_unit_test(test_a_stale_request_ends_its_connection),
        cmocka_unit_test(test_what_is_held_ends_with_the_server),
        cmocka_unit_test(test_a_large_request_too_many_closes),
        cmocka_unit_test(test_enforced_auth),
        cmocka_unit_test(test_tokens_of_sessions),
        cmocka_unit_test(test_more_than_max_cnxns_are_closed),
        cmocka_unit_test(test_slow_syncs_are_told),
        cmocka_unit_test(test_an_exceeded_quota_is_told),
        cmocka_unit_test(test_the_audit_trail),
        cmocka_unit_test(test_an_audit_trail_on_a_full_disk),
        cmocka_unit_test(test_large_journal_files_are_followed_by_others),
        cmocka_unit_test(test_a_spent_container_does_not_wait_for_a_tick),
        cmocka_unit_test(test_a_short_interval_keeps_to_the_limit),
        cmocka_unit_test(test_a_short_interval_does_not_burn_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
