/* The world on Linux's io_uring: one system call per loop submits everything that has gathered and
 * waits for what is done.
 *
 * Memory: the rings, and the world's struct from the heap. Shard: the one that runs it.
 */
#ifndef IO_IO_URING_H
#define IO_IO_URING_H

#include "base/diag.h"
#include "base/heap.h"
#include "io/io.h"

/* 0 or a negative errno: -ENOSYS, -EPERM, -EACCES where io_uring is not permitted, -EOPNOTSUPP
 * where the kernel's is too old for us. */
MUST_CHECK int io_uring_world_create(struct io **io, struct heap *heap, struct diag *diag);

#endif
