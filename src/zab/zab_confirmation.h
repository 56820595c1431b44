/* Whether a leader still leads: rounds of PINGs that a quorum answers.
 *
 *   question 5 --> round 1: PING -2 to all that are up to date ... answers of a quorum -->
 * CONFIRMED 5 question 6, 7 (meanwhile)                                      round 2: PING -3 ...
 * --> CONFIRMED 7
 *
 * One round is under way at a time; what is asked meanwhile needs the next one, whose PINGs leave
 * later. A learner that is brought up to date during a round gets its PING too.
 *
 * Memory: in struct zab. Shard: the machine's owner.
 */
#ifndef ZAB_ZAB_CONFIRMATION_H
#define ZAB_ZAB_CONFIRMATION_H

#include "zab/zab.h"

void zab_confirmation_on_ask(struct zab *zab, const struct zab_event *event);

/* A PING has come from the learner, which is up to date. */
void zab_confirmation_on_ping(struct zab_learner *learner, int64_t zxid);

/* Ends the round that a quorum has answered, and begins the next one if it is wanted. */
void zab_confirmation_advance(struct zab *zab, struct zab_effects *effects);

/* The round's PING for a learner that has not got it, if there is room in effects. */
void zab_confirmation_forward(const struct zab_leader *leader, struct zab_learner *learner,
                              struct zab_effects *effects);

#endif
