#include "base/slab_table.h"

enum {
    bucket_count_first = 16,
    chains_moved_per_add = 4, /* Above one, so that a growth ends before the next one is due. */
};

enum err slab_table_init(struct slab_table *table, const struct slab *slab)
{
    *table = (struct slab_table){.slab = slab, .bucket_count = bucket_count_first};
    table->buckets = heap_take_zeroed(slab->heap, bucket_count_first * sizeof *table->buckets);
    return table->buckets == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void slab_table_deinit(struct slab_table *table)
{
    heap_give(table->slab->heap, table->buckets);
    heap_give(table->slab->heap, table->old_buckets);
    *table = (struct slab_table){.slab = table->slab};
}

/* NULL for 0, the end of a chain. */
static struct slab_link *link_at(const struct slab_table *table, slab_ref ref)
{
    return ref == 0 ? NULL : slab_at(table->slab, ref);
}

/* Where the chain for hash starts. */
static slab_ref *chain(const struct slab_table *table, uint32_t hash)
{
    if (table->old_buckets != NULL) {
        const uint64_t old_index = hash & (table->old_bucket_count - 1);
        if (old_index >= table->moved)
            return &table->old_buckets[old_index];
    }
    return &table->buckets[hash & (table->bucket_count - 1)];
}

struct slab_link *slab_table_find(const struct slab_table *table, uint64_t hash, slab_table_is *is,
                                  const void *key)
{
    const uint32_t short_hash = (uint32_t)hash;
    struct slab_link *link = link_at(table, *chain(table, short_hash));
    for (; link != NULL; link = link_at(table, link->next))
        if (link->hash == short_hash && is(link, key))
            return link;
    return NULL;
}

static void start_growing(struct slab_table *table, uint64_t bigger_count)
{
    slab_ref *bigger = heap_take_zeroed(table->slab->heap, bigger_count * sizeof *bigger);
    if (bigger == NULL)
        return;
    table->old_buckets = table->buckets;
    table->old_bucket_count = table->bucket_count;
    table->moved = 0;
    table->buckets = bigger;
    table->bucket_count = bigger_count;
}

static void move_chain(struct slab_table *table)
{
    slab_ref ref = table->old_buckets[table->moved];
    table->old_buckets[table->moved] = 0; /* Or a walk would find the members there again. */
    table->moved++;
    while (ref != 0) {
        struct slab_link *link = slab_at(table->slab, ref);
        slab_ref *target = &table->buckets[link->hash & (table->bucket_count - 1)];
        const slab_ref next = link->next;
        link->next = *target;
        *target = ref;
        ref = next;
    }
    if (table->moved == table->old_bucket_count) {
        heap_give(table->slab->heap, table->old_buckets);
        table->old_buckets = NULL;
    }
}

void slab_table_reserve(struct slab_table *table, uint64_t count)
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

void slab_table_add(struct slab_table *table, struct slab_link *link, uint64_t hash)
{
    if (table->old_buckets == NULL && table->count >= table->bucket_count)
        start_growing(table, table->bucket_count * 2);
    for (int step = 0; step < chains_moved_per_add && table->old_buckets != NULL; step++)
        move_chain(table);

    link->hash = (uint32_t)hash;
    slab_ref *target = chain(table, link->hash);
    link->next = *target;
    *target = slab_ref_of(table->slab, link);
    table->count++;
}

void slab_table_remove(struct slab_table *table, struct slab_link *link)
{
    slab_ref *place = chain(table, link->hash);
    for (struct slab_link *at = link_at(table, *place); at != link; at = link_at(table, *place)) {
        assert(at != NULL);
        place = &at->next;
    }
    *place = link->next;
    link->next = 0;
    assert(table->count > 0);
    table->count--;
}

static slab_ref first_of_bucket(const struct slab_table *table, uint64_t position)
{
    const uint64_t old_count = table->old_buckets == NULL ? 0 : table->old_bucket_count;
    return position < old_count ? table->old_buckets[position]
                                : table->buckets[position - old_count];
}

struct slab_link *slab_table_next(const struct slab_table *table, uint64_t *position,
                                  const struct slab_link *previous)
{
    if (previous != NULL && previous->next != 0)
        return link_at(table, previous->next);
    const uint64_t total =
        table->bucket_count + (table->old_buckets == NULL ? 0 : table->old_bucket_count);
    while (*position < total) {
        const slab_ref first = first_of_bucket(table, *position);
        (*position)++;
        if (first != 0)
            return link_at(table, first);
    }
    return NULL;
}
