/* Connections that one net accepts and another has, each with its own real world. */
#define _GNU_SOURCE
#include "base/bytes.h"
#include "io/io_create.h"
#include "net/net.h"
#include "test/unit_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { millisecond_ns = 1000000, rounds_max = 2000 };

static enum io_choice choice; /* Of the worlds under test. */

struct side {
    struct heap heap;
    struct diag diag;
    struct io *io;
    struct net *net;
};

static struct side door; /* Accepts. */
static struct side room; /* Has the connections. */
static struct io_address address;
static struct net_socket socket_taken;
static uint32_t taken_count, open_count, close_count, released_count;
static bool refuses;

static void ignore_line(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)diag;
    (void)level;
    (void)line;
}

static bool on_socket(void *user, const struct net_socket *socket)
{
    assert_ptr_equal(user, &door);
    if (refuses)
        return false;
    socket_taken = *socket;
    taken_count++;
    return true;
}

static const struct net_handler door_handler = {.on_socket = on_socket};

static bool on_open(struct net_connection *connection)
{
    assert_ptr_equal(connection->user, &room);
    open_count++;
    return true;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_released(void *owner)
{
    struct net_message *message = owner;
    released_count++;
    message->released = NULL;
    net_message_release(message);
}

/* The answer is made by the other side, and goes back there. */
static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct net_reply *reply = net_reply_reserve(connection);
    struct net_message *message = net_message_acquire(
        &door.heap, (struct net_message_options){.capacity = (uint32_t)size + 4});
    assert_true(reply != NULL && message != NULL);
    store_u32(message->data, (uint32_t)size);
    memcpy(message->data + 4, data, size);
    message->size = (uint32_t)size + 4;
    message->released = on_released;
    message->owner = message;
    net_reply_send(reply, message);
}

static void on_close(struct net_connection *connection, const char *reason)
{
    (void)reason;
    net_forget(door.net, &connection->peer);
    close_count++;
}

static const struct net_handler room_handler = {
    .on_open = on_open, .on_length = on_length, .on_frame = on_frame, .on_close = on_close};

static void open_side(struct side *side)
{
    *side = (struct side){.diag = {.write = ignore_line}};
    heap_init(&side->heap, (struct heap_options){.limit_bytes = 16 << 20});
    assert_int_equal(io_create(&side->io, &side->heap, &side->diag, choice), ERR_OK);
    assert_int_equal(net_init(&side->net, side->io, &side->heap, &side->diag,
                              (struct net_options){.connection_count_max = 100,
                                                   .connection_count_max_per_address = 1,
                                                   .receive_bytes_first = 4096,
                                                   .open_reply_count_max = 10,
                                                   .unsent_bytes_max = 1 << 20,
                                                   .backlog = 10}),
                     ERR_OK);
}

static void step(void)
{
    io_run(door.io, millisecond_ns);
    io_run(room.io, millisecond_ns);
}

static void wait_until(const uint32_t *counter, uint32_t value)
{
    for (int i = 0; i < rounds_max && *counter < value; i++)
        step();
    assert_int_equal(*counter, value);
}

static int set_up(void **state)
{
    (void)state;
    taken_count = open_count = close_count = released_count = 0;
    refuses = false;
    open_side(&door);
    open_side(&room);
    assert_int_equal(io_resolve(door.io, "127.0.0.1", 0, &address), 0);
    assert_int_equal(net_listen(door.net, &address, &door_handler, &door), ERR_OK);
    return 0;
}

static void close_side(struct side *side)
{
    net_deinit(side->net);
    for (int i = 0; i < 10; i++)
        step();
}

static int tear_down(void **state)
{
    (void)state;
    close_side(&room);
    close_side(&door);
    io_destroy(room.io);
    io_destroy(door.io);
    assert_int_equal(room.heap.block_count, 0);
    assert_int_equal(door.heap.block_count, 0);
    heap_deinit(&room.heap);
    heap_deinit(&door.heap);
    return 0;
}

static int dial(void)
{
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(address.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    return client;
}

static void expect_refused(int client)
{
    uint8_t byte;
    ssize_t size = -1;
    errno = EAGAIN;
    for (int i = 0; i < rounds_max && size < 0 && errno == EAGAIN; i++) {
        step();
        size = recv(client, &byte, 1, MSG_DONTWAIT);
    }
    assert_true(size == 0 || (size < 0 && errno == ECONNRESET));
    assert_int_equal(net_refused_count(door.net), 1);
    close(client);
}

static void adopt(void)
{
    assert_int_equal(socket_taken.local_port, address.port);
    assert_true(net_adopt(room.net, &socket_taken, &room_handler, &room));
}

static void an_accepted_socket_is_another_nets(void **state)
{
    const uint8_t request[] = {0, 0, 0, 2, 'h', 'i'};
    uint8_t answer[sizeof request];
    (void)state;
    const int client = dial();
    wait_until(&taken_count, 1);
    adopt();
    assert_int_equal(open_count, 1);
    assert_int_equal(net_connection_count(door.net), 1);
    assert_int_equal(send(client, request, sizeof request, 0), sizeof request);
    wait_until(&released_count, 1);
    assert_int_equal(recv(client, answer, sizeof answer, MSG_WAITALL), sizeof answer);
    assert_memory_equal(answer, request, sizeof answer);
    close(client);
    wait_until(&close_count, 1);
    assert_int_equal(net_connection_count(door.net), 0);
}

/* The limits are those of the net that accepts, for as long as the other one has them. */
static void limits_count_what_others_have(void **state)
{
    (void)state;
    const int first = dial();
    wait_until(&taken_count, 1);
    adopt();
    const int second = dial(); /* One too many from this address. */
    expect_refused(second);
    close(first);
    wait_until(&close_count, 1);
    const int third = dial();
    wait_until(&taken_count, 2);
    adopt();
    close(third);
    wait_until(&close_count, 2);
}

static void who_takes_no_socket_refuses_it(void **state)
{
    (void)state;
    refuses = true;
    expect_refused(dial());
    assert_int_equal(net_connection_count(door.net), 0);
}

#define ADOPT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ADOPT_TEST(an_accepted_socket_is_another_nets),
        ADOPT_TEST(limits_count_what_others_have),
        ADOPT_TEST(who_takes_no_socket_refuses_it),
    };
    choice = IO_CHOICE_AUTO;
    const int failed =
        cmocka_run_group_tests_name("adopted on the preferred io", tests, NULL, NULL);
    choice = IO_CHOICE_UV;
    return failed + cmocka_run_group_tests_name("adopted on libuv", tests, NULL, NULL);
}
