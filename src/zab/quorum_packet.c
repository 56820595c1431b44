#include "zab/quorum_packet.h"

#include "base/assert.h"
#include "base/bytes.h"

enum { head_bytes = 12, length_bytes = 4, strings_per_identity = 2 };

/* Reads the length at *end and moves *end behind what it announces. -1: nothing follows. */
static enum err skip_run(struct slice bytes, size_t *end, uint32_t bytes_max)
{
    if (bytes.size < *end + length_bytes) {
        *end += length_bytes;
        return ERR_TRUNCATED;
    }
    const int32_t length = load_i32(bytes.data + *end);
    *end += length_bytes;
    if (length < -1)
        return ERR_MALFORMED;
    if (length > 0 && (uint32_t)length > bytes_max)
        return ERR_LIMIT;
    *end += length > 0 ? (size_t)length : 0;
    return bytes.size < *end ? ERR_TRUNCATED : ERR_OK;
}

static enum err skip_identities(struct slice bytes, struct quorum_packet_extent *extent)
{
    const size_t start = extent->size;
    for (uint32_t index = 0; index < strings_per_identity * extent->identity_count; index++) {
        const enum err err = skip_run(bytes, &extent->size, quorum_packet_identity_bytes_max);
        if (err != ERR_OK)
            return err;
        if (extent->size - start > quorum_packet_identity_bytes_max)
            return ERR_LIMIT;
    }
    return ERR_OK;
}

enum err quorum_packet_measure(struct slice bytes, uint32_t data_bytes_max,
                               struct quorum_packet_extent *extent)
{
    *extent = (struct quorum_packet_extent){.size = head_bytes};
    const enum err err = skip_run(bytes, &extent->size, data_bytes_max);
    if (err == ERR_MALFORMED || err == ERR_LIMIT)
        return err;
    extent->size += length_bytes; /* The count, which is always there. */
    if (err != ERR_OK || bytes.size < extent->size)
        return ERR_TRUNCATED;
    const int32_t count = load_i32(bytes.data + extent->size - length_bytes);
    if (count < -1)
        return ERR_MALFORMED;
    if (count > quorum_packet_identity_count_max)
        return ERR_LIMIT;
    extent->identity_count = count > 0 ? (uint32_t)count : 0;
    return skip_identities(bytes, extent);
}

/* ---- by hand: a third of the time, or less ---- */

static struct slice read_run(struct slice bytes, size_t *at)
{
    const int32_t length = load_i32(bytes.data + *at);
    const size_t start = *at + length_bytes;
    *at = start + (length > 0 ? (size_t)length : 0);
    return length < 0 ? SLICE_NULL : slice_of(bytes.data + start, (size_t)length);
}

static uint8_t *put_run(uint8_t *out, struct slice run)
{
    store_i32(out, slice_is_null(run) ? -1 : (int32_t)run.size);
    if (run.size > 0)
        memcpy(out + length_bytes, run.data, run.size);
    return out + length_bytes + run.size;
}

enum err quorum_packet_decode(struct slice bytes, struct arena *arena,
                              struct zk_quorum_packet *packet)
{
    size_t at = head_bytes;
    *packet = (struct zk_quorum_packet){
        .type = load_i32(bytes.data),
        .zxid = load_i64(bytes.data + sizeof packet->type),
    };
    packet->data = read_run(bytes, &at);
    const int32_t count = load_i32(bytes.data + at);
    at += length_bytes;
    packet->identities.count = count;
    if (count <= 0)
        return ERR_OK;
    struct zk_id *ids = arena_take_array(arena, (size_t)count, sizeof *ids);
    if (ids == NULL)
        return ERR_LIMIT;
    packet->identities.items = ids;
    for (int32_t index = 0; index < count; index++) {
        ids[index].scheme = read_run(bytes, &at);
        ids[index].id = read_run(bytes, &at);
    }
    assert(at == bytes.size);
    return ERR_OK;
}

size_t quorum_packet_bytes(const struct zk_quorum_packet *packet)
{
    size_t size = quorum_packet_bytes_min + packet->data.size;
    for (int32_t index = 0; index < packet->identities.count; index++) {
        const struct zk_id *id = &packet->identities.items[index];
        size += strings_per_identity * length_bytes + id->scheme.size + id->id.size;
    }
    return size;
}

void quorum_packet_encode(const struct zk_quorum_packet *packet, uint8_t *out)
{
    store_i32(out, packet->type);
    store_i64(out + sizeof packet->type, packet->zxid);
    out = put_run(out + head_bytes, packet->data);
    store_i32(out, packet->identities.count);
    out += length_bytes;
    for (int32_t index = 0; index < packet->identities.count; index++) {
        out = put_run(out, packet->identities.items[index].scheme);
        out = put_run(out, packet->identities.items[index].id);
    }
}
