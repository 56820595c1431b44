#include "server/properties.h"

#include "base/macros.h"

void properties_init(struct properties *properties, struct slice text)
{
    *properties = (struct properties){.rest = text, .next_line = 1};
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\f';
}

/* The next natural line without its end, which is \n, \r or \r\n. */
static struct slice take_line(struct properties *properties)
{
    const struct slice rest = properties->rest;
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '\n' && rest.data[size] != '\r')
        size++;
    size_t end = size;
    if (end < rest.size) {
        end++;
        if (rest.data[size] == '\r' && end < rest.size && rest.data[end] == '\n')
            end++;
    }
    properties->rest = slice_skip(rest, end);
    properties->next_line++;
    return slice_of(rest.data, size);
}

static struct slice skip_space(struct slice line)
{
    while (line.size > 0 && is_space(line.data[0]))
        line = slice_skip(line, 1);
    return line;
}

/* An odd number of backslashes at the end joins the next line. */
static bool is_continued(struct slice line)
{
    size_t count = 0;
    while (count < line.size && line.data[line.size - 1 - count] == '\\')
        count++;
    return count % 2 == 1;
}

/* Joins natural lines into one logical line in buffer. */
static enum err join_lines(struct properties *properties, struct slice first, uint8_t *buffer,
                           size_t buffer_size, size_t *size)
{
    struct slice line = first;
    *size = 0;
    for (;;) {
        const bool continued = is_continued(line);
        const size_t part = line.size - (continued ? 1 : 0);
        if (part > buffer_size - *size)
            return ERR_LIMIT;
        memcpy(buffer + *size, line.data, part);
        *size += part;
        if (!continued || properties->rest.size == 0)
            return ERR_OK;
        line = skip_space(take_line(properties));
    }
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* A UTF-16 unit as UTF-8, at most three bytes: shorter than the escape it replaces. */
static size_t write_unit(uint8_t *out, unsigned unit)
{
    if (unit < 0x80) {
        out[0] = (uint8_t)unit;
        return 1;
    }
    if (unit < 0x800) {
        out[0] = (uint8_t)(0xc0 | unit >> 6);
        out[1] = (uint8_t)(0x80 | (unit & 0x3f));
        return 2;
    }
    out[0] = (uint8_t)(0xe0 | unit >> 12);
    out[1] = (uint8_t)(0x80 | (unit >> 6 & 0x3f));
    out[2] = (uint8_t)(0x80 | (unit & 0x3f));
    return 3;
}

static enum err unescape_unit(const uint8_t *digits, size_t available, unsigned *unit)
{
    if (available < 4)
        return ERR_MALFORMED;
    *unit = 0;
    for (int index = 0; index < 4; index++) {
        const int digit = hex_digit(digits[index]);
        if (digit < 0)
            return ERR_MALFORMED;
        *unit = *unit << 4 | (unsigned)digit;
    }
    return ERR_OK;
}

static uint8_t unescape_letter(uint8_t letter)
{
    switch (letter) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    }
    return letter;
}

/* In place: escapes only ever get shorter. */
static enum err unescape(uint8_t *bytes, size_t *size)
{
    size_t out = 0;
    for (size_t at = 0; at < *size; at++) {
        if (bytes[at] != '\\' || at + 1 == *size) {
            bytes[out++] = bytes[at];
            continue;
        }
        at++;
        if (bytes[at] != 'u') {
            bytes[out++] = unescape_letter(bytes[at]);
            continue;
        }
        unsigned unit;
        const enum err err = unescape_unit(bytes + at + 1, *size - at - 1, &unit);
        if (err != ERR_OK)
            return err;
        out += write_unit(bytes + out, unit);
        at += 4;
    }
    *size = out;
    return ERR_OK;
}

/* Where the key ends: at the first separator that is not escaped. */
static size_t key_size(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && !is_space(bytes[at]) && bytes[at] != '=' && bytes[at] != ':')
        at += bytes[at] == '\\' ? 2 : 1;
    return min_size(at, size);
}

/* White space, at most one = or :, white space. */
static size_t separator_size(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && is_space(bytes[at]))
        at++;
    if (at < size && (bytes[at] == '=' || bytes[at] == ':'))
        at++;
    while (at < size && is_space(bytes[at]))
        at++;
    return at;
}

static size_t trimmed_size(const uint8_t *bytes, size_t size)
{
    while (size > 0 && is_space(bytes[size - 1]))
        size--;
    return size;
}

static enum err split_entry(uint8_t *bytes, size_t size, struct properties_entry *entry)
{
    size_t key = key_size(bytes, size);
    const size_t value_at = key + separator_size(bytes + key, size - key);
    size_t value = trimmed_size(bytes + value_at, size - value_at);
    enum err err = unescape(bytes, &key);
    if (err == ERR_OK)
        err = unescape(bytes + value_at, &value);
    if (err != ERR_OK)
        return err;
    entry->key = slice_of(bytes, key);
    entry->value = slice_of(bytes + value_at, value);
    return ERR_OK;
}

enum err properties_next(struct properties *properties, uint8_t *buffer, size_t buffer_size,
                         struct properties_entry *entry)
{
    *entry = (struct properties_entry){0};
    while (properties->rest.size > 0) {
        properties->line = properties->next_line;
        const struct slice line = skip_space(take_line(properties));
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!')
            continue;
        size_t size;
        const enum err err = join_lines(properties, line, buffer, buffer_size, &size);
        return err != ERR_OK ? err : split_entry(buffer, size, entry);
    }
    return ERR_OK;
}
