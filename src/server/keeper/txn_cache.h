/* The newest committed transactions, as bytes: what a learner that was away for a moment lacks.
 *
 * All of (zxid_before, zxid_last], without holes: when there is no room the oldest ones go. The
 * bytes are those of a proposal: header, body, and a digest if there was one.
 *
 *   bytes:  [ free ][oldest ........ newest][ free ]    an entry is in one piece; the ring goes on
 *                                                       at its start when the end is too small
 *
 * Memory: a ring that grows up to its limit, and a list of entries, from the heap; none for an
 * entry. Shard: one owner.
 */
#ifndef SERVER_KEEPER_TXN_CACHE_H
#define SERVER_KEEPER_TXN_CACHE_H

#include "base/err.h"
#include "base/heap.h"
#include "base/slice.h"

struct txn_cache_options {
    uint32_t count_max;
    size_t bytes_max;
};

struct txn_cache_place {
    int64_t zxid;
    size_t offset; /* In bytes. */
    size_t size;
};

struct txn_cache {
    struct heap *heap; /* NULL: holds nothing, ever. */
    struct txn_cache_options options;
    struct txn_cache_place *places; /* [count_max], a ring. */
    uint32_t first;
    uint32_t count;
    uint8_t *bytes;
    size_t capacity;
    int64_t zxid_before; /* Up to here nothing is held. */
    int64_t zxid_last;   /* Of what was added last, held or not. */
};

struct txn_cache_entry {
    int64_t zxid;
    struct slice bytes;
};

/* Keeps heap. ERR_NO_MEMORY. A zeroed cache is one that holds nothing. */
MUST_CHECK enum err txn_cache_init(struct txn_cache *cache, struct heap *heap,
                                   struct txn_cache_options options);

void txn_cache_deinit(struct txn_cache *cache);

/* Forgets all; what comes next comes behind zxid. */
void txn_cache_reset(struct txn_cache *cache, int64_t zxid);

/* The next committed transaction; bytes are copied. */
void txn_cache_add(struct txn_cache *cache, int64_t zxid, struct slice bytes);

/* The first one behind zxid, lent until the next add. False: none is held there. It is the very
 * next one only if zxid is not below zxid_before. */
bool txn_cache_next(const struct txn_cache *cache, int64_t zxid, struct txn_cache_entry *entry);

/* The highest zxid that is held at or below zxid; 0: none. */
int64_t txn_cache_at(const struct txn_cache *cache, int64_t zxid);

/* The lowest zxid that is held; 0: none. */
int64_t txn_cache_zxid_first(const struct txn_cache *cache);

#endif
