#include "server/keeper/snapshot_unpacker.h"

enum { unpacked_bytes = 1 << 20 };

enum err snapshot_unpacker_init(struct snapshot_unpacker *unpacker, struct heap *heap,
                                enum recovery_compression method)
{
    *unpacker = (struct snapshot_unpacker){.method = method, .heap = heap};
    snappy_reader_init(&unpacker->snappy, heap);
    if (method == RECOVERY_PLAIN)
        return ERR_OK;
    unpacker->unpacked = heap_take(heap, unpacked_bytes);
    if (unpacker->unpacked == NULL)
        return ERR_NO_MEMORY;
    return method == RECOVERY_GZIP ? gzip_reader_init(&unpacker->gzip, heap) : ERR_OK;
}

void snapshot_unpacker_deinit(struct snapshot_unpacker *unpacker)
{
    if (unpacker->heap == NULL)
        return;
    gzip_reader_deinit(&unpacker->gzip);
    snappy_reader_deinit(&unpacker->snappy);
    heap_give(unpacker->heap, unpacker->unpacked);
    *unpacker = (struct snapshot_unpacker){0};
}

static enum err unpack(struct snapshot_unpacker *unpacker, struct slice *input, size_t *size)
{
    return unpacker->method == RECOVERY_GZIP
               ? gzip_reader_next(&unpacker->gzip, input, unpacker->unpacked, unpacked_bytes, size)
               : snappy_reader_next(&unpacker->snappy, input, unpacker->unpacked, unpacked_bytes,
                                    size);
}

enum err snapshot_unpacker_feed(struct snapshot_unpacker *unpacker,
                                struct snapshot_reader *snapshot, struct slice piece)
{
    size_t size;
    enum err err = ERR_OK;
    if (unpacker->method == RECOVERY_PLAIN)
        return snapshot_reader_feed(snapshot, piece);
    do {
        err = unpack(unpacker, &piece, &size);
        if (err == ERR_OK && size > 0)
            err = snapshot_reader_feed(snapshot, slice_of(unpacker->unpacked, size));
    } while (err == ERR_OK && (piece.size > 0 || size == unpacked_bytes));
    return err;
}

bool snapshot_unpacker_may_end(const struct snapshot_unpacker *unpacker)
{
    switch (unpacker->method) {
    case RECOVERY_GZIP: return unpacker->gzip.is_done;
    case RECOVERY_SNAPPY: return snappy_reader_may_end(&unpacker->snappy);
    case RECOVERY_PLAIN: break;
    }
    return true;
}
