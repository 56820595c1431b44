#include "server/broker/config_changes.h"

#include <stdalign.h>
#include <stdio.h>

enum { notice_age_ms_max = 15 * 60 * 1000, sequence_digit_count = 10 };

static const char changes_path[] = "/config/changes";

/* An entity ("topics/foo") or a notification's name. */
struct item {
    struct list link;
    int64_t ctime_ms; /* Of a notification that was read. */
    char text[];
};

static void run(struct config_changes *changes);
static void on_watch(struct keeper_watch *watch, enum keeper_event_type type);

void config_changes_init(struct config_changes *changes, struct config_changes_options options,
                         struct config_changes_handler handler)
{
    *changes = (struct config_changes){.options = options, .handler = handler};
    changes->watch.fired = on_watch;
    list_init(&changes->entities);
    list_init(&changes->notices);
    list_init(&changes->kept);
}

static void drop_all(struct config_changes *changes, struct list *items)
{
    while (!list_empty(items))
        heap_give(changes->options.heap, CONTAINER_OF(list_pop(items), struct item, link));
}

void config_changes_deinit(struct config_changes *changes)
{
    if (changes->options.heap == NULL)
        return;
    drop_all(changes, &changes->entities);
    drop_all(changes, &changes->notices);
    drop_all(changes, &changes->kept);
}

static void add(struct config_changes *changes, struct list *items, struct slice text,
                int64_t ctime_ms)
{
    list_each (link, items)
        if (slice_equal_text(text, CONTAINER_OF(link, struct item, link)->text))
            return;
    struct item *item = heap_take(changes->options.heap, sizeof *item + text.size + 1);
    if (item == NULL) {
        diag_error(changes->options.diag, "no memory to follow the settings of %" SLICE_FORMAT,
                   SLICE_ARGS(text));
        return;
    }
    item->ctime_ms = ctime_ms;
    memcpy(item->text, text.data, text.size);
    item->text[text.size] = '\0';
    list_push(items, &item->link);
}

static struct config_changes *changes_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct config_changes, request);
}

static void send(struct config_changes *changes, enum zk_request_kind kind,
                 void (*done)(struct zk_request *request, const struct keeper_result *result))
{
    changes->is_running = true;
    changes->request.kind = kind;
    changes->request.path = changes->path;
    changes->request.done = done;
    zk_session_send(changes->options.session, &changes->request);
}

/* False: the session is over. */
static bool goes_on(struct config_changes *changes, const struct keeper_result *result)
{
    changes->is_running = false;
    return result->code != KEEPER_SESSION_EXPIRED;
}

/* ---- entities ---- */

/* Defaults of topics may have changed with the broker's settings. */
static void tell_all_topics(struct config_changes *changes)
{
    list_each (link, &changes->options.store->topics)
        changes->handler.on_topic(changes->handler.context,
                                  CONTAINER_OF(link, struct config_store_topic, link));
}

static void on_entity_read(struct zk_request *request, const struct keeper_result *result)
{
    struct config_changes *changes = changes_of(request);
    if (!goes_on(changes, result))
        return;
    struct config_store *store = changes->options.store;
    const struct slice entity = slice_skip(slice_from_text(changes->path), strlen("/config/"));
    enum err err = ERR_OK;
    if (slice_starts_with(entity, SLICE_LITERAL("topics/"))) {
        const struct slice name = slice_skip(entity, strlen("topics/"));
        const struct config_store_topic *topic = config_store_find_topic(store, name);
        if (topic != NULL) {
            err = config_store_set_topic(store, name, result->data);
            changes->handler.on_topic(changes->handler.context, topic);
        }
    } else {
        const bool is_default = slice_equal_text(entity, "brokers/<default>");
        err = config_store_set_broker(store, is_default, result->data);
        tell_all_topics(changes);
        changes->handler.on_broker(changes->handler.context);
    }
    if (err != ERR_OK)
        diag_error(changes->options.diag, "%s: %s", changes->path, err_text(err));
    run(changes);
}

static bool concerns_us(const struct config_changes *changes, struct slice entity)
{
    char own[32];
    snprintf(own, sizeof own, "brokers/%d", (int)changes->broker_id);
    if (slice_equal_text(entity, "brokers/<default>") || slice_equal_text(entity, own))
        return true;
    const struct slice prefix = SLICE_LITERAL("topics/");
    return slice_starts_with(entity, prefix) &&
           config_store_has_topic(changes->options.store, slice_skip(entity, prefix.size));
}

static void read_entity(struct config_changes *changes)
{
    struct item *item = CONTAINER_OF(list_pop(&changes->entities), struct item, link);
    snprintf(changes->path, sizeof changes->path, "/config/%s", item->text);
    heap_give(changes->options.heap, item);
    changes->request.watch = NULL;
    send(changes, ZK_REQUEST_GET_DATA, on_entity_read);
}

/* ---- notifications ---- */

static void on_notice_removed(struct zk_request *request, const struct keeper_result *result)
{
    struct config_changes *changes = changes_of(request);
    if (goes_on(changes, result))
        run(changes);
}

static void on_notice_read(struct zk_request *request, const struct keeper_result *result)
{
    struct config_changes *changes = changes_of(request);
    alignas(16) uint8_t memory[1024];
    struct arena arena;
    struct slice entity;
    if (!goes_on(changes, result))
        return;
    arena_init(&arena, memory, sizeof memory);
    if (result->code == KEEPER_OK &&
        znode_json_read_config_change(result->data, &arena, &entity) == ERR_OK &&
        concerns_us(changes, entity))
        add(changes, &changes->entities, entity, 0);
    if (result->code == KEEPER_OK) {
        const struct slice name = slice_skip(slice_from_text(changes->path), sizeof changes_path);
        add(changes, &changes->kept, name, result->stat->ctime);
    }
    run(changes);
}

static void read_notice(struct config_changes *changes)
{
    struct item *item = CONTAINER_OF(list_pop(&changes->notices), struct item, link);
    snprintf(changes->path, sizeof changes->path, "%s/%s", changes_path, item->text);
    heap_give(changes->options.heap, item);
    changes->request.watch = NULL;
    send(changes, ZK_REQUEST_GET_DATA, on_notice_read);
}

/* The oldest of those that were read, if it is old enough for everybody to have read it. */
static bool remove_old_notice(struct config_changes *changes)
{
    const struct list *first = list_first(&changes->kept);
    if (first == NULL ||
        io_wall_ms(changes->options.io) - CONTAINER_OF(first, struct item, link)->ctime_ms <=
            notice_age_ms_max)
        return false;
    struct item *item = CONTAINER_OF(list_pop(&changes->kept), struct item, link);
    snprintf(changes->path, sizeof changes->path, "%s/%s", changes_path, item->text);
    heap_give(changes->options.heap, item);
    changes->request.version = keeper_any_version;
    send(changes, ZK_REQUEST_DELETE, on_notice_removed);
    return true;
}

/* -1: not a notification's name. */
static int64_t sequence_of(struct slice name)
{
    const struct slice prefix = SLICE_LITERAL("config_change_");
    int64_t sequence;
    if (!slice_starts_with(name, prefix) || name.size != prefix.size + sequence_digit_count ||
        znode_json_read_number(slice_skip(name, prefix.size), &sequence) != ERR_OK)
        return -1;
    return sequence;
}

static void on_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct config_changes *changes = changes_of(request);
    if (!goes_on(changes, result))
        return;
    int64_t highest = changes->sequence_last;
    for (int32_t index = 0; result->code == KEEPER_OK && index < result->child_count; index++) {
        const int64_t sequence = sequence_of(result->children[index]);
        if (sequence > changes->sequence_last)
            add(changes, &changes->notices, result->children[index], 0);
        highest = max_i64(highest, sequence);
    }
    changes->sequence_last = highest;
    run(changes);
}

static void list_notices(struct config_changes *changes)
{
    changes->is_dirty = false;
    changes->is_running = true;
    changes->request.kind = ZK_REQUEST_GET_CHILDREN;
    changes->request.path = changes_path; /* Constant, since the watch keeps it. */
    changes->request.watch = &changes->watch;
    changes->request.done = on_listed;
    zk_session_send(changes->options.session, &changes->request);
}

static void on_watch(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct config_changes *changes = CONTAINER_OF(watch, struct config_changes, watch);
    if (type == KEEPER_WATCH_ENDED)
        return;
    changes->is_dirty = true;
    run(changes);
}

/* ---- one thing after the other ---- */

static void run(struct config_changes *changes)
{
    if (changes->is_running)
        return;
    if (!list_empty(&changes->notices)) {
        read_notice(changes);
    } else if (!list_empty(&changes->entities)) {
        read_entity(changes);
    } else if (remove_old_notice(changes)) {
        return;
    } else if (changes->is_dirty) {
        list_notices(changes);
    } else if (!changes->is_loaded) {
        changes->is_loaded = true;
        changes->handler.on_loaded(changes->handler.context);
    }
}

void config_changes_begin(struct config_changes *changes, int32_t broker_id)
{
    char own[32];
    drop_all(changes, &changes->entities);
    drop_all(changes, &changes->notices);
    drop_all(changes, &changes->kept);
    changes->broker_id = broker_id;
    changes->sequence_last = -1;
    changes->is_running = false;
    changes->is_loaded = false;
    changes->is_dirty = true;
    snprintf(own, sizeof own, "brokers/%d", (int)broker_id);
    add(changes, &changes->entities, SLICE_LITERAL("brokers/<default>"), 0);
    add(changes, &changes->entities, slice_from_text(own), 0);
    list_each (link, &changes->options.store->topics) {
        char entity[config_changes_path_size];
        const struct slice name = CONTAINER_OF(link, struct config_store_topic, link)->name;
        const int size = snprintf(entity, sizeof entity, "topics/%" SLICE_FORMAT, SLICE_ARGS(name));
        add(changes, &changes->entities, slice_of(entity, (size_t)size), 0);
    }
    run(changes);
}
