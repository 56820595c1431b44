#include "journal/journal.h"

#include <inttypes.h>
#include <stdio.h>

const struct journal_naming journal_naming_keeper = {.prefix = "log.", .suffix = "", .radix = 16};
const struct journal_naming journal_naming_broker = {
    .prefix = "", .suffix = ".log", .radix = 10, .digits = 20};

const char *journal_naming_print(const struct journal_naming *naming, uint64_t base, char *name)
{
    const char *format = naming->radix == 16 ? "%s%0*" PRIx64 "%s" : "%s%0*" PRIu64 "%s";
    const int width = naming->digits == 0 ? 1 : (int)naming->digits;
    const int size =
        snprintf(name, journal_name_bytes_max, format, naming->prefix, width, base, naming->suffix);
    assert(size > 0 && size < journal_name_bytes_max);
    return name;
}

/* The value of a digit, or 16 for anything else. */
static uint32_t digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return (uint32_t)(digit - '0');
    if (digit >= 'a' && digit <= 'f')
        return (uint32_t)(digit - 'a') + 10;
    return 16;
}

bool journal_naming_parse(const struct journal_naming *naming, const char *name, uint64_t *base)
{
    const size_t prefix_size = strlen(naming->prefix);
    if (strncmp(name, naming->prefix, prefix_size) != 0)
        return false;

    uint64_t value = 0;
    for (const char *at = name + prefix_size; digit_value(*at) < naming->radix; at++) {
        if (__builtin_mul_overflow(value, (uint64_t)naming->radix, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit_value(*at), &value))
            return false;
    }
    /* Printing it again refuses every other spelling: missing digits, zeros in front, suffixes. */
    char printed[journal_name_bytes_max];
    if (strcmp(journal_naming_print(naming, value, printed), name) != 0)
        return false;
    *base = value;
    return true;
}
