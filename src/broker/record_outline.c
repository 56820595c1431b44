#include "broker/record_outline.h"

enum { varint_bytes_max = 5, varlong_bytes_max = 10 };

void record_outliner_init(struct record_outliner *outliner, const struct record_batch *batch)
{
    assert(batch->magic == record_batch_magic);
    *outliner = (struct record_outliner){.batch = batch};
}

bool record_outliner_is_complete(const struct record_outliner *outliner)
{
    return outliner->index == outliner->batch->record_count && outliner->field == OUTLINE_LENGTH &&
           outliner->raw_count == 0;
}

/* One byte of a zig-zag number. True: it was the last, and value is there. */
static bool take_byte(struct record_outliner *outliner, struct slice *input, int64_t *value)
{
    const uint8_t byte = input->data[0];
    *input = slice_skip(*input, 1);
    outliner->raw |= (uint64_t)(byte & 0x7f) << (7 * outliner->raw_count);
    outliner->raw_count++;
    if (outliner->field != OUTLINE_LENGTH)
        outliner->left--;
    if ((byte & 0x80) != 0)
        return false;
    *value = (int64_t)(outliner->raw >> 1) ^ -(int64_t)(outliner->raw & 1);
    outliner->raw = 0;
    outliner->raw_count = 0;
    return true;
}

/* The bytes that a length announces are left out; -1 is null where that is allowed. */
static bool skip_bytes(struct record_outliner *outliner, int64_t size, bool null_allowed,
                       enum record_outline_field next)
{
    outliner->field = next;
    if (size == -1)
        return null_allowed;
    if (size < 0 || size > outliner->left)
        return false;
    outliner->skip = size;
    outliner->left -= size;
    return true;
}

static bool begin_record(struct record_outliner *outliner, int64_t length)
{
    if (outliner->index >= outliner->batch->record_count || length < 1)
        return false;
    outliner->left = length - 1;
    outliner->skip = 1; /* Attributes: no bit has a meaning. */
    outliner->field = OUTLINE_TIMESTAMP;
    return true;
}

static void use_timestamp(struct record_outliner *outliner, int64_t delta)
{
    const struct record_batch *batch = outliner->batch;
    const bool is_append_time = (batch->attributes & RECORD_LOG_APPEND_TIME) != 0;
    outliner->record.timestamp_ms =
        is_append_time ? batch->max_timestamp_ms
                       : (int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)delta);
    outliner->field = OUTLINE_OFFSET;
}

static bool use_offset(struct record_outliner *outliner, int64_t delta)
{
    const struct record_batch *batch = outliner->batch;
    outliner->record.offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)delta);
    outliner->field = OUTLINE_KEY;
    return delta >= 0 && delta <= batch->last_offset_delta;
}

/* The next header, or the end of the record. */
static void next_header(struct record_outliner *outliner)
{
    outliner->field = outliner->headers_left > 0 ? OUTLINE_HEADER_NAME : OUTLINE_END;
}

/* False: the number does not fit where it stands. */
static bool use_number(struct record_outliner *outliner, int64_t number)
{
    const bool is_int32 = number >= INT32_MIN && number <= INT32_MAX;
    if (outliner->field != OUTLINE_TIMESTAMP && !is_int32)
        return false;
    switch (outliner->field) {
    case OUTLINE_LENGTH: return begin_record(outliner, number);
    case OUTLINE_TIMESTAMP: use_timestamp(outliner, number); return true;
    case OUTLINE_OFFSET: return use_offset(outliner, number);
    case OUTLINE_KEY:
        outliner->record.has_key = number != -1;
        return skip_bytes(outliner, number, true, OUTLINE_VALUE);
    case OUTLINE_VALUE: return skip_bytes(outliner, number, true, OUTLINE_HEADER_COUNT);
    case OUTLINE_HEADER_COUNT:
        outliner->headers_left = number;
        next_header(outliner);
        return number >= 0;
    case OUTLINE_HEADER_NAME: return skip_bytes(outliner, number, false, OUTLINE_HEADER_VALUE);
    case OUTLINE_HEADER_VALUE:
        outliner->headers_left--;
        return skip_bytes(outliner, number, true,
                          outliner->headers_left > 0 ? OUTLINE_HEADER_NAME : OUTLINE_END);
    case OUTLINE_END: break;
    }
    return false;
}

static bool leave_out(struct record_outliner *outliner, struct slice *input)
{
    const size_t size = (size_t)min_u64((uint64_t)outliner->skip, input->size);
    if (size > 0)
        *input = slice_skip(*input, size);
    outliner->skip -= (int64_t)size;
    return outliner->skip == 0;
}

bool record_outliner_next(struct record_outliner *outliner, struct slice *input,
                          struct record_outline *record, enum err *err)
{
    *err = ERR_OK;
    for (;;) {
        int64_t number;
        if (!leave_out(outliner, input))
            return false;
        if (outliner->field == OUTLINE_END)
            break;
        if (input->size == 0)
            return false;
        const bool is_whole = take_byte(outliner, input, &number);
        const uint32_t bytes_max =
            outliner->field == OUTLINE_TIMESTAMP ? varlong_bytes_max : varint_bytes_max;
        const bool is_bad =
            is_whole ? !use_number(outliner, number) : outliner->raw_count == bytes_max;
        if (is_bad || outliner->left < 0) {
            *err = ERR_MALFORMED;
            return false;
        }
    }
    if (outliner->left != 0) {
        *err = ERR_MALFORMED;
        return false;
    }
    outliner->field = OUTLINE_LENGTH;
    outliner->index++;
    *record = outliner->record;
    return true;
}
