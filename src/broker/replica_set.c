#include "broker/replica_set.h"

#include "base/assert.h"
#include "base/macros.h"
#include "broker/error_code.h"

static bool is_in_isr(const struct replica *replica)
{
    return replica->isr_place >= 0;
}

static bool contains(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static int16_t place_in(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return (int16_t)i;
    return -1;
}

static void check(const struct replica_set *set)
{
    uint32_t isr_count = 1;
    uint32_t assigned_count = 1;
    for (uint32_t i = 0; i < set->follower_count; i++) {
        const struct replica *replica = &set->followers[i];
        assert(replica->broker_id != set->broker_id);
        assert(!replica->is_leaving || set->change == REPLICA_CHANGE_LEAVE);
        isr_count += is_in_isr(replica);
        assigned_count += replica->is_assigned;
    }
    assert(set->isr_count == isr_count && set->assigned_count == assigned_count);
}

/* ---- the beginning of an epoch ---- */

size_t replica_set_bytes(const struct partition_state *state)
{
    const size_t count = (size_t)state->replica_count + state->isr_count;
    return sizeof(struct replica_set) + count * sizeof(struct replica);
}

static const struct replica *known_before(const struct replica_set *before, int32_t broker_id)
{
    for (uint32_t i = 0; before != NULL && i < before->follower_count; i++)
        if (before->followers[i].broker_id == broker_id)
            return &before->followers[i];
    return NULL;
}

static void add_follower(struct replica_set *set, const struct partition_state *state,
                         int32_t broker_id, struct replica_set_start start)
{
    if (broker_id == set->broker_id || known_before(set, broker_id) != NULL)
        return;
    struct replica *replica = &set->followers[set->follower_count++];
    const struct replica *before = known_before(start.before, broker_id);
    *replica = (struct replica){
        .broker_id = broker_id,
        .is_assigned = contains(state->replicas, state->replica_count, broker_id),
        .isr_place = place_in(state->isr, state->isr_count, broker_id),
        .broker_epoch = -1,
        .fetch_offset = -1,
        .log_start_offset = -1,
        .leader_end_offset = -1,
        .fetched_at_ms = replica_never_ms,
        .caught_up_at_ms = replica_never_ms,
    };
    list_init(&replica->awaited_link);
    if (is_in_isr(replica))
        replica->caught_up_at_ms = start.now_ms;
    set->isr_count += is_in_isr(replica);
    set->assigned_count += replica->is_assigned;
    if (before == NULL)
        return;
    /* Led before as well: what it had then it has now. */
    replica->broker_epoch = before->broker_epoch;
    replica->fetch_offset = before->fetch_offset;
    replica->log_start_offset = before->log_start_offset;
    replica->leader_end_offset = start.log_end_offset;
}

void replica_set_init(struct replica_set *set, const struct partition_state *state,
                      struct replica_set_start start)
{
    const int16_t own_place = place_in(state->isr, state->isr_count, start.broker_id);
    *set = (struct replica_set){
        .broker_id = start.broker_id,
        .leader_epoch = state->leader_epoch,
        .partition_epoch = state->partition_epoch,
        .isr_place = own_place >= 0 ? own_place : (int16_t)state->isr_count,
        .epoch_start_offset = start.log_end_offset,
        .epoch_start_ms = start.now_ms,
        .assigned_count = 1,
        .isr_count = 1,
        .joining = -1,
    };
    for (uint32_t i = 0; i < state->replica_count; i++)
        add_follower(set, state, state->replicas[i], start);
    for (uint32_t i = 0; i < state->isr_count; i++)
        add_follower(set, state, state->isr[i], start);
    check(set);
}

/* ---- the high watermark ---- */

int64_t replica_set_min_isr(const struct replica_set *set, int64_t min_isr)
{
    return min_i64(min_isr, set->assigned_count);
}

bool replica_set_is_under_min_isr(const struct replica_set *set, int64_t min_isr)
{
    return set->isr_count < replica_set_min_isr(set, min_isr);
}

bool replica_set_is_under_min_isr_after(const struct replica_set *set, int64_t min_isr)
{
    const uint32_t maximal_count = set->isr_count + (set->change == REPLICA_CHANGE_JOIN);
    return maximal_count < replica_set_min_isr(set, min_isr);
}

static bool is_caught_up(const struct replica *replica, const struct replica_facts *facts)
{
    return replica->fetch_offset == facts->log_end_offset ||
           facts->now_ms - replica->caught_up_at_ms <= facts->lag_ms_max;
}

/* Whether the high watermark must wait for it. One that is about to join is waited for, or it could
 * never catch up with a high watermark that runs away from it. */
static bool counts(const struct replica_set *set, const struct replica *replica,
                   const struct replica_facts *facts)
{
    if (!replica->is_assigned)
        return false;
    if (is_in_isr(replica) ||
        (set->change == REPLICA_CHANGE_JOIN && replica->broker_id == set->joining))
        return true;
    return is_caught_up(replica, facts) && facts->is_alive(facts->context, replica->broker_id);
}

int64_t replica_set_high_watermark(const struct replica_set *set, const struct replica_facts *facts)
{
    assert(facts->local_offset <= facts->log_end_offset);
    int64_t offset = facts->local_offset;
    if (replica_set_is_under_min_isr(set, facts->min_isr))
        return facts->high_watermark;
    for (uint32_t i = 0; i < set->follower_count; i++) {
        const struct replica *replica = &set->followers[i];
        if (replica->fetch_offset < offset && counts(set, replica, facts))
            offset = replica->fetch_offset;
    }
    return max_i64(offset, facts->high_watermark);
}

/* ---- fetches ---- */

struct replica *replica_set_find(struct replica_set *set, int32_t broker_id)
{
    for (uint32_t i = 0; i < set->follower_count; i++)
        if (set->followers[i].broker_id == broker_id && set->followers[i].is_assigned)
            return &set->followers[i];
    return NULL;
}

bool replica_set_on_fetch(struct replica_set *set, struct replica *replica,
                          struct replica_fetch fetch, const struct replica_facts *facts)
{
    assert(replica >= set->followers && replica < set->followers + set->follower_count);
    if (fetch.broker_epoch >= 0 && fetch.broker_epoch < replica->broker_epoch)
        return false;
    /* What it asks for now it had not yet when it asked before: if that is all that the leader had
     * then, it was caught up at that time. */
    if (fetch.fetch_offset >= facts->log_end_offset)
        replica->caught_up_at_ms = max_i64(replica->caught_up_at_ms, facts->now_ms);
    else if (fetch.fetch_offset >= replica->leader_end_offset)
        replica->caught_up_at_ms = max_i64(replica->caught_up_at_ms, replica->fetched_at_ms);
    replica->leader_end_offset = max_i64(replica->leader_end_offset, facts->log_end_offset);
    replica->fetched_at_ms = facts->now_ms;
    replica->fetch_offset = fetch.fetch_offset;
    replica->log_start_offset = fetch.log_start_offset;
    replica->broker_epoch = fetch.broker_epoch;
    return true;
}

void replica_set_on_silence(const struct replica_set *set, struct replica *replica,
                            int64_t until_ms)
{
    if (until_ms <= set->epoch_start_ms)
        return;
    replica->fetched_at_ms = max_i64(replica->fetched_at_ms, until_ms);
    if (replica->fetch_offset >= replica->leader_end_offset)
        replica->caught_up_at_ms = max_i64(replica->caught_up_at_ms, until_ms);
}

/* ---- changes of the ISR ---- */

bool replica_set_is_lagging(const struct replica_set *set, int64_t log_end_offset)
{
    for (uint32_t i = 0; i < set->follower_count; i++) {
        const struct replica *replica = &set->followers[i];
        if (is_in_isr(replica) &&
            (!replica->is_assigned || replica->fetch_offset != log_end_offset))
            return true;
    }
    return false;
}

bool replica_set_can_join(const struct replica_set *set, const struct replica *replica,
                          const struct replica_facts *facts)
{
    /* Below the start of the epoch its records may be others than ours. */
    return set->change == REPLICA_CHANGE_NONE && !is_in_isr(replica) && replica->is_assigned &&
           replica->fetch_offset >= facts->high_watermark &&
           replica->fetch_offset >= set->epoch_start_offset &&
           facts->is_alive(facts->context, replica->broker_id);
}

void replica_set_join(struct replica_set *set, const struct replica *replica)
{
    assert(set->change == REPLICA_CHANGE_NONE && !is_in_isr(replica));
    set->change = REPLICA_CHANGE_JOIN;
    set->change_number++;
    set->joining = replica->broker_id;
    check(set);
}

bool replica_set_shrink(struct replica_set *set, const struct replica_facts *facts)
{
    bool is_found = false;
    if (set->change != REPLICA_CHANGE_NONE)
        return false;
    for (uint32_t i = 0; i < set->follower_count; i++) {
        struct replica *replica = &set->followers[i];
        replica->is_leaving =
            is_in_isr(replica) && (!replica->is_assigned || !is_caught_up(replica, facts));
        is_found |= replica->is_leaving;
    }
    if (!is_found)
        return false;
    set->change = REPLICA_CHANGE_LEAVE;
    set->change_number++;
    check(set);
    return true;
}

static void end_change(struct replica_set *set)
{
    set->change = REPLICA_CHANGE_NONE;
    set->joining = -1;
    for (uint32_t i = 0; i < set->follower_count; i++)
        set->followers[i].is_leaving = false;
}

/* Where the member stands in the committed ISR, the one that joins last. */
static const struct replica *member_at(const struct replica_set *set, int16_t place)
{
    for (uint32_t i = 0; i < set->follower_count; i++)
        if (set->followers[i].isr_place == place && !set->followers[i].is_leaving)
            return &set->followers[i];
    return NULL;
}

uint32_t replica_set_proposal(const struct replica_set *set, int64_t own_broker_epoch,
                              struct isr_member *members)
{
    uint32_t count = 0;
    assert(set->change != REPLICA_CHANGE_NONE);
    for (int16_t place = 0; place <= control_replica_count_max; place++) {
        const struct replica *replica = member_at(set, place);
        if (set->isr_place == place)
            members[count++] = (struct isr_member){set->broker_id, own_broker_epoch};
        if (replica != NULL)
            members[count++] = (struct isr_member){replica->broker_id, replica->broker_epoch};
    }
    for (uint32_t i = 0; i < set->follower_count && set->change == REPLICA_CHANGE_JOIN; i++) {
        const struct replica *replica = &set->followers[i];
        if (replica->broker_id == set->joining)
            members[count++] = (struct isr_member){replica->broker_id, replica->broker_epoch};
    }
    assert(count <= control_replica_count_max);
    return count;
}

static void commit(struct replica_set *set, const struct replica_answer *answer)
{
    const int16_t own_place = place_in(answer->isr, answer->isr_count, set->broker_id);
    set->isr_place = own_place >= 0 ? own_place : (int16_t)answer->isr_count;
    set->isr_count = 1;
    for (uint32_t i = 0; i < set->follower_count; i++) {
        struct replica *replica = &set->followers[i];
        replica->isr_place = place_in(answer->isr, answer->isr_count, replica->broker_id);
        set->isr_count += is_in_isr(replica);
    }
    set->partition_epoch = answer->partition_epoch;
    end_change(set);
    check(set);
}

enum replica_outcome replica_set_on_answer(struct replica_set *set,
                                           const struct replica_answer *answer)
{
    if (set->change == REPLICA_CHANGE_NONE || answer->change_number != set->change_number ||
        answer->change_leader_epoch != set->leader_epoch)
        return REPLICA_OUTCOME_OLD;
    switch (answer->error_code) {
    case KAFKA_NONE:
        /* Another epoch, or an older state: the controller's order is on its way. */
        if (answer->leader_epoch != set->leader_epoch ||
            answer->partition_epoch < set->partition_epoch)
            return REPLICA_OUTCOME_OLD;
        commit(set, answer);
        return REPLICA_OUTCOME_TAKEN;
    case KAFKA_OPERATION_NOT_ATTEMPTED:
    case KAFKA_INELIGIBLE_REPLICA:
        /* The controller knows our partition epoch and has not written: neither has or will any
         * other. */
        end_change(set);
        return REPLICA_OUTCOME_UNDONE;
    case KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_UNKNOWN_TOPIC_ID:
    case KAFKA_INVALID_UPDATE_VERSION:
    case KAFKA_FENCED_LEADER_EPOCH:
    case KAFKA_INVALID_REQUEST:
    case KAFKA_NEW_LEADER_ELECTED: return REPLICA_OUTCOME_STUCK;
    default: return REPLICA_OUTCOME_AGAIN; /* A number from the wire: any other. */
    }
}

bool replica_set_can_serve(const struct replica *replica, int64_t offset)
{
    return replica->is_assigned && is_in_isr(replica) && replica->fetch_offset >= offset &&
           replica->log_start_offset <= offset;
}
