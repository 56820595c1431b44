#include "server/keeper/keeper_stats.h"

#include "base/assert.h"
#include "base/macros.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { millisecond_ns = 1000000, decimals = 10000 };

void keeper_stats_reset(struct keeper_stats *stats, bool with_metrics)
{
    stats->received_count = 0;
    stats->sent_count = 0;
    stats->latency = (struct keeper_latency){0};
    stats->reply_bytes_last = -1;
    stats->reply_bytes_min = -1;
    stats->reply_bytes_max = -1;
    if (!with_metrics)
        return;
    stats->counts = (struct keeper_counts){0};
    memset(&stats->summaries, 0, sizeof stats->summaries);
}

void keeper_stats_add_reply_bytes(struct keeper_stats *stats, size_t bytes)
{
    const int64_t size = (int64_t)bytes;
    stats->counts.reply_bytes += bytes;
    stats->reply_bytes_last = size;
    stats->reply_bytes_max = max_i64(stats->reply_bytes_max, size);
    if (stats->reply_bytes_min < 0 || size < stats->reply_bytes_min)
        stats->reply_bytes_min = size;
}

void keeper_stats_add_told(struct keeper_stats *stats, int32_t event_type)
{
    assert(event_type >= 1 && event_type <= KEEPER_STATS_EVENT_COUNT);
    stats->told_count[event_type - 1]++;
}

void keeper_stats_end_change(struct keeper_stats *stats)
{
    for (uint32_t index = 0; index < KEEPER_STATS_EVENT_COUNT; index++) {
        if (stats->told_count[index] == 0)
            continue;
        metric_summary_add(&stats->summaries.watch_count[index], stats->told_count[index]);
        stats->told_count[index] = 0;
    }
}

void keeper_stats_turn_windows(struct keeper_stats *stats)
{
    struct metric_summary *summaries = (struct metric_summary *)&stats->summaries;
    for (size_t index = 0; index < sizeof stats->summaries / sizeof *summaries; index++)
        metric_summary_turn(&summaries[index]);
}

void keeper_latency_add(struct keeper_latency *latency, uint64_t elapsed_ns)
{
    const uint32_t elapsed_ms = (uint32_t)min_u64(elapsed_ns / millisecond_ns, UINT32_MAX);
    if (latency->count == 0 || elapsed_ms < latency->min_ms)
        latency->min_ms = elapsed_ms;
    if (elapsed_ms > latency->max_ms)
        latency->max_ms = elapsed_ms;
    latency->total_ms += elapsed_ms;
    latency->count++;
}

const char *keeper_latency_print_average(const struct keeper_latency *latency, char *text)
{
    const uint64_t count = max_u64(latency->count, 1);
    const uint64_t scaled = (latency->total_ms * decimals + count / 2) / count;
    snprintf(text, keeper_latency_text_bytes, "%" PRIu64 ".%04" PRIu64, scaled / decimals,
             scaled % decimals);
    size_t size = strlen(text);
    while (text[size - 1] == '0' && text[size - 2] != '.')
        text[--size] = '\0';
    return text;
}
