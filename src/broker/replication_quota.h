/* How many bytes a second the throttled replicas of a broker may take, as its leaders send them or
 * as its followers fetch them.
 *
 * What has gone is counted in windows of time, as many as replication.quota.window.num says, and
 * one more that still overlaps them: the rate is all that they hold, over the time since the oldest
 * of them began, but over no less than one window. Nothing is refused in advance: whoever asks
 * whether the rate is above the limit waits as long as it is, so one large answer is paid for
 * afterwards. A window in which nothing has happened for as long as all of them last begins anew,
 * so a rate so small that one answer is too much for it still lets one through every time.
 *
 * Time is milliseconds of any clock that does not go back.
 *
 * Memory: the caller's windows. Shard: one owner.
 */
#ifndef BROKER_REPLICATION_QUOTA_H
#define BROKER_REPLICATION_QUOTA_H

#include "base/macros.h"

/* No limit. */
static const int64_t replication_quota_none = INT64_MAX;

struct quota_window {
    int64_t began_ms;
    int64_t last_ms; /* When something was last counted in it. */
    uint64_t bytes;
};

struct replication_quota {
    int64_t bytes_per_s_max;
    int64_t window_ms;
    uint32_t window_count; /* With the one that overlaps. */
    uint32_t used_count;
    uint32_t current;
    struct quota_window *windows;
};

/* Windows that windows must have room for. */
static inline uint32_t replication_quota_window_count(uint32_t measured_count)
{
    return measured_count + 1;
}

/* Keeps windows. Without a limit until one is set. */
void replication_quota_init(struct replication_quota *quota, struct quota_window *windows,
                            uint32_t measured_count, int64_t window_ms);

void replication_quota_record(struct replication_quota *quota, uint64_t bytes, int64_t now_ms);

/* 0: the rate is within the limit. Else whoever is throttled must wait: at most so many
 * milliseconds, if nothing else is recorded until then. */
int64_t replication_quota_wait_ms(struct replication_quota *quota, int64_t now_ms);

#endif
