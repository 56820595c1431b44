/* A run of bytes that somebody else owns.
 *
 * data == NULL is the null of both protocols, which differs from an empty run (data set, size 0).
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t size;
};

#define SLICE_NULL ((struct slice){NULL, 0})

/* Of a string literal or array of known size, without its end mark. */
#define SLICE_LITERAL(text) ((struct slice){(const uint8_t *)("" text), sizeof(text) - 1})

/* Format and argument for printf: printf("%" SLICE_FORMAT, SLICE_ARGS(path)). */
#define SLICE_FORMAT ".*s"
#define SLICE_ARGS(slice)                                                                          \
    (int)(slice).size, (const char *)((slice).data ? (slice).data : (const uint8_t *)"")

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){(const uint8_t *)data, size};
}

static inline struct slice slice_from_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool slice_is_null(struct slice slice)
{
    return slice.data == NULL;
}

/* Null equals only null. */
static inline bool slice_equal(struct slice a, struct slice b)
{
    if (a.data == NULL || b.data == NULL)
        return a.data == b.data;
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_equal_text(struct slice slice, const char *text)
{
    return slice_equal(slice, slice_from_text(text));
}

/* Order by bytes, shorter first; for sorting names. */
static inline int slice_compare(struct slice a, struct slice b)
{
    const size_t size = a.size < b.size ? a.size : b.size;
    const int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static inline bool slice_starts_with(struct slice slice, struct slice prefix)
{
    return slice.size >= prefix.size &&
           (prefix.size == 0 || memcmp(slice.data, prefix.data, prefix.size) == 0);
}

/* Whether all bytes are zero: the library compares many megabytes faster than a loop. */
static inline bool slice_is_zero(struct slice slice)
{
    return slice.size == 0 ||
           (slice.data[0] == 0 &&
            (slice.size == 1 || memcmp(slice.data, slice.data + 1, slice.size - 1) == 0));
}

/* Without its first count bytes; count is at most slice.size. */
static inline struct slice slice_skip(struct slice slice, size_t count)
{
    return (struct slice){slice.data + count, slice.size - count};
}

#endif
