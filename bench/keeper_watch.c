/* Lets one write to a ZooKeeper server fire very many watches.
 *
 *   keeper_watch PORT CONNECTIONS PATHS
 *
 * Each connection watches the data of each path. Prints "ready", waits for a line of input, changes
 * all paths by one multi, and says when the last event had come and when the write was answered.
 */
#include "keeper_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { buffer_bytes = 64 * 1024, event_count_max = 1024 };

struct connection {
    int handle;
    uint8_t in[buffer_bytes];
    size_t in_size;
    uint64_t event_count;
};

static uint8_t frame[keeper_wire_frame_bytes_max];

static const char *path_of(unsigned index)
{
    static char text[32];
    snprintf(text, sizeof text, "/watch-%04u", index);
    return text;
}

/* The error of the next frame that is no event. */
static int32_t await_reply(int handle)
{
    do
        keeper_wire_receive(handle, frame);
    while (load_i32(frame) == keeper_wire_xid_event);
    return load_i32(frame + 12);
}

/* The zxid behind the creates: watches set with it have missed nothing. */
static int64_t create_paths(int handle, unsigned count)
{
    for (unsigned index = 0; index < count; index++) {
        uint8_t *at = keeper_wire_begin(frame, 1, KEEPER_WIRE_CREATE);
        at = keeper_wire_put_create(at, path_of(index), 1);
        keeper_wire_send(handle, frame, keeper_wire_end(frame, at));
        const int32_t error = await_reply(handle);
        if (error != 0 && error != keeper_wire_error_exists)
            keeper_wire_refuse("create failed", error);
    }
    return load_i64(frame + 4);
}

static void watch_all(int handle, unsigned count, int64_t zxid)
{
    uint8_t *at = keeper_wire_begin(frame, keeper_wire_xid_set_watches, KEEPER_WIRE_SET_WATCHES);
    store_i64(at, zxid);
    store_u32(at + 8, count);
    at += 12;
    for (unsigned index = 0; index < count; index++)
        at = keeper_wire_put_text(at, path_of(index));
    store_u32(at, 0); /* Neither exists nor child watches. */
    store_u32(at + 4, 0);
    keeper_wire_send(handle, frame, keeper_wire_end(frame, at + 8));
    const int32_t error = await_reply(handle);
    if (error != 0)
        keeper_wire_refuse("set watches failed", error);
}

static void send_multi(int handle, unsigned count)
{
    uint8_t *at = keeper_wire_begin(frame, 1, KEEPER_WIRE_MULTI);
    for (unsigned index = 0; index < count; index++) {
        store_u32(at, KEEPER_WIRE_SET_DATA);
        at[4] = 0;
        store_i32(at + 5, -1);
        at = keeper_wire_put_set(at + 9, path_of(index), 1);
    }
    store_i32(at, -1);
    at[4] = 1;
    store_i32(at + 5, -1);
    keeper_wire_send(handle, frame, keeper_wire_end(frame, at + 9));
}

static uint64_t take_events(struct connection *connection)
{
    const ssize_t size = recv(connection->handle, connection->in + connection->in_size,
                              sizeof connection->in - connection->in_size, MSG_DONTWAIT);
    if (size <= 0)
        keeper_wire_die("a connection was closed");
    connection->in_size += (size_t)size;
    size_t at = 0;
    uint64_t count = 0;
    while (connection->in_size - at >= 4) {
        const size_t frame_size = 4 + load_u32(connection->in + at);
        if (connection->in_size - at < frame_size)
            break;
        count += load_i32(connection->in + at + 4) == keeper_wire_xid_event;
        at += frame_size;
    }
    connection->in_size -= at;
    memmove(connection->in, connection->in + at, connection->in_size);
    return count;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: keeper_watch PORT CONNECTIONS PATHS\n");
        return 2;
    }
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    const unsigned connection_count = (unsigned)strtoul(argv[2], NULL, 10);
    const unsigned path_count = (unsigned)strtoul(argv[3], NULL, 10);
    struct connection *connections = calloc(connection_count, sizeof *connections);
    const int poll = epoll_create1(0);
    const int writer = keeper_wire_open_session(port, 0);
    if (connections == NULL)
        keeper_wire_die("calloc");
    const int64_t zxid = create_paths(writer, path_count);
    for (unsigned index = 0; index < connection_count; index++) {
        connections[index].handle = keeper_wire_open_session(port, index);
        watch_all(connections[index].handle, path_count, zxid);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[index]};
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[index].handle, &event);
    }
    printf("ready\n");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    const uint64_t expected = (uint64_t)connection_count * path_count;
    const uint64_t start = latency_now_ns();
    uint64_t seen = 0;
    send_multi(writer, path_count);
    while (seen < expected) {
        struct epoll_event events[event_count_max];
        const int ready = epoll_wait(poll, events, event_count_max, 30000);
        if (ready <= 0)
            keeper_wire_refuse("events are missing", (long)(expected - seen));
        for (int index = 0; index < ready; index++)
            seen += take_events(events[index].data.ptr);
    }
    const uint64_t end = latency_now_ns();
    const int32_t error = await_reply(writer);
    if (error != 0)
        keeper_wire_refuse("the write failed", error);
    printf("events %llu milliseconds %.0f\n", (unsigned long long)seen,
           (double)(end - start) / 1e6);
    return 0;
}
