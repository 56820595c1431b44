#include "server/keeper/quorum_peer.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "server/keeper/client_link.h"
#include "server/keeper/ensemble_config.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/observer_master.h"
#include "zab/ensemble_text.h"

enum {
    millisecond_ns = 1000000,
    packet_slack_bytes = 64 * 1024,
    unsent_bytes_max = 64 << 20,
    redial_ms_min = 10, /* The leader may learn of its election a moment later. */
    redial_ms_max = 100,
    penance_ms_max = 2000, /* Of a learner whose terms end before they begin. */
    failure_count_max = 5,
    dial_count_max = 10,
    bind_pause_ms = 1000,
    loss_pause_ms = 1000,
    lookup_pause_ms = 1000, /* Of an observer that tries one host after the other. */
    read_only_wait_ms_min = 2000,
};

static uint64_t now_ms(const struct quorum_peer *peer)
{
    return io_now_ns(peer->server->shard->io) / millisecond_ns;
}

static struct diag *diag_of(const struct quorum_peer *peer)
{
    return peer->server->shard->diag;
}

/* ---- zab ---- */

static void keep_event(struct quorum_peer *peer, const struct zab_event *event)
{
    struct heap *heap = peer->server->shard->heap;
    assert(event->kind != ZAB_EVENT_RECEIVE); /* Its data would be gone. */
    if (peer->event_count == peer->event_capacity) {
        const uint32_t capacity = peer->event_capacity == 0 ? 16 : 2 * peer->event_capacity;
        struct zab_event *events = heap_take(heap, capacity * sizeof *events);
        if (events == NULL)
            io_fatal(peer->server->shard->io, "no memory for an event of the quorum");
        if (peer->event_count > 0)
            memcpy(events, peer->events, peer->event_count * sizeof *events);
        heap_give(heap, peer->events);
        peer->events = events;
        peer->event_capacity = capacity;
    }
    peer->events[peer->event_count++] = *event;
}

static bool has_role(const struct quorum_peer *peer)
{
    return peer->phase == QUORUM_PEER_LEADING || peer->phase == QUORUM_PEER_LEARNING;
}

static void step(struct quorum_peer *peer, struct zab_event event)
{
    event.now_ms = now_ms(peer);
    do {
        zab_step(&peer->zab, &event, &peer->effects);
        for (uint32_t index = 0; index < peer->effects.count; index++)
            quorum_effect_carry_out(peer, &peer->effects.items[index]);
        event.kind = ZAB_EVENT_MORE;
    } while (peer->effects.is_more);
}

void quorum_peer_post(struct quorum_peer *peer, const struct zab_event *event)
{
    if (peer->is_stepping) {
        keep_event(peer, event);
        return;
    }
    peer->is_stepping = true;
    step(peer, *event);
    for (uint32_t index = 0; index < peer->event_count && has_role(peer); index++)
        step(peer, peer->events[index]);
    peer->event_count = 0;
    peer->is_stepping = false;
    if (peer->leave_reason != NULL)
        quorum_peer_leave(peer, peer->leave_reason);
}

void quorum_peer_propose(struct quorum_peer *peer, int64_t zxid)
{
    quorum_peer_post(peer, &(struct zab_event){.kind = ZAB_EVENT_PROPOSE, .zxid = zxid});
}

uint64_t quorum_peer_ask(struct quorum_peer *peer)
{
    const uint64_t ticket = ++peer->ticket;
    quorum_peer_post(peer, &(struct zab_event){.kind = ZAB_EVENT_CONFIRM, .ticket = ticket});
    return ticket;
}

void quorum_peer_on_written(struct quorum_peer *peer, uint64_t write_seq)
{
    if (!has_role(peer) || write_seq <= peer->written_seq)
        return;
    peer->written_seq = write_seq;
    quorum_effect_on_written(peer);
    quorum_peer_post(peer, &(struct zab_event){.kind = ZAB_EVENT_WRITTEN, .write_seq = write_seq});
}

/* ---- learners ---- */

void quorum_peer_add_learner(struct quorum_peer *peer, struct quorum_link *link)
{
    struct keeper_server *server = peer->server;
    struct quorum_learner *learner = heap_take_zeroed(server->shard->heap, sizeof *learner);
    link->user = learner;
    if (learner == NULL) {
        quorum_link_close(link, "no memory for a learner");
        return;
    }
    learner->facts.address = link->connection->peer;
    learner->facts.established_at_ms = io_wall_ms(server->shard->io);
    learner->facts.zxid_last = -1;
    list_push(&server->ensemble.learners, &learner->facts.link);
}

void quorum_peer_remove_learner(struct quorum_peer *peer, struct quorum_link *link)
{
    struct quorum_learner *learner = link->user;
    link->user = NULL;
    if (learner == NULL)
        return;
    learner_sync_cancel(&learner->sync);
    learner_sync_confirm(&learner->sync);
    list_remove(&learner->facts.link);
    heap_give(peer->server->shard->heap, learner);
}

/* ---- whom an observer learns from ---- */

static bool uses_masters(const struct quorum_peer *peer)
{
    return peer->server->config.observer_master_port > 0 &&
           !ensemble_is_voter(&peer->ensemble, peer->self_id);
}

/* The voters in turn, the leader too, who refuses: as Apache's observers do. */
static void choose_master(struct quorum_peer *peer)
{
    const struct ensemble *ensemble = &peer->ensemble;
    const uint32_t count = ensemble->member_count;
    uint32_t index = (uint32_t)(peer->master_turn % count);
    for (uint32_t tried = 0; tried < count && !ensemble->members[index].is_voter; tried++)
        index = (index + 1) % count;
    peer->master_turn = index + 1;
    peer->master_id = ensemble->members[index].id;
    member_route_init(&peer->leader_route, &ensemble->members[index], ENSEMBLE_PORT_QUORUM);
    for (uint32_t end = 0; end < peer->leader_route.end_count; end++)
        peer->leader_route.ends[end].port = (uint16_t)peer->server->config.observer_master_port;
}

/* ---- links ---- */

static void post_link(struct quorum_peer *peer, const struct quorum_link *link,
                      enum zab_event_kind kind)
{
    quorum_peer_post(peer, &(struct zab_event){.kind = kind, .link = link->id});
}

static void on_up(void *context, struct quorum_link *link)
{
    struct quorum_peer *peer = context;
    if (peer->phase == QUORUM_PEER_LEARNING)
        peer->is_leader_up = true;
    else
        quorum_peer_add_learner(peer, link);
    if (!link->is_down)
        post_link(peer, link, ZAB_EVENT_LINK_UP);
}

static void on_packet(void *context, struct quorum_link *link, struct zk_quorum_packet *packet)
{
    struct quorum_peer *peer = context;
    struct quorum_learner *learner = link->user;
    if (learner != NULL)
        learner->facts.received_count++;
    quorum_figures_on_packet(peer, packet->type);
    if (peer->phase == QUORUM_PEER_LEARNING && packet->type == ZAB_NEW_LEADER)
        quorum_reconfig_hear(peer, packet->data);
    if (!has_role(peer) || quorum_requests_take(peer, link, packet))
        return;
    const struct zab_event event = {.kind = ZAB_EVENT_RECEIVE,
                                    .link = link->id,
                                    .packet = {.type = packet->type,
                                               .zxid = packet->zxid,
                                               .has_data = packet->data.data != NULL,
                                               .data = packet->data}};
    quorum_peer_post(peer, &event);
    if (packet->type != ZAB_ACK || (uint32_t)packet->zxid == 0)
        quorum_figures_tell_learners(peer);
}

static size_t on_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    struct quorum_peer *peer = context;
    struct snapshot_intake *intake = &peer->server->intake;
    const size_t taken = snapshot_intake_feed(intake, bytes);
    peer->streamed_at_ns = io_now_ns(peer->server->shard->io);
    if (snapshot_intake_is_fed(intake)) { /* Packets follow, when it is durable. */
        quorum_link_set_raw(link, false);
        quorum_link_pause(link);
    }
    return taken;
}

static void on_room(void *context, struct quorum_link *link)
{
    struct quorum_learner *learner = link->user;
    (void)context;
    if (learner != NULL)
        learner_sync_on_room(&learner->sync);
}

/* At most one line a second, so that a flood of connections is not a flood of lines. */
static void tell_loss(struct quorum_peer *peer, const struct quorum_learner *learner,
                      const char *reason)
{
    char text[io_address_text_max];
    const uint64_t now = now_ms(peer);
    peer->loss_untold++;
    if (peer->loss_line_ms != 0 && now < peer->loss_line_ms + loss_pause_ms)
        return;
    diag_info(diag_of(peer), "the learner at %s is gone: %s%s",
              io_address_print(&learner->facts.address, text, sizeof text), reason,
              peer->loss_untold > 1 ? "; and others are" : "");
    peer->loss_line_ms = now;
    peer->loss_untold = 0;
}

static void on_down(void *context, struct quorum_link *link, const char *reason)
{
    struct quorum_peer *peer = context;
    if (peer->phase == QUORUM_PEER_LEADING && link->user != NULL)
        tell_loss(peer, link->user, reason);
    quorum_peer_remove_learner(peer, link);
    if (!has_role(peer))
        return;
    if (peer->phase == QUORUM_PEER_LEARNING && !peer->is_leader_up) {
        member_route_miss(&peer->leader_route);
        if (uses_masters(peer))
            choose_master(peer);
        peer->leader_link = 0; /* It may not listen yet: the timer dials again. */
        peer->dial_at_ms =
            now_ms(peer) + min_u64((uint64_t)redial_ms_min << peer->dial_count, redial_ms_max);
        return;
    }
    post_link(peer, link, ZAB_EVENT_LINK_DOWN);
}

/* How long a learner may take to reach its leader. */
static uint64_t connect_ms(const struct quorum_peer *peer)
{
    const struct keeper_config *config = &peer->server->config;
    const int64_t ticks =
        config->connect_limit_ticks > 0 ? config->connect_limit_ticks : config->init_limit_ticks;
    return (uint64_t)(config->tick_ms * ticks);
}

enum err quorum_peer_init_port(struct quorum_peer *peer, struct quorum_port *port,
                               struct quorum_port_handler handler)
{
    struct keeper_server *server = peer->server;
    const struct keeper_config *config = &server->config;
    const struct quorum_port_options options = {
        .packet_bytes_max = (uint32_t)keeper_config_record_bytes_max(config) + packet_slack_bytes,
        .link_count_max = zab_learner_count_max,
        .connect_timeout_ms = peer->phase == QUORUM_PEER_LEARNING
                                  ? (uint32_t)connect_ms(peer)
                                  : (uint32_t)(config->tick_ms * config->init_limit_ticks),
        .unsent_bytes_max = unsent_bytes_max,
    };
    return quorum_port_init(port, server->shard->io, server->shard->heap, diag_of(peer), options,
                            handler);
}

static enum err open_port(struct quorum_peer *peer)
{
    const struct quorum_port_handler handler = {.on_up = on_up,
                                                .on_packet = on_packet,
                                                .on_bytes = on_bytes,
                                                .on_room = on_room,
                                                .on_down = on_down,
                                                .context = peer};
    const enum err err = quorum_peer_init_port(peer, &peer->port, handler);
    peer->is_port_open = err == ERR_OK;
    return err;
}

static void close_port(struct quorum_peer *peer)
{
    if (!peer->is_port_open)
        return;
    peer->is_port_open = false; /* Nothing is sent any more. */
    quorum_port_deinit(&peer->port);
}

/* ---- the timer: zab's clock, and a leader that is dialled again ---- */

static void on_timer(struct io_op *op, int64_t result);

static void set_timer(struct quorum_peer *peer)
{
    if (peer->is_timing || peer->phase == QUORUM_PEER_STOPPED)
        return;
    const uint64_t half_tick_ms = max_u64((uint64_t)peer->server->config.tick_ms / 2, 1);
    const bool may_dial = peer->phase == QUORUM_PEER_LEARNING && !peer->is_leader_up;
    peer->timer = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_timer};
    peer->timer.timer.deadline_ns =
        io_now_ns(peer->server->shard->io) +
        (may_dial ? min_u64(redial_ms_min, half_tick_ms) : half_tick_ms) * millisecond_ns;
    peer->is_timing = true;
    io_submit(peer->server->shard->io, &peer->timer);
}

static void dial(struct quorum_peer *peer)
{
    struct io_address *address = &peer->leader_address;
    struct quorum_link *link = NULL;
    if (member_route_find(&peer->leader_route, peer->server->shard->io, diag_of(peer), address))
        link = quorum_port_dial(&peer->port, address);
    peer->leader_link = link == NULL ? 0 : link->id;
    if (link == NULL && uses_masters(peer)) {
        choose_master(peer); /* The host is unknown; others may not be. */
        peer->dial_at_ms = now_ms(peer) + lookup_pause_ms;
    }
    peer->dial_count = (uint32_t)min_u64(peer->dial_count + 1, dial_count_max);
}

/* While a snapshot comes in, zab hears nothing. */
static bool is_stream_dry(const struct quorum_peer *peer)
{
    const struct keeper_config *config = &peer->server->config;
    const uint64_t limit_ms = (uint64_t)(config->tick_ms * config->init_limit_ticks);
    return peer->phase == QUORUM_PEER_LEARNING && peer->is_write_started &&
           peer->write.kind == ZAB_WRITE_SNAPSHOT &&
           !snapshot_intake_is_fed(&peer->server->intake) &&
           io_now_ns(peer->server->shard->io) - peer->streamed_at_ns > limit_ms * millisecond_ns;
}

/* ---- read-only mode ---- */

/* Some time without a leader: an election that goes well is shorter. */
static bool is_read_only_due(const struct quorum_peer *peer)
{
    const struct keeper_config *config = &peer->server->config;
    const uint64_t wait_ms = max_u64(read_only_wait_ms_min, (uint64_t)config->tick_ms);
    return config->read_only_mode && peer->phase == QUORUM_PEER_LOOKING &&
           peer->server->role == KEEPER_LOOKING &&
           io_now_ns(peer->server->shard->io) - peer->looking_since_ns >= wait_ms * millisecond_ns;
}

static void begin_read_only(struct quorum_peer *peer)
{
    struct keeper_server *server = peer->server;
    diag_info(diag_of(peer), "without a leader: read-only clients are served");
    server->role = KEEPER_READ_ONLY;
    server->is_serving = true;
    ensemble_facts_take_role(&server->ensemble, ENSEMBLE_READ_ONLY, io_now_ns(server->shard->io));
}

static void end_read_only(struct quorum_peer *peer)
{
    struct keeper_server *server = peer->server;
    if (server->role != KEEPER_READ_ONLY)
        return;
    server->role = KEEPER_LOOKING;
    server->is_serving = false;
    ensemble_facts_look(&server->ensemble, io_now_ns(server->shard->io));
    client_link_close_all(server, "there is a leader: the server is no longer read-only");
    keeper_close_local_sessions(&server->keeper);
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct quorum_peer *peer = CONTAINER_OF(op, struct quorum_peer, timer);
    (void)result;
    peer->is_timing = false;
    if (peer->phase == QUORUM_PEER_STOPPED) {
        keeper_server_pump_stop(peer->server);
        return;
    }
    if (has_role(peer))
        quorum_peer_post(peer, &(struct zab_event){.kind = ZAB_EVENT_TICK});
    elector_tick(&peer->elector);
    observer_master_tick(peer->master);
    quorum_figures_tell_learners(peer);
    quorum_reconfig_retire(peer);
    if (peer->phase == QUORUM_PEER_LEADING && zab_must_roll(&peer->zab))
        quorum_peer_leave(peer, "its epoch is full: the next leader has a new one");
    if (is_read_only_due(peer))
        begin_read_only(peer);
    if (is_stream_dry(peer))
        quorum_peer_leave(peer, "the leader's snapshot does not go on");
    if (peer->phase == QUORUM_PEER_LEARNING && !peer->is_leader_up &&
        now_ms(peer) > peer->dial_until_ms)
        quorum_peer_leave(peer, "the leader was not reached within connectToLearnerMasterLimit");
    if (peer->phase == QUORUM_PEER_LEARNING && peer->leader_link == 0 &&
        now_ms(peer) >= peer->dial_at_ms)
        dial(peer);
    set_timer(peer);
}

/* ---- roles ---- */

static int64_t zxid_last(const struct quorum_peer *peer)
{
    return peer->server->keeper.zxid_applied;
}

const struct ensemble_member *quorum_peer_self(const struct quorum_peer *peer)
{
    const struct ensemble_member *self = ensemble_find(&peer->ensemble, peer->self_id);
    return self != NULL ? self : ensemble_config_self(&peer->server->config);
}

static enum err listen_for_learners(struct quorum_peer *peer)
{
    struct keeper_server *server = peer->server;
    const struct ensemble_member *self = quorum_peer_self(peer);
    struct io_address address;
    enum err err = ensemble_config_address(&server->config, self, server->shard->io, diag_of(peer),
                                           ENSEMBLE_PORT_QUORUM, &address);
    if (err != ERR_OK)
        return err;
    err = quorum_port_listen(&peer->port, &address);
    if (err != ERR_OK)
        ensemble_config_tell_busy(&server->config, self, diag_of(peer), ENSEMBLE_PORT_QUORUM, err);
    return err;
}

static struct zab_event start_event(const struct quorum_peer *peer, enum zab_event_kind kind)
{
    return (struct zab_event){
        .kind = kind,
        .start = {.history = {.accepted_epoch = peer->epochs.values[EPOCH_FILE_ACCEPTED],
                              .current_epoch = peer->epochs.values[EPOCH_FILE_CURRENT],
                              .zxid_last = zxid_last(peer)},
                  .leader_id = peer->leader_id,
                  .is_observer = !ensemble_is_voter(&peer->ensemble, peer->self_id)}};
}

static void begin_role(struct quorum_peer *peer, enum quorum_peer_phase phase)
{
    struct keeper_server *server = peer->server;
    assert(list_empty(&server->writes) && peer->phase == QUORUM_PEER_LOOKING);
    peer->phase = phase;
    peer->written_seq = peer->zab.write_issued; /* What was under way has ended. */
    peer->is_leader_up = phase == QUORUM_PEER_LEADING;
    peer->leader_link = 0;
    peer->dial_count = 0;
    if (peer->is_timing)
        io_cancel(server->shard->io, &peer->timer); /* It is set again, to come sooner. */
    peer->epoch = 0;
    server->zxid_committed = zxid_last(peer);
    server->zxid_durable = zxid_last(peer);
}

static void lead(struct quorum_peer *peer)
{
    diag_info(diag_of(peer), "elected leader");
    begin_role(peer, QUORUM_PEER_LEADING);
    peer->leader_address = (struct io_address){0};
    enum err err = open_port(peer);
    if (err == ERR_OK)
        err = listen_for_learners(peer);
    if (err != ERR_OK) {
        quorum_peer_leave(peer, "the quorum port cannot be opened");
        return;
    }
    const struct zab_event event = start_event(peer, ZAB_EVENT_LEAD);
    quorum_peer_post(peer, &event);
}

static void learn(struct quorum_peer *peer)
{
    const struct ensemble_member *leader = ensemble_find(&peer->ensemble, peer->leader_id);
    diag_info(diag_of(peer), "server %" PRId64 " is elected leader", peer->leader_id);
    begin_role(peer, QUORUM_PEER_LEARNING);
    if (leader == NULL || open_port(peer) != ERR_OK) {
        quorum_peer_leave(peer, "the leader cannot be dialled");
        return;
    }
    member_route_init(&peer->leader_route, leader, ENSEMBLE_PORT_QUORUM);
    peer->master_id = peer->leader_id;
    if (uses_masters(peer))
        choose_master(peer);
    const struct zab_event event = start_event(peer, ZAB_EVENT_LEARN);
    quorum_peer_post(peer, &event);
    /* A leader that has turned us away so often is not asked again at once. */
    peer->dial_at_ms = now_ms(peer);
    if (peer->failure_count > 0)
        peer->dial_at_ms += min_u64((uint64_t)redial_ms_max << peer->failure_count, penance_ms_max);
    peer->dial_until_ms = peer->dial_at_ms + connect_ms(peer);
    if (peer->failure_count == 0 && peer->phase == QUORUM_PEER_LEARNING)
        dial(peer);
}

static void on_decided(void *context)
{
    struct quorum_peer *peer = context;
    if (peer->phase != QUORUM_PEER_LOOKING)
        return;
    end_read_only(peer);
    peer->leader_id = peer->elector.election.settled.leader;
    quorum_figures_on_decided(peer);
    if (peer->elector.election.state == ZAB_LEADING)
        lead(peer);
    else
        learn(peer);
}

/* With what is on the disk, and nothing under way. */
static void look(struct quorum_peer *peer)
{
    keeper_drop_pending(&peer->server->keeper);
    peer->phase = QUORUM_PEER_LOOKING;
    peer->leader_id = -1;
    quorum_figures_on_look(peer);
    quorum_reconfig_look(peer);
    elector_look(&peer->elector, zxid_last(peer), peer->epochs.values[EPOCH_FILE_CURRENT]);
}

void quorum_peer_on_drained(struct quorum_peer *peer)
{
    if (peer->phase == QUORUM_PEER_STOPPED)
        keeper_server_pump_stop(peer->server);
    else if (peer->phase == QUORUM_PEER_DRAINING && !peer->is_write_started &&
             peer->server->write_count == 0)
        look(peer);
}

/* Nobody is served, and nothing leaves; what is on its way to the disk goes on. */
static void give_up_role(struct quorum_peer *peer)
{
    struct keeper_server *server = peer->server;
    server->role = KEEPER_LOOKING;
    server->is_serving = false;
    ensemble_facts_look(&server->ensemble, io_now_ns(server->shard->io));
    observer_master_close(peer->master);
    close_port(peer);
    if (peer->has_write && !peer->is_write_started)
        peer->has_write = false;
    peer->held_acks.count = 0;
    peer->held.count = 0;
    client_link_close_all(server, "the server has left its ensemble's leader");
    keeper_close_local_sessions(&server->keeper);
    keeper_write_drop_forwarded(server);
    if (peer->is_write_started && peer->write.kind == ZAB_WRITE_SNAPSHOT)
        snapshot_intake_cancel(&server->intake);
    keeper_write_commit(server, INT64_MAX);
}

void quorum_peer_leave(struct quorum_peer *peer, const char *reason)
{
    if (!has_role(peer))
        return;
    if (peer->is_stepping) { /* The effects that are being carried out belong to the role. */
        peer->leave_reason = reason;
        return;
    }
    peer->leave_reason = NULL;
    quorum_figures_on_role_end(peer);
    diag_warn(diag_of(peer), "%s server %" PRId64 " no longer: %s",
              peer->phase == QUORUM_PEER_LEADING ? "leading as" : "following", peer->leader_id,
              reason);
    peer->failure_count =
        peer->epoch != 0 ? 0 : (uint32_t)min_u64(peer->failure_count + 1, failure_count_max);
    peer->phase = QUORUM_PEER_DRAINING;
    zab_step(&peer->zab, &(struct zab_event){.kind = ZAB_EVENT_STOP, .now_ms = now_ms(peer)},
             &peer->effects);
    give_up_role(peer);
    quorum_peer_on_drained(peer);
}

/* ---- life ---- */

/* Members that were taken out, or in, while we were away. */
static void on_config(void *context, struct slice config)
{
    struct quorum_peer *peer = context;
    if (peer->phase == QUORUM_PEER_LOOKING && quorum_reconfig_adopt(peer, config))
        look(peer);
}

static void on_elector_stopped(void *context)
{
    struct quorum_peer *peer = context;
    keeper_server_pump_stop(peer->server);
}

static void wait_ms(const struct quorum_peer *peer, uint64_t ms)
{
    struct io *io = peer->server->shard->io;
    const uint64_t until_ns = io_now_ns(io) + ms * millisecond_ns;
    while (io_now_ns(io) < until_ns && !peer->server->shard->stopping)
        io_run(io, until_ns - io_now_ns(io));
}

/* A server that has just ended may have left the port in use for a while. */
static enum err listen_for_elections(struct quorum_peer *peer)
{
    const struct keeper_config *config = &peer->server->config;
    const struct ensemble_member *self = quorum_peer_self(peer);
    enum err err = ERR_BUSY;
    for (int64_t count = 1; err == ERR_BUSY && !peer->server->shard->stopping; count++) {
        struct io_address address;
        err = ensemble_config_address(config, self, peer->server->shard->io, diag_of(peer),
                                      ENSEMBLE_PORT_ELECTION, &address);
        if (err != ERR_OK)
            return err;
        err = elector_listen(&peer->elector, &address);
        if (err != ERR_BUSY || count == config->election_bind_try_count)
            break;
        if (count == 1)
            diag_warn(diag_of(peer), "the election port %u is in use: it is tried again",
                      address.port);
        wait_ms(peer, bind_pause_ms);
    }
    if (err != ERR_OK)
        ensemble_config_tell_busy(config, self, diag_of(peer), ENSEMBLE_PORT_ELECTION, err);
    return err;
}

static enum err start_elector(struct quorum_peer *peer)
{
    const struct keeper_config *config = &peer->server->config;
    const struct elector_options options = {
        .election = {.self_id = peer->self_id,
                     .wait_ms_min = (uint32_t)config->election_wait_ms_min,
                     .wait_ms_max = (uint32_t)config->election_wait_ms_max,
                     .finalize_ms = 200},
        .self_address = quorum_reconfig_self_address(peer),
        .connect_timeout_ms = (uint32_t)config->connect_timeout_ms,
    };
    enum err err = elector_init(&peer->elector, peer->server->shard->io, peer->server->shard->heap,
                                diag_of(peer), options,
                                (struct elector_handler){.on_decided = on_decided,
                                                         .on_config = on_config,
                                                         .on_stopped = on_elector_stopped,
                                                         .context = peer});
    if (err == ERR_OK)
        err = elector_set_ensemble(&peer->elector, &peer->ensemble, quorum_reconfig_offer(peer));
    if (err != ERR_OK)
        return err;
    return listen_for_elections(peer);
}

enum err quorum_peer_start(struct quorum_peer **peer_out, struct keeper_server *server)
{
    struct quorum_peer *peer = heap_take_zeroed(server->shard->heap, sizeof *peer);
    *peer_out = peer;
    if (peer == NULL)
        return ERR_NO_MEMORY;
    peer->server = server;
    peer->phase = QUORUM_PEER_DRAINING;
    peer->self_id = server->config.self_id;
    peer->leader_id = -1;
    io_entropy(server->shard->io, &peer->master_turn, sizeof peer->master_turn);
    enum err err = quorum_reconfig_init(peer);
    if (err == ERR_OK)
        err = epoch_files_load(&peer->epochs, server->shard->io, diag_of(peer),
                               server->snapshot_path, zxid_last(peer));
    if (err == ERR_OK)
        err = start_elector(peer);
    if (err != ERR_OK)
        return err;
    zab_init(&peer->zab,
             (struct zab_options){
                 .self_id = peer->self_id,
                 .tick_ms = (uint32_t)server->config.tick_ms,
                 .init_ticks = (uint32_t)server->config.init_limit_ticks,
                 .sync_ticks = (uint32_t)server->config.sync_limit_ticks,
                 .txn_count_max = (uint32_t)server->config.epoch_txn_count_max,
             },
             &peer->ensemble);
    ensemble_facts_look(&server->ensemble, io_now_ns(server->shard->io));
    set_timer(peer);
    look(peer);
    return ERR_OK;
}

void quorum_peer_stop(struct quorum_peer *peer)
{
    if (has_role(peer))
        give_up_role(peer);
    peer->phase = QUORUM_PEER_STOPPED;
    elector_deinit(&peer->elector);
    if (peer->is_timing)
        io_cancel(peer->server->shard->io, &peer->timer);
}

bool quorum_peer_is_idle(const struct quorum_peer *peer)
{
    return peer->phase == QUORUM_PEER_STOPPED && !peer->is_timing &&
           epoch_files_is_idle(&peer->epochs) && !peer->elector.is_timing &&
           ensemble_file_is_idle(&peer->file);
}

void quorum_peer_free(struct quorum_peer *peer)
{
    struct heap *heap = peer->server->shard->heap;
    quorum_reconfig_deinit(peer);
    observer_master_free(peer->master);
    heap_give(heap, peer->events);
    heap_give(heap, peer->held_acks.items);
    heap_give(heap, peer->held.items);
    heap_give(heap, peer);
}
