/* Ensembles of keeper servers in the simulated world, for tests that tell what happens: the shipped
 * servers with their elections, quorum and client ports, journals and snapshots; servers die,
 * clients stay. What does not happen within patience ends the program.
 *
 * Memory: the simulator's. Shard: the simulator's thread.
 */
#ifndef SIM_ENSEMBLE_RIG_H
#define SIM_ENSEMBLE_RIG_H

#include "server/keeper/keeper_server.h"
#include "sim/sim_keeper_client.h"
#include "sim/sim_node.h"

enum {
    ensemble_rig_server_count_max = 5,
    ensemble_rig_client_port = 2181,
    ensemble_rig_patience_s = 120,
    ensemble_rig_timeout_ms = 6000, /* Of clients' sessions. */
};

struct ensemble_rig;

struct ensemble_rig_server {
    struct ensemble_rig *rig;
    struct sim_node *node;
    struct keeper_server *server; /* Of the process that runs now. */
    bool is_stopping;
};

/* Servers are named by their ids, from 1. */
struct ensemble_rig {
    struct sim sim;
    uint32_t server_count;
    uint32_t voter_count;
    struct ensemble_rig_server servers[ensemble_rig_server_count_max];
    struct sim_node *client_node;
    void (*story)(struct sim_keeper_client *client);
    bool is_told;       /* The story is at its end. */
    const char *extra;  /* More lines of zoo.cfg, */
    uint32_t extra_for; /* for this server; 0: for all. */
    uint32_t joiner;    /* The index of whom only its own configuration names. */
    const char *hosts[ensemble_rig_server_count_max]; /* NULL: its node's name. */
    bool has_read_only_mode;
};

/* Nobody runs yet; or all do. */
void ensemble_rig_make(struct ensemble_rig *rig, uint64_t seed, uint32_t voter_count,
                       uint32_t observer_count);
void ensemble_rig_begin(struct ensemble_rig *rig, uint64_t seed, uint32_t voter_count,
                        uint32_t observer_count);

void ensemble_rig_start(struct ensemble_rig *rig, uint32_t id);
void ensemble_rig_start_all(struct ensemble_rig *rig);
void ensemble_rig_kill(struct ensemble_rig *rig, uint32_t id);
bool ensemble_rig_is_up(const struct ensemble_rig *rig, uint32_t id);

/* The server of a member that is up. */
struct keeper_server *ensemble_rig_server(const struct ensemble_rig *rig, uint32_t id);

/* Who leads; 0: nobody. */
uint32_t ensemble_rig_leader(const struct ensemble_rig *rig);

void ensemble_rig_run_ms(struct ensemble_rig *rig, uint64_t ms);

/* Until all that are up serve, under a leader; until they hold the same. */
void ensemble_rig_wait_for_all(struct ensemble_rig *rig);
void ensemble_rig_wait_for_equal_trees(struct ensemble_rig *rig);

/* Stops all. */
void ensemble_rig_end(struct ensemble_rig *rig);

/* --- a client --- */

/* Runs the story of one to its end, in a process of its own. */
void ensemble_rig_tell(struct ensemble_rig *rig, void (*story)(struct sim_keeper_client *client));

/* Until the server takes it: it has a session, or hears that it has expired. */
enum sim_keeper_connect ensemble_rig_connect(struct ensemble_rig *rig,
                                             struct sim_keeper_client *client, uint32_t id);

/* Tries once, at another port than the usual one. */
enum sim_keeper_connect ensemble_rig_connect_at(struct ensemble_rig *rig,
                                                struct sim_keeper_client *client, uint32_t id,
                                                uint16_t port);

/* The code of the answer; events are passed over. */
int32_t ensemble_rig_ask(struct ensemble_rig *rig, struct sim_keeper_client *client, int32_t type,
                         const struct wire_record *record, const void *value,
                         struct sim_keeper_reply *reply);

/* flags: of the protocol's create. */
int32_t ensemble_rig_create(struct ensemble_rig *rig, struct sim_keeper_client *client,
                            const char *path, int32_t flags);

/* Whether it is there, behind a sync. */
int32_t ensemble_rig_look(struct ensemble_rig *rig, struct sim_keeper_client *client,
                          const char *path);

/* An access list that lets everybody in. */
extern const struct zk_acl ensemble_rig_open_acl;

#endif
