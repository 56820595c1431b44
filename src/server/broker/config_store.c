#include "server/broker/config_store.h"

enum {
    block_bytes_per_data_byte = 12, /* An entry takes 32 bytes and two aligned texts. */
    block_bytes_least = 512
};

struct slice config_store_find(const struct znode_config *config, struct slice name)
{
    for (uint32_t index = 0; index < config->count; index++)
        if (slice_equal(config->entries[index].name, name))
            return config->entries[index].value;
    return SLICE_NULL;
}

enum err config_store_read(struct heap *heap, struct slice data,
                           struct config_store_entries *entries)
{
    const size_t size = data.size * block_bytes_per_data_byte + block_bytes_least;
    struct arena arena;
    entries->config = (struct znode_config){0};
    entries->block = heap_take(heap, size);
    if (entries->block == NULL)
        return ERR_NO_MEMORY;
    arena_init(&arena, entries->block, size);
    const enum err err = znode_json_read_config(data, &arena, &entries->config);
    if (err != ERR_OK)
        entries->config = (struct znode_config){0};
    return err;
}

void config_store_release(struct heap *heap, struct config_store_entries *entries)
{
    heap_give(heap, entries->block);
    *entries = (struct config_store_entries){0};
}

struct slice config_store_dynamic(const struct config_store *store, const char *key)
{
    const struct slice name = slice_from_text(key);
    const struct slice value = config_store_find(&store->broker_own.config, name);
    return value.data != NULL ? value : config_store_find(&store->broker_default.config, name);
}

struct slice config_store_value(const struct config_store *store, const char *key)
{
    const struct slice value = config_store_dynamic(store, key);
    return value.data != NULL ? value : store->static_value(store->static_value_context, key);
}

static struct slice source_value(void *context, const char *key)
{
    return config_store_value(context, key);
}

struct topic_config_source config_store_source(const struct config_store *store)
{
    return (struct topic_config_source){source_value, (void *)store};
}

static void resolve_all(struct config_store *store)
{
    const struct topic_config_source source = config_store_source(store);
    (void)topic_config_resolve(&store->defaults, &source, NULL, 0);
    list_each (link, &store->topics) {
        struct config_store_topic *topic = CONTAINER_OF(link, struct config_store_topic, link);
        (void)topic_config_resolve(&topic->resolved, &source, topic->entries.config.entries,
                                   topic->entries.config.count);
    }
}

enum err config_store_init(struct config_store *store, struct heap *heap,
                           struct config_store_options options)
{
    *store = (struct config_store){
        .heap = heap,
        .hash_seed = options.hash_seed,
        .static_value = options.static_value,
        .static_value_context = options.static_value_context,
    };
    list_init(&store->topics);
    resolve_all(store);
    return hash_table_init(&store->topics_by_name, heap);
}

static void drop_topic(struct config_store *store, struct config_store_topic *topic)
{
    hash_table_remove(&store->topics_by_name, &topic->by_name);
    list_remove(&topic->link);
    config_store_release(store->heap, &topic->entries);
    heap_give(store->heap, topic);
}

void config_store_deinit(struct config_store *store)
{
    if (store->heap == NULL)
        return;
    while (!list_empty(&store->topics))
        drop_topic(store,
                   CONTAINER_OF(list_first(&store->topics), struct config_store_topic, link));
    config_store_release(store->heap, &store->broker_own);
    config_store_release(store->heap, &store->broker_default);
    hash_table_deinit(&store->topics_by_name);
    store->heap = NULL;
}

enum err config_store_set_broker(struct config_store *store, bool is_default, struct slice data)
{
    struct config_store_entries *place = is_default ? &store->broker_default : &store->broker_own;
    struct config_store_entries entries;
    const enum err err = config_store_read(store->heap, data, &entries);
    if (entries.block == NULL)
        return err;
    config_store_release(store->heap, place);
    *place = entries;
    resolve_all(store);
    return err;
}

static bool has_name(const struct hash_link *link, const void *key)
{
    return slice_equal(CONTAINER_OF(link, struct config_store_topic, by_name)->name,
                       *(const struct slice *)key);
}

struct config_store_topic *config_store_find_topic(const struct config_store *store,
                                                   struct slice name)
{
    struct hash_link *link = hash_table_find(&store->topics_by_name,
                                             hash_bytes(name, store->hash_seed), has_name, &name);
    return link == NULL ? NULL : CONTAINER_OF(link, struct config_store_topic, by_name);
}

static struct config_store_topic *add(struct config_store *store, struct slice name)
{
    struct config_store_topic *topic = heap_take_zeroed(store->heap, sizeof *topic + name.size);
    if (topic == NULL)
        return NULL;
    memcpy(topic + 1, name.data, name.size);
    topic->name = slice_of(topic + 1, name.size);
    hash_table_add(&store->topics_by_name, &topic->by_name, hash_bytes(name, store->hash_seed));
    list_push(&store->topics, &topic->link);
    return topic;
}

enum err config_store_set_topic(struct config_store *store, struct slice name, struct slice data)
{
    struct config_store_entries entries;
    const enum err err = config_store_read(store->heap, data, &entries);
    if (entries.block == NULL)
        return err;
    struct config_store_topic *topic = config_store_find_topic(store, name);
    if (topic == NULL)
        topic = add(store, name);
    if (topic == NULL) {
        config_store_release(store->heap, &entries);
        return ERR_NO_MEMORY;
    }
    config_store_release(store->heap, &topic->entries);
    topic->entries = entries;
    const struct topic_config_source source = config_store_source(store);
    (void)topic_config_resolve(&topic->resolved, &source, entries.config.entries,
                               entries.config.count);
    return err;
}

void config_store_shrink_topic(struct config_store *store, struct slice name,
                               uint32_t partition_count)
{
    struct config_store_topic *topic = config_store_find_topic(store, name);
    if (topic == NULL)
        return;
    topic->partition_count = partition_count;
    if (partition_count == 0)
        drop_topic(store, topic);
}

void config_store_note_partition(struct config_store *store, struct slice name, int32_t index)
{
    struct config_store_topic *topic = config_store_find_topic(store, name);
    if (topic != NULL)
        topic->partition_count = (uint32_t)max_u64(topic->partition_count, (uint64_t)index + 1);
}

const struct topic_config *config_store_topic(const struct config_store *store, struct slice name)
{
    const struct config_store_topic *topic = config_store_find_topic(store, name);
    return topic == NULL ? &store->defaults : &topic->resolved;
}
