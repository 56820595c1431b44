/* A shard: one loop with its own io, memory and diag lines. A thread runs one shard; the simulator
 * steps many on one thread, and fills in their io, heap and diag itself.
 *
 * Memory: its heap. Shard: itself.
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "base/diag.h"
#include "base/heap.h"
#include "io/io.h"
#include "io/io_create.h"
#include "shard/diag_sink.h"

struct mailbox;

struct shard {
    const char *name; /* For diag: "keeper", "broker". */
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    bool stopping; /* Set by shard_stop; the loop ends. */

    struct list inboxes; /* Mailboxes that it reads. */
    struct heap own_heap;
    struct diag_sink sink;
};

struct shard_options {
    const char *name; /* Keeps. */
    size_t heap_bytes_max;
    enum io_choice io_choice;
    const char *diag_path; /* NULL: standard error. */
    enum diag_format diag_format;
    enum diag_level diag_level_min;
};

/* In a real world, on the thread that will run it. ERR_NO_MEMORY, ERR_PERMISSION, ERR_NOT_FOUND,
 * ERR_IO: told by a diag line. */
MUST_CHECK enum err shard_init(struct shard *shard, struct shard_options options);

void shard_deinit(struct shard *shard);

/* One round: waits for the world at most wait_ns, then reads the inboxes. */
void shard_step(struct shard *shard, uint64_t wait_ns);

/* The second half of a round: for a simulated process, whose shards have one io in common. */
void shard_read(struct shard *shard);

/* Rounds until shard_stop. */
void shard_run(struct shard *shard);

/* Ends shard_run after the round; from the shard's own callbacks. */
void shard_stop(struct shard *shard);

/* Has the shard read mailbox in each round. Keeps mailbox until mailbox_destroy. */
void shard_add_inbox(struct shard *shard, struct mailbox *mailbox);

#endif
