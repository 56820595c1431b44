#include "client/keeper_watches.h"

#include "client/keeper_message.h"
#include "wire/gen/zk.h"

enum err keeper_watches_init(struct keeper_watches *watches, struct heap *heap, uint64_t hash_seed)
{
    watches->heap = heap;
    watches->hash_seed = hash_seed;
    list_init(&watches->armed);
    return hash_table_init(&watches->by_path, heap);
}

void keeper_watches_deinit(struct keeper_watches *watches)
{
    if (watches->heap != NULL)
        hash_table_deinit(&watches->by_path);
}

static uint64_t hash_of(const struct keeper_watches *watches, struct slice path)
{
    return hash_bytes(path, watches->hash_seed);
}

void keeper_watches_arm(struct keeper_watches *watches, struct keeper_watch *watch)
{
    assert(!watch->is_armed);
    watch->is_armed = true;
    hash_table_add(&watches->by_path, &watch->by_path,
                   hash_of(watches, slice_from_text(watch->path)));
    list_push(&watches->armed, &watch->link);
}

void keeper_watches_disarm(struct keeper_watches *watches, struct keeper_watch *watch)
{
    if (watch->is_armed)
        hash_table_remove(&watches->by_path, &watch->by_path);
    watch->is_armed = false;
    if (list_linked(&watch->link)) /* Also while it waits for its fired to run. */
        list_remove(&watch->link);
}

struct event {
    struct slice path;
    enum keeper_event_type type;
};

static bool ends(enum keeper_event_type type, enum keeper_watch_kind kind)
{
    switch (type) {
    case KEEPER_NODE_CREATED:
    case KEEPER_NODE_DATA_CHANGED: return kind != KEEPER_WATCH_CHILDREN;
    case KEEPER_NODE_CHILDREN_CHANGED: return kind == KEEPER_WATCH_CHILDREN;
    case KEEPER_NODE_DELETED:
    case KEEPER_WATCH_ENDED: return true;
    }
    return false;
}

static bool is_concerned(const struct hash_link *link, const void *key)
{
    const struct keeper_watch *watch = CONTAINER_OF(link, struct keeper_watch, by_path);
    const struct event *event = key;
    return ends(event->type, watch->kind) && slice_equal_text(event->path, watch->path);
}

static void run_fired(struct list *fired, enum keeper_event_type type)
{
    while (!list_empty(fired)) {
        struct keeper_watch *watch = CONTAINER_OF(list_pop(fired), struct keeper_watch, link);
        watch->fired(watch, type);
    }
}

void keeper_watches_fire(struct keeper_watches *watches, struct slice path,
                         enum keeper_event_type type)
{
    const struct event event = {path, type};
    const uint64_t hash = hash_of(watches, path);
    struct list fired;
    list_init(&fired);
    for (;;) {
        struct hash_link *link = hash_table_find(&watches->by_path, hash, is_concerned, &event);
        if (link == NULL)
            break;
        struct keeper_watch *watch = CONTAINER_OF(link, struct keeper_watch, by_path);
        keeper_watches_disarm(watches, watch);
        list_push(&fired, &watch->link);
    }
    run_fired(&fired, type);
}

void keeper_watches_end(struct keeper_watches *watches)
{
    struct list fired;
    list_init(&fired);
    while (!list_empty(&watches->armed)) {
        struct keeper_watch *watch =
            CONTAINER_OF(list_first(&watches->armed), struct keeper_watch, link);
        keeper_watches_disarm(watches, watch);
        list_push(&fired, &watch->link);
    }
    run_fired(&fired, KEEPER_WATCH_ENDED);
}

/* The watches of one request: from first up to, not with, end. */
struct batch {
    const struct list *first;
    const struct list *end;
    struct slice chroot;
};

static const struct keeper_watch *watch_at(const struct list *link)
{
    return CONTAINER_OF(link, struct keeper_watch, link);
}

static size_t full_size(const struct batch *batch, const struct keeper_watch *watch)
{
    if (batch->chroot.size > 0 && watch->path[1] == '\0')
        return batch->chroot.size;
    return batch->chroot.size + strlen(watch->path);
}

static void put_paths(const struct batch *batch, enum keeper_watch_kind kind,
                      struct wire_writer *writer)
{
    int32_t count = 0;
    for (const struct list *link = batch->first; link != batch->end; link = link->next)
        count += watch_at(link)->kind == kind;
    wire_put_i32(writer, count);
    for (const struct list *link = batch->first; link != batch->end; link = link->next) {
        const struct keeper_watch *watch = watch_at(link);
        if (watch->kind != kind)
            continue;
        const size_t size = full_size(batch, watch);
        wire_put_i32(writer, (int32_t)size);
        wire_put_bytes(writer, batch->chroot);
        wire_put_bytes(writer, slice_of(watch->path, size - batch->chroot.size));
    }
}

const struct list *keeper_watches_first(const struct keeper_watches *watches)
{
    return list_first(&watches->armed);
}

struct net_message *keeper_watches_message(const struct keeper_watches *watches,
                                           struct slice chroot, int64_t zxid, size_t bytes_max,
                                           const struct list **next)
{
    struct batch batch = {.first = *next, .end = *next, .chroot = chroot};
    size_t size = 8 + 8 + 3 * 4; /* Header, zxid, three counts. */
    do {
        size += 4 + full_size(&batch, watch_at(batch.end));
        batch.end = batch.end->next;
    } while (batch.end != &watches->armed &&
             size + 4 + full_size(&batch, watch_at(batch.end)) <= bytes_max);

    struct net_message *message = net_message_acquire(
        watches->heap, (struct net_message_options){.capacity = (uint32_t)size + 4});
    if (message == NULL)
        return NULL;
    message->size = (uint32_t)size + 4;
    struct wire_writer writer = wire_writer_of(message->data, message->size);
    wire_put_i32(&writer, (int32_t)size);
    wire_put_i32(&writer, KEEPER_XID_SET_WATCHES);
    wire_put_i32(&writer, ZK_OP_SET_WATCHES);
    wire_put_i64(&writer, zxid);
    put_paths(&batch, KEEPER_WATCH_DATA, &writer);
    put_paths(&batch, KEEPER_WATCH_EXISTS, &writer);
    put_paths(&batch, KEEPER_WATCH_CHILDREN, &writer);
    assert(writer.used == message->size);
    *next = batch.end == &watches->armed ? NULL : batch.end;
    return message;
}
