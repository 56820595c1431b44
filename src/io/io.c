#include "io/io.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool io_address_is_ipv4(const struct io_address *address)
{
    static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

const char *io_address_print_host(const struct io_address *address, char *text, size_t capacity)
{
    const uint8_t *bytes = address->bytes;
    assert(capacity >= io_address_text_max);
    if (io_address_is_ipv4(address)) {
        snprintf(text, capacity, "%u.%u.%u.%u", bytes[12], bytes[13], bytes[14], bytes[15]);
        return text;
    }
    size_t size = 0;
    for (int group = 0; group < 8; group++)
        size += (size_t)snprintf(text + size, capacity - size, group == 0 ? "%x" : ":%x",
                                 (unsigned)load_u16(bytes + group * 2));
    assert(size < capacity);
    return text;
}

const char *io_address_print(const struct io_address *address, char *text, size_t capacity)
{
    char host[io_address_text_max];
    io_address_print_host(address, host, sizeof host);
    const bool ipv4 = io_address_is_ipv4(address);
    const int size = snprintf(text, capacity, ipv4 ? "%s:%u" : "[%s]:%u", host, address->port);
    assert(size > 0 && (size_t)size < capacity);
    return text;
}

_Noreturn void io_fatal(struct io *io, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    io->world->fatal(io, line);
    abort();
}

/* A copy of the caller's op with room for what io_wait must know. */
struct waited_op {
    struct io_op op;
    int64_t result;
    bool is_done;
};

static void on_waited(struct io_op *op, int64_t result)
{
    struct waited_op *waited = CONTAINER_OF(op, struct waited_op, op);
    waited->result = result;
    waited->is_done = true;
}

int64_t io_wait(struct io *io, struct io_op *op)
{
    int64_t result;
    if (io->world->act != NULL && io->world->act(io, op, &result))
        return result;
    struct waited_op waited = {.op = *op};
    waited.op.done = on_waited;
    io_submit(io, &waited.op);
    while (!waited.is_done)
        io_run(io, UINT64_MAX);
    *op = waited.op;
    return waited.result;
}
