#include "broker/group.h"

const char *group_state_text(enum group_state state)
{
    switch (state) {
    case GROUP_EMPTY: return "Empty";
    case GROUP_PREPARING: return "PreparingRebalance";
    case GROUP_COMPLETING: return "CompletingRebalance";
    case GROUP_STABLE: return "Stable";
    case GROUP_DEAD: return "Dead";
    }
    return "Unknown";
}

static struct group_member *member_of(struct list *link)
{
    return CONTAINER_OF(link, struct group_member, link);
}

static bool knows(const struct group_member *member, struct slice protocol)
{
    for (uint32_t i = 0; i < member->protocol_count; i++)
        if (slice_equal(member->protocols[i].name, protocol))
            return true;
    return false;
}

static bool all_know(const struct group *group, struct slice protocol)
{
    list_each (link, &group->members) {
        const struct group_member *member = member_of(link);
        if (!knows(member, protocol))
            return false;
    }
    return true;
}

bool group_supports(const struct group *group, struct slice protocol_type,
                    const struct group_protocol *protocols, uint32_t protocol_count)
{
    if (group->state == GROUP_EMPTY || group->member_count == 0)
        return protocol_type.size > 0 && protocol_count > 0;
    if (!slice_equal(group->protocol_type, protocol_type))
        return false;
    for (uint32_t i = 0; i < protocol_count; i++)
        if (all_know(group, protocols[i].name))
            return true;
    return false;
}

/* A member votes for the first of its protocols that all know. */
static struct slice vote_of(const struct group *group, const struct group_member *member)
{
    for (uint32_t i = 0; i < member->protocol_count; i++)
        if (all_know(group, member->protocols[i].name))
            return member->protocols[i].name;
    return SLICE_NULL;
}

struct slice group_choose_protocol(const struct group *group)
{
    const struct group_member *first = member_of(group->members.next);
    struct slice best = SLICE_NULL;
    uint32_t best_votes = 0;
    assert(group->member_count > 0);
    /* What all know, the first member knows too, so its list is the list of candidates. */
    for (uint32_t i = 0; i < first->protocol_count; i++) {
        const struct slice candidate = first->protocols[i].name;
        uint32_t votes = 0;
        list_each (link, &group->members)
            votes += slice_equal(vote_of(group, member_of(link)), candidate);
        if (votes > best_votes) {
            best = candidate;
            best_votes = votes;
        }
    }
    return best;
}

struct slice group_member_metadata(const struct group_member *member, struct slice protocol)
{
    for (uint32_t i = 0; i < member->protocol_count; i++)
        if (slice_equal(member->protocols[i].name, protocol))
            return member->protocols[i].metadata;
    return SLICE_LITERAL("");
}

bool group_member_matches(const struct group_member *member, const struct group_protocol *protocols,
                          uint32_t protocol_count)
{
    if (member->protocol_count != protocol_count)
        return false;
    for (uint32_t i = 0; i < protocol_count; i++)
        if (!slice_equal(member->protocols[i].name, protocols[i].name) ||
            slice_compare(member->protocols[i].metadata, protocols[i].metadata) != 0)
            return false;
    return true;
}

int32_t group_rebalance_timeout_ms(const struct group *group)
{
    int32_t longest = 0;
    list_each (link, &group->members) {
        const struct group_member *member = member_of(link);
        if (member->rebalance_timeout_ms > longest)
            longest = member->rebalance_timeout_ms;
    }
    return longest;
}

struct group_member *group_static_member(const struct group *group, struct slice instance_id)
{
    if (slice_is_null(instance_id))
        return NULL;
    list_each (link, &group->members) {
        struct group_member *member = member_of(link);
        if (slice_equal(member->instance_id, instance_id))
            return member;
    }
    return NULL;
}

struct group_pending *group_pending_find(const struct group *group, struct slice member_id)
{
    list_each (link, &group->pending) {
        struct group_pending *pending = CONTAINER_OF(link, struct group_pending, link);
        if (slice_equal(pending->id, member_id))
            return pending;
    }
    return NULL;
}
