#include "server/broker/partition_watermark.h"

#include "base/assert.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"

enum { mark_count_first = 16 };

/* A search for the place of the high watermark. */
struct locating {
    struct partition_read read;
    struct partition_store *store;
    uint32_t cut_count; /* Of the store, when it began. */
};

void partition_watermark_init(struct partition_watermark *watermark)
{
    *watermark = (struct partition_watermark){.checkpointed = -1, .is_exact = true};
}

void partition_watermark_deinit(struct partition_watermark *watermark, struct heap *heap)
{
    heap_give(heap, watermark->marks);
    watermark->marks = NULL;
}

void partition_watermark_load(struct partition_watermark *watermark, struct partition_mark end)
{
    watermark->high = end;
    watermark->reached = end;
    watermark->is_exact = true;
}

/* ---- Marks. ---- */

static struct partition_mark *mark_at(struct partition_watermark *watermark, uint32_t index)
{
    return &watermark->marks[(watermark->mark_first + index) % watermark->mark_capacity];
}

/* Twice the room, the marks at its front. Without memory there is less. */
static void grow(struct partition_watermark *watermark, struct heap *heap)
{
    const uint32_t capacity =
        watermark->mark_capacity == 0 ? mark_count_first : watermark->mark_capacity * 2;
    if (capacity > partition_mark_count_max)
        return;
    struct partition_mark *marks = heap_take(heap, capacity * sizeof *marks);
    if (marks == NULL)
        return;
    for (uint32_t i = 0; i < watermark->mark_count; i++)
        marks[i] = *mark_at(watermark, i);
    heap_give(heap, watermark->marks);
    watermark->marks = marks;
    watermark->mark_first = 0;
    watermark->mark_capacity = capacity;
}

/* When there is no room, the last mark moves on, and places in front of it must be looked for. */
static void add_mark(struct partition_watermark *watermark, struct heap *heap,
                     struct partition_mark mark)
{
    if (watermark->mark_count == watermark->mark_capacity)
        grow(watermark, heap);
    if (watermark->mark_count < watermark->mark_capacity)
        *mark_at(watermark, watermark->mark_count++) = mark;
    else if (watermark->mark_count > 0)
        *mark_at(watermark, watermark->mark_count - 1) = mark;
}

static void forget_marks(struct partition_watermark *watermark, struct heap *heap)
{
    heap_give(heap, watermark->marks);
    watermark->marks = NULL;
    watermark->mark_first = watermark->mark_count = watermark->mark_capacity = 0;
}

/* ---- The search. ---- */

static void locate(struct partition_store *store);

static void on_located(struct partition_read *read, enum error_code code)
{
    struct locating *locating = CONTAINER_OF(read, struct locating, read);
    struct partition_store *store = locating->store;
    struct partition_watermark *watermark = &store->watermark;
    const bool is_found =
        code == KAFKA_NONE && read->size > 0 && locating->cut_count == store->cut_count;
    const struct partition_mark found = {
        .offset = read->offset,
        .base = is_found ? partition_store_segment_at(store, read->offset)->index.base_offset : 0,
        .position = read->position};
    if (read->users != NULL)
        (*read->users)--;
    heap_give(store->directory->heap, locating);
    watermark->is_locating = false;
    if (!is_found || watermark->is_exact)
        return;
    watermark->high.base = found.base;
    watermark->high.position = found.position;
    watermark->is_exact = watermark->high.offset == found.offset;
    if (!watermark->is_exact)
        locate(store);
    store->directory->events.on_progress(store->directory->events.context, store);
}

/* The batch that begins at the high watermark. Without memory: when it moves next. */
static void locate(struct partition_store *store)
{
    struct partition_watermark *watermark = &store->watermark;
    enum error_code code;
    if (watermark->is_exact || watermark->is_locating)
        return;
    struct locating *locating = heap_take_zeroed(store->directory->heap, sizeof *locating);
    if (locating == NULL)
        return;
    locating->store = store;
    locating->cut_count = store->cut_count;
    locating->read = (struct partition_read){.offset = watermark->high.offset,
                                             .to_log_end = true,
                                             .bytes_max = 1,
                                             .at_least_one = true,
                                             .done = on_located};
    watermark->is_locating = true;
    if (partition_store_read(store, &locating->read, &code))
        on_located(&locating->read, code);
}

/* ---- Moves. ---- */

/* To offset, which is at most reached. */
static void move_high(struct partition_store *store, int64_t offset)
{
    struct partition_watermark *watermark = &store->watermark;
    watermark->is_exact = false;
    while (watermark->mark_count > 0 && mark_at(watermark, 0)->offset <= offset) {
        watermark->high = *mark_at(watermark, 0);
        watermark->mark_first = (watermark->mark_first + 1) % watermark->mark_capacity;
        watermark->mark_count--;
    }
    if (watermark->reached.offset == offset)
        watermark->high = watermark->reached;
    watermark->is_exact = watermark->high.offset == offset;
    watermark->high.offset = offset;
    store->high_watermark = offset;
    store->directory->is_high_watermark_changed = true;
}

bool partition_watermark_reach(struct partition_store *store, struct partition_mark mark)
{
    struct partition_watermark *watermark = &store->watermark;
    if (mark.offset <= watermark->reached.offset)
        return false;
    watermark->reached = mark;
    if (!watermark->is_replicated)
        move_high(store, mark.offset);
    else
        add_mark(watermark, store->directory->heap, mark);
    return !watermark->is_replicated;
}

void partition_watermark_cut(struct partition_store *store, struct partition_mark mark)
{
    struct partition_watermark *watermark = &store->watermark;
    if (mark.offset < watermark->reached.offset)
        watermark->reached = mark;
    while (watermark->mark_count > 0 &&
           mark_at(watermark, watermark->mark_count - 1)->offset > mark.offset)
        watermark->mark_count--;
    if (mark.offset > store->high_watermark)
        return;
    move_high(store, mark.offset);
    watermark->high = mark;
    watermark->is_exact = true;
}

void partition_store_raise_high_watermark(struct partition_store *store, int64_t offset)
{
    struct partition_watermark *watermark = &store->watermark;
    const int64_t target = min_i64(offset, watermark->reached.offset);
    if (target <= store->high_watermark || store->offline_reason != NULL || store->is_deleting)
        return;
    move_high(store, target);
    locate(store);
    store->directory->events.on_progress(store->directory->events.context, store);
}

/* After a start: what the checkpoint says, as far as it is here. */
static void take_checkpointed(struct partition_store *store)
{
    struct partition_watermark *watermark = &store->watermark;
    const int64_t offset = min_i64(max_i64(watermark->checkpointed, store->log_start_offset),
                                   watermark->reached.offset);
    if (offset == watermark->reached.offset)
        return;
    watermark->high = (struct partition_mark){
        .offset = offset, .base = partition_store_segment_at(store, offset)->index.base_offset};
    watermark->is_exact = false;
    store->high_watermark = offset;
    locate(store);
}

void partition_store_set_replicated(struct partition_store *store, bool is_replicated)
{
    struct partition_watermark *watermark = &store->watermark;
    if (store->offline_reason != NULL || list_empty(&store->segments))
        return;
    if (is_replicated && !watermark->is_settled)
        take_checkpointed(store);
    watermark->is_settled = true;
    watermark->is_replicated = is_replicated;
    if (is_replicated || store->high_watermark == watermark->reached.offset)
        return;
    forget_marks(watermark, store->directory->heap);
    move_high(store, watermark->reached.offset);
    store->directory->events.on_progress(store->directory->events.context, store);
}

int64_t partition_store_reached_offset(const struct partition_store *store)
{
    return store->watermark.reached.offset;
}
