#include "broker/znode_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/assert.h"

enum { text_size_max = 4096, port_max = 65535, log_dir_event_failure = 1 };

/* ---- writing ---- */

static json_t *text_of(struct slice text)
{
    return json_stringn((const char *)text.data, text.size);
}

/* Takes document. Null also when it could not be made. */
static struct slice print(struct arena *arena, json_t *document)
{
    struct slice text = SLICE_NULL;
    const size_t size = document == NULL ? 0 : json_dumpb(document, NULL, 0, JSON_COMPACT);
    char *place = size == 0 ? NULL : arena_take(arena, size);
    if (place != NULL && json_dumpb(document, place, size, JSON_COMPACT) == size)
        text = slice_of(place, size);
    json_decref(document);
    return text;
}

/* Takes value; a value that could not be made leaves the key out, and the reader of the znode
 * finds that. */
static void put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *number_as_text(int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    return json_string(text);
}

static const char *security_name(int16_t security)
{
    static const char *const names[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};
    assert(security >= 0 && (size_t)security < ARRAY_COUNT(names));
    return names[security];
}

/* host and port of old clients: the first endpoint without encryption. */
static const struct broker_endpoint *plain_endpoint(const struct broker_record *record)
{
    for (uint32_t index = 0; index < record->endpoint_count; index++)
        if (record->endpoints[index].security == CONTROL_PLAINTEXT)
            return &record->endpoints[index];
    return NULL;
}

static json_t *endpoint_text(const struct broker_endpoint *endpoint)
{
    char text[text_size_max];
    const bool is_ipv6 =
        endpoint->host.size > 0 && memchr(endpoint->host.data, ':', endpoint->host.size) != NULL;
    const int size =
        snprintf(text, sizeof text,
                 is_ipv6 ? "%" SLICE_FORMAT "://[%" SLICE_FORMAT "]:%d"
                         : "%" SLICE_FORMAT "://%" SLICE_FORMAT ":%d",
                 SLICE_ARGS(endpoint->listener), SLICE_ARGS(endpoint->host), (int)endpoint->port);
    return size < (int)sizeof text ? json_string(text) : NULL;
}

struct slice znode_json_write_broker(struct arena *arena, const struct znode_broker *broker)
{
    const struct broker_record *record = &broker->record;
    json_t *object = json_object();
    json_t *endpoints = json_array();
    json_t *securities = json_object();
    for (uint32_t index = 0; index < record->endpoint_count; index++) {
        const struct broker_endpoint *endpoint = &record->endpoints[index];
        json_array_append_new(endpoints, endpoint_text(endpoint));
        json_object_setn_new(securities, (const char *)endpoint->listener.data,
                             endpoint->listener.size,
                             json_string(security_name(endpoint->security)));
    }
    const struct broker_endpoint *plain = plain_endpoint(record);
    put(object, "features", json_object());
    put(object, "listener_security_protocol_map", securities);
    put(object, "endpoints", endpoints);
    put(object, "jmx_port", json_integer(-1));
    put(object, "port", json_integer(plain == NULL ? -1 : plain->port));
    put(object, "host", plain == NULL ? json_null() : text_of(plain->host));
    put(object, "version", json_integer(5));
    put(object, "timestamp", number_as_text(broker->timestamp_ms));
    if (record->rack.data != NULL)
        put(object, "rack", text_of(record->rack));
    return print(arena, object);
}

struct slice znode_json_write_controller(struct arena *arena,
                                         const struct znode_controller *controller)
{
    json_t *object = json_object();
    put(object, "version", json_integer(2));
    put(object, "brokerid", json_integer(controller->broker_id));
    put(object, "timestamp", number_as_text(controller->timestamp_ms));
    put(object, "kraftControllerEpoch", json_integer(controller->kraft_epoch));
    return print(arena, object);
}

struct slice znode_json_write_number(struct arena *arena, int64_t number)
{
    char text[24];
    const int size = snprintf(text, sizeof text, "%" PRId64, number);
    return arena_copy(arena, slice_of(text, (size_t)size));
}

struct slice znode_json_write_cluster_id(struct arena *arena, struct slice id)
{
    json_t *object = json_object();
    put(object, "version", json_string("1")); /* A string, here only. */
    put(object, "id", text_of(id));
    return print(arena, object);
}

static json_t *id_array(const int32_t *ids, uint32_t count)
{
    json_t *array = json_array();
    for (uint32_t index = 0; index < count; index++)
        json_array_append_new(array, json_integer(ids[index]));
    return array;
}

static json_t *replica_map(const struct znode_replicas *replicas, uint32_t count)
{
    json_t *object = json_object();
    for (uint32_t index = 0; replicas != NULL && index < count; index++) {
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)index);
        if (replicas[index].count > 0)
            put(object, key, id_array(replicas[index].ids, replicas[index].count));
    }
    return object;
}

struct slice znode_json_write_topic(struct arena *arena, const struct znode_topic *topic)
{
    char id[uuid_text_size + 1];
    json_t *object = json_object();
    put(object, "partitions", replica_map(topic->partitions, topic->partition_count));
    if (!uuid_is_zero(topic->id))
        put(object, "topic_id", json_string(uuid_print(topic->id, id)));
    put(object, "adding_replicas", replica_map(topic->adding, topic->partition_count));
    put(object, "removing_replicas", replica_map(topic->removing, topic->partition_count));
    put(object, "version", json_integer(3));
    return print(arena, object);
}

struct slice znode_json_write_partition(struct arena *arena, const struct partition_state *state)
{
    json_t *object = json_object();
    put(object, "controller_epoch", json_integer(state->controller_epoch));
    put(object, "leader", json_integer(state->leader));
    put(object, "version", json_integer(1));
    put(object, "leader_epoch", json_integer(state->leader_epoch));
    put(object, "isr", id_array(state->isr, state->isr_count));
    if (state->is_recovering)
        put(object, "leader_recovery_state", json_integer(1));
    return print(arena, object);
}

struct slice znode_json_write_config(struct arena *arena, const struct znode_config *config)
{
    json_t *object = json_object();
    json_t *entries = json_object();
    for (uint32_t index = 0; index < config->count; index++) {
        const struct topic_config_entry *entry = &config->entries[index];
        json_object_setn_new(entries, (const char *)entry->name.data, entry->name.size,
                             text_of(entry->value));
    }
    put(object, "version", json_integer(1));
    put(object, "config", entries);
    return print(arena, object);
}

struct slice znode_json_write_config_change(struct arena *arena, struct slice entity_path)
{
    json_t *object = json_object();
    put(object, "version", json_integer(2));
    put(object, "entity_path", text_of(entity_path));
    return print(arena, object);
}

struct slice znode_json_write_feature(struct arena *arena, bool is_enabled)
{
    json_t *object = json_object();
    put(object, "features", json_object());
    put(object, "version", json_integer(2));
    put(object, "status", json_integer(is_enabled ? 1 : 0));
    return print(arena, object);
}

struct slice znode_json_write_producer_ids(struct arena *arena,
                                           const struct znode_producer_ids *block)
{
    json_t *object = json_object();
    put(object, "version", json_integer(1));
    put(object, "broker", json_integer(block->broker_id));
    put(object, "block_start", number_as_text(block->first)); /* Strings, both. */
    put(object, "block_end", number_as_text(block->last));
    return print(arena, object);
}

struct slice znode_json_write_log_dir_event(struct arena *arena, int32_t broker_id)
{
    json_t *object = json_object();
    put(object, "version", json_integer(1));
    put(object, "broker", json_integer(broker_id));
    put(object, "event", json_integer(log_dir_event_failure));
    return print(arena, object);
}

struct slice znode_json_write_reassignments(struct arena *arena,
                                            const struct znode_reassignments *reassignments)
{
    json_t *object = json_object();
    json_t *items = json_array();
    for (uint32_t index = 0; index < reassignments->count; index++) {
        const struct znode_reassignment *reassignment = &reassignments->items[index];
        json_t *item = json_object();
        put(item, "topic", text_of(reassignment->name.topic));
        put(item, "partition", json_integer(reassignment->name.index));
        put(item, "replicas", id_array(reassignment->replicas.ids, reassignment->replicas.count));
        json_array_append_new(items, item);
    }
    put(object, "version", json_integer(1));
    put(object, "partitions", items);
    return print(arena, object);
}

/* ---- reading ---- */

/* The document, or NULL: not a JSON object. The reader gives it back with json_decref. */
static json_t *load(struct slice data)
{
    json_t *document =
        data.size == 0 ? NULL : json_loadb((const char *)data.data, data.size, 0, NULL);
    if (document != NULL && !json_is_object(document)) {
        json_decref(document);
        return NULL;
    }
    return document;
}

static bool get_int32(const json_t *object, const char *key, int32_t *number)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < INT32_MIN ||
        json_integer_value(value) > INT32_MAX)
        return false;
    *number = (int32_t)json_integer_value(value);
    return true;
}

static bool get_text(const json_t *object, const char *key, struct slice *text)
{
    const json_t *value = json_object_get(object, key);
    *text = SLICE_NULL;
    if (!json_is_string(value))
        return false;
    *text = slice_of(json_string_value(value), json_string_length(value));
    return true;
}

/* A number that is written as a string. */
static bool get_number_text(const json_t *object, const char *key, int64_t *number)
{
    struct slice text;
    return get_text(object, key, &text) && znode_json_read_number(text, number) == ERR_OK;
}

enum err znode_json_read_number(struct slice data, int64_t *number)
{
    uint64_t value = 0;
    size_t at = 0;
    const bool is_negative = data.size > 0 && data.data[0] == '-';
    if (is_negative)
        at = 1;
    if (data.size == at || data.size > 18 + at)
        return ERR_MALFORMED;
    for (; at < data.size; at++) {
        if (data.data[at] < '0' || data.data[at] > '9')
            return ERR_MALFORMED;
        value = value * 10 + (uint64_t)(data.data[at] - '0');
    }
    *number = is_negative ? -(int64_t)value : (int64_t)value;
    return ERR_OK;
}

/* "NAME://host:port"; the host may be empty or in brackets. */
static bool parse_endpoint(struct slice text, struct broker_endpoint *endpoint)
{
    const uint8_t *mark = text.size == 0 ? NULL : memchr(text.data, ':', text.size);
    if (mark == NULL ||
        !slice_starts_with(slice_skip(text, (size_t)(mark - text.data)), SLICE_LITERAL("://")))
        return false;
    endpoint->listener = slice_of(text.data, (size_t)(mark - text.data));
    struct slice rest = slice_skip(text, endpoint->listener.size + 3);
    size_t colon = rest.size;
    while (colon > 0 && rest.data[colon - 1] != ':')
        colon--;
    int64_t port;
    if (colon == 0 || znode_json_read_number(slice_skip(rest, colon), &port) != ERR_OK ||
        port < 0 || port > port_max)
        return false;
    endpoint->port = (int32_t)port;
    endpoint->host = slice_of(rest.data, colon - 1);
    if (endpoint->host.size >= 2 && endpoint->host.data[0] == '[')
        endpoint->host = slice_of(rest.data + 1, endpoint->host.size - 2);
    return true;
}

static bool parse_security(struct slice name, int16_t *security)
{
    for (int16_t value = CONTROL_PLAINTEXT; value <= CONTROL_SASL_SSL; value++)
        if (slice_equal_text(name, security_name(value))) {
            *security = value;
            return true;
        }
    return false;
}

/* The map is there from version 4 on; before, the listener's name is the protocol's. */
static bool find_security(const json_t *document, struct broker_endpoint *endpoint)
{
    const json_t *map = json_object_get(document, "listener_security_protocol_map");
    struct slice name = endpoint->listener;
    if (json_is_object(map)) {
        const json_t *value = json_object_getn(map, (const char *)name.data, name.size);
        if (!json_is_string(value))
            return false;
        name = slice_of(json_string_value(value), json_string_length(value));
    }
    return parse_security(name, &endpoint->security);
}

static bool read_endpoint(const json_t *document, const json_t *item, struct arena *arena,
                          struct broker_endpoint *endpoint)
{
    if (!json_is_string(item))
        return false;
    const struct slice text =
        arena_copy(arena, slice_of(json_string_value(item), json_string_length(item)));
    return text.data != NULL && parse_endpoint(text, endpoint) && find_security(document, endpoint);
}

static enum err read_broker(const json_t *document, struct arena *arena,
                            struct znode_broker *broker)
{
    const json_t *items = json_object_get(document, "endpoints");
    if (!json_is_array(items))
        return ERR_MALFORMED;
    const size_t count = json_array_size(items);
    struct broker_endpoint *endpoints = arena_take_array(arena, count + 1, sizeof *endpoints);
    if (endpoints == NULL)
        return ERR_NO_MEMORY;
    for (size_t index = 0; index < count; index++)
        if (!read_endpoint(document, json_array_get(items, index), arena, &endpoints[index]))
            return ERR_MALFORMED;
    struct slice rack;
    if (get_text(document, "rack", &rack)) {
        broker->record.rack = arena_copy(arena, rack);
        if (broker->record.rack.data == NULL)
            return ERR_NO_MEMORY;
    }
    broker->record.endpoints = endpoints;
    broker->record.endpoint_count = (uint32_t)count;
    if (!get_number_text(document, "timestamp", &broker->timestamp_ms))
        broker->timestamp_ms = -1;
    return ERR_OK;
}

enum err znode_json_read_broker(struct slice data, struct arena *arena, struct znode_broker *broker)
{
    memset(broker, 0, sizeof *broker);
    json_t *document = load(data);
    const enum err err = document == NULL ? ERR_MALFORMED : read_broker(document, arena, broker);
    json_decref(document);
    return err;
}

enum err znode_json_read_controller(struct slice data, struct znode_controller *controller)
{
    json_t *document = load(data);
    *controller = (struct znode_controller){.kraft_epoch = -1, .timestamp_ms = -1};
    const bool is_read = get_int32(document, "brokerid", &controller->broker_id);
    if (!get_number_text(document, "timestamp", &controller->timestamp_ms))
        controller->timestamp_ms = -1;
    if (!get_int32(document, "kraftControllerEpoch", &controller->kraft_epoch))
        controller->kraft_epoch = -1; /* Version 1 has none. */
    json_decref(document);
    return is_read ? ERR_OK : ERR_MALFORMED;
}

static enum err copy_text(const json_t *document, const char *key, struct arena *arena,
                          struct slice *text)
{
    struct slice found;
    if (!get_text(document, key, &found))
        return ERR_MALFORMED;
    *text = arena_copy(arena, found);
    return text->data == NULL ? ERR_NO_MEMORY : ERR_OK;
}

enum err znode_json_read_cluster_id(struct slice data, struct arena *arena, struct slice *id)
{
    json_t *document = load(data);
    const enum err err = copy_text(document, "id", arena, id);
    json_decref(document);
    return err;
}

static enum err read_ids(const json_t *array, struct arena *arena, struct znode_replicas *replicas)
{
    if (!json_is_array(array) || json_array_size(array) > control_replica_count_max)
        return ERR_MALFORMED;
    const size_t count = json_array_size(array);
    replicas->ids = arena_take_array(arena, count + 1, sizeof *replicas->ids);
    if (replicas->ids == NULL)
        return ERR_NO_MEMORY;
    for (size_t index = 0; index < count; index++) {
        const json_t *item = json_array_get(array, index);
        if (!json_is_integer(item) || json_integer_value(item) < INT32_MIN ||
            json_integer_value(item) > INT32_MAX)
            return ERR_MALFORMED;
        replicas->ids[index] = (int32_t)json_integer_value(item);
    }
    replicas->count = (uint32_t)count;
    return ERR_OK;
}

static bool read_index(const char *key, int64_t *index)
{
    return znode_json_read_number(slice_from_text(key), index) == ERR_OK && *index >= 0 &&
           *index < control_partition_count_max;
}

static enum err read_map(json_t *map, struct arena *arena, struct znode_replicas *partitions,
                         uint32_t partition_count)
{
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        int64_t index;
        if (!read_index(key, &index) || index >= partition_count)
            return ERR_MALFORMED;
        const enum err err = read_ids(value, arena, &partitions[index]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static bool count_partitions(json_t *map, uint32_t *count)
{
    const char *key;
    json_t *value;
    *count = 0;
    if (!json_is_object(map))
        return false;
    json_object_foreach(map, key, value)
    {
        int64_t index;
        if (!read_index(key, &index))
            return false;
        *count = (uint32_t)max_i64(*count, index + 1);
    }
    return true;
}

static enum err read_topic(json_t *document, struct arena *arena, struct znode_topic *topic)
{
    json_t *partitions = json_object_get(document, "partitions");
    if (!count_partitions(partitions, &topic->partition_count))
        return ERR_MALFORMED;
    const size_t count = topic->partition_count;
    topic->partitions = arena_take_array(arena, 3 * count + 1, sizeof *topic->partitions);
    if (topic->partitions == NULL)
        return ERR_NO_MEMORY;
    topic->adding = topic->partitions + count;
    topic->removing = topic->adding + count;
    struct slice id;
    if (get_text(document, "topic_id", &id) && !uuid_parse(id, &topic->id))
        return ERR_MALFORMED;
    enum err err = read_map(partitions, arena, topic->partitions, topic->partition_count);
    if (err == ERR_OK)
        err = read_map(json_object_get(document, "adding_replicas"), arena, topic->adding,
                       topic->partition_count);
    if (err == ERR_OK)
        err = read_map(json_object_get(document, "removing_replicas"), arena, topic->removing,
                       topic->partition_count);
    return err;
}

enum err znode_json_read_topic(struct slice data, struct arena *arena, struct znode_topic *topic)
{
    memset(topic, 0, sizeof *topic);
    json_t *document = load(data);
    const enum err err = document == NULL ? ERR_MALFORMED : read_topic(document, arena, topic);
    json_decref(document);
    return err;
}

static enum err read_partition(const json_t *document, struct arena *arena,
                               struct partition_state *state)
{
    struct znode_replicas isr = {0};
    int32_t recovery = 0;
    if (!get_int32(document, "leader", &state->leader) ||
        !get_int32(document, "leader_epoch", &state->leader_epoch) ||
        !get_int32(document, "controller_epoch", &state->controller_epoch))
        return ERR_MALFORMED;
    const enum err err = read_ids(json_object_get(document, "isr"), arena, &isr);
    state->isr = isr.ids;
    state->isr_count = isr.count;
    state->is_recovering = get_int32(document, "leader_recovery_state", &recovery) && recovery == 1;
    return err;
}

enum err znode_json_read_partition(struct slice data, struct arena *arena,
                                   struct partition_state *state)
{
    json_t *document = load(data);
    const enum err err = document == NULL ? ERR_MALFORMED : read_partition(document, arena, state);
    json_decref(document);
    return err;
}

static enum err read_config(json_t *entries, struct arena *arena, struct znode_config *config)
{
    const char *key;
    json_t *value;
    config->entries =
        arena_take_array(arena, json_object_size(entries) + 1, sizeof *config->entries);
    if (config->entries == NULL)
        return ERR_NO_MEMORY;
    json_object_foreach(entries, key, value)
    {
        struct topic_config_entry *entry = &config->entries[config->count];
        if (!json_is_string(value))
            return ERR_MALFORMED;
        entry->name = arena_copy(arena, slice_from_text(key));
        entry->value =
            arena_copy(arena, slice_of(json_string_value(value), json_string_length(value)));
        if (entry->name.data == NULL || entry->value.data == NULL)
            return ERR_NO_MEMORY;
        config->count++;
    }
    return ERR_OK;
}

enum err znode_json_read_config(struct slice data, struct arena *arena, struct znode_config *config)
{
    memset(config, 0, sizeof *config);
    if (data.size == 0)
        return ERR_OK;
    json_t *document = load(data);
    json_t *entries = json_object_get(document, "config");
    const enum err err =
        json_is_object(entries) ? read_config(entries, arena, config) : ERR_MALFORMED;
    json_decref(document);
    return err;
}

/* Version 1 has type and name apart. */
static enum err read_old_change(const json_t *document, struct arena *arena,
                                struct slice *entity_path)
{
    struct slice type, name;
    if (!get_text(document, "entity_type", &type) || !get_text(document, "entity_name", &name))
        return ERR_MALFORMED;
    uint8_t *text = arena_take(arena, type.size + 1 + name.size);
    if (text == NULL)
        return ERR_NO_MEMORY;
    memcpy(text, type.data, type.size);
    text[type.size] = '/';
    memcpy(text + type.size + 1, name.data, name.size);
    *entity_path = slice_of(text, type.size + 1 + name.size);
    return ERR_OK;
}

enum err znode_json_read_config_change(struct slice data, struct arena *arena,
                                       struct slice *entity_path)
{
    json_t *document = load(data);
    int32_t version = 0;
    enum err err = ERR_MALFORMED;
    if (get_int32(document, "version", &version))
        err = version == 1 ? read_old_change(document, arena, entity_path)
                           : copy_text(document, "entity_path", arena, entity_path);
    json_decref(document);
    return err;
}

enum err znode_json_read_feature(struct slice data, struct znode_feature *feature)
{
    json_t *document = load(data);
    int32_t status = 0;
    const bool is_read = get_int32(document, "status", &status);
    feature->is_enabled = status == 1;
    feature->feature_count = (uint32_t)json_object_size(json_object_get(document, "features"));
    json_decref(document);
    return is_read ? ERR_OK : ERR_MALFORMED;
}

enum err znode_json_read_producer_ids(struct slice data, struct znode_producer_ids *block)
{
    json_t *document = load(data);
    const bool is_read = get_int32(document, "broker", &block->broker_id) &&
                         get_number_text(document, "block_start", &block->first) &&
                         get_number_text(document, "block_end", &block->last) &&
                         block->first >= 0 && block->last >= block->first;
    json_decref(document);
    return is_read ? ERR_OK : ERR_MALFORMED;
}

static enum err read_names(const json_t *items, struct arena *arena,
                           struct znode_partition_names *names)
{
    const size_t count = json_array_size(items);
    names->items = arena_take_array(arena, count + 1, sizeof *names->items);
    if (names->items == NULL)
        return ERR_NO_MEMORY;
    for (size_t index = 0; index < count; index++) {
        struct znode_partition_name *name = &names->items[index];
        const json_t *item = json_array_get(items, index);
        const enum err err = copy_text(item, "topic", arena, &name->topic);
        if (err != ERR_OK)
            return err;
        if (!get_int32(item, "partition", &name->index))
            return ERR_MALFORMED;
    }
    names->count = (uint32_t)count;
    return ERR_OK;
}

enum err znode_json_read_partition_names(struct slice data, struct arena *arena,
                                         struct znode_partition_names *names)
{
    memset(names, 0, sizeof *names);
    json_t *document = load(data);
    const json_t *items = json_object_get(document, "partitions");
    const enum err err = json_is_array(items) ? read_names(items, arena, names) : ERR_MALFORMED;
    json_decref(document);
    return err;
}

enum err znode_json_read_log_dir_event(struct slice data, int32_t *broker_id)
{
    json_t *document = load(data);
    int32_t event = 0;
    const bool is_read = get_int32(document, "broker", broker_id) &&
                         get_int32(document, "event", &event) && event == log_dir_event_failure;
    json_decref(document);
    return is_read ? ERR_OK : ERR_MALFORMED;
}

static enum err read_reassignments(const json_t *items, struct arena *arena,
                                   struct znode_reassignments *reassignments)
{
    const size_t count = json_array_size(items);
    reassignments->items = arena_take_array(arena, count + 1, sizeof *reassignments->items);
    if (reassignments->items == NULL)
        return ERR_NO_MEMORY;
    for (size_t index = 0; index < count; index++) {
        struct znode_reassignment *reassignment = &reassignments->items[index];
        const json_t *item = json_array_get(items, index);
        enum err err = copy_text(item, "topic", arena, &reassignment->name.topic);
        if (err == ERR_OK)
            err = read_ids(json_object_get(item, "replicas"), arena, &reassignment->replicas);
        if (err != ERR_OK)
            return err;
        if (!get_int32(item, "partition", &reassignment->name.index))
            return ERR_MALFORMED;
    }
    reassignments->count = (uint32_t)count;
    return ERR_OK;
}

enum err znode_json_read_reassignments(struct slice data, struct arena *arena,
                                       struct znode_reassignments *reassignments)
{
    memset(reassignments, 0, sizeof *reassignments);
    json_t *document = load(data);
    const json_t *items = json_object_get(document, "partitions");
    const enum err err =
        json_is_array(items) ? read_reassignments(items, arena, reassignments) : ERR_MALFORMED;
    json_decref(document);
    return err;
}
