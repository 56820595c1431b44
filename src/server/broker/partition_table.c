#include "server/broker/partition_table.h"

#include "base/assert.h"

struct key {
    struct slice topic;
    int32_t index;
};

static uint64_t hash_of(const struct partition_table *table, struct slice topic, int32_t index)
{
    return hash_u64((uint32_t)index, hash_bytes(topic, table->hash_seed));
}

static bool is_entry(const struct hash_link *link, const void *key)
{
    const struct partition *partition = CONTAINER_OF(link, const struct partition, hash);
    const struct key *wanted = key;
    return partition->index == wanted->index && slice_equal(partition->topic, wanted->topic);
}

enum err partition_table_init(struct partition_table *table, struct heap *heap, struct diag *diag,
                              uint64_t hash_seed, struct partition_table_events events)
{
    *table = (struct partition_table){
        .heap = heap, .diag = diag, .hash_seed = hash_seed, .events = events};
    const enum err err = directory_wishes_init(&table->wishes, heap, hash_seed);
    return err == ERR_OK ? hash_table_init(&table->entries, heap) : err;
}

void partition_table_deinit(struct partition_table *table)
{
    uint64_t position = 0;
    struct hash_link *link = NULL;
    if (table->heap == NULL)
        return;
    directory_wishes_deinit(&table->wishes);
    struct hash_link *next = hash_table_next(&table->entries, &position, NULL);
    while ((link = next) != NULL) {
        next = hash_table_next(&table->entries, &position, link);
        heap_give(table->heap, CONTAINER_OF(link, struct partition, hash)->replicas);
        heap_give(table->heap, CONTAINER_OF(link, struct partition, hash));
    }
    hash_table_deinit(&table->entries);
}

void partition_table_add_directory(struct partition_table *table, struct log_directory *directory)
{
    assert(table->directory_count < broker_log_dir_count_max);
    table->directories[table->directory_count++] = directory;
}

struct partition *partition_table_find(const struct partition_table *table, struct slice topic,
                                       int32_t index)
{
    const struct key key = {topic, index};
    struct hash_link *link =
        hash_table_find(&table->entries, hash_of(table, topic, index), is_entry, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct partition, hash);
}

struct partition *partition_table_next(const struct partition_table *table, uint64_t *position,
                                       struct partition *previous)
{
    struct hash_link *link =
        hash_table_next(&table->entries, position, previous == NULL ? NULL : &previous->hash);
    return link == NULL ? NULL : CONTAINER_OF(link, struct partition, hash);
}

/* ---- entries ---- */

static struct partition *add_entry(struct partition_table *table,
                                   const struct partition_state *state)
{
    struct partition *partition =
        heap_take_zeroed(table->heap, sizeof *partition + state->topic.size);
    if (partition == NULL)
        return NULL;
    memcpy(partition + 1, state->topic.data, state->topic.size);
    partition->topic = slice_of(partition + 1, state->topic.size);
    partition->topic_id = state->topic_id;
    partition->index = state->index;
    partition->leader_epoch = -1;
    partition->table = table;
    partition->is_internal = slice_equal_text(partition->topic, "__consumer_offsets") ||
                             slice_equal_text(partition->topic, "__transaction_state");
    partition->told_high_watermark = -1;
    list_init(&partition->waiters);
    list_init(&partition->replica_waiters);
    list_init(&partition->start_waiters);
    list_init(&partition->news_waiters);
    list_init(&partition->commits);
    list_init(&partition->lag_link);
    list_init(&partition->change_link);
    hash_table_add(&table->entries, &partition->hash,
                   hash_of(table, partition->topic, partition->index));
    return partition;
}

/* Whoever still waits here, because it is in the middle of a read, waits for the end of its time.
 */
static void remove_entry(struct partition *partition)
{
    assert(partition->replicas == NULL && list_empty(&partition->commits));
    while (list_pop(&partition->waiters) != NULL)
        continue;
    while (list_pop(&partition->replica_waiters) != NULL)
        continue;
    while (list_pop(&partition->start_waiters) != NULL)
        continue;
    hash_table_remove(&partition->table->entries, &partition->hash);
    /* Sessions that rest are told: they find nothing any more. */
    struct list *link;
    while ((link = list_pop(&partition->news_waiters)) != NULL) {
        struct partition_waiter *waiter = CONTAINER_OF(link, struct partition_waiter, link);
        waiter->wake(waiter);
    }
    heap_give(partition->table->heap, partition);
}

/* Waiters that stay are put back, so each is asked once. */
void partition_wake_list(struct list *waiters)
{
    struct list woken;
    list_init(&woken);
    list_splice(&woken, waiters);
    struct list *link;
    while ((link = list_pop(&woken)) != NULL) {
        list_push(waiters, link);
        struct partition_waiter *waiter = CONTAINER_OF(link, struct partition_waiter, link);
        waiter->wake(waiter);
    }
}

void partition_wake(struct partition *partition)
{
    partition_wake_list(&partition->waiters);
    partition_wake_list(&partition->replica_waiters);
    partition_wake_list(&partition->start_waiters);
    partition_wake_list(&partition->news_waiters);
}

static void set_leadership(struct partition *partition, bool is_leader)
{
    struct partition_table *table = partition->table;
    partition->is_leader = is_leader;
    table->events.on_leadership(table->events.context, partition);
    partition_wake(partition);
}

static void answer(struct partition *partition, enum error_code code)
{
    struct partition_change *change = partition->change;
    assert(change != NULL);
    partition->change = NULL;
    partition_change_done(change, (int16_t)code);
}

static struct partition_config config_from(const struct topic_config *topic)
{
    return (struct partition_config){
        .retention_ms = topic->retention_ms,
        .retention_bytes = topic->retention_bytes,
        .segment_ms = topic->segment_ms,
        .segment_jitter_ms = topic->segment_jitter_ms,
        .timestamp_before_max_ms = topic->message_timestamp_before_max_ms,
        .timestamp_after_max_ms = topic->message_timestamp_after_max_ms,
        .file_delete_delay_ms = topic->file_delete_delay_ms,
        .flush_messages = topic->flush_messages,
        .min_insync_replicas = topic->min_insync_replicas,
        .segment_bytes = (uint32_t)topic->segment_bytes,
        .segment_index_bytes = (uint32_t)topic->segment_index_bytes,
        .index_interval_bytes = (uint32_t)topic->index_interval_bytes,
        .message_bytes_max = (uint32_t)topic->message_bytes_max,
        .deletes = topic->cleanup_delete,
        .compacts = topic->cleanup_compact,
        .is_log_append_time = topic->timestamp_is_append_time,
        .is_sync_left_to_system = topic->is_sync_left_to_system,
    };
}

static void take_config(struct partition *partition, const struct topic_config *config)
{
    const struct partition_table_events *events = &partition->table->events;
    partition->config = config_from(config);
    events->on_config(events->context, partition, config);
}

/* ---- orders ---- */

static enum error_code code_of(enum err err)
{
    if (err == ERR_OK)
        return KAFKA_NONE;
    return err == ERR_NO_MEMORY ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_KAFKA_STORAGE_ERROR;
}

/* The entry goes first: the answer may bring the next order for the same partition. */
static void remove_and_answer(struct partition *partition, enum error_code code)
{
    struct partition_change *change = partition->change;
    assert(change != NULL);
    partition->change = NULL;
    remove_entry(partition);
    partition_change_done(change, (int16_t)code);
}

void partition_table_lose(struct partition *partition)
{
    const struct partition_table_events *events = &partition->table->events;
    events->on_unfollow(events->context, partition);
    if (partition->is_leader)
        set_leadership(partition, false);
    else
        partition_wake(partition);
}

/* The store is there: the order can be carried out now, or when the truncation that is under way
 * has ended: a leader's epoch begins at the log's end. */
static void take_place(struct partition *partition, bool leads)
{
    const struct partition_state *state = partition->change->state;
    partition->awaits_cut = false;
    if (partition_store_offline_reason(partition->store) != NULL) {
        partition->is_hosted = true; /* Requests are told why. */
        partition->leader_epoch = state->leader_epoch;
        partition_table_lose(partition);
        answer(partition, KAFKA_KAFKA_STORAGE_ERROR);
        return;
    }
    partition->awaits_cut = leads && partition->store->cut != NULL;
    if (partition->awaits_cut)
        return;
    struct topic_id id;
    memcpy(id.bytes, state->topic_id.bytes, sizeof id.bytes);
    if (!topic_id_is_none(&id) && !partition_store_adopt_topic_id(partition->store, id)) {
        answer(partition, KAFKA_INCONSISTENT_TOPIC_ID);
        return;
    }
    const struct partition_table_events *events = &partition->table->events;
    if (leads && !events->on_lead(events->context, partition, state)) {
        answer(partition, KAFKA_UNKNOWN_SERVER_ERROR);
        return;
    }
    partition->topic_id = state->topic_id;
    partition->leader_epoch = state->leader_epoch;
    partition->is_hosted = true;
    if (leads)
        partition_store_lead(partition->store, state->leader_epoch);
    else
        partition_store_set_replicated(partition->store, true);
    set_leadership(partition, leads);
    const bool is_online = partition_store_offline_reason(partition->store) == NULL;
    const bool is_followed =
        leads || !is_online || events->on_follow(events->context, partition, state);
    answer(partition, !is_online     ? KAFKA_KAFKA_STORAGE_ERROR
                      : !is_followed ? KAFKA_UNKNOWN_SERVER_ERROR
                                     : KAFKA_NONE);
}

void partition_table_on_cut(struct partition_table *table, struct partition *partition)
{
    (void)table;
    if (partition->awaits_cut)
        take_place(partition, true);
}

static void create_store(struct partition *partition);

/* A directory that fails meanwhile leaves the choice among the others. */
static void on_created(void *context, enum err err, struct partition_store *store)
{
    struct partition *partition = context;
    if (err != ERR_OK && log_directory_is_offline(partition->directory)) {
        create_store(partition);
        return;
    }
    if (err != ERR_OK) {
        diag_error(partition->table->diag, "partition %" SLICE_FORMAT "-%d cannot be created: %s",
                   SLICE_ARGS(partition->topic), partition->index, err_text(err));
        remove_and_answer(partition, code_of(err));
        return;
    }
    partition->store = store;
    partition_store_set_user(store, partition);
    directory_wishes_forget(&partition->table->wishes, partition->topic, partition->index);
    take_place(partition, partition->change->order == PARTITION_LEAD);
}

/* One of a move that has not come to its end. */
static bool has_copy(struct log_directory *directory, const struct partition *partition)
{
    return log_directory_find(directory, partition->topic, partition->index) != NULL;
}

/* The one that somebody has chosen, else that with the fewest partitions, if it works. */
static struct log_directory *choose_directory(const struct partition *partition)
{
    const struct partition_table *table = partition->table;
    struct log_directory *best =
        directory_wishes_find(&table->wishes, partition->topic, partition->index);
    if (best != NULL && !log_directory_is_offline(best) && !has_copy(best, partition))
        return best;
    best = NULL;
    for (uint32_t i = 0; i < table->directory_count; i++) {
        struct log_directory *one = table->directories[i];
        if (log_directory_is_offline(one) || has_copy(one, partition))
            continue;
        if (best == NULL ||
            log_directory_partition_count(one) < log_directory_partition_count(best))
            best = one;
    }
    return best;
}

bool partition_table_has_lost_directory(const struct partition_table *table)
{
    for (uint32_t i = 0; i < table->directory_count; i++)
        if (log_directory_is_offline(table->directories[i]))
            return true;
    return false;
}

/* A replica that is not new may lie on the directory that has failed: in its place an empty one
 * would take part in elections, and its records were lost. */
static void create_store(struct partition *partition)
{
    const struct partition_state *state = partition->change->state;
    struct partition_spec spec = {
        .topic = partition->topic, .partition = partition->index, .config = partition->config};
    memcpy(spec.id.bytes, state->topic_id.bytes, sizeof spec.id.bytes);
    const bool may_exist = !state->is_new && partition_table_has_lost_directory(partition->table);
    partition->directory = may_exist ? NULL : choose_directory(partition);
    if (partition->directory == NULL) {
        remove_and_answer(partition, KAFKA_KAFKA_STORAGE_ERROR);
        return;
    }
    log_directory_create(partition->directory, spec, on_created, partition);
}

/* A copy that was to take its place is not it. */
static void find_on_disk(struct partition *partition)
{
    const struct partition_table *table = partition->table;
    for (uint32_t i = 0; i < table->directory_count && partition->store == NULL; i++) {
        struct partition_store *store =
            log_directory_find(table->directories[i], partition->topic, partition->index);
        if (store == NULL || store->is_future)
            continue;
        partition->directory = table->directories[i];
        partition->store = store;
    }
    if (partition->store != NULL)
        partition_store_set_user(partition->store, partition);
}

static void open_and_serve(struct partition_table *table, struct partition_change *change)
{
    const struct partition_state *state = change->state;
    struct partition *partition = partition_table_find(table, state->topic, state->index);
    if (partition == NULL)
        partition = add_entry(table, state);
    if (partition == NULL) {
        partition_change_done(change, KAFKA_UNKNOWN_SERVER_ERROR);
        return;
    }
    if (partition->change != NULL) {
        partition_change_done(change, KAFKA_INVALID_REQUEST); /* Named twice in one message. */
        return;
    }
    partition->change = change;
    if (change->config != NULL) /* Else it was taken when the order came. */
        take_config(partition, change->config);
    if (partition->store == NULL)
        find_on_disk(partition);
    if (partition->store == NULL) {
        create_store(partition);
        return;
    }
    if (partition_store_offline_reason(partition->store) == NULL)
        partition_store_configure(partition->store, partition->config);
    if (change->order == PARTITION_LEAD)
        table->events.on_unfollow(table->events.context, partition);
    take_place(partition, change->order == PARTITION_LEAD);
}

static void on_deleted(void *context, enum err err)
{
    remove_and_answer(context, code_of(err));
}

/* All of the replica may lie in a directory that is away, or a twin of what is here
 * (replica_moves.h). */
static bool is_out_of_reach(const struct partition *partition)
{
    const struct partition_store *store = partition->store;
    return (store == NULL || store->is_left || partition_store_offline_reason(store) != NULL) &&
           partition_table_has_lost_directory(partition->table);
}

static void stop_or_delete(struct partition_table *table, struct partition_change *change)
{
    const struct partition_state *state = change->state;
    struct partition *partition = partition_table_find(table, state->topic, state->index);
    const bool deletes = change->order == PARTITION_DELETE;
    if (partition == NULL && deletes)
        partition = add_entry(table, state); /* Only its files may be left. */
    if (partition == NULL) {
        partition_change_done(change, deletes ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE);
        return;
    }
    if (partition->change != NULL) {
        partition_change_done(change, KAFKA_INVALID_REQUEST);
        return;
    }
    partition->change = change;
    if (partition->store == NULL)
        find_on_disk(partition);
    partition->is_hosted = false;
    table->events.on_unfollow(table->events.context, partition);
    if (partition->is_leader)
        set_leadership(partition, false);
    else
        partition_wake(partition);
    if (!deletes) {
        answer(partition, KAFKA_NONE);
        return;
    }
    table->events.on_deletion(table->events.context, partition);
    struct partition_store *store = partition->store;
    if (is_out_of_reach(partition)) { /* The topic goes when the directory is back. */
        if (store == NULL)
            remove_and_answer(partition, KAFKA_KAFKA_STORAGE_ERROR);
        else
            answer(partition, KAFKA_KAFKA_STORAGE_ERROR);
        return;
    }
    partition->store = NULL;
    if (store == NULL) {
        on_deleted(partition, ERR_OK);
        return;
    }
    partition_store_set_user(store, NULL);
    log_directory_delete(partition->directory, store, on_deleted, partition);
}

void partition_table_freeze(struct partition *partition)
{
    assert(partition->change == NULL && !partition->is_frozen);
    partition->is_frozen = true;
}

void partition_table_thaw(struct partition *partition)
{
    struct partition_change *change = partition->change;
    assert(partition->is_frozen);
    partition->is_frozen = false;
    partition->change = NULL;
    if (change != NULL)
        partition_table_change(partition->table, change);
}

/* False: it waits for the thaw. */
static bool is_free(const struct partition_table *table, struct partition_change *change)
{
    struct partition *partition =
        partition_table_find(table, change->state->topic, change->state->index);
    if (partition == NULL || !partition->is_frozen || partition->change != NULL)
        return true;
    partition->change = change;
    if (change->config != NULL)
        take_config(partition, change->config);
    change->config = NULL;
    return false;
}

void partition_table_change(struct partition_table *table, struct partition_change *change)
{
    if (!is_free(table, change))
        return;
    switch (change->order) {
    case PARTITION_LEAD:
    case PARTITION_FOLLOW: open_and_serve(table, change); return;
    case PARTITION_STOP:
    case PARTITION_DELETE: stop_or_delete(table, change); return;
    }
    assert(false && "an order");
}

void partition_table_configure(struct partition_table *table, struct slice topic,
                               uint32_t partition_count, const struct topic_config *config)
{
    for (uint32_t index = 0; index < partition_count; index++) {
        struct partition *partition = partition_table_find(table, topic, (int32_t)index);
        if (partition == NULL || partition->store == NULL)
            continue;
        take_config(partition, config);
        partition_store_configure(partition->store, partition->config);
    }
}
