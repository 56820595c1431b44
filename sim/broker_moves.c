#include "sim/broker_moves.h"

#include "server/broker/replica_move.h"

enum { near_offset_count = 4 };

/* In small steps, some moves take long: whatever happens to the log meanwhile happens to the copy.
 */
static void choose_speed(struct broker_server *server, struct prng *prng)
{
    const bool is_slow = prng_chance(prng, 1, 2);
    server->moves.round_bytes = is_slow ? 600 : replica_move_round_bytes;
    server->moves.quota.bytes_per_s_max =
        is_slow ? (int64_t)prng_between(prng, 300, 5000) : replication_quota_none;
}

static struct partition *choose(struct broker_server *server, struct prng *prng)
{
    const struct partition_table *table = &server->partitions;
    uint64_t position = 0;
    uint64_t left = prng_below(prng, table->entries.count);
    struct partition *partition = partition_table_next(table, &position, NULL);
    while (left-- > 0)
        partition = partition_table_next(table, &position, partition);
    return partition;
}

struct any_order {
    struct move_order order;
    struct heap *heap;
};

static void on_ordered(struct move_order *order, enum error_code code)
{
    struct any_order *any = CONTAINER_OF(order, struct any_order, order);
    (void)code;
    heap_give(any->heap, any);
}

static void order(struct broker_server *server, struct partition *partition,
                  struct log_directory *directory)
{
    enum error_code code;
    if (!partition->is_hosted || partition->store == NULL || log_directory_is_offline(directory) ||
        partition_store_offline_reason(partition->store) != NULL)
        return;
    struct any_order *any = heap_take(server->heap, sizeof *any);
    assert(any != NULL);
    *any = (struct any_order){.order.done = on_ordered, .heap = server->heap};
    if (replica_moves_order(&server->moves, partition, directory, &any->order, &code))
        heap_give(server->heap, any);
}

void broker_moves_order_any(struct broker_server *server, struct prng *prng)
{
    const struct partition_table *table = &server->partitions;
    if (server->state != BROKER_SERVING || table->entries.count == 0)
        return;
    struct partition *partition = choose(server, prng);
    choose_speed(server, prng);
    order(server, partition, table->directories[prng_below(prng, table->directory_count)]);
}

/* ---- Copies that are held. ---- */

static int64_t rate_of(const struct replica_move *move)
{
    if (move->copy == NULL || move->partition == NULL || move->partition->store == NULL)
        return 1; /* It is being made, or goes. */
    const int64_t left = partition_store_log_end_offset(move->partition->store) -
                         partition_store_log_end_offset(move->copy);
    return left <= near_offset_count ? 1 : 25 * (left - near_offset_count);
}

/* Those that rest where they are, to the other directory. */
static void order_resting(struct broker_server *server, struct prng *prng)
{
    const struct partition_table *table = &server->partitions;
    struct log_directory *directory = table->directories[prng_below(prng, table->directory_count)];
    uint64_t position = 0;
    for (struct partition *it = partition_table_next(table, &position, NULL); it != NULL;
         it = partition_table_next(table, &position, it))
        if (it->move == NULL && it->directory != directory)
            order(server, it, directory);
}

void broker_moves_hold(struct broker_server *server, struct prng *prng)
{
    struct replica_moves *moves = &server->moves;
    if (server->state != BROKER_SERVING)
        return;
    if (prng_chance(prng, 1, 20))
        order_resting(server, prng);
    moves->round_bytes = 100; /* A batch. */
    moves->quota.bytes_per_s_max = replication_quota_none;
    list_each (link, &moves->moves)
        moves->quota.bytes_per_s_max = min_i64(
            moves->quota.bytes_per_s_max, rate_of(CONTAINER_OF(link, struct replica_move, link)));
}

void broker_moves_release(struct broker_server *server)
{
    server->moves.quota.bytes_per_s_max = replication_quota_none;
}

/* ---- Crashes. ---- */

bool broker_moves_has_two_names(const struct broker_server *server)
{
    list_each (link, &server->moves.moves) {
        const enum move_step step = CONTAINER_OF(link, struct replica_move, link)->step;
        if (step >= MOVE_OPEN_DIRECTORY && step <= MOVE_CLOSE_DIRECTORY)
            return true;
    }
    return false;
}
