#include "keeper/path.h"

#include "base/assert.h"

/* The size of the sound UTF-8 sequence of at most three bytes at the start of bytes, its code point
 * at *point; 0: not sound, or beyond U+FFFF, which ZooKeeper sees as two surrogates and refuses. */
static size_t next_point(struct slice bytes, uint32_t *point)
{
    const uint8_t *at = bytes.data;
    if (at[0] < 0x80) {
        *point = at[0];
        return 1;
    }
    if (at[0] >= 0xc2 && at[0] <= 0xdf && bytes.size >= 2 && (at[1] & 0xc0) == 0x80) {
        *point = (uint32_t)(at[0] & 0x1f) << 6 | (at[1] & 0x3f);
        return 2;
    }
    if ((at[0] & 0xf0) == 0xe0 && bytes.size >= 3 && (at[1] & 0xc0) == 0x80 &&
        (at[2] & 0xc0) == 0x80) {
        *point = (uint32_t)(at[0] & 0x0f) << 12 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
        return *point < 0x800 ? 0 : 3;
    }
    return 0;
}

/* Surrogates lie in the range of the private use area that ZooKeeper refuses as a whole. */
static bool point_is_allowed(uint32_t point)
{
    return point > 0x1f && !(point >= 0x7f && point <= 0x9f) &&
           !(point >= 0xd800 && point <= 0xf8ff) && !(point >= 0xfff0 && point <= 0xffff);
}

static bool characters_are_allowed(struct slice path)
{
    while (path.size > 0) {
        uint32_t point;
        const size_t size = next_point(path, &point);
        if (size == 0 || !point_is_allowed(point))
            return false;
        path = slice_skip(path, size);
    }
    return true;
}

static bool component_is_allowed(struct slice component)
{
    return component.size > 0 && !slice_equal_text(component, ".") &&
           !slice_equal_text(component, "..");
}

bool path_is_valid(struct slice path)
{
    if (path.size == 0 || path.data[0] != '/' || !characters_are_allowed(path))
        return false;
    if (path.size == 1)
        return true;
    size_t start = 1;
    for (size_t at = 1; at <= path.size; at++) {
        if (at < path.size && path.data[at] != '/')
            continue;
        if (!component_is_allowed(slice_of(path.data + start, at - start)))
            return false;
        start = at + 1;
    }
    return true;
}

bool path_is_sound(struct slice path)
{
    if (path.size == 0 || path.data[0] != '/')
        return false;
    if (path.size == 1)
        return true;
    for (size_t at = 1; at < path.size; at++)
        if (path.data[at] == '/' && path.data[at - 1] == '/')
            return false;
    return path.data[path.size - 1] != '/';
}

static size_t last_slash(struct slice path)
{
    size_t at = path.size;
    while (at > 0 && path.data[at - 1] != '/')
        at--;
    assert(at > 0);
    return at - 1;
}

struct slice path_parent(struct slice path)
{
    const size_t slash = last_slash(path);
    return slice_of(path.data, slash == 0 ? 1 : slash);
}

struct slice path_last(struct slice path)
{
    return slice_skip(path, last_slash(path) + 1);
}

bool path_is_under(struct slice path, struct slice parent)
{
    if (parent.size == 1)
        return true;
    return slice_starts_with(path, parent) &&
           (path.size == parent.size || path.data[parent.size] == '/');
}
