/* Unpacks a gzip stream that comes in pieces: compressed snapshots.
 *
 * Memory: zlib's state, about 40 KiB of the heap given. Shard: one owner.
 */
#ifndef SERVER_KEEPER_GZIP_READER_H
#define SERVER_KEEPER_GZIP_READER_H

#include "base/err.h"
#include "base/heap.h"

#include <zlib.h>

struct gzip_reader {
    z_stream stream;
    bool is_open;
    bool is_done; /* The stream has ended, its checksum was right. */
};

/* Keeps heap. ERR_NO_MEMORY. */
MUST_CHECK enum err gzip_reader_init(struct gzip_reader *reader, struct heap *heap);

void gzip_reader_deinit(struct gzip_reader *reader);

/* Unpacks from the front of input, and moves it on, until input or out is used up or the stream
 * ends; *size bytes of out are filled. ERR_CORRUPT: this is no gzip, or it is damaged. */
MUST_CHECK enum err gzip_reader_next(struct gzip_reader *reader, struct slice *input, uint8_t *out,
                                     size_t capacity, size_t *size);

#endif
