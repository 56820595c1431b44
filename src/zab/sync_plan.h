/* How a leader brings a learner to its own history: by what the learner lacks (DIFF), by a cut and
 * what it lacks then (TRUNC), or by a snapshot (SNAP).
 *
 *   history:  [ journal ...........[ cache ........ last]
 *                  ^ previous  ^ peer?  ^ next
 *
 * A learner whose last transaction is in the history gets the rest. One that has a transaction that
 * is not there, where the history has another of the same epoch, is cut. The rules are Apache's.
 *
 * Memory: none. Shard: stateless.
 */
#ifndef ZAB_SYNC_PLAN_H
#define ZAB_SYNC_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum sync_plan_kind {
    SYNC_PLAN_DIFF,
    SYNC_PLAN_TRUNC,
    SYNC_PLAN_SNAP,
    SYNC_PLAN_ASK_JOURNAL, /* The neighbours of peer in the journal decide. */
};

enum { sync_plan_none = -1 };

struct sync_plan_neighbours {
    int64_t previous; /* The highest at or below peer; or none. */
    int64_t next;     /* The lowest above peer; or none. */
};

struct sync_plan_facts {
    int64_t peer;        /* The learner's last transaction. */
    int64_t last;        /* What the leader has come to. */
    int64_t cache_first; /* Of the newest transactions, in memory; none: it is empty. */
    int64_t cache_last;
    struct sync_plan_neighbours in_cache; /* Of peer. */
    bool forces_snapshot;
    bool may_read_journal; /* It is not too large to be worth it. */
};

struct sync_plan {
    enum sync_plan_kind kind;
    int64_t zxid; /* Of the packet; a snapshot's is known when it begins. */
    int64_t from; /* DIFF, TRUNC: all transactions behind this one follow. */
};

struct sync_plan sync_plan_choose(const struct sync_plan_facts *facts);

/* After SYNC_PLAN_ASK_JOURNAL. */
struct sync_plan sync_plan_choose_by_journal(const struct sync_plan_facts *facts,
                                             struct sync_plan_neighbours in_journal);

#endif
