#include "sim/keeper_player.h"

#include "base/bytes.h"
#include "keeper/code.h"
#include "keeper/op.h"

#include <stdio.h>

static const uint64_t ns_per_ms = 1000000;
static const uint64_t answer_ns_max = 30000000000;

#define WRONG(player, ...)                                                                         \
    sim_workload_wrong((player)->stage->result, (player)->stage->sim, __VA_ARGS__)

static bool is_over(const struct keeper_player *player)
{
    return player->stage->result->verdict != SIM_RIGHT;
}

/* ---- The model. ---- */

static const char *print_path(uint32_t owner, uint32_t key, char path[32])
{
    snprintf(path, 32, "/c%u-k%u", owner, key);
    return path;
}

static int32_t judge_part(const struct keeper_keys *keys, const struct keeper_part *part)
{
    const struct keeper_key *key = &keys->key[part->key];
    if (part->kind == PART_CREATE)
        return key->exists ? CODE_NODE_EXISTS : CODE_OK;
    if (!key->exists)
        return CODE_NO_NODE;
    return part->version != -1 && part->version != key->version ? CODE_BAD_VERSION : CODE_OK;
}

static void apply_part(struct keeper_keys *keys, const struct keeper_part *part, uint64_t number)
{
    struct keeper_key *key = &keys->key[part->key];
    if (part->kind == PART_CHECK)
        return;
    key->version = part->kind == PART_CREATE ? 0 : key->version + 1;
    key->exists = part->kind != PART_DELETE;
    key->number = number;
}

/* All parts, or none: the code of the first that fails. */
static int32_t apply(struct keeper_keys *keys, const struct keeper_ask *ask, uint32_t *failing_part)
{
    struct keeper_keys after = *keys;
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

static bool wants_ephemeral(const struct keeper_ask *ask)
{
    for (uint32_t index = 0; index < ask->part_count; index++)
        if (ask->parts[index].kind == PART_CREATE &&
            ask->parts[index].key >= keeper_first_ephemeral_key)
            return true;
    return false;
}

static void lose_ephemerals(struct keeper_keys *keys, uint64_t number)
{
    for (uint32_t index = keeper_first_ephemeral_key; index < keeper_key_count; index++) {
        if (keys->key[index].exists)
            keys->key[index] = (struct keeper_key){.number = number};
    }
}

/* The data of a znode name the operation that wrote them, and fill the rest from it. */
static struct slice make_data(uint8_t *data, uint64_t number)
{
    struct prng prng;
    prng_init(&prng, number);
    const size_t size =
        8 + prng_below(&prng, prng_chance(&prng, 1, 8) ? keeper_data_bytes_max - 8 : 64);
    store_u64(data, number);
    for (size_t at = 8; at < size; at++)
        data[at] = (uint8_t)prng_next(&prng);
    return slice_of(data, size);
}

/* The number that the data name; 0: they are not whole. */
static uint64_t read_data(struct keeper_player *player, struct slice data)
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

static struct sim_keeper_part make_part(struct keeper_player *player,
                                        const struct keeper_part *part, uint64_t number,
                                        char path[32], union part_record *record)
{
    const struct slice name = slice_from_text(print_path(player->owner->index, part->key, path));
    switch (part->kind) {
    case PART_CREATE:
        record->create = (struct zk_create_request){
            .path = name,
            .data = make_data(player->data, number),
            .acl = {(struct zk_acl *)(uintptr_t)&open_acl, 1},
            .flags = part->key >= keeper_first_ephemeral_key ? 1 : 0,
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

static void draw_part(struct keeper_player *player, struct keeper_part *part, uint32_t index,
                      bool is_multi)
{
    struct prng *prng = &player->stage->prng;
    /* Parts of one multi touch different znodes, so that one number can mark them all. */
    part->key = (uint32_t)((player->owner->number + 3 * index) % keeper_key_count);
    const struct keeper_key *key = &player->keys.key[part->key];
    const bool is_sane = prng_chance(prng, 9, 10);
    if (is_multi && prng_chance(prng, 1, 4))
        part->kind = PART_CHECK;
    else if (!key->exists == is_sane)
        part->kind = PART_CREATE;
    else
        part->kind = prng_chance(prng, 3, 4) ? PART_SET : PART_DELETE;
    part->version = prng_chance(prng, 1, 2) ? -1 : key->version + !is_sane;
}

static struct keeper_ask *push_ask(struct keeper_player *player, enum keeper_ask_kind kind)
{
    struct keeper_owner *owner = player->owner;
    assert(owner->pending_count < keeper_ask_count_max);
    struct keeper_ask *ask = &owner->pending[owner->pending_count++];
    *ask = (struct keeper_ask){.kind = kind, .sent_ns = player->stage->sim->now_ns};
    return ask;
}

static void send_write(struct keeper_player *player)
{
    struct prng *prng = &player->stage->prng;
    struct keeper_owner *owner = player->owner;
    owner->number = (owner->number & ~(uint64_t)0xffffff) +
                    ((owner->number + 1 + prng_below(prng, 3)) & 0xffffff);
    struct keeper_ask *ask = push_ask(player, ASK_WRITE);
    ask->number = owner->number;
    ask->is_multi = prng_chance(prng, 1, 4);
    ask->part_count = ask->is_multi ? (uint32_t)prng_between(prng, 1, keeper_part_count_max) : 1;
    for (uint32_t index = 0; index < ask->part_count; index++) {
        draw_part(player, &ask->parts[index], index, ask->is_multi);
        if (ask->parts[index].kind == PART_DELETE)
            owner->deletes[ask->parts[index].key] = ask->number;
    }
    ask->code = apply(&player->keys, ask, &ask->failing_part);

    char paths[keeper_part_count_max][32];
    union part_record records[keeper_part_count_max];
    struct sim_keeper_part parts[keeper_part_count_max];
    for (uint32_t index = 0; index < ask->part_count; index++)
        parts[index] =
            make_part(player, &ask->parts[index], ask->number, paths[index], &records[index]);
    ask->xid = ask->is_multi
                   ? sim_keeper_client_send_multi(&player->client, OP_MULTI, parts, ask->part_count)
                   : sim_keeper_client_send(&player->client, parts[0].type, parts[0].record,
                                            parts[0].value);
}

static void send_sequence(struct keeper_player *player)
{
    struct keeper_ask *ask = push_ask(player, ASK_SEQUENCE);
    ask->sequence_above = player->stage->sequence_max;
    const struct zk_create_request request = {
        .path = SLICE_LITERAL("/s-"),
        .data = SLICE_LITERAL("."),
        .acl = {(struct zk_acl *)(uintptr_t)&open_acl, 1},
        .flags = 2,
    };
    ask->xid =
        sim_keeper_client_send(&player->client, OP_CREATE, &zk_create_request_wire, &request);
}

static void send_read(struct keeper_player *player, uint32_t owner, uint32_t key, bool wants_watch)
{
    char path[32];
    struct keeper_ask *ask = push_ask(player, ASK_READ);
    ask->owner = owner;
    ask->key = key;
    ask->wants_watch = wants_watch;
    if (!player->stage->is_ensemble || owner == player->owner->index)
        ask->at_least = player->stage->owners[owner].known.key[key];
    ask->seen = player->owner->seen[owner][key];
    const struct zk_get_data_request request = {
        .path = slice_from_text(print_path(owner, key, path)), .watch = wants_watch};
    ask->xid =
        sim_keeper_client_send(&player->client, OP_GET_DATA, &zk_get_data_request_wire, &request);
}

static void send_ping(struct keeper_player *player)
{
    struct keeper_ask *ask = push_ask(player, ASK_PING);
    const struct zk_exists_request request = {.path = SLICE_LITERAL("/")};
    ask->xid =
        sim_keeper_client_send(&player->client, OP_EXISTS, &zk_exists_request_wire, &request);
}

/* What anybody has read of it. */
static uint64_t seen_by_any(const struct keeper_stage *stage, uint32_t owner, uint32_t key)
{
    uint64_t seen = 0;
    for (uint32_t index = 0; index < stage->owner_count; index++)
        seen = max_u64(seen, stage->owners[index].seen[owner][key]);
    return seen;
}

/* A sync and a read behind it, which is linearizable: what is known now may not be missed. */
static void send_linearizable_read(struct keeper_player *player)
{
    struct keeper_stage *stage = player->stage;
    const struct zk_sync_request sync = {.path = SLICE_LITERAL("/")};
    const uint32_t owner = (uint32_t)prng_below(&stage->prng, stage->owner_count);
    const uint32_t key = (uint32_t)prng_below(&stage->prng, keeper_first_ephemeral_key);
    struct keeper_ask *ask = push_ask(player, ASK_SYNC);
    ask->xid = sim_keeper_client_send(&player->client, OP_SYNC, &zk_sync_request_wire, &sync);
    send_read(player, owner, key, false);
    ask = &player->owner->pending[player->owner->pending_count - 1];
    ask->at_least = stage->owners[owner].known.key[key];
    ask->seen = seen_by_any(stage, owner, key);
}

/* ---- Judging answers. ---- */

static void note_zxid(struct keeper_player *player, int64_t zxid)
{
    struct keeper_stage *stage = player->stage;
    if (zxid <= 0) {
        WRONG(player, "a write has zxid %lld", (long long)zxid);
        return;
    }
    uint32_t slot = (uint32_t)zxid % keeper_zxid_slot_count;
    uint32_t tried = 0;
    while (stage->zxids[slot] != 0 && stage->zxids[slot] != zxid) {
        slot = (slot + 1) % keeper_zxid_slot_count;
        assert(++tried < keeper_zxid_slot_count);
    }
    if (stage->zxids[slot] == zxid)
        WRONG(player, "two writes have zxid %llx", (unsigned long long)zxid);
    stage->zxids[slot] = zxid;
}

/* The answer to one part on its own. */
static void judge_stat(struct keeper_player *player, const struct keeper_ask *ask,
                       const struct sim_keeper_reply *reply, const struct keeper_key *key)
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
static bool read_errors(struct keeper_player *player, const struct keeper_ask *ask,
                        struct slice body, int32_t codes[keeper_part_count_max])
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

static void judge_multi(struct keeper_player *player, const struct keeper_ask *ask,
                        const struct sim_keeper_reply *reply)
{
    int32_t codes[keeper_part_count_max] = {0};
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

static void judge_write(struct keeper_player *player, const struct keeper_ask *ask,
                        const struct sim_keeper_reply *reply)
{
    struct keeper_owner *owner = player->owner;
    uint32_t failing_part;
    const int32_t code = apply(&owner->known, ask, &failing_part);
    assert(code == ask->code);
    owner->is_global |= wants_ephemeral(ask);
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

static void judge_sequence(struct keeper_player *player, const struct keeper_ask *ask,
                           const struct sim_keeper_reply *reply)
{
    struct keeper_stage *stage = player->stage;
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
    if (number >= keeper_sequence_count_max || number < ask->sequence_above)
        WRONG(player, "sequence number %llu, but %llu were given before",
              (unsigned long long)number, (unsigned long long)ask->sequence_above);
    else if (stage->sequences[number / 8] & 1 << (number % 8))
        WRONG(player, "sequence number %llu twice", (unsigned long long)number);
    else
        stage->sequences[number / 8] |= (uint8_t)(1 << (number % 8));
    stage->sequence_max = max_u64(stage->sequence_max, number + 1);
    note_zxid(player, reply->zxid);
}

/* A watch that is still set would have told of any change before. */
static void judge_watch(struct keeper_player *player, const struct keeper_ask *ask, int64_t mzxid)
{
    int64_t *watch = &player->watches[ask->owner][ask->key];
    if (*watch != 0 && *watch != mzxid)
        WRONG(player, "/c%u-k%u is read anew (mzxid %lld) before its watch fires (%lld)",
              ask->owner, ask->key, (long long)mzxid, (long long)*watch);
    if (ask->wants_watch && mzxid != 0)
        *watch = mzxid;
}

static void judge_found(struct keeper_player *player, const struct keeper_ask *ask, uint64_t number)
{
    const struct keeper_owner *owner = &player->stage->owners[ask->owner];
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

static void judge_missing(struct keeper_player *player, const struct keeper_ask *ask)
{
    const struct keeper_owner *owner = &player->stage->owners[ask->owner];
    const bool may_go =
        ask->key >= keeper_first_ephemeral_key || owner->deletes[ask->key] > ask->at_least.number;
    if (ask->at_least.exists && !may_go)
        WRONG(player, "/c%u-k%u is gone; %llx was answered", ask->owner, ask->key,
              (unsigned long long)ask->at_least.number);
    const bool was_deleted = owner->deletes[ask->key] >= ask->seen;
    if (ask->seen != 0 && ask->key < keeper_first_ephemeral_key && !was_deleted)
        WRONG(player, "/c%u-k%u is gone after %llx was read", ask->owner, ask->key,
              (unsigned long long)ask->seen);
}

static void judge_read(struct keeper_player *player, const struct keeper_ask *ask,
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

static void judge_event(struct keeper_player *player, const struct sim_keeper_reply *reply)
{
    struct zk_watcher_event event;
    if (!sim_keeper_client_decode(&player->client, &zk_watcher_event_wire, reply->body, &event)) {
        WRONG(player, "an event is not one");
        return;
    }
    for (uint32_t owner = 0; owner < player->stage->owner_count; owner++) {
        for (uint32_t key = 0; key < keeper_key_count; key++) {
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

static void note_heard(struct keeper_player *player, uint64_t sent_ns)
{
    struct keeper_owner *owner = player->owner;
    if (sent_ns > owner->heard_ns + 1000 * ns_per_ms) {
        owner->gap_from_ns = owner->heard_ns;
        owner->gap_to_ns = sent_ns;
    }
    owner->heard_ns = max_u64(owner->heard_ns, sent_ns);
}

/* The session is gone: was that allowed? */
static void judge_expiry(struct keeper_player *player)
{
    const struct keeper_owner *owner = player->owner;
    const struct keeper_stage *stage = player->stage;
    const bool may_be_local = stage->has_local_sessions && !owner->is_global;
    if (!owner->is_closing && !may_be_local && !stage->may_expire(stage, owner))
        WRONG(player, "session %llx is gone %llu ms after its client was heard",
              (unsigned long long)owner->session_id,
              (unsigned long long)((stage->sim->now_ns - owner->heard_ns) / ns_per_ms));
}

/* Takes one answer or event. False: the connection is broken. */
static bool take_answer(struct keeper_player *player)
{
    struct keeper_owner *owner = player->owner;
    struct sim_keeper_reply reply;
    if (!sim_keeper_client_receive(&player->client, &reply, answer_ns_max)) {
        sim_link_close(&player->client.link);
        return false;
    }
    if (reply.xid == -1) {
        judge_event(player, &reply);
        return true;
    }
    if (player->stage->is_ensemble && reply.code == CODE_SESSION_EXPIRED) {
        judge_expiry(player); /* Its end is decided, and on the way to us. */
        sim_link_close(&player->client.link);
        return false;
    }
    const struct keeper_ask ask = owner->pending[0];
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
    case ASK_SYNC:
        if (reply.code != CODE_OK)
            WRONG(player, "a sync answers %d", reply.code);
        return true;
    }
    return true;
}

static bool take_all(struct keeper_player *player)
{
    while (player->owner->pending_count > 0) {
        if (is_over(player) || !take_answer(player))
            return false;
    }
    return true;
}

/* What was sent in that session is done or will never be. */
static void outlive(struct keeper_player *player, int64_t session_id)
{
    const struct keeper_stage *stage = player->stage;
    while (stage->is_ensemble && !is_over(player) && stage->may_live(stage, session_id))
        sim_link_sleep(&player->client.link, 300 * ns_per_ms);
    if (stage->has_local_sessions)
        sim_link_sleep(&player->client.link, stage->settle_ns);
}

/* Until there is a session. */
static bool connect(struct keeper_player *player)
{
    struct keeper_owner *owner = player->owner;
    struct keeper_stage *stage = player->stage;
    memset(player->watches, 0, sizeof player->watches);
    while (!is_over(player)) {
        const uint64_t sent_ns = stage->sim->now_ns;
        const enum sim_keeper_connect connected = sim_keeper_client_connect(
            &player->client, stage->dial(stage), keeper_session_timeout_ms);
        switch (connected) {
        case SIM_KEEPER_FAILED: sim_link_sleep(&player->client.link, 300 * ns_per_ms); continue;
        case SIM_KEEPER_EXPIRED:
            judge_expiry(player);
            outlive(player, owner->session_id);
            continue;
        case SIM_KEEPER_NEW:
        case SIM_KEEPER_RESUMED:
            /* A close that was asked for before a resumption may still happen. */
            owner->is_closing = owner->is_closing && connected == SIM_KEEPER_RESUMED;
            owner->is_global = owner->is_global && connected == SIM_KEEPER_RESUMED;
            owner->session_id = player->client.session_id;
            owner->timeout_ms = player->client.timeout_ms;
            note_heard(player, sent_ns);
            return true;
        }
    }
    return false;
}

/* A write that a quorum has: this server now knows all that came before it. False: the connection
 * is broken. */
static bool drop_anchor(struct keeper_player *player)
{
    struct sim_keeper_reply reply;
    const uint64_t sent_ns = player->stage->sim->now_ns;
    const struct zk_set_data_request request = {
        .path = SLICE_LITERAL("/"), .data = SLICE_LITERAL("anchor"), .version = -1};
    if (!player->stage->is_ensemble)
        return true;
    if (sim_keeper_client_send(&player->client, OP_SET_DATA, &zk_set_data_request_wire, &request) ==
            0 ||
        !sim_keeper_client_receive(&player->client, &reply, answer_ns_max))
        return false;
    if (reply.code == CODE_SESSION_EXPIRED) {
        judge_expiry(player); /* A new session has just been answered, too. */
        return false;
    }
    if (reply.code != CODE_OK) {
        WRONG(player, "the first write on a connection answers %d", reply.code);
        return false;
    }
    if (reply.zxid < player->client.last_zxid)
        WRONG(player, "zxid %llx after %llx", (unsigned long long)reply.zxid,
              (unsigned long long)player->client.last_zxid);
    player->client.last_zxid = reply.zxid;
    note_zxid(player, reply.zxid);
    note_heard(player, sent_ns);
    return !is_over(player);
}

/* What the server holds of one znode of ours. False: the connection is broken. */
static bool look(struct keeper_player *player, uint32_t index, struct keeper_key *key,
                 int64_t *ephemeral_owner)
{
    char path[32];
    struct sim_keeper_reply reply;
    struct zk_get_data_reply found;
    const struct zk_get_data_request request = {
        .path = slice_from_text(print_path(player->owner->index, index, path))};
    const uint64_t sent_ns = player->stage->sim->now_ns;
    if (sim_keeper_client_send(&player->client, OP_GET_DATA, &zk_get_data_request_wire, &request) ==
            0 ||
        !sim_keeper_client_receive(&player->client, &reply, answer_ns_max))
        return false;
    if (player->stage->is_ensemble && reply.code == CODE_SESSION_EXPIRED) {
        judge_expiry(player); /* Its end is decided, and on the way to us. */
        return false;
    }
    note_heard(player, sent_ns);
    *key = (struct keeper_key){.exists = reply.code == CODE_OK};
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

static bool is_as_found(const struct keeper_keys *keys, const struct keeper_keys *found)
{
    for (uint32_t index = 0; index < keeper_key_count; index++) {
        const struct keeper_key *key = &keys->key[index];
        const struct keeper_key *other = &found->key[index];
        if (key->exists != other->exists)
            return false;
        if (key->exists && (key->number != other->number || key->version != other->version))
            return false;
    }
    return true;
}

static void report_found(struct keeper_player *player, const struct keeper_keys *found)
{
    char text[160];
    size_t used = 0;
    for (uint32_t index = 0; index < keeper_key_count && used < sizeof text - 24; index++) {
        const struct keeper_key *key = &player->owner->known.key[index];
        const struct keeper_key *other = &found->key[index];
        if (key->exists != other->exists || (key->exists && key->number != other->number))
            used += (size_t)snprintf(text + used, sizeof text - used, " k%u %llx/%llx", index,
                                     (unsigned long long)(key->exists ? key->number : 0),
                                     (unsigned long long)(other->exists ? other->number : 0));
    }
    WRONG(player,
          "client %u: no prefix of %u unanswered requests gives what is found; known/found%s",
          player->owner->index, player->owner->pending_count, used == 0 ? " versions" : text);
}

/* What there is after the first `done` of what was not answered, if the session has ended behind
 * the first `lived` of them. */
static struct keeper_keys suppose(const struct keeper_owner *owner, uint32_t lived, uint32_t done,
                                  bool has_lost_session)
{
    struct keeper_keys keys = owner->known;
    for (uint32_t index = 0; index < done; index++) {
        const struct keeper_ask *ask = &owner->pending[index];
        uint32_t failing_part;
        if (index == lived)
            lose_ephemerals(&keys, owner->number);
        if (ask->kind == ASK_WRITE && (index < lived || !wants_ephemeral(ask)))
            (void)apply(&keys, ask, &failing_part);
    }
    if (has_lost_session)
        lose_ephemerals(&keys, owner->number);
    return keys;
}

static bool is_resolved(struct keeper_player *player, const struct keeper_keys *found,
                        const struct keeper_keys *keys)
{
    if (!is_as_found(keys, found))
        return false;
    player->owner->known = *keys;
    player->owner->pending_count = 0;
    player->keys = *keys;
    return true;
}

/* Which prefix of what was not answered has happened? */
static void resolve(struct keeper_player *player, const struct keeper_keys *found,
                    bool has_lost_session)
{
    const struct keeper_owner *owner = player->owner;
    const bool may_go_on = has_lost_session && player->stage->has_local_sessions;
    for (uint32_t done = 0; done <= owner->pending_count; done++) {
        for (uint32_t lived = may_go_on ? 0 : done; lived <= done; lived++) {
            const struct keeper_keys keys = suppose(owner, lived, done, has_lost_session);
            if (is_resolved(player, found, &keys))
                return;
        }
    }
    report_found(player, found);
}

/* Connects, waits until nothing of an older session is left, and finds out where we are. False:
 * again. */
static bool recover(struct keeper_player *player)
{
    struct keeper_owner *owner = player->owner;
    struct keeper_keys found;
    const int64_t session_before = owner->session_id;
    if (!connect(player))
        return false;
    const bool has_lost_session = session_before != 0 && owner->session_id != session_before;
    if (!drop_anchor(player)) {
        owner->session_id = has_lost_session ? -1 : owner->session_id;
        return false;
    }
    const uint64_t limit_ns =
        player->stage->sim->now_ns + 20 * (uint64_t)keeper_session_timeout_ms * ns_per_ms;
    for (uint32_t index = keeper_key_count; index-- > 0;) {
        int64_t ephemeral_owner;
        if (!look(player, index, &found.key[index], &ephemeral_owner)) {
            owner->session_id = has_lost_session ? -1 : owner->session_id;
            return false;
        }
        if (ephemeral_owner == 0 || ephemeral_owner == owner->session_id)
            continue;
        /* Somebody's who is dead: it must go soon. */
        if (player->stage->sim->now_ns > limit_ns)
            WRONG(player, "/c%u-k%u outlives its session", owner->index, index);
        if (is_over(player))
            return false;
        sim_link_sleep(&player->client.link, 500 * ns_per_ms);
        index = keeper_key_count;
    }
    resolve(player, &found, has_lost_session);
    return !is_over(player);
}

/* ---- The story. ---- */

static void take_step(struct keeper_player *player)
{
    struct keeper_stage *stage = player->stage;
    const bool has_room = player->owner->pending_count + 2 <= keeper_ask_count_max;
    if (player->owner->only_reads) {
        if (take_all(player))
            send_linearizable_read(player);
        return;
    }
    if (stage->is_linearizable && has_room && prng_chance(&stage->prng, 1, 3)) {
        send_linearizable_read(player);
        return;
    }
    const uint64_t choice = prng_below(&stage->prng, 100);
    if (choice < 55)
        send_write(player);
    else if (choice < 60)
        send_sequence(player);
    else if (choice < 85)
        send_read(player, (uint32_t)prng_below(&stage->prng, stage->owner_count),
                  (uint32_t)prng_below(&stage->prng, keeper_first_ephemeral_key),
                  prng_chance(&stage->prng, 1, 2));
    else if (choice < 90)
        send_ping(player);
    else if (choice < 95)
        sim_link_sleep(&player->client.link, prng_below(&stage->prng, 300 * ns_per_ms));
    else
        (void)take_all(player);
}

/* Closes the session: its ephemerals are gone when the answer comes. */
static bool close_session(struct keeper_player *player)
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

static void live(struct keeper_player *player)
{
    struct keeper_owner *owner = player->owner;
    while (player->client.link.handle == io_handle_none && !is_over(player)) {
        if (!recover(player))
            sim_link_close(&player->client.link);
    }
    while (owner->steps_left > 0 && player->client.link.handle != io_handle_none &&
           !is_over(player)) {
        while (owner->pending_count == keeper_ask_count_max && !is_over(player)) {
            if (!take_answer(player))
                return;
        }
        owner->steps_left--;
        take_step(player);
        if (player->stage->pace_ns > 0)
            sim_link_sleep(&player->client.link,
                           prng_below(&player->stage->prng, 2 * player->stage->pace_ns));
    }
    if (player->client.link.handle != io_handle_none && !is_over(player))
        owner->is_finished = take_all(player) && close_session(player);
    sim_link_close(&player->client.link);
}

/* ---- For the workloads. ---- */

void keeper_player_cast(struct keeper_stage *stage, uint32_t index, uint32_t steps)
{
    struct keeper_owner *owner = &stage->owners[index];
    owner->stage = stage;
    owner->index = index;
    owner->number = (uint64_t)(index + 1) << 32;
    owner->steps_left = steps;
}

struct keeper_player *keeper_player_make(struct keeper_stage *stage, struct keeper_owner *owner,
                                         struct sim_node *node)
{
    struct keeper_player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->stage = stage;
    player->owner = owner;
    player->node = node;
    sim_keeper_client_init(&player->client, node->io, &node->heap);
    return player;
}

void keeper_player_live(struct keeper_player *player)
{
    while (!player->owner->is_finished && !is_over(player))
        live(player);
}

void keeper_player_look(struct keeper_player *player)
{
    struct keeper_stage *stage = player->stage;
    for (uint32_t index = 0; index < stage->owner_count && !is_over(player); index++) {
        player->owner = &stage->owners[index];
        player->owner->session_id = 0;
        player->owner->pending_count = 0;
        player->client.session_id = 0;
        if (!recover(player))
            index--; /* The connection broke: once more. */
    }
}

bool keeper_stage_is_over(const struct keeper_stage *stage)
{
    if (stage->result->verdict != SIM_RIGHT)
        return true;
    for (uint32_t index = 0; index < stage->owner_count; index++)
        if (!stage->owners[index].is_finished)
            return false;
    return true;
}
