#include "server/keeper/keeper_stats.h"

#include "base/macros.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { millisecond_ns = 1000000, decimals = 10000 };

void keeper_stats_reset(struct keeper_stats *stats)
{
    stats->received_count = 0;
    stats->sent_count = 0;
    stats->latency = (struct keeper_latency){0};
    stats->read_latency = (struct keeper_latency){0};
    stats->write_latency = (struct keeper_latency){0};
    stats->reply_bytes_last = -1;
    stats->reply_bytes_min = -1;
    stats->reply_bytes_max = -1;
}

void keeper_stats_add_reply(struct keeper_stats *stats, size_t bytes)
{
    const int64_t size = (int64_t)bytes;
    stats->sent_count++;
    stats->reply_bytes_last = size;
    stats->reply_bytes_max = max_i64(stats->reply_bytes_max, size);
    if (stats->reply_bytes_min < 0 || size < stats->reply_bytes_min)
        stats->reply_bytes_min = size;
}

void keeper_latency_add(struct keeper_latency *latency, uint64_t elapsed_ns)
{
    const uint64_t elapsed_ms = elapsed_ns / millisecond_ns;
    if (latency->count == 0 || elapsed_ms < latency->min_ms)
        latency->min_ms = elapsed_ms;
    latency->max_ms = max_u64(latency->max_ms, elapsed_ms);
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
