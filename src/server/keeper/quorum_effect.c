/* What zab decides, carried out. */
#include "server/keeper/quorum_peer.h"

#include <inttypes.h>

#include "base/assert.h"
#include "server/keeper/client_link.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/observer_master.h"
#include "server/keeper/tree_reload.h"

static struct quorum_link *link_of(struct quorum_peer *peer, uint64_t id)
{
    return peer->is_port_open ? quorum_port_find(&peer->port, id) : NULL;
}

/* ---- writes that are no transactions ---- */

static void on_write_done(void *context)
{
    struct quorum_peer *peer = context;
    peer->has_write = false;
    peer->is_write_started = false;
    if (peer->phase != QUORUM_PEER_LEADING && peer->phase != QUORUM_PEER_LEARNING) {
        quorum_peer_on_drained(peer);
        return;
    }
    struct quorum_link *link = link_of(peer, peer->leader_link);
    if (link != NULL)
        quorum_link_resume(link);
    quorum_peer_on_written(peer, peer->write.write_seq);
}

/* The tree is another one. */
static void on_tree_changed(void *context, enum err err)
{
    struct quorum_peer *peer = context;
    struct keeper_server *server = peer->server;
    server->zxid_durable = server->keeper.zxid_applied;
    server->zxid_committed = server->keeper.zxid_applied;
    txn_cache_reset(&server->cache, server->keeper.zxid_applied);
    if (err != ERR_OK) {
        peer->is_write_started = false;
        peer->has_write = false;
        quorum_peer_leave(peer, "its history could not be made ours");
        quorum_peer_on_drained(peer); /* It may have been left before. */
        return;
    }
    on_write_done(peer);
}

static void on_cut(void *context, enum err err)
{
    struct quorum_peer *peer = context;
    if (err != ERR_OK)
        diag_warn(peer->server->shard->diag,
                  "the leader wants the history cut behind 0x%" PRIx64
                  ", but it ends at 0x%" PRIx64,
                  (uint64_t)peer->write.zxid, (uint64_t)peer->server->keeper.zxid_applied);
    on_tree_changed(peer, err);
}

static void write_epoch(struct quorum_peer *peer, enum epoch_file_kind kind)
{
    epoch_files_write(&peer->epochs, (struct epoch_files_write){.kind = kind,
                                                                .value = peer->write.value,
                                                                .done = on_write_done,
                                                                .context = peer});
}

/* A learner reads no further meanwhile: what follows belongs behind it. */
static void start_write(struct quorum_peer *peer)
{
    struct quorum_link *link = link_of(peer, peer->leader_link);
    peer->is_write_started = true;
    if (peer->write.kind == ZAB_WRITE_ACCEPTED_EPOCH) {
        write_epoch(peer, EPOCH_FILE_ACCEPTED);
    } else if (peer->write.kind == ZAB_WRITE_CURRENT_EPOCH) {
        write_epoch(peer, EPOCH_FILE_CURRENT);
    } else if (peer->write.kind == ZAB_WRITE_TRUNCATE) {
        tree_reload_start(peer->server, peer->write.zxid, on_cut, peer);
    } else {
        assert(peer->write.kind == ZAB_WRITE_SNAPSHOT);
        peer->streamed_at_ns = io_now_ns(peer->server->shard->io);
        snapshot_intake_start(peer->server, peer->write.zxid, on_tree_changed, peer);
        if (link != NULL) {
            quorum_link_set_raw(link, true);
            quorum_link_resume(link);
        }
    }
}

static void start_write_if_due(struct quorum_peer *peer)
{
    if (peer->has_write && !peer->is_write_started &&
        peer->write.write_seq == peer->written_seq + 1)
        start_write(peer);
}

static void want_write(struct quorum_peer *peer, const struct zab_effect *effect)
{
    struct quorum_link *link = link_of(peer, peer->leader_link);
    assert(!peer->has_write);
    peer->write = *effect;
    peer->has_write = true;
    if (link != NULL)
        quorum_link_pause(link);
    start_write_if_due(peer);
}

/* ---- packets that wait for a write ---- */

static bool grow_held(struct quorum_peer *peer, struct quorum_held *held)
{
    const uint32_t capacity = held->capacity == 0 ? 64 : 2 * held->capacity;
    struct zab_effect *items = heap_take(peer->server->shard->heap, capacity * sizeof *items);
    if (items == NULL)
        return false;
    for (uint32_t index = 0; index < held->count; index++)
        items[index] = held->items[(held->first + index) & (held->capacity - 1)];
    heap_give(peer->server->shard->heap, held->items);
    *held = (struct quorum_held){.items = items, .count = held->count, .capacity = capacity};
    return true;
}

static void hold(struct quorum_peer *peer, const struct zab_effect *effect)
{
    const bool is_ack = effect->kind == ZAB_SEND && effect->type == ZAB_ACK;
    struct quorum_held *held = is_ack ? &peer->held_acks : &peer->held;
    assert(effect->kind != ZAB_LOOK && effect->kind != ZAB_WRITE_TXN);
    if (held->count == held->capacity && !grow_held(peer, held)) {
        quorum_peer_leave(peer, "no memory for a packet");
        return;
    }
    held->items[(held->first + held->count++) & (held->capacity - 1)] = *effect;
}

static void release(struct quorum_peer *peer, struct quorum_held *held)
{
    while (held->count > 0 && held->items[held->first].after_write <= peer->written_seq) {
        const struct zab_effect effect = held->items[held->first];
        held->first = (held->first + 1) & (held->capacity - 1);
        held->count--;
        quorum_effect_carry_out(peer, &effect);
    }
}

void quorum_effect_on_written(struct quorum_peer *peer)
{
    release(peer, &peer->held_acks);
    release(peer, &peer->held);
    start_write_if_due(peer);
}

/* ---- transactions ---- */

static void write_txn(struct quorum_peer *peer, const struct zab_effect *effect)
{
    struct keeper_server *server = peer->server;
    if (peer->phase == QUORUM_PEER_LEADING) {
        struct keeper_write *write = keeper_write_find(server, effect->zxid);
        assert(write != NULL);
        ensemble_facts_add_proposal(&server->ensemble, keeper_write_entry(write).size);
        server->stats.counts.proposal_count++;
        keeper_write_append(write, effect->write_seq);
        return;
    }
    const enum err err = keeper_write_log(server, effect->data, effect->write_seq);
    if (err == ERR_OK)
        return;
    diag_error(server->shard->diag, "the leader proposes a transaction 0x%" PRIx64 " that is %s",
               (uint64_t)effect->zxid, err_text(err));
    quorum_peer_leave(peer, "the leader proposes what cannot be read");
}

/* Of those answers that a learner wants in the order of its requests. */
static bool is_commit(int32_t type)
{
    return type == ZAB_COMMIT || type == ZAB_COMMIT_AND_ACTIVATE || type == ZAB_INFORM ||
           type == ZAB_INFORM_AND_ACTIVATE;
}

/* The bytes lie with the write until it is applied, and zab names none that is. */
static void send_txn(struct quorum_peer *peer, struct quorum_link *link,
                     const struct zab_effect *effect)
{
    struct heap *heap = peer->server->shard->heap;
    const struct keeper_write *write = keeper_write_find(peer->server, effect->zxid);
    assert(write != NULL);
    struct zk_quorum_packet packet = {.type = effect->type,
                                      .zxid = effect->zxid,
                                      .data = keeper_write_entry(write),
                                      .identities = {.count = -1}};
    uint8_t *joined = NULL; /* Rare: a reconfiguration that takes effect. */
    if (effect->has_payload) {
        joined = heap_take(heap, effect->payload_size + packet.data.size);
        if (joined == NULL) {
            quorum_link_close(link, "no memory for a reconfiguration");
            return;
        }
        memcpy(joined, effect->payload, effect->payload_size);
        memcpy(joined + effect->payload_size, packet.data.data, packet.data.size);
        packet.data = slice_of(joined, effect->payload_size + packet.data.size);
    }
    quorum_link_send(link, &packet);
    heap_give(heap, joined);
}

static void send_packet(struct quorum_peer *peer, struct quorum_link *link,
                        const struct zab_effect *effect)
{
    struct zk_quorum_packet packet = {.type = effect->type,
                                      .zxid = effect->zxid,
                                      .data = SLICE_NULL,
                                      .identities = {.count = -1}};
    if (effect->has_config)
        packet.data = quorum_reconfig_offer(peer);
    else if (effect->has_payload)
        packet.data = slice_of(effect->payload, effect->payload_size);
    quorum_figures_on_sent(peer, effect->type);
    quorum_link_send(link, &packet);
}

void quorum_effect_send(struct quorum_peer *peer, struct quorum_link *link,
                        const struct zab_effect *effect)
{
    if (effect->kind == ZAB_SEND_TXN)
        send_txn(peer, link, effect);
    else
        send_packet(peer, link, effect);
}

static void send(struct quorum_peer *peer, const struct zab_effect *effect)
{
    struct quorum_link *link = link_of(peer, effect->link);
    if (is_commit(effect->type))
        keeper_write_end_barriers(peer->server, effect->link, effect->zxid);
    if (link != NULL)
        quorum_effect_send(peer, link, effect);
}

/* ---- what a learner lacks ---- */

static void on_synced(void *context, struct quorum_link *link, int64_t zxid)
{
    struct quorum_peer *peer = context;
    quorum_peer_post(peer,
                     &(struct zab_event){.kind = ZAB_EVENT_SYNCED, .link = link->id, .zxid = zxid});
}

static void sync_learner(struct quorum_peer *peer, const struct zab_effect *effect)
{
    struct quorum_link *link = link_of(peer, effect->link);
    if (link == NULL)
        return;
    struct quorum_learner *learner = link->user;
    if (learner_sync_start(&learner->sync, peer->server, link, effect->zxid, on_synced, peer) !=
        ERR_OK)
        quorum_link_close(link, "no memory to bring a learner up to date");
}

/* ---- roles ---- */

static void take_role(struct quorum_peer *peer, enum ensemble_role role)
{
    struct keeper_server *server = peer->server;
    server->ensemble.leader_id = role == ENSEMBLE_LEADER ? peer->leader_id : peer->master_id;
    server->ensemble.leader_address = peer->leader_address;
    quorum_reconfig_show(peer);
    ensemble_facts_take_role(&server->ensemble, role, io_now_ns(server->shard->io));
    quorum_figures_on_role(peer, role);
}

static void establish(struct quorum_peer *peer, int64_t epoch)
{
    struct keeper_server *server = peer->server;
    peer->epoch = epoch;
    fast_election_set_epoch(&peer->elector.election, epoch);
    const bool leads = peer->phase == QUORUM_PEER_LEADING;
    keeper_begin_term(&server->keeper, leads ? epoch << 32 : 0, keeper_server_now_ms(server),
                      io_wall_ms(server->shard->io));
    if (leads) {
        take_role(peer, ENSEMBLE_LEADER);
        server->role = KEEPER_LEADER;
        server->is_serving = server->config.leader_serves;
        znode_reaper_wake(&server->reaper);
    }
    diag_info(server->shard->diag, "epoch %" PRId64 " is established, server %" PRId64 " leads",
              epoch, peer->leader_id);
}

static void serve(struct quorum_peer *peer)
{
    if (!quorum_reconfig_serve(peer))
        return;
    const bool is_voter = ensemble_is_voter(&peer->ensemble, peer->self_id);
    take_role(peer, is_voter ? ENSEMBLE_FOLLOWER : ENSEMBLE_OBSERVER);
    peer->server->role = KEEPER_LEARNER;
    peer->server->is_serving = true;
    if (is_voter && peer->server->config.observer_master_port > 0)
        observer_master_open(peer);
}

static void drop(struct quorum_peer *peer, const struct zab_effect *effect)
{
    struct quorum_link *link = link_of(peer, effect->link);
    if (link != NULL)
        quorum_link_close(link, effect->reason);
}

/* Observers are told before it is applied: its bytes lie with the write until then. */
static void commit(struct quorum_peer *peer, const struct zab_effect *effect)
{
    keeper_write_commit(peer->server, effect->zxid);
    observer_master_on_commit(peer->master, effect);
}

void quorum_effect_carry_out(struct quorum_peer *peer, const struct zab_effect *effect)
{
    /* What is committed waits for its own write by itself; to know it early orders syncs. */
    const bool may_wait = effect->write_seq == 0 && effect->kind != ZAB_COMMIT_TXN;
    if (may_wait && effect->after_write > peer->written_seq) {
        hold(peer, effect);
        return;
    }
    switch (effect->kind) {
    case ZAB_WRITE_ACCEPTED_EPOCH:
    case ZAB_WRITE_CURRENT_EPOCH:
    case ZAB_WRITE_TRUNCATE:
    case ZAB_WRITE_SNAPSHOT: want_write(peer, effect); return;
    case ZAB_WRITE_TXN: write_txn(peer, effect); return;
    case ZAB_SEND:
    case ZAB_SEND_TXN: send(peer, effect); return;
    case ZAB_PING_BACK: quorum_requests_ping_back(peer, effect->link, effect->zxid); return;
    case ZAB_TOUCH: quorum_requests_touch(peer, effect->data); return;
    case ZAB_SYNC: sync_learner(peer, effect); return;
    case ZAB_COMMIT_TXN: commit(peer, effect); return;
    case ZAB_CONFIRMED: keeper_write_confirm(peer->server, (uint64_t)effect->value); return;
    case ZAB_ESTABLISH: establish(peer, effect->value); return;
    case ZAB_SERVE: serve(peer); return;
    case ZAB_ACTIVATE: quorum_reconfig_activate(peer, effect->zxid, effect->value); return;
    case ZAB_DROP: drop(peer, effect); return;
    case ZAB_LOOK: quorum_peer_leave(peer, effect->reason); return;
    }
}
