#include "broker/replication_quota.h"

#include "base/assert.h"

enum { ms_per_s = 1000 };

void replication_quota_init(struct replication_quota *quota, struct quota_window *windows,
                            uint32_t measured_count, int64_t window_ms)
{
    assert(measured_count > 0 && window_ms > 0);
    *quota = (struct replication_quota){
        .bytes_per_s_max = replication_quota_none,
        .window_ms = window_ms,
        .window_count = replication_quota_window_count(measured_count),
        .windows = windows,
    };
}

static void begin(struct quota_window *window, int64_t now_ms)
{
    *window = (struct quota_window){.began_ms = now_ms, .last_ms = now_ms};
}

static struct quota_window *current(struct replication_quota *quota, int64_t now_ms)
{
    if (quota->used_count == 0) {
        quota->used_count = 1;
        quota->current = 0;
        begin(&quota->windows[0], now_ms);
    }
    return &quota->windows[quota->current];
}

void replication_quota_record(struct replication_quota *quota, uint64_t bytes, int64_t now_ms)
{
    struct quota_window *window = current(quota, now_ms);
    if (now_ms - window->began_ms >= quota->window_ms) {
        quota->current = (quota->current + 1) % quota->window_count;
        if (quota->current == quota->used_count)
            quota->used_count++;
        window = &quota->windows[quota->current];
        begin(window, now_ms);
    }
    window->bytes += bytes;
    window->last_ms = now_ms;
}

int64_t replication_quota_wait_ms(struct replication_quota *quota, int64_t now_ms)
{
    const int64_t age_ms_max = (quota->window_count - 1) * quota->window_ms;
    int64_t began_ms = now_ms;
    double bytes = 0;
    for (uint32_t i = 0; i < quota->used_count; i++) {
        struct quota_window *window = &quota->windows[i];
        if (now_ms - window->last_ms >= age_ms_max)
            begin(window, now_ms);
        began_ms = min_i64(began_ms, window->began_ms);
        bytes += (double)window->bytes;
    }
    const int64_t elapsed_ms = max_i64(now_ms - began_ms, quota->window_ms);
    const double limit = (double)quota->bytes_per_s_max;
    if (bytes * ms_per_s <= limit * (double)elapsed_ms)
        return 0;
    /* By then the rate has come down, or all windows have passed. */
    const double since_ms = (double)(now_ms - began_ms);
    const double wait_ms = limit > 0 ? bytes * ms_per_s / limit - since_ms : (double)age_ms_max;
    return wait_ms < (double)age_ms_max ? (int64_t)wait_ms + 1 : age_ms_max;
}
