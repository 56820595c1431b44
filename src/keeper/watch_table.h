/* Which connections want to know about which paths, and what they are told.
 *
 * Two kinds of watches, as clients can tell them apart: data watches (exists, getData) and child
 * watches (getChildren). A standard watch fires once; a persistent one stays; a recursive one,
 * always a data watch, stays and covers all descendants. One connection has at most one watch of a
 * kind on a path, which may be in several modes. Watches belong to a connection, not to a session.
 *
 * Memory: a piece of the slab for each watch and for each watched path; buckets from the heap.
 * Shard: one owner.
 */
#ifndef KEEPER_WATCH_TABLE_H
#define KEEPER_WATCH_TABLE_H

#include "base/hash_table.h"
#include "base/slab.h"
#include "keeper/acl.h"

enum watch_event_type {
    WATCH_EVENT_CREATED = 1,
    WATCH_EVENT_DELETED = 2,
    WATCH_EVENT_DATA_CHANGED = 3,
    WATCH_EVENT_CHILDREN_CHANGED = 4,
};

/* A set of these is a watch's, and what functions are asked for. */
enum watch_mode {
    WATCH_MODE_STANDARD = 1,
    WATCH_MODE_PERSISTENT = 2,
    WATCH_MODE_RECURSIVE = 4,
    WATCH_MODE_ANY = 7,
};

enum watch_kind { WATCH_KIND_DATA, WATCH_KIND_CHILD };

enum { watch_kind_count = 2 };

/* What a connection is told; the protocol's state is always "connected" (3). */
struct watch_event {
    enum watch_event_type type;
    struct slice path; /* Lent for the call. */
    int64_t zxid;      /* Of the transaction; -1: catching up after a reconnect. */
};

/* Whoever watches: a part of a connection. */
struct watcher {
    struct list watches;
    uint64_t watch_count[watch_kind_count];
    uint64_t told_round; /* The round of firing in which it was told last. */
};

/* Where fired events go. on_watch must not change the table. */
struct watch_sink {
    void (*on_watch)(struct watch_sink *sink, struct watcher *watcher,
                     const struct watch_event *event);
};

/* One path, and whoever watches it. */
struct watched_path {
    struct hash_link by_path;
    struct list watches;
    uint64_t watch_count;
    uint32_t size;
    uint8_t bytes[]; /* [size] */
};

struct watch {
    struct hash_link by_watcher; /* By watched path and watcher. */
    struct list in_path;
    struct list in_watcher;
    struct watched_path *path;
    struct watcher *watcher;
    uint8_t kind;  /* enum watch_kind */
    uint8_t modes; /* Of enum watch_mode. */
};

struct watch_table {
    struct slab *slab; /* Of watches and watched paths. */
    uint64_t hash_seed;
    uint64_t watch_count_max;
    struct hash_table paths[watch_kind_count];
    struct hash_table watches;
    uint64_t watcher_count[watch_kind_count]; /* With at least one watch of the kind. */
    uint64_t watch_count[watch_kind_count];
    uint64_t recursive_count; /* Watches in that mode; zero makes firing cheaper. */
    uint64_t round;
};

struct watch_table_options {
    uint64_t hash_seed;
    uint64_t watch_count_max;
};

/* Keeps heap and slab. ERR_NO_MEMORY. */
MUST_CHECK enum err watch_table_init(struct watch_table *table, struct heap *heap,
                                     struct slab *slab, struct watch_table_options options);

/* Watchers must be gone. */
void watch_table_deinit(struct watch_table *table);

void watch_table_init_watcher(struct watcher *watcher);

/* Removes all its watches. */
void watch_table_drop_watcher(struct watch_table *table, struct watcher *watcher);

/* Adds a mode to the watcher's watch on path. ERR_NO_MEMORY, ERR_LIMIT: watch_count_max. */
MUST_CHECK enum err watch_table_add(struct watch_table *table, enum watch_kind kind,
                                    struct watcher *watcher, struct slice path,
                                    enum watch_mode mode);

/* Whether the watcher has a watch on path in one of the modes. */
bool watch_table_has(const struct watch_table *table, enum watch_kind kind,
                     const struct watcher *watcher, struct slice path, uint8_t modes);

/* Takes modes from the watcher's watch on path; false: it had none of them. */
bool watch_table_remove(struct watch_table *table, enum watch_kind kind, struct watcher *watcher,
                        struct slice path, uint8_t modes);

/* A new round: in one round each watcher is told at most once. */
void watch_table_begin_round(struct watch_table *table);

/* Tells whoever watches event->path, and for data watches whoever watches it recursively; standard
 * watches on the path are used up, also those of watchers that were told before in this round. */
void watch_table_fire(struct watch_table *table, enum watch_kind kind,
                      const struct watch_event *event, struct watch_sink *sink);

/* All watched paths in any order: start with *position zero and previous NULL. */
struct watched_path *watch_table_next_path(const struct watch_table *table, enum watch_kind kind,
                                           uint64_t *position, const struct watched_path *previous);

#endif
