#include "server/broker/group_loader.h"

#include "broker/record_unpacker.h"
#include "server/broker/broker_server.h"

enum { piece_bytes = 1 << 20, arena_bytes = 1 << 20 };

static void load_next(struct group_loader *loader);
static void read_piece(struct group_loader *loader);

static struct broker_server *server_of(const struct group_loader *loader)
{
    return loader->service->server;
}

void group_loader_init(struct group_loader *loader, struct group_service *service)
{
    *loader = (struct group_loader){.service = service};
    list_init(&loader->queue);
}

static void give_memory(struct group_loader *loader)
{
    struct heap *heap = server_of(loader)->heap;
    heap_give(heap, loader->buffer);
    heap_give(heap, loader->arena_memory);
    heap_give(heap, loader->unpacked);
    loader->buffer = NULL;
    loader->arena_memory = NULL;
    loader->unpacked = NULL;
    loader->buffer_capacity = 0;
    loader->unpacked_capacity = 0;
}

void group_loader_deinit(struct group_loader *loader)
{
    if (loader->service != NULL)
        give_memory(loader);
}

void group_loader_add(struct group_loader *loader, struct group_home *home)
{
    if (loader->home == home) {
        loader->is_stale = true; /* Lost and won again: from the beginning. */
        list_push(&loader->queue, &home->link);
        return;
    }
    if (!list_linked(&home->link))
        list_push(&loader->queue, &home->link);
    if (loader->home == NULL)
        load_next(loader);
}

void group_loader_remove(struct group_loader *loader, struct group_home *home)
{
    list_remove(&home->link);
    if (loader->home == home)
        loader->is_stale = true;
}

static void finish(struct group_loader *loader, const char *fault)
{
    struct group_home *home = loader->home;
    struct broker_server *server = server_of(loader);
    const uint64_t ms = (io_now_ns(server->io) - loader->started_at_ns) / 1000000;
    if (fault != NULL)
        diag_error(server->diag, "__consumer_offsets-%d: not read beyond offset %lld: %s",
                   home->index, (long long)loader->offset, fault);
    else if (loader->record_count > 0 && !loader->is_stale)
        diag_info(server->diag, "__consumer_offsets-%d: %llu records loaded in %llu ms",
                  home->index, (unsigned long long)loader->record_count, (unsigned long long)ms);
    if (!loader->is_stale)
        home->is_loaded = true;
    loader->home = NULL;
    load_next(loader);
}

static void load_next(struct group_loader *loader)
{
    while (loader->home == NULL && !list_empty(&loader->queue)) {
        struct group_home *home = CONTAINER_OF(list_pop(&loader->queue), struct group_home, link);
        const struct partition *partition = home->partition;
        if (!home->is_led || partition->store == NULL)
            continue;
        loader->home = home;
        loader->is_stale = false;
        loader->offset = partition_store_log_start_offset(partition->store);
        /* What no other replica may have yet as well, as Apache's coordinator does: it will have.
         */
        loader->end_offset = partition_store_log_end_offset(partition->store);
        loader->record_count = 0;
        loader->started_at_ns = io_now_ns(server_of(loader)->io);
        if (loader->offset >= loader->end_offset) {
            home->is_loaded = true;
            loader->home = NULL;
            continue;
        }
        read_piece(loader);
    }
    if (loader->home == NULL)
        give_memory(loader);
}

/* ---- records ---- */

static enum err apply(struct group_loader *loader, const struct group_record_decoded *record)
{
    struct group_coordinator *coordinator = &loader->service->coordinator;
    const struct group_now now = group_service_now(loader->service);
    struct group *group = group_coordinator_find(coordinator, record->group_id);
    if (record->kind == GROUP_RECORD_OFFSET && record->is_tombstone) {
        struct group_offset *offset =
            group == NULL
                ? NULL
                : group_offsets_find(coordinator, group, record->topic, record->partition);
        if (offset != NULL)
            group_offsets_remove(coordinator, offset);
        return ERR_OK;
    }
    if (record->kind == GROUP_RECORD_OFFSET) {
        group = group_coordinator_take(coordinator, record->group_id, now);
        return group != NULL && group_offsets_set(coordinator, group, record->topic,
                                                  record->partition, record->offset)
                   ? ERR_OK
                   : ERR_NO_MEMORY;
    }
    if (record->kind == GROUP_RECORD_FOREIGN)
        return ERR_OK;
    if (!record->is_tombstone)
        return group_coordinator_load(coordinator, &record->group, now);
    if (group != NULL)
        group_coordinator_drop(coordinator, group, KAFKA_COORDINATOR_NOT_AVAILABLE);
    return ERR_OK;
}

/* Room for more than size bytes. */
static enum err reserve_unpacked(struct group_loader *loader, size_t size)
{
    const size_t limit = (size_t)server_of(loader)->config->unpacked_batch_bytes_max;
    if (size < loader->unpacked_capacity)
        return ERR_OK;
    if (size > limit)
        return ERR_LIMIT;
    const size_t capacity = max_size(2 * size, piece_bytes);
    uint8_t *unpacked = heap_resize(server_of(loader)->heap, loader->unpacked, capacity);
    if (unpacked == NULL)
        return ERR_NO_MEMORY;
    loader->unpacked = unpacked;
    loader->unpacked_capacity = capacity;
    return ERR_OK;
}

/* Apache's broker compresses these records if offsets.topic.compression.codec says so. Makes of
 * batch and bytes what they were before; bytes lend until the next batch. */
static enum err unpack(struct group_loader *loader, struct record_batch *batch, struct slice *bytes)
{
    struct record_unpacker unpacker;
    size_t size = record_batch_header_bytes;
    size_t piece = 0;
    enum err err =
        record_unpacker_init(&unpacker, server_of(loader)->heap, NULL, record_batch_codec(batch),
                             slice_skip(*bytes, record_batch_header_bytes));
    do {
        if (err == ERR_OK)
            err = reserve_unpacked(loader, size);
        if (err == ERR_OK)
            err = record_unpacker_next(&unpacker, loader->unpacked + size,
                                       loader->unpacked_capacity - size, &piece);
        size += piece;
    } while (err == ERR_OK && piece > 0);
    record_unpacker_deinit(&unpacker);
    batch->attributes = (int16_t)(batch->attributes & ~RECORD_CODEC_MASK);
    batch->size = (uint32_t)size;
    *bytes = slice_of(loader->unpacked, size);
    return err;
}

static const char *take_batch(struct group_loader *loader, struct record_batch *batch,
                              struct slice bytes)
{
    struct record_walk walk;
    struct record record;
    enum err err = ERR_OK;
    if (batch->magic != record_batch_magic || (batch->attributes & RECORD_CONTROL) != 0)
        return NULL;
    if (record_batch_codec(batch) != CODEC_NONE)
        err = unpack(loader, batch, &bytes);
    if (err != ERR_OK)
        return err_text(err);
    if (loader->arena_memory == NULL)
        loader->arena_memory = heap_take(server_of(loader)->heap, arena_bytes);
    if (loader->arena_memory == NULL)
        return "no memory is left";
    struct arena arena;
    arena_init(&arena, loader->arena_memory, arena_bytes);
    record_walk_init(&walk, batch, bytes);
    while (err == ERR_OK && record_walk_next(&walk, &record, &err)) {
        struct group_record_decoded decoded;
        arena_reset(&arena);
        err = group_record_decode(&decoded, record.key, record.value, &arena);
        if (err == ERR_OK)
            err = apply(loader, &decoded);
        loader->record_count++;
    }
    return err == ERR_OK ? NULL : err_text(err);
}

/* Whole batches of the piece; a part of one at its end is read again. */
static const char *take_piece(struct group_loader *loader)
{
    const int64_t offset_before = loader->offset;
    struct record_batch_walk walk;
    enum err err = ERR_OK;
    record_batch_walk_init(&walk, slice_of(loader->buffer, loader->filled));
    while (record_batch_walk_next(&walk, &err)) {
        const char *fault = take_batch(loader, &walk.batch, walk.bytes);
        if (fault != NULL)
            return fault;
        loader->offset = record_batch_last_offset(&walk.batch) + 1;
    }
    if (err != ERR_OK && err != ERR_TRUNCATED)
        return err_text(err);
    return loader->offset > offset_before ? NULL : "no batch where one should be";
}

/* ---- reading ---- */

static void read_file(struct group_loader *loader);

static void on_file_read(struct io_op *op, int64_t result)
{
    struct group_loader *loader = CONTAINER_OF(op, struct group_loader, op);
    if (result > 0) {
        loader->filled += (uint32_t)result;
        if (loader->filled < loader->read.size) {
            read_file(loader);
            return;
        }
    }
    (*loader->read.users)--;
    if (loader->is_stale) {
        finish(loader, NULL);
        return;
    }
    const char *fault = result > 0 ? take_piece(loader) : "the file cannot be read";
    if (fault != NULL)
        finish(loader, fault);
    else
        read_piece(loader);
}

static void read_file(struct group_loader *loader)
{
    loader->op = (struct io_op){.kind = IO_READ, .handle = loader->read.file, .done = on_file_read};
    loader->op.read.data = loader->buffer + loader->filled;
    loader->op.read.size = loader->read.size - loader->filled;
    loader->op.read.offset = loader->read.position + loader->filled;
    io_submit(server_of(loader)->io, &loader->op);
}

static void on_written(struct partition_waiter *waiter)
{
    list_remove(&waiter->link);
    read_piece(CONTAINER_OF(waiter, struct group_loader, waiter));
}

/* What this broker has appended as a follower may still be on its way to the file. */
static bool wait_for_write(struct group_loader *loader)
{
    struct partition *partition = loader->home->partition;
    if (list_empty(&partition->store->appends))
        return false;
    loader->waiter.wake = on_written;
    list_push(&partition->replica_waiters, &loader->waiter.link);
    return true;
}

static void on_range(struct partition_read *read, enum error_code code)
{
    struct group_loader *loader = CONTAINER_OF(read, struct group_loader, read);
    if (code == KAFKA_NONE && read->size == 0 && !loader->is_stale && wait_for_write(loader))
        return;
    if (code != KAFKA_NONE || read->size == 0) {
        finish(loader, code == KAFKA_NONE ? "the log ends early" : error_code_name(code));
        return;
    }
    if (read->size > loader->buffer_capacity) {
        uint8_t *buffer = heap_resize(server_of(loader)->heap, loader->buffer, read->size);
        if (buffer == NULL) {
            (*read->users)--;
            finish(loader, "no memory is left");
            return;
        }
        loader->buffer = buffer;
        loader->buffer_capacity = read->size;
    }
    loader->filled = 0;
    read_file(loader);
}

static void read_piece(struct group_loader *loader)
{
    struct partition *partition = loader->home->partition;
    if (loader->is_stale || loader->offset >= loader->end_offset) {
        finish(loader, NULL);
        return;
    }
    enum error_code code = KAFKA_NONE;
    loader->read = (struct partition_read){.offset = loader->offset,
                                           .to_log_end = true,
                                           .bytes_max = piece_bytes,
                                           .at_least_one = true,
                                           .done = on_range};
    if (partition_store_read(partition->store, &loader->read, &code))
        on_range(&loader->read, code);
}
