#include "server/keeper/learner_sync.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "zab/zab.h"

#include <inttypes.h>
#include <stdio.h>

enum { millisecond_ns = 1000000, turn_slice_count_max = 4, turn_txn_count_max = 256 };

/* The timer outlives a synchronisation that was cancelled. */
struct learner_sync_block {
    struct learner_sync *sync; /* NULL: cancelled. */
    struct heap *heap;
    struct io_op op;
    bool is_in_flight;
};

static void pump(struct learner_sync *sync);

/* ---- turns ---- */

static void on_turn(struct io_op *op, int64_t result)
{
    struct learner_sync_block *block = CONTAINER_OF(op, struct learner_sync_block, op);
    (void)result;
    block->is_in_flight = false;
    if (block->sync == NULL)
        heap_give(block->heap, block);
    else
        pump(block->sync);
}

static void wait_until(struct learner_sync *sync, uint64_t deadline_ns)
{
    struct learner_sync_block *block = sync->block;
    if (block->is_in_flight)
        return;
    block->op = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_turn};
    block->op.timer.deadline_ns = deadline_ns;
    block->is_in_flight = true;
    io_submit(sync->server->shard->io, &block->op);
}

static void wait_for_turn(struct learner_sync *sync)
{
    wait_until(sync, io_next_round_ns(sync->server->shard->io));
}

static bool has_room(const struct learner_sync *sync)
{
    return quorum_link_unsent_bytes(sync->link) < learner_sync_unsent_bytes_max;
}

static void wait_for_room(struct learner_sync *sync)
{
    const uint64_t wait_ns = (uint64_t)learner_sync_poll_ms * millisecond_ns;
    wait_until(sync, io_now_ns(sync->server->shard->io) + wait_ns);
}

void learner_sync_on_room(struct learner_sync *sync)
{
    /* A timer in flight looks by itself. */
    if (sync->step != LEARNER_SYNC_IDLE && !sync->block->is_in_flight)
        wait_for_turn(sync);
    if (sync->step == LEARNER_SYNC_READING && has_room(sync))
        history_reader_resume(&sync->reader);
}

static void stop_streaming(struct learner_sync *sync)
{
    snapshot_writer_deinit(&sync->writer);
    heap_give(sync->server->shard->heap, sync->slice);
    sync->slice = NULL;
}

void learner_sync_cancel(struct learner_sync *sync)
{
    if (sync->step == LEARNER_SYNC_IDLE)
        return;
    history_reader_stop(&sync->reader);
    stop_streaming(sync);
    sync->step = LEARNER_SYNC_IDLE;
    if (sync->block->is_in_flight)
        sync->block->sync = NULL;
    else
        heap_give(sync->block->heap, sync->block);
    sync->block = NULL;
}

/* The learner tries again. */
static void give_up(struct learner_sync *sync, const char *reason)
{
    struct quorum_link *link = sync->link;
    learner_sync_cancel(sync);
    quorum_link_close(link, reason);
}

/* ---- counts ---- */

static void add_in_flight(struct learner_sync *sync, int change)
{
    struct keeper_server *server = sync->server;
    struct ensemble_facts *facts = &server->ensemble;
    struct keeper_summaries *summaries = &server->stats.summaries;
    if (sync->is_snapshot)
        metric_summary_add(&summaries->inflight_snap_count,
                           facts->snapshot_count += (uint32_t)change);
    else
        metric_summary_add(&summaries->inflight_diff_count, facts->diff_count += (uint32_t)change);
}

static void count(struct learner_sync *sync, bool is_snapshot)
{
    struct keeper_counts *counts = &sync->server->stats.counts;
    sync->is_counted = true;
    sync->is_snapshot = is_snapshot;
    counts->snap_count += is_snapshot;
    counts->diff_count += !is_snapshot;
    add_in_flight(sync, 1);
}

void learner_sync_confirm(struct learner_sync *sync)
{
    if (!sync->is_counted)
        return;
    sync->is_counted = false;
    add_in_flight(sync, -1);
}

/* ---- packets ---- */

static void send_packet(struct learner_sync *sync, enum zab_packet_type type, int64_t zxid,
                        struct slice data)
{
    struct zk_quorum_packet packet = {.type = (int32_t)type, .zxid = zxid, .data = data};
    packet.identities.count = -1;
    quorum_link_send(sync->link, &packet);
}

static void send_txn(struct learner_sync *sync, int64_t zxid, struct slice entry)
{
    send_packet(sync, ZAB_PROPOSAL, zxid, entry);
    send_packet(sync, ZAB_COMMIT, zxid, SLICE_NULL);
    sync->zxid = zxid;
    sync->txn_count++;
}

/* ---- the plan ---- */

/* Of the newest snapshot; 0: there is none, or it cannot be found. */
static uint64_t snapshot_bytes(const struct keeper_server *server)
{
    static const enum recovery_compression methods[] = {RECOVERY_PLAIN, RECOVERY_GZIP,
                                                        RECOVERY_SNAPPY};
    char path[keeper_path_bytes_max];
    uint8_t name[recovery_name_bytes_max];
    struct io_file_info info;
    if (server->snapshot.zxid_last < 0)
        return 0;
    const struct slice text =
        recovery_file_name(RECOVERY_FILE_SNAPSHOT, server->snapshot.zxid_last, name);
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        snprintf(path, sizeof path, "%s/%" SLICE_FORMAT "%s", server->snapshot_path,
                 SLICE_ARGS(text), recovery_suffix(methods[i]));
        if (io_file_info(server->shard->io, path, &info) == 0)
            return info.size_bytes;
    }
    return 0;
}

/* Of the files behind the one in which reading would begin. */
static uint64_t journal_bytes_behind(struct keeper_server *server, int64_t zxid)
{
    uint64_t bytes = 0;
    struct journal_segment *segment = journal_segment_at(&server->journal, (uint64_t)zxid);
    while (segment != NULL && (segment = journal_segment_next(segment)) != NULL)
        bytes += max_u64(segment->allocated_bytes, segment->size_bytes);
    return bytes;
}

static bool may_read_journal(struct keeper_server *server, int64_t peer_zxid)
{
    const double factor = server->config.snapshot_size_factor;
    if (factor < 0 || peer_zxid < server->zxid_unreadable)
        return false;
    const double limit = factor * (double)snapshot_bytes(server);
    return limit < 1 || (double)journal_bytes_behind(server, peer_zxid) <= limit;
}

static struct sync_plan_facts facts_of(struct learner_sync *sync)
{
    struct keeper_server *server = sync->server;
    const struct txn_cache *cache = &server->cache;
    const int64_t previous = txn_cache_at(cache, sync->peer_zxid);
    struct txn_cache_entry next;
    const bool has_next = txn_cache_next(cache, sync->peer_zxid, &next);
    return (struct sync_plan_facts){
        .peer = sync->peer_zxid,
        .last = server->keeper.zxid_applied,
        .cache_first = cache->count > 0 ? txn_cache_zxid_first(cache) : sync_plan_none,
        .cache_last = cache->count > 0 ? cache->zxid_last : sync_plan_none,
        .in_cache = {.previous = previous > 0 ? previous : sync_plan_none,
                     .next = has_next ? next.zxid : sync_plan_none},
        .forces_snapshot = server->config.forces_snapshot,
        .may_read_journal = may_read_journal(server, sync->peer_zxid),
    };
}

static void start_streaming(struct learner_sync *sync)
{
    struct keeper_server *server = sync->server;
    sync->slice = heap_take(server->shard->heap, learner_sync_slice_bytes);
    if (sync->slice == NULL ||
        snapshot_writer_init_stream(&sync->writer, &server->keeper) != ERR_OK) {
        give_up(sync, "no memory for a snapshot");
        return;
    }
    count(sync, true);
    sync->step = LEARNER_SYNC_STREAMING;
    send_packet(sync, ZAB_SNAP, sync->writer.zxid, SLICE_NULL);
    wait_for_turn(sync);
}

static void tell(const struct learner_sync *sync, const char *what, int64_t zxid)
{
    diag_info(sync->server->shard->diag,
              "a learner at zxid 0x%" PRIx64 " is sent %s, from 0x%" PRIx64 " to 0x%" PRIx64,
              (uint64_t)sync->peer_zxid, what, (uint64_t)zxid,
              (uint64_t)sync->server->keeper.zxid_applied);
}

static void ask_journal(struct learner_sync *sync);

static void act(struct learner_sync *sync, struct sync_plan plan)
{
    switch (plan.kind) {
    case SYNC_PLAN_ASK_JOURNAL: ask_journal(sync); return;
    case SYNC_PLAN_SNAP:
        tell(sync, "a snapshot", sync->server->keeper.zxid_applied);
        start_streaming(sync);
        return;
    case SYNC_PLAN_DIFF:
    case SYNC_PLAN_TRUNC: break;
    }
    const bool is_cut = plan.kind == SYNC_PLAN_TRUNC;
    tell(sync, is_cut ? "a cut and what it lacks" : "what it lacks", plan.from);
    count(sync, false);
    send_packet(sync, is_cut ? ZAB_TRUNC : ZAB_DIFF, plan.zxid, SLICE_NULL);
    sync->zxid = plan.from;
    sync->step = LEARNER_SYNC_SENDING;
    wait_for_turn(sync);
}

/* ---- the journal ---- */

/* The first transaction behind the learner's last one: the plan is made by it. */
static bool on_asked_entry(struct learner_sync *sync, int64_t zxid, struct slice entry)
{
    const struct sync_plan plan = sync_plan_choose_by_journal(
        &sync->facts,
        (struct sync_plan_neighbours){.previous = sync->reader.zxid_previous, .next = zxid});
    if (plan.kind == SYNC_PLAN_SNAP) {
        history_reader_stop(&sync->reader);
        act(sync, plan);
        return false;
    }
    act(sync, plan);
    sync->step = LEARNER_SYNC_READING;
    send_txn(sync, zxid, entry);
    return true;
}

static bool on_entry(void *context, int64_t zxid, struct slice entry)
{
    struct learner_sync *sync = context;
    if (sync->step == LEARNER_SYNC_ASKING)
        return on_asked_entry(sync, zxid, entry);
    send_txn(sync, zxid, entry);
    if (has_room(sync))
        return true;
    wait_for_room(sync);
    return false;
}

static void on_journal_missing(struct learner_sync *sync, enum err err)
{
    struct keeper_server *server = sync->server;
    diag_warn(server->shard->diag,
              "the journal cannot be read from zxid 0x%" PRIx64
              " on (%s): learners that lack so much are sent snapshots",
              (uint64_t)sync->reader.zxid_last, err_text(err));
    server->zxid_unreadable =
        max_i64(server->zxid_unreadable, max_i64(sync->zxid, sync->peer_zxid) + 1);
    give_up(sync, "the journal cannot be read; a snapshot comes at the next try");
}

static void on_journal_done(void *context, enum err err)
{
    struct learner_sync *sync = context;
    if (sync->step == LEARNER_SYNC_ASKING) {
        const struct sync_plan_neighbours found = {
            .previous = err == ERR_OK ? sync->reader.zxid_previous : sync_plan_none,
            .next = sync_plan_none};
        act(sync, sync_plan_choose_by_journal(&sync->facts, found));
        return;
    }
    if (err != ERR_OK || sync->reader.zxid_last < sync->reader.to) {
        on_journal_missing(sync, err != ERR_OK ? err : ERR_NOT_FOUND);
        return;
    }
    sync->step = LEARNER_SYNC_SENDING;
    wait_for_turn(sync);
}

static void read_journal(struct learner_sync *sync, int64_t from, int64_t to,
                         enum learner_sync_step step)
{
    struct keeper_server *server = sync->server;
    const struct history_reader_handler handler = {
        .on_entry = on_entry, .on_done = on_journal_done, .context = sync};
    const enum err err =
        history_reader_start(&sync->reader, &server->journal, server->shard->heap,
                             (struct history_reader_range){.from = from, .to = to}, handler);
    sync->step = step;
    if (err != ERR_OK)
        give_up(sync, "no memory to read the journal");
}

static void ask_journal(struct learner_sync *sync)
{
    read_journal(sync, sync->peer_zxid, sync->facts.last, LEARNER_SYNC_ASKING);
}

/* ---- going on ---- */

static void send_signature(struct learner_sync *sync)
{
    enum { signature_bytes = sizeof LEARNER_SYNC_SIGNATURE - 1 };
    uint8_t bytes[sizeof(int32_t) + signature_bytes];
    store_i32(bytes, signature_bytes);
    memcpy(bytes + sizeof(int32_t), LEARNER_SYNC_SIGNATURE, signature_bytes);
    quorum_link_send_raw(sync->link, slice_of(bytes, sizeof bytes));
}

static void stream(struct learner_sync *sync)
{
    for (int i = 0; i < turn_slice_count_max && has_room(sync); i++) {
        size_t size;
        const enum err err =
            snapshot_writer_next(&sync->writer, sync->slice, learner_sync_slice_bytes, &size);
        if (err != ERR_OK) {
            give_up(sync, "no memory for a large znode of a snapshot");
            return;
        }
        if (size == 0) {
            send_signature(sync);
            sync->zxid = sync->writer.zxid;
            stop_streaming(sync);
            sync->step = LEARNER_SYNC_SENDING;
            break;
        }
        quorum_link_send_raw(sync->link, slice_of(sync->slice, size));
    }
    if (has_room(sync))
        wait_for_turn(sync);
    else
        wait_for_room(sync);
}

static void finish(struct learner_sync *sync)
{
    struct quorum_link *link = sync->link;
    const int64_t zxid = sync->zxid;
    learner_sync_cancel(sync);
    sync->done(sync->context, link, zxid);
}

/* The newest ones are in memory, those before them in the journal. */
static void send_more(struct learner_sync *sync)
{
    const struct keeper_server *server = sync->server;
    struct txn_cache_entry entry;
    for (int i = 0; i < turn_txn_count_max && has_room(sync); i++) {
        if (sync->zxid >= server->keeper.zxid_applied) {
            finish(sync);
            return;
        }
        if (sync->zxid < server->cache.zxid_before) {
            read_journal(sync, sync->zxid, server->keeper.zxid_applied, LEARNER_SYNC_READING);
            return;
        }
        if (!txn_cache_next(&server->cache, sync->zxid, &entry)) {
            /* What is applied is the beginning of an epoch: no transaction. */
            assert((uint32_t)server->keeper.zxid_applied == 0);
            finish(sync);
            return;
        }
        send_txn(sync, entry.zxid, entry.bytes);
    }
    if (has_room(sync))
        wait_for_turn(sync);
    else
        wait_for_room(sync);
}

static void pump(struct learner_sync *sync)
{
    switch (sync->step) {
    case LEARNER_SYNC_PLAN:
        sync->facts = facts_of(sync);
        act(sync, sync_plan_choose(&sync->facts));
        return;
    case LEARNER_SYNC_STREAMING: stream(sync); return;
    case LEARNER_SYNC_SENDING: send_more(sync); return;
    case LEARNER_SYNC_READING:
        if (has_room(sync))
            history_reader_resume(&sync->reader);
        else
            wait_for_room(sync);
        return;
    case LEARNER_SYNC_ASKING:
    case LEARNER_SYNC_IDLE: return;
    }
}

enum err learner_sync_start(struct learner_sync *sync, struct keeper_server *server,
                            struct quorum_link *link, int64_t peer_zxid,
                            void (*done)(void *context, struct quorum_link *link, int64_t zxid),
                            void *context)
{
    assert(sync->step == LEARNER_SYNC_IDLE && server->cache.heap != NULL);
    struct heap *heap = server->shard->heap;
    *sync = (struct learner_sync){
        .server = server, .link = link, .peer_zxid = peer_zxid, .done = done, .context = context};
    sync->block = heap_take(heap, sizeof *sync->block);
    if (sync->block == NULL)
        return ERR_NO_MEMORY;
    *sync->block = (struct learner_sync_block){.sync = sync, .heap = heap};
    sync->step = LEARNER_SYNC_PLAN;
    wait_for_turn(sync);
    return ERR_OK;
}
