/* A follower that lets observers learn from it, in the leader's place (observerMasterPort).
 *
 *   leader <--quorum port--> quorum_peer (follows) --commits--> observer_master --> observers
 *          <--- requests, sessions, syncs of the observers' clients, in the follower's stream ---
 *
 * Towards observers it does what a leader does: zab's machine decides (ZAB_EVENT_FEED),
 * learner_sync brings them in step from our own history. What their clients ask for goes to the
 * leader through our link, and what it answers comes back through ours, in the order in which it
 * was asked.
 *
 * Memory: the heap's, from the first term with observers on. Shard: the server's.
 */
#ifndef SERVER_KEEPER_OBSERVER_MASTER_H
#define SERVER_KEEPER_OBSERVER_MASTER_H

#include "server/keeper/quorum_peer.h"

enum {
    observer_master_touch_bytes = 12,          /* Session, timeout: as in a PING. */
    observer_master_touch_count_max = 1 << 20, /* Between two pings of the leader. */
};

/* A session of an observer's client about which the leader is asked. */
struct observer_revalidation {
    struct list link; /* In order. */
    int64_t session_id;
    uint64_t observer; /* Its link. */
};

struct observer_master {
    struct quorum_peer *peer;
    struct quorum_port port;
    struct zab zab;
    struct zab_effects effects;
    bool is_open;
    bool is_listening;
    bool is_telling_busy; /* That the port cannot be had was told. */
    bool is_stepping;
    struct list revalidations;
    uint8_t *touches; /* Sessions that observers have heard of since the leader was last told. */
    uint32_t touch_count;
    uint32_t touch_capacity;
};

/* The follower serves. peer->master is made if there is none; without memory nothing happens, but a
 * line of diag. */
void observer_master_open(struct quorum_peer *peer);

/* The role ends: observers look for another master. May be called at any time. */
void observer_master_close(struct observer_master *master);

/* Takes a closed one, or NULL. */
void observer_master_free(struct observer_master *master);

/* The transaction of the effect, ZAB_COMMIT_TXN, is committed and not yet applied. */
void observer_master_on_commit(struct observer_master *master, const struct zab_effect *effect);

/* Every half tick, or more often. */
void observer_master_tick(struct observer_master *master);

/* What the leader says of a session. False: no observer has asked. */
bool observer_master_on_verdict(struct observer_master *master, int64_t session_id,
                                struct slice verdict);

/* The leader has answered a sync of this observer. */
void observer_master_end_barrier(struct observer_master *master, uint64_t observer);

/* Moves at most count_max of the touched sessions to data; returns how many. */
uint32_t observer_master_take_touches(struct observer_master *master, uint8_t *data,
                                      uint32_t count_max);

/* How many observers are in step. */
uint32_t observer_master_count(const struct observer_master *master);

#endif
