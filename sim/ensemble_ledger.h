/* What the servers of an ensemble have applied, seen from outside: an oracle that reads their
 * memory and their disks after each event of the world.
 *
 *   zxid            before          bytes   digest   committed
 *   (epoch 4, 17)   (epoch 4, 16)   hash    tree's   yes
 *
 * It says that
 * - one zxid is one transaction with one history, whoever applied it, and one tree comes of it;
 * - what a server that serves has applied is committed, and lies on one line with all that was
 *   committed before; a new leader has all of it;
 * - what is committed first, and the end of what an epoch begins with, is durable on a quorum;
 * - nobody cuts off what was committed before its leader's epoch;
 * - an epoch has one leader, once; no server's epochs go back, across its lives; an epoch that its
 *   leader takes for accepted, or for begun, is so on the disks of a quorum;
 * - no server finds fault with what another one says: all of them speak the protocol.
 *
 * Memory: the world's. Shard: the simulator's thread.
 */
#ifndef SIM_ENSEMBLE_LEDGER_H
#define SIM_ENSEMBLE_LEDGER_H

#include "server/keeper/keeper_server.h"
#include "sim/workload.h"

enum {
    ensemble_server_count_max = 8,
    ensemble_entry_count_max = 1 << 15,
    ensemble_epoch_count_max = 1 << 12,
};

struct ensemble_entry {
    int64_t zxid;
    int64_t before; /* The transaction before it; -1: not known. */
    uint64_t hash;  /* Of its bytes; 0: not known. */
    uint64_t digest;
    bool has_digest;
    bool is_committed;
};

/* A server as it was seen last. */
struct ensemble_view {
    uint32_t incarnation;
    int64_t zxid;
    int64_t epochs[2]; /* Never forgotten. */
    int64_t led_epoch;
    int64_t accepted_epoch; /* As leader: it was judged. */
    bool serves;
};

struct ensemble_ledger {
    struct sim *sim;
    struct sim_workload_result *result;
    uint32_t voter_count;
    struct ensemble_entry *entries; /* By zxid. */
    uint32_t count;
    int64_t zxid_committed;
    uint32_t leaders[ensemble_epoch_count_max]; /* Who leads it, from 1; 0: nobody yet. */
    uint32_t line_count;                        /* Of the world's diag lines that were read. */
    struct ensemble_view views[ensemble_server_count_max];
};

/* The first voter_count nodes vote. */
void ensemble_ledger_init(struct ensemble_ledger *ledger, struct sim *sim,
                          struct sim_workload_result *result, uint32_t voter_count);

/* Judges what the server on node index has become. */
void ensemble_ledger_look(struct ensemble_ledger *ledger, uint32_t index,
                          const struct keeper_server *server);

#endif
