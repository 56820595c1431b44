#include "client/keeper_message.h"

#include "wire/gen/zk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { memory_size = 4 << 20 };

static _Alignas(16) uint8_t memory[memory_size];

/* The first byte says what was asked, the rest is the keeper's answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int32_t types[] = {
        ZK_OP_CREATE2, ZK_OP_EXISTS, ZK_OP_GET_DATA, ZK_OP_GET_CHILDREN2,
        ZK_OP_GET_ACL, ZK_OP_MULTI,  ZK_OP_DELETE,
    };
    if (size == 0)
        return 0;
    const struct keeper_message_reply reply = {
        .type = types[data[0] % ARRAY_COUNT(types)],
        .part_count = data[0] / (int32_t)ARRAY_COUNT(types),
        .chroot = SLICE_LITERAL("/chroot"),
    };
    const struct slice body = slice_of(data + 1, size - 1);
    const size_t arena_size = keeper_message_arena_size(reply.type, body.size);
    struct keeper_result result = {0};
    struct arena arena;
    if (arena_size > memory_size)
        return 0;
    arena_init(&arena, memory, arena_size);
    if (keeper_message_decode(reply, body, &arena, &result) != ERR_OK)
        return 0;
    assert(result.part_count <= reply.part_count);
    uint64_t sum = result.path.size + result.data.size;
    for (int32_t index = 0; index < result.child_count; index++)
        sum += result.children[index].size;
    assert(sum <= body.size);
    return 0;
}
