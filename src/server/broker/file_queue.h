/* Small files waiting to be replaced: checkpoints, epochs, partition.metadata, snapshots. A few at
 * a time, each with its own sync.
 *
 * Whoever asks must not ask again for the same path before done.
 *
 * Memory: file_queue_slots struct small_file, and a copy of path and bytes for each request, from
 * the heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_FILE_QUEUE_H
#define SERVER_BROKER_FILE_QUEUE_H

#include "base/heap.h"
#include "journal/small_file.h"

enum { file_queue_slots = 16 };

struct file_request;

struct file_slot {
    struct small_file file;
    struct file_queue *queue;
    struct file_request *request; /* NULL: free. */
};

struct file_queue {
    struct io *io;
    struct heap *heap;
    struct list waiting;
    uint32_t count; /* Waiting and in flight. */
    struct file_slot slots[file_queue_slots];
};

void file_queue_init(struct file_queue *queue, struct io *io, struct heap *heap);

/* done gets 0 or a negative errno, later; bytes and path are copied. ERR_NO_MEMORY: try later. */
MUST_CHECK enum err file_queue_replace(struct file_queue *queue, const char *path,
                                       struct slice bytes,
                                       void (*done)(void *context, int64_t result), void *context);

#endif
