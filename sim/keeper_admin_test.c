/* The keeper's doors for operators in the simulated world, by HTTP that is written by hand. */
#include "server/keeper/admin_command.h"
#include "server/keeper/keeper_server.h"
#include "server/keeper/metrics.h"
#include "test/unit_test.h"

#include "sim/sim_node.h"

#include <jansson.h>
#include <stdio.h>

enum {
    client_heap_bytes = 64 << 20,
    answer_bytes_max = 1 << 20,
    rounds_max = 1000000,
    second_ns = 1000000000,
};

struct client {
    struct net_connection *connection;
    char answer[answer_bytes_max + 1];
    size_t answer_size;
    bool is_closed;
};

struct world {
    struct sim sim;
    struct sim_node *node;
    struct shard shard;
    struct keeper_config config;
    struct keeper_server *server;
    size_t used_bytes_before; /* Of the node's heap, without a server. */
    struct heap heap;
    struct net *net;
    struct client client;
};

static struct world world;

/* ---- a client ---- */

static bool on_open(struct net_connection *connection)
{
    world.client.connection = connection;
    return true;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    (void)length;
    return (struct net_verdict){.kind = NET_RAW};
}

static void on_raw(struct net_connection *connection, struct slice bytes)
{
    struct client *client = &world.client;
    (void)connection;
    assert_true(client->answer_size + bytes.size <= answer_bytes_max);
    memcpy(client->answer + client->answer_size, bytes.data, bytes.size);
    client->answer_size += bytes.size;
    client->answer[client->answer_size] = '\0';
}

static void on_close(struct net_connection *connection, const char *reason)
{
    (void)connection;
    (void)reason;
    world.client.is_closed = true;
    world.client.connection = NULL;
}

static const struct net_handler client_handler = {
    .on_open = on_open,
    .on_length = on_length,
    .on_raw = on_raw,
    .on_close = on_close,
};

static void dial(const struct io_address *address)
{
    struct client *client = &world.client;
    client->answer_size = 0;
    client->answer[0] = '\0';
    client->is_closed = false;
    assert_int_equal(ERR_OK, net_connect(world.net, address, &client_handler, client));
    while (client->connection == NULL && !client->is_closed)
        io_run(world.node->io, UINT64_MAX);
    assert_non_null(client->connection);
}

static void send_bytes(const char *bytes, size_t size)
{
    struct net_message *message =
        net_message_acquire(&world.heap, (struct net_message_options){.capacity = (uint32_t)size});
    assert_non_null(message);
    memcpy(message->data, bytes, size);
    message->size = (uint32_t)size;
    net_push(world.client.connection, message);
}

static void send_text(const char *text)
{
    send_bytes(text, strlen(text));
}

static void await_close(void)
{
    for (int round = 0; round < rounds_max && !world.client.is_closed; round++)
        io_run(world.node->io, UINT64_MAX);
    assert_true(world.client.is_closed);
}

/* One request on a connection of its own; the whole answer. */
static const char *ask_at(const struct io_address *address, const char *method, const char *path,
                          const char *headers)
{
    char request[1024];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n",
             method, path, headers);
    dial(address);
    send_text(request);
    await_close();
    return world.client.answer;
}

static const char *ask(const char *method, const char *path, const char *headers)
{
    return ask_at(&world.server->admin.address, method, path, headers);
}

static void expect_status(int status, const char *answer)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0)
        fail_msg("expected %d: %s", status, answer);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void expect_json(const char *body, const char *answer)
{
    expect_status(200, answer);
    assert_string_equal(body, body_of(answer));
}

/* ---- a world with a server ---- */

static enum err try_start(const char *more)
{
    char text[1024];
    snprintf(text, sizeof text,
             "dataDir=/data\nclientPort=2181\ntickTime=100\ndisk.reserveMb=0\npreAllocSize=64\n"
             "clientPortAddress=127.0.0.1\nadmin.serverAddress=127.0.0.1\n%s",
             more);
    world.shard = (struct shard){.name = "keeper",
                                 .io = world.node->io,
                                 .heap = &world.node->heap,
                                 .diag = world.node->diag};
    const struct config_source source = {"zoo.cfg", slice_from_text(text)};
    assert_int_equal(
        ERR_OK, keeper_config_load(&world.config, &world.node->heap, world.node->diag, source));
    world.used_bytes_before = world.node->heap.used_bytes;
    return keeper_server_start(&world.server, &world.shard, &world.config);
}

static void begin(void)
{
    memset(&world, 0, sizeof world);
    sim_init(&world.sim, (struct sim_options){.seed = 1, .node_count = 1});
    world.node = world.sim.nodes[0];
}

static void start(const char *more)
{
    begin();
    assert_int_equal(ERR_OK, try_start(more));
    heap_init(&world.heap,
              (struct heap_options){.limit_bytes = client_heap_bytes, .tracked = true});
    assert_int_equal(ERR_OK, net_init(&world.net, world.node->io, &world.heap, world.node->diag,
                                      (struct net_options){.connection_count_max = 10,
                                                           .receive_bytes_first = 4096,
                                                           .open_reply_count_max = 10,
                                                           .unsent_bytes_max = 1 << 20}));
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

/* Nothing of the server's memory is left behind. */
static void stop_server(void)
{
    bool is_stopped = false;
    keeper_server_stop(world.server, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(world.node->io, UINT64_MAX);
    keeper_server_free(world.server);
    assert_int_equal(world.used_bytes_before, world.node->heap.used_bytes);
}

static void end(void)
{
    net_deinit(world.net);
    for (int round = 0; round < 100; round++)
        io_run(world.node->io, 0);
    heap_deinit(&world.heap);
    sim_deinit(&world.sim);
}

static void wait_ns(uint64_t duration_ns)
{
    struct io_op op = {.kind = IO_TIMER, .handle = io_handle_none};
    op.timer.deadline_ns = io_now_ns(world.node->io) + duration_ns;
    assert_int_equal(0, io_wait(world.node->io, &op));
}

/* ---- tests ---- */

/* Every command, by each of its names, is sound JSON that ends with the primary name. */
static void test_every_command(void **state)
{
    (void)state;
    size_t count;
    const struct admin_command *commands = admin_command_table(&count);
    start("");
    for (size_t index = 0; index < count; index++) {
        for (size_t at = 0; at < admin_command_name_count_max; at++) {
            char path[64];
            json_error_t error;
            if (commands[index].names[at] == NULL)
                continue;
            snprintf(path, sizeof path, "/commands/%s", commands[index].names[at]);
            const char *answer = ask("GET", path, "");
            const bool is_guarded = commands[index].kind != ADMIN_COMMAND_PAGE;
            expect_status(is_guarded ? 401 : 200, answer);
            json_t *json = json_loads(body_of(answer), 0, &error);
            if (!json_is_object(json) || json_object_get(json, "error") == NULL)
                fail_msg("%s: %s in %s", path, error.text, answer);
            assert_string_equal(commands[index].names[is_guarded ? at : 0],
                                json_string_value(json_object_get(json, "command")));
            json_decref(json);
        }
    }
    stop_server();
    end();
}

static void test_answers(void **state)
{
    (void)state;
    start("");
    expect_json("{\n  \"command\" : \"ruok\",\n  \"error\" : null\n}",
                ask("GET", "/commands/ruok", ""));
    expect_json("{\n  \"command\" : \"a \\\"b\",\n  \"error\" : \"Unknown command: a \\\"b\"\n}",
                ask("GET", "/commands/a%20%22b", ""));
    expect_json("{\n  \"error\" : \"server is not initialized\",\n  \"command\" : \"leader\"\n}",
                ask("GET", "/commands/lead", ""));
    expect_json("{\n  \"tracemask\" : -9223372036854775808,\n"
                "  \"command\" : \"set_trace_mask\",\n  \"error\" : null\n}",
                ask("GET", "/commands/stmk?traceMask=-9223372036854775808", ""));
    expect_json("{\n  \"error\" : \"setTraceMask requires long traceMask argument, got "
                "9223372036854775808\",\n  \"command\" : \"set_trace_mask\"\n}",
                ask("GET", "/commands/stmk?traceMask=9223372036854775808", ""));
    assert_non_null(strstr(ask("GET", "/commands", ""), "<a href=\"/commands/ruok\">ruok</a>"));
    expect_status(404, ask("GET", "/commandsx", ""));
    expect_status(400, ask("GET", "/commands/%zz", ""));
    expect_status(403, ask("TRACE", "/commands/ruok", ""));
    expect_status(405, ask("DELETE", "/commands/ruok", ""));
    expect_status(405, ask("POST", "/commands/ruok", ""));
    assert_non_null(strstr(ask("OPTIONS", "/commands/ruok", ""), "Allow: GET, HEAD, POST"));
    const char *head = ask("HEAD", "/commands/ruok", "");
    expect_status(200, head);
    assert_non_null(strstr(head, "Content-Length: 42\r\n"));
    assert_string_equal("", body_of(head));
    stop_server();
    end();
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

/* Requests that come together, or in pieces, are answered one by one and in order. */
static void test_pipelined_and_in_pieces(void **state)
{
    (void)state;
    start("");
    dial(&world.server->admin.address);
    send_text("GET /commands/gtmk HTTP/1.1\r\n\r\nGET /commands/isro HTTP/1.1\r\n\r\n"
              "POST /commands/none HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
              "GET /commands/ruok HTTP/1.1\r\nConnection: close\r\n\r\nGET /commands/dirs");
    await_close();
    const char *answer = world.client.answer;
    assert_int_equal(4, count_of(answer, "HTTP/1.1 200 OK\r\n"));
    const char *first = strstr(answer, "tracemask");
    const char *second = strstr(answer, "read_only");
    const char *third = strstr(answer, "Unknown command: none");
    const char *fourth = strstr(answer, "ruok");
    assert_true(first != NULL && first < second && second < third && third < fourth);

    const char *text = "GET /commands/ruok HTTP/1.1\r\nConnection: close\r\n\r\n";
    dial(&world.server->admin.address);
    for (size_t at = 0; text[at] != '\0'; at++) {
        send_bytes(text + at, 1);
        wait_ns(second_ns / 100);
    }
    await_close();
    expect_status(200, world.client.answer);
    stop_server();
    end();
}

static void test_bad_clients(void **state)
{
    (void)state;
    char text[3 * http_head_bytes_max];
    start("admin.idleTimeout=2000\n");
    dial(&world.server->admin.address);
    send_text("ruok\r\n\r\n");
    await_close();
    expect_status(400, world.client.answer);
    assert_non_null(strstr(world.client.answer, "Connection: close\r\n"));

    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    dial(&world.server->admin.address);
    send_bytes(text, sizeof text);
    await_close();
    expect_status(414, world.client.answer);

    /* One byte a second keeps a connection from being idle, but not for ever. */
    dial(&world.server->admin.address);
    for (int second = 0; second < 10 && !world.client.is_closed; second++) {
        send_bytes(&"GET / HTTP/1.1\r\nA: b"[second], 1);
        wait_ns(second_ns / 2);
    }
    assert_true(world.client.is_closed);
    assert_string_equal("", world.client.answer);

    /* Nor does a connection stay that says nothing more. */
    dial(&world.server->admin.address);
    send_text("GET /commands/ruok HTTP/1.1\r\n\r\n");
    const uint64_t started_ns = io_now_ns(world.node->io);
    await_close();
    expect_status(200, world.client.answer);
    assert_true(io_now_ns(world.node->io) - started_ns < 4ull * second_ns);
    stop_server();
    end();
}

/* A body is not waited for that is longer than its limit. */
static void test_long_body(void **state)
{
    (void)state;
    start("");
    dial(&world.server->admin.address);
    send_text("POST /commands/snapshot HTTP/1.1\r\nAuthorization: digest a:b\r\n"
              "Content-Length: 1000000000\r\n\r\nabc");
    await_close();
    expect_status(405, world.client.answer);
    stop_server();
    end();
}

static void set_root_acl(const char *scheme, const char *id)
{
    struct tree *tree = &world.server->keeper.tree;
    const struct zk_acl item = {.perms = ACL_ALL,
                                .id = {slice_from_text(scheme), slice_from_text(id)}};
    struct acl_entry *acl = acl_table_acquire(&tree->acls, (struct acl_list){&item, 1});
    assert_non_null(acl);
    tree_set_acl(tree, tree->root, acl);
}

static void test_authorization(void **state)
{
    (void)state;
    /* ada:secret */
    const char *ada = "ada:VTFFY3p38X0IKhZgzUit6nGpbgY=";
    start("admin.rateLimiterIntervalInMS=0\n");
    const char *path = "/commands/snap?streaming=false";
    expect_status(401, ask("GET", path, ""));
    expect_status(401, ask("GET", path, "Authorization: digest\r\n"));
    expect_status(401, ask("GET", path, "Authorization: digest a b\r\n"));
    expect_status(401, ask("GET", path, "Authorization: nobody a:b\r\n"));
    expect_status(200, ask("GET", path, "Authorization: digest a:b\r\n"));
    expect_status(405, ask("POST", path, "Authorization: digest a:b\r\n"));
    set_root_acl("digest", ada);
    expect_status(403, ask("GET", path, "Authorization: digest a:b\r\n"));
    expect_status(403, ask("GET", path, "Authorization: ip 127.0.0.1\r\n"));
    const char *answer = ask("GET", path, "Authorization: digest ada:secret\r\n");
    expect_status(200, answer);
    assert_non_null(strstr(answer, "last_zxid: 0x0\r\nsnapshot_size: "));
    /* An address counts only when it is what was shown. */
    set_root_acl("ip", "0.0.0.0/0");
    expect_status(403, ask("GET", path, "Authorization: digest ada:secret\r\n"));
    expect_status(200, ask("GET", path, "Authorization: ip\r\n"));
    stop_server();
    end();
}

static void test_snapshot(void **state)
{
    (void)state;
    static uint8_t file[answer_bytes_max];
    const char *path = "/commands/snapshot";
    const char *authorization = "Authorization: digest a:b\r\n";
    start("");
    const char *answer = ask("GET", path, authorization);
    expect_status(200, answer);
    assert_non_null(strstr(answer, "Content-Type: application/octet-stream\r\n"));
    const size_t size = world.client.answer_size - (size_t)(body_of(answer) - answer);
    struct io_op op = {.kind = IO_OPEN, .handle = io_handle_none};
    op.path.path = "/data/version-2/snapshot.0";
    op.path.flags = IO_OPEN_READ;
    const int64_t handle = io_wait(world.node->io, &op);
    op = (struct io_op){.kind = IO_READ, .handle = (int32_t)handle};
    op.read.data = file;
    op.read.size = sizeof file;
    assert_int_equal(size, io_wait(world.node->io, &op));
    assert_memory_equal(file, body_of(answer), size);
    op = (struct io_op){.kind = IO_CLOSE, .handle = (int32_t)handle};
    assert_int_equal(0, io_wait(world.node->io, &op));

    expect_status(429, ask("GET", path, authorization));
    assert_int_equal(1, world.server->stats.counts.snapshot_rate_limited_count);
    wait_ns(second_ns);
    expect_status(200, ask("GET", path, authorization));
    assert_int_equal(4, world.server->stats.summaries.snapshot_time.count +
                            world.server->stats.counts.snapshot_rate_limited_count);
    stop_server();
    end();
}

static void test_snapshot_disabled(void **state)
{
    (void)state;
    start("admin.snapshot.enabled=false\n");
    const char *answer = ask("GET", "/commands/snapshot", "Authorization: digest a:b\r\n");
    expect_status(503, answer);
    assert_string_equal("{\n  \"command\" : \"snapshot\",\n  \"error\" : null\n}", body_of(answer));
    stop_server();
    end();
}

/* Whoever asked for a snapshot may leave, and so may the server, at any moment in between. */
static void test_ends_in_the_middle(void **state)
{
    (void)state;
    for (int rounds = 0; rounds < 40; rounds++) {
        for (int is_client_first = 0; is_client_first < 2; is_client_first++) {
            start("");
            dial(&world.server->admin.address);
            send_text("GET /commands/snapshot HTTP/1.1\r\nAuthorization: digest a:b\r\n\r\n");
            for (int round = 0; round < rounds; round++)
                io_run(world.node->io, second_ns / 1000);
            if (is_client_first && world.client.connection != NULL)
                net_connection_close(world.client.connection, "changed my mind", false);
            stop_server();
            end();
        }
    }
}

static void test_metrics_page(void **state)
{
    (void)state;
    start("metricsProvider.className="
          "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n"
          "metricsProvider.httpHost=127.0.0.1\n");
    const struct io_address *address = &world.server->prometheus.address;
    assert_int_equal(7000, address->port);
    const char *answer = ask_at(address, "GET", "/metrics", "");
    expect_status(200, answer);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "# TYPE znode_count gauge\nznode_count 5.0\n"));
    assert_non_null(strstr(answer, "# TYPE readlatency summary\n"
                                   "readlatency{quantile=\"0.5\",} NaN\n"
                                   "readlatency{quantile=\"0.9\",} NaN\n"
                                   "readlatency{quantile=\"0.99\",} NaN\n"
                                   "readlatency_count 0.0\nreadlatency_sum 0.0\n"));
    assert_non_null(strstr(answer, "# TYPE ack_latency summary\n# HELP"));
    size_t count;
    int shown = 0;
    const struct metric *metrics = metrics_table(&count);
    for (size_t index = 0; index < count; index++)
        shown += metrics[index].scope == METRIC_OF_ALL;
    assert_int_equal(shown, count_of(answer, "# TYPE "));
    expect_status(404, ask_at(address, "GET", "/", ""));
    assert_non_null(strstr(ask("GET", "/commands/monitor", ""),
                           "\"readlatency{quantile=\\\"0.5\\\"}\" : \"NaN\""));
    stop_server();
    end();
}

static void make_znode(const char *parent, const char *name, const char *data)
{
    struct tree *tree = &world.server->keeper.tree;
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", parent, name);
    const struct tree_create_options options = {.path = slice_from_text(path),
                                                .data = slice_from_text(data),
                                                .acl = acl_table_share(tree->acls.open)};
    assert_non_null(tree_create(tree, tree_find(tree, slice_from_text(parent)), &options));
}

static void make_quota(const char *name)
{
    char path[2048];
    make_znode("/zookeeper/quota", name, "");
    snprintf(path, sizeof path, "/zookeeper/quota/%s", name);
    make_znode(path, "zookeeper_limits", "count=7,bytes=-1=;byteHardLimit=30");
    make_znode(path, "zookeeper_stats", "count=3,bytes=16");
}

static void make_quotas(void)
{
    char long_name[namespace_bytes_max + 2];
    memset(long_name, 'x', sizeof long_name);
    long_name[namespace_bytes_max + 1] = '\0';
    make_quota("a");
    make_quota("\"\\");
    make_quota(long_name);
    make_quota(long_name + 1);
    for (int time = 0; time < 2; time++)
        namespace_counts_add(&world.server->quota_refusals, SLICE_LITERAL("a"));
}

static void expect_lines(const char *const *lines, size_t count, const char *answer)
{
    for (size_t index = 0; index < count; index++)
        if (strstr(answer, lines[index]) == NULL)
            fail_msg("no %s in %s", lines[index], answer);
}

/* A name that is too long is left out, the longest that may be is not. */
static void test_quotas_of_namespaces(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\"a_quota_count_limit_per_namespace\" : 7,",
        "\"a_quota_bytes_limit_per_namespace\" : 30,",
        "\"a_quota_count_usage_per_namespace\" : 3,",
        "\"\\\"\\\\_quota_bytes_usage_per_namespace\" : 16,",
        "\"a_quota_exceeded_error_per_namespace\" : 2,",
    };
    start("");
    make_quotas();
    const char *answer = ask("GET", "/commands/monitor", "");
    expect_lines(lines, ARRAY_COUNT(lines), answer);
    assert_int_equal(count_of(answer, "quota_count_limit_per_namespace"), 3);
    expect_status(200, ask("GET", "/commands/srst", ""));
    assert_non_null(strstr(ask("GET", "/commands/monitor", ""),
                           "\"a_quota_exceeded_error_per_namespace\" : 0,"));
    stop_server();
    end();
}

static void test_quotas_on_the_page(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "# TYPE quota_count_limit_per_namespace gauge\n"
        "quota_count_limit_per_namespace{key=\"a\",} 7.0\n"
        "quota_count_limit_per_namespace{key=\"\\\"\\\\\",} 7.0\n"
        "quota_count_limit_per_namespace{key=\"xxx",
        "quota_bytes_limit_per_namespace{key=\"a\",} 30.0\n",
        "# TYPE quota_exceeded_error_per_namespace counter\n",
        "quota_exceeded_error_per_namespace{key=\"a\",} 2.0\n",
    };
    start("metricsProvider.className="
          "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n"
          "metricsProvider.httpHost=127.0.0.1\n");
    make_quotas();
    expect_status(200, ask("GET", "/commands/srst", ""));
    const struct io_address *address = &world.server->prometheus.address;
    expect_lines(lines, ARRAY_COUNT(lines), ask_at(address, "GET", "/metrics", ""));
    assert_non_null(strstr(ask("GET", "/commands/monitor", ""),
                           "\"quota_bytes_usage_per_namespace{key=\\\"\\\"\\\\\\\"}\" : 16.0,"));
    stop_server();
    end();
}

/* A busy admin port is told of; a busy one for metrics, which somebody asked for, ends the start.
 */
static void test_ports_in_use(void **state)
{
    (void)state;
    start("admin.serverPort=2181\n");
    assert_false(world.server->admin.is_open);
    stop_server();
    end();
    start("admin.enableServer=false\n");
    assert_false(world.server->admin.is_open);
    stop_server();
    end();

    struct io_address address;
    begin();
    assert_int_equal(0, io_resolve(world.node->io, "127.0.0.1", 7000, &address));
    assert_true(io_listen(world.node->io, &address, 1) >= 0);
    assert_int_equal(ERR_BUSY, try_start("metricsProvider.className="
                                         "org.apache.zookeeper.metrics.prometheus."
                                         "PrometheusMetricsProvider\n"
                                         "metricsProvider.httpHost=127.0.0.1\n"));
    sim_deinit(&world.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_pipelined_and_in_pieces),
        cmocka_unit_test(test_bad_clients),
        cmocka_unit_test(test_long_body),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_snapshot_disabled),
        cmocka_unit_test(test_ends_in_the_middle),
        cmocka_unit_test(test_metrics_page),
        cmocka_unit_test(test_quotas_of_namespaces),
        cmocka_unit_test(test_quotas_on_the_page),
        cmocka_unit_test(test_ports_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
