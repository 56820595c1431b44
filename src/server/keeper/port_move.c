#include "server/keeper/port_move.h"

#include <stdio.h>

enum { millisecond_ns = 1000000 };

static void tell(struct port_move *move, const char *reason)
{
    if (!move->is_told)
        diag_warn(move->diag,
                  "cannot listen on %s:%u for %s, as the members in force say: %s; it is tried "
                  "again",
                  move->host[0] == '\0' ? "*" : move->host, move->port, move->whom, reason);
    move->is_told = true;
}

static bool try(struct port_move *move, struct io *io, struct io_address *address)
{
    const char *host = move->host[0] == '\0' ? NULL : move->host;
    struct io_address wanted;
    if (io_now_ns(io) < move->look_up_at_ns)
        return false;
    if (io_resolve(io, host, move->port, &wanted) != 0) {
        move->look_up_at_ns = io_now_ns(io) + port_move_pause_ms * (uint64_t)millisecond_ns;
        tell(move, "the host is unknown here");
        return false;
    }
    const enum err err = net_listen_move(move->net, &wanted, move->handler, move->user);
    const bool may_be_own = err == ERR_BUSY && !move->was_busy;
    move->was_busy = err == ERR_BUSY;
    if (may_be_own)
        return false;
    if (err != ERR_OK) {
        tell(move, err_text(err));
        return false;
    }
    char text[io_address_text_max];
    diag_info(move->diag, "listening on %s for %s", io_address_print(&wanted, text, sizeof text),
              move->whom);
    move->is_due = false;
    *address = wanted;
    return true;
}

bool port_move_to(struct port_move *move, struct io *io, struct slice host, uint16_t port,
                  struct io_address *address)
{
    move->is_due = host.size < sizeof move->host;
    move->is_told = move->was_busy = false;
    move->look_up_at_ns = 0;
    if (!move->is_due) {
        diag_warn(move->diag, "the host for %s is too long: they come where they did", move->whom);
        return false;
    }
    snprintf(move->host, sizeof move->host, "%" SLICE_FORMAT, SLICE_ARGS(host));
    move->port = port;
    return try(move, io, address);
}

bool port_move_tick(struct port_move *move, struct io *io, struct io_address *address)
{
    return move->is_due && try(move, io, address);
}
