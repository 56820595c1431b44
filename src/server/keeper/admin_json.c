#include "server/keeper/admin_json.h"

#include "base/assert.h"

#include <inttypes.h>
#include <math.h>

void admin_json_init(struct admin_json *json, struct counted_text *text)
{
    *json = (struct admin_json){.text = text};
}

static void put(struct admin_json *json, const char *text)
{
    counted_text_add(json->text, slice_from_text(text));
}

static void put_line(struct admin_json *json)
{
    counted_text_print(json->text, "\n%*s", (int)(2 * json->object_depth), "");
}

static bool is_in_array(const struct admin_json *json)
{
    return json->depth > 0 && json->is_array[json->depth - 1];
}

/* What stands in front of a value. */
static void begin_value(struct admin_json *json)
{
    if (json->has_key) {
        json->has_key = false;
        return;
    }
    assert(json->depth == 0 || is_in_array(json));
    if (json->depth == 0)
        return;
    put(json, json->has_items[json->depth - 1] ? ", " : " ");
    json->has_items[json->depth - 1] = true;
}

static void open(struct admin_json *json, bool is_array)
{
    begin_value(json);
    assert(json->depth < admin_json_depth_max);
    put(json, is_array ? "[" : "{");
    json->is_array[json->depth] = is_array;
    json->has_items[json->depth] = false;
    json->depth++;
    json->object_depth += is_array ? 0 : 1;
}

void admin_json_open_object(struct admin_json *json)
{
    open(json, false);
}

void admin_json_close_object(struct admin_json *json)
{
    assert(json->depth > 0 && !is_in_array(json) && !json->has_key);
    json->depth--;
    json->object_depth--;
    if (json->has_items[json->depth])
        put_line(json);
    put(json, json->has_items[json->depth] ? "}" : " }");
}

void admin_json_open_array(struct admin_json *json)
{
    open(json, true);
}

void admin_json_close_array(struct admin_json *json)
{
    assert(is_in_array(json));
    json->depth--;
    put(json, " ]");
}

/* ---- texts ---- */

/* How many bytes of a sound UTF-8 character stand at the start; 0: none. */
static size_t character_bytes(struct slice text)
{
    const uint8_t first = text.data[0];
    const size_t size = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                                       : 4;
    if (size == 0 || first > 0xf4 || size > text.size)
        return 0;
    for (size_t at = 1; at < size; at++)
        if ((text.data[at] & 0xc0) != 0x80)
            return 0;
    const uint8_t second = size > 1 ? text.data[1] : 0;
    const bool is_too_long = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool is_none = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return is_too_long || is_none ? 0 : size;
}

static const char *escape_of(uint8_t byte)
{
    switch (byte) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\b': return "\\b";
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\f': return "\\f";
    case '\r': return "\\r";
    }
    return NULL;
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static size_t put_character(struct admin_json *json, struct slice text)
{
    const uint8_t byte = text.data[0];
    const char *escape = escape_of(byte);
    if (escape != NULL) {
        put(json, escape);
        return 1;
    }
    if (byte < 0x20) {
        counted_text_print(json->text, "\\u%04X", byte);
        return 1;
    }
    const size_t size = character_bytes(text);
    counted_text_add(json->text,
                     size == 0 ? SLICE_LITERAL("\xef\xbf\xbd") : slice_of(text.data, size));
    return size == 0 ? 1 : size;
}

static void put_quoted(struct admin_json *json, struct slice text)
{
    put(json, "\"");
    while (text.size > 0) {
        size_t size = 0;
        while (size < text.size && is_plain(text.data[size]))
            size++;
        if (size > 0)
            counted_text_add(json->text, slice_of(text.data, size));
        else
            size = put_character(json, text);
        text = slice_skip(text, size);
    }
    put(json, "\"");
}

/* ---- values ---- */

void admin_json_key(struct admin_json *json, struct slice key)
{
    assert(json->depth > 0 && !is_in_array(json) && !json->has_key);
    if (json->has_items[json->depth - 1])
        put(json, ",");
    json->has_items[json->depth - 1] = true;
    put_line(json);
    put_quoted(json, key);
    put(json, " : ");
    json->has_key = true;
}

void admin_json_text(struct admin_json *json, struct slice text)
{
    begin_value(json);
    put_quoted(json, text);
}

void admin_json_int(struct admin_json *json, int64_t value)
{
    begin_value(json);
    counted_text_print(json->text, "%" PRId64, value);
}

void admin_json_double(struct admin_json *json, double value)
{
    char text[counted_text_double_bytes];
    const char *quote = isfinite(value) ? "" : "\"";
    begin_value(json);
    counted_text_print(json->text, "%s%s%s", quote, counted_text_double(value, text), quote);
}

void admin_json_bool(struct admin_json *json, bool value)
{
    begin_value(json);
    put(json, value ? "true" : "false");
}

void admin_json_null(struct admin_json *json)
{
    begin_value(json);
    put(json, "null");
}

void admin_json_put_text(struct admin_json *json, const char *key, const char *text)
{
    admin_json_key(json, slice_from_text(key));
    admin_json_text(json, slice_from_text(text));
}

void admin_json_put_int(struct admin_json *json, const char *key, int64_t value)
{
    admin_json_key(json, slice_from_text(key));
    admin_json_int(json, value);
}

void admin_json_put_bool(struct admin_json *json, const char *key, bool value)
{
    admin_json_key(json, slice_from_text(key));
    admin_json_bool(json, value);
}
