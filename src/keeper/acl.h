/* Who may do what with a znode: access control lists, and their check against the identities of a
 * connection.
 *
 * A list is checked in its order and the first entry that grants the permission to one of the
 * identities wins. An empty list grants everything to everybody.
 *
 * Memory: the caller's; lists are slices. Shard: stateless.
 */
#ifndef KEEPER_ACL_H
#define KEEPER_ACL_H

#include "base/arena.h"
#include "keeper/code.h"
#include "wire/gen/zk.h"

enum acl_permission {
    ACL_READ = 1,
    ACL_WRITE = 2,
    ACL_CREATE = 4,
    ACL_DELETE = 8,
    ACL_ADMIN = 16,
    ACL_ALL = 31,
};

/* Repeated entries are found by comparing each with each, so the count is bounded. */
enum { acl_list_count_max = 1024 };

/* Identities of a connection: "ip" and an address, "digest" and user:hash, "super". */
struct acl_id_list {
    const struct zk_id *items;
    int32_t count;
};

/* items is NULL for a null list, which only a request can hold. */
struct acl_list {
    const struct zk_acl *items;
    int32_t count;
};

/* Whether one of the identities has one of the permissions. */
bool acl_list_grants(struct acl_list list, int32_t permissions, struct acl_id_list identities);

/* Whether one of the identities is the super user. */
bool acl_is_super(struct acl_id_list identities);

struct acl_fix_options {
    struct acl_id_list identities; /* Of who asks. */
    bool digest_disabled;          /* The scheme digest is unknown. */
};

/* The list as it is stored: duplicates gone, "auth" replaced by the authenticated identities.
 * Lends: arena memory and the slices of list and options.
 * CODE_INVALID_ACL: empty, too long, or an unknown scheme or id. CODE_SYSTEM_ERROR: the arena is
 * full. */
MUST_CHECK enum code acl_list_fix(struct acl_list list, const struct acl_fix_options *options,
                                  struct arena *arena, struct acl_list *fixed);

/* The list for somebody without ACL_ADMIN: digests become "user:x". CODE_SYSTEM_ERROR: the arena
 * is full. */
MUST_CHECK enum code acl_list_redact(struct acl_list list, struct arena *arena,
                                     struct acl_list *redacted);

bool acl_list_equal(struct acl_list a, struct acl_list b);

/* Equality that takes the same time wherever the bytes differ. */
bool acl_secret_equal(struct slice a, struct slice b);

#endif
