/* The portable world on libuv: readiness of sockets by its poll handles, files by its thread pool.
 *
 * Memory: a fixed number of work slots, and one record per socket, from the heap. Shard: the one
 * that runs it.
 */
#ifndef IO_IO_UV_H
#define IO_IO_UV_H

#include "base/diag.h"
#include "base/heap.h"
#include "io/io.h"

/* 0 or a negative errno. */
MUST_CHECK int io_uv_create(struct io **io, struct heap *heap, struct diag *diag);

#endif
