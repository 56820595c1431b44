#include "keeper/acl.h"

#include "base/assert.h"
#include "keeper/ip_range.h"

#include <openssl/crypto.h>

static bool is_scheme(struct zk_id id, const char *scheme)
{
    return slice_equal_text(id.scheme, scheme);
}

static bool is_anyone(struct zk_id id)
{
    return is_scheme(id, "world") && slice_equal_text(id.id, "anyone");
}

bool acl_secret_equal(struct slice a, struct slice b)
{
    if (a.data == NULL || b.data == NULL || a.size != b.size)
        return false;
    return CRYPTO_memcmp(a.data, b.data, a.size) == 0;
}

bool acl_is_super(struct acl_id_list identities)
{
    for (int32_t index = 0; index < identities.count; index++)
        if (is_scheme(identities.items[index], "super"))
            return true;
    return false;
}

/* Whether the identity is what the entry's id names. */
static bool identity_matches(struct zk_id id, struct zk_id identity)
{
    if (!slice_equal(id.scheme, identity.scheme))
        return false;
    if (is_scheme(id, "digest"))
        return acl_secret_equal(id.id, identity.id);
    struct ip_range range;
    return is_scheme(id, "ip") && ip_range_parse(id.id, &range) &&
           ip_range_has(&range, identity.id);
}

bool acl_list_grants(struct acl_list list, int32_t permissions, struct acl_id_list identities)
{
    if (list.count <= 0)
        return true;
    for (int32_t index = 0; index < list.count; index++) {
        const struct zk_acl *acl = &list.items[index];
        if ((acl->perms & permissions) == 0)
            continue;
        if (is_anyone(acl->id))
            return true;
        for (int32_t who = 0; who < identities.count; who++)
            if (identity_matches(acl->id, identities.items[who]))
                return true;
    }
    return acl_is_super(identities);
}

static bool acl_equal(const struct zk_acl *a, const struct zk_acl *b)
{
    return a->perms == b->perms && slice_equal(a->id.scheme, b->id.scheme) &&
           slice_equal(a->id.id, b->id.id);
}

bool acl_list_equal(struct acl_list a, struct acl_list b)
{
    if (a.count != b.count)
        return false;
    for (int32_t index = 0; index < a.count; index++)
        if (!acl_equal(&a.items[index], &b.items[index]))
            return false;
    return true;
}

static bool is_repeated(struct acl_list list, int32_t index)
{
    for (int32_t earlier = 0; earlier < index; earlier++)
        if (acl_equal(&list.items[earlier], &list.items[index]))
            return true;
    return false;
}

/* One colon with something behind it, after colons at the end are ignored: what Java's split makes
 * two parts of. */
static bool digest_is_valid(struct slice id)
{
    while (id.size > 0 && id.data[id.size - 1] == ':')
        id.size--;
    size_t colon_count = 0;
    for (size_t at = 0; at < id.size; at++)
        colon_count += id.data[at] == ':';
    return colon_count == 1;
}

static enum code check_id(struct zk_id id, bool digest_disabled)
{
    if (id.scheme.data == NULL)
        return CODE_INVALID_ACL;
    const bool is_digest = is_scheme(id, "digest") && !digest_disabled;
    if (!is_scheme(id, "world") && !is_digest && !is_scheme(id, "ip"))
        return CODE_INVALID_ACL;
    if (id.id.data == NULL)
        return CODE_MARSHALLING_ERROR; /* Apache's server trips over it. */
    struct ip_range range;
    const bool valid = is_anyone(id) || (is_digest && digest_is_valid(id.id)) ||
                       (is_scheme(id, "ip") && ip_range_parse(id.id, &range));
    return valid ? CODE_OK : CODE_INVALID_ACL;
}

/* Appends the identities that count as authenticated: an address does not. */
static int32_t expand_auth(struct zk_acl *out, int32_t permissions, struct acl_id_list identities)
{
    int32_t count = 0;
    for (int32_t index = 0; index < identities.count; index++)
        if (is_scheme(identities.items[index], "digest"))
            out[count++] = (struct zk_acl){permissions, identities.items[index]};
    return count;
}

enum code acl_list_fix(struct acl_list list, const struct acl_fix_options *options,
                       struct arena *arena, struct acl_list *fixed)
{
    const struct acl_id_list identities = options->identities;
    if (list.count <= 0)
        return CODE_INVALID_ACL;
    if (list.count > acl_list_count_max)
        return CODE_INVALID_ACL;
    int32_t auth_count = 0;
    for (int32_t index = 0; index < list.count; index++)
        auth_count += is_scheme(list.items[index].id, "auth");
    const size_t capacity = (size_t)list.count + (size_t)auth_count * (size_t)identities.count;
    struct zk_acl *items = arena_take_array(arena, capacity, sizeof *items);
    if (items == NULL)
        return CODE_SYSTEM_ERROR;

    int32_t count = 0;
    for (int32_t index = 0; index < list.count; index++) {
        const struct zk_acl *acl = &list.items[index];
        if (is_repeated(list, index))
            continue;
        if (is_scheme(acl->id, "auth")) {
            const int32_t added = expand_auth(items + count, acl->perms, identities);
            if (added == 0)
                return CODE_INVALID_ACL;
            count += added;
            continue;
        }
        const enum code code = check_id(acl->id, options->digest_disabled);
        if (code != CODE_OK)
            return code;
        items[count++] = *acl;
    }
    assert((size_t)count <= capacity);
    *fixed = (struct acl_list){items, count};
    return CODE_OK;
}

/* "user:x" for "user:hash". */
static struct slice redact_id(struct slice id, struct arena *arena)
{
    const uint8_t *colon = id.size == 0 ? NULL : memchr(id.data, ':', id.size);
    if (colon == NULL)
        return id;
    const size_t size = (size_t)(colon - id.data) + 2;
    uint8_t *redacted = arena_take(arena, size);
    if (redacted == NULL)
        return SLICE_NULL;
    memcpy(redacted, id.data, size - 1);
    redacted[size - 1] = 'x';
    return slice_of(redacted, size);
}

enum code acl_list_redact(struct acl_list list, struct arena *arena, struct acl_list *redacted)
{
    struct zk_acl *items = arena_take_array(arena, (size_t)list.count, sizeof *items);
    if (items == NULL)
        return CODE_SYSTEM_ERROR;
    for (int32_t index = 0; index < list.count; index++) {
        items[index] = list.items[index];
        if (!is_scheme(items[index].id, "digest"))
            continue;
        items[index].id.id = redact_id(list.items[index].id.id, arena);
        if (items[index].id.id.data == NULL)
            return CODE_SYSTEM_ERROR;
    }
    *redacted = (struct acl_list){items, list.count};
    return CODE_OK;
}
