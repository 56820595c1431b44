#include "server/broker/index_flush.h"

#include "base/assert.h"
#include "server/broker/partition_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

bool index_flush_print_path(char *path, size_t capacity, const char *directory, int64_t base_offset,
                            const char *suffix)
{
    assert(base_offset >= 0);
    const int size =
        snprintf(path, capacity, "%s/%020" PRId64 "%s", directory, base_offset, suffix);
    return size > 0 && (size_t)size < capacity;
}

static void on_done(struct io_op *op, int64_t result);

static void submit(struct index_flush *flush, enum index_flush_step step, struct io_op op)
{
    flush->step = step;
    flush->op = op;
    flush->op.done = on_done;
    io_submit(flush->io, &flush->op);
}

static void open_file(struct index_flush *flush)
{
    const struct segment_index *index = &flush->segment->index;
    const uint32_t count = flush->is_time ? index->time_count : index->offset_count;
    const bool fits =
        index_flush_print_path(flush->path, sizeof flush->path, flush->segment->store->path,
                               index->base_offset, flush->is_time ? ".timeindex" : ".index");
    assert(fits);
    submit(flush, FLUSH_OPEN,
           (struct io_op){.kind = IO_OPEN,
                          .handle = io_handle_none,
                          .path = {.path = flush->path,
                                   .flags = IO_OPEN_WRITE | IO_OPEN_CREATE |
                                            (count == 0 ? IO_OPEN_TRUNCATE : 0)}});
}

static void close_file(struct index_flush *flush)
{
    submit(flush, FLUSH_CLOSE, (struct io_op){.kind = IO_CLOSE, .handle = flush->handle});
}

static void sync_file(struct index_flush *flush)
{
    if (flush->is_last && flush->error == 0)
        submit(flush, FLUSH_SYNC, (struct io_op){.kind = IO_SYNC, .handle = flush->handle});
    else
        close_file(flush);
}

static void write_entries(struct index_flush *flush)
{
    const struct segment_index *index = &flush->segment->index;
    const size_t entry_bytes = flush->is_time ? time_entry_bytes : offset_entry_bytes;
    const uint32_t before = flush->is_time ? index->time_count : index->offset_count;
    const uint32_t count = flush->is_time ? flush->time_count : flush->offset_count;
    if (count == 0) {
        sync_file(flush);
        return;
    }
    flush->vector = (struct iovec){
        .iov_base = flush->is_time ? index->time_pending : index->offset_pending,
        .iov_len = count * entry_bytes,
    };
    submit(flush, FLUSH_WRITE,
           (struct io_op){.kind = IO_WRITE,
                          .handle = flush->handle,
                          .write = {.vectors = &flush->vector,
                                    .vector_count = 1,
                                    .offset = before * entry_bytes}});
}

static void finish(struct index_flush *flush)
{
    struct partition_segment *segment = flush->segment;
    const bool is_written = flush->error == 0;
    segment_index_flushed(&segment->index, is_written ? flush->offset_count : 0,
                          is_written ? flush->time_count : 0);
    if (segment->is_sealed)
        segment_index_rest(&segment->index);
    flush->step = FLUSH_IDLE;
    flush->done(flush, flush->error);
}

static void on_closed(struct index_flush *flush)
{
    if (flush->error != 0 || flush->is_time) {
        finish(flush);
        return;
    }
    flush->is_time = true;
    open_file(flush);
}

static void on_done(struct io_op *op, int64_t result)
{
    struct index_flush *flush = CONTAINER_OF(op, struct index_flush, op);
    if (result < 0 && flush->error == 0)
        flush->error = result;
    switch (flush->step) {
    case FLUSH_IDLE: assert(false && "an operation ends that never began"); return;
    case FLUSH_OPEN:
        flush->handle = (int32_t)result;
        if (result < 0)
            finish(flush);
        else
            write_entries(flush);
        return;
    case FLUSH_WRITE: sync_file(flush); return;
    case FLUSH_SYNC: close_file(flush); return;
    case FLUSH_CLOSE: on_closed(flush); return;
    }
}

void index_flush_start(struct index_flush *flush, struct io *io, struct partition_segment *segment)
{
    assert(flush->step == FLUSH_IDLE);
    flush->io = io;
    flush->segment = segment;
    flush->is_time = false;
    flush->is_last = segment->is_sealed;
    flush->offset_count = segment->index.offset_pending_count;
    flush->time_count = segment->index.time_pending_count;
    flush->error = 0;
    segment_index_lend(&segment->index);
    open_file(flush);
}
