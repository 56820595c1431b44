/* Any bytes against any table and version: the first two bytes choose, the rest is the message.
 * What can be read can be written again, in no more bytes than its encoding has, and is then read
 * as the same. */
#include "base/assert.h"
#include "wire/gen/kafka.h"
#include "wire/gen/zk.h"

enum { arena_bytes = 1 << 20, frame_bytes = 1 << 17, value_bytes = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t arena_memory[2][arena_bytes];
static _Alignas(16) uint8_t values[2][value_bytes];
static uint8_t frame[2][frame_bytes];
static char text[1024];

static const struct wire_record *choose_record(uint32_t number)
{
    number %= zk_record_count + kafka_record_count;
    return number < zk_record_count ? zk_records[number] : kafka_records[number - zk_record_count];
}

static size_t encode(const struct wire_record *record, int version, const void *value, uint8_t *out)
{
    const size_t size = wire_size(record, version, value);
    if (size > frame_bytes)
        return 0;
    struct wire_writer writer = wire_writer_of(out, size);
    wire_encode(record, version, value, &writer);
    assert(writer.used == size);
    return size;
}

/* Unknown tagged fields are dropped by reading, so only the second writing must be stable. */
static void write_and_read_again(const struct wire_record *record, int version)
{
    struct arena arena;
    arena_init(&arena, arena_memory[1], arena_bytes);
    const size_t size = encode(record, version, values[0], frame[0]);
    if (size == 0)
        return;
    const enum err err =
        wire_decode_all(record, version, slice_of(frame[0], size), &arena, values[1]);
    assert(err == ERR_OK);
    assert(encode(record, version, values[1], frame[1]) == size);
    assert(memcmp(frame[0], frame[1], size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct wire_record *record = choose_record(data[0]);
    const int version_last = record->version_max < 30 ? record->version_max : 0;
    const int version_count = version_last - record->version_min + 1;
    const int version = record->version_min + data[1] % version_count;
    assert(record->size <= value_bytes);

    struct arena arena;
    arena_init(&arena, arena_memory[0], arena_bytes);
    struct slice input = slice_of(data + 2, size - 2);
    if (wire_decode(record, version, &input, &arena, values[0]) != ERR_OK)
        return 0;
    assert(input.data + input.size == data + size);
    (void)wire_dump(record, version, values[0], text, sizeof text);
    write_and_read_again(record, version);
    return 0;
}
