#include "base/assert.h"
#include "broker/partition_name.h"
#include "server/broker/broker_server.h"
#include "server/broker/directory_checkpoints.h"
#include "server/broker/partition_future.h"
#include "server/broker/replica_move.h"

#include <stdio.h>

enum { poll_ms = 1, freeze_ms_max = 5000 };

/* On a full disk, which is a reason to move, it goes on without the file. */
static void on_left(void *context, int64_t result)
{
    struct replica_move *move = context;
    struct partition_store *source = move->source;
    source->is_left = true;
    source->busy_count--;
    log_directory_check_write(source->directory, "write of a small file", source->path, result);
    log_directory_on_idle(source->directory, source);
    move->is_busy = false;
    replica_move_pump(move);
}

/* Appends go on meanwhile. */
static void leave(struct replica_move *move)
{
    struct partition_store *source = move->source;
    partition_future_print_mark(source, partition_left_name, move->path, sizeof move->path);
    if (file_queue_replace(&source->directory->files, move->path,
                           slice_from_text(move->target->options.path), on_left, move) != ERR_OK) {
        replica_move_pause(move, "there is no memory");
        return;
    }
    source->busy_count++;
    move->is_busy = true;
}

void replica_takeover_begin(struct replica_move *move)
{
    if (!move->source->is_left) {
        leave(move);
        return;
    }
    partition_table_freeze(move->partition);
    move->source->is_frozen = true;
    move->source->busy_count++;
    move->is_frozen = true;
    move->frozen_at_ns = io_now_ns(move->moves->server->io);
    move->step = MOVE_FREEZE;
}

static void hold_copy(struct replica_move *move)
{
    move->copy->busy_count++;
    move->copy->is_writing = true; /* No small file is written under the old name. */
    move->copy->is_requesting = true;
}

void replica_takeover_release(struct replica_move *move)
{
    move->copy->is_requesting = false;
    move->copy->is_writing = false;
    move->copy->busy_count--;
    log_directory_on_idle(move->copy->directory, move->copy);
}

static bool is_frozen_for_long(const struct replica_move *move)
{
    return io_now_ns(move->moves->server->io) - move->frozen_at_ns >
           (uint64_t)freeze_ms_max * 1000000;
}

/* Appends of before end first: the copy must hold what they are. */
static void drain(struct replica_move *move)
{
    if (is_frozen_for_long(move))
        replica_move_pause(move, "the last records take too long");
    else if (!replica_move_has_reached_end(move))
        replica_move_read(move);
    else if (!list_empty(&move->source->appends) || move->copy->busy_count > 0)
        replica_move_wait(move, poll_ms);
    else {
        partition_future_inherit(move->source, move->copy);
        move->checkpoint_number = 0;
        move->step = MOVE_SETTLE;
        replica_move_pump(move);
    }
}

/* Where the log begins must be known by then, if no file's name tells it. */
static bool is_start_written(struct replica_move *move)
{
    struct log_directory *target = move->target;
    if (!partition_future_needs_start(move->copy))
        return true;
    if (move->checkpoint_number == 0 && target->checkpoint_set_count == 0) {
        move->checkpoint_number = target->checkpoint_begun + 1;
        if (directory_checkpoints_write_set(target) != ERR_OK)
            move->checkpoint_number = 0;
    }
    return move->checkpoint_number > 0 && target->checkpoint_ended >= move->checkpoint_number;
}

static void on_synced(struct journal_request *request, enum err err)
{
    struct replica_move *move = CONTAINER_OF(request, struct replica_move, request);
    struct partition_store *copy = move->copy;
    move->is_busy = false;
    if (err != ERR_OK) { /* The disk has failed. */
        replica_takeover_release(move);
        replica_move_retry(move, 0);
        return;
    }
    copy->durable_offset = copy->log_end_offset;
    synced_marks_note(&move->target->marks, copy);
    move->step = MOVE_REST;
    replica_move_pump(move);
}

/* Nothing was renamed, or the directory is offline. */
static void fail(struct replica_move *move, const char *what, int64_t result)
{
    log_directory_check_write(move->target, what, move->copy->path, result);
    replica_takeover_release(move);
    replica_move_pause(move, "it cannot take the place of the replica");
}

static void on_claimed(void *context, int64_t result)
{
    struct replica_move *move = context;
    if (result < 0) {
        move->is_busy = false;
        fail(move, "write of a small file", result);
        return;
    }
    move->step = MOVE_SYNC;
    move->request.done = on_synced;
    journal_sync(&move->copy->journal, &move->request);
}

static void claim(struct replica_move *move)
{
    const char *source = move->source->path;
    partition_future_print_mark(move->copy, partition_takeover_name, move->path, sizeof move->path);
    move->step = MOVE_CLAIM;
    move->is_busy = true;
    if (file_queue_replace(&move->target->files, move->path, slice_from_text(source), on_claimed,
                           move) == ERR_OK)
        return;
    move->is_busy = false;
    replica_takeover_release(move);
    replica_move_pause(move, "there is no memory");
}

static void settle(struct replica_move *move)
{
    struct partition_store *copy = move->copy;
    if (is_frozen_for_long(move)) {
        replica_move_pause(move, "its small files are not written");
        return;
    }
    if (!partition_future_is_settled(copy) || !is_start_written(move)) {
        log_directory_queue_metadata(move->target, copy);
        replica_move_wait(move, poll_ms);
        return;
    }
    list_each (link, &copy->segments)
        list_remove(&CONTAINER_OF(link, struct partition_segment, link)->flush_link);
    hold_copy(move);
    claim(move);
}

static void on_step(struct io_op *op, int64_t result);

static void submit(struct replica_move *move, enum move_step step, struct io_op op)
{
    move->step = step;
    move->is_busy = true;
    move->op = op;
    move->op.done = on_step;
    io_submit(move->moves->server->io, &move->op);
}

static void rest(struct replica_move *move)
{
    struct partition_store *copy = move->copy;
    char name[partition_name_bytes_max];
    if (!journal_is_at_rest(&copy->journal)) {
        replica_move_wait(move, poll_ms);
        return;
    }
    partition_name_print(copy->topic, copy->partition, name);
    const int size =
        snprintf(move->path, sizeof move->path, "%s/%s", move->target->options.path, name);
    assert(size > 0 && (size_t)size < sizeof move->path);
    submit(move, MOVE_RENAME,
           (struct io_op){.kind = IO_RENAME,
                          .handle = io_handle_none,
                          .path = {.path = copy->path, .path_to = move->path}});
}

static void finish(struct replica_move *move)
{
    struct partition *partition = move->partition;
    struct replica_moves *moves = move->moves;
    struct log_directory *wished = move->wished;
    struct list orders;
    move->is_busy = false;
    move->is_frozen = false;
    move->copy->is_frozen = false;
    move->copy = NULL;
    list_move(&orders, &move->orders);
    replica_move_finish(move);
    if (wished == NULL || wished == partition->directory)
        replica_move_answer(&orders, KAFKA_NONE);
    else if (replica_move_is_lost(partition->store) ||
             !replica_moves_begin(moves, partition, wished, &orders))
        replica_move_answer(&orders, KAFKA_KAFKA_STORAGE_ERROR);
    partition_wake(partition);
    partition_table_thaw(partition); /* It may go with what has waited. */
}

/* A source that may still have the name must not be outrun: a start that finds it alone takes it
 * for the replica. */
static void on_retired(void *context, enum err err)
{
    struct replica_move *move = context;
    struct broker_server *server = move->moves->server;
    if (err != ERR_OK)
        diag_warn(server->diag, "%s: the old directory of a moved replica: %s", move->path,
                  err_text(err));
    if (err != ERR_OK && err != ERR_CANCELED) {
        partition_store_fail(move->copy, "the log directory that it comes from has failed");
        directory_loss_note(&server->loss);
        finish(move);
        return;
    }
    partition_future_print_mark(move->copy, partition_takeover_name, move->path, sizeof move->path);
    submit(
        move, MOVE_CONFIRM,
        (struct io_op){.kind = IO_UNLINK, .handle = io_handle_none, .path = {.path = move->path}});
}

/* From here on the copy is the replica. */
static void take_place(struct replica_move *move)
{
    struct partition *partition = move->partition;
    struct partition_store *source = move->source;
    struct partition_store *copy = move->copy;
    diag_info(move->moves->server->diag, "%s has become the replica, in the place of %s",
              move->path, source->path);
    partition_future_take_place(source, copy);
    copy->is_frozen = true;
    partition_store_set_user(source, NULL);
    partition_store_set_user(copy, partition);
    partition_store_configure(copy, partition->config);
    partition->store = copy;
    partition->directory = move->target;
    if (partition->followed != NULL)
        partition->followed->store = copy;
    replica_takeover_release(move);
    source->is_frozen = false;
    source->busy_count--;
    move->step = MOVE_RETIRE;
    move->is_busy = true;
    log_directory_delete(source->directory, source, on_retired, move);
}

static void on_step(struct io_op *op, int64_t result)
{
    struct replica_move *move = CONTAINER_OF(op, struct replica_move, op);
    const char *path = move->target->options.path;
    move->is_busy = false;
    if (move->step == MOVE_RENAME && result >= 0) {
        submit(move, MOVE_OPEN_DIRECTORY,
               (struct io_op){.kind = IO_OPEN,
                              .handle = io_handle_none,
                              .path = {.path = path, .flags = IO_OPEN_READ | IO_OPEN_DIRECTORY}});
    } else if (move->step == MOVE_OPEN_DIRECTORY && result >= 0) {
        move->handle = (int32_t)result;
        submit(move, MOVE_SYNC_DIRECTORY, (struct io_op){.kind = IO_SYNC, .handle = move->handle});
    } else if (move->step == MOVE_SYNC_DIRECTORY) {
        if (result < 0)
            journal_disk_fail(&move->target->disk, "sync of the directory", path, result);
        submit(move, MOVE_CLOSE_DIRECTORY,
               (struct io_op){.kind = IO_CLOSE, .handle = move->handle});
    } else if (move->step == MOVE_CLOSE_DIRECTORY && !log_directory_is_offline(move->target)) {
        take_place(move);
    } else if (move->step == MOVE_CONFIRM) { /* If it is still there, the next start looks. */
        log_directory_check_write(move->target, "unlink", move->path, result);
        finish(move);
    } else {
        if (move->step == MOVE_OPEN_DIRECTORY) /* It has the new name: nobody may go on here. */
            journal_disk_fail(&move->target->disk, "open of the directory", path, result);
        fail(move, "rename", min_i64(result, 0));
    }
}

void replica_takeover_go_on(struct replica_move *move)
{
    if (move->step == MOVE_FREEZE)
        drain(move);
    else if (move->step == MOVE_SETTLE)
        settle(move);
    else
        rest(move);
}
