#include "sim/keeper_witness.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "keeper/op.h"
#include "sim/keeper_answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { xid_event = -1, state_connected = 3 };

void keeper_trial_wrong(struct keeper_trial *trial, const char *format, ...)
{
    if (trial->is_wrong)
        return;
    trial->is_wrong = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trial->why, keeper_judge_why_bytes, format, arguments);
    va_end(arguments);
}

uint64_t keeper_trial_applied_ns(const struct keeper_trial *trial, int64_t zxid)
{
    if (zxid <= 0)
        return 0;
    return zxid <= trial->history->zxid_applied ? trial->history->applied_ns[zxid] : UINT64_MAX;
}

int64_t keeper_trial_seen_zxid(const struct keeper_trial *trial, int64_t zxid)
{
    int64_t seen = zxid - 1;
    while (seen > 0 && keeper_trial_applied_ns(trial, seen) >= trial->history->prepared_ns[zxid])
        seen--;
    return seen;
}

/* ---- Who a connection is. ---- */

static void ids_of_address(const struct keeper_witness *witness, struct model_ids *ids)
{
    *ids = (struct model_ids){.count = 1};
    memcpy(ids->items[0].scheme, "ip", 3);
    snprintf(ids->items[0].id, sizeof ids->items[0].id, "10.0.0.%u",
             witness->connection->client + 2);
}

static void authenticate(const struct keeper_trial *trial, const struct history_request *request,
                         struct model_ids *ids)
{
    struct zk_auth_request auth;
    struct slice body = request->body;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const enum err err = wire_decode(&zk_auth_request_wire, 0, &body, &arena, &auth);
    assert(err == ERR_OK);
    (void)keeper_model_authenticate(&trial->model, auth.scheme, auth.auth, ids);
}

void keeper_witness_ids(const struct keeper_trial *trial, const struct keeper_witness *witness,
                        uint32_t request, struct model_ids *ids)
{
    ids_of_address(witness, ids);
    for (uint32_t index = 0; index < request; index++)
        if (witness->connection->requests[index].type == OP_AUTH)
            authenticate(trial, &witness->connection->requests[index], ids);
}

/* Who it is at a time: certainly, or perhaps. */
static void ids_at_time(const struct keeper_trial *trial, const struct keeper_witness *witness,
                        uint64_t time_ns, bool perhaps, struct model_ids *ids)
{
    const struct history_connection *connection = witness->connection;
    ids_of_address(witness, ids);
    for (uint32_t index = 0; index < connection->request_count; index++) {
        const uint32_t answer = witness->answers[index];
        const uint64_t since_ns = perhaps               ? connection->requests[index].sent_ns
                                  : answer < UINT32_MAX ? connection->frames[answer].received_ns
                                                        : UINT64_MAX;
        if (connection->requests[index].type == OP_AUTH && since_ns <= time_ns)
            authenticate(trial, &connection->requests[index], ids);
    }
}

/* ---- Events. ---- */

void keeper_witness_expect(struct keeper_trial *trial, struct keeper_witness *witness,
                           const struct model_trigger *trigger)
{
    struct model_ids sure, perhaps;
    if (trigger->is_first)
        witness->was_told = false;
    if (!watch_model_fire(&witness->watches, trigger) || witness->was_told)
        return;
    witness->was_told = true;
    const uint64_t time_ns = keeper_trial_applied_ns(trial, trial->zxid);
    ids_at_time(trial, witness, time_ns, true, &perhaps);
    if (!keeper_model_grants(&trial->model, &trigger->acl, &perhaps, 1))
        return;
    ids_at_time(trial, witness, time_ns, false, &sure);
    assert(witness->expected_count < keeper_witness_expected_count_max);
    struct keeper_expected_event *event = &witness->expected[witness->expected_count++];
    *event = (struct keeper_expected_event){.type = trigger->type, .zxid = trial->zxid};
    memcpy(event->path, trigger->path, sizeof event->path);
    event->is_optional = !keeper_model_grants(&trial->model, &trigger->acl, &sure, 1);
}

static void drop_expected(struct keeper_witness *witness)
{
    witness->expected_count--;
    memmove(&witness->expected[0], &witness->expected[1],
            witness->expected_count * sizeof witness->expected[0]);
}

/* Nobody knows whether these came; so they did not. */
static void drop_optional(struct keeper_witness *witness)
{
    while (witness->expected_count > 0 && witness->expected[0].is_optional)
        drop_expected(witness);
}

static bool decode_event(const struct history_frame *frame, struct zk_watcher_event *event)
{
    struct slice body = frame->body;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    return wire_decode(&zk_watcher_event_wire, 0, &body, &arena, event) == ERR_OK;
}

static bool is_event(const struct zk_watcher_event *found,
                     const struct keeper_expected_event *expected)
{
    return found->type == (int32_t)expected->type && found->state == state_connected &&
           slice_equal_text(found->path, expected->path);
}

static void judge_event(struct keeper_trial *trial, struct keeper_witness *witness,
                        const struct history_frame *frame)
{
    struct zk_watcher_event event = {0};
    const bool is_sound = decode_event(frame, &event);
    while (witness->expected_count > 0 && witness->expected[0].is_optional &&
           !is_event(&event, &witness->expected[0]))
        drop_expected(witness);
    const struct keeper_expected_event *expected = &witness->expected[0];
    if (!is_sound || witness->expected_count == 0)
        keeper_trial_wrong(
            trial, "client %u hears event %d %" SLICE_FORMAT " of zxid %" PRId64 " in vain",
            witness->connection->client, event.type, SLICE_ARGS(event.path), frame->zxid);
    else if (!is_event(&event, expected))
        keeper_trial_wrong(trial,
                           "client %u hears event %d %" SLICE_FORMAT " of zxid %" PRId64
                           ", but first comes %d %s of %" PRId64,
                           witness->connection->client, event.type, SLICE_ARGS(event.path),
                           frame->zxid, (int)expected->type, expected->path, expected->zxid);
    else
        drop_expected(witness);
    trial->count.events++;
}

/* ---- setWatches: what came while nobody listened. ---- */

static enum model_event missed_data(const struct model_znode *znode, int64_t seen_zxid)
{
    if (znode == NULL)
        return MODEL_DELETED;
    return znode->mzxid > seen_zxid ? MODEL_CHANGED : (enum model_event)0;
}

static enum model_event missed_exist(const struct model_znode *znode, int64_t seen_zxid)
{
    (void)seen_zxid;
    return znode == NULL ? (enum model_event)0 : MODEL_CREATED;
}

static enum model_event missed_child(const struct model_znode *znode, int64_t seen_zxid)
{
    if (znode == NULL)
        return MODEL_DELETED;
    return znode->pzxid > seen_zxid ? MODEL_CHILDREN_CHANGED : (enum model_event)0;
}

struct set_watches {
    struct keeper_trial *trial;
    struct keeper_witness *witness;
    const struct history_frame *frames; /* The events that came. */
    uint32_t frame_count;
    int64_t seen_zxid;
};

static void judge_missed(struct set_watches *work, struct wire_array paths, bool is_child,
                         enum model_event (*missed)(const struct model_znode *znode,
                                                    int64_t seen_zxid))
{
    const struct slice *items = paths.items;
    for (int32_t index = 0; index < paths.count && !work->trial->is_wrong; index++) {
        char path[model_path_bytes];
        struct zk_watcher_event event = {0};
        struct keeper_expected_event expected = {0};
        MODEL_TEXT(path, items[index]);
        expected.type = missed(keeper_model_find(&work->trial->model, path), work->seen_zxid);
        memcpy(expected.path, path, sizeof path);
        if (expected.type == 0) {
            watch_model_add(&work->witness->watches, path, is_child, WATCH_MODEL_ONCE);
            continue;
        }
        if (work->frame_count == 0 || !decode_event(work->frames, &event) ||
            !is_event(&event, &expected)) {
            keeper_trial_wrong(work->trial, "client %u: setWatches does not tell of %d %s",
                               work->witness->connection->client, (int)expected.type, path);
            return;
        }
        work->frames++;
        work->frame_count--;
    }
}

static void arm(struct keeper_witness *witness, struct wire_array paths, uint32_t mode)
{
    const struct slice *items = paths.items;
    for (int32_t index = 0; index < paths.count; index++) {
        char path[model_path_bytes];
        MODEL_TEXT(path, items[index]);
        watch_model_add(&witness->watches, path, false, mode);
        if (mode == WATCH_MODEL_PERSISTENT)
            watch_model_add(&witness->watches, path, true, mode);
    }
}

static void judge_set_watches(struct keeper_trial *trial, struct keeper_witness *witness,
                              const struct history_request *request,
                              const struct history_frame *frames, uint32_t frame_count)
{
    static _Alignas(max_align_t) uint8_t memory[1 << 16];
    struct arena arena;
    struct zk_set_watches2_request set = {0};
    struct slice body = request->body;
    arena_init(&arena, memory, sizeof memory);
    /* The older one is the front of the newer one. */
    struct zk_set_watches_request older = {0};
    enum err err;
    if (request->type == OP_SET_WATCHES) {
        err = wire_decode(&zk_set_watches_request_wire, 0, &body, &arena, &older);
        set.relative_zxid = older.relative_zxid;
        set.data_watches.items = older.data_watches.items;
        set.data_watches.count = older.data_watches.count;
        set.exist_watches.items = older.exist_watches.items;
        set.exist_watches.count = older.exist_watches.count;
        set.child_watches.items = older.child_watches.items;
        set.child_watches.count = older.child_watches.count;
    } else {
        err = wire_decode(&zk_set_watches2_request_wire, 0, &body, &arena, &set);
    }
    assert(err == ERR_OK);
    struct set_watches work = {trial, witness, frames, frame_count, set.relative_zxid};
    judge_missed(&work, (struct wire_array){set.data_watches.items, set.data_watches.count}, false,
                 missed_data);
    judge_missed(&work, (struct wire_array){set.exist_watches.items, set.exist_watches.count},
                 false, missed_exist);
    judge_missed(&work, (struct wire_array){set.child_watches.items, set.child_watches.count}, true,
                 missed_child);
    arm(witness, (struct wire_array){set.persistent_watches.items, set.persistent_watches.count},
        WATCH_MODEL_PERSISTENT);
    arm(witness,
        (struct wire_array){set.persistent_recursive_watches.items,
                            set.persistent_recursive_watches.count},
        WATCH_MODEL_RECURSIVE);
    if (work.frame_count > 0)
        keeper_trial_wrong(trial, "client %u: setWatches tells of %u things too many",
                           witness->connection->client, work.frame_count);
}

/* ---- Reads. ---- */

struct slice keeper_trial_path(const struct history_request *request)
{
    if (request->type == OP_MULTI || request->type == OP_MULTI_READ || request->body.size <= 4 ||
        load_u32(request->body.data) > request->body.size - 4)
        return SLICE_NULL;
    return slice_of(request->body.data + 4, load_u32(request->body.data));
}

static void differ(struct keeper_trial *trial, const struct keeper_witness *witness,
                   const struct history_frame *frame, const char *why)
{
    const struct history_request *request = &witness->connection->requests[witness->request];
    const struct slice path = keeper_trial_path(request);
    keeper_trial_wrong(trial, "client %u, xid %d, %s %" SLICE_FORMAT " at zxid %" PRId64 ": %s",
                       witness->connection->client, frame->xid, op_name(request->type),
                       SLICE_ARGS(path), frame->zxid, why);
}

/* What most reads begin with, and what follows. */
struct read_request {
    char path[model_path_bytes];
    bool watch;
    int32_t mode; /* check_watches, remove_watches, add_watch. */
};

static struct read_request take_read(struct slice *body)
{
    struct read_request read = {.watch = false};
    const uint32_t size = load_u32(body->data);
    MODEL_TEXT(read.path, slice_of(body->data + 4, size));
    *body = slice_skip(*body, 4 + size);
    if (body->size > 0)
        read.watch = body->data[0] != 0;
    if (body->size >= 4)
        read.mode = load_i32(body->data);
    return read;
}

static int32_t check_watches(struct keeper_witness *witness, const struct read_request *read,
                             bool take)
{
    enum { any = WATCH_MODEL_ONCE | WATCH_MODEL_PERSISTENT | WATCH_MODEL_RECURSIVE };
    /* By the watcher's type, from 1: the modes among child watches and among data watches. */
    static const struct {
        uint32_t child, data;
    } check_rows[] = {{WATCH_MODEL_ONCE, 0},
                      {0, WATCH_MODEL_ONCE},
                      {any, any},
                      {0, WATCH_MODEL_PERSISTENT},
                      {0, WATCH_MODEL_RECURSIVE}};
    struct watch_model *watches = &witness->watches;
    const uint32_t data = check_rows[read->mode - 1].data;
    /* A persistent watch lies in both tables; it is looked for in one. */
    const uint32_t child =
        take && read->mode == 4 ? WATCH_MODEL_PERSISTENT : check_rows[read->mode - 1].child;
    bool is_found;
    if (take) {
        is_found = watch_model_take(watches, read->path, true, child);
        is_found |= watch_model_take(watches, read->path, false, data);
    } else {
        is_found = watch_model_has(watches, read->path, true, child) ||
                   watch_model_has(watches, read->path, false, data);
    }
    return is_found ? CODE_OK : CODE_NO_WATCHER;
}

static void add_watch(struct keeper_witness *witness, const struct read_request *read)
{
    if (read->mode == 1) {
        watch_model_add(&witness->watches, read->path, false, WATCH_MODEL_RECURSIVE);
        return;
    }
    watch_model_add(&witness->watches, read->path, false, WATCH_MODEL_PERSISTENT);
    watch_model_add(&witness->watches, read->path, true, WATCH_MODEL_PERSISTENT);
}

/* A one-shot watch comes with the answer; exists leaves one for what is not there yet, too. */
static void leave_watch(struct keeper_witness *witness, int32_t type,
                        const struct read_request *read, int32_t code)
{
    const bool is_child = type == OP_GET_CHILDREN || type == OP_GET_CHILDREN2;
    const bool is_watching = is_child || type == OP_GET_DATA || type == OP_EXISTS;
    if (is_watching && read->watch &&
        (code == CODE_OK || (type == OP_EXISTS && code == CODE_NO_NODE)))
        watch_model_add(&witness->watches, read->path, is_child, WATCH_MODEL_ONCE);
}

static bool judge_multi_read(struct keeper_trial *trial, const struct model_request *request,
                             const struct history_frame *frame, char *why)
{
    static struct model_answer answer;
    struct slice asked = request->body;
    struct slice body = frame->body;
    if (frame->code != CODE_OK) {
        snprintf(why, keeper_answer_why_bytes, "code %d", frame->code);
        return false;
    }
    for (;;) {
        const int32_t type = load_i32(asked.data);
        asked = slice_skip(asked, 9);
        if (type == -1)
            break;
        const struct read_request read = take_read(&asked);
        asked = slice_skip(asked, 1);
        keeper_model_read(&trial->model, request, type, read.path, &answer);
        if (!keeper_answer_is_part(&body, &answer, why))
            return false;
    }
    return keeper_answer_is_end(body, why);
}

static bool judge_read(struct keeper_trial *trial, struct keeper_witness *witness,
                       const struct model_request *request, const struct history_frame *frame,
                       char *why)
{
    static struct model_answer answer;
    struct slice body = request->body;
    answer = (struct model_answer){.type = request->type};
    if (request->type == OP_WHO_AM_I)
        return keeper_answer_is_ids(frame, request->ids, why);
    if (request->type == OP_MULTI_READ)
        return judge_multi_read(trial, request, frame, why);
    const struct read_request read = take_read(&body);
    switch (request->type) {
    case OP_SYNC:
        if (frame->code == CODE_OK && slice_equal(frame->body, request->body))
            return true;
        snprintf(why, keeper_answer_why_bytes, "code %d, or not its path", frame->code);
        return false;
    case OP_ADD_WATCH:
        add_watch(witness, &read);
        answer.type = OP_GET_ALL_CHILDREN_NUMBER; /* A number too: zero. */
        break;
    case OP_CHECK_WATCHES: answer.code = check_watches(witness, &read, false); break;
    case OP_REMOVE_WATCHES: answer.code = check_watches(witness, &read, true); break;
    default: keeper_model_read(&trial->model, request, request->type, read.path, &answer);
    }
    leave_watch(witness, request->type, &read, answer.code);
    return keeper_answer_is_read(frame, &answer, why);
}

/* ---- Replies. ---- */

bool keeper_trial_is_write(int32_t type)
{
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
    case OP_DELETE:
    case OP_SET_DATA:
    case OP_SET_ACL:
    case OP_MULTI:
    case OP_RECONFIG:
    case OP_CLOSE_SESSION: return true;
    }
    return false;
}

static void judge_write_reply(struct keeper_trial *trial, const struct keeper_witness *witness,
                              const struct history_frame *frame)
{
    const struct history_request *request = &witness->connection->requests[witness->request];
    char why[keeper_answer_why_bytes] = "";
    if (request->zxid == 0) {
        if (frame->code != CODE_SYSTEM_ERROR || !trial->history->was_full) {
            snprintf(why, sizeof why, "code %d, but it is not in the log", frame->code);
            differ(trial, witness, frame, why);
        }
        return;
    }
    if (frame->zxid != request->zxid) {
        snprintf(why, sizeof why, "in the log it is zxid %" PRId64, request->zxid);
        differ(trial, witness, frame, why);
        return;
    }
    assert(trial->answers_session_id == witness->connection->session_id);
    if (!keeper_answer_is_write(frame, request->type, &trial->answers, why))
        differ(trial, witness, frame, why);
}

/* A read shows a state that was the latest one at some time while it was on its way. */
static void judge_times(struct keeper_trial *trial, const struct keeper_witness *witness,
                        const struct history_frame *frame)
{
    const struct history_request *request = &witness->connection->requests[witness->request];
    if (keeper_trial_applied_ns(trial, frame->zxid) > frame->received_ns)
        differ(trial, witness, frame, "told before it was durable");
    /* What was decided before a sync was sent is there when it is answered. */
    const bool is_sync = request->type == OP_SYNC && frame->zxid < trial->history->zxid_applied;
    if (is_sync && trial->history->prepared_ns[frame->zxid + 1] < request->sent_ns)
        differ(trial, witness, frame, "a sync that overtakes a write");
    if (!keeper_trial_is_write(request->type) &&
        keeper_trial_applied_ns(trial, frame->zxid + 1) < request->sent_ns)
        differ(trial, witness, frame, "a state older than what was there when it was asked");
}

static void judge_reply(struct keeper_trial *trial, struct keeper_witness *witness,
                        const struct history_frame *events, const struct history_frame *frame)
{
    const struct history_request *request = &witness->connection->requests[witness->request];
    char why[keeper_answer_why_bytes] = "";
    struct model_ids ids;
    trial->count.replies++;
    if (request->sent_ns > witness->moved_ns)
        differ(trial, witness, frame, "answered, though its session has moved");
    if (witness->is_expired && !keeper_trial_is_write(request->type) &&
        frame->code != CODE_SESSION_EXPIRED)
        differ(trial, witness, frame, "answered, though its session has expired");
    witness->is_expired |= frame->code == CODE_SESSION_EXPIRED;
    if (keeper_trial_is_write(request->type)) {
        judge_write_reply(trial, witness, frame);
    } else if (frame->code == CODE_SESSION_EXPIRED && witness->may_be_ending) {
        return;
    } else if (request->type == OP_SET_WATCHES || request->type == OP_SET_WATCHES2) {
        judge_set_watches(trial, witness, request, events, (uint32_t)(frame - events));
        if (frame->code != CODE_OK || frame->body.size > 0)
            differ(trial, witness, frame, "not an empty answer");
    } else if (request->type == OP_PING) {
        if (frame->code != CODE_OK || frame->body.size > 0)
            differ(trial, witness, frame, "not an empty answer");
    } else {
        keeper_witness_ids(trial, witness, witness->request, &ids);
        const struct model_request read = {.session_id = witness->connection->session_id,
                                           .type = request->type,
                                           .body = request->body,
                                           .ids = &ids};
        if (!judge_read(trial, witness, &read, frame, why))
            differ(trial, witness, frame, why);
    }
    if (!trial->is_wrong)
        judge_times(trial, witness, frame);
}

static void judge_auth_reply(struct keeper_trial *trial, const struct keeper_witness *witness,
                             const struct history_frame *frame)
{
    const struct history_request *request = &witness->connection->requests[witness->request];
    struct model_ids ids;
    struct zk_auth_request auth;
    struct slice body = request->body;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const enum err err = wire_decode(&zk_auth_request_wire, 0, &body, &arena, &auth);
    assert(err == ERR_OK);
    ids_of_address(witness, &ids);
    const int32_t code = keeper_model_authenticate(&trial->model, auth.scheme, auth.auth, &ids)
                             ? CODE_OK
                             : CODE_AUTH_FAILED;
    if (frame->code != code || frame->zxid != 0)
        differ(trial, witness, frame, "not the answer to that secret");
    trial->count.replies++;
}

void keeper_witness_pump(struct keeper_trial *trial, struct keeper_witness *witness)
{
    const struct history_connection *connection = witness->connection;
    while (!trial->is_wrong && witness->frame < connection->frame_count) {
        uint32_t at = witness->frame;
        const struct history_frame *events = &connection->frames[at];
        if (events->xid == xid_event && events->zxid != -1) {
            if (events->zxid > trial->zxid)
                return;
            judge_event(trial, witness, events);
            witness->frame++;
            continue;
        }
        /* What setWatches tells comes right before its answer. */
        while (at < connection->frame_count && connection->frames[at].xid == xid_event)
            at++;
        if (at == connection->frame_count) {
            witness->frame = at; /* The answer never came: nothing to judge them by. */
            return;
        }
        const struct history_frame *frame = &connection->frames[at];
        const bool is_auth = connection->requests[witness->request].type == OP_AUTH;
        if (!is_auth && frame->zxid > trial->zxid)
            return;
        if (is_auth)
            judge_auth_reply(trial, witness, frame);
        else if (frame->zxid < trial->zxid)
            differ(trial, witness, frame, "its zxid goes back");
        drop_optional(witness);
        if (!is_auth && witness->expected_count > 0)
            keeper_trial_wrong(
                trial,
                "client %u, xid %d, zxid %" PRId64 ": an answer before event %d %s of %" PRId64,
                connection->client, frame->xid, frame->zxid, (int)witness->expected[0].type,
                witness->expected[0].path, witness->expected[0].zxid);
        if (!is_auth && !trial->is_wrong)
            judge_reply(trial, witness, events, frame);
        witness->request++;
        witness->frame = at + 1;
    }
}

void keeper_witness_init(struct keeper_witness *witness, struct keeper_trial *trial,
                         struct heap *heap, struct history_connection *connection)
{
    *witness = (struct keeper_witness){.connection = connection, .moved_ns = UINT64_MAX};
    uint32_t at = 0;
    witness->answers = heap_take(heap, (connection->request_count + 1) * sizeof(uint32_t));
    assert(witness->answers != NULL);
    memset(witness->answers, 0xff, connection->request_count * sizeof(uint32_t));
    for (uint32_t index = 0; index < connection->frame_count; index++) {
        if (connection->frames[index].xid == xid_event)
            continue;
        if (at == connection->request_count ||
            connection->frames[index].xid != connection->requests[at].xid ||
            (at > 0 && connection->requests[at - 1].type == OP_CLOSE_SESSION &&
             connection->frames[witness->answers[at - 1]].code == CODE_OK)) {
            keeper_trial_wrong(trial, "client %u gets an answer to xid %d out of turn",
                               connection->client, connection->frames[index].xid);
            return;
        }
        witness->answers[at++] = index;
    }
}
