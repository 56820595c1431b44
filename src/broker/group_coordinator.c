#include "broker/group_coordinator.h"

#include "broker/group_member.h"
#include "broker/group_offsets.h"

#include <stdio.h>

enum { member_id_bytes_max = 512 };

/* ---- the table ---- */

static bool is_group(const struct hash_link *link, const void *key)
{
    const struct group *group = CONTAINER_OF(link, const struct group, hash);
    return slice_equal(group->id, *(const struct slice *)key);
}

enum err group_coordinator_init(struct group_coordinator *coordinator, struct heap *heap,
                                struct group_coordinator_options options,
                                struct group_effects effects)
{
    *coordinator = (struct group_coordinator){.heap = heap, .options = options, .effects = effects};
    list_init(&coordinator->all);
    deadline_queue_init(&coordinator->deadlines);
    enum err err = hash_table_init(&coordinator->groups, heap);
    if (err == ERR_OK)
        err = hash_table_init(&coordinator->members, heap);
    if (err == ERR_OK)
        err = hash_table_init(&coordinator->offsets, heap);
    return err;
}

struct group *group_coordinator_find(const struct group_coordinator *coordinator,
                                     struct slice group_id)
{
    struct hash_link *link =
        hash_table_find(&coordinator->groups, hash_bytes(group_id, coordinator->options.hash_seed),
                        is_group, &group_id);
    return link == NULL ? NULL : CONTAINER_OF(link, struct group, hash);
}

struct group *group_coordinator_take(struct group_coordinator *coordinator, struct slice group_id,
                                     struct group_now now)
{
    struct group *group = group_coordinator_find(coordinator, group_id);
    if (group != NULL)
        return group;
    group = heap_take_zeroed(coordinator->heap, sizeof *group + group_id.size);
    if (group == NULL)
        return NULL;
    if (group_id.size > 0)
        memcpy(group + 1, group_id.data, group_id.size);
    group->id = slice_of(group + 1, group_id.size);
    group->coordinator = coordinator;
    group->changed_at_ms = now.wall_ms;
    list_init(&group->members);
    list_init(&group->pending);
    list_init(&group->offsets);
    list_push(&coordinator->all, &group->link);
    hash_table_add(&coordinator->groups, &group->hash,
                   hash_bytes(group->id, coordinator->options.hash_seed));
    coordinator->group_count++;
    return group;
}

/* ---- deadlines ---- */

static void schedule(struct group_coordinator *coordinator, struct group_deadline *deadline,
                     enum group_deadline_kind kind, uint64_t at_ms)
{
    deadline_queue_remove(&coordinator->deadlines, &deadline->deadline);
    deadline->kind = kind;
    deadline_queue_add(&coordinator->deadlines, &deadline->deadline, at_ms);
}

static void unschedule(struct group_coordinator *coordinator, struct group_deadline *deadline)
{
    deadline_queue_remove(&coordinator->deadlines, &deadline->deadline);
}

static void restart_session(struct group_coordinator *coordinator, struct group_member *member,
                            struct group_now now)
{
    schedule(coordinator, &member->session, GROUP_DEADLINE_SESSION,
             now.ms + (uint64_t)member->session_timeout_ms);
}

static void set_state(struct group *group, enum group_state state, struct group_now now)
{
    group->state = state;
    group->changed_at_ms = now.wall_ms;
}

/* ---- answers ---- */

static struct group_joined join_error(enum error_code code, struct slice member_id)
{
    return (struct group_joined){
        .code = code, .generation = -1, .member_id = member_id, .leader_id = SLICE_LITERAL("")};
}

static void answer_join(struct group_coordinator *coordinator, struct group_member *member,
                        const struct group_joined *joined)
{
    void *ticket = member->join_ticket;
    if (ticket == NULL)
        return;
    member->join_ticket = NULL;
    assert(member->group->joining_count > 0);
    member->group->joining_count--;
    coordinator->effects.join_done(coordinator->effects.context, ticket, joined);
}

static void refuse_join(struct group_coordinator *coordinator, struct group_member *member,
                        enum error_code code)
{
    const struct group_joined joined = join_error(code, member->id);
    answer_join(coordinator, member, &joined);
}

static void answer_sync(struct group_coordinator *coordinator, struct group_member *member,
                        enum error_code code)
{
    void *ticket = member->sync_ticket;
    const struct group_synced synced = {
        .code = code,
        .assignment = code == KAFKA_NONE && !slice_is_null(member->assignment) ? member->assignment
                                                                               : SLICE_LITERAL(""),
        .group = code == KAFKA_NONE ? member->group : NULL};
    if (ticket == NULL)
        return;
    member->sync_ticket = NULL;
    coordinator->effects.sync_done(coordinator->effects.context, ticket, &synced);
}

/* The member's generation as it stands, to one that joins again or for the first time. */
static struct group_joined joined_now(const struct group_member *member)
{
    const struct group *group = member->group;
    return (struct group_joined){.code = KAFKA_NONE,
                                 .generation = group->generation,
                                 .member_id = member->id,
                                 .lists_members = group->leader == member,
                                 .leader_id = group->leader->id,
                                 .group = group};
}

static void hand_in_join(struct group_coordinator *coordinator, struct group_member *member,
                         void *ticket)
{
    /* A client that asks again has given up on its first request. */
    refuse_join(coordinator, member, KAFKA_REBALANCE_IN_PROGRESS);
    member->join_ticket = ticket;
    member->group->joining_count++;
}

static void drop_pending(struct group_coordinator *coordinator, struct group_pending *pending)
{
    unschedule(coordinator, &pending->deadline);
    list_remove(&pending->link);
    assert(pending->group->pending_count > 0);
    pending->group->pending_count--;
    heap_give(coordinator->heap, pending);
}

void group_coordinator_drop(struct group_coordinator *coordinator, struct group *group,
                            enum error_code code)
{
    group->state = GROUP_DEAD;
    list_each_safe (link, after, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        refuse_join(coordinator, member, code);
        answer_sync(coordinator, member, code);
        group_member_remove(coordinator, member);
    }
    list_each_safe (link, after, &group->pending)
        drop_pending(coordinator, CONTAINER_OF(link, struct group_pending, link));
    group_offsets_drop(coordinator, group);
    unschedule(coordinator, &group->timer);
    hash_table_remove(&coordinator->groups, &group->hash);
    list_remove(&group->link);
    coordinator->group_count--;
    group_text_clear(coordinator->heap, &group->protocol_type);
    group_text_clear(coordinator->heap, &group->protocol);
    heap_give(coordinator->heap, group);
}

void group_coordinator_deinit(struct group_coordinator *coordinator)
{
    if (coordinator->heap == NULL)
        return;
    list_each_safe (link, after, &coordinator->all)
        group_coordinator_drop(coordinator, CONTAINER_OF(link, struct group, link),
                               KAFKA_COORDINATOR_NOT_AVAILABLE);
    hash_table_deinit(&coordinator->groups);
    hash_table_deinit(&coordinator->members);
    hash_table_deinit(&coordinator->offsets);
}

/* ---- rebalances ---- */

static void store(struct group_coordinator *coordinator, struct group *group)
{
    group->is_storing = true;
    coordinator->effects.store(coordinator->effects.context, group, ++group->store_count);
}

static void forget_syncs(struct group_coordinator *coordinator, struct group *group)
{
    unschedule(coordinator, &group->timer);
    group->owing_count = 0;
    list_each (link, &group->members)
        CONTAINER_OF(link, struct group_member, link)->owes_sync = false;
}

/* The generation's assignment is void: those who wait for theirs must join again. */
static void reset_assignments(struct group_coordinator *coordinator, struct group *group,
                              enum error_code code, struct group_now now)
{
    list_each (link, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        const bool waits = member->sync_ticket != NULL;
        group_text_clear(coordinator->heap, &member->assignment);
        answer_sync(coordinator, member, code);
        if (waits)
            restart_session(coordinator, member, now);
    }
}

/* Members that have not come back are out, but for static ones, whose session decides. */
static void remove_absent(struct group_coordinator *coordinator, struct group *group)
{
    list_each_safe (link, after, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        if (member->join_ticket == NULL && slice_is_null(member->instance_id))
            group_member_remove(coordinator, member);
    }
}

/* False: no member has come back, so nobody can lead. */
static bool elect_joined_leader(struct group *group)
{
    if (group->leader == NULL || group->leader->join_ticket != NULL)
        return true;
    list_each (link, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        if (member->join_ticket != NULL) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void begin_generation(struct group_coordinator *coordinator, struct group *group,
                             struct group_now now)
{
    set_state(group, GROUP_COMPLETING, now);
    list_each (link, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        const struct group_joined joined = joined_now(member);
        member->is_new = false;
        member->owes_sync = true;
        group->owing_count++;
        answer_join(coordinator, member, &joined);
        restart_session(coordinator, member, now);
    }
    schedule(coordinator, &group->timer, GROUP_DEADLINE_SYNC,
             now.ms + (uint64_t)group_rebalance_timeout_ms(group));
}

static void complete_join(struct group_coordinator *coordinator, struct group *group,
                          struct group_now now)
{
    assert(group->state == GROUP_PREPARING);
    remove_absent(coordinator, group);
    unschedule(coordinator, &group->timer);
    if (!elect_joined_leader(group)) {
        schedule(coordinator, &group->timer, GROUP_DEADLINE_JOIN,
                 now.ms + (uint64_t)group_rebalance_timeout_ms(group));
        return;
    }
    group->generation++;
    if (group->member_count == 0) {
        group_text_clear(coordinator->heap, &group->protocol);
        set_state(group, GROUP_EMPTY, now);
        store(coordinator, group);
        return;
    }
    if (!group_text_set(coordinator->heap, &group->protocol, group_choose_protocol(group))) {
        reset_assignments(coordinator, group, KAFKA_COORDINATOR_NOT_AVAILABLE, now);
        schedule(coordinator, &group->timer, GROUP_DEADLINE_JOIN, now.ms + 1000);
        return;
    }
    begin_generation(coordinator, group, now);
}

static void try_complete_join(struct group_coordinator *coordinator, struct group *group,
                              struct group_now now)
{
    if (group->state == GROUP_PREPARING && !group->is_initial && group_has_all_joined(group))
        complete_join(coordinator, group, now);
}

static void prepare_rebalance(struct group_coordinator *coordinator, struct group *group,
                              struct group_now now)
{
    const uint64_t timeout_ms = (uint64_t)group_rebalance_timeout_ms(group);
    uint64_t wait_ms = timeout_ms;
    if (group->state == GROUP_COMPLETING)
        reset_assignments(coordinator, group, KAFKA_REBALANCE_IN_PROGRESS, now);
    forget_syncs(coordinator, group);
    group->is_storing = false; /* What is on its way to the log belongs to the old generation. */
    group->store_count++;
    group->is_initial = group->state == GROUP_EMPTY;
    if (group->is_initial) {
        wait_ms = (uint64_t)coordinator->options.initial_rebalance_delay_ms;
        group->initial_wait_left_ms = timeout_ms > wait_ms ? timeout_ms - wait_ms : 0;
        group->has_newcomer = false;
    }
    set_state(group, GROUP_PREPARING, now);
    schedule(coordinator, &group->timer, GROUP_DEADLINE_JOIN, now.ms + wait_ms);
    try_complete_join(coordinator, group, now);
}

static void maybe_prepare(struct group_coordinator *coordinator, struct group *group,
                          struct group_now now)
{
    if (group_can_rebalance(group))
        prepare_rebalance(coordinator, group, now);
    else
        try_complete_join(coordinator, group, now);
}

static void remove_and_rebalance(struct group_coordinator *coordinator, struct group_member *member,
                                 struct group_now now)
{
    struct group *group = member->group;
    const struct group_joined joined = join_error(KAFKA_UNKNOWN_MEMBER_ID, SLICE_LITERAL(""));
    answer_join(coordinator, member, &joined);
    answer_sync(coordinator, member, KAFKA_UNKNOWN_MEMBER_ID);
    group_member_remove(coordinator, member);
    if (group->state != GROUP_EMPTY)
        maybe_prepare(coordinator, group, now);
}

/* ---- joining ---- */

/* NONE, or why this caller is not the member it says. */
static enum error_code check_member(const struct group_coordinator *coordinator,
                                    const struct group *group, struct slice member_id,
                                    struct slice instance_id)
{
    if (!slice_is_null(instance_id)) {
        const struct group_member *owner = group_static_member(group, instance_id);
        if (owner == NULL)
            return KAFKA_UNKNOWN_MEMBER_ID;
        if (!slice_equal(owner->id, member_id))
            return KAFKA_FENCED_INSTANCE_ID;
    }
    return group_member_find(coordinator, group, member_id) == NULL ? KAFKA_UNKNOWN_MEMBER_ID
                                                                    : KAFKA_NONE;
}

static bool has_room(const struct group_coordinator *coordinator, const struct group *group,
                     const struct group_join *join)
{
    const uint32_t limit = coordinator->options.member_count_max;
    const struct group_member *member = group_member_find(coordinator, group, join->member_id);
    switch (group->state) {
    case GROUP_EMPTY:
    case GROUP_DEAD: return true;
    case GROUP_PREPARING:
        return (member != NULL && member->join_ticket != NULL) || group->joining_count < limit;
    case GROUP_COMPLETING:
    case GROUP_STABLE: return member != NULL || group->member_count < limit;
    }
    return false;
}

/* "<client or instance id>-<uuid>", into text. */
static struct slice make_member_id(const struct group_join *join, char *text, size_t capacity)
{
    const struct slice name =
        slice_is_null(join->instance_id) ? join->client_id : join->instance_id;
    const struct slice shown = slice_of(name.data, min_size(name.size, 256));
    const uint8_t *e = join->entropy;
    const int size = snprintf(
        text, capacity,
        "%" SLICE_FORMAT "-%02x%02x%02x%02x-%02x%02x-4%x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
        SLICE_ARGS(shown), e[0], e[1], e[2], e[3], e[4], e[5], (unsigned)(e[6] & 0x0f), e[7],
        (unsigned)((e[8] & 0x3f) | 0x80), e[9], e[10], e[11], e[12], e[13], e[14], e[15]);
    assert(size > 0 && (size_t)size < capacity);
    return slice_of(text, (size_t)size);
}

static bool add_pending(struct group_coordinator *coordinator, struct group *group,
                        const struct group_join *join, struct slice member_id, struct group_now now,
                        struct group_joined *joined)
{
    struct group_pending *pending =
        heap_take_zeroed(coordinator->heap, sizeof *pending + member_id.size);
    if (pending == NULL) {
        *joined = join_error(KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return true;
    }
    memcpy(pending + 1, member_id.data, member_id.size);
    pending->group = group;
    pending->id = slice_of(pending + 1, member_id.size);
    list_push(&group->pending, &pending->link);
    group->pending_count++;
    schedule(coordinator, &pending->deadline, GROUP_DEADLINE_PENDING,
             now.ms + (uint64_t)join->session_timeout_ms);
    *joined = join_error(KAFKA_MEMBER_ID_REQUIRED, pending->id);
    return true;
}

static bool add_member(struct group_coordinator *coordinator, struct group *group,
                       const struct group_join *join, struct slice member_id, struct group_now now,
                       struct group_joined *joined)
{
    const struct group_member_spec spec = {.id = member_id,
                                           .instance_id = join->instance_id,
                                           .client_id = join->client_id,
                                           .client_host = join->client_host,
                                           .session_timeout_ms = join->session_timeout_ms,
                                           .rebalance_timeout_ms = join->rebalance_timeout_ms};
    struct group_pending *pending = group_pending_find(group, member_id);
    struct group_member *member = NULL;
    if (group->member_count > 0 ||
        group_text_set(coordinator->heap, &group->protocol_type, join->protocol_type))
        member = group_member_add(coordinator, group, &spec, join->protocols, join->protocol_count);
    if (member == NULL) {
        *joined = join_error(KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return true;
    }
    if (pending != NULL)
        drop_pending(coordinator, pending);
    member->is_new = true;
    member->skips_assignment = join->skips_assignment;
    if (group->state == GROUP_PREPARING && group->is_initial)
        group->has_newcomer = true;
    hand_in_join(coordinator, member, join->ticket);
    schedule(coordinator, &member->session, GROUP_DEADLINE_SESSION, now.ms + group_new_member_ms);
    maybe_prepare(coordinator, group, now);
    return false;
}

static bool update_member(struct group_coordinator *coordinator, struct group_member *member,
                          const struct group_join *join, struct group_now now,
                          struct group_joined *joined)
{
    if (!group_member_set_protocols(coordinator, member, join->protocols, join->protocol_count)) {
        *joined = join_error(KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return true;
    }
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    member->skips_assignment = join->skips_assignment;
    hand_in_join(coordinator, member, join->ticket);
    maybe_prepare(coordinator, member->group, now);
    return false;
}

/* A static member comes back under a new id: without a rebalance if nothing else has changed. */
static bool replace_static(struct group_coordinator *coordinator, struct group_member *member,
                           const struct group_join *join, struct slice member_id,
                           struct group_now now, struct group_joined *joined)
{
    struct group *group = member->group;
    refuse_join(coordinator, member, KAFKA_FENCED_INSTANCE_ID);
    answer_sync(coordinator, member, KAFKA_FENCED_INSTANCE_ID);
    if (!group_member_rename(coordinator, member, member_id) ||
        !group_member_set_protocols(coordinator, member, join->protocols, join->protocol_count)) {
        *joined = join_error(KAFKA_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return true;
    }
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    member->skips_assignment = join->skips_assignment;
    hand_in_join(coordinator, member, join->ticket);
    restart_session(coordinator, member, now);
    if (group->state == GROUP_STABLE && slice_equal(group_choose_protocol(group), group->protocol))
        store(coordinator, group); /* The reply follows when the new id is stored. */
    else
        maybe_prepare(coordinator, group, now);
    return false;
}

static bool join_new(struct group_coordinator *coordinator, struct group *group,
                     const struct group_join *join, struct group_now now,
                     struct group_joined *joined)
{
    char text[member_id_bytes_max];
    const struct slice member_id = make_member_id(join, text, sizeof text);
    struct group_member *former = group_static_member(group, join->instance_id);
    if (former != NULL)
        return replace_static(coordinator, former, join, member_id, now, joined);
    if (slice_is_null(join->instance_id) && join->id_required)
        return add_pending(coordinator, group, join, member_id, now, joined);
    return add_member(coordinator, group, join, member_id, now, joined);
}

static bool join_again(struct group_coordinator *coordinator, struct group *group,
                       const struct group_join *join, struct group_now now,
                       struct group_joined *joined)
{
    if (group_pending_find(group, join->member_id) != NULL)
        return add_member(coordinator, group, join, join->member_id, now, joined);
    const enum error_code code =
        check_member(coordinator, group, join->member_id, join->instance_id);
    if (code != KAFKA_NONE) {
        *joined = join_error(code, join->member_id);
        return true;
    }
    struct group_member *member = group_member_find(coordinator, group, join->member_id);
    const bool is_same = group_member_matches(member, join->protocols, join->protocol_count);
    switch (group->state) {
    case GROUP_PREPARING: return update_member(coordinator, member, join, now, joined);
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        /* A leader that joins a stable group wants a rebalance; anybody else may have missed its
         * reply. */
        if (!is_same || (group->state == GROUP_STABLE && group->leader == member))
            return update_member(coordinator, member, join, now, joined);
        restart_session(coordinator, member, now);
        *joined = joined_now(member);
        return true;
    case GROUP_EMPTY:
    case GROUP_DEAD: break;
    }
    *joined = join_error(KAFKA_UNKNOWN_MEMBER_ID, join->member_id);
    return true;
}

static bool join_group(struct group_coordinator *coordinator, struct group *group,
                       const struct group_join *join, struct group_now now,
                       struct group_joined *joined)
{
    if (!has_room(coordinator, group, join)) {
        struct group_member *member = group_member_find(coordinator, group, join->member_id);
        *joined = join_error(KAFKA_GROUP_MAX_SIZE_REACHED, SLICE_LITERAL(""));
        if (member != NULL)
            remove_and_rebalance(coordinator, member, now);
        return true;
    }
    if (join->protocol_count > group_protocol_count_max ||
        !group_supports(group, join->protocol_type, join->protocols, join->protocol_count)) {
        *joined = join_error(KAFKA_INCONSISTENT_GROUP_PROTOCOL, join->member_id);
        return true;
    }
    return join->member_id.size == 0 ? join_new(coordinator, group, join, now, joined)
                                     : join_again(coordinator, group, join, now, joined);
}

bool group_coordinator_join(struct group_coordinator *coordinator, const struct group_join *join,
                            struct group_now now, struct group_joined *joined)
{
    const struct group_coordinator_options *options = &coordinator->options;
    if (join->group_id.size == 0) {
        *joined = join_error(KAFKA_INVALID_GROUP_ID, join->member_id);
        return true;
    }
    if (join->session_timeout_ms < options->session_timeout_ms_min ||
        join->session_timeout_ms > options->session_timeout_ms_max) {
        *joined = join_error(KAFKA_INVALID_SESSION_TIMEOUT, join->member_id);
        return true;
    }
    struct group *group = join->member_id.size == 0
                              ? group_coordinator_take(coordinator, join->group_id, now)
                              : group_coordinator_find(coordinator, join->group_id);
    if (group == NULL) {
        *joined = join_error(join->member_id.size == 0 ? KAFKA_COORDINATOR_NOT_AVAILABLE
                                                       : KAFKA_UNKNOWN_MEMBER_ID,
                             join->member_id);
        return true;
    }
    return join_group(coordinator, group, join, now, joined);
}

/* ---- syncing ---- */

static enum error_code check_sync(const struct group_coordinator *coordinator,
                                  const struct group *group, const struct group_sync *sync)
{
    const struct group_caller *caller = &sync->caller;
    const enum error_code code =
        check_member(coordinator, group, caller->member_id, caller->instance_id);
    if (code != KAFKA_NONE)
        return code;
    if (caller->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    if (!slice_is_null(sync->protocol_type) &&
        !slice_equal(sync->protocol_type, group->protocol_type))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (!slice_is_null(sync->protocol) && !slice_equal(sync->protocol, group->protocol))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

static void settle_sync(struct group_member *member)
{
    struct group *group = member->group;
    if (!member->owes_sync)
        return;
    member->owes_sync = false;
    assert(group->owing_count > 0);
    group->owing_count--;
    if (group->owing_count == 0)
        unschedule(group->coordinator, &group->timer);
}

/* The leader's word: members that it does not name get nothing. */
static bool take_assignments(struct group_coordinator *coordinator, struct group *group,
                             const struct group_sync *sync)
{
    list_each (link, &group->members)
        group_text_clear(coordinator->heap,
                         &CONTAINER_OF(link, struct group_member, link)->assignment);
    for (uint32_t i = 0; i < sync->assignment_count; i++) {
        struct group_member *member =
            group_member_find(coordinator, group, sync->assignments[i].member_id);
        if (member != NULL &&
            !group_member_set_assignment(coordinator, member, sync->assignments[i].bytes))
            return false;
    }
    return true;
}

static struct group_synced sync_error(enum error_code code)
{
    return (struct group_synced){.code = code, .assignment = SLICE_LITERAL("")};
}

static bool sync_completing(struct group_coordinator *coordinator, struct group_member *member,
                            const struct group_sync *sync, struct group_synced *synced)
{
    struct group *group = member->group;
    answer_sync(coordinator, member, KAFKA_REBALANCE_IN_PROGRESS); /* It has given up on it. */
    settle_sync(member);
    if (group->leader == member && !group->is_storing &&
        !take_assignments(coordinator, group, sync)) {
        *synced = sync_error(KAFKA_COORDINATOR_NOT_AVAILABLE);
        return true;
    }
    member->sync_ticket = sync->ticket;
    if (group->leader == member && !group->is_storing)
        store(coordinator, group);
    return false;
}

bool group_coordinator_sync(struct group_coordinator *coordinator, const struct group_sync *sync,
                            struct group_now now, struct group_synced *synced)
{
    const struct group_caller *caller = &sync->caller;
    struct group *group = group_coordinator_find(coordinator, caller->group_id);
    enum error_code code = KAFKA_UNKNOWN_MEMBER_ID;
    if (caller->group_id.size == 0)
        code = KAFKA_INVALID_GROUP_ID;
    else if (group != NULL)
        code = check_sync(coordinator, group, sync);
    if (code != KAFKA_NONE) {
        *synced = sync_error(code);
        return true;
    }
    struct group_member *member = group_member_find(coordinator, group, caller->member_id);
    if (group->state == GROUP_COMPLETING)
        return sync_completing(coordinator, member, sync, synced);
    assert(group->state == GROUP_STABLE); /* An empty group has no members. */
    settle_sync(member);
    restart_session(coordinator, member, now);
    *synced = (struct group_synced){
        .code = KAFKA_NONE,
        .assignment = slice_is_null(member->assignment) ? SLICE_LITERAL("") : member->assignment,
        .group = group};
    return true;
}

/* Static members that came back while the group was stable. */
static void answer_replaced(struct group_coordinator *coordinator, struct group *group,
                            enum error_code code)
{
    list_each (link, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        struct group_joined joined = joined_now(member);
        if (member->join_ticket == NULL)
            continue;
        if (code != KAFKA_NONE)
            joined = join_error(code, SLICE_LITERAL(""));
        else if (member->skips_assignment)
            joined.skip_assignment = joined.lists_members;
        else if (joined.lists_members) {
            /* An old client that heard that it leads would assign anew. */
            joined.lists_members = false;
            joined.leader_id = member->former_id;
        }
        answer_join(coordinator, member, &joined);
        group_text_clear(coordinator->heap, &member->former_id);
    }
}

void group_coordinator_stored(struct group_coordinator *coordinator, struct group *group,
                              uint32_t store_number, enum error_code code, struct group_now now)
{
    if (store_number != group->store_count)
        return; /* A newer one is on its way. */
    group->is_storing = false;
    if (group->state == GROUP_STABLE)
        answer_replaced(coordinator, group, code);
    if (group->state != GROUP_COMPLETING)
        return;
    if (code != KAFKA_NONE) {
        reset_assignments(coordinator, group, code, now);
        maybe_prepare(coordinator, group, now);
        return;
    }
    set_state(group, GROUP_STABLE, now);
    list_each (link, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        if (member->sync_ticket == NULL)
            continue;
        answer_sync(coordinator, member, KAFKA_NONE);
        restart_session(coordinator, member, now);
    }
}

/* ---- the rest of a member's life ---- */

enum error_code group_coordinator_heartbeat(struct group_coordinator *coordinator,
                                            const struct group_caller *caller, struct group_now now)
{
    const struct group *group = group_coordinator_find(coordinator, caller->group_id);
    if (caller->group_id.size == 0)
        return KAFKA_INVALID_GROUP_ID;
    if (group == NULL)
        return KAFKA_UNKNOWN_MEMBER_ID;
    const enum error_code code =
        check_member(coordinator, group, caller->member_id, caller->instance_id);
    if (code != KAFKA_NONE)
        return code;
    if (caller->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    restart_session(coordinator, group_member_find(coordinator, group, caller->member_id), now);
    return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

enum error_code group_coordinator_leave(struct group_coordinator *coordinator,
                                        const struct group_caller *caller, struct group_now now)
{
    struct group *group = group_coordinator_find(coordinator, caller->group_id);
    if (group == NULL)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (caller->member_id.size == 0 && !slice_is_null(caller->instance_id)) {
        struct group_member *member = group_static_member(group, caller->instance_id);
        if (member == NULL)
            return KAFKA_UNKNOWN_MEMBER_ID;
        remove_and_rebalance(coordinator, member, now);
        return KAFKA_NONE;
    }
    struct group_pending *pending = group_pending_find(group, caller->member_id);
    if (pending != NULL) {
        drop_pending(coordinator, pending);
        try_complete_join(coordinator, group, now);
        return KAFKA_NONE;
    }
    const enum error_code code =
        check_member(coordinator, group, caller->member_id, caller->instance_id);
    if (code == KAFKA_NONE)
        remove_and_rebalance(coordinator, group_member_find(coordinator, group, caller->member_id),
                             now);
    return code;
}

static enum error_code check_committer(const struct group_coordinator *coordinator,
                                       const struct group *group, const struct group_caller *caller)
{
    if (caller->generation < 0 && group->state == GROUP_EMPTY)
        return KAFKA_NONE; /* A consumer that keeps its offsets here and joins no group. */
    if (caller->generation < 0 && caller->member_id.size == 0 && slice_is_null(caller->instance_id))
        return KAFKA_UNKNOWN_MEMBER_ID;
    const enum error_code code =
        check_member(coordinator, group, caller->member_id, caller->instance_id);
    if (code != KAFKA_NONE)
        return code;
    if (caller->generation != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    return group->state == GROUP_COMPLETING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

enum error_code group_coordinator_check_commit(struct group_coordinator *coordinator,
                                               const struct group_caller *caller,
                                               struct group_now now, struct group **group)
{
    *group = group_coordinator_find(coordinator, caller->group_id);
    if (*group == NULL && caller->generation >= 0)
        return KAFKA_ILLEGAL_GENERATION;
    if (*group == NULL)
        *group = group_coordinator_take(coordinator, caller->group_id, now);
    if (*group == NULL)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    const enum error_code code = check_committer(coordinator, *group, caller);
    struct group_member *member = group_member_find(coordinator, *group, caller->member_id);
    if (code == KAFKA_NONE && member != NULL)
        restart_session(coordinator, member, now);
    return code;
}

/* ---- time ---- */

static void on_join_due(struct group_coordinator *coordinator, struct group *group,
                        struct group_now now)
{
    const uint64_t delay_ms = (uint64_t)coordinator->options.initial_rebalance_delay_ms;
    if (group->is_initial && group->has_newcomer && group->initial_wait_left_ms > 0) {
        const uint64_t wait_ms = min_u64(delay_ms, group->initial_wait_left_ms);
        group->has_newcomer = false;
        group->initial_wait_left_ms -= wait_ms;
        schedule(coordinator, &group->timer, GROUP_DEADLINE_JOIN, now.ms + wait_ms);
        return;
    }
    complete_join(coordinator, group, now);
}

/* Those who joined the generation and never asked for their assignment are out. */
static void on_sync_due(struct group_coordinator *coordinator, struct group *group,
                        struct group_now now)
{
    if (group->owing_count == 0)
        return;
    list_each_safe (link, after, &group->members) {
        struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        if (member->owes_sync && member->join_ticket == NULL && member->sync_ticket == NULL)
            group_member_remove(coordinator, member);
    }
    maybe_prepare(coordinator, group, now);
}

static void on_session_due(struct group_coordinator *coordinator, struct group_member *member,
                           struct group_now now)
{
    /* While a reply is owed to a member, it has no way to show that it lives. */
    if (!member->is_new && (member->join_ticket != NULL || member->sync_ticket != NULL))
        return;
    remove_and_rebalance(coordinator, member, now);
}

static void on_due(struct group_coordinator *coordinator, struct group_deadline *due,
                   struct group_now now)
{
    switch (due->kind) {
    case GROUP_DEADLINE_JOIN:
        on_join_due(coordinator, CONTAINER_OF(due, struct group, timer), now);
        return;
    case GROUP_DEADLINE_SYNC:
        on_sync_due(coordinator, CONTAINER_OF(due, struct group, timer), now);
        return;
    case GROUP_DEADLINE_SESSION:
        on_session_due(coordinator, CONTAINER_OF(due, struct group_member, session), now);
        return;
    case GROUP_DEADLINE_PENDING: {
        struct group_pending *pending = CONTAINER_OF(due, struct group_pending, deadline);
        struct group *group = pending->group;
        drop_pending(coordinator, pending);
        try_complete_join(coordinator, group, now);
        return;
    }
    }
    assert(false && "a kind of deadline");
}

void group_coordinator_tick(struct group_coordinator *coordinator, struct group_now now)
{
    struct deadline *due;
    while ((due = deadline_queue_pop(&coordinator->deadlines, now.ms)) != NULL)
        on_due(coordinator, CONTAINER_OF(due, struct group_deadline, deadline), now);
}

uint64_t group_coordinator_next_ms(const struct group_coordinator *coordinator)
{
    const struct deadline *first = deadline_queue_first(&coordinator->deadlines);
    return first == NULL ? UINT64_MAX : first->at;
}

/* ---- loading ---- */

enum err group_coordinator_load(struct group_coordinator *coordinator,
                                const struct group_record *record, struct group_now now)
{
    struct group *group = group_coordinator_take(coordinator, record->group_id, now);
    if (group == NULL)
        return ERR_NO_MEMORY;
    list_each_safe (link, after, &group->members)
        group_member_remove(coordinator, CONTAINER_OF(link, struct group_member, link));
    group->generation = record->generation;
    group->state = record->member_count == 0 ? GROUP_EMPTY : GROUP_STABLE;
    if (record->changed_at_ms >= 0)
        group->changed_at_ms = record->changed_at_ms;
    const struct slice type = record->protocol_type.size == 0 ? SLICE_NULL : record->protocol_type;
    if (!group_text_set(coordinator->heap, &group->protocol_type, type) ||
        !group_text_set(coordinator->heap, &group->protocol, record->protocol))
        return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < record->member_count; i++) {
        const struct group_member_record *from = &record->members[i];
        const struct group_member_spec spec = {.id = from->id,
                                               .instance_id = from->instance_id,
                                               .client_id = from->client_id,
                                               .client_host = from->client_host,
                                               .session_timeout_ms = from->session_timeout_ms,
                                               .rebalance_timeout_ms = from->rebalance_timeout_ms};
        const struct group_protocol protocol = {slice_is_null(record->protocol) ? SLICE_LITERAL("")
                                                                                : record->protocol,
                                                from->subscription};
        struct group_member *member = group_member_add(coordinator, group, &spec, &protocol, 1);
        if (member == NULL || !group_member_set_assignment(coordinator, member, from->assignment))
            return ERR_NO_MEMORY;
        if (!slice_is_null(record->leader_id) && slice_equal(member->id, record->leader_id))
            group->leader = member;
        restart_session(coordinator, member, now);
    }
    return ERR_OK;
}
