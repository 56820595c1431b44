/* Addresses as the scheme "ip" of access lists writes them: an address, or "address/bits".
 *
 * Memory: none. Shard: stateless.
 */
#ifndef KEEPER_IP_RANGE_H
#define KEEPER_IP_RANGE_H

#include "base/slice.h"

enum { ip_address_bytes_max = 16 };

struct ip_range {
    uint8_t address[ip_address_bytes_max];
    int32_t address_bytes; /* 4 or 16 */
    int32_t bits;
};

/* False: not an address of either family, or bits beyond its length. */
bool ip_range_parse(struct slice text, struct ip_range *range);

/* Whether the address of one host, as text, is in the range. */
bool ip_range_has(const struct ip_range *range, struct slice host);

#endif
