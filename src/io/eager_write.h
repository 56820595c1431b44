/* Whether a small IO_WRITE is made at once by the loop itself, or handed to a thread of the world.
 *
 * A write of some KiB that ends in the page cache takes some microseconds; handing it over and
 * back wakes two threads and costs more than the write. But on file systems that cannot promise
 * not to wait (ext4), a write can meet a disk that is behind: then the loop must not be the one
 * that waits. So a write is made at once only while
 *
 *   - it is small, and somebody waits for it,
 *   - no IO_SYNC is in flight: journalling file systems make writers wait for a commit,
 *   - no eager write has been slow for a while. The while doubles each time that one is slow soon
 *     after the last while has ended: a disk that stays behind costs the loop one wait in
 *     eager_write_pause_ns_max.
 *
 * Memory: none. Shard: one owner.
 */
#ifndef IO_EAGER_WRITE_H
#define IO_EAGER_WRITE_H

#include "io/io.h"

enum {
    eager_write_bytes_max = 256 * 1024,
    eager_write_slow_ns = 2000000,
};

static const uint64_t eager_write_pause_ns_min = 100000000;
static const uint64_t eager_write_pause_ns_max = 10000000000;

struct eager_write {
    uint32_t sync_count; /* IO_SYNCs in flight: the world counts them. */
    uint64_t resume_ns;  /* No eager write before. */
    uint64_t pause_ns;   /* The length of the last pause; 0: there was none. */
};

/* Whether op, an IO_WRITE, may be made at once. */
bool eager_write_may(const struct eager_write *eager, const struct io_op *op, uint64_t now_ns);

/* An eager write began and ended at these times. */
void eager_write_note(struct eager_write *eager, uint64_t begin_ns, uint64_t end_ns);

/* Bytes of all vectors of op. */
uint64_t eager_write_size(const struct io_op *op);

/* Makes op at once if it may. False: it is to be handed over, whole; op is unchanged. */
bool eager_write_try(struct eager_write *eager, const struct io_op *op);

#endif
