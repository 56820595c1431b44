/* The tree's digest at every 128th zxid, the newest 1024 of them: by the word `hash` operators find
 * where two servers' trees went apart.
 *
 * Memory: embedded. Shard: one owner.
 */
#ifndef SERVER_KEEPER_DIGEST_LOG_H
#define SERVER_KEEPER_DIGEST_LOG_H

#include <stdint.h>

enum { digest_log_interval = 128, digest_log_count_max = 1024 };

struct digest_log_entry {
    int64_t zxid;
    uint64_t digest;
};

struct digest_log {
    uint64_t count; /* Ever added. */
    struct digest_log_entry entries[digest_log_count_max];
};

/* After each transaction: keeps it if its turn has come. */
static inline void digest_log_add(struct digest_log *log, int64_t zxid, uint64_t digest)
{
    if (zxid % digest_log_interval == 0)
        log->entries[log->count++ % digest_log_count_max] =
            (struct digest_log_entry){.zxid = zxid, .digest = digest};
}

static inline void digest_log_clear(struct digest_log *log)
{
    log->count = 0;
}

/* The entries that are kept, and one of them: index 0 is the oldest. */
static inline uint64_t digest_log_count(const struct digest_log *log)
{
    return log->count < digest_log_count_max ? log->count : digest_log_count_max;
}

static inline const struct digest_log_entry *digest_log_at(const struct digest_log *log,
                                                           uint64_t index)
{
    const uint64_t first = log->count - digest_log_count(log);
    return &log->entries[(first + index) % digest_log_count_max];
}

#endif
