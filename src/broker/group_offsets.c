#include "broker/group_offsets.h"

struct offset_key {
    const struct group *group;
    struct slice topic;
    int32_t partition;
};

static bool is_offset(const struct hash_link *link, const void *key)
{
    const struct group_offset *offset = CONTAINER_OF(link, const struct group_offset, hash);
    const struct offset_key *wanted = key;
    return offset->group == wanted->group && offset->partition == wanted->partition &&
           slice_equal(offset->topic, wanted->topic);
}

static uint64_t hash_of(const struct group_coordinator *coordinator, const struct offset_key *key)
{
    const uint64_t topic = hash_bytes(key->topic, coordinator->options.hash_seed);
    return hash_u64(key->group->hash.hash ^ (uint32_t)key->partition, topic);
}

struct group_offset *group_offsets_find(const struct group_coordinator *coordinator,
                                        const struct group *group, struct slice topic,
                                        int32_t partition)
{
    const struct offset_key key = {group, topic, partition};
    struct hash_link *link =
        hash_table_find(&coordinator->offsets, hash_of(coordinator, &key), is_offset, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct group_offset, hash);
}

static struct group_offset *offset_new(struct group_coordinator *coordinator, struct group *group,
                                       const struct offset_key *key, size_t metadata_size)
{
    const size_t size = key->topic.size + metadata_size;
    struct group_offset *offset = heap_take_zeroed(coordinator->heap, sizeof *offset + size);
    if (offset == NULL)
        return NULL;
    memcpy(offset + 1, key->topic.data, key->topic.size);
    offset->group = group;
    offset->topic = slice_of(offset + 1, key->topic.size);
    offset->partition = key->partition;
    offset->metadata_capacity = (uint32_t)metadata_size;
    return offset;
}

bool group_offsets_set(struct group_coordinator *coordinator, struct group *group,
                       struct slice topic, int32_t partition, struct group_offset_value value)
{
    const struct offset_key key = {group, topic, partition};
    struct group_offset *offset = group_offsets_find(coordinator, group, topic, partition);
    if (offset == NULL || offset->metadata_capacity < value.metadata.size) {
        struct group_offset *grown = offset_new(coordinator, group, &key, value.metadata.size);
        if (grown == NULL)
            return false;
        if (offset != NULL)
            group_offsets_remove(coordinator, offset);
        offset = grown;
        hash_table_add(&coordinator->offsets, &offset->hash, hash_of(coordinator, &key));
        list_push(&group->offsets, &offset->link);
        group->offset_count++;
    }
    uint8_t *metadata = (uint8_t *)(offset + 1) + offset->topic.size;
    if (value.metadata.size > 0)
        memmove(metadata, value.metadata.data, value.metadata.size);
    value.metadata.data = metadata;
    offset->value = value;
    return true;
}

void group_offsets_remove(struct group_coordinator *coordinator, struct group_offset *offset)
{
    hash_table_remove(&coordinator->offsets, &offset->hash);
    list_remove(&offset->link);
    assert(offset->group->offset_count > 0);
    offset->group->offset_count--;
    heap_give(coordinator->heap, offset);
}

void group_offsets_drop(struct group_coordinator *coordinator, struct group *group)
{
    list_each_safe (link, after, &group->offsets)
        group_offsets_remove(coordinator, CONTAINER_OF(link, struct group_offset, link));
}

bool group_offsets_is_expired(const struct group_offset *offset, int64_t retention_ms,
                              int64_t now_wall_ms)
{
    const struct group *group = offset->group;
    if (offset->value.expire_at_ms >= 0)
        return group->member_count == 0 && now_wall_ms >= offset->value.expire_at_ms;
    if (group->state != GROUP_EMPTY)
        return false;
    const bool had_members = !slice_is_null(group->protocol_type);
    const int64_t since = had_members ? max_i64(group->changed_at_ms, offset->value.commit_at_ms)
                                      : offset->value.commit_at_ms;
    return now_wall_ms - since >= retention_ms;
}
