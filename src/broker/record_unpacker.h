/* The records of a compressed batch, unpacked piece by piece.
 *
 *   gzip    one gzip stream or several        zstd   one frame or several
 *   lz4     one LZ4 frame                     snappy blocks as Java frames them, or one bare block
 *
 * What comes out is what record_walk reads of a batch that is not compressed. However much a batch
 * claims or grows to, it comes out in pieces of the caller's size; the caller decides when it is
 * enough.
 *
 * Memory: the library's state from the heap given: gzip 40 KiB, lz4 up to 8 MiB, zstd the window
 * that the frame names (128 MiB at most), snappy one block, at most 22 times the input. Who unpacks
 * all the time keeps a state of each codec for the next batch. Shard: one owner.
 */
#ifndef BROKER_RECORD_UNPACKER_H
#define BROKER_RECORD_UNPACKER_H

#include "base/heap.h"
#include "broker/record_batch.h"

/* States that nobody uses, one of each codec at most. Zero is empty. */
struct record_unpacker_idle {
    void *states[CODEC_ZSTD + 1];
};

void record_unpacker_idle_deinit(struct record_unpacker_idle *idle, struct heap *heap);

struct record_unpacker {
    struct heap *heap;
    struct record_unpacker_idle *idle; /* NULL: none is kept. */
    struct slice input;                /* Not yet unpacked. */
    enum record_codec codec;
    bool is_done;
    void *state; /* The library's; NULL for snappy. */
    /* Snappy. */
    bool is_framed;
    uint8_t *block; /* An unpacked one. */
    size_t block_capacity;
    struct slice rest; /* Of the block. */
};

/* Keeps heap, idle, which may be NULL, and input, which are the bytes behind the batch's header.
 * ERR_NO_MEMORY; ERR_UNSUPPORTED: not a codec. Needs record_unpacker_deinit in any case. */
MUST_CHECK enum err record_unpacker_init(struct record_unpacker *unpacker, struct heap *heap,
                                         struct record_unpacker_idle *idle, enum record_codec codec,
                                         struct slice input);

void record_unpacker_deinit(struct record_unpacker *unpacker);

/* Fills *size bytes of out; 0: that was all. ERR_MALFORMED: it is not what the codec writes, or it
 * is cut; ERR_NO_MEMORY. */
MUST_CHECK enum err record_unpacker_next(struct record_unpacker *unpacker, uint8_t *out,
                                         size_t capacity, size_t *size);

#endif
