/* Which connections want to know about which paths, and what they are told.
 *
 * Two tables, as clients can tell them apart: data watches (exists, getData) and child watches
 * (getChildren). A standard watch fires once; persistent ones stay; a recursive one covers all
 * descendants. Watches belong to a connection, not to a session.
 *
 * Memory: a block from the heap for each watch and each watched path. Shard: one owner.
 */
#ifndef KEEPER_WATCH_TABLE_H
#define KEEPER_WATCH_TABLE_H

#include "base/hash_table.h"
#include "base/list.h"
#include "keeper/acl.h"

enum watch_event_type {
    WATCH_EVENT_CREATED = 1,
    WATCH_EVENT_DELETED = 2,
    WATCH_EVENT_DATA_CHANGED = 3,
    WATCH_EVENT_CHILDREN_CHANGED = 4,
};

enum watch_mode {
    WATCH_MODE_STANDARD = 1,
    WATCH_MODE_PERSISTENT = 2,
    WATCH_MODE_RECURSIVE = 4,
};

enum watch_kind { WATCH_KIND_DATA, WATCH_KIND_CHILD, WATCH_KIND_COUNT };

/* What a connection is told; the protocol's state is always "connected" (3). */
struct watch_event {
    enum watch_event_type type;
    struct slice path; /* Lent for the call. */
    int64_t zxid;      /* Of the transaction; -1: catching up after a reconnect. */
};

/* Whoever watches: a part of a connection. */
struct watcher {
    struct list watches;
    uint64_t watch_count;
    int64_t told_zxid; /* The deletion that it was told last, so that it is told once. */
    uint64_t told_round;
};

/* Where fired events go. */
struct watch_sink {
    void (*on_watch)(struct watch_sink *sink, struct watcher *watcher,
                     const struct watch_event *event, struct acl_list acl);
};

struct watch_table {
    struct heap *heap;
    uint64_t hash_seed;
    uint64_t watch_count_max;
    struct hash_table paths[WATCH_KIND_COUNT];
    struct hash_table watches;
    uint64_t watch_count[WATCH_KIND_COUNT];
    uint64_t recursive_count;
    uint64_t round;
};

#endif
