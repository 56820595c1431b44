#define _GNU_SOURCE
#include "io/send_file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum { page_bytes_min = 4096, ranges_per_turn = 4 };

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

enum send_file_next send_file_step(struct send_file *state, const struct io_op *op, int *error)
{
    for (uint32_t turn = 0; turn < ranges_per_turn; turn++) {
        if (state->sent == op->send_file.size)
            return SEND_FILE_DONE;
        const struct send_file_range range = send_file_cold_range(state, op);
        if (!state->is_warmed && !is_cached(op->send_file.file, range))
            return SEND_FILE_WARM;

        const int64_t sent = send_range(op, range);
        if (sent == -EAGAIN) {
            state->is_warmed = false; /* A slow peer may outlast the cache. */
            return SEND_FILE_WAIT;
        }
        if (sent < 0 && sent != -EINTR) {
            *error = (int)sent;
            return SEND_FILE_FAILED;
        }
        state->sent += sent > 0 ? (uint64_t)sent : 0;
        state->is_warmed = false;
    }
    return SEND_FILE_MORE;
}
