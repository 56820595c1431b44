#include "sim/keeper_judge.h"

#include "base/assert.h"
#include "keeper/txn_codec.h"
#include "sim/keeper_witness.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    log_count_max = 256,
    log_arena_bytes = 64 << 20,
    slack_ms = 2000,
};

static const uint64_t ns_per_ms = 1000000;

struct judge {
    const struct keeper_judge_options *options;
    struct heap *heap;
    struct keeper_trial trial;
    struct keeper_witness **witnesses; /* Of each connection. */
    struct arena arena;                /* Of the transactions. */
    struct txn *txns;
    int64_t txn_count;
};

/* ---- The log. ---- */

struct log_names {
    uint64_t zxids[log_count_max];
    uint32_t count;
};

static void on_name(void *context, const char *name)
{
    struct log_names *names = context;
    unsigned long long zxid;
    if (sscanf(name, "log.%llx", &zxid) != 1)
        return;
    assert(names->count < log_count_max);
    uint32_t at = names->count++;
    for (; at > 0 && names->zxids[at - 1] > zxid; at--)
        names->zxids[at] = names->zxids[at - 1];
    names->zxids[at] = zxid;
}

static void load_record(struct judge *judge, struct slice entry, const char *path)
{
    struct txn txn;
    if (txn_codec_decode_entry(entry, &judge->arena, &txn) != ERR_OK) {
        keeper_trial_wrong(&judge->trial, "%s: the record after zxid %" PRId64 " is malformed",
                           path, judge->txn_count);
        return;
    }
    if (txn.zxid != judge->txn_count + 1) {
        keeper_trial_wrong(&judge->trial, "%s: zxid %" PRId64 " follows %" PRId64, path, txn.zxid,
                           judge->txn_count);
        return;
    }
    assert(judge->txn_count < history_zxid_count_max);
    judge->txns[judge->txn_count++] = txn;
}

static void load_file(struct judge *judge, uint64_t zxid)
{
    char path[128];
    struct slice entry;
    size_t size;
    snprintf(path, sizeof path, "%s/log.%" PRIx64, judge->options->folder, zxid);
    struct slice bytes = sim_disk_peek(judge->options->disk, path);
    if (bytes.size < txn_file_header_bytes)
        return; /* Made, and never written to. */
    bytes = slice_skip(bytes, txn_file_header_bytes);
    while (!judge->trial.is_wrong && txn_codec_read_record(bytes, &entry, &size) == TXN_RECORD_OK) {
        load_record(judge, entry, path);
        bytes = slice_skip(bytes, size);
    }
}

static void load_log(struct judge *judge)
{
    struct log_names names = {0};
    const int listed = sim_disk_list(judge->options->disk, judge->options->folder, on_name, &names);
    if (listed < 0)
        keeper_trial_wrong(&judge->trial, "%s is gone", judge->options->folder);
    for (uint32_t index = 0; index < names.count && !judge->trial.is_wrong; index++)
        load_file(judge, names.zxids[index]);
    if (!judge->trial.is_wrong && judge->trial.history->zxid_applied > judge->txn_count)
        keeper_trial_wrong(&judge->trial,
                           "the server has shown zxid %" PRId64 ", but the log ends at %" PRId64,
                           judge->trial.history->zxid_applied, judge->txn_count);
}

/* ---- Transactions. ---- */

/* The request of a transaction. NULL: nobody sent it. */
static struct history_request *find_request(struct judge *judge, const struct txn *txn,
                                            struct keeper_witness **who)
{
    for (uint32_t index = 0; index < judge->trial.history->connection_count; index++) {
        struct keeper_witness *witness = judge->witnesses[index];
        const struct history_connection *connection = witness->connection;
        if (connection->outcome != HISTORY_OPEN || connection->session_id != txn->session_id)
            continue;
        for (uint32_t at = witness->logged; at < connection->request_count; at++) {
            struct history_request *request = &connection->requests[at];
            if (request->xid != txn->cxid || !keeper_trial_is_write(request->type))
                continue;
            witness->logged = at + 1;
            *who = witness;
            return request;
        }
    }
    return NULL;
}

/* Later connections of a session take over: of an older one nothing is done that was sent after
 * that, or behind what a later one has done. */
static bool has_moved_on(const struct judge *judge, const struct keeper_witness *who,
                         const struct history_request *request)
{
    bool is_later = false;
    for (uint32_t index = 0; index < judge->trial.history->connection_count; index++) {
        const struct keeper_witness *witness = judge->witnesses[index];
        if (is_later && witness->connection->session_id == who->connection->session_id &&
            witness->logged > 0)
            return true;
        is_later |= witness == who;
    }
    return request->sent_ns > who->moved_ns;
}

static int32_t min_i32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t clamp_timeout(const struct judge *judge, int32_t timeout_ms)
{
    const struct model_options *options = &judge->options->model;
    if (timeout_ms < options->timeout_ms_min)
        return options->timeout_ms_min;
    return min_i32(timeout_ms, options->timeout_ms_max);
}

/* Whether a request was certainly taken for a sign of life, before a transaction: its answer says
 * that the session was not ending. */
static bool was_heard(const struct keeper_witness *witness, uint32_t index, int64_t zxid)
{
    const struct history_request *request = &witness->connection->requests[index];
    const uint32_t answer = witness->answers[index];
    if (answer == UINT32_MAX)
        return false;
    const struct history_frame *frame = &witness->connection->frames[answer];
    if (keeper_trial_is_write(request->type))
        return request->zxid != 0 && request->zxid < zxid && frame->code != CODE_SESSION_EXPIRED;
    return frame->zxid > 0 && frame->zxid < zxid && frame->code != CODE_SESSION_EXPIRED;
}

/* When the session was certainly heard last, before a transaction. */
static uint64_t heard_ns(const struct judge *judge, int64_t session_id, int64_t zxid,
                         int32_t *timeout_ms)
{
    const uint64_t limit_ns = judge->trial.history->prepared_ns[zxid];
    uint64_t heard = 0;
    for (uint32_t index = 0; index < judge->trial.history->life_count; index++)
        if (judge->trial.history->up_ns[index] <
            limit_ns) /* At its start it was not decided, but found. */
            heard = max_u64(heard, judge->trial.history->up_ns[index]);
    for (uint32_t index = 0; index < judge->trial.history->connection_count; index++) {
        const struct keeper_witness *witness = judge->witnesses[index];
        const struct history_connection *connection = witness->connection;
        /* Whoever asked to resume it, even in vain, may have changed its timeout. */
        if (connection->asked_session_id == session_id)
            *timeout_ms = min_i32(*timeout_ms, clamp_timeout(judge, connection->asked_timeout_ms));
        if (connection->outcome != HISTORY_OPEN || connection->session_id != session_id)
            continue;
        *timeout_ms = min_i32(*timeout_ms, connection->timeout_ms);
        if (connection->answered_ns <= limit_ns)
            heard = max_u64(heard, connection->dialled_ns);
        for (uint32_t at = 0; at < connection->request_count; at++)
            if (was_heard(witness, at, zxid))
                heard = max_u64(heard, connection->requests[at].sent_ns);
    }
    return heard;
}

static void judge_expiry(struct judge *judge, const struct txn *txn)
{
    const struct model_session *session =
        keeper_model_session(&judge->trial.model, txn->session_id);
    if (session == NULL || session->closed_zxid != 0)
        return; /* Nobody's; or once more. */
    int32_t timeout_ms = session->timeout_ms;
    const uint64_t heard = heard_ns(judge, txn->session_id, txn->zxid, &timeout_ms);
    const uint64_t ended = judge->trial.history->prepared_ns[txn->zxid];
    const uint64_t timeout_ns = (uint64_t)timeout_ms * ns_per_ms;
    if (ended < heard + timeout_ns - timeout_ns / 500)
        keeper_trial_wrong(&judge->trial,
                           "session 0x%" PRIx64 " (%d ms) ends at zxid %" PRId64 ", heard %" PRId64
                           " ms before",
                           (uint64_t)txn->session_id, timeout_ms, txn->zxid,
                           ((int64_t)ended - (int64_t)heard) / (int64_t)ns_per_ms);
}

static void judge_close(struct judge *judge, const struct txn *txn,
                        const struct history_request *request)
{
    const struct wire_array paths = {(void *)(uintptr_t)txn->op.paths.items, txn->op.paths.count};
    if (request == NULL)
        judge_expiry(judge, txn);
    if (!keeper_model_close_session(&judge->trial.model, txn->session_id, paths, txn->zxid))
        keeper_trial_wrong(&judge->trial,
                           "zxid %" PRId64 " ends session 0x%" PRIx64
                           ", but names not its ephemerals",
                           txn->zxid, (uint64_t)txn->session_id);
    judge->trial.answers =
        (struct model_answers){.count = 1, .items = {{.type = OP_CLOSE_SESSION}}};
}

static void judge_open(struct judge *judge, const struct txn *txn)
{
    const struct model_options *options = &judge->options->model;
    if (keeper_model_session(&judge->trial.model, txn->session_id) != NULL)
        keeper_trial_wrong(&judge->trial, "zxid %" PRId64 " gives session id 0x%" PRIx64 " again",
                           txn->zxid, (uint64_t)txn->session_id);
    if (txn->op.timeout_ms < options->timeout_ms_min ||
        txn->op.timeout_ms > options->timeout_ms_max)
        keeper_trial_wrong(&judge->trial, "zxid %" PRId64 ": a session of %d ms", txn->zxid,
                           txn->op.timeout_ms);
    keeper_model_open_session(&judge->trial.model, txn->session_id, txn->op.timeout_ms, txn->zxid);
}

static void judge_reap(struct judge *judge, const struct txn *txn)
{
    char path[model_path_bytes];
    MODEL_TEXT(path, txn->op.path);
    const struct model_reap reap = {path, txn->zxid,
                                    keeper_trial_seen_zxid(&judge->trial, txn->zxid), txn->time_ms};
    const char *why = txn->session_id != 0 ? "is deleted for somebody"
                                           : keeper_model_reap(&judge->trial.model, &reap);
    if (why != NULL)
        keeper_trial_wrong(&judge->trial, "zxid %" PRId64 " reaps %s, which %s", txn->zxid, path,
                           why);
}

/* What the log says: its codes, and the names that were given. */
static void compare_logged(struct judge *judge, const struct txn *txn, const struct txn_op *op,
                           const struct model_answer *answer, struct slice path)
{
    const int32_t code = op->type == OP_ERROR ? op->code : CODE_OK;
    if (code != answer->code)
        keeper_trial_wrong(&judge->trial,
                           "zxid %" PRId64 " (%s %" SLICE_FORMAT
                           "): the log says %d (%s), not %d (%s)",
                           txn->zxid, op_name(answer->type), SLICE_ARGS(path), code,
                           code_name(code), answer->code, code_name(answer->code));
    else if (op->type != OP_ERROR && answer->path[0] != '\0' &&
             !slice_equal_text(op->path, answer->path))
        keeper_trial_wrong(&judge->trial, "zxid %" PRId64 " creates %" SLICE_FORMAT ", not %s",
                           txn->zxid, SLICE_ARGS(op->path), answer->path);
}

static void judge_request(struct judge *judge, const struct txn *txn,
                          const struct keeper_witness *who, const struct history_request *request)
{
    struct model_ids ids;
    int32_t logged_codes[model_part_count_max] = {0};
    const struct txn_op *ops = txn->op.type == OP_MULTI ? txn->ops : &txn->op;
    const int32_t op_count = txn->op.type == OP_MULTI ? txn->op_count : 1;
    assert(op_count <= model_part_count_max);
    for (int32_t index = 0; index < op_count; index++)
        logged_codes[index] = ops[index].type == OP_ERROR ? ops[index].code : CODE_OK;
    keeper_witness_ids(&judge->trial, who, (uint32_t)(request - who->connection->requests), &ids);
    const struct model_request work = {.session_id = txn->session_id,
                                       .type = request->type,
                                       .body = request->body,
                                       .ids = &ids,
                                       .zxid = txn->zxid,
                                       .time_ms = txn->time_ms,
                                       .applied_zxid =
                                           keeper_trial_seen_zxid(&judge->trial, txn->zxid),
                                       .logged_codes = logged_codes};
    keeper_model_write(&judge->trial.model, &work, &judge->trial.answers);
    if ((uint32_t)op_count != judge->trial.answers.count)
        keeper_trial_wrong(&judge->trial, "zxid %" PRId64 " has %d parts, not %u", txn->zxid,
                           op_count, judge->trial.answers.count);
    for (int32_t index = 0; index < op_count && !judge->trial.is_wrong; index++)
        compare_logged(judge, txn, &ops[index], &judge->trial.answers.items[index],
                       keeper_trial_path(request));
}

static void judge_txn(struct judge *judge, const struct txn *txn)
{
    struct keeper_witness *who = NULL;
    judge->trial.zxid = txn->zxid;
    judge->trial.model.trigger_count = 0;
    judge->trial.answers_session_id = txn->session_id;
    judge->trial.count.transactions++;
    if (txn->op.type == OP_CREATE_SESSION) {
        judge_open(judge, txn);
        return;
    }
    if (txn->op.type == OP_DELETE_CONTAINER) {
        judge_reap(judge, txn);
        return;
    }
    /* The reaper may try again what it has begun already. */
    if (txn->session_id == 0 && txn->op.type == OP_ERROR)
        return;
    struct history_request *request = find_request(judge, txn, &who);
    if (request != NULL) {
        request->zxid = txn->zxid;
        judge->trial.count.undecided +=
            who->answers[request - who->connection->requests] == UINT32_MAX;
        if (keeper_trial_applied_ns(&judge->trial, txn->zxid) < request->sent_ns)
            keeper_trial_wrong(&judge->trial, "zxid %" PRId64 " was there before it was asked for",
                               txn->zxid);
    }
    if (txn->op.type == OP_CLOSE_SESSION) {
        judge_close(judge, txn, request);
    } else if (request == NULL) {
        keeper_trial_wrong(&judge->trial,
                           "zxid %" PRId64 " (%s, session 0x%" PRIx64
                           ", xid %d) is what nobody asked for",
                           txn->zxid, op_name(txn->op.type), (uint64_t)txn->session_id, txn->cxid);
    } else if (has_moved_on(judge, who, request)) {
        if (txn->op.type != OP_ERROR || txn->op.code != CODE_SESSION_MOVED)
            keeper_trial_wrong(&judge->trial,
                               "zxid %" PRId64 " is of a connection whose session has moved",
                               txn->zxid);
    } else {
        judge_request(judge, txn, who, request);
    }
}

/* ---- Connections. ---- */

/* An answer to a connect request that must not be. */
static void judge_dial(struct judge *judge, const struct keeper_witness *witness)
{
    const struct history_connection *connection = witness->connection;
    const int32_t timeout_ms = clamp_timeout(judge, connection->asked_timeout_ms);
    uint8_t password[16];
    keeper_model_password(connection->session_id, password);
    if (connection->outcome != HISTORY_NO_ANSWER && connection->has_future_zxid)
        keeper_trial_wrong(&judge->trial, "client %u has seen the future and is answered",
                           connection->client);
    if (connection->outcome != HISTORY_OPEN)
        return;
    if (connection->has_wrong_password)
        keeper_trial_wrong(&judge->trial, "client %u resumes a session with a wrong password",
                           connection->client);
    if (connection->asked_session_id != 0 && connection->session_id != connection->asked_session_id)
        keeper_trial_wrong(&judge->trial, "client %u resumes another session than its own",
                           connection->client);
    if (connection->timeout_ms != timeout_ms)
        keeper_trial_wrong(&judge->trial, "client %u asks for %d ms and gets %d, not %d",
                           connection->client, connection->asked_timeout_ms, connection->timeout_ms,
                           timeout_ms);
    if (memcmp(password, connection->password, sizeof password) != 0)
        keeper_trial_wrong(&judge->trial, "session 0x%" PRIx64 " has a password of its own",
                           (uint64_t)connection->session_id);
}

/* With the whole log known: what was opened, resumed and refused. */
static void judge_session(struct judge *judge, const struct keeper_witness *witness)
{
    const struct history_connection *connection = witness->connection;
    const int64_t id =
        connection->outcome == HISTORY_OPEN ? connection->session_id : connection->asked_session_id;
    if (connection->outcome == HISTORY_NO_ANSWER || connection->has_wrong_password)
        return;
    const struct model_session *session = keeper_model_session(&judge->trial.model, id);
    if (session == NULL) {
        keeper_trial_wrong(&judge->trial, "session 0x%" PRIx64 " is not in the log", (uint64_t)id);
        return;
    }
    const uint64_t ended = session->closed_zxid == 0
                               ? UINT64_MAX
                               : keeper_trial_applied_ns(&judge->trial, session->closed_zxid);
    if (connection->outcome == HISTORY_OPEN && ended < connection->dialled_ns)
        keeper_trial_wrong(&judge->trial,
                           "client %u resumes session 0x%" PRIx64 ", which had ended",
                           connection->client, (uint64_t)id);
    if (connection->outcome == HISTORY_REFUSED && ended == UINT64_MAX)
        keeper_trial_wrong(&judge->trial,
                           "client %u is refused session 0x%" PRIx64 ", which never ends",
                           connection->client, (uint64_t)id);
}

static void add_witness(struct judge *judge, uint32_t index)
{
    struct keeper_witness *witness = heap_take(judge->heap, sizeof *witness);
    struct history_connection *connection = judge->trial.history->connections[index];
    assert(witness != NULL);
    judge->witnesses[index] = witness;
    keeper_witness_init(witness, &judge->trial, judge->heap, connection);
    for (int64_t at = 0; at < judge->txn_count; at++)
        witness->may_be_ending |= judge->txns[at].op.type == OP_CLOSE_SESSION &&
                                  judge->txns[at].session_id == connection->session_id;
    judge_dial(judge, witness);
    for (uint32_t before = 0; before < index; before++)
        if (connection->outcome == HISTORY_OPEN &&
            judge->witnesses[before]->connection->session_id == connection->session_id)
            judge->witnesses[before]->moved_ns =
                min_u64(judge->witnesses[before]->moved_ns, connection->answered_ns);
}

/* ---- The end. ---- */

static void judge_leftovers(struct judge *judge, const struct keeper_witness *witness)
{
    const struct history_connection *connection = witness->connection;
    if (witness->frame < connection->frame_count)
        keeper_trial_wrong(
            &judge->trial,
            "client %u has an answer or event of zxid %" PRId64 ", but the log ends at %" PRId64,
            connection->client, connection->frames[witness->frame].zxid, judge->txn_count);
}

/* Sessions that nobody keeps alive, and empty containers, are gone some time after the last fault.
 */
static void judge_forgotten(struct judge *judge)
{
    const struct keeper_judge_options *options = judge->options;
    const uint64_t tick_ns = options->tick_ms * ns_per_ms;
    /* A start renews every session. */
    const uint64_t awake_ns = max_u64(
        options->quiet_ns, judge->trial.history->up_ns[judge->trial.history->life_count - 1]);
    for (uint32_t index = 0; index < judge->trial.model.session_count; index++) {
        const struct model_session *session = &judge->trial.model.sessions[index];
        uint64_t heard =
            max_u64(awake_ns, keeper_trial_applied_ns(&judge->trial, session->created_zxid));
        int32_t timeout_ms = session->timeout_ms;
        for (uint32_t at = 0; at < judge->trial.history->connection_count; at++) {
            const struct history_connection *connection = judge->witnesses[at]->connection;
            if (connection->session_id != session->id &&
                connection->asked_session_id != session->id)
                continue;
            heard = max_u64(heard, connection->closed_ns);
            if (connection->timeout_ms > timeout_ms)
                timeout_ms = connection->timeout_ms;
        }
        if (session->closed_zxid == 0 && heard < options->end_ns &&
            heard + ((uint64_t)timeout_ms + slack_ms) * ns_per_ms + 2 * tick_ns < options->end_ns)
            keeper_trial_wrong(
                &judge->trial, "session 0x%" PRIx64 " (%d ms) is still there %" PRIu64 " ms later",
                (uint64_t)session->id, timeout_ms, (options->end_ns - heard) / ns_per_ms);
    }
    const uint64_t interval_ns = (2 * options->reap_interval_ms + slack_ms) * ns_per_ms;
    for (uint32_t index = 0; index < judge->trial.model.znode_count; index++) {
        const struct model_znode *znode = &judge->trial.model.znodes[index];
        const uint64_t since =
            max_u64(keeper_trial_applied_ns(&judge->trial, znode->childless_zxid), awake_ns);
        struct zk_stat stat = {0};
        struct model_answer answer;
        static const struct model_ids super = {.items = {{"super", ""}}, .count = 1};
        const struct model_request request = {.ids = &super};
        keeper_model_read(&judge->trial.model, &request, OP_EXISTS, znode->path, &answer);
        stat = answer.stat;
        if (stat.num_children > 0 || since + interval_ns + 2 * tick_ns > options->end_ns)
            continue;
        if ((znode->kind == MODEL_CONTAINER && znode->creates > 0) ||
            (znode->kind == MODEL_TTL && options->end_wall_ms - znode->mtime >
                                             znode->ttl_ms + (int64_t)(interval_ns / ns_per_ms)))
            keeper_trial_wrong(&judge->trial, "%s should have been reaped", znode->path);
    }
}

static void walk(struct judge *judge)
{
    for (int64_t index = 0; index < judge->txn_count && !judge->trial.is_wrong; index++) {
        judge_txn(judge, &judge->txns[index]);
        for (uint32_t at = 0; at < judge->trial.history->connection_count && !judge->trial.is_wrong;
             at++) {
            for (uint32_t trigger = 0; trigger < judge->trial.model.trigger_count; trigger++)
                keeper_witness_expect(&judge->trial, judge->witnesses[at],
                                      &judge->trial.model.triggers[trigger]);
            keeper_witness_pump(&judge->trial, judge->witnesses[at]);
        }
    }
    for (uint32_t at = 0; at < judge->trial.history->connection_count && !judge->trial.is_wrong;
         at++) {
        judge_leftovers(judge, judge->witnesses[at]);
        judge_session(judge, judge->witnesses[at]);
    }
    if (!judge->trial.is_wrong)
        judge_forgotten(judge);
}

bool keeper_judge(const struct keeper_judge_options *options, struct heap *heap,
                  struct keeper_judge_count *count, char why[keeper_judge_why_bytes])
{
    struct judge *judge = heap_take_zeroed(heap, sizeof *judge);
    assert(judge != NULL);
    judge->options = options;
    judge->trial.history = options->history;
    judge->heap = heap;
    judge->trial.why = why;
    const uint32_t connection_count = options->history->connection_count;
    judge->witnesses = heap_take_zeroed(heap, (connection_count + 1) * sizeof *judge->witnesses);
    judge->txns = heap_take(heap, history_zxid_count_max * sizeof *judge->txns);
    uint8_t *memory = heap_take(heap, log_arena_bytes);
    assert(judge->witnesses != NULL && judge->txns != NULL && memory != NULL);
    arena_init(&judge->arena, memory, log_arena_bytes);
    keeper_model_init(&judge->trial.model, heap, options->model);
    load_log(judge);
    for (uint32_t index = 0; index < connection_count; index++)
        add_witness(judge, index);
    if (!judge->trial.is_wrong)
        walk(judge);
    const bool is_right = !judge->trial.is_wrong;
    *count = judge->trial.count;
    for (uint32_t index = 0; index < connection_count; index++) {
        heap_give(heap, judge->witnesses[index]->answers);
        heap_give(heap, judge->witnesses[index]);
    }
    keeper_model_deinit(&judge->trial.model);
    heap_give(heap, memory);
    heap_give(heap, judge->txns);
    heap_give(heap, judge->witnesses);
    heap_give(heap, judge);
    return is_right;
}
