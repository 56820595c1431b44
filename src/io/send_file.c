#define _GNU_SOURCE
#include "io/send_file.h"

#include "io/io_posix.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { page_bytes_min = 4096, ranges_per_turn = 2, copied_bytes_max = 64 * 1024 };

struct send_file_range send_file_cold_range(const struct send_file *state, const struct io_op *op)
{
    return (struct send_file_range){
        .offset = op->send_file.offset + state->sent,
        .size = min_u64(op->send_file.size - state->sent, send_file_range_bytes)};
}

/* Asks for each page through a mapping that is never touched. A page that is still being read from
 * disk does not count as cached, which is why this is not cachestat(2). */
static bool is_cached(int file, struct send_file_range range)
{
    unsigned char pages[send_file_range_bytes / page_bytes_min + 1];
    const uint64_t page_bytes = (uint64_t)getpagesize();
    const uint64_t skew = range.offset % page_bytes;
    const size_t size = range.size + skew;
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, file, (off_t)(range.offset - skew));
    if (map == MAP_FAILED)
        return false;
    bool found = mincore(map, size, pages) == 0;
    for (uint64_t page = 0; found && page < div_ceil(size, page_bytes); page++)
        found = (pages[page] & 1) != 0;
    munmap(map, size);
    return found;
}

/* Sends what the socket takes of one range: bytes or a negative errno. */
static int64_t send_range(const struct io_op *op, struct send_file_range range)
{
    off_t offset = (off_t)range.offset;
    const ssize_t sent = sendfile(op->handle, op->send_file.file, &offset, range.size);
    if (sent == 0)
        return -EIO; /* The file is shorter than the op says. */
    return sent < 0 ? -errno : sent;
}

/* Sends what the socket takes of the bytes in front, which travel in one packet with the file's. */
static int64_t send_vectors(const struct io_op *op)
{
    const struct msghdr message = {.msg_iov = op->send_file.vectors,
                                   .msg_iovlen = op->send_file.vector_count};
    const int more = op->send_file.size > 0 ? MSG_MORE : 0;
    const ssize_t sent = sendmsg(op->handle, &message, MSG_NOSIGNAL | MSG_DONTWAIT | more);
    return sent < 0 ? -errno : sent;
}

/* A short range costs less as a copy: one call says whether it is cached, and one sends it with the
 * bytes in front. *sent is as by sendmsg; false: it is long or not cached, and nothing was done. */
static bool send_copy(struct send_file *state, struct io_op *op, int64_t *sent)
{
    uint8_t bytes[copied_bytes_max];
    struct iovec vectors[io_vector_count_max + 1];
    const struct send_file_range range = send_file_cold_range(state, op);
    const uint32_t front_count = op->send_file.vector_count;
    const struct iovec copy = {bytes, range.size};
    if (range.size == 0 || range.size > copied_bytes_max ||
        preadv2(op->send_file.file, &copy, 1, (off_t)range.offset, RWF_NOWAIT) !=
            (ssize_t)range.size)
        return false;
    for (uint32_t index = 0; index < front_count; index++)
        vectors[index] = op->send_file.vectors[index];
    vectors[front_count] = copy;
    const struct msghdr message = {.msg_iov = vectors, .msg_iovlen = front_count + 1};
    const ssize_t result = sendmsg(op->handle, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    *sent = result < 0 ? -errno : result;
    return true;
}

/* So much of the bytes in front and of the file has left. */
static void count_sent(struct send_file *state, struct io_op *op, uint64_t sent)
{
    uint64_t front = 0;
    for (uint32_t index = 0; index < op->send_file.vector_count; index++)
        front += op->send_file.vectors[index].iov_len;
    op->moved += sent;
    io_posix_skip_written(op, min_u64(sent, front));
    state->sent += sent - min_u64(sent, front);
}

static enum send_file_next stop_for(int64_t result, int *error)
{
    *error = (int)result;
    return result == -EAGAIN ? SEND_FILE_WAIT : SEND_FILE_FAILED;
}

/* The next bytes: those in front first. */
static int64_t send_next(struct send_file *state, struct io_op *op, bool *is_cold)
{
    int64_t copied;
    if (send_copy(state, op, &copied)) {
        state->is_warmed = false; /* What is left of the range may leave the cache meanwhile. */
        return copied;
    }
    if (io_posix_skip_written(op, 0))
        return send_vectors(op);
    const struct send_file_range range = send_file_cold_range(state, op);
    *is_cold = !state->is_warmed && !is_cached(op->send_file.file, range);
    if (*is_cold)
        return 0;
    const int64_t result = send_range(op, range);
    if (result != -EINTR)
        state->is_warmed = false; /* A slow peer may outlast the cache. */
    return result;
}

static bool is_sent(const struct send_file *state, struct io_op *op)
{
    return !io_posix_skip_written(op, 0) && state->sent == op->send_file.size;
}

enum send_file_next send_file_step(struct send_file *state, struct io_op *op, int *error)
{
    for (uint32_t turn = 0; turn < ranges_per_turn && !is_sent(state, op);) {
        const bool is_front = io_posix_skip_written(op, 0);
        bool is_cold = false;
        const int64_t sent = send_next(state, op, &is_cold);
        if (is_cold)
            return SEND_FILE_WARM;
        if (sent < 0 && sent != -EINTR)
            return stop_for(sent, error);
        count_sent(state, op, sent > 0 ? (uint64_t)sent : 0);
        turn += is_front ? 0 : 1;
    }
    return is_sent(state, op) ? SEND_FILE_DONE : SEND_FILE_MORE;
}
