#include "wire/wire.h"

#include "base/assert.h"
#include "wire/field.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct printer {
    char *text;
    size_t capacity;
    size_t used;
    int version;
};

static void print_fields(struct printer *printer, const struct wire_record *record,
                         const uint8_t *value);

PRINTF_LIKE(2, 3) static void print(struct printer *printer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t left = printer->capacity - printer->used;
    const int size = vsnprintf(printer->text + printer->used, left, format, arguments);
    va_end(arguments);
    if (size > 0)
        printer->used += min_size((size_t)size, left - 1);
}

static void print_string(struct printer *printer, struct slice string)
{
    print(printer, "\"");
    for (size_t i = 0; i < string.size; i++) {
        const uint8_t byte = string.data[i];
        if (byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\')
            print(printer, "\\x%02x", byte);
        else
            print(printer, "%c", byte);
    }
    print(printer, "\"");
}

static void print_run(struct printer *printer, const struct wire_field *field, struct slice run)
{
    if (run.data == NULL)
        print(printer, "null");
    else if (field->type == WIRE_STRING && run.data != WIRE_EXTERNAL)
        print_string(printer, run);
    else
        print(printer, "<%zu bytes>", run.size);
}

static void print_uuid(struct printer *printer, const uint8_t *bytes)
{
    for (size_t i = 0; i < sizeof(struct wire_uuid); i++)
        print(printer, "%02x", bytes[i]);
}

static void print_number(struct printer *printer, uint8_t type, const uint8_t *at)
{
    const void *value = at;
    switch ((enum wire_type)type) {
    case WIRE_BOOL: print(printer, "%s", *(const bool *)value ? "true" : "false"); return;
    case WIRE_INT8: print(printer, "%d", *(const int8_t *)value); return;
    case WIRE_INT16: print(printer, "%d", *(const int16_t *)value); return;
    case WIRE_UINT16: print(printer, "%u", *(const uint16_t *)value); return;
    case WIRE_INT32: print(printer, "%" PRId32, *(const int32_t *)value); return;
    case WIRE_UINT32: print(printer, "%" PRIu32, *(const uint32_t *)value); return;
    case WIRE_INT64: print(printer, "%" PRId64, *(const int64_t *)value); return;
    case WIRE_FLOAT64: print(printer, "%g", *(const double *)value); return;
    case WIRE_UUID: print_uuid(printer, at); return;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_RECORD: break;
    }
    assert(false); /* Not a number. */
}

static void print_item(struct printer *printer, const struct wire_field *field,
                       const uint8_t *value)
{
    if (field->type == WIRE_RECORD)
        print_fields(printer, field->element, value);
    else if (wire_field_is_run(field))
        print_run(printer, field, wire_field_load_slice(value));
    else
        print_number(printer, field->type, value);
}

static void print_array(struct printer *printer, const struct wire_field *field,
                        const uint8_t *value)
{
    const struct wire_array array = wire_field_load_array(value);
    if (array.count < 0) {
        print(printer, "null");
        return;
    }
    print(printer, "[");
    for (size_t i = 0; i < (size_t)array.count && printer->used + 1 < printer->capacity; i++) {
        print(printer, i == 0 ? "" : " ");
        print_item(printer, field, (const uint8_t *)array.items + i * wire_field_size(field));
    }
    print(printer, "]");
}

static void print_fields(struct printer *printer, const struct wire_record *record,
                         const uint8_t *value)
{
    const char *between = "";
    print(printer, "{");
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct wire_field *field = &record->fields[i];
        if (!wire_field_is_in_version(field, printer->version))
            continue;
        print(printer, "%s%s=", between, field->name);
        between = " ";
        if (field->array)
            print_array(printer, field, value + field->offset);
        else if (field->has_offset != 0 && !*(const bool *)(value + field->has_offset))
            print(printer, "null");
        else
            print_item(printer, field, value + field->offset);
    }
    print(printer, "}");
}

const char *wire_dump(const struct wire_record *record, int version, const void *value, char *text,
                      size_t capacity)
{
    assert(capacity > 0);
    struct printer printer = {.text = text, .capacity = capacity, .version = version};
    text[0] = '\0';
    print_fields(&printer, record, value);
    return text;
}
