#include "server/config.h"

#include "server/properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { entry_bytes_max = 64 * 1024 };

/* Where a value came from, for messages. */
struct place {
    struct diag *diag; /* NULL: a default, which must be right. */
    const char *file_name;
    uint32_t line;
};

static void *field(void *config, const struct config_row *row)
{
    return (uint8_t *)config + row->offset;
}

static struct slice without_prefix(const struct config_table *table, struct slice key)
{
    if (table->key_prefix == NULL)
        return key;
    const struct slice prefix = slice_from_text(table->key_prefix);
    return slice_starts_with(key, prefix) ? slice_skip(key, prefix.size) : key;
}

const struct config_row *config_find(const struct config_table *table, struct slice key)
{
    const struct slice name = without_prefix(table, key);
    for (uint32_t index = 0; index < table->row_count; index++) {
        const struct config_row *row = &table->rows[index];
        const struct slice row_key = slice_from_text(row->key);
        if (slice_equal(row_key, name) || slice_equal(row_key, key))
            return row;
        const bool is_prefix = row->type == CONFIG_GROUP || row_key.data[row_key.size - 1] == '.';
        if (is_prefix && slice_starts_with(name, row_key))
            return row;
    }
    return NULL;
}

static enum err copy_text(struct heap *heap, struct slice text, const char **out)
{
    char *copy = heap_take(heap, text.size + 1);
    if (copy == NULL)
        return ERR_NO_MEMORY;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *out = copy;
    return ERR_OK;
}

static bool equal_ignoring_case(struct slice text, const char *word)
{
    return strlen(word) == text.size && strncasecmp((const char *)text.data, word, text.size) == 0;
}

struct words {
    const char *yes;
    const char *no;
};

static enum err parse_bool(struct slice value, struct words words, bool *out)
{
    const bool yes = equal_ignoring_case(value, words.yes);
    *out = yes;
    return yes || equal_ignoring_case(value, words.no) ? ERR_OK : ERR_CONFIG;
}

static int digit_of(uint8_t character, int base)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    const int letter = (character | 0x20) - 'a';
    return base == 16 && letter >= 0 && letter < 6 ? 10 + letter : -1;
}

static enum err parse_int(struct slice value, int64_t min, int64_t max, int64_t *out)
{
    const bool negative = value.size > 0 && value.data[0] == '-';
    if (negative)
        value = slice_skip(value, 1);
    const bool is_hex = value.size > 2 && value.data[0] == '0' && (value.data[1] | 0x20) == 'x';
    const int base = is_hex ? 16 : 10;
    if (is_hex)
        value = slice_skip(value, 2);
    if (value.size == 0 || value.size > 19)
        return ERR_CONFIG;
    int64_t number = 0;
    for (size_t at = 0; at < value.size; at++) {
        const int digit = digit_of(value.data[at], base);
        if (digit < 0 || __builtin_mul_overflow(number, base, &number) ||
            __builtin_sub_overflow(number, digit, &number))
            return ERR_CONFIG;
    }
    /* Counted down from zero, so that the lowest number fits. */
    if (!negative && __builtin_sub_overflow(0, number, &number))
        return ERR_CONFIG;
    *out = number;
    return number >= min && number <= max ? ERR_OK : ERR_CONFIG;
}

static int64_t ratio_max(const struct config_row *row)
{
    return row->max != 0 ? row->max : 1;
}

static enum err parse_ratio(const struct config_row *row, struct slice value, double *out)
{
    char text[32];
    char *end = text;
    if (value.size == 0 || value.size >= sizeof text || value.data[0] > '9')
        return ERR_CONFIG; /* A letter: nan and its like. */
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    const double number = strtod(text, &end);
    *out = number;
    return *end == '\0' && number >= (double)row->min && number <= (double)ratio_max(row)
               ? ERR_OK
               : ERR_CONFIG;
}

static enum err parse_choice(const struct config_row *row, struct slice value, int64_t *out)
{
    for (int64_t index = 0; row->choices[index] != NULL; index++) {
        if (equal_ignoring_case(value, row->choices[index])) {
            *out = index;
            return ERR_OK;
        }
    }
    return ERR_CONFIG;
}

static enum err add_entry(const struct config_table *table, const struct config_row *row,
                          struct properties_entry entry, struct heap *heap, uint32_t line,
                          struct config_entry **first)
{
    struct config_entry *added = heap_take_zeroed(heap, sizeof *added);
    if (added == NULL)
        return ERR_NO_MEMORY;
    added->line = line;
    const struct slice key = slice_skip(without_prefix(table, entry.key), strlen(row->key));
    enum err err = copy_text(heap, key, &added->key);
    if (err == ERR_OK)
        err = copy_text(heap, entry.value, &added->value);
    if (err != ERR_OK)
        return err;
    while (*first != NULL)
        first = &(*first)->next;
    *first = added;
    return ERR_OK;
}

static void print_expected(const struct config_row *row, char *text, size_t capacity)
{
    size_t at = 0;
    switch (row->type) {
    case CONFIG_BOOL: snprintf(text, capacity, "true or false"); break;
    case CONFIG_YES_NO: snprintf(text, capacity, "yes or no"); break;
    case CONFIG_RATIO:
        snprintf(text, capacity, "a number from %lld to %lld", (long long)row->min,
                 (long long)ratio_max(row));
        break;
    case CONFIG_INT:
        snprintf(text, capacity, "a whole number from %lld to %lld%s%s", (long long)row->min,
                 (long long)row->max, row->unit ? " in " : "", row->unit ? row->unit : "");
        break;
    case CONFIG_CHOICE:
        at = (size_t)snprintf(text, capacity, "one of");
        for (int index = 0; row->choices[index] != NULL && at < capacity; index++)
            at += (size_t)snprintf(text + at, capacity - at, " %s", row->choices[index]);
        break;
    case CONFIG_TEXT:
    case CONFIG_GROUP:
    case CONFIG_NOTHING: snprintf(text, capacity, "a text"); break;
    }
}

static void complain(const struct place *place, const struct config_row *row, struct slice value)
{
    assert(place->diag != NULL); /* A default of ours is wrong. */
    char expected[256];
    print_expected(row, expected, sizeof expected);
    diag_error(place->diag,
               "%s:%u: %s: expected %s, found \"%" SLICE_FORMAT
               "\"; correct the line, or remove it for the "
               "default%s%s",
               place->file_name, place->line, row->key, expected, SLICE_ARGS(value),
               row->value_default ? " " : "", row->value_default ? row->value_default : "");
}

static enum err set_value(const struct config_table *table, const struct config_row *row,
                          struct properties_entry entry, void *config, struct heap *heap,
                          const struct place *place)
{
    enum err err = ERR_OK;
    switch (row->type) {
    case CONFIG_BOOL:
        err = parse_bool(entry.value, (struct words){"true", "false"}, field(config, row));
        break;
    case CONFIG_YES_NO:
        err = parse_bool(entry.value, (struct words){"yes", "no"}, field(config, row));
        break;
    case CONFIG_RATIO: err = parse_ratio(row, entry.value, field(config, row)); break;
    case CONFIG_INT: {
        int64_t number = 0;
        err = parse_int(entry.value, row->min, row->max, &number);
        if (err == ERR_OK)
            memcpy(field(config, row), &number, sizeof number);
        break;
    }
    case CONFIG_CHOICE: err = parse_choice(row, entry.value, field(config, row)); break;
    case CONFIG_TEXT: err = copy_text(heap, entry.value, field(config, row)); break;
    case CONFIG_GROUP:
        err = add_entry(table, row, entry, heap, place->line, field(config, row));
        break;
    case CONFIG_NOTHING:
        diag_warn(place->diag, "%s:%u: %" SLICE_FORMAT " does nothing here: %s", place->file_name,
                  place->line, SLICE_ARGS(entry.key), row->doc);
        break;
    }
    if (err == ERR_CONFIG)
        complain(place, row, entry.value);
    return err;
}

enum err config_defaults(const struct config_table *table, void *config, struct heap *heap)
{
    const struct place place = {0};
    for (uint32_t index = 0; index < table->row_count; index++) {
        const struct config_row *row = &table->rows[index];
        if (row->value_default == NULL || row->type == CONFIG_NOTHING)
            continue;
        const struct properties_entry entry = {
            .key = slice_from_text(row->key),
            .value = slice_from_text(row->value_default),
        };
        const enum err err = set_value(table, row, entry, config, heap, &place);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err load_entry(const struct config_table *table, struct properties_entry entry,
                           void *config, struct heap *heap, const struct place *place)
{
    const struct config_row *row = config_find(table, entry.key);
    if (row != NULL)
        return set_value(table, row, entry, config, heap, place);
    if (table->is_closed) {
        diag_error(place->diag, "%s:%u: the key %" SLICE_FORMAT " does not belong here; remove it",
                   place->file_name, place->line, SLICE_ARGS(entry.key));
        return ERR_CONFIG;
    }
    diag_warn(place->diag, "%s:%u: the key %" SLICE_FORMAT " is unknown and does nothing",
              place->file_name, place->line, SLICE_ARGS(entry.key));
    return ERR_OK;
}

static enum err load_entries(const struct config_table *table, void *config, struct heap *heap,
                             struct diag *diag, struct config_source source, uint8_t *buffer)
{
    struct properties properties;
    properties_init(&properties, source.text);
    enum err worst = ERR_OK;
    for (;;) {
        struct properties_entry entry;
        enum err err = properties_next(&properties, buffer, entry_bytes_max, &entry);
        const struct place place = {diag, source.file_name, properties.line};
        if (err != ERR_OK) {
            diag_error(diag, "%s:%u: this line cannot be read: %s", place.file_name, place.line,
                       err_text(err));
            worst = ERR_CONFIG;
            continue;
        }
        if (slice_is_null(entry.key))
            return worst;
        err = load_entry(table, entry, config, heap, &place);
        if (err == ERR_NO_MEMORY)
            return err;
        if (err != ERR_OK)
            worst = err;
    }
}

enum err config_load(const struct config_table *table, void *config, struct heap *heap,
                     struct diag *diag, struct config_source source)
{
    uint8_t *buffer = heap_take(heap, entry_bytes_max);
    if (buffer == NULL)
        return ERR_NO_MEMORY;
    const enum err err = load_entries(table, config, heap, diag, source, buffer);
    heap_give(heap, buffer);
    return err;
}

void config_give_group(struct config_entry *first, struct heap *heap)
{
    while (first != NULL) {
        struct config_entry *next = first->next;
        heap_give(heap, (void *)(uintptr_t)first->key);
        heap_give(heap, (void *)(uintptr_t)first->value);
        heap_give(heap, first);
        first = next;
    }
}

static void print_row(const struct config_row *row, char *text, size_t capacity)
{
    char expected[256];
    print_expected(row, expected, sizeof expected);
    const bool nothing = row->type == CONFIG_NOTHING;
    snprintf(text, capacity, "| `%s%s` | %s | %s | %s%s |", row->key,
             row->key[strlen(row->key) - 1] == '.' ? "*" : "", nothing ? "" : expected,
             row->value_default != NULL ? row->value_default : "", nothing ? "Does nothing: " : "",
             row->doc);
}

void config_print_docs(const struct config_table *table,
                       void (*line)(void *context, const char *text), void *context)
{
    char text[2048];
    snprintf(text, sizeof text, "## %s", table->name);
    line(context, text);
    line(context, "");
    line(context, "| key | value | default | meaning |");
    line(context, "|---|---|---|---|");
    for (uint32_t index = 0; index < table->row_count; index++) {
        print_row(&table->rows[index], text, sizeof text);
        line(context, text);
    }
}
