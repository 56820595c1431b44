#include "server/keeper/namespace_counts.h"

#include "base/assert.h"

struct slice namespace_of(struct slice path)
{
    assert(path.size > 0 && path.data[0] == '/');
    struct slice name = slice_skip(path, 1);
    const uint8_t *end = name.size == 0 ? NULL : memchr(name.data, '/', name.size);
    if (end != NULL)
        name.size = (size_t)(end - name.data);
    return name;
}

void namespace_counts_init(struct namespace_counts *counts, struct heap *heap, uint32_t count_max)
{
    *counts = (struct namespace_counts){.heap = heap, .count_max = count_max};
    list_init(&counts->all);
}

void namespace_counts_deinit(struct namespace_counts *counts)
{
    while (!list_empty(&counts->all))
        heap_give(counts->heap, CONTAINER_OF(list_pop(&counts->all), struct namespace_count, link));
}

static struct namespace_count *find(struct namespace_counts *counts, struct slice name)
{
    list_each (link, &counts->all) {
        struct namespace_count *count = CONTAINER_OF(link, struct namespace_count, link);
        if (slice_equal(slice_of(count->name, count->name_bytes), name))
            return count;
    }
    return NULL;
}

static struct namespace_count *make(struct namespace_counts *counts, struct slice name)
{
    if (counts->count == counts->count_max || name.size > namespace_bytes_max)
        return NULL;
    struct namespace_count *count = heap_take(counts->heap, sizeof *count + name.size);
    if (count == NULL)
        return NULL;
    list_init(&count->link);
    count->value = 0;
    count->name_bytes = (uint32_t)name.size;
    memcpy(count->name, name.data, name.size);
    counts->count++;
    return count;
}

void namespace_counts_add(struct namespace_counts *counts, struct slice name)
{
    struct namespace_count *count = find(counts, name);
    if (count == NULL)
        count = make(counts, name);
    if (count == NULL)
        return;
    count->value++;
    /* To the front: who counts one is likely to count it again. */
    list_remove(&count->link);
    list_push_front(&counts->all, &count->link);
}

void namespace_counts_reset(struct namespace_counts *counts)
{
    list_each (link, &counts->all)
        CONTAINER_OF(link, struct namespace_count, link)->value = 0;
}
