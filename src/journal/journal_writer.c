#include "journal/journal_writer.h"

#include <errno.h>

/* Apache's keeper extends its file when fewer bytes than this are left. */
enum { allocate_margin_bytes = 4096 };

/* One group is written in a few milliseconds even by a slow disk. */
static const uint64_t write_bytes_max = 16u << 20;
static const uint64_t retry_interval_ns = 100000000;

_Static_assert(journal_append_vector_count_max + 1 <= io_vector_count_max,
               "a header and one append must fit into one write");

static void start_write(struct journal_writer *writer);

/* Adds bytes; those that follow the last ones in memory share their vector. False: no room. */
static bool add_vector(struct journal_writer *writer, const void *data, size_t size)
{
    const uint32_t count = writer->op.write.vector_count;
    if (count > 0) {
        struct iovec *last = &writer->vectors[count - 1];
        if ((const char *)last->iov_base + last->iov_len == (const char *)data) {
            last->iov_len += size;
            return true;
        }
    }
    if (count == io_vector_count_max)
        return false;
    writer->vectors[count] = (struct iovec){(void *)(uintptr_t)data, size};
    writer->op.write.vector_count = count + 1;
    return true;
}

/* All vectors of the append, or none and false. */
static bool add_append(struct journal_writer *writer, const struct journal_append *append)
{
    const uint32_t count = writer->op.write.vector_count;
    const size_t last_size = count == 0 ? 0 : writer->vectors[count - 1].iov_len;
    for (uint32_t index = 0; index < append->vector_count; index++) {
        const struct iovec *vector = &append->vectors[index];
        if (vector->iov_len > 0 && !add_vector(writer, vector->iov_base, vector->iov_len)) {
            writer->op.write.vector_count = count;
            if (count > 0)
                writer->vectors[count - 1].iov_len = last_size;
            return false;
        }
    }
    return true;
}

static void add_header(struct journal_writer *writer)
{
    const struct slice header = writer->journal->options.header;
    if (writer->offset != 0 || header.size == 0)
        return;
    const bool added = add_vector(writer, header.data, header.size);
    assert(added);
}

/* Moves appends of one segment from the queue, as many as one write takes. */
static void collect(struct journal_writer *writer)
{
    struct journal *journal = writer->journal;
    writer->op.write.vector_count = 0;
    writer->size = writer->offset == 0 ? journal->options.header.size : 0;
    add_header(writer);
    while (!list_empty(&journal->queue)) {
        struct journal_append *append =
            CONTAINER_OF(journal->queue.next, struct journal_append, link);
        const bool fits =
            writer->size + append->size <= write_bytes_max || list_empty(&writer->appends);
        if (append->segment != writer->segment || !fits || !add_append(writer, append))
            return;
        assert(append->offset == writer->offset + writer->size);
        writer->size += append->size;
        list_remove(&append->link);
        list_push(&writer->appends, &append->link);
    }
}

/* The world may have changed the vectors of a write that failed. */
static void refill(struct journal_writer *writer)
{
    writer->op.write.vector_count = 0;
    add_header(writer);
    list_each (link, &writer->appends) {
        const bool added = add_append(writer, CONTAINER_OF(link, struct journal_append, link));
        assert(added);
    }
}

static void release(struct journal_writer *writer)
{
    struct journal *journal = writer->journal;
    struct journal_disk *disk = journal->disk;
    assert(list_empty(&writer->appends));
    journal->writer = NULL;
    pool_release(&disk->writers, writer);
    struct list *waiting = list_pop(&disk->waiting);
    if (waiting != NULL)
        journal_writer_start(CONTAINER_OF(waiting, struct journal, waiting_link));
}

/* The disk has failed: nothing of this write counts. */
static void end_failed(struct journal_writer *writer)
{
    struct journal *journal = writer->journal;
    list_each (link, &writer->appends)
        journal->queued_bytes -= CONTAINER_OF(link, struct journal_append, link)->size;
    struct list appends;
    list_init(&appends);
    list_splice(&appends, &writer->appends);
    release(writer);
    for (struct list *link = list_pop(&appends); link != NULL; link = list_pop(&appends)) {
        struct journal_append *append = CONTAINER_OF(link, struct journal_append, link);
        append->done(append, ERR_IO);
    }
    journal_pump(journal);
}

static void fail(struct journal_writer *writer, const char *what, int64_t result)
{
    journal_disk_fail(writer->journal->disk, what, writer->segment->path, result);
    end_failed(writer);
}

static void on_retry(struct io_op *op, int64_t result);

static void retry_later(struct journal_writer *writer)
{
    struct journal *journal = writer->journal;
    writer->step = JOURNAL_WRITER_RETRY;
    writer->op = (struct io_op){
        .kind = IO_TIMER,
        .handle = io_handle_none,
        .done = on_retry,
        .timer.deadline_ns = io_now_ns(journal->disk->io) + retry_interval_ns,
    };
    io_submit(journal->disk->io, &writer->op);
    journal_pump(journal); /* What is written already can be synced meanwhile. */
}

static bool is_full_error(int64_t result)
{
    return result == -ENOSPC || result == -EDQUOT;
}

/* Runs the callbacks last: whatever they do finds the journal at rest or at work. */
static void on_written(struct journal_writer *writer)
{
    struct journal *journal = writer->journal;
    struct journal_segment *segment = writer->segment;
    struct list written;
    list_init(&written);

    segment->written_bytes = writer->offset + writer->size;
    segment->allocated_bytes = max_u64(segment->allocated_bytes, segment->written_bytes);
    segment->users--;
    journal->write_count++;
    journal->writes_since_sync++;
    for (struct list *link = list_pop(&writer->appends); link != NULL;
         link = list_pop(&writer->appends)) {
        struct journal_append *append = CONTAINER_OF(link, struct journal_append, link);
        journal->queued_bytes -= append->size;
        list_push(append->is_durable ? &journal->unsynced : &written, link);
    }
    const uint64_t size = writer->size;
    release(writer);
    journal_pump(journal);
    if (size > 0 && journal->options.on_written != NULL)
        journal->options.on_written(journal, size);
    for (struct list *link = list_pop(&written); link != NULL; link = list_pop(&written)) {
        struct journal_append *append = CONTAINER_OF(link, struct journal_append, link);
        append->done(append, ERR_OK);
    }
}

static void on_write(struct io_op *op, int64_t result)
{
    struct journal_writer *writer = CONTAINER_OF(op, struct journal_writer, op);
    struct journal_disk *disk = writer->journal->disk;
    if (is_full_error(result) && !disk->is_failed) {
        writer->segment->users--;
        journal_disk_meet_full(disk, writer->segment->path);
        retry_later(writer);
        return;
    }
    if (result < 0) {
        writer->segment->users--;
        fail(writer, "write", result);
        return;
    }
    assert((uint64_t)result == writer->size);
    journal_disk_meet_space(disk);
    on_written(writer);
}

static void start_write(struct journal_writer *writer)
{
    struct journal_disk *disk = writer->journal->disk;
    if (writer->size == 0) {
        on_written(writer); /* Only the file had to be made. */
        return;
    }
    refill(writer);
    const uint32_t vector_count = writer->op.write.vector_count;
    writer->step = JOURNAL_WRITER_WRITE;
    writer->op = (struct io_op){
        .kind = IO_WRITE,
        .handle = writer->segment->handle,
        .done = on_write,
        .write = {.vectors = writer->vectors,
                  .vector_count = vector_count,
                  .offset = writer->offset},
    };
    if (disk->options.pass_write == NULL || !disk->options.pass_write(disk, &writer->op))
        io_submit(disk->io, &writer->op);
}

/* A file that cannot be extended in advance grows with its writes. */
static void on_allocate(struct io_op *op, int64_t result)
{
    struct journal_writer *writer = CONTAINER_OF(op, struct journal_writer, op);
    struct journal *journal = writer->journal;
    if (result == -EOPNOTSUPP || result == -EINVAL) {
        journal->options.allocate_step_bytes = 0;
    } else if (result < 0 && !is_full_error(result)) {
        writer->segment->users--;
        fail(writer, "extension", result);
        return;
    }
    if (result >= 0)
        writer->segment->allocated_bytes = writer->allocate_bytes;
    start_write(writer);
}

static bool must_allocate(const struct journal_writer *writer)
{
    const struct journal_disk *disk = writer->journal->disk;
    const uint64_t step = writer->journal->options.allocate_step_bytes;
    const uint64_t end = writer->offset + writer->size;
    const uint64_t reserve = disk->options.reserve_bytes;
    if (step == 0 || writer->size == 0 ||
        end + allocate_margin_bytes <= writer->segment->allocated_bytes)
        return false;
    return reserve == 0 || disk->free_bytes >= reserve + step;
}

static void start_allocate(struct journal_writer *writer)
{
    const struct journal_options *options = &writer->journal->options;
    const uint64_t end = writer->offset + writer->size + allocate_margin_bytes;
    const uint64_t from = writer->segment->allocated_bytes;
    writer->allocate_bytes =
        div_ceil(end, options->allocate_step_bytes) * options->allocate_step_bytes;
    writer->step = JOURNAL_WRITER_ALLOCATE;
    writer->op = (struct io_op){
        .kind = options->allocate_sparse ? IO_TRUNCATE : IO_ALLOCATE,
        .handle = writer->segment->handle,
        .done = on_allocate,
        .range = {.offset = options->allocate_sparse ? writer->allocate_bytes : from,
                  .size = options->allocate_sparse ? 0 : writer->allocate_bytes - from},
    };
    io_submit(writer->journal->disk->io, &writer->op);
}

static void on_open(struct journal_open *open, int64_t result)
{
    struct journal_writer *writer = CONTAINER_OF(open, struct journal_writer, open);
    struct journal_disk *disk = writer->journal->disk;
    if (result < 0) {
        const bool out_of_handles = result == -EMFILE || result == -ENFILE || result == -ENOMEM;
        if (is_full_error(result))
            journal_disk_meet_full(disk, writer->segment->path);
        if ((out_of_handles || is_full_error(result)) && !disk->is_failed)
            retry_later(writer);
        else
            fail(writer, "open", result);
        return;
    }
    if (disk->is_failed) {
        writer->segment->users--;
        end_failed(writer);
        return;
    }
    if (must_allocate(writer))
        start_allocate(writer);
    else
        start_write(writer);
}

static void start_open(struct journal_writer *writer)
{
    writer->step = JOURNAL_WRITER_OPEN;
    writer->open.done = on_open;
    if (journal_segment_open(writer->segment, &writer->open))
        on_open(&writer->open, 0);
}

static void on_retry(struct io_op *op, int64_t result)
{
    struct journal_writer *writer = CONTAINER_OF(op, struct journal_writer, op);
    (void)result;
    if (writer->journal->disk->is_failed)
        end_failed(writer);
    else
        start_open(writer);
}

/* The segment that is written next: that of the first append, or an older one without a file. NULL:
 * there is nothing to write. */
static struct journal_segment *find_next(struct journal *journal)
{
    struct journal_segment *segment = journal_segment_last(journal);
    if (segment == NULL || (list_empty(&journal->queue) && segment->is_created))
        return NULL;
    while (segment->link.prev != &journal->segments) {
        struct journal_segment *before =
            CONTAINER_OF(segment->link.prev, struct journal_segment, link);
        if (before->is_created)
            break;
        segment = before;
    }
    if (list_empty(&journal->queue))
        return segment;
    struct journal_segment *appended =
        CONTAINER_OF(journal->queue.next, struct journal_append, link)->segment;
    return appended->base < segment->base ? appended : segment;
}

void journal_writer_start(struct journal *journal)
{
    struct journal_disk *disk = journal->disk;
    if (journal->writer != NULL || !journal_may_write(journal))
        return;
    struct journal_segment *segment = find_next(journal);
    if (segment == NULL || (!segment->is_created && !journal_may_create(segment)))
        return;
    struct journal_writer *writer = pool_acquire(&disk->writers);
    if (writer == NULL) {
        if (!list_linked(&journal->waiting_link))
            list_push(&disk->waiting, &journal->waiting_link);
        return;
    }
    if (list_linked(&journal->waiting_link))
        list_remove(&journal->waiting_link);
    writer->journal = journal;
    writer->segment = segment;
    writer->offset = segment->written_bytes;
    list_init(&writer->appends);
    collect(writer);
    journal->writer = writer;
    start_open(writer);
}
