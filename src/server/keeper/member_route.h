/* The way to a port of another member: its addresses, which are tried in order, and their names,
 * which are looked up when they are dialled rather than at start, and again when a dial has failed.
 *
 * Looking up a name waits for the resolver; an address in figures does not. Names of which none was
 * known are not looked up again before member_route_pause_ms.
 *
 * Memory: embedded; hosts are lent by whoever gave them. Shard: one owner.
 */
#ifndef SERVER_KEEPER_MEMBER_ROUTE_H
#define SERVER_KEEPER_MEMBER_ROUTE_H

#include "base/diag.h"
#include "io/io.h"
#include "server/keeper/ensemble_config.h"

enum { member_route_pause_ms = 5000, member_route_host_bytes_max = 256 };

struct member_route_end {
    struct slice host;
    uint16_t port;
};

struct member_route {
    int64_t id;
    uint32_t end_count;
    struct member_route_end ends[ensemble_address_count_max];
    uint32_t at; /* Which of them is dialled next. */
    bool is_known;
    struct io_address address; /* Of that one. */
    bool is_paused;            /* None was known ... */
    uint64_t paused_at_ns;     /* ... at that time, which diag tells once. */
};

/* Keeps member's hosts. */
void member_route_init(struct member_route *route, const struct ensemble_member *member,
                       enum ensemble_port port);

/* Where to dial now. False: nowhere, for the time being. */
bool member_route_find(struct member_route *route, struct io *io, struct diag *diag,
                       struct io_address *address);

/* Dialling there has failed: the next address comes first now. */
void member_route_miss(struct member_route *route);

#endif
