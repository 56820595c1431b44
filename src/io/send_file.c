#define _GNU_SOURCE
#include "io/send_file.h"

#include "io/io_posix.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { page_bytes_min = 4096, ranges_per_turn = 2 };

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

static enum send_file_next stop_for(int64_t result, int *error)
{
    *error = (int)result;
    return result == -EAGAIN ? SEND_FILE_WAIT : SEND_FILE_FAILED;
}

enum send_file_next send_file_step(struct send_file *state, struct io_op *op, int *error)
{
    while (io_posix_skip_written(op, 0)) {
        const int64_t sent = send_vectors(op);
        if (sent < 0 && sent != -EINTR)
            return stop_for(sent, error);
        op->moved += sent > 0 ? (uint64_t)sent : 0;
        io_posix_skip_written(op, sent > 0 ? (size_t)sent : 0);
    }
    for (uint32_t turn = 0; turn < ranges_per_turn; turn++) {
        if (state->sent == op->send_file.size)
            return SEND_FILE_DONE;
        const struct send_file_range range = send_file_cold_range(state, op);
        if (!state->is_warmed && !is_cached(op->send_file.file, range))
            return SEND_FILE_WARM;

        const int64_t sent = send_range(op, range);
        if (sent != -EINTR)
            state->is_warmed = false; /* A slow peer may outlast the cache. */
        if (sent < 0 && sent != -EINTR)
            return stop_for(sent, error);
        state->sent += sent > 0 ? (uint64_t)sent : 0;
        op->moved += sent > 0 ? (uint64_t)sent : 0;
    }
    return SEND_FILE_MORE;
}
