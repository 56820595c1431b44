#include "keeper/auth_set.h"

#include "base/assert.h"
#include "base/checksum.h"

enum { base64_bytes_max = (checksum_digest_bytes_max + 2) / 3 * 4 };

/* False: the slab says no. */
static bool grow(struct auth_set *set, struct slab *slab)
{
    const int32_t capacity = set->capacity == 0 ? 1 : 2 * set->capacity;
    struct zk_id *items = slab_take(slab, (size_t)capacity * sizeof *items);
    if (items == NULL)
        return false;
    if (set->count > 0)
        memcpy(items, set->items, (size_t)set->count * sizeof *items);
    slab_give(slab, set->items, (size_t)set->capacity * sizeof *items);
    set->items = items;
    set->capacity = capacity;
    return true;
}

static size_t strings_bytes(struct slice scheme, struct slice id)
{
    return scheme.size + id.size + 1;
}

/* Both strings in one block, which the scheme's slice points to. */
static enum err add(struct auth_set *set, struct slab *slab, struct slice scheme, struct slice id)
{
    assert(set->count < auth_set_count_max);
    if (set->count == set->capacity && !grow(set, slab))
        return ERR_NO_MEMORY;
    uint8_t *block = slab_take(slab, strings_bytes(scheme, id));
    if (block == NULL)
        return ERR_NO_MEMORY;
    memcpy(block, scheme.data, scheme.size);
    if (id.size > 0)
        memcpy(block + scheme.size, id.data, id.size);
    set->items[set->count++] =
        (struct zk_id){slice_of(block, scheme.size), slice_of(block + scheme.size, id.size)};
    return ERR_OK;
}

enum err auth_set_init(struct auth_set *set, struct slab *slab, struct slice address)
{
    *set = (struct auth_set){0};
    const enum err err = add(set, slab, SLICE_LITERAL("ip"), address);
    if (err != ERR_OK)
        auth_set_deinit(set, slab);
    return err;
}

void auth_set_deinit(struct auth_set *set, struct slab *slab)
{
    for (int32_t index = 0; index < set->count; index++) {
        const struct zk_id *item = &set->items[index];
        slab_give(slab, (void *)(uintptr_t)item->scheme.data,
                  strings_bytes(item->scheme, item->id));
    }
    slab_give(slab, set->items, (size_t)set->capacity * sizeof *set->items);
    *set = (struct auth_set){0};
}

static bool has(const struct auth_set *set, struct slice scheme, struct slice id)
{
    for (int32_t index = 0; index < set->count; index++)
        if (slice_equal(set->items[index].scheme, scheme) && slice_equal(set->items[index].id, id))
            return true;
    return false;
}

static enum code add_once(struct auth_set *set, struct slab *slab, struct slice scheme,
                          struct slice id)
{
    if (has(set, scheme, id))
        return CODE_OK;
    if (set->count == auth_set_count_max || add(set, slab, scheme, id) != ERR_OK)
        return CODE_AUTH_FAILED;
    return CODE_OK;
}

/* The size of what is in text, padded. */
static size_t encode_base64(struct slice bytes, uint8_t text[base64_bytes_max])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = 0;
    for (size_t at = 0; at < bytes.size; at += 3) {
        const size_t left = bytes.size - at;
        const uint32_t bits = (uint32_t)bytes.data[at] << 16 |
                              (left > 1 ? (uint32_t)bytes.data[at + 1] << 8 : 0) |
                              (left > 2 ? bytes.data[at + 2] : 0);
        for (size_t sign = 0; sign < 4; sign++)
            text[size++] = sign > left ? '=' : (uint8_t)alphabet[bits >> (18 - 6 * sign) & 0x3f];
    }
    return size;
}

/* "user:" and the hash of all of "user:password". */
static enum code add_digest(struct auth_set *set, struct slab *slab,
                            const struct auth_options *options, struct slice secret)
{
    const uint8_t *colon = secret.size == 0 ? NULL : memchr(secret.data, ':', secret.size);
    const size_t user_bytes = colon == NULL ? secret.size : (size_t)(colon - secret.data);
    uint8_t *text = heap_take(slab->heap, user_bytes + 1 + base64_bytes_max);
    if (text == NULL)
        return CODE_AUTH_FAILED;
    if (user_bytes > 0)
        memcpy(text, secret.data, user_bytes);
    text[user_bytes] = ':';
    uint8_t hash[checksum_digest_bytes_max];
    const char *algorithm = options->digest_algorithm;
    const size_t hash_bytes = checksum_digest(algorithm == NULL ? "SHA1" : algorithm, secret, hash);
    const size_t hash_text_bytes = encode_base64(slice_of(hash, hash_bytes), text + user_bytes + 1);

    const struct slice id = slice_of(text, user_bytes + 1 + hash_text_bytes);
    enum code code = CODE_OK;
    if (acl_secret_equal(id, options->super_digest))
        code = add_once(set, slab, SLICE_LITERAL("super"), SLICE_LITERAL(""));
    if (code == CODE_OK)
        code = add_once(set, slab, SLICE_LITERAL("digest"), id);
    heap_give(slab->heap, text);
    return code;
}

enum code auth_set_add(struct auth_set *set, struct slab *slab, const struct auth_options *options,
                       struct slice scheme, struct slice secret)
{
    /* The address was proved by the connection itself; it is in the set already. */
    if (slice_equal_text(scheme, "ip"))
        return CODE_OK;
    if (!slice_equal_text(scheme, "digest") || options->digest_disabled || secret.data == NULL ||
        secret.size > auth_set_id_bytes_max)
        return CODE_AUTH_FAILED;
    return add_digest(set, slab, options, secret);
}
