/* Quorum ports in the simulated world: packets and raw bytes between a leader and its learner over
 * a network that cuts them anywhere, and peers that misbehave. */
#include "base/bytes.h"
#include "server/keeper/quorum_port.h"
#include "test/unit_test.h"
#include "zab/quorum_packet.h"

#include "sim/sim_net.h"
#include "sim/sim_node.h"

enum {
    port_number = 2888,
    packet_bytes_max = 1 << 20,
    timeout_ms = 2000,
    identity_count_max = 5,
};

/* What a callback does besides its check. */
enum act {
    ACT_NOTHING,
    ACT_CLOSE,  /* Closes the link. */
    ACT_DEINIT, /* Closes the port. */
};

/* An end: a node's port with one link that matters. */
struct end {
    struct sim_node *node;
    struct quorum_port port;
    struct quorum_link *link; /* The last one that came up; NULL: it is down. */
    struct prng expected;     /* Draws the same packets as the sender. */
    uint32_t packet_count;
    uint64_t raw_count;    /* Bytes. */
    uint64_t raw_expected; /* Then packets again. */
    uint32_t up_count, down_count, room_count;
    uint32_t pause_every; /* on_packet pauses at each n-th packet. */
    uint32_t raw_take;    /* on_bytes takes at most so many; 0: all. */
    bool is_counting;     /* Packets are not checked. */
    bool is_careless;     /* Nor are raw bytes. */
    bool is_stingy;       /* Takes nothing of raw bytes below raw_take. */
    enum act on_up_act, on_packet_act, on_room_act, on_bytes_act, on_down_act;
    const char *reason; /* Of the last on_down. */
};

static struct sim sim;
static struct end leader, learner;

static void act(struct end *end, enum act what)
{
    switch (what) {
    case ACT_NOTHING: return;
    case ACT_CLOSE: quorum_link_close(end->link, "closed by the test"); return;
    case ACT_DEINIT: quorum_port_deinit(&end->port); return;
    }
}

/* The next packet that a generator draws; its data and identities lie in static memory. */
static struct zk_quorum_packet draw_packet(struct prng *prng)
{
    static uint8_t data[packet_bytes_max];
    static struct zk_id ids[identity_count_max];
    struct zk_quorum_packet packet = {.type = (int32_t)prng_below(prng, 20),
                                      .zxid = (int64_t)prng_next(prng)};
    const uint64_t size_max = prng_chance(prng, 1, 40) ? packet_bytes_max : 200;
    const size_t size = (size_t)prng_below(prng, size_max + 1);
    memset(data, (int)prng_below(prng, 256), size);
    packet.data = prng_chance(prng, 1, 4) ? SLICE_NULL : slice_of(data, size);
    packet.identities.items = ids;
    packet.identities.count =
        prng_chance(prng, 3, 4) ? -1 : (int32_t)prng_below(prng, identity_count_max + 1);
    for (int32_t index = 0; index < packet.identities.count; index++)
        ids[index] =
            (struct zk_id){.scheme = SLICE_LITERAL("digest"),
                           .id = slice_of("some:credentials", (size_t)prng_below(prng, 16))};
    return packet;
}

static void assert_same(const struct zk_quorum_packet *a, const struct zk_quorum_packet *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->zxid, b->zxid);
    assert_true(slice_equal(a->data, b->data));
    assert_int_equal(a->identities.count, b->identities.count);
    for (int32_t index = 0; index < a->identities.count; index++) {
        assert_true(
            slice_equal(a->identities.items[index].scheme, b->identities.items[index].scheme));
        assert_true(slice_equal(a->identities.items[index].id, b->identities.items[index].id));
    }
}

static uint8_t raw_byte(uint64_t at)
{
    return (uint8_t)(at * 7 + (at >> 8));
}

static void on_up(void *context, struct quorum_link *link)
{
    struct end *end = context;
    end->up_count++;
    end->link = link;
    act(end, end->on_up_act);
}

static void on_packet(void *context, struct quorum_link *link, struct zk_quorum_packet *packet)
{
    struct end *end = context;
    assert_ptr_equal(link, end->link);
    end->packet_count++;
    if (!end->is_counting) {
        const struct zk_quorum_packet expected = draw_packet(&end->expected);
        assert_same(packet, &expected);
    }
    if (end->raw_expected > end->raw_count && packet->type == 15)
        quorum_link_set_raw(link, true);
    if (end->pause_every != 0 && end->packet_count % end->pause_every == 0)
        quorum_link_pause(link);
    act(end, end->on_packet_act);
}

static size_t on_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    struct end *end = context;
    size_t taken = (size_t)min_u64(bytes.size, end->raw_expected - end->raw_count);
    if (end->is_stingy && taken < end->raw_take && taken < end->raw_expected - end->raw_count)
        return 0;
    if (end->raw_take != 0)
        taken = min_size(taken, end->raw_take);
    for (size_t at = 0; at < taken && !end->is_careless; at++)
        assert_int_equal(bytes.data[at], raw_byte(end->raw_count + at));
    end->raw_count += taken;
    if (end->raw_count == end->raw_expected)
        quorum_link_set_raw(link, false);
    else if (end->raw_take != 0 && !end->is_stingy)
        quorum_link_pause(link);
    act(end, end->on_bytes_act);
    return taken;
}

static void on_room(void *context, struct quorum_link *link)
{
    struct end *end = context;
    assert_ptr_equal(link, end->link);
    end->room_count++;
    act(end, end->on_room_act);
}

static void on_down(void *context, struct quorum_link *link, const char *reason)
{
    struct end *end = context;
    end->down_count++;
    end->reason = reason;
    quorum_link_close(link, "again"); /* Of no consequence. */
    quorum_link_send_raw(link, SLICE_LITERAL("late"));
    end->link = NULL;
    act(end, end->on_down_act);
}

static void open_end(struct end *end, uint32_t node)
{
    const struct quorum_port_options options = {.packet_bytes_max = packet_bytes_max,
                                                .link_count_max = 3,
                                                .connect_timeout_ms = timeout_ms,
                                                .unsent_bytes_max = 32 << 20};
    const struct quorum_port_handler handler = {on_up, on_packet, on_bytes, on_room, on_down, end};
    memset(end, 0, sizeof *end);
    end->node = sim.nodes[node];
    prng_init(&end->expected, 77);
    assert_int_equal(quorum_port_init(&end->port, end->node->io, &end->node->heap, end->node->diag,
                                      options, handler),
                     ERR_OK);
}

static void listen_leader(void)
{
    struct io_address address = sim_net_address(0, port_number);
    assert_int_equal(quorum_port_listen(&leader.port, &address), ERR_OK);
}

static struct quorum_link *dial_leader(void)
{
    const struct io_address address = sim_net_address(0, port_number);
    return quorum_port_dial(&learner.port, &address);
}

static void begin(uint64_t seed, struct sim_faults faults)
{
    sim_init(&sim, (struct sim_options){.seed = seed, .node_count = 2, .faults = faults});
    open_end(&leader, 0);
    open_end(&learner, 1);
    listen_leader();
}

static void run_ms(uint64_t ms)
{
    const uint64_t end_ns = sim.now_ns + ms * 1000000;
    while (sim.now_ns < end_ns) {
        io_run(leader.node->io, 100000);
        io_run(learner.node->io, 100000);
    }
}

static void wait_until(const uint32_t *count, uint32_t value)
{
    for (uint32_t rounds = 0; *count < value; rounds++) {
        assert_true(rounds < 20000);
        run_ms(1);
    }
    assert_int_equal(*count, value);
}

static void connect(void)
{
    assert_non_null(dial_leader());
    wait_until(&leader.up_count, 1);
    wait_until(&learner.up_count, 1);
}

/* All memory comes back. */
static void finish(void)
{
    quorum_port_deinit(&leader.port);
    quorum_port_deinit(&learner.port);
    run_ms(100);
    assert_int_equal(leader.node->heap.block_count, 0);
    assert_int_equal(learner.node->heap.block_count, 0);
    assert_int_equal(leader.up_count, leader.down_count);
    assert_null(leader.link);
    assert_null(learner.link);
    sim_deinit(&sim);
}

static void send_drawn(struct end *end, struct prng *prng, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++) {
        const struct zk_quorum_packet packet = draw_packet(prng);
        quorum_link_send(end->link, &packet);
    }
}

static void send_type(struct end *end, int32_t type)
{
    const struct zk_quorum_packet packet = {.type = type, .identities = {.count = -1}};
    quorum_link_send(end->link, &packet);
}

/* ---- packets ---- */

static void exchange(struct sim_faults faults, uint32_t pause_every)
{
    enum { packet_count = 200, portion = 20 };
    struct prng down, up;
    begin(1, faults);
    connect();
    leader.pause_every = learner.pause_every = pause_every;
    prng_init(&down, 77);
    prng_init(&up, 77);
    for (uint32_t sent = portion; sent <= packet_count; sent += portion) {
        send_drawn(&leader, &down, portion);
        send_drawn(&learner, &up, portion);
        for (uint32_t rounds = 0; learner.packet_count < sent || leader.packet_count < sent;
             rounds++) {
            assert_true(rounds < 20000);
            run_ms(1);
            quorum_link_resume(leader.link);
            quorum_link_resume(learner.link);
        }
    }
    assert_int_equal(quorum_link_unsent_bytes(leader.link), 0);
    assert_true(leader.room_count > 0);
    finish();
}

static void packets_of_all_sizes_go_both_ways(void **state)
{
    (void)state;
    exchange((struct sim_faults){.delay_ns_mean = 200000}, 0);
}

static void segments_may_be_small(void **state)
{
    (void)state;
    exchange((struct sim_faults){.delay_ns_mean = 1000, .segment_bytes_max = 700}, 0);
}

static void a_link_may_pause_at_any_packet(void **state)
{
    (void)state;
    exchange((struct sim_faults){.delay_ns_mean = 200000, .segment_bytes_max = 3000}, 1);
}

static void every_byte_may_come_alone(void **state)
{
    struct prng prng;
    uint8_t bytes[2000];
    (void)state;
    begin(2, (struct sim_faults){.delay_ns_mean = 1000});
    connect();
    prng_init(&prng, 77);
    for (uint32_t number = 1; number <= 8; number++) {
        const struct zk_quorum_packet packet = draw_packet(&prng);
        const size_t size = quorum_packet_bytes(&packet);
        assert_true(size <= sizeof bytes);
        quorum_packet_encode(&packet, bytes);
        for (size_t at = 0; at < size; at++) {
            assert_int_equal(learner.packet_count, number - 1);
            quorum_link_send_raw(leader.link, slice_of(bytes + at, 1));
            for (uint32_t rounds = 0; quorum_link_unsent_bytes(leader.link) > 0; rounds++)
                run_ms(1);
            run_ms(1);
        }
        wait_until(&learner.packet_count, number);
    }
    finish();
}

static void packets_of_a_round_leave_together(void **state)
{
    (void)state;
    begin(3, (struct sim_faults){0});
    connect();
    learner.is_counting = true;
    for (uint32_t index = 0; index < 5000; index++)
        send_type(&leader, 4);
    wait_until(&learner.packet_count, 5000);
    run_ms(10);
    assert_in_range(leader.room_count, 1, 2);
    finish();
}

/* ---- raw ---- */

static void stream(struct sim_faults faults, uint32_t raw_take, bool is_stingy, uint64_t raw_bytes)
{
    static uint8_t portion[100000];
    uint64_t sent = 0;
    begin(4, faults);
    connect();
    learner.is_counting = true;
    learner.raw_expected = raw_bytes;
    learner.raw_take = raw_take;
    learner.is_stingy = is_stingy;
    send_type(&leader, 13);
    send_type(&leader, 15);
    for (uint32_t rounds = 0; learner.packet_count < 4; rounds++) {
        assert_true(rounds < 40000);
        while (sent < raw_bytes && quorum_link_unsent_bytes(leader.link) < sizeof portion) {
            const size_t size = (size_t)min_u64(sizeof portion, raw_bytes - sent);
            for (size_t at = 0; at < size; at++)
                portion[at] = raw_byte(sent + at);
            quorum_link_send_raw(leader.link, slice_of(portion, size));
            sent += size;
            if (sent == raw_bytes) {
                send_type(&leader, 10);
                send_type(&leader, 12);
            }
        }
        run_ms(1);
        quorum_link_resume(learner.link);
        assert_in_range(learner.node->heap.used_bytes, 0, 700000); /* Backpressure holds. */
    }
    assert_int_equal(learner.raw_count, raw_bytes);
    finish();
}

static void raw_bytes_go_between_packets(void **state)
{
    (void)state;
    stream((struct sim_faults){.delay_ns_mean = 100000}, 0, false, 20 << 20);
    stream((struct sim_faults){.delay_ns_mean = 100000}, 0, false, 3);
}

static void who_takes_raw_bytes_may_pause(void **state)
{
    (void)state;
    stream((struct sim_faults){.delay_ns_mean = 100000}, 20000, false, 2 << 20);
}

static void what_is_not_taken_comes_again(void **state)
{
    (void)state;
    stream((struct sim_faults){.delay_ns_mean = 10000, .segment_bytes_max = 9000}, 150000, true,
           2 << 20);
}

/* A part of a packet waits; then it turns out to be raw. */
static void what_has_come_may_turn_out_raw(void **state)
{
    (void)state;
    begin(5, (struct sim_faults){0});
    connect();
    learner.raw_expected = 3;
    const uint8_t bytes[] = {raw_byte(0), raw_byte(1), raw_byte(2)};
    quorum_link_send_raw(leader.link, slice_of(bytes, sizeof bytes));
    run_ms(10);
    assert_int_equal(learner.raw_count, 0);
    quorum_link_set_raw(learner.link, true);
    run_ms(10);
    assert_int_equal(learner.raw_count, 3);
    finish();
}

/* ---- the world ---- */

static void a_packet_cut_by_a_disconnect_is_not_handed_over(void **state)
{
    (void)state;
    begin(6, (struct sim_faults){0});
    connect();
    quorum_link_send_raw(leader.link, slice_of("\0\0\0\1\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 16));
    run_ms(10);
    quorum_link_close(leader.link, "cut");
    assert_string_equal(leader.reason, "cut");
    wait_until(&learner.down_count, 1);
    assert_int_equal(learner.packet_count, 0);
    finish();
}

static void refuse_bytes(const void *data, size_t size, const char *reason)
{
    begin(7, (struct sim_faults){0});
    connect();
    learner.is_counting = true;
    send_type(&leader, 3);
    quorum_link_send_raw(leader.link, slice_of(data, size));
    send_type(&leader, 3);
    wait_until(&learner.down_count, 1);
    assert_string_equal(learner.reason, reason);
    assert_int_equal(learner.packet_count, 1);
    finish();
}

static void malformed_packets_close_the_link(void **state)
{
    (void)state;
    refuse_bytes("\0\0\0\1\0\0\0\0\0\0\0\0\xff\xff\xff\xfe", 16, "a malformed packet");
    refuse_bytes("\0\0\0\1\0\0\0\0\0\0\0\0\x00\x10\x00\x01", 16, "a packet above the limits");
    refuse_bytes("\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xfe", 20, "a malformed packet");
    refuse_bytes("\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0", 20, "a packet above the limits");
    refuse_bytes("GET / HTTP/1.1\r\nHost: somewhere", 31, "a packet above the limits");
}

static void who_says_nothing_is_dropped(void **state)
{
    (void)state;
    begin(8, (struct sim_faults){0});
    connect();
    leader.is_counting = true;
    run_ms(timeout_ms / 2);
    assert_int_equal(leader.down_count, 0);
    run_ms(timeout_ms);
    assert_int_equal(leader.down_count, 1);
    assert_non_null(dial_leader());
    wait_until(&learner.up_count, 2);
    send_type(&learner, 11);
    run_ms(3 * timeout_ms); /* Who has said something is left alone. */
    assert_int_equal(leader.down_count, 1);
    finish();
}

static void who_does_not_read_is_dropped(void **state)
{
    static uint8_t portion[1 << 20];
    (void)state;
    begin(9, (struct sim_faults){0});
    connect();
    quorum_link_pause(learner.link);
    for (uint32_t count = 0; count < 34; count++)
        quorum_link_send_raw(leader.link, slice_of(portion, sizeof portion));
    wait_until(&leader.down_count, 1);
    assert_string_equal(leader.reason, "the peer is too slow for what is pushed to it");
    quorum_link_resume(learner.link);
    finish();
}

static void a_dial_that_fails_is_told(void **state)
{
    (void)state;
    begin(10, (struct sim_faults){0});
    quorum_port_listen_stop(&leader.port);
    run_ms(10);
    assert_non_null(dial_leader());
    assert_int_equal(learner.down_count, 0);
    wait_until(&learner.down_count, 1);
    sim_net_block(&sim, 1, 0);
    assert_non_null(dial_leader());
    run_ms(2 * timeout_ms);
    assert_int_equal(learner.down_count, 2);
    assert_int_equal(learner.up_count, 0);
    sim_net_heal(&sim);
    finish();
}

static void a_dial_may_be_called_off(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        begin(11, (struct sim_faults){.delay_ns_min = 5000000});
        if (fails)
            quorum_port_listen_stop(&leader.port);
        run_ms(20);
        struct quorum_link *link = dial_leader();
        const uint64_t id = link->id;
        assert_ptr_equal(quorum_port_find(&learner.port, id), link);
        quorum_link_pause(link);
        quorum_link_close(link, "not wanted");
        assert_int_equal(learner.down_count, 1);
        assert_null(quorum_port_find(&learner.port, id));
        run_ms(100);
        assert_int_equal(learner.up_count, 0);
        assert_int_equal(learner.down_count, 1);
        finish();
    }
}

static void so_many_links_are_accepted(void **state)
{
    (void)state;
    begin(12, (struct sim_faults){0});
    for (uint32_t count = 0; count < 5; count++)
        assert_non_null(dial_leader());
    run_ms(50);
    assert_int_equal(leader.up_count, 3);
    assert_int_equal(learner.down_count, 2);
    for (uint32_t count = 0; count < quorum_dial_count_max; count++)
        assert_non_null(dial_leader());
    assert_null(dial_leader());
    leader.on_down_act = learner.on_down_act = ACT_DEINIT;
    run_ms(50);
    finish();
}

static void a_port_is_listened_on_again(void **state)
{
    (void)state;
    begin(13, (struct sim_faults){0});
    uint64_t id_last = 0;
    for (uint32_t term = 0; term < 20; term++) {
        connect();
        assert_true(leader.link->id > id_last);
        id_last = leader.link->id;
        if (term % 2 == 0)
            quorum_port_listen_stop(&leader.port);
        quorum_port_deinit(&leader.port);
        wait_until(&learner.down_count, 1);
        quorum_port_deinit(&learner.port);
        quorum_port_deinit(&learner.port);
        run_ms(10);
        open_end(&leader, 0);
        open_end(&learner, 1);
        listen_leader();
    }
    finish();
}

/* ---- ends from within ---- */

enum { callback_count = 4 };

static enum act *act_of(struct end *end, int callback)
{
    enum act *acts[callback_count] = {&end->on_up_act, &end->on_packet_act, &end->on_room_act,
                                      &end->on_bytes_act};
    return acts[callback];
}

/* Each callback at each end closes its link or its port, while much is under way. */
static void end_from_within(int callback, enum act what, enum act on_down, bool is_leader)
{
    struct end *end = is_leader ? &leader : &learner;
    begin(14, (struct sim_faults){.delay_ns_mean = 100000, .segment_bytes_max = 500});
    leader.is_counting = learner.is_counting = true;
    leader.is_careless = learner.is_careless = true;
    learner.raw_expected = leader.raw_expected = 100;
    *act_of(end, callback) = what;
    end->on_down_act = on_down;
    assert_non_null(dial_leader());
    for (uint32_t rounds = 0; end->down_count == 0; rounds++) {
        assert_true(rounds < 1000);
        for (int index = 0; index < 10; index++) {
            if (leader.link != NULL)
                send_type(&leader, 15);
            if (learner.link != NULL)
                send_type(&learner, 15);
        }
        run_ms(1);
    }
    assert_int_equal(end->down_count, 1);
    finish();
}

static void callbacks_may_close_links_and_ports(void **state)
{
    (void)state;
    for (int callback = 0; callback < callback_count; callback++)
        for (int is_leader = 0; is_leader < 2; is_leader++) {
            end_from_within(callback, ACT_CLOSE, ACT_NOTHING, is_leader);
            end_from_within(callback, ACT_CLOSE, ACT_DEINIT, is_leader);
            end_from_within(callback, ACT_DEINIT, ACT_NOTHING, is_leader);
            end_from_within(callback, ACT_DEINIT, ACT_DEINIT, is_leader);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_of_all_sizes_go_both_ways),
        cmocka_unit_test(segments_may_be_small),
        cmocka_unit_test(a_link_may_pause_at_any_packet),
        cmocka_unit_test(every_byte_may_come_alone),
        cmocka_unit_test(packets_of_a_round_leave_together),
        cmocka_unit_test(raw_bytes_go_between_packets),
        cmocka_unit_test(who_takes_raw_bytes_may_pause),
        cmocka_unit_test(what_is_not_taken_comes_again),
        cmocka_unit_test(what_has_come_may_turn_out_raw),
        cmocka_unit_test(a_packet_cut_by_a_disconnect_is_not_handed_over),
        cmocka_unit_test(malformed_packets_close_the_link),
        cmocka_unit_test(who_says_nothing_is_dropped),
        cmocka_unit_test(who_does_not_read_is_dropped),
        cmocka_unit_test(a_dial_that_fails_is_told),
        cmocka_unit_test(a_dial_may_be_called_off),
        cmocka_unit_test(so_many_links_are_accepted),
        cmocka_unit_test(a_port_is_listened_on_again),
        cmocka_unit_test(callbacks_may_close_links_and_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
