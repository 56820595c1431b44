/* The distribution of one measured number (milliseconds, counts): how many, their sum, least and
 * largest, and percentiles from a fixed histogram, so that adding one costs a few instructions and
 * no memory.
 *
 *   bucket:  0 1 2 .. 15 | 16-17 18-19 .. | 32-35 .. | ...     eight of them for each power of two
 *
 * Numbers below 16 are exact; above, a percentile is at most an eighth too high. There are three
 * histograms: two windows of metric_summary_window_ms, of which the older one is being forgotten,
 * and what went before. Their sum is everything since the reset; the two windows alone are
 * "lately".
 *
 * Memory: embedded, about 4 KiB. Shard: one owner.
 */
#ifndef SERVER_KEEPER_METRIC_SUMMARY_H
#define SERVER_KEEPER_METRIC_SUMMARY_H

#include <stdint.h>

enum {
    metric_summary_exact_count = 16,
    metric_summary_steps = 8,       /* Buckets for each power of two. */
    metric_summary_value_bits = 32, /* Larger numbers count as the largest. */
    metric_summary_bucket_count =
        metric_summary_exact_count + (metric_summary_value_bits - 4) * metric_summary_steps,
    metric_summary_window_ms = 5 * 60 * 1000,
};

struct metric_summary {
    uint64_t count;
    uint64_t sum;
    uint64_t min; /* Of nothing: zero. */
    uint64_t max;
    uint32_t windows[2][metric_summary_bucket_count];
    uint64_t older[metric_summary_bucket_count];
    uint32_t window_at; /* Which of the two is filled. */
};

/* The bucket of a number, and the largest number in a bucket. */
uint32_t metric_summary_bucket(uint64_t value);
uint64_t metric_summary_bucket_max(uint32_t bucket);

static inline void metric_summary_add(struct metric_summary *summary, uint64_t value)
{
    const uint32_t bucket =
        value < metric_summary_exact_count ? (uint32_t)value : metric_summary_bucket(value);
    if (summary->count == 0 || value < summary->min)
        summary->min = value;
    if (value > summary->max)
        summary->max = value;
    summary->sum += value;
    summary->count++;
    summary->windows[summary->window_at][bucket]++;
}

void metric_summary_reset(struct metric_summary *summary);

/* To be called every metric_summary_window_ms: the older window goes to what went before. */
void metric_summary_turn(struct metric_summary *summary);

enum metric_summary_span {
    METRIC_SUMMARY_ALL,    /* Since the reset. */
    METRIC_SUMMARY_LATELY, /* The two windows. */
};

/* The number that permille of those of the span do not exceed; -1: there is none in it. */
int64_t metric_summary_percentile(const struct metric_summary *summary,
                                  enum metric_summary_span span, uint32_t permille);

#endif
