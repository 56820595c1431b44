/* What the replicas' logs hold, batch by batch: the part of the ledger (sim/cluster_ledger.h) that
 * reads the segments, as each broker sees them, whenever something new is in them.
 *
 * It says that
 * - two logs that share an offset and a leader epoch are the same up to there (log matching);
 * - epochs do not go back within a log, and the broker's list of epochs is what its batches say,
 *   with nothing behind the log's end, and with the epoch that it leads in;
 * - what one replica has below its high watermark no other ever has otherwise (commitment);
 * - the leader of the latest epoch has all that was ever below a high watermark (completeness);
 * - the high watermark of a leader is below what each member of the maximal ISR has, and does not
 *   move while fewer are in sync than min.insync.replicas asks for.
 *
 * A history is a hash of all batches up to an offset, so that equal ones mean equal logs.
 *
 * Memory: within the ledger. Shard: the simulator's thread.
 */
#ifndef SIM_CLUSTER_LOGS_H
#define SIM_CLUSTER_LOGS_H

#include "server/broker/broker_server.h"
#include "sim/workload.h"

enum {
    cluster_broker_count_max = 5,
    cluster_partition_count_max = 2,
    cluster_offset_count_max = 8192,
    cluster_batch_count_max = 8192,
};

/* A batch that some replica has had, by offset and epoch. */
struct cluster_batch {
    uint32_t after; /* The next one of the same offset, from 1; 0: none. */
    int32_t leader_epoch;
    uint64_t history; /* With this batch. */
    uint8_t broker;   /* Who had it first, from 1. */
};

/* One replica's log, as far as it was read. */
struct cluster_log {
    uint32_t cut_count; /* Of the store. */
    int64_t offset;     /* Read up to there. */
    int64_t segment_base;
    uint64_t position; /* In that segment. */
    int32_t leader_epoch;
    int64_t led_high_watermark;                       /* While it leads; -1: it does not. */
    uint64_t histories[cluster_offset_count_max + 1]; /* By end offset; 0: no batch ends there. */
};

/* One partition. */
struct cluster_logs {
    struct sim *sim;
    struct sim_workload_result *result;
    const char *name;      /* Of the partition. */
    bool may_lose_written; /* A high watermark promises nothing. */
    struct cluster_log logs[cluster_broker_count_max];
    struct cluster_batch batches[cluster_batch_count_max];
    uint32_t batch_count;
    uint32_t first_at[cluster_offset_count_max]; /* In batches, from 1. */
    int64_t committed_offset;
    uint64_t committed[cluster_offset_count_max + 1];
    int32_t leader_epoch; /* The latest that was ever led in. */
};

/* The broker's process is another one. */
void cluster_logs_forget(struct cluster_logs *logs, uint32_t broker);

/* Looks at the replica of one broker, whose node has the disk. */
void cluster_logs_look(struct cluster_logs *logs, uint32_t broker, struct sim_disk *disk,
                       const struct partition *partition);

#endif
