#include "server/keeper/member_route.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"

static const uint64_t pause_ns = member_route_pause_ms * UINT64_C(1000000);

void member_route_init(struct member_route *route, const struct ensemble_member *member,
                       enum ensemble_port port)
{
    assert(member->address_count > 0);
    *route = (struct member_route){.id = member->id, .end_count = member->address_count};
    for (uint32_t index = 0; index < member->address_count; index++) {
        const struct ensemble_address *address = &member->addresses[index];
        route->ends[index] = (struct member_route_end){
            .host = address->host,
            .port = port == ENSEMBLE_PORT_QUORUM ? address->quorum_port : address->election_port};
    }
}

static bool look_up(const struct member_route_end *end, struct io *io, struct io_address *address)
{
    char host[member_route_host_bytes_max];
    if (end->host.size >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%" SLICE_FORMAT, SLICE_ARGS(end->host));
    return io_resolve(io, host, end->port, address) == 0;
}

static bool look_up_any(struct member_route *route, struct io *io)
{
    for (uint32_t count = 0; count < route->end_count && !route->is_known; count++) {
        const uint32_t index = (route->at + count) % route->end_count;
        route->is_known = look_up(&route->ends[index], io, &route->address);
        if (route->is_known)
            route->at = index;
    }
    return route->is_known;
}

bool member_route_find(struct member_route *route, struct io *io, struct diag *diag,
                       struct io_address *address)
{
    const bool was_paused = route->is_paused;
    if (!route->is_known && was_paused && io_now_ns(io) - route->paused_at_ns < pause_ns)
        return false;
    if (!route->is_known && !look_up_any(route, io)) {
        if (!was_paused)
            diag_warn(diag,
                      "server.%" PRId64 ": the host %" SLICE_FORMAT
                      " is unknown here; it is looked up again from time to time",
                      route->id, SLICE_ARGS(route->ends[route->at].host));
        route->is_paused = true;
        route->paused_at_ns = io_now_ns(io);
        return false;
    }
    if (was_paused)
        diag_info(diag, "server.%" PRId64 ": the host %" SLICE_FORMAT " is known now", route->id,
                  SLICE_ARGS(route->ends[route->at].host));
    route->is_paused = false;
    *address = route->address;
    return true;
}

void member_route_miss(struct member_route *route)
{
    route->is_known = false;
    route->at = (route->at + 1) % route->end_count;
}
