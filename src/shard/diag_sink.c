#define _GNU_SOURCE
#include "shard/diag_sink.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *name_of_level(enum diag_level level)
{
    switch (level) {
    case DIAG_DEBUG: return "DEBUG";
    case DIAG_INFO: return "INFO ";
    case DIAG_WARN: return "WARN ";
    case DIAG_ERROR: return "ERROR";
    }
    assert(false);
    return "";
}

struct slice diag_sink_format(const struct diag_sink *sink, enum diag_level level,
                              struct slice line, int64_t wall_ms, char *text, size_t capacity)
{
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm when;
    gmtime_r(&seconds, &when);
    const int size = snprintf(
        text, capacity, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s: %" SLICE_FORMAT,
        when.tm_year + 1900, when.tm_mon + 1, when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec,
        (int)(wall_ms % 1000), name_of_level(level), sink->name, SLICE_ARGS(line));
    assert(size > 0 && capacity > 1);
    const size_t used = min_size((size_t)size, capacity - 1);
    text[used] = '\n';
    return slice_of(text, used + 1);
}

static void write_line(struct diag *diag, enum diag_level level, struct slice line)
{
    const struct diag_sink *sink = CONTAINER_OF(diag, struct diag_sink, diag);
    char text[diag_sink_text_bytes_max];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    const struct slice whole = diag_sink_format(sink, level, line, wall_ms, text, sizeof text);
    /* Where the reason for a failed write could be told is just here. */
    const ssize_t ignored = write(sink->handle, whole.data, whole.size);
    (void)ignored;
}

enum err diag_sink_init(struct diag_sink *sink, struct diag_sink_options options)
{
    *sink = (struct diag_sink){.diag = {.write = write_line, .level_min = options.level_min},
                               .name = options.name,
                               .handle = STDERR_FILENO};
    if (options.path == NULL)
        return ERR_OK;
    const int handle = open(options.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (handle < 0)
        return err_from_errno(-errno);
    sink->handle = handle;
    sink->is_file = true;
    return ERR_OK;
}

void diag_sink_deinit(struct diag_sink *sink)
{
    if (sink->is_file)
        close(sink->handle);
}
