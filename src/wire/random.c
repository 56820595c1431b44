#include "wire/wire.h"

#include "base/assert.h"
#include "wire/field.h"

enum { random_items_max = 3, random_string_bytes_max = 20, random_bytes_max = 64 };

struct walk {
    struct prng *prng;
    struct arena *arena;
    int version;
    bool flexible;
};

static enum err random_fields(const struct walk *walk, const struct wire_record *record,
                              uint8_t *out);

/* Small, large and negative numbers, and the ends of the range, all come up often. */
static int64_t random_number(struct prng *prng)
{
    switch (prng_below(prng, 4)) {
    case 0: return (int64_t)prng_below(prng, 4) - 1;
    case 1: return (int64_t)prng_below(prng, 1000);
    case 2: return prng_chance(prng, 1, 2) ? INT64_MAX : INT64_MIN;
    }
    return (int64_t)prng_next(prng);
}

static enum err random_run(const struct walk *walk, const struct wire_field *field,
                           bool null_allowed, uint8_t *out)
{
    if (null_allowed && prng_chance(walk->prng, 1, 4)) {
        wire_field_store_slice(out, SLICE_NULL);
        return ERR_OK;
    }
    const bool is_text = field->type == WIRE_STRING;
    const size_t size =
        prng_below(walk->prng, (is_text ? random_string_bytes_max : random_bytes_max) + 1);
    uint8_t *bytes = arena_take(walk->arena, size + 1);
    if (bytes == NULL)
        return ERR_LIMIT;
    for (size_t i = 0; i < size; i++)
        bytes[i] =
            (uint8_t)(is_text ? 'a' + prng_below(walk->prng, 26) : prng_below(walk->prng, 256));
    wire_field_store_slice(out, slice_of(bytes, size));
    return ERR_OK;
}

static void random_value(struct prng *prng, uint8_t type, uint8_t *out)
{
    const int64_t value = random_number(prng);
    switch ((enum wire_type)type) {
    case WIRE_BOOL: *(bool *)out = (value & 1) != 0; return;
    case WIRE_INT8: *(int8_t *)out = (int8_t)value; return;
    case WIRE_INT16:
    case WIRE_UINT16: *(uint16_t *)(void *)out = (uint16_t)value; return;
    case WIRE_INT32:
    case WIRE_UINT32: *(uint32_t *)(void *)out = (uint32_t)value; return;
    case WIRE_INT64: *(int64_t *)(void *)out = value; return;
    case WIRE_FLOAT64: *(double *)(void *)out = (double)(value % 1000) / 8; return;
    case WIRE_UUID:
        for (size_t i = 0; i < sizeof(struct wire_uuid); i++)
            out[i] = (uint8_t)prng_next(prng);
        return;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_RECORD: break;
    }
    assert(false); /* Not a number. */
}

static enum err random_item(const struct walk *walk, const struct wire_field *field,
                            bool null_allowed, uint8_t *out)
{
    if (field->type == WIRE_RECORD)
        return random_fields(walk, field->element, out);
    if (wire_field_is_run(field))
        return random_run(walk, field, null_allowed, out);
    random_value(walk->prng, field->type, out);
    return ERR_OK;
}

static enum err random_array(const struct walk *walk, const struct wire_field *field, uint8_t *out)
{
    const bool null_allowed = wire_field_may_be_null(field, walk->version);
    const size_t count = prng_below(walk->prng, random_items_max + 1);
    if (null_allowed && prng_chance(walk->prng, 1, 4)) {
        wire_field_store_array(out, NULL, -1);
        return ERR_OK;
    }
    const size_t item_size = wire_field_size(field);
    uint8_t *items = count == 0 ? NULL : arena_take_array(walk->arena, count, item_size);
    if (count != 0 && items == NULL)
        return ERR_LIMIT;
    wire_field_store_array(out, items, (int32_t)count);
    enum err err = ERR_OK;
    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = random_item(walk, field, false, items + i * item_size);
    return err;
}

static enum err random_field(const struct walk *walk, const struct wire_field *field,
                             uint8_t *record)
{
    uint8_t *out = record + field->offset;
    const bool null_allowed = wire_field_may_be_null(field, walk->version);
    if (field->array)
        return random_array(walk, field, out);
    if (field->has_offset != 0) {
        bool *has = (bool *)(record + field->has_offset);
        *has = !null_allowed || prng_chance(walk->prng, 1, 2);
        if (!*has)
            return ERR_OK; /* Its fields have their defaults. */
    }
    return random_item(walk, field, null_allowed, out);
}

static enum err random_fields(const struct walk *walk, const struct wire_record *record,
                              uint8_t *out)
{
    wire_set_defaults(record, out);
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < record->field_count && err == ERR_OK; i++) {
        const struct wire_field *field = &record->fields[i];
        if (!wire_field_is_in_version(field, walk->version))
            continue;
        if (field->tag >= 0 && (!walk->flexible || prng_chance(walk->prng, 1, 2)))
            continue;
        err = random_field(walk, field, out);
    }
    return err;
}

enum err wire_random(const struct wire_record *record, int version, struct prng *prng,
                     struct arena *arena, void *out)
{
    assert(version >= record->version_min && version <= record->version_max);
    const struct walk walk = {.prng = prng,
                              .arena = arena,
                              .version = version,
                              .flexible = wire_is_flexible(record, version)};
    return random_fields(&walk, record, out);
}
