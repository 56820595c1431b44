/* Fetch sessions: what a client fetches is remembered, so that its next request names only what
 * changed, and the reply only what is new.
 *
 *   request epoch 0    a full fetch, which may open a session
 *   request epoch n    the session's next step; n counts up, 2147483647 is followed by 1
 *   request epoch -1   no session, or the last fetch of one
 *
 * The cache holds a limited number of sessions. When it is full, a new one takes the place of the
 * longest idle one, if that has been idle for two minutes; a follower's takes the place of any
 * consumer's. Otherwise there is none, which clients accept.
 *
 * Partitions of a session keep the order of the client's requests, and one that returned data goes
 * to the end, so that a byte limit starves none. Only those of which there may be something to tell
 * are in the session's list of open ones: a fetch costs as much as there is news, however many
 * partitions the session has.
 *
 * Memory: the heap; about 200 bytes and the topic's name for each partition. Shard: one owner.
 */
#ifndef BROKER_FETCH_SESSION_H
#define BROKER_FETCH_SESSION_H

#include "base/hash_table.h"
#include "base/list.h"
#include "base/uuid.h"
#include "broker/partition_waiter.h"

enum {
    fetch_session_idle_ms = 120000,
    fetch_epoch_first = 0, /* Opens a session. */
    fetch_epoch_last = -1, /* Closes it. */
};

/* Names a partition: by name, or from version 13 by id. */
struct fetch_session_key {
    struct slice topic; /* Empty in a session that uses ids. */
    struct uuid topic_id;
    int32_t partition;
};

struct fetch_session_partition {
    struct hash_link hash;
    struct list link;
    struct list open_link;        /* In the session's open, or alone: there is nothing to tell. */
    struct partition_waiter news; /* The server's, while it is not open. */
    struct fetch_session *session;
    struct fetch_session_key key; /* The name lies behind this struct. */
    int64_t fetch_offset;
    int64_t follower_log_start_offset;
    int32_t bytes_max;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int32_t noted_epoch; /* The session's, when the leader noted what its follower has. */
    /* What the last reply said; the next one repeats only what is different. */
    int64_t sent_high_watermark;
    int64_t sent_log_start_offset;
};

struct fetch_session {
    struct hash_link hash;
    struct list link; /* In the cache's sessions, longest idle first; or in none. */
    struct list partitions;
    struct list open; /* Those to look at with the next fetch. */
    uint32_t open_count;
    void *fetch; /* The server's: the request that uses it. */
    void *user;  /* The server itself. */
    struct hash_table by_key;
    struct fetch_session_cache *cache;
    uint64_t used_at_ms;
    int32_t id;
    int32_t epoch; /* That the next request must carry. */
    uint32_t partition_count;
    uint32_t users; /* Requests that hold it. */
    bool uses_topic_ids;
    bool is_privileged; /* A follower's: */
    int32_t replica_id;
    bool is_closed; /* No longer found; gone with its last user. */
};

struct fetch_session_options {
    uint32_t session_count_max;
    uint64_t hash_seed;
};

struct fetch_session_cache {
    struct heap *heap;
    struct fetch_session_options options;
    struct hash_table by_id;
    struct list sessions;
    uint32_t session_count;
};

/* ERR_NO_MEMORY. Keeps heap. */
MUST_CHECK enum err fetch_session_cache_init(struct fetch_session_cache *cache, struct heap *heap,
                                             struct fetch_session_options options);
void fetch_session_cache_deinit(struct fetch_session_cache *cache);

struct fetch_session_spec {
    uint64_t now_ms;
    int32_t id; /* Drawn at random. */
    bool uses_topic_ids;
    bool is_privileged;
    int32_t replica_id;
    void *user;
};

/* Opens a session whose next epoch is 1. NULL: the cache is full, the id is taken or zero or
 * negative, or the heap's limit is reached: the client gets no session. */
struct fetch_session *fetch_session_open(struct fetch_session_cache *cache,
                                         struct fetch_session_spec spec);

/* The open session, or NULL. */
struct fetch_session *fetch_session_find(const struct fetch_session_cache *cache, int32_t id);

/* It is found no more. */
void fetch_session_close(struct fetch_session *session);

/* Holds a session over a wait, closed or not. */
void fetch_session_acquire(struct fetch_session *session, uint64_t now_ms);
void fetch_session_release(struct fetch_session *session);

int32_t fetch_session_epoch_after(int32_t epoch);

/* The partition, or NULL. */
struct fetch_session_partition *fetch_session_partition_find(const struct fetch_session *session,
                                                             struct fetch_session_key key);

/* The partition, added at the end if it is new. NULL: the heap's limit is reached. */
struct fetch_session_partition *fetch_session_partition_put(struct fetch_session *session,
                                                            struct fetch_session_key key);

void fetch_session_partition_forget(struct fetch_session *session,
                                    struct fetch_session_partition *partition);

/* There may be something to tell of it; or there is not, until somebody says so. */
void fetch_session_partition_open(struct fetch_session_partition *partition);
void fetch_session_partition_rest(struct fetch_session_partition *partition);

void fetch_session_partition_move_last(struct fetch_session *session,
                                       struct fetch_session_partition *partition);

#endif
