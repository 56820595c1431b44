/* For the flags of mmap. */
#define _DEFAULT_SOURCE 1

#include "sim/explorer.h"

#include "base/assert.h"

#include <stdio.h>
#include <sys/mman.h>

enum {
    queue_bytes_per_state = 1024, /* Of addresses only. */
    given_back_bytes = 64 << 20,
    path_count_max = 4096,
    head_bytes = 3, /* What is left of the bounds. */
};

static void *map(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(memory != MAP_FAILED);
    return memory;
}

static void unmap(void *memory, uint64_t size)
{
    const int result = munmap(memory, size);
    assert(result == 0);
}

static uint64_t queue_bytes(const struct explorer *explorer)
{
    return (explorer->bounds.state_count_max + 64) * queue_bytes_per_state;
}

/* ---- states as bytes ---- */

static uint32_t write_state(struct explorer *explorer, uint8_t *bytes)
{
    bytes[0] = (uint8_t)explorer->crashes_left;
    bytes[1] = (uint8_t)explorer->time_outs_left;
    bytes[2] = (uint8_t)explorer->elections_left;
    return head_bytes + zab_state_write(&explorer->cluster, bytes + head_bytes);
}

static void read_state(struct explorer *explorer, const uint8_t *bytes)
{
    explorer->crashes_left = bytes[0];
    explorer->time_outs_left = bytes[1];
    explorer->elections_left = bytes[2];
    (void)zab_state_read(&explorer->cluster, bytes + head_bytes);
}

static uint64_t mix(uint64_t hash)
{
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

static uint64_t hash_of(const uint8_t *bytes, uint32_t size)
{
    uint64_t hash = size;
    for (uint32_t at = 0; at < size; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, min_size(8, size - at));
        hash = mix(hash ^ word) + UINT64_C(0x9e3779b97f4a7c15);
    }
    return hash == 0 ? 1 : hash;
}

/* If the state is new, it waits in the queue. */
static void keep(struct explorer *explorer, const uint8_t *bytes, uint32_t size, uint64_t parent)
{
    const uint64_t hash = hash_of(bytes, size);
    uint64_t slot = hash & (explorer->hash_count - 1);
    while (explorer->hashes[slot] != 0 && explorer->hashes[slot] != hash)
        slot = (slot + 1) & (explorer->hash_count - 1);
    if (explorer->hashes[slot] == hash)
        return;
    explorer->hashes[slot] = hash;
    explorer->nodes[explorer->state_count++] =
        (struct explorer_node){.parent = (uint32_t)parent, .event = explorer->doing};
    assert(explorer->queue_tail + size + 2 <= queue_bytes(explorer));
    const uint16_t prefix = (uint16_t)size;
    memcpy(explorer->queue + explorer->queue_tail, &prefix, sizeof prefix);
    memcpy(explorer->queue + explorer->queue_tail + sizeof prefix, bytes, size);
    explorer->queue_tail += sizeof prefix + size;
}

static uint32_t take(struct explorer *explorer, uint8_t *bytes)
{
    uint16_t size;
    memcpy(&size, explorer->queue + explorer->queue_head, sizeof size);
    memcpy(bytes, explorer->queue + explorer->queue_head + sizeof size, size);
    const uint64_t before = explorer->queue_head / given_back_bytes;
    explorer->queue_head += sizeof size + size;
    if (explorer->queue_head / given_back_bytes != before)
        (void)madvise(explorer->queue + before * given_back_bytes, given_back_bytes, MADV_DONTNEED);
    return size;
}

/* ---- telling ---- */

static const char *packet_name(int32_t type)
{
    static const char *const names[] = {
        [ZAB_PROPOSAL] = "PROPOSAL",   [ZAB_ACK] = "ACK",
        [ZAB_COMMIT] = "COMMIT",       [ZAB_NEW_LEADER] = "NEWLEADER",
        [ZAB_DIFF] = "DIFF",           [ZAB_FOLLOWER_INFO] = "FOLLOWERINFO",
        [ZAB_UP_TO_DATE] = "UPTODATE", [ZAB_TRUNC] = "TRUNC",
        [ZAB_SNAP] = "SNAP",           [ZAB_LEADER_INFO] = "LEADERINFO",
        [ZAB_ACK_EPOCH] = "ACKEPOCH",
    };
    const bool is_known = type >= 0 && (size_t)type < ARRAY_COUNT(names) && names[type] != NULL;
    return is_known ? names[type] : "a packet";
}

static const char *write_name(enum zab_effect_kind kind)
{
    switch ((int)kind) {
    case ZAB_WRITE_ACCEPTED_EPOCH: return "accepted epoch";
    case ZAB_WRITE_CURRENT_EPOCH: return "current epoch";
    case ZAB_WRITE_TXN: return "transaction";
    case ZAB_WRITE_TRUNCATE: return "truncation to";
    default: return "snapshot";
    }
}

static void tell_deliver(const struct zab_cluster *cluster, uint32_t slot, uint32_t end)
{
    const struct zab_cluster_link *link = &cluster->links[slot];
    if (link->to[end].count == 0) {
        printf("server %u sees its link to server %u end", link->servers[end] + 1,
               link->servers[!end] + 1);
        return;
    }
    const struct zab_cluster_packet *packet = &link->to[end].packets[0];
    printf("server %u receives %s %lld.%lld from server %u", link->servers[end] + 1,
           packet_name(packet->type), (long long)(packet->zxid >> 32),
           (long long)(int32_t)(packet->zxid & 0xffffffff), link->servers[!end] + 1);
}

static void tell_flush(const struct zab_cluster *cluster, uint32_t index)
{
    const struct zab_cluster_write *write = &cluster->servers[index].writes[0];
    const bool is_epoch =
        write->kind == ZAB_WRITE_ACCEPTED_EPOCH || write->kind == ZAB_WRITE_CURRENT_EPOCH;
    printf("server %u has written its %s ", index + 1, write_name(write->kind));
    if (is_epoch)
        printf("%lld", (long long)write->value);
    else
        printf("%lld.%lld", (long long)(write->value >> 32),
               (long long)(write->value & 0xffffffff));
}

static void tell_event(const struct explorer *explorer, struct explorer_event event)
{
    const uint32_t server = event.subject + 1u;
    switch ((enum explorer_event_kind)event.kind) {
    case EXPLORER_ELECT:
        printf("server %u is elected by", server);
        for (uint32_t index = 0; index < explorer->bounds.server_count; index++)
            if ((event.object >> index & 1) != 0)
                printf(" %u", index + 1);
        break;
    case EXPLORER_JOIN: printf("server %u follows server %u", server, event.object + 1u); break;
    case EXPLORER_DELIVER: tell_deliver(&explorer->cluster, event.subject, event.object); break;
    case EXPLORER_FLUSH: tell_flush(&explorer->cluster, event.subject); break;
    case EXPLORER_SYNC: printf("server %u sends a learner what it lacks", server); break;
    case EXPLORER_PROPOSE: printf("server %u proposes", server); break;
    case EXPLORER_CRASH: printf("server %u crashes and starts again", server); break;
    case EXPLORER_TIME_OUT: printf("server %u gives up its role", server); break;
    }
    printf("\n");
}

/* ---- events ---- */

/* Those who follow it join it then. */
static bool lead_unasked(struct explorer *explorer, uint32_t leader, uint32_t set)
{
    if (set != 1u << leader || explorer->elections_left == 0 ||
        !zab_cluster_lead(&explorer->cluster, leader))
        return false;
    explorer->elections_left--;
    return true;
}

static bool elect(struct zab_cluster *cluster, uint32_t leader, uint32_t set)
{
    if ((set >> leader & 1) == 0 ||
        !ensemble_is_quorum(&cluster->ensemble, (struct ensemble_set){set}))
        return false;
    for (uint32_t index = 0; index < cluster->server_count; index++)
        if ((set >> index & 1) != 0 &&
            (!zab_cluster_is_looking(cluster, index) ||
             (index != leader && !zab_cluster_is_better(cluster, leader, index))))
            return false;
    if (!zab_cluster_lead(cluster, leader))
        return false;
    for (uint32_t index = 0; index < cluster->server_count; index++)
        if (index != leader && (set >> index & 1) != 0 && zab_cluster_learn(cluster, index, leader))
            (void)zab_cluster_dial(cluster, index);
    return true;
}

static bool join(struct zab_cluster *cluster, uint32_t index, uint32_t leader)
{
    return cluster->servers[leader].zab.role == ZAB_ROLE_LEADER &&
           zab_cluster_learn(cluster, index, leader) && zab_cluster_dial(cluster, index);
}

static bool crash(struct explorer *explorer, uint32_t index)
{
    const struct zab_cluster_server *server = &explorer->cluster.servers[index];
    const bool has_nothing_to_lose = server->zab.role == ZAB_ROLE_NONE && server->write_count == 0;
    if (explorer->crashes_left == 0 || has_nothing_to_lose)
        return false;
    explorer->crashes_left--;
    return zab_cluster_crash(&explorer->cluster, index) &&
           zab_cluster_restart(&explorer->cluster, index);
}

static bool time_out(struct explorer *explorer, uint32_t index)
{
    struct zab_cluster *cluster = &explorer->cluster;
    const struct zab *zab = &cluster->servers[index].zab;
    const bool is_alone = zab->role == ZAB_ROLE_LEADER &&
                          (zab->leader.learner_count + 1) * 2 <= cluster->server_count;
    if (zab->role == ZAB_ROLE_NONE || (!is_alone && explorer->time_outs_left == 0))
        return false;
    if (!is_alone)
        explorer->time_outs_left--;
    return zab_cluster_stop(cluster, index);
}

/* False, and nothing, if it cannot happen. */
static bool happen(struct explorer *explorer, struct explorer_event event)
{
    struct zab_cluster *cluster = &explorer->cluster;
    switch ((enum explorer_event_kind)event.kind) {
    case EXPLORER_ELECT:
        return explorer->bounds.free_election_count > 0
                   ? lead_unasked(explorer, event.subject, event.object)
                   : elect(cluster, event.subject, event.object);
    case EXPLORER_JOIN: return join(cluster, event.subject, event.object);
    case EXPLORER_DELIVER: return zab_cluster_deliver(cluster, event.subject, event.object);
    case EXPLORER_FLUSH: return zab_cluster_flush(cluster, event.subject, 1);
    case EXPLORER_SYNC: return zab_cluster_sync(cluster, event.subject);
    case EXPLORER_PROPOSE:
        return cluster->value < explorer->bounds.transaction_count &&
               zab_cluster_propose(cluster, event.subject);
    case EXPLORER_CRASH: return crash(explorer, event.subject);
    case EXPLORER_TIME_OUT: return time_out(explorer, event.subject);
    }
    return false;
}

/* All that might happen, one after another; false: there are no more. */
static bool find_next(const struct explorer *explorer, struct explorer_event *event)
{
    const uint32_t server_count = explorer->bounds.server_count;
    const uint32_t kind = event->kind;
    const uint32_t subject_count =
        kind == EXPLORER_DELIVER ? zab_cluster_link_count_max : server_count;
    const uint32_t object_count = kind == EXPLORER_ELECT     ? 1u << server_count
                                  : kind == EXPLORER_JOIN    ? server_count
                                  : kind == EXPLORER_DELIVER ? 2
                                                             : 1;
    if (++event->object < object_count)
        return true;
    event->object = 0;
    if (++event->subject < subject_count &&
        (kind != EXPLORER_DELIVER || explorer->cluster.links[event->subject].id != 0))
        return true;
    event->subject = 0;
    return ++event->kind <= EXPLORER_TIME_OUT;
}

/* ---- quiet packets ---- */

/* Those that a learner answers later or never. Others would be tried for nothing. */
static bool may_be_quiet(const struct zab_cluster *cluster, const struct zab_cluster_link *link)
{
    const struct zab_cluster_server *server = &cluster->servers[link->servers[0]];
    if (link->id == 0 || link->to[0].count == 0 || server->zab.role != ZAB_ROLE_LEARNER ||
        server->zab.learning.link != link->id)
        return false;
    return link->to[0].packets[0].type != ZAB_UP_TO_DATE;
}

static bool receive_quietly(struct zab_cluster *cluster, uint32_t slot)
{
    struct zab_cluster_link *link = &cluster->links[slot];
    const struct zab_cluster_server *server = &cluster->servers[link->servers[0]];
    const uint32_t sent_count = link->to[1].count;
    const uint32_t committed_count = cluster->committed.count;
    return zab_cluster_deliver(cluster, slot, 0) && cluster->wrong == NULL &&
           server->zab.role == ZAB_ROLE_LEARNER && link->id != 0 && link->is_open[0] &&
           link->to[1].count == sent_count && cluster->committed.count == committed_count;
}

/* Whether one was. size is of the state in bytes, which the cluster is in, before and after. */
static bool settle_once(struct explorer *explorer, uint8_t *bytes, uint32_t *size)
{
    struct zab_cluster *cluster = &explorer->cluster;
    for (uint32_t slot = 0; slot < zab_cluster_link_count_max && cluster->links[slot].id != 0;
         slot++) {
        if (!may_be_quiet(cluster, &cluster->links[slot]))
            continue;
        const bool is_quiet = receive_quietly(cluster, slot);
        if (is_quiet)
            *size = write_state(explorer, bytes);
        explorer->quiet_count += is_quiet;
        read_state(explorer, bytes);
        if (is_quiet)
            return true;
    }
    return false;
}

static bool has_candidate(const struct zab_cluster *cluster)
{
    for (uint32_t slot = 0; slot < zab_cluster_link_count_max; slot++)
        if (may_be_quiet(cluster, &cluster->links[slot]))
            return true;
    return false;
}

/* The state behind an event, when all quiet packets have arrived. */
static uint32_t settle(struct explorer *explorer, uint8_t *bytes)
{
    uint32_t size = write_state(explorer, bytes);
    if (explorer->time_outs_left > 0 || !has_candidate(&explorer->cluster))
        return size;
    read_state(explorer, bytes);
    while (settle_once(explorer, bytes, &size))
        continue;
    return size;
}

/* ---- what acknowledgements say ---- */

static bool is_logged(const struct zab_cluster_log *log, int64_t zxid)
{
    for (uint32_t at = 0; at < log->count; at++)
        if (log->entries[at].zxid == zxid)
            return true;
    return false;
}

static bool is_true(const struct zab_cluster *cluster, const struct zab_cluster_link *link,
                    const struct zab_cluster_packet *packet)
{
    const struct zab_cluster_disk *disk = &cluster->servers[link->servers[0]].durable;
    const struct zab *leader = &cluster->servers[link->servers[1]].zab;
    if (packet->type == ZAB_ACK && (packet->zxid & 0xffffffff) == 0)
        return disk->current_epoch >= packet->zxid >> 32;
    if (packet->type == ZAB_ACK)
        return is_logged(&disk->log, packet->zxid);
    return packet->type != ZAB_ACK_EPOCH || leader->role != ZAB_ROLE_LEADER ||
           disk->accepted_epoch >= leader->leader.epoch;
}

static const char *find_wrong(const struct zab_cluster *cluster)
{
    if (cluster->wrong != NULL)
        return cluster->wrong;
    for (uint32_t slot = 0; slot < zab_cluster_link_count_max; slot++) {
        const struct zab_cluster_link *link = &cluster->links[slot];
        if (link->id == 0 || !link->is_open[0] || !link->is_open[1])
            continue;
        for (uint32_t at = 0; at < link->to[1].count; at++)
            if (!is_true(cluster, link, &link->to[1].packets[at]))
                return "a learner acknowledges what is not on its disk";
    }
    return NULL;
}

/* ---- the search ---- */

void explorer_init(struct explorer *explorer, struct explorer_bounds bounds)
{
    assert(bounds.server_count > 0 && bounds.server_count <= zab_cluster_server_count_max);
    assert(bounds.state_count_max > 0 && bounds.state_count_max < UINT32_MAX);
    *explorer = (struct explorer){.bounds = bounds};
    explorer->hash_count = 1024;
    while (explorer->hash_count < bounds.state_count_max + bounds.state_count_max / 3)
        explorer->hash_count *= 2;
    explorer->hashes = map(explorer->hash_count * sizeof explorer->hashes[0]);
    explorer->nodes = map(bounds.state_count_max * sizeof explorer->nodes[0]);
    explorer->queue = map(queue_bytes(explorer));
    zab_cluster_init(&explorer->cluster,
                     (struct zab_cluster_options){.server_count = bounds.server_count});
}

void explorer_deinit(struct explorer *explorer)
{
    if (explorer->hashes == NULL)
        return;
    unmap(explorer->hashes, explorer->hash_count * sizeof explorer->hashes[0]);
    unmap(explorer->nodes, explorer->bounds.state_count_max * sizeof explorer->nodes[0]);
    unmap(explorer->queue, queue_bytes(explorer));
    explorer->hashes = NULL;
}

static uint32_t write_first(struct explorer *explorer, uint8_t *bytes)
{
    zab_cluster_init(&explorer->cluster,
                     (struct zab_cluster_options){.server_count = explorer->bounds.server_count});
    explorer->crashes_left = explorer->bounds.crash_count;
    explorer->time_outs_left = explorer->bounds.time_out_count;
    explorer->elections_left = explorer->bounds.free_election_count;
    return write_state(explorer, bytes);
}

/* What comes of it; whether the search goes on. Ends with the state before. */
static bool try_out(struct explorer *explorer, const uint8_t *bytes)
{
    static uint8_t next[zab_state_bytes_max + head_bytes];
    if (!happen(explorer, explorer->doing))
        return true;
    explorer->transition_count++;
    explorer->wrong = find_wrong(&explorer->cluster);
    if (explorer->wrong != NULL)
        return false;
    const uint32_t size = settle(explorer, next);
    if (explorer->state_count == explorer->bounds.state_count_max)
        return false;
    keep(explorer, next, size, explorer->node_at);
    read_state(explorer, bytes);
    return true;
}

static bool expand(struct explorer *explorer, const uint8_t *bytes)
{
    explorer->doing = (struct explorer_event){0};
    read_state(explorer, bytes);
    do {
        if (!try_out(explorer, bytes))
            return false;
    } while (find_next(explorer, &explorer->doing));
    return true;
}

void explorer_run(struct explorer *explorer)
{
    static uint8_t bytes[zab_state_bytes_max + head_bytes];
    uint64_t layer_end = 1;
    const uint32_t size = write_first(explorer, bytes);
    keep(explorer, bytes, size, 0);
    for (explorer->node_at = 0; explorer->node_at < explorer->state_count; explorer->node_at++) {
        if (explorer->node_at == layer_end) {
            layer_end = explorer->state_count;
            explorer->depth++;
        }
        if (explorer->depth == explorer->bounds.depth_max)
            return;
        (void)take(explorer, bytes);
        if (!expand(explorer, bytes))
            return;
    }
    explorer->is_exhausted = true;
}

/* ---- the path ---- */

uint32_t explorer_path_count(const struct explorer *explorer)
{
    uint32_t count = 1;
    for (uint64_t at = explorer->node_at; at != 0; at = explorer->nodes[at].parent)
        count++;
    return count;
}

void explorer_tell(struct explorer *explorer)
{
    static struct explorer_event path[path_count_max];
    static uint8_t bytes[zab_state_bytes_max + head_bytes];
    const uint32_t count = explorer_path_count(explorer);
    assert(count <= path_count_max);
    uint32_t at = count - 1;
    path[at] = explorer->doing;
    for (uint64_t node = explorer->node_at; node != 0; node = explorer->nodes[node].parent)
        path[--at] = explorer->nodes[node].event;
    (void)write_first(explorer, bytes);
    for (at = 0; at < count; at++) {
        read_state(explorer, bytes);
        printf("%3u ", at + 1);
        tell_event(explorer, path[at]);
        if (!happen(explorer, path[at]) || find_wrong(&explorer->cluster) != NULL)
            break;
        (void)settle(explorer, bytes);
    }
    fflush(stdout);
}
