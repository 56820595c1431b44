#include "server/keeper/counted_text.h"

#include "base/assert.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { digits_max = 17, shortest_bytes = 32 };

void counted_text_print(struct counted_text *text, const char *format, ...)
{
    const bool has_room = text->data != NULL && text->size < text->capacity;
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(has_room ? text->data + text->size : NULL,
                               has_room ? text->capacity - text->size : 0, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    text->size += (size_t)size;
}

void counted_text_add(struct counted_text *text, struct slice bytes)
{
    if (text->data != NULL && text->size < text->capacity)
        memcpy(text->data + text->size, bytes.data,
               min_size(bytes.size, text->capacity - text->size));
    text->size += bytes.size;
}

/* The fewest digits that read back as the same number, as d.ddde+xx. */
static void print_shortest(double value, char *out, size_t capacity)
{
    for (int digits = 1; digits <= digits_max; digits++) {
        snprintf(out, capacity, "%.*e", digits - 1, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

/* Java writes numbers below a thousandth and from ten millions on with an exponent. */
static bool needs_exponent(int exponent)
{
    return exponent < -3 || exponent >= 7;
}

const char *counted_text_double(double value, char *out)
{
    char shortest[shortest_bytes];
    if (isnan(value) || isinf(value)) {
        snprintf(out, counted_text_double_bytes, "%s",
                 isnan(value) ? "NaN" : (value < 0 ? "-Infinity" : "Infinity"));
        return out;
    }
    print_shortest(value, shortest, sizeof shortest);
    char *mark = strchr(shortest, 'e');
    const int exponent = (int)strtol(mark + 1, NULL, 10);
    const bool has_point = strchr(shortest, '.') != NULL;
    const int digits = (int)(mark - shortest) - (has_point ? 1 : 0) - (value < 0 ? 1 : 0);
    *mark = '\0';
    if (value != 0 && needs_exponent(exponent))
        snprintf(out, counted_text_double_bytes, "%s%sE%d", shortest, has_point ? "" : ".0",
                 exponent);
    else
        snprintf(out, counted_text_double_bytes, "%.*f",
                 digits - 1 > exponent ? digits - 1 - exponent : 1, value);
    return out;
}
