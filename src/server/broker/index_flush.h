/* Writes the index entries that wait in memory behind those in the .index and .timeindex files of a
 * segment: one segment at a time.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_INDEX_FLUSH_H
#define SERVER_BROKER_INDEX_FLUSH_H

#include "io/io.h"

struct partition_segment;

enum { index_flush_path_bytes = 768 };

enum index_flush_step { FLUSH_IDLE, FLUSH_OPEN, FLUSH_WRITE, FLUSH_SYNC, FLUSH_CLOSE };

struct index_flush {
    struct io *io;
    struct io_op op;
    struct iovec vector;
    struct partition_segment *segment; /* NULL: nothing is in flight. */
    enum index_flush_step step;
    bool is_time; /* The second of the two files. */
    bool is_last; /* The segment is sealed: all of it, and a sync. */
    uint32_t offset_count;
    uint32_t time_count;
    int32_t handle;
    int64_t error; /* The first failure, a negative errno. */
    char path[index_flush_path_bytes];
    /* 0: the entries are in the files and forgotten. Or a negative errno: they still wait. */
    void (*done)(struct index_flush *flush, int64_t result);
};

/* Takes flush until done. The segment stays until then; entries may be added meanwhile. */
void index_flush_start(struct index_flush *flush, struct io *io, struct partition_segment *segment);

/* The path of a file of the partition directory: <path>/<20 digits><suffix>. False: too long. */
bool index_flush_print_path(char *path, size_t capacity, const char *directory, int64_t base_offset,
                            const char *suffix);

#endif
