/* Unpacks a stream of snappy blocks as snappy-java frames them, that comes in pieces: compressed
 * snapshots. See snapshot_packer.h for the format.
 *
 * Memory: two blocks of the heap given, as large as the stream's but at most
 * snappy_reader_block_bytes_max. Shard: one owner.
 */
#ifndef SERVER_KEEPER_SNAPPY_READER_H
#define SERVER_KEEPER_SNAPPY_READER_H

#include "base/err.h"
#include "base/heap.h"
#include "base/slice.h"

/* Unpacked. snappy-java's default is 32 KiB; its largest blocks are half a gigabyte, which no
 * snapshot of Apache's servers has. */
enum { snappy_reader_block_bytes_max = 4 << 20 };

/* A heap block that grows. */
struct snappy_buffer {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};

struct snappy_reader {
    struct heap *heap;
    struct snappy_buffer packed; /* What has come of the head, a length or a block. */
    size_t wanted;               /* All of that. */
    bool has_head;
    bool is_block; /* A block is awaited, not its length. */
    struct snappy_buffer block;
    size_t block_at; /* Up to here it was handed out. */
};

/* Keeps heap. */
void snappy_reader_init(struct snappy_reader *reader, struct heap *heap);

void snappy_reader_deinit(struct snappy_reader *reader);

/* Unpacks from the front of input, and moves it on, until input or out is used up; *size bytes of
 * out are filled. ERR_CORRUPT: this is no such stream, or it is damaged; ERR_NO_MEMORY. */
MUST_CHECK enum err snappy_reader_next(struct snappy_reader *reader, struct slice *input,
                                       uint8_t *out, size_t capacity, size_t *size);

/* Whether the stream may end here: between two blocks, with all handed out. It has no mark of its
 * end. */
bool snappy_reader_may_end(const struct snappy_reader *reader);

#endif
