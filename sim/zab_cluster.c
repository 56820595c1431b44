#include "sim/zab_cluster.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdio.h>

enum { LEARNER_END, LEADER_END };

static void violate(struct zab_cluster *cluster, const char *what)
{
    if (cluster->wrong == NULL)
        cluster->wrong = what;
}

static void note(struct zab_cluster *cluster, const char *what, uint32_t server, int64_t number)
{
    cluster->trace = (cluster->trace ^ (uint64_t)number ^ (uint64_t)server << 56 ^
                      (uint64_t)(unsigned char)what[0] << 48) *
                     UINT64_C(0x100000001b3);
    if (cluster->is_told)
        printf("%6llu %u %s %llx\n", (unsigned long long)cluster->now_ms, server + 1, what,
               (unsigned long long)number);
}

/* ---- logs ---- */

static int64_t last_of(const struct zab_cluster_log *log)
{
    return log->count == 0 ? 0 : log->entries[log->count - 1].zxid;
}

static void append(struct zab_cluster_log *log, struct zab_cluster_entry entry)
{
    assert(log->count < zab_cluster_log_max);
    log->entries[log->count++] = entry;
}

/* How many entries lie up to zxid. */
static uint32_t count_up_to(const struct zab_cluster_log *log, int64_t zxid)
{
    uint32_t count = log->count;
    while (count > 0 && log->entries[count - 1].zxid > zxid)
        count--;
    return count;
}

static bool is_same(const struct zab_cluster_log *log, const struct zab_cluster_log *other,
                    uint32_t index)
{
    return log->entries[index].zxid == other->entries[index].zxid &&
           log->entries[index].value == other->entries[index].value;
}

static uint32_t count_common(const struct zab_cluster_log *log, const struct zab_cluster_log *other)
{
    uint32_t count = 0;
    while (count < log->count && count < other->count && is_same(log, other, count))
        count++;
    return count;
}

/* ---- what must hold ---- */

static bool is_durable_on_quorum(const struct zab_cluster *cluster, uint32_t count, int64_t epoch)
{
    struct ensemble_set set = {0};
    for (uint32_t index = 0; index < cluster->server_count; index++)
        if (cluster->servers[index].durable.current_epoch >= epoch &&
            count_common(&cluster->servers[index].durable.log, &cluster->committed) >= count)
            ensemble_set_add(&cluster->ensemble, &set, index + 1);
    return ensemble_is_quorum(&cluster->ensemble, set);
}

/* A server that serves has committed its log up to zxid. */
static void check_commit(struct zab_cluster *cluster, uint32_t server, int64_t zxid)
{
    const struct zab_cluster_log *log = &cluster->servers[server].memory.log;
    struct zab_cluster_log *committed = &cluster->committed;
    const uint32_t count = count_up_to(log, zxid);
    const uint32_t count_before = committed->count;
    for (uint32_t index = 0; index < count; index++) {
        if (index < committed->count) {
            if (!is_same(log, committed, index))
                violate(cluster, "two servers have committed different histories");
            continue;
        }
        const int64_t before = last_of(committed);
        const int64_t next = log->entries[index].zxid;
        if (next != before + 1 && !(next > before && (next & 0xffffffff) == 1))
            violate(cluster, "the history has a hole");
        append(committed, log->entries[index]);
    }
    if (committed->count > count_before && !is_durable_on_quorum(cluster, committed->count, 0))
        violate(cluster, "a commit is not durable on a quorum");
}

static void check_established(struct zab_cluster *cluster, uint32_t server, int64_t epoch)
{
    const struct zab_cluster_log *log = &cluster->servers[server].memory.log;
    assert(epoch < zab_cluster_epoch_max);
    if (cluster->epoch_leaders[epoch] != 0)
        violate(cluster, "two leaders are established in one epoch");
    cluster->epoch_leaders[epoch] = server + 1;
    /* Later epochs may have begun since: the acknowledgement that was awaited came late. Of what
     * they committed it has nothing, and nobody who could would acknowledge anything to it. */
    if (count_common(log, &cluster->committed) < count_up_to(&cluster->committed, epoch << 32))
        violate(cluster, "a leader lacks what is committed");
    check_commit(cluster, server, last_of(log));
    if (!is_durable_on_quorum(cluster, cluster->committed.count, epoch))
        violate(cluster, "a leader's epoch is not durable on a quorum");
}

/* ---- disks ---- */

static void do_write(struct zab_cluster_disk *disk, const struct zab_cluster_write *write,
                     const struct zab_cluster_log *snapshot)
{
    switch ((int)write->kind) {
    case ZAB_WRITE_ACCEPTED_EPOCH: disk->accepted_epoch = write->value; break;
    case ZAB_WRITE_CURRENT_EPOCH: disk->current_epoch = write->value; break;
    case ZAB_WRITE_TXN:
        append(&disk->log, (struct zab_cluster_entry){write->value, write->txn_value});
        break;
    case ZAB_WRITE_TRUNCATE:
        disk->log.count = count_up_to(&disk->log, write->value);
        assert(last_of(&disk->log) == write->value);
        break;
    case ZAB_WRITE_SNAPSHOT: disk->log = *snapshot; break;
    default: assert(false);
    }
}

static void write(struct zab_cluster *cluster, uint32_t index, const struct zab_effect *effect)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    struct zab_cluster_write write = {.kind = effect->kind, .seq = effect->write_seq};
    const bool is_epoch =
        effect->kind == ZAB_WRITE_ACCEPTED_EPOCH || effect->kind == ZAB_WRITE_CURRENT_EPOCH;
    assert(server->write_count < zab_cluster_wait_max && effect->after_write == 0);
    write.value = is_epoch ? effect->value : effect->zxid;
    if (effect->kind == ZAB_WRITE_TXN)
        write.txn_value = effect->data.data != NULL ? load_i64(effect->data.data) : cluster->value;
    cluster->truncate_count += effect->kind == ZAB_WRITE_TRUNCATE;
    cluster->snapshot_count += effect->kind == ZAB_WRITE_SNAPSHOT;
    do_write(&server->memory, &write, &server->snapshot);
    server->writes[server->write_count++] = write;
    note(cluster, "writes", index, write.value);
}

/* ---- links ---- */

static struct zab_cluster_link *find_link(struct zab_cluster *cluster, uint64_t id)
{
    for (uint32_t index = 0; index < zab_cluster_link_count_max; index++)
        if (cluster->links[index].id == id)
            return &cluster->links[index];
    return NULL;
}

static void close_end(struct zab_cluster_link *link, uint32_t end)
{
    link->is_open[end] = false;
    link->to[end].count = 0;
    if (!link->is_open[0] && !link->is_open[1])
        link->id = 0;
}

static void close_all(struct zab_cluster *cluster, uint32_t server)
{
    for (uint32_t index = 0; index < zab_cluster_link_count_max; index++)
        for (uint32_t end = 0; end < 2; end++) {
            struct zab_cluster_link *link = &cluster->links[index];
            if (link->id != 0 && link->servers[end] == server && link->is_open[end])
                close_end(link, end);
        }
}

static void send(struct zab_cluster *cluster, uint32_t server, uint64_t id,
                 const struct zab_cluster_packet *packet)
{
    struct zab_cluster_link *link = find_link(cluster, id);
    if (link == NULL)
        return;
    const uint32_t end = link->servers[LEADER_END] == server ? LEADER_END : LEARNER_END;
    struct zab_cluster_queue *queue = &link->to[!end];
    if (!link->is_open[end] || !link->is_open[!end])
        return;
    assert(queue->count < zab_cluster_queue_max);
    queue->packets[queue->count++] = *packet;
    note(cluster, "sends", server, packet->type);
    note(cluster, "  zxid", server, packet->zxid);
}

/* ---- effects ---- */

static int64_t find_value(const struct zab_cluster_log *log, int64_t zxid)
{
    const uint32_t count = count_up_to(log, zxid);
    assert(count > 0 && log->entries[count - 1].zxid == zxid);
    return log->entries[count - 1].value;
}

static void set_value(struct zab_cluster_packet *packet, int64_t value)
{
    packet->has_data = true;
    packet->size = sizeof value;
    store_i64(packet->data, value);
}

static void carry_out_send(struct zab_cluster *cluster, uint32_t index,
                           const struct zab_effect *effect)
{
    struct zab_cluster_packet packet = {.type = effect->type, .zxid = effect->zxid};
    if (effect->kind == ZAB_SEND_TXN) {
        set_value(&packet, find_value(&cluster->servers[index].memory.log, effect->zxid));
    } else if (effect->has_payload) {
        packet.has_data = true;
        packet.size = effect->payload_size;
        memcpy(packet.data, effect->payload, effect->payload_size);
    }
    send(cluster, index, effect->link, &packet);
}

static void on_commit(struct zab_cluster *cluster, uint32_t index, int64_t zxid)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    note(cluster, "commits", index, zxid);
    if (zxid <= server->zxid_applied)
        violate(cluster, "commits go back");
    server->zxid_applied = zxid;
    if (count_up_to(&server->durable.log, zxid) != count_up_to(&server->memory.log, zxid))
        violate(cluster, "a server applies what it has not on disk");
    if (server->is_serving)
        check_commit(cluster, index, zxid);
}

static void on_confirmed(struct zab_cluster *cluster, uint32_t index, uint64_t ticket)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    note(cluster, "confirms", index, (int64_t)ticket);
    if (ticket <= server->ticket_confirmed || ticket > server->ticket)
        violate(cluster, "what is confirmed was not asked");
    server->ticket_confirmed = ticket;
    cluster->confirmed_count++;
    if (count_common(&server->memory.log, &cluster->committed) <
        server->committed_counts[ticket % zab_cluster_ticket_max])
        violate(cluster, "a leader confirms that it leads, and lacks what was committed before");
}

static void give_up(struct zab_cluster_server *server)
{
    server->ticket_confirmed = server->ticket;
    server->is_serving = false;
    server->has_dialled = false;
    server->wait_count = 0;
    server->sync_count = 0;
}

static void serve(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    server->is_serving = true;
    cluster->served_count++;
    check_commit(cluster, index, server->zxid_applied);
}

static void drop(struct zab_cluster *cluster, uint32_t index, const struct zab_effect *effect)
{
    struct zab_cluster_link *link = find_link(cluster, effect->link);
    assert(link != NULL && effect->reason != NULL);
    cluster->drop_count++;
    note(cluster, effect->reason, index, (int64_t)effect->link);
    close_end(link, link->servers[LEADER_END] == index ? LEADER_END : LEARNER_END);
}

static void carry_out(struct zab_cluster *cluster, uint32_t index, const struct zab_effect *effect)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    switch (effect->kind) {
    case ZAB_WRITE_ACCEPTED_EPOCH:
    case ZAB_WRITE_CURRENT_EPOCH:
    case ZAB_WRITE_TXN:
    case ZAB_WRITE_TRUNCATE:
    case ZAB_WRITE_SNAPSHOT:
        write(cluster, index, effect);
        if (effect->kind == ZAB_WRITE_TRUNCATE || effect->kind == ZAB_WRITE_SNAPSHOT)
            server->zxid_applied = effect->zxid;
        break;
    case ZAB_SEND:
    case ZAB_SEND_TXN: carry_out_send(cluster, index, effect); break;
    case ZAB_PING_BACK: carry_out_send(cluster, index, effect); break;
    case ZAB_SYNC:
        assert(server->sync_count < zab_cluster_link_count_max);
        server->syncs[server->sync_count++] =
            (struct zab_cluster_sync){.link = effect->link, .zxid = effect->zxid};
        break;
    case ZAB_COMMIT_TXN: on_commit(cluster, index, effect->zxid); break;
    case ZAB_ESTABLISH:
        note(cluster, "is established in", index, effect->value);
        if (server->zab.role != ZAB_ROLE_LEADER)
            break;
        cluster->established_count++;
        server->is_serving = true;
        check_established(cluster, index, effect->value);
        break;
    case ZAB_SERVE: serve(cluster, index); break;
    case ZAB_CONFIRMED: on_confirmed(cluster, index, (uint64_t)effect->value); break;
    case ZAB_DROP: drop(cluster, index, effect); break;
    case ZAB_LOOK:
        note(cluster, effect->reason, index, 0);
        give_up(server);
        break;
    case ZAB_TOUCH:
    case ZAB_ACTIVATE: break;
    }
}

static void release(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    uint32_t kept = 0;
    for (uint32_t at = 0; at < server->wait_count; at++) {
        const struct zab_effect effect = server->waiting[at];
        if (effect.after_write > server->zab.write_issued - server->write_count)
            server->waiting[kept++] = effect;
        else
            carry_out(cluster, index, &effect);
    }
    server->wait_count = kept;
}

/* What waits may be overtaken by what does not. */
static void step(struct zab_cluster *cluster, uint32_t index, const struct zab_event *event)
{
    static struct zab_effects effects;
    struct zab_cluster_server *server = &cluster->servers[index];
    struct zab_event next = *event;
    do {
        next.now_ms = cluster->now_ms;
        zab_step(&server->zab, &next, &effects);
        for (uint32_t at = 0; at < effects.count; at++) {
            const struct zab_effect *effect = &effects.items[at];
            const bool must_wait =
                effect->after_write > server->zab.write_issued - server->write_count;
            if (!must_wait) {
                carry_out(cluster, index, effect);
                continue;
            }
            assert(server->wait_count < zab_cluster_wait_max);
            server->waiting[server->wait_count++] = *effect;
        }
        next = (struct zab_event){.kind = ZAB_EVENT_MORE};
    } while (effects.is_more);
}

/* ---- life of a server ---- */

static void power_on(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    const struct zab_options options = {.self_id = index + 1,
                                        .tick_ms = zab_cluster_tick_ms,
                                        .init_ticks = 12,
                                        .sync_ticks = 6,
                                        .txn_count_max = ZAB_EPOCH_TXN_COUNT_MAX};
    zab_init(&server->zab, options, &cluster->ensemble);
    server->is_up = true;
    server->memory = server->durable;
    server->write_count = 0;
    give_up(server);
}

void zab_cluster_init(struct zab_cluster *cluster, struct zab_cluster_options options)
{
    assert(options.server_count <= zab_cluster_server_count_max);
    *cluster = (struct zab_cluster){.server_count = options.server_count, .now_ms = 1000};
    ensemble_init(&cluster->ensemble);
    for (uint32_t index = 0; index < options.server_count; index++) {
        const bool is_observer = index + options.observer_count >= options.server_count;
        const struct ensemble_member member = {
            .id = index + 1, .is_voter = !is_observer, .group = -1, .weight = 1};
        const enum err err = ensemble_add(&cluster->ensemble, &member);
        assert(err == ERR_OK);
        cluster->servers[index].is_observer = is_observer;
    }
    for (uint32_t index = 0; index < options.server_count; index++)
        power_on(cluster, index);
}

bool zab_cluster_is_looking(const struct zab_cluster *cluster, uint32_t index)
{
    const struct zab_cluster_server *server = &cluster->servers[index];
    return server->is_up && server->zab.role == ZAB_ROLE_NONE && server->write_count == 0;
}

static void start(struct zab_cluster *cluster, uint32_t index, enum zab_event_kind kind)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    struct zab_event event = {.kind = kind};
    server->zxid_applied = last_of(&server->durable.log);
    event.start.history = (struct zab_history){
        .accepted_epoch = server->durable.accepted_epoch,
        .current_epoch = server->durable.current_epoch,
        .zxid_last = last_of(&server->durable.log),
    };
    event.start.leader_id = server->leader + 1;
    event.start.is_observer = server->is_observer;
    step(cluster, index, &event);
}

bool zab_cluster_lead(struct zab_cluster *cluster, uint32_t index)
{
    if (!zab_cluster_is_looking(cluster, index) || cluster->servers[index].is_observer)
        return false;
    note(cluster, "leads", index, 0);
    start(cluster, index, ZAB_EVENT_LEAD);
    return true;
}

bool zab_cluster_learn(struct zab_cluster *cluster, uint32_t index, uint32_t leader)
{
    if (!zab_cluster_is_looking(cluster, index) || index == leader)
        return false;
    note(cluster, "learns from", index, leader + 1);
    cluster->servers[index].leader = leader;
    start(cluster, index, ZAB_EVENT_LEARN);
    return true;
}

bool zab_cluster_stop(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    if (!server->is_up || server->zab.role == ZAB_ROLE_NONE)
        return false;
    note(cluster, "stops", index, 0);
    step(cluster, index, &(struct zab_event){.kind = ZAB_EVENT_STOP});
    give_up(server);
    return true;
}

bool zab_cluster_crash(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    if (!server->is_up)
        return false;
    note(cluster, "crashes", index, 0);
    server->is_up = false;
    close_all(cluster, index);
    give_up(server);
    return true;
}

bool zab_cluster_restart(struct zab_cluster *cluster, uint32_t index)
{
    if (cluster->servers[index].is_up)
        return false;
    note(cluster, "restarts", index, 0);
    power_on(cluster, index);
    return true;
}

/* A learner may lose what was committed behind what its leader had committed when it said what to
 * cut: others were counted on, and the learner gets it again. */
static void check_loss(struct zab_cluster *cluster, uint32_t index, uint32_t count_before)
{
    const struct zab_cluster_server *server = &cluster->servers[index];
    const uint32_t count = count_common(&server->durable.log, &cluster->committed);
    if (count < count_before && cluster->committed.entries[count].zxid <= server->zxid_kept)
        violate(cluster, "a server cuts off what is committed");
    if (!is_durable_on_quorum(cluster, cluster->committed.count, 0))
        violate(cluster, "what is committed was truncated");
}

bool zab_cluster_flush(struct zab_cluster *cluster, uint32_t index, uint32_t write_count)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    if (!server->is_up || server->write_count == 0)
        return false;
    if (write_count > server->write_count)
        write_count = server->write_count;
    struct zab_event event = {.kind = ZAB_EVENT_WRITTEN};
    for (uint32_t at = 0; at < write_count; at++) {
        const uint32_t count_before = count_common(&server->durable.log, &cluster->committed);
        do_write(&server->durable, &server->writes[at], &server->snapshot);
        check_loss(cluster, index, count_before);
        event.write_seq = server->writes[at].seq;
    }
    server->write_count -= write_count;
    memmove(server->writes, server->writes + write_count,
            server->write_count * sizeof server->writes[0]);
    note(cluster, "has written", index, (int64_t)event.write_seq);
    release(cluster, index);
    step(cluster, index, &event);
    return true;
}

void zab_cluster_pass_time(struct zab_cluster *cluster)
{
    cluster->now_ms += zab_cluster_tick_ms / 2;
    for (uint32_t index = 0; index < cluster->server_count; index++)
        if (cluster->servers[index].is_up)
            step(cluster, index, &(struct zab_event){.kind = ZAB_EVENT_TICK});
}

/* ---- links as they live ---- */

bool zab_cluster_dial(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    struct zab_cluster_link *link = find_link(cluster, 0);
    if (!server->is_up || server->zab.role != ZAB_ROLE_LEARNER || server->has_dialled ||
        link == NULL || !cluster->servers[server->leader].is_up)
        return false;
    server->has_dialled = true;
    link->id = ++cluster->link_id;
    link->servers[LEARNER_END] = index;
    link->servers[LEADER_END] = server->leader;
    link->is_open[0] = link->is_open[1] = true;
    link->to[0].count = link->to[1].count = 0;
    struct zab_event event = {.kind = ZAB_EVENT_LINK_UP, .link = link->id};
    note(cluster, "dials", index, server->leader + 1);
    step(cluster, index, &event);
    step(cluster, server->leader, &event);
    return true;
}

static void lose(struct zab_cluster *cluster, struct zab_cluster_link *link, uint32_t end)
{
    const struct zab_event event = {.kind = ZAB_EVENT_LINK_DOWN, .link = link->id};
    const uint32_t server = link->servers[end];
    note(cluster, "loses", server, (int64_t)link->id);
    close_end(link, end);
    step(cluster, server, &event);
}

bool zab_cluster_break(struct zab_cluster *cluster, uint32_t index, uint32_t end)
{
    struct zab_cluster_link *link = &cluster->links[index];
    if (link->id == 0 || !link->is_open[end])
        return false;
    link->to[!end].count = 0;
    lose(cluster, link, end);
    return true;
}

bool zab_cluster_deliver(struct zab_cluster *cluster, uint32_t index, uint32_t end)
{
    struct zab_cluster_link *link = &cluster->links[index];
    struct zab_cluster_queue *queue = &link->to[end];
    if (link->id == 0 || !link->is_open[end] || (queue->count == 0 && link->is_open[!end]))
        return false;
    if (queue->count == 0) {
        lose(cluster, link, end);
        return true;
    }
    const struct zab_cluster_packet packet = queue->packets[0];
    memmove(queue->packets, queue->packets + 1, --queue->count * sizeof packet);
    struct zab_event event = {.kind = ZAB_EVENT_RECEIVE, .link = link->id};
    event.packet.type = packet.type;
    event.packet.zxid = packet.zxid;
    event.packet.has_data = packet.has_data;
    if (packet.has_data)
        event.packet.data = slice_of(packet.data, packet.size);
    if (packet.type == ZAB_SNAP && end == LEARNER_END)
        cluster->servers[link->servers[end]].snapshot = link->snapshot;
    if (end == LEARNER_END && zab_cluster_is_cut(packet.type))
        cluster->servers[link->servers[end]].zxid_kept = link->zxid_kept;
    note(cluster, "receives", link->servers[end], packet.type);
    step(cluster, link->servers[end], &event);
    return true;
}

/* ---- synchronisation, as the caller of a leader does it ---- */

static void send_plain(struct zab_cluster *cluster, uint32_t server, uint64_t link,
                       enum zab_packet_type type, int64_t zxid)
{
    const struct zab_cluster_packet packet = {.type = (int32_t)type, .zxid = zxid};
    send(cluster, server, link, &packet);
}

static void send_range(struct zab_cluster *cluster, uint32_t server, uint64_t link, uint32_t from,
                       uint32_t end)
{
    const struct zab_cluster_log *log = &cluster->servers[server].memory.log;
    for (uint32_t at = from; at < end; at++) {
        struct zab_cluster_packet packet = {.type = ZAB_PROPOSAL, .zxid = log->entries[at].zxid};
        set_value(&packet, log->entries[at].value);
        send(cluster, server, link, &packet);
        send_plain(cluster, server, link, ZAB_COMMIT, packet.zxid);
    }
}

/* The learner's last transaction is ours too: the rest follows. We have an earlier one of the same
 * epoch, so it has that as well: back to there. Else it gets everything. */
static void send_missing(struct zab_cluster *cluster, uint32_t server,
                         const struct zab_cluster_sync *sync)
{
    const struct zab_cluster_log *log = &cluster->servers[server].memory.log;
    const uint32_t end = count_up_to(log, cluster->servers[server].zab.leader.zxid_committed);
    uint32_t common = count_up_to(log, sync->zxid);
    if (common > end)
        common = end;
    const int64_t zxid = common == 0 ? 0 : log->entries[common - 1].zxid;
    const int64_t last = end == 0 ? 0 : log->entries[end - 1].zxid;
    struct zab_cluster_link *link = find_link(cluster, sync->link);
    if (link != NULL)
        link->zxid_kept = last;
    if (zxid == sync->zxid) {
        cluster->diff_count++;
        send_plain(cluster, server, sync->link, ZAB_DIFF, last);
        send_range(cluster, server, sync->link, common, end);
    } else if (zxid >> 32 == sync->zxid >> 32) {
        send_plain(cluster, server, sync->link, ZAB_TRUNC, zxid);
        send_range(cluster, server, sync->link, common, end);
    } else {
        if (link != NULL) {
            link->snapshot = *log;
            link->snapshot.count = end;
        }
        send_plain(cluster, server, sync->link, ZAB_SNAP, last);
    }
}

bool zab_cluster_sync(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    if (!server->is_up || server->sync_count == 0)
        return false;
    const struct zab_cluster_sync sync = server->syncs[0];
    memmove(server->syncs, server->syncs + 1, --server->sync_count * sizeof sync);
    struct zab_event event = {.kind = ZAB_EVENT_SYNCED, .link = sync.link};
    const struct zab_cluster_log *log = &server->memory.log;
    const uint32_t count = count_up_to(log, server->zab.leader.zxid_committed);
    event.zxid = count == 0 ? 0 : log->entries[count - 1].zxid;
    send_missing(cluster, index, &sync);
    step(cluster, index, &event);
    return true;
}

bool zab_cluster_propose(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    if (!server->is_up || server->zab.role != ZAB_ROLE_LEADER || !server->is_serving ||
        server->memory.log.count == zab_cluster_log_max)
        return false;
    cluster->value++;
    struct zab_event event = {.kind = ZAB_EVENT_PROPOSE};
    event.zxid = server->zab.leader.zxid_proposed + 1;
    note(cluster, "proposes", index, event.zxid);
    step(cluster, index, &event);
    return true;
}

bool zab_cluster_confirm(struct zab_cluster *cluster, uint32_t index)
{
    struct zab_cluster_server *server = &cluster->servers[index];
    if (!server->is_up || server->zab.role != ZAB_ROLE_LEADER || !server->is_serving ||
        server->ticket - server->ticket_confirmed == zab_cluster_ticket_max)
        return false;
    struct zab_event event = {.kind = ZAB_EVENT_CONFIRM, .ticket = ++server->ticket};
    server->committed_counts[event.ticket % zab_cluster_ticket_max] = cluster->committed.count;
    note(cluster, "is asked", index, (int64_t)event.ticket);
    step(cluster, index, &event);
    return true;
}

/* ---- questions ---- */

bool zab_cluster_is_better(const struct zab_cluster *cluster, uint32_t index, uint32_t other)
{
    const struct zab_cluster_disk *a = &cluster->servers[index].durable;
    const struct zab_cluster_disk *b = &cluster->servers[other].durable;
    if (a->current_epoch != b->current_epoch)
        return a->current_epoch > b->current_epoch;
    if (last_of(&a->log) != last_of(&b->log))
        return last_of(&a->log) > last_of(&b->log);
    return index > other;
}

bool zab_cluster_is_settled(const struct zab_cluster *cluster)
{
    const struct zab_cluster_log *committed = &cluster->committed;
    for (uint32_t index = 0; index < cluster->server_count; index++) {
        const struct zab_cluster_server *server = &cluster->servers[index];
        if (!server->is_serving || server->write_count != 0 ||
            server->durable.log.count != committed->count ||
            count_common(&server->durable.log, committed) != committed->count ||
            server->zxid_applied != last_of(committed))
            return false;
    }
    return true;
}
