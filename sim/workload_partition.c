/* Partitions of a broker on one disk: batches of an idempotent producer are appended, read back,
 * rolled, retained and deleted, while processes and power die. After each death:
 *
 * - no partition is refused: no crash looks like damage;
 * - every batch whose append was reported durable is there, byte for byte, in order; every other
 * one is there whole, or it is not, and then none behind it is;
 * - the producer's last batch is known as a duplicate, and its next one continues the sequence;
 * - a deleted partition stays deleted, a new one of its name begins at 0;
 * - what a follower copied keeps offsets and epochs, the epochs' starts are those of the batches,
 * and what a truncation took never comes back once it was reported; a truncation that was under way
 * leaves the log somewhere between both ends, or begun anew where it was to begin;
 * - the log start is nowhere below that of the last start, unless a truncation has lowered it.
 */
#include "base/bytes.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_cut.h"
#include "server/broker/partition_store.h"
#include "sim/workload.h"

#include <stdio.h>

enum {
    partition_count = 2,
    offset_count_max = 16384,
    batch_bytes_max = 3000,
    open_count_max = 16,
    process_count_max = 10,
    copy_count_max = 4, /* Batches of one copy. */
    read_bytes_max = 20000,
    producer_id = 77,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t run_ns_max = 600000000000;

enum life { LIFE_NONE, LIFE_BEGINS, LIFE_IS, LIFE_ENDS };

/* What must be true of one partition. It lives outside of the processes. */
struct expected {
    char topic[8];
    enum life life;
    uint32_t number; /* Of the life: in its records. */
    uint32_t id;     /* Of the topic. */
    uint32_t generation;
    uint32_t generations[offset_count_max]; /* Of the batch that begins there, or 0. */
    int64_t durable_next;                   /* All before must be there. */
    int64_t durable_max;                    /* A truncation takes what is above, or has. */
    int64_t submitted_next;                 /* None from here on can be there. */
    int64_t start_max;                      /* The log start is never above, */
    int64_t start_min;                      /* nor, after a start, below. */
    int32_t epoch;
    int32_t epochs[offset_count_max]; /* Of the batch that begins there. */
    int64_t anew_offset; /* Where the log may begin, and end; -1: it is not being begun anew. */
};

/* One run. */
struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct prng prng;
    struct expected expected[partition_count];
    struct partition_config config;
    uint32_t steps_left;
    bool has_failed; /* The disk did, on purpose. */
};

/* One process. */
struct player {
    struct play *play;
    struct sim_node *node;
    struct io *io;
    struct log_directory *directory;
    uint32_t open_count;
    uint32_t waiting_count;
    bool is_offline;
    uint8_t buffer[read_bytes_max];
};

struct batch {
    struct partition_append append;
    struct player *player;
    struct expected *expected;
    uint8_t data[];
};

static void wrong(struct player *player, const char *format, const char *topic, int64_t number)
{
    char text[128];
    snprintf(text, sizeof text, format, (long long)number);
    sim_workload_wrong(player->play->result, player->play->sim, "%s: %s", topic, text);
}

/* ---- Batches that only their place and generation make. ---- */

static uint32_t make_batch(uint8_t *data, int64_t offset, uint32_t generation, uint32_t life)
{
    uint8_t value[900];
    struct prng prng;
    struct record_batch_writer writer;
    struct record_batch batch;
    prng_init(&prng, (uint64_t)offset << 24 ^ (uint64_t)generation << 8 ^ life);
    record_batch_writer_init(&writer, data, batch_bytes_max, 1000 + offset);
    const uint64_t count = prng_between(&prng, 1, 4);
    for (uint64_t i = 0; i < count; i++) {
        const size_t size = prng_between(&prng, 1, prng_chance(&prng, 1, 8) ? sizeof value : 120);
        for (size_t at = 0; at < size; at++)
            value[at] = (uint8_t)prng_next(&prng);
        if (!record_batch_writer_add(&writer, slice_of(&life, sizeof life), slice_of(value, size)))
            break;
    }
    const struct slice bytes = record_batch_writer_finish(&writer);
    store_i64(data + 43, producer_id);
    store_i16(data + 51, 0);
    store_i32(data + 53, (int32_t)offset); /* The sequence is the offset. */
    const enum err err = record_batch_decode(&batch, bytes);
    assert(err == ERR_OK);
    record_batch_set_max_timestamp(&batch, data, 1000 + offset);
    return (uint32_t)bytes.size;
}

static struct partition_store *find(struct player *player, const struct expected *expected)
{
    return log_directory_find(player->directory, slice_from_text(expected->topic), 0);
}

static struct topic_id id_of(const struct expected *expected)
{
    struct topic_id id = {{(uint8_t)expected->topic[0], 9}};
    store_u32(id.bytes + 4, expected->id);
    return id;
}

/* ---- Appends. ---- */

static void on_appended(struct partition_append *append, enum error_code code)
{
    struct batch *batch = CONTAINER_OF(append, struct batch, append);
    struct player *player = batch->player;
    if (code == KAFKA_NONE && append->durability == PARTITION_DURABLE)
        batch->expected->durable_next =
            max_i64(batch->expected->durable_next,
                    min_i64(append->last_offset + 1, batch->expected->durable_max));
    if (code != KAFKA_NONE && !player->is_offline)
        wrong(player, "an append ends with code %lld", batch->expected->topic, code);
    player->open_count--;
    heap_give(&player->node->heap, batch);
}

static void wait_until_open_is(struct player *player, uint32_t count)
{
    while (player->open_count > count)
        io_run(player->io, UINT64_MAX);
}

static struct batch *take_batch(struct player *player, struct expected *expected, int64_t offset,
                                uint32_t generation)
{
    struct batch *batch =
        heap_take_zeroed(&player->node->heap, sizeof *batch + copy_count_max * batch_bytes_max);
    assert(batch != NULL);
    batch->player = player;
    batch->expected = expected;
    batch->append = (struct partition_append){
        .data = batch->data,
        .size = make_batch(batch->data, offset, generation, expected->number),
        .durability =
            prng_chance(&player->play->prng, 2, 3) ? PARTITION_DURABLE : PARTITION_WRITTEN,
        .done = on_appended,
    };
    return batch;
}

static void append(struct player *player, struct expected *expected)
{
    struct partition_store *store = find(player, expected);
    const int64_t offset = partition_store_log_end_offset(store);
    if (offset >= offset_count_max - 8)
        return;
    wait_until_open_is(player, open_count_max);
    if (partition_store_leader_epoch(store) < expected->epoch)
        partition_store_lead(store, ++expected->epoch);
    struct batch *batch = take_batch(player, expected, offset, expected->generation);
    player->open_count++;
    const enum error_code code = partition_store_append(store, &batch->append);
    if (code != KAFKA_NONE) {
        if (!player->is_offline)
            wrong(player, "an append is refused with code %lld", expected->topic, code);
        player->open_count--;
        heap_give(&player->node->heap, batch);
        return;
    }
    if (batch->append.base_offset != offset || batch->append.is_duplicate)
        wrong(player, "an append got offset %lld", expected->topic, batch->append.base_offset);
    memset(expected->generations + offset, 0,
           (size_t)(batch->append.last_offset + 1 - offset) * sizeof expected->generations[0]);
    expected->generations[offset] = expected->generation;
    expected->epochs[offset] = partition_store_leader_epoch(store);
    expected->submitted_next = batch->append.last_offset + 1;
}

/* Some batches behind each other, as a leader would have stamped them. */
static uint32_t stamp_batches(struct expected *expected, uint8_t *data, int64_t offset,
                              uint64_t count)
{
    uint32_t size = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct record_batch batch;
        const uint32_t batch_size =
            make_batch(data + size, offset, expected->generation, expected->number);
        const enum err err = record_batch_decode(&batch, slice_of(data + size, batch_size));
        assert(err == ERR_OK);
        record_batch_stamp(
            &batch, data + size,
            (struct record_batch_stamp){.base_offset = offset, .leader_epoch = expected->epoch});
        const int64_t next = record_batch_last_offset(&batch) + 1;
        memset(expected->generations + offset, 0,
               (size_t)(next - offset) * sizeof expected->generations[0]);
        expected->generations[offset] = expected->generation;
        expected->epochs[offset] = expected->epoch;
        offset = next;
        size += batch_size;
    }
    expected->submitted_next = offset;
    return size;
}

/* What a leader of a later epoch has sent. */
static void copy(struct player *player, struct expected *expected)
{
    struct partition_store *store = find(player, expected);
    const int64_t offset = partition_store_log_end_offset(store);
    if (offset >= offset_count_max - 8 * copy_count_max)
        return;
    wait_until_open_is(player, open_count_max);
    if (prng_chance(&player->play->prng, 1, 4))
        expected->epoch++;
    struct batch *batch = take_batch(player, expected, offset, expected->generation);
    const uint64_t count = prng_between(&player->play->prng, 1, copy_count_max);
    batch->append.size = stamp_batches(expected, batch->data, offset, count);
    player->open_count++;
    const enum error_code code = partition_store_copy(store, &batch->append);
    if (code == KAFKA_NONE) {
        if (batch->append.base_offset != offset ||
            batch->append.last_offset + 1 != expected->submitted_next)
            wrong(player, "a copy got offset %lld", expected->topic, batch->append.base_offset);
        return;
    }
    if (!player->is_offline)
        wrong(player, "a copy is refused with code %lld", expected->topic, code);
    player->open_count--;
    heap_give(&player->node->heap, batch);
}

/* ---- Truncation. ---- */

struct cutting {
    struct partition_cut cut;
    struct player *player;
    enum error_code code;
};

static void on_cut(struct partition_cut *cut, enum error_code code)
{
    struct cutting *cutting = CONTAINER_OF(cut, struct cutting, cut);
    cutting->code = code;
    cutting->player->waiting_count--;
}

/* Where the log ends when nothing at or above offset stays: batches go as a whole. */
static int64_t boundary_at(const struct expected *expected, int64_t offset)
{
    int64_t begin = offset;
    if (offset >= expected->submitted_next || expected->generations[offset] != 0)
        return offset;
    while (begin > 0 && expected->generations[begin] == 0)
        begin--;
    return begin;
}

static void wait_for_all(struct player *player);

static void check_cut(struct player *player, struct expected *expected, int64_t offset,
                      bool begins_anew)
{
    const struct partition_store *store = find(player, expected);
    if (partition_store_log_end_offset(store) != offset)
        wrong(player, "a truncated log ends at %lld", expected->topic,
              partition_store_log_end_offset(store));
    if (begins_anew && partition_store_log_start_offset(store) != offset)
        wrong(player, "a log begun anew starts at %lld", expected->topic,
              partition_store_log_start_offset(store));
    if (partition_store_high_watermark(store) > offset)
        wrong(player, "the high watermark is %lld", expected->topic,
              partition_store_high_watermark(store));
}

static void cut(struct player *player, struct expected *expected, int64_t offset, bool begins_anew)
{
    struct cutting *cutting = heap_take_zeroed(&player->node->heap, sizeof *cutting);
    assert(cutting != NULL);
    struct partition_store *store = find(player, expected);
    const int64_t end = begins_anew ? offset : boundary_at(expected, offset);
    *cutting = (struct cutting){
        .cut = {.offset = offset, .begins_anew = begins_anew, .done = on_cut}, .player = player};
    expected->durable_max = begins_anew ? 0 : end;
    expected->durable_next = min_i64(expected->durable_next, expected->durable_max);
    expected->anew_offset = begins_anew ? offset : -1;
    expected->start_min = min_i64(expected->start_min, end);
    player->waiting_count++;
    partition_store_cut(store, &cutting->cut);
    wait_for_all(player);
    wait_until_open_is(player, 0);
    if (cutting->code != KAFKA_NONE) {
        if (!player->is_offline)
            wrong(player, "a truncation ends with code %lld", expected->topic, cutting->code);
        return;
    }
    heap_give(&player->node->heap, cutting);
    check_cut(player, expected, end, begins_anew);
    const int64_t kept = begins_anew ? 0 : end;
    memset(expected->generations + kept, 0,
           (size_t)(offset_count_max - kept) * sizeof expected->generations[0]);
    expected->durable_next = begins_anew ? end : expected->durable_next;
    expected->durable_max = INT64_MAX;
    expected->submitted_next = end;
    expected->start_max = begins_anew ? end : min_i64(expected->start_max, end);
    expected->start_min = begins_anew ? end : min_i64(expected->start_min, end);
    expected->anew_offset = -1;
    expected->generation++;
    expected->epoch++; /* Whoever leads next. */
}

/* ---- Reading back. ---- */

struct reading {
    struct partition_read read;
    enum error_code code;
    bool is_done;
};

static void on_read(struct partition_read *read, enum error_code code)
{
    struct reading *reading = CONTAINER_OF(read, struct reading, read);
    reading->code = code;
    reading->is_done = true;
}

/* The bytes of the range, through the io as a send would take them. */
static bool take_range(struct player *player, const struct partition_read *read)
{
    uint64_t got = 0;
    while (got < read->size) {
        struct io_op op = {.kind = IO_READ,
                           .handle = read->file,
                           .read = {.data = player->buffer + got,
                                    .size = read->size - got,
                                    .offset = read->position + got}};
        const int64_t result = io_wait(player->io, &op);
        if (result <= 0)
            return false;
        got += (uint64_t)result;
    }
    return true;
}

static void check_batch(struct player *player, struct expected *expected,
                        const struct record_batch *batch, struct slice bytes)
{
    uint8_t data[batch_bytes_max];
    const int64_t offset = batch->base_offset;
    const uint32_t generation = expected->generations[offset];
    const uint32_t size = make_batch(data, offset, generation, expected->number);
    if (generation == 0 || size != bytes.size || memcmp(data + 21, bytes.data + 21, size - 21) != 0)
        wrong(player, "the batch at %lld is another one than was appended", expected->topic,
              offset);
    const struct partition_store *store = find(player, expected);
    /* The log start that a crash took back had taken its epochs. */
    const bool is_known = leader_epochs_at(&store->epochs, offset) == batch->leader_epoch ||
                          offset < expected->start_max;
    if (batch->leader_epoch != expected->epochs[offset] || !is_known)
        sim_workload_wrong(player->play->result, player->play->sim,
                           "%s: the batch at %lld has epoch %d, it was %d, the cache says %d",
                           expected->topic, (long long)offset, batch->leader_epoch,
                           expected->epochs[offset], leader_epochs_at(&store->epochs, offset));
}

/* Reads from offset to the high watermark in random pieces. */
static void read_from(struct player *player, struct expected *expected, int64_t offset)
{
    struct partition_store *store = find(player, expected);
    while (offset < partition_store_high_watermark(store) && !player->is_offline) {
        struct reading reading = {
            .read = {.offset = offset,
                     .bytes_max = (uint32_t)prng_between(&player->play->prng, 1, read_bytes_max),
                     .at_least_one = true,
                     .done = on_read}};
        if (!partition_store_read(store, &reading.read, &reading.code))
            while (!reading.is_done)
                io_run(player->io, UINT64_MAX);
        if (reading.code == KAFKA_OFFSET_OUT_OF_RANGE &&
            offset < partition_store_log_start_offset(store)) {
            offset = partition_store_log_start_offset(store);
            continue;
        }
        if (reading.code != KAFKA_NONE || reading.read.size == 0) {
            if (!player->is_offline)
                wrong(player,
                      reading.code == KAFKA_NONE ? "nothing is read at %lld"
                                                 : "cannot be read at %lld",
                      expected->topic, offset);
            return;
        }
        const bool is_read = take_range(player, &reading.read);
        (*reading.read.users)--;
        if (player->is_offline) /* A failed sync may throw pages away under a reader. */
            return;
        const int64_t before = offset;
        struct record_batch_walk walk;
        enum err err;
        record_batch_walk_init(&walk, slice_of(player->buffer, is_read ? reading.read.size : 0));
        while (record_batch_walk_next(&walk, &err)) {
            check_batch(player, expected, &walk.batch, walk.bytes);
            offset = record_batch_last_offset(&walk.batch) + 1;
        }
        if (offset == before) {
            wrong(player, "no batch comes for %lld", expected->topic, offset);
            return;
        }
    }
}

/* ---- Creation and deletion. ---- */

static void on_created(void *context, enum err err, struct partition_store *store)
{
    struct player *player = context;
    player->waiting_count--;
    if (err != ERR_OK && !player->is_offline)
        wrong(player, "a creation ends with error %lld", "directory", err);
    if (err == ERR_OK)
        partition_store_lead(store, 0);
}

static void on_done(void *context, enum err err)
{
    struct player *player = context;
    player->waiting_count--;
    if (err != ERR_OK && !player->is_offline)
        wrong(player, "something ends with error %lld", "directory", err);
}

static void wait_for_all(struct player *player)
{
    while (player->waiting_count > 0)
        io_run(player->io, UINT64_MAX);
}

/* Of a topic that was made again, or of a replica that was elsewhere and comes back. */
static void create(struct player *player, struct expected *expected)
{
    const bool comes_back = expected->number > 0 && prng_below(&player->play->prng, 2) == 0;
    *expected = (struct expected){.life = LIFE_BEGINS,
                                  .anew_offset = -1,
                                  .durable_max = INT64_MAX,
                                  .number = expected->number + 1,
                                  .id = comes_back ? expected->id : expected->number + 1,
                                  .generation = 1,
                                  .topic = {expected->topic[0]}};
    player->waiting_count++;
    log_directory_create(player->directory,
                         (struct partition_spec){.topic = slice_from_text(expected->topic),
                                                 .id = id_of(expected),
                                                 .config = player->play->config},
                         on_created, player);
    wait_for_all(player);
    if (!player->is_offline)
        expected->life = LIFE_IS;
}

static void delete (struct player *player, struct expected *expected)
{
    expected->life = LIFE_ENDS;
    player->waiting_count++;
    log_directory_delete(player->directory, find(player, expected), on_done, player);
    wait_for_all(player);
    if (!player->is_offline)
        expected->life = LIFE_NONE;
    while (player->open_count > 0)
        io_run(player->io, UINT64_MAX);
}

/* ---- Start and end. ---- */

static struct partition_config config_of(void *context, struct slice topic, int32_t partition)
{
    (void)topic;
    (void)partition;
    return ((struct player *)context)->play->config;
}

static void on_progress(void *context, struct partition_store *store)
{
    (void)context;
    (void)store;
}

static void on_offline(void *context, struct log_directory *directory, const char *reason)
{
    struct player *player = context;
    (void)directory;
    (void)reason;
    player->is_offline = true;
    player->play->has_failed = true;
}

/* The log's last batch, sent again. */
static void resend_last(struct player *player, struct expected *expected)
{
    struct partition_store *store = find(player, expected);
    int64_t offset = partition_store_log_end_offset(store) - 1;
    while (offset > 0 && expected->generations[offset] == 0)
        offset--;
    if (offset < partition_store_log_start_offset(store) || expected->generations[offset] == 0)
        return;
    struct batch *batch = take_batch(player, expected, offset, expected->generations[offset]);
    player->open_count++;
    const enum error_code code = partition_store_append(store, &batch->append);
    if (!player->is_offline &&
        (code != KAFKA_NONE || !batch->append.is_duplicate || batch->append.base_offset != offset))
        wrong(player, "the batch at %lld is not known as a duplicate", expected->topic, offset);
    if (code == KAFKA_NONE) {
        batch->append.durability = PARTITION_WRITTEN;
        wait_until_open_is(player, 0);
    }
}

static void check_partition(struct player *player, struct expected *expected)
{
    struct partition_store *store = find(player, expected);
    const bool must_be = expected->life == LIFE_IS;
    const bool must_not_be = expected->life == LIFE_NONE;
    if ((store == NULL && must_be) || (store != NULL && must_not_be)) {
        wrong(player, "is there or not, against its life %lld", expected->topic, expected->life);
        return;
    }
    if (store == NULL) {
        expected->life = LIFE_NONE;
        return;
    }
    if (partition_store_offline_reason(store) != NULL) {
        sim_workload_wrong(player->play->result, player->play->sim, "%s is refused: %s",
                           expected->topic, partition_store_offline_reason(store));
        return;
    }
    expected->life = LIFE_IS;
    const int64_t end = partition_store_log_end_offset(store);
    /* Begun anew where it was to, or where all was deleted and the rest cut off. A log that ends
     * where it starts may still hold what was deleted, and a truncation lowers its start. */
    if (partition_store_size_bytes(store) == 0 && partition_store_log_start_offset(store) == end &&
        (end == expected->anew_offset || end <= expected->start_max)) {
        memset(expected->generations, 0, sizeof expected->generations);
        expected->submitted_next = end;
        expected->start_max = end;
    }
    expected->anew_offset = -1;
    expected->durable_max = INT64_MAX;
    if (end < expected->durable_next || end > expected->submitted_next)
        sim_workload_wrong(player->play->result, player->play->sim,
                           "%s: ends at %lld, must hold all below %lld, none from %lld on",
                           expected->topic, (long long)end, (long long)expected->durable_next,
                           (long long)expected->submitted_next);
    const int64_t log_start = partition_store_log_start_offset(store);
    if (log_start > expected->start_max || log_start < expected->start_min)
        wrong(player, "starts at %lld", expected->topic, log_start);
    expected->start_min = log_start; /* That was found in a checkpoint, or is a file's name. */
    expected->durable_next = end;    /* What was found is synced now. */
    expected->submitted_next = end;
    expected->generation++;
    partition_store_lead(store, ++expected->epoch);
    read_from(player, expected, partition_store_log_start_offset(store));
    if (player->play->result->verdict == SIM_RIGHT)
        resend_last(player, expected);
}

static bool start(struct player *player)
{
    struct play *play = player->play;
    struct log_directory_options options = log_directory_options_default("/logs");
    options.high_watermark_checkpoint_ms = 20;
    options.flush_checkpoint_ms = 50;
    options.retention_check_ms = 30;
    options.open_file_count_max = 3;
    options.open_file_idle_ms = 40;
    options.reserve_bytes = 0;
    enum err err = log_directory_init(&player->directory, player->io, &player->node->heap,
                                      player->node->diag, options,
                                      (struct log_directory_events){
                                          .context = player,
                                          .config_of = config_of,
                                          .on_progress = on_progress,
                                          .on_offline = on_offline,
                                      });
    assert(err == ERR_OK);
    err = log_directory_open(player->directory);
    if (err == ERR_OK)
        err = log_directory_load(player->directory);
    const bool may_fail = play->sim->faults.sync_error_per_million > 0 ||
                          play->sim->faults.write_error_per_million > 0;
    if (err != ERR_OK && !may_fail)
        wrong(player, "cannot load: %lld", "directory", err);
    if (err != ERR_OK) {
        play->has_failed = true;
        return false;
    }
    for (int i = 0;
         i < partition_count && play->result->verdict == SIM_RIGHT && !player->is_offline; i++)
        check_partition(player, &play->expected[i]);
    return play->result->verdict == SIM_RIGHT && !player->is_offline;
}

static void stop(struct player *player)
{
    wait_until_open_is(player, 0);
    player->waiting_count++;
    log_directory_close(player->directory, on_done, player);
    wait_for_all(player);
    for (int i = 0; i < partition_count && !player->is_offline; i++)
        player->play->expected[i].durable_next = player->play->expected[i].submitted_next;
}

/* ---- What a process does. ---- */

static void use_partition(struct player *player, struct expected *expected, uint64_t choice)
{
    struct prng *prng = &player->play->prng;
    struct partition_store *store = find(player, expected);
    int64_t start_offset;
    if (choice < 45) {
        append(player, expected);
    } else if (choice < 70) {
        copy(player, expected);
    } else if (choice < 74) {
        cut(player, expected,
            (int64_t)prng_between(prng, (uint64_t)partition_store_log_start_offset(store),
                                  (uint64_t)partition_store_log_end_offset(store)),
            false);
    } else if (choice < 75) {
        const int64_t end = partition_store_log_end_offset(store);
        const int64_t offset = end + (int64_t)prng_below(prng, 50) - 20;
        cut(player, expected, min_i64(max_i64(offset, 0), offset_count_max - 100), true);
    } else if (choice < 80) {
        read_from(player, expected,
                  (int64_t)prng_between(prng, (uint64_t)partition_store_log_start_offset(store),
                                        (uint64_t)partition_store_log_end_offset(store)));
    } else if (choice < 83) {
        const int64_t offset = (int64_t)prng_below(prng, (uint64_t)expected->durable_next + 1);
        expected->start_max = max_i64(expected->start_max, offset);
        (void)!(partition_store_delete_records(store, offset, &start_offset) == KAFKA_NONE);
    } else if (choice < 85) {
        wait_until_open_is(player, 0);
        delete (player, expected);
    } else if (choice < 87) {
        partition_store_lead(store, ++expected->epoch);
    }
}

static void take_step(struct player *player)
{
    struct prng *prng = &player->play->prng;
    struct expected *expected = &player->play->expected[prng_below(prng, partition_count)];
    const uint64_t choice = prng_below(prng, 100);
    if (choice >= 96) {
        log_directory_tick(player->directory);
        /* Retention goes up to the last segment. */
        for (int i = 0; i < partition_count; i++)
            player->play->expected[i].start_max = max_i64(player->play->expected[i].start_max,
                                                          player->play->expected[i].submitted_next);
    } else if (choice >= 93) {
        wait_until_open_is(player, 0);
    } else if (choice >= 87) {
        io_run(player->io, prng_below(prng, 20) * ns_per_ms);
    } else if (expected->life == LIFE_NONE) {
        create(player, expected);
    } else {
        use_partition(player, expected, choice);
    }
}

static void process(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->play = play;
    player->node = node;
    player->io = node->io;
    const uint64_t boundaries_before = node->disk.boundary_count;
    if (!start(player))
        return;
    if (play->result->recovery_boundary_count == 0 && play->result->boundary_count > 0)
        play->result->recovery_boundary_count = node->disk.boundary_count - boundaries_before;
    while (play->steps_left > 0 && play->result->verdict == SIM_RIGHT && !player->is_offline) {
        play->steps_left--;
        take_step(player);
    }
    if (play->result->verdict == SIM_RIGHT && !player->is_offline)
        stop(player);
}

/* ---- The run. ---- */

static void draw_config(struct play *play)
{
    struct prng *prng = &play->prng;
    play->config = partition_config_default();
    play->config.segment_bytes = (uint32_t)prng_between(prng, 3000, 12000);
    play->config.index_interval_bytes = (uint32_t)prng_between(prng, 100, 2000);
    play->config.segment_index_bytes = (uint32_t)prng_between(prng, 50, 500);
    play->config.retention_ms = -1;
    play->config.file_delete_delay_ms = (int64_t)prng_below(prng, 50);
    if (prng_chance(prng, 1, 2))
        play->config.retention_bytes = (int64_t)prng_between(prng, 5000, 20000);
    for (int i = 0; i < partition_count; i++)
        play->expected[i] = (struct expected){.topic = {(char)('a' + i)}};
}

static bool live(struct play *play, bool may_kill)
{
    struct sim_node *node = play->sim->nodes[0];
    sim_node_start(node, process, play);
    if (!may_kill)
        return sim_node_wait(node, play->sim->now_ns + run_ns_max);
    if (sim_node_wait(node, play->sim->now_ns + prng_below(&play->prng, 600 * ns_per_ms)))
        return true;
    if (prng_chance(&play->prng, 1, 3))
        sim_node_kill(node);
    else
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
    return true;
}

static void judge_end(struct play *play)
{
    struct sim_workload_result *result = play->result;
    const struct sim_node *node = play->sim->nodes[0];
    if (result->verdict == SIM_RIGHT && node->end == SIM_NODE_FATAL) {
        result->verdict = SIM_CRASHED;
        memcpy(result->why, node->fatal_line, sizeof result->why);
    }
}

static void run_swarm(struct play *play)
{
    for (int life = 0; life < process_count_max && play->result->verdict == SIM_RIGHT; life++) {
        live(play, true);
        judge_end(play);
        /* After a failed sync the machine is restarted too, or only the process: then the page
         * cache shows bytes that the kernel will never write. */
        if (play->has_failed && prng_chance(&play->prng, 1, 2))
            sim_node_lose_power(play->sim->nodes[0], SIM_LOSS_RANDOM);
        play->has_failed = false;
    }
    play->sim->faults.sync_error_per_million = 0;
    play->sim->faults.write_error_per_million = 0;
}

static void run_crash(struct play *play)
{
    struct sim_node *node = play->sim->nodes[0];
    const struct sim_workload_options *options = play->options;
    sim_crash_at(node, options->crash_boundary, options->crash_loss);
    const bool is_down = live(play, false);
    play->result->boundary_count = node->disk.boundary_count;
    if (is_down && options->crash_boundary_again > 0 && node->end == SIM_NODE_LOST_POWER) {
        sim_crash_at(node, options->crash_boundary_again, options->crash_loss);
        live(play, false);
        sim_crash_at(node, 0, SIM_LOSS_ALL);
    }
    judge_end(play);
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x706172746974);
    sim_workload_begin(&sim, options, &prng, 1);
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->prng = prng;
    play->steps_left = options->steps * (options->is_swarm ? process_count_max : 1);
    draw_config(play);

    if (options->is_swarm)
        run_swarm(play);
    else
        run_crash(play);
    /* At last a quiet life: everything must come to its end. */
    if (result.verdict == SIM_RIGHT && !live(play, false)) {
        sim_workload_stuck(&result, "the process does not end");
    }
    judge_end(play);
    sim_workload_end(&sim, &result);
    return result;
}

const struct sim_workload workload_partition = {.name = "partition", .steps = 120, .run = run};
