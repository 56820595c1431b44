#include "broker/leader_epochs.h"

#include "base/assert.h"
#include "broker/checkpoint_file.h"

enum { capacity_first = 2 };

void leader_epochs_init(struct leader_epochs *epochs, struct heap *heap)
{
    *epochs = (struct leader_epochs){.heap = heap};
}

void leader_epochs_deinit(struct leader_epochs *epochs)
{
    heap_give(epochs->heap, epochs->entries);
    leader_epochs_init(epochs, epochs->heap);
}

int32_t leader_epochs_latest(const struct leader_epochs *epochs)
{
    return epochs->count == 0 ? -1 : epochs->entries[epochs->count - 1].epoch;
}

static enum err push(struct leader_epochs *epochs, struct leader_epoch entry)
{
    assert(epochs->count == 0 ||
           (entry.epoch > leader_epochs_latest(epochs) &&
            entry.start_offset > epochs->entries[epochs->count - 1].start_offset));
    if (epochs->count == leader_epoch_count_max)
        return ERR_LIMIT;
    if (epochs->count == epochs->capacity) {
        const uint32_t capacity = epochs->capacity == 0 ? capacity_first : epochs->capacity * 2;
        struct leader_epoch *entries =
            heap_resize(epochs->heap, epochs->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return ERR_NO_MEMORY;
        epochs->entries = entries;
        epochs->capacity = capacity;
    }
    epochs->entries[epochs->count++] = entry;
    return ERR_OK;
}

enum err leader_epochs_assign(struct leader_epochs *epochs, struct leader_epoch entry,
                              bool *changed)
{
    *changed = false;
    if (entry.epoch < 0 || entry.start_offset < 0 || entry.epoch <= leader_epochs_latest(epochs))
        return ERR_OK;
    *changed = true;
    (void)leader_epochs_cut_end(epochs, entry.start_offset);
    return push(epochs, entry);
}

bool leader_epochs_cut_end(struct leader_epochs *epochs, int64_t end_offset)
{
    const uint32_t count_before = epochs->count;
    while (epochs->count > 0 && epochs->entries[epochs->count - 1].start_offset >= end_offset)
        epochs->count--;
    return epochs->count != count_before;
}

bool leader_epochs_cut_start(struct leader_epochs *epochs, int64_t start_offset)
{
    uint32_t gone = 0;
    while (gone + 1 < epochs->count && epochs->entries[gone + 1].start_offset <= start_offset)
        gone++;
    if (epochs->count == 0 || epochs->entries[gone].start_offset >= start_offset)
        return false;
    memmove(epochs->entries, epochs->entries + gone,
            (epochs->count - gone) * sizeof epochs->entries[0]);
    epochs->count -= gone;
    epochs->entries[0].start_offset = start_offset;
    return true;
}

struct leader_epoch leader_epochs_end_of(const struct leader_epochs *epochs, int32_t epoch,
                                         int64_t log_end_offset)
{
    const struct leader_epoch unknown = {.epoch = -1, .start_offset = -1};
    if (epoch < 0 || epoch > leader_epochs_latest(epochs))
        return unknown;
    if (epoch == leader_epochs_latest(epochs))
        return (struct leader_epoch){.epoch = epoch, .start_offset = log_end_offset};
    uint32_t above = 0; /* The first entry with a larger epoch; there is one. */
    while (epochs->entries[above].epoch <= epoch)
        above++;
    return (struct leader_epoch){
        .epoch = above == 0 ? epoch : epochs->entries[above - 1].epoch,
        .start_offset = epochs->entries[above].start_offset,
    };
}

int32_t leader_epochs_at(const struct leader_epochs *epochs, int64_t offset)
{
    for (uint32_t i = epochs->count; i > 0; i--)
        if (epochs->entries[i - 1].start_offset <= offset)
            return epochs->entries[i - 1].epoch;
    return -1;
}

size_t leader_epochs_text_bytes(const struct leader_epochs *epochs)
{
    return checkpoint_header_bytes_max + (size_t)epochs->count * 34;
}

size_t leader_epochs_encode(const struct leader_epochs *epochs, char *text, size_t capacity)
{
    struct checkpoint_writer writer;
    checkpoint_writer_init(&writer, text, capacity, epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++)
        checkpoint_writer_add(&writer,
                              (struct checkpoint_entry){.topic = SLICE_NULL,
                                                        .number = epochs->entries[i].epoch,
                                                        .offset = epochs->entries[i].start_offset});
    return writer.size;
}

static enum err decode_entries(struct leader_epochs *epochs, struct checkpoint_reader *reader)
{
    struct checkpoint_entry read;
    enum err err;
    while (checkpoint_reader_next(reader, false, &read, &err)) {
        const struct leader_epoch entry = {.epoch = read.number, .start_offset = read.offset};
        if (epochs->count > 0 &&
            (entry.epoch <= leader_epochs_latest(epochs) ||
             entry.start_offset <= epochs->entries[epochs->count - 1].start_offset))
            return ERR_MALFORMED;
        err = push(epochs, entry);
        if (err != ERR_OK)
            return err;
    }
    return err;
}

enum err leader_epochs_decode(struct leader_epochs *epochs, struct slice text)
{
    struct checkpoint_reader reader;
    epochs->count = 0;
    enum err err = checkpoint_reader_init(&reader, text);
    if (err == ERR_OK)
        err = decode_entries(epochs, &reader);
    if (err != ERR_OK)
        epochs->count = 0;
    return err;
}
