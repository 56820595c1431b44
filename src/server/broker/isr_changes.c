#include "server/broker/isr_changes.h"

#include "base/assert.h"
#include "broker/replica_set.h"
#include "server/broker/broker_server.h"
#include "server/broker/control.h"
#include "wire/gen/kafka.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>

enum {
    version_names_max = 1, /* Topics go by name; later by id. */
    version_epochs = 3,    /* Members come with the epochs of their brokers. */
    version_max = 3,
    reply_bytes_max = 16 << 20,
    reply_memory_bytes_max = 64 << 20,
    isr_text_size = 12 * control_replica_count_max
};

/* Which change of which epoch an item of the request asks for. */
struct change_name {
    uint32_t number;
    int32_t leader_epoch;
};

/* The request in flight, in one block with all it points to. */
struct isr_batch {
    struct alter_partitions alter;
    struct link_request request;
    struct isr_changes *changes;
    struct change_name *names;
    struct kafka_alter_partition_request body;
    struct arena arena;
    alignas(max_align_t) uint8_t memory[];
};

static struct isr_batch *batch_of(const struct alter_partitions *alter)
{
    return alter->user;
}

/* ---- the answer ---- */

static void send_next(struct isr_changes *changes);

static void print_isr(const struct partition_alter *item, char *text)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < item->isr_count_now; i++) {
        const int size = snprintf(text + at, isr_text_size - at, "%s%d", i == 0 ? "" : ",",
                                  (int)item->isr_now[i]);
        at += size < 0 ? 0 : (size_t)size;
    }
}

/* Nothing is wrong: somebody who is to join shuts down or has just gone, or an order of the
 * controller is on its way. */
static bool is_ordinary(int16_t code)
{
    return code == KAFKA_INELIGIBLE_REPLICA || code == KAFKA_OPERATION_NOT_ATTEMPTED ||
           code == KAFKA_FENCED_LEADER_EPOCH || code == KAFKA_INVALID_UPDATE_VERSION ||
           code == KAFKA_NEW_LEADER_ELECTED || code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION ||
           code == KAFKA_UNKNOWN_TOPIC_ID;
}

static void tell_taken(const struct isr_changes *changes, struct partition *partition,
                       const struct partition_alter *item)
{
    char isr[isr_text_size];
    print_isr(item, isr);
    partition->isr_trouble_told = KAFKA_NONE;
    diag_info(changes->server->diag, "partition %" SLICE_FORMAT "-%d: in sync are %s now",
              SLICE_ARGS(partition->topic), (int)partition->index, isr);
}

/* Once, however often whoever shuts down asks for more with each of its fetches. */
static void tell_not_taken(const struct isr_changes *changes, struct partition *partition,
                           int16_t code)
{
    if (partition->isr_trouble_told == code)
        return;
    partition->isr_trouble_told = code;
    diag_line(changes->server->diag, is_ordinary(code) ? DIAG_INFO : DIAG_WARN,
              "partition %" SLICE_FORMAT "-%d: the controller answers a change of the ISR: %s",
              SLICE_ARGS(partition->topic), (int)partition->index, kafka_error_name(code));
}

/* False: it must be asked again. */
static bool take_answer(struct isr_changes *changes, struct partition *partition,
                        const struct partition_alter *item, struct change_name name)
{
    const struct replica_answer answer = {
        .change_number = name.number,
        .change_leader_epoch = name.leader_epoch,
        .error_code = item->error_code,
        .leader_epoch = item->leader_epoch_now,
        .partition_epoch = item->partition_epoch_now,
        .isr_count = item->isr_count_now,
        .isr = item->isr_now,
    };
    const enum replica_outcome outcome = replica_set_on_answer(partition->replicas, &answer);
    switch (outcome) {
    case REPLICA_OUTCOME_OLD: return true;
    case REPLICA_OUTCOME_TAKEN:
        tell_taken(changes, partition, item);
        replication_on_progress(&changes->server->replication, partition);
        /* Whoever rested as complete and had to leave may join again with its next fetch. */
        partition_wake_list(&partition->news_waiters);
        return true;
    case REPLICA_OUTCOME_UNDONE:
    case REPLICA_OUTCOME_STUCK: tell_not_taken(changes, partition, item->error_code); return true;
    case REPLICA_OUTCOME_AGAIN: break;
    }
    return false;
}

static void put_back(struct isr_changes *changes, struct partition *partition)
{
    if (!list_linked(&partition->change_link))
        list_push(&changes->waiting, &partition->change_link);
}

/* Whether the item is about the change that is still under way: not of a topic before. */
static bool is_current(const struct partition *partition, const struct partition_alter *item,
                       struct change_name name)
{
    return partition != NULL && partition->replicas != NULL &&
           uuid_equal(partition->topic_id, item->topic_id) &&
           partition->replicas->change != REPLICA_CHANGE_NONE &&
           partition->replicas->leader_epoch == name.leader_epoch &&
           partition->replicas->change_number == name.number;
}

/* True: every item has its answer. */
static bool take_answers(struct isr_changes *changes, const struct isr_batch *batch,
                         bool has_failed)
{
    const struct alter_partitions *alter = &batch->alter;
    bool is_complete = true;
    for (uint32_t i = 0; i < alter->partition_count; i++) {
        const struct partition_alter *item = &alter->partitions[i];
        struct partition *partition =
            partition_table_find(&changes->server->partitions, item->topic, item->index);
        if (!is_current(partition, item, batch->names[i]))
            continue;
        if (!has_failed && take_answer(changes, partition, item, batch->names[i]))
            continue;
        put_back(changes, partition);
        is_complete = false;
    }
    return is_complete;
}

static void send_later(struct isr_changes *changes)
{
    delay_queue_add(&changes->server->delays, &changes->again, changes->again_ms);
    changes->again_ms = (uint32_t)min_u64(2 * changes->again_ms, isr_changes_again_ms_max);
}

/* has_failed: nothing is known of the whole request. */
static void finish(struct isr_batch *batch, bool has_failed)
{
    struct isr_changes *changes = batch->changes;
    struct broker_server *server = changes->server;
    const bool is_complete = take_answers(changes, batch, has_failed);
    changes->batch = NULL; /* Until here it was in flight, so nothing new was sent. */
    heap_give(server->heap, batch);
    if (is_complete) {
        changes->again_ms = isr_changes_again_ms;
        changes->trouble_told = KAFKA_NONE;
        send_next(changes);
    } else if (!changes->is_stopped) {
        send_later(changes);
    }
}

static void on_altered(struct alter_partitions *alter)
{
    finish(batch_of(alter), alter->error_code != KAFKA_NONE);
}

/* ---- over the wire ---- */

static bool fill_isr(struct isr_batch *batch, const struct partition_alter *item, int16_t version,
                     struct kafka_alter_partition_request_topics_partitions *asked)
{
    if (version < version_epochs) {
        asked->new_isr.count = (int32_t)item->isr_count;
        asked->new_isr.items =
            arena_take_array(&batch->arena, item->isr_count, sizeof *asked->new_isr.items);
        for (uint32_t i = 0; asked->new_isr.items != NULL && i < item->isr_count; i++)
            asked->new_isr.items[i] = item->isr[i].broker_id;
        return asked->new_isr.items != NULL;
    }
    asked->new_isr_with_epochs.count = (int32_t)item->isr_count;
    asked->new_isr_with_epochs.items =
        arena_take_array(&batch->arena, item->isr_count, sizeof *asked->new_isr_with_epochs.items);
    for (uint32_t i = 0; asked->new_isr_with_epochs.items != NULL && i < item->isr_count; i++) {
        asked->new_isr_with_epochs.items[i].broker_id = item->isr[i].broker_id;
        asked->new_isr_with_epochs.items[i].broker_epoch = item->isr[i].broker_epoch;
    }
    return asked->new_isr_with_epochs.items != NULL;
}

/* Each partition with a topic of its own: the order is that of their changes. */
static const void *fill(struct link_request *request, int16_t version)
{
    struct isr_batch *batch = CONTAINER_OF(request, struct isr_batch, request);
    const struct alter_partitions *alter = &batch->alter;
    struct kafka_alter_partition_request *body = &batch->body;
    struct kafka_alter_partition_request_topics_partitions *asked =
        arena_take_array(&batch->arena, alter->partition_count, sizeof *asked);
    *body = (struct kafka_alter_partition_request){.broker_id = alter->broker_id,
                                                   .broker_epoch = alter->broker_epoch};
    body->topics.count = (int32_t)alter->partition_count;
    body->topics.items =
        arena_take_array(&batch->arena, alter->partition_count, sizeof *body->topics.items);
    if (asked == NULL || body->topics.items == NULL)
        return NULL;
    for (uint32_t i = 0; i < alter->partition_count; i++) {
        const struct partition_alter *item = &alter->partitions[i];
        struct kafka_alter_partition_request_topics *topic = &body->topics.items[i];
        asked[i].partition_index = item->index;
        asked[i].leader_epoch = item->leader_epoch;
        asked[i].partition_epoch = item->partition_epoch;
        asked[i].leader_recovery_state = item->leader_recovery_state;
        if (!fill_isr(batch, item, version, &asked[i]))
            return NULL;
        topic->topic_name = item->topic;
        memcpy(&topic->topic_id, &item->topic_id, sizeof topic->topic_id);
        topic->partitions.items = &asked[i];
        topic->partitions.count = 1;
    }
    return body;
}

/* Where the answer belongs; they come in the order of the request, or grouped by topic. */
static struct partition_alter *find_item(struct isr_batch *batch, bool is_by_name,
                                         const struct kafka_alter_partition_reply_topics *topic,
                                         int32_t index, uint32_t *cursor)
{
    const uint32_t count = batch->alter.partition_count;
    for (uint32_t i = 0; i < count; i++) {
        struct partition_alter *item = &batch->alter.partitions[(*cursor + i) % count];
        const bool is_topic =
            is_by_name ? slice_equal(item->topic, topic->topic_name)
                       : memcmp(&item->topic_id, &topic->topic_id, sizeof item->topic_id) == 0;
        if (!is_topic || item->index != index)
            continue;
        *cursor = (*cursor + i + 1) % count;
        return item;
    }
    return NULL;
}

static void take_reply(struct partition_alter *item,
                       const struct kafka_alter_partition_reply_topics_partitions *told)
{
    if (told->isr.count < 0 || told->isr.count > control_replica_count_max)
        return;
    item->error_code = told->error_code;
    item->leader_now = told->leader_id;
    item->leader_epoch_now = told->leader_epoch;
    item->partition_epoch_now = told->partition_epoch;
    item->leader_recovery_state_now = told->leader_recovery_state;
    item->isr_count_now = (uint32_t)told->isr.count;
    for (int32_t i = 0; i < told->isr.count; i++)
        item->isr_now[i] = told->isr.items[i];
}

/* Once for each reason in a row. */
static void tell_trouble(struct isr_changes *changes, enum err err, int16_t code)
{
    if (changes->trouble_told != code)
        diag_warn(changes->server->diag, "a change of the ISR is asked for again: %s",
                  err != ERR_OK ? err_text(err) : kafka_error_name(code));
    changes->trouble_told = code;
}

static void on_reply(struct link_request *request, enum err err)
{
    struct isr_batch *batch = CONTAINER_OF(request, struct isr_batch, request);
    const struct kafka_alter_partition_reply *reply = request->body;
    uint32_t cursor = 0;
    if (err != ERR_OK || reply->error_code != KAFKA_NONE) {
        tell_trouble(batch->changes, err,
                     err == ERR_OK ? reply->error_code : KAFKA_NETWORK_EXCEPTION);
        finish(batch, true);
        return;
    }
    for (int32_t t = 0; t < reply->topics.count; t++) {
        const struct kafka_alter_partition_reply_topics *topic = &reply->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct kafka_alter_partition_reply_topics_partitions *told =
                &topic->partitions.items[p];
            struct partition_alter *item = find_item(batch, request->version <= version_names_max,
                                                     topic, told->partition_index, &cursor);
            if (item != NULL)
                take_reply(item, told);
        }
    }
    finish(batch, false);
}

static void open_link(struct isr_changes *changes)
{
    struct broker_server *server = changes->server;
    char client_id[broker_link_client_id_bytes_max];
    uint64_t seed;
    if (changes->has_link)
        return;
    io_entropy(server->io, &seed, sizeof seed);
    (void)snprintf(client_id, sizeof client_id, "%d", (int)control_broker_id(server->control));
    broker_link_init(&changes->link,
                     (struct broker_link_options){
                         .io = server->io,
                         .net = server->net,
                         .heap = server->heap,
                         .diag = server->diag,
                         .delays = &server->delays,
                         .view = control_metadata(server->control),
                         .listener = broker_config_inter_broker_listener(server->config),
                         .peer_id = broker_link_peer_controller,
                         .in_flight_max = 1,
                         .reply_bytes_max = reply_bytes_max,
                         .reply_memory_bytes_max = reply_memory_bytes_max,
                         .seed = seed,
                         .client_id = client_id});
    changes->has_link = true;
}

static bool has_all_ids(const struct alter_partitions *alter)
{
    static const struct uuid none;
    for (uint32_t i = 0; i < alter->partition_count; i++)
        if (memcmp(&alter->partitions[i].topic_id, &none, sizeof none) == 0)
            return false;
    return true;
}

static void send_over_link(struct isr_changes *changes, struct isr_batch *batch)
{
    open_link(changes);
    batch->request = (struct link_request){
        .request = &kafka_alter_partition_request_wire,
        .reply = &kafka_alter_partition_reply_wire,
        .api_key = KAFKA_API_ALTER_PARTITION,
        .version_max = has_all_ids(&batch->alter) ? version_max : version_names_max,
        .timeout_ms = (uint32_t)changes->server->config->controller_socket_timeout_ms,
        .fill = fill,
        .done = on_reply,
    };
    broker_link_send(&changes->link, &batch->request);
}

/* ---- the request ---- */

static size_t item_bytes(const struct partition *partition)
{
    const size_t members = partition->replicas->isr_count + 1;
    return sizeof(struct partition_alter) + sizeof(struct change_name) + partition->topic.size +
           members *
               (sizeof(struct isr_member) +
                sizeof(
                    struct kafka_alter_partition_request_topics_partitions_new_isr_with_epochs)) +
           sizeof(struct kafka_alter_partition_request_topics) +
           sizeof(struct kafka_alter_partition_request_topics_partitions) +
           8 * alignof(max_align_t);
}

static struct isr_batch *take_batch(struct isr_changes *changes, uint32_t *count)
{
    size_t size = sizeof(struct isr_batch) + 8 * alignof(max_align_t);
    *count = 0;
    list_each (link, &changes->waiting) {
        if (*count == isr_changes_batch_max)
            break;
        size += item_bytes(CONTAINER_OF(link, struct partition, change_link));
        (*count)++;
    }
    struct isr_batch *batch = *count == 0 ? NULL : heap_take_zeroed(changes->server->heap, size);
    if (batch != NULL)
        arena_init(&batch->arena, batch->memory, size - sizeof *batch);
    return batch;
}

static void add_item(struct isr_batch *batch, const struct partition *partition,
                     int64_t broker_epoch)
{
    struct isr_member members[control_replica_count_max];
    const struct replica_set *set = partition->replicas;
    const uint32_t at = batch->alter.partition_count++;
    struct partition_alter *item = &batch->alter.partitions[at];
    batch->names[at] =
        (struct change_name){.number = set->change_number, .leader_epoch = set->leader_epoch};
    *item = (struct partition_alter){
        .topic = arena_copy(&batch->arena, partition->topic),
        .topic_id = partition->topic_id,
        .index = partition->index,
        .leader_epoch = set->leader_epoch,
        .partition_epoch = set->partition_epoch,
        .isr_count = replica_set_proposal(set, broker_epoch, members),
        .error_code = KAFKA_UNKNOWN_SERVER_ERROR, /* Until there is an answer. */
    };
    struct isr_member *kept = arena_take_array(&batch->arena, item->isr_count, sizeof *kept);
    assert(kept != NULL && !slice_is_null(item->topic)); /* item_bytes has counted them. */
    memcpy(kept, members, item->isr_count * sizeof *kept);
    item->isr = kept;
}

static void fill_batch(struct isr_changes *changes, struct isr_batch *batch, uint32_t count)
{
    const struct broker_server *server = changes->server;
    const int64_t broker_epoch = control_broker_epoch(server->control);
    batch->changes = changes;
    batch->alter = (struct alter_partitions){.broker_id = control_broker_id(server->control),
                                             .broker_epoch = broker_epoch,
                                             .version = version_max,
                                             .done = on_altered,
                                             .user = batch};
    batch->names = arena_take_array(&batch->arena, count, sizeof *batch->names);
    batch->alter.partitions =
        arena_take_array(&batch->arena, count, sizeof *batch->alter.partitions);
    assert(batch->names != NULL && batch->alter.partitions != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct list *link = list_pop(&changes->waiting);
        add_item(batch, CONTAINER_OF(link, struct partition, change_link), broker_epoch);
    }
}

static void send_next(struct isr_changes *changes)
{
    struct broker_server *server = changes->server;
    uint32_t count;
    if (changes->batch != NULL || changes->is_stopped || delay_is_running(&changes->again))
        return;
    struct isr_batch *batch = take_batch(changes, &count);
    if (count == 0)
        return;
    if (batch == NULL) {
        send_later(changes);
        return;
    }
    changes->batch = batch;
    fill_batch(changes, batch, count);
    if (control_is_controller(server->control))
        control_alter_partitions(server->control, &batch->alter);
    else
        send_over_link(changes, batch);
}

static void on_again(struct delay *delay)
{
    send_next(CONTAINER_OF(delay, struct isr_changes, again));
}

void isr_changes_init(struct isr_changes *changes, struct broker_server *server)
{
    *changes = (struct isr_changes){
        .server = server, .again.expired = on_again, .again_ms = isr_changes_again_ms};
    list_init(&changes->waiting);
}

void isr_changes_stop(struct isr_changes *changes)
{
    changes->is_stopped = true;
    delay_queue_remove(&changes->server->delays, &changes->again);
    if (changes->has_link)
        broker_link_close(&changes->link);
    changes->has_link = false;
}

void isr_changes_add(struct isr_changes *changes, struct partition *partition)
{
    put_back(changes, partition);
    send_next(changes);
}
