#include "broker/meta_properties.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\r';
}

static struct slice trim(struct slice text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = slice_skip(text, 1);
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* The next line that says something, split at the first '=' or ':'. False: the end. */
static bool take_pair(struct slice *rest, struct slice *key, struct slice *value)
{
    while (rest->size > 0) {
        const uint8_t *end = memchr(rest->data, '\n', rest->size);
        const size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
        const struct slice line = trim(slice_of(rest->data, size));
        *rest = slice_skip(*rest, end == NULL ? size : size + 1);
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!')
            continue;
        size_t split = 0;
        while (split < line.size && line.data[split] != '=' && line.data[split] != ':')
            split++;
        *key = trim(slice_of(line.data, split));
        *value =
            split == line.size ? slice_of(line.data + split, 0) : trim(slice_skip(line, split + 1));
        return true;
    }
    return false;
}

static enum err copy_id(char *id, struct slice value)
{
    size_t size = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '\\') /* Java escapes =, : and others. */
            continue;
        if (value.data[i] < ' ' || size == meta_properties_id_bytes - 1)
            return ERR_MALFORMED;
        id[size++] = (char)value.data[i];
    }
    id[size] = 0;
    return ERR_OK;
}

static enum err parse_broker_id(struct slice value, int32_t *broker_id)
{
    int64_t number = 0;
    if (slice_equal_text(value, "-1")) {
        *broker_id = -1;
        return ERR_OK;
    }
    if (value.size == 0 || value.size > 10)
        return ERR_MALFORMED;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return ERR_MALFORMED;
        number = number * 10 + (value.data[i] - '0');
    }
    if (number > INT32_MAX)
        return ERR_MALFORMED;
    *broker_id = (int32_t)number;
    return ERR_OK;
}

enum err meta_properties_decode(struct meta_properties *meta, struct slice text)
{
    struct slice key;
    struct slice value;
    bool has_version = false;
    enum err err = ERR_OK;
    *meta = (struct meta_properties){.broker_id = -1};
    while (err == ERR_OK && take_pair(&text, &key, &value)) {
        if (slice_equal_text(key, "version")) {
            has_version = true;
            err = slice_equal_text(value, "0") ? ERR_OK : ERR_UNSUPPORTED;
        } else if (slice_equal_text(key, "broker.id")) {
            err = parse_broker_id(value, &meta->broker_id);
        } else if (slice_equal_text(key, "cluster.id")) {
            err = copy_id(meta->cluster_id, value);
        } else if (slice_equal_text(key, "directory.id")) {
            err = copy_id(meta->directory_id, value);
        }
    }
    return err == ERR_OK && !has_version ? ERR_UNSUPPORTED : err;
}

size_t meta_properties_encode(const struct meta_properties *meta, char *text, size_t capacity)
{
    assert(capacity >= meta_properties_text_bytes_max);
    const bool has_directory = meta->directory_id[0] != 0;
    const int size =
        snprintf(text, capacity, "#\nbroker.id=%" PRId32 "\n%s%s%sversion=0\ncluster.id=%s\n",
                 meta->broker_id, has_directory ? "directory.id=" : "", meta->directory_id,
                 has_directory ? "\n" : "", meta->cluster_id);
    assert(size > 0 && (size_t)size < capacity);
    return (size_t)size;
}
