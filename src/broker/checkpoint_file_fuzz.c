/* Any bytes as the text of a checkpoint file, of both kinds. */
#include "base/assert.h"
#include "broker/checkpoint_file.h"
#include "broker/leader_epochs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint_reader reader;
    struct checkpoint_entry entry;
    struct heap heap;
    struct leader_epochs epochs;
    enum err err = checkpoint_reader_init(&reader, slice_of(data, size));
    while (err == ERR_OK && checkpoint_reader_next(&reader, true, &entry, &err))
        assert(entry.number >= 0 && entry.offset >= 0 && entry.topic.size > 0);

    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    leader_epochs_init(&epochs, &heap);
    if (leader_epochs_decode(&epochs, slice_of(data, size)) == ERR_OK)
        for (int32_t epoch = -1; epoch < 10; epoch++)
            (void)leader_epochs_end_of(&epochs, epoch, INT64_MAX);
    leader_epochs_deinit(&epochs);
    return 0;
}
