#include "server/keeper/observer_master.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "server/keeper/ensemble_config.h"
#include "server/keeper/keeper_write.h"

enum { millisecond_ns = 1000000, touch_capacity_first = 64 };

static struct keeper_server *server_of(const struct observer_master *master)
{
    return master->peer->server;
}

/* ---- zab ---- */

static void on_synced(void *context, struct quorum_link *link, int64_t zxid);

static void sync_observer(struct observer_master *master, const struct zab_effect *effect)
{
    struct quorum_link *link = quorum_port_find(&master->port, effect->link);
    if (link == NULL)
        return;
    struct quorum_learner *learner = link->user;
    if (learner_sync_start(&learner->sync, server_of(master), link, effect->zxid, on_synced,
                           master) != ERR_OK)
        quorum_link_close(link, "no memory to bring an observer up to date");
}

/* They live as far as the leader is concerned when our next ping tells it so. */
static void add_touches(struct observer_master *master, struct slice sessions)
{
    struct heap *heap = server_of(master)->shard->heap;
    const uint32_t count =
        (uint32_t)min_size(sessions.size / observer_master_touch_bytes,
                           observer_master_touch_count_max - master->touch_count);
    const uint32_t needed = master->touch_count + count;
    if (count == 0)
        return;
    if (needed > master->touch_capacity) {
        uint64_t capacity = max_u64(master->touch_capacity, touch_capacity_first);
        while (capacity < needed)
            capacity *= 2;
        uint8_t *touches = heap_take(heap, capacity * observer_master_touch_bytes);
        if (touches == NULL)
            return; /* The next ping brings those that are heard of again. */
        if (master->touch_count > 0)
            memcpy(touches, master->touches,
                   (size_t)master->touch_count * observer_master_touch_bytes);
        heap_give(heap, master->touches);
        master->touches = touches;
        master->touch_capacity = (uint32_t)capacity;
    }
    memcpy(master->touches + (size_t)master->touch_count * observer_master_touch_bytes,
           sessions.data, (size_t)count * observer_master_touch_bytes);
    master->touch_count = needed;
}

static void carry_out(struct observer_master *master, const struct zab_effect *effect)
{
    struct quorum_link *link = quorum_port_find(&master->port, effect->link);
    assert(effect->after_write == 0); /* What is fed was written by the machine that follows. */
    if (effect->kind == ZAB_SYNC)
        sync_observer(master, effect);
    else if (effect->kind == ZAB_TOUCH)
        add_touches(master, effect->data);
    else if (effect->kind == ZAB_DROP && link != NULL)
        quorum_link_close(link, effect->reason);
    else if (link != NULL)
        quorum_effect_send(master->peer, link, effect);
}

static void step(struct observer_master *master, struct zab_event event)
{
    assert(master->is_open && !master->is_stepping);
    event.now_ms = io_now_ns(server_of(master)->shard->io) / millisecond_ns;
    master->is_stepping = true;
    do {
        zab_step(&master->zab, &event, &master->effects);
        for (uint32_t index = 0; index < master->effects.count; index++)
            carry_out(master, &master->effects.items[index]);
        event.kind = ZAB_EVENT_MORE;
    } while (master->effects.is_more);
    master->is_stepping = false;
}

static void on_synced(void *context, struct quorum_link *link, int64_t zxid)
{
    step(context, (struct zab_event){.kind = ZAB_EVENT_SYNCED, .link = link->id, .zxid = zxid});
}

void observer_master_on_commit(struct observer_master *master, const struct zab_effect *effect)
{
    if (master == NULL || !master->is_open)
        return;
    step(master,
         (struct zab_event){.kind = ZAB_EVENT_COMMITTED,
                            .commit = {.zxid = effect->zxid,
                                       .is_activating = effect->type == ZAB_COMMIT_AND_ACTIVATE,
                                       .designated_id = effect->value}});
}

/* ---- links ---- */

static void on_up(void *context, struct quorum_link *link)
{
    struct observer_master *master = context;
    quorum_peer_add_learner(master->peer, link);
    if (!link->is_down)
        step(master, (struct zab_event){.kind = ZAB_EVENT_LINK_UP, .link = link->id});
}

static void ask_for_session(struct observer_master *master, struct quorum_link *link,
                            const struct zk_quorum_packet *packet)
{
    struct heap *heap = server_of(master)->shard->heap;
    struct observer_revalidation *asked = heap_take(heap, sizeof *asked);
    if (asked == NULL) {
        quorum_link_close(link, "no memory for a session of an observer's client");
        return;
    }
    if (!quorum_requests_pass_on(master->peer, link, packet)) {
        heap_give(heap, asked);
        return;
    }
    *asked = (struct observer_revalidation){.session_id = load_i64(packet->data.data),
                                            .observer = link->id};
    list_init(&asked->link);
    list_push(&master->revalidations, &asked->link);
    server_of(master)->stats.counts.revalidate_count++;
}

static void on_packet(void *context, struct quorum_link *link, struct zk_quorum_packet *packet)
{
    struct observer_master *master = context;
    struct quorum_learner *learner = link->user;
    if (learner != NULL)
        learner->facts.received_count++;
    if (packet->type == ZAB_REVALIDATE)
        ask_for_session(master, link, packet);
    else if (packet->type == ZAB_REQUEST)
        (void)quorum_requests_pass_on(master->peer, link, packet);
    else
        step(master, (struct zab_event){.kind = ZAB_EVENT_RECEIVE,
                                        .link = link->id,
                                        .packet = {.type = packet->type,
                                                   .zxid = packet->zxid,
                                                   .has_data = packet->data.data != NULL,
                                                   .data = packet->data}});
}

static size_t on_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    (void)context;
    quorum_link_close(link, "an observer sends no snapshots");
    return bytes.size;
}

static void on_room(void *context, struct quorum_link *link)
{
    struct quorum_learner *learner = link->user;
    (void)context;
    if (learner != NULL)
        learner_sync_on_room(&learner->sync);
}

/* What zab drops it has forgotten already. */
static void on_down(void *context, struct quorum_link *link, const char *reason)
{
    struct observer_master *master = context;
    (void)reason; /* net has told it. */
    quorum_peer_remove_learner(master->peer, link);
    if (master->is_open && !master->is_stepping)
        step(master, (struct zab_event){.kind = ZAB_EVENT_LINK_DOWN, .link = link->id});
}

/* ---- what the leader answers ---- */

static void send(struct observer_master *master, uint64_t observer, int32_t type, int64_t zxid,
                 struct slice data)
{
    struct quorum_link *link = quorum_port_find(&master->port, observer);
    const struct zk_quorum_packet packet = {
        .type = type, .zxid = zxid, .data = data, .identities = {.count = -1}};
    if (link != NULL)
        quorum_link_send(link, &packet);
}

bool observer_master_on_verdict(struct observer_master *master, int64_t session_id,
                                struct slice verdict)
{
    if (master == NULL || !master->is_open)
        return false;
    list_each (at, &master->revalidations) {
        struct observer_revalidation *asked = CONTAINER_OF(at, struct observer_revalidation, link);
        if (asked->session_id != session_id)
            continue;
        send(master, asked->observer, ZAB_REVALIDATE, -1, verdict);
        list_remove(at);
        heap_give(server_of(master)->shard->heap, asked);
        return true;
    }
    return false;
}

void observer_master_end_barrier(struct observer_master *master, uint64_t observer)
{
    if (master != NULL && master->is_open)
        send(master, observer, ZAB_SYNC_BARRIER, 0, SLICE_NULL);
}

uint32_t observer_master_take_touches(struct observer_master *master, uint8_t *data,
                                      uint32_t count_max)
{
    const uint32_t count = (uint32_t)min_u64(master->touch_count, count_max);
    const size_t size = (size_t)count * observer_master_touch_bytes;
    master->touch_count -= count;
    /* The newest: whose turn comes later is touched by later pings, too. */
    if (count > 0)
        memcpy(data, master->touches + (size_t)master->touch_count * observer_master_touch_bytes,
               size);
    return count;
}

uint32_t observer_master_count(const struct observer_master *master)
{
    uint32_t count = 0;
    if (master == NULL || !master->is_open)
        return 0;
    for (uint32_t index = 0; index < master->zab.leader.learner_count; index++)
        count += master->zab.leader.learners[index].phase == ZAB_LEARNER_UP_TO_DATE;
    return count;
}

/* ---- life ---- */

static void listen(struct observer_master *master)
{
    struct keeper_server *server = server_of(master);
    struct io_address address;
    enum err err =
        ensemble_config_address(&server->config, quorum_peer_self(master->peer), server->shard->io,
                                server->shard->diag, ENSEMBLE_PORT_QUORUM, &address);
    address.port = (uint16_t)server->config.observer_master_port;
    if (err == ERR_OK)
        err = quorum_port_listen(&master->port, &address);
    master->is_listening = err == ERR_OK;
    if (err != ERR_OK && !master->is_telling_busy)
        diag_warn(server->shard->diag,
                  "cannot listen on observerMasterPort=%" PRId64
                  ": %s; observers learn from others, and it is tried again",
                  server->config.observer_master_port, err_text(err));
    master->is_telling_busy = err != ERR_OK;
}

static struct observer_master *make(struct quorum_peer *peer)
{
    struct observer_master *master = heap_take_zeroed(peer->server->shard->heap, sizeof *master);
    if (master == NULL)
        return NULL;
    master->peer = peer;
    list_init(&master->revalidations);
    return master;
}

static void feed(struct observer_master *master)
{
    struct quorum_peer *peer = master->peer;
    const struct keeper_server *server = peer->server;
    zab_init(&master->zab, peer->zab.options, &peer->ensemble);
    step(master, (struct zab_event){.kind = ZAB_EVENT_FEED,
                                    .start = {.history = {.accepted_epoch = peer->epoch,
                                                          .current_epoch = peer->epoch,
                                                          .zxid_last = server->keeper.zxid_applied},
                                              .zxid_committed = server->zxid_committed}});
}

void observer_master_open(struct quorum_peer *peer)
{
    if (peer->master == NULL)
        peer->master = make(peer);
    struct observer_master *master = peer->master;
    const struct quorum_port_handler handler = {.on_up = on_up,
                                                .on_packet = on_packet,
                                                .on_bytes = on_bytes,
                                                .on_room = on_room,
                                                .on_down = on_down,
                                                .context = master};
    if (master == NULL || quorum_peer_init_port(peer, &master->port, handler) != ERR_OK) {
        diag_warn(peer->server->shard->diag, "no memory to let observers learn from here");
        return;
    }
    master->is_open = true;
    peer->server->ensemble.feeds_observers = true;
    feed(master);
    listen(master);
}

void observer_master_close(struct observer_master *master)
{
    if (master == NULL || !master->is_open)
        return;
    struct heap *heap = server_of(master)->shard->heap;
    master->is_open = false; /* Nothing is posted any more. */
    server_of(master)->ensemble.feeds_observers = false;
    quorum_port_deinit(&master->port);
    for (struct list *at = list_pop(&master->revalidations); at != NULL;
         at = list_pop(&master->revalidations))
        heap_give(heap, CONTAINER_OF(at, struct observer_revalidation, link));
    heap_give(heap, master->touches);
    master->touches = NULL;
    master->touch_count = master->touch_capacity = 0;
}

void observer_master_free(struct observer_master *master)
{
    if (master == NULL)
        return;
    assert(!master->is_open);
    heap_give(server_of(master)->shard->heap, master);
}

void observer_master_tick(struct observer_master *master)
{
    if (master == NULL || !master->is_open)
        return;
    if (!master->is_listening)
        listen(master);
    step(master, (struct zab_event){.kind = ZAB_EVENT_TICK});
}
