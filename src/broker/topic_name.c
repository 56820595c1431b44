#include "broker/topic_name.h"

#include <stdio.h>

static bool is_allowed(uint8_t character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '.' || character == '_' ||
           character == '-';
}

bool topic_name_check(struct slice name, char *reason, size_t reason_size)
{
    const struct slice shown = {name.data, min_size(name.size, 64)};
    if (name.size == 0) {
        snprintf(reason, reason_size, "Topic name is invalid: the empty string is not allowed");
        return false;
    }
    if (slice_equal_text(name, ".") || slice_equal_text(name, "..")) {
        snprintf(reason, reason_size, "Topic name is invalid: '%" SLICE_FORMAT "' is not allowed",
                 SLICE_ARGS(name));
        return false;
    }
    if (name.size > topic_name_size_max) {
        snprintf(reason, reason_size,
                 "Topic name is invalid: '%" SLICE_FORMAT "...' is longer than %d characters",
                 SLICE_ARGS(shown), topic_name_size_max);
        return false;
    }
    for (size_t at = 0; at < name.size; at++)
        if (!is_allowed(name.data[at])) {
            snprintf(reason, reason_size,
                     "Topic name is invalid: '%" SLICE_FORMAT
                     "' contains characters other than ASCII alphanumerics, '.', '_' and '-'",
                     SLICE_ARGS(shown));
            return false;
        }
    return true;
}

bool topic_name_collides(struct slice name, struct slice other)
{
    if (name.size != other.size || slice_equal(name, other))
        return false;
    for (size_t at = 0; at < name.size; at++) {
        const uint8_t a = name.data[at] == '.' ? '_' : name.data[at];
        const uint8_t b = other.data[at] == '.' ? '_' : other.data[at];
        if (a != b)
            return false;
    }
    return true;
}

bool topic_name_is_internal(struct slice name)
{
    return slice_equal_text(name, "__consumer_offsets") ||
           slice_equal_text(name, "__transaction_state");
}
