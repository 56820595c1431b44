/* A server that only frames and answers: what a keeper's reads could cost at best on this machine.
 *
 *   keeper_floor PORT
 *
 * One thread, epoll. Every request gets an answer of the right size that was made beforehand: a
 * session for the first frame, a header for creates and pings, 100 bytes and a stat for the rest.
 */
#include "keeper_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    connection_count_max = 1024,
    buffer_bytes = 256 * 1024,
    data_bytes = 100,
    stat_bytes = 68,
    header_bytes = 4 + 16,
    connect_reply_bytes = 4 + 37,
};

struct connection {
    int handle;
    bool has_session;
    uint8_t in[buffer_bytes];
    size_t in_size;
    uint8_t out[buffer_bytes];
    size_t out_size;
};

static size_t put_answer(struct connection *connection, const uint8_t *frame, uint8_t *out)
{
    size_t size = header_bytes;
    if (!connection->has_session) {
        connection->has_session = true;
        size = connect_reply_bytes;
        memset(out, 0, size);
        store_u32(out + 8, 30000);
        out[19] = 1;
        store_u32(out + 20, 16);
    } else {
        memset(out, 0, header_bytes);
        memcpy(out + 4, frame + 4, 4); /* The xid. */
        if (load_u32(frame + 8) == KEEPER_WIRE_GET_DATA) {
            uint8_t *end = keeper_wire_put_data(out + header_bytes, data_bytes);
            memset(end, 0, stat_bytes);
            size = (size_t)(end - out) + stat_bytes;
        }
    }
    store_u32(out, (uint32_t)size - 4);
    return size;
}

static void answer_all(struct connection *connection)
{
    size_t at = 0;
    while (connection->in_size - at >= 4) {
        const uint8_t *frame = connection->in + at;
        const size_t size = 4 + load_u32(frame);
        if (connection->in_size - at < size)
            break;
        connection->out_size +=
            put_answer(connection, frame, connection->out + connection->out_size);
        at += size;
    }
    connection->in_size -= at;
    memmove(connection->in, connection->in + at, connection->in_size);
}

/* False: the peer has gone. */
static bool serve(struct connection *connection)
{
    const ssize_t size = recv(connection->handle, connection->in + connection->in_size,
                              sizeof connection->in / 8 - connection->in_size, 0);
    if (size <= 0)
        return false;
    connection->in_size += (size_t)size;
    answer_all(connection);
    keeper_wire_send(connection->handle, connection->out, connection->out_size);
    connection->out_size = 0;
    return true;
}

static void add(int poll, int handle)
{
    const int one = 1;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || handle < 0)
        keeper_wire_die("accept");
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->handle = handle;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poll, EPOLL_CTL_ADD, handle, &event);
}

int main(int argc, char **argv)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(argc == 2 ? argv[1] : "0", NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int one = 1;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int poll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, connection_count_max) != 0)
        keeper_wire_die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[connection_count_max];
        const int ready = epoll_wait(poll, events, connection_count_max, -1);
        for (int index = 0; index < ready; index++) {
            struct connection *connection = events[index].data.ptr;
            if (connection == NULL) {
                add(poll, accept(listener, NULL, NULL));
            } else if (!serve(connection)) {
                close(connection->handle);
                free(connection);
            }
        }
    }
}
