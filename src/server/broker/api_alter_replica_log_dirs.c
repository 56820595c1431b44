/* AlterReplicaLogDirs: which directory of this broker a replica shall lie in. A move is answered
 * when its copy has a directory; it comes to its end by itself. */
#include "broker/partition_name.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

/* NULL: none of log.dirs, which must be named as DescribeLogDirs does. */
static struct log_directory *directory_at(const struct broker_server *server, struct slice path)
{
    for (uint32_t i = 0; i < server->partitions.directory_count; i++)
        if (slice_equal_text(path, server->config->log_dir_paths[i]))
            return server->partitions.directories[i];
    return NULL;
}

struct place_item {
    struct move_order order;
    struct place_state *state;
    int16_t *code; /* In the reply. */
};

struct place_state {
    struct broker_request *request;
    struct kafka_alter_replica_log_dirs_reply reply;
    struct place_item *items;
    uint32_t item_count;
    uint32_t open_count; /* Their copies are being made; one more while they are being ordered. */
};

static void end_item(struct place_state *state)
{
    if (--state->open_count == 0)
        broker_request_reply(state->request, &state->reply);
}

static void on_ordered(struct move_order *order, enum error_code code)
{
    struct place_item *item = CONTAINER_OF(order, struct place_item, order);
    *item->code = (int16_t)code;
    end_item(item->state);
}

static void on_cancel(struct broker_request *request)
{
    struct place_state *state = request->state;
    for (uint32_t i = 0; i < state->item_count; i++)
        list_remove(&state->items[i].order.link);
    broker_request_end(request);
}

static enum error_code move_replica(struct place_state *state, struct partition *partition,
                                    struct log_directory *directory, int16_t *reply_code)
{
    struct place_item *item = &state->items[state->item_count++];
    enum error_code code;
    *item = (struct place_item){.order.done = on_ordered, .state = state, .code = reply_code};
    list_init(&item->order.link);
    state->open_count++;
    if (!replica_moves_order(&state->request->server->moves, partition, directory, &item->order,
                             &code))
        return (enum error_code) * reply_code; /* It may be there already. */
    state->open_count--;
    return code;
}

/* A replica that is to come will lie where it is wanted; one that is here moves there. */
static enum error_code place(struct place_state *state, struct log_directory *directory,
                             struct slice topic, int32_t index, int16_t *reply_code)
{
    struct broker_server *server = state->request->server;
    if (!partition_name_has_future(topic, index))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    if (directory == NULL)
        return KAFKA_LOG_DIR_NOT_FOUND;
    if (log_directory_is_offline(directory))
        return KAFKA_KAFKA_STORAGE_ERROR;
    struct partition *partition = partition_table_find(&server->partitions, topic, index);
    if (partition != NULL && partition->is_hosted && partition->store != NULL) {
        if (partition_store_offline_reason(partition->store) != NULL)
            return KAFKA_KAFKA_STORAGE_ERROR;
        return move_replica(state, partition, directory, reply_code);
    }
    const bool is_known =
        metadata_view_partition(control_metadata(server->control), topic, index) != NULL;
    if (index >= 0 && topic_name_is_valid(topic) &&
        directory_wishes_put(&server->partitions.wishes,
                             (struct directory_wish){.topic = topic,
                                                     .partition = index,
                                                     .is_known = is_known,
                                                     .directory = directory}) != ERR_OK)
        return KAFKA_KAFKA_STORAGE_ERROR;
    return is_known ? KAFKA_REPLICA_NOT_AVAILABLE : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static void place_all(struct place_state *state, struct log_directory *directory,
                      struct kafka_alter_replica_log_dirs_reply_results *result)
{
    for (int32_t i = 0; i < result->partitions.count; i++) {
        struct kafka_alter_replica_log_dirs_reply_results_partitions *told =
            &result->partitions.items[i];
        told->error_code = (int16_t)place(state, directory, result->topic_name,
                                          told->partition_index, &told->error_code);
    }
}

/* The reply is laid out first: some answers come at once. */
static bool prepare(struct place_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_alter_replica_log_dirs_request *body = request->body;
    struct kafka_alter_replica_log_dirs_reply *reply = &state->reply;
    size_t topic_count = 0, count = 0;
    for (int32_t d = 0; d < body->dirs.count; d++)
        topic_count += (size_t)body->dirs.items[d].topics.count;
    reply->results.items =
        broker_request_take_array(request, topic_count, sizeof *reply->results.items);
    for (int32_t d = 0; reply->results.items != NULL && d < body->dirs.count; d++)
        for (int32_t t = 0; t < body->dirs.items[d].topics.count; t++) {
            const struct kafka_alter_replica_log_dirs_request_dirs_topics *topic =
                &body->dirs.items[d].topics.items[t];
            struct kafka_alter_replica_log_dirs_reply_results *result =
                &reply->results.items[reply->results.count++];
            result->topic_name = topic->name;
            result->partitions.count = topic->partitions.count;
            result->partitions.items = broker_request_take_array(
                request, (size_t)topic->partitions.count, sizeof *result->partitions.items);
            if (result->partitions.items == NULL)
                return false;
            for (int32_t i = 0; i < topic->partitions.count; i++)
                result->partitions.items[i].partition_index = topic->partitions.items[i];
            count += (size_t)topic->partitions.count;
        }
    state->items = broker_request_take_array(request, count, sizeof *state->items);
    return reply->results.items != NULL && state->items != NULL;
}

void api_alter_replica_log_dirs(struct broker_request *request)
{
    const struct kafka_alter_replica_log_dirs_request *body = request->body;
    struct place_state *state = broker_request_take(request, sizeof *state);
    if (state != NULL)
        state->request = request;
    if (state == NULL || !prepare(state)) {
        broker_request_fail_memory(request);
        return;
    }
    request->state = state;
    request->cancel = on_cancel;
    state->open_count = 1;
    struct kafka_alter_replica_log_dirs_reply_results *result = state->reply.results.items;
    for (int32_t d = 0; d < body->dirs.count; d++) {
        const struct kafka_alter_replica_log_dirs_request_dirs *dir = &body->dirs.items[d];
        struct log_directory *directory = directory_at(request->server, dir->path);
        for (int32_t t = 0; t < dir->topics.count; t++)
            place_all(state, directory, result++);
    }
    end_item(state);
}
