#include "server/broker/replication.h"

#include "base/assert.h"
#include "server/broker/broker_server.h"

static int64_t now_ms(const struct replication *replication)
{
    return (int64_t)(io_now_ns(replication->server->io) / 1000000);
}

static bool is_alive(const void *context, int32_t broker_id)
{
    const struct replication *replication = context;
    const struct metadata_view *view = control_metadata(replication->server->control);
    return metadata_view_broker(view, broker_id) != NULL;
}

static struct replica_facts facts_of(const struct replication *replication,
                                     const struct partition *partition)
{
    const struct partition_store *store = partition->store;
    return (struct replica_facts){
        .now_ms = now_ms(replication),
        .lag_ms_max = replication->server->config->replica_lag_ms_max,
        .min_isr = partition_store_config(store)->min_insync_replicas,
        .log_end_offset = partition_store_log_end_offset(store),
        .local_offset = partition_store_reached_offset(store),
        .high_watermark = partition_store_high_watermark(store),
        .is_alive = is_alive,
        .context = replication,
    };
}

/* ---- who waits for the high watermark ---- */

static bool is_ours(const struct partition *partition)
{
    return partition_is_led(partition) && !partition->table->is_stopping;
}

static enum error_code code_of(const struct partition *partition)
{
    if (!is_ours(partition))
        return KAFKA_NOT_LEADER_OR_FOLLOWER;
    if (partition_store_offline_reason(partition->store) != NULL)
        return KAFKA_KAFKA_STORAGE_ERROR;
    const struct replica_set *set = partition->replicas;
    const int64_t min_isr = partition_store_config(partition->store)->min_insync_replicas;
    if (set != NULL && replica_set_is_under_min_isr_after(set, min_isr))
        return KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    return KAFKA_NONE;
}

static bool is_broken(const struct partition *partition)
{
    return !is_ours(partition) || partition_store_offline_reason(partition->store) != NULL;
}

static bool is_committed(const struct partition *partition, const struct partition_commit *commit)
{
    return commit->offset <= partition_store_high_watermark(partition->store);
}

/* Those who wait go by offset, so only those who are done are looked at. */
static void end_commits(struct partition *partition)
{
    while (!list_empty(&partition->commits)) {
        struct partition_commit *commit =
            CONTAINER_OF(partition->commits.next, struct partition_commit, link);
        if (!is_broken(partition) && !is_committed(partition, commit))
            return;
        list_remove(&commit->link);
        commit->done(commit, code_of(partition));
    }
}

/* Nearly always the last one; a duplicate asks for what its first one did. */
static void add_commit(struct partition *partition, struct partition_commit *commit)
{
    struct list *before = partition->commits.prev;
    while (before != &partition->commits &&
           CONTAINER_OF(before, struct partition_commit, link)->offset > commit->offset)
        before = before->prev;
    list_insert_after(before, &commit->link);
}

void replication_begin(const struct partition *partition, struct partition_commit *commit,
                       void (*done)(struct partition_commit *commit, enum error_code code))
{
    *commit = (struct partition_commit){.term = partition->term, .done = done};
    list_init(&commit->link);
}

bool replication_await(struct partition_store *store, struct partition_commit *commit,
                       enum error_code *code)
{
    struct partition *partition = partition_store_user(store);
    *code = KAFKA_NOT_LEADER_OR_FOLLOWER;
    if (partition == NULL || commit->term != partition->term)
        return true;
    *code = code_of(partition);
    if (is_broken(partition) || is_committed(partition, commit))
        return true;
    add_commit(partition, commit);
    return false;
}

static void wake_consumers(struct partition *partition)
{
    const struct partition_store *store = partition->store;
    const int64_t high_watermark = partition_store_high_watermark(store);
    const int64_t log_start_offset = partition_store_log_start_offset(store);
    if (partition->told_high_watermark == high_watermark &&
        partition->told_log_start_offset == log_start_offset &&
        partition_store_offline_reason(store) == NULL)
        return;
    partition->told_high_watermark = high_watermark;
    partition->told_log_start_offset = log_start_offset;
    partition_wake_list(&partition->waiters);
    partition_wake_list(&partition->news_waiters);
    if (partition_store_offline_reason(store) != NULL)
        partition_wake_list(&partition->replica_waiters);
}

/* ---- the high watermark ---- */

/* True: it has moved, and everybody has been told. */
static bool raise_high_watermark(struct replication *replication, struct partition *partition)
{
    const struct replica_facts facts = facts_of(replication, partition);
    const int64_t offset = replica_set_high_watermark(partition->replicas, &facts);
    if (offset <= facts.high_watermark)
        return false;
    partition_store_raise_high_watermark(partition->store, offset); /* on_progress */
    return true;
}

/* Who has just left the ISR is waited for until its time is used up: only the clock sees that. */
static void watch_lag(struct replication *replication, struct partition *partition)
{
    const int64_t end = partition_store_log_end_offset(partition->store);
    if (!list_linked(&partition->lag_link) &&
        (replica_set_is_lagging(partition->replicas, end) ||
         partition_store_high_watermark(partition->store) < end))
        list_push(&replication->lagging, &partition->lag_link);
}

void replication_on_progress(struct replication *replication, struct partition *partition)
{
    if (partition->replicas != NULL && !is_broken(partition)) {
        watch_lag(replication, partition);
        if (raise_high_watermark(replication, partition))
            return;
    }
    end_commits(partition);
    if (partition->store != NULL)
        wake_consumers(partition);
}

/* ---- leading ---- */

static void forget(struct replication *replication, struct partition *partition)
{
    list_remove(&partition->lag_link);
    list_remove(&partition->change_link);
    if (partition->replicas != NULL)
        awaited_followers_remove_all(partition->replicas);
    heap_give(replication->server->heap, partition->replicas);
    partition->replicas = NULL;
}

/* NULL: no memory. */
static struct replica_set *make_set(struct replication *replication,
                                    const struct partition *partition,
                                    const struct partition_state *state)
{
    struct broker_server *server = replication->server;
    struct replica_set *set = heap_take(server->heap, replica_set_bytes(state));
    if (set == NULL)
        return NULL;
    replica_set_init(set, state,
                     (struct replica_set_start){
                         .broker_id = control_broker_id(server->control),
                         .log_end_offset = partition_store_log_end_offset(partition->store),
                         .now_ms = now_ms(replication),
                         .before = partition->replicas,
                     });
    if (awaited_followers_add(&replication->awaited, set, (uint64_t)now_ms(replication)))
        return set;
    heap_give(server->heap, set);
    return NULL;
}

bool replication_lead(struct replication *replication, struct partition *partition,
                      const struct partition_state *state)
{
    const bool has_others = state->replica_count > 1 || state->isr_count > 1;
    struct replica_set *set = has_others ? make_set(replication, partition, state) : NULL;
    if (has_others && set == NULL)
        return false;
    forget(replication, partition);
    partition->replicas = set;
    partition_store_set_replicated(partition->store, has_others);
    return true;
}

void replication_begin_to_lead(struct replication *replication, struct partition *partition)
{
    if (partition->replicas != NULL)
        awaited_followers_call(&replication->awaited, partition->replicas);
    replication_on_progress(replication, partition);
}

void replication_leave(struct replication *replication, struct partition *partition)
{
    forget(replication, partition);
    partition->term++;
    end_commits(partition);
}

/* ---- followers ---- */

static enum error_code unknown(const struct replication_fetch *fetch)
{
    return fetch->has_leader_epoch ? KAFKA_UNKNOWN_LEADER_EPOCH : KAFKA_NOT_LEADER_OR_FOLLOWER;
}

enum error_code replication_check(const struct partition *partition,
                                  const struct replication_fetch *fetch)
{
    struct replica_set *set = partition->replicas;
    return set == NULL || replica_set_find(set, fetch->broker_id) == NULL ? unknown(fetch)
                                                                          : KAFKA_NONE;
}

static void begin_change(struct replication *replication, struct partition *partition)
{
    isr_changes_add(&replication->changes, partition);
}

enum error_code replication_on_fetch(struct replication *replication, struct partition *partition,
                                     const struct replication_fetch *fetch)
{
    struct replica_set *set = partition->replicas;
    struct replica *replica = set == NULL ? NULL : replica_set_find(set, fetch->broker_id);
    if (replica == NULL)
        return unknown(fetch);
    const struct replica_facts facts = facts_of(replication, partition);
    const int64_t before = replica->fetch_offset;
    const int64_t start_before = replica->log_start_offset;
    if (!replica_set_on_fetch(set, replica,
                              (struct replica_fetch){.broker_epoch = fetch->broker_epoch,
                                                     .fetch_offset = fetch->offset,
                                                     .log_start_offset = fetch->log_start_offset},
                              &facts))
        return KAFKA_NOT_LEADER_OR_FOLLOWER;
    awaited_followers_remove(replica);
    if (replica_set_can_join(set, replica, &facts)) {
        replica_set_join(set, replica);
        begin_change(replication, partition);
    }
    if (replica->log_start_offset != start_before)
        partition_wake_list(&partition->start_waiters);
    if (replica->fetch_offset != before)
        (void)raise_high_watermark(replication, partition);
    return KAFKA_NONE;
}

void replication_on_silence(const struct partition *partition, int32_t broker_id, uint64_t until_ms)
{
    struct replica_set *set = partition->replicas;
    struct replica *replica = set == NULL ? NULL : replica_set_find(set, broker_id);
    if (replica != NULL)
        replica_set_on_silence(set, replica, (int64_t)until_ms);
}

static const struct replica *in_sync(const struct partition *partition, int32_t broker_id)
{
    struct replica_set *set = partition->replicas;
    const struct replica *replica = set == NULL ? NULL : replica_set_find(set, broker_id);
    return replica != NULL && replica->isr_place >= 0 ? replica : NULL;
}

bool replication_is_in_sync(const struct partition *partition, int32_t broker_id)
{
    return in_sync(partition, broker_id) != NULL;
}

bool replication_is_complete(const struct partition *partition, int32_t broker_id)
{
    const struct replica *replica = in_sync(partition, broker_id);
    return replica != NULL &&
           replica->fetch_offset == partition_store_log_end_offset(partition->store);
}

bool replication_is_behind(const struct partition *partition)
{
    const struct replica_set *set = partition->replicas;
    return set != NULL &&
           partition_store_high_watermark(partition->store) < set->epoch_start_offset;
}

bool replication_is_short(const struct partition *partition)
{
    const struct replica_set *set = partition->replicas;
    return set != NULL && replica_set_is_under_min_isr(
                              set, partition_store_config(partition->store)->min_insync_replicas);
}

/* ---- the clock ---- */

static void look_at(struct replication *replication, struct partition *partition)
{
    if (is_broken(partition))
        return;
    const struct replica_facts facts = facts_of(replication, partition);
    if (replica_set_shrink(partition->replicas, &facts))
        begin_change(replication, partition);
    watch_lag(replication, partition);
    /* One that was waited for may have used up its time. */
    (void)raise_high_watermark(replication, partition);
}

static void arm(struct replication *replication)
{
    delay_queue_add(&replication->server->delays, &replication->check,
                    (uint64_t)max_i64(1, replication->server->config->replica_lag_ms_max / 2));
}

static void on_check(struct delay *delay)
{
    struct replication *replication = CONTAINER_OF(delay, struct replication, check);
    struct list lagging;
    struct list *link;
    list_init(&lagging);
    list_splice(&lagging, &replication->lagging);
    while ((link = list_pop(&lagging)) != NULL)
        look_at(replication, CONTAINER_OF(link, struct partition, lag_link));
    arm(replication);
}

void replication_init(struct replication *replication, struct broker_server *server)
{
    *replication = (struct replication){.server = server, .check.expired = on_check};
    list_init(&replication->lagging);
    awaited_followers_init(&replication->awaited, server->heap);
    isr_changes_init(&replication->changes, server);
}

void replication_start(struct replication *replication)
{
    arm(replication);
}

void replication_stop(struct replication *replication)
{
    struct partition_table *partitions = &replication->server->partitions;
    struct partition *partition = NULL;
    uint64_t position = 0;
    delay_queue_remove(&replication->server->delays, &replication->check);
    isr_changes_stop(&replication->changes);
    partitions->is_stopping = true;
    while ((partition = partition_table_next(partitions, &position, partition)) != NULL)
        end_commits(partition);
}

void replication_deinit(struct replication *replication)
{
    awaited_followers_deinit(&replication->awaited);
}

/* ---- where the logs begin ---- */

int64_t replication_low_watermark(const struct replication *replication,
                                  const struct partition *partition)
{
    const struct replica_set *set = partition->replicas;
    int64_t offset = partition_store_log_start_offset(partition->store);
    for (uint32_t i = 0; set != NULL && i < set->follower_count; i++) {
        const struct replica *replica = &set->followers[i];
        if (replica->is_assigned && replica->log_start_offset < offset &&
            is_alive(replication, replica->broker_id))
            offset = replica->log_start_offset;
    }
    return offset;
}

/* ---- where consumers had better read ---- */

static bool is_in_rack(const struct metadata_view *view, int32_t broker_id, struct slice rack,
                       struct slice listener)
{
    const struct metadata_broker *broker = metadata_view_broker(view, broker_id);
    return broker != NULL && slice_equal(broker->record.rack, rack) &&
           metadata_broker_endpoint(broker, listener) != NULL;
}

/* Of two that are in the rack, who has more, then who has caught up last, then the higher id. */
static bool is_better(const struct replica *a, const struct replica *b)
{
    if (a->fetch_offset != b->fetch_offset)
        return a->fetch_offset > b->fetch_offset;
    if (a->caught_up_at_ms != b->caught_up_at_ms)
        return a->caught_up_at_ms > b->caught_up_at_ms;
    return a->broker_id > b->broker_id;
}

int32_t replication_preferred(const struct replication *replication,
                              const struct partition *partition, struct slice rack,
                              struct slice listener, int64_t offset)
{
    const struct broker_server *server = replication->server;
    const struct metadata_view *view = control_metadata(server->control);
    const struct replica_set *set = partition->replicas;
    const struct replica *best = NULL;
    if (server->config->replica_selector != BROKER_SELECTOR_RACK || set == NULL || rack.size == 0 ||
        is_in_rack(view, set->broker_id, rack, listener))
        return -1;
    for (uint32_t i = 0; i < set->follower_count; i++) {
        const struct replica *replica = &set->followers[i];
        if (replica_set_can_serve(replica, offset) &&
            is_in_rack(view, replica->broker_id, rack, listener) &&
            (best == NULL || is_better(replica, best)))
            best = replica;
    }
    return best == NULL ? -1 : best->broker_id;
}
