/* Clients of brokers that know what they were promised: producers, a reader that follows them, and
 * the last scan.
 *
 * Each producer has a topic of its own, of one partition, and gives each record a number. Producer
 * 0 has a producer id and sends again what was not answered; the others never send anything twice.
 * In the last scan, and by the reader on the way:
 *
 * - offsets are dense, batches whole, and every record is one that its producer sent;
 * - a record that was acknowledged (acks=all, durable) is at the offset that the answer named,
 *   whatever happened since; one acknowledged with acks=1 as long as the workload says so;
 * - what the reader has seen stays where it was;
 * - no record is there twice; a producer with an id finds all of its records there, in order.
 *
 * Memory: the world's; each player's from its node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_BROKER_PLAYER_H
#define SIM_BROKER_PLAYER_H

#include "sim/workload.h"

enum {
    broker_producer_count_max = 2,
    broker_batch_count_max = 1024,
    broker_player_port = 9092, /* Where brokers listen. */
};

/* What is known of a batch. Its index is its number; record i of it has number index * 16 + i. */
struct broker_batch {
    uint32_t record_count;
    int32_t base_sequence;
    int16_t acks;
    bool is_promised;          /* Must be there for ever. */
    bool is_written;           /* Must be there until broker_stage_forget_written. */
    bool is_found;             /* In the scan at hand. */
    int64_t offset;            /* Where, if an answer said so; -1. */
    int64_t offset_seen;       /* Where the reader saw it; -1. */
    uint32_t forgotten_before; /* stage->forgotten_count when it was sent. */
};

struct broker_producer {
    struct broker_stage *stage;
    uint32_t index;
    bool is_idempotent;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence_next;
    struct broker_batch batches[broker_batch_count_max];
    uint32_t batch_count;
    uint32_t first_pending; /* Sent and not answered: from here on. */
    uint32_t steps_left;
    bool is_finished;
};

/* What all of them share. The workload sets it before anybody starts. */
struct broker_stage {
    struct sim *sim;
    struct sim_workload_result *result;
    struct prng prng;
    uint32_t first_broker_node; /* The brokers' nodes follow one another, as their ids do. */
    int32_t first_broker_id;
    uint32_t broker_count;
    bool has_acks_1; /* Producers without an id ask for that, too: then there may be no reader. */
    uint64_t pause_ns_max; /* Of a producer, every few batches. */
    bool promises_nothing; /* Leaders may be unclean: what was acknowledged may be lost. */
    uint32_t producer_count;
    struct broker_producer producers[broker_producer_count_max];
    uint32_t forgotten_count;
    bool is_scanned; /* The last scan is done. */
};

/* Each producer gets steps batches to send. */
void broker_stage_init(struct broker_stage *stage, uint32_t steps);

/* What acks=1 promised is void from now on, also for what is on its way. */
void broker_stage_forget_written(struct broker_stage *stage);

/* Something is wrong, and told. */
bool broker_stage_is_over(const struct broker_stage *stage);

/* All producers are, or it is over. */
bool broker_stage_is_finished(const struct broker_stage *stage);

/* Nothing more happens, or not in time. */
void broker_stage_set_stuck(struct broker_stage *stage, const char *why);

/* Processes for sim_node_start. Their arguments: a struct broker_producer, the stage, the stage.
 * The reader goes on until it is killed. */
void broker_play_producer(struct sim_node *node, void *producer);
void broker_play_reader(struct sim_node *node, void *stage);
void broker_play_scan(struct sim_node *node, void *stage);

#endif
