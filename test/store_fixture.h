/* A log directory on a real disk, with the words in which tests of partitions are told: start,
 * stop, kill, create, append, read. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include "io/io_create.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"
#include "test/unit_test.h"

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
    uint32_t written_count;
    uint32_t offline_count;
    uint32_t line_count;
    char lines[line_count_max][diag_line_bytes_max];
    char path[64];
};

static inline void keep_line(struct diag *diag, enum diag_level level, struct slice line)
{
    struct fixture *fixture = CONTAINER_OF(diag, struct fixture, diag);
    (void)level;
    if (fixture->line_count < line_count_max)
        snprintf(fixture->lines[fixture->line_count++], diag_line_bytes_max, "%" SLICE_FORMAT,
                 SLICE_ARGS(line));
}

static inline bool has_line(const struct fixture *fixture, const char *part)
{
    for (uint32_t i = 0; i < fixture->line_count; i++)
        if (strstr(fixture->lines[i], part) != NULL)
            return true;
    return false;
}

static inline struct partition_config config_of(void *context, struct slice topic,
                                                int32_t partition)
{
    (void)topic;
    (void)partition;
    return ((struct fixture *)context)->config;
}

static inline void on_progress(void *context, struct partition_store *store)
{
    (void)store;
    ((struct fixture *)context)->progress_count++;
}

static inline void on_written(void *context, struct partition_store *store)
{
    (void)store;
    ((struct fixture *)context)->written_count++;
}

static inline void on_offline(void *context, struct log_directory *directory, const char *reason)
{
    (void)directory;
    (void)reason;
    ((struct fixture *)context)->offline_count++;
}

static inline enum err start_or_fail(struct fixture *fixture)
{
    fixture->line_count = 0;
    fixture->diag = (struct diag){.write = keep_line};
    heap_init(&fixture->heap, (struct heap_options){.limit_bytes = 256 << 20, .tracked = true});
    assert_int_equal(io_create(&fixture->io, &fixture->heap, &fixture->diag, IO_CHOICE_AUTO),
                     ERR_OK);
    const struct log_directory_events events = {.context = fixture,
                                                .config_of = config_of,
                                                .on_progress = on_progress,
                                                .on_written = on_written,
                                                .on_offline = on_offline};
    assert_int_equal(log_directory_init(&fixture->directory, fixture->io, &fixture->heap,
                                        &fixture->diag, fixture->options, events),
                     ERR_OK);
    const enum err err = log_directory_open(fixture->directory);
    return err != ERR_OK ? err : log_directory_load(fixture->directory);
}

static inline void start(struct fixture *fixture)
{
    assert_int_equal(start_or_fail(fixture), ERR_OK);
}

/* As kill -9: what is in the page cache stays. */
static inline void kill_it(struct fixture *fixture)
{
    if (fixture->directory->lock != io_handle_none)
        close(fixture->directory->lock);
    io_destroy(fixture->io);
    heap_deinit(&fixture->heap);
}

static inline int remove_path(const char *path, const struct stat *info, int flag, struct FTW *ftw)
{
    (void)info;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void set_up(struct fixture *fixture)
{
    *fixture = (struct fixture){.config = partition_config_default()};
    snprintf(fixture->path, sizeof fixture->path, "/tmp/rookery-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    fixture->options = log_directory_options_default(fixture->path);
}

static inline void tear_down(struct fixture *fixture)
{
    assert_int_equal(nftw(fixture->path, remove_path, 8, FTW_DEPTH | FTW_PHYS), 0);
}

struct outcome {
    bool is_done;
    enum err err;
    struct partition_store *store;
};

static inline void on_done(void *context, enum err err)
{
    *(struct outcome *)context = (struct outcome){.is_done = true, .err = err};
}

static inline void on_created(void *context, enum err err, struct partition_store *store)
{
    *(struct outcome *)context = (struct outcome){.is_done = true, .err = err, .store = store};
}

static inline void wait_for(struct fixture *fixture, const bool *is_done)
{
    while (!*is_done)
        io_run(fixture->io, UINT64_MAX);
}

/* A clean end. */
static inline void stop(struct fixture *fixture)
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

static inline struct partition_store *create(struct fixture *fixture, const char *topic)
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

static inline struct partition_store *find(struct fixture *fixture, const char *topic)
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

static inline void on_appended(struct partition_append *append, enum error_code code)
{
    struct pending *pending = CONTAINER_OF(append, struct pending, append);
    pending->is_done = true;
    pending->code = code;
}

/* count records with a value of value_bytes; the key is the number of the record in the batch. */
static inline void fill(struct pending *pending, int32_t count, size_t value_bytes,
                        int64_t timestamp_ms)
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

static inline int64_t append(struct fixture *fixture, struct partition_store *store, int32_t count,
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

static inline void on_read(struct partition_read *read, enum error_code code)
{
    struct reading *reading = CONTAINER_OF(read, struct reading, read);
    reading->is_done = true;
    reading->code = code;
}

static inline struct reading read_at(struct fixture *fixture, struct partition_store *store,
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
static inline int64_t read_all(struct fixture *fixture, struct partition_store *store,
                               int64_t offset, uint32_t bytes_max)
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

#endif
