#include "broker/packed_records.h"

enum err packed_records_open(struct packed_records *packed, const struct record_batch *batch,
                             struct slice bytes, struct packed_records_options options)
{
    assert(bytes.size == batch->size && batch->magic == record_batch_magic);
    *packed = (struct packed_records){.batch = *batch, .options = options};
    record_outliner_init(&packed->outliner, &packed->batch);
    const enum err err = record_unpacker_init(&packed->unpacker, options.heap, options.idle,
                                              record_batch_codec(batch),
                                              slice_skip(bytes, record_batch_header_bytes));
    if (err != ERR_OK)
        return err;
    packed->buffer = heap_take_reusable(options.heap, packed_records_buffer_bytes);
    return packed->buffer == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void packed_records_close(struct packed_records *packed)
{
    record_unpacker_deinit(&packed->unpacker);
    heap_give_reusable(packed->options.heap, packed->buffer);
    packed->buffer = NULL;
}

/* More bytes into the buffer, all of which have been read. False with ERR_OK: there are no more. */
static bool refill(struct packed_records *packed, enum err *err)
{
    size_t size;
    *err =
        record_unpacker_next(&packed->unpacker, packed->buffer, packed_records_buffer_bytes, &size);
    if (*err != ERR_OK || size == 0)
        return false;
    packed->unpacked_bytes += size;
    packed->rest = slice_of(packed->buffer, size);
    if (packed->unpacked_bytes > packed->options.bytes_max)
        *err = ERR_LIMIT;
    return *err == ERR_OK;
}

bool packed_records_next(struct packed_records *packed, struct record_outline *record,
                         enum err *err)
{
    const uint64_t turn_end = packed->unpacked_bytes + packed_records_turn_bytes;
    for (;;) {
        if (record_outliner_next(&packed->outliner, &packed->rest, record, err))
            return true;
        if (*err != ERR_OK)
            return false;
        if (packed->unpacked_bytes >= turn_end) {
            *err = ERR_BUSY;
            return false;
        }
        if (!refill(packed, err))
            break;
    }
    if (*err == ERR_OK && !record_outliner_is_complete(&packed->outliner))
        *err = ERR_MALFORMED;
    return false;
}
