/* Prints random messages of every api and version: "key side version hex", one a line. */
#include "wire/gen/kafka.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

enum { arena_bytes = 1 << 20, message_bytes_max = 1 << 20, count_each = 8 };

static alignas(16) uint8_t memory[arena_bytes];
static uint8_t bytes[message_bytes_max];

static void print_one(const struct wire_api *api, const char *side,
                      const struct wire_record *record, int version, struct prng *prng)
{
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    void *message = arena_take(&arena, record->size);
    if (wire_random(record, version, prng, &arena, message) != ERR_OK)
        exit(1);
    struct wire_writer writer = wire_writer_of(bytes, sizeof bytes);
    wire_encode(record, version, message, &writer);
    printf("%d %s %d ", api->key, side, version);
    for (size_t i = 0; i < writer.used; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
}

int main(void)
{
    struct prng prng;
    prng_init(&prng, 20);
    for (uint32_t i = 0; i < kafka_api_count; i++) {
        const struct wire_api *api = &kafka_apis[i];
        for (int version = api->request->version_min; version <= api->request->version_max;
             version++) {
            for (int n = 0; n < count_each; n++) {
                print_one(api, "request", api->request, version, &prng);
                print_one(api, "reply", api->reply, version, &prng);
            }
        }
    }
    return 0;
}
