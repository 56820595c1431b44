#include "server/broker/replica_move.h"

#include "base/assert.h"
#include "broker/kafka_error.h"
#include "server/broker/broker_server.h"
#include "server/broker/partition_cut.h"
#include "server/broker/partition_future.h"

enum {
    poll_ms = 1,
    cut_poll_ms = 10,
    pause_ms = 1000, /* Before what a full disk did not take is tried again. */
};

void replica_move_wait(struct replica_move *move, uint64_t wait_ms)
{
    delay_queue_add(&move->moves->server->delays, &move->delay, wait_ms);
}

static void on_delay(struct delay *delay)
{
    replica_move_pump(CONTAINER_OF(delay, struct replica_move, delay));
}

/* ---- Turns. ---- */

static bool has_buffer(struct replica_move *move)
{
    if (move->buffer != NULL)
        return true;
    move->buffer = heap_take(move->moves->server->heap, replica_move_round_bytes);
    move->buffer_bytes = move->buffer == NULL ? 0 : replica_move_round_bytes;
    return move->buffer != NULL;
}

static void start_waiting(struct replica_moves *moves)
{
    while (!moves->is_stopping && moves->running_count < replica_move_running_max &&
           !list_empty(&moves->waiting)) {
        struct replica_move *next =
            CONTAINER_OF(list_pop(&moves->waiting), struct replica_move, turn);
        next->is_running = true;
        moves->running_count++;
        replica_move_wait(next, 0);
    }
}

static void end_turn(struct replica_move *move)
{
    list_remove(&move->turn);
    if (!move->is_running)
        return;
    heap_give(move->moves->server->heap, move->buffer);
    move->buffer = NULL;
    move->buffer_bytes = 0;
    move->is_running = false;
    move->moves->running_count--;
    start_waiting(move->moves);
}

/* ---- Again, later. ---- */

void replica_move_retry(struct replica_move *move, uint64_t wait_ms)
{
    const bool was_frozen = move->is_frozen;
    move->step = MOVE_COMPARE;
    move->is_near = false;
    move->is_frozen = false;
    replica_move_wait(move, wait_ms);
    if (!was_frozen)
        return;
    move->source->is_frozen = false;
    move->source->busy_count--;
    log_directory_on_idle(move->source->directory, move->source);
    partition_table_thaw(move->partition);
}

void replica_move_pause(struct replica_move *move, const char *why)
{
    if (!move->has_told_pause)
        diag_warn(move->moves->server->diag, "%s: %s; the move goes on later", move->copy->path,
                  why);
    move->has_told_pause = true;
    replica_move_retry(move, pause_ms);
}

bool replica_move_is_lost(const struct partition_store *store)
{
    return store->offline_reason != NULL || log_directory_is_offline(store->directory);
}

/* ---- Life. ---- */

struct replica_move *replica_move_take(struct replica_moves *moves, struct partition *partition,
                                       struct log_directory *target)
{
    struct replica_move *move = heap_take_zeroed(moves->server->heap, sizeof *move);
    if (move == NULL)
        return NULL;
    move->moves = moves;
    move->partition = partition;
    move->target = target;
    move->wished = target;
    move->delay.expired = on_delay;
    list_init(&move->turn);
    list_init(&move->orders);
    list_push(&moves->moves, &move->link);
    partition->move = move;
    return move;
}

void replica_move_answer(struct list *orders, enum error_code code)
{
    for (struct list *link = list_pop(orders); link != NULL; link = list_pop(orders)) {
        struct move_order *order = CONTAINER_OF(link, struct move_order, link);
        order->done(order, code);
    }
}

void replica_move_finish(struct replica_move *move)
{
    assert(!move->is_busy && !move->is_frozen);
    struct replica_moves *moves = move->moves;
    replica_move_answer(&move->orders, KAFKA_KAFKA_STORAGE_ERROR);
    end_turn(move);
    delay_queue_remove(&moves->server->delays, &move->delay);
    if (move->partition != NULL)
        move->partition->move = NULL;
    moves->orphan_count += move->copy != NULL;
    list_remove(&move->link);
    heap_give(moves->server->heap, move);
}

static void on_removed(void *context, enum err err)
{
    struct replica_move *move = context;
    (void)err; /* The directory has told. */
    move->is_busy = false;
    replica_move_pump(move);
}

/* The copy goes; then the move is over, or begins in another directory. */
void replica_move_remove_copy(struct replica_move *move)
{
    struct partition_store *copy = move->copy;
    end_turn(move);
    move->step = MOVE_REMOVE;
    move->copy = NULL;
    if (copy == NULL)
        return;
    move->is_busy = true;
    log_directory_delete(move->target, copy, on_removed, move);
}

static void after_removal(struct replica_move *move)
{
    struct partition *partition = move->partition;
    struct log_directory *wished = move->wished;
    if (partition == NULL || wished == NULL || wished == partition->directory ||
        log_directory_is_offline(wished) || move->moves->is_stopping) {
        replica_move_finish(move);
        return;
    }
    move->target = wished;
    replica_move_make(move);
}

/* ---- The copy is made. ---- */

void replica_move_await_turn(struct replica_move *move)
{
    move->step = MOVE_COMPARE;
    list_push(&move->moves->waiting, &move->turn);
    start_waiting(move->moves);
}

static void on_made(void *context, enum err err, struct partition_store *store)
{
    struct replica_move *move = context;
    move->is_busy = false;
    move->copy = store;
    if (err != ERR_OK) {
        diag_error(move->moves->server->diag, "%s: a replica cannot be moved there: %s",
                   move->target->options.path, err_text(err));
        if (move->wished == move->target)
            move->wished = NULL;
        after_removal(move);
        return;
    }
    partition_store_set_replicated(store, true);
    if (move->wished == move->target)
        replica_move_answer(&move->orders, KAFKA_NONE);
    replica_move_await_turn(move);
    replica_move_pump(move);
}

void replica_move_make(struct replica_move *move)
{
    const struct partition *partition = move->partition;
    struct partition_spec spec = {.topic = partition->topic,
                                  .partition = partition->index,
                                  .id = partition->store->id,
                                  .config = partition->config,
                                  .is_future = true};
    move->step = MOVE_MAKE;
    move->is_busy = true;
    log_directory_create(move->target, spec, on_made, move);
}

/* ---- Compare. ---- */

struct cutting {
    struct partition_cut cut;
    struct replica_move *move;
};

static void on_cut(struct partition_cut *cut, enum error_code code)
{
    struct cutting *cutting = CONTAINER_OF(cut, struct cutting, cut);
    struct replica_move *move = cutting->move;
    (void)code; /* A copy that cannot be cut is offline. */
    heap_give(move->moves->server->heap, cutting);
    move->is_busy = false;
    move->step = MOVE_COMPARE;
    replica_move_pump(move);
}

static void cut(struct replica_move *move, int64_t offset, bool begins_anew)
{
    struct cutting *cutting = heap_take_zeroed(move->moves->server->heap, sizeof *cutting);
    if (cutting == NULL) {
        replica_move_wait(move, pause_ms);
        return;
    }
    cutting->move = move;
    cutting->cut =
        (struct partition_cut){.offset = offset, .begins_anew = begins_anew, .done = on_cut};
    move->is_busy = true;
    partition_store_cut(move->copy, &cutting->cut);
}

static void compare(struct replica_move *move)
{
    int64_t offset;
    bool begins_anew;
    move->source = move->partition->store;
    move->cut_count = move->source->cut_count;
    if (partition_future_diverges(move->source, move->copy, &offset, &begins_anew)) {
        cut(move, offset, begins_anew);
        return;
    }
    move->step = MOVE_COPY;
    replica_move_pump(move);
}

/* ---- Copy. ---- */

static void end_read(struct replica_move *move)
{
    if (move->read.users != NULL)
        (*move->read.users)--;
    move->read.users = NULL;
    move->source->busy_count--;
    log_directory_on_idle(move->source->directory, move->source);
    move->is_busy = false;
}

static void give_up(struct replica_move *move, enum error_code code)
{
    diag_error(move->moves->server->diag, "%s: the replica cannot be moved there: %s",
               move->copy->path, kafka_error_name((int16_t)code));
    move->wished = NULL;
    replica_move_pump(move);
}

static void on_refused(struct replica_move *move, enum error_code code)
{
    const int64_t base_offset = move->append.base_offset;
    const bool is_empty = move->copy->log_start_offset == move->copy->log_end_offset;
    if (code == KAFKA_OFFSET_OUT_OF_RANGE && is_empty && base_offset >= 0 && !move->is_frozen)
        cut(move, base_offset, true); /* It was cut in the middle when records were deleted. */
    else if (code == KAFKA_CORRUPT_MESSAGE || code == KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT)
        give_up(move, code);
    else if (code == KAFKA_KAFKA_STORAGE_ERROR)
        replica_move_pause(move, "the directory takes no more");
    else
        replica_move_retry(move, pause_ms);
}

static void on_copied(struct partition_append *append, enum error_code code)
{
    struct replica_move *move = CONTAINER_OF(append, struct replica_move, append);
    move->is_busy = false;
    if (code == KAFKA_NONE) {
        move->has_told_pause = false;
        partition_store_raise_high_watermark(move->copy, move->source->high_watermark);
    }
    replica_move_pump(move);
}

/* The whole batches at the front. */
static size_t whole_bytes(struct slice bytes)
{
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, bytes);
    while (record_batch_walk_next(&walk, &err))
        continue;
    return err == ERR_TRUNCATED ? (size_t)(walk.rest.data - bytes.data) : bytes.size;
}

/* Whether little is left behind a round of so many bytes. The round's own size does not tell: the
 * next batch may be as long as a round. */
static bool is_near_end(const struct replica_move *move, size_t size)
{
    const struct partition_segment *active = partition_store_active(move->source);
    return active != NULL && move->read.offset >= active->index.base_offset &&
           active->file->size_bytes < move->read.position + size + move->moves->round_bytes / 2;
}

static void append(struct replica_move *move)
{
    const size_t size = whole_bytes(slice_of(move->buffer, move->got));
    move->append = (struct partition_append){.data = move->buffer,
                                             .size = (uint32_t)size,
                                             .durability = PARTITION_DURABLE,
                                             .base_offset = -1,
                                             .done = on_copied};
    const enum error_code code =
        size == 0 ? KAFKA_CORRUPT_MESSAGE : partition_store_copy(move->copy, &move->append);
    if (code != KAFKA_NONE) {
        on_refused(move, code);
        return;
    }
    move->is_near = replica_move_has_reached_end(move) || is_near_end(move, size);
    move->is_busy = true;
    replication_quota_record(&move->moves->quota, size,
                             (int64_t)(io_now_ns(move->moves->server->io) / 1000000));
}

static void on_bytes(struct io_op *op, int64_t result);

static void read_on(struct replica_move *move)
{
    move->op = (struct io_op){.kind = IO_READ,
                              .handle = move->read.file,
                              .read = {.data = move->buffer + move->got,
                                       .size = move->read.size - move->got,
                                       .offset = move->read.position + move->got},
                              .done = on_bytes};
    io_submit(move->moves->server->io, &move->op);
}

/* What was read of a log that has been truncated since is not its any more. */
static void on_bytes(struct io_op *op, int64_t result)
{
    struct replica_move *move = CONTAINER_OF(op, struct replica_move, op);
    struct partition_store *source = move->source;
    if (result > 0) {
        move->got += (size_t)result;
        if (move->got < move->read.size) {
            read_on(move);
            return;
        }
    }
    end_read(move);
    if (result < 0)
        log_directory_check_read(source->directory, source->path, result);
    const bool is_good = result > 0 && move->partition != NULL && source->cut == NULL &&
                         source->cut_count == move->cut_count && !move->moves->is_stopping;
    if (is_good && move->wished == move->target)
        append(move);
    else
        replica_move_pump(move);
}

static void on_found(struct partition_read *read, enum error_code code)
{
    struct replica_move *move = CONTAINER_OF(read, struct replica_move, read);
    if (code != KAFKA_NONE || read->size == 0) {
        end_read(move);
        if (code == KAFKA_NONE)
            replica_move_wait(move, poll_ms); /* It is still being written. */
        else
            replica_move_retry(move, poll_ms); /* It is deleted or truncated. */
        return;
    }
    if (read->size > move->buffer_bytes) {
        uint8_t *buffer = heap_resize(move->moves->server->heap, move->buffer, read->size);
        if (buffer == NULL) {
            end_read(move);
            replica_move_retry(move, pause_ms);
            return;
        }
        move->buffer = buffer;
        move->buffer_bytes = read->size;
    }
    move->got = 0;
    read_on(move);
}

void replica_move_read(struct replica_move *move)
{
    enum error_code code;
    move->is_busy = true;
    move->source->busy_count++;
    move->read = (struct partition_read){.offset = move->copy->log_end_offset,
                                         .to_log_end = true,
                                         .bytes_max = move->moves->round_bytes,
                                         .at_least_one = true,
                                         .done = on_found};
    if (partition_store_read(move->source, &move->read, &code))
        on_found(&move->read, code);
}

bool replica_move_has_reached_end(const struct replica_move *move)
{
    return move->copy->log_end_offset == move->source->log_end_offset;
}

static void copy(struct replica_move *move)
{
    struct replica_moves *moves = move->moves;
    const int64_t now_ms = (int64_t)(io_now_ns(moves->server->io) / 1000000);
    if (move->cut_count != move->source->cut_count) {
        move->step = MOVE_COMPARE;
        replica_move_pump(move);
        return;
    }
    const bool may_freeze = move->partition->change == NULL;
    if (may_freeze && (replica_move_has_reached_end(move) || move->is_near)) {
        replica_takeover_begin(move);
        replica_move_pump(move);
        return;
    }
    const int64_t wait_ms = replication_quota_wait_ms(&moves->quota, now_ms);
    if (wait_ms > 0 || replica_move_has_reached_end(move))
        replica_move_wait(move, (uint64_t)max_i64(min_i64(wait_ms, pause_ms), poll_ms));
    else
        replica_move_read(move);
}

/* ---- From step to step. ---- */

/* Its directory works, and so does all else: another one is made, unless this is that one. */
static bool is_damaged(const struct replica_move *move)
{
    return move->copy->offline_reason != NULL && !log_directory_is_offline(move->target) &&
           !move->is_remade;
}

/* Nothing is left of the move, or it is not to go on: the copy goes, or is left where it is. */
static bool is_at_an_end(struct replica_move *move)
{
    const struct partition *partition = move->partition;
    if (move->step == MOVE_REMOVE) {
        after_removal(move);
        return true;
    }
    const bool is_stopping = move->moves->is_stopping;
    const bool is_wanted = partition != NULL && move->wished == move->target;
    const bool is_source_lost = partition != NULL && replica_move_is_lost(partition->store);
    if (is_wanted && !is_source_lost && !replica_move_is_lost(move->copy) && !is_stopping)
        return false;
    if (move->step == MOVE_REST)
        replica_takeover_release(move);
    if (move->is_frozen) {
        replica_move_retry(move, 0);
    } else if (is_wanted && !is_source_lost && !is_stopping && is_damaged(move)) {
        diag_warn(move->moves->server->diag, "%s is damaged: the copy is made anew",
                  move->copy->path);
        move->is_remade = true;
        replica_move_remove_copy(move);
    } else if (is_wanted || replica_move_is_lost(move->copy) || is_stopping) {
        replica_move_finish(move);
    } else {
        diag_info(move->moves->server->diag, "%s: the move is cancelled", move->copy->path);
        replica_move_remove_copy(move);
    }
    return true;
}

void replica_move_pump(struct replica_move *move)
{
    if (move->is_busy || is_at_an_end(move))
        return;
    if (move->is_frozen) {
        replica_takeover_go_on(move);
        return;
    }
    if (!move->is_running || delay_is_running(&move->delay))
        return;
    if (!move->partition->is_hosted) {
        end_turn(move);
        move->step = MOVE_COMPARE;
    } else if (!has_buffer(move) || move->partition->store->cut != NULL) {
        replica_move_retry(move, cut_poll_ms);
    } else if (move->step == MOVE_COMPARE) {
        compare(move);
    } else {
        copy(move);
    }
}
