/* Which segments of a partition retention removes: always from the front, never above the high
 * watermark.
 *
 * Memory: none. Shard: any.
 */
#ifndef BROKER_RETENTION_H
#define BROKER_RETENTION_H

#include "broker/partition_config.h"

/* The oldest segment, and what there is around it. */
struct retention_view {
    int64_t end_offset;           /* The next segment's base, or the log end of the last one. */
    int64_t largest_timestamp_ms; /* -1: no record has one. */
    int64_t created_ms;           /* Used instead then. */
    uint64_t segment_bytes;
    uint64_t partition_bytes; /* Of this segment and all behind it. */
    bool is_last;             /* It takes the appends: a new one must be begun first. */
    int64_t log_start_offset;
    int64_t high_watermark;
    int64_t now_ms;
};

enum retention_reason { RETENTION_KEEPS, RETENTION_START, RETENTION_SIZE, RETENTION_TIME };

/* Why the oldest segment goes, or RETENTION_KEEPS: then all others stay too. */
enum retention_reason retention_decide(const struct partition_config *config,
                                       const struct retention_view *view);

#endif
