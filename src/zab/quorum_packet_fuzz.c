/* Any bytes as packets one behind the other: each that is measured can be decoded, and encodes to
 * the same bytes; every shorter part of it asks for more, and not for more than there is. */
#include "base/assert.h"
#include "base/macros.h"
#include "zab/quorum_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { data_bytes_max = 4096, packet_bytes_max = 8192 };

static void check_parts(struct slice bytes)
{
    struct quorum_packet_extent extent;
    const size_t step = 1 + bytes.size / 64;
    for (size_t size = 0; size < bytes.size; size += step) {
        const enum err err =
            quorum_packet_measure(slice_of(bytes.data, size), data_bytes_max, &extent);
        assert(err == ERR_TRUNCATED && extent.size > size && extent.size <= bytes.size);
    }
}

static void check_packet(struct slice bytes, uint32_t identity_count)
{
    static uint8_t memory[quorum_packet_identity_count_max * sizeof(struct zk_id)];
    static uint8_t out[packet_bytes_max];
    struct arena arena;
    struct zk_quorum_packet packet;
    arena_init(&arena, memory, identity_count * sizeof(struct zk_id));
    const enum err err = quorum_packet_decode(bytes, &arena, &packet);
    assert(err == ERR_OK && max_i64(packet.identities.count, 0) == identity_count);
    if (bytes.size > sizeof out)
        return;
    assert(quorum_packet_bytes(&packet) == bytes.size);
    quorum_packet_encode(&packet, out);
    assert(memcmp(out, bytes.data, bytes.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice left = slice_of(data, size);
    struct quorum_packet_extent extent;
    while (quorum_packet_measure(left, data_bytes_max, &extent) == ERR_OK) {
        assert(extent.size >= quorum_packet_bytes_min && extent.size <= left.size);
        check_packet(slice_of(left.data, extent.size), extent.identity_count);
        check_parts(slice_of(left.data, extent.size));
        left = slice_skip(left, extent.size);
    }
    return 0;
}
