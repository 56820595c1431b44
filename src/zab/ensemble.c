#include "zab/ensemble.h"

#include "base/assert.h"

void ensemble_init(struct ensemble *ensemble)
{
    *ensemble = (struct ensemble){0};
}

static uint32_t index_of(const struct ensemble *ensemble, int64_t id)
{
    uint32_t index = 0;
    while (index < ensemble->member_count && ensemble->members[index].id != id)
        index++;
    return index;
}

enum err ensemble_add(struct ensemble *ensemble, const struct ensemble_member *member)
{
    if (ensemble_find(ensemble, member->id) != NULL)
        return ERR_EXISTS;
    if (ensemble->member_count == ensemble_member_count_max)
        return ERR_LIMIT;
    ensemble->members[ensemble->member_count++] = *member;
    ensemble->has_groups |= member->group >= 0;
    return ERR_OK;
}

const struct ensemble_member *ensemble_find(const struct ensemble *ensemble, int64_t id)
{
    const uint32_t index = index_of(ensemble, id);
    return index < ensemble->member_count ? &ensemble->members[index] : NULL;
}

bool ensemble_is_voter(const struct ensemble *ensemble, int64_t id)
{
    const struct ensemble_member *member = ensemble_find(ensemble, id);
    return member != NULL && member->is_voter;
}

int64_t ensemble_weight(const struct ensemble *ensemble, int64_t id)
{
    const struct ensemble_member *member = ensemble_find(ensemble, id);
    if (member == NULL)
        return 0;
    return ensemble->has_groups ? member->weight : 1;
}

void ensemble_set_add(const struct ensemble *ensemble, struct ensemble_set *set, int64_t id)
{
    if (ensemble_is_voter(ensemble, id))
        set->bits |= UINT64_C(1) << index_of(ensemble, id);
}

bool ensemble_set_has(const struct ensemble *ensemble, struct ensemble_set set, int64_t id)
{
    const uint32_t index = index_of(ensemble, id);
    return index < ensemble->member_count && (set.bits >> index & 1) != 0;
}

static bool is_majority(const struct ensemble *ensemble, struct ensemble_set set)
{
    uint32_t voter_count = 0;
    uint32_t count = 0;
    for (uint32_t index = 0; index < ensemble->member_count; index++) {
        voter_count += ensemble->members[index].is_voter;
        count += (set.bits >> index & 1) != 0;
    }
    return count > voter_count / 2;
}

/* Of one group: its whole weight, and that of its members in set. */
struct group_weight {
    int64_t whole;
    int64_t present;
};

static struct group_weight weigh(const struct ensemble *ensemble, struct ensemble_set set,
                                 int64_t group)
{
    struct group_weight weight = {0};
    for (uint32_t index = 0; index < ensemble->member_count; index++) {
        const struct ensemble_member *member = &ensemble->members[index];
        if (member->group != group)
            continue;
        weight.whole += member->weight;
        if ((set.bits >> index & 1) != 0)
            weight.present += member->weight;
    }
    return weight;
}

bool ensemble_is_first_of_group(const struct ensemble *ensemble, uint32_t index)
{
    for (uint32_t before = 0; before < index; before++)
        if (ensemble->members[before].group == ensemble->members[index].group)
            return false;
    return ensemble->members[index].group >= 0;
}

static bool wins_groups(const struct ensemble *ensemble, struct ensemble_set set)
{
    uint32_t group_count = 0;
    uint32_t won_count = 0;
    for (uint32_t index = 0; index < ensemble->member_count; index++) {
        if (!ensemble_is_first_of_group(ensemble, index))
            continue;
        const struct group_weight weight = weigh(ensemble, set, ensemble->members[index].group);
        group_count += weight.whole > 0;
        won_count += weight.present > weight.whole / 2;
    }
    return won_count > group_count / 2;
}

bool ensemble_is_quorum(const struct ensemble *ensemble, struct ensemble_set set)
{
    assert(ensemble->member_count == ensemble_member_count_max ||
           set.bits >> ensemble->member_count == 0);
    return ensemble->has_groups ? wins_groups(ensemble, set) : is_majority(ensemble, set);
}
