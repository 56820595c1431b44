/* What the two roles of ZAB share: how effects are made, and how zxids are read.
 *
 * zab.c hands each event to the role that the machine is in; the roles answer through the functions
 * here. Nobody outside of zab includes this.
 *
 * Memory: none of its own. Shard: the machine's owner.
 */
#ifndef ZAB_ZAB_ROLE_H
#define ZAB_ZAB_ROLE_H

#include "zab/zab.h"

enum { zab_protocol_version = 0x10000 };

/* Epochs fill the high half of a zxid, which is signed. */
#define ZAB_EPOCH_MAX   INT64_C(0x7fffffff)
#define ZAB_COUNTER_MAX INT64_C(0xffffffff)

/* ---- zxids ---- */

static inline int64_t zab_epoch_of(int64_t zxid)
{
    return zxid >> 32;
}

static inline int64_t zab_counter_of(int64_t zxid)
{
    return zxid & ZAB_COUNTER_MAX;
}

/* epoch is at most ZAB_EPOCH_MAX. The epoch's zero, which no transaction has. */
static inline int64_t zab_epoch_start(int64_t epoch)
{
    return epoch << 32;
}

/* Whether zxid may follow last without a hole that could be seen. */
static inline bool zab_follows(int64_t zxid, int64_t last)
{
    if (zab_epoch_of(zxid) == zab_epoch_of(last))
        return zab_counter_of(last) < ZAB_COUNTER_MAX && zxid == last + 1;
    return zxid > last && zab_counter_of(zxid) == 1;
}

/* ---- effects ---- */

/* All lend the effect, for more of its fields to be set, until the next one is made. */
struct zab_effect *zab_emit(struct zab_effects *effects, enum zab_effect_kind kind);
struct zab_effect *zab_emit_write(struct zab *zab, struct zab_effects *effects,
                                  enum zab_effect_kind kind);
struct zab_effect *zab_emit_send(struct zab_effects *effects, uint64_t link,
                                 enum zab_packet_type type, int64_t zxid);

void zab_set_payload_i32(struct zab_effect *effect, int32_t value);
void zab_set_payload_i64(struct zab_effect *effect, int64_t value);

void zab_emit_drop(struct zab_effects *effects, uint64_t link, const char *reason);

/* For after_write: write_seq, or 0 if that is durable already. */
uint64_t zab_wait_for(const struct zab *zab, uint64_t write_seq);

/* Ends the role: drops its links, then looks. */
void zab_end(struct zab *zab, const char *reason, struct zab_effects *effects);

/* ---- the roles; zab.role says whose event it is ---- */

void zab_leader_start(struct zab *zab, const struct zab_event *event);
void zab_leader_on_event(struct zab *zab, const struct zab_event *event,
                         struct zab_effects *effects);
void zab_leader_drop_all(struct zab *zab, const char *reason, struct zab_effects *effects);
void zab_leader_invariants(const struct zab *zab);

void zab_learning_start(struct zab *zab, const struct zab_event *event);
void zab_learning_on_event(struct zab *zab, const struct zab_event *event,
                           struct zab_effects *effects);
void zab_learning_drop_all(struct zab *zab, const char *reason, struct zab_effects *effects);
void zab_learning_invariants(const struct zab *zab);

#endif
