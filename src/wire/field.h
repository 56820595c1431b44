/* Questions about one field that every walk over the tables asks. For the files of wire/ only. */
#ifndef WIRE_FIELD_H
#define WIRE_FIELD_H

#include "wire/wire.h"

static inline bool wire_field_is_in_version(const struct wire_field *field, int version)
{
    return version >= field->since && version <= field->until;
}

static inline bool wire_field_may_be_null(const struct wire_field *field, int version)
{
    return field->null_since >= 0 && version >= field->null_since;
}

/* A string, bytes or records: a struct slice in memory, a length and bytes on the wire. */
static inline bool wire_field_is_run(const struct wire_field *field)
{
    return field->type == WIRE_STRING || field->type == WIRE_BYTES || field->type == WIRE_RECORDS;
}

/* In memory; of an array: of one item. */
static inline size_t wire_field_size(const struct wire_field *field)
{
    static const uint8_t sizes[] = {
        [WIRE_BOOL] = sizeof(bool),
        [WIRE_INT8] = sizeof(int8_t),
        [WIRE_INT16] = sizeof(int16_t),
        [WIRE_UINT16] = sizeof(uint16_t),
        [WIRE_INT32] = sizeof(int32_t),
        [WIRE_UINT32] = sizeof(uint32_t),
        [WIRE_INT64] = sizeof(int64_t),
        [WIRE_FLOAT64] = sizeof(double),
        [WIRE_UUID] = sizeof(struct wire_uuid),
        [WIRE_STRING] = sizeof(struct slice),
        [WIRE_BYTES] = sizeof(struct slice),
        [WIRE_RECORDS] = sizeof(struct slice),
    };
    return field->type == WIRE_RECORD ? field->element->size : sizes[field->type];
}

/* The array field at value; by copy, since each struct has its own anonymous type for it. */
static inline struct wire_array wire_field_load_array(const uint8_t *value)
{
    struct wire_array array;
    memcpy(&array.items, value + offsetof(struct wire_array, items), sizeof array.items);
    memcpy(&array.count, value + offsetof(struct wire_array, count), sizeof array.count);
    return array;
}

static inline void wire_field_store_array(uint8_t *value, void *items, int32_t count)
{
    memcpy(value + offsetof(struct wire_array, items), &items, sizeof items);
    memcpy(value + offsetof(struct wire_array, count), &count, sizeof count);
}

static inline struct slice wire_field_load_slice(const uint8_t *value)
{
    struct slice slice;
    memcpy(&slice, value, sizeof slice);
    return slice;
}

static inline void wire_field_store_slice(uint8_t *value, struct slice slice)
{
    memcpy(value, &slice, sizeof slice);
}

#endif
