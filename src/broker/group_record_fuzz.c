#include "broker/group_record.h"

#include <stdalign.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says where the key ends and the value begins. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static alignas(16) uint8_t memory[64 * 1024];
    struct arena arena;
    struct group_record_decoded decoded;
    if (size == 0)
        return 0;
    const size_t key_size = min_size(data[0], size - 1);
    const struct slice key = slice_of(data + 1, key_size);
    const struct slice value = slice_of(data + 1 + key_size, size - 1 - key_size);
    arena_init(&arena, memory, sizeof memory);
    if (group_record_decode(&decoded, key, value, &arena) == ERR_OK &&
        decoded.kind == GROUP_RECORD_GROUP)
        assert(decoded.group.member_count == 0 || decoded.group.members != NULL);
    return 0;
}
