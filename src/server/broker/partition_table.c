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
    return hash_table_init(&table->entries, heap);
}

void partition_table_deinit(struct partition_table *table)
{
    uint64_t position = 0;
    struct hash_link *link = NULL;
    if (table->heap == NULL)
        return;
    struct hash_link *next = hash_table_next(&table->entries, &position, NULL);
    while ((link = next) != NULL) {
        next = hash_table_next(&table->entries, &position, link);
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
    list_init(&partition->waiters);
    hash_table_add(&table->entries, &partition->hash,
                   hash_of(table, partition->topic, partition->index));
    return partition;
}

/* Whoever still waits here, because it is in the middle of a read, waits for the end of its time.
 */
static void remove_entry(struct partition *partition)
{
    while (list_pop(&partition->waiters) != NULL)
        continue;
    hash_table_remove(&partition->table->entries, &partition->hash);
    heap_give(partition->table->heap, partition);
}

/* Waiters that stay are put back, so each is asked once. */
void partition_wake(struct partition *partition)
{
    struct list woken;
    list_init(&woken);
    struct list *link;
    while ((link = list_pop(&partition->waiters)) != NULL)
        list_push(&woken, link);
    while ((link = list_pop(&woken)) != NULL) {
        list_push(&partition->waiters, link);
        struct partition_waiter *waiter = CONTAINER_OF(link, struct partition_waiter, link);
        waiter->wake(waiter);
    }
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

/* ---- orders ---- */

/* The store is there: the order can be carried out now. */
static void take_place(struct partition *partition, bool leads)
{
    const struct partition_state *state = partition->change->state;
    struct topic_id id;
    memcpy(id.bytes, state->topic_id.bytes, sizeof id.bytes);
    if (!topic_id_is_none(&id) && !partition_store_adopt_topic_id(partition->store, id)) {
        answer(partition, KAFKA_INCONSISTENT_TOPIC_ID);
        return;
    }
    partition->topic_id = state->topic_id;
    partition->leader_epoch = state->leader_epoch;
    if (leads)
        partition_store_lead(partition->store, state->leader_epoch);
    set_leadership(partition, leads);
    answer(partition, partition_store_offline_reason(partition->store) == NULL
                          ? KAFKA_NONE
                          : KAFKA_KAFKA_STORAGE_ERROR);
}

static void on_created(void *context, enum err err, struct partition_store *store)
{
    struct partition *partition = context;
    if (err != ERR_OK) {
        diag_error(partition->table->diag, "partition %" SLICE_FORMAT "-%d cannot be created: %s",
                   SLICE_ARGS(partition->topic), partition->index, err_text(err));
        answer(partition, KAFKA_KAFKA_STORAGE_ERROR);
        remove_entry(partition);
        return;
    }
    partition->store = store;
    partition_store_set_user(store, partition);
    take_place(partition, partition->change->order == PARTITION_LEAD);
}

/* Among the directories that work, the one with the fewest partitions. */
static struct log_directory *choose_directory(const struct partition_table *table)
{
    struct log_directory *best = NULL;
    for (uint32_t i = 0; i < table->directory_count; i++) {
        struct log_directory *one = table->directories[i];
        if (log_directory_is_offline(one))
            continue;
        if (best == NULL ||
            log_directory_partition_count(one) < log_directory_partition_count(best))
            best = one;
    }
    return best;
}

static void create_store(struct partition *partition)
{
    const struct partition_state *state = partition->change->state;
    struct partition_spec spec = {
        .topic = partition->topic, .partition = partition->index, .config = partition->config};
    memcpy(spec.id.bytes, state->topic_id.bytes, sizeof spec.id.bytes);
    partition->directory = choose_directory(partition->table);
    if (partition->directory == NULL) {
        answer(partition, KAFKA_KAFKA_STORAGE_ERROR);
        remove_entry(partition);
        return;
    }
    log_directory_create(partition->directory, spec, on_created, partition);
}

static void find_on_disk(struct partition *partition)
{
    const struct partition_table *table = partition->table;
    for (uint32_t i = 0; i < table->directory_count && partition->store == NULL; i++) {
        partition->directory = table->directories[i];
        partition->store =
            log_directory_find(partition->directory, partition->topic, partition->index);
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
        partition_change_done(change, KAFKA_KAFKA_STORAGE_ERROR);
        return;
    }
    assert(partition->change == NULL); /* Orders for one partition never overlap. */
    partition->change = change;
    partition->config = config_from(change->config);
    if (partition->store == NULL)
        find_on_disk(partition);
    if (partition->store == NULL) {
        create_store(partition);
        return;
    }
    partition_store_configure(partition->store, partition->config);
    take_place(partition, change->order == PARTITION_LEAD);
}

static void on_deleted(void *context, enum err err)
{
    struct partition *partition = context;
    answer(partition, err == ERR_OK ? KAFKA_NONE : KAFKA_KAFKA_STORAGE_ERROR);
    remove_entry(partition);
}

static void stop_or_delete(struct partition_table *table, struct partition_change *change)
{
    const struct partition_state *state = change->state;
    struct partition *partition = partition_table_find(table, state->topic, state->index);
    const bool deletes = change->order == PARTITION_DELETE;
    if (partition == NULL && deletes)
        partition = add_entry(table, state); /* Only its files may be left. */
    if (partition == NULL) {
        partition_change_done(change, KAFKA_NONE);
        return;
    }
    assert(partition->change == NULL);
    partition->change = change;
    if (partition->store == NULL)
        find_on_disk(partition);
    if (partition->is_leader)
        set_leadership(partition, false);
    if (!deletes) {
        answer(partition, KAFKA_NONE);
        return;
    }
    table->events.on_deleted(table->events.context, partition);
    struct partition_store *store = partition->store;
    partition->store = NULL;
    if (store == NULL) {
        on_deleted(partition, ERR_OK);
        return;
    }
    partition_store_set_user(store, NULL);
    log_directory_delete(partition->directory, store, on_deleted, partition);
}

void partition_table_change(struct partition_table *table, struct partition_change *change)
{
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
        partition->config = config_from(config);
        partition_store_configure(partition->store, partition->config);
    }
}
