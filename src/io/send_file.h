/* One IO_SEND_FILE in progress: after the bytes in front, ranges that lie in the page cache go to
 * the socket by sendfile(2), short ones by a copy; cold ranges are first read into the page cache
 * off the loop, so that the loop never waits for a disk.
 *
 * The world calls send_file_step when the op starts and after each thing that it asked for; a step
 * does a bounded amount of work.
 *
 * Memory: none; the state lies in the op. Shard: one owner.
 */
#ifndef IO_SEND_FILE_H
#define IO_SEND_FILE_H

#include "io/io.h"

struct send_file {
    uint64_t sent;  /* Of the file, without the bytes in front. */
    bool is_warmed; /* The next range was just read: send it even if it left the cache again. */
};

enum send_file_next {
    SEND_FILE_DONE, /* All is sent. */
    SEND_FILE_MORE, /* Its turn is over: step again after others had theirs. */
    SEND_FILE_WAIT, /* Step again when the socket takes bytes. */
    SEND_FILE_WARM, /* Read send_file_cold_range off the loop, set is_warmed, step again. */
    SEND_FILE_FAILED
};

/* The most that has to be read for one SEND_FILE_WARM. */
enum { send_file_range_bytes = 1 << 20 };

struct send_file_range {
    uint64_t offset;
    uint64_t size;
};

/* *error is the negative errno of SEND_FILE_FAILED. Counts in op->moved, which is the result at
 * last, and changes the vectors of op. */
enum send_file_next send_file_step(struct send_file *state, struct io_op *op, int *error);

struct send_file_range send_file_cold_range(const struct send_file *state, const struct io_op *op);

#endif
