#include "server/broker/config_admin.h"

#include <stdalign.h>
#include <stdio.h>

#include "broker/broker_setting.h"
#include "broker/topic_name.h"
#include "server/broker/broker_alteration.h"
#include "server/broker/config_description.h"

enum {
    path_size = 320,
    entity_size = 300,
    arena_least = 8192,
    alter_count_max = 1000,
};

static const char controller_path[] = "/controller";

struct job;

/* One entity on its way: read, altered, written, announced; or read and described. */
struct entity {
    struct zk_request request;
    struct job *job;
    uint32_t index; /* Of the resource in the request. */
    int32_t controller_version;
    int32_t znode_version; /* -1: it does not exist. */
    struct keeper_multi_op ops[2];
    struct config_store_entries now;
    void *memory; /* The new entries and their JSON. */
    char entity[entity_size];
    char path[path_size];
    alignas(16) char announcement[path_size + 64];
};

/* One request: exactly one of the two is set. */
struct job {
    struct config_admin *admin;
    struct alter_configs *alteration;
    struct describe_configs *description;
    uint32_t open_count;
    struct zk_request gate; /* So that done never runs inside the call. */
};

void config_admin_init(struct config_admin *admin, struct config_admin_options options)
{
    *admin = (struct config_admin){.options = options};
}

/* ---- jobs ---- */

static void close_one(struct job *job)
{
    assert(job->open_count > 0);
    if (--job->open_count > 0)
        return;
    struct alter_configs *alteration = job->alteration;
    struct describe_configs *description = job->description;
    heap_give(job->admin->options.heap, job);
    if (alteration != NULL)
        alteration->done(alteration);
    else
        description->done(description);
}

static void on_gate(struct zk_request *request, const struct keeper_result *result)
{
    (void)result;
    close_one(CONTAINER_OF(request, struct job, gate));
}

/* One small question to the keeper keeps the job open until the io has run. */
static void hold(struct job *job)
{
    job->open_count++;
    job->gate.kind = ZK_REQUEST_EXISTS;
    job->gate.path = "/config";
    job->gate.done = on_gate;
    zk_session_send(job->admin->options.session, &job->gate);
}

static struct entity *open_entity(struct job *job, uint32_t index)
{
    struct entity *entity = heap_take_zeroed(job->admin->options.heap, sizeof *entity);
    if (entity == NULL)
        return NULL;
    entity->job = job;
    entity->index = index;
    entity->znode_version = -1;
    entity->request.path = entity->path;
    job->open_count++;
    return entity;
}

static void close_entity(struct entity *entity)
{
    struct job *job = entity->job;
    config_store_release(job->admin->options.heap, &entity->now);
    heap_give(job->admin->options.heap, entity->memory);
    heap_give(job->admin->options.heap, entity);
    close_one(job);
}

static struct entity *entity_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct entity, request);
}

static void send(struct entity *entity, enum zk_request_kind kind,
                 void (*done)(struct zk_request *request, const struct keeper_result *result))
{
    entity->request.kind = kind;
    entity->request.done = done;
    zk_session_send(entity->job->admin->options.session, &entity->request);
}

/* ---- which entity ---- */

struct target {
    int8_t type;
    struct slice name;
    int16_t *error_code;
    char *reason;
};

static bool refuse(const struct target *target, int16_t error_code)
{
    *target->error_code = error_code;
    return false;
}

/* Prints "topics/name", "brokers/0" or "brokers/<default>". False: it cannot be, and the target
 * says why. */
static bool find_entity(const struct config_admin *admin, const struct target *target,
                        char entity[entity_size])
{
    char own[16];
    const int name_size = (int)min_size(target->name.size, 100);
    const char *name = (const char *)target->name.data;
    if (target->type == CONFIG_RESOURCE_TOPIC) {
        if (!topic_name_check(target->name, target->reason, control_reason_size))
            return refuse(target, KAFKA_INVALID_TOPIC_EXCEPTION);
        if (metadata_view_topic(admin->options.view, target->name) == NULL) {
            snprintf(target->reason, control_reason_size, "The topic '%.*s' does not exist.",
                     name_size, name);
            return refuse(target, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        }
        snprintf(entity, entity_size, "topics/%" SLICE_FORMAT, SLICE_ARGS(target->name));
        return true;
    }
    if (target->type != CONFIG_RESOURCE_BROKER) {
        snprintf(target->reason, control_reason_size, "Settings of resource type %d are not kept",
                 (int)target->type);
        return refuse(target, KAFKA_INVALID_REQUEST);
    }
    snprintf(own, sizeof own, "%d", (int)admin->options.broker_id);
    if (target->name.size > 0 && !slice_equal_text(target->name, own)) {
        snprintf(target->reason, control_reason_size,
                 "Unexpected broker id, expected %s or empty string, but received %.*s", own,
                 name_size, name);
        return refuse(target, KAFKA_INVALID_REQUEST);
    }
    snprintf(entity, entity_size, "brokers/%s", target->name.size > 0 ? own : "<default>");
    return true;
}

/* ---- the new entries ---- */

struct editing {
    const struct config_admin *admin;
    struct config_resource_alter *resource;
    struct znode_config config; /* The result, with room for all alters more. */
    struct arena arena;
};

static bool is_topic(const struct config_resource_alter *resource)
{
    return resource->type == CONFIG_RESOURCE_TOPIC;
}

static int16_t deny(struct config_resource_alter *resource, int16_t error_code, const char *text,
                    struct slice name)
{
    const struct slice shown = {name.data, min_size(name.size, 80)};
    snprintf(resource->reason, sizeof resource->reason, "%s %" SLICE_FORMAT, text,
             SLICE_ARGS(shown));
    return error_code;
}

static void remove_entry(struct znode_config *config, struct slice name)
{
    for (uint32_t index = 0; index < config->count; index++)
        if (slice_equal(config->entries[index].name, name)) {
            config->count--;
            memmove(&config->entries[index], &config->entries[index + 1],
                    (config->count - index) * sizeof *config->entries);
            return;
        }
}

static void set_entry(struct znode_config *config, struct slice name, struct slice value)
{
    for (uint32_t index = 0; index < config->count; index++)
        if (slice_equal(config->entries[index].name, name)) {
            config->entries[index].value = value;
            return;
        }
    config->entries[config->count++] = (struct topic_config_entry){name, value};
}

static bool next_item(struct slice *list, struct slice *item)
{
    if (list->data == NULL || list->size == 0)
        return false;
    const uint8_t *comma = memchr(list->data, ',', list->size);
    const size_t size = comma == NULL ? list->size : (size_t)(comma - list->data);
    *item = slice_of(list->data, size);
    *list = comma == NULL ? SLICE_NULL : slice_skip(*list, size + 1);
    while (item->size > 0 && item->data[0] == ' ')
        *item = slice_skip(*item, 1);
    while (item->size > 0 && item->data[item->size - 1] == ' ')
        item->size--;
    return true;
}

static bool has_item(struct slice list, struct slice wanted)
{
    struct slice item;
    while (next_item(&list, &item))
        if (slice_equal(item, wanted))
            return true;
    return false;
}

/* Items of from that are (or are not) in other, behind what text holds. It has room for all. */
static void put_items(char *text, size_t *size, struct slice from, struct slice other,
                      bool in_other)
{
    struct slice item;
    while (next_item(&from, &item)) {
        if (has_item(other, item) != in_other)
            continue;
        if (*size > 0)
            text[(*size)++] = ',';
        memcpy(text + *size, item.data, item.size);
        *size += item.size;
    }
}

/* The list as it stands now: set here, or inherited. */
static struct slice list_now(struct editing *editing, struct slice name)
{
    struct slice value = config_store_find(&editing->config, name);
    if (value.data != NULL)
        return value;
    if (is_topic(editing->resource)) {
        char text[32];
        const struct topic_config_source source =
            config_store_source(editing->admin->options.store);
        return topic_config_broker_default(topic_config_find(name), &source, text);
    }
    const struct broker_setting *setting = broker_setting_find(name);
    return setting->value_default == NULL ? SLICE_NULL : slice_from_text(setting->value_default);
}

static bool is_list(const struct editing *editing, struct slice name)
{
    if (is_topic(editing->resource)) {
        const struct topic_config_row *row = topic_config_find(name);
        return row != NULL && row->type == TOPIC_CONFIG_LIST;
    }
    const struct broker_setting *setting = broker_setting_find(name);
    return setting != NULL && setting->type == BROKER_SETTING_LIST;
}

static int16_t change_list(struct editing *editing, const struct config_alter *alter)
{
    const bool appends = alter->kind == CONFIG_APPEND;
    if (!is_list(editing, alter->name))
        return deny(editing->resource, KAFKA_INVALID_CONFIG,
                    appends ? "Config value append is not allowed for config key:"
                            : "Config value subtract is not allowed for config key:",
                    alter->name);
    size_t size = 0;
    const struct slice now = list_now(editing, alter->name);
    char *text = arena_take(&editing->arena, now.size + alter->value.size + 2);
    if (text == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    if (appends) {
        put_items(text, &size, now, SLICE_NULL, false);
        put_items(text, &size, alter->value, now, false);
    } else {
        put_items(text, &size, now, alter->value, false);
    }
    set_entry(&editing->config, alter->name, slice_of(text, size));
    return KAFKA_NONE;
}

static int16_t apply(struct editing *editing, const struct config_alter *alter)
{
    switch (alter->kind) {
    case CONFIG_SET:
        if (alter->value.data == NULL)
            break;
        set_entry(&editing->config, alter->name, alter->value);
        return KAFKA_NONE;
    case CONFIG_DELETE: remove_entry(&editing->config, alter->name); return KAFKA_NONE;
    case CONFIG_APPEND:
    case CONFIG_SUBTRACT:
        if (alter->value.data == NULL)
            break;
        return change_list(editing, alter);
    default:
        return deny(editing->resource, KAFKA_INVALID_REQUEST, "Unknown operation for", alter->name);
    }
    return deny(editing->resource, KAFKA_INVALID_REQUEST,
                "Null value not supported for :", alter->name);
}

static int16_t check_topic_entry(struct config_resource_alter *resource,
                                 const struct topic_config_entry *entry)
{
    const struct topic_config_row *row = topic_config_find(entry->name);
    if (row == NULL)
        return deny(resource, KAFKA_INVALID_CONFIG, "Unknown topic config name:", entry->name);
    return topic_config_check(row, entry->value, resource->reason, sizeof resource->reason)
               ? KAFKA_NONE
               : KAFKA_INVALID_CONFIG;
}

static int16_t check_broker(const struct editing *editing)
{
    struct config_resource_alter *resource = editing->resource;
    const struct broker_alteration alteration = {.store = editing->admin->options.store,
                                                 .config = &editing->config,
                                                 .is_default = resource->name.size == 0};
    return broker_alteration_check(&alteration, resource->reason, sizeof resource->reason)
               ? KAFKA_NONE
               : KAFKA_INVALID_REQUEST;
}

static bool is_named_twice(const struct config_resource_alter *resource, uint32_t index)
{
    for (uint32_t other = 0; other < index; other++)
        if (slice_equal(resource->alters[other].name, resource->alters[index].name))
            return true;
    return false;
}

static int16_t edit(struct editing *editing)
{
    struct config_resource_alter *resource = editing->resource;
    for (uint32_t index = 0; index < resource->alter_count; index++) {
        const struct config_alter *alter = &resource->alters[index];
        if (is_named_twice(resource, index))
            return deny(resource, KAFKA_INVALID_REQUEST,
                        "Error due to duplicate config keys :", alter->name);
        const int16_t code = apply(editing, alter);
        if (code != KAFKA_NONE)
            return code;
    }
    for (uint32_t index = 0; is_topic(resource) && index < editing->config.count; index++) {
        const int16_t code = check_topic_entry(resource, &editing->config.entries[index]);
        if (code != KAFKA_NONE)
            return code;
    }
    return is_topic(resource) ? KAFKA_NONE : check_broker(editing);
}

static size_t text_size(const struct config_resource_alter *resource)
{
    size_t size = 0;
    for (uint32_t index = 0; index < resource->alter_count; index++)
        size += resource->alters[index].name.size + resource->alters[index].value.size + 64;
    return size;
}

/* The new JSON in *data. */
static int16_t make_data(struct entity *entity, size_t now_size, struct slice *data)
{
    struct job *job = entity->job;
    struct config_resource_alter *resource = &job->alteration->resources[entity->index];
    if (resource->alter_count > alter_count_max)
        return deny(resource, KAFKA_INVALID_REQUEST, "Too many settings at once", SLICE_NULL);
    const uint32_t kept = job->alteration->is_incremental ? entity->now.config.count : 0;
    const size_t size = arena_least + 4 * now_size + 4 * text_size(resource) +
                        (kept + resource->alter_count) * sizeof(struct topic_config_entry);
    heap_give(job->admin->options.heap, entity->memory); /* Of an attempt that lost a race. */
    entity->memory = heap_take(job->admin->options.heap, size);
    if (entity->memory == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    struct editing editing = {.admin = job->admin, .resource = resource};
    arena_init(&editing.arena, entity->memory, size);
    editing.config.count = kept;
    editing.config.entries = arena_take_array(&editing.arena, kept + resource->alter_count + 1,
                                              sizeof *editing.config.entries);
    if (editing.config.entries == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    if (kept > 0)
        memcpy(editing.config.entries, entity->now.config.entries,
               kept * sizeof *editing.config.entries);
    const int16_t code = edit(&editing);
    if (code != KAFKA_NONE)
        return code;
    *data = znode_json_write_config(&editing.arena, &editing.config);
    return data->data == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
}

/* ---- alter ---- */

static void read_now(struct entity *entity);

static void end_alter(struct entity *entity, int16_t error_code)
{
    entity->job->alteration->resources[entity->index].error_code = error_code;
    close_entity(entity);
}

static void on_announced(struct zk_request *request, const struct keeper_result *result)
{
    struct entity *entity = entity_of(request);
    end_alter(entity, result->code == KEEPER_OK ? KAFKA_NONE : KAFKA_UNKNOWN_SERVER_ERROR);
}

/* After the write, never before: whoever hears of it reads what is there then. */
static void announce(struct entity *entity)
{
    struct arena arena;
    arena_init(&arena, entity->announcement, sizeof entity->announcement);
    entity->request.data = znode_json_write_config_change(&arena, slice_from_text(entity->entity));
    entity->request.flags = KEEPER_SEQUENTIAL;
    entity->request.path = "/config/changes/config_change_";
    send(entity, ZK_REQUEST_CREATE, on_announced);
}

static void on_written(struct zk_request *request, const struct keeper_result *result)
{
    struct entity *entity = entity_of(request);
    const int32_t check = result->part_count > 0 ? result->parts[0].code : KEEPER_OK;
    if (result->code == KEEPER_OK)
        announce(entity);
    else if (check == KEEPER_NO_NODE || check == KEEPER_BAD_VERSION)
        end_alter(entity, KAFKA_STALE_CONTROLLER_EPOCH);
    else if (result->code == KEEPER_BAD_VERSION || result->code == KEEPER_NODE_EXISTS ||
             result->code == KEEPER_NO_NODE)
        read_now(entity); /* Somebody else has changed it meanwhile. */
    else
        end_alter(entity, KAFKA_UNKNOWN_SERVER_ERROR);
}

static void write(struct entity *entity, struct slice data)
{
    entity->ops[0] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_CHECK,
        .path = controller_path,
        .version = entity->controller_version,
    };
    entity->ops[1] = (struct keeper_multi_op){
        .kind = entity->znode_version < 0 ? KEEPER_MULTI_CREATE : KEEPER_MULTI_SET_DATA,
        .path = entity->path,
        .data = data,
        .version = entity->znode_version,
    };
    entity->request.ops = entity->ops;
    entity->request.op_count = 2;
    send(entity, ZK_REQUEST_MULTI, on_written);
}

static void on_now_read(struct zk_request *request, const struct keeper_result *result)
{
    struct entity *entity = entity_of(request);
    struct heap *heap = entity->job->admin->options.heap;
    struct slice data = SLICE_NULL;
    if (result->code != KEEPER_OK && result->code != KEEPER_NO_NODE) {
        end_alter(entity, KAFKA_UNKNOWN_SERVER_ERROR);
        return;
    }
    entity->znode_version = result->code == KEEPER_OK ? result->stat->version : -1;
    config_store_release(heap, &entity->now);
    if (config_store_read(heap, result->data, &entity->now) == ERR_NO_MEMORY) {
        end_alter(entity, KAFKA_UNKNOWN_SERVER_ERROR);
        return;
    }
    const int16_t code = make_data(entity, result->data.size, &data);
    if (code != KAFKA_NONE || entity->job->alteration->validate_only)
        end_alter(entity, code);
    else
        write(entity, data);
}

static void read_now(struct entity *entity)
{
    entity->request.path = entity->path;
    entity->request.watch = NULL;
    send(entity, ZK_REQUEST_GET_DATA, on_now_read);
}

static void on_controller_seen(struct zk_request *request, const struct keeper_result *result)
{
    struct entity *entity = entity_of(request);
    if (result->code == KEEPER_OK) {
        entity->controller_version = result->stat->version;
        read_now(entity);
    } else {
        end_alter(entity, KAFKA_STALE_CONTROLLER_EPOCH);
    }
}

static void start_alter(struct job *job, uint32_t index)
{
    struct config_resource_alter *resource = &job->alteration->resources[index];
    const struct target target = {resource->type, resource->name, &resource->error_code,
                                  resource->reason};
    char name[entity_size];
    if (!find_entity(job->admin, &target, name))
        return;
    struct entity *entity = open_entity(job, index);
    if (entity == NULL) {
        resource->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
        return;
    }
    memcpy(entity->entity, name, sizeof name);
    snprintf(entity->path, sizeof entity->path, "/config/%s", entity->entity);
    entity->request.path = controller_path;
    send(entity, ZK_REQUEST_EXISTS, on_controller_seen);
}

void config_admin_alter(struct config_admin *admin, struct alter_configs *request)
{
    struct job *job = heap_take_zeroed(admin->options.heap, sizeof *job);
    for (uint32_t index = 0; index < request->resource_count; index++) {
        request->resources[index].error_code =
            job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
        request->resources[index].reason[0] = '\0';
    }
    if (job == NULL) {
        request->done(request); /* There is no memory to do it later. */
        return;
    }
    job->admin = admin;
    job->alteration = request;
    hold(job);
    for (uint32_t index = 0; index < request->resource_count; index++)
        start_alter(job, index);
}

/* ---- describe ---- */

static void on_topic_read(struct zk_request *request, const struct keeper_result *result)
{
    struct entity *entity = entity_of(request);
    struct job *job = entity->job;
    struct describe_configs *description = job->description;
    struct config_resource_describe *resource = &description->resources[entity->index];
    struct znode_config config;
    resource->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
    /* Read into the request's arena, as the answer lends from it. */
    if ((result->code == KEEPER_OK || result->code == KEEPER_NO_NODE) &&
        znode_json_read_config(result->data, description->arena, &config) != ERR_NO_MEMORY &&
        config_description_topic(job->admin->options.store, &config, description->arena,
                                 resource) == ERR_OK)
        resource->error_code = KAFKA_NONE;
    close_entity(entity);
}

static void start_describe(struct job *job, uint32_t index)
{
    struct config_resource_describe *resource = &job->description->resources[index];
    const struct target target = {resource->type, resource->name, &resource->error_code,
                                  resource->reason};
    char name[entity_size];
    if (resource->type == CONFIG_RESOURCE_BROKER_LOGGER || !find_entity(job->admin, &target, name))
        return; /* There are no loggers whose levels could be told. */
    if (resource->type == CONFIG_RESOURCE_BROKER) {
        if (config_description_broker(job->admin->options.store, resource->name.size == 0,
                                      job->description->arena, resource) != ERR_OK)
            resource->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
        return;
    }
    struct entity *entity = open_entity(job, index);
    if (entity == NULL) {
        resource->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
        return;
    }
    snprintf(entity->path, sizeof entity->path, "/config/%s", name);
    send(entity, ZK_REQUEST_GET_DATA, on_topic_read);
}

void config_admin_describe(struct config_admin *admin, struct describe_configs *request)
{
    struct job *job = heap_take_zeroed(admin->options.heap, sizeof *job);
    for (uint32_t index = 0; index < request->resource_count; index++) {
        struct config_resource_describe *resource = &request->resources[index];
        resource->error_code = job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
        resource->reason[0] = '\0';
        resource->config_count = 0;
    }
    if (job == NULL) {
        request->done(request);
        return;
    }
    job->admin = admin;
    job->description = request;
    hold(job);
    for (uint32_t index = 0; index < request->resource_count; index++)
        start_describe(job, index);
}
