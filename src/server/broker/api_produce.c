/* Produce: batches go from the receive buffer to the log without a copy of ours. */
#include "broker/record_facts.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "server/broker/leader_hint.h"
#include "wire/gen/kafka.h"

enum {
    retry_ms = 2,
    turn_ms = 1,                 /* 0 would be due at once, before anybody else. */
    late_bytes_each = 64 * 1024, /* What a request holds at least: itself and its buffer. */
    late_bytes_max = 64 << 20,   /* Of requests that are answered but not yet on the disk. */
};

enum acks { ACKS_ALL = -1, ACKS_NONE = 0, ACKS_LEADER = 1 };

struct produce_item {
    struct partition_append append;
    struct partition_commit commit; /* Waits for the other replicas, once append is done. */
    struct produce_state *state;
    struct kafka_produce_reply_topics_partitions *reply;
    bool is_settled; /* The client need not wait for it any more. */
    bool is_done;
};

/* Of the records field at hand. */
enum check_progress { CHECK_NEW, CHECK_RUNNING, CHECK_PASSED };

/* How far the start of one partition's append has come. */
enum start_progress {
    START_DONE,    /* Started, or answered. */
    START_NO_ROOM, /* The store takes nothing now. */
    START_TURN,    /* Others have their turn before its records are checked further. */
};

struct produce_state {
    struct broker_request *request;
    struct record_check check;
    struct partition_config config; /* What check goes by. */
    enum check_progress check_progress;
    bool is_seen; /* The check was made before the request came here. */
    struct kafka_produce_reply reply;
    struct slice listener; /* That the client uses. */
    struct produce_item *items;
    uint32_t partition_count;
    uint32_t item_count; /* Started; those behind wait for room in the store. */
    uint32_t open_count; /* Not done. */
    uint32_t unsettled_count;
    int32_t topic_index; /* Where to go on. */
    int32_t partition_index;
    uint32_t fact_index;    /* Of the partition at hand. */
    uint64_t wait_until_ns; /* As long as the client is willing to. */
    uint64_t late_bytes;    /* Counted in the server's; 0: it has not been answered early. */
    bool has_error;
    bool is_gone; /* Its client. */
    bool is_starting;
    bool is_waiting_to_start;
};

static void start(struct produce_state *state);

static void set_code(struct produce_state *state,
                     struct kafka_produce_reply_topics_partitions *reply, enum error_code code)
{
    reply->error_code = (int16_t)code;
    reply->base_offset = -1;
    reply->log_append_time_ms = -1;
    reply->log_start_offset = -1;
    state->has_error |= code != KAFKA_NONE;
}

static void set_result(struct produce_item *item)
{
    item->reply->base_offset = item->append.base_offset;
    item->reply->log_append_time_ms = item->append.log_append_time_ms;
    item->reply->log_start_offset = item->append.log_start_offset;
}

/* The leader's place is told once, however many partitions it leads. */
static void add_place(struct produce_state *state, int32_t leader, uint32_t count_max)
{
    struct kafka_produce_reply *reply = &state->reply;
    struct leader_place place;
    for (int32_t i = 0; i < reply->node_endpoints.count; i++)
        if (reply->node_endpoints.items[i].node_id == leader)
            return;
    if (!leader_hint_place(state->request->server, leader, state->listener, &place))
        return;
    if (reply->node_endpoints.items == NULL)
        reply->node_endpoints.items = broker_request_take_array(
            state->request, count_max, sizeof *reply->node_endpoints.items);
    if (reply->node_endpoints.items == NULL)
        return; /* The client asks for the metadata instead. */
    reply->node_endpoints.items[reply->node_endpoints.count++] =
        (struct kafka_produce_reply_node_endpoints){
            .node_id = leader, .host = place.host, .port = place.port, .rack = place.rack};
}

static void add_hints(struct produce_state *state)
{
    struct kafka_produce_reply *reply = &state->reply;
    if (!state->has_error || state->request->version < leader_hint_produce_version)
        return;
    for (int32_t t = 0; t < reply->topics.count; t++) {
        struct kafka_produce_reply_topics *topic = &reply->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            struct kafka_produce_reply_topics_partitions *told = &topic->partitions.items[p];
            if (told->error_code != KAFKA_NOT_LEADER_OR_FOLLOWER)
                continue;
            const struct leader_hint hint =
                leader_hint_of(state->request->server, topic->name, told->index);
            told->current_leader.leader_id = hint.leader;
            told->current_leader.leader_epoch = hint.leader_epoch;
            add_place(state, hint.leader, state->partition_count);
        }
    }
}

/* With acks 0 nothing is said; an error closes the connection, so that the client learns of it. */
static void finish(struct produce_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_produce_request *body = request->body;
    if (body->acks != ACKS_NONE) {
        add_hints(state);
        broker_request_reply(request, &state->reply);
    } else if (state->has_error) {
        broker_request_fail(request, "a produce request without acks has failed");
    } else {
        broker_request_end(request);
    }
}

/* The client gets its answer, but something is still on its way. What is not settled has taken too
 * long for the client; it may become durable later, as with Apache's broker. */
static void answer_early(struct produce_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_produce_request *body = request->body;
    assert(state->open_count > 0 && state->late_bytes == 0);
    for (uint32_t i = 0; i < state->item_count; i++) {
        struct produce_item *item = &state->items[i];
        if (item->is_done)
            continue;
        set_result(item);
        if (!item->is_settled)
            item->reply->error_code = KAFKA_REQUEST_TIMED_OUT;
        state->late_bytes += max_u64(item->append.size, late_bytes_each);
    }
    request->server->late_produce_bytes += state->late_bytes;
    add_hints(state);
    broker_request_answer(request, body->acks == ACKS_NONE ? NULL : &state->reply);
}

/* Whether no item needs the client to wait any more, though some are on their way. */
static bool can_answer_early(const struct produce_state *state)
{
    const struct kafka_produce_request *body = state->request->body;
    const bool will_close = body->acks == ACKS_NONE && state->has_error;
    return state->unsettled_count == 0 && state->late_bytes == 0 && !will_close;
}

static void go_on(struct produce_state *state)
{
    if (state->is_starting || state->is_waiting_to_start)
        return;
    if (state->open_count > 0) {
        if (can_answer_early(state))
            answer_early(state);
    } else if (state->late_bytes > 0) {
        state->request->server->late_produce_bytes -= state->late_bytes;
        broker_request_end(state->request);
    } else {
        finish(state);
    }
}

static void settle(struct produce_item *item)
{
    if (item->is_settled)
        return;
    item->is_settled = true;
    assert(item->state->unsettled_count > 0);
    item->state->unsettled_count--;
}

static void end_item(struct produce_item *item)
{
    settle(item);
    item->is_done = true;
    assert(item->state->open_count > 0);
    item->state->open_count--;
}

/* What was appended stays, whatever the others do with it: the client learns where it is. */
static void end_appended(struct produce_item *item, enum error_code code)
{
    set_result(item);
    item->reply->error_code = (int16_t)code;
    item->state->has_error |= code != KAFKA_NONE;
    end_item(item);
}

static void on_commit(struct partition_commit *commit, enum error_code code)
{
    struct produce_item *item = CONTAINER_OF(commit, struct produce_item, commit);
    end_appended(item, code);
    go_on(item->state);
}

/* Those that wait for nothing but other replicas wait no longer. */
static void give_up_commits(struct produce_state *state)
{
    for (uint32_t i = 0; i < state->item_count; i++) {
        struct produce_item *item = &state->items[i];
        if (item->is_done || !partition_commit_is_waiting(&item->commit))
            continue;
        list_remove(&item->commit.link);
        end_appended(item, KAFKA_REQUEST_TIMED_OUT);
    }
}

/* acks=all: not before the replicas in sync have it too. A client without a time limit does not
 * wait for them, as with Apache's broker. */
static bool has_to_wait(struct produce_item *item, enum error_code *code)
{
    const struct produce_state *state = item->state;
    const struct kafka_produce_request *body = state->request->body;
    *code = KAFKA_NONE;
    if (body->acks != ACKS_ALL || state->late_bytes > 0)
        return false;
    item->commit.offset = item->append.last_offset + 1;
    if (replication_await(item->append.store, &item->commit, code))
        return false;
    if (body->timeout_ms > 0 && !state->is_gone)
        return true;
    list_remove(&item->commit.link);
    *code = KAFKA_REQUEST_TIMED_OUT;
    return false;
}

static void on_appended(struct partition_append *append, enum error_code code)
{
    struct produce_item *item = CONTAINER_OF(append, struct produce_item, append);
    struct produce_state *state = item->state;
    if (code != KAFKA_NONE) {
        set_code(state, item->reply, code);
        end_item(item);
    } else {
        if (has_to_wait(item, &code))
            return;
        end_appended(item, code);
    }
    go_on(state);
}

/* Without acks=all the client waits for the page cache only, not for the synced records of others
 * in front. */
static void on_written(struct partition_append *append)
{
    struct produce_item *item = CONTAINER_OF(append, struct produce_item, append);
    settle(item);
    go_on(item->state);
}

static void on_late(struct delay *delay)
{
    struct produce_state *state = CONTAINER_OF(delay, struct broker_request, delay)->state;
    give_up_commits(state);
    if (state->open_count > 0)
        answer_early(state);
    else
        finish(state);
}

/* Without a time limit of the client's, it waits as long as the disk takes. */
static void wait_for_disk(struct produce_state *state)
{
    const struct kafka_produce_request *body = state->request->body;
    struct broker_server *server = state->request->server;
    if (body->acks != ACKS_ALL || body->timeout_ms <= 0)
        return;
    const uint64_t now_ns = io_now_ns(server->io);
    const uint64_t left_ns = state->wait_until_ns - min_u64(now_ns, state->wait_until_ns);
    state->request->delay.expired = on_late;
    delay_queue_add(&server->delays, &state->request->delay, div_ceil(left_ns, 1000000));
}

/* One record of the batch is to blame: clients can drop it and send the rest again. */
static void set_verdict(struct produce_state *state,
                        struct kafka_produce_reply_topics_partitions *reply,
                        const struct record_verdict *verdict)
{
    set_code(state, reply, verdict->code);
    if (verdict->message != NULL)
        reply->error_message = slice_from_text(verdict->message);
    if (verdict->record_index < 0)
        return;
    reply->record_errors.items =
        broker_request_take(state->request, sizeof *reply->record_errors.items);
    if (reply->record_errors.items == NULL)
        return;
    reply->record_errors.count = 1;
    reply->record_errors.items[0].batch_index = verdict->record_index;
    reply->record_errors.items[0].error_message = reply->error_message;
}

static void begin_check(struct produce_state *state, const struct partition *partition,
                        uint8_t *data, size_t size)
{
    struct broker_server *server = state->request->server;
    const struct record_rules rules = {
        .config = &state->config,
        .now_ms = io_wall_ms(server->io),
        .produce_version = state->request->version,
        .packed = {.heap = server->heap,
                   .idle = &server->unpackers,
                   .bytes_max = (uint64_t)server->config->unpacked_batch_bytes_max},
    };
    const struct record_facts *facts = state->request->facts;
    state->config = *partition_store_config(partition->store);
    state->check_progress = CHECK_RUNNING;
    state->is_seen = facts != NULL && record_facts_pass(&facts[state->fact_index], &rules);
    if (state->is_seen)
        state->check.verdict = facts[state->fact_index].verdict;
    else
        record_check_begin(&state->check, &rules, data, size);
}

static void cancel_check(struct produce_state *state)
{
    if (state->check_progress == CHECK_RUNNING && !state->is_seen)
        record_check_cancel(&state->check);
    state->check_progress = CHECK_NEW;
}

/* The check has come to its end. False: reply says why not. */
static bool is_valid(struct produce_state *state,
                     struct kafka_produce_reply_topics_partitions *reply)
{
    struct record_verdict verdict = state->check.verdict;
    if (verdict.code == KAFKA_NONE && verdict.is_transactional) {
        verdict.code = KAFKA_INVALID_TXN_STATE;
        verdict.message = "Transactions are not served.";
        verdict.record_index = -1;
    }
    state->check_progress = verdict.code == KAFKA_NONE ? CHECK_PASSED : CHECK_NEW;
    if (verdict.code == KAFKA_NONE)
        return true;
    set_verdict(state, reply, &verdict);
    return false;
}

static enum partition_durability durability(const struct broker_request *request,
                                            const struct partition *partition)
{
    const struct kafka_produce_request *body = request->body;
    return body->acks == ACKS_ALL ? broker_server_acks_all(request->server, partition->store)
                                  : PARTITION_WRITTEN;
}

/* Only the broker itself writes to its internal topics, and tools that call themselves so. */
static bool may_write(const struct broker_request *request, const struct partition *partition)
{
    return !partition->is_internal || slice_equal_text(request->client_id, "__admin_client");
}

static bool are_acks_known(const struct broker_request *request)
{
    const struct kafka_produce_request *body = request->body;
    return body->acks >= ACKS_ALL && body->acks <= ACKS_LEADER;
}

static enum start_progress append(struct produce_state *state, struct partition *partition,
                                  struct slice records,
                                  struct kafka_produce_reply_topics_partitions *reply)
{
    const struct kafka_produce_request *body = state->request->body;
    struct produce_item *item = &state->items[state->item_count];
    *item = (struct produce_item){.state = state, .reply = reply};
    item->append.data = (uint8_t *)(uintptr_t)records.data; /* The frame is writable. */
    item->append.size = (uint32_t)records.size;
    item->append.durability = durability(state->request, partition);
    item->append.done = on_appended;
    replication_begin(partition, &item->commit, on_commit);
    if (item->append.durability == PARTITION_WRITTEN && body->acks != ACKS_ALL)
        item->append.written = on_written;
    const bool has_room = state->request->server->late_produce_bytes < late_bytes_max;
    const enum error_code code = has_room ? partition_store_append(partition->store, &item->append)
                                          : KAFKA_THROTTLING_QUOTA_EXCEEDED;
    if (code == KAFKA_THROTTLING_QUOTA_EXCEEDED)
        return START_NO_ROOM;
    state->check_progress = CHECK_NEW;
    if (code == KAFKA_NONE) {
        state->item_count++;
        state->open_count++;
        state->unsettled_count++;
    } else {
        set_code(state, reply, code);
    }
    return START_DONE;
}

static enum start_progress start_one(struct produce_state *state, struct slice topic,
                                     const struct kafka_produce_request_topics_partitions *asked,
                                     struct kafka_produce_reply_topics_partitions *reply)
{
    const struct kafka_produce_request *body = state->request->body;
    enum error_code code;
    struct partition *partition =
        broker_server_leader(state->request->server, topic, asked->index, -1, &code);
    reply->index = asked->index;
    reply->current_leader.leader_id = -1;
    reply->current_leader.leader_epoch = -1;
    set_code(state, reply, KAFKA_NONE);
    if (code != KAFKA_UNKNOWN_TOPIC_OR_PARTITION && !are_acks_known(state->request))
        code = KAFKA_INVALID_REQUIRED_ACKS;
    else if (partition != NULL && !may_write(state->request, partition))
        code = KAFKA_INVALID_TOPIC_EXCEPTION;
    else if (partition != NULL && body->acks == ACKS_ALL && replication_is_short(partition))
        code = KAFKA_NOT_ENOUGH_REPLICAS;
    if (code != KAFKA_NONE) {
        cancel_check(state);
        set_code(state, reply, code);
        return START_DONE;
    }
    const struct slice records = asked->records;
    if (state->check_progress == CHECK_NEW)
        begin_check(state, partition, (uint8_t *)(uintptr_t)records.data, records.size);
    if (state->check_progress == CHECK_RUNNING) {
        if (!state->is_seen && !record_check_step(&state->check))
            return START_TURN;
        if (!is_valid(state, reply))
            return START_DONE;
    }
    return append(state, partition, records, reply);
}

static void on_retry(struct delay *delay)
{
    struct produce_state *state = CONTAINER_OF(delay, struct broker_request, delay)->state;
    state->is_waiting_to_start = false;
    start(state);
}

/* False: it has waited as long as the client is willing to. */
static bool may_wait(const struct produce_state *state)
{
    return io_now_ns(state->request->server->io) < state->wait_until_ns;
}

/* The connection is gone: what is not started never will be, and nobody waits for other replicas.
 */
static void on_cancel(struct broker_request *request)
{
    const struct kafka_produce_request *body = request->body;
    struct produce_state *state = request->state;
    state->is_gone = true;
    cancel_check(state);
    delay_queue_remove(&request->server->delays, &request->delay);
    state->topic_index = body->topics.count;
    state->is_waiting_to_start = false;
    give_up_commits(state);
    if (state->unsettled_count == 0)
        go_on(state);
}

static void wait_to_start(struct produce_state *state, uint64_t wait_ms)
{
    struct broker_request *request = state->request;
    broker_request_hold(request);
    state->is_waiting_to_start = true;
    request->delay.expired = on_retry;
    delay_queue_add(&request->server->delays, &request->delay, wait_ms);
}

static void start(struct produce_state *state)
{
    const struct kafka_produce_request *body = state->request->body;
    state->is_starting = true;
    for (; state->topic_index < body->topics.count; state->topic_index++) {
        const struct kafka_produce_request_topics *topic = &body->topics.items[state->topic_index];
        struct kafka_produce_reply_topics *reply = &state->reply.topics.items[state->topic_index];
        for (; state->partition_index < topic->partitions.count;
             state->partition_index++, state->fact_index++) {
            const int32_t at = state->partition_index;
            const enum start_progress progress = start_one(
                state, topic->name, &topic->partitions.items[at], &reply->partitions.items[at]);
            if (progress == START_DONE)
                continue;
            if (progress == START_TURN || may_wait(state)) {
                state->is_starting = false;
                wait_to_start(state, progress == START_TURN ? turn_ms : retry_ms);
                return;
            }
            state->check_progress = CHECK_NEW;
            set_code(state, &reply->partitions.items[at], KAFKA_THROTTLING_QUOTA_EXCEEDED);
        }
        state->partition_index = 0;
    }
    state->is_starting = false;
    if (state->unsettled_count > 0)
        wait_for_disk(state);
    else
        go_on(state);
}

static void refuse(struct produce_state *state, enum error_code code)
{
    const struct kafka_produce_request *body = state->request->body;
    for (int32_t t = 0; t < body->topics.count; t++) {
        for (int32_t p = 0; p < body->topics.items[t].partitions.count; p++) {
            struct kafka_produce_reply_topics_partitions *reply =
                &state->reply.topics.items[t].partitions.items[p];
            reply->index = body->topics.items[t].partitions.items[p].index;
            reply->current_leader.leader_id = -1;
            reply->current_leader.leader_epoch = -1;
            set_code(state, reply, code);
        }
    }
    finish(state);
}

static bool prepare_reply(struct produce_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_produce_request *body = request->body;
    struct kafka_produce_reply *reply = &state->reply;
    reply->topics.count = body->topics.count;
    reply->topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply->topics.items);
    for (int32_t t = 0; t < body->topics.count; t++) {
        if (reply->topics.items == NULL)
            return false;
        const int32_t count = body->topics.items[t].partitions.count;
        struct kafka_produce_reply_topics *topic = &reply->topics.items[t];
        topic->name = body->topics.items[t].name;
        topic->partitions.count = count;
        topic->partitions.items =
            broker_request_take_array(request, (size_t)count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
        state->partition_count += (uint32_t)count;
    }
    return true;
}

void api_produce(struct broker_request *request)
{
    const struct kafka_produce_request *body = request->body;
    struct produce_state *state = broker_request_take(request, sizeof *state);
    if (state != NULL) {
        state->request = request;
        state->listener = broker_request_listener(request);
        state->wait_until_ns =
            io_now_ns(request->server->io) + (uint64_t)max_i64(body->timeout_ms, 0) * 1000000;
        request->state = state;
        if (prepare_reply(state))
            state->items =
                broker_request_take_array(request, state->partition_count, sizeof *state->items);
    }
    if (state == NULL || state->items == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    request->cancel = on_cancel;
    if (slice_is_null(body->transactional_id))
        start(state);
    else
        refuse(state, KAFKA_INVALID_TXN_STATE);
}
