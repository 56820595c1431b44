#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

/* Null topics ask for all. */
static bool is_asked(const struct kafka_describe_log_dirs_request *body,
                     const struct partition_store *store)
{
    if (body->topics.count < 0)
        return true;
    for (int32_t t = 0; t < body->topics.count; t++) {
        const struct kafka_describe_log_dirs_request_topics *topic = &body->topics.items[t];
        if (!slice_equal(topic->topic, partition_store_topic(store)))
            continue;
        for (int32_t p = 0; p < topic->partitions.count; p++)
            if (topic->partitions.items[p] == partition_store_partition(store))
                return true;
    }
    return false;
}

/* How far a copy is behind the replica; -1: the replica is not in use. */
static int64_t lag_of(const struct partition_table *table, const struct partition_store *store)
{
    const struct partition *partition = partition_table_find(table, store->topic, store->partition);
    if (partition == NULL || !partition->is_hosted || partition->store == NULL ||
        partition_store_offline_reason(partition->store) != NULL)
        return -1;
    return store->is_future ? partition_store_log_end_offset(partition->store) -
                                  partition_store_log_end_offset(store)
                            : 0;
}

static void add_partition(const struct partition_table *table,
                          struct kafka_describe_log_dirs_reply_results *result,
                          struct kafka_describe_log_dirs_reply_results_topics_partitions *room,
                          const struct partition_store *store)
{
    struct kafka_describe_log_dirs_reply_results_topics *topic = NULL;
    const struct slice name = partition_store_topic(store);
    /* The stores come in no order: each partition is a topic entry of its own unless it follows
     * one of the same topic. Clients gather them by name. */
    if (result->topics.count > 0)
        topic = &result->topics.items[result->topics.count - 1];
    if (topic == NULL || !slice_equal(topic->name, name)) {
        topic = &result->topics.items[result->topics.count++];
        *topic = (struct kafka_describe_log_dirs_reply_results_topics){.name = name};
        topic->partitions.items = room;
    }
    topic->partitions.items[topic->partitions.count++] =
        (struct kafka_describe_log_dirs_reply_results_topics_partitions){
            .partition_index = partition_store_partition(store),
            .partition_size = (int64_t)partition_store_size_bytes(store),
            .offset_lag = lag_of(table, store),
            .is_future_key = store->is_future};
}

static bool describe_directory(struct broker_request *request, struct log_directory *directory,
                               const char *path,
                               struct kafka_describe_log_dirs_reply_results *result)
{
    const uint32_t count = log_directory_partition_count(directory);
    struct kafka_describe_log_dirs_reply_results_topics_partitions *room =
        broker_request_take_array(request, count, sizeof *room);
    result->log_dir = slice_from_text(path);
    result->total_bytes = -1;
    result->usable_bytes = -1;
    result->topics.items = broker_request_take_array(request, count, sizeof *result->topics.items);
    if (room == NULL || result->topics.items == NULL)
        return false;
    if (log_directory_is_offline(directory)) {
        result->error_code = KAFKA_KAFKA_STORAGE_ERROR;
        return true;
    }
    result->usable_bytes = (int64_t)io_disk_free_bytes(request->server->io, path);
    uint64_t position = 0;
    struct partition_store *store = NULL;
    while ((store = log_directory_next(directory, &position, store)) != NULL)
        if (is_asked(request->body, store))
            add_partition(&request->server->partitions, result, room++, store);
    return true;
}

void api_describe_log_dirs(struct broker_request *request)
{
    const struct broker_server *server = request->server;
    const struct partition_table *table = &server->partitions;
    struct kafka_describe_log_dirs_reply reply = {0};
    reply.results.items =
        broker_request_take_array(request, table->directory_count, sizeof *reply.results.items);
    for (uint32_t i = 0; reply.results.items != NULL && i < table->directory_count; i++) {
        if (!describe_directory(request, table->directories[i], server->config->log_dir_paths[i],
                                &reply.results.items[i]))
            break;
        reply.results.count++;
    }
    if (reply.results.count == (int32_t)table->directory_count)
        broker_request_reply(request, &reply);
    else
        broker_request_fail_memory(request);
}
