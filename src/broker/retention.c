#include "broker/retention.h"

enum retention_reason retention_decide(const struct partition_config *config,
                                       const struct retention_view *view)
{
    if (view->end_offset > view->high_watermark || (view->is_last && view->segment_bytes == 0))
        return RETENTION_KEEPS;
    if (!view->is_last && view->end_offset <= view->log_start_offset)
        return RETENTION_START;
    if (!config->deletes)
        return RETENTION_KEEPS;
    if (config->retention_bytes >= 0 && !view->is_last &&
        view->partition_bytes - view->segment_bytes >= (uint64_t)config->retention_bytes)
        return RETENTION_SIZE;
    const int64_t newest_ms =
        view->largest_timestamp_ms >= 0 ? view->largest_timestamp_ms : view->created_ms;
    if (config->retention_ms >= 0 && view->now_ms - newest_ms > config->retention_ms)
        return RETENTION_TIME;
    return RETENTION_KEEPS;
}
