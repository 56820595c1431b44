/* A keeper that is given another state by the admin command `restore`, in the simulated world:
 * power loss at every write boundary, bodies that are damaged at every byte, and what clients see.
 *
 * The server is a process on node 0; the test itself is the operator and the clients, on node 1.
 */
#include "server/keeper/keeper_server.h"
#include "test/keeper_driver.h"

#include "base/bytes.h"
#include "keeper/snapshot_writer.h"
#include "sim/sim_keeper_client.h"
#include "sim/sim_node.h"

enum {
    body_bytes_max = 1 << 20,
    answer_bytes_max = 1 << 20,
    old_count = 5,
    refused_count = 40,
    second_ns = 1000000000,
    ms_ns = 1000000,
    timeout_ms = 4000,
};

static const char authorized[] = "Authorization: digest a:b\r\n";

/* What is restored. */
struct body {
    size_t size;
    uint8_t bytes[body_bytes_max];
    uint64_t digest;    /* Of its tree. */
    int64_t session_id; /* One of its sessions. */
};

struct world {
    struct sim sim;
    struct sim_node *node;        /* Of the server. */
    struct io *io;                /* Ours. */
    struct heap heap;             /* Ours. */
    struct keeper_server *server; /* NULL: it has not started. */
    bool is_stopping;
    bool is_freed; /* It has stopped and left nothing behind. */
    char config[512];
    struct sim_keeper_client client;
    struct sim_link http;
    char answer[answer_bytes_max];
    size_t answer_size;
};

static struct world world;
static struct body body;

/* ---- the server's process ---- */

static void serve(struct sim_node *node, void *argument)
{
    static struct keeper_config config;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    const struct config_source source = {"zoo.cfg", slice_from_text(world.config)};
    struct keeper_server *server;
    (void)argument;
    assert_int_equal(ERR_OK, keeper_config_load(&config, &node->heap, node->diag, source));
    const size_t used_bytes = node->heap.used_bytes;
    if (keeper_server_start(&server, &shard, &config) != ERR_OK)
        return;
    world.server = server;
    while (!world.is_stopping)
        io_run(node->io, ms_ns);
    keeper_server_stop(server, NULL, NULL);
    while (!keeper_server_is_stopped(server))
        io_run(node->io, UINT64_MAX);
    keeper_server_free(server);
    world.server = NULL;
    world.is_freed = node->heap.used_bytes == used_bytes;
}

static bool is_serving(void *context)
{
    (void)context;
    return (world.server != NULL && world.server->phase == KEEPER_SERVER_SERVING) ||
           !sim_node_is_up(world.node);
}

static void start_server(void)
{
    world.server = NULL;
    sim_node_start(world.node, serve, NULL);
    (void)sim_run(&world.sim, world.sim.now_ns + (uint64_t)60 * second_ns, is_serving, NULL);
    assert_true(sim_node_is_up(world.node) && world.server != NULL);
}

/* Stops it in good order; nothing of its memory is left. */
static void stop_server(void)
{
    world.is_stopping = true;
    assert_true(sim_node_wait(world.node, world.sim.now_ns + (uint64_t)60 * second_ns));
    assert_int_equal(SIM_NODE_RETURNED, world.node->end);
    assert_true(world.is_freed);
    world.is_stopping = false;
}

static void begin(const char *more)
{
    memset(&world, 0, sizeof world);
    snprintf(world.config, sizeof world.config,
             "dataDir=/data\nclientPort=2181\ntickTime=2000\ndisk.reserveMb=0\npreAllocSize=64\n"
             "memory.limitMb=128\nadmin.rateLimiterIntervalInMS=0\n%s",
             more);
    sim_init(&world.sim, (struct sim_options){.seed = 1, .node_count = 2});
    world.node = world.sim.nodes[0];
    world.io = world.sim.nodes[1]->io;
    heap_init(&world.heap, (struct heap_options){.limit_bytes = 64 << 20, .tracked = true});
    sim_keeper_client_init(&world.client, world.io, &world.heap);
    sim_link_init(&world.http, world.io, &world.heap);
    start_server();
}

static void end(void)
{
    sim_link_close(&world.http);
    sim_link_close(&world.client.link);
    heap_deinit(&world.heap);
    sim_deinit(&world.sim);
}

/* ---- the operator ---- */

static struct io_address address_of(uint16_t port)
{
    struct io_address address;
    assert_int_equal(0, io_resolve(world.io, "10.0.0.1", port, &address));
    return address;
}

static bool http_open(void)
{
    sim_link_close(&world.http);
    return sim_link_open(&world.http, address_of(8080), second_ns);
}

static bool http_send(const void *bytes, size_t size)
{
    return sim_link_send(&world.http, slice_of(bytes, size), second_ns);
}

struct receive {
    struct io_op op;
    bool is_done;
    int64_t result;
};

static void on_receive(struct io_op *op, int64_t result)
{
    struct receive *receive = CONTAINER_OF(op, struct receive, op);
    receive->is_done = true;
    receive->result = result;
}

/* The next bytes; false: none will come, or the server's power went. */
static bool http_receive(void)
{
    struct receive receive = {.op = {.kind = IO_RECV, .handle = world.http.handle}};
    receive.op.done = on_receive;
    receive.op.read.data = world.answer + world.answer_size;
    receive.op.read.size = sizeof world.answer - 1 - world.answer_size;
    io_submit(world.io, &receive.op);
    while (!receive.is_done && sim_node_is_up(world.node))
        io_run(world.io, 10 * ms_ns);
    if (!receive.is_done)
        io_cancel(world.io, &receive.op);
    while (!receive.is_done)
        io_run(world.io, UINT64_MAX);
    if (receive.result <= 0)
        return false;
    world.answer_size += (size_t)receive.result;
    world.answer[world.answer_size] = '\0';
    return true;
}

/* Everything until the server closes; its status, 0: there was no answer. */
static int http_status(void)
{
    int status = 0;
    while (http_receive())
        continue;
    (void)sscanf(world.answer, "HTTP/1.1 %d", &status);
    return status;
}

static bool http_begin(const char *method, const char *path, const char *headers, size_t size)
{
    char head[512];
    const int head_size = snprintf(
        head, sizeof head, "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
        method, path, size, headers);
    world.answer_size = 0;
    world.answer[0] = '\0';
    return http_open() && http_send(head, (size_t)head_size);
}

static int ask(const char *method, const char *path, const char *headers, const void *bytes,
               size_t size)
{
    if (!http_begin(method, path, headers, size) || (size > 0 && !http_send(bytes, size)))
        return 0;
    return http_status();
}

static int restore(const void *bytes, size_t size)
{
    return ask("POST", "/commands/restore", authorized, bytes, size);
}

static const char *answer_body(void)
{
    const char *at = strstr(world.answer, "\r\n\r\n");
    assert_non_null(at);
    return at + 4;
}

/* ---- a client ---- */

static void connect_client(enum sim_keeper_connect expected)
{
    sim_link_close(&world.client.link);
    assert_int_equal(expected,
                     sim_keeper_client_connect(&world.client, address_of(2181), timeout_ms));
}

static int32_t send_create(const char *path)
{
    static const struct zk_acl open_acl = {31, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    struct zk_create_request create = {.path = slice_from_text(path)};
    create.acl.items = (struct zk_acl *)(uintptr_t)&open_acl;
    create.acl.count = 1;
    return sim_keeper_client_send(&world.client, OP_CREATE, &zk_create_request_wire, &create);
}

/* Whether the reply came, and said yes. */
static bool await_reply(void)
{
    struct sim_keeper_reply reply;
    return sim_keeper_client_receive(&world.client, &reply, second_ns) && reply.code == CODE_OK;
}

static void create(const char *path)
{
    assert_int_not_equal(0, send_create(path));
    assert_true(await_reply());
}

/* ---- what is served ---- */

static const struct znode *find(const char *path)
{
    return tree_find(&world.server->keeper.tree, slice_from_text(path));
}

static uint64_t served_digest(void)
{
    return world.server->keeper.tree.digest;
}

static void write_old_state(void)
{
    connect_client(SIM_KEEPER_NEW);
    for (int index = 0; index < old_count; index++) {
        char path[16];
        snprintf(path, sizeof path, "/old%d", index);
        create(path);
    }
    /* Refused, but a transaction: the old state is ahead of the new one's. */
    for (int index = 0; index < refused_count; index++) {
        assert_int_not_equal(0, send_create("/old0"));
        assert_false(await_reply());
    }
}

/* ---- bodies ---- */

static void write_body(struct keeper *keeper)
{
    struct snapshot_writer writer;
    size_t size = 1;
    body.size = 0;
    assert_int_equal(ERR_OK, snapshot_writer_init(&writer, keeper));
    while (size > 0) {
        assert_int_equal(ERR_OK, snapshot_writer_next(&writer, body.bytes + body.size,
                                                      sizeof body.bytes - body.size, &size));
        body.size += size;
    }
    snapshot_writer_deinit(&writer);
    body.digest = keeper->tree.digest;
}

/* Some znodes of all kinds, each with so much data. zxid: 0: as it comes. */
static void make_body(int count, size_t data_bytes, int64_t zxid)
{
    static struct driver driver;
    static char data[body_bytes_max / 16];
    assert_true(data_bytes < sizeof data);
    memset(data, 'd', data_bytes);
    driver_init(&driver, driver_options());
    for (int index = 0; index < count; index++) {
        char path[16];
        arena_reset(&driver.arena);
        snprintf(path, sizeof path, "/new%d", index);
        driver_create(&driver, index % driver_connection_count, path, index % 2);
        data[data_bytes] = '\0';
        if (index % 2 == 0)
            driver_set(&driver, 0, path, data, -1);
    }
    if (zxid != 0)
        keeper_set_zxid(&driver.keeper, zxid);
    body.session_id = driver.clients[0].connection.session_id;
    write_body(&driver.keeper);
    driver_deinit(&driver);
}

/* ---- tests ---- */

static void test_restore(void **state)
{
    (void)state;
    begin("");
    write_old_state();
    make_body(20, 10000, 0);
    const int64_t zxid_before = world.server->keeper.zxid_applied;
    assert_int_equal(200, restore(body.bytes, body.size));
    assert_true(served_digest() == body.digest);
    assert_true(world.server->keeper.zxid_applied > zxid_before);
    assert_string_equal(
        "{\n  \"last_zxid\" : 34,\n  \"command\" : \"restore\",\n  \"error\" : null\n}",
        answer_body());
    assert_null(find("/old0"));
    assert_non_null(find("/new0"));
    assert_int_equal(1, world.server->stats.summaries.restore_time.count);
    /* Its own session is not in there; a session of the snapshot's is, and so is its ephemeral. */
    connect_client(SIM_KEEPER_EXPIRED);
    connect_client(SIM_KEEPER_NEW);
    create("/after");
    world.client.session_id = body.session_id;
    session_password(body.session_id, world.client.password);
    connect_client(SIM_KEEPER_RESUMED);
    create("/after2");
    assert_non_null(find("/new1"));
    const uint64_t digest = served_digest();
    stop_server();
    start_server();
    assert_true(served_digest() == digest);
    assert_non_null(find("/after2"));
    assert_int_equal(0, world.server->stats.counts.digest_mismatch_count);
    stop_server();
    end();
}

/* A snapshot of a tree that changed meanwhile: it is taken, and told. */
static void test_fuzzy_snapshot(void **state)
{
    (void)state;
    static struct driver driver;
    struct snapshot_writer writer;
    begin("");
    driver_init(&driver, driver_options());
    for (int index = 0; index < 50; index++) {
        char path[16];
        arena_reset(&driver.arena);
        snprintf(path, sizeof path, "/new%d", index);
        driver_create(&driver, 0, path, 0);
    }
    assert_int_equal(ERR_OK, snapshot_writer_init(&writer, &driver.keeper));
    assert_int_equal(
        ERR_OK, snapshot_writer_next(&writer, body.bytes, snapshot_slice_bytes_min, &body.size));
    driver_set(&driver, 0, "/new0", "later", -1);
    size_t size = 1;
    while (size > 0) {
        assert_int_equal(ERR_OK, snapshot_writer_next(&writer, body.bytes + body.size,
                                                      sizeof body.bytes - body.size, &size));
        body.size += size;
    }
    snapshot_writer_deinit(&writer);
    driver_deinit(&driver);
    assert_int_equal(200, restore(body.bytes, body.size));
    assert_int_equal(0, find("/new0")->version);
    assert_int_equal(1, world.server->stats.counts.digest_mismatch_count);
    /* From now on it is a tree like any other. */
    stop_server();
    start_server();
    assert_non_null(find("/new49"));
    assert_int_equal(0, world.server->stats.counts.digest_mismatch_count);
    stop_server();
    end();
}

/* The sessions of a snapshot live as long as those of a server that starts. */
static void test_sessions_expire(void **state)
{
    (void)state;
    begin("");
    make_body(8, 10, 0);
    assert_int_equal(200, restore(body.bytes, body.size));
    assert_non_null(find("/new1"));
    (void)sim_run(&world.sim, world.sim.now_ns + (uint64_t)60 * second_ns, NULL, NULL);
    assert_null(find("/new1"));
    assert_non_null(find("/new0"));
    assert_int_equal(0, world.server->keeper.sessions.by_id.count);
    stop_server();
    end();
}

/* ---- power loss ---- */

/* One of the two, whole, or what came between them. */
static bool check_whole(uint64_t old_digest, bool is_during_known)
{
    const bool is_new = find("/new0") != NULL;
    for (int index = 0; index < old_count; index++) {
        char path[16];
        snprintf(path, sizeof path, "/old%d", index);
        assert_int_equal(is_new, find(path) == NULL);
    }
    if (is_new)
        assert_true(served_digest() == body.digest);
    else if (find("/during") == NULL)
        assert_true(served_digest() == old_digest && !is_during_known);
    return is_new;
}

/* What is written now is there after another power loss. */
static void check_life(void)
{
    world.client.session_id = 0;
    connect_client(SIM_KEEPER_NEW);
    create("/after");
    const uint64_t digest = served_digest();
    sim_node_lose_power(world.node, SIM_LOSS_ALL);
    start_server();
    assert_non_null(find("/after"));
    assert_true(served_digest() == digest);
    sim_node_kill(world.node);
}

/* Power goes at the boundary of a restore; false: it ended before. */
static bool lose_power_at(uint64_t boundary, enum sim_loss loss, int *new_count)
{
    begin("");
    write_old_state();
    const uint64_t old_digest = served_digest();
    sim_crash_at(world.node, boundary, loss);
    const size_t half = body.size / 2;
    (void)http_begin("POST", "/commands/restore", authorized, body.size);
    (void)http_send(body.bytes, half);
    (void)send_create("/during");
    (void)http_send(body.bytes + half, body.size - half);
    const int status = http_status();
    struct sim_keeper_reply reply;
    const bool is_during_known = world.client.link.handle != io_handle_none &&
                                 sim_keeper_client_receive(&world.client, &reply, ms_ns) &&
                                 reply.code == CODE_OK;
    const bool has_crashed = !sim_node_is_up(world.node);
    sim_crash_at(world.node, 0, loss);
    if (!has_crashed) {
        assert_int_equal(200, status);
        sim_node_lose_power(world.node, loss);
    }
    start_server();
    const bool is_new = check_whole(old_digest, is_during_known);
    assert_true(is_new || status != 200);
    *new_count += is_new;
    check_life();
    end();
    return has_crashed;
}

static void power_loss(int64_t zxid)
{
    make_body(20, 10000, zxid);
    for (int loss = 0; loss < sim_loss_count; loss++) {
        uint64_t boundary = 1;
        int new_count = 0;
        while (lose_power_at(boundary, (enum sim_loss)loss, &new_count))
            boundary++;
        /* The last one came behind the restore; of the others some found the old state. */
        assert_true(boundary > 8 && new_count >= 1 && (uint64_t)new_count < boundary);
    }
}

static void test_power_loss(void **state)
{
    (void)state;
    power_loss(0);
}

static void test_power_loss_with_a_later_epoch(void **state)
{
    (void)state;
    power_loss(INT64_C(0x500000000));
}

/* Without the restored snapshot the old state must not come back: others rely on the new one. */
static void test_lost_snapshot(void **state)
{
    (void)state;
    static const int64_t zxids[] = {0, 0x500000000, 0x500000010};
    for (size_t index = 0; index < ARRAY_COUNT(zxids); index++) {
        char path[64];
        begin("");
        write_old_state();
        make_body(20, 10, zxids[index]);
        assert_int_equal(200, restore(body.bytes, body.size));
        const int64_t zxid = world.server->keeper.zxid_applied;
        world.client.session_id = 0;
        connect_client(SIM_KEEPER_NEW);
        create("/after");
        sim_node_kill(world.node);
        snprintf(path, sizeof path, "/data/version-2/snapshot.%llx", (unsigned long long)zxid);
        assert_true(sim_disk_corrupt(&world.node->disk, path, 100, 1));
        world.server = NULL;
        sim_node_start(world.node, serve, NULL);
        (void)sim_run(&world.sim, world.sim.now_ns + (uint64_t)60 * second_ns, is_serving, NULL);
        assert_null(world.server);
        end();
    }
}

/* ---- what goes wrong ---- */

static void expect_old(uint64_t digest)
{
    assert_true(served_digest() == digest);
    create("/probe");
    assert_true(served_digest() != digest);
    struct zk_delete_request delete = {.path = SLICE_LITERAL("/probe"), .version = -1};
    assert_int_not_equal(
        0, sim_keeper_client_send(&world.client, OP_DELETE, &zk_delete_request_wire, &delete));
    assert_true(await_reply());
}

/* Every flipped byte, and every length. */
static void test_bad_bodies(void **state)
{
    (void)state;
    begin("");
    write_old_state();
    make_body(8, 10, 0);
    const uint64_t digest = served_digest();
    for (size_t size = 0; size < body.size; size++) {
        /* Seals end a snapshot of an older server too, one without this or both of the parts. */
        const bool is_older = size == body.size - 21 || size == body.size - 54;
        if (!is_older)
            assert_int_equal(500, restore(body.bytes, size));
        assert_true(served_digest() == digest);
    }
    for (size_t at = 0; at < body.size; at++) {
        body.bytes[at] ^= 0x10;
        assert_int_equal(500, restore(body.bytes, body.size));
        body.bytes[at] ^= 0x10;
        assert_true(served_digest() == digest);
    }
    assert_int_equal(500, restore("", 0));
    memset(body.bytes, 'x', 200000);
    assert_int_equal(500, restore(body.bytes, 200000));
    expect_old(digest);
    assert_int_equal(2 * body.size - 2 + 2, world.server->stats.counts.restore_error_count);
    stop_server();
    end();
}

static void test_who_may(void **state)
{
    (void)state;
    begin("");
    write_old_state();
    make_body(8, 10, 0);
    const uint64_t digest = served_digest();
    const char *path = "/commands/restore";
    assert_int_equal(401, ask("POST", path, "", body.bytes, body.size));
    assert_int_equal(401,
                     ask("POST", path, "Authorization: nobody a:b\r\n", body.bytes, body.size));
    assert_int_equal(405, ask("GET", path, authorized, "", 0));
    assert_int_equal(405, ask("POST", "/commands/ruok", authorized, body.bytes, body.size));
    assert_true(served_digest() == digest);
    stop_server();
    end();

    begin("admin.restore.enabled=false\n");
    assert_int_equal(503, restore(body.bytes, body.size));
    stop_server();
    end();

    begin("admin.rateLimiterIntervalInMS=300000\n");
    assert_int_equal(500, restore(body.bytes, 10));
    assert_int_equal(429, restore(body.bytes, body.size));
    (void)sim_run(&world.sim, world.sim.now_ns + (uint64_t)300 * second_ns, NULL, NULL);
    assert_int_equal(200, restore(body.bytes, body.size));
    assert_int_equal(1, world.server->stats.counts.restore_rate_limited_count);
    stop_server();
    end();
}

/* A body that is sent when it is asked for, in chunks. */
static void test_chunks(void **state)
{
    (void)state;
    begin("");
    make_body(20, 10000, 0);
    static const char head[] =
        "POST /commands/rest HTTP/1.1\r\nConnection: close\r\nAuthorization: "
        "digest a:b\r\nExpect: 100-continue\r\nTransfer-Encoding: "
        "chunked\r\n\r\n";
    world.answer_size = 0;
    assert_true(http_open() && http_send(head, sizeof head - 1) && http_receive());
    assert_string_equal("HTTP/1.1 100 Continue\r\n\r\n", world.answer);
    world.answer_size = 0;
    for (size_t at = 0; at < body.size; at += 1000) {
        char line[16];
        const size_t size = min_size(body.size - at, 1000);
        snprintf(line, sizeof line, "%zx\r\n", size);
        assert_true(http_send(line, strlen(line)) && http_send(body.bytes + at, size) &&
                    http_send("\r\n", 2));
    }
    assert_true(http_send("0\r\n\r\n", 5));
    assert_int_equal(200, http_status());
    assert_true(served_digest() == body.digest);
    stop_server();
    end();
}

/* One at a time; and one that is given up in the middle leaves nothing behind. */
static void test_half_sent(void **state)
{
    (void)state;
    begin("");
    write_old_state();
    make_body(8, 10000, 0);
    const uint64_t digest = served_digest();
    struct sim_link first;
    assert_true(http_begin("POST", "/commands/restore", authorized, body.size));
    assert_true(http_send(body.bytes, body.size / 2));
    first = world.http;
    sim_link_init(&world.http, world.io, &world.heap);
    assert_int_equal(429, restore(body.bytes, body.size));
    sim_link_close(&first);
    (void)sim_run(&world.sim, world.sim.now_ns + second_ns, NULL, NULL);
    expect_old(digest);
    assert_int_equal(1, world.server->stats.counts.restore_error_count);
    assert_int_equal(200, restore(body.bytes, body.size));
    assert_true(served_digest() == body.digest);
    stop_server();
    end();
}

/* The server stops at any moment; the next start finds one state or the other. */
static void test_stop_in_the_middle(void **state)
{
    (void)state;
    int new_count = 0;
    make_body(20, 10000, 0);
    for (uint64_t delay = 0; delay < 60; delay++) {
        begin("");
        world.sim.faults.disk_ns_mean = ms_ns;
        world.sim.faults.sync_ns_mean = 2 * ms_ns;
        write_old_state();
        const uint64_t digest = served_digest();
        assert_true(http_begin("POST", "/commands/restore", authorized, body.size));
        if (delay > 0)
            (void)http_send(body.bytes, body.size);
        (void)sim_run(&world.sim, world.sim.now_ns + delay * ms_ns, NULL, NULL);
        stop_server();
        start_server();
        new_count += check_whole(digest, false);
        stop_server();
        end();
    }
    assert_true(new_count > 0 && new_count < 59);
}

/* A restore that waits for a write which is under way on a slow disk. */
static void begin_waiting(void)
{
    begin("");
    write_old_state();
    world.sim.faults.disk_ns_mean = ms_ns;
    world.sim.faults.sync_ns_mean = 20 * ms_ns;
    assert_true(http_begin("POST", "/commands/restore", authorized, body.size));
    assert_true(http_send(body.bytes, body.size));
    while (world.server->snapshot.step != SNAPSHOT_TASK_SYNC_HELD)
        (void)sim_run(&world.sim, world.sim.now_ns + 10000, NULL, NULL);
    world.sim.faults.sync_ns_mean = (uint64_t)5 * second_ns;
    assert_int_not_equal(0, send_create("/during"));
    while (world.server->admin.restore.phase != ADMIN_RESTORE_QUIETING)
        (void)sim_run(&world.sim, world.sim.now_ns + 10000, NULL, NULL);
    assert_int_equal(1, world.server->write_count);
    world.sim.faults.sync_ns_mean = 0;
}

static void test_waits_for_writes(void **state)
{
    (void)state;
    make_body(20, 10000, 0);
    begin_waiting();
    assert_int_equal(200, http_status());
    assert_true(served_digest() == body.digest);
    stop_server();
    end();

    /* Stopped meanwhile, with the write or the file's end first. */
    for (uint64_t step = 1; step <= 10; step++) {
        begin_waiting();
        const uint64_t digest = served_digest();
        world.sim.faults.disk_ns_mean = step * second_ns;
        stop_server();
        world.sim.faults.disk_ns_mean = 0;
        start_server();
        assert_false(check_whole(digest, false));
        assert_non_null(find("/during"));
        stop_server();
        end();
    }
}

/* Every operation of the disk fails once: all is as it was, or the process ends. */
static void test_disk_errors(void **state)
{
    (void)state;
    int status = 0;
    make_body(20, 10000, 0);
    int failed_count = 0;
    for (uint64_t boundary = 1; status != 200; boundary++) {
        begin("");
        write_old_state();
        const uint64_t digest = served_digest();
        world.node->disk.error_boundary = world.node->disk.boundary_count + boundary;
        world.node->disk.error = 28; /* ENOSPC */
        status = restore(body.bytes, body.size);
        if (status == 500) {
            failed_count++;
            sim_link_close(&world.client.link);
            connect_client(SIM_KEEPER_RESUMED);
            expect_old(digest);
            assert_int_equal(200, restore(body.bytes, body.size));
            assert_true(served_digest() == body.digest);
        } else if (status == 0) {
            assert_int_equal(SIM_NODE_FATAL, world.node->end);
            start_server();
            (void)check_whole(digest, false);
        }
        stop_server();
        end();
    }
    assert_true(failed_count > 3);
}

/* On a slow disk sessions die while the new state gets its name: nothing is written for them. */
static void test_slow_disk(void **state)
{
    (void)state;
    begin("");
    write_old_state();
    make_body(20, 10000, 0);
    world.sim.faults.disk_ns_mean = ms_ns;
    assert_true(http_begin("POST", "/commands/restore", authorized, body.size));
    assert_true(http_send(body.bytes, body.size));
    while (world.server->admin.restore.phase != ADMIN_RESTORE_NAMING)
        (void)sim_run(&world.sim, world.sim.now_ns + 10000, NULL, NULL);
    assert_int_equal(1, world.server->keeper.sessions.by_id.count);
    world.sim.faults.sync_ns_mean = (uint64_t)60 * second_ns;
    assert_int_equal(200, http_status());
    assert_true(served_digest() == body.digest);
    world.sim.faults.sync_ns_mean = 0;
    sim_node_lose_power(world.node, SIM_LOSS_ALL);
    start_server();
    assert_true(served_digest() == body.digest);
    stop_server();
    end();
}

/* What does not fit beside the old state is refused, and the old one serves on. */
static void test_too_large(void **state)
{
    (void)state;
    static const char chunk[64 << 10];
    begin("");
    write_old_state();
    const uint64_t digest = served_digest();
    make_body(1, 10, 0);
    /* A record that says that it has 200 MB of data. */
    enum { size = 200 << 20 };
    uint8_t *head = body.bytes + body.size - 59 - 5;
    store_i32(head, 5);
    memcpy(head + 4, "/huge", 5);
    store_i32(head + 9, size);
    const size_t head_size = (size_t)(head + 13 - body.bytes);
    assert_true(http_begin("POST", "/commands/restore", authorized, head_size + size));
    assert_true(http_send(body.bytes, head_size));
    for (size_t at = 0; at < size; at += sizeof chunk)
        assert_true(http_send(chunk, sizeof chunk));
    assert_int_equal(500, http_status());
    expect_old(digest);
    stop_server();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_fuzzy_snapshot),
        cmocka_unit_test(test_sessions_expire),
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_power_loss_with_a_later_epoch),
        cmocka_unit_test(test_lost_snapshot),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_who_may),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_half_sent),
        cmocka_unit_test(test_stop_in_the_middle),
        cmocka_unit_test(test_waits_for_writes),
        cmocka_unit_test(test_disk_errors),
        cmocka_unit_test(test_slow_disk),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
