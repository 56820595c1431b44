#include "broker/partition_name.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

enum { suffix_id_chars = 32, name_chars_max = 255 };

static bool is_topic_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool topic_name_is_valid(struct slice topic)
{
    if (slice_is_null(topic) || topic.size == 0 || topic.size > topic_name_bytes_max)
        return false;
    if (slice_equal_text(topic, ".") || slice_equal_text(topic, ".."))
        return false;
    for (size_t i = 0; i < topic.size; i++)
        if (!is_topic_char(topic.data[i]))
            return false;
    return true;
}

/* <topic>-<digits>, split at the last '-'. */
static bool parse_live(struct slice name, struct partition_name *out)
{
    size_t digits_at = name.size;
    int64_t partition = 0;
    while (digits_at > 0 && name.data[digits_at - 1] >= '0' && name.data[digits_at - 1] <= '9')
        digits_at--;
    const size_t digit_count = name.size - digits_at;
    if (digit_count == 0 || digit_count > 10 || digits_at < 2 || name.data[digits_at - 1] != '-')
        return false;
    if (digit_count > 1 && name.data[digits_at] == '0')
        return false; /* Two names for one partition. */
    for (size_t i = digits_at; i < name.size; i++)
        partition = partition * 10 + (name.data[i] - '0');
    if (partition > INT32_MAX)
        return false;
    out->topic = slice_of(name.data, digits_at - 1);
    out->partition = (int32_t)partition;
    return topic_name_is_valid(out->topic);
}

static bool is_hex(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

/* <something>.<32 hex><suffix>; what is in front of the dot goes to *front. */
static bool has_suffix(struct slice name, const char *suffix, struct slice *front)
{
    const size_t tail = suffix_id_chars + strlen(suffix);
    if (name.size < tail + 2 ||
        memcmp(name.data + name.size - strlen(suffix), suffix, strlen(suffix)) != 0)
        return false;
    const size_t dot = name.size - tail - 1;
    *front = slice_of(name.data, dot);
    return name.data[dot] == '.' && is_hex(slice_of(name.data + dot + 1, suffix_id_chars));
}

struct partition_name partition_name_parse(struct slice name)
{
    struct partition_name out = {.kind = PARTITION_NAME_UNRELATED};
    struct slice front;
    if (has_suffix(name, "-delete", &front))
        out.kind = PARTITION_NAME_DELETED;
    else if (has_suffix(name, "-stray", &front))
        out.kind = PARTITION_NAME_STRAY;
    else if (has_suffix(name, "-future", &front) && parse_live(front, &out))
        out.kind = PARTITION_NAME_FUTURE;
    else if (parse_live(name, &out))
        out.kind = PARTITION_NAME_LIVE;
    return out;
}

void partition_name_print(struct slice topic, int32_t partition, char *text)
{
    assert(topic_name_is_valid(topic) && partition >= 0);
    const int size = snprintf(text, partition_name_bytes_max, "%" SLICE_FORMAT "-%" PRId32,
                              SLICE_ARGS(topic), partition);
    assert(size > 0 && size < partition_name_bytes_max);
}

bool partition_name_has_future(struct slice topic, int32_t partition)
{
    const int tail = snprintf(NULL, 0, "-%" PRId32 ".", partition);
    return topic.size + (size_t)tail + suffix_id_chars + strlen("-future") <= name_chars_max;
}

static void print_with_suffix(struct slice topic, int32_t partition, const uint8_t id[16],
                              const char *suffix, char *text)
{
    char tail[64];
    int size = snprintf(tail, sizeof tail, "-%" PRId32 ".", partition);
    assert(size > 0);
    for (uint32_t i = 0; i < 16; i++)
        (void)snprintf(tail + size + 2 * i, sizeof tail - (size_t)size - 2 * i, "%02x", id[i]);
    size += suffix_id_chars;
    size += snprintf(tail + size, sizeof tail - (size_t)size, "%s", suffix);
    const size_t topic_size = min_size(topic.size, (size_t)(name_chars_max - size));
    const int total = snprintf(text, partition_name_bytes_max, "%.*s%s", (int)topic_size,
                               (const char *)topic.data, tail);
    assert(total > 0 && total <= name_chars_max);
}

void partition_name_print_deleted(struct slice topic, int32_t partition, const uint8_t id[16],
                                  char *text)
{
    print_with_suffix(topic, partition, id, "-delete", text);
}

void partition_name_print_future(struct slice topic, int32_t partition, const uint8_t id[16],
                                 char *text)
{
    assert(partition_name_has_future(topic, partition));
    print_with_suffix(topic, partition, id, "-future", text);
}
