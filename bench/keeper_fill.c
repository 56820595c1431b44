/* Fills a ZooKeeper server: COUNT znodes of DATA_BYTES, a thousand below each of their parents.
 *
 *   keeper_fill PORT COUNT DATA_BYTES
 *
 * One connection, many creates in flight. What exists already stays.
 */
#include "keeper_wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { in_flight_max = 800, children_per_parent = 1000, batch_bytes = 64 * 1024 };

static uint8_t out[keeper_wire_frame_bytes_max];
static uint8_t in[keeper_wire_frame_bytes_max];

static void take_replies(int handle, unsigned count)
{
    for (; count > 0; count--) {
        keeper_wire_receive(handle, in);
        const int32_t error = load_i32(in + 12);
        if (error != 0 && error != keeper_wire_error_exists)
            keeper_wire_refuse("create failed", error);
    }
}

/* Parents have no data; index counts parents and children. */
static size_t put_create(uint8_t *frame, unsigned index, uint32_t data_bytes)
{
    char path[64];
    const unsigned parent = index / (children_per_parent + 1);
    const unsigned child = index % (children_per_parent + 1);
    if (child == 0)
        snprintf(path, sizeof path, "/fill-%04u", parent);
    else
        snprintf(path, sizeof path, "/fill-%04u/node-%04u", parent, child - 1);
    uint8_t *at = keeper_wire_begin(frame, (int32_t)index + 1, KEEPER_WIRE_CREATE);
    at = keeper_wire_put_create(at, path, child == 0 ? 0 : data_bytes);
    return keeper_wire_end(frame, at);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: keeper_fill PORT COUNT DATA_BYTES\n");
        return 2;
    }
    const unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    const uint32_t data_bytes = (uint32_t)strtoul(argv[3], NULL, 10);
    const int handle = keeper_wire_open_session((uint16_t)strtoul(argv[1], NULL, 10), 0);
    const uint64_t start = latency_now_ns();
    unsigned in_flight = 0;
    size_t size = 0;
    for (unsigned index = 0; index < count; index++) {
        size += put_create(out + size, index, data_bytes);
        in_flight++;
        if (size + data_bytes < batch_bytes && in_flight < in_flight_max && index + 1 < count)
            continue;
        keeper_wire_send(handle, out, size);
        size = 0;
        const unsigned taken = index + 1 < count ? in_flight / 2 : in_flight;
        take_replies(handle, taken);
        in_flight -= taken;
    }
    printf("creates %u seconds %.2f\n", count, (double)(latency_now_ns() - start) / 1e9);
    return 0;
}
