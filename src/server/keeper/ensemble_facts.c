#include "server/keeper/ensemble_facts.h"

#include "base/assert.h"

void ensemble_facts_init(struct ensemble_facts *facts)
{
    *facts = (struct ensemble_facts){.role = ENSEMBLE_ALONE};
    list_init(&facts->learners);
}

void ensemble_facts_look(struct ensemble_facts *facts, uint64_t now_ns)
{
    facts->role = ENSEMBLE_LOOKING;
    facts->role_since_ns = now_ns;
}

void ensemble_facts_take_role(struct ensemble_facts *facts, enum ensemble_role role,
                              uint64_t now_ns)
{
    assert(role != ENSEMBLE_LOOKING && role != ENSEMBLE_ALONE);
    facts->role = role;
    facts->role_since_ns = now_ns;
    facts->proposal_count = 0;
    facts->proposal_bytes_last = -1;
    facts->proposal_bytes_min = -1;
    facts->proposal_bytes_max = -1;
}

void ensemble_facts_add_proposal(struct ensemble_facts *facts, size_t bytes)
{
    const int64_t size = (int64_t)bytes;
    if (facts->proposal_count == 0 || size < facts->proposal_bytes_min)
        facts->proposal_bytes_min = size;
    if (facts->proposal_count == 0 || size > facts->proposal_bytes_max)
        facts->proposal_bytes_max = size;
    facts->proposal_bytes_last = size;
    facts->proposal_count++;
}

const char *ensemble_facts_mode(const struct ensemble_facts *facts)
{
    switch (facts->role) {
    case ENSEMBLE_ALONE: return "standalone";
    case ENSEMBLE_LOOKING: break;
    case ENSEMBLE_READ_ONLY: return "read-only";
    case ENSEMBLE_FOLLOWER: return "follower";
    case ENSEMBLE_LEADER: return "leader";
    case ENSEMBLE_OBSERVER: return "observer";
    }
    return "looking";
}

const char *ensemble_facts_peer_state(const struct ensemble_facts *facts)
{
    switch (facts->role) {
    case ENSEMBLE_ALONE:
    case ENSEMBLE_LOOKING:
    case ENSEMBLE_READ_ONLY: break;
    case ENSEMBLE_FOLLOWER: return "following - broadcast";
    case ENSEMBLE_LEADER: return "leading - broadcast";
    case ENSEMBLE_OBSERVER: return "observing - broadcast";
    }
    return "looking";
}

struct ensemble_learner_counts ensemble_facts_count(const struct ensemble_facts *facts)
{
    struct ensemble_learner_counts counts = {0};
    list_each (link, &facts->learners) {
        const struct ensemble_learner *learner = CONTAINER_OF(link, struct ensemble_learner, link);
        counts.all++;
        if (!learner->is_synced)
            continue;
        counts.synced_observers += learner->is_observer;
        counts.synced_followers += !learner->is_observer;
        counts.synced_followers_without_vote += !learner->is_observer && !learner->is_voter;
    }
    return counts;
}

void ensemble_facts_reset_observers(struct ensemble_facts *facts)
{
    list_each (link, &facts->learners) {
        struct ensemble_learner *learner = CONTAINER_OF(link, struct ensemble_learner, link);
        if (!learner->is_observer)
            continue;
        learner->received_count = 0;
        learner->sent_count = 0;
        learner->request_count = 0;
        learner->zxid_last = -1;
    }
}
