/* Where diag lines go: standard error or a file, one timestamped line each.
 *
 *      2026-11-22T09:30:00.123Z INFO  keeper: serving on 127.0.0.1:2181
 *
 * Each line is one write, so that lines of several shards in one file do not mix.
 *
 * Memory: none. Shard: one owner.
 */
#ifndef SHARD_DIAG_SINK_H
#define SHARD_DIAG_SINK_H

#include "base/diag.h"
#include "base/err.h"

struct diag_sink {
    struct diag diag;
    const char *name; /* Of the shard. */
    int handle;
    bool is_file;
};

struct diag_sink_options {
    const char *name; /* Keeps. */
    const char *path; /* Appends to this file; NULL: standard error. */
    enum diag_level level_min;
};

/* ERR_PERMISSION, ERR_NOT_FOUND, ERR_IO: the file cannot be opened; lines go to standard error. */
MUST_CHECK enum err diag_sink_init(struct diag_sink *sink, struct diag_sink_options options);

void diag_sink_deinit(struct diag_sink *sink);

/* The text of a line with its end, for the time in milliseconds since 1970. Lends text back. */
struct slice diag_sink_format(const struct diag_sink *sink, enum diag_level level,
                              struct slice line, int64_t wall_ms, char *text, size_t capacity);

enum { diag_sink_text_bytes_max = diag_line_bytes_max + 128 };

#endif
