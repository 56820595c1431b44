/* How much may be under a path, and how much is.
 *
 * A quota on /a is two znodes, made by clients: /zookeeper/quota/a/zookeeper_limits says what is
 * allowed, and the server itself writes what is used into zookeeper_stats beside it, without a
 * transaction and without touching version or times. The nearest quota above a path counts it.
 *
 * Memory: none; the usage is data of a znode. Shard: the tree's.
 */
#ifndef KEEPER_QUOTA_H
#define KEEPER_QUOTA_H

#include "keeper/tree.h"

/* -1: no limit, or not known. */
struct quota {
    int64_t count;
    int64_t bytes;
    int64_t count_hard_limit;
    int64_t bytes_hard_limit;
};

/* The znodes of a quota; NULL: there is none. */
struct quota_znodes {
    struct znode *limits;
    struct znode *usage;
};

/* A change of what is used. */
struct quota_change {
    int64_t count;
    int64_t bytes;
};

/* Reads "count=5,bytes=-1=;byteHardLimit=9"; what cannot be read is -1. */
struct quota quota_parse(struct slice text);

/* How many bytes quota_find needs to build names in. */
size_t quota_name_bytes(struct slice path);

/* The quota that counts path; room has quota_name_bytes(path) bytes. */
struct quota_znodes quota_find(const struct tree *tree, struct slice path, uint8_t *room);

enum quota_kind { QUOTA_NONE, QUOTA_COUNT, QUOTA_BYTES };

/* A limit that a change would break. */
struct quota_breach {
    enum quota_kind kind; /* QUOTA_NONE: it breaks none. */
    bool is_hard;         /* The change is refused; otherwise people are told. */
    int64_t used;         /* After the change. */
    int64_t limit;
    struct slice path; /* Where the quota is; lent by who judged. */
};

/* The limit that the change would break, a hard one first. As in Apache's server, a soft limit
 * beside a hard one of its kind is never looked at. */
struct quota_breach quota_judge(const struct tree *tree, struct quota_znodes quota,
                                struct quota_change change);

/* Of which path the quota is; lends room, which quota_find was called with. */
struct slice quota_path(const struct tree *tree, struct quota_znodes quota, const uint8_t *room);

/* Adds the change to what is used. ERR_NO_MEMORY. */
MUST_CHECK enum err quota_add(struct tree *tree, struct quota_znodes quota,
                              struct quota_change change);

/* Whether path is the usage znode of a quota; *counted: of which path. */
bool quota_is_usage(struct slice path, struct slice *counted);

/* Counts everything at and under counted, and notes it in usage. ERR_NO_MEMORY. */
MUST_CHECK enum err quota_count(struct tree *tree, struct znode *usage, struct slice counted);

/* After loading a snapshot: counts anew for every quota; usage znodes may be newer than the rest.
 * Lends room of room_bytes for names; a longer name is left out. ERR_NO_MEMORY. */
MUST_CHECK enum err quota_count_all(struct tree *tree, uint8_t *room, size_t room_bytes);

/* What all quotas of a namespace come to. */
struct quota_sums {
    bool has_limits; /* Some quota says what is allowed; */
    bool has_usage;  /* and some what is used. */
    struct quota_change limits;
    struct quota_change usage;
};

/* The first child of /zookeeper/quota, NULL: there is none; tree_next_sibling has the others. Each
 * stands for a namespace, the first part of a path. */
const struct znode *quota_first_namespace(const struct tree *tree);

/* Adds up as Apache's metrics do (QuotaMetricsUtils): a hard limit in place of a soft one of its
 * kind; what is not limited or not known is -1; only znodes with data and without children. */
struct quota_sums quota_add_up(const struct tree *tree, const struct znode *namespace);

#endif
