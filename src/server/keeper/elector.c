#include "server/keeper/elector.h"

#include "base/assert.h"

enum { millisecond_ns = 1000000 };

static uint64_t now_ms(const struct elector *elector)
{
    return io_now_ns(elector->io) / millisecond_ns;
}

/* ---- the timer ---- */

static void carry_out(struct elector *elector, const struct fast_election_effects *effects);

static void on_timer(struct io_op *op, int64_t result);

/* An earlier deadline than the one that is under way ends that one first. */
static void set_timer(struct elector *elector)
{
    if (elector->is_timing) {
        if (elector->wake_at_ms * millisecond_ns < elector->timer.timer.deadline_ns)
            io_cancel(elector->io, &elector->timer);
        return;
    }
    if (elector->is_stopped || elector->wake_at_ms == UINT64_MAX)
        return;
    elector->timer = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_timer};
    elector->timer.timer.deadline_ns = elector->wake_at_ms * millisecond_ns;
    elector->is_timing = true;
    io_submit(elector->io, &elector->timer);
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct elector *elector = CONTAINER_OF(op, struct elector, timer);
    struct fast_election_effects effects;
    (void)result;
    elector->is_timing = false;
    if (elector->is_stopped) {
        if (elector->handler.on_stopped != NULL)
            elector->handler.on_stopped(elector->handler.context);
        return;
    }
    if (now_ms(elector) < elector->wake_at_ms) {
        set_timer(elector);
        return;
    }
    fast_election_on_wake(&elector->election, now_ms(elector), &effects);
    carry_out(elector, &effects);
}

/* ---- effects ---- */

/* But to those that had it as voters of others. */
static void send_to_voters(struct elector *elector, const struct ensemble *ensemble,
                           const struct ensemble *others,
                           const struct zk_election_notification *notification)
{
    for (uint32_t index = 0; index < ensemble->member_count; index++) {
        const struct ensemble_member *member = &ensemble->members[index];
        if (member->is_voter && member->id != elector->options.election.self_id &&
            (others == NULL || !ensemble_is_voter(others, member->id)))
            election_port_send(&elector->port, member->id, notification);
    }
}

static void send(struct elector *elector, const struct fast_election_effects *effects)
{
    struct zk_election_notification notification = effects->notification;
    notification.config = elector->config;
    switch (effects->send) {
    case FAST_ELECTION_SEND_NOTHING: return;
    case FAST_ELECTION_SEND_ONE:
        election_port_send(&elector->port, effects->send_to, &notification);
        return;
    case FAST_ELECTION_SEND_ALL:
        send_to_voters(elector, elector->ensemble, NULL, &notification);
        if (elector->next != NULL)
            send_to_voters(elector, elector->next, elector->ensemble, &notification);
        return;
    }
}

static void carry_out(struct elector *elector, const struct fast_election_effects *effects)
{
    send(elector, effects);
    elector->wake_at_ms = effects->wake_at_ms;
    set_timer(elector);
    if (effects->is_decided)
        elector->handler.on_decided(elector->handler.context);
}

static void on_notification(void *context, int64_t from,
                            const struct zk_election_notification *notification)
{
    struct elector *elector = context;
    struct fast_election_effects effects;
    if (elector->handler.on_config != NULL && notification->config.size > 1)
        elector->handler.on_config(elector->handler.context, notification->config);
    fast_election_on_notification(&elector->election, now_ms(elector), from, notification,
                                  &effects);
    carry_out(elector, &effects);
}

/* ---- life ---- */

enum err elector_init(struct elector *elector, struct io *io, struct heap *heap, struct diag *diag,
                      struct elector_options options, struct elector_handler handler)
{
    *elector = (struct elector){
        .io = io, .options = options, .handler = handler, .wake_at_ms = UINT64_MAX};
    return election_port_init(&elector->port, io, heap, diag,
                              (struct election_port_options){
                                  .self_id = options.election.self_id,
                                  .self_address = options.self_address,
                                  .connect_timeout_ms = options.connect_timeout_ms,
                              },
                              (struct election_port_handler){on_notification, elector});
}

enum err elector_set_ensemble(struct elector *elector, const struct ensemble *ensemble,
                              struct slice config)
{
    assert(elector->ensemble == NULL);
    elector->ensemble = ensemble;
    elector->config = config;
    fast_election_init(&elector->election, elector->options.election, ensemble);
    for (uint32_t index = 0; index < ensemble->member_count; index++) {
        const struct ensemble_member *member = &ensemble->members[index];
        if (member->id == elector->options.election.self_id)
            continue;
        const enum err err = election_port_add_peer(&elector->port, member);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static void add_members(struct elector *elector, const struct ensemble *ensemble)
{
    for (uint32_t index = 0; index < ensemble->member_count; index++)
        if (ensemble->members[index].id != elector->options.election.self_id)
            election_port_set_peer(&elector->port, &ensemble->members[index]);
}

void elector_change(struct elector *elector, const struct ensemble *current,
                    const struct ensemble *next, struct slice config)
{
    elector->ensemble = current;
    elector->next = next;
    elector->config = config;
    fast_election_set_ensembles(&elector->election, current, next);
    election_port_retain(&elector->port, current, next);
    add_members(elector, current);
    if (next != NULL)
        add_members(elector, next);
}

enum err elector_listen(struct elector *elector, struct io_address *address)
{
    return election_port_listen(&elector->port, address);
}

void elector_move(struct elector *elector, struct slice self_address, struct slice host,
                  uint16_t port)
{
    elector->options.self_address = self_address;
    election_port_move(&elector->port, self_address, host, port);
}

void elector_tick(struct elector *elector)
{
    election_port_tick(&elector->port);
}

void elector_look(struct elector *elector, int64_t zxid, int64_t peer_epoch)
{
    struct fast_election_effects effects;
    assert(elector->ensemble != NULL);
    fast_election_look(&elector->election,
                       (struct fast_election_start){
                           .zxid = zxid, .peer_epoch = peer_epoch, .now_ms = now_ms(elector)},
                       &effects);
    carry_out(elector, &effects);
}

void elector_deinit(struct elector *elector)
{
    elector->is_stopped = true;
    if (elector->is_timing)
        io_cancel(elector->io, &elector->timer);
    election_port_deinit(&elector->port);
}
