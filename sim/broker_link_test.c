/* A link between brokers in the simulated world, against a peer that answers as the test says. */
#include "server/broker/broker_link.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "net/net.h"
#include "sim/sim_node.h"
#include "wire/gen/kafka.h"

#include <stdio.h>

enum { note_bytes = 2000, request_count = 4, round_count_max = 100000, peer_port = 9092 };

/* ---- the peer ---- */

enum peer_mood {
    PEER_ANSWERS,
    PEER_IS_SILENT,
    PEER_MUMBLES, /* Replies that are not readable. */
    PEER_CONFUSES /* Replies to nothing that was asked. */
};

struct peer {
    struct net *net;
    struct net_connection *connection;
    enum peer_mood mood;
    bool greets_badly;
    int16_t version_max; /* Of OffsetForLeaderEpoch; -1: it has none. */
    uint32_t dial_count;
    uint32_t request_count;
    char client_id[64];
};

struct world {
    struct sim sim;
    struct sim_node *node;
    struct heap heap;
    struct net *net;
    struct delay_queue delays;
    struct broker_link link;
    struct link_request requests[request_count];
    struct peer peer;
    struct broker_link_reply *kept;
    char notes[note_bytes];
    bool keeps_reply;
    bool closes_in_done;
    bool has_stopped;
};

static struct world world;

static void note(const char *format, ...) PRINTF_LIKE(1, 2);
static void note(const char *format, ...)
{
    const size_t used = strlen(world.notes);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world.notes + used, sizeof world.notes - used, format, arguments);
    va_end(arguments);
}

static void expect_notes(const char *expected)
{
    assert_string_equal(expected, world.notes);
    world.notes[0] = '\0';
}

static void wait_ms(uint64_t ms)
{
    const uint64_t end_ns = world.sim.now_ns + ms * 1000000;
    while (world.sim.now_ns < end_ns)
        io_run(world.node->io, end_ns - world.sim.now_ns);
}

static void push(struct net_connection *connection, const struct wire_record *record, int version,
                 int32_t correlation_id, const void *body)
{
    const bool has_tags =
        wire_is_flexible(record, version) && record != &kafka_api_versions_reply_wire;
    const size_t size = 8 + (has_tags ? 1u : 0u) + wire_size(record, version, body);
    struct net_message *message =
        net_message_acquire(&world.heap, (struct net_message_options){.capacity = (uint32_t)size});
    assert_non_null(message);
    struct wire_writer writer = wire_writer_of(message->data, size);
    wire_put_i32(&writer, (int32_t)size - 4);
    wire_put_i32(&writer, correlation_id);
    if (has_tags)
        wire_put_u8(&writer, 0);
    wire_encode(record, version, body, &writer);
    message->size = (uint32_t)size;
    net_push(connection, message);
}

static void peer_tell_versions(struct net_connection *connection, int32_t correlation_id)
{
    struct kafka_api_versions_reply_api_keys keys[] = {
        {.api_key = KAFKA_API_API_VERSIONS, .max_version = 4},
        {.api_key = KAFKA_API_OFFSET_FOR_LEADER_EPOCH,
         .min_version = 2,
         .max_version = world.peer.version_max}};
    struct kafka_api_versions_reply reply = {.error_code = world.peer.greets_badly ? 35 : 0};
    reply.api_keys.items = keys;
    reply.api_keys.count = world.peer.version_max < 0 ? 1 : 2;
    push(connection, &kafka_api_versions_reply_wire, 0, correlation_id, &reply);
}

static void peer_answer(struct net_connection *connection, const struct kafka_request_header *head)
{
    const struct kafka_offset_for_leader_epoch_reply reply = {.throttle_time_ms = 77};
    const struct kafka_response_header nonsense = {.correlation_id = -1}; /* As a body. */
    const struct wire_record *record = &kafka_offset_for_leader_epoch_reply_wire;
    const int32_t id = head->correlation_id;
    world.peer.request_count++;
    switch (world.peer.mood) {
    case PEER_IS_SILENT: return;
    case PEER_MUMBLES: push(connection, &kafka_response_header_wire, 0, id, &nonsense); return;
    case PEER_CONFUSES: push(connection, record, head->api_version, id + 1000, &reply); return;
    case PEER_ANSWERS: push(connection, record, head->api_version, id, &reply); return;
    }
}

static bool on_peer_open(struct net_connection *connection)
{
    world.peer.connection = connection;
    world.peer.dial_count++;
    return true;
}

static struct net_verdict on_peer_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_peer_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    struct kafka_request_header head;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const bool is_flexible =
        load_i16(data) == KAFKA_API_OFFSET_FOR_LEADER_EPOCH && load_i16(data + 2) >= 4;
    assert_int_equal(ERR_OK, wire_decode(&kafka_request_header_wire, is_flexible ? 2 : 1, &input,
                                         &arena, &head));
    snprintf(world.peer.client_id, sizeof world.peer.client_id, "%" SLICE_FORMAT,
             SLICE_ARGS(head.client_id));
    if (head.api_key == KAFKA_API_API_VERSIONS)
        peer_tell_versions(connection, head.correlation_id);
    else
        peer_answer(connection, &head);
}

static void on_peer_close(struct net_connection *connection, const char *reason)
{
    (void)reason;
    if (world.peer.connection == connection)
        world.peer.connection = NULL;
}

static const struct net_handler peer_handler = {.on_open = on_peer_open,
                                                .on_length = on_peer_length,
                                                .on_frame = on_peer_frame,
                                                .on_close = on_peer_close};

static void peer_listen(void)
{
    const struct net_options options = {.connection_count_max = 10,
                                        .receive_bytes_first = 4096,
                                        .open_reply_count_max = 100,
                                        .unsent_bytes_max = 1 << 20};
    struct io_address address;
    assert_int_equal(0, io_resolve(world.node->io, "127.0.0.1", peer_port, &address));
    assert_int_equal(
        ERR_OK, net_init(&world.peer.net, world.node->io, &world.heap, world.node->diag, options));
    assert_int_equal(ERR_OK, net_listen(world.peer.net, &address, &peer_handler, NULL));
}

static void peer_die(void)
{
    net_deinit(world.peer.net);
    world.peer.net = NULL;
    wait_ms(1);
}

/* ---- the link ---- */

static struct broker_endpoint endpoint_at(int32_t port)
{
    return (struct broker_endpoint){.listener = SLICE_LITERAL("PLAINTEXT"),
                                    .host = SLICE_LITERAL("127.0.0.1"),
                                    .port = port,
                                    .security = CONTROL_PLAINTEXT};
}

static void begin_with(struct metadata_view *view, int32_t peer_id)
{
    const struct net_options options = {.connection_count_max = 10,
                                        .receive_bytes_first = 4096,
                                        .open_reply_count_max = 100,
                                        .unsent_bytes_max = 1 << 20};
    assert_int_equal(ERR_OK,
                     net_init(&world.net, world.node->io, &world.heap, world.node->diag, options));
    delay_queue_init(&world.delays, world.node->io);
    broker_link_init(&world.link,
                     (struct broker_link_options){.io = world.node->io,
                                                  .net = world.net,
                                                  .heap = &world.heap,
                                                  .diag = world.node->diag,
                                                  .delays = &world.delays,
                                                  .view = view,
                                                  .listener = SLICE_LITERAL("PLAINTEXT"),
                                                  .peer_id = peer_id,
                                                  .in_flight_max = 2,
                                                  .reply_bytes_max = 1 << 20,
                                                  .reply_memory_bytes_max = 1 << 20,
                                                  .seed = 7,
                                                  .client_id = "broker-1-fetcher-0"});
}

static void make_world(void)
{
    memset(&world, 0, sizeof world);
    sim_init(&world.sim, (struct sim_options){.seed = 5, .node_count = 1});
    world.node = world.sim.nodes[0];
    world.peer.version_max = 4;
    heap_init(&world.heap, (struct heap_options){.limit_bytes = 64 << 20, .tracked = true});
}

static void begin(void)
{
    make_world();
    begin_with(NULL, 2);
    peer_listen();
    const struct broker_endpoint endpoint = endpoint_at(peer_port);
    broker_link_route(&world.link, &endpoint);
}

static void on_delays_stopped(struct delay_queue *delays)
{
    (void)delays;
    world.has_stopped = true;
}

static void end(void)
{
    broker_link_close(&world.link);
    delay_queue_stop(&world.delays, on_delays_stopped);
    net_deinit(world.net);
    if (world.peer.net != NULL)
        net_deinit(world.peer.net);
    wait_ms(1000);
    assert_true(world.has_stopped);
    assert_int_equal(0, world.heap.block_count);
    heap_deinit(&world.heap);
    sim_deinit(&world.sim);
}

static const void *fill(struct link_request *request, int16_t version)
{
    static struct kafka_offset_for_leader_epoch_request body;
    (void)request;
    (void)version;
    body.replica_id = 1;
    return &body;
}

static void on_done(struct link_request *request, enum err err)
{
    const int index = (int)(request - world.requests);
    const struct kafka_offset_for_leader_epoch_reply *reply = request->body;
    if (err == ERR_OK)
        note("%d: version %d, %d ms; ", index, request->version, (int)reply->throttle_time_ms);
    else
        note("%d: %s; ", index, err_text(err));
    if (err == ERR_OK && world.keeps_reply)
        world.kept = broker_link_take_reply(request);
    if (world.closes_in_done)
        broker_link_close(&world.link);
}

static void ask(int index)
{
    struct link_request *request = &world.requests[index];
    *request = (struct link_request){.request = &kafka_offset_for_leader_epoch_request_wire,
                                     .reply = &kafka_offset_for_leader_epoch_reply_wire,
                                     .api_key = KAFKA_API_OFFSET_FOR_LEADER_EPOCH,
                                     .version_min = 0,
                                     .version_max = 4,
                                     .timeout_ms = 3000,
                                     .fill = fill,
                                     .done = on_done};
    broker_link_send(&world.link, request);
}

/* ---- tests ---- */

static void requests_are_answered_in_the_highest_common_version(void **state)
{
    (void)state;
    begin();
    assert_int_equal(BROKER_LINK_IDLE, world.link.phase); /* Nothing to say: no connection. */
    ask(0);
    ask(1);
    ask(2);
    expect_notes("");
    wait_ms(100);
    expect_notes("0: version 4, 77 ms; 1: version 4, 77 ms; 2: version 4, 77 ms; ");
    assert_string_equal("broker-1-fetcher-0", world.peer.client_id);
    assert_int_equal(1, world.peer.dial_count);
    end();
}

static void an_older_peer_is_asked_in_its_version(void **state)
{
    (void)state;
    begin();
    world.peer.version_max = 3; /* Neither its header nor its body is flexible. */
    ask(0);
    wait_ms(100);
    expect_notes("0: version 3, 77 ms; ");
    end();
}

static void a_peer_without_the_api_is_not_asked(void **state)
{
    (void)state;
    begin();
    world.peer.version_max = -1;
    ask(0);
    wait_ms(100);
    expect_notes("0: a version or feature we do not know; ");
    assert_int_equal(0, world.peer.request_count);
    assert_true(broker_link_is_open(&world.link));
    end();
}

static void no_more_are_in_flight_than_allowed(void **state)
{
    (void)state;
    begin();
    world.peer.mood = PEER_IS_SILENT;
    for (int index = 0; index < request_count; index++)
        ask(index);
    wait_ms(1000);
    assert_int_equal(2, world.peer.request_count);
    assert_int_equal(2, world.link.sent_count);
    end();
    expect_notes("0: the other side is gone; 1: the other side is gone; 2: the other side is gone; "
                 "3: the other side is gone; ");
}

static void silence_ends_the_connection_and_the_next_one_serves(void **state)
{
    (void)state;
    begin();
    world.peer.mood = PEER_IS_SILENT;
    ask(0);
    wait_ms(1000);
    ask(1);
    wait_ms(1900);
    expect_notes("");
    world.peer.mood = PEER_ANSWERS;
    ask(2);
    wait_ms(1000);
    /* 1 was sent on the connection that 0 took with it. */
    expect_notes("0: it took too long; 1: the other side is gone; 2: version 4, 77 ms; ");
    assert_int_equal(2, world.peer.dial_count);
    end();
}

static void requests_wait_for_a_peer_that_is_down(void **state)
{
    (void)state;
    begin();
    peer_die();
    ask(0);
    wait_ms(2000);
    ask(1);
    wait_ms(500);
    expect_notes("");
    peer_listen();
    wait_ms(1300);
    /* The deadline is the request's, however often was dialed. */
    expect_notes("0: version 4, 77 ms; 1: version 4, 77 ms; ");
    peer_die();
    ask(2);
    wait_ms(2900);
    expect_notes("");
    wait_ms(200);
    expect_notes("2: it took too long; ");
    end();
}

static void replies_that_make_no_sense_end_the_connection(void **state)
{
    (void)state;
    begin();
    world.peer.mood = PEER_MUMBLES;
    ask(0);
    wait_ms(500);
    expect_notes("0: the bytes do not follow the format; ");
    world.peer.mood = PEER_CONFUSES;
    ask(1);
    wait_ms(500);
    expect_notes("1: the other side is gone; ");
    world.peer.mood = PEER_ANSWERS;
    world.peer.greets_badly = true;
    peer_die();
    peer_listen();
    ask(2);
    wait_ms(3100);
    expect_notes("2: it took too long; ");
    world.peer.greets_badly = false;
    ask(3);
    wait_ms(1300);
    expect_notes("3: version 4, 77 ms; ");
    end();
}

static void a_reply_may_be_kept(void **state)
{
    (void)state;
    begin();
    world.keeps_reply = true;
    ask(0);
    wait_ms(100);
    world.keeps_reply = false;
    peer_die();
    const struct kafka_offset_for_leader_epoch_reply *reply = world.kept->body;
    assert_int_equal(77, reply->throttle_time_ms);
    broker_link_reply_release(world.kept);
    expect_notes("0: version 4, 77 ms; ");
    end();
}

static void a_request_may_be_called_off(void **state)
{
    (void)state;
    begin();
    world.peer.mood = PEER_IS_SILENT;
    ask(0);
    ask(1);
    ask(2);
    wait_ms(100);
    broker_link_cancel(&world.requests[2]);
    expect_notes("2: it was called off; ");
    world.peer.mood = PEER_ANSWERS;
    broker_link_cancel(&world.requests[0]);
    expect_notes("0: it was called off; 1: the other side is gone; ");
    ask(3);
    wait_ms(1000);
    expect_notes("3: version 4, 77 ms; ");
    end();
}

static void the_link_may_be_closed_from_within_done(void **state)
{
    (void)state;
    begin();
    world.closes_in_done = true;
    ask(0);
    ask(1);
    ask(2);
    wait_ms(100);
    expect_notes("0: version 4, 77 ms; 1: the other side is gone; 2: the other side is gone; ");
    end();
}

static void a_peer_that_moves_is_found_again(void **state)
{
    (void)state;
    begin();
    world.peer.mood = PEER_IS_SILENT;
    const struct broker_endpoint nowhere = endpoint_at(1);
    const struct broker_endpoint there = endpoint_at(peer_port);
    ask(0);
    wait_ms(100);
    broker_link_route(&world.link, &nowhere);
    expect_notes(""); /* Not within somebody else's work. */
    ask(1);
    wait_ms(100);
    expect_notes("0: the other side is gone; ");
    broker_link_route(&world.link, NULL);
    wait_ms(100);
    world.peer.mood = PEER_ANSWERS;
    broker_link_route(&world.link, &there);
    wait_ms(100);
    expect_notes("1: version 4, 77 ms; ");
    end();
}

static void tell_view(struct metadata_view *view, int32_t controller_id, int32_t port)
{
    struct broker_endpoint endpoint = endpoint_at(port);
    struct broker_record brokers[] = {{.id = 2, .endpoint_count = 1, .endpoints = &endpoint}};
    const struct control_message message = {.kind = CONTROL_UPDATE_METADATA,
                                            .controller_id = controller_id,
                                            .broker_count = 1,
                                            .brokers = brokers};
    assert_int_equal(ERR_OK, metadata_view_update(view, &message));
}

static void the_controller_is_whom_the_metadata_view_says(void **state)
{
    (void)state;
    struct metadata_view view;
    make_world();
    assert_int_equal(ERR_OK,
                     metadata_view_init(&view, &world.heap, (struct metadata_view_options){0}));
    begin_with(&view, broker_link_peer_controller);
    peer_listen();
    ask(0);
    wait_ms(100);
    expect_notes("");
    tell_view(&view, 2, peer_port);
    wait_ms(100);
    expect_notes("0: version 4, 77 ms; ");
    assert_true(broker_link_is_open(&world.link));
    tell_view(&view, 3, peer_port); /* Who is not alive. */
    ask(1);
    wait_ms(3100);
    expect_notes("1: it took too long; ");
    tell_view(&view, 2, peer_port);
    ask(2);
    wait_ms(100);
    expect_notes("2: version 4, 77 ms; ");
    broker_link_close(&world.link);
    metadata_view_deinit(&view);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_in_the_highest_common_version),
        cmocka_unit_test(an_older_peer_is_asked_in_its_version),
        cmocka_unit_test(a_peer_without_the_api_is_not_asked),
        cmocka_unit_test(no_more_are_in_flight_than_allowed),
        cmocka_unit_test(silence_ends_the_connection_and_the_next_one_serves),
        cmocka_unit_test(requests_wait_for_a_peer_that_is_down),
        cmocka_unit_test(replies_that_make_no_sense_end_the_connection),
        cmocka_unit_test(a_reply_may_be_kept),
        cmocka_unit_test(a_request_may_be_called_off),
        cmocka_unit_test(the_link_may_be_closed_from_within_done),
        cmocka_unit_test(a_peer_that_moves_is_found_again),
        cmocka_unit_test(the_controller_is_whom_the_metadata_view_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
