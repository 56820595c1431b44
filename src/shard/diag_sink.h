/* Where diag lines go: standard error or a file, one timestamped line each, as text or as JSON.
 *
 *      2026-11-22T09:30:00.123Z INFO  keeper: serving on 127.0.0.1:2181
 *      {"time":"2026-11-22T09:30:00.123Z","level":"info","service":"keeper","text":"serving on .."}
 *
 * Both are stable: time in UTC, level, service, text. In JSON what is no UTF-8 is U+FFFD.
 *
 * Each line is one write, so that lines of several shards in one file do not mix.
 *
 * Memory: none. Shard: one owner.
 */
#ifndef SHARD_DIAG_SINK_H
#define SHARD_DIAG_SINK_H

#include "base/diag.h"
#include "base/err.h"

/* Every byte of a line may become three. */
enum { diag_sink_text_bytes_max = 3 * diag_line_bytes_max + 256 };

enum diag_format { DIAG_TEXT, DIAG_JSON };

struct diag_sink {
    struct diag diag;
    enum diag_format format;
    const char *name; /* Of the shard. */
    int handle;
    bool is_file;
};

struct diag_sink_options {
    const char *name; /* Keeps. */
    const char *path; /* Appends to this file; NULL: standard error. */
    enum diag_format format;
    enum diag_level level_min;
};

/* ERR_PERMISSION, ERR_NOT_FOUND, ERR_IO: the file cannot be opened; lines go to standard error. */
MUST_CHECK enum err diag_sink_init(struct diag_sink *sink, struct diag_sink_options options);

void diag_sink_deinit(struct diag_sink *sink);

/* The text of a line with its end, for the time in milliseconds since 1970. Lends text back. */
struct slice diag_sink_format(const struct diag_sink *sink, enum diag_level level,
                              struct slice line, int64_t wall_ms,
                              char text[diag_sink_text_bytes_max]);

#endif
