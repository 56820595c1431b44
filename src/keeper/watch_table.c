#include "keeper/watch_table.h"

#include "base/assert.h"
#include "base/macros.h"
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
        .slab = slab,
        .hash_seed = options.hash_seed,
        .watch_count_max = options.watch_count_max,
        .budget = UINT64_MAX,
        .acls = options.acls,
    };
    list_init(&table->firings);
    if (hash_table_init(&table->paths[WATCH_KIND_DATA], heap) != ERR_OK ||
        hash_table_init(&table->paths[WATCH_KIND_CHILD], heap) != ERR_OK ||
        hash_table_init(&table->watches, heap) != ERR_OK) {
        watch_table_deinit(table);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
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

static struct watch *find_watch_of(const struct watch_table *table, const struct watched_path *path,
                                   const struct watcher *watcher)
{
    const struct watch_key key = {path, watcher};
    struct hash_link *link =
        hash_table_find(&table->watches, hash_key(table, &key), is_watch, &key);
    return link == NULL ? NULL : watch_of(link);
}

static struct watch *find_watch(const struct watch_table *table, enum watch_kind kind,
                                const struct watcher *watcher, struct slice path)
{
    const struct watched_path *watched = find_path(table, kind, path);
    return watched == NULL ? NULL : find_watch_of(table, watched, watcher);
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
    path->kind = kind;
    list_init(&path->watches);
    memcpy(path->bytes, bytes.data, bytes.size);
    hash_table_add(&table->paths[kind], &path->by_path, hash_bytes(bytes, table->hash_seed));
    return path;
}

static void drop_path_if_unwatched(struct watch_table *table, struct watched_path *path)
{
    if (path->watch_count > 0 || path->firing_count > 0)
        return;
    hash_table_remove(&table->paths[path->kind], &path->by_path);
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
        drop_watch(table, watch);
        drop_path_if_unwatched(table, path);
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
            drop_path_if_unwatched(table, path);
        return NULL;
    }
    if (list_empty(&watcher->watches))
        watcher->told_firing = table->firing_last;
    assert(watcher->told_firing == table->firing_last || list_empty(&table->firings));
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
        drop_path_if_unwatched(table, path);
    }
    return true;
}

void watch_table_begin_round(struct watch_table *table)
{
    table->round++;
}

/* One watch of a path of which event is told. */
struct telling {
    const struct watch_event *event;
    uint64_t round;
    bool is_recursive; /* The path is an ancestor's. */
};

/* May drop the watch, not its path. */
static void fire_watch(struct watch_table *table, struct watch *watch,
                       const struct telling *telling, struct watch_sink *sink)
{
    struct watcher *watcher = watch->watcher;
    if (telling->is_recursive && (watch->modes & WATCH_MODE_RECURSIVE) == 0)
        return;
    if (!telling->is_recursive) {
        watch->modes = (uint8_t)(watch->modes & ~WATCH_MODE_STANDARD);
        if (watch->modes == 0)
            drop_watch(table, watch);
    }
    if (watcher->told_round == telling->round)
        return;
    watcher->told_round = telling->round;
    sink->on_watch(sink, watcher, telling->event);
}

static size_t firing_bytes(size_t size)
{
    return offsetof(struct watch_firing, bytes) + size;
}

/* False: the heap says no. */
static bool owe(struct watch_table *table, struct watched_path *path, const struct telling *telling)
{
    const struct slice bytes = telling->event->path;
    struct watch_firing *firing = slab_take(table->slab, firing_bytes(bytes.size));
    if (firing == NULL)
        return false;
    firing->number = ++table->firing_last;
    firing->round = telling->round;
    firing->path = path;
    firing->left = path->watch_count;
    firing->is_recursive = telling->is_recursive;
    memcpy(firing->bytes, bytes.data, bytes.size);
    firing->event = *telling->event;
    firing->event.path = slice_of(firing->bytes, bytes.size);
    if (firing->event.acl != NULL)
        acl_table_share(firing->event.acl);
    path->firing_count++;
    list_init(&firing->link);
    list_push(&table->firings, &firing->link);
    return true;
}

static struct watch_firing *first_firing(const struct watch_table *table)
{
    return CONTAINER_OF(table->firings.next, struct watch_firing, link);
}

static void drop_firing(struct watch_table *table, struct watch_firing *firing)
{
    struct watched_path *path = firing->path;
    list_remove(&firing->link);
    if (firing->event.acl != NULL)
        acl_table_release(table->acls, firing->event.acl);
    slab_give(table->slab, firing, firing_bytes(firing->event.path.size));
    path->firing_count--;
    drop_path_if_unwatched(table, path);
}

/* Behind what is owed already everything is owed, so that each watcher hears in order. Without
 * memory for that all is told now. */
static void fire_path(struct watch_table *table, struct watched_path *path,
                      const struct telling *telling, struct watch_sink *sink)
{
    if (!list_empty(&table->firings) || path->watch_count > table->budget) {
        if (owe(table, path, telling))
            return;
        path->firing_count++; /* It stays. */
        watch_table_tell_some(table, UINT64_MAX, sink);
        path->firing_count--;
    }
    table->budget -= table->budget == UINT64_MAX ? 0 : min_u64(table->budget, path->watch_count);
    list_each_safe (link, after, &path->watches)
        fire_watch(table, CONTAINER_OF(link, struct watch, in_path), telling, sink);
    drop_path_if_unwatched(table, path);
}

void watch_table_fire(struct watch_table *table, enum watch_kind kind,
                      const struct watch_event *event, struct watch_sink *sink)
{
    struct telling telling = {.event = event, .round = table->round};
    struct watched_path *path = find_path(table, kind, event->path);
    if (path != NULL)
        fire_path(table, path, &telling, sink);
    if (kind != WATCH_KIND_DATA)
        return;
    struct slice ancestor = event->path;
    telling.is_recursive = true;
    while (table->recursive_count > 0 && ancestor.size > 1) {
        ancestor = path_parent(ancestor);
        path = find_path(table, WATCH_KIND_DATA, ancestor);
        if (path != NULL)
            fire_path(table, path, &telling, sink);
    }
}

void watch_table_set_budget(struct watch_table *table, uint64_t watch_count)
{
    table->budget = watch_count;
}

uint64_t watch_table_tell(struct watch_table *table, struct watcher *watcher,
                          struct watch_sink *sink)
{
    uint64_t count = 0;
    if (list_empty(&table->firings) || watcher->told_firing == table->firing_last)
        return 0;
    list_each (link, &table->firings) {
        const struct watch_firing *firing = CONTAINER_OF(link, struct watch_firing, link);
        if (list_empty(&watcher->watches))
            break;
        if (firing->number <= watcher->told_firing)
            continue;
        struct watch *watch = find_watch_of(table, firing->path, watcher);
        const struct telling telling = {&firing->event, firing->round, firing->is_recursive};
        if (watch == NULL)
            continue;
        fire_watch(table, watch, &telling, sink);
        count++;
    }
    watcher->told_firing = table->firing_last;
    return count;
}

/* Each watcher that the first firing leads to is told everything at once, so that its events share
 * what carries them. */
bool watch_table_tell_some(struct watch_table *table, uint64_t watch_count, struct watch_sink *sink)
{
    uint64_t count = 0;
    while (count < watch_count && !list_empty(&table->firings)) {
        struct watch_firing *firing = first_firing(table);
        struct list *link = list_first(&firing->path->watches);
        if (firing->left == 0 || link == NULL) {
            drop_firing(table, firing);
            continue;
        }
        /* To the end: watches that are gone meanwhile do no harm. */
        firing->left--;
        list_remove(link);
        list_push(&firing->path->watches, link);
        struct watcher *watcher = CONTAINER_OF(link, struct watch, in_path)->watcher;
        count++;
        if (watcher->told_firing < firing->number)
            count += watch_table_tell(table, watcher, sink);
    }
    return !list_empty(&table->firings);
}

void watch_table_deinit(struct watch_table *table)
{
    assert(table->watches.count == 0);
    if (table->slab != NULL)
        while (!list_empty(&table->firings))
            drop_firing(table, first_firing(table));
    for (int kind = 0; kind < watch_kind_count; kind++)
        if (table->paths[kind].heap != NULL)
            hash_table_deinit(&table->paths[kind]);
    if (table->watches.heap != NULL)
        hash_table_deinit(&table->watches);
    *table = (struct watch_table){0};
}

void watch_table_move(struct watch_table *table, struct watch_table *from, struct slab *slab,
                      struct acl_table *acls)
{
    assert(from->watches.count == 0 && list_empty(&from->firings));
    *table = *from;
    table->slab = slab;
    table->acls = acls;
    list_init(&table->firings);
    *from = (struct watch_table){0};
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
