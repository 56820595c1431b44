#include "broker/group_record.h"

#include "base/bytes.h"
#include "broker/group_member.h"
#include "wire/gen/kafka_consumer_offsets.h"

enum {
    key_version_offset = 1,
    key_version_group = 2,
    value_version = 3,
    offset_version_expiring = 1,
    version_bytes = 2,
    batch_bytes_first = 1024,
};

/* ---- writing ---- */

void group_batch_init(struct group_batch *batch, struct heap *heap, int64_t now_wall_ms)
{
    *batch = (struct group_batch){.heap = heap};
    uint8_t *data = heap_take(heap, batch_bytes_first);
    batch->has_failed = data == NULL;
    if (data != NULL)
        record_batch_writer_init(&batch->writer, data, batch_bytes_first, now_wall_ms);
}

void group_batch_deinit(struct group_batch *batch)
{
    heap_give(batch->heap, batch->writer.data);
    heap_give(batch->heap, batch->scratch);
    *batch = (struct group_batch){0};
}

static bool reserve(struct group_batch *batch, size_t size)
{
    const size_t needed = batch->writer.used + size;
    if (needed <= batch->writer.capacity)
        return true;
    const size_t capacity = max_size(needed, batch->writer.capacity * 2);
    uint8_t *data = heap_resize(batch->heap, batch->writer.data, capacity);
    if (data == NULL)
        return false;
    batch->writer.data = data;
    batch->writer.capacity = capacity;
    return true;
}

static bool reserve_scratch(struct group_batch *batch, size_t size)
{
    if (size <= batch->scratch_capacity)
        return true;
    uint8_t *scratch = heap_resize(batch->heap, batch->scratch, size);
    if (scratch == NULL)
        return false;
    batch->scratch = scratch;
    batch->scratch_capacity = size;
    return true;
}

/* One side of a record: a table, its version in front of it, and the struct. */
struct versioned {
    const struct wire_record *record; /* NULL: a tombstone. */
    int16_t version;                  /* On disk. */
    const void *value;
};

static size_t versioned_size(const struct versioned *side)
{
    return side->record == NULL
               ? 0
               : version_bytes + wire_size(side->record, side->version, side->value);
}

static struct slice versioned_put(const struct versioned *side, uint8_t *data)
{
    if (side->record == NULL)
        return SLICE_NULL;
    struct wire_writer writer = wire_writer_of(data + version_bytes, versioned_size(side));
    store_i16(data, side->version);
    wire_encode(side->record, side->version, side->value, &writer);
    return slice_of(data, version_bytes + writer.used);
}

static void add(struct group_batch *batch, const struct versioned *key,
                const struct versioned *value)
{
    const size_t key_size = versioned_size(key);
    if (batch->has_failed || !reserve_scratch(batch, key_size + versioned_size(value))) {
        batch->has_failed = true;
        return;
    }
    const struct slice key_bytes = versioned_put(key, batch->scratch);
    const struct slice value_bytes = versioned_put(value, batch->scratch + key_size);
    batch->has_failed = !reserve(batch, record_batch_writer_record_bytes(key_bytes, value_bytes)) ||
                        !record_batch_writer_add(&batch->writer, key_bytes, value_bytes);
}

void group_batch_add_offset(struct group_batch *batch, struct slice group_id, struct slice topic,
                            int32_t partition, const struct group_offset_value *value)
{
    const struct kafka_offset_commit_key key = {
        .group = group_id, .topic = topic, .partition = partition};
    const struct versioned key_side = {&kafka_offset_commit_key_wire, key_version_offset, &key};
    struct kafka_offset_commit_value body = {0};
    struct versioned value_side = {0};
    if (value != NULL) {
        body = (struct kafka_offset_commit_value){.offset = value->offset,
                                                  .leader_epoch = value->leader_epoch,
                                                  .metadata = value->metadata,
                                                  .commit_timestamp = value->commit_at_ms,
                                                  .expire_timestamp = value->expire_at_ms};
        value_side = (struct versioned){
            &kafka_offset_commit_value_wire,
            value->expire_at_ms >= 0 ? offset_version_expiring : value_version, &body};
    }
    add(batch, &key_side, &value_side);
}

static void fill_members(const struct group *group, struct kafka_group_metadata_value *value)
{
    list_each (link, &group->members) {
        const struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        value->members.items[value->members.count++] = (struct kafka_group_metadata_value_members){
            .member_id = member->id,
            .group_instance_id = member->instance_id,
            .client_id = member->client_id,
            .client_host = member->client_host,
            .rebalance_timeout = member->rebalance_timeout_ms,
            .session_timeout = member->session_timeout_ms,
            .subscription = group_member_metadata(member, group->protocol),
            .assignment =
                slice_is_null(member->assignment) ? SLICE_LITERAL("") : member->assignment};
    }
}

void group_batch_add_group(struct group_batch *batch, const struct group *group)
{
    const struct kafka_group_metadata_key key = {.group = group->id};
    const struct versioned key_side = {&kafka_group_metadata_key_wire, key_version_group, &key};
    struct kafka_group_metadata_value value = {
        .protocol_type =
            slice_is_null(group->protocol_type) ? SLICE_LITERAL("") : group->protocol_type,
        .generation = group->generation,
        .protocol = group->protocol,
        .leader = group->leader == NULL ? SLICE_NULL : group->leader->id,
        .current_state_timestamp = group->changed_at_ms};
    value.members.items =
        heap_take(batch->heap, (group->member_count + (size_t)1) * sizeof *value.members.items);
    if (value.members.items == NULL) {
        batch->has_failed = true;
        return;
    }
    fill_members(group, &value);
    const struct versioned value_side = {&kafka_group_metadata_value_wire, value_version, &value};
    add(batch, &key_side, &value_side);
    heap_give(batch->heap, value.members.items);
}

void group_batch_add_group_tombstone(struct group_batch *batch, struct slice group_id)
{
    const struct kafka_group_metadata_key key = {.group = group_id};
    const struct versioned key_side = {&kafka_group_metadata_key_wire, key_version_group, &key};
    const struct versioned value_side = {0};
    add(batch, &key_side, &value_side);
}

struct slice group_batch_finish(struct group_batch *batch)
{
    return batch->has_failed ? SLICE_NULL : record_batch_writer_finish(&batch->writer);
}

/* ---- reading ---- */

/* Cuts the version off; ERR_UNSUPPORTED: the record has no such version. */
static enum err take_version(struct slice *bytes, const struct wire_record *record, int *version)
{
    if (bytes->size < version_bytes)
        return ERR_TRUNCATED;
    *version = load_i16(bytes->data);
    *bytes = slice_skip(*bytes, version_bytes);
    return *version < record->version_min || *version > record->version_max ? ERR_UNSUPPORTED
                                                                            : ERR_OK;
}

static enum err decode_offset(struct group_record_decoded *decoded, struct slice key, int version,
                              struct slice value, struct arena *arena)
{
    struct kafka_offset_commit_key named;
    struct kafka_offset_commit_value body;
    enum err err = wire_decode_all(&kafka_offset_commit_key_wire, version, key, arena, &named);
    if (err != ERR_OK)
        return err;
    decoded->kind = GROUP_RECORD_OFFSET;
    decoded->group_id = named.group;
    decoded->topic = named.topic;
    decoded->partition = named.partition;
    if (decoded->is_tombstone)
        return ERR_OK;
    err = take_version(&value, &kafka_offset_commit_value_wire, &version);
    if (err == ERR_OK)
        err = wire_decode_all(&kafka_offset_commit_value_wire, version, value, arena, &body);
    if (err != ERR_OK)
        return err;
    decoded->offset = (struct group_offset_value){
        .offset = body.offset,
        .commit_at_ms = body.commit_timestamp,
        .expire_at_ms = version == offset_version_expiring ? body.expire_timestamp : -1,
        .leader_epoch = body.leader_epoch,
        .metadata = body.metadata};
    return ERR_OK;
}

static enum err decode_members(struct group_record_decoded *decoded,
                               const struct kafka_group_metadata_value *body, struct arena *arena)
{
    const size_t count = (size_t)max_i64(body->members.count, 0);
    struct group_member_record *members = arena_take_array(arena, count, sizeof *members);
    if (members == NULL)
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_group_metadata_value_members *from = &body->members.items[i];
        members[i] = (struct group_member_record){
            .id = from->member_id,
            .instance_id = from->group_instance_id,
            .client_id = from->client_id,
            .client_host = from->client_host,
            /* Version 0 has no rebalance timeout: the session's served as both. */
            .rebalance_timeout_ms =
                from->rebalance_timeout > 0 ? from->rebalance_timeout : from->session_timeout,
            .session_timeout_ms = from->session_timeout,
            .subscription = from->subscription,
            .assignment = from->assignment};
    }
    decoded->group.members = members;
    decoded->group.member_count = (uint32_t)count;
    return ERR_OK;
}

static enum err decode_group(struct group_record_decoded *decoded, struct slice key, int version,
                             struct slice value, struct arena *arena)
{
    struct kafka_group_metadata_key named;
    struct kafka_group_metadata_value body;
    enum err err = wire_decode_all(&kafka_group_metadata_key_wire, version, key, arena, &named);
    if (err != ERR_OK)
        return err;
    decoded->kind = GROUP_RECORD_GROUP;
    decoded->group_id = named.group;
    if (decoded->is_tombstone)
        return ERR_OK;
    err = take_version(&value, &kafka_group_metadata_value_wire, &version);
    if (err == ERR_OK)
        err = wire_decode_all(&kafka_group_metadata_value_wire, version, value, arena, &body);
    if (err != ERR_OK)
        return err;
    decoded->group = (struct group_record){.group_id = named.group,
                                           .protocol_type = body.protocol_type,
                                           .generation = body.generation,
                                           .protocol = body.protocol,
                                           .leader_id = body.leader,
                                           .changed_at_ms = body.current_state_timestamp};
    return decode_members(decoded, &body, arena);
}

enum err group_record_decode(struct group_record_decoded *decoded, struct slice key,
                             struct slice value, struct arena *arena)
{
    *decoded = (struct group_record_decoded){.kind = GROUP_RECORD_FOREIGN,
                                             .is_tombstone = slice_is_null(value)};
    if (key.size < version_bytes)
        return ERR_TRUNCATED;
    const int version = load_i16(key.data);
    const struct slice rest = slice_skip(key, version_bytes);
    if (version >= 0 && version <= key_version_offset)
        return decode_offset(decoded, rest, version, value, arena);
    if (version == key_version_group)
        return decode_group(decoded, rest, version, value, arena);
    return ERR_OK;
}
