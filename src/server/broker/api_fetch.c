/* Fetch: which partitions, from a session or the request; what each has; now or after a wait; and
 * file ranges for a reply.
 *
 *   begin -> evaluate -> read each partition -> decide -> reply
 *                ^                               |
 *                '---- wake, or time is up ---- park
 *
 * Consumers read below the high watermark, from a follower too (since version 11, KIP-392). A
 * follower reads whatever is written; what it asks for is what it has, which is noted once, before
 * anything is read for it.
 */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "server/broker/leader_hint.h"
#include "wire/gen/kafka.h"

enum {
    consumer_id = -1,
    version_records_2 = 4,   /* Older ones cannot read today's batches. */
    version_whole_first = 3, /* The first batch comes whole, whatever the limits say. */
    version_sessions = 7,
    version_racks = 11, /* Consumers may read from followers. */
    version_topic_ids = 13,
    version_replica_state = 15,
    read_committed = 1,
};

struct fetch_item {
    struct partition_waiter waiter;
    struct fetch_state *state;
    struct partition *partition;            /* That it waits for. */
    struct fetch_session_partition *cached; /* NULL: no session. */
    struct slice topic;                     /* Empty where topics go by id. */
    struct wire_uuid topic_id;
    int32_t index;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int32_t bytes_max;
    int64_t fetch_offset;
    int64_t follower_log_start_offset;
    bool is_noted;     /* The leader knows what this follower has. */
    bool is_throttled; /* What is sent counts. */
    /* What was found. */
    int64_t high_watermark;
    int64_t log_start_offset;
    int64_t diverging_offset;
    int32_t diverging_epoch;
    int32_t preferred_replica; /* -1: this one. */
    enum error_code code;
    struct broker_file_range range; /* size 0: nothing. */
    uint64_t size_seen;             /* Of what is readable, when it was looked at. */
};

struct fetch_state {
    struct broker_request *request;
    struct fetch_session *session;
    bool is_incremental;
    bool is_evaluating;
    bool is_woken; /* While it was evaluated. */
    bool is_parked;
    struct parked_fetch parked; /* A follower's, meanwhile. */
    bool is_time_up;
    bool is_canceled;
    bool has_news; /* An error, or something else that is not data: reply at once. */
    bool has_more; /* Partitions of the session that are not among the items yet. */
    struct fetch_item *items;
    uint32_t item_count;
    uint32_t item_index; /* That is being read. */
    uint64_t bytes;
    uint64_t bytes_grown; /* Of the partitions, since the wait began. */
    uint64_t bytes_max;
    struct slice listener; /* That the client uses; the connection may go while we read. */
    int32_t replica_id;    /* -1: a consumer. */
    int64_t replica_epoch;
    struct partition_read read;
};

static const struct kafka_fetch_request *body_of(const struct fetch_state *state)
{
    return state->request->body;
}

static uint64_t now_ms(const struct fetch_state *state)
{
    return io_now_ns(state->request->server->io) / 1000000;
}

static bool is_follower(const struct fetch_state *state)
{
    return state->replica_id > consumer_id;
}

/* The partition, led here or good enough for a consumer, or NULL and why not. */
static struct partition *find_partition(const struct fetch_state *state,
                                        const struct fetch_item *item, enum error_code *code)
{
    const struct broker_server *server = state->request->server;
    struct slice topic = item->topic;
    if (state->request->version >= version_topic_ids)
        topic = broker_server_topic_name(server, &item->topic_id);
    if (!slice_is_null(topic))
        return broker_server_partition(
            server,
            (struct broker_partition_name){.topic = topic,
                                           .index = item->index,
                                           .leader_epoch = item->leader_epoch,
                                           .may_follow = !is_follower(state) &&
                                                         state->request->version >= version_racks},
            code);
    *code = KAFKA_UNKNOWN_TOPIC_ID;
    return NULL;
}

/* ---- the end ---- */

static void drop_ranges(struct fetch_state *state)
{
    for (uint32_t i = 0; i < state->item_count; i++) {
        struct broker_file_range *range = &state->items[i].range;
        if (range->size > 0)
            (*range->users)--;
        *range = (struct broker_file_range){0};
    }
}

static void unpark(struct fetch_state *state)
{
    if (!state->is_parked)
        return;
    state->is_parked = false;
    list_remove(&state->parked.link);
    for (uint32_t i = 0; i < state->item_count; i++)
        list_remove(&state->items[i].waiter.link);
}

/* Everything that outlives the request is given back. */
static void clean_up(struct fetch_state *state)
{
    unpark(state);
    if (state->session != NULL) {
        state->session->fetch = NULL;
        fetch_session_release(state->session);
    }
    state->session = NULL;
}

static void end_unanswered(struct fetch_state *state)
{
    drop_ranges(state);
    clean_up(state);
    broker_request_end(state->request);
}

static void on_cancel(struct broker_request *request)
{
    struct fetch_state *state = request->state;
    state->is_canceled = true;
    if (!state->is_evaluating)
        end_unanswered(state);
}

/* ---- the reply ---- */

/* In a session's later replies, only what the client does not know yet. */
static bool is_told(const struct fetch_state *state, const struct fetch_item *item)
{
    const struct fetch_session_partition *cached = item->cached;
    if (!state->is_incremental || cached == NULL)
        return true;
    return item->code != KAFKA_NONE || item->range.size > 0 || item->diverging_epoch >= 0 ||
           item->preferred_replica >= 0 || item->high_watermark != cached->sent_high_watermark ||
           item->log_start_offset != cached->sent_log_start_offset;
}

static void remember_told(struct fetch_state *state, struct fetch_item *item)
{
    struct fetch_session_partition *cached = item->cached;
    if (cached == NULL)
        return;
    /* After an error the next reply tells everything again. */
    cached->sent_high_watermark = item->code == KAFKA_NONE ? item->high_watermark : -1;
    cached->sent_log_start_offset = item->log_start_offset;
    if (state->is_incremental && item->range.size > 0)
        fetch_session_partition_move_last(state->session, cached);
}

/* Without transactions the list is empty where somebody asked for it; and, as by Apache's broker,
 * where a partition is not known. */
static bool has_transaction_list(const struct fetch_state *state, const struct fetch_item *item)
{
    if (item->code == KAFKA_NONE)
        return body_of(state)->isolation_level == read_committed && item->preferred_replica < 0 &&
               !is_follower(state);
    return item->code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION || item->code == KAFKA_UNKNOWN_TOPIC_ID;
}

static struct kafka_fetch_reply_topics_partitions partition_reply(const struct fetch_state *state,
                                                                  const struct fetch_item *item)
{
    struct kafka_fetch_reply_topics_partitions reply = {
        .partition_index = item->index,
        .error_code = (int16_t)item->code,
        .high_watermark = item->high_watermark,
        .last_stable_offset = item->high_watermark, /* There are no transactions. */
        .log_start_offset = item->log_start_offset,
        .diverging_epoch = {.epoch = item->diverging_epoch, .end_offset = item->diverging_offset},
        .current_leader = {.leader_id = -1, .leader_epoch = -1},
        .snapshot_id = {.end_offset = -1, .epoch = -1},
        .aborted_transactions = {.count = has_transaction_list(state, item) ? 0 : -1},
        .preferred_read_replica = item->preferred_replica,
        .records =
            item->range.size > 0 ? slice_of(WIRE_EXTERNAL, item->range.size) : SLICE_LITERAL(""),
    };
    return reply;
}

static bool is_same_topic(const struct fetch_item *a, const struct fetch_item *b)
{
    return slice_compare(a->topic, b->topic) == 0 &&
           memcmp(&a->topic_id, &b->topic_id, sizeof a->topic_id) == 0;
}

struct reply_room {
    struct kafka_fetch_reply reply;
    struct kafka_fetch_reply_topics_partitions *partitions;
    struct broker_file_range *ranges;
    uint32_t range_count;
};

static void add_to_reply(struct fetch_state *state, struct reply_room *room,
                         struct fetch_item *item, const struct fetch_item *before)
{
    struct kafka_fetch_reply *reply = &room->reply;
    if (before == NULL || !is_same_topic(before, item))
        reply->topics.items[reply->topics.count++] =
            (struct kafka_fetch_reply_topics){.topic = item->topic,
                                              .topic_id = item->topic_id,
                                              .partitions = {.items = room->partitions}};
    *room->partitions++ = partition_reply(state, item);
    reply->topics.items[reply->topics.count - 1].partitions.count++;
    if (item->range.size > 0)
        room->ranges[room->range_count++] = item->range;
}

static bool take_room(struct fetch_state *state, struct reply_room *room)
{
    struct broker_request *request = state->request;
    const size_t count = state->item_count;
    *room = (struct reply_room){.reply = {.session_id = 0}};
    room->reply.topics.items =
        broker_request_take_array(request, count, sizeof *room->reply.topics.items);
    room->partitions = broker_request_take_array(request, count, sizeof *room->partitions);
    room->ranges = broker_request_take_array(request, count, sizeof *room->ranges);
    return room->reply.topics.items != NULL && room->partitions != NULL && room->ranges != NULL;
}

/* The leader's place is told once, however many partitions it leads. */
static void add_place(struct fetch_state *state, struct kafka_fetch_reply *reply, int32_t leader)
{
    struct leader_place place;
    for (int32_t i = 0; i < reply->node_endpoints.count; i++)
        if (reply->node_endpoints.items[i].node_id == leader)
            return;
    if (!leader_hint_place(state->request->server, leader, state->listener, &place))
        return;
    if (reply->node_endpoints.items == NULL)
        reply->node_endpoints.items = broker_request_take_array(
            state->request, state->item_count, sizeof *reply->node_endpoints.items);
    if (reply->node_endpoints.items == NULL)
        return; /* The client asks for the metadata instead. */
    reply->node_endpoints.items[reply->node_endpoints.count++] =
        (struct kafka_fetch_reply_node_endpoints){
            .node_id = leader, .host = place.host, .port = place.port, .rack = place.rack};
}

static void add_hint(struct fetch_state *state, struct kafka_fetch_reply *reply,
                     const struct fetch_item *item,
                     struct kafka_fetch_reply_topics_partitions *told)
{
    const struct broker_server *server = state->request->server;
    const bool is_wrong =
        item->code == KAFKA_NOT_LEADER_OR_FOLLOWER || item->code == KAFKA_FENCED_LEADER_EPOCH;
    if (!is_wrong || state->request->version < leader_hint_fetch_version)
        return;
    const struct leader_hint hint =
        leader_hint_of(server, broker_server_topic_name(server, &item->topic_id), item->index);
    told->current_leader.leader_id = hint.leader;
    told->current_leader.leader_epoch = hint.leader_epoch;
    add_place(state, reply, hint.leader);
}

/* Until there is news of it, the session's fetches need not look at the partition. */
static void let_rest(const struct fetch_state *state, struct fetch_item *item)
{
    struct fetch_session_partition *cached = item->cached;
    enum error_code code;
    if (cached == NULL || item->code != KAFKA_NONE || item->range.size > 0 ||
        item->diverging_epoch >= 0 || item->preferred_replica >= 0)
        return;
    struct partition *partition = find_partition(state, item, &code);
    if (partition == NULL)
        return;
    const struct partition_store *store = partition->store;
    const bool has_all = is_follower(state)
                             ? replication_is_complete(partition, state->replica_id)
                             : partition_store_high_watermark(store) <= item->fetch_offset;
    if (!has_all || partition_store_high_watermark(store) != cached->sent_high_watermark ||
        partition_store_log_start_offset(store) != cached->sent_log_start_offset)
        return;
    fetch_session_partition_rest(cached);
    list_push(&partition->news_waiters, &cached->news.link);
}

/* What leaves for a follower counts, whether it is held back or not. */
static void count_sent(const struct fetch_state *state, const struct fetch_item *item)
{
    if (is_follower(state) && item->is_throttled && item->range.size > 0)
        replication_throttle_on_sent(&state->request->server->throttle, item->range.size);
}

static void reply_now(struct fetch_state *state)
{
    struct broker_request *request = state->request;
    struct reply_room room;
    if (!take_room(state, &room)) {
        drop_ranges(state);
        clean_up(state);
        broker_request_fail_memory(request);
        return;
    }
    const struct fetch_item *before = NULL;
    if (state->session != NULL && !state->session->is_closed)
        room.reply.session_id = state->session->id;
    for (uint32_t i = 0; i < state->item_count; i++) {
        struct fetch_item *item = &state->items[i];
        if (!is_told(state, item))
            continue;
        add_to_reply(state, &room, item, before);
        add_hint(state, &room.reply, item, room.partitions - 1);
        count_sent(state, item);
        remember_told(state, item);
        before = item;
    }
    for (uint32_t i = 0; i < state->item_count; i++)
        let_rest(state, &state->items[i]);
    clean_up(state);
    broker_request_reply_files(request, &room.reply, room.ranges, room.range_count);
}

/* ---- the wait ---- */

static void evaluate(struct fetch_state *state);

/* Grows with what the partition has to read. */
static uint64_t readable_size(const struct fetch_state *state, const struct partition *partition)
{
    return is_follower(state) ? partition_store_written_total(partition->store)
                              : partition_store_size_bytes(partition->store);
}

/* As much as one fetch can be asked to wait for. */
static uint64_t bytes_min(const struct fetch_state *state)
{
    return min_u64((uint64_t)max_i64(body_of(state)->min_bytes, 0), state->bytes_max);
}

/* A follower that is not in sync gets nothing of a throttled partition while the rate is too high.
 */
static bool is_held_back(const struct fetch_state *state, const struct partition *partition)
{
    return is_follower(state) &&
           replication_throttle_holds_follower(&state->request->server->throttle, partition,
                                               state->replica_id);
}

/* Whether a partition's news can end the wait; counts what it has grown by. */
static bool is_worth_a_look(struct fetch_item *item)
{
    struct fetch_state *state = item->state;
    enum error_code code;
    const struct partition *partition = find_partition(state, item, &code);
    if (partition == NULL ||
        partition_store_log_start_offset(partition->store) > item->fetch_offset)
        return true;
    const int64_t end = is_follower(state) ? partition_store_log_end_offset(partition->store)
                                           : partition_store_high_watermark(partition->store);
    if (end <= item->fetch_offset || is_held_back(state, partition))
        return false;
    const uint64_t size = readable_size(state, partition);
    if (size > item->size_seen)
        state->bytes_grown += size - item->size_seen;
    item->size_seen = size;
    return state->bytes + state->bytes_grown >= max_u64(bytes_min(state), 1);
}

static void on_wake(struct partition_waiter *waiter)
{
    struct fetch_item *item = CONTAINER_OF(waiter, struct fetch_item, waiter);
    struct fetch_state *state = item->state;
    if (state->is_evaluating)
        state->is_woken = true;
    else if (is_worth_a_look(item))
        evaluate(state);
}

static void end_wait(struct fetch_state *state)
{
    state->is_time_up = true;
    if (!state->is_evaluating)
        evaluate(state);
}

static void on_time_up(struct delay *delay)
{
    end_wait(CONTAINER_OF(delay, struct broker_request, delay)->state);
}

/* There is something for the follower to name. */
static void on_call(struct parked_fetch *parked)
{
    end_wait(CONTAINER_OF(parked, struct fetch_state, parked));
}

/* True: nothing has happened at the partitions since they were looked at. */
static bool begin_wait(struct fetch_state *state)
{
    bool is_calm = true;
    state->is_parked = true;
    if (is_follower(state))
        awaited_followers_park(&state->request->server->replication.awaited, &state->parked);
    for (uint32_t i = 0; i < state->item_count; i++) {
        struct fetch_item *item = &state->items[i];
        enum error_code code;
        item->partition = find_partition(state, item, &code);
        if (item->partition == NULL) {
            is_calm = false;
            continue;
        }
        if (is_follower(state))
            is_calm &= readable_size(state, item->partition) == item->size_seen;
        else
            is_calm &=
                partition_store_high_watermark(item->partition->store) == item->high_watermark;
        item->size_seen = readable_size(state, item->partition);
        list_push(is_follower(state) ? &item->partition->replica_waiters
                                     : &item->partition->waiters,
                  &item->waiter.link);
    }
    return is_calm;
}

static uint64_t wait_ms_of(const struct fetch_state *state)
{
    const uint64_t wait_ms = (uint64_t)body_of(state)->max_wait_ms;
    if (!is_follower(state))
        return wait_ms;
    return awaited_followers_wait_ms(&state->request->server->replication.awaited,
                                     state->replica_id, wait_ms, now_ms(state));
}

static void park(struct fetch_state *state)
{
    struct broker_server *server = state->request->server;
    drop_ranges(state);
    state->bytes_grown = 0;
    if (!delay_is_running(&state->request->delay)) {
        state->request->delay.expired = on_time_up;
        delay_queue_add(&server->delays, &state->request->delay, wait_ms_of(state));
    }
    if (!state->is_parked && !begin_wait(state))
        evaluate(state);
}

static void decide(struct fetch_state *state)
{
    const struct kafka_fetch_request *body = body_of(state);
    state->is_evaluating = false;
    if (state->is_canceled) {
        end_unanswered(state);
        return;
    }
    const bool is_empty =
        state->session == NULL ? state->item_count == 0 : state->session->partition_count == 0;
    if (state->bytes >= bytes_min(state) || state->has_news || state->is_time_up ||
        body->max_wait_ms <= 0 || is_empty) {
        reply_now(state);
        return;
    }
    if (state->is_woken)
        evaluate(state);
    else
        park(state);
}

/* ---- reading ---- */

static void set_error(struct fetch_item *item, enum error_code code)
{
    item->code = code;
    item->high_watermark = -1;
    item->log_start_offset = -1;
    item->state->has_news = true;
}

static void take_read(struct fetch_state *state, enum error_code code)
{
    struct fetch_item *item = &state->items[state->item_index];
    const struct partition_read *read = &state->read;
    if (code != KAFKA_NONE) {
        set_error(item, code);
        return;
    }
    item->range = (struct broker_file_range){
        .file = read->file, .size = read->size, .position = read->position, .users = read->users};
    state->bytes += read->size;
    if (read->size == 0 || state->request->version >= version_records_2)
        return;
    drop_ranges(state);
    set_error(item, KAFKA_UNSUPPORTED_VERSION); /* Batches are not converted for old clients. */
}

static bool is_out_of_range(const struct fetch_item *item, const struct partition_store *store)
{
    return item->fetch_offset < partition_store_log_start_offset(store) ||
           item->fetch_offset > partition_store_log_end_offset(store);
}

/* The client's last epoch must end where it believes; otherwise it has read what was cut off. */
static bool diverges(struct fetch_item *item, const struct partition *partition)
{
    if (item->last_fetched_epoch < 0 ||
        item->fetch_offset < partition_store_log_start_offset(partition->store))
        return false;
    const struct partition_epoch_end end =
        partition_store_epoch_end(partition->store, item->last_fetched_epoch);
    if (end.leader_epoch < 0) {
        set_error(item, KAFKA_OFFSET_OUT_OF_RANGE);
        return true;
    }
    if (end.leader_epoch == item->last_fetched_epoch && end.end_offset >= item->fetch_offset)
        return false;
    item->diverging_epoch = end.leader_epoch;
    item->diverging_offset = end.end_offset;
    item->state->has_news = true;
    return true;
}

static struct replication_fetch word_of(const struct fetch_item *item)
{
    return (struct replication_fetch){
        .broker_id = item->state->replica_id,
        .broker_epoch = item->state->replica_epoch,
        .offset = item->fetch_offset,
        .log_start_offset = item->follower_log_start_offset,
        .has_leader_epoch = item->leader_epoch >= 0,
    };
}

static bool is_replica(struct fetch_item *item, const struct partition *partition)
{
    const struct replication_fetch fetch = word_of(item);
    const enum error_code code = replication_check(partition, &fetch);
    if (code != KAFKA_NONE)
        set_error(item, code);
    return code == KAFKA_NONE;
}

/* A follower's offset is its word for what it has: the high watermark may move. False: it speaks
 * for a broker that has started anew since. */
static bool note_follower(struct fetch_item *item, struct partition *partition)
{
    const struct replication_fetch fetch = word_of(item);
    if (item->is_noted)
        return true;
    item->is_noted = true;
    if (item->cached != NULL)
        item->cached->noted_epoch = item->state->session->epoch;
    const enum error_code code =
        replication_on_fetch(&item->state->request->server->replication, partition, &fetch);
    if (code != KAFKA_NONE)
        set_error(item, code);
    return code == KAFKA_NONE;
}

/* A consumer may be better off with a follower in its rack: then nothing is read here. */
static bool is_sent_away(struct fetch_item *item, const struct partition *partition)
{
    const struct fetch_state *state = item->state;
    const struct broker_request *request = state->request;
    if (request->version < version_racks || is_follower(state) || !partition->is_leader)
        return false;
    item->preferred_replica =
        replication_preferred(&request->server->replication, partition, body_of(state)->rack_id,
                              state->listener, item->fetch_offset);
    return item->preferred_replica >= 0;
}

/* True: the item is done; false: the store will call on_read. */
static bool read_item(struct fetch_state *state, struct fetch_item *item);

static void read_on(struct fetch_state *state)
{
    for (; state->item_index < state->item_count; state->item_index++)
        if (!read_item(state, &state->items[state->item_index]))
            return;
    decide(state);
}

static void on_read(struct partition_read *read, enum error_code code)
{
    struct fetch_state *state = CONTAINER_OF(read, struct fetch_state, read);
    take_read(state, code);
    state->item_index++;
    read_on(state);
}

/* What there is to say about the partition. False: and nothing to read. */
static bool look_at(const struct fetch_state *state, struct fetch_item *item,
                    struct partition *partition)
{
    const struct partition_store *store = partition->store;
    item->size_seen = readable_size(state, partition);
    item->is_throttled = partition->is_throttled_leader;
    item->high_watermark = partition_store_high_watermark(store);
    item->log_start_offset = partition_store_log_start_offset(store);
    if (is_sent_away(item, partition)) {
        item->state->has_news = true;
        return false;
    }
    if (is_follower(state) && !is_replica(item, partition))
        return false;
    if (diverges(item, partition))
        return false;
    if (is_out_of_range(item, store)) {
        set_error(item, KAFKA_OFFSET_OUT_OF_RANGE);
        return false;
    }
    if (is_follower(state) && !note_follower(item, partition))
        return false;
    item->high_watermark = partition_store_high_watermark(store);
    return true;
}

static bool read_item(struct fetch_state *state, struct fetch_item *item)
{
    item->code = KAFKA_NONE;
    item->preferred_replica = -1;
    item->diverging_epoch = -1;
    item->diverging_offset = -1;
    enum error_code code = KAFKA_NONE;
    struct partition *partition = find_partition(state, item, &code);
    if (partition == NULL) {
        set_error(item, code);
        return true;
    }
    if (!look_at(state, item, partition))
        return true;
    const uint64_t room = state->bytes_max > state->bytes ? state->bytes_max - state->bytes : 0;
    const bool is_first = state->bytes == 0 && state->request->version >= version_whole_first;
    const uint64_t bytes = min_u64(room, (uint64_t)max_i64(item->bytes_max, 0));
    if ((!is_follower(state) && item->fetch_offset >= item->high_watermark) ||
        (bytes == 0 && !is_first) || is_held_back(state, partition))
        return true;
    state->read = (struct partition_read){.offset = item->fetch_offset,
                                          .to_log_end = is_follower(state),
                                          .bytes_max = (uint32_t)bytes,
                                          .at_least_one = is_first,
                                          .done = on_read};
    if (!partition_store_read(partition->store, &state->read, &code))
        return false;
    take_read(state, code);
    return true;
}

static void take_more(struct fetch_state *state);

static void evaluate(struct fetch_state *state)
{
    drop_ranges(state);
    if (state->has_more)
        take_more(state);
    state->is_evaluating = true;
    state->is_woken = false;
    state->has_news = false;
    state->bytes = 0;
    state->item_index = 0;
    read_on(state);
}

/* ---- which partitions ---- */

static struct fetch_session_key key_of(const struct fetch_state *state,
                                       const struct kafka_fetch_request_topics *topic,
                                       int32_t partition)
{
    struct fetch_session_key key = {.topic = SLICE_LITERAL(""), .partition = partition};
    if (state->request->version >= version_topic_ids)
        memcpy(key.topic_id.bytes, topic->topic_id.bytes, sizeof key.topic_id.bytes);
    else
        key.topic = topic->topic;
    return key;
}

static void on_news(struct partition_waiter *waiter);

static bool update_session(struct fetch_state *state)
{
    const struct kafka_fetch_request *body = body_of(state);
    for (int32_t t = 0; t < body->topics.count; t++) {
        const struct kafka_fetch_request_topics *topic = &body->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct kafka_fetch_request_topics_partitions *asked = &topic->partitions.items[p];
            struct fetch_session_partition *cached =
                fetch_session_partition_put(state->session, key_of(state, topic, asked->partition));
            if (cached == NULL)
                return false;
            cached->news.wake = on_news;
            fetch_session_partition_open(cached);
            cached->fetch_offset = asked->fetch_offset;
            cached->bytes_max = asked->partition_max_bytes;
            cached->leader_epoch = asked->current_leader_epoch;
            cached->last_fetched_epoch = asked->last_fetched_epoch;
            cached->follower_log_start_offset = asked->log_start_offset;
        }
    }
    return true;
}

static void forget_partitions(struct fetch_state *state)
{
    const struct kafka_fetch_request *body = body_of(state);
    for (int32_t t = 0; t < body->forgotten_topics.count; t++) {
        const struct kafka_fetch_request_forgotten_topics *topic = &body->forgotten_topics.items[t];
        const struct kafka_fetch_request_topics named = {.topic = topic->topic,
                                                         .topic_id = topic->topic_id};
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            struct fetch_session_partition *cached = fetch_session_partition_find(
                state->session, key_of(state, &named, topic->partitions.items[p]));
            if (cached != NULL)
                fetch_session_partition_forget(state->session, cached);
        }
    }
}

/* A full fetch: opens a session if it asks for one and there is room. */
static bool open_session(struct fetch_state *state)
{
    struct broker_server *server = state->request->server;
    uint32_t random;
    io_entropy(server->io, &random, sizeof random);
    state->session =
        fetch_session_open(&server->fetch_sessions,
                           (struct fetch_session_spec){.now_ms = now_ms(state),
                                                       .is_privileged = is_follower(state),
                                                       .replica_id = state->replica_id,
                                                       .user = server,
                                                       .id = (int32_t)(random >> 1),
                                                       .uses_topic_ids = state->request->version >=
                                                                         version_topic_ids});
    if (state->session == NULL)
        return true;
    fetch_session_acquire(state->session, now_ms(state));
    return update_session(state);
}

static enum error_code continue_session(struct fetch_state *state)
{
    const struct kafka_fetch_request *body = body_of(state);
    struct fetch_session *session =
        fetch_session_find(&state->request->server->fetch_sessions, body->session_id);
    if (session == NULL)
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != body->session_epoch || session->users > 0)
        return KAFKA_INVALID_FETCH_SESSION_EPOCH;
    if (session->uses_topic_ids != (state->request->version >= version_topic_ids))
        return KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    session->epoch = fetch_session_epoch_after(session->epoch);
    state->session = session;
    state->is_incremental = true;
    fetch_session_acquire(session, now_ms(state));
    forget_partitions(state);
    return KAFKA_NONE;
}

static void close_session(const struct fetch_state *state)
{
    struct fetch_session *session =
        fetch_session_find(&state->request->server->fetch_sessions, body_of(state)->session_id);
    if (session != NULL)
        fetch_session_close(session);
}

static void init_item(struct fetch_state *state, struct fetch_item *item)
{
    item->state = state;
    item->waiter.wake = on_wake;
    list_init(&item->waiter.link);
}

/* The follower's fetches since then have said that it has everything. */
static void note_silence(const struct fetch_session *session,
                         struct fetch_session_partition *cached)
{
    const struct broker_server *server = session->user;
    struct slice topic = cached->key.topic;
    if (!session->is_privileged)
        return;
    if (session->uses_topic_ids)
        topic = broker_server_topic_name(server, &cached->key.topic_id);
    const struct partition *partition =
        partition_table_find(&server->partitions, topic, cached->key.partition);
    if (partition != NULL)
        replication_on_silence(partition, session->replica_id, session->used_at_ms);
    cached->noted_epoch = session->epoch;
}

static bool take_items(struct fetch_state *state, uint32_t count)
{
    state->items =
        broker_request_take_array(state->request, (size_t)count + 1, sizeof *state->items);
    return state->items != NULL;
}

static void init_session_item(struct fetch_state *state, struct fetch_item *item,
                              struct fetch_session_partition *cached)
{
    init_item(state, item);
    item->cached = cached;
    item->topic = cached->key.topic;
    memcpy(item->topic_id.bytes, cached->key.topic_id.bytes, sizeof item->topic_id.bytes);
    item->index = cached->key.partition;
    item->leader_epoch = cached->leader_epoch;
    item->last_fetched_epoch = cached->last_fetched_epoch;
    item->bytes_max = cached->bytes_max;
    item->fetch_offset = cached->fetch_offset;
    item->follower_log_start_offset = cached->follower_log_start_offset;
    item->is_noted = cached->noted_epoch == state->session->epoch;
}

static bool items_from_session(struct fetch_state *state)
{
    if (!take_items(state, state->session->open_count))
        return false;
    state->item_count = 0;
    state->has_more = false;
    list_each (link, &state->session->open) {
        struct fetch_session_partition *cached =
            CONTAINER_OF(link, struct fetch_session_partition, open_link);
        init_session_item(state, &state->items[state->item_count++], cached);
    }
    return true;
}

/* Without memory they come with the next fetch. */
static void take_more(struct fetch_state *state)
{
    struct fetch_item *items = state->items;
    unpark(state);
    if (!items_from_session(state))
        state->items = items;
}

/* Of a partition that rested. Nothing is read for it before it is worth it. */
static void on_news(struct partition_waiter *waiter)
{
    struct fetch_session_partition *cached =
        CONTAINER_OF(waiter, struct fetch_session_partition, news);
    struct fetch_session *session = cached->session;
    struct fetch_state *state = session->fetch;
    fetch_session_partition_open(cached);
    note_silence(session, cached);
    if (state == NULL)
        return;
    struct fetch_item item = {0};
    init_session_item(state, &item, cached);
    state->has_more = true;
    if (state->is_evaluating)
        state->is_woken = true;
    else if (state->is_parked && is_worth_a_look(&item))
        evaluate(state);
}

static bool items_from_request(struct fetch_state *state)
{
    const struct kafka_fetch_request *body = body_of(state);
    uint32_t count = 0;
    for (int32_t t = 0; t < body->topics.count; t++)
        count += (uint32_t)body->topics.items[t].partitions.count;
    if (!take_items(state, count))
        return false;
    for (int32_t t = 0; t < body->topics.count; t++) {
        const struct kafka_fetch_request_topics *topic = &body->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct kafka_fetch_request_topics_partitions *asked = &topic->partitions.items[p];
            struct fetch_item *item = &state->items[state->item_count++];
            init_item(state, item);
            item->topic = topic->topic;
            item->topic_id = topic->topic_id;
            item->index = asked->partition;
            item->leader_epoch = asked->current_leader_epoch;
            item->last_fetched_epoch = asked->last_fetched_epoch;
            item->bytes_max = asked->partition_max_bytes;
            item->fetch_offset = asked->fetch_offset;
            item->follower_log_start_offset = asked->log_start_offset;
        }
    }
    return true;
}

static void reply_error(struct broker_request *request, enum error_code code)
{
    const struct kafka_fetch_reply reply = {.error_code = (int16_t)code};
    broker_request_reply(request, &reply);
}

/* KAFKA_NONE with *has_memory false: the request cannot go on. */
static enum error_code choose_partitions(struct fetch_state *state, bool *has_memory)
{
    const struct kafka_fetch_request *body = body_of(state);
    const bool has_sessions = state->request->version >= version_sessions;
    enum error_code code = KAFKA_NONE;
    *has_memory = true;
    if (has_sessions && body->session_epoch > fetch_epoch_first) {
        code = continue_session(state);
        if (code == KAFKA_NONE)
            *has_memory = update_session(state);
    } else if (has_sessions) {
        if (body->session_id != 0)
            close_session(state);
        if (body->session_epoch == fetch_epoch_first)
            *has_memory = open_session(state);
    }
    if (code != KAFKA_NONE || !*has_memory)
        return code;
    *has_memory = state->session != NULL ? items_from_session(state) : items_from_request(state);
    if (state->session != NULL)
        state->session->fetch = state;
    /* Nothing is left to fetch: the client shall begin anew. */
    if (state->session != NULL && state->session->partition_count == 0)
        fetch_session_close(state->session);
    return code;
}

void api_fetch(struct broker_request *request)
{
    const struct kafka_fetch_request *body = request->body;
    struct fetch_state *state = broker_request_take(request, sizeof *state);
    bool has_memory = false;
    enum error_code code = KAFKA_NONE;
    if (state != NULL) {
        const bool has_state = request->version >= version_replica_state;
        state->request = request;
        state->listener = broker_request_listener(request);
        state->replica_id = has_state ? body->replica_state.replica_id : body->replica_id;
        state->replica_epoch = has_state ? body->replica_state.replica_epoch : -1;
        state->bytes_max = (uint64_t)max_i64(
            0, min_i64(body->max_bytes, request->server->config->fetch_bytes_max));
        state->parked = (struct parked_fetch){.broker_id = state->replica_id, .call = on_call};
        list_init(&state->parked.link);
        request->state = state;
        code = choose_partitions(state, &has_memory);
    }
    if (code != KAFKA_NONE) {
        reply_error(request, code);
        return;
    }
    if (!has_memory) {
        if (state != NULL)
            clean_up(state);
        broker_request_fail_memory(request);
        return;
    }
    request->cancel = on_cancel;
    evaluate(state);
}
