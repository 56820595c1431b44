#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void assert_failed(const char *expression, const char *file, int line, const char *function)
{
    char text[512];
    const int size = snprintf(text, sizeof text, "%s:%d: %s: assertion failed: %s\n", file, line,
                              function, expression);
    if (size > 0) {
        const size_t length = (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
        /* Nothing can be done if even this fails. */
        const ssize_t written = write(STDERR_FILENO, text, length);
        (void)written;
    }
    abort();
}
