#include "broker/control_wire.h"

#include "base/assert.h"
#include "wire/gen/kafka.h"

enum { grouped_since_orders = 2, grouped_since_metadata = 5, grouped_since_stops = 3 };

struct control_wire_api control_wire_api_of(enum control_message_kind kind)
{
    switch (kind) {
    case CONTROL_LEADER_AND_ISR:
        return (struct control_wire_api){KAFKA_API_LEADER_AND_ISR, 7,
                                         &kafka_leader_and_isr_request_wire,
                                         &kafka_leader_and_isr_reply_wire};
    case CONTROL_UPDATE_METADATA:
        return (struct control_wire_api){KAFKA_API_UPDATE_METADATA, 8,
                                         &kafka_update_metadata_request_wire,
                                         &kafka_update_metadata_reply_wire};
    case CONTROL_STOP_REPLICA: break;
    }
    return (struct control_wire_api){KAFKA_API_STOP_REPLICA, 4, &kafka_stop_replica_request_wire,
                                     &kafka_stop_replica_reply_wire};
}

size_t control_wire_size(const struct control_message *message)
{
    size_t endpoint_count = 0;
    for (uint32_t index = 0; index < message->broker_count; index++)
        endpoint_count += message->brokers[index].endpoint_count;
    /* Every partition may be alone in its topic; the largest structs stand for all. */
    return 4096 +
           message->partition_count * (sizeof(struct kafka_leader_and_isr_partition) +
                                       sizeof(struct kafka_leader_and_isr_request_topic_states)) +
           message->broker_count * (sizeof(struct kafka_update_metadata_request_live_brokers) +
                                    sizeof(struct kafka_leader_and_isr_request_live_leaders)) +
           endpoint_count * sizeof(struct kafka_update_metadata_request_live_brokers_endpoints);
}

static struct wire_uuid wire_id(struct uuid id)
{
    struct wire_uuid copy;
    memcpy(copy.bytes, id.bytes, sizeof copy.bytes);
    return copy;
}

/* How many partitions from first on are of one topic. */
static uint32_t run_of(const struct control_message *message, uint32_t first)
{
    uint32_t count = 1;
    while (first + count < message->partition_count &&
           slice_equal(message->partitions[first + count].topic, message->partitions[first].topic))
        count++;
    return count;
}

/* ---- LeaderAndIsr ---- */

static struct kafka_leader_and_isr_partition order_of(const struct partition_state *state)
{
    return (struct kafka_leader_and_isr_partition){
        .topic_name = state->topic,
        .partition_index = state->index,
        .controller_epoch = state->controller_epoch,
        .leader = state->leader,
        .leader_epoch = state->leader_epoch,
        .isr = {(int32_t *)state->isr, (int32_t)state->isr_count},
        .partition_epoch = state->partition_epoch,
        .replicas = {(int32_t *)state->replicas, (int32_t)state->replica_count},
        .adding_replicas = {(int32_t *)state->adding, (int32_t)state->adding_count},
        .removing_replicas = {(int32_t *)state->removing, (int32_t)state->removing_count},
        .is_new = state->is_new,
        .leader_recovery_state = state->is_recovering,
    };
}

static bool leads_any(const struct control_message *message, int32_t id)
{
    for (uint32_t index = 0; index < message->partition_count; index++)
        if (message->partitions[index].leader == id)
            return true;
    return false;
}

/* The one of this listener, else the first. */
static const struct broker_endpoint *endpoint_of(const struct broker_record *record,
                                                 struct slice listener)
{
    for (uint32_t index = 0; index < record->endpoint_count; index++)
        if (slice_equal(record->endpoints[index].listener, listener))
            return &record->endpoints[index];
    return record->endpoint_count > 0 ? &record->endpoints[0] : NULL;
}

static bool put_leaders(const struct control_message *message, struct slice listener,
                        struct kafka_leader_and_isr_request *request, struct arena *arena)
{
    request->live_leaders.items =
        arena_take_array(arena, message->broker_count, sizeof *request->live_leaders.items);
    if (request->live_leaders.items == NULL)
        return false;
    for (uint32_t index = 0; index < message->broker_count; index++) {
        const struct broker_record *record = &message->brokers[index];
        const struct broker_endpoint *endpoint = endpoint_of(record, listener);
        if (endpoint != NULL && leads_any(message, record->id))
            request->live_leaders.items[request->live_leaders.count++] =
                (struct kafka_leader_and_isr_request_live_leaders){
                    .broker_id = record->id,
                    .host_name = endpoint->host,
                    .port = endpoint->port,
                };
    }
    return true;
}

static bool group_orders(const struct control_message *message,
                         struct kafka_leader_and_isr_partition *partitions,
                         struct kafka_leader_and_isr_request *request, struct arena *arena)
{
    request->topic_states.items =
        arena_take_array(arena, message->partition_count, sizeof *request->topic_states.items);
    if (request->topic_states.items == NULL)
        return false;
    for (uint32_t first = 0; first < message->partition_count;) {
        const uint32_t count = run_of(message, first);
        request->topic_states.items[request->topic_states.count++] =
            (struct kafka_leader_and_isr_request_topic_states){
                .topic_name = message->partitions[first].topic,
                .topic_id = wire_id(message->partitions[first].topic_id),
                .partition_states = {partitions + first, (int32_t)count},
            };
        first += count;
    }
    return true;
}

static const void *make_orders(const struct control_message *message, struct slice listener,
                               int16_t version, struct arena *arena)
{
    struct kafka_leader_and_isr_request *request = arena_take(arena, sizeof *request);
    struct kafka_leader_and_isr_partition *partitions =
        arena_take_array(arena, message->partition_count, sizeof *partitions);
    if (request == NULL || partitions == NULL || !put_leaders(message, listener, request, arena))
        return NULL;
    request->controller_id = message->controller_id;
    request->controller_epoch = message->controller_epoch;
    request->broker_epoch = message->broker_epoch;
    for (uint32_t index = 0; index < message->partition_count; index++)
        partitions[index] = order_of(&message->partitions[index]);
    if (version < grouped_since_orders) {
        request->ungrouped_partition_states.items = partitions;
        request->ungrouped_partition_states.count = (int32_t)message->partition_count;
        return request;
    }
    return group_orders(message, partitions, request, arena) ? request : NULL;
}

/* ---- UpdateMetadata ---- */

static struct kafka_update_metadata_partition metadata_of(const struct partition_state *state)
{
    return (struct kafka_update_metadata_partition){
        .topic_name = state->topic,
        .partition_index = state->index,
        .controller_epoch = state->controller_epoch,
        .leader = state->leader,
        .leader_epoch = state->leader_epoch,
        .isr = {(int32_t *)state->isr, (int32_t)state->isr_count},
        .zk_version = state->partition_epoch,
        .replicas = {(int32_t *)state->replicas, (int32_t)state->replica_count},
        .offline_replicas = {(int32_t *)state->offline, (int32_t)state->offline_count},
    };
}

static bool put_endpoints(const struct broker_record *record,
                          struct kafka_update_metadata_request_live_brokers *broker,
                          struct arena *arena)
{
    broker->endpoints.items =
        arena_take_array(arena, record->endpoint_count, sizeof *broker->endpoints.items);
    if (broker->endpoints.items == NULL)
        return false;
    for (uint32_t index = 0; index < record->endpoint_count; index++) {
        const struct broker_endpoint *endpoint = &record->endpoints[index];
        broker->endpoints.items[index] =
            (struct kafka_update_metadata_request_live_brokers_endpoints){
                .port = endpoint->port,
                .host = endpoint->host,
                .listener = endpoint->listener,
                .security_protocol = endpoint->security,
            };
    }
    broker->endpoints.count = (int32_t)record->endpoint_count;
    return true;
}

static bool put_brokers(const struct control_message *message,
                        struct kafka_update_metadata_request *request, struct slice listener,
                        struct arena *arena)
{
    request->live_brokers.items =
        arena_take_array(arena, message->broker_count, sizeof *request->live_brokers.items);
    if (request->live_brokers.items == NULL)
        return false;
    request->live_brokers.count = (int32_t)message->broker_count;
    for (uint32_t index = 0; index < message->broker_count; index++) {
        const struct broker_record *record = &message->brokers[index];
        struct kafka_update_metadata_request_live_brokers *broker =
            &request->live_brokers.items[index];
        const struct broker_endpoint *endpoint = endpoint_of(record, listener);
        broker->id = record->id;
        broker->v0_host = endpoint == NULL ? SLICE_LITERAL("") : endpoint->host;
        broker->v0_port = endpoint == NULL ? -1 : endpoint->port;
        broker->rack = record->rack;
        if (!put_endpoints(record, broker, arena))
            return false;
    }
    return true;
}

static bool group_metadata(const struct control_message *message,
                           struct kafka_update_metadata_partition *partitions,
                           struct kafka_update_metadata_request *request, struct arena *arena)
{
    request->topic_states.items =
        arena_take_array(arena, message->partition_count, sizeof *request->topic_states.items);
    if (request->topic_states.items == NULL)
        return false;
    for (uint32_t first = 0; first < message->partition_count;) {
        const uint32_t count = run_of(message, first);
        request->topic_states.items[request->topic_states.count++] =
            (struct kafka_update_metadata_request_topic_states){
                .topic_name = message->partitions[first].topic,
                .topic_id = wire_id(message->partitions[first].topic_id),
                .partition_states = {partitions + first, (int32_t)count},
            };
        first += count;
    }
    return true;
}

static const void *make_metadata(const struct control_message *message, struct slice listener,
                                 int16_t version, struct arena *arena)
{
    struct kafka_update_metadata_request *request = arena_take(arena, sizeof *request);
    struct kafka_update_metadata_partition *partitions =
        arena_take_array(arena, message->partition_count, sizeof *partitions);
    if (request == NULL || partitions == NULL || !put_brokers(message, request, listener, arena))
        return NULL;
    request->controller_id = message->controller_id;
    request->controller_epoch = message->controller_epoch;
    request->broker_epoch = message->broker_epoch;
    for (uint32_t index = 0; index < message->partition_count; index++)
        partitions[index] = metadata_of(&message->partitions[index]);
    if (version < grouped_since_metadata) {
        request->ungrouped_partition_states.items = partitions;
        request->ungrouped_partition_states.count = (int32_t)message->partition_count;
        return request;
    }
    return group_metadata(message, partitions, request, arena) ? request : NULL;
}

/* ---- StopReplica ---- */

static bool group_stops(const struct control_message *message,
                        struct kafka_stop_replica_request *request, struct arena *arena)
{
    const uint32_t count = message->partition_count;
    request->topic_states.items =
        arena_take_array(arena, count, sizeof *request->topic_states.items);
    struct kafka_stop_replica_request_topic_states_partition_states *partitions =
        arena_take_array(arena, count, sizeof *partitions);
    if (request->topic_states.items == NULL || partitions == NULL)
        return false;
    for (uint32_t index = 0; index < count; index++)
        partitions[index] = (struct kafka_stop_replica_request_topic_states_partition_states){
            .partition_index = message->partitions[index].index,
            .leader_epoch = message->partitions[index].leader_epoch,
            .delete_partition = message->delete_partition[index],
        };
    for (uint32_t first = 0; first < count;) {
        const uint32_t run = run_of(message, first);
        request->topic_states.items[request->topic_states.count++] =
            (struct kafka_stop_replica_request_topic_states){
                .topic_name = message->partitions[first].topic,
                .partition_states = {partitions + first, (int32_t)run},
            };
        first += run;
    }
    return true;
}

/* Versions 0 to 2: each partition under a topic of its own is as good. */
static bool list_stops(const struct control_message *message,
                       struct kafka_stop_replica_request *request, struct arena *arena)
{
    const uint32_t count = message->partition_count;
    request->ungrouped_partitions.items =
        arena_take_array(arena, count, sizeof *request->ungrouped_partitions.items);
    request->topics.items = arena_take_array(arena, count, sizeof *request->topics.items);
    if (request->ungrouped_partitions.items == NULL || request->topics.items == NULL)
        return false;
    for (uint32_t index = 0; index < count; index++) {
        struct partition_state *state = &message->partitions[index];
        request->ungrouped_partitions.items[index] =
            (struct kafka_stop_replica_request_ungrouped_partitions){state->topic, state->index};
        request->topics.items[index] = (struct kafka_stop_replica_request_topics){
            .name = state->topic, .partition_indexes = {&state->index, 1}};
    }
    request->ungrouped_partitions.count = (int32_t)count;
    request->topics.count = (int32_t)count;
    return true;
}

static const void *make_stops(const struct control_message *message, int16_t version,
                              struct arena *arena)
{
    struct kafka_stop_replica_request *request = arena_take(arena, sizeof *request);
    if (request == NULL)
        return NULL;
    request->controller_id = message->controller_id;
    request->controller_epoch = message->controller_epoch;
    request->broker_epoch = message->broker_epoch;
    request->delete_partitions = message->partition_count > 0 && message->delete_partition[0];
    const bool fits = version < grouped_since_stops ? list_stops(message, request, arena)
                                                    : group_stops(message, request, arena);
    return fits ? request : NULL;
}

const void *control_wire_request(const struct control_message *message, struct slice listener,
                                 int16_t version, struct arena *arena)
{
    switch (message->kind) {
    case CONTROL_LEADER_AND_ISR: return make_orders(message, listener, version, arena);
    case CONTROL_UPDATE_METADATA: return make_metadata(message, listener, version, arena);
    case CONTROL_STOP_REPLICA: return make_stops(message, version, arena);
    }
    return NULL;
}

/* ---- replies ---- */

typedef void each_error(void *context, const struct control_wire_error *error);

static int16_t read_orders(const struct kafka_leader_and_isr_reply *reply, each_error *each,
                           void *context)
{
    for (int32_t index = 0; index < reply->partition_errors.count; index++) {
        const struct kafka_leader_and_isr_reply_partition_errors *item =
            &reply->partition_errors.items[index];
        each(context, &(struct control_wire_error){.topic = item->topic_name,
                                                   .index = item->partition_index,
                                                   .code = item->error_code});
    }
    for (int32_t place = 0; place < reply->topics.count; place++) {
        const struct kafka_leader_and_isr_reply_topics *topic = &reply->topics.items[place];
        struct control_wire_error error = {.topic = SLICE_NULL};
        memcpy(error.topic_id.bytes, topic->topic_id.bytes, sizeof error.topic_id.bytes);
        for (int32_t index = 0; index < topic->partition_errors.count; index++) {
            error.index = topic->partition_errors.items[index].partition_index;
            error.code = topic->partition_errors.items[index].error_code;
            each(context, &error);
        }
    }
    return reply->error_code;
}

static int16_t read_stops(const struct kafka_stop_replica_reply *reply, each_error *each,
                          void *context)
{
    for (int32_t index = 0; index < reply->partition_errors.count; index++) {
        const struct kafka_stop_replica_reply_partition_errors *item =
            &reply->partition_errors.items[index];
        each(context, &(struct control_wire_error){.topic = item->topic_name,
                                                   .index = item->partition_index,
                                                   .code = item->error_code});
    }
    return reply->error_code;
}

int16_t control_wire_read(enum control_message_kind kind, const void *reply, each_error *each,
                          void *context)
{
    switch (kind) {
    case CONTROL_LEADER_AND_ISR: return read_orders(reply, each, context);
    case CONTROL_UPDATE_METADATA:
        return ((const struct kafka_update_metadata_reply *)reply)->error_code;
    case CONTROL_STOP_REPLICA: return read_stops(reply, each, context);
    }
    return 0;
}
