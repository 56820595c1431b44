/* Who a connection is: the identities that it has proved, its address first.
 *
 * Memory: a piece of the slab for each identity, and one for the list. Shard: the connection's.
 */
#ifndef KEEPER_AUTH_SET_H
#define KEEPER_AUTH_SET_H

#include "base/slab.h"
#include "keeper/acl.h"

enum {
    auth_set_count_max = 32,
    auth_set_id_bytes_max = 64 * 1024,
};

/* Most connections have one identity. */
struct auth_set {
    struct zk_id *items; /* [capacity] */
    int32_t count;       /* At most auth_set_count_max. */
    int32_t capacity;
};

struct auth_options {
    struct slice super_digest;    /* "super:" and the hash, or null: nobody is super. Kept. */
    const char *digest_algorithm; /* As checksum_digest knows it; NULL: SHA1. Kept. */
    bool digest_disabled;
};

/* The identity of the address, without a port ("127.0.0.1", "::1"). ERR_NO_MEMORY. */
MUST_CHECK enum err auth_set_init(struct auth_set *set, struct slab *slab, struct slice address);

void auth_set_deinit(struct auth_set *set, struct slab *slab);

/* An auth packet. CODE_AUTH_FAILED: an unknown scheme, malformed secret, or a limit; the
 * connection is to be closed. Adding an identity twice keeps one. */
MUST_CHECK enum code auth_set_add(struct auth_set *set, struct slab *slab,
                                  const struct auth_options *options, struct slice scheme,
                                  struct slice secret);

static inline struct acl_id_list auth_set_list(const struct auth_set *set)
{
    return (struct acl_id_list){set->items, set->count};
}

#endif
