#include "server/broker/config_description.h"

#include "broker/broker_setting.h"

enum { synonym_count_max = 16, key_count_max = 4 };

/* The names that set one thing, the strongest first; the first is the one asked about. */
struct keys {
    const char *names[key_count_max];
    uint32_t count;
};

/* A growing list of synonyms, the strongest first. */
struct synonyms {
    struct config_synonym items[synonym_count_max];
    uint32_t count;
};

static bool is_wanted(const struct config_resource_describe *resource, struct slice name)
{
    if (resource->all_names)
        return true;
    for (uint32_t index = 0; index < resource->name_count; index++)
        if (slice_equal(resource->names[index], name))
            return true;
    return false;
}

static void add(struct synonyms *synonyms, const char *name, struct slice value, int8_t source)
{
    if (value.data == NULL || synonyms->count == synonym_count_max)
        return;
    synonyms->items[synonyms->count++] =
        (struct config_synonym){slice_from_text(name), value, source};
}

static struct slice default_of(const char *key)
{
    const struct broker_setting *setting = broker_setting_find(slice_from_text(key));
    return setting == NULL || setting->value_default == NULL || !broker_setting_is_listed(setting)
               ? SLICE_NULL
               : slice_from_text(setting->value_default);
}

/* node.id is broker.id by its newer name. */
static struct slice static_value(const struct config_store *store, const char *key)
{
    const struct slice value = store->static_value(store->static_value_context, key);
    if (value.data == NULL && slice_equal_text(slice_from_text(key), "node.id"))
        return store->static_value(store->static_value_context, "broker.id");
    return value;
}

/* Source by source, the strongest first, and in each key by key. */
static void add_all(const struct config_store *store, const struct keys *keys,
                    struct synonyms *synonyms)
{
    const struct znode_config *dynamic[] = {&store->broker_own.config,
                                            &store->broker_default.config};
    for (int8_t source = CONFIG_SOURCE_DYNAMIC_BROKER; source <= CONFIG_SOURCE_DEFAULT; source++)
        for (uint32_t index = 0; index < keys->count; index++) {
            const char *key = keys->names[index];
            struct slice value;
            if (source <= CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER)
                value = config_store_find(dynamic[source - CONFIG_SOURCE_DYNAMIC_BROKER],
                                          slice_from_text(key));
            else if (source == CONFIG_SOURCE_STATIC_BROKER)
                value = static_value(store, key);
            else
                value = default_of(key);
            add(synonyms, key, value, source);
        }
}

/* Kafka leaves out what stands before the first synonym of the name asked about. */
static void drop_others_in_front(struct synonyms *synonyms, const char *name)
{
    uint32_t first = 0;
    while (first < synonyms->count && !slice_equal_text(synonyms->items[first].name, name))
        first++;
    synonyms->count -= first;
    memmove(synonyms->items, synonyms->items + first, synonyms->count * sizeof *synonyms->items);
}

/* Dynamic settings may change before the answer leaves, so all is copied. */
static struct slice copy(struct arena *arena, struct slice text)
{
    return text.data == NULL ? text : arena_copy(arena, text);
}

static bool attach(struct config_description *description, const struct synonyms *synonyms,
                   struct arena *arena)
{
    description->synonym_count = synonyms->count;
    description->synonyms =
        arena_take_array(arena, synonyms->count + 1, sizeof *description->synonyms);
    if (description->synonyms == NULL)
        return false;
    for (uint32_t index = 0; index < synonyms->count; index++) {
        struct config_synonym *synonym = &description->synonyms[index];
        *synonym = synonyms->items[index];
        synonym->value = copy(arena, synonym->value);
        if (synonym->value.data == NULL)
            return false;
        if (description->is_sensitive) /* Secrets are never told. */
            synonym->value = SLICE_NULL;
    }
    return true;
}

/* ---- topics ---- */

static bool describe_row(const struct config_store *store, const struct znode_config *topic,
                         const struct topic_config_row *row, struct arena *arena,
                         struct config_description *description)
{
    const struct topic_config_source source = config_store_source(store);
    const struct slice own = config_store_find(topic, slice_from_text(row->name));
    struct synonyms chain = {.count = 0};
    struct keys keys = {.count = 0};
    while (keys.count < ARRAY_COUNT(row->broker_keys) && row->broker_keys[keys.count].key != NULL) {
        keys.names[keys.count] = row->broker_keys[keys.count].key;
        keys.count++;
    }
    add_all(store, &keys, &chain);
    if (keys.count > 0)
        drop_others_in_front(&chain, keys.names[0]);

    char text[32];
    const struct slice inherited = topic_config_broker_default(row, &source, text);
    *description = (struct config_description){
        .name = slice_from_text(row->name),
        .value = copy(arena, own.data != NULL ? own : inherited),
        .source = CONFIG_SOURCE_DEFAULT,
        .type = (int8_t)row->type,
        .doc = row->doc,
    };
    struct synonyms all = {.count = 0};
    add(&all, row->name, own, CONFIG_SOURCE_TOPIC);
    for (uint32_t index = 0; index < chain.count && all.count < synonym_count_max; index++)
        all.items[all.count++] = chain.items[index];
    if (all.count > 0)
        description->source = all.items[0].source;
    return description->value.data != NULL && attach(description, &all, arena);
}

enum err config_description_topic(const struct config_store *store,
                                  const struct znode_config *topic, struct arena *arena,
                                  struct config_resource_describe *resource)
{
    resource->config_count = 0;
    resource->configs = arena_take_array(arena, topic_config_row_count, sizeof *resource->configs);
    if (resource->configs == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t index = 0; index < topic_config_row_count; index++) {
        const struct topic_config_row *row = topic_config_row(index);
        if (!is_wanted(resource, slice_from_text(row->name)))
            continue;
        if (!describe_row(store, topic, row, arena, &resource->configs[resource->config_count++]))
            return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

/* ---- brokers ---- */

/* Settings that have the same meaning in other units. */
static struct keys keys_of(const char *name)
{
    static const struct keys groups[] = {
        {{"log.roll.ms", "log.roll.hours"}, 2},
        {{"log.roll.jitter.ms", "log.roll.jitter.hours"}, 2},
        {{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}, 2},
        {{"log.retention.ms", "log.retention.minutes", "log.retention.hours"}, 3},
    };
    const struct slice wanted = slice_from_text(name);
    for (size_t group = 0; group < ARRAY_COUNT(groups); group++)
        for (uint32_t index = 0; index < groups[group].count; index++)
            if (slice_equal_text(wanted, groups[group].names[index]))
                return groups[group];
    return (struct keys){{name}, 1};
}

/* A throttle is changed by the tools that move replicas, so Apache's broker calls it so, and what
 * nobody knows. */
static bool is_read_only(const struct broker_setting *setting)
{
    return setting == NULL || !setting->is_dynamic || !broker_setting_is_listed(setting);
}

static bool describe_setting(const struct config_store *store, const struct broker_setting *setting,
                             struct arena *arena, struct config_description *description)
{
    struct synonyms chain = {.count = 0};
    const struct keys keys = keys_of(setting->name);
    add_all(store, &keys, &chain);
    drop_others_in_front(&chain, setting->name);
    const struct slice value = chain.count > 0 ? chain.items[0].value : default_of(setting->name);
    *description = (struct config_description){
        .name = slice_from_text(setting->name),
        .value = setting->is_sensitive ? SLICE_NULL : copy(arena, value),
        .source = chain.count > 0 ? chain.items[0].source : CONFIG_SOURCE_DEFAULT,
        .type = (int8_t)setting->type,
        .is_read_only = is_read_only(setting),
        .is_sensitive = setting->is_sensitive,
    };
    return attach(description, &chain, arena);
}

/* Only what is set for all brokers, without anything it would fall back to. */
static enum err describe_default(const struct config_store *store, struct arena *arena,
                                 struct config_resource_describe *resource)
{
    const struct znode_config *config = &store->broker_default.config;
    resource->configs = arena_take_array(arena, config->count + 1, sizeof *resource->configs);
    if (resource->configs == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t index = 0; index < config->count; index++) {
        const struct topic_config_entry *entry = &config->entries[index];
        const struct broker_setting *setting = broker_setting_find(entry->name);
        if (!is_wanted(resource, entry->name))
            continue;
        struct synonyms one = {
            .items = {{copy(arena, entry->name), entry->value,
                       CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER}},
            .count = 1,
        };
        struct config_description *description = &resource->configs[resource->config_count++];
        *description = (struct config_description){
            .name = copy(arena, entry->name),
            .value = copy(arena, entry->value),
            .source = CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER,
            .type = setting == NULL ? 0 : (int8_t)setting->type,
            .is_read_only = is_read_only(setting),
            .is_sensitive = setting == NULL || setting->is_sensitive,
        };
        if (description->is_sensitive)
            description->value = SLICE_NULL;
        if (!attach(description, &one, arena))
            return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

/* What nobody knows may be a secret: it is named, and not told. */
static bool describe_unknown(const struct config_store *store, struct slice name,
                             struct arena *arena, struct config_description *description)
{
    const struct znode_config *configs[] = {&store->broker_own.config,
                                            &store->broker_default.config};
    struct synonyms chain = {.count = 0};
    const struct slice shown = copy(arena, name);
    for (int8_t i = 0; i < (int8_t)ARRAY_COUNT(configs); i++)
        if (config_store_find(configs[i], name).data != NULL)
            chain.items[chain.count++] = (struct config_synonym){
                shown, SLICE_LITERAL(""), (int8_t)(CONFIG_SOURCE_DYNAMIC_BROKER + i)};
    *description = (struct config_description){.name = shown,
                                               .value = SLICE_NULL,
                                               .source = chain.items[0].source,
                                               .is_read_only = true,
                                               .is_sensitive = true};
    return shown.data != NULL && attach(description, &chain, arena);
}

/* What has no place in the list is told while it is set. */
static enum err describe_unlisted(const struct config_store *store, struct arena *arena,
                                  struct config_resource_describe *resource)
{
    const struct znode_config *own = &store->broker_own.config;
    const struct znode_config *all = &store->broker_default.config;
    for (uint32_t index = 0; index < own->count + all->count; index++) {
        const bool is_own = index < own->count;
        const struct slice name =
            is_own ? own->entries[index].name : all->entries[index - own->count].name;
        const struct broker_setting *setting = broker_setting_find(name);
        if ((setting != NULL && broker_setting_is_listed(setting)) || !is_wanted(resource, name) ||
            (!is_own && config_store_find(own, name).data != NULL))
            continue;
        struct config_description *description = &resource->configs[resource->config_count++];
        const bool is_told = setting == NULL ? describe_unknown(store, name, arena, description)
                                             : describe_setting(store, setting, arena, description);
        if (!is_told)
            return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

enum err config_description_broker(const struct config_store *store, bool is_default,
                                   struct arena *arena, struct config_resource_describe *resource)
{
    resource->config_count = 0;
    if (is_default)
        return describe_default(store, arena, resource);
    resource->configs = arena_take_array(arena,
                                         broker_setting_count + store->broker_own.config.count +
                                             store->broker_default.config.count,
                                         sizeof *resource->configs);
    if (resource->configs == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t index = 0; index < broker_setting_count; index++) {
        const struct broker_setting *setting = broker_setting_at(index);
        if (!is_wanted(resource, slice_from_text(setting->name)))
            continue;
        if (!describe_setting(store, setting, arena, &resource->configs[resource->config_count++]))
            return ERR_NO_MEMORY;
    }
    return describe_unlisted(store, arena, resource);
}
