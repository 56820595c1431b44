#include "server/broker/replica_moves.h"

#include "server/broker/broker_server.h"
#include "server/broker/partition_future.h"
#include "server/broker/replica_move.h"

#include <errno.h>

enum { mark_path_bytes = 1024 };

static struct replica_move *move_of(struct list *link)
{
    return CONTAINER_OF(link, struct replica_move, link);
}

/* ---- Orders. ---- */

/* Whoever has wanted another directory before has had his way. */
static void change_wish(struct replica_move *move, struct log_directory *directory,
                        struct move_order *order)
{
    const bool is_there = move->partition->directory == directory;
    const bool is_made = move->copy != NULL && move->target == directory;
    if (move->wished != directory)
        replica_move_answer(&move->orders, KAFKA_NONE);
    move->wished = directory;
    list_push(&move->orders, &order->link);
    if (is_there || is_made)
        replica_move_answer(&move->orders, KAFKA_NONE);
    replica_move_pump(move);
}

bool replica_moves_begin(struct replica_moves *moves, struct partition *partition,
                         struct log_directory *directory, struct list *orders)
{
    if (moves->is_stopping || partition_table_has_lost_directory(&moves->server->partitions))
        return false;
    struct replica_move *move = replica_move_take(moves, partition, directory);
    if (move == NULL)
        return false;
    list_splice(&move->orders, orders);
    replica_move_make(move);
    return true;
}

bool replica_moves_order(struct replica_moves *moves, struct partition *partition,
                         struct log_directory *directory, struct move_order *order,
                         enum error_code *code)
{
    if (partition->move == NULL)
        replica_moves_resume(moves, partition);
    if (partition->move != NULL) {
        change_wish(partition->move, directory, order);
        return false;
    }
    struct list orders;
    list_init(&orders);
    list_push(&orders, &order->link);
    *code = KAFKA_NONE;
    if (partition->directory != directory &&
        replica_moves_begin(moves, partition, directory, &orders))
        return false;
    if (partition->directory != directory)
        *code = KAFKA_KAFKA_STORAGE_ERROR;
    list_remove(&order->link);
    return true;
}

static void on_leftover_removed(void *context, enum err err)
{
    struct replica_moves *moves = context;
    moves->removal_count--;
    moves->has_leftover |= err != ERR_OK && err != ERR_CANCELED;
    if (err != ERR_OK)
        diag_warn(moves->server->diag, "what a move has left cannot be removed: %s", err_text(err));
}

static void remove_leftover(struct replica_moves *moves, struct partition_store *store,
                            const char *why)
{
    diag_warn(moves->server->diag, "%s goes: %s", store->path, why);
    moves->removal_count++;
    log_directory_delete(store->directory, store, on_leftover_removed, moves);
}

/* NULL: there is none that no move is about. */
static struct partition_store *find_orphan(struct replica_moves *moves,
                                           const struct partition *partition)
{
    const struct partition_table *table = &moves->server->partitions;
    if (moves->orphan_count == 0 || partition->move != NULL)
        return NULL;
    for (uint32_t i = 0; i < table->directory_count; i++) {
        struct partition_store *store =
            log_directory_find(table->directories[i], partition->topic, partition->index);
        if (store != NULL && store->is_future && !log_directory_is_offline(store->directory))
            return store;
    }
    return NULL;
}

void replica_moves_resume(struct replica_moves *moves, struct partition *partition)
{
    struct replica_move *move = partition->move;
    if (move != NULL && move->copy != NULL && !move->is_busy && !move->is_running &&
        !list_linked(&move->turn) && move->step == MOVE_COMPARE)
        replica_move_await_turn(move);
    struct partition_store *copy = find_orphan(moves, partition);
    if (copy == NULL || moves->is_stopping || replica_move_is_lost(partition->store))
        return;
    if (!topic_id_equal(&copy->id, &partition->store->id)) {
        moves->orphan_count--;
        remove_leftover(moves, copy, "it is of another life of the topic");
        return;
    }
    move = replica_move_take(moves, partition, copy->directory);
    if (move == NULL)
        return; /* With the next order. */
    moves->orphan_count--;
    move->copy = copy;
    if (copy->offline_reason != NULL) {
        diag_warn(moves->server->diag, "%s is damaged: the copy is made anew", copy->path);
        replica_move_remove_copy(move);
        return;
    }
    partition_store_configure(copy, partition->config);
    partition_store_set_replicated(copy, true);
    replica_move_await_turn(move);
}

void replica_moves_drop(struct replica_moves *moves, struct partition *partition)
{
    struct partition_store *copy = find_orphan(moves, partition);
    struct replica_move *move = partition->move;
    if (copy != NULL) {
        moves->orphan_count--;
        remove_leftover(moves, copy, "its partition is deleted");
    }
    if (move == NULL)
        return;
    partition->move = NULL;
    move->partition = NULL;
    replica_move_pump(move);
}

void replica_moves_on_loss(struct replica_moves *moves)
{
    list_each_safe (link, after, &moves->moves)
        replica_move_pump(move_of(link));
}

/* ---- What a start finds. ---- */

static struct partition_store *find_beside(const struct partition_table *table,
                                           const struct partition_store *store, uint32_t index)
{
    return log_directory_find(table->directories[index], store->topic, store->partition);
}

/* Its directory failed while it was being made, and another one was taken. */
static bool is_unborn(const struct partition_store *store)
{
    return topic_id_is_none(&store->id) && store->log_end_offset == 0;
}

/* Of equal ones the copy counts, so that the move is at its end. */
static bool is_behind(const struct partition_store *one, const struct partition_store *other)
{
    return partition_future_is_ahead(other, one) ||
           (!partition_future_is_ahead(one, other) && other->is_contested);
}

static enum err settle_twins(struct replica_moves *moves, struct partition_store *one,
                             struct partition_store *other)
{
    const bool is_readable = one->offline_reason == NULL && other->offline_reason == NULL;
    const bool is_alike = !topic_id_is_none(&one->id) && topic_id_equal(&one->id, &other->id);
    if (!is_readable || !(is_alike || is_unborn(one) || is_unborn(other))) {
        diag_error(moves->server->diag,
                   "%s and %s are the same partition, and nothing says which one counts: a log "
                   "directory has probably failed during a move; delete the one that is older",
                   one->path, other->path);
        return ERR_CONFIG;
    }
    const bool is_one_behind = is_alike ? is_behind(one, other) : is_unborn(one);
    struct partition_store *behind = is_one_behind ? one : other;
    struct partition_store *ahead = behind == one ? other : one;
    ahead->is_contested |= !behind->is_contested; /* It would count if it were found alone. */
    diag_warn(moves->server->diag, "%s counts, up to offset %lld in epoch %d", ahead->path,
              (long long)ahead->log_end_offset, partition_store_latest_epoch(ahead));
    remove_leftover(moves, behind, "the replica lies elsewhere by now");
    return ERR_OK;
}

/* A copy needs the replica that it is of. */
static void judge_copy(struct replica_moves *moves, struct partition_store *copy, uint32_t own)
{
    const struct partition_table *table = &moves->server->partitions;
    bool has_replica = false;
    for (uint32_t i = 0; i < table->directory_count; i++) {
        struct partition_store *other = i == own ? NULL : find_beside(table, copy, i);
        if (other != NULL && other->is_future && i < own) {
            remove_leftover(moves, copy, "there is another copy");
            return;
        }
        has_replica |= other != NULL && !other->is_future;
    }
    if (has_replica || partition_table_has_lost_directory(table))
        moves->orphan_count++;
    else
        remove_leftover(moves, copy, "it is a copy without its replica");
}

static enum err judge_replica(struct replica_moves *moves, struct partition_store *store,
                              uint32_t own)
{
    const struct partition_table *table = &moves->server->partitions;
    if (is_unborn(store) && partition_table_has_lost_directory(table)) {
        remove_leftover(moves, store,
                        "it is empty, and the replica may lie where nobody can see it");
        return ERR_OK;
    }
    for (uint32_t i = own + 1; i < table->directory_count; i++) {
        struct partition_store *other = find_beside(table, store, i);
        if (other == NULL || other->is_future || log_directory_is_offline(other->directory))
            continue;
        const enum err err = settle_twins(moves, store, other);
        if (err != ERR_OK ||
            log_directory_find(store->directory, store->topic, store->partition) != store)
            return err;
    }
    return ERR_OK;
}

static enum err recover_directory(struct replica_moves *moves, uint32_t own)
{
    struct log_directory *directory = moves->server->partitions.directories[own];
    enum err err = ERR_OK;
    uint64_t position = 0;
    struct partition_store *next = NULL;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL && err == ERR_OK; store = next) {
        next = log_directory_next(directory, &position, store);
        if (store->is_future)
            judge_copy(moves, store, own);
        else
            err = judge_replica(moves, store, own);
    }
    return err;
}

static void fail_contested(struct replica_moves *moves, struct partition_store *store)
{
    char path[mark_path_bytes];
    partition_future_print_mark(store, partition_takeover_name, path, sizeof path);
    diag_error(moves->server->diag,
               "%s is offline: it was moved here from a log directory that is away, and may have "
               "gone on there; without that directory, remove %s to have it as it is",
               store->path, path);
    partition_store_fail(store, "it may have gone on in a log directory that is away");
}

static void remove_mark(struct replica_moves *moves, struct partition_store *store,
                        const char *name, bool *is_marked)
{
    char path[mark_path_bytes];
    partition_future_print_mark(store, name, path, sizeof path);
    struct io_op op = {.kind = IO_UNLINK, .handle = io_handle_none, .path = {.path = path}};
    const int64_t result = *is_marked ? io_wait(moves->server->io, &op) : 0;
    *is_marked = false;
    if (result != -ENOENT)
        log_directory_check_write(store->directory, "unlink", path, result);
}

/* Its twin is durably gone, or may be where nobody can see it. */
static void settle_marked(struct replica_moves *moves, struct partition_store *store)
{
    if (!partition_table_has_lost_directory(&moves->server->partitions) && !moves->has_leftover) {
        remove_mark(moves, store, partition_takeover_name, &store->is_contested);
        remove_mark(moves, store, partition_left_name, &store->is_left);
    } else if (store->is_contested) {
        fail_contested(moves, store);
    }
}

static void settle_all_marked(struct replica_moves *moves, struct log_directory *directory)
{
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        if (!store->is_future && store->offline_reason == NULL)
            settle_marked(moves, store);
}

enum err replica_moves_recover(struct replica_moves *moves)
{
    const struct partition_table *table = &moves->server->partitions;
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < table->directory_count && table->directory_count > 1 && err == ERR_OK;
         i++)
        if (!log_directory_is_offline(table->directories[i]))
            err = recover_directory(moves, i);
    while (moves->removal_count > 0)
        io_run(moves->server->io, UINT64_MAX);
    for (uint32_t i = 0; i < table->directory_count && err == ERR_OK; i++)
        settle_all_marked(moves, table->directories[i]);
    return err;
}

/* ---- All of them. ---- */

enum err replica_moves_init(struct replica_moves *moves, struct broker_server *server)
{
    const struct broker_config *config = server->config;
    const uint32_t measured_count = (uint32_t)config->move_quota_window_count;
    *moves = (struct replica_moves){.server = server, .round_bytes = replica_move_round_bytes};
    list_init(&moves->moves);
    list_init(&moves->waiting);
    moves->windows = heap_take_zeroed(server->heap, replication_quota_window_count(measured_count) *
                                                        sizeof *moves->windows);
    if (moves->windows == NULL)
        return ERR_NO_MEMORY;
    replication_quota_init(&moves->quota, moves->windows, measured_count,
                           config->move_quota_window_s * 1000);
    return ERR_OK;
}

void replica_moves_deinit(struct replica_moves *moves)
{
    if (moves->server == NULL)
        return;
    struct heap *heap = moves->server->heap;
    for (struct list *link = list_pop(&moves->moves); link != NULL;
         link = list_pop(&moves->moves)) {
        heap_give(heap, move_of(link)->buffer);
        heap_give(heap, move_of(link));
    }
    heap_give(heap, moves->windows);
}

void replica_moves_set_rate(struct replica_moves *moves)
{
    moves->quota.bytes_per_s_max = control_dynamic_number(
        moves->server->control, "replica.alter.log.dirs.io.max.bytes.per.second",
        replication_quota_none);
}

void replica_moves_stop(struct replica_moves *moves)
{
    moves->is_stopping = true;
    replica_moves_on_loss(moves);
}
