#include "server/keeper/host_facts.h"

#include "journal/small_file.h"

#include <stdio.h>

enum { limits_bytes_max = 8192 };

static void load_text(struct io *io, const char *path, char *out)
{
    int64_t size = small_file_read_wait(io, path, out, host_facts_text_bytes - 1);
    while (size > 0 && (out[size - 1] == '\n' || out[size - 1] == '\0'))
        size--;
    if (size > 0)
        out[size] = '\0';
    else
        snprintf(out, host_facts_text_bytes, "<NA>");
}

uint64_t host_facts_parse_limit(struct slice text)
{
    static const char title[] = "Max open files";
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        const size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        const struct slice line = slice_of(text.data, size);
        text = slice_skip(text, end == NULL ? size : size + 1);
        if (!slice_starts_with(line, SLICE_LITERAL("Max open files")))
            continue;
        uint64_t limit = 0;
        size_t at = sizeof title - 1;
        while (at < size && line.data[at] == ' ')
            at++;
        for (; at < size && line.data[at] >= '0' && line.data[at] <= '9'; at++)
            limit = limit * 10 + (uint64_t)(line.data[at] - '0');
        return limit;
    }
    return 0;
}

static void count(void *context, const char *name)
{
    uint64_t *file_count = context;
    (void)name;
    ++*file_count;
}

/* Java has a name of its own for it. */
static void load_architecture(struct io *io, char *out)
{
    load_text(io, "/proc/sys/kernel/arch", out);
    if (strcmp(out, "x86_64") == 0)
        snprintf(out, host_facts_text_bytes, "amd64");
}

void host_facts_load(struct host_facts *facts, struct io *io)
{
    char limits[limits_bytes_max];
    *facts = (struct host_facts){0};
    load_text(io, "/proc/sys/kernel/hostname", facts->host_name);
    load_text(io, "/proc/sys/kernel/ostype", facts->os_name);
    load_text(io, "/proc/sys/kernel/osrelease", facts->os_version);
    load_architecture(io, facts->architecture);
    if (io_list_directory(io, "/proc/self/fd", count, &facts->open_file_count) < 0)
        facts->open_file_count = 0;
    const int64_t size = small_file_read_wait(io, "/proc/self/limits", limits, sizeof limits);
    if (size > 0)
        facts->open_file_count_max = host_facts_parse_limit(slice_of(limits, (size_t)size));
}
