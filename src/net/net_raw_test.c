/* Raw connections, both ends of them net's, over real sockets: requests whose end only their own
 * bytes tell, and pieces that share blocks on their way out. */
#include "base/bytes.h"
#include "base/prng.h"
#include "io/io_create.h"
#include "net/net.h"
#include "test/unit_test.h"

enum { millisecond_ns = 1000000, record_bytes_max = 1 << 20, head_bytes = 4 };

/* One end: cuts what comes into records of [size][size bytes], each byte of which is known. */
struct end {
    struct net_connection *connection;
    uint32_t record_count;
    uint32_t raw_count; /* Calls. */
    uint32_t sent_count;
    const char *reason; /* Of its close. */
};

struct fixture {
    struct io *io;
    struct net *net;
    struct heap heap;
    struct diag diag;
    uint64_t io_blocks;
    struct io_address address;
    struct end server, client;
};

static struct fixture fixture;

static uint8_t byte_of(uint32_t record, uint32_t at)
{
    return (uint8_t)(record * 7 + at * 3 + (at >> 8));
}

static bool on_accepted(struct net_connection *connection)
{
    connection->user = &fixture.server;
    fixture.server.connection = connection;
    return true;
}

static bool on_dialled(struct net_connection *connection)
{
    fixture.client.connection = connection;
    return true;
}

static void on_raw(struct net_connection *connection, struct slice bytes)
{
    struct end *end = connection->user;
    end->raw_count++;
    while (bytes.size > 0) {
        const size_t wanted =
            bytes.size < head_bytes ? head_bytes : head_bytes + load_u32(bytes.data);
        if (bytes.size < wanted) {
            net_connection_unread_until(connection, bytes.size, wanted);
            return;
        }
        for (uint32_t at = 0; at < wanted - head_bytes; at++)
            assert_int_equal(bytes.data[head_bytes + at], byte_of(end->record_count, at));
        end->record_count++;
        bytes = slice_skip(bytes, wanted);
    }
}

static void on_sent(struct net_connection *connection)
{
    struct end *end = connection->user;
    end->sent_count++;
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct end *end = connection->user;
    end->connection = NULL;
    end->reason = reason;
}

static const struct net_handler accepted_handler = {
    .on_open = on_accepted, .on_raw = on_raw, .on_close = on_close, .on_sent = on_sent};
static const struct net_handler dialled_handler = {
    .on_open = on_dialled, .on_raw = on_raw, .on_close = on_close, .on_sent = on_sent};

static void step(void)
{
    io_run(fixture.io, 5 * millisecond_ns);
}

static int set_up(void **state)
{
    const struct net_options options = {.connection_count_max = 10,
                                        .receive_bytes_first = 16 * 1024,
                                        .open_reply_count_max = 1,
                                        .unsent_bytes_max = UINT32_MAX,
                                        .push_bytes_max = 8 << 20,
                                        .backlog = 10};
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 64 << 20});
    assert_int_equal(io_create(&fixture.io, &fixture.heap, &fixture.diag, IO_CHOICE_AUTO), ERR_OK);
    fixture.io_blocks = fixture.heap.block_count;
    assert_int_equal(net_init(&fixture.net, fixture.io, &fixture.heap, &fixture.diag, options),
                     ERR_OK);
    assert_int_equal(io_resolve(fixture.io, "127.0.0.1", 0, &fixture.address), 0);
    assert_int_equal(net_listen(fixture.net, &fixture.address, &accepted_handler, NULL), ERR_OK);
    assert_int_equal(net_connect(fixture.net, &fixture.address, &dialled_handler, &fixture.client),
                     ERR_OK);
    while (fixture.server.connection == NULL || fixture.client.connection == NULL)
        step();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_deinit(fixture.net);
    while (fixture.heap.block_count > fixture.io_blocks)
        step();
    io_destroy(fixture.io);
    assert_int_equal(fixture.heap.block_count, 0);
    heap_deinit(&fixture.heap);
    return 0;
}

/* The record's bytes in rooms of piece bytes each. */
static void push_record(struct net_connection *connection, uint32_t number, uint32_t size,
                        uint32_t piece)
{
    uint8_t *room = net_push_room(connection, head_bytes);
    assert_non_null(room);
    store_u32(room, size);
    for (uint32_t at = 0; at < size; at++) {
        if (at % piece == 0)
            room = net_push_room(connection, min_u64(piece, size - at));
        assert_non_null(room);
        room[at % piece] = byte_of(number, at);
    }
}

static void wait_for_records(const struct end *end, uint32_t count)
{
    for (uint32_t rounds = 0; end->record_count < count; rounds++) {
        assert_true(rounds < 2000);
        step();
    }
    assert_int_equal(end->record_count, count);
}

static void wait_for_end(const struct end *end)
{
    for (uint32_t rounds = 0; end->reason == NULL; rounds++) {
        assert_true(rounds < 2000);
        step();
    }
}

static void records_of_all_sizes_come_whole(void **state)
{
    struct prng prng;
    (void)state;
    prng_init(&prng, 1);
    for (uint32_t number = 0; number < 300; number++) {
        const uint64_t size_max = prng_chance(&prng, 1, 50) ? record_bytes_max : 300;
        push_record(fixture.client.connection, number, (uint32_t)prng_below(&prng, size_max),
                    (uint32_t)prng_between(&prng, 1, 100000));
        if (prng_chance(&prng, 1, 3))
            wait_for_records(&fixture.server, number + 1);
    }
    wait_for_records(&fixture.server, 300);
}

static void a_record_may_come_byte_by_byte(void **state)
{
    (void)state;
    uint8_t *room = net_push_room(fixture.client.connection, 1);
    *room = 0;
    step();
    for (uint32_t at = 1; at < 4 + 5; at++) {
        const uint64_t sent = fixture.client.connection->sent_bytes;
        room = net_push_room(fixture.client.connection, 1);
        *room = at < 3 ? 0 : at == 3 ? 5 : byte_of(0, at - 4);
        while (fixture.client.connection->sent_bytes == sent)
            step();
    }
    wait_for_records(&fixture.server, 1);
    assert_true(fixture.server.raw_count <= 3); /* Of a byte, of the size, of all. */
}

static void pieces_of_a_round_leave_together(void **state)
{
    enum { count = 10000, size = 60 };
    (void)state;
    for (uint32_t number = 0; number < count; number++)
        push_record(fixture.client.connection, number, size, size);
    assert_int_equal(net_connection_unsent_bytes(fixture.client.connection), count * (4 + size));
    wait_for_records(&fixture.server, count);
    while (net_connection_unsent_bytes(fixture.client.connection) > 0)
        step();
    assert_in_range(fixture.client.sent_count, 1, 3);
}

/* Rooms are taken in blocks whose first bytes are on their way. */
static void more_is_put_behind_what_is_leaving(void **state)
{
    uint32_t number = 0;
    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t index = 0; index < round % 7; index++)
            push_record(fixture.client.connection, number++, index * 11, 7);
        io_run(fixture.io, 0);
    }
    wait_for_records(&fixture.server, number);
}

static void what_does_not_fit_ends_the_connection(void **state)
{
    (void)state;
    assert_null(net_push_room(fixture.client.connection, (8 << 20) + 1));
    assert_null(net_push_room(fixture.client.connection, 1)); /* Nothing behind a gap. */
    wait_for_end(&fixture.client);
    assert_string_equal(fixture.client.reason, "the peer is too slow for what is pushed to it");
    wait_for_end(&fixture.server);
}

static void without_memory_the_connection_ends(void **state)
{
    (void)state;
    fixture.heap.limit_bytes = fixture.heap.used_bytes + fixture.heap.kept_bytes + 100000;
    assert_null(net_push_room(fixture.client.connection, 200000));
    wait_for_end(&fixture.client);
    assert_string_equal(fixture.client.reason, "no memory is left for what is pushed");
}

#define RAW_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RAW_TEST(records_of_all_sizes_come_whole),
        RAW_TEST(a_record_may_come_byte_by_byte),
        RAW_TEST(pieces_of_a_round_leave_together),
        RAW_TEST(more_is_put_behind_what_is_leaving),
        RAW_TEST(what_does_not_fit_ends_the_connection),
        RAW_TEST(without_memory_the_connection_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
