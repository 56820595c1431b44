/* How many connections each address has, so that one address cannot take them all.
 *
 * Memory: one small block for each address that is connected, from the heap. Shard: one owner.
 */
#ifndef NET_NET_ADDRESS_TABLE_H
#define NET_NET_ADDRESS_TABLE_H

#include "base/hash_table.h"
#include "io/io.h"

struct net_address_table {
    struct hash_table table;
    struct heap *heap;
    uint64_t seed;
};

/* ERR_NO_MEMORY. seed: unpredictable, so that nobody can aim at one chain. */
MUST_CHECK enum err net_address_table_init(struct net_address_table *addresses, struct heap *heap,
                                           uint64_t seed);

/* It must be empty. */
void net_address_table_deinit(struct net_address_table *addresses);

/* One connection more from this address, whatever its port. ERR_LIMIT: it has limit of them already
 * (0: no limit); ERR_NO_MEMORY. */
MUST_CHECK enum err net_address_table_add(struct net_address_table *addresses,
                                          const struct io_address *address, uint32_t limit);

/* One less. */
void net_address_table_remove(struct net_address_table *addresses,
                              const struct io_address *address);

#endif
