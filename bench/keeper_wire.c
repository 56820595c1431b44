#include "keeper_wire.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    timeout_ms = 300000, /* A server on a busy machine may be slow to see a ping. */
    password_bytes = 16,
    acl_all = 31,
};

void keeper_wire_die(const char *what)
{
    perror(what);
    exit(1);
}

void keeper_wire_refuse(const char *what, long number)
{
    fprintf(stderr, "%s: %ld\n", what, number);
    exit(1);
}

/* ---- connections ---- */

static int dial(uint16_t port, unsigned index)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / keeper_wire_connects_per_source),
    };
    const int one = 1;
    const int handle = socket(AF_INET, SOCK_STREAM, 0);
    if (handle < 0)
        keeper_wire_die("socket");
    setsockopt(handle, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(handle, (const struct sockaddr *)&address, sizeof address) != 0)
        keeper_wire_die("bind");
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(handle, (const struct sockaddr *)&address, sizeof address) != 0)
        keeper_wire_die("connect");
    return handle;
}

int keeper_wire_ask_session(uint16_t port, unsigned index)
{
    uint8_t request[49] = {0};
    const int handle = dial(port, index);
    store_u32(request, 45);
    store_u32(request + 16, timeout_ms);
    store_u32(request + 28, password_bytes);
    keeper_wire_send(handle, request, sizeof request);
    return handle;
}

void keeper_wire_take_session(int handle, unsigned index)
{
    static uint8_t reply[keeper_wire_frame_bytes_max];
    keeper_wire_receive(handle, reply);
    if (load_u32(reply + 4) == 0)
        keeper_wire_refuse("the server refused session number", (long)index);
}

int keeper_wire_open_session(uint16_t port, unsigned index)
{
    const int handle = keeper_wire_ask_session(port, index);
    keeper_wire_take_session(handle, index);
    return handle;
}

void keeper_wire_send(int handle, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(handle, bytes, size, 0);
        if (sent <= 0)
            keeper_wire_die("send");
        bytes += sent;
        size -= (size_t)sent;
    }
}

size_t keeper_wire_receive(int handle, uint8_t *frame)
{
    uint8_t head[4];
    if (recv(handle, head, sizeof head, MSG_WAITALL) != sizeof head)
        keeper_wire_die("recv");
    const uint32_t size = load_u32(head);
    if (size > keeper_wire_frame_bytes_max ||
        recv(handle, frame, size, MSG_WAITALL) != (ssize_t)size)
        keeper_wire_die("recv");
    return size;
}

/* ---- frames ---- */

uint8_t *keeper_wire_begin(uint8_t *frame, int32_t xid, enum keeper_wire_type type)
{
    store_i32(frame + 4, xid);
    store_u32(frame + 8, type);
    return frame + 12;
}

uint8_t *keeper_wire_put_text(uint8_t *at, const char *text)
{
    const size_t size = strlen(text);
    store_u32(at, (uint32_t)size);
    memcpy(at + 4, text, size);
    return at + 4 + size;
}

uint8_t *keeper_wire_put_data(uint8_t *at, uint32_t size)
{
    store_u32(at, size);
    memset(at + 4, 'x', size);
    return at + 4 + size;
}

uint8_t *keeper_wire_put_create(uint8_t *at, const char *path, uint32_t data_bytes)
{
    at = keeper_wire_put_data(keeper_wire_put_text(at, path), data_bytes);
    store_u32(at, 1); /* One access list entry. */
    store_u32(at + 4, acl_all);
    at = keeper_wire_put_text(keeper_wire_put_text(at + 8, "world"), "anyone");
    store_u32(at, 0); /* Flags. */
    return at + 4;
}

uint8_t *keeper_wire_put_set(uint8_t *at, const char *path, uint32_t data_bytes)
{
    at = keeper_wire_put_data(keeper_wire_put_text(at, path), data_bytes);
    store_i32(at, -1); /* Any version. */
    return at + 4;
}

size_t keeper_wire_end(uint8_t *frame, const uint8_t *end)
{
    store_u32(frame, (uint32_t)(end - frame) - 4);
    return (size_t)(end - frame);
}
