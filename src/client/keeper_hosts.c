#include "client/keeper_hosts.h"

static struct slice trim(struct slice text)
{
    while (text.size > 0 && text.data[0] == ' ')
        text = slice_skip(text, 1);
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

static const uint8_t *find_last(struct slice text, uint8_t character)
{
    for (size_t at = text.size; at > 0; at--)
        if (text.data[at - 1] == character)
            return text.data + at - 1;
    return NULL;
}

static bool read_port(struct slice digits, uint16_t *port)
{
    uint32_t value = 0;
    if (digits.size == 0 || digits.size > 5)
        return false;
    for (size_t at = 0; at < digits.size; at++) {
        if (digits.data[at] < '0' || digits.data[at] > '9')
            return false;
        value = value * 10 + (uint32_t)(digits.data[at] - '0');
    }
    *port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

/* "host", "host:port", "[::1]", "[::1]:port", or a bare IPv6 address. */
static bool read_host(struct slice text, struct slice *host, uint16_t *port)
{
    *port = keeper_hosts_port_default;
    if (text.size > 0 && text.data[0] == '[') {
        const uint8_t *end = memchr(text.data, ']', text.size);
        if (end == NULL)
            return false;
        *host = slice_of(text.data + 1, (size_t)(end - text.data) - 1);
        const struct slice rest = slice_skip(text, (size_t)(end - text.data) + 1);
        return rest.size == 0 || (rest.data[0] == ':' && read_port(slice_skip(rest, 1), port));
    }
    const uint8_t *colon = find_last(text, ':');
    *host = text;
    if (colon == NULL || memchr(text.data, ':', text.size) != colon)
        return true;
    host->size = (size_t)(colon - text.data);
    return read_port(slice_skip(text, host->size + 1), port);
}

bool keeper_hosts_read(struct slice *list, struct keeper_hosts_entry *entry)
{
    const uint8_t *comma = list->size == 0 ? NULL : memchr(list->data, ',', list->size);
    const size_t size = comma == NULL ? list->size : (size_t)(comma - list->data);
    struct slice host;
    if (!read_host(trim(slice_of(list->data, size)), &host, &entry->port) || host.size == 0 ||
        host.size > keeper_hosts_name_size_max)
        return false;
    memcpy(entry->host, host.data, host.size);
    entry->host[host.size] = '\0';
    *list = comma == NULL ? SLICE_NULL : slice_skip(*list, size + 1);
    return true;
}

bool keeper_hosts_split(struct slice connect, struct slice *list, struct slice *chroot)
{
    const uint8_t *slash = connect.size == 0 ? NULL : memchr(connect.data, '/', connect.size);
    *list = connect;
    *chroot = slice_of(connect.data + connect.size, 0);
    if (slash == NULL)
        return true;
    list->size = (size_t)(slash - connect.data);
    *chroot = trim(slice_skip(connect, list->size));
    if (chroot->size == 1)
        chroot->size = 0; /* "/" alone is none. */
    else if (chroot->data[chroot->size - 1] == '/')
        return false;
    for (size_t at = 1; at < chroot->size; at++)
        if (chroot->data[at] == '/' && chroot->data[at - 1] == '/')
            return false;
    return true;
}

enum err keeper_hosts_init(struct keeper_hosts *hosts, struct io *io, const char *connect)
{
    struct slice list;
    memset(hosts, 0, sizeof *hosts);
    if (!keeper_hosts_split(slice_from_text(connect), &list, &hosts->chroot))
        return ERR_CONFIG;
    do {
        struct keeper_hosts_entry entry;
        if (hosts->count == keeper_hosts_count_max)
            return ERR_LIMIT;
        if (!keeper_hosts_read(&list, &entry))
            return ERR_CONFIG;
        if (io_resolve(io, entry.host, entry.port, &hosts->addresses[hosts->count]) != 0)
            return ERR_NOT_FOUND;
        hosts->count++;
    } while (list.data != NULL);
    return ERR_OK;
}

void keeper_hosts_shuffle(struct keeper_hosts *hosts, struct prng *prng)
{
    for (uint32_t left = hosts->count; left > 1; left--) {
        const uint32_t pick = (uint32_t)prng_below(prng, left);
        const struct io_address address = hosts->addresses[pick];
        hosts->addresses[pick] = hosts->addresses[left - 1];
        hosts->addresses[left - 1] = address;
    }
}

const struct io_address *keeper_hosts_next(struct keeper_hosts *hosts)
{
    const struct io_address *address = &hosts->addresses[hosts->next];
    hosts->next = (hosts->next + 1) % hosts->count;
    return address;
}
