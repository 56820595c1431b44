#include "sim/cluster_ledger.h"

#include <stdio.h>
#include <stdlib.h>

struct slice cluster_topic(uint32_t partition)
{
    static const char *const names[cluster_partition_count_max] = {"topic-0", "topic-1"};
    return slice_from_text(names[partition]);
}

#define WRONG(ledger, ...) sim_workload_wrong((ledger)->result, (ledger)->sim, __VA_ARGS__)

void cluster_ledger_init(struct cluster_ledger *ledger)
{
    for (uint32_t index = 0; index < cluster_partition_count_max; index++) {
        struct cluster_logs *logs = &ledger->logs[index];
        logs->sim = ledger->sim;
        logs->result = ledger->result;
        logs->name = ledger->names[index];
        logs->may_lose_written = ledger->may_lose_written;
        logs->leader_epoch = -1;
    }
}

/* ---- Leaders and offsets. ---- */

static void look_at_leader(struct cluster_ledger *ledger, uint32_t broker, uint32_t index,
                           int32_t leader_epoch)
{
    if (leader_epoch < 0 || leader_epoch >= cluster_epoch_count_max)
        return;
    uint8_t *leader = &ledger->leaders[index][leader_epoch];
    if (*leader != 0 && *leader != broker + 1)
        WRONG(ledger, "%s: broker %u and broker %u both lead in leader epoch %d",
              ledger->names[index], *leader, broker + 1, leader_epoch);
    *leader = (uint8_t)(broker + 1);
}

static void look_at_offsets(struct cluster_ledger *ledger, uint32_t broker, uint32_t index,
                            const struct partition_store *store)
{
    struct cluster_view *view = &ledger->views[broker][index];
    const int64_t start = partition_store_log_start_offset(store);
    const int64_t high_watermark = partition_store_high_watermark(store);
    const int64_t end = partition_store_log_end_offset(store);
    if (start < 0 || high_watermark < start || end < high_watermark)
        WRONG(ledger, "%s on broker %u: log start %lld, high watermark %lld, log end %lld",
              ledger->names[index], broker + 1, (long long)start, (long long)high_watermark,
              (long long)end);
    if (end < view->high_watermark && !ledger->may_lose_written)
        WRONG(ledger, "%s on broker %u: cut at %lld, below the high watermark %lld",
              ledger->names[index], broker + 1, (long long)end, (long long)view->high_watermark);
    if (high_watermark < view->high_watermark && !ledger->may_lose_written)
        WRONG(ledger, "%s on broker %u: the high watermark goes back from %lld to %lld",
              ledger->names[index], broker + 1, (long long)view->high_watermark,
              (long long)high_watermark);
    view->high_watermark = high_watermark;
}

/* Before the first cut in a life, a log is what the end of the life before has left of it; if a log
 * directory is away, maybe what an earlier one has. */
static void look_at_end(struct cluster_ledger *ledger, uint32_t broker, uint32_t index,
                        const struct broker_server *server, const struct partition_store *store)
{
    struct cluster_view *view = &ledger->views[broker][index];
    const int64_t end = partition_store_log_end_offset(store);
    if (partition_store_offline_reason(store) != NULL)
        return;
    if (store->cut == NULL && store->cut_count == 0 && end < view->durable_offset &&
        !partition_table_has_lost_directory(&server->partitions))
        WRONG(ledger, "%s on broker %u: ends at %lld after a start, and %lld was durable",
              ledger->names[index], broker + 1, (long long)end, (long long)view->durable_offset);
    view->durable_offset = store->durable_offset;
}

static void look_at_partition(struct cluster_ledger *ledger, uint32_t broker, uint32_t index,
                              const struct broker_server *server, const struct partition *partition)
{
    struct cluster_view *view = &ledger->views[broker][index];
    if (partition->leader_epoch < view->leader_epoch)
        WRONG(ledger, "%s on broker %u: leader epoch %d after %d", ledger->names[index], broker + 1,
              partition->leader_epoch, view->leader_epoch);
    view->leader_epoch = partition->leader_epoch;
    if (partition_is_led(partition))
        look_at_leader(ledger, broker, index, partition->leader_epoch);
    if (partition->store == NULL)
        return;
    look_at_end(ledger, broker, index, server, partition->store);
    look_at_offsets(ledger, broker, index, partition->store);
    cluster_logs_look(&ledger->logs[index], broker,
                      &ledger->sim->nodes[ledger->first_broker_node + broker]->disk, partition);
}

void cluster_ledger_look_at(struct cluster_ledger *ledger, uint32_t broker,
                            const struct broker_server *server, uint32_t index,
                            const struct partition *partition)
{
    const uint32_t incarnation =
        1 + ledger->sim->nodes[ledger->first_broker_node + broker]->incarnation;
    struct cluster_view *view = &ledger->views[broker][index];
    if (view->incarnation != incarnation) {
        *view = (struct cluster_view){
            .incarnation = incarnation, .leader_epoch = -1, .durable_offset = view->durable_offset};
        cluster_logs_forget(&ledger->logs[index], broker);
    }
    look_at_partition(ledger, broker, index, server, partition);
}

void cluster_ledger_look(struct cluster_ledger *ledger, uint32_t broker,
                         const struct broker_server *server)
{
    for (uint32_t index = 0; index < cluster_partition_count_max; index++) {
        const struct partition *partition =
            partition_table_find(&server->partitions, cluster_topic(index), 0);
        if (partition != NULL)
            cluster_ledger_look_at(ledger, broker, server, index, partition);
    }
}

/* ---- Disks. ---- */

enum { segment_count_max = 512, path_bytes = 128 };

struct segment_list {
    int64_t bases[segment_count_max];
    uint32_t count;
};

static void note_segment(void *context, const char *name)
{
    struct segment_list *list = context;
    char *end;
    const int64_t base = strtoll(name, &end, 10);
    if (strcmp(end, ".log") == 0 && list->count < segment_count_max)
        list->bases[list->count++] = base;
}

static int compare_bases(const void *one, const void *other)
{
    const int64_t a = *(const int64_t *)one;
    const int64_t b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* All segments of one replica behind one another; empty if it has none. The world's memory. */
static struct slice read_log(struct cluster_ledger *ledger, uint32_t broker, uint32_t index)
{
    struct sim_disk *disk = &ledger->sim->nodes[ledger->first_broker_node + broker]->disk;
    struct segment_list list = {.count = 0};
    static const char *const roots[] = {"/broker", "/broker2"};
    char directory[path_bytes / 2];
    size_t root = 0;
    do {
        if (root == ARRAY_COUNT(roots))
            return SLICE_NULL;
        snprintf(directory, sizeof directory, "%s/topic-%u-0", roots[root++], index);
    } while (sim_disk_list(disk, directory, note_segment, &list) != 0);
    qsort(list.bases, list.count, sizeof list.bases[0], compare_bases);
    uint8_t *bytes = NULL;
    size_t size = 0;
    for (uint32_t segment = 0; segment < list.count; segment++) {
        char path[path_bytes];
        snprintf(path, sizeof path, "%s/%020lld.log", directory, (long long)list.bases[segment]);
        const struct slice part = sim_disk_peek(disk, path);
        uint8_t *grown = heap_take(&ledger->sim->heap, size + part.size + 1);
        assert(grown != NULL);
        if (size > 0)
            memcpy(grown, bytes, size);
        if (part.size > 0)
            memcpy(grown + size, part.data, part.size);
        bytes = grown;
        size += part.size;
    }
    return slice_of(bytes, size);
}

void cluster_ledger_compare_disks(struct cluster_ledger *ledger)
{
    for (uint32_t index = 0; index < cluster_partition_count_max; index++) {
        struct slice first = SLICE_NULL;
        uint32_t first_broker = 0;
        for (uint32_t broker = 0; broker < ledger->broker_count; broker++) {
            const struct slice log = read_log(ledger, broker, index);
            if (log.data == NULL)
                continue;
            if (first.data != NULL && !slice_equal(first, log))
                WRONG(ledger, "topic-%u: the logs of brokers %u and %u differ: %zu and %zu bytes",
                      index, first_broker + 1, broker + 1, first.size, log.size);
            if (first.data == NULL)
                first_broker = broker;
            first = log;
        }
    }
}
