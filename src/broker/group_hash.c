#include "broker/group_hash.h"

#include "base/assert.h"

enum { replacement = 0xfffd, supplementary_min = 0x10000 };

/* The code point at the front of rest, which moves on by at least one byte. */
static uint32_t take_code_point(struct slice *rest)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, supplementary_min};
    const uint8_t first = rest->data[0];
    const size_t size = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
    uint32_t code = size <= 1 ? first : first & (0xffu >> (size + 1));
    size_t used = 1;
    while (used < size && used < rest->size && (rest->data[used] & 0xc0) == 0x80)
        code = code << 6 | (rest->data[used++] & 0x3fu);
    *rest = slice_skip(*rest, used);
    const bool is_surrogate = code >= 0xd800 && code < 0xe000;
    if (size == 0 || used < size || code < smallest[size] || code > 0x10ffff || is_surrogate)
        return replacement;
    return code;
}

int32_t group_hash(struct slice group_id)
{
    uint32_t hash = 0;
    while (group_id.size > 0) {
        const uint32_t code = take_code_point(&group_id);
        if (code < supplementary_min) {
            hash = hash * 31 + code;
            continue;
        }
        hash = hash * 31 + (0xd800 + ((code - supplementary_min) >> 10));
        hash = hash * 31 + (0xdc00 + ((code - supplementary_min) & 0x3ff));
    }
    return (int32_t)hash;
}

int32_t group_hash_partition(struct slice group_id, int32_t partition_count)
{
    assert(partition_count > 0);
    /* As Apache's: the absolute value, and 0 for the one that has none; no bit is masked. */
    const int32_t hash = group_hash(group_id);
    return hash == INT32_MIN ? 0 : (hash < 0 ? -hash : hash) % partition_count;
}
