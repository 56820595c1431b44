#include "wire/wire.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/macros.h"
#include "wire/field.h"

/* An array of at most this many items may be taken before its bytes have been seen. */
enum { trusted_count = 16 };

struct cursor {
    const uint8_t *at;
    size_t left;
    struct arena *arena;
    int version;
    bool jute;
    bool flexible;
};

static enum err decode_fields(struct cursor *cursor, const struct wire_record *record,
                              uint8_t *out);

/* ---- defaults ---- */

static void set_number(uint8_t type, uint8_t *out, int64_t value)
{
    switch ((enum wire_type)type) {
    case WIRE_BOOL: *(bool *)out = value != 0; return;
    case WIRE_INT8: *(int8_t *)out = (int8_t)value; return;
    case WIRE_INT16: *(int16_t *)(void *)out = (int16_t)value; return;
    case WIRE_UINT16: *(uint16_t *)(void *)out = (uint16_t)value; return;
    case WIRE_INT32: *(int32_t *)(void *)out = (int32_t)value; return;
    case WIRE_UINT32: *(uint32_t *)(void *)out = (uint32_t)value; return;
    case WIRE_INT64: *(int64_t *)(void *)out = value; return;
    case WIRE_FLOAT64: *(double *)(void *)out = (double)value; return;
    case WIRE_UUID: memset(out, 0, sizeof(struct wire_uuid)); return;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_RECORD: break;
    }
    assert(false); /* Not a number. */
}

static void set_default(const struct wire_field *field, uint8_t *record)
{
    uint8_t *out = record + field->offset;
    if (field->array) {
        wire_field_store_array(out, NULL, field->default_null ? -1 : 0);
    } else if (field->type == WIRE_RECORD) {
        if (field->has_offset != 0)
            *(bool *)(record + field->has_offset) = false;
        wire_set_defaults(field->element, out);
    } else if (wire_field_is_run(field)) {
        wire_field_store_slice(out, field->default_null ? SLICE_NULL : SLICE_LITERAL(""));
    } else {
        set_number(field->type, out, field->default_value);
    }
}

void wire_set_defaults(const struct wire_record *record, void *out)
{
    for (uint32_t i = 0; i < record->field_count; i++)
        set_default(&record->fields[i], out);
}

/* ---- single values ---- */

static const uint8_t *take(struct cursor *cursor, size_t size)
{
    if (size > cursor->left)
        return NULL;
    const uint8_t *bytes = cursor->at;
    cursor->at += size;
    cursor->left -= size;
    return bytes;
}

/* At most 32 bits, in groups of seven, low ones first. */
static enum err decode_uvarint(struct cursor *cursor, uint32_t *value)
{
    uint32_t result = 0;
    for (uint32_t shift = 0; shift < 35; shift += 7) {
        const uint8_t *byte = take(cursor, 1);
        if (byte == NULL)
            return ERR_TRUNCATED;
        if (shift == 28 && *byte > 0x0f)
            return ERR_MALFORMED;
        result |= (uint32_t)(*byte & 0x7f) << shift;
        if ((*byte & 0x80) == 0) {
            *value = result;
            return ERR_OK;
        }
    }
    return ERR_MALFORMED;
}

/* The length in front of a run or array; -1: null. Apache's brokers take every negative one for it.
 */
static enum err decode_length(struct cursor *cursor, bool is_short, bool is_plain, int64_t *length)
{
    if (cursor->flexible && !is_plain) {
        uint32_t raised;
        const enum err err = decode_uvarint(cursor, &raised);
        *length = err == ERR_OK ? (int64_t)raised - 1 : 0;
        return err;
    }
    const uint8_t *bytes = take(cursor, is_short ? 2 : 4);
    if (bytes == NULL)
        return ERR_TRUNCATED;
    *length = is_short ? load_i16(bytes) : load_i32(bytes);
    if (*length < -1 && cursor->jute)
        return ERR_MALFORMED;
    *length = max_i64(*length, -1);
    return ERR_OK;
}

static enum err decode_run(struct cursor *cursor, const struct wire_field *field, bool null_allowed,
                           uint8_t *out)
{
    int64_t length;
    const bool is_short = field->type == WIRE_STRING && !cursor->jute;
    const enum err err = decode_length(cursor, is_short, field->plain, &length);
    if (err != ERR_OK)
        return err;
    if (length < 0) {
        wire_field_store_slice(out, SLICE_NULL);
        return null_allowed ? ERR_OK : ERR_MALFORMED;
    }
    const uint8_t *bytes = take(cursor, (size_t)length);
    if (bytes == NULL)
        return ERR_TRUNCATED;
    wire_field_store_slice(out, slice_of(bytes, (size_t)length));
    return ERR_OK;
}

static enum err decode_number(struct cursor *cursor, uint8_t type, uint8_t *out)
{
    static const uint8_t sizes[] = {[WIRE_BOOL] = 1,   [WIRE_INT8] = 1,    [WIRE_INT16] = 2,
                                    [WIRE_UINT16] = 2, [WIRE_INT32] = 4,   [WIRE_UINT32] = 4,
                                    [WIRE_INT64] = 8,  [WIRE_FLOAT64] = 8, [WIRE_UUID] = 16};
    const uint8_t *bytes = take(cursor, sizes[type]);
    if (bytes == NULL)
        return ERR_TRUNCATED;
    switch ((enum wire_type)type) {
    case WIRE_BOOL: *(bool *)out = *bytes != 0; break;
    case WIRE_INT8: *out = *bytes; break;
    case WIRE_INT16:
    case WIRE_UINT16: *(uint16_t *)(void *)out = load_u16(bytes); break;
    case WIRE_INT32:
    case WIRE_UINT32: *(uint32_t *)(void *)out = load_u32(bytes); break;
    case WIRE_INT64:
    case WIRE_FLOAT64: {
        const uint64_t value = load_u64(bytes);
        memcpy(out, &value, sizeof value);
        break;
    }
    case WIRE_UUID: memcpy(out, bytes, sizeof(struct wire_uuid)); break;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_RECORD: assert(false); /* Not a number. */
    }
    return ERR_OK;
}

/* ---- arrays and structs ---- */

static size_t wire_bytes_min(const struct cursor *cursor, const struct wire_field *field,
                             bool in_array);

/* The fewest bytes that a record of this version can have on the wire. */
static size_t record_bytes_min(const struct cursor *cursor, const struct wire_record *record)
{
    size_t size = cursor->flexible ? 1 : 0;
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (field->tag < 0 && wire_field_is_in_version(field, cursor->version))
            size += wire_bytes_min(cursor, field, false);
    }
    return size;
}

static size_t wire_bytes_min(const struct cursor *cursor, const struct wire_field *field,
                             bool in_array)
{
    static const uint8_t sizes[] = {[WIRE_BOOL] = 1,   [WIRE_INT8] = 1,    [WIRE_INT16] = 2,
                                    [WIRE_UINT16] = 2, [WIRE_INT32] = 4,   [WIRE_UINT32] = 4,
                                    [WIRE_INT64] = 8,  [WIRE_FLOAT64] = 8, [WIRE_UUID] = 16};
    if (field->array && !in_array)
        return cursor->flexible ? 1 : 4;
    if (field->type == WIRE_RECORD)
        return field->has_offset != 0 ? 1 : record_bytes_min(cursor, field->element);
    if (wire_field_is_run(field))
        return cursor->flexible && !field->plain ? 1 : field->type == WIRE_STRING ? 2 : 4;
    return sizes[field->type];
}

static enum err decode_item(struct cursor *cursor, const struct wire_field *field,
                            bool null_allowed, uint8_t *out)
{
    if (field->type == WIRE_RECORD)
        return decode_fields(cursor, field->element, out);
    if (wire_field_is_run(field))
        return decode_run(cursor, field, null_allowed, out);
    return decode_number(cursor, field->type, out);
}

/* Whether count items can be in the bytes left: checked before memory is taken for them. */
static bool count_is_possible(const struct cursor *cursor, const struct wire_field *field,
                              size_t count)
{
    if (count > cursor->left)
        return false;
    if (count <= trusted_count)
        return true;
    const size_t item_bytes = max_size(wire_bytes_min(cursor, field, true), 1);
    return count <= cursor->left / item_bytes;
}

/* ZooKeeper's servers take a negative count, but for -1, for an empty array. */
static enum err decode_count(struct cursor *cursor, int64_t *count)
{
    if (!cursor->jute)
        return decode_length(cursor, false, false, count);
    const uint8_t *bytes = take(cursor, 4);
    if (bytes == NULL)
        return ERR_TRUNCATED;
    *count = load_i32(bytes);
    if (*count < -1)
        *count = 0;
    return ERR_OK;
}

static enum err decode_array(struct cursor *cursor, const struct wire_field *field, uint8_t *out)
{
    int64_t count;
    enum err err = decode_count(cursor, &count);
    if (err != ERR_OK)
        return err;
    if (count <= 0) {
        wire_field_store_array(out, NULL, (int32_t)count);
        return count == 0 || wire_field_may_be_null(field, cursor->version) ? ERR_OK
                                                                            : ERR_MALFORMED;
    }
    if (!count_is_possible(cursor, field, (size_t)count))
        return ERR_TRUNCATED;
    const size_t item_size = wire_field_size(field);
    uint8_t *items = arena_take_array(cursor->arena, (size_t)count, item_size);
    if (items == NULL)
        return ERR_LIMIT;
    for (size_t i = 0; i < (size_t)count && err == ERR_OK; i++)
        err = decode_item(cursor, field, cursor->jute, items + i * item_size);
    wire_field_store_array(out, items, (int32_t)count);
    return err;
}

/* A struct that may be null has one byte in front: -1 is null. */
static enum err decode_nullable(struct cursor *cursor, const struct wire_field *field,
                                uint8_t *record)
{
    bool *has = (bool *)(record + field->has_offset);
    *has = true;
    if (wire_field_may_be_null(field, cursor->version)) {
        const uint8_t *mark = take(cursor, 1);
        if (mark == NULL)
            return ERR_TRUNCATED;
        *has = (int8_t)*mark >= 0;
    }
    if (*has)
        return decode_fields(cursor, field->element, record + field->offset);
    wire_set_defaults(field->element, record + field->offset);
    return ERR_OK;
}

static enum err decode_field(struct cursor *cursor, const struct wire_field *field, uint8_t *record)
{
    if (field->array)
        return decode_array(cursor, field, record + field->offset);
    if (field->has_offset != 0)
        return decode_nullable(cursor, field, record);
    return decode_item(cursor, field, wire_field_may_be_null(field, cursor->version),
                       record + field->offset);
}

static const struct wire_field *tag_find(const struct wire_record *record, int version,
                                         uint32_t tag)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (field->tag >= 0 && (uint32_t)field->tag == tag &&
            wire_field_is_in_version(field, version))
            return field;
    }
    return NULL;
}

/* One tagged field: its bytes are a message of their own, which must be used up. */
static enum err decode_tag(struct cursor *cursor, const struct wire_record *record, uint32_t tag,
                           uint8_t *out)
{
    uint32_t size;
    enum err err = decode_uvarint(cursor, &size);
    if (err != ERR_OK)
        return err;
    const uint8_t *bytes = take(cursor, size);
    if (bytes == NULL)
        return ERR_TRUNCATED;
    const struct wire_field *field = tag_find(record, cursor->version, tag);
    if (field == NULL)
        return ERR_OK; /* Newer than we are: skipped, as the protocol asks. */
    struct cursor inside = *cursor;
    inside.at = bytes;
    inside.left = size;
    err = decode_field(&inside, field, out);
    return err == ERR_OK && inside.left != 0 ? ERR_MALFORMED : err;
}

static enum err decode_tags(struct cursor *cursor, const struct wire_record *record, uint8_t *out)
{
    uint32_t count;
    int64_t previous = -1;
    enum err err = decode_uvarint(cursor, &count);
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        uint32_t tag;
        err = decode_uvarint(cursor, &tag);
        if (err != ERR_OK)
            return err;
        if ((int64_t)tag <= previous)
            return ERR_MALFORMED;
        previous = tag;
        err = decode_tag(cursor, record, tag, out);
    }
    return err;
}

/* Most fields are plain numbers; true: this one was there, and is done. */
static bool decode_plain(struct cursor *cursor, const struct wire_field *field, uint8_t *out)
{
    const bool is_long = field->type == WIRE_INT64;
    if (field->array || !(is_long || field->type == WIRE_INT32))
        return false;
    const uint8_t *bytes = take(cursor, is_long ? 8 : 4);
    if (bytes == NULL)
        return false;
    if (is_long)
        *(int64_t *)(void *)out = load_i64(bytes);
    else
        *(int32_t *)(void *)out = load_i32(bytes);
    return true;
}

static enum err decode_fields(struct cursor *cursor, const struct wire_record *record, uint8_t *out)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (field->tag >= 0 || !wire_field_is_in_version(field, cursor->version)) {
            set_default(field, out);
            continue;
        }
        if (decode_plain(cursor, field, out + field->offset))
            continue;
        const enum err err = decode_field(cursor, field, out);
        if (err != ERR_OK)
            return err;
    }
    return cursor->flexible ? decode_tags(cursor, record, out) : ERR_OK;
}

enum err wire_decode(const struct wire_record *record, int version, struct slice *input,
                     struct arena *arena, void *out)
{
    assert(version >= record->version_min && version <= record->version_max);
    struct cursor cursor = {.at = input->data,
                            .left = input->size,
                            .arena = arena,
                            .version = version,
                            .jute = record->encoding == WIRE_JUTE,
                            .flexible = wire_is_flexible(record, version)};
    const enum err err = decode_fields(&cursor, record, out);
    *input = slice_of(cursor.at, cursor.left);
    return err;
}

enum err wire_decode_all(const struct wire_record *record, int version, struct slice input,
                         struct arena *arena, void *out)
{
    const enum err err = wire_decode(record, version, &input, arena, out);
    return err == ERR_OK && input.size != 0 ? ERR_MALFORMED : err;
}
