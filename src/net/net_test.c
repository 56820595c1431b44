/* net over real sockets, the same cases on both real worlds. The server is net; the clients are
 * plain sockets of this process, so that they can misbehave. */
#define _GNU_SOURCE
#include "base/bytes.h"
#include "io/io_create.h"
#include "net/net_inside.h"
#include "net/net_receiver.h"
#include "test/unit_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { held_count_max = 20000, frame_bytes_max = 4 << 20, millisecond_ns = 1000000 };

static enum io_choice choice; /* Of the world under test. */

/* What the server does with a frame. */
enum mode { ECHO, HOLD, KEEP_BUFFER, SAY_GOODBYE };

struct fixture {
    struct io *io;
    struct net *net;
    struct heap heap;
    struct diag diag;
    struct net_options options;
    struct io_address address;
    enum mode mode;
    uint64_t io_blocks; /* The world's own. */
    uint32_t line_count;
    char line[512]; /* The last. */
    uint32_t open_count, close_count, frame_count;
    bool refuses_open;
    const char *reason; /* Of the last close. */
    struct net_connection *last;
    struct net_reply *held[held_count_max];
    uint32_t held_count;
    struct net_buffer *kept;
    struct net_room kept_frame;
    uint8_t raw[64];
    uint32_t raw_size;
};

static struct fixture fixture;

static struct net_message *message_of(const void *data, size_t size)
{
    struct net_message *message = net_message_acquire(
        &fixture.heap, (struct net_message_options){.capacity = (uint32_t)size + 4});
    assert_non_null(message);
    store_u32(message->data, (uint32_t)size);
    memcpy(message->data + 4, data, size);
    message->size = (uint32_t)size + 4;
    return message;
}

static bool on_open(struct net_connection *connection)
{
    fixture.open_count++;
    fixture.last = connection;
    return !fixture.refuses_open;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    if (length == 0x72756f6b) /* "ruok" */
        return (struct net_verdict){.kind = NET_RAW};
    if (length > frame_bytes_max && length != INT32_MAX)
        return (struct net_verdict){.kind = NET_REFUSE, .reason = "the frame is too long"};
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    fixture.frame_count++;
    struct net_reply *reply = net_reply_reserve(connection);
    assert_non_null(reply);
    if (fixture.mode == HOLD) {
        assert_true(fixture.held_count < held_count_max);
        fixture.held[fixture.held_count++] = reply;
        return;
    }
    if (fixture.mode == KEEP_BUFFER) {
        fixture.kept = net_connection_buffer(connection);
        fixture.kept_frame = (struct net_room){.data = data, .size = size};
        net_buffer_acquire(fixture.kept);
    }
    net_reply_send(reply, message_of(data, size));
    if (fixture.mode == SAY_GOODBYE)
        net_connection_close(connection, "said goodbye", true);
}

static void on_raw(struct net_connection *connection, struct slice bytes)
{
    assert_true(fixture.raw_size + bytes.size <= sizeof fixture.raw);
    memcpy(fixture.raw + fixture.raw_size, bytes.data, bytes.size);
    fixture.raw_size += (uint32_t)bytes.size;
    struct net_message *message = message_of("", 0);
    memcpy(message->data, "imok", 4);
    net_push(connection, message);
    net_connection_close(connection, "answered", true);
}

static void on_close(struct net_connection *connection, const char *reason)
{
    (void)connection;
    fixture.close_count++;
    fixture.reason = reason;
}

static const struct net_handler handler = {.on_open = on_open,
                                           .on_length = on_length,
                                           .on_frame = on_frame,
                                           .on_raw = on_raw,
                                           .on_close = on_close};

static void count_line(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)diag;
    (void)level;
    fixture.line_count++;
    snprintf(fixture.line, sizeof fixture.line, "%.*s", (int)line.size, (const char *)line.data);
}

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    fixture.diag.write = count_line;
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 256 << 20});
    assert_int_equal(io_create(&fixture.io, &fixture.heap, &fixture.diag, choice), ERR_OK);
    fixture.options = (struct net_options){.connection_count_max = 20000,
                                           .receive_bytes_first = 16 * 1024,
                                           .open_reply_count_max = 1000,
                                           .unsent_bytes_max = 1 << 20,
                                           .backlog = 1000};
    return 0;
}

static void serve(void)
{
    fixture.io_blocks = fixture.heap.block_count;
    assert_int_equal(
        net_init(&fixture.net, fixture.io, &fixture.heap, &fixture.diag, fixture.options), ERR_OK);
    assert_int_equal(io_resolve(fixture.io, "127.0.0.1", 0, &fixture.address), 0);
    assert_int_equal(net_listen(fixture.net, &fixture.address, &handler, NULL), ERR_OK);
}

static void step(void)
{
    io_run(fixture.io, 5 * millisecond_ns);
}

/* Everything that net took comes back. libuv's own records of sockets go with the sockets. */
static int tear_down(void **state)
{
    (void)state;
    if (fixture.kept != NULL)
        net_buffer_release(fixture.kept);
    net_deinit(fixture.net);
    for (uint32_t index = 0; index < fixture.held_count; index++)
        net_reply_drop(fixture.held[index]);
    uint32_t rounds = 0;
    while (fixture.heap.block_count > fixture.io_blocks + (choice == IO_CHOICE_UV)) {
        assert_true(rounds++ < 1000);
        step();
    }
    io_destroy(fixture.io);
    assert_int_equal(fixture.heap.block_count, 0);
    heap_deinit(&fixture.heap);
    return 0;
}

/* Clients. */

/* A blocking connection, or -1 when it is refused. */
static int try_dial(void)
{
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(fixture.address.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(client, (struct sockaddr *)&address, sizeof address) == 0)
        return client;
    assert_int_equal(errno, ECONNREFUSED);
    close(client);
    return -1;
}

static int dial(void)
{
    const int client = try_dial();
    assert_true(client >= 0);
    assert_int_equal(fcntl(client, F_SETFL, O_NONBLOCK), 0);
    const int on = 1;
    assert_int_equal(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return client;
}

/* Sends all, letting the server run when it does not take more. */
static void say(int client, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t sent = send(client, (const uint8_t *)data + at, size - at, MSG_NOSIGNAL);
        assert_true(sent > 0 || errno == EAGAIN);
        at += sent > 0 ? (size_t)sent : 0;
        if (sent < 0)
            step();
    }
}

static void say_frame(int client, const void *data, size_t size)
{
    uint8_t length[4];
    store_u32(length, (uint32_t)size);
    say(client, length, sizeof length);
    say(client, data, size);
}

/* Receives exactly so many bytes. */
static void hear(int client, void *data, size_t size)
{
    uint32_t rounds = 0;
    for (size_t at = 0; at < size;) {
        const ssize_t got = recv(client, (uint8_t *)data + at, size - at, 0);
        assert_true(got > 0 || (got < 0 && errno == EAGAIN));
        at += got > 0 ? (size_t)got : 0;
        if (got < 0) {
            assert_true(rounds++ < 2000);
            step();
        }
    }
}

static void hear_frame(int client, const void *data, size_t size)
{
    uint8_t *bytes = heap_take(&fixture.heap, size + 4);
    hear(client, bytes, size + 4);
    assert_int_equal(load_u32(bytes), size);
    assert_memory_equal(bytes + 4, data, size);
    heap_give(&fixture.heap, bytes);
}

static void hear_text(int client, const char *text)
{
    hear_frame(client, text, strlen(text));
}

static void say_text(int client, const char *text)
{
    say_frame(client, text, strlen(text));
}

static void hear_end(int client)
{
    uint8_t byte;
    uint32_t rounds = 0;
    for (;;) {
        const ssize_t got = recv(client, &byte, 1, 0);
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return;
        assert_true(got < 0 && errno == EAGAIN);
        assert_true(rounds++ < 2000);
        step();
    }
}

static void wait_until(const uint32_t *count, uint32_t value)
{
    for (uint32_t rounds = 0; *count < value; rounds++) {
        assert_true(rounds < 2000);
        step();
    }
    assert_int_equal(*count, value);
}

static void wait_until_zero(const uint32_t *count)
{
    for (uint32_t rounds = 0; *count > 0; rounds++) {
        assert_true(rounds < 1000);
        step();
    }
}

/* Framing. */

static void a_frame_may_come_byte_by_byte(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    static const uint8_t stream[] = "\0\0\0\5hello\0\0\0\0\0\0\0\3bye";
    for (size_t at = 0; at < sizeof stream - 1; at++) {
        say(client, stream + at, 1);
        step();
    }
    hear_text(client, "hello");
    hear_text(client, "");
    hear_text(client, "bye");
    close(client);
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "the peer closed the connection");
}

static void frames_may_be_split_anywhere(void **state)
{
    (void)state;
    serve();
    static const uint8_t stream[] = "\0\0\0\5hello\0\0\0\3bye\0\0\0\4nest";
    const int client = dial();
    for (size_t at = 0; at < sizeof stream; at++) {
        say(client, stream, at);
        step();
        say(client, stream + at, sizeof stream - 1 - at);
        hear_text(client, "hello");
        hear_text(client, "bye");
        hear_text(client, "nest");
    }
    close(client);
}

static void a_large_frame_comes_whole(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    uint8_t *data = heap_take(&fixture.heap, frame_bytes_max);
    for (uint32_t at = 0; at < frame_bytes_max; at++)
        data[at] = (uint8_t)(at * 17 + (at >> 9));
    say_frame(client, data, frame_bytes_max);
    hear_frame(client, data, frame_bytes_max);
    say_text(client, "small again");
    hear_text(client, "small again");
    heap_give(&fixture.heap, data);
    close(client);
}

static void a_length_may_be_refused(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    say(client, "GET / HTTP/1.0\r\n", 16);
    hear_end(client);
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "the frame is too long");
    close(client);
}

static void a_declared_two_gibibytes_take_no_memory(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    say(client, "\x7f\xff\xff\xff", 4);
    wait_until(&fixture.open_count, 1);
    for (uint32_t round = 0; round < 10; round++)
        step();
    const size_t before = fixture.heap.used_bytes;
    assert_true(before < 1 << 20);
    static uint8_t zeros[1 << 20];
    say(client, zeros, sizeof zeros);
    for (uint32_t round = 0; round < 10; round++)
        step();
    assert_true(fixture.heap.used_bytes < before + 2 * sizeof zeros + (1 << 17));
    assert_int_equal(fixture.frame_count, 0);
    close(client);
    wait_until(&fixture.close_count, 1);
}

static void a_kept_buffer_stays_while_others_come(void **state)
{
    (void)state;
    fixture.mode = KEEP_BUFFER;
    serve();
    const int client = dial();
    say_text(client, "kept");
    hear_text(client, "kept");
    fixture.mode = ECHO;
    for (uint32_t round = 0; round < 1000; round++) {
        say_text(client, "others");
        hear_text(client, "others");
    }
    assert_int_equal(fixture.kept_frame.size, 4);
    assert_memory_equal(fixture.kept_frame.data, "kept", 4);
    close(client);
}

static void raw_bytes_are_handed_over(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    say(client, "ru", 2);
    step();
    say(client, "ok\n", 3);
    char answer[4];
    hear(client, answer, sizeof answer);
    assert_memory_equal(answer, "imok", 4);
    hear_end(client);
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "answered");
    assert_memory_equal(fixture.raw, "ruok", 4);
    close(client);
}

/* Order. */

static void send_held(uint32_t index, const char *text)
{
    struct net_reply *reply = fixture.held[index];
    fixture.held[index] = NULL;
    net_reply_send(reply, message_of(text, strlen(text)));
}

static void replies_leave_in_the_order_of_requests(void **state)
{
    (void)state;
    fixture.mode = HOLD;
    serve();
    const int client = dial();
    for (uint32_t count = 0; count < 4; count++)
        say_text(client, "?");
    wait_until(&fixture.held_count, 4);
    assert_int_equal(net_connection_open_reply_count(fixture.last), 4);
    send_held(3, "fourth");
    send_held(1, "second");
    net_reply_drop(fixture.held[2]);
    step();
    uint8_t byte;
    assert_int_equal(recv(client, &byte, 1, 0), -1);
    net_push(fixture.last, message_of("event", 5));
    send_held(0, "first");
    net_push(fixture.last, message_of("late", 4));
    hear_text(client, "event");
    hear_text(client, "first");
    hear_text(client, "second");
    hear_text(client, "fourth");
    hear_text(client, "late");
    fixture.held_count = 0;
    close(client);
}

static void replies_of_a_closed_connection_go_nowhere(void **state)
{
    (void)state;
    fixture.mode = HOLD;
    serve();
    const int client = dial();
    for (uint32_t count = 0; count < 3; count++)
        say_text(client, "?");
    wait_until(&fixture.held_count, 3);
    send_held(1, "ready behind an open one");
    net_connection_close(fixture.last, "enough", false);
    assert_int_equal(fixture.close_count, 1);
    assert_null(fixture.held[0]->connection);
    send_held(0, "to nobody");
    net_reply_drop(fixture.held[2]);
    fixture.held_count = 0;
    hear_end(client);
    close(client);
}

static void what_was_released_is_sent_before_the_close(void **state)
{
    (void)state;
    fixture.mode = SAY_GOODBYE;
    serve();
    const int client = dial();
    uint8_t *data = heap_take_zeroed(&fixture.heap, frame_bytes_max);
    say_frame(client, data, frame_bytes_max);
    say_text(client, "never answered");
    hear_frame(client, data, frame_bytes_max);
    hear_end(client);
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "said goodbye");
    assert_int_equal(fixture.frame_count, 1);
    heap_give(&fixture.heap, data);
    close(client);
}

/* Ends. */

static void a_peer_that_sent_its_last_byte_gets_its_replies(void **state)
{
    (void)state;
    fixture.mode = HOLD;
    serve();
    const int client = dial();
    say_text(client, "1");
    say_text(client, "2");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    wait_until(&fixture.held_count, 2);
    for (uint32_t round = 0; round < 5; round++)
        step();
    assert_int_equal(fixture.close_count, 0);
    send_held(0, "one");
    send_held(1, "two");
    hear_text(client, "one");
    hear_text(client, "two");
    hear_end(client);
    wait_until(&fixture.close_count, 1);
    fixture.held_count = 0;
    close(client);
}

static void a_reset_inside_a_frame_ends_the_connection(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    const struct linger now = {.l_onoff = 1};
    say(client, "\0\0\0\5hel", 7);
    wait_until(&fixture.open_count, 1);
    step();
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(client);
    wait_until(&fixture.close_count, 1);
    assert_int_equal(fixture.frame_count, 0);
    assert_int_equal(net_connection_count(fixture.net), 0);
}

static void an_idle_connection_is_closed_unless_we_owe_it_a_reply(void **state)
{
    (void)state;
    fixture.mode = HOLD;
    fixture.options.idle_timeout_ms = 80;
    serve();
    const int waiting = dial();
    say_text(waiting, "?");
    wait_until(&fixture.held_count, 1);
    const int idle = dial();
    hear_end(idle);
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "idle for too long");
    send_held(0, "late");
    fixture.held_count = 0;
    hear_text(waiting, "late");
    close(idle);
    close(waiting);
}

static void a_connection_without_a_request_is_closed(void **state)
{
    (void)state;
    fixture.options.first_frame_timeout_ms = 150;
    serve();
    const int good = dial();
    say_text(good, "hello");
    hear_text(good, "hello");
    const int slow = dial();
    say(slow, "\0\0\0\5he", 6);
    hear_end(slow);
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "no whole request in time");
    say_text(good, "still here");
    hear_text(good, "still here");
    close(slow);
    close(good);
}

static void a_peer_that_does_not_read_is_closed(void **state)
{
    (void)state;
    fixture.options.send_timeout_ms = 100;
    fixture.options.unsent_bytes_max = 16 << 20;
    serve();
    const int client = dial();
    say_text(client, "hello");
    hear_text(client, "hello");
    uint8_t *data = heap_take_zeroed(&fixture.heap, frame_bytes_max);
    for (uint32_t count = 0; count < 4; count++)
        net_push(fixture.last, message_of(data, frame_bytes_max));
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "the peer takes no bytes");
    heap_give(&fixture.heap, data);
    close(client);
}

static void a_peer_that_reads_slowly_is_not(void **state)
{
    (void)state;
    enum { slice_bytes = 256 * 1024 };
    fixture.options.send_timeout_ms = 500;
    fixture.options.unsent_bytes_max = 16 << 20;
    serve();
    const int client = dial();
    wait_until(&fixture.open_count, 1);
    uint8_t *data = heap_take_zeroed(&fixture.heap, frame_bytes_max);
    for (uint32_t count = 0; count < 3; count++)
        net_push(fixture.last, message_of(data, frame_bytes_max));
    for (uint32_t at = 0; at < 3 * (frame_bytes_max + 4); at += slice_bytes) {
        const uint64_t until_ns = io_now_ns(fixture.io) + 20 * millisecond_ns;
        while (io_now_ns(fixture.io) < until_ns)
            step();
        hear(client, data, min_size(slice_bytes, 3 * (frame_bytes_max + 4) - at));
    }
    assert_int_equal(fixture.close_count, 0);
    heap_give(&fixture.heap, data);
    close(client);
}

/* Limits. */

static void requests_without_reading_take_bounded_memory(void **state)
{
    (void)state;
    enum { request_count = 10000, request_bytes = 1000 };
    fixture.options.unsent_bytes_max = 64 * 1024;
    serve();
    const int client = dial();
    static uint8_t stream[request_count][request_bytes + 4];
    for (uint32_t index = 0; index < request_count; index++) {
        store_u32(stream[index], request_bytes);
        store_u32(stream[index] + 4, index);
    }
    /* As much as the server and the system take. */
    size_t sent = 0;
    for (uint32_t idle_rounds = 0; idle_rounds < 20; idle_rounds++) {
        const ssize_t size =
            send(client, (uint8_t *)stream + sent, sizeof stream - sent, MSG_NOSIGNAL);
        sent += size > 0 ? (size_t)size : 0;
        idle_rounds = size > 0 ? 0 : idle_rounds;
        step();
    }
    assert_true(sent < sizeof stream);
    assert_true(fixture.heap.used_bytes_max < 3 << 20);

    uint8_t answer[request_bytes + 4];
    for (uint32_t index = 0; index < request_count; index++) {
        if (sent < sizeof stream) {
            const ssize_t size =
                send(client, (uint8_t *)stream + sent, sizeof stream - sent, MSG_NOSIGNAL);
            sent += size > 0 ? (size_t)size : 0;
        }
        hear(client, answer, sizeof answer);
        assert_memory_equal(answer, stream[index], sizeof answer);
    }
    assert_true(fixture.heap.used_bytes_max < 3 << 20);
    close(client);
}

static void open_replies_are_limited(void **state)
{
    (void)state;
    fixture.mode = HOLD;
    fixture.options.open_reply_count_max = 10;
    serve();
    const int client = dial();
    for (uint32_t count = 0; count < 50; count++)
        say_text(client, "?");
    wait_until(&fixture.held_count, 10);
    for (uint32_t round = 0; round < 5; round++)
        step();
    assert_int_equal(fixture.held_count, 10);
    for (uint32_t count = 0; count < 50; count++) {
        wait_until(&fixture.frame_count, count + 10 < 50 ? count + 10 : 50);
        send_held(count, "!");
        hear_text(client, "!");
    }
    fixture.held_count = 0;
    close(client);
}

static void a_paused_connection_is_not_cut(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    wait_until(&fixture.open_count, 1);
    net_connection_pause(fixture.last);
    say_text(client, "hello");
    for (uint32_t round = 0; round < 5; round++)
        step();
    assert_int_equal(fixture.frame_count, 0);
    net_connection_resume(fixture.last);
    hear_text(client, "hello");
    close(client);
}

static void an_address_has_so_many_connections(void **state)
{
    (void)state;
    fixture.options.connection_count_max_per_address = 2;
    serve();
    const int first = dial();
    const int second = dial();
    wait_until(&fixture.open_count, 2);
    const int third = dial();
    hear_end(third);
    const int fourth = dial();
    hear_end(fourth);
    assert_int_equal(fixture.open_count, 2);
    assert_int_equal(fixture.line_count, 1);
    close(first);
    wait_until(&fixture.close_count, 1);
    const int fifth = dial();
    say_text(fifth, "hello");
    hear_text(fifth, "hello");
    close(second);
    close(third);
    close(fourth);
    close(fifth);
}

static void above_the_limit_connections_wait(void **state)
{
    (void)state;
    fixture.options.connection_count_max = 2;
    serve();
    const int first = dial();
    const int second = dial();
    const int third = dial();
    say_text(third, "hello");
    wait_until(&fixture.open_count, 2);
    for (uint32_t round = 0; round < 5; round++)
        step();
    assert_int_equal(fixture.open_count, 2);
    close(first);
    hear_text(third, "hello");
    close(second);
    close(third);
}

static void the_handler_may_refuse(void **state)
{
    (void)state;
    fixture.refuses_open = true;
    serve();
    const int client = dial();
    hear_end(client);
    assert_int_equal(fixture.close_count, 0);
    assert_int_equal(net_connection_count(fixture.net), 0);
    close(client);
}

static void an_exhausted_heap_refuses_connections(void **state)
{
    (void)state;
    serve();
    const int first = dial();
    wait_until(&fixture.open_count, 1);
    step();
    const size_t limit = fixture.heap.limit_bytes;
    fixture.heap.limit_bytes = fixture.heap.used_bytes;
    /* What the pool still has room for. */
    enum { block_bytes = sizeof(struct net_connection_state) };
    static void *blocks[slab_region_bytes / block_bytes];
    int count = 0;
    while ((blocks[count] = net_pool_take(fixture.net->pool, block_bytes)) != NULL)
        count++;
    const int second = dial();
    hear_end(second);
    while (count > 0)
        net_pool_give(fixture.net->pool, blocks[--count], block_bytes);
    fixture.heap.limit_bytes = limit;
    say_text(first, "hello");
    hear_text(first, "hello");
    close(first);
    close(second);
}

static void pushes_are_limited(void **state)
{
    (void)state;
    fixture.options.push_bytes_max = 30 << 20;
    serve();
    const int client = dial();
    wait_until(&fixture.open_count, 1);
    uint8_t *data = heap_take_zeroed(&fixture.heap, frame_bytes_max);
    for (uint32_t count = 0; count < 10; count++)
        net_push(fixture.last, message_of(data, frame_bytes_max));
    assert_int_equal(fixture.close_count, 0);
    assert_true(fixture.heap.used_bytes < 40 << 20);
    wait_until(&fixture.close_count, 1);
    assert_string_equal(fixture.reason, "the peer is too slow for what is pushed to it");
    heap_give(&fixture.heap, data);
    close(client);
}

static void without_descriptors_others_are_served(void **state)
{
    (void)state;
    serve();
    const int good = dial();
    wait_until(&fixture.open_count, 1);
    const int extra = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    close(extra);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit tight = {.rlim_cur = (rlim_t)extra + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    const int shed = dial();
    hear_end(shed);
    say_text(good, "hello");
    hear_text(good, "hello");
    assert_true(fixture.line_count >= 1);
    assert_non_null(strstr(fixture.line, "LimitNOFILE"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    const int late = dial();
    say_text(late, "hello");
    hear_text(late, "hello");
    close(good);
    close(shed);
    close(late);
}

/* Cuts. */

/* Different from mebibyte to mebibyte. */
static uint8_t byte_of_file(uint64_t at)
{
    return (uint8_t)(at * 5 + (at >> 11) + (at >> 19) * 3);
}

static int32_t make_file(size_t size)
{
    char path[] = "/tmp/rookery-net-XXXXXX";
    const int handle = mkostemp(path, O_CLOEXEC);
    assert_true(handle >= 0);
    assert_int_equal(unlink(path), 0);
    uint8_t *data = heap_take(&fixture.heap, size);
    for (size_t at = 0; at < size; at++)
        data[at] = byte_of_file(at);
    assert_int_equal(pwrite(handle, data, size, 0), size);
    heap_give(&fixture.heap, data);
    return handle;
}

static void add_cut(struct net_message *message, struct net_cut cut)
{
    *cut.users += 1;
    message->cuts[message->cut_count++] = cut;
}

static void check_range(int client, uint64_t offset, uint64_t size)
{
    static uint8_t data[3 << 20];
    assert_true(size <= sizeof data);
    hear(client, data, size);
    for (uint64_t at = 0; at < size; at++)
        assert_int_equal(data[at], byte_of_file(offset + at));
}

static void ranges_of_files_go_between_bytes(void **state)
{
    (void)state;
    enum { range_bytes = 5 << 19 }; /* More than one operation sends. */
    serve();
    const int client = dial();
    wait_until(&fixture.open_count, 1);
    const int32_t file = make_file(range_bytes + 1000);
    uint32_t users = 0;
    struct net_message *message = net_message_acquire(
        &fixture.heap, (struct net_message_options){.capacity = 10, .cut_capacity = 5});
    memcpy(message->data, "headtail", 8);
    message->size = 8;
    add_cut(message, (struct net_cut){.position = 0, .file = file, .size = 3, .users = &users});
    add_cut(message,
            (struct net_cut){
                .position = 4, .file = file, .offset = 99, .size = range_bytes, .users = &users});
    add_cut(message, (struct net_cut){.position = 4, .file = file, .size = 0, .users = &users});
    add_cut(message,
            (struct net_cut){.position = 4, .file = file, .offset = 5, .size = 7, .users = &users});
    add_cut(message,
            (struct net_cut){.position = 8, .file = file, .offset = 8, .size = 1, .users = &users});
    assert_int_equal(net_message_wire_size(message), 8 + 3 + range_bytes + 7 + 1);
    net_push(fixture.last, message);
    net_push(fixture.last, message_of("next", 4));

    char text[4];
    check_range(client, 0, 3);
    hear(client, text, 4);
    assert_memory_equal(text, "head", 4);
    check_range(client, 99, range_bytes);
    check_range(client, 5, 7);
    hear(client, text, 4);
    assert_memory_equal(text, "tail", 4);
    check_range(client, 8, 1);
    hear_text(client, "next");
    assert_int_equal(users, 0);
    assert_int_equal(fixture.last->sent_bytes, 8 + 3 + range_bytes + 7 + 1 + 8);
    close(client);
    close(file);
}

static void dropped_ranges_are_counted_down(void **state)
{
    (void)state;
    fixture.options.push_bytes_max = 100 << 20;
    serve();
    const int client = dial();
    wait_until(&fixture.open_count, 1);
    const int32_t file = make_file(1 << 20);
    uint32_t users = 0;
    for (uint32_t count = 0; count < 40; count++) {
        struct net_message *message =
            net_message_acquire(&fixture.heap, (struct net_message_options){.cut_capacity = 1});
        add_cut(message, (struct net_cut){.file = file, .size = 1 << 20, .users = &users});
        net_push(fixture.last, message);
    }
    for (uint32_t round = 0; round < 5; round++)
        step();
    assert_true(users > 0);
    close(client);
    wait_until(&fixture.close_count, 1);
    wait_until_zero(&users);
    close(file);
}

/* Dialing. */

static void a_dialed_connection_speaks_the_same(void **state)
{
    (void)state;
    serve();
    fixture.mode = HOLD;
    assert_int_equal(net_connect(fixture.net, &fixture.address, &handler, NULL), ERR_OK);
    wait_until(&fixture.open_count, 2);
    net_push(fixture.last, message_of("hello", 5));
    wait_until(&fixture.held_count, 1);
    fixture.mode = ECHO;
    send_held(0, "answer");
    wait_until(&fixture.frame_count, 5);
    fixture.held_count = 0;
}

static void a_refused_dial_is_told(void **state)
{
    (void)state;
    serve();
    struct io_address nobody = fixture.address;
    const int32_t listener = io_listen(fixture.io, &nobody, 1);
    assert_true(listener < 0); /* The port is in use: take another one. */
    nobody.port = 0;
    const int32_t other = io_listen(fixture.io, &nobody, 1);
    struct io_op op = {.kind = IO_CLOSE, .handle = other};
    assert_int_equal(io_wait(fixture.io, &op), 0);
    assert_int_equal(net_connect(fixture.net, &nobody, &handler, NULL), ERR_OK);
    wait_until(&fixture.close_count, 1);
    assert_int_equal(fixture.open_count, 0);
    assert_int_equal(net_connection_count(fixture.net), 0);
}

static void everything_may_end_in_the_middle(void **state)
{
    (void)state;
    fixture.mode = HOLD;
    serve();
    static int clients[20];
    for (size_t index = 0; index < ARRAY_COUNT(clients); index++) {
        clients[index] = dial();
        say_text(clients[index], "?");
    }
    wait_until(&fixture.held_count, ARRAY_COUNT(clients));
    uint8_t *data = heap_take_zeroed(&fixture.heap, frame_bytes_max);
    for (uint32_t count = 0; count < 4; count++)
        net_push(fixture.last, message_of(data, frame_bytes_max));
    step();
    heap_give(&fixture.heap, data);
    assert_int_equal(net_connect(fixture.net, &fixture.address, &handler, NULL), ERR_OK);
    for (size_t index = 0; index < ARRAY_COUNT(clients); index++)
        close(clients[index]);
}

static void a_server_that_stops_listening_keeps_its_connections(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    say_text(client, "before");
    hear_text(client, "before");
    net_listen_stop(fixture.net);
    uint32_t rounds = 0;
    for (int late = try_dial(); late >= 0; late = try_dial()) {
        close(late);
        step();
        assert_true(rounds++ < 100);
    }
    assert_int_equal(fixture.open_count, 1);
    say_text(client, "after");
    hear_text(client, "after");
    close(client);
}

/* A socket of somebody else's; its port. */
static uint16_t hold_port(int *holder)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*holder, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(*holder, 1), 0);
    assert_int_equal(getsockname(*holder, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

static void a_server_that_moves_keeps_its_connections(void **state)
{
    (void)state;
    serve();
    const struct io_address first = fixture.address;
    struct io_address address = first;
    const int client = dial();
    say_text(client, "before");
    hear_text(client, "before");
    assert_int_equal(net_listen_move(fixture.net, &address, &handler, NULL), ERR_OK);
    assert_int_equal(address.port, first.port);

    int holder;
    address.port = hold_port(&holder);
    assert_int_equal(net_listen_move(fixture.net, &address, &handler, NULL), ERR_BUSY);
    const int second = dial(); /* Somebody else has that port, so it stays where it is. */
    say_text(second, "still here");
    hear_text(second, "still here");
    close(holder);
    assert_int_equal(net_listen_move(fixture.net, &address, &handler, NULL), ERR_OK);
    uint32_t rounds = 0;
    for (int late = try_dial(); late >= 0; late = try_dial()) {
        close(late);
        step();
        assert_true(rounds++ < 100);
    }
    fixture.address = address;
    const int third = dial();
    say_text(third, "at the new port");
    hear_text(third, "at the new port");
    say_text(client, "after");
    hear_text(client, "after");

    /* All addresses instead of one, on the same port: not at once. */
    rounds = 0;
    assert_int_equal(io_resolve(fixture.io, NULL, address.port, &address), 0);
    enum err err = net_listen_move(fixture.net, &address, &handler, NULL);
    for (; err == ERR_BUSY; err = net_listen_move(fixture.net, &address, &handler, NULL)) {
        step();
        assert_true(rounds++ < 100);
    }
    assert_int_equal(err, ERR_OK);
    const int fourth = dial();
    say_text(fourth, "at all addresses");
    hear_text(fourth, "at all addresses");
    close(client);
    close(second);
    close(third);
    close(fourth);
}

/* The sockets of a process that was killed go a moment later. */
struct leaving {
    struct io_op timer;
    int holder;
};

static void on_leave(struct io_op *op, int64_t result)
{
    struct leaving *leaving = CONTAINER_OF(op, struct leaving, timer);
    assert_int_equal(result, 0);
    close(leaving->holder);
    leaving->holder = -1;
}

static void a_port_that_is_about_to_be_free_is_waited_for(void **state)
{
    (void)state;
    serve();
    struct leaving leaving;
    struct io_address address;
    const uint16_t port = hold_port(&leaving.holder);
    assert_int_equal(io_resolve(fixture.io, "127.0.0.1", port, &address), 0);
    assert_int_equal(net_listen(fixture.net, &address, &handler, NULL), ERR_BUSY);
    leaving.timer = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_leave};
    leaving.timer.timer.deadline_ns = io_now_ns(fixture.io) + 20 * millisecond_ns;
    io_submit(fixture.io, &leaving.timer);
    assert_int_equal(net_listen_wait(fixture.net, &address, &handler, NULL), ERR_OK);
    assert_int_equal(leaving.holder, -1);
}

/* Cost. */

static void the_steady_state_takes_no_memory(void **state)
{
    (void)state;
    serve();
    const int client = dial();
    uint64_t taken = 0;
    for (uint32_t round = 0; round < 200; round++) {
        if (round == 20)
            taken = fixture.heap.system_take_count;
        for (uint32_t count = 0; count < 16; count++)
            say_text(client, "a request of some fifty bytes, as small ones are");
        for (uint32_t count = 0; count < 16; count++) {
            uint8_t answer[52];
            hear(client, answer, sizeof answer);
        }
    }
    /* How the bytes are split differs from round to round, so a late block or two may be added. */
    assert_true(fixture.heap.system_take_count <= taken + 4);
    close(client);
}

static void ten_thousand_idle_connections_cost_little(void **state)
{
    (void)state;
    enum { wanted_count = 10000 };
    static int clients[wanted_count];
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit wide = {.rlim_cur = 2 * wanted_count + 100,
                                .rlim_max = 2 * wanted_count + 100};
    uint32_t count = wanted_count;
    if (limit.rlim_cur < wide.rlim_cur && setrlimit(RLIMIT_NOFILE, &wide) != 0)
        count = (uint32_t)(limit.rlim_cur - 100) / 2;
    serve();
    const size_t before = fixture.heap.used_bytes;
    for (uint32_t index = 0; index < count; index++) {
        clients[index] = dial();
        if (index % 500 == 499)
            wait_until(&fixture.open_count, index + 1);
    }
    wait_until(&fixture.open_count, count);
    step();
    const size_t each = (fixture.heap.used_bytes - before) / count;
    print_message("%u idle connections take %zu bytes each\n", count, each);
    assert_true(each < 2500);
    say_text(clients[count / 2], "hello");
    hear_text(clients[count / 2], "hello");
    for (uint32_t index = 0; index < count; index++)
        close(clients[index]);
    wait_until(&fixture.close_count, count);
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(a_frame_may_come_byte_by_byte),
        NET_TEST(frames_may_be_split_anywhere),
        NET_TEST(a_large_frame_comes_whole),
        NET_TEST(a_length_may_be_refused),
        NET_TEST(a_declared_two_gibibytes_take_no_memory),
        NET_TEST(a_kept_buffer_stays_while_others_come),
        NET_TEST(raw_bytes_are_handed_over),
        NET_TEST(replies_leave_in_the_order_of_requests),
        NET_TEST(replies_of_a_closed_connection_go_nowhere),
        NET_TEST(what_was_released_is_sent_before_the_close),
        NET_TEST(a_peer_that_sent_its_last_byte_gets_its_replies),
        NET_TEST(a_reset_inside_a_frame_ends_the_connection),
        NET_TEST(an_idle_connection_is_closed_unless_we_owe_it_a_reply),
        NET_TEST(a_connection_without_a_request_is_closed),
        NET_TEST(a_peer_that_does_not_read_is_closed),
        NET_TEST(a_peer_that_reads_slowly_is_not),
        NET_TEST(requests_without_reading_take_bounded_memory),
        NET_TEST(open_replies_are_limited),
        NET_TEST(a_paused_connection_is_not_cut),
        NET_TEST(an_address_has_so_many_connections),
        NET_TEST(above_the_limit_connections_wait),
        NET_TEST(the_handler_may_refuse),
        NET_TEST(an_exhausted_heap_refuses_connections),
        NET_TEST(pushes_are_limited),
        NET_TEST(without_descriptors_others_are_served),
        NET_TEST(ranges_of_files_go_between_bytes),
        NET_TEST(dropped_ranges_are_counted_down),
        NET_TEST(a_dialed_connection_speaks_the_same),
        NET_TEST(a_refused_dial_is_told),
        NET_TEST(everything_may_end_in_the_middle),
        NET_TEST(a_server_that_stops_listening_keeps_its_connections),
        NET_TEST(a_server_that_moves_keeps_its_connections),
        NET_TEST(a_port_that_is_about_to_be_free_is_waited_for),
        NET_TEST(the_steady_state_takes_no_memory),
        NET_TEST(ten_thousand_idle_connections_cost_little),
    };
    int failed = 0;
    choice = IO_CHOICE_AUTO;
    failed += cmocka_run_group_tests_name("net on the preferred io", tests, NULL, NULL);
    choice = IO_CHOICE_UV;
    failed += cmocka_run_group_tests_name("net on libuv", tests, NULL, NULL);
    return failed;
}
