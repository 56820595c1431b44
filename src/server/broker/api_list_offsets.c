/* ListOffsets: one lookup after the other. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum {
    version_single_offset = 1,
    timestamp_latest_tiered = -5,
    looked_back_max = 4096, /* For a partition that is named twice. */
    version_offset_not_available = 5,
    consumer_id = -1,
    debugging_consumer_id = -2, /* Asks any replica. */
};

struct list_offsets_state {
    struct broker_request *request;
    struct kafka_list_offsets_reply reply;
    int32_t topic_index;
    int32_t partition_index;
    bool is_behind; /* The leader does not know yet what consumers may read of its epoch. */
    struct partition_lookup lookup;
};

static struct kafka_list_offsets_reply_topics_partitions *reply_of(struct list_offsets_state *state)
{
    return &state->reply.topics.items[state->topic_index].partitions.items[state->partition_index];
}

static const struct kafka_list_offsets_request_topics *
topic_of(const struct list_offsets_state *state)
{
    const struct kafka_list_offsets_request *body = state->request->body;
    return &body->topics.items[state->topic_index];
}

static void set_error(struct list_offsets_state *state, enum error_code code)
{
    struct kafka_list_offsets_reply_topics_partitions *reply = reply_of(state);
    reply->error_code = (int16_t)code;
    reply->timestamp = -1;
    reply->offset = -1;
    reply->leader_epoch = -1;
}

/* Words for times that came with later versions. */
static bool is_timestamp_known(int64_t timestamp, int16_t version)
{
    switch (timestamp) {
    case PARTITION_LATEST:
    case PARTITION_EARLIEST: return true;
    case PARTITION_MAX_TIMESTAMP: return version >= 7;
    case PARTITION_EARLIEST_LOCAL: return version >= 8;
    case timestamp_latest_tiered: return version >= 9;
    default: return timestamp >= 0;
    }
}

static bool is_repeated(const struct list_offsets_state *state)
{
    const struct kafka_list_offsets_request_topics *topic = topic_of(state);
    const int32_t at = state->partition_index;
    const int32_t wanted = topic->partitions.items[at].partition_index;
    const int32_t first = at > looked_back_max ? at - looked_back_max : 0;
    for (int32_t i = first; i < at; i++)
        if (topic->partitions.items[i].partition_index == wanted)
            return true;
    return false;
}

/* Version 0 has a list of offsets, newest first. */
static void set_old_style(struct list_offsets_state *state, int64_t offset)
{
    struct kafka_list_offsets_reply_topics_partitions *reply = reply_of(state);
    reply->old_style_offsets.items =
        broker_request_take(state->request, sizeof *reply->old_style_offsets.items);
    if (reply->old_style_offsets.items == NULL || offset < 0)
        return;
    reply->old_style_offsets.items[0] = offset;
    reply->old_style_offsets.count = 1;
}

static void take_result(struct list_offsets_state *state, enum error_code code)
{
    struct kafka_list_offsets_reply_topics_partitions *reply = reply_of(state);
    const bool is_first_found = state->lookup.timestamp_ms == PARTITION_EARLIEST ||
                                state->lookup.timestamp_ms == PARTITION_EARLIEST_LOCAL;
    /* Only what is certainly below the high watermark: that may lag behind what the leader before
     * has said (KIP-207). */
    if (code == KAFKA_NONE && state->is_behind && !is_first_found &&
        (state->lookup.timestamp_ms == PARTITION_LATEST || state->lookup.offset < 0))
        code = state->request->version >= version_offset_not_available ? KAFKA_OFFSET_NOT_AVAILABLE
                                                                       : KAFKA_LEADER_NOT_AVAILABLE;
    if (code != KAFKA_NONE) {
        set_error(state, code);
        return;
    }
    reply->timestamp = state->lookup.timestamp_found_ms;
    reply->offset = state->lookup.offset;
    reply->leader_epoch = state->lookup.leader_epoch;
    if (state->request->version < version_single_offset)
        set_old_style(state, state->lookup.offset);
}

static void look_up_all(struct list_offsets_state *state);

static void on_found(struct partition_lookup *lookup, enum error_code code)
{
    struct list_offsets_state *state = CONTAINER_OF(lookup, struct list_offsets_state, lookup);
    take_result(state, code);
    state->partition_index++;
    look_up_all(state);
}

/* True: the partition is done; false: the store will call on_found. */
static bool look_up_one(struct list_offsets_state *state)
{
    const struct kafka_list_offsets_request *body = state->request->body;
    const struct kafka_list_offsets_request_topics *topic = topic_of(state);
    const struct kafka_list_offsets_request_topics_partitions *asked =
        &topic->partitions.items[state->partition_index];
    enum error_code code = KAFKA_NONE;
    struct partition *partition = NULL;
    reply_of(state)->partition_index = asked->partition_index;
    set_error(state, KAFKA_NONE);
    if (is_repeated(state))
        code = KAFKA_INVALID_REQUEST;
    else if (!is_timestamp_known(asked->timestamp, state->request->version))
        code = KAFKA_UNSUPPORTED_VERSION;
    else
        partition = broker_server_partition(
            state->request->server,
            (struct broker_partition_name){.topic = topic->name,
                                           .index = asked->partition_index,
                                           .leader_epoch = asked->current_leader_epoch,
                                           .may_follow = body->replica_id == debugging_consumer_id},
            &code);
    if (partition == NULL || asked->timestamp == timestamp_latest_tiered) {
        set_error(state, code);
        return true;
    }
    const bool is_consumer = body->replica_id == consumer_id;
    state->is_behind = is_consumer && replication_is_behind(partition);
    state->lookup = (struct partition_lookup){
        .timestamp_ms = asked->timestamp, .to_log_end = !is_consumer, .done = on_found};
    if (!partition_store_lookup(partition->store, &state->lookup, &code))
        return false;
    take_result(state, code);
    return true;
}

static void look_up_all(struct list_offsets_state *state)
{
    const struct kafka_list_offsets_request *body = state->request->body;
    for (; state->topic_index < body->topics.count; state->topic_index++) {
        for (; state->partition_index < topic_of(state)->partitions.count; state->partition_index++)
            if (!look_up_one(state))
                return;
        state->partition_index = 0;
    }
    broker_request_reply(state->request, &state->reply);
}

static bool prepare_reply(struct list_offsets_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_list_offsets_request *body = request->body;
    struct kafka_list_offsets_reply *reply = &state->reply;
    reply->topics.count = body->topics.count;
    reply->topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply->topics.items);
    if (reply->topics.items == NULL)
        return false;
    for (int32_t t = 0; t < body->topics.count; t++) {
        struct kafka_list_offsets_reply_topics *topic = &reply->topics.items[t];
        topic->name = body->topics.items[t].name;
        topic->partitions.count = body->topics.items[t].partitions.count;
        topic->partitions.items = broker_request_take_array(
            request, (size_t)topic->partitions.count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
    }
    return true;
}

void api_list_offsets(struct broker_request *request)
{
    struct list_offsets_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!prepare_reply(state)) {
        broker_request_fail_memory(request);
        return;
    }
    look_up_all(state);
}
