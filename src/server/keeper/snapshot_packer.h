/* Packs a snapshot's bytes as they come, by the method of snapshot.compression.method.
 *
 * gzip is one stream of zlib's. snappy has the framing of snappy-java's streams, which Apache's
 * servers read and write:
 *
 *   0x82 "SNAPPY" 0 | version 1 | compatible with 1 | (size | block)*
 *
 * with all numbers of four bytes, and each block at most snapshot_packer_block_bytes before.
 *
 * Memory: zlib's state, about 270 KiB, or two blocks, from the heap. Shard: one owner.
 */
#ifndef SERVER_KEEPER_SNAPSHOT_PACKER_H
#define SERVER_KEEPER_SNAPSHOT_PACKER_H

#include "base/err.h"
#include "base/heap.h"
#include "keeper/recovery.h"

struct z_stream_s; /* zlib's; its header brings much with it. */

enum {
    snapshot_packer_block_bytes = 32 * 1024,
    snappy_head_bytes = 16,
    snappy_length_bytes = 4,
};

/* The 16 bytes in front of a snappy stream. */
extern const uint8_t snappy_head[snappy_head_bytes];

struct snapshot_packer {
    enum recovery_compression method;
    struct heap *heap;
    struct z_stream_s *stream; /* gzip */
    bool is_open;
    bool is_done;   /* The end is out. */
    bool has_begun; /* snappy: the head is out. */
    uint8_t *block; /* snappy: bytes that wait until they fill a block. */
    size_t block_size;
};

/* Keeps heap. ERR_NO_MEMORY. */
MUST_CHECK enum err snapshot_packer_init(struct snapshot_packer *packer, struct heap *heap,
                                         enum recovery_compression method);

void snapshot_packer_deinit(struct snapshot_packer *packer);

/* The capacity that any call of next needs at least. */
size_t snapshot_packer_bytes_min(void);

/* Packs from the front of input, and moves it on, until input or out is used up; *size bytes of out
 * are filled. is_last: nothing follows input; is_done tells when all is out. */
void snapshot_packer_next(struct snapshot_packer *packer, struct slice *input, bool is_last,
                          uint8_t *out, size_t capacity, size_t *size);

#endif
