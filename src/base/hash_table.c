#include "base/hash_table.h"

enum {
    bucket_count_first = 16,
    chains_moved_per_add = 4, /* Above one, so that a growth ends before the next one is due. */
};

enum err hash_table_init(struct hash_table *table, struct heap *heap)
{
    *table = (struct hash_table){.heap = heap, .bucket_count = bucket_count_first};
    table->buckets = heap_take_zeroed(heap, bucket_count_first * sizeof *table->buckets);
    return table->buckets == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void hash_table_deinit(struct hash_table *table)
{
    heap_give(table->heap, table->buckets);
    heap_give(table->heap, table->old_buckets);
    *table = (struct hash_table){.heap = table->heap};
}

/* Where the chain for hash starts. */
static struct hash_link **chain(const struct hash_table *table, uint64_t hash)
{
    if (table->old_buckets != NULL) {
        const uint64_t old_index = hash & (table->old_bucket_count - 1);
        if (old_index >= table->moved)
            return &table->old_buckets[old_index];
    }
    return &table->buckets[hash & (table->bucket_count - 1)];
}

struct hash_link *hash_table_find(const struct hash_table *table, uint64_t hash, hash_table_is *is,
                                  const void *key)
{
    for (struct hash_link *link = *chain(table, hash); link != NULL; link = link->next)
        if (link->hash == hash && is(link, key))
            return link;
    return NULL;
}

static void start_growing(struct hash_table *table, uint64_t bigger_count)
{
    struct hash_link **bigger =
        heap_take_zeroed(table->heap, bigger_count * sizeof *table->buckets);
    if (bigger == NULL)
        return;
    table->old_buckets = table->buckets;
    table->old_bucket_count = table->bucket_count;
    table->moved = 0;
    table->buckets = bigger;
    table->bucket_count = bigger_count;
}

static void move_chain(struct hash_table *table)
{
    struct hash_link *link = table->old_buckets[table->moved];
    table->old_buckets[table->moved] = NULL; /* Or a walk would find the members there again. */
    table->moved++;
    while (link != NULL) {
        struct hash_link *next = link->next;
        struct hash_link **target = &table->buckets[link->hash & (table->bucket_count - 1)];
        link->next = *target;
        *target = link;
        link = next;
    }
    if (table->moved == table->old_bucket_count) {
        heap_give(table->heap, table->old_buckets);
        table->old_buckets = NULL;
    }
}

void hash_table_reserve(struct hash_table *table, uint64_t count)
{
    uint64_t bucket_count = table->bucket_count;
    while (bucket_count < count)
        bucket_count *= 2;
    while (table->old_buckets != NULL)
        move_chain(table);
    if (bucket_count > table->bucket_count)
        start_growing(table, bucket_count);
    while (table->old_buckets != NULL)
        move_chain(table);
}

void hash_table_add(struct hash_table *table, struct hash_link *link, uint64_t hash)
{
    if (table->old_buckets == NULL && table->count >= table->bucket_count)
        start_growing(table, table->bucket_count * 2);
    for (int step = 0; step < chains_moved_per_add && table->old_buckets != NULL; step++)
        move_chain(table);

    struct hash_link **target = chain(table, hash);
    link->hash = hash;
    link->next = *target;
    *target = link;
    table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_link *link)
{
    struct hash_link **place = chain(table, link->hash);
    while (*place != link) {
        assert(*place != NULL);
        place = &(*place)->next;
    }
    *place = link->next;
    link->next = NULL;
    assert(table->count > 0);
    table->count--;
}

static struct hash_link *first_of_bucket(const struct hash_table *table, uint64_t position)
{
    const uint64_t old_count = table->old_buckets == NULL ? 0 : table->old_bucket_count;
    return position < old_count ? table->old_buckets[position]
                                : table->buckets[position - old_count];
}

struct hash_link *hash_table_next(const struct hash_table *table, uint64_t *position,
                                  struct hash_link *previous)
{
    if (previous != NULL && previous->next != NULL)
        return previous->next;
    const uint64_t total =
        table->bucket_count + (table->old_buckets == NULL ? 0 : table->old_bucket_count);
    while (*position < total) {
        struct hash_link *first = first_of_bucket(table, *position);
        (*position)++;
        if (first != NULL)
            return first;
    }
    return NULL;
}

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    return value;
}

uint64_t hash_u64(uint64_t value, uint64_t seed)
{
    return mix(value + seed + 0x9e3779b97f4a7c15u);
}

uint64_t hash_bytes(struct slice bytes, uint64_t seed)
{
    uint64_t hash = mix(seed ^ (bytes.size * 0x9e3779b97f4a7c15u));
    size_t at = 0;
    for (; at + 8 <= bytes.size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + at, sizeof word);
        hash = mix(hash ^ word) + 0x9e3779b97f4a7c15u;
    }
    if (at < bytes.size) {
        uint64_t word = 0;
        memcpy(&word, bytes.data + at, bytes.size - at);
        hash = mix(hash ^ word);
    }
    return hash;
}
