/* The members of an ensemble, and which sets of them are a quorum.
 *
 * Voters decide, observers only learn. Without groups a quorum is more than half of the voters.
 * With groups (hierarchical quorums) each group is won by more than half of its weight, and a
 * quorum wins more than half of the groups that have any weight.
 *
 * Invariants: ids are unique; members lie in the order in which they were added.
 * Memory: a struct in place; host names are lent by whoever parsed them. Shard: any, it is a value.
 */
#ifndef ZAB_ENSEMBLE_H
#define ZAB_ENSEMBLE_H

#include "base/err.h"
#include "base/macros.h"
#include "base/slice.h"

enum {
    ensemble_member_count_max = 64, /* A set of them is one word. */
    ensemble_address_count_max = 4, /* Of one member, for networks that fail apart. */
};

struct ensemble_address {
    struct slice host;
    uint16_t quorum_port;
    uint16_t election_port;
};

struct ensemble_member {
    int64_t id;
    bool is_voter;
    int64_t group;  /* -1: none. */
    int64_t weight; /* Counts only in groups, and in elections, where 0 never leads. */
    uint32_t address_count;
    struct ensemble_address addresses[ensemble_address_count_max];
    struct slice client_host; /* Empty: all interfaces. */
    uint16_t client_port;     /* 0: the configuration's clientPort. */
};

struct ensemble {
    int64_t version; /* The zxid of the reconfiguration that made it; 0: from the file. */
    bool has_groups;
    uint32_t member_count;
    struct ensemble_member members[ensemble_member_count_max];
};

/* A set of members: bit i stands for members[i]. */
struct ensemble_set {
    uint64_t bits;
};

void ensemble_init(struct ensemble *ensemble);

/* ERR_LIMIT: there are ensemble_member_count_max already; ERR_EXISTS: the id is taken. */
MUST_CHECK enum err ensemble_add(struct ensemble *ensemble, const struct ensemble_member *member);

/* NULL: no such member. Lends. */
const struct ensemble_member *ensemble_find(const struct ensemble *ensemble, int64_t id);

bool ensemble_is_voter(const struct ensemble *ensemble, int64_t id);

/* The weight that a member has in an election: 1 without groups, 0 if it is unknown. */
int64_t ensemble_weight(const struct ensemble *ensemble, int64_t id);

/* Whether members[index] is in a group, and none before it is in the same. */
bool ensemble_is_first_of_group(const struct ensemble *ensemble, uint32_t index);

/* Adds a voter; whoever is none is left out, as its word does not count. */
void ensemble_set_add(const struct ensemble *ensemble, struct ensemble_set *set, int64_t id);

bool ensemble_set_has(const struct ensemble *ensemble, struct ensemble_set set, int64_t id);

bool ensemble_is_quorum(const struct ensemble *ensemble, struct ensemble_set set);

#endif
