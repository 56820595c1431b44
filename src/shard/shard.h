/* A shard: one loop with its own io, memory and diag lines. A thread runs one shard; the simulator
 * steps many on one thread.
 *
 * Memory: its heap. Shard: itself.
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "base/diag.h"
#include "base/heap.h"
#include "io/io.h"

struct shard {
    const char *name; /* For diag: "keeper", "broker". */
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    bool stopping; /* Set by shard_stop; the loop ends. */
};

#endif
