#include "sim/zab_state.h"

#include "base/assert.h"

/* Both directions are one walk, which names each field once. */
enum {
    durable_base = 32,   /* The number of the last durable write. */
    stale_link = 0x7fff, /* Of a link that is gone. */
};

struct codec {
    bool is_reading;
    uint8_t *bytes;
    uint32_t at;
    uint64_t durable; /* Of the server that is walked, when writing. */
    uint32_t link_count;
    uint32_t order[zab_cluster_link_count_max]; /* Slots, as they are numbered anew. */
    uint64_t ids[zab_cluster_link_count_max];
};

static void put(struct codec *codec, uint64_t value)
{
    assert(codec->at + 10 <= zab_state_bytes_max);
    while (value >= 0x80) {
        codec->bytes[codec->at++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    codec->bytes[codec->at++] = (uint8_t)value;
}

static uint64_t take(struct codec *codec)
{
    uint64_t value = 0;
    for (uint32_t shift = 0;; shift += 7) {
        const uint8_t byte = codec->bytes[codec->at++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

static uint64_t number(struct codec *codec, uint64_t value)
{
    if (codec->is_reading)
        return take(codec);
    put(codec, value);
    return value;
}

/* Small ones of either sign are short. */
static int64_t integer(struct codec *codec, int64_t value)
{
    const uint64_t folded = number(codec, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
    return (int64_t)(folded >> 1) ^ -(int64_t)(folded & 1);
}

static int64_t zxid(struct codec *codec, int64_t value)
{
    const int64_t epoch = integer(codec, value >> 32);
    const int64_t counter = integer(codec, (int32_t)(value & 0xffffffff));
    return (int64_t)((uint64_t)epoch << 32 | (uint32_t)counter);
}

#define NUMBER(codec, field) ((field) = (__typeof__(field))number(codec, (uint64_t)(field)))
#define ZXID(codec, field)   ((field) = zxid(codec, field))

static void write_number(struct codec *codec, uint64_t *seq)
{
    uint64_t value = *seq;
    if (!codec->is_reading && value != 0)
        value = value <= codec->durable ? durable_base : value - codec->durable + durable_base;
    value = number(codec, value);
    if (codec->is_reading)
        *seq = value;
}

static void link_number(struct codec *codec, uint64_t *id)
{
    uint64_t value = *id;
    if (!codec->is_reading && value != 0) {
        value = stale_link;
        for (uint32_t rank = 0; rank < codec->link_count; rank++)
            if (codec->ids[rank] == *id)
                value = rank + 1;
    }
    value = number(codec, value);
    if (codec->is_reading)
        *id = value;
}

/* ---- logs and disks ---- */

static void walk_log(struct codec *codec, struct zab_cluster_log *log)
{
    NUMBER(codec, log->count);
    for (uint32_t at = 0; at < log->count; at++) {
        ZXID(codec, log->entries[at].zxid);
        log->entries[at].value = integer(codec, log->entries[at].value);
    }
}

static void walk_disk(struct codec *codec, struct zab_cluster_disk *disk)
{
    NUMBER(codec, disk->accepted_epoch);
    NUMBER(codec, disk->current_epoch);
    walk_log(codec, &disk->log);
}

static void walk_disks(struct codec *codec, struct zab_cluster_server *server)
{
    walk_disk(codec, &server->durable);
    if (server->write_count == 0) {
        if (codec->is_reading)
            server->memory = server->durable;
        return;
    }
    walk_disk(codec, &server->memory);
    bool has_snapshot = false;
    bool has_cut = false;
    for (uint32_t at = 0; at < server->write_count; at++) {
        struct zab_cluster_write *write = &server->writes[at];
        NUMBER(codec, write->kind);
        ZXID(codec, write->value);
        if (codec->is_reading) {
            write->seq = durable_base + 1 + at;
            write->txn_value = 0;
        }
        if (write->kind == ZAB_WRITE_TXN)
            write->txn_value = integer(codec, write->txn_value);
        has_snapshot = has_snapshot || write->kind == ZAB_WRITE_SNAPSHOT;
        has_cut = has_cut || write->kind == ZAB_WRITE_TRUNCATE;
    }
    if (has_snapshot)
        walk_log(codec, &server->snapshot);
    if (has_snapshot || has_cut)
        ZXID(codec, server->zxid_kept);
}

/* ---- machines ---- */

static void walk_learner(struct codec *codec, struct zab_learner *learner)
{
    if (codec->is_reading)
        *learner = (struct zab_learner){0};
    link_number(codec, &learner->link);
    NUMBER(codec, learner->phase);
    if (learner->phase > ZAB_LEARNER_CONNECTED)
        learner->id = integer(codec, learner->id);
    if (learner->phase == ZAB_LEARNER_EPOCH_ACKED)
        ZXID(codec, learner->zxid_last);
    if (learner->phase >= ZAB_LEARNER_CATCHING_UP) {
        ZXID(codec, learner->zxid_proposed);
        ZXID(codec, learner->zxid_committed);
        ZXID(codec, learner->zxid_acked);
    }
}

static uint32_t find_learner(const struct zab_leader *leader, uint64_t link)
{
    uint32_t index = 0;
    while (index < leader->learner_count && leader->learners[index].link != link)
        index++;
    return index;
}

static void walk_learners(struct codec *codec, struct zab_leader *leader)
{
    NUMBER(codec, leader->learner_count);
    if (codec->is_reading) {
        for (uint32_t index = 0; index < leader->learner_count; index++)
            walk_learner(codec, &leader->learners[index]);
        return;
    }
    uint32_t walked_count = 0;
    for (uint32_t rank = 0; rank < codec->link_count; rank++) {
        const uint32_t index = find_learner(leader, codec->ids[rank]);
        if (index == leader->learner_count)
            continue;
        walk_learner(codec, &leader->learners[index]);
        walked_count++;
    }
    assert(walked_count == leader->learner_count);
}

static void walk_leader(struct codec *codec, struct zab *zab)
{
    struct zab_leader *leader = &zab->leader;
    NUMBER(codec, leader->phase);
    if (codec->is_reading) {
        leader->introduced = leader->epoch_acked = (struct zab_voters){0};
        leader->designated_id = zab->options.self_id;
        leader->zxid_activated = leader->anonymous_id = 0;
        leader->deadline_ms = leader->ping_at_ms = leader->count_at_ms = 0;
    }
    if (leader->phase == ZAB_LEADER_DISCOVERY)
        NUMBER(codec, leader->introduced.current.bits);
    if (leader->phase <= ZAB_LEADER_EPOCH)
        NUMBER(codec, leader->epoch_acked.current.bits);
    NUMBER(codec, leader->epoch);
    write_number(codec, &leader->accepted_write);
    write_number(codec, &leader->current_write);
    ZXID(codec, leader->zxid_proposed);
    ZXID(codec, leader->zxid_committed);
    walk_learners(codec, leader);
}

static void walk_learning(struct codec *codec, struct zab_learning *learning)
{
    if (codec->is_reading)
        *learning = (struct zab_learning){0};
    NUMBER(codec, learning->phase);
    link_number(codec, &learning->link);
    learning->leader_id = integer(codec, learning->leader_id);
    NUMBER(codec, learning->epoch);
    write_number(codec, &learning->snapshot_write);
    ZXID(codec, learning->zxid_snapshot);
    ZXID(codec, learning->zxid_written);
    ZXID(codec, learning->zxid_pending);
    ZXID(codec, learning->zxid_acked);
    write_number(codec, &learning->txn_write);
    write_number(codec, &learning->current_write);
}

static void walk_machine(struct codec *codec, struct zab_cluster_server *server)
{
    struct zab *zab = &server->zab;
    NUMBER(codec, zab->role);
    if (codec->is_reading) {
        zab->write_durable = durable_base;
        zab->write_issued = durable_base + server->write_count;
    }
    if (zab->role == ZAB_ROLE_NONE)
        return;
    NUMBER(codec, zab->history.accepted_epoch);
    NUMBER(codec, zab->history.current_epoch);
    ZXID(codec, zab->history.zxid_last);
    if (zab->role == ZAB_ROLE_LEADER)
        walk_leader(codec, zab);
    else
        walk_learning(codec, &zab->learning);
}

/* ---- what the driver keeps of a server ---- */

static void walk_effect(struct codec *codec, struct zab_effect *effect)
{
    if (codec->is_reading)
        *effect = (struct zab_effect){0};
    NUMBER(codec, effect->kind);
    write_number(codec, &effect->after_write);
    link_number(codec, &effect->link);
    NUMBER(codec, effect->type);
    ZXID(codec, effect->zxid);
    effect->value = integer(codec, effect->value);
    NUMBER(codec, effect->has_payload);
    if (!effect->has_payload)
        return;
    NUMBER(codec, effect->payload_size);
    for (uint32_t at = 0; at < effect->payload_size; at++)
        NUMBER(codec, effect->payload[at]);
}

static void walk_server(struct codec *codec, struct zab_cluster_server *server)
{
    assert(server->is_up && !server->is_observer);
    NUMBER(codec, server->write_count);
    codec->durable = server->zab.write_durable;
    assert(codec->is_reading ||
           server->zab.write_issued - server->zab.write_durable == server->write_count);
    walk_disks(codec, server);
    walk_machine(codec, server);
    if (server->zab.role == ZAB_ROLE_NONE) {
        server->is_serving = server->has_dialled = false;
        server->wait_count = server->sync_count = 0;
        return;
    }
    NUMBER(codec, server->is_serving);
    NUMBER(codec, server->has_dialled);
    NUMBER(codec, server->leader);
    ZXID(codec, server->zxid_applied);
    NUMBER(codec, server->wait_count);
    for (uint32_t at = 0; at < server->wait_count; at++)
        walk_effect(codec, &server->waiting[at]);
    NUMBER(codec, server->sync_count);
    for (uint32_t at = 0; at < server->sync_count; at++) {
        link_number(codec, &server->syncs[at].link);
        ZXID(codec, server->syncs[at].zxid);
    }
}

/* ---- links ---- */

/* The type of a packet that cuts, if there is one; there is one at most. */
static int32_t walk_queue(struct codec *codec, struct zab_cluster_queue *queue)
{
    int32_t type = 0;
    NUMBER(codec, queue->count);
    for (uint32_t at = 0; at < queue->count; at++) {
        struct zab_cluster_packet *packet = &queue->packets[at];
        NUMBER(codec, packet->type);
        ZXID(codec, packet->zxid);
        NUMBER(codec, packet->has_data);
        if (!packet->has_data)
            packet->size = 0;
        NUMBER(codec, packet->size);
        for (uint32_t byte = 0; byte < packet->size; byte++)
            NUMBER(codec, packet->data[byte]);
        if (zab_cluster_is_cut(packet->type))
            type = packet->type;
    }
    return type;
}

static void walk_link(struct codec *codec, struct zab_cluster_link *link)
{
    for (uint32_t end = 0; end < 2; end++) {
        NUMBER(codec, link->servers[end]);
        NUMBER(codec, link->is_open[end]);
    }
    (void)walk_queue(codec, &link->to[1]);
    const int32_t type = walk_queue(codec, &link->to[0]);
    if (type == ZAB_SNAP)
        walk_log(codec, &link->snapshot);
    if (type != 0)
        ZXID(codec, link->zxid_kept);
}

static bool is_before(const struct zab_cluster_link *link, const struct zab_cluster_link *other)
{
    for (uint32_t end = 0; end < 2; end++)
        if (link->servers[end] != other->servers[end])
            return link->servers[end] < other->servers[end];
    return link->id < other->id;
}

static void order_links(struct codec *codec, const struct zab_cluster *cluster)
{
    for (uint32_t slot = 0; slot < zab_cluster_link_count_max; slot++) {
        if (cluster->links[slot].id == 0)
            continue;
        uint32_t at = codec->link_count++;
        while (at > 0 && is_before(&cluster->links[slot], &cluster->links[codec->order[at - 1]])) {
            codec->order[at] = codec->order[at - 1];
            at--;
        }
        codec->order[at] = slot;
    }
    for (uint32_t rank = 0; rank < codec->link_count; rank++)
        codec->ids[rank] = cluster->links[codec->order[rank]].id;
}

static void walk_links(struct codec *codec, struct zab_cluster *cluster)
{
    NUMBER(codec, codec->link_count);
    for (uint32_t rank = 0; rank < codec->link_count; rank++)
        walk_link(codec, &cluster->links[codec->is_reading ? rank : codec->order[rank]]);
    if (!codec->is_reading)
        return;
    cluster->link_id = codec->link_count;
    for (uint32_t slot = 0; slot < zab_cluster_link_count_max; slot++)
        cluster->links[slot].id = slot < codec->link_count ? slot + 1 : 0;
}

/* ---- all ---- */

static void walk(struct codec *codec, struct zab_cluster *cluster)
{
    walk_links(codec, cluster);
    for (uint32_t index = 0; index < cluster->server_count; index++)
        walk_server(codec, &cluster->servers[index]);
    cluster->value = integer(codec, cluster->value);
    walk_log(codec, &cluster->committed);
    uint32_t epoch_count = zab_state_epoch_max;
    while (!codec->is_reading && epoch_count > 0 && cluster->epoch_leaders[epoch_count - 1] == 0)
        epoch_count--;
    NUMBER(codec, epoch_count);
    for (uint32_t epoch = 0; epoch < epoch_count; epoch++)
        NUMBER(codec, cluster->epoch_leaders[epoch]);
    for (uint32_t epoch = epoch_count; codec->is_reading && epoch < zab_state_epoch_max; epoch++)
        cluster->epoch_leaders[epoch] = 0;
    assert(codec->is_reading || cluster->epoch_leaders[zab_state_epoch_max] == 0);
}

uint32_t zab_state_write(struct zab_cluster *cluster, uint8_t *bytes)
{
    struct codec codec = {.bytes = bytes};
    order_links(&codec, cluster);
    walk(&codec, cluster);
    return codec.at;
}

uint32_t zab_state_read(struct zab_cluster *cluster, const uint8_t *bytes)
{
    struct codec codec = {.is_reading = true, .bytes = (uint8_t *)(uintptr_t)bytes};
    cluster->wrong = NULL;
    walk(&codec, cluster);
    return codec.at;
}
