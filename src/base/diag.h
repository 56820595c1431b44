/* What operators read: one line per event, handed to a sink that knows where lines go.
 *
 * Lines are single-line text: control characters of untrusted input are replaced, so nobody can
 * forge a line.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/macros.h"
#include "base/slice.h"

enum diag_level { DIAG_DEBUG, DIAG_INFO, DIAG_WARN, DIAG_ERROR };

struct diag {
    /* Borrows line, which has no line end. */
    void (*write)(struct diag *diag, enum diag_level level, struct slice line);
    enum diag_level level_min;
};

enum { diag_line_bytes_max = 1024 };

/* A longer line is cut. */
void diag_line(struct diag *diag, enum diag_level level, const char *format, ...) PRINTF_LIKE(3, 4);

#define diag_info(diag, ...)  diag_line(diag, DIAG_INFO, __VA_ARGS__)
#define diag_warn(diag, ...)  diag_line(diag, DIAG_WARN, __VA_ARGS__)
#define diag_error(diag, ...) diag_line(diag, DIAG_ERROR, __VA_ARGS__)

#endif
