/* A topic that is deleted and made again, under one name, with another id each time: what is known
 * of its lives, and what must be true of them.
 *
 * A life begins when a broker is first seen to have a replica of it: nothing can have been written
 * to it before. One that begins ends the one before, for good: its replicas were all deleted by
 * then.
 *
 *   life 1   [------------------]
 *   life 2                         [-----------]
 *   batch         sent ---- acked                    can be in life 1 only
 *   batch                 sent ------ acked          may be in either, or in both
 *
 * It says that
 * - of each life by itself all that sim/cluster_ledger.h does: leaders, epochs, logs, commitment;
 * - nobody leads a life that has ended;
 * - a batch that was acknowledged before a life began, or was first sent after it had ended, is not
 *   in it, and no log is longer than what can be in it;
 * - in the last scan, a batch that can only have been acknowledged by the last life is there, at
 *   its offset, once.
 *
 * Memory: the world's. Shard: the simulator's thread.
 */
#ifndef SIM_TOPIC_LIVES_H
#define SIM_TOPIC_LIVES_H

#include "broker/record_batch.h"
#include "sim/cluster_ledger.h"

enum {
    topic_life_count_max = 24,
    topic_lives_partition_count_max = cluster_partition_count_max,
    topic_lives_batch_count_max = 4096,
    topic_lives_record_count_max = 4, /* Of a batch. */
};

struct topic_life {
    struct uuid id;
    struct cluster_ledger *ledger;
    /* Records that were acknowledged before it began, by partition: none of them is in it. */
    int64_t acked_before[topic_lives_partition_count_max];
};

/* The numbers of lives are those of the latest one at that time, from 1; 0: that was never. */
struct topic_lives_batch {
    int32_t partition;
    uint32_t record_count;
    uint32_t sent_first;
    uint32_t sent_last;
    uint32_t acked;
    int64_t offset;      /* If it is acknowledged. */
    uint32_t found_life; /* Where it was found last. */
    int64_t found_offset;
};

struct topic_lives {
    struct sim *sim;
    struct sim_workload_result *result;
    uint32_t first_broker_node;
    uint32_t broker_count;
    bool promises_nothing; /* Leaders may be unclean. */
    uint32_t life_count;
    struct topic_life lives[topic_life_count_max];
    struct topic_lives_batch batches[topic_lives_batch_count_max]; /* By number. */
    uint32_t batch_count;
    int64_t sent_count[topic_lives_partition_count_max]; /* Records. */
    int64_t acked_count[topic_lives_partition_count_max];
};

struct slice topic_lives_name(void);

/* Looks at one broker's process. */
void topic_lives_look(struct topic_lives *lives, uint32_t broker,
                      const struct broker_server *server);

/* The number of a life; 0: nobody has been seen to have it. */
uint32_t topic_lives_find(const struct topic_lives *lives, struct uuid id);

/* A new batch of any number of records; its number, or UINT32_MAX: there are enough. */
uint32_t topic_lives_add_batch(struct topic_lives *lives, struct prng *prng, int32_t partition);

/* Its records, and whose they are. Lends writer's. */
struct slice topic_lives_write_batch(const struct topic_lives *lives, uint32_t number,
                                     struct record_batch_writer *writer);

void topic_lives_on_send(struct topic_lives *lives, uint32_t number);
void topic_lives_on_ack(struct topic_lives *lives, uint32_t number, int64_t offset);

/* What was read of a life at offset due. */
void topic_lives_judge(struct topic_lives *lives, uint32_t life, int32_t partition,
                       const struct record_batch_walk *walk, int64_t due);

/* A high watermark that a client was told. */
void topic_lives_judge_end(struct topic_lives *lives, uint32_t life, int32_t partition,
                           int64_t high_watermark);

/* The last life is read anew, from the beginning; and has been. */
void topic_lives_begin_scan(struct topic_lives *lives);
void topic_lives_end_scan(struct topic_lives *lives);

#endif
