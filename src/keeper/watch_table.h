/* Which connections want to know about which paths, and what they are told.
 *
 * Two kinds of watches, as clients can tell them apart: data watches (exists, getData) and child
 * watches (getChildren). A standard watch fires once; a persistent one stays; a recursive one,
 * always a data watch, stays and covers all descendants. One connection has at most one watch of a
 * kind on a path, which may be in several modes. Watches belong to a connection, not to a session.
 *
 * A write may fire a million watches. What is above the budget is owed: it waits in firings, in
 * order, until watch_table_tell_some comes to it, or until its watcher is told everything because
 * an answer is about to be sent to it.
 *
 *   firings:  [ 7: /a changed ] [ 8: /b changed ] [ 9: /a deleted ]     watcher->told_firing: 8
 *
 * Memory: a piece of the slab for each watch, each watched path and each firing; buckets from the
 * heap.
 * Shard: one owner.
 */
#ifndef KEEPER_WATCH_TABLE_H
#define KEEPER_WATCH_TABLE_H

#include "base/hash_table.h"
#include "base/slab.h"
#include "keeper/acl_table.h"

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
    struct slice path;     /* Lent for the call. */
    int64_t zxid;          /* Of the transaction; -1: catching up after a reconnect. */
    struct acl_entry *acl; /* Who may read the znode may hear of it; NULL: everybody. */
};

/* Whoever watches: a part of a connection. */
struct watcher {
    struct list watches;
    uint32_t watch_count[watch_kind_count];
    uint64_t told_round;  /* The round of firing in which it was told last. */
    uint64_t told_firing; /* It is owed nothing of the firings up to this number. */
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
    enum watch_kind kind;
    uint32_t firing_count; /* Firings that refer to it. */
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

/* An event that watchers of a path are owed. */
struct watch_firing {
    struct list link; /* In table->firings. */
    uint64_t number;
    uint64_t round;
    struct watched_path *path;
    uint64_t left;            /* So many of its watches have not been looked at. */
    bool is_recursive;        /* For the recursive watches of an ancestor. */
    struct watch_event event; /* With a reference of its own to the access list. */
    uint8_t bytes[];          /* Of the event's path. */
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
    uint64_t budget; /* So many watches may still be fired at once. */
    struct list firings;
    uint64_t firing_last; /* The number of the last one. */
    struct acl_table *acls;
};

struct watch_table_options {
    uint64_t hash_seed;
    uint64_t watch_count_max;
    struct acl_table *acls; /* Keeps. Of the access lists in events. */
};

/* Keeps heap and slab. ERR_NO_MEMORY. */
MUST_CHECK enum err watch_table_init(struct watch_table *table, struct heap *heap,
                                     struct slab *slab, struct watch_table_options options);

/* Watchers must be gone. */
void watch_table_deinit(struct watch_table *table);

/* Moves a table without watches to another struct. Keeps slab and acls, as init does. */
void watch_table_move(struct watch_table *table, struct watch_table *from, struct slab *slab,
                      struct acl_table *acls);

void watch_table_init_watcher(struct watcher *watcher);

/* Removes all its watches. */
void watch_table_drop_watcher(struct watch_table *table, struct watcher *watcher);

/* Adds a mode to the watcher's watch on path; the watcher is owed nothing. ERR_NO_MEMORY,
 * ERR_LIMIT: watch_count_max. */
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
 * watches on the path are used up, also those of watchers that were told before in this round.
 * Beyond the budget it is owed. */
void watch_table_fire(struct watch_table *table, enum watch_kind kind,
                      const struct watch_event *event, struct watch_sink *sink);

/* How many watches may be fired at once from here on; UINT64_MAX, as at first: all. */
void watch_table_set_budget(struct watch_table *table, uint64_t watch_count);

/* Tells the watcher all that it is owed; how many events. Must precede whatever it is answered, and
 * any change of its watches. */
uint64_t watch_table_tell(struct watch_table *table, struct watcher *watcher,
                          struct watch_sink *sink);

/* Goes on with what is owed, until so many watches were looked at; true: there is more. */
bool watch_table_tell_some(struct watch_table *table, uint64_t watch_count,
                           struct watch_sink *sink);

/* All watched paths in any order: start with *position zero and previous NULL. */
struct watched_path *watch_table_next_path(const struct watch_table *table, enum watch_kind kind,
                                           uint64_t *position, const struct watched_path *previous);

#endif
