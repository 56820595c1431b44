/* Broadcast, the leader's: proposals go out, acknowledgements come in, commits follow in order.
 *
 * Zxids of an epoch have no holes, so what is outstanding is a range, and what each learner has got
 * is one zxid. Forwarding brings every learner up to the leader's range: it is the same work for
 * one that has just been synced as for one that lives.
 *
 * Memory: in struct zab. Shard: the machine's owner.
 */
#ifndef ZAB_ZAB_BROADCAST_H
#define ZAB_ZAB_BROADCAST_H

#include "zab/zab.h"

void zab_voters_add(const struct zab *zab, struct zab_voters *voters, int64_t id);

/* Whether they are a quorum of the ensemble, and of the next one if there is one. */
bool zab_voters_decide(const struct zab *zab, const struct zab_voters *voters);

void zab_broadcast_on_propose(struct zab *zab, const struct zab_event *event,
                              struct zab_effects *effects);

/* May drop learner. */
void zab_broadcast_on_ack(struct zab *zab, struct zab_learner *learner,
                          const struct zab_event *event, struct zab_effects *effects);

/* Commits what quorums have. */
void zab_broadcast_commit(struct zab *zab, struct zab_effects *effects);

/* Sends the learners what they have not got, as far as there is room in effects. */
void zab_broadcast_forward(struct zab *zab, uint64_t now_ms, struct zab_effects *effects);

#endif
