#include "server/keeper/metric_summary.h"

#include "base/macros.h"

#include <string.h>

enum { exact_bits = 4, step_bits = 3 };

uint32_t metric_summary_bucket(uint64_t value)
{
    if (value < metric_summary_exact_count)
        return (uint32_t)value;
    if (value >> metric_summary_value_bits != 0)
        return metric_summary_bucket_count - 1;
    const uint32_t power = 63 - (uint32_t)__builtin_clzll(value);
    const uint32_t step = (uint32_t)(value >> (power - step_bits)) & (metric_summary_steps - 1);
    return metric_summary_exact_count + (power - exact_bits) * metric_summary_steps + step;
}

uint64_t metric_summary_bucket_max(uint32_t bucket)
{
    if (bucket < metric_summary_exact_count)
        return bucket;
    const uint32_t power =
        (bucket - metric_summary_exact_count) / metric_summary_steps + exact_bits;
    const uint64_t step = (bucket - metric_summary_exact_count) % metric_summary_steps;
    return ((metric_summary_steps + step + 1) << (power - step_bits)) - 1;
}

void metric_summary_reset(struct metric_summary *summary)
{
    *summary = (struct metric_summary){0};
}

void metric_summary_turn(struct metric_summary *summary)
{
    const uint32_t other = 1 - summary->window_at;
    for (uint32_t bucket = 0; bucket < metric_summary_bucket_count; bucket++)
        summary->older[bucket] += summary->windows[other][bucket];
    memset(summary->windows[other], 0, sizeof summary->windows[other]);
    summary->window_at = other;
}

static uint64_t count_in(const struct metric_summary *summary, enum metric_summary_span span,
                         uint32_t bucket)
{
    const uint64_t lately =
        (uint64_t)summary->windows[0][bucket] + (uint64_t)summary->windows[1][bucket];
    return span == METRIC_SUMMARY_LATELY ? lately : lately + summary->older[bucket];
}

int64_t metric_summary_percentile(const struct metric_summary *summary,
                                  enum metric_summary_span span, uint32_t permille)
{
    uint64_t total = 0;
    for (uint32_t bucket = 0; bucket < metric_summary_bucket_count; bucket++)
        total += count_in(summary, span, bucket);
    if (total == 0)
        return -1;
    const uint64_t wanted = max_u64(div_ceil(total * permille, 1000), 1);
    uint64_t seen = 0;
    uint32_t bucket = 0;
    while ((seen += count_in(summary, span, bucket)) < wanted)
        bucket++;
    return (int64_t)min_u64(metric_summary_bucket_max(bucket), summary->max);
}
