/* Chooses one of the real worlds at the start.
 *
 * io_uring where the system permits it; otherwise (an old kernel, a container's seccomp filter, the
 * sysctl io_uring_disabled) libuv, with one diag line that says why.
 *
 * Memory: the world's struct from the heap. Shard: the one that will run it.
 */
#ifndef IO_IO_CREATE_H
#define IO_IO_CREATE_H

#include "base/diag.h"
#include "base/heap.h"
#include "io/io.h"

enum io_choice { IO_CHOICE_AUTO, IO_CHOICE_URING, IO_CHOICE_UV };

/* Keeps heap and diag. The first io_submit or io_run binds the io to its thread. SIGPIPE is ignored
 * from here on. ERR_NO_MEMORY; ERR_PERMISSION, ERR_UNSUPPORTED or ERR_IO: the system refuses the
 * world that was asked for. */
MUST_CHECK enum err io_create(struct io **io, struct heap *heap, struct diag *diag,
                              enum io_choice choice);

/* Operations in flight end without their done. */
void io_destroy(struct io *io);

#endif
