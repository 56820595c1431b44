/* A keeper server on a simulated machine, written to without clients: for the tests of what members
 * of an ensemble do with their storage.
 *
 * Memory: the node's heap. Shard: the node's.
 */
#ifndef SIM_KEEPER_RIG_H
#define SIM_KEEPER_RIG_H

#include "server/keeper/keeper_server.h"

#include "sim/sim_node.h"

struct keeper_rig {
    struct sim_node *node;
    struct shard shard;
    struct keeper_config config;
    struct keeper_server *server;
    struct diag diag;
    uint32_t logging_count;
    char told[8192]; /* Warnings and errors. */
};

/* Starts a server on the node's disk, as a member of an ensemble; more: lines of
 * zoo.cfg. */
enum err keeper_rig_start(struct keeper_rig *rig, struct sim_node *node, const char *more);

/* Until it has stopped; frees it. */
void keeper_rig_stop(struct keeper_rig *rig);

/* Each of them starts a write; run_all waits until all are applied. */
void keeper_rig_create(struct keeper_rig *rig, int64_t session_id, const char *path, size_t size);
void keeper_rig_create_with_acl(struct keeper_rig *rig, const char *path, const char *user);
void keeper_rig_set(struct keeper_rig *rig, const char *path, size_t size);
void keeper_rig_delete(struct keeper_rig *rig, const char *path);
void keeper_rig_open_session(struct keeper_rig *rig, int64_t session_id);
void keeper_rig_run_all(struct keeper_rig *rig);

/* count writes of many kinds, some larger than most; seed says which. Waits. */
void keeper_rig_write_some(struct keeper_rig *rig, uint64_t seed, int count);

/* Logs and applies a transaction as a learner does; they are done in order. */
void keeper_rig_log(struct keeper_rig *rig, int64_t zxid, struct slice entry);
bool keeper_rig_is_logging(const struct keeper_rig *rig);

/* Later transactions are of this epoch. */
void keeper_rig_begin_epoch(struct keeper_rig *rig, int64_t epoch);

/* Whether both hold the same tree, sessions and zxid. */
bool keeper_rig_is_equal(const struct keeper *one, const struct keeper *other);

#endif
