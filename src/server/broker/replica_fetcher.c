/* One fetcher: its session with the leader, its requests and what comes back. */
#include "base/assert.h"
#include "server/broker/broker_server.h"
#include "server/broker/replica_fetchers.h"
#include "wire/gen/kafka.h"

#include <stdio.h>

enum {
    version_min = 12, /* From here on the leader finds where logs part. */
    version_without_ids = 12,
    version_max = 17,
    refused_count_max = 2,
};

static struct broker_server *server_of(const struct replica_fetcher *fetcher)
{
    return fetcher->fetchers->server;
}

/* ---- Members. ---- */

static bool is_fetched(const struct followed *followed)
{
    return followed->state == FOLLOWED_FETCHING;
}

/* The leader hears no more of forgetting it. */
static void recall(struct replica_fetcher *fetcher, struct followed *followed)
{
    assert(list_linked(&followed->forget_link));
    list_remove(&followed->forget_link);
    fetcher->forgotten_count--;
    followed->hold_count--;
}

/* Whether the leader's session takes one for the other. */
static bool is_same_in_session(const struct replica_fetcher *fetcher, const struct followed *one,
                               const struct followed *other)
{
    return one->index == other->index &&
           (fetcher->sends_ids ? uuid_equal(one->topic_id, other->topic_id)
                               : slice_equal(one->topic, other->topic));
}

/* One that is gone, but not yet forgotten: the leader would forget the new one with it. */
static void recall_predecessor(struct replica_fetcher *fetcher, struct followed *followed)
{
    list_each_safe (link, after, &fetcher->forgotten) {
        struct followed *other = CONTAINER_OF(link, struct followed, forget_link);
        if (other == followed || !is_same_in_session(fetcher, other, followed))
            continue;
        recall(fetcher, other);
        followed->in_session = true;
        followed_release(other);
    }
}

static bool is_counted(const struct followed *followed)
{
    return list_linked(&followed->change_link) || followed->in_session;
}

void replica_fetcher_add(struct replica_fetcher *fetcher, struct followed *followed)
{
    if (list_linked(&followed->forget_link)) {
        recall(fetcher, followed);
        followed->in_session = true;
        fetcher->fetching_count++;
    } else if (!is_counted(followed)) {
        fetcher->fetching_count++;
        recall_predecessor(fetcher, followed);
    }
    if (!list_linked(&followed->change_link))
        list_push(&fetcher->changed, &followed->change_link);
}

void replica_fetcher_remove(struct replica_fetcher *fetcher, struct followed *followed)
{
    if (!is_counted(followed) || list_linked(&followed->forget_link))
        return;
    fetcher->fetching_count--;
    if (list_linked(&followed->change_link))
        list_remove(&followed->change_link);
    if (!followed->in_session)
        return;
    followed->in_session = false;
    followed->hold_count++;
    fetcher->forgotten_count++;
    list_push(&fetcher->forgotten, &followed->forget_link);
}

/* The request with their names has left. */
static void release_spent(struct replica_fetcher *fetcher)
{
    for (struct list *link = list_pop(&fetcher->spent); link != NULL;
         link = list_pop(&fetcher->spent)) {
        struct followed *followed = CONTAINER_OF(link, struct followed, forget_link);
        followed->hold_count--;
        followed_release(followed);
    }
}

void replica_fetcher_note_start(struct followed *followed)
{
    if (followed->in_session && is_fetched(followed) &&
        followed->sent_log_start_offset != partition_store_log_start_offset(followed->store))
        replica_fetcher_add(followed->fetcher, followed);
}

/* The next request names everything. */
static void begin_session(struct replica_fetcher *fetcher, int32_t session_id)
{
    fetcher->session_id = session_id;
    fetcher->session_epoch = 0;
    for (struct list *link = list_first(&fetcher->forgotten); link != NULL;
         link = list_first(&fetcher->forgotten)) {
        struct followed *followed = CONTAINER_OF(link, struct followed, forget_link);
        recall(fetcher, followed);
        followed_release(followed);
    }
    list_each (link, &fetcher->members) {
        struct followed *followed = CONTAINER_OF(link, struct followed, link);
        followed->in_session = false;
        if (is_fetched(followed) && !list_linked(&followed->change_link))
            list_push(&fetcher->changed, &followed->change_link);
    }
}

/* ---- The request. ---- */

/* The arrays of one request, in fetcher->scratch. */
struct arrays {
    struct kafka_fetch_request body;
    struct kafka_fetch_request_topics *topics;
    struct kafka_fetch_request_topics_partitions *partitions;
    struct kafka_fetch_request_forgotten_topics *forgotten_topics;
    int32_t *forgotten;
};

static uint32_t count_of(const struct list *list)
{
    uint32_t count = 0;
    list_each (link, list)
        count++;
    return count;
}

static struct arrays *take_arrays(struct replica_fetcher *fetcher, uint32_t count)
{
    const uint32_t gone = fetcher->forgotten_count;
    struct heap *heap = server_of(fetcher)->heap;
    heap_give(heap, fetcher->scratch);
    fetcher->scratch = heap_take_zeroed(
        heap, sizeof(struct arrays) +
                  count * (sizeof(struct kafka_fetch_request_topics) +
                           sizeof(struct kafka_fetch_request_topics_partitions)) +
                  gone * (sizeof(struct kafka_fetch_request_forgotten_topics) + sizeof(int32_t)));
    struct arrays *arrays = fetcher->scratch;
    if (arrays == NULL)
        return NULL;
    arrays->topics = (struct kafka_fetch_request_topics *)(arrays + 1);
    arrays->partitions = (struct kafka_fetch_request_topics_partitions *)(arrays->topics + count);
    arrays->forgotten_topics =
        (struct kafka_fetch_request_forgotten_topics *)(arrays->partitions + count);
    arrays->forgotten = (int32_t *)(arrays->forgotten_topics + gone);
    return arrays;
}

static void name_changed(struct replica_fetcher *fetcher, struct arrays *arrays)
{
    const struct broker_config *config = server_of(fetcher)->config;
    struct slice topic = SLICE_NULL;
    struct kafka_fetch_request_topics *group = arrays->topics - 1;
    struct kafka_fetch_request_topics_partitions *place = arrays->partitions;
    for (struct list *link = list_pop(&fetcher->changed); link != NULL;
         link = list_pop(&fetcher->changed)) {
        struct followed *followed = CONTAINER_OF(link, struct followed, change_link);
        if (!slice_equal(topic, followed->topic)) {
            topic = followed->topic;
            *++group = (struct kafka_fetch_request_topics){.topic = topic};
            memcpy(group->topic_id.bytes, followed->topic_id.bytes, sizeof group->topic_id.bytes);
            group->partitions.items = place;
        }
        group->partitions.count++;
        *place++ = (struct kafka_fetch_request_topics_partitions){
            .partition = followed->index,
            .current_leader_epoch = followed->leader_epoch,
            .fetch_offset = partition_store_log_end_offset(followed->store),
            .last_fetched_epoch = partition_store_latest_epoch(followed->store),
            .log_start_offset = partition_store_log_start_offset(followed->store),
            .partition_max_bytes = (int32_t)config->replica_fetch_bytes_max,
            .high_watermark = INT64_MAX};
        followed->in_session = true;
        followed->sent_leader_epoch = followed->leader_epoch;
        followed->sent_log_start_offset = partition_store_log_start_offset(followed->store);
    }
    arrays->body.topics.items = arrays->topics;
    arrays->body.topics.count = (int32_t)(group + 1 - arrays->topics);
}

static void name_forgotten(struct replica_fetcher *fetcher, struct arrays *arrays)
{
    struct kafka_fetch_request_forgotten_topics *place = arrays->forgotten_topics;
    int32_t *index = arrays->forgotten;
    for (struct list *link = list_first(&fetcher->forgotten); link != NULL;
         link = list_first(&fetcher->forgotten)) {
        struct followed *followed = CONTAINER_OF(link, struct followed, forget_link);
        *index = followed->index;
        *place = (struct kafka_fetch_request_forgotten_topics){.topic = followed->topic};
        memcpy(place->topic_id.bytes, followed->topic_id.bytes, sizeof place->topic_id.bytes);
        place->partitions.items = index++;
        place->partitions.count = 1;
        place++;
        const bool is_gone = followed->partition == NULL;
        followed->hold_count += is_gone ? 1 : 0; /* The request still has its name. */
        recall(fetcher, followed);
        if (is_gone)
            list_push(&fetcher->spent, &followed->forget_link);
    }
    arrays->body.forgotten_topics.items = arrays->forgotten_topics;
    arrays->body.forgotten_topics.count = (int32_t)(place - arrays->forgotten_topics);
}

static const void *fill(struct link_request *request, int16_t version)
{
    struct replica_fetcher *fetcher = CONTAINER_OF(request, struct replica_fetcher, request);
    const struct broker_config *config = server_of(fetcher)->config;
    struct control *control = server_of(fetcher)->control;
    struct arrays *arrays = take_arrays(fetcher, count_of(&fetcher->changed));
    (void)version;
    if (arrays == NULL)
        return NULL;
    arrays->body = (struct kafka_fetch_request){
        .cluster_id = SLICE_NULL,
        .replica_id = control_broker_id(control),
        .replica_state = {.replica_id = control_broker_id(control),
                          .replica_epoch = control_broker_epoch(control)},
        .max_wait_ms = (int32_t)config->replica_fetch_wait_ms_max,
        .min_bytes = (int32_t)config->replica_fetch_bytes_min,
        .max_bytes = (int32_t)config->replica_fetch_reply_bytes_max,
        .session_id = fetcher->session_id,
        .session_epoch = fetcher->session_epoch,
        .rack_id = SLICE_LITERAL("")};
    name_changed(fetcher, arrays);
    name_forgotten(fetcher, arrays);
    return &arrays->body;
}

/* ---- What comes back. ---- */

static void on_appended(struct partition_append *append, enum error_code code);

/* The whole batches at the front. */
static struct slice whole_batches(struct slice records)
{
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, records);
    while (record_batch_walk_next(&walk, &err))
        continue;
    return slice_of(records.data,
                    err == ERR_TRUNCATED ? (size_t)(walk.rest.data - records.data) : records.size);
}

/* Batches go as a whole: one that begins below our end, where nothing else is, was cut in the
 * middle when records were deleted. */
static void on_refused(struct followed *followed, enum error_code code)
{
    struct partition_store *store = followed->store;
    const int64_t base_offset = followed->append.base_offset;
    const bool is_empty =
        partition_store_log_start_offset(store) == partition_store_log_end_offset(store);
    if (store->is_frozen)
        followed_hold(followed, followed_frozen_ms);
    else if (code == KAFKA_OFFSET_OUT_OF_RANGE && is_empty && base_offset >= 0)
        followed_cut(followed, base_offset, true);
    else if (code == KAFKA_KAFKA_STORAGE_ERROR)
        followed_fail(followed, (int16_t)code, "its log");
    else
        followed_pause(followed, (int16_t)code, "what the leader sent");
}

static void copy(struct replica_fetcher *fetcher, struct followed *followed, struct slice records)
{
    const struct slice whole = whole_batches(records);
    if (whole.size == 0) {
        followed_pause(followed, KAFKA_CORRUPT_MESSAGE, "the leader sent a part of a batch");
        return;
    }
    followed->append = (struct partition_append){
        .data = (uint8_t *)(uintptr_t)whole.data, /* It lies in the receive buffer. */
        .size = (uint32_t)whole.size,
        .durability = broker_server_acks_all(server_of(fetcher), followed->store),
        .done = on_appended};
    const enum error_code code = partition_store_copy(followed->store, &followed->append);
    if (code != KAFKA_NONE) {
        on_refused(followed, code);
        return;
    }
    replication_throttle_on_fetched(&server_of(fetcher)->throttle, followed->partition, whole.size);
    followed->is_appending = true;
    followed->hold_count++;
    fetcher->append_count++;
}

static void follow_offsets(struct followed *followed)
{
    partition_store_raise_high_watermark(followed->store, followed->leader_high_watermark);
    partition_store_follow_log_start(followed->store, followed->leader_log_start_offset);
    replica_fetcher_note_start(followed);
}

/* What the leader knows of our last epoch says where our logs part: KIP-101, KIP-320, KIP-595. */
static void on_diverging(struct followed *followed, int32_t epoch, int64_t end_offset)
{
    struct partition_store *store = followed->store;
    const int64_t log_end = partition_store_log_end_offset(store);
    const struct partition_epoch_end ours = partition_store_epoch_end(store, epoch);
    int64_t offset = min_i64(end_offset, log_end);
    if (end_offset < 0)
        offset = partition_store_high_watermark(store);
    else if (ours.end_offset >= 0)
        offset = ours.leader_epoch == epoch ? min_i64(offset, ours.end_offset)
                                            : min_i64(ours.end_offset, log_end);
    followed_cut(followed, offset, false);
}

static void on_error(struct followed *followed, int16_t code)
{
    if (code == KAFKA_OFFSET_OUT_OF_RANGE)
        followed_ask(followed);
    else if (code == KAFKA_FENCED_LEADER_EPOCH)
        followed_fail(followed, code, "its leader's answer");
    else
        followed_pause(followed, code, "its leader's answer");
}

static void on_partition(struct replica_fetcher *fetcher, struct followed *followed,
                         const struct kafka_fetch_reply_topics_partitions *told)
{
    /* Of an earlier epoch of ours: the next request says so. */
    if (followed->fetcher != fetcher || !followed->in_session || !is_fetched(followed) ||
        followed->sent_leader_epoch != followed->leader_epoch)
        return;
    if (told->error_code != KAFKA_NONE) {
        on_error(followed, told->error_code);
        return;
    }
    followed->last_code = KAFKA_NONE;
    if (told->diverging_epoch.epoch >= 0 || told->diverging_epoch.end_offset >= 0) {
        on_diverging(followed, told->diverging_epoch.epoch, told->diverging_epoch.end_offset);
        return;
    }
    followed->pause_ms = 0;
    followed->leader_high_watermark = told->high_watermark;
    followed->leader_log_start_offset = told->log_start_offset;
    if (told->records.size > 0)
        copy(fetcher, followed, told->records);
    else
        follow_offsets(followed);
}

static struct followed *find(struct replica_fetcher *fetcher,
                             const struct kafka_fetch_reply_topics *topic, int32_t index)
{
    if (fetcher->sends_ids)
        return replica_fetchers_find(fetcher->fetchers, topic->topic_id.bytes, index);
    const struct partition *partition =
        partition_table_find(&server_of(fetcher)->partitions, topic->topic, index);
    return partition == NULL ? NULL : partition->followed;
}

static void on_topics(struct replica_fetcher *fetcher, const struct kafka_fetch_reply *reply)
{
    fetcher->is_reading = true;
    for (int32_t t = 0; t < reply->topics.count; t++) {
        const struct kafka_fetch_reply_topics *topic = &reply->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct kafka_fetch_reply_topics_partitions *told = &topic->partitions.items[p];
            struct followed *followed = find(fetcher, topic, told->partition_index);
            if (followed != NULL)
                on_partition(fetcher, followed, told);
        }
    }
    fetcher->is_reading = false;
    replica_fetcher_tell(fetcher);
}

/* The records are where they belong, and as durable as they must be. */
static void end_round(struct replica_fetcher *fetcher)
{
    broker_link_reply_release(fetcher->reply);
    fetcher->reply = NULL;
    replica_fetcher_pump(fetcher);
}

static void on_appended(struct partition_append *append, enum error_code code)
{
    struct followed *followed = CONTAINER_OF(append, struct followed, append);
    struct replica_fetcher *fetcher = followed->fetcher;
    followed->is_appending = false;
    followed->hold_count--;
    if (followed->partition == NULL) {
        followed_release(followed);
    } else if (code != KAFKA_NONE) {
        followed_fail(followed, (int16_t)code, "its log");
    } else {
        follow_offsets(followed);
        if (is_fetched(followed))
            replica_fetcher_add(fetcher, followed);
    }
    assert(fetcher->append_count > 0);
    if (--fetcher->append_count == 0)
        end_round(fetcher);
}

/* ---- The session. ---- */

static void back_off(struct replica_fetcher *fetcher)
{
    begin_session(fetcher, fetcher->session_id);
    delay_queue_add(&server_of(fetcher)->delays, &fetcher->pause,
                    (uint64_t)server_of(fetcher)->config->replica_fetch_backoff_ms);
}

static void on_pause(struct delay *delay)
{
    replica_fetcher_pump(CONTAINER_OF(delay, struct replica_fetcher, pause));
}

/* The leader does not have our session, or has another one. */
static void on_session_error(struct replica_fetcher *fetcher, int16_t code)
{
    const bool is_known = code == KAFKA_FETCH_SESSION_ID_NOT_FOUND ||
                          code == KAFKA_INVALID_FETCH_SESSION_EPOCH ||
                          code == KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    if (code == KAFKA_FETCH_SESSION_ID_NOT_FOUND)
        fetcher->session_id = 0;
    if (is_known && ++fetcher->refused_count < refused_count_max) {
        begin_session(fetcher, fetcher->session_id);
        return;
    }
    diag_warn(server_of(fetcher)->diag, "fetch from broker %d: %s; it is tried again",
              fetcher->leader, kafka_error_name(code));
    back_off(fetcher);
}

static void advance_session(struct replica_fetcher *fetcher, int32_t session_id)
{
    fetcher->refused_count = 0;
    if (session_id <= 0) { /* The leader keeps none for us. */
        begin_session(fetcher, 0);
        return;
    }
    fetcher->session_id = session_id;
    fetcher->session_epoch = fetcher->session_epoch == INT32_MAX ? 1 : fetcher->session_epoch + 1;
}

static void on_reply(struct link_request *request, enum err err)
{
    struct replica_fetcher *fetcher = CONTAINER_OF(request, struct replica_fetcher, request);
    const struct kafka_fetch_reply *reply = request->body;
    fetcher->is_sent = false;
    release_spent(fetcher);
    if (fetcher->fetchers->is_stopping)
        return;
    if (err != ERR_OK) {
        if (err == ERR_UNSUPPORTED)
            diag_warn(server_of(fetcher)->diag,
                      "broker %d has no Fetch version 12: its partitions are not followed",
                      fetcher->leader);
        back_off(fetcher);
        return;
    }
    if (reply->error_code != KAFKA_NONE) {
        on_session_error(fetcher, reply->error_code);
        replica_fetcher_pump(fetcher);
        return;
    }
    fetcher->reply = broker_link_take_reply(request);
    fetcher->append_count = 1; /* Held until everything has been started. */
    on_topics(fetcher, reply);
    advance_session(fetcher, reply->session_id);
    if (--fetcher->append_count == 0)
        end_round(fetcher);
}

static bool has_caught_up(const struct followed *followed)
{
    return followed->leader_high_watermark != followed_unheard &&
           partition_store_log_end_offset(followed->store) >= followed->leader_high_watermark;
}

/* Throttled members are not asked for while the rate is too high, unless they have caught up. They
 * look again with every back-off, since the limit may be another one by then. */
static void hold_back(struct replica_fetcher *fetcher)
{
    struct broker_server *server = server_of(fetcher);
    list_each (link, &fetcher->throttled) {
        struct followed *followed = CONTAINER_OF(link, struct followed, throttle_link);
        if (!is_fetched(followed) || has_caught_up(followed))
            continue;
        const int64_t wait_ms =
            replication_throttle_wait_ms(&server->throttle, followed->partition);
        if (wait_ms == 0)
            return;
        followed_hold(followed, min_i64(wait_ms, server->config->replica_fetch_backoff_ms));
    }
}

void replica_fetcher_pump(struct replica_fetcher *fetcher)
{
    const bool sends_ids = fetcher->nameless_count == 0;
    if (fetcher->is_sent || fetcher->append_count > 0 || fetcher->fetchers->is_stopping ||
        delay_is_running(&fetcher->pause))
        return;
    hold_back(fetcher);
    if (fetcher->fetching_count == 0)
        return;
    if (sends_ids != fetcher->sends_ids)
        begin_session(fetcher, fetcher->session_id);
    fetcher->sends_ids = sends_ids;
    fetcher->is_sent = true;
    fetcher->request = (struct link_request){
        .request = &kafka_fetch_request_wire,
        .reply = &kafka_fetch_reply_wire,
        .api_key = KAFKA_API_FETCH,
        .version_min = version_min,
        .version_max = sends_ids ? version_max : version_without_ids,
        .timeout_ms = (uint32_t)server_of(fetcher)->config->replica_socket_timeout_ms,
        .fill = fill,
        .done = on_reply};
    broker_link_send(&fetcher->peer, &fetcher->request);
}

/* ---- Life. ---- */

void replica_fetcher_init(struct replica_fetcher *fetcher, struct replica_fetchers *fetchers,
                          int32_t leader, uint32_t number)
{
    struct broker_server *server = fetchers->server;
    const struct broker_config *config = server->config;
    char client_id[broker_link_client_id_bytes_max];
    uint64_t seed;
    *fetcher = (struct replica_fetcher){
        .fetchers = fetchers, .leader = leader, .number = number, .pause.expired = on_pause};
    list_init(&fetcher->members);
    list_init(&fetcher->changed);
    list_init(&fetcher->forgotten);
    list_init(&fetcher->spent);
    list_init(&fetcher->throttled);
    io_entropy(server->io, &seed, sizeof seed);
    snprintf(client_id, sizeof client_id, "broker-%d-fetcher-%u",
             control_broker_id(server->control), number);
    broker_link_init(&fetcher->peer,
                     (struct broker_link_options){
                         .io = server->io,
                         .net = server->net,
                         .heap = server->heap,
                         .diag = server->diag,
                         .delays = &server->delays,
                         .view = control_metadata(server->control),
                         .listener = broker_config_inter_broker_listener(config),
                         .peer_id = leader,
                         .in_flight_max = 1,
                         .reply_bytes_max = (uint32_t)config->request_bytes_max,
                         .reply_memory_bytes_max = (uint32_t)config->request_memory_bytes_max,
                         .seed = seed,
                         .client_id = client_id});
}

void replica_fetcher_close(struct replica_fetcher *fetcher)
{
    assert(fetcher->fetchers->is_stopping);
    delay_queue_remove(&server_of(fetcher)->delays, &fetcher->pause);
    broker_link_close(&fetcher->peer);
    begin_session(fetcher, 0);
}
