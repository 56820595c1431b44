#include "zab/sync_plan.h"

static struct sync_plan plan_of(enum sync_plan_kind kind, int64_t zxid, int64_t from)
{
    return (struct sync_plan){.kind = kind, .zxid = zxid, .from = from};
}

static struct sync_plan snapshot(void)
{
    return plan_of(SYNC_PLAN_SNAP, sync_plan_none, sync_plan_none);
}

/* A zxid that no transaction has: an epoch that had begun. */
static bool is_beginning(int64_t zxid)
{
    return (uint32_t)zxid == 0;
}

/* The newest transaction; last may be the beginning of an epoch without any. */
static int64_t newest(const struct sync_plan_facts *facts)
{
    return facts->cache_last != sync_plan_none ? facts->cache_last : facts->last;
}

/* What the history says where the peer's last transaction should be. */
static struct sync_plan choose_at(const struct sync_plan_facts *facts,
                                  struct sync_plan_neighbours at)
{
    const int64_t peer = facts->peer;
    if (at.previous == peer || (is_beginning(peer) && at.previous != sync_plan_none))
        return plan_of(SYNC_PLAN_DIFF, newest(facts), peer);
    if (at.previous == sync_plan_none || at.next == sync_plan_none)
        return snapshot();
    /* A learner cannot be cut back into another epoch than that of what follows. */
    if (at.next >> 32 != peer >> 32)
        return snapshot();
    return plan_of(SYNC_PLAN_TRUNC, at.previous, at.previous);
}

struct sync_plan sync_plan_choose(const struct sync_plan_facts *facts)
{
    const int64_t oldest = facts->cache_first != sync_plan_none ? facts->cache_first : facts->last;
    if (facts->forces_snapshot)
        return snapshot();
    if (facts->peer == facts->last)
        return plan_of(SYNC_PLAN_DIFF, facts->peer, facts->peer);
    if (facts->peer > newest(facts))
        return is_beginning(facts->peer) ? snapshot()
                                         : plan_of(SYNC_PLAN_TRUNC, newest(facts), newest(facts));
    if (facts->peer >= oldest)
        return choose_at(facts, facts->in_cache);
    if (facts->may_read_journal)
        return plan_of(SYNC_PLAN_ASK_JOURNAL, sync_plan_none, sync_plan_none);
    return snapshot();
}

struct sync_plan sync_plan_choose_by_journal(const struct sync_plan_facts *facts,
                                             struct sync_plan_neighbours in_journal)
{
    return choose_at(facts, in_journal);
}
