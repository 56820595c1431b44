/* The store, the loader and the log directory on a real disk. */
#define _GNU_SOURCE
#include "server/broker/partition_store.h"

#include "base/bytes.h"
#include "base/prng.h"
#include "broker/checkpoint_file.h"
#include "test/record_packer.h"
#include "test/store_fixture.h"

#include <fcntl.h>

static void appends_and_reads(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture);
    struct partition_store *store = create(&fixture, "orders");
    assert_int_equal(append(&fixture, store, 3, PARTITION_WRITTEN), 0);
    assert_int_equal(append(&fixture, store, 2, PARTITION_DURABLE), 3);
    assert_int_equal(partition_store_high_watermark(store), 5);
    assert_true(fixture.progress_count >= 2);
    assert_int_equal(read_all(&fixture, store, 0, 1), 5);
    assert_int_equal(read_all(&fixture, store, 4, 100000), 1);
    assert_int_equal(read_at(&fixture, store, 5, 100).read.size, 0);
    assert_int_equal(read_at(&fixture, store, 6, 100).code, KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(read_at(&fixture, store, -1, 100).code, KAFKA_OFFSET_OUT_OF_RANGE);
    stop(&fixture);

    start(&fixture);
    store = find(&fixture, "orders");
    assert_true(has_line(&fixture, "1 partitions loaded, 0 offline"));
    assert_int_equal(partition_store_log_end_offset(store), 5);
    assert_true(topic_id_equal(partition_store_topic_id(store), &test_id));
    assert_int_equal(read_all(&fixture, store, 0, 1000), 5);
    partition_store_lead(store, 1);
    assert_int_equal(append(&fixture, store, 1, PARTITION_DURABLE), 5);
    assert_int_equal(partition_store_epoch_end(store, 0).end_offset, 5);
    stop(&fixture);
    tear_down(&fixture);
}

/* Many appends in flight, of both kinds, over many segments; then a clean end and a crash. */
static void rolls_and_recovers(void **state)
{
    (void)state;
    enum { append_count = 400 };
    static struct pending pending[append_count];
    struct fixture fixture;
    set_up(&fixture);
    fixture.config.segment_bytes = 20000;
    fixture.config.index_interval_bytes = 1000;
    start(&fixture);
    struct partition_store *store = create(&fixture, "a-b");
    for (int i = 0; i < append_count; i++) {
        fill(&pending[i], 1 + i % 5, 100, 1000 + i);
        pending[i].append.durability = i % 3 == 0 ? PARTITION_DURABLE : PARTITION_WRITTEN;
        assert_int_equal(partition_store_append(store, &pending[i].append), KAFKA_NONE);
    }
    for (int i = 0; i < append_count; i++) {
        wait_for(&fixture, &pending[i].is_done);
        assert_int_equal(pending[i].code, KAFKA_NONE);
    }
    const int64_t end = append_count * 3;
    assert_int_equal(partition_store_high_watermark(store), end);
    assert_int_equal(read_all(&fixture, store, 0, 5000), end);
    for (int64_t offset = 0; offset < end; offset += 37)
        assert_int_equal(read_all(&fixture, store, offset, 1 << 20), end - offset);
    stop(&fixture);

    start(&fixture);
    store = find(&fixture, "a-b");
    assert_int_equal(read_all(&fixture, store, 0, 5000), end);
    partition_store_lead(store, 0);
    append(&fixture, store, 4, PARTITION_WRITTEN);
    kill_it(&fixture);

    start(&fixture);
    assert_true(has_line(&fixture, "1 partitions loaded and recovered, 0 offline"));
    store = find(&fixture, "a-b");
    assert_int_equal(partition_store_log_end_offset(store), end + 4);
    for (int64_t offset = 0; offset < end; offset += 37)
        assert_int_equal(read_all(&fixture, store, offset, 3000), end + 4 - offset);
    stop(&fixture);
    tear_down(&fixture);
}

/* flush.messages: the append with which too many are not synced waits for the disk. */
static void syncs_after_so_many_records(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.config.flush_messages = 5;
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    static const struct {
        int32_t count;
        int64_t durable_offset;
    } appends[] = {{2, 0}, {2, 0}, {1, 5}, {4, 5}, {3, 12}, {7, 19}};
    for (size_t i = 0; i < ARRAY_COUNT(appends); i++) {
        append(&fixture, store, appends[i].count, PARTITION_WRITTEN);
        assert_int_equal(store->durable_offset, appends[i].durable_offset);
    }
    append(&fixture, store, 1, PARTITION_DURABLE); /* One that waits anyway counts as well. */
    append(&fixture, store, 4, PARTITION_WRITTEN);
    assert_int_equal(store->durable_offset, 20);
    stop(&fixture);
    tear_down(&fixture);
}

struct looking {
    struct partition_lookup lookup;
    bool is_done;
    enum error_code code;
};

static void on_looked_up(struct partition_lookup *lookup, enum error_code code)
{
    struct looking *looking = CONTAINER_OF(lookup, struct looking, lookup);
    looking->is_done = true;
    looking->code = code;
}

static struct partition_lookup look_up(struct fixture *fixture, struct partition_store *store,
                                       int64_t timestamp_ms)
{
    struct looking looking = {.lookup = {.timestamp_ms = timestamp_ms, .done = on_looked_up}};
    if (!partition_store_lookup(store, &looking.lookup, &looking.code))
        wait_for(fixture, &looking.is_done);
    assert_int_equal(looking.code, KAFKA_NONE);
    return looking.lookup;
}

static void check_lookups(struct fixture *fixture, struct partition_store *store)
{
    for (int64_t i = 0; i < 200; i += 7) {
        const struct partition_lookup exact = look_up(fixture, store, 10000 + 10 * i);
        assert_int_equal(exact.offset, 2 * i);
        assert_int_equal(exact.timestamp_found_ms, 10000 + 10 * i);
        assert_int_equal(look_up(fixture, store, 10000 + 10 * i - 3).offset, 2 * i);
    }
    assert_int_equal(look_up(fixture, store, 0).offset, 0);
    assert_int_equal(look_up(fixture, store, 10000 + 10 * 199 + 1).offset, -1);
    assert_int_equal(look_up(fixture, store, PARTITION_LATEST).offset, 400);
    assert_int_equal(look_up(fixture, store, PARTITION_EARLIEST).offset, 0);
    const struct partition_lookup max = look_up(fixture, store, PARTITION_MAX_TIMESTAMP);
    assert_int_equal(max.offset, 398);
    assert_int_equal(max.timestamp_found_ms, 10000 + 10 * 199);
}

static void finds_timestamps(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.config.segment_bytes = 9000;
    fixture.config.index_interval_bytes = 500;
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    assert_int_equal(look_up(&fixture, store, 5).offset, -1);
    assert_int_equal(look_up(&fixture, store, PARTITION_MAX_TIMESTAMP).offset, -1);
    for (int64_t i = 0; i < 200; i++) {
        struct pending pending;
        fill(&pending, 2, 100, 10000 + 10 * i);
        assert_int_equal(partition_store_append(store, &pending.append), KAFKA_NONE);
        wait_for(&fixture, &pending.is_done);
    }
    check_lookups(&fixture, store);
    stop(&fixture);
    start(&fixture);
    check_lookups(&fixture, find(&fixture, "t"));
    kill_it(&fixture);
    start(&fixture);
    check_lookups(&fixture, find(&fixture, "t"));
    stop(&fixture);
    tear_down(&fixture);
}

static uint8_t *put_varint(uint8_t *at, int64_t value)
{
    uint64_t raw = (uint64_t)value << 1;
    for (; raw >= 0x80; raw >>= 7)
        *at++ = (uint8_t)(raw | 0x80);
    *at++ = (uint8_t)raw;
    return at;
}

enum { spread_count = 40, spread_large = 30, spread_large_bytes = 3 << 20 };

/* Records two milliseconds apart, without keys; one of them takes several turns to unpack. */
static struct slice make_spread_batch(uint8_t *data, size_t capacity, int64_t base_ms)
{
    struct record_batch_writer writer;
    record_batch_writer_init(&writer, data, capacity, base_ms);
    assert_true(record_batch_writer_add(&writer, SLICE_NULL, SLICE_NULL));
    record_batch_writer_finish(&writer);
    uint8_t *at = data + record_batch_header_bytes;
    for (int64_t i = 0; i < spread_count; i++) {
        static uint8_t body[spread_large_bytes + 100];
        const int64_t value_size = i == spread_large ? spread_large_bytes : 10;
        body[0] = 0;
        uint8_t *end = put_varint(body + 1, 2 * i);
        end = put_varint(end, i);
        *end++ = 1; /* A null key. */
        end = put_varint(end, value_size);
        memset(end, 'v', (size_t)value_size);
        end[value_size] = 0; /* No headers. */
        const size_t size = (size_t)(end + value_size + 1 - body);
        at = put_varint(at, (int64_t)size);
        memcpy(at, body, size);
        at += size;
    }
    store_u32(data + 8, (uint32_t)(at - data) - record_batch_prefix_bytes);
    store_u32(data + 23, spread_count - 1);
    store_i64(data + 35, base_ms + 2 * (spread_count - 1));
    store_u32(data + 57, spread_count);
    return slice_of(data, (size_t)(at - data));
}

/* The exact record, as from Apache's broker; the first one when the batch becomes too large. */
static void finds_timestamps_in_compressed_batches(void **state)
{
    enum { capacity = 4 << 20, base_ms = 100000, codec_count = CODEC_ZSTD };
    static uint8_t plain[capacity];
    static uint8_t packed[codec_count][capacity];
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    for (int i = 0; i < codec_count; i++) {
        const struct slice batch = make_spread_batch(plain, sizeof plain, base_ms + 1000 * i);
        struct pending pending = {0};
        pending.append = (struct partition_append){.data = packed[i], .done = on_appended};
        pending.append.size = (uint32_t)record_packer_pack((enum record_codec)(CODEC_GZIP + i),
                                                           batch, packed[i], capacity)
                                  .size;
        assert_int_equal(partition_store_append(store, &pending.append), KAFKA_NONE);
        wait_for(&fixture, &pending.is_done);
    }
    for (int batch = 0; batch < codec_count; batch++) {
        for (int64_t i = 0; i < spread_count; i += 3) {
            const int64_t timestamp_ms = base_ms + 1000 * batch + 2 * i;
            const struct partition_lookup found = look_up(&fixture, store, timestamp_ms);
            assert_int_equal(found.offset, batch * spread_count + i);
            assert_int_equal(found.timestamp_found_ms, timestamp_ms);
        }
    }
    assert_int_equal(look_up(&fixture, store, PARTITION_MAX_TIMESTAMP).offset,
                     codec_count * spread_count - 1);
    fixture.directory->options.unpacked_batch_bytes_max = 1 << 20;
    assert_int_equal(look_up(&fixture, store, base_ms + 2).offset, 1);
    assert_int_equal(look_up(&fixture, store, base_ms + 2 * (spread_count - 1)).offset, 0);
    stop(&fixture);
    tear_down(&fixture);
}

static void print_file(char *path, size_t size, const struct fixture *fixture, const char *name)
{
    snprintf(path, size, "%s/%s", fixture->path, name);
}

static off_t file_size(const struct fixture *fixture, const char *name)
{
    char path[256];
    struct stat info;
    print_file(path, sizeof path, fixture, name);
    return stat(path, &info) == 0 ? info.st_size : -1;
}

static void overwrite(const struct fixture *fixture, const char *name, off_t at, const void *bytes,
                      size_t size)
{
    char path[256];
    print_file(path, sizeof path, fixture, name);
    const int fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
    close(fd);
}

static const char first_log[] = "t-0/00000000000000000000.log";

/* Three durable appends; returns the size of one. */
static off_t write_three(struct fixture *fixture)
{
    set_up(fixture);
    start(fixture);
    struct partition_store *store = create(fixture, "t");
    for (int i = 0; i < 3; i++)
        append(fixture, store, 2, PARTITION_DURABLE);
    /* The mark is written behind the acknowledgement. */
    while (store->synced_mark < 6 || fixture->directory->marks.writing != NULL)
        io_run(fixture->io, UINT64_MAX);
    const off_t size = file_size(fixture, first_log) / 3;
    kill_it(fixture);
    return size;
}

static void cuts_a_torn_end(void **state)
{
    (void)state;
    struct fixture fixture;
    const off_t size = write_three(&fixture);
    static const uint8_t junk[100] = {0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 200, 1, 2, 3, 4, 2};
    static const uint8_t zeros[1000];
    overwrite(&fixture, first_log, size * 3, junk, sizeof junk);
    start(&fixture);
    assert_true(has_line(&fixture, "cut there, at offset 6"));
    assert_int_equal(partition_store_log_end_offset(find(&fixture, "t")), 6);
    assert_int_equal(file_size(&fixture, first_log), size * 3);
    kill_it(&fixture);

    overwrite(&fixture, first_log, size * 3, zeros, sizeof zeros); /* D03, F04 */
    start(&fixture);
    assert_int_equal(file_size(&fixture, first_log), size * 3);
    partition_store_lead(find(&fixture, "t"), 3);
    assert_int_equal(append(&fixture, find(&fixture, "t"), 1, PARTITION_DURABLE), 6);
    stop(&fixture);
    tear_down(&fixture);
}

/* A sync that fails ends what waits for it, and what waits behind that for its turn only. */
static void ends_every_append_when_a_sync_fails(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pending pendings[3];
    set_up(&fixture);
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    append(&fixture, store, 1, PARTITION_DURABLE);
    const int null = open("/dev/null", O_WRONLY); /* It takes writes, but no sync. */
    assert_true(null >= 0);
    const int file = (int)partition_store_active(store)->file->handle;
    assert_int_equal(dup2(null, file), file);
    assert_int_equal(close(null), 0);
    for (size_t i = 0; i < ARRAY_COUNT(pendings); i++) {
        fill(&pendings[i], 1, 100, 1000);
        pendings[i].append.durability = i == 0 ? PARTITION_DURABLE : PARTITION_WRITTEN;
        assert_int_equal(partition_store_append(store, &pendings[i].append), KAFKA_NONE);
    }
    for (size_t i = 0; i < ARRAY_COUNT(pendings); i++) {
        wait_for(&fixture, &pendings[i].is_done);
        assert_int_equal(pendings[i].code, KAFKA_KAFKA_STORAGE_ERROR);
    }
    assert_int_equal(fixture.offline_count, 1);
    kill_it(&fixture);
    tear_down(&fixture);
}

/* Open files of a directory that is gone take reads and writes; what has to be opened tells. */
static void goes_offline_when_its_files_are_gone(void **state)
{
    (void)state;
    struct fixture fixture;
    char path[256];
    char away[256];
    set_up(&fixture);
    fixture.config.segment_bytes = 1000;
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    for (int i = 0; i < 20; i++)
        append(&fixture, store, 2, PARTITION_DURABLE);
    stop(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    assert_true(store->segments.next != store->segments.prev); /* The first is not open. */
    print_file(path, sizeof path, &fixture, "t-0");
    print_file(away, sizeof away, &fixture, "u-0");
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(fixture.offline_count, 0);
    assert_int_equal(read_at(&fixture, store, 0, 100).code, KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(fixture.offline_count, 1);
    kill_it(&fixture);
    tear_down(&fixture);
}

static void goes_offline_when_nothing_can_be_created(void **state)
{
    (void)state;
    struct fixture fixture;
    char away[256];
    struct outcome outcome = {0};
    set_up(&fixture);
    start(&fixture);
    snprintf(away, sizeof away, "%s-away", fixture.path);
    assert_int_equal(rename(fixture.path, away), 0);
    log_directory_create(fixture.directory,
                         (struct partition_spec){
                             .topic = SLICE_LITERAL("t"), .id = test_id, .config = fixture.config},
                         on_created, &outcome);
    wait_for(&fixture, &outcome.is_done);
    assert_int_equal(outcome.err, ERR_IO);
    assert_int_equal(fixture.offline_count, 1);
    assert_int_equal(rename(away, fixture.path), 0);
    kill_it(&fixture);
    tear_down(&fixture);
}

/* Decision 7: what was promised is never cut silently. */
static void refuses_damage_below_the_mark(void **state)
{
    (void)state;
    struct fixture fixture;
    const off_t size = write_three(&fixture);
    const uint8_t junk = 0xff;
    overwrite(&fixture, first_log, size + 80, &junk, 1);
    start(&fixture);
    struct partition_store *store = find(&fixture, "t");
    assert_non_null(partition_store_offline_reason(store));
    char place[64];
    snprintf(place, sizeof place, "0.log at byte %lld: the checksum", (long long)size);
    assert_true(has_line(&fixture, place));
    assert_int_equal(file_size(&fixture, first_log), size * 3);
    struct pending pending;
    fill(&pending, 1, 10, 5);
    assert_int_equal(partition_store_append(store, &pending.append), KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(read_at(&fixture, store, 0, 100).code, KAFKA_KAFKA_STORAGE_ERROR);

    /* A clean end leaves no marker, so that the next start looks again. */
    struct outcome outcome = {0};
    log_directory_close(fixture.directory, on_done, &outcome);
    wait_for(&fixture, &outcome.is_done);
    assert_int_equal(outcome.err, ERR_IO);
    assert_int_equal(file_size(&fixture, ".kafka_cleanshutdown"), -1);
    kill_it(&fixture);
    start(&fixture);
    assert_non_null(partition_store_offline_reason(find(&fixture, "t")));
    kill_it(&fixture);
    tear_down(&fixture);
}

static void refuses_a_log_that_is_too_short(void **state)
{
    (void)state;
    struct fixture fixture;
    const off_t size = write_three(&fixture);
    char path[256];
    print_file(path, sizeof path, &fixture, first_log);
    assert_int_equal(truncate(path, size * 2), 0);
    start(&fixture);
    assert_non_null(partition_store_offline_reason(find(&fixture, "t")));
    assert_true(has_line(&fixture, "ends below what was promised"));
    kill_it(&fixture);

    print_file(path, sizeof path, &fixture, "rookery-synced"); /* The operator's decision. */
    assert_int_equal(remove(path), 0);
    start(&fixture);
    assert_int_equal(partition_store_log_end_offset(find(&fixture, "t")), 4);
    stop(&fixture);
    tear_down(&fixture);
}

/* A crash in the middle of a truncation leaves that. No file of the old log may stay: offsets that
 * are missing behind it would look as if a crash had taken them, and with them what came since. */
static void begins_anew_at_a_start_behind_its_end(void **state)
{
    (void)state;
    static const char starts[] = "0\n1\nt 0 20\n";
    struct fixture fixture;
    char path[256];
    write_three(&fixture);
    overwrite(&fixture, "log-start-offset-checkpoint", 0, starts, sizeof starts - 1);
    start(&fixture);
    assert_true(has_line(&fixture, "ends at 6, before its start 20: begun anew there"));
    struct partition_store *store = find(&fixture, "t");
    assert_int_equal(partition_store_log_start_offset(store), 20);
    assert_int_equal(file_size(&fixture, first_log), -1);
    partition_store_lead(store, 1);
    assert_int_equal(append(&fixture, store, 3, PARTITION_DURABLE), 20);
    kill_it(&fixture);

    /* A power loss takes the mark of the last second; the file's name says where the log begins. */
    print_file(path, sizeof path, &fixture, "rookery-synced");
    assert_int_equal(remove(path), 0);
    print_file(path, sizeof path, &fixture, "log-start-offset-checkpoint");
    assert_int_equal(remove(path), 0);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(partition_store_log_start_offset(store), 20);
    assert_int_equal(partition_store_log_end_offset(store), 23);
    assert_int_equal(read_all(&fixture, store, 20, 1000), 3);
    stop(&fixture);
    tear_down(&fixture);
}

/* It has the same topic id; what was promised of the one that left is not asked of it. */
static void a_replica_that_left_may_come_back(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    for (int i = 0; i < 3; i++)
        append(&fixture, store, 2, PARTITION_DURABLE);
    while (store->synced_mark < 6 || fixture.directory->marks.writing != NULL)
        io_run(fixture.io, UINT64_MAX);
    struct outcome outcome = {0};
    log_directory_delete(fixture.directory, store, on_done, &outcome);
    wait_for(&fixture, &outcome.is_done);
    while (fixture.directory->marks.is_erasing)
        io_run(fixture.io, UINT64_MAX);
    create(&fixture, "t");
    kill_it(&fixture);
    start(&fixture);
    assert_null(partition_store_offline_reason(find(&fixture, "t")));
    assert_int_equal(partition_store_log_end_offset(find(&fixture, "t")), 0);
    stop(&fixture);
    tear_down(&fixture);
}

/* D21: the marker of a clean end says nothing about what happened to the files since. */
static void looks_at_the_end_in_spite_of_the_marker(void **state)
{
    (void)state;
    static const uint8_t junk[30] = {1};
    for (int is_short = 0; is_short < 2; is_short++) {
        struct fixture fixture;
        const off_t size = write_three(&fixture);
        char path[256];
        start(&fixture);
        stop(&fixture);
        print_file(path, sizeof path, &fixture, first_log);
        if (is_short == 1)
            assert_int_equal(truncate(path, size * 3 - 1), 0);
        else
            overwrite(&fixture, first_log, size * 3, junk, sizeof junk);
        start(&fixture);
        struct partition_store *store = find(&fixture, "t");
        if (is_short == 1) {
            assert_non_null(partition_store_offline_reason(store));
        } else {
            assert_int_equal(partition_store_log_end_offset(store), 6);
            assert_int_equal(file_size(&fixture, first_log), size * 3);
        }
        kill_it(&fixture);
        tear_down(&fixture);
    }
}

/* D22, D24. */
static void refuses_what_is_no_log(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct fixture fixture;
        const off_t size = write_three(&fixture);
        static const uint8_t zeros[64];
        char path[256];
        print_file(path, sizeof path, &fixture, "t-0/00000000000000000006.log");
        if (kind == 0)
            assert_int_equal(mkfifo(path, 0644), 0);
        else if (kind == 1)
            assert_int_equal(mkdir(path, 0755), 0);
        else
            overwrite(&fixture, first_log, size, zeros, sizeof zeros);
        start(&fixture);
        assert_non_null(partition_store_offline_reason(find(&fixture, "t")));
        kill_it(&fixture);
        tear_down(&fixture);
    }
}

/* D15, D17, D18, D19: every small file damaged in turn, after a clean end and after a crash.
 */
/* As Apache's brokers leave it for a partition without records, or with such of old formats only.
 */
static void takes_an_empty_file_of_epochs_for_none(void **state)
{
    struct fixture fixture;
    char path[256];
    (void)state;
    write_three(&fixture);
    start(&fixture);
    stop(&fixture);
    print_file(path, sizeof path, &fixture, "t-0/leader-epoch-checkpoint");
    assert_int_equal(truncate(path, 0), 0);
    start(&fixture);
    struct partition_store *store = find(&fixture, "t");
    assert_false(has_line(&fixture, "leader-epoch-checkpoint"));
    assert_int_equal(read_all(&fixture, store, 0, 100000), 6);
    stop(&fixture);
    tear_down(&fixture);
}

static void survives_damaged_derived_files(void **state)
{
    (void)state;
    static const char *const names[] = {
        "t-0/00000000000000000000.index",       "t-0/00000000000000000000.timeindex",
        "t-0/00000000000000000006.snapshot",    "t-0/leader-epoch-checkpoint",
        "recovery-point-offset-checkpoint",     "log-start-offset-checkpoint",
        "replication-offset-checkpoint",        "t-0/00000000000000000000.log.deleted",
        "t-0/00000000000000000099.index",       "t-0/00000000000000000003.snapshot",
        "t-0/00000000000000000000.log.cleaned", "t-0/unknown",
    };
    static const uint8_t junk[16] = {'9', '9', '\n', '1', 0xff, 0xfe, 3};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        for (int crashes = 0; crashes < 2; crashes++) {
            struct fixture fixture;
            write_three(&fixture);
            start(&fixture);
            if (crashes == 1)
                kill_it(&fixture);
            else
                stop(&fixture);
            overwrite(&fixture, names[i], 0, junk, sizeof junk);
            start(&fixture);
            struct partition_store *store = find(&fixture, "t");
            assert_null(partition_store_offline_reason(store));
            assert_int_equal(partition_store_log_end_offset(store), 6);
            assert_int_equal(read_all(&fixture, store, 0, 100000), 6);
            assert_int_equal(look_up(&fixture, store, 1002).offset, 2);
            partition_store_lead(store, 7);
            assert_int_equal(append(&fixture, store, 1, PARTITION_DURABLE), 6);
            stop(&fixture);
            assert_int_equal(file_size(&fixture, "t-0/00000000000000000000.log.deleted"), -1);
            assert_int_equal(file_size(&fixture, "t-0/00000000000000000099.index"), -1);
            tear_down(&fixture);
        }
    }
}

/* Two records of producer 99 in its epoch 0; the CRC is checked before the store sees a batch. */
static void fill_idempotent(struct pending *pending, int32_t sequence)
{
    struct record_batch batch;
    fill(pending, 2, 10, 50);
    store_i64(pending->data + 43, 99);
    store_i16(pending->data + 51, 0);
    store_i32(pending->data + 53, sequence);
    assert_int_equal(record_batch_decode(&batch, slice_of(pending->data, pending->append.size)),
                     ERR_OK);
    record_batch_set_max_timestamp(&batch, pending->data, 50);
}

/* Until a segment ends, the batches themselves say where epochs begin; then the file does. What it
 * says of batches that recovery reads does not count: it may tell of some that were cut off. */
static void writes_epochs_when_a_segment_ends(void **state)
{
    (void)state;
    static const char epochs_file[] = "t-0/leader-epoch-checkpoint";
    static const char stale[] = "0\n2\n0 0\n9 2\n";
    struct fixture fixture;
    set_up(&fixture);
    fixture.config.segment_bytes = 1000;
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    append(&fixture, store, 3, PARTITION_DURABLE);
    assert_true(store->is_epochs_dirty && !store->is_writing);
    assert_int_equal(partition_store_recovery_point(store), 0);
    kill_it(&fixture);
    assert_int_equal(file_size(&fixture, epochs_file), -1);

    overwrite(&fixture, epochs_file, 0, stale, sizeof stale - 1);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(partition_store_latest_epoch(store), 0);
    partition_store_lead(store, 1);
    append(&fixture, store, 2, PARTITION_DURABLE);
    assert_true(store->is_epochs_dirty && !store->is_writing);
    append(&fixture, store, 5, PARTITION_DURABLE);     /* In the next segment. */
    while (partition_store_recovery_point(store) < 10) /* Its index is written, too. */
        io_run(fixture.io, UINT64_MAX);
    assert_false(store->is_epochs_dirty);
    kill_it(&fixture);

    assert_true(file_size(&fixture, epochs_file) > 0);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(partition_store_epoch_end(store, 0).end_offset, 3);
    assert_int_equal(partition_store_latest_epoch(store), 1);
    stop(&fixture);
    tear_down(&fixture);
}

static void tells_duplicates_after_a_restart(void **state)
{
    (void)state;
    for (int crashes = 0; crashes < 2; crashes++) {
        struct fixture fixture;
        struct pending first;
        struct pending again;
        set_up(&fixture);
        start(&fixture);
        struct partition_store *store = create(&fixture, "t");
        append(&fixture, store, 3, PARTITION_WRITTEN);
        fill_idempotent(&first, 0);
        again = first;
        assert_int_equal(partition_store_append(store, &first.append), KAFKA_NONE);
        assert_int_equal(partition_store_append(store, &again.append), KAFKA_NONE);
        assert_true(again.append.is_duplicate && !again.is_done);
        wait_for(&fixture, &again.is_done);
        assert_true(first.is_done);
        assert_int_equal(again.append.base_offset, 3);
        if (crashes == 1)
            kill_it(&fixture);
        else
            stop(&fixture);

        start(&fixture);
        store = find(&fixture, "t");
        partition_store_lead(store, 1);
        again.is_done = false;
        assert_int_equal(partition_store_append(store, &again.append), KAFKA_NONE);
        wait_for(&fixture, &again.is_done);
        assert_true(again.append.is_duplicate);
        assert_int_equal(again.append.base_offset, 3);
        assert_int_equal(partition_store_log_end_offset(store), 5);
        stop(&fixture);
        tear_down(&fixture);
    }
}

static bool are_removals_left(const struct fixture *fixture)
{
    return fixture->directory->removal != NULL || fixture->directory->removals.count > 0;
}

static void retains_and_deletes(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.config.segment_bytes = 3000;
    fixture.config.retention_bytes = 10000;
    fixture.config.retention_ms = -1;
    fixture.config.file_delete_delay_ms = 0;
    fixture.options.retention_check_ms = 0;
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    for (int i = 0; i < 50; i++)
        append(&fixture, store, 10, PARTITION_WRITTEN);
    int64_t start_offset;
    while (partition_store_size_bytes(store) > 13000 || store->is_requesting ||
           are_removals_left(&fixture)) {
        log_directory_tick(fixture.directory);
        io_run(fixture.io, 1000000);
    }
    const int64_t kept_from = partition_store_log_start_offset(store);
    assert_true(kept_from > 300);
    assert_int_equal(read_at(&fixture, store, kept_from - 1, 100).code, KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(read_all(&fixture, store, kept_from, 10000), 500 - kept_from);
    assert_int_equal(file_size(&fixture, first_log), -1);
    assert_int_equal(file_size(&fixture, "t-0/00000000000000000000.index"), -1);

    assert_int_equal(partition_store_delete_records(store, 501, &start_offset),
                     KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(partition_store_delete_records(store, 495, &start_offset), KAFKA_NONE);
    assert_int_equal(start_offset, 495);
    assert_int_equal(partition_store_delete_records(store, 3, &start_offset), KAFKA_NONE);
    assert_int_equal(start_offset, 495);
    assert_int_equal(read_all(&fixture, store, 495, 10000), 5);
    stop(&fixture);

    /* Everything expires: a new, empty segment keeps the offsets. */
    fixture.config.retention_ms = 1;
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(partition_store_log_start_offset(store), 495);
    while (partition_store_size_bytes(store) > 0 || store->is_requesting) {
        log_directory_tick(fixture.directory);
        io_run(fixture.io, 1000000);
    }
    assert_int_equal(partition_store_log_start_offset(store), 500);
    kill_it(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(partition_store_log_end_offset(store), 500);
    assert_int_equal(partition_store_log_start_offset(store), 500);

    struct outcome outcome = {0};
    log_directory_delete(fixture.directory, store, on_done, &outcome);
    assert_null(log_directory_find(fixture.directory, SLICE_LITERAL("t"), 0));
    wait_for(&fixture, &outcome.is_done);
    assert_int_equal(outcome.err, ERR_OK);
    assert_int_equal(file_size(&fixture, "t-0"), -1);
    store = create(&fixture, "t"); /* A new life of the name. */
    assert_int_equal(append(&fixture, store, 1, PARTITION_DURABLE), 0);
    while (are_removals_left(&fixture)) {
        log_directory_tick(fixture.directory);
        io_run(fixture.io, 1000000);
    }
    stop(&fixture);
    tear_down(&fixture);
}

/* One after the other, however many there are. */
static void what_is_deleted_waits_for_no_tick(void **state)
{
    enum { partition_count = 5, rounds_max = 3000 };
    struct fixture fixture;
    (void)state;
    set_up(&fixture);
    fixture.config.file_delete_delay_ms = 0;
    start(&fixture);
    for (int i = 0; i < partition_count; i++) {
        struct outcome outcome = {0};
        struct partition_store *store = create(&fixture, (const char[]){(char)('a' + i), 0});
        append(&fixture, store, 10, PARTITION_DURABLE);
        log_directory_delete(fixture.directory, store, on_done, &outcome);
        wait_for(&fixture, &outcome.is_done);
        assert_int_equal(outcome.err, ERR_OK);
    }
    assert_int_equal(fixture.directory->removals.count, partition_count);
    log_directory_tick(fixture.directory);
    for (int i = 0; i < rounds_max && are_removals_left(&fixture); i++)
        io_run(fixture.io, 1000000);
    assert_false(are_removals_left(&fixture));
    stop(&fixture);
    tear_down(&fixture);
}

static void the_longest_delay_is_not_the_shortest(void **state)
{
    struct fixture fixture;
    struct outcome outcome = {0};
    (void)state;
    set_up(&fixture);
    fixture.config.file_delete_delay_ms = INT64_MAX;
    start(&fixture);
    struct partition_store *store = create(&fixture, "a");
    append(&fixture, store, 10, PARTITION_DURABLE);
    log_directory_delete(fixture.directory, store, on_done, &outcome);
    wait_for(&fixture, &outcome.is_done);
    log_directory_tick(fixture.directory);
    assert_null(fixture.directory->removal);
    assert_true(are_removals_left(&fixture));
    stop(&fixture);
    tear_down(&fixture);
}

/* Names that went need not have gone for good: after a power loss some of the files are there. */
static void retained_segments_that_come_back_are_not_read(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.config.segment_bytes = 3000;
    fixture.config.retention_bytes = 3000;
    fixture.config.file_delete_delay_ms = 60000;
    fixture.options.retention_check_ms = 0;
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    for (int i = 0; i < 20; i++)
        append(&fixture, store, 10, PARTITION_DURABLE);
    log_directory_tick(fixture.directory);
    while (store->is_requesting)
        io_run(fixture.io, 1000000);
    const int64_t kept_from = partition_store_log_start_offset(store);
    assert_true(kept_from > 0);
    stop(&fixture);

    char gone[280], path[256];
    print_file(path, sizeof path, &fixture, first_log);
    snprintf(gone, sizeof gone, "%s.deleted", path);
    assert_int_equal(rename(gone, path), 0);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(partition_store_log_start_offset(store), kept_from);
    assert_int_equal(partition_store_log_end_offset(store), 200);
    stop(&fixture);
    tear_down(&fixture);
}

static void belongs_to_one_broker(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fixture other;
    struct outcome outcome = {0};
    set_up(&fixture);
    start(&fixture);
    other = fixture;
    assert_int_equal(start_or_fail(&other), ERR_BUSY);
    assert_true(has_line(&other, "another broker uses"));
    log_directory_deinit(other.directory);
    io_destroy(other.io);
    heap_deinit(&other.heap);

    log_directory_identify(fixture.directory,
                           (struct log_directory_identity){.cluster_id = "abc", .broker_id = 4},
                           on_done, &outcome);
    wait_for(&fixture, &outcome.is_done);
    assert_int_equal(outcome.err, ERR_OK);
    stop(&fixture);
    start(&fixture);
    assert_int_equal(log_directory_meta(fixture.directory)->broker_id, 4);
    static const struct log_directory_identity rows[] = {{"abc", 4}, {"abd", 4}, {"abc", 5}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        outcome.is_done = false;
        log_directory_identify(fixture.directory, rows[i], on_done, &outcome);
        wait_for(&fixture, &outcome.is_done);
        assert_int_equal(outcome.err, i == 0 ? ERR_OK : ERR_CONFIG);
    }
    stop(&fixture);

    char path[256];
    print_file(path, sizeof path, &fixture, "lost+found");
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(start_or_fail(&fixture), ERR_CONFIG);
    assert_true(has_line(&fixture, "is no partition"));
    kill_it(&fixture);
    assert_int_equal(rmdir(path), 0);
    overwrite(&fixture, "meta.properties", 0, "version=1\nnode.id=4\n######", 26);
    assert_int_equal(start_or_fail(&fixture), ERR_UNSUPPORTED);
    kill_it(&fixture);
    tear_down(&fixture);
}

static uint32_t read_size(struct fixture *fixture, struct partition_store *store, int64_t offset,
                          bool to_log_end)
{
    struct reading reading = {.read = {.offset = offset,
                                       .bytes_max = 1 << 20,
                                       .to_log_end = to_log_end,
                                       .at_least_one = true,
                                       .done = on_read}};
    if (!partition_store_read(store, &reading.read, &reading.code))
        wait_for(fixture, &reading.is_done);
    assert_int_equal(reading.code, KAFKA_NONE);
    if (reading.read.size > 0)
        (*reading.read.users)--;
    return reading.read.size;
}

/* Replicas read what is written, while the leader's own disk is still at it. */
static void lets_replicas_read_what_is_written(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture);
    struct partition_store *store = create(&fixture, "t");
    partition_store_set_replicated(store, true);
    struct pending pending;
    fill(&pending, 3, 100, 1000);
    pending.append.durability = PARTITION_DURABLE;
    assert_int_equal(partition_store_append(store, &pending.append), KAFKA_NONE);
    const uint64_t before = partition_store_written_total(store);
    assert_int_equal(read_size(&fixture, store, 0, true), 0); /* Not even written. */
    while (partition_store_written_total(store) == before)
        io_run(fixture.io, UINT64_MAX);
    assert_int_equal(partition_store_written_total(store) - before, pending.append.size);
    assert_int_equal(fixture.written_count, 1);
    assert_int_equal(read_size(&fixture, store, 0, true), pending.append.size);
    wait_for(&fixture, &pending.is_done);
    assert_int_equal(partition_store_reached_offset(store), 3);
    stop(&fixture);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_reads),
        cmocka_unit_test(rolls_and_recovers),
        cmocka_unit_test(lets_replicas_read_what_is_written),
        cmocka_unit_test(syncs_after_so_many_records),
        cmocka_unit_test(finds_timestamps),
        cmocka_unit_test(finds_timestamps_in_compressed_batches),
        cmocka_unit_test(cuts_a_torn_end),
        cmocka_unit_test(ends_every_append_when_a_sync_fails),
        cmocka_unit_test(goes_offline_when_its_files_are_gone),
        cmocka_unit_test(goes_offline_when_nothing_can_be_created),
        cmocka_unit_test(refuses_damage_below_the_mark),
        cmocka_unit_test(refuses_a_log_that_is_too_short),
        cmocka_unit_test(begins_anew_at_a_start_behind_its_end),
        cmocka_unit_test(a_replica_that_left_may_come_back),
        cmocka_unit_test(looks_at_the_end_in_spite_of_the_marker),
        cmocka_unit_test(refuses_what_is_no_log),
        cmocka_unit_test(takes_an_empty_file_of_epochs_for_none),
        cmocka_unit_test(survives_damaged_derived_files),
        cmocka_unit_test(writes_epochs_when_a_segment_ends),
        cmocka_unit_test(tells_duplicates_after_a_restart),
        cmocka_unit_test(retains_and_deletes),
        cmocka_unit_test(what_is_deleted_waits_for_no_tick),
        cmocka_unit_test(the_longest_delay_is_not_the_shortest),
        cmocka_unit_test(retained_segments_that_come_back_are_not_read),
        cmocka_unit_test(belongs_to_one_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
