#include "server/broker/reassignment_znode.h"

#include "base/arena.h"

enum { json_bytes_per_replica = 13, json_bytes_per_partition = 48, json_bytes_least = 4096 };

static bool put(struct arena *arena, struct znode_replicas *replicas, const int32_t *ids,
                uint32_t count)
{
    replicas->count = count;
    replicas->ids = arena_take_array(arena, (size_t)count + 1, sizeof *ids);
    if (replicas->ids == NULL)
        return false;
    memcpy(replicas->ids, ids, count * sizeof *ids);
    return true;
}

static size_t size_of(const struct controller_topic *topic, uint32_t change_count)
{
    size_t replica_count = (size_t)change_count * 3 * control_replica_count_max;
    for (uint32_t index = 0; index < topic->partition_count; index++)
        replica_count += (size_t)topic->partitions[index]->replica_count * 3;
    return json_bytes_least +
           topic->partition_count * (3 * sizeof(struct znode_replicas) + 3 * sizeof(int32_t) +
                                     3 * 16 + json_bytes_per_partition) +
           replica_count * (sizeof(int32_t) + json_bytes_per_replica);
}

static bool put_partition(struct arena *arena, struct znode_topic *znode, uint32_t index,
                          const struct controller_assignment *assignment)
{
    return put(arena, &znode->partitions[index], assignment->replicas, assignment->replica_count) &&
           put(arena, &znode->adding[index], assignment->adding, assignment->adding_count) &&
           put(arena, &znode->removing[index], assignment->removing, assignment->removing_count);
}

static const struct controller_assignment *find(const struct reassignment_change *changes,
                                                uint32_t change_count, uint32_t index)
{
    for (uint32_t place = 0; place < change_count; place++)
        if (changes[place].index == (int32_t)index)
            return &changes[place].assignment;
    return NULL;
}

struct slice reassignment_znode_write(struct heap *heap, const struct controller_topic *topic,
                                      const struct reassignment_change *changes,
                                      uint32_t change_count, void **block)
{
    const size_t size = size_of(topic, change_count);
    const size_t count = topic->partition_count;
    struct arena arena;
    *block = heap_take(heap, size);
    arena_init(&arena, *block, *block == NULL ? 0 : size);
    struct znode_topic znode = {.id = topic->id, .partition_count = topic->partition_count};
    znode.partitions = arena_take_array(&arena, 3 * count + 1, sizeof *znode.partitions);
    if (znode.partitions == NULL)
        return SLICE_NULL;
    znode.adding = znode.partitions + count;
    znode.removing = znode.adding + count;
    for (uint32_t index = 0; index < topic->partition_count; index++) {
        struct controller_assignment now;
        const struct controller_assignment *changed = find(changes, change_count, index);
        if (changed == NULL)
            controller_reassignment_now(topic->partitions[index], &now);
        if (!put_partition(&arena, &znode, index, changed == NULL ? &now : changed))
            return SLICE_NULL;
    }
    return znode_json_write_topic(&arena, &znode);
}
