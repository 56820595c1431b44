/* Where the keepers are: a connect string such as "a:2181,b:2181/chroot", read and resolved.
 *
 * Memory: its own, of fixed size. Shard: none.
 */
#ifndef CLIENT_KEEPER_HOSTS_H
#define CLIENT_KEEPER_HOSTS_H

#include "base/prng.h"
#include "io/io.h"

enum {
    keeper_hosts_count_max = 32,
    keeper_hosts_name_size_max = 255,
    keeper_hosts_port_default = 2181
};

struct keeper_hosts {
    struct io_address addresses[keeper_hosts_count_max];
    uint32_t count;
    uint32_t next; /* The one that keeper_hosts_next returns. */
    struct slice
        chroot; /* Without a slash at its end; empty: none. Lent from the connect string. */
};

/* One host of a connect string, before its name is resolved. */
struct keeper_hosts_entry {
    char host[keeper_hosts_name_size_max + 1];
    uint16_t port;
};

/* Cuts the first host off list; false: it is not readable. list is null after the last. */
MUST_CHECK bool keeper_hosts_read(struct slice *list, struct keeper_hosts_entry *entry);

/* The part of connect before the chroot; chroot gets the rest. False: the chroot is not a path. */
MUST_CHECK bool keeper_hosts_split(struct slice connect, struct slice *list, struct slice *chroot);

/* Waits for the resolver. ERR_CONFIG: connect is not readable; ERR_NOT_FOUND: a name has no
 * address; ERR_LIMIT: more than keeper_hosts_count_max hosts. Keeps connect. */
MUST_CHECK enum err keeper_hosts_init(struct keeper_hosts *hosts, struct io *io,
                                      const char *connect);

/* In random order, so that clients spread over the keepers. */
void keeper_hosts_shuffle(struct keeper_hosts *hosts, struct prng *prng);

/* The next to dial, round and round. */
const struct io_address *keeper_hosts_next(struct keeper_hosts *hosts);

#endif
