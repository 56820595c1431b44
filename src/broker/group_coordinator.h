/* The coordinator of consumer groups: who is in a group, who leads it, and what each member is
 * assigned. The rules are those of Apache Kafka's classic groups.
 *
 * An event comes in with the time; what is to be done goes out through struct group_effects: a
 * reply to a member that waited, or a group to store. Replies to the caller itself are results.
 *
 *      JoinGroup  -> waits until every member has joined, or the longest rebalance timeout is over
 *      SyncGroup  -> waits for the leader's assignment to be stored
 *      Heartbeat, LeaveGroup -> answered at once
 *
 * Tickets are the caller's: one for each JoinGroup or SyncGroup that waits; each is answered
 * exactly once. All texts are copied.
 *
 * Memory: the heap; ERR-free: what does not fit is refused with COORDINATOR_NOT_AVAILABLE. Shard:
 * one owner.
 */
#ifndef BROKER_GROUP_COORDINATOR_H
#define BROKER_GROUP_COORDINATOR_H

#include "base/heap.h"
#include "base/uuid.h"
#include "broker/error_code.h"
#include "broker/group.h"

enum {
    group_protocol_count_max = 256, /* Of one member. */
    group_new_member_ms = 300000,   /* A newcomer that waits to join dies after this. */
};

struct group_joined {
    enum error_code code;
    int32_t generation; /* -1 with an error. */
    struct slice member_id;
    bool lists_members;        /* The member leads: group->members go into the reply. */
    bool skip_assignment;      /* The leader need not assign again. */
    struct slice leader_id;    /* Empty with an error. */
    const struct group *group; /* NULL: with an error. */
};

struct group_synced {
    enum error_code code;
    struct slice assignment;
    const struct group *group; /* NULL with an error. */
};

/* What to do. Nothing of it may call back into the coordinator, but for store, which must not fail:
 * group_coordinator_stored follows, not within store. Slices and structs are lent until return. */
struct group_effects {
    void *context;
    void (*join_done)(void *context, void *ticket, const struct group_joined *joined);
    void (*sync_done)(void *context, void *ticket, const struct group_synced *synced);
    void (*store)(void *context, struct group *group, uint32_t store_number);
};

struct group_coordinator_options {
    int32_t session_timeout_ms_min;
    int32_t session_timeout_ms_max;
    int32_t initial_rebalance_delay_ms;
    uint32_t member_count_max; /* Of one group. */
    uint64_t hash_seed;
};

struct group_coordinator {
    struct heap *heap;
    struct group_coordinator_options options;
    struct group_effects effects;
    struct hash_table groups;  /* By id. */
    struct hash_table members; /* By group and id. */
    struct hash_table offsets; /* By group, topic and partition: broker/group_offsets.h. */
    struct list all;           /* Groups, in the order of their making. */
    uint32_t group_count;
    struct deadline_queue deadlines;
};

/* Both clocks of an event. */
struct group_now {
    uint64_t ms;     /* Grows. */
    int64_t wall_ms; /* For what is stored and shown. */
};

/* ERR_NO_MEMORY. Keeps heap. */
MUST_CHECK enum err group_coordinator_init(struct group_coordinator *coordinator, struct heap *heap,
                                           struct group_coordinator_options options,
                                           struct group_effects effects);
void group_coordinator_deinit(struct group_coordinator *coordinator);

/* The group, or NULL. */
struct group *group_coordinator_find(const struct group_coordinator *coordinator,
                                     struct slice group_id);

/* The group, made if need be. NULL: no memory. */
struct group *group_coordinator_take(struct group_coordinator *coordinator, struct slice group_id,
                                     struct group_now now);

/* Forgets a group with its offsets; members that wait get COORDINATOR_NOT_AVAILABLE. */
void group_coordinator_drop(struct group_coordinator *coordinator, struct group *group,
                            enum error_code code);

struct group_join {
    struct slice group_id;
    struct slice member_id;   /* Empty: a new one. */
    struct slice instance_id; /* Null: a dynamic member. */
    struct slice client_id;
    struct slice client_host;
    struct slice protocol_type;
    const struct group_protocol *protocols;
    uint32_t protocol_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool id_required;       /* A new dynamic member is given its id first, and joins with it. */
    bool skips_assignment;  /* The client knows the word. */
    const uint8_t *entropy; /* 16 bytes, for a new member id. */
    void *ticket;
};

/* True: *joined is the answer (its slices lent until the next event); false: join_done will run,
 * maybe within this call. */
bool group_coordinator_join(struct group_coordinator *coordinator, const struct group_join *join,
                            struct group_now now, struct group_joined *joined);

struct group_assignment {
    struct slice member_id;
    struct slice bytes;
};

/* Who says it: every request of a member carries this. */
struct group_caller {
    struct slice group_id;
    struct slice member_id;
    struct slice instance_id; /* Null: none given. */
    int32_t generation;
};

struct group_sync {
    struct group_caller caller;
    struct slice protocol_type; /* Null: not said. */
    struct slice protocol;      /* The same. */
    const struct group_assignment *assignments;
    uint32_t assignment_count;
    void *ticket;
};

/* As group_coordinator_join. */
bool group_coordinator_sync(struct group_coordinator *coordinator, const struct group_sync *sync,
                            struct group_now now, struct group_synced *synced);

enum error_code group_coordinator_heartbeat(struct group_coordinator *coordinator,
                                            const struct group_caller *caller,
                                            struct group_now now);

/* One member leaves. KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID. An empty member id with an
 * instance id: whoever has it. */
enum error_code group_coordinator_leave(struct group_coordinator *coordinator,
                                        const struct group_caller *caller, struct group_now now);

/* Whether this caller may commit offsets now; counts as a heartbeat. Takes (makes) the group of a
 * consumer without members. *group is set with KAFKA_NONE. */
enum error_code group_coordinator_check_commit(struct group_coordinator *coordinator,
                                               const struct group_caller *caller,
                                               struct group_now now, struct group **group);

/* The end of a store effect, with the error that clients are to see. */
void group_coordinator_stored(struct group_coordinator *coordinator, struct group *group,
                              uint32_t store_number, enum error_code code, struct group_now now);

/* Does what is due. */
void group_coordinator_tick(struct group_coordinator *coordinator, struct group_now now);

/* When something will be due, in the ms of group_now; UINT64_MAX: nothing. */
uint64_t group_coordinator_next_ms(const struct group_coordinator *coordinator);

/* A group as the log has it: for loading. The caller adds its members. */
struct group_member_record {
    struct slice id;
    struct slice instance_id;
    struct slice client_id;
    struct slice client_host;
    int32_t rebalance_timeout_ms;
    int32_t session_timeout_ms;
    struct slice subscription;
    struct slice assignment;
};

struct group_record {
    struct slice group_id;
    struct slice protocol_type;
    int32_t generation;
    struct slice protocol;  /* Null: none. */
    struct slice leader_id; /* Null: none. */
    int64_t changed_at_ms;
    const struct group_member_record *members;
    uint32_t member_count;
};

/* ERR_NO_MEMORY: it is loaded in part. Sessions of members start now. */
MUST_CHECK enum err group_coordinator_load(struct group_coordinator *coordinator,
                                           const struct group_record *record, struct group_now now);

#endif
