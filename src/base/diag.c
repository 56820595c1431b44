#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>

void diag_line(struct diag *diag, enum diag_level level, const char *format, ...)
{
    if (level < diag->level_min)
        return;
    char text[diag_line_bytes_max];
    va_list arguments;
    va_start(arguments, format);
    const int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (written < 0)
        return;

    const size_t size = min_size((size_t)written, sizeof text - 1);
    for (size_t at = 0; at < size; at++)
        if ((unsigned char)text[at] < 0x20 || text[at] == 0x7f)
            text[at] = '?';
    diag->write(diag, level, slice_of(text, size));
}
