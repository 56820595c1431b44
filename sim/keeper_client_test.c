/* The keeper client in the simulated world: against our keeper on another node, which dies and
 * comes back, and against a peer that plays a script. */
#include "client/keeper_client.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "net/net.h"
#include "server/keeper/keeper_server.h"
#include "sim/sim_net.h"
#include "sim/sim_node.h"
#include "wire/gen/zk.h"

#include <stdio.h>

enum { round_count_max = 1000000, note_count_max = 64, note_size = 64 };

/* ---- the keeper's node ---- */

static const char config_text[] = "dataDir=/data\nclientPort=2181\ntickTime=100\n"
                                  "disk.reserveMb=0\npreAllocSize=64\nadmin.enableServer=false\n";

static struct keeper_config keeper_config;

static void keeper_process(struct sim_node *node, void *argument)
{
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_server *server;
    const struct config_source source = {"zoo.cfg", slice_from_text(config_text)};
    (void)argument;
    assert_int_equal(keeper_config_load(&keeper_config, &node->heap, node->diag, source), ERR_OK);
    assert_int_equal(keeper_server_start(&server, &shard, &keeper_config), ERR_OK);
    for (;;)
        io_run(node->io, UINT64_MAX);
}

/* ---- the world ---- */

struct world {
    struct sim sim;
    struct heap heap;
    struct sim_node *node; /* The client's. */
    struct net *net;
    struct keeper_client *client;
    char notes[note_count_max][note_size]; /* What has happened, in order. */
    uint32_t note_count;
};

static struct world world;

static void note(const char *format, ...) PRINTF_LIKE(1, 2);

static void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    assert_true(world.note_count < note_count_max);
    vsnprintf(world.notes[world.note_count++], note_size, format, arguments);
    va_end(arguments);
}

static void on_event(void *context, enum keeper_client_event event)
{
    static const char *const names[] = {"connected", "disconnected", "expired", "auth failed",
                                        "stopped"};
    (void)context;
    note("%s", names[event]);
}

static bool has_note(const char *text)
{
    for (uint32_t index = 0; index < world.note_count; index++)
        if (strcmp(world.notes[index], text) == 0)
            return true;
    return false;
}

static void wait_for_note(const char *text)
{
    for (int round = 0; round < round_count_max && !has_note(text); round++)
        io_run(world.node->io, UINT64_MAX);
    if (!has_note(text))
        fail_msg("never: %s", text);
}

/* The notes since the last time, as one text. */
static void expect_notes(const char *expected)
{
    char all[note_count_max * note_size] = "";
    size_t size = 0;
    for (uint32_t index = 0; index < world.note_count; index++)
        size += (size_t)snprintf(all + size, sizeof all - size, "%s%s", index > 0 ? "; " : "",
                                 world.notes[index]);
    assert_string_equal(all, expected);
    world.note_count = 0;
}

static void wait_ms(uint64_t ms)
{
    const uint64_t end_ns = world.sim.now_ns + ms * 1000000;
    while (world.sim.now_ns < end_ns)
        io_run(world.node->io, end_ns - world.sim.now_ns);
}

static void make_client(const char *connect)
{
    const struct net_options net_options = {
        .connection_count_max = 10,
        .receive_bytes_first = 4096,
        .open_reply_count_max = 100,
        .unsent_bytes_max = 1 << 20,
    };
    heap_init(&world.heap, (struct heap_options){.limit_bytes = 64 << 20, .tracked = true});
    assert_int_equal(
        net_init(&world.net, world.node->io, &world.heap, world.node->diag, net_options), ERR_OK);
    assert_int_equal(keeper_client_init(&world.client, world.node->io, world.net, &world.heap,
                                        world.node->diag,
                                        (struct keeper_client_options){.connect = connect,
                                                                       .session_timeout_ms = 2000},
                                        (struct keeper_client_handler){.on_event = on_event}),
                     ERR_OK);
    keeper_client_start(world.client);
}

static void begin(void)
{
    memset(&world, 0, sizeof world);
    sim_init(&world.sim, (struct sim_options){.seed = 5, .node_count = 3});
    world.node = world.sim.nodes[1];
}

static void begin_with_keeper(const char *connect)
{
    begin();
    sim_node_start(world.sim.nodes[0], keeper_process, NULL);
    make_client(connect);
    wait_for_note("connected");
    world.note_count = 0;
}

static void end(void)
{
    world.note_count = 0;
    keeper_client_stop(world.client);
    wait_for_note("stopped");
    keeper_client_deinit(world.client);
    net_deinit(world.net);
    wait_ms(1000);
    assert_int_equal(world.heap.block_count, 0);
    heap_deinit(&world.heap);
    sim_deinit(&world.sim);
}

/* ---- ops that note what they were told ---- */

struct noted_op {
    struct keeper_op op;
    const char *name;
};

static void on_done(struct keeper_op *op, const struct keeper_result *result)
{
    const struct noted_op *noted = CONTAINER_OF(op, struct noted_op, op);
    if (result->code != KEEPER_OK)
        note("%s %s", noted->name, keeper_code_name(result->code));
    else if (result->path.data != NULL)
        note("%s at %" SLICE_FORMAT, noted->name, SLICE_ARGS(result->path));
    else if (result->data.data != NULL)
        note("%s = %" SLICE_FORMAT, noted->name, SLICE_ARGS(result->data));
    else if (op->type == ZK_OP_GET_CHILDREN2)
        note("%s: %d children", noted->name, (int)result->child_count);
    else
        note("%s", noted->name);
}

static struct keeper_op *op_of(struct noted_op *noted, const char *name)
{
    *noted = (struct noted_op){.op.done = on_done, .name = name};
    return &noted->op;
}

struct noted_watch {
    struct keeper_watch watch;
    const char *name;
};

static void on_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    const struct noted_watch *noted = CONTAINER_OF(watch, struct noted_watch, watch);
    note("%s fired %d", noted->name, (int)type);
}

static struct keeper_watch *watch_of(struct noted_watch *noted, const char *name)
{
    *noted = (struct noted_watch){.watch.fired = on_fired, .name = name};
    return &noted->watch;
}

static void create(struct noted_op *op, const char *name, const char *path, const char *data,
                   int32_t flags)
{
    keeper_client_create(
        world.client, op_of(op, name),
        (struct keeper_create){.path = path, .data = slice_from_text(data), .flags = flags});
}

static void set(struct noted_op *op, const char *name, const char *path, const char *data)
{
    keeper_client_set_data(world.client, op_of(op, name), path, slice_from_text(data), -1);
}

/* ---- tests: our keeper ---- */

static void every_operation_is_answered_in_order(void **state)
{
    struct noted_op ops[12];
    (void)state;
    begin_with_keeper("node0:2181");
    create(&ops[0], "a", "/a", "1", 0);
    create(&ops[1], "again", "/a", "1", 0);
    create(&ops[2], "seq", "/a/s-", "", KEEPER_SEQUENTIAL);
    set(&ops[3], "set", "/a", "2");
    keeper_client_get_data(world.client, op_of(&ops[4], "get"), "/a", NULL);
    keeper_client_exists(world.client, op_of(&ops[5], "exists"), "/b", NULL);
    keeper_client_get_children(world.client, op_of(&ops[6], "list"), "/a", NULL);
    keeper_client_delete(world.client, op_of(&ops[7], "delete a"), "/a", -1);
    keeper_client_get_acl(world.client, op_of(&ops[8], "acl"), "/a");
    keeper_client_set_data(world.client, op_of(&ops[9], "old"), "/a", SLICE_NULL, 0);
    keeper_client_add_auth(world.client, op_of(&ops[10], "auth"), "digest",
                           SLICE_LITERAL("user:secret"));
    keeper_client_sync(world.client, op_of(&ops[11], "sync"), "/");
    wait_for_note("sync");
    expect_notes("a at /a; again NODEEXISTS; seq at /a/s-0000000000; set; get = 2; "
                 "exists NONODE; list: 1 children; delete a NOTEMPTY; acl; old BADVERSION; auth; "
                 "sync");
    end();
}

static int32_t part_codes[4];

static void on_multi(struct keeper_op *op, const struct keeper_result *result)
{
    (void)op;
    note("multi %d of %d", (int)result->code, (int)result->part_count);
    for (int32_t index = 0; index < result->part_count; index++)
        part_codes[index] = result->parts[index].code;
    if (result->code == KEEPER_OK)
        note("czxid is zxid: %d", result->parts[1].stat->czxid == result->zxid);
}

static void a_multi_is_all_or_nothing(void **state)
{
    struct keeper_op op = {.done = on_multi};
    const struct keeper_multi_op good[] = {
        {.kind = KEEPER_MULTI_CREATE, .path = "/m", .flags = KEEPER_EPHEMERAL},
        {.kind = KEEPER_MULTI_SET_DATA, .path = "/m", .data = SLICE_LITERAL("x"), .version = 0},
        {.kind = KEEPER_MULTI_CHECK, .path = "/m", .version = 1},
    };
    const struct keeper_multi_op bad[] = {
        {.kind = KEEPER_MULTI_CREATE, .path = "/n"},
        {.kind = KEEPER_MULTI_CHECK, .path = "/m", .version = 7},
        {.kind = KEEPER_MULTI_DELETE, .path = "/m", .version = -1},
    };
    (void)state;
    begin_with_keeper("node0:2181");
    keeper_client_multi(world.client, &op, good, ARRAY_COUNT(good));
    wait_for_note("multi 0 of 3");
    keeper_client_multi(world.client, &op, bad, ARRAY_COUNT(bad));
    wait_for_note("multi -103 of 3");
    expect_notes("multi 0 of 3; czxid is zxid: 1; multi -103 of 3");
    assert_int_equal(part_codes[0], KEEPER_OK);
    assert_int_equal(part_codes[1], KEEPER_BAD_VERSION);
    assert_int_equal(part_codes[2], KEEPER_RUNTIME_INCONSISTENCY);
    end();
}

static void a_chroot_is_put_on_and_taken_off(void **state)
{
    struct noted_op ops[4];
    struct noted_watch watch;
    (void)state;
    begin_with_keeper("node2:2181,node0:2181/r");
    keeper_client_create(
        world.client, op_of(&ops[0], "root"),
        (struct keeper_create){.path = "/r", .data = SLICE_NULL, .is_outside_chroot = true});
    create(&ops[1], "a", "/a", "1", 0);
    keeper_client_get_children(world.client, op_of(&ops[2], "list"), "/", watch_of(&watch, "w"));
    create(&ops[3], "b", "/b", "1", 0);
    wait_for_note("b at /b");
    expect_notes("root at /; a at /a; list: 1 children; w fired 4; b at /b");
    end();
}

static void watches_fire_once_and_before_the_change_is_seen(void **state)
{
    struct noted_op ops[8];
    struct noted_watch data, children, missing;
    (void)state;
    begin_with_keeper("node0:2181");
    create(&ops[0], "a", "/a", "1", 0);
    keeper_client_get_data(world.client, op_of(&ops[1], "get"), "/a", watch_of(&data, "data"));
    keeper_client_get_children(world.client, op_of(&ops[2], "list"), "/a",
                               watch_of(&children, "children"));
    keeper_client_exists(world.client, op_of(&ops[3], "exists"), "/a/b",
                         watch_of(&missing, "missing"));
    create(&ops[4], "b", "/a/b", "", 0);
    set(&ops[5], "set", "/a", "2");
    set(&ops[6], "set again", "/a", "3");
    keeper_client_get_data(world.client, op_of(&ops[7], "get again"), "/a", NULL);
    wait_for_note("get again = 3");
    expect_notes("a at /a; get = 1; list: 0 children; exists NONODE; missing fired 1; "
                 "children fired 4; b at /a/b; data fired 3; set; set again; get again = 3");
    end();
}

static void a_deletion_ends_all_watches_of_the_node(void **state)
{
    struct noted_op ops[4];
    struct noted_watch data, children;
    (void)state;
    begin_with_keeper("node0:2181");
    create(&ops[0], "a", "/a", "1", 0);
    keeper_client_get_data(world.client, op_of(&ops[1], "get"), "/a", watch_of(&data, "data"));
    keeper_client_get_children(world.client, op_of(&ops[2], "list"), "/a",
                               watch_of(&children, "children"));
    wait_for_note("list: 0 children");
    keeper_client_disarm(world.client, &data.watch);
    keeper_client_delete(world.client, op_of(&ops[3], "delete"), "/a", -1);
    wait_for_note("delete");
    expect_notes("a at /a; get = 1; list: 0 children; children fired 2; delete");
    end();
}

/* kill -9 of the keeper: the session, its ephemeral and its watches live on. */
static void a_session_outlives_its_keeper(void **state)
{
    struct noted_op ops[6];
    struct noted_watch data;
    (void)state;
    begin_with_keeper("node0:2181");
    const int64_t session_id = keeper_client_session_id(world.client);
    create(&ops[0], "e", "/e", "1", KEEPER_EPHEMERAL);
    keeper_client_get_data(world.client, op_of(&ops[1], "get"), "/e", watch_of(&data, "data"));
    wait_for_note("get = 1");
    world.note_count = 0;

    set(&ops[2], "in flight", "/e", "2"); /* Not yet with the keeper. */
    sim_node_kill(world.sim.nodes[0]);
    wait_for_note("disconnected");
    keeper_client_get_data(world.client, op_of(&ops[3], "waits"), "/e", NULL);
    assert_int_equal(keeper_client_state(world.client), KEEPER_CONNECTING);
    sim_node_start(world.sim.nodes[0], keeper_process, NULL);
    wait_for_note("waits = 1");
    expect_notes("in flight CONNECTIONLOSS; disconnected; connected; waits = 1");
    assert_true(keeper_client_session_id(world.client) == session_id);
    set(&ops[4], "set", "/e", "3");
    wait_for_note("set");
    expect_notes("data fired 3; set");
    end();
}

static void a_cut_off_client_learns_that_it_expired(void **state)
{
    struct noted_op ops[4];
    struct noted_watch data;
    (void)state;
    begin_with_keeper("node0:2181");
    create(&ops[0], "e", "/e", "1", KEEPER_EPHEMERAL);
    keeper_client_get_data(world.client, op_of(&ops[1], "get"), "/e", watch_of(&data, "data"));
    wait_for_note("get = 1");
    world.note_count = 0;
    sim_net_partition(&world.sim, 1u << 0);
    set(&ops[2], "set", "/e", "2");
    wait_ms(20000);
    expect_notes("set CONNECTIONLOSS; disconnected");
    keeper_client_get_data(world.client, op_of(&ops[3], "waits"), "/e", NULL);
    sim_net_heal(&world.sim);
    wait_for_note("expired");
    expect_notes("waits SESSIONEXPIRED; data fired -1; expired");
    assert_int_equal(keeper_client_state(world.client), KEEPER_IDLE);

    keeper_client_get_data(world.client, op_of(&ops[0], "too late"), "/e", NULL);
    expect_notes(""); /* Never inside the call. */
    wait_for_note("too late SESSIONEXPIRED");
    keeper_client_start(world.client);
    wait_for_note("connected");
    keeper_client_get_data(world.client, op_of(&ops[1], "get"), "/e", NULL);
    wait_for_note("get NONODE");
    end();
}

static void an_idle_session_is_kept_alive(void **state)
{
    struct noted_op op;
    (void)state;
    begin_with_keeper("node0:2181");
    create(&op, "e", "/e", "1", KEEPER_EPHEMERAL);
    wait_for_note("e at /e");
    wait_ms(60000);
    keeper_client_get_data(world.client, op_of(&op, "get"), "/e", NULL);
    wait_for_note("get = 1");
    expect_notes("e at /e; get = 1");
    end();
}

static uint32_t quiet_count;

static void on_quiet(struct keeper_op *op, const struct keeper_result *result)
{
    (void)op;
    (void)result;
    quiet_count++;
}

/* More than one setWatches message can hold. */
static void many_watches_are_armed_again(void **state)
{
    enum { count = 2000 };
    static struct keeper_op ops[count];
    static struct noted_watch watches[count];
    static char paths[count][128];
    struct noted_op op;
    (void)state;
    begin_with_keeper("node0:2181");
    quiet_count = 0;
    for (int index = 0; index < count; index++) {
        snprintf(paths[index], sizeof paths[index], "/%0*d", 100, index);
        ops[index] = (struct keeper_op){.done = on_quiet};
        keeper_client_exists(world.client, &ops[index], paths[index],
                             watch_of(&watches[index], "w"));
    }
    while (quiet_count < count)
        io_run(world.node->io, UINT64_MAX);
    sim_net_reset(&world.sim, 1);
    wait_for_note("connected");
    create(&op, "first", paths[0], "", 0);
    wait_for_note("w fired 1");
    world.note_count = 0;
    create(&op, "last", paths[count - 1], "", 0);
    wait_for_note("w fired 1");
    for (int index = 1; index < count - 1; index++)
        keeper_client_disarm(world.client, &watches[index].watch);
    end();
}

/* ---- tests: a peer with a script ---- */

struct peer {
    struct net *net;
    struct io_address address;
    uint32_t connection_count;
    void (*on_frame)(struct net_connection *connection, const uint8_t *frame, size_t size);
    bool is_silent;
    int32_t timeout_ms; /* Of the connect reply. */
};

static struct peer peer;

static bool peer_on_open(struct net_connection *connection)
{
    (void)connection;
    peer.connection_count++;
    return true;
}

static struct net_verdict peer_on_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void push_bytes(struct net_connection *connection, const uint8_t *bytes, uint32_t size)
{
    struct net_message *message =
        net_message_acquire(&world.heap, (struct net_message_options){.capacity = size + 4});
    assert_non_null(message);
    store_u32(message->data, size);
    memcpy(message->data + 4, bytes, size);
    message->size = size + 4;
    net_push(connection, message);
}

static void push_header(struct net_connection *connection, int32_t xid, int32_t code)
{
    uint8_t header[16];
    store_i32(header, xid);
    store_i64(header + 4, 1);
    store_i32(header + 12, code);
    push_bytes(connection, header, sizeof header);
}

/* The first frame is the connect request; its reply is 36 bytes long, as of an old server. */
static void peer_on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    uint8_t reply[36] = {0};
    if (connection->user == NULL) {
        connection->user = &peer;
        assert_int_equal(size, 45);
        if (peer.is_silent)
            return;
        store_i32(reply + 4, peer.timeout_ms);
        store_i64(reply + 8, peer.timeout_ms > 0 ? 77 : 0);
        store_i32(reply + 16, 16);
        push_bytes(connection, reply, sizeof reply);
    } else if (peer.on_frame != NULL) {
        peer.on_frame(connection, data, size);
    }
}

static void peer_on_close(struct net_connection *connection, const char *reason)
{
    (void)connection;
    (void)reason;
}

static const struct net_handler peer_handler = {
    .on_open = peer_on_open,
    .on_length = peer_on_length,
    .on_frame = peer_on_frame,
    .on_close = peer_on_close,
};

static void begin_with_peer(int32_t timeout_ms)
{
    begin();
    peer = (struct peer){.timeout_ms = timeout_ms};
    make_client("node1:2181");
    peer.address = sim_net_address(1, 2181);
    assert_int_equal(net_listen(world.net, &peer.address, &peer_handler, NULL), ERR_OK);
}

static void answer_with_wrong_xid(struct net_connection *connection, const uint8_t *frame,
                                  size_t size)
{
    (void)size;
    push_header(connection, load_i32(frame) + 1, 0);
}

static void answer_with_rubbish(struct net_connection *connection, const uint8_t *frame,
                                size_t size)
{
    uint8_t reply[21] = {0};
    (void)size;
    memcpy(reply, frame, 4);
    store_i32(reply + 16, 1000); /* A length that is not there. */
    push_bytes(connection, reply, sizeof reply);
}

static void answer_too_large(struct net_connection *connection, const uint8_t *frame, size_t size)
{
    static uint8_t large[5 << 20];
    (void)size;
    memcpy(large, frame, 4);
    push_bytes(connection, large, sizeof large);
}

static void a_reply_out_of_order_ends_the_connection(void **state)
{
    struct noted_op op;
    (void)state;
    begin_with_peer(2000);
    wait_for_note("connected");
    peer.on_frame = answer_with_wrong_xid;
    keeper_client_get_data(world.client, op_of(&op, "get"), "/a", NULL);
    wait_for_note("disconnected");
    expect_notes("connected; get CONNECTIONLOSS; disconnected");
    peer.on_frame = NULL;
    wait_for_note("connected");
    end();
}

static void a_reply_that_cannot_be_read_is_told(void **state)
{
    struct noted_op op;
    (void)state;
    begin_with_peer(2000);
    wait_for_note("connected");
    peer.on_frame = answer_with_rubbish;
    keeper_client_get_data(world.client, op_of(&op, "get"), "/a", NULL);
    wait_for_note("get MARSHALLINGERROR");
    end();
}

static void a_reply_too_large_ends_the_connection(void **state)
{
    struct noted_op op;
    (void)state;
    begin_with_peer(2000);
    wait_for_note("connected");
    peer.on_frame = answer_too_large;
    keeper_client_get_data(world.client, op_of(&op, "get"), "/a", NULL);
    wait_for_note("get CONNECTIONLOSS");
    peer.on_frame = NULL;
    end();
}

static void a_silent_keeper_is_left(void **state)
{
    (void)state;
    begin_with_peer(2000);
    wait_for_note("connected");
    const uint64_t since_ns = world.sim.now_ns;
    wait_for_note("disconnected");
    assert_in_range((world.sim.now_ns - since_ns) / 1000000, 1300, 1400);
    end();
}

static void a_handshake_has_a_limit(void **state)
{
    (void)state;
    begin_with_peer(2000);
    peer.is_silent = true;
    wait_ms(10000);
    assert_in_range(peer.connection_count, 4, 6);
    expect_notes("");
    end();
}

static void an_expired_answer_ends_the_session(void **state)
{
    struct noted_op op;
    (void)state;
    begin_with_peer(0);
    keeper_client_get_data(world.client, op_of(&op, "get"), "/a", NULL);
    wait_for_note("expired");
    expect_notes("get SESSIONEXPIRED; expired");
    end();
}

static void dials_slow_down_while_nobody_answers(void **state)
{
    (void)state;
    begin();
    make_client("node2:2181");
    wait_ms(30000);
    assert_in_range(world.sim.counters.connections, 0, 80);
    expect_notes("");
    end();
}

static void it_stops_in_every_state(void **state)
{
    (void)state;
    begin();
    make_client("node2:2181");
    end(); /* Before the first dial is over. */
    begin_with_peer(2000);
    end();
    begin_with_peer(2000);
    peer.is_silent = true;
    wait_ms(100);
    end();
    begin_with_peer(2000); /* The close request is not answered. */
    wait_for_note("connected");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_answered_in_order),
        cmocka_unit_test(a_multi_is_all_or_nothing),
        cmocka_unit_test(a_chroot_is_put_on_and_taken_off),
        cmocka_unit_test(watches_fire_once_and_before_the_change_is_seen),
        cmocka_unit_test(a_deletion_ends_all_watches_of_the_node),
        cmocka_unit_test(a_session_outlives_its_keeper),
        cmocka_unit_test(a_cut_off_client_learns_that_it_expired),
        cmocka_unit_test(an_idle_session_is_kept_alive),
        cmocka_unit_test(many_watches_are_armed_again),
        cmocka_unit_test(a_reply_out_of_order_ends_the_connection),
        cmocka_unit_test(a_reply_that_cannot_be_read_is_told),
        cmocka_unit_test(a_reply_too_large_ends_the_connection),
        cmocka_unit_test(a_silent_keeper_is_left),
        cmocka_unit_test(a_handshake_has_a_limit),
        cmocka_unit_test(an_expired_answer_ends_the_session),
        cmocka_unit_test(dials_slow_down_while_nobody_answers),
        cmocka_unit_test(it_stops_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
