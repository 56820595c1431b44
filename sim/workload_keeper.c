/* The keeper server with a few clients, while servers, clients, power and the network fail.
 *
 * Each client owns some znodes that only it writes, in a pipeline: when its connection breaks, a
 * prefix of what is unanswered has happened, and reading tells which. So every promise can be
 * checked exactly:
 *
 * - an answered write is there after any crash; an unanswered one wholly (a multi too) or not;
 * - answers come in order, with the codes, versions and zxids that the model says; zxids never go
 *   back, and no two writes share one;
 * - what anybody has read stays: a later read, also after a crash, is never older;
 * - a sequential number is given once, and later ones are higher;
 * - a watch fires once, and before its client sees the new value;
 * - a session lives as long as its client is heard, its ephemerals as long as it, and no longer.
 */
#include "base/bytes.h"
#include "keeper/code.h"
#include "keeper/op.h"
#include "server/keeper/keeper_server.h"
#include "sim/sim_keeper_client.h"
#include "sim/sim_net.h"
#include "sim/workload.h"

#include <stdio.h>

enum {
    client_count_max = 3,
    key_count = 8, /* The last two are ephemeral. */
    first_ephemeral_key = 6,
    pending_count_max = 12,
    part_count_max = 3,
    zxid_count_max = 1 << 17,
    sequence_count_max = 1 << 12,
    data_bytes_max = 3000,
    client_port = 2181,
    session_timeout_ms = 6000,
    swarm_length = 8,
    trouble_count_max = 60,
    life_count_max = 128,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t answer_ns_max = 30000000000;
static const uint64_t run_ns_max = 3600000000000;

struct key {
    bool exists;
    uint64_t number; /* Of the operation that touched it last; it is what the data say. */
    int32_t version;
};

struct keys {
    struct key key[key_count];
};

enum part_kind { PART_CREATE, PART_SET, PART_DELETE, PART_CHECK };

struct part {
    enum part_kind kind;
    uint32_t key;
    int32_t version; /* Expected; -1: any. */
};

enum ask_kind { ASK_WRITE, ASK_SEQUENCE, ASK_READ, ASK_PING };

/* A request without an answer. */
struct ask {
    enum ask_kind kind;
    int32_t xid;
    uint64_t number;
    uint64_t sent_ns; /* World time. */
    uint32_t part_count;
    bool is_multi;
    struct part parts[part_count_max];
    int32_t code;            /* WRITE: what the model expects. */
    uint32_t failing_part;   /* Of a multi. */
    uint32_t owner;          /* READ: whose znode. */
    uint32_t key;            /* READ. */
    bool wants_watch;        /* READ. */
    struct key at_least;     /* READ: answered before it was sent. */
    uint64_t seen;           /* READ: read by this client before. */
    uint64_t sequence_above; /* SEQUENCE: a higher number is due. */
};

/* A client's part of the oracle: it outlives the client's process. */
struct owner {
    struct play *play;
    uint32_t index;
    uint64_t number;             /* Of its latest operation. */
    struct keys known;           /* After all that was answered, or found. */
    uint64_t deletes[key_count]; /* The latest delete that was sent, by number. */
    uint64_t seen[client_count_max][key_count];
    struct ask pending[pending_count_max];
    uint32_t pending_count;
    uint32_t steps_left;
    int64_t session_id;
    uint64_t heard_ns; /* When the latest answered request was sent; world time. */
    int32_t timeout_ms;
    bool is_closing; /* It has asked to close its session. */
    bool is_finished;
};

struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct prng prng;
    uint32_t client_count;
    struct owner owners[client_count_max];
    uint8_t zxids[zxid_count_max / 8]; /* Of answered writes. */
    uint8_t sequences[sequence_count_max / 8];
    uint64_t sequence_max; /* The highest that was answered, plus one. */
    bool is_stopping;      /* The server is asked to end. */
    enum err start_err;
    uint64_t up_ns[life_count_max]; /* When the server began to serve, and was found down. */
    uint64_t down_ns[life_count_max];
    uint32_t server_starts;
    uint32_t revival_count;
};

struct player {
    struct play *play;
    struct owner *owner;
    struct sim_node *node;
    struct sim_keeper_client client;
    struct keys keys;                             /* After all that was sent. */
    int64_t watches[client_count_max][key_count]; /* mzxid at which one was set; 0: none. */
    uint8_t data[data_bytes_max];
};

#define WRONG(player, ...)                                                                         \
    sim_workload_wrong((player)->play->result, (player)->play->sim, __VA_ARGS__)

static bool is_over(const struct player *player)
{
    return player->play->result->verdict != SIM_RIGHT;
}

/* ---- The server. ---- */

static const char server_config[] = "dataDir=/keeper\n"
                                    "clientPort=2181\n"
                                    "admin.enableServer=false\n"
                                    "tickTime=1000\n"
                                    "snapCount=40\n"
                                    "preAllocSize=16\n"
                                    "maxClientCnxns=0\n"
                                    "memory.limitMb=64\n"
                                    "disk.reserveMb=0\n";

static void run_server(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    struct keeper_server *server;
    list_init(&shard.inboxes);
    const enum err err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){.file_name = "zoo.cfg",
                               .text = slice_of(server_config, sizeof server_config - 1)});
    assert(err == ERR_OK);
    config.snapshot_compression = play->server_starts % 3; /* Each start reads another's files. */
    const uint64_t boundaries_before = node->disk.boundary_count;
    play->start_err = keeper_server_start(&server, &shard, &config);
    if (play->start_err != ERR_OK)
        return;
    if (play->options->seed % 2 == 1) /* Few watches here, but events that are owed all the same. */
        server->events.count_max = 1;
    assert(play->server_starts < life_count_max);
    play->up_ns[play->server_starts] = play->sim->now_ns;
    play->down_ns[play->server_starts] = UINT64_MAX;
    if (play->server_starts++ == 1)
        play->result->recovery_boundary_count = node->disk.boundary_count - boundaries_before;
    while (!play->is_stopping)
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_stop(server, NULL, NULL);
    while (!keeper_server_is_stopped(server))
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_free(server);
}

/* ---- The model. ---- */

static const char *print_path(uint32_t owner, uint32_t key, char path[32])
{
    snprintf(path, 32, "/c%u-k%u", owner, key);
    return path;
}

static int32_t judge_part(const struct keys *keys, const struct part *part)
{
    const struct key *key = &keys->key[part->key];
    if (part->kind == PART_CREATE)
        return key->exists ? CODE_NODE_EXISTS : CODE_OK;
    if (!key->exists)
        return CODE_NO_NODE;
    return part->version != -1 && part->version != key->version ? CODE_BAD_VERSION : CODE_OK;
}

static void apply_part(struct keys *keys, const struct part *part, uint64_t number)
{
    struct key *key = &keys->key[part->key];
    if (part->kind == PART_CHECK)
        return;
    key->version = part->kind == PART_CREATE ? 0 : key->version + 1;
    key->exists = part->kind != PART_DELETE;
    key->number = number;
}

/* All parts, or none: the code of the first that fails. */
static int32_t apply(struct keys *keys, const struct ask *ask, uint32_t *failing_part)
{
    struct keys after = *keys;
    for (uint32_t index = 0; index < ask->part_count; index++) {
        const int32_t code = judge_part(&after, &ask->parts[index]);
        if (code != CODE_OK) {
            *failing_part = index;
            return code;
        }
        apply_part(&after, &ask->parts[index], ask->number);
    }
    *keys = after;
    return CODE_OK;
}

static void lose_ephemerals(struct keys *keys, uint64_t number)
{
    for (uint32_t index = first_ephemeral_key; index < key_count; index++) {
        if (keys->key[index].exists)
            keys->key[index] = (struct key){.number = number};
    }
}

/* The data of a znode name the operation that wrote them, and fill the rest from it. */
static struct slice make_data(uint8_t *data, uint64_t number)
{
    struct prng prng;
    prng_init(&prng, number);
    const size_t size = 8 + prng_below(&prng, prng_chance(&prng, 1, 8) ? data_bytes_max - 8 : 64);
    store_u64(data, number);
    for (size_t at = 8; at < size; at++)
        data[at] = (uint8_t)prng_next(&prng);
    return slice_of(data, size);
}

/* The number that the data name; 0: they are not whole. */
static uint64_t read_data(struct player *player, struct slice data)
{
    if (data.size < 8)
        return 0;
    const uint64_t number = load_u64(data.data);
    return slice_equal(make_data(player->data, number), data) ? number : 0;
}

/* ---- Sending. ---- */

static const struct zk_acl open_acl = {
    .perms = 31, .id = {.scheme = SLICE_LITERAL("world"), .id = SLICE_LITERAL("anyone")}};

union part_record {
    struct zk_create_request create;
    struct zk_set_data_request set;
    struct zk_delete_request remove;
    struct zk_check_request check;
};

static struct sim_keeper_part make_part(struct player *player, const struct part *part,
                                        uint64_t number, char path[32], union part_record *record)
{
    const struct slice name = slice_from_text(print_path(player->owner->index, part->key, path));
    switch (part->kind) {
    case PART_CREATE:
        record->create = (struct zk_create_request){
            .path = name,
            .data = make_data(player->data, number),
            .acl = {(struct zk_acl *)(uintptr_t)&open_acl, 1},
            .flags = part->key >= first_ephemeral_key ? 1 : 0,
        };
        return (struct sim_keeper_part){OP_CREATE, &zk_create_request_wire, record};
    case PART_SET:
        record->set = (struct zk_set_data_request){
            .path = name, .data = make_data(player->data, number), .version = part->version};
        return (struct sim_keeper_part){OP_SET_DATA, &zk_set_data_request_wire, record};
    case PART_DELETE:
        record->remove = (struct zk_delete_request){.path = name, .version = part->version};
        return (struct sim_keeper_part){OP_DELETE, &zk_delete_request_wire, record};
    case PART_CHECK:
        record->check = (struct zk_check_request){.path = name, .version = part->version};
        return (struct sim_keeper_part){OP_CHECK, &zk_check_request_wire, record};
    }
    assert(false && "no such part");
    return (struct sim_keeper_part){0};
}

static void draw_part(struct player *player, struct part *part, uint32_t index, bool is_multi)
{
    struct prng *prng = &player->play->prng;
    /* Parts of one multi touch different znodes, so that one number can mark them all. */
    part->key = (uint32_t)((player->owner->number + 3 * index) % key_count);
    const struct key *key = &player->keys.key[part->key];
    const bool is_sane = prng_chance(prng, 9, 10);
    if (is_multi && prng_chance(prng, 1, 4))
        part->kind = PART_CHECK;
    else if (!key->exists == is_sane)
        part->kind = PART_CREATE;
    else
        part->kind = prng_chance(prng, 3, 4) ? PART_SET : PART_DELETE;
    part->version = prng_chance(prng, 1, 2) ? -1 : key->version + !is_sane;
}

static struct ask *push_ask(struct player *player, enum ask_kind kind)
{
    struct owner *owner = player->owner;
    assert(owner->pending_count < pending_count_max);
    struct ask *ask = &owner->pending[owner->pending_count++];
    *ask = (struct ask){.kind = kind, .sent_ns = player->play->sim->now_ns};
    return ask;
}

static void send_write(struct player *player)
{
    struct prng *prng = &player->play->prng;
    struct owner *owner = player->owner;
    owner->number = (owner->number & ~(uint64_t)0xffffff) +
                    ((owner->number + 1 + prng_below(prng, 3)) & 0xffffff);
    struct ask *ask = push_ask(player, ASK_WRITE);
    ask->number = owner->number;
    ask->is_multi = prng_chance(prng, 1, 4);
    ask->part_count = ask->is_multi ? (uint32_t)prng_between(prng, 1, part_count_max) : 1;
    for (uint32_t index = 0; index < ask->part_count; index++) {
        draw_part(player, &ask->parts[index], index, ask->is_multi);
        if (ask->parts[index].kind == PART_DELETE)
            owner->deletes[ask->parts[index].key] = ask->number;
    }
    ask->code = apply(&player->keys, ask, &ask->failing_part);

    char paths[part_count_max][32];
    union part_record records[part_count_max];
    struct sim_keeper_part parts[part_count_max];
    for (uint32_t index = 0; index < ask->part_count; index++)
        parts[index] =
            make_part(player, &ask->parts[index], ask->number, paths[index], &records[index]);
    ask->xid = ask->is_multi
                   ? sim_keeper_client_send_multi(&player->client, OP_MULTI, parts, ask->part_count)
                   : sim_keeper_client_send(&player->client, parts[0].type, parts[0].record,
                                            parts[0].value);
}

static void send_sequence(struct player *player)
{
    struct ask *ask = push_ask(player, ASK_SEQUENCE);
    ask->sequence_above = player->play->sequence_max;
    const struct zk_create_request request = {
        .path = SLICE_LITERAL("/s-"),
        .data = SLICE_LITERAL("."),
        .acl = {(struct zk_acl *)(uintptr_t)&open_acl, 1},
        .flags = 2,
    };
    ask->xid =
        sim_keeper_client_send(&player->client, OP_CREATE, &zk_create_request_wire, &request);
}

static void send_read(struct player *player, uint32_t owner, uint32_t key, bool wants_watch)
{
    char path[32];
    struct ask *ask = push_ask(player, ASK_READ);
    ask->owner = owner;
    ask->key = key;
    ask->wants_watch = wants_watch;
    ask->at_least = player->play->owners[owner].known.key[key];
    ask->seen = player->owner->seen[owner][key];
    const struct zk_get_data_request request = {
        .path = slice_from_text(print_path(owner, key, path)), .watch = wants_watch};
    ask->xid =
        sim_keeper_client_send(&player->client, OP_GET_DATA, &zk_get_data_request_wire, &request);
}

static void send_ping(struct player *player)
{
    struct ask *ask = push_ask(player, ASK_PING);
    const struct zk_exists_request request = {.path = SLICE_LITERAL("/")};
    ask->xid =
        sim_keeper_client_send(&player->client, OP_EXISTS, &zk_exists_request_wire, &request);
}

/* ---- Judging answers. ---- */

static void note_zxid(struct player *player, int64_t zxid)
{
    struct play *play = player->play;
    if (zxid <= 0 || zxid >= zxid_count_max) {
        WRONG(player, "a write has zxid %lld", (long long)zxid);
        return;
    }
    const uint8_t bit = (uint8_t)(1 << (zxid % 8));
    if (play->zxids[zxid / 8] & bit)
        WRONG(player, "two writes have zxid %lld", (long long)zxid);
    play->zxids[zxid / 8] |= bit;
}

/* The answer to one part on its own. */
static void judge_stat(struct player *player, const struct ask *ask,
                       const struct sim_keeper_reply *reply, const struct key *key)
{
    struct zk_set_data_reply stat;
    if (ask->parts[0].kind != PART_SET)
        return;
    if (!sim_keeper_client_decode(&player->client, &zk_set_data_reply_wire, reply->body, &stat))
        WRONG(player, "the answer to a set is not one");
    else if (stat.stat.version != key->version || stat.stat.mzxid != reply->zxid)
        WRONG(player, "a set answers version %d, mzxid %lld; expected %d, %lld", stat.stat.version,
              (long long)stat.stat.mzxid, key->version, (long long)reply->zxid);
}

/* The results of a multi that failed: a code for each part. False: it is not one, or was done. */
static bool read_errors(struct player *player, const struct ask *ask, struct slice body,
                        int32_t codes[part_count_max])
{
    struct arena *arena = &player->client.arena;
    arena_reset(arena);
    for (uint32_t index = 0; index < ask->part_count; index++) {
        struct zk_multi_header header;
        struct zk_error_result error;
        if (wire_decode(&zk_multi_header_wire, 0, &body, arena, &header) != ERR_OK ||
            header.type != OP_ERROR ||
            wire_decode(&zk_error_result_wire, 0, &body, arena, &error) != ERR_OK)
            return false;
        codes[index] = error.err;
    }
    return true;
}

static void judge_multi(struct player *player, const struct ask *ask,
                        const struct sim_keeper_reply *reply)
{
    int32_t codes[part_count_max] = {0};
    const bool has_failed = read_errors(player, ask, reply->body, codes);
    if (has_failed == (ask->code != CODE_OK) &&
        (!has_failed || codes[ask->failing_part] == ask->code))
        return;
    WRONG(player,
          "a multi of client %u (kind/key/version: %u/k%u/%d %u/k%u/%d %u/k%u/%d) %s %d %d %d; "
          "expected %d",
          player->owner->index, ask->parts[0].kind, ask->parts[0].key, ask->parts[0].version,
          ask->parts[1].kind, ask->parts[1].key, ask->parts[1].version, ask->parts[2].kind,
          ask->parts[2].key, ask->parts[2].version, has_failed ? "fails:" : "is done", codes[0],
          codes[1], codes[2], ask->code);
}

static void judge_write(struct player *player, const struct ask *ask,
                        const struct sim_keeper_reply *reply)
{
    struct owner *owner = player->owner;
    uint32_t failing_part;
    const int32_t code = apply(&owner->known, ask, &failing_part);
    assert(code == ask->code);
    if (ask->is_multi)
        judge_multi(player, ask, reply);
    else if (reply->code != ask->code)
        WRONG(player, "%s of key %u answers %d, not %d",
              ask->parts[0].kind == PART_CREATE ? "create"
              : ask->parts[0].kind == PART_SET  ? "set"
                                                : "delete",
              ask->parts[0].key, reply->code, ask->code);
    else if (code == CODE_OK)
        judge_stat(player, ask, reply, &owner->known.key[ask->parts[0].key]);
    if (code == CODE_OK)
        note_zxid(player, reply->zxid);
}

static void judge_sequence(struct player *player, const struct ask *ask,
                           const struct sim_keeper_reply *reply)
{
    struct play *play = player->play;
    struct zk_create_reply created;
    uint64_t number = 0;
    if (reply->code != CODE_OK ||
        !sim_keeper_client_decode(&player->client, &zk_create_reply_wire, reply->body, &created) ||
        created.path.size != 13) {
        WRONG(player, "a sequential create answers %d", reply->code);
        return;
    }
    for (size_t at = 3; at < created.path.size; at++)
        number = number * 10 + (uint64_t)(created.path.data[at] - '0');
    if (number >= sequence_count_max || number < ask->sequence_above)
        WRONG(player, "sequence number %llu, but %llu were given before",
              (unsigned long long)number, (unsigned long long)ask->sequence_above);
    else if (play->sequences[number / 8] & 1 << (number % 8))
        WRONG(player, "sequence number %llu twice", (unsigned long long)number);
    else
        play->sequences[number / 8] |= (uint8_t)(1 << (number % 8));
    play->sequence_max = max_u64(play->sequence_max, number + 1);
    note_zxid(player, reply->zxid);
}

/* A watch that is still set would have told of any change before. */
static void judge_watch(struct player *player, const struct ask *ask, int64_t mzxid)
{
    int64_t *watch = &player->watches[ask->owner][ask->key];
    if (*watch != 0 && *watch != mzxid)
        WRONG(player, "/c%u-k%u is read anew (mzxid %lld) before its watch fires (%lld)",
              ask->owner, ask->key, (long long)mzxid, (long long)*watch);
    if (ask->wants_watch && mzxid != 0)
        *watch = mzxid;
}

static void judge_found(struct player *player, const struct ask *ask, uint64_t number)
{
    const struct owner *owner = &player->play->owners[ask->owner];
    uint64_t *seen = &player->owner->seen[ask->owner][ask->key];
    if (number == 0 || number > owner->number)
        WRONG(player, "/c%u-k%u holds what nobody wrote", ask->owner, ask->key);
    else if (number < ask->at_least.number ||
             (!ask->at_least.exists && number == ask->at_least.number))
        WRONG(player, "/c%u-k%u holds %llx, older than %llx, which was answered", ask->owner,
              ask->key, (unsigned long long)number, (unsigned long long)ask->at_least.number);
    else if (number < ask->seen)
        WRONG(player, "/c%u-k%u holds %llx after %llx was read", ask->owner, ask->key,
              (unsigned long long)number, (unsigned long long)ask->seen);
    *seen = max_u64(*seen, number);
}

static void judge_missing(struct player *player, const struct ask *ask)
{
    const struct owner *owner = &player->play->owners[ask->owner];
    const bool may_go =
        ask->key >= first_ephemeral_key || owner->deletes[ask->key] > ask->at_least.number;
    if (ask->at_least.exists && !may_go)
        WRONG(player, "/c%u-k%u is gone; %llx was answered", ask->owner, ask->key,
              (unsigned long long)ask->at_least.number);
    const bool was_deleted = owner->deletes[ask->key] >= ask->seen;
    if (ask->seen != 0 && ask->key < first_ephemeral_key && !was_deleted)
        WRONG(player, "/c%u-k%u is gone after %llx was read", ask->owner, ask->key,
              (unsigned long long)ask->seen);
}

static void judge_read(struct player *player, const struct ask *ask,
                       const struct sim_keeper_reply *reply)
{
    struct zk_get_data_reply found;
    if (reply->code == CODE_NO_NODE) {
        judge_missing(player, ask);
        judge_watch(player, ask, 0);
        return;
    }
    if (reply->code != CODE_OK ||
        !sim_keeper_client_decode(&player->client, &zk_get_data_reply_wire, reply->body, &found)) {
        WRONG(player, "a read answers %d", reply->code);
        return;
    }
    judge_found(player, ask, read_data(player, found.data));
    judge_watch(player, ask, found.stat.mzxid);
    if (found.stat.mzxid > reply->zxid)
        WRONG(player, "a read shows mzxid %lld, its answer zxid %lld", (long long)found.stat.mzxid,
              (long long)reply->zxid);
}

static void judge_event(struct player *player, const struct sim_keeper_reply *reply)
{
    struct zk_watcher_event event;
    if (!sim_keeper_client_decode(&player->client, &zk_watcher_event_wire, reply->body, &event)) {
        WRONG(player, "an event is not one");
        return;
    }
    for (uint32_t owner = 0; owner < player->play->client_count; owner++) {
        for (uint32_t key = 0; key < key_count; key++) {
            char path[32];
            if (!slice_equal_text(event.path, print_path(owner, key, path)))
                continue;
            if (player->watches[owner][key] == 0)
                WRONG(player, "an event for %s, which is not watched", path);
            player->watches[owner][key] = 0;
            return;
        }
    }
    WRONG(player, "an event for a path that nobody watches");
}

/* ---- Connections. ---- */

static void note_heard(struct player *player, uint64_t sent_ns)
{
    player->owner->heard_ns = max_u64(player->owner->heard_ns, sent_ns);
}

/* Takes one answer or event. False: the connection is broken. */
static bool take_answer(struct player *player)
{
    struct owner *owner = player->owner;
    struct sim_keeper_reply reply;
    if (!sim_keeper_client_receive(&player->client, &reply, answer_ns_max)) {
        sim_link_close(&player->client.link);
        return false;
    }
    if (reply.xid == -1) {
        judge_event(player, &reply);
        return true;
    }
    const struct ask ask = owner->pending[0];
    if (owner->pending_count == 0 || reply.xid != ask.xid) {
        WRONG(player, "an answer to xid %d, not %d", reply.xid, ask.xid);
        return false;
    }
    if (reply.zxid < player->client.last_zxid)
        WRONG(player, "zxid %lld after %lld", (long long)reply.zxid,
              (long long)player->client.last_zxid);
    player->client.last_zxid = reply.zxid;
    owner->pending_count--;
    memmove(owner->pending, owner->pending + 1, owner->pending_count * sizeof owner->pending[0]);
    note_heard(player, ask.sent_ns);
    switch (ask.kind) {
    case ASK_WRITE: judge_write(player, &ask, &reply); return true;
    case ASK_SEQUENCE: judge_sequence(player, &ask, &reply); return true;
    case ASK_READ: judge_read(player, &ask, &reply); return true;
    case ASK_PING: return true;
    }
    return true;
}

static bool take_all(struct player *player)
{
    while (player->owner->pending_count > 0) {
        if (is_over(player) || !take_answer(player))
            return false;
    }
    return true;
}

/* The session is gone: was that allowed? Only if one life of the server lasted for the whole
 * timeout without hearing of it. */
static void judge_expiry(struct player *player)
{
    const struct owner *owner = player->owner;
    const struct play *play = player->play;
    const uint64_t timeout_ns = (uint64_t)owner->timeout_ms * ns_per_ms / 1000 * 998;
    bool may_expire = owner->is_closing;
    for (uint32_t life = 0; life < play->server_starts; life++) {
        const uint64_t from_ns = max_u64(play->up_ns[life], owner->heard_ns);
        const uint64_t to_ns = min_u64(play->down_ns[life], play->sim->now_ns);
        may_expire |= to_ns >= from_ns + timeout_ns;
    }
    if (!may_expire)
        WRONG(player, "session %llx is gone %llu ms after its client was heard",
              (unsigned long long)owner->session_id,
              (unsigned long long)((play->sim->now_ns - owner->heard_ns) / ns_per_ms));
}

/* Until there is a session. */
static bool connect(struct player *player)
{
    struct owner *owner = player->owner;
    memset(player->watches, 0, sizeof player->watches);
    while (!is_over(player)) {
        const uint64_t sent_ns = player->play->sim->now_ns;
        const enum sim_keeper_connect connected = sim_keeper_client_connect(
            &player->client, sim_net_address(0, client_port), session_timeout_ms);
        switch (connected) {
        case SIM_KEEPER_FAILED: sim_link_sleep(&player->client.link, 300 * ns_per_ms); continue;
        case SIM_KEEPER_EXPIRED: judge_expiry(player); continue;
        case SIM_KEEPER_NEW:
        case SIM_KEEPER_RESUMED:
            /* A close that was asked for before a resumption may still happen. */
            owner->is_closing = owner->is_closing && connected == SIM_KEEPER_RESUMED;
            owner->session_id = player->client.session_id;
            owner->timeout_ms = player->client.timeout_ms;
            note_heard(player, sent_ns);
            return true;
        }
    }
    return false;
}

/* What the server holds of one znode of ours. False: the connection is broken. */
static bool look(struct player *player, uint32_t index, struct key *key, int64_t *ephemeral_owner)
{
    char path[32];
    struct sim_keeper_reply reply;
    struct zk_get_data_reply found;
    const struct zk_get_data_request request = {
        .path = slice_from_text(print_path(player->owner->index, index, path))};
    const uint64_t sent_ns = player->play->sim->now_ns;
    if (sim_keeper_client_send(&player->client, OP_GET_DATA, &zk_get_data_request_wire, &request) ==
            0 ||
        !sim_keeper_client_receive(&player->client, &reply, answer_ns_max))
        return false;
    note_heard(player, sent_ns);
    *key = (struct key){.exists = reply.code == CODE_OK};
    *ephemeral_owner = 0;
    if (reply.code == CODE_NO_NODE)
        return true;
    if (reply.code != CODE_OK ||
        !sim_keeper_client_decode(&player->client, &zk_get_data_reply_wire, reply.body, &found)) {
        WRONG(player, "a look answers %d", reply.code);
        return false;
    }
    *ephemeral_owner = found.stat.ephemeral_owner;
    key->number = read_data(player, found.data);
    key->version = found.stat.version;
    return true;
}

static bool is_as_found(const struct keys *keys, const struct keys *found)
{
    for (uint32_t index = 0; index < key_count; index++) {
        const struct key *key = &keys->key[index];
        const struct key *other = &found->key[index];
        if (key->exists != other->exists)
            return false;
        if (key->exists && (key->number != other->number || key->version != other->version))
            return false;
    }
    return true;
}

static void report_found(struct player *player, const struct keys *found)
{
    char text[160];
    size_t used = 0;
    for (uint32_t index = 0; index < key_count && used < sizeof text - 24; index++) {
        const struct key *key = &player->owner->known.key[index];
        const struct key *other = &found->key[index];
        if (key->exists != other->exists || (key->exists && key->number != other->number))
            used += (size_t)snprintf(text + used, sizeof text - used, " k%u %llx/%llx", index,
                                     (unsigned long long)(key->exists ? key->number : 0),
                                     (unsigned long long)(other->exists ? other->number : 0));
    }
    WRONG(player,
          "client %u: no prefix of %u unanswered requests gives what is found; known/found%s",
          player->owner->index, player->owner->pending_count, used == 0 ? " versions" : text);
}

/* Which prefix of what was not answered has happened? */
static void resolve(struct player *player, const struct keys *found, bool has_lost_session)
{
    struct owner *owner = player->owner;
    for (uint32_t done = 0; done <= owner->pending_count; done++) {
        uint32_t failing_part;
        struct keys keys = owner->known;
        for (uint32_t index = 0; index < done; index++) {
            if (owner->pending[index].kind == ASK_WRITE)
                (void)apply(&keys, &owner->pending[index], &failing_part);
        }
        if (has_lost_session)
            lose_ephemerals(&keys, owner->number);
        if (is_as_found(&keys, found)) {
            owner->known = keys;
            owner->pending_count = 0;
            player->keys = keys;
            return;
        }
    }
    report_found(player, found);
}

/* Connects, waits until nothing of an older session is left, and finds out where we are. False:
 * again. */
static bool recover(struct player *player)
{
    struct owner *owner = player->owner;
    struct keys found;
    const int64_t session_before = owner->session_id;
    if (!connect(player))
        return false;
    const uint64_t limit_ns =
        player->play->sim->now_ns + 20 * (uint64_t)session_timeout_ms * ns_per_ms;
    const bool has_lost_session = session_before != 0 && owner->session_id != session_before;
    for (uint32_t index = key_count; index-- > 0;) {
        int64_t ephemeral_owner;
        if (!look(player, index, &found.key[index], &ephemeral_owner)) {
            owner->session_id = has_lost_session ? -1 : owner->session_id;
            return false;
        }
        if (ephemeral_owner == 0 || ephemeral_owner == owner->session_id)
            continue;
        /* Somebody's who is dead: it must go soon. */
        if (player->play->sim->now_ns > limit_ns)
            WRONG(player, "/c%u-k%u outlives its session", owner->index, index);
        if (is_over(player))
            return false;
        sim_link_sleep(&player->client.link, 500 * ns_per_ms);
        index = key_count;
    }
    resolve(player, &found, has_lost_session);
    return !is_over(player);
}

/* ---- The story. ---- */

static void take_step(struct player *player)
{
    struct play *play = player->play;
    const uint64_t choice = prng_below(&play->prng, 100);
    if (choice < 55)
        send_write(player);
    else if (choice < 60)
        send_sequence(player);
    else if (choice < 85)
        send_read(player, (uint32_t)prng_below(&play->prng, play->client_count),
                  (uint32_t)prng_below(&play->prng, first_ephemeral_key),
                  prng_chance(&play->prng, 1, 2));
    else if (choice < 90)
        send_ping(player);
    else if (choice < 95)
        sim_link_sleep(&player->client.link, prng_below(&play->prng, 300 * ns_per_ms));
    else
        (void)take_all(player);
}

/* Closes the session: its ephemerals are gone when the answer comes. */
static bool close_session(struct player *player)
{
    struct sim_keeper_reply reply;
    if (!take_all(player))
        return false;
    player->owner->is_closing = true;
    if (sim_keeper_client_send(&player->client, OP_CLOSE_SESSION, NULL, NULL) == 0)
        return false;
    while (sim_keeper_client_receive(&player->client, &reply, answer_ns_max)) {
        if (reply.xid == -1)
            continue;
        lose_ephemerals(&player->owner->known, player->owner->number);
        return true;
    }
    return false;
}

static void live(struct player *player)
{
    struct owner *owner = player->owner;
    while (player->client.link.handle == io_handle_none && !is_over(player)) {
        if (!recover(player))
            sim_link_close(&player->client.link);
    }
    while (owner->steps_left > 0 && player->client.link.handle != io_handle_none &&
           !is_over(player)) {
        while (owner->pending_count == pending_count_max && !is_over(player)) {
            if (!take_answer(player))
                return;
        }
        owner->steps_left--;
        take_step(player);
    }
    if (player->client.link.handle != io_handle_none && !is_over(player))
        owner->is_finished = take_all(player) && close_session(player);
    sim_link_close(&player->client.link);
}

/* What a dead process sent may still be on its way, and its session alive: until one life of the
 * server has been long enough to end it. */
static void outwait_session(struct player *player)
{
    const struct play *play = player->play;
    uint32_t starts;
    do {
        starts = play->server_starts;
        sim_link_sleep(&player->client.link, 3 * (uint64_t)session_timeout_ms * ns_per_ms);
    } while (starts != play->server_starts || !sim_node_is_up(play->sim->nodes[0]));
}

static void run_client(struct sim_node *node, void *argument)
{
    struct owner *owner = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->play = owner->play;
    player->owner = owner;
    player->node = node;
    sim_keeper_client_init(&player->client, node->io, &node->heap);
    if (owner->session_id != 0) {
        owner->session_id = -1;
        outwait_session(player);
    }
    while (!owner->is_finished && !is_over(player))
        live(player);
}

/* After all is over: everything that was ever answered is there. */
static void run_last_client(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->play = play;
    player->node = node;
    sim_keeper_client_init(&player->client, node->io, &node->heap);
    for (uint32_t index = 0; index < play->client_count && !is_over(player); index++) {
        player->owner = &play->owners[index];
        player->owner->session_id = 0;
        player->owner->pending_count = 0;
        player->client.session_id = 0;
        if (!recover(player))
            index--; /* The connection broke: once more. */
    }
    play->is_stopping = true;
}

/* ---- The run. ---- */

static void judge_server(struct play *play)
{
    struct sim_workload_result *result = play->result;
    const struct sim_node *node = play->sim->nodes[0];
    const bool may_fail = play->sim->options.faults.sync_error_per_million > 0 ||
                          play->sim->options.faults.write_error_per_million > 0;
    if (result->verdict != SIM_RIGHT)
        return;
    /* A disk that reports its errors excuses the end of the process, but never damage. */
    if (node->end == SIM_NODE_RETURNED && !play->is_stopping && play->start_err == ERR_CORRUPT)
        sim_workload_wrong(result, play->sim, "the server does not start: %s",
                           err_text(play->start_err));
    if (may_fail)
        return;
    if (node->end == SIM_NODE_FATAL) {
        result->verdict = SIM_CRASHED;
        memcpy(result->why, node->fatal_line, sizeof result->why);
    }
    if (node->end == SIM_NODE_RETURNED && !play->is_stopping)
        sim_workload_wrong(result, play->sim, "the server does not start: %s",
                           err_text(play->start_err));
}

/* The server is down, for whatever reason: up with it. */
static void revive_server(struct play *play)
{
    struct sim_node *node = play->sim->nodes[0];
    if (play->server_starts > 0)
        play->down_ns[play->server_starts - 1] =
            min_u64(play->down_ns[play->server_starts - 1], play->sim->now_ns);
    judge_server(play);
    /* After a failed sync the machine is restarted too, or only the process: then the page cache
     * shows bytes that the kernel will never write. */
    if ((node->end == SIM_NODE_FATAL || node->end == SIM_NODE_RETURNED) &&
        prng_chance(&play->prng, 1, 2))
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
    if (play->options->crash_boundary_again > 0 && play->revival_count++ == 0)
        sim_crash_at(node, play->options->crash_boundary_again, play->options->crash_loss);
    sim_node_start(node, run_server, play);
}

static bool are_finished(void *context)
{
    const struct play *play = context;
    if (play->result->verdict != SIM_RIGHT)
        return true;
    for (uint32_t index = 0; index < play->client_count; index++)
        if (!play->owners[index].is_finished)
            return false;
    return true;
}

static bool needs_help(void *context)
{
    struct play *play = context;
    return are_finished(play) || !sim_node_is_up(play->sim->nodes[0]);
}

/* Something goes wrong, or right again. */
static void make_trouble(struct play *play)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->prng;
    const uint32_t client = (uint32_t)prng_between(prng, 1, play->client_count);
    const uint64_t choice = prng_below(prng, 100);
    if (choice < 35)
        sim_node_lose_power(sim->nodes[0], SIM_LOSS_RANDOM);
    else if (choice < 55)
        sim_node_kill(sim->nodes[0]);
    else if (choice < 65)
        sim_net_reset(sim, client);
    else if (choice < 75)
        sim_net_block(sim, prng_chance(prng, 1, 2) ? client : 0,
                      prng_chance(prng, 1, 2) ? client : 0);
    else if (choice < 85)
        sim_net_heal(sim);
    else if (choice < 90)
        sim_node_jump_wall(sim->nodes[0], (int64_t)prng_below(prng, 40000000) - 20000000);
    else if (!play->owners[client - 1].is_finished) {
        sim_node_kill(sim->nodes[client]);
        sim_node_start(sim->nodes[client], run_client, &play->owners[client - 1]);
    }
}

static void run_swarm(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t pause_ns_max = prng_between(&play->prng, 20 * ns_per_ms, 2 * ns_per_s);
    for (uint32_t round = 0; round < trouble_count_max && !are_finished(play); round++) {
        const uint64_t pause_ns = prng_below(&play->prng, pause_ns_max);
        if (!sim_run(sim, sim->now_ns + pause_ns, needs_help, play))
            make_trouble(play);
        if (!sim_node_is_up(sim->nodes[0]))
            revive_server(play);
    }
    sim_net_heal(sim);
    sim->faults = sim_workload_calm();
    if (!sim_node_is_up(sim->nodes[0]))
        revive_server(play);
}

/* Until everybody is done. */
static void run_quietly(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t end_ns = sim->now_ns + run_ns_max;
    while (!are_finished(play) && sim->now_ns < end_ns) {
        if (!sim_node_is_up(sim->nodes[0])) {
            if (play->result->boundary_count == 0)
                play->result->boundary_count = sim->nodes[0]->disk.boundary_count;
            revive_server(play);
        }
        sim_run(sim, end_ns, needs_help, play);
    }
    if (play->result->boundary_count == 0)
        play->result->boundary_count = sim->nodes[0]->disk.boundary_count;
}

static void set_stuck(struct play *play, const char *why)
{
    if (play->result->verdict != SIM_RIGHT)
        return;
    play->result->verdict = SIM_STUCK;
    snprintf(play->result->why, sizeof play->result->why, "%s", why);
}

/* A clean stop and start, and a last look at everything. */
static void run_epilogue(struct play *play)
{
    struct sim *sim = play->sim;
    sim_crash_at(sim->nodes[0], 0, SIM_LOSS_ALL);
    play->is_stopping = true;
    if (!sim_node_wait(sim->nodes[0], sim->now_ns + 60 * ns_per_s)) {
        set_stuck(play, "the server does not stop");
        return;
    }
    sim_disk_lose_power(&sim->nodes[0]->disk, SIM_LOSS_ALL);
    play->is_stopping = false;
    sim_node_start(sim->nodes[0], run_server, play);
    if (sim_node_is_up(sim->nodes[1]))
        sim_node_kill(sim->nodes[1]);
    sim_node_start(sim->nodes[1], run_last_client, play);
    if (!sim_node_wait(sim->nodes[1], sim->now_ns + 600 * ns_per_s))
        set_stuck(play, "the last look never ends");
    judge_server(play);
}

static void start(struct play *play)
{
    struct sim *sim = play->sim;
    const struct sim_workload_options *options = play->options;
    for (uint32_t index = 0; index < play->client_count; index++) {
        struct owner *owner = &play->owners[index];
        owner->play = play;
        owner->index = index;
        owner->number = (uint64_t)(index + 1) << 32;
        owner->steps_left = options->steps * (options->is_swarm ? swarm_length : 1);
        sim_node_start(sim->nodes[index + 1], run_client, owner);
    }
    if (!options->is_swarm)
        sim_crash_at(sim->nodes[0], options->crash_boundary, options->crash_loss);
    sim_node_start(sim->nodes[0], run_server, play);
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x6b6565706572);
    sim_init(&sim, (struct sim_options){
                       .seed = options->seed,
                       .node_count = 1 + client_count_max,
                       .faults = options->is_swarm ? sim_workload_draw_faults(&prng)
                                                   : sim_workload_calm(),
                       .is_verbose = options->is_verbose,
                       .is_traced = options->is_traced,
                   });
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->prng = prng;
    play->client_count = options->is_swarm ? (uint32_t)prng_between(&prng, 1, client_count_max) : 1;
    start(play);
    if (options->is_swarm)
        run_swarm(play);
    run_quietly(play);
    if (!are_finished(play))
        set_stuck(play, "a client never comes to its end");
    if (result.verdict == SIM_RIGHT)
        run_epilogue(play);
    if (result.verdict != SIM_RIGHT)
        sim_report(&sim);
    result.trace_hash = sim.trace_hash;
    result.counters = sim.counters;
    sim_deinit(&sim);
    return result;
}

const struct sim_workload workload_keeper = {.name = "keeper", .steps = 60, .run = run};
