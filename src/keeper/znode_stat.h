/* What a client sees of a znode besides its data; the fields and their order are the protocol's. */
#ifndef KEEPER_ZNODE_STAT_H
#define KEEPER_ZNODE_STAT_H

#include <stdint.h>

struct znode_stat {
    int64_t czxid;
    int64_t mzxid;
    int64_t ctime;
    int64_t mtime;
    int32_t version;
    int32_t cversion; /* Changes of the children: creates and deletes. */
    int32_t aversion;
    int64_t ephemeral_owner; /* A session id, or 0; also 0 for containers and TTL znodes. */
    int32_t data_length;
    int32_t child_count;
    int64_t pzxid;
};

#endif
