#include "keeper/quota.h"

#include "base/assert.h"
#include "keeper/path.h"

#include <stdio.h>

static const char root_path[] = "/zookeeper/quota";
static const char limits_name[] = "/zookeeper_limits";
static const char usage_name[] = "/zookeeper_stats";

enum {
    root_bytes = sizeof root_path - 1,
    limits_bytes = sizeof limits_name - 1,
    usage_bytes = sizeof usage_name - 1,
    text_bytes_max = 64,
};

/* --- text --- */

static bool parse_number(struct slice text, int64_t *number)
{
    const bool negative = text.size > 0 && text.data[0] == '-';
    if (negative)
        text = slice_skip(text, 1);
    if (text.size == 0 || text.size > 18)
        return false;
    int64_t value = 0;
    for (size_t at = 0; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        value = value * 10 + (text.data[at] - '0');
    }
    *number = negative ? -value : value;
    return true;
}

/* "key=number"; whatever is behind a second sign of equality belongs to nobody. */
static void parse_pair(struct slice pair, struct quota *quota)
{
    const uint8_t *sign = pair.size == 0 ? NULL : memchr(pair.data, '=', pair.size);
    if (sign == NULL)
        return;
    const struct slice key = slice_of(pair.data, (size_t)(sign - pair.data));
    struct slice value = slice_skip(pair, key.size + 1);
    const uint8_t *end = value.size == 0 ? NULL : memchr(value.data, '=', value.size);
    if (end != NULL)
        value.size = (size_t)(end - value.data);
    int64_t number;
    if (!parse_number(value, &number))
        return;
    if (slice_equal_text(key, "count"))
        quota->count = number;
    else if (slice_equal_text(key, "bytes"))
        quota->bytes = number;
    else if (slice_equal_text(key, "countHardLimit"))
        quota->count_hard_limit = number;
    else if (slice_equal_text(key, "byteHardLimit"))
        quota->bytes_hard_limit = number;
}

struct quota quota_parse(struct slice text)
{
    struct quota quota = {-1, -1, -1, -1};
    size_t start = 0;
    for (size_t at = 0; at <= text.size; at++) {
        if (at < text.size && text.data[at] != ',' && text.data[at] != ';')
            continue;
        parse_pair(slice_of(text.data + start, at - start), &quota);
        start = at + 1;
    }
    return quota;
}

static enum err write_usage(struct tree *tree, struct znode *usage, struct quota_change used)
{
    char text[text_bytes_max];
    const int size = snprintf(text, sizeof text, "count=%lld,bytes=%lld", (long long)used.count,
                              (long long)used.bytes);
    assert(size > 0 && size < text_bytes_max);
    return tree_set_data(tree, usage, slice_of(text, (size_t)size));
}

/* --- finding --- */

size_t quota_name_bytes(struct slice path)
{
    return root_bytes + path.size + limits_bytes;
}

static struct znode *find_named(const struct tree *tree, struct slice path, const char *name,
                                uint8_t *room)
{
    memcpy(room, root_path, root_bytes);
    memcpy(room + root_bytes, path.data, path.size);
    memcpy(room + root_bytes + path.size, name, strlen(name));
    return tree_find(tree, slice_of(room, root_bytes + path.size + strlen(name)));
}

struct quota_znodes quota_find(const struct tree *tree, struct slice path, uint8_t *room)
{
    struct quota_znodes found = {NULL, NULL};
    const struct znode *root = tree_find(tree, slice_from_text(root_path));
    if (root == NULL || tree_first_child(tree, root) == NULL)
        return found;
    /* A quota on the root is ignored. */
    for (; path.size > 1 && found.limits == NULL; path = path_parent(path)) {
        found.limits = find_named(tree, path, limits_name, room);
        if (found.limits != NULL)
            found.usage = find_named(tree, path, usage_name, room);
    }
    return found;
}

bool quota_is_usage(struct slice path, struct slice *counted)
{
    if (path.size < root_bytes + usage_bytes ||
        !slice_starts_with(path, slice_from_text(root_path)) ||
        memcmp(path.data + path.size - usage_bytes, usage_name, usage_bytes) != 0)
        return false;
    *counted = slice_of(path.data + root_bytes, path.size - root_bytes - usage_bytes);
    return counted->size > 1;
}

/* --- counting --- */

struct limits {
    int64_t soft;
    int64_t hard;
};

static struct quota_breach judge(enum quota_kind kind, int64_t used, int64_t change,
                                 struct limits limits)
{
    const bool is_hard = limits.hard > -1;
    const int64_t limit = is_hard ? limits.hard : limits.soft;
    if (change == 0 || limit <= -1 || used + change <= limit)
        return (struct quota_breach){0};
    return (struct quota_breach){kind, is_hard, used + change, limit, SLICE_NULL};
}

struct quota_breach quota_judge(const struct tree *tree, struct quota_znodes quota,
                                struct quota_change change)
{
    if (quota.limits == NULL || quota.usage == NULL)
        return (struct quota_breach){0};
    const struct quota limits = quota_parse(tree_data(tree, quota.limits));
    const struct quota used = quota_parse(tree_data(tree, quota.usage));
    const struct quota_breach count = judge(QUOTA_COUNT, used.count, change.count,
                                            (struct limits){limits.count, limits.count_hard_limit});
    const struct quota_breach bytes = judge(QUOTA_BYTES, used.bytes, change.bytes,
                                            (struct limits){limits.bytes, limits.bytes_hard_limit});
    return count.kind == QUOTA_NONE || (bytes.is_hard && !count.is_hard) ? bytes : count;
}

struct slice quota_path(const struct tree *tree, struct quota_znodes quota, const uint8_t *room)
{
    return slice_of(room + root_bytes,
                    tree_path_bytes(tree, quota.limits) - root_bytes - limits_bytes);
}

enum err quota_add(struct tree *tree, struct quota_znodes quota, struct quota_change change)
{
    if (quota.usage == NULL)
        return ERR_OK;
    const struct quota used = quota_parse(tree_data(tree, quota.usage));
    return write_usage(tree, quota.usage,
                       (struct quota_change){used.count + change.count, used.bytes + change.bytes});
}

enum err quota_count(struct tree *tree, struct znode *usage, struct slice counted)
{
    struct quota_change used = {0, 0};
    const struct znode *top = tree_find(tree, counted);
    for (const struct znode *at = top; at != NULL; at = tree_next_below(tree, at, top)) {
        used.count++;
        used.bytes += (int64_t)tree_data(tree, at).size;
    }
    return write_usage(tree, usage, used);
}

enum err quota_count_all(struct tree *tree, uint8_t *room, size_t room_bytes)
{
    const struct znode *top = tree_find(tree, slice_from_text(root_path));
    for (struct znode *at = (struct znode *)(uintptr_t)top; at != NULL;
         at = tree_next_below(tree, at, top)) {
        struct slice counted;
        if (!slice_equal_text(tree_name(at), usage_name + 1) ||
            tree_path_bytes(tree, at) > room_bytes ||
            !quota_is_usage(tree_path_write(tree, at, room), &counted))
            continue;
        const enum err err = quota_count(tree, at, counted);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* --- sums --- */

const struct znode *quota_first_namespace(const struct tree *tree)
{
    const struct znode *root = tree_find(tree, slice_from_text(root_path));
    return root == NULL ? NULL : tree_first_child(tree, root);
}

/* Clients write these numbers; a sum that does not fit wraps, as in Java. */
static void add(struct quota_change *sum, int64_t count, int64_t bytes)
{
    sum->count = (int64_t)((uint64_t)sum->count + (uint64_t)count);
    sum->bytes = (int64_t)((uint64_t)sum->bytes + (uint64_t)bytes);
}

static int64_t limit_of(int64_t hard, int64_t soft)
{
    return hard > -1 ? hard : soft;
}

struct quota_sums quota_add_up(const struct tree *tree, const struct znode *namespace)
{
    struct quota_sums sums = {0};
    for (const struct znode *at = namespace; at != NULL;
         at = tree_next_below(tree, at, namespace)) {
        const struct slice data = tree_data(tree, at);
        if (slice_is_null(data) || tree_first_child(tree, at) != NULL)
            continue;
        const struct quota quota = quota_parse(data);
        if (slice_equal_text(tree_name(at), limits_name + 1)) {
            sums.has_limits = true;
            add(&sums.limits, limit_of(quota.count_hard_limit, quota.count),
                limit_of(quota.bytes_hard_limit, quota.bytes));
        } else if (slice_equal_text(tree_name(at), usage_name + 1)) {
            sums.has_usage = true;
            add(&sums.usage, quota.count, quota.bytes);
        }
    }
    return sums;
}
