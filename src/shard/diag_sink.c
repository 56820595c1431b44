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

static const char *word_of_level(enum diag_level level)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    return words[level];
}

/* The bytes of the character that text begins with, 0: it is no UTF-8. */
static size_t character_bytes(struct slice text)
{
    const uint8_t first = text.data[0];
    const size_t size = first < 0x80                    ? 1
                        : first >= 0xc2 && first < 0xe0 ? 2
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
    if (size > text.size)
        return 0;
    for (size_t at = 1; at < size; at++)
        if ((text.data[at] & 0xc0) != 0x80)
            return 0;
    /* Longer than need be, half of a pair, or above the last character. */
    const uint8_t second = size > 1 ? text.data[1] : 0;
    const bool is_odd = (first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
                        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90);
    return is_odd ? 0 : size;
}

/* The line as the inside of a JSON string; it has no control characters. The size. */
static size_t escape(struct slice line, char *out)
{
    size_t used = 0;
    while (line.size > 0) {
        const size_t size = character_bytes(line);
        if (line.data[0] == '"' || line.data[0] == '\\')
            out[used++] = '\\';
        memcpy(out + used, size == 0 ? (const uint8_t *)"\xef\xbf\xbd" : line.data,
               size == 0 ? 3 : size);
        used += size == 0 ? 3 : size;
        line = slice_skip(line, size == 0 ? 1 : size);
    }
    return used;
}

static size_t format_json(const struct diag_sink *sink, enum diag_level level, struct slice line,
                          const char *time, char text[diag_sink_text_bytes_max])
{
    const int head = snprintf(text, diag_sink_text_bytes_max,
                              "{\"time\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"text\":\"",
                              time, word_of_level(level), sink->name);
    assert(head > 0 && (size_t)head + 3 * line.size + 3 < diag_sink_text_bytes_max);
    size_t used = (size_t)head;
    used += escape(line, text + used);
    memcpy(text + used, "\"}", 2);
    return used + 2;
}

struct slice diag_sink_format(const struct diag_sink *sink, enum diag_level level,
                              struct slice line, int64_t wall_ms,
                              char text[diag_sink_text_bytes_max])
{
    char time[48];
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm when;
    gmtime_r(&seconds, &when);
    snprintf(time, sizeof time, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", when.tm_year + 1900,
             when.tm_mon + 1, when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec,
             (int)(wall_ms % 1000));
    size_t used = 0;
    if (sink->format == DIAG_JSON)
        used = format_json(sink, level, line, time, text);
    else
        used = (size_t)snprintf(text, diag_sink_text_bytes_max, "%s %s %s: %" SLICE_FORMAT, time,
                                name_of_level(level), sink->name, SLICE_ARGS(line));
    assert(used < diag_sink_text_bytes_max);
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
    const struct slice whole = diag_sink_format(sink, level, line, wall_ms, text);
    /* Where the reason for a failed write could be told is just here. */
    const ssize_t ignored = write(sink->handle, whole.data, whole.size);
    (void)ignored;
}

enum err diag_sink_init(struct diag_sink *sink, struct diag_sink_options options)
{
    *sink = (struct diag_sink){.diag = {.write = write_line, .level_min = options.level_min},
                               .format = options.format,
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
