#include "net/net_address_table.h"

struct counted_address {
    struct hash_link link;
    uint8_t bytes[16];
    uint32_t connection_count;
};

enum err net_address_table_init(struct net_address_table *addresses, struct heap *heap,
                                uint64_t seed)
{
    *addresses = (struct net_address_table){.heap = heap, .seed = seed};
    return hash_table_init(&addresses->table, heap);
}

void net_address_table_deinit(struct net_address_table *addresses)
{
    assert(addresses->table.count == 0);
    hash_table_deinit(&addresses->table);
}

static struct counted_address *counted_of(const struct hash_link *link)
{
    return CONTAINER_OF((struct hash_link *)(uintptr_t)link, struct counted_address, link);
}

static bool is_address(const struct hash_link *link, const void *key)
{
    const struct io_address *address = key;
    return memcmp(counted_of(link)->bytes, address->bytes, sizeof address->bytes) == 0;
}

static uint64_t hash_of(const struct net_address_table *addresses, const struct io_address *address)
{
    return hash_bytes(slice_of(address->bytes, sizeof address->bytes), addresses->seed);
}

static struct counted_address *find(const struct net_address_table *addresses,
                                    const struct io_address *address)
{
    struct hash_link *link =
        hash_table_find(&addresses->table, hash_of(addresses, address), is_address, address);
    return link == NULL ? NULL : counted_of(link);
}

enum err net_address_table_add(struct net_address_table *addresses,
                               const struct io_address *address, uint32_t limit)
{
    struct counted_address *counted = find(addresses, address);
    if (counted != NULL) {
        if (limit != 0 && counted->connection_count >= limit)
            return ERR_LIMIT;
        counted->connection_count++;
        return ERR_OK;
    }
    counted = heap_take_reusable(addresses->heap, sizeof *counted);
    if (counted == NULL)
        return ERR_NO_MEMORY;
    *counted = (struct counted_address){.connection_count = 1};
    memcpy(counted->bytes, address->bytes, sizeof counted->bytes);
    hash_table_add(&addresses->table, &counted->link, hash_of(addresses, address));
    return ERR_OK;
}

void net_address_table_remove(struct net_address_table *addresses, const struct io_address *address)
{
    struct counted_address *counted = find(addresses, address);
    assert(counted != NULL && counted->connection_count > 0);
    if (--counted->connection_count > 0)
        return;
    hash_table_remove(&addresses->table, &counted->link);
    heap_give_reusable(addresses->heap, counted);
}
