/* Text whose size nobody knows before it is written: it is printed twice, the first time only to be
 * counted, so that it fits its block exactly and no copy is made.
 *
 * Memory: the caller's. Shard: none.
 */
#ifndef SERVER_KEEPER_COUNTED_TEXT_H
#define SERVER_KEEPER_COUNTED_TEXT_H

#include "base/macros.h"
#include "base/slice.h"

struct counted_text {
    char *data; /* NULL: only counting. */
    size_t capacity;
    size_t size; /* May be above capacity: what does not fit is left out. */
};

void counted_text_print(struct counted_text *text, const char *format, ...) PRINTF_LIKE(2, 3);

void counted_text_add(struct counted_text *text, struct slice bytes);

/* A number as Java prints a double: "0.0", "1.25", "1.2345678E7", "NaN". Lends out, of at least
 * counted_text_double_bytes. */
enum { counted_text_double_bytes = 64 };
const char *counted_text_double(double value, char *out);

#endif
