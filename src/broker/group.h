/* A consumer group: its members, what they subscribe to, and where it stands in a rebalance.
 *
 *   EMPTY -> PREPARING (members join) -> COMPLETING (the leader assigns) -> STABLE
 *              ^__________________ somebody joins, leaves or dies _____________|
 *
 * These are the data and the questions to them; group_coordinator decides what happens.
 *
 * Memory: the heap, by copy; a group and each member are a few blocks. Shard: one owner.
 */
#ifndef BROKER_GROUP_H
#define BROKER_GROUP_H

#include "base/deadline_queue.h"
#include "base/hash_table.h"
#include "base/list.h"

struct group;
struct group_coordinator;

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING,  /* "PreparingRebalance" */
    GROUP_COMPLETING, /* "CompletingRebalance" */
    GROUP_STABLE,
    GROUP_DEAD
};

/* As clients and tools spell it. */
const char *group_state_text(enum group_state state);

struct group_protocol {
    struct slice name;
    struct slice metadata;
};

enum group_deadline_kind {
    GROUP_DEADLINE_JOIN,    /* The end of PREPARING. */
    GROUP_DEADLINE_SYNC,    /* The end of COMPLETING. */
    GROUP_DEADLINE_SESSION, /* Of a member. */
    GROUP_DEADLINE_PENDING  /* Of a member id that was given out. */
};

struct group_deadline {
    struct deadline deadline; /* In milliseconds. */
    enum group_deadline_kind kind;
};

struct group_member {
    struct hash_link hash; /* In the coordinator's members. */
    struct list link;      /* In group->members, in the order of joining. */
    struct group *group;
    struct slice id;          /* The four lie in one block. */
    struct slice instance_id; /* Null: a dynamic member. */
    struct slice client_id;
    struct slice client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    uint32_t protocol_count;
    struct group_protocol *protocols; /* In one block with their bytes. */
    struct slice assignment;          /* A block of its own, or empty. */
    void *join_ticket;                /* A JoinGroup that waits for its reply. */
    void *sync_ticket;                /* A SyncGroup that waits for its reply. */
    struct group_deadline session;
    struct slice former_id; /* Of a static member that has come back; a block of its own. */
    void *texts;
    bool is_new;           /* Has not been in a generation yet. */
    bool owes_sync;        /* Has joined the generation and not synced yet. */
    bool skips_assignment; /* Knows the word skip_assignment. */
};

/* A member id that was given out; its owner is to join with it. */
struct group_pending {
    struct list link; /* In group->pending. */
    struct group *group;
    struct slice id; /* Behind this struct. */
    struct group_deadline deadline;
};

struct group {
    struct hash_link hash; /* In the coordinator's groups. */
    struct list link;      /* In the coordinator's list. */
    struct group_coordinator *coordinator;
    struct slice id; /* Behind this struct. */
    enum group_state state;
    int32_t generation;
    struct slice protocol_type; /* Null: never had a member. A block of its own. */
    struct slice protocol;      /* Null: none is chosen. A block of its own. */
    struct group_member *leader;
    struct list members;
    struct list pending;
    struct list offsets; /* struct group_offset */
    uint32_t member_count;
    uint32_t joining_count; /* Members with a join_ticket. */
    uint32_t pending_count;
    uint32_t owing_count; /* Members with owes_sync. */
    uint32_t offset_count;
    int64_t changed_at_ms;       /* Wall clock: when it got its state. */
    struct group_deadline timer; /* JOIN or SYNC. */
    uint64_t
        initial_wait_left_ms; /* Of the first rebalance: how much longer newcomers may extend it. */
    bool is_initial;          /* The rebalance began with an empty group. */
    bool has_newcomer;        /* Since the timer was set. */
    bool is_storing;          /* Its record is on its way to the log. */
    uint32_t store_count;     /* Stores begun; tells an old one's end from the newest's. */
};

/* Whether this protocol type and at least one of the protocols suits all members. */
bool group_supports(const struct group *group, struct slice protocol_type,
                    const struct group_protocol *protocols, uint32_t protocol_count);

/* The protocol that all members know and most prefer. The group has members. */
struct slice group_choose_protocol(const struct group *group);

/* What the member said about the chosen protocol. */
struct slice group_member_metadata(const struct group_member *member, struct slice protocol);

/* Whether the member said exactly this before. */
bool group_member_matches(const struct group_member *member, const struct group_protocol *protocols,
                          uint32_t protocol_count);

/* The longest of the members'. */
int32_t group_rebalance_timeout_ms(const struct group *group);

struct group_member *group_static_member(const struct group *group, struct slice instance_id);
struct group_pending *group_pending_find(const struct group *group, struct slice member_id);

static inline bool group_has_all_joined(const struct group *group)
{
    return group->joining_count == group->member_count && group->pending_count == 0;
}

static inline bool group_can_rebalance(const struct group *group)
{
    return group->state == GROUP_EMPTY || group->state == GROUP_COMPLETING ||
           group->state == GROUP_STABLE;
}

#endif
