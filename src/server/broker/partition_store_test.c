/* The store, the loader and the log directory on a real disk. */
#define _GNU_SOURCE
#include "server/broker/partition_store.h"

#include "base/bytes.h"
#include "base/prng.h"
#include "broker/checkpoint_file.h"
#include "io/io_create.h"
#include "server/broker/log_directory.h"
#include "test/record_packer.h"
#include "test/unit_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { batch_bytes_max = 4096, line_count_max = 64 };

struct fixture {
    struct io *io;
    struct heap heap;
    struct diag diag;
    struct log_directory *directory;
    struct partition_config config;
    struct log_directory_options options;
    uint32_t progress_count;
    uint32_t offline_count;
    uint32_t line_count;
    char lines[line_count_max][diag_line_bytes_max];
    char path[64];
};

static void keep_line(struct diag *diag, enum diag_level level, struct slice line)
{
    struct fixture *fixture = CONTAINER_OF(diag, struct fixture, diag);
    (void)level;
    if (fixture->line_count < line_count_max)
        snprintf(fixture->lines[fixture->line_count++], diag_line_bytes_max, "%" SLICE_FORMAT,
                 SLICE_ARGS(line));
}

static bool has_line(const struct fixture *fixture, const char *part)
{
    for (uint32_t i = 0; i < fixture->line_count; i++)
        if (strstr(fixture->lines[i], part) != NULL)
            return true;
    return false;
}

static struct partition_config config_of(void *context, struct slice topic, int32_t partition)
{
    (void)topic;
    (void)partition;
    return ((struct fixture *)context)->config;
}

static void on_progress(void *context, struct partition_store *store)
{
    (void)store;
    ((struct fixture *)context)->progress_count++;
}

static void on_offline(void *context, struct log_directory *directory, const char *reason)
{
    (void)directory;
    (void)reason;
    ((struct fixture *)context)->offline_count++;
}

static enum err start_or_fail(struct fixture *fixture)
{
    fixture->line_count = 0;
    fixture->diag = (struct diag){.write = keep_line};
    heap_init(&fixture->heap, (struct heap_options){.limit_bytes = 256 << 20, .tracked = true});
    assert_int_equal(io_create(&fixture->io, &fixture->heap, &fixture->diag, IO_CHOICE_AUTO),
                     ERR_OK);
    const struct log_directory_events events = {.context = fixture,
                                                .config_of = config_of,
                                                .on_progress = on_progress,
                                                .on_offline = on_offline};
    assert_int_equal(log_directory_init(&fixture->directory, fixture->io, &fixture->heap,
                                        &fixture->diag, fixture->options, events),
                     ERR_OK);
    const enum err err = log_directory_open(fixture->directory);
    return err != ERR_OK ? err : log_directory_load(fixture->directory);
}

static void start(struct fixture *fixture)
{
    assert_int_equal(start_or_fail(fixture), ERR_OK);
}

/* As kill -9: what is in the page cache stays. */
static void kill_it(struct fixture *fixture)
{
    if (fixture->directory->lock != io_handle_none)
        close(fixture->directory->lock);
    io_destroy(fixture->io);
    heap_deinit(&fixture->heap);
}

static int remove_path(const char *path, const struct stat *info, int flag, struct FTW *ftw)
{
    (void)info;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void set_up(struct fixture *fixture)
{
    *fixture = (struct fixture){.config = partition_config_default()};
    snprintf(fixture->path, sizeof fixture->path, "/tmp/rookery-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    fixture->options = log_directory_options_default(fixture->path);
}

static void tear_down(struct fixture *fixture)
{
    assert_int_equal(nftw(fixture->path, remove_path, 8, FTW_DEPTH | FTW_PHYS), 0);
}

struct outcome {
    bool is_done;
    enum err err;
    struct partition_store *store;
};

static void on_done(void *context, enum err err)
{
    *(struct outcome *)context = (struct outcome){.is_done = true, .err = err};
}

static void on_created(void *context, enum err err, struct partition_store *store)
{
    *(struct outcome *)context = (struct outcome){.is_done = true, .err = err, .store = store};
}

static void wait_for(struct fixture *fixture, const bool *is_done)
{
    while (!*is_done)
        io_run(fixture->io, UINT64_MAX);
}

/* A clean end. */
static void stop(struct fixture *fixture)
{
    struct outcome outcome = {0};
    log_directory_close(fixture->directory, on_done, &outcome);
    wait_for(fixture, &outcome.is_done);
    assert_int_equal(outcome.err, ERR_OK);
    while (!list_empty(&fixture->directory->disk.retired) || fixture->directory->disk.is_polling)
        io_run(fixture->io, UINT64_MAX); /* The last handles. */
    log_directory_deinit(fixture->directory);
    io_destroy(fixture->io);
    assert_int_equal(fixture->heap.block_count, 0);
    heap_deinit(&fixture->heap);
}

static const struct topic_id test_id = {{1, 2, 3}};

static struct partition_store *create(struct fixture *fixture, const char *topic)
{
    struct outcome outcome = {0};
    log_directory_create(fixture->directory,
                         (struct partition_spec){.topic = slice_from_text(topic),
                                                 .partition = 0,
                                                 .id = test_id,
                                                 .config = fixture->config},
                         on_created, &outcome);
    wait_for(fixture, &outcome.is_done);
    assert_int_equal(outcome.err, ERR_OK);
    partition_store_lead(outcome.store, 0);
    return outcome.store;
}

static struct partition_store *find(struct fixture *fixture, const char *topic)
{
    struct partition_store *store =
        log_directory_find(fixture->directory, slice_from_text(topic), 0);
    assert_non_null(store);
    return store;
}

struct pending {
    struct partition_append append;
    uint8_t data[batch_bytes_max];
    bool is_done;
    enum error_code code;
};

static void on_appended(struct partition_append *append, enum error_code code)
{
    struct pending *pending = CONTAINER_OF(append, struct pending, append);
    pending->is_done = true;
    pending->code = code;
}

/* count records with a value of value_bytes; the key is the number of the record in the batch. */
static void fill(struct pending *pending, int32_t count, size_t value_bytes, int64_t timestamp_ms)
{
    static const uint8_t value[batch_bytes_max] = {7};
    struct record_batch_writer writer;
    record_batch_writer_init(&writer, pending->data, sizeof pending->data, timestamp_ms);
    for (int32_t i = 0; i < count; i++)
        assert_true(
            record_batch_writer_add(&writer, slice_of(&i, sizeof i), slice_of(value, value_bytes)));
    pending->append = (struct partition_append){
        .data = pending->data,
        .size = (uint32_t)record_batch_writer_finish(&writer).size,
        .done = on_appended,
    };
    pending->is_done = false;
}

static int64_t append(struct fixture *fixture, struct partition_store *store, int32_t count,
                      enum partition_durability durability)
{
    struct pending pending;
    fill(&pending, count, 100, 1000 + store->log_end_offset);
    pending.append.durability = durability;
    assert_int_equal(partition_store_append(store, &pending.append), KAFKA_NONE);
    assert_false(pending.is_done);
    wait_for(fixture, &pending.is_done);
    assert_int_equal(pending.code, KAFKA_NONE);
    assert_int_equal(pending.append.last_offset, pending.append.base_offset + count - 1);
    return pending.append.base_offset;
}

struct reading {
    struct partition_read read;
    bool is_done;
    enum error_code code;
};

static void on_read(struct partition_read *read, enum error_code code)
{
    struct reading *reading = CONTAINER_OF(read, struct reading, read);
    reading->is_done = true;
    reading->code = code;
}

static struct reading read_at(struct fixture *fixture, struct partition_store *store,
                              int64_t offset, uint32_t bytes_max)
{
    struct reading reading = {
        .read = {.offset = offset, .bytes_max = bytes_max, .at_least_one = true, .done = on_read}};
    if (!partition_store_read(store, &reading.read, &reading.code))
        wait_for(fixture, &reading.is_done);
    return reading;
}

/* Reads everything from offset on in pieces; asserts that it is whole and in order. Returns the
 * number of records. */
static int64_t read_all(struct fixture *fixture, struct partition_store *store, int64_t offset,
                        uint32_t bytes_max)
{
    static uint8_t bytes[1 << 20];
    const int64_t begin = offset;
    while (offset < partition_store_high_watermark(store)) {
        const struct reading reading = read_at(fixture, store, offset, bytes_max);
        assert_int_equal(reading.code, KAFKA_NONE);
        assert_true(reading.read.size > 0 && reading.read.size <= sizeof bytes);
        assert_int_equal(
            pread(reading.read.file, bytes, reading.read.size, (off_t)reading.read.position),
            reading.read.size);
        (*reading.read.users)--;
        struct record_batch_walk walk;
        enum err err;
        record_batch_walk_init(&walk, slice_of(bytes, reading.read.size));
        while (record_batch_walk_next(&walk, &err)) {
            assert_true(record_batch_crc_matches(&walk.batch, walk.bytes));
            assert_true(walk.batch.base_offset <= offset);
            assert_true(record_batch_last_offset(&walk.batch) >= offset);
            offset = record_batch_last_offset(&walk.batch) + 1;
        }
        assert_true(err == ERR_OK || err == ERR_TRUNCATED);
    }
    return offset - begin;
}

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
        fill(&first, 2, 10, 50);
        store_i64(first.data + 43, 99); /* Producer 99, epoch 0, sequence 0; the CRC is checked
                                           before the store sees a batch. */
        store_i16(first.data + 51, 0);
        store_i32(first.data + 53, 0);
        struct record_batch batch;
        assert_int_equal(record_batch_decode(&batch, slice_of(first.data, first.append.size)),
                         ERR_OK);
        record_batch_set_max_timestamp(&batch, first.data, 50);
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
           !list_empty(&fixture.directory->removals)) {
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
    while (!list_empty(&fixture.directory->removals)) {
        log_directory_tick(fixture.directory);
        io_run(fixture.io, 1000000);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_reads),
        cmocka_unit_test(rolls_and_recovers),
        cmocka_unit_test(syncs_after_so_many_records),
        cmocka_unit_test(finds_timestamps),
        cmocka_unit_test(finds_timestamps_in_compressed_batches),
        cmocka_unit_test(cuts_a_torn_end),
        cmocka_unit_test(ends_every_append_when_a_sync_fails),
        cmocka_unit_test(refuses_damage_below_the_mark),
        cmocka_unit_test(refuses_a_log_that_is_too_short),
        cmocka_unit_test(looks_at_the_end_in_spite_of_the_marker),
        cmocka_unit_test(refuses_what_is_no_log),
        cmocka_unit_test(survives_damaged_derived_files),
        cmocka_unit_test(tells_duplicates_after_a_restart),
        cmocka_unit_test(retains_and_deletes),
        cmocka_unit_test(belongs_to_one_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
