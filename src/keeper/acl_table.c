#include "keeper/acl_table.h"

#include "base/assert.h"

static struct acl_entry *entry_of_list(const struct hash_link *link)
{
    return CONTAINER_OF(link, struct acl_entry, by_list);
}

static struct acl_entry *entry_of_id(const struct hash_link *link)
{
    return CONTAINER_OF(link, struct acl_entry, by_id);
}

static bool has_list(const struct hash_link *link, const void *key)
{
    const struct acl_list *list = key;
    return acl_list_equal(entry_of_list(link)->list, *list);
}

static bool has_id(const struct hash_link *link, const void *key)
{
    const int64_t *id = key;
    return entry_of_id(link)->id == *id;
}

static uint64_t hash_list(const struct acl_table *table, struct acl_list list)
{
    uint64_t hash = hash_u64((uint64_t)list.count, table->hash_seed);
    for (int32_t index = 0; index < list.count; index++) {
        const struct zk_acl *acl = &list.items[index];
        hash = hash_u64((uint64_t)(uint32_t)acl->perms, hash);
        hash = hash_bytes(acl->id.scheme, hash);
        hash = hash_bytes(acl->id.id, hash);
    }
    return hash;
}

static uint64_t hash_id(const struct acl_table *table, int64_t id)
{
    return hash_u64((uint64_t)id, table->hash_seed);
}

static size_t list_bytes(struct acl_list list)
{
    /* One byte more, so that an empty string at the end has an address of the block. */
    size_t size = (size_t)list.count * sizeof(struct zk_acl) + 1;
    for (int32_t index = 0; index < list.count; index++)
        size += list.items[index].id.scheme.size + list.items[index].id.id.size;
    return size;
}

size_t acl_table_bytes(struct acl_list list)
{
    return slab_bytes(sizeof(struct acl_entry)) + list_bytes(list);
}

/* Appends a copy of bytes at *at. */
static struct slice copy_bytes(uint8_t **at, struct slice bytes)
{
    if (bytes.data == NULL)
        return SLICE_NULL;
    uint8_t *copy = *at;
    memcpy(copy, bytes.data, bytes.size);
    *at += bytes.size;
    return slice_of(copy, bytes.size);
}

/* A new entry without a reference; NULL: the heap says no. */
static struct acl_entry *add(struct acl_table *table, int64_t id, struct acl_list list)
{
    struct zk_acl *items = heap_take(table->slab->heap, list_bytes(list));
    struct acl_entry *entry = items == NULL ? NULL : slab_take(table->slab, sizeof *entry);
    if (entry == NULL) {
        heap_give(table->slab->heap, items);
        return NULL;
    }
    uint8_t *at = (uint8_t *)(items + list.count);
    for (int32_t index = 0; index < list.count; index++) {
        items[index].perms = list.items[index].perms;
        items[index].id.scheme = copy_bytes(&at, list.items[index].id.scheme);
        items[index].id.id = copy_bytes(&at, list.items[index].id.id);
    }
    *entry = (struct acl_entry){.id = id, .list = {items, list.count}};
    hash_table_add(&table->by_list, &entry->by_list, hash_list(table, list));
    hash_table_add(&table->by_id, &entry->by_id, hash_id(table, id));
    table->id_last = max_i64(table->id_last, id);
    return entry;
}

static void drop(struct acl_table *table, struct acl_entry *entry)
{
    hash_table_remove(&table->by_list, &entry->by_list);
    hash_table_remove(&table->by_id, &entry->by_id);
    heap_give(table->slab->heap, (void *)(uintptr_t)entry->list.items);
    slab_give(table->slab, entry, sizeof *entry);
}

enum err acl_table_init(struct acl_table *table, struct slab *slab, uint64_t hash_seed)
{
    *table = (struct acl_table){.slab = slab, .hash_seed = hash_seed};
    if (hash_table_init(&table->by_list, slab->heap) != ERR_OK ||
        hash_table_init(&table->by_id, slab->heap) != ERR_OK)
        goto fail;
    const struct zk_acl open = {ACL_ALL, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    table->open = add(table, acl_open_id, (struct acl_list){&open, 1});
    if (table->open == NULL)
        goto fail;
    table->open->reference_count = 1; /* The table's own: it never goes. */
    return ERR_OK;

fail:
    acl_table_deinit(table);
    return ERR_NO_MEMORY;
}

struct acl_entry *acl_table_share(struct acl_entry *entry)
{
    entry->reference_count++;
    return entry;
}

struct acl_entry *acl_table_acquire(struct acl_table *table, struct acl_list list)
{
    struct hash_link *link =
        hash_table_find(&table->by_list, hash_list(table, list), has_list, &list);
    if (link != NULL)
        return acl_table_share(entry_of_list(link));
    struct acl_entry *entry = add(table, table->id_last + 1, list);
    return entry == NULL ? NULL : acl_table_share(entry);
}

void acl_table_release(struct acl_table *table, struct acl_entry *entry)
{
    if (entry == NULL)
        return;
    assert(entry->reference_count > 0);
    entry->reference_count--;
    if (entry->reference_count == 0)
        drop(table, entry);
}

static struct acl_entry *find_id(const struct acl_table *table, int64_t id)
{
    struct hash_link *link = hash_table_find(&table->by_id, hash_id(table, id), has_id, &id);
    return link == NULL ? NULL : entry_of_id(link);
}

struct acl_entry *acl_table_acquire_id(struct acl_table *table, int64_t id)
{
    struct acl_entry *entry = find_id(table, id);
    return entry == NULL ? NULL : acl_table_share(entry);
}

enum err acl_table_load(struct acl_table *table, int64_t id, struct acl_list list)
{
    if (find_id(table, id) != NULL)
        return ERR_OK;
    return add(table, id, list) == NULL ? ERR_NO_MEMORY : ERR_OK;
}

struct acl_entry *acl_table_next(const struct acl_table *table, uint64_t *position,
                                 struct acl_entry *previous)
{
    struct hash_link *link = previous == NULL ? NULL : &previous->by_id;
    do
        link = hash_table_next(&table->by_id, position, link);
    while (link != NULL && entry_of_id(link) == table->open);
    return link == NULL ? NULL : entry_of_id(link);
}

void acl_table_purge(struct acl_table *table)
{
    uint64_t position = 0;
    struct acl_entry *entry = acl_table_next(table, &position, NULL);
    while (entry != NULL) {
        /* Looked up before the entry goes: removing one leaves the others' chains as they are. */
        struct acl_entry *next = acl_table_next(table, &position, entry);
        if (entry->reference_count == 0)
            drop(table, entry);
        entry = next;
    }
}

void acl_table_deinit(struct acl_table *table)
{
    if (table->open != NULL) {
        acl_table_purge(table); /* What a broken snapshot left. */
        assert(table->open->reference_count == 1 && table->by_list.count == 1);
        drop(table, table->open);
    }
    if (table->by_list.heap != NULL)
        hash_table_deinit(&table->by_list);
    if (table->by_id.heap != NULL)
        hash_table_deinit(&table->by_id);
    *table = (struct acl_table){0};
}
