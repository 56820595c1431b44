#include "wire/wire.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/macros.h"
#include "wire/field.h"

const uint8_t wire_external[1];

/* The version's rules, beside the writer: one walk both counts (data NULL) and writes. */
struct walk {
    struct wire_writer *writer;
    int version;
    bool jute;
    bool flexible;
};

static void encode_fields(const struct walk *walk, const struct wire_record *record,
                          const uint8_t *value);

static inline uint8_t *room(struct wire_writer *writer, size_t size)
{
    uint8_t *place = NULL;
    if (writer->data != NULL) {
        assert(size <= writer->capacity - writer->used);
        place = writer->data + writer->used;
    }
    writer->used += size;
    return place;
}

/* ---- single values ---- */

void wire_put_u8(struct wire_writer *writer, uint8_t value)
{
    uint8_t *place = room(writer, 1);
    if (place != NULL)
        *place = value;
}

static void put_u16(struct wire_writer *writer, uint16_t value)
{
    uint8_t *place = room(writer, 2);
    if (place != NULL)
        store_u16(place, value);
}

static inline void put_i32(struct wire_writer *writer, int32_t value)
{
    uint8_t *place = room(writer, 4);
    if (place != NULL)
        store_i32(place, value);
}

static inline void put_i64(struct wire_writer *writer, int64_t value)
{
    uint8_t *place = room(writer, 8);
    if (place != NULL)
        store_i64(place, value);
}

void wire_put_i32(struct wire_writer *writer, int32_t value)
{
    put_i32(writer, value);
}

void wire_put_i64(struct wire_writer *writer, int64_t value)
{
    put_i64(writer, value);
}

void wire_put_bytes(struct wire_writer *writer, struct slice bytes)
{
    uint8_t *place = room(writer, bytes.size);
    if (place != NULL && bytes.size != 0)
        memcpy(place, bytes.data, bytes.size);
}

static void put_uvarint(struct wire_writer *writer, uint32_t value)
{
    while (value >= 0x80) {
        wire_put_u8(writer, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    wire_put_u8(writer, (uint8_t)value);
}

/* length -1: null. */
static void put_length(const struct walk *walk, bool is_short, bool is_plain, int64_t length)
{
    assert(length >= -1 && length <= (is_short && !walk->flexible ? INT16_MAX : INT32_MAX));
    if (walk->flexible && !is_plain)
        put_uvarint(walk->writer, (uint32_t)(length + 1));
    else if (is_short)
        put_u16(walk->writer, (uint16_t)length);
    else
        wire_put_i32(walk->writer, (int32_t)length);
}

static void put_external(struct wire_writer *writer, size_t size)
{
    if (writer->data != NULL) {
        assert(writer->cut_count < writer->cut_count_max);
        writer->cuts[writer->cut_count++] = (struct wire_cut){writer->used, size};
    }
    writer->external_bytes += size;
}

static void encode_run(const struct walk *walk, const struct wire_field *field, bool null_allowed,
                       const uint8_t *value)
{
    const struct slice run = wire_field_load_slice(value);
    const bool is_short = field->type == WIRE_STRING && !walk->jute;
    if (run.data == NULL) {
        put_length(walk, is_short, field->plain, null_allowed ? -1 : 0);
        return;
    }
    put_length(walk, is_short, field->plain, (int64_t)run.size);
    if (run.data == WIRE_EXTERNAL)
        put_external(walk->writer, run.size);
    else
        wire_put_bytes(walk->writer, run);
}

static void encode_number(struct wire_writer *writer, uint8_t type, const uint8_t *value)
{
    switch ((enum wire_type)type) {
    case WIRE_BOOL: wire_put_u8(writer, *(const bool *)value ? 1 : 0); return;
    case WIRE_INT8: wire_put_u8(writer, *value); return;
    case WIRE_INT16:
    case WIRE_UINT16: put_u16(writer, *(const uint16_t *)(const void *)value); return;
    case WIRE_INT32:
    case WIRE_UINT32: wire_put_i32(writer, *(const int32_t *)(const void *)value); return;
    case WIRE_INT64:
    case WIRE_FLOAT64: {
        int64_t bits;
        memcpy(&bits, value, sizeof bits);
        wire_put_i64(writer, bits);
        return;
    }
    case WIRE_UUID: wire_put_bytes(writer, slice_of(value, sizeof(struct wire_uuid))); return;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_RECORD: break;
    }
    assert(false); /* Not a number. */
}

/* ---- arrays and structs ---- */

static void encode_item(const struct walk *walk, const struct wire_field *field, bool null_allowed,
                        const uint8_t *value)
{
    if (field->type == WIRE_RECORD)
        encode_fields(walk, field->element, value);
    else if (wire_field_is_run(field))
        encode_run(walk, field, null_allowed, value);
    else
        encode_number(walk->writer, field->type, value);
}

static void encode_array(const struct walk *walk, const struct wire_field *field,
                         const uint8_t *value)
{
    const struct wire_array array = wire_field_load_array(value);
    const size_t item_size = wire_field_size(field);
    assert(array.count >= -1);
    if (array.count < 0) {
        put_length(walk, false, false, wire_field_may_be_null(field, walk->version) ? -1 : 0);
        return;
    }
    put_length(walk, false, false, array.count);
    for (size_t i = 0; i < (size_t)array.count; i++)
        encode_item(walk, field, walk->jute, (const uint8_t *)array.items + i * item_size);
}

static void encode_field(const struct walk *walk, const struct wire_field *field,
                         const uint8_t *record)
{
    const uint8_t *value = record + field->offset;
    const bool null_allowed = wire_field_may_be_null(field, walk->version);
    if (field->array) {
        encode_array(walk, field, value);
        return;
    }
    if (field->has_offset != 0 && null_allowed) {
        const bool has = *(const bool *)(record + field->has_offset);
        wire_put_u8(walk->writer, has ? 1 : 0xff);
        if (!has)
            return;
    }
    encode_item(walk, field, null_allowed, value);
}

/* ---- tagged fields ---- */

static bool is_default(const struct wire_field *field, int version, const uint8_t *record);

static bool is_default_record(const struct wire_record *record, int version, const uint8_t *value)
{
    for (uint32_t i = 0; i < record->field_count; i++)
        if (wire_field_is_in_version(&record->fields[i], version) &&
            !is_default(&record->fields[i], version, value))
            return false;
    return true;
}

static bool is_default_number(const struct wire_field *field, const uint8_t *value)
{
    static const struct wire_uuid zero;
    switch ((enum wire_type)field->type) {
    case WIRE_BOOL: return *(const bool *)value == (field->default_value != 0);
    case WIRE_INT8: return *(const int8_t *)value == field->default_value;
    case WIRE_INT16: return *(const int16_t *)(const void *)value == field->default_value;
    case WIRE_UINT16: return *(const uint16_t *)(const void *)value == field->default_value;
    case WIRE_INT32: return *(const int32_t *)(const void *)value == field->default_value;
    case WIRE_UINT32: return *(const uint32_t *)(const void *)value == field->default_value;
    case WIRE_INT64: return *(const int64_t *)(const void *)value == field->default_value;
    case WIRE_FLOAT64: {
        const double number = (double)field->default_value;
        return memcmp(value, &number, sizeof number) == 0;
    }
    case WIRE_UUID: return memcmp(value, &zero, sizeof zero) == 0;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_RECORD: break;
    }
    assert(false); /* Not a number. */
    return false;
}

/* A tagged field with its default value is left out. */
static bool is_default(const struct wire_field *field, int version, const uint8_t *record)
{
    const uint8_t *value = record + field->offset;
    if (field->array)
        return wire_field_load_array(value).count == (field->default_null ? -1 : 0);
    if (field->type == WIRE_RECORD) {
        if (field->has_offset != 0)
            return !*(const bool *)(record + field->has_offset);
        return is_default_record(field->element, version, value);
    }
    if (wire_field_is_run(field)) {
        const struct slice run = wire_field_load_slice(value);
        return field->default_null ? run.data == NULL : run.size == 0;
    }
    return is_default_number(field, value);
}

/* The tagged field of a record with the smallest tag above previous that has to be written. */
static const struct wire_field *tag_next(const struct walk *walk, const struct wire_record *record,
                                         const uint8_t *value, int previous)
{
    const struct wire_field *next = NULL;
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (field->tag > previous && wire_field_is_in_version(field, walk->version) &&
            (next == NULL || field->tag < next->tag) && !is_default(field, walk->version, value))
            next = field;
    }
    return next;
}

static void encode_tag(const struct walk *walk, const struct wire_field *field,
                       const uint8_t *value)
{
    struct wire_writer counter = {0};
    struct walk counting = *walk;
    counting.writer = &counter;
    encode_field(&counting, field, value);
    put_uvarint(walk->writer, (uint32_t)field->tag);
    put_uvarint(walk->writer, (uint32_t)(counter.used + counter.external_bytes));
    encode_field(walk, field, value);
}

static void encode_tags(const struct walk *walk, const struct wire_record *record,
                        const uint8_t *value)
{
    uint32_t count = 0;
    const struct wire_field *field = tag_next(walk, record, value, -1);
    for (; field != NULL; field = tag_next(walk, record, value, field->tag))
        count++;
    put_uvarint(walk->writer, count);
    field = count == 0 ? NULL : tag_next(walk, record, value, -1);
    for (; field != NULL; field = tag_next(walk, record, value, field->tag))
        encode_tag(walk, field, value);
}

/* Most fields are plain numbers; true: this one was, and is done. */
static inline bool encode_plain(struct wire_writer *writer, const struct wire_field *field,
                                const uint8_t *value)
{
    if (field->array)
        return false;
    if (field->type == WIRE_INT64)
        put_i64(writer, *(const int64_t *)(const void *)value);
    else if (field->type == WIRE_INT32)
        put_i32(writer, *(const int32_t *)(const void *)value);
    else
        return false;
    return true;
}

static void encode_fields(const struct walk *walk, const struct wire_record *record,
                          const uint8_t *value)
{
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (field->tag < 0 && wire_field_is_in_version(field, walk->version) &&
            !encode_plain(walk->writer, field, value + field->offset))
            encode_field(walk, field, value);
    }
    if (walk->flexible)
        encode_tags(walk, record, value);
}

void wire_encode(const struct wire_record *record, int version, const void *value,
                 struct wire_writer *writer)
{
    assert(version >= record->version_min && version <= record->version_max);
    const struct walk walk = {.writer = writer,
                              .version = version,
                              .jute = record->encoding == WIRE_JUTE,
                              .flexible = wire_is_flexible(record, version)};
    encode_fields(&walk, record, value);
}

size_t wire_size(const struct wire_record *record, int version, const void *value)
{
    struct wire_writer counter = {0};
    wire_encode(record, version, value, &counter);
    return counter.used + counter.external_bytes;
}

size_t wire_size_inline(const struct wire_record *record, int version, const void *value)
{
    struct wire_writer counter = {0};
    wire_encode(record, version, value, &counter);
    return counter.used;
}
