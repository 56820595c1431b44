#define _GNU_SOURCE
#include "io/eager_write.h"

#include "base/macros.h"
#include "io/io_posix.h"

#include <unistd.h>

uint64_t eager_write_size(const struct io_op *op)
{
    uint64_t size = 0;
    for (uint32_t index = 0; index < op->write.vector_count; index++)
        size += op->write.vectors[index].iov_len;
    return size;
}

bool eager_write_may(const struct eager_write *eager, const struct io_op *op, uint64_t now_ns)
{
    return !op->write.is_patient && eager->sync_count == 0 && now_ns >= eager->resume_ns &&
           eager_write_size(op) <= eager_write_bytes_max;
}

void eager_write_note(struct eager_write *eager, uint64_t begin_ns, uint64_t end_ns)
{
    if (end_ns - begin_ns < eager_write_slow_ns)
        return;
    const bool is_soon = eager->pause_ns > 0 && begin_ns < eager->resume_ns + eager->pause_ns;
    eager->pause_ns =
        is_soon ? min_u64(2 * eager->pause_ns, eager_write_pause_ns_max) : eager_write_pause_ns_min;
    eager->resume_ns = end_ns + eager->pause_ns;
}

bool eager_write_try(struct eager_write *eager, const struct io_op *op)
{
    const uint64_t begin_ns = io_posix_now_ns();
    if (!eager_write_may(eager, op, begin_ns))
        return false;
    const ssize_t size = pwritev(op->handle, op->write.vectors, (int)op->write.vector_count,
                                 (off_t)op->write.offset);
    eager_write_note(eager, begin_ns, io_posix_now_ns());
    /* Short or failed: the world makes all of it again, and knows how to go on or what to say. */
    return size >= 0 && (uint64_t)size == eager_write_size(op);
}
