/* Packets between leader and learners, as bytes:
 *
 *     [i32 type][i64 zxid][i32 size, data][i32 count, identities]
 *
 * Nothing in front says how long a packet is: its end is found by walking over it.
 *
 * Memory: identities are an array in the arena given; all else lends from the bytes.
 */
#ifndef ZAB_QUORUM_PACKET_H
#define ZAB_QUORUM_PACKET_H

#include "wire/gen/zk.h"

enum {
    quorum_packet_bytes_min = 20,
    quorum_packet_identity_count_max = 1024,
    quorum_packet_identity_bytes_max = 64 * 1024, /* Of all of a packet. */
};

/* How long the packet at the front of bytes is, and how many identities it has. */
struct quorum_packet_extent {
    size_t size;
    uint32_t identity_count;
};

/* ERR_TRUNCATED: it does not end within the bytes; extent->size is more than they are, and at most
 * what the whole packet has. ERR_MALFORMED: an impossible length or count. ERR_LIMIT: more data
 * than data_bytes_max, or more identities than the limits above. */
MUST_CHECK enum err quorum_packet_measure(struct slice bytes, uint32_t data_bytes_max,
                                          struct quorum_packet_extent *extent);

/* bytes are one packet that was measured. ERR_LIMIT: the arena has no room for its identities, each
 * of sizeof(struct zk_id). */
MUST_CHECK enum err quorum_packet_decode(struct slice bytes, struct arena *arena,
                                         struct zk_quorum_packet *packet);

size_t quorum_packet_bytes(const struct zk_quorum_packet *packet);
void quorum_packet_encode(const struct zk_quorum_packet *packet, uint8_t *out);

#endif
