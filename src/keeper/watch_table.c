#include "keeper/watch_table.h"

#include "base/assert.h"
#include "keeper/path.h"

static struct watched_path *path_of(const struct hash_link *link)
{
    return CONTAINER_OF(link, struct watched_path, by_path);
}

static struct watch *watch_of(const struct hash_link *link)
{
    return CONTAINER_OF(link, struct watch, by_watcher);
}

static bool is_path(const struct hash_link *link, const void *key)
{
    const struct watched_path *path = path_of(link);
    return slice_equal(slice_of(path->bytes, path->size), *(const struct slice *)key);
}

struct watch_key {
    const struct watched_path *path;
    const struct watcher *watcher;
};

static bool is_watch(const struct hash_link *link, const void *key)
{
    const struct watch *watch = watch_of(link);
    const struct watch_key *wanted = key;
    return watch->path == wanted->path && watch->watcher == wanted->watcher;
}

static uint64_t hash_key(const struct watch_table *table, const struct watch_key *key)
{
    return hash_u64((uint64_t)(uintptr_t)key->watcher,
                    hash_u64((uint64_t)(uintptr_t)key->path, table->hash_seed));
}

enum err watch_table_init(struct watch_table *table, struct heap *heap, struct slab *slab,
                          struct watch_table_options options)
{
    *table = (struct watch_table){
        .slab = slab, .hash_seed = options.hash_seed, .watch_count_max = options.watch_count_max};
    if (hash_table_init(&table->paths[WATCH_KIND_DATA], heap) != ERR_OK ||
        hash_table_init(&table->paths[WATCH_KIND_CHILD], heap) != ERR_OK ||
        hash_table_init(&table->watches, heap) != ERR_OK) {
        watch_table_deinit(table);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

void watch_table_deinit(struct watch_table *table)
{
    assert(table->watches.count == 0);
    for (int kind = 0; kind < watch_kind_count; kind++)
        if (table->paths[kind].heap != NULL)
            hash_table_deinit(&table->paths[kind]);
    if (table->watches.heap != NULL)
        hash_table_deinit(&table->watches);
    *table = (struct watch_table){0};
}

void watch_table_init_watcher(struct watcher *watcher)
{
    *watcher = (struct watcher){0};
    list_init(&watcher->watches);
}

static struct watched_path *find_path(const struct watch_table *table, enum watch_kind kind,
                                      struct slice path)
{
    struct hash_link *link =
        hash_table_find(&table->paths[kind], hash_bytes(path, table->hash_seed), is_path, &path);
    return link == NULL ? NULL : path_of(link);
}

static struct watch *find_watch(const struct watch_table *table, enum watch_kind kind,
                                const struct watcher *watcher, struct slice path)
{
    const struct watch_key key = {find_path(table, kind, path), watcher};
    if (key.path == NULL)
        return NULL;
    struct hash_link *link =
        hash_table_find(&table->watches, hash_key(table, &key), is_watch, &key);
    return link == NULL ? NULL : watch_of(link);
}

static size_t path_bytes(size_t size)
{
    return offsetof(struct watched_path, bytes) + size;
}

static struct watched_path *find_or_add_path(struct watch_table *table, enum watch_kind kind,
                                             struct slice bytes)
{
    struct watched_path *path = find_path(table, kind, bytes);
    if (path != NULL)
        return path;
    assert(bytes.size <= UINT32_MAX);
    path = slab_take(table->slab, path_bytes(bytes.size));
    if (path == NULL)
        return NULL;
    /* Not as one struct: its end may lie behind the block. */
    memset(path, 0, offsetof(struct watched_path, bytes));
    path->size = (uint32_t)bytes.size;
    list_init(&path->watches);
    memcpy(path->bytes, bytes.data, bytes.size);
    hash_table_add(&table->paths[kind], &path->by_path, hash_bytes(bytes, table->hash_seed));
    return path;
}

static void drop_path_if_unwatched(struct watch_table *table, enum watch_kind kind,
                                   struct watched_path *path)
{
    if (path->watch_count > 0)
        return;
    hash_table_remove(&table->paths[kind], &path->by_path);
    slab_give(table->slab, path, path_bytes(path->size));
}

/* The path stays, even without watches. */
static void drop_watch(struct watch_table *table, struct watch *watch)
{
    struct watcher *watcher = watch->watcher;
    table->recursive_count -= (watch->modes & WATCH_MODE_RECURSIVE) != 0;
    hash_table_remove(&table->watches, &watch->by_watcher);
    list_remove(&watch->in_path);
    list_remove(&watch->in_watcher);
    watch->path->watch_count--;
    table->watch_count[watch->kind]--;
    watcher->watch_count[watch->kind]--;
    table->watcher_count[watch->kind] -= watcher->watch_count[watch->kind] == 0;
    slab_give(table->slab, watch, sizeof *watch);
}

void watch_table_drop_watcher(struct watch_table *table, struct watcher *watcher)
{
    while (!list_empty(&watcher->watches)) {
        struct watch *watch = CONTAINER_OF(watcher->watches.next, struct watch, in_watcher);
        struct watched_path *path = watch->path;
        const enum watch_kind kind = watch->kind;
        drop_watch(table, watch);
        drop_path_if_unwatched(table, kind, path);
    }
}

static void set_modes(struct watch_table *table, struct watch *watch, uint8_t modes)
{
    table->recursive_count -= (watch->modes & WATCH_MODE_RECURSIVE) != 0;
    watch->modes = modes;
    table->recursive_count += (watch->modes & WATCH_MODE_RECURSIVE) != 0;
}

static struct watch *add_watch(struct watch_table *table, enum watch_kind kind,
                               struct watcher *watcher, struct slice bytes)
{
    struct watched_path *path = find_or_add_path(table, kind, bytes);
    struct watch *watch = path == NULL ? NULL : slab_take(table->slab, sizeof *watch);
    if (watch == NULL) {
        if (path != NULL)
            drop_path_if_unwatched(table, kind, path);
        return NULL;
    }
    *watch = (struct watch){.path = path, .watcher = watcher, .kind = (uint8_t)kind};
    const struct watch_key key = {path, watcher};
    hash_table_add(&table->watches, &watch->by_watcher, hash_key(table, &key));
    list_push(&path->watches, &watch->in_path);
    list_push(&watcher->watches, &watch->in_watcher);
    path->watch_count++;
    table->watch_count[kind]++;
    table->watcher_count[kind] += watcher->watch_count[kind] == 0;
    watcher->watch_count[kind]++;
    return watch;
}

enum err watch_table_add(struct watch_table *table, enum watch_kind kind, struct watcher *watcher,
                         struct slice path, enum watch_mode mode)
{
    struct watch *watch = find_watch(table, kind, watcher, path);
    if (watch == NULL) {
        if (table->watches.count >= table->watch_count_max)
            return ERR_LIMIT;
        watch = add_watch(table, kind, watcher, path);
        if (watch == NULL)
            return ERR_NO_MEMORY;
    }
    set_modes(table, watch, (uint8_t)(watch->modes | mode));
    return ERR_OK;
}

bool watch_table_has(const struct watch_table *table, enum watch_kind kind,
                     const struct watcher *watcher, struct slice path, uint8_t modes)
{
    const struct watch *watch = find_watch(table, kind, watcher, path);
    return watch != NULL && (watch->modes & modes) != 0;
}

bool watch_table_remove(struct watch_table *table, enum watch_kind kind, struct watcher *watcher,
                        struct slice bytes, uint8_t modes)
{
    struct watch *watch = find_watch(table, kind, watcher, bytes);
    if (watch == NULL || (watch->modes & modes) == 0)
        return false;
    set_modes(table, watch, (uint8_t)(watch->modes & ~modes));
    if (watch->modes == 0) {
        struct watched_path *path = watch->path;
        drop_watch(table, watch);
        drop_path_if_unwatched(table, kind, path);
    }
    return true;
}

void watch_table_begin_round(struct watch_table *table)
{
    table->round++;
}

static void tell(struct watch_table *table, struct watcher *watcher,
                 const struct watch_event *event, struct watch_sink *sink)
{
    if (watcher->told_round == table->round)
        return;
    watcher->told_round = table->round;
    sink->on_watch(sink, watcher, event);
}

static void fire_on_path(struct watch_table *table, enum watch_kind kind,
                         const struct watch_event *event, struct watch_sink *sink)
{
    struct watched_path *path = find_path(table, kind, event->path);
    if (path == NULL)
        return;
    list_each_safe (link, after, &path->watches) {
        struct watch *watch = CONTAINER_OF(link, struct watch, in_path);
        struct watcher *watcher = watch->watcher;
        watch->modes = (uint8_t)(watch->modes & ~WATCH_MODE_STANDARD);
        if (watch->modes == 0)
            drop_watch(table, watch);
        tell(table, watcher, event, sink);
    }
    drop_path_if_unwatched(table, kind, path);
}

static void fire_recursively(struct watch_table *table, struct slice ancestor,
                             const struct watch_event *event, struct watch_sink *sink)
{
    const struct watched_path *path = find_path(table, WATCH_KIND_DATA, ancestor);
    if (path == NULL)
        return;
    list_each (link, &path->watches) {
        const struct watch *watch = CONTAINER_OF(link, struct watch, in_path);
        if ((watch->modes & WATCH_MODE_RECURSIVE) != 0)
            tell(table, watch->watcher, event, sink);
    }
}

void watch_table_fire(struct watch_table *table, enum watch_kind kind,
                      const struct watch_event *event, struct watch_sink *sink)
{
    fire_on_path(table, kind, event, sink);
    if (kind != WATCH_KIND_DATA)
        return;
    struct slice ancestor = event->path;
    while (table->recursive_count > 0 && ancestor.size > 1) {
        ancestor = path_parent(ancestor);
        fire_recursively(table, ancestor, event, sink);
    }
}

struct watched_path *watch_table_next_path(const struct watch_table *table, enum watch_kind kind,
                                           uint64_t *position, const struct watched_path *previous)
{
    /* The table is asked for a neighbour, which it does not change. */
    struct hash_link *link = hash_table_next(
        &table->paths[kind], position,
        previous == NULL ? NULL : (struct hash_link *)(uintptr_t)&previous->by_path);
    return link == NULL ? NULL : path_of(link);
}
