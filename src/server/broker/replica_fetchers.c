#include "server/broker/replica_fetchers.h"

#include "base/assert.h"
#include "server/broker/broker_server.h"
#include "server/broker/partition_cut.h"
#include "wire/gen/kafka.h"

#include <stdio.h>

enum { offset_latest = -1, offset_earliest = -2, pause_first_ms = 20 };

/* A truncation on its way. */
struct cutting {
    struct partition_cut cut;
    struct followed *followed;
    struct partition_table *table;
    struct heap *heap;
};

/* A question about the leader's log. */
struct asking {
    struct link_request request;
    struct followed *followed;
    struct heap *heap;
    int64_t timestamp; /* One of the words above. */
    struct kafka_list_offsets_request body;
    struct kafka_list_offsets_request_topics topic;
    struct kafka_list_offsets_request_topics_partitions partition;
};

static struct broker_server *server_of(const struct followed *followed)
{
    return followed->fetcher->fetchers->server;
}

/* ---- One followed partition. ---- */

void followed_release(struct followed *followed)
{
    if (followed->hold_count > 0 || followed->partition != NULL)
        return;
    delay_queue_remove(&server_of(followed)->delays, &followed->delay);
    heap_give(server_of(followed)->heap, followed);
}

/* What comes with every change of leaders. */
static bool is_ordinary(int16_t code)
{
    return code == KAFKA_FENCED_LEADER_EPOCH || code == KAFKA_UNKNOWN_LEADER_EPOCH ||
           code == KAFKA_NOT_LEADER_OR_FOLLOWER || code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION ||
           code == KAFKA_UNKNOWN_TOPIC_ID;
}

void replica_fetcher_tell(struct replica_fetcher *fetcher)
{
    const struct fetch_trouble *trouble = &fetcher->trouble;
    char others[32] = "";
    if (trouble->count == 0)
        return;
    if (trouble->count > 1)
        snprintf(others, sizeof others, " and %u others", trouble->count - 1);
    diag_line(fetcher->fetchers->server->diag, is_ordinary(trouble->code) ? DIAG_INFO : DIAG_WARN,
              "partition %" SLICE_FORMAT "-%d%s, led by broker %d: %s: %s; %s",
              SLICE_ARGS(trouble->first->topic), trouble->first->index, others, fetcher->leader,
              trouble->what, kafka_error_name(trouble->code), trouble->then);
    fetcher->trouble.count = 0;
}

static void tell(struct followed *followed, int16_t code, const char *what, const char *then)
{
    struct replica_fetcher *fetcher = followed->fetcher;
    struct fetch_trouble *trouble = &fetcher->trouble;
    if (followed->last_code == code)
        return;
    followed->last_code = code;
    if (trouble->code != code || trouble->what != what || trouble->then != then)
        replica_fetcher_tell(fetcher);
    if (trouble->count++ == 0)
        *trouble = (struct fetch_trouble){
            .count = 1, .code = code, .what = what, .then = then, .first = followed};
    if (!fetcher->is_reading)
        replica_fetcher_tell(fetcher);
}

void followed_hold(struct followed *followed, int64_t wait_ms)
{
    replica_fetcher_remove(followed->fetcher, followed);
    followed->state = FOLLOWED_PAUSED;
    if (!followed->fetcher->fetchers->is_stopping)
        delay_queue_add(&server_of(followed)->delays, &followed->delay, (uint64_t)wait_ms);
}

void followed_pause(struct followed *followed, int16_t code, const char *what)
{
    if (followed->partition == NULL)
        return;
    tell(followed, code, what, "it is tried again");
    /* A leader that has not heard of its election yet will soon have. */
    followed->pause_ms = min_u64(max_u64(2 * followed->pause_ms, pause_first_ms),
                                 (uint64_t)server_of(followed)->config->replica_fetch_backoff_ms);
    followed_hold(followed, (int64_t)followed->pause_ms);
}

void followed_fail(struct followed *followed, int16_t code, const char *what)
{
    if (followed->partition == NULL)
        return;
    tell(followed, code, what, "it is not followed until the controller speaks of it again");
    replica_fetcher_remove(followed->fetcher, followed);
    followed->state = FOLLOWED_FAILED;
}

static void on_delay(struct delay *delay)
{
    followed_activate(CONTAINER_OF(delay, struct followed, delay));
}

void followed_activate(struct followed *followed)
{
    struct partition_store *store = followed->store;
    if (followed->partition == NULL || followed->fetcher->fetchers->is_stopping)
        return;
    /* Only what is at its end says how far this replica is. */
    if (store->cut != NULL || !list_empty(&store->appends)) {
        followed->state = FOLLOWED_WAITING;
        return;
    }
    /* A log without epochs says nothing about its history above the high watermark. */
    if (partition_store_latest_epoch(store) < 0 &&
        partition_store_high_watermark(store) < partition_store_log_end_offset(store)) {
        followed_cut(followed, partition_store_high_watermark(store), false);
        return;
    }
    followed->state = FOLLOWED_FETCHING;
    replica_fetcher_add(followed->fetcher, followed);
    replica_fetcher_pump(followed->fetcher);
}

/* ---- Truncation. ---- */

static void on_cut(struct partition_cut *cut, enum error_code code)
{
    struct cutting *cutting = CONTAINER_OF(cut, struct cutting, cut);
    struct followed *followed = cutting->followed;
    struct partition *partition = partition_store_user(cut->store);
    struct partition_table *table = cutting->table;
    heap_give(cutting->heap, cutting);
    followed->hold_count--;
    if (followed->partition == NULL)
        followed_release(followed);
    else if (code != KAFKA_NONE)
        followed_fail(followed, (int16_t)code, "its truncation");
    if (partition == NULL)
        return;
    /* Whoever follows or leads by now. */
    if (partition->followed != NULL && (partition->followed->state == FOLLOWED_CUTTING ||
                                        partition->followed->state == FOLLOWED_WAITING))
        followed_activate(partition->followed);
    partition_table_on_cut(table, partition);
}

void followed_cut(struct followed *followed, int64_t offset, bool begins_anew)
{
    struct broker_server *server = server_of(followed);
    if (followed->store->is_frozen) {
        followed_hold(followed, followed_frozen_ms);
        return;
    }
    struct cutting *cutting = heap_take_zeroed(server->heap, sizeof *cutting);
    if (cutting == NULL) {
        followed_pause(followed, KAFKA_KAFKA_STORAGE_ERROR, "no memory for a truncation");
        return;
    }
    replica_fetcher_remove(followed->fetcher, followed);
    followed->state = FOLLOWED_CUTTING;
    followed->hold_count++;
    cutting->followed = followed;
    cutting->table = &server->partitions;
    cutting->heap = server->heap;
    cutting->cut =
        (struct partition_cut){.offset = offset, .begins_anew = begins_anew, .done = on_cut};
    diag_info(
        server->diag, "partition %" SLICE_FORMAT "-%d: %s at offset %lld, as broker %d has it",
        SLICE_ARGS(followed->topic), followed->index, begins_anew ? "begins anew" : "truncated",
        (long long)offset, followed->fetcher->leader);
    partition_store_cut(followed->store, &cutting->cut);
}

/* ---- Where the leader's log lies. ---- */

static const void *fill(struct link_request *request, int16_t version)
{
    struct asking *asking = CONTAINER_OF(request, struct asking, request);
    const struct followed *followed = asking->followed;
    (void)version;
    asking->partition = (struct kafka_list_offsets_request_topics_partitions){
        .partition_index = followed->index,
        .current_leader_epoch = followed->leader_epoch,
        .timestamp = asking->timestamp,
        .max_num_offsets = 1};
    asking->topic = (struct kafka_list_offsets_request_topics){.name = followed->topic};
    asking->topic.partitions.items = &asking->partition;
    asking->topic.partitions.count = 1;
    asking->body = (struct kafka_list_offsets_request){
        .replica_id = control_broker_id(server_of(followed)->control)};
    asking->body.topics.items = &asking->topic;
    asking->body.topics.count = 1;
    return &asking->body;
}

static void send(struct asking *asking, int64_t timestamp);

/* The end of the leader's log, then its start: ours must overlap it. */
static void use_offset(struct asking *asking, int64_t offset)
{
    struct followed *followed = asking->followed;
    const int64_t end = partition_store_log_end_offset(followed->store);
    const bool is_latest = asking->timestamp == offset_latest;
    if (is_latest && offset >= end) {
        send(asking, offset_earliest);
        return;
    }
    heap_give(asking->heap, asking);
    followed->hold_count--;
    if (is_latest || offset > end)
        followed_cut(followed, offset, !is_latest);
    else
        followed_activate(followed);
}

static int16_t read_offset(const struct kafka_list_offsets_reply *reply, int64_t *offset)
{
    if (reply->topics.count != 1 || reply->topics.items[0].partitions.count != 1)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    const struct kafka_list_offsets_reply_topics_partitions *found =
        &reply->topics.items[0].partitions.items[0];
    *offset = found->offset;
    return found->error_code == KAFKA_NONE && found->offset < 0 ? KAFKA_UNKNOWN_SERVER_ERROR
                                                                : found->error_code;
}

static void on_offset(struct link_request *request, enum err err)
{
    struct asking *asking = CONTAINER_OF(request, struct asking, request);
    struct followed *followed = asking->followed;
    int64_t offset = -1;
    const int16_t code =
        err == ERR_OK ? read_offset(request->body, &offset) : KAFKA_NETWORK_EXCEPTION;
    if (followed->partition != NULL && code == KAFKA_NONE) {
        use_offset(asking, offset);
        return;
    }
    heap_give(asking->heap, asking);
    followed->hold_count--;
    if (followed->partition == NULL)
        followed_release(followed);
    else
        followed_pause(followed, code, "where the leader's log lies");
}

static void send(struct asking *asking, int64_t timestamp)
{
    const struct followed *followed = asking->followed;
    asking->timestamp = timestamp;
    asking->request = (struct link_request){
        .request = &kafka_list_offsets_request_wire,
        .reply = &kafka_list_offsets_reply_wire,
        .api_key = KAFKA_API_LIST_OFFSETS,
        .version_min = 4,
        .version_max = 9,
        .timeout_ms = (uint32_t)server_of(followed)->config->replica_socket_timeout_ms,
        .fill = fill,
        .done = on_offset};
    broker_link_send(&followed->fetcher->peer, &asking->request);
}

void followed_ask(struct followed *followed)
{
    struct broker_server *server = server_of(followed);
    struct asking *asking = heap_take_zeroed(server->heap, sizeof *asking);
    if (asking == NULL) {
        followed_pause(followed, KAFKA_KAFKA_STORAGE_ERROR, "no memory for a question");
        return;
    }
    replica_fetcher_remove(followed->fetcher, followed);
    followed->state = FOLLOWED_ASKING;
    followed->hold_count++;
    asking->followed = followed;
    asking->heap = server->heap;
    send(asking, offset_latest);
}

/* ---- All of them. ---- */

enum err replica_fetchers_init(struct replica_fetchers *fetchers, struct broker_server *server)
{
    *fetchers = (struct replica_fetchers){.server = server};
    list_init(&fetchers->list);
    return hash_table_init(&fetchers->by_id, server->heap);
}

struct id_key {
    const uint8_t *topic_id;
    int32_t index;
};

static uint64_t hash_of(const struct replica_fetchers *fetchers, struct id_key key)
{
    return hash_u64((uint32_t)key.index, hash_bytes(slice_of(key.topic_id, sizeof(struct uuid)),
                                                    fetchers->server->hash_seed));
}

static bool has_id(const struct hash_link *link, const void *key)
{
    const struct followed *followed = CONTAINER_OF(link, const struct followed, by_id);
    const struct id_key *wanted = key;
    return followed->index == wanted->index &&
           memcmp(followed->topic_id.bytes, wanted->topic_id, sizeof followed->topic_id) == 0;
}

struct followed *replica_fetchers_find(const struct replica_fetchers *fetchers,
                                       const uint8_t topic_id[16], int32_t index)
{
    const struct id_key key = {topic_id, index};
    struct hash_link *link =
        hash_table_find(&fetchers->by_id, hash_of(fetchers, key), has_id, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct followed, by_id);
}

static struct replica_fetcher *fetcher_of(struct list *link)
{
    return CONTAINER_OF(link, struct replica_fetcher, link);
}

void replica_fetchers_stop(struct replica_fetchers *fetchers)
{
    fetchers->is_stopping = true;
    list_each (link, &fetchers->list) {
        struct replica_fetcher *fetcher = fetcher_of(link);
        replica_fetcher_close(fetcher);
        list_each (member, &fetcher->members)
            delay_queue_remove(&fetchers->server->delays,
                               &CONTAINER_OF(member, struct followed, link)->delay);
    }
}

static void give_all(struct replica_fetchers *fetchers, struct list *members)
{
    for (struct list *link = list_pop(members); link != NULL; link = list_pop(members))
        heap_give(fetchers->server->heap, CONTAINER_OF(link, struct followed, link));
}

void replica_fetchers_deinit(struct replica_fetchers *fetchers)
{
    if (fetchers->server == NULL)
        return;
    for (struct list *link = list_pop(&fetchers->list); link != NULL;
         link = list_pop(&fetchers->list)) {
        struct replica_fetcher *fetcher = fetcher_of(link);
        give_all(fetchers, &fetcher->members);
        heap_give(fetchers->server->heap, fetcher->scratch);
        heap_give(fetchers->server->heap, fetcher);
    }
    hash_table_deinit(&fetchers->by_id);
}

/* NULL: no memory. */
static struct replica_fetcher *find_fetcher(struct replica_fetchers *fetchers, int32_t leader,
                                            uint32_t number)
{
    list_each (link, &fetchers->list)
        if (fetcher_of(link)->leader == leader && fetcher_of(link)->number == number)
            return fetcher_of(link);
    struct replica_fetcher *fetcher = heap_take_zeroed(fetchers->server->heap, sizeof *fetcher);
    if (fetcher == NULL)
        return NULL;
    replica_fetcher_init(fetcher, fetchers, leader, number);
    list_push(&fetchers->list, &fetcher->link);
    return fetcher;
}

/* Memory of its own for the name: the leader's session may know of it longer than we do. */
static struct followed *make(struct replica_fetcher *fetcher, struct partition *partition)
{
    struct followed *followed =
        heap_take_zeroed(fetcher->fetchers->server->heap, sizeof *followed + partition->topic.size);
    if (followed == NULL)
        return NULL;
    memcpy(followed + 1, partition->topic.data, partition->topic.size);
    followed->topic = slice_of(followed + 1, partition->topic.size);
    followed->topic_id = partition->topic_id;
    followed->index = partition->index;
    followed->fetcher = fetcher;
    followed->partition = partition;
    followed->store = partition->store;
    followed->leader_high_watermark = followed_unheard;
    followed->delay.expired = on_delay;
    list_init(&followed->change_link);
    list_init(&followed->forget_link);
    list_init(&followed->throttle_link);
    list_push(&fetcher->members, &followed->link);
    if (uuid_is_zero(followed->topic_id))
        fetcher->nameless_count++;
    else
        hash_table_add(
            &fetcher->fetchers->by_id, &followed->by_id,
            hash_of(fetcher->fetchers, (struct id_key){followed->topic_id.bytes, followed->index}));
    return followed;
}

bool replica_fetchers_follow(struct replica_fetchers *fetchers, struct partition *partition,
                             const struct partition_state *state)
{
    struct followed *followed = partition->followed;
    const uint64_t hash = hash_u64((uint32_t)partition->index, hash_bytes(partition->topic, 0));
    const uint32_t number =
        (uint32_t)(hash % (uint64_t)fetchers->server->config->replica_fetcher_count);
    if (followed != NULL && followed->fetcher->leader != state->leader) {
        replica_fetchers_leave(partition);
        followed = NULL;
    }
    if (state->leader == control_leader_none || fetchers->is_stopping)
        return true;
    if (followed == NULL) {
        struct replica_fetcher *fetcher = find_fetcher(fetchers, state->leader, number);
        followed = fetcher == NULL ? NULL : make(fetcher, partition);
        if (followed == NULL)
            return false;
        partition->followed = followed;
        replica_fetchers_throttle(partition);
    }
    if (followed->leader_epoch != state->leader_epoch)
        followed->leader_high_watermark = followed_unheard;
    followed->leader_epoch = state->leader_epoch;
    followed->last_code = KAFKA_NONE;
    followed->pause_ms = 0;
    if (followed->state == FOLLOWED_FETCHING) {
        replica_fetcher_add(followed->fetcher, followed);
        replica_fetcher_pump(followed->fetcher);
    } else if (followed->state != FOLLOWED_ASKING && followed->state != FOLLOWED_CUTTING) {
        delay_queue_remove(&fetchers->server->delays, &followed->delay);
        followed_activate(followed);
    }
    return true;
}

void replica_fetchers_leave(struct partition *partition)
{
    struct followed *followed = partition->followed;
    if (followed == NULL)
        return;
    partition->followed = NULL;
    delay_queue_remove(&server_of(followed)->delays, &followed->delay);
    replica_fetcher_remove(followed->fetcher, followed);
    list_remove(&followed->link);
    list_remove(&followed->throttle_link);
    if (uuid_is_zero(followed->topic_id))
        followed->fetcher->nameless_count--;
    else
        hash_table_remove(&followed->fetcher->fetchers->by_id, &followed->by_id);
    followed->partition = NULL;
    followed_release(followed);
}

void replica_fetchers_throttle(struct partition *partition)
{
    struct followed *followed = partition->followed;
    if (followed == NULL)
        return;
    list_remove(&followed->throttle_link);
    if (partition->is_throttled_follower)
        list_push(&followed->fetcher->throttled, &followed->throttle_link);
}

void replica_fetchers_on_progress(struct partition *partition)
{
    struct followed *followed = partition->followed;
    if (followed == NULL)
        return;
    if (followed->state == FOLLOWED_WAITING)
        followed_activate(followed);
    else
        replica_fetcher_note_start(followed);
}
