#include "server/broker/directory_wishes.h"

#include "base/macros.h"

#include <string.h>

struct wish {
    struct hash_link link;
    struct list age_link; /* In wishes->known or unknown. */
    bool is_known;
    struct slice topic; /* Behind this struct. */
    int32_t partition;
    struct log_directory *directory;
};

struct key {
    struct slice topic;
    int32_t partition;
};

enum err directory_wishes_init(struct directory_wishes *wishes, struct heap *heap,
                               uint64_t hash_seed)
{
    *wishes = (struct directory_wishes){.heap = heap, .hash_seed = hash_seed};
    list_init(&wishes->known);
    list_init(&wishes->unknown);
    return hash_table_init(&wishes->wishes, heap);
}

void directory_wishes_deinit(struct directory_wishes *wishes)
{
    uint64_t position = 0;
    struct hash_link *link;
    if (wishes->heap == NULL)
        return;
    struct hash_link *next = hash_table_next(&wishes->wishes, &position, NULL);
    while ((link = next) != NULL) {
        next = hash_table_next(&wishes->wishes, &position, link);
        heap_give(wishes->heap, CONTAINER_OF(link, struct wish, link));
    }
    hash_table_deinit(&wishes->wishes);
}

static bool is_wish(const struct hash_link *link, const void *key)
{
    const struct wish *wish = CONTAINER_OF(link, const struct wish, link);
    const struct key *wanted = key;
    return wish->partition == wanted->partition && slice_equal(wish->topic, wanted->topic);
}

static uint64_t hash_of(const struct directory_wishes *wishes, const struct key *key)
{
    return hash_u64((uint32_t)key->partition, hash_bytes(key->topic, wishes->hash_seed));
}

static struct wish *find(const struct directory_wishes *wishes, const struct key *key)
{
    struct hash_link *link = hash_table_find(&wishes->wishes, hash_of(wishes, key), is_wish, key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct wish, link);
}

static void forget(struct directory_wishes *wishes, struct wish *wish)
{
    hash_table_remove(&wishes->wishes, &wish->link);
    list_remove(&wish->age_link);
    *(wish->is_known ? &wishes->known_count : &wishes->unknown_count) -= 1;
    heap_give(wishes->heap, wish);
}

static void make_room(struct directory_wishes *wishes, bool is_known)
{
    const uint32_t count_max = is_known
                                   ? directory_wish_count_max - directory_wish_unknown_count_max
                                   : directory_wish_unknown_count_max;
    struct list *list = is_known ? &wishes->known : &wishes->unknown;
    if ((is_known ? wishes->known_count : wishes->unknown_count) >= count_max)
        forget(wishes, CONTAINER_OF(list->next, struct wish, age_link));
}

enum err directory_wishes_put(struct directory_wishes *wishes, struct directory_wish asked)
{
    const struct key key = {asked.topic, asked.partition};
    struct wish *wish = heap_take_zeroed(wishes->heap, sizeof *wish + asked.topic.size);
    if (wish == NULL)
        return ERR_NO_MEMORY;
    directory_wishes_forget(wishes, asked.topic, asked.partition);
    make_room(wishes, asked.is_known);
    memcpy(wish + 1, asked.topic.data, asked.topic.size);
    wish->topic = slice_of(wish + 1, asked.topic.size);
    wish->partition = asked.partition;
    wish->is_known = asked.is_known;
    wish->directory = asked.directory;
    hash_table_add(&wishes->wishes, &wish->link, hash_of(wishes, &key));
    list_push(asked.is_known ? &wishes->known : &wishes->unknown, &wish->age_link);
    *(asked.is_known ? &wishes->known_count : &wishes->unknown_count) += 1;
    return ERR_OK;
}

struct log_directory *directory_wishes_find(const struct directory_wishes *wishes,
                                            struct slice topic, int32_t partition)
{
    const struct key key = {topic, partition};
    const struct wish *wish = find(wishes, &key);
    return wish == NULL ? NULL : wish->directory;
}

void directory_wishes_forget(struct directory_wishes *wishes, struct slice topic, int32_t partition)
{
    const struct key key = {topic, partition};
    struct wish *wish = find(wishes, &key);
    if (wish != NULL)
        forget(wishes, wish);
}
