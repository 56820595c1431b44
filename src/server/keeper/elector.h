/* Takes part in the elections of an ensemble: the machine of zab/fast_election on the election port
 * and the clock.
 *
 *   elector_look ---> notifications to and from the others ---> on_decided
 *
 * It answers others at all times, whatever this server is doing.
 *
 * Memory: its own, and the port's. Shard: one owner.
 */
#ifndef SERVER_KEEPER_ELECTOR_H
#define SERVER_KEEPER_ELECTOR_H

#include "server/keeper/election_port.h"
#include "zab/fast_election.h"

struct elector_options {
    struct fast_election_options election;
    struct slice self_address;   /* Keeps. Of our election port, as others dial it. */
    uint32_t connect_timeout_ms; /* cnxTimeout */
};

struct elector_handler {
    /* elector->election.state and .settled say what. Looking again from here is allowed. */
    void (*on_decided)(void *context);
    /* NULL, or: another server's members, before its vote counts. Changing ours, and looking again,
     * is allowed. Lends. */
    void (*on_config)(void *context, struct slice config);
    void (*on_stopped)(void *context); /* After elector_deinit, when its timer is; NULL: no call. */
    void *context;
};

struct elector {
    struct io *io;
    struct elector_options options;
    struct elector_handler handler;
    const struct ensemble *ensemble;
    const struct ensemble *next; /* NULL: none. */
    struct slice config;         /* What our notifications carry. */
    struct fast_election election;
    struct election_port port;
    struct io_op timer;
    bool is_timing;
    bool is_stopped;
    uint64_t wake_at_ms; /* UINT64_MAX: not at all. */
};

/* Keeps io, heap, diag, ensemble, config (its text), and what options point at. ERR_NO_MEMORY. */
MUST_CHECK enum err elector_init(struct elector *elector, struct io *io, struct heap *heap,
                                 struct diag *diag, struct elector_options options,
                                 struct elector_handler handler);

/* The members and the text that describes them. ERR_LIMIT: there are too many. */
MUST_CHECK enum err elector_set_ensemble(struct elector *elector, const struct ensemble *ensemble,
                                         struct slice config);

/* The members have changed, or those of next (NULL: none) are about to vote. Keeps both, and
 * config.
 */
void elector_change(struct elector *elector, const struct ensemble *current,
                    const struct ensemble *next, struct slice config);

/* Address gets the port that was bound. ERR_BUSY, ERR_PERMISSION, ERR_IO. */
MUST_CHECK enum err elector_listen(struct elector *elector, struct io_address *address);

/* The own line has changed: listens there instead, now or with one of the next ticks. Keeps
 * self_address. */
void elector_move(struct elector *elector, struct slice self_address, struct slice host,
                  uint16_t port);
void elector_tick(struct elector *elector);

/* Seeks a leader, with the last zxid and the current epoch that are on our disk. */
void elector_look(struct elector *elector, int64_t zxid, int64_t peer_epoch);

/* Closes the port. Afterwards nothing of it is in flight but what the io's next rounds end. */
void elector_deinit(struct elector *elector);

#endif
