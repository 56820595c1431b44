#include "broker/fetch_session.h"

static bool is_session(const struct hash_link *link, const void *key)
{
    return CONTAINER_OF(link, const struct fetch_session, hash)->id == *(const int32_t *)key;
}

static bool is_partition(const struct hash_link *link, const void *key)
{
    const struct fetch_session_partition *partition =
        CONTAINER_OF(link, const struct fetch_session_partition, hash);
    const struct fetch_session_key *wanted = key;
    return partition->key.partition == wanted->partition &&
           uuid_equal(partition->key.topic_id, wanted->topic_id) &&
           slice_compare(partition->key.topic, wanted->topic) == 0;
}

static uint64_t hash_id(const struct fetch_session_cache *cache, int32_t id)
{
    return hash_u64((uint32_t)id, cache->options.hash_seed);
}

static uint64_t hash_key(const struct fetch_session *session, const struct fetch_session_key *key)
{
    const struct slice name = session->uses_topic_ids
                                  ? slice_of(key->topic_id.bytes, sizeof key->topic_id.bytes)
                                  : key->topic;
    return hash_u64((uint32_t)key->partition, hash_bytes(name, session->cache->options.hash_seed));
}

enum err fetch_session_cache_init(struct fetch_session_cache *cache, struct heap *heap,
                                  struct fetch_session_options options)
{
    *cache = (struct fetch_session_cache){.heap = heap, .options = options};
    list_init(&cache->sessions);
    return hash_table_init(&cache->by_id, heap);
}

void fetch_session_cache_deinit(struct fetch_session_cache *cache)
{
    if (cache->heap == NULL)
        return;
    list_each_safe (link, after, &cache->sessions)
        fetch_session_close(CONTAINER_OF(link, struct fetch_session, link));
    hash_table_deinit(&cache->by_id);
}

static void give_back(struct fetch_session *session)
{
    struct list *link;
    while ((link = list_pop(&session->partitions)) != NULL) {
        struct fetch_session_partition *partition =
            CONTAINER_OF(link, struct fetch_session_partition, link);
        list_remove(&partition->news.link);
        list_remove(&partition->open_link);
        heap_give(session->cache->heap, partition);
    }
    hash_table_deinit(&session->by_key);
    heap_give(session->cache->heap, session);
}

void fetch_session_close(struct fetch_session *session)
{
    struct fetch_session_cache *cache = session->cache;
    if (session->is_closed)
        return;
    session->is_closed = true;
    hash_table_remove(&cache->by_id, &session->hash);
    list_remove(&session->link);
    cache->session_count--;
    if (session->users == 0)
        give_back(session);
}

/* The consumer's that has been idle for longest. NULL: there is none. */
static struct fetch_session *find_unprivileged(const struct fetch_session_cache *cache)
{
    list_each (link, &cache->sessions) {
        struct fetch_session *session = CONTAINER_OF(link, struct fetch_session, link);
        if (!session->is_privileged)
            return session;
    }
    return NULL;
}

/* Makes room for one more. False: every session is in use or was of late. */
static bool make_room(struct fetch_session_cache *cache, struct fetch_session_spec spec)
{
    if (cache->session_count < cache->options.session_count_max)
        return true;
    if (list_empty(&cache->sessions))
        return false;
    struct fetch_session *oldest = CONTAINER_OF(cache->sessions.next, struct fetch_session, link);
    const bool is_idle =
        oldest->users == 0 && spec.now_ms >= oldest->used_at_ms + fetch_session_idle_ms;
    if (!is_idle)
        oldest = spec.is_privileged ? find_unprivileged(cache) : NULL;
    if (oldest == NULL)
        return false;
    fetch_session_close(oldest);
    return true;
}

struct fetch_session *fetch_session_open(struct fetch_session_cache *cache,
                                         struct fetch_session_spec spec)
{
    if (spec.id <= 0 || fetch_session_find(cache, spec.id) != NULL || !make_room(cache, spec))
        return NULL;
    struct fetch_session *session = heap_take_zeroed(cache->heap, sizeof *session);
    if (session == NULL)
        return NULL;
    if (hash_table_init(&session->by_key, cache->heap) != ERR_OK) {
        heap_give(cache->heap, session);
        return NULL;
    }
    list_init(&session->partitions);
    list_init(&session->open);
    session->replica_id = spec.replica_id;
    session->user = spec.user;
    session->cache = cache;
    session->id = spec.id;
    session->epoch = 1;
    session->used_at_ms = spec.now_ms;
    session->uses_topic_ids = spec.uses_topic_ids;
    session->is_privileged = spec.is_privileged;
    hash_table_add(&cache->by_id, &session->hash, hash_id(cache, spec.id));
    list_push(&cache->sessions, &session->link);
    cache->session_count++;
    return session;
}

struct fetch_session *fetch_session_find(const struct fetch_session_cache *cache, int32_t id)
{
    struct hash_link *link = hash_table_find(&cache->by_id, hash_id(cache, id), is_session, &id);
    return link == NULL ? NULL : CONTAINER_OF(link, struct fetch_session, hash);
}

void fetch_session_acquire(struct fetch_session *session, uint64_t now_ms)
{
    session->users++;
    if (session->is_closed)
        return;
    session->used_at_ms = now_ms;
    list_remove(&session->link);
    list_push(&session->cache->sessions, &session->link);
}

void fetch_session_release(struct fetch_session *session)
{
    assert(session->users > 0);
    if (--session->users == 0 && session->is_closed)
        give_back(session);
}

int32_t fetch_session_epoch_after(int32_t epoch)
{
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

struct fetch_session_partition *fetch_session_partition_find(const struct fetch_session *session,
                                                             struct fetch_session_key key)
{
    struct hash_link *link =
        hash_table_find(&session->by_key, hash_key(session, &key), is_partition, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct fetch_session_partition, hash);
}

struct fetch_session_partition *fetch_session_partition_put(struct fetch_session *session,
                                                            struct fetch_session_key key)
{
    struct fetch_session_partition *partition = fetch_session_partition_find(session, key);
    if (partition != NULL)
        return partition;
    partition = heap_take_zeroed(session->cache->heap, sizeof *partition + key.topic.size);
    if (partition == NULL)
        return NULL;
    if (key.topic.size > 0)
        memcpy(partition + 1, key.topic.data, key.topic.size);
    partition->key = key;
    partition->key.topic = slice_of(partition + 1, key.topic.size);
    partition->sent_high_watermark = -1;
    partition->sent_log_start_offset = -1;
    hash_table_add(&session->by_key, &partition->hash, hash_key(session, &partition->key));
    list_push(&session->partitions, &partition->link);
    session->partition_count++;
    partition->session = session;
    list_init(&partition->open_link);
    list_init(&partition->news.link);
    fetch_session_partition_open(partition);
    return partition;
}

void fetch_session_partition_forget(struct fetch_session *session,
                                    struct fetch_session_partition *partition)
{
    hash_table_remove(&session->by_key, &partition->hash);
    list_remove(&partition->link);
    fetch_session_partition_rest(partition);
    list_remove(&partition->news.link);
    session->partition_count--;
    heap_give(session->cache->heap, partition);
}

void fetch_session_partition_move_last(struct fetch_session *session,
                                       struct fetch_session_partition *partition)
{
    list_remove(&partition->link);
    list_push(&session->partitions, &partition->link);
    if (!list_linked(&partition->open_link))
        return;
    list_remove(&partition->open_link);
    list_push(&session->open, &partition->open_link);
}

void fetch_session_partition_open(struct fetch_session_partition *partition)
{
    struct fetch_session *session = partition->session;
    list_remove(&partition->news.link);
    if (list_linked(&partition->open_link))
        return;
    list_push(&session->open, &partition->open_link);
    session->open_count++;
}

void fetch_session_partition_rest(struct fetch_session_partition *partition)
{
    if (!list_linked(&partition->open_link))
        return;
    list_remove(&partition->open_link);
    partition->session->open_count--;
}
