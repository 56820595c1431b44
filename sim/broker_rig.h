/* Clusters of brokers in the simulated world, for tests that tell what happens: the shipped brokers
 * on one shipped keeper; they are killed, lose power, stop and come back. A broker that ends by
 * itself ends the program.
 *
 * Memory: the simulator's. Shard: the simulator's thread.
 */
#ifndef SIM_BROKER_RIG_H
#define SIM_BROKER_RIG_H

#include "server/broker/broker_server.h"
#include "server/keeper/keeper_server.h"
#include "sim/sim_node.h"

enum {
    broker_rig_keeper_node = 0,
    broker_rig_broker_count = 3,
    broker_rig_first_client_node = broker_rig_broker_count + 1,
};

struct broker_rig;

struct broker_rig_broker {
    struct broker_rig *rig;
    int32_t id;                   /* Its node's number, too. */
    struct broker_server *server; /* Of the process that runs now. */
    bool is_stopping;
    bool may_end; /* By itself. */
};

/* Brokers are named by their ids, from 1. */
struct broker_rig {
    struct sim sim;
    struct keeper_server *keeper;
    struct broker_rig_broker brokers[broker_rig_broker_count + 1]; /* By id; 0 is none. */
    const char *lines;    /* More of server.properties, for all of them. */
    const char *log_dirs; /* NULL: one. */

    /* What a test wants done in the process of a broker that serves, again and again; or NULL. */
    void (*take_turn)(struct broker_rig_broker *broker);
};

/* The world, and its keeper. Of zeroed memory, with lines and take_turn set; nobody else runs yet.
 */
void broker_rig_begin(struct broker_rig *rig, uint64_t seed, uint32_t client_count,
                      struct sim_faults faults);

void broker_rig_start_keeper(struct broker_rig *rig);
void broker_rig_start(struct broker_rig *rig, int32_t id);
void broker_rig_kill(struct broker_rig *rig, int32_t id);
void broker_rig_lose_power(struct broker_rig *rig, int32_t id, enum sim_loss loss);

/* In good order, if the process is not killed before; returns at once. */
void broker_rig_stop(struct broker_rig *rig, int32_t id);

/* NULL: it does not serve. */
struct broker_server *broker_rig_serving(const struct broker_rig *rig, int32_t id);

/* Which broker is the controller, as it believes; -1: none. */
int32_t broker_rig_controller(const struct broker_rig *rig);

/* How many brokers are up, if all of them serve and know of as many; else 0. */
uint32_t broker_rig_complete_count(const struct broker_rig *rig);

void broker_rig_run_ms(struct broker_rig *rig, uint64_t ms);

/* Until the condition holds; false: it does not within patience_s, and the latest lines have been
 * printed. */
MUST_CHECK bool broker_rig_run_until(struct broker_rig *rig, bool (*condition)(void *context),
                                     void *context, uint32_t patience_s);

/* The parts, for those who put them together in another way: a keeper's process, whose argument is
 * where the server is told; and the configuration of a broker. */
void broker_rig_keeper_process(struct sim_node *node, void *server);
MUST_CHECK enum err broker_rig_load_config(struct heap *heap, struct diag *diag, const char *text,
                                           struct broker_config *config);

#endif
