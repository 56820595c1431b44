#include "broker/checkpoint_file.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

/* A line without its end; the last one may lack it. False: nothing is left. */
static bool take_line(struct slice *rest, struct slice *line)
{
    if (rest->size == 0)
        return false;
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    const size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
    *line = slice_of(rest->data, size);
    *rest = slice_skip(*rest, end == NULL ? size : size + 1);
    if (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    return true;
}

/* The last word of line, behind a space; line keeps what is in front. */
static bool take_last_word(struct slice *line, struct slice *word)
{
    size_t begin = line->size;
    while (begin > 0 && line->data[begin - 1] != ' ')
        begin--;
    if (begin == 0 || begin == line->size)
        return false;
    *word = slice_skip(*line, begin);
    line->size = begin - 1;
    return true;
}

static bool parse_number(struct slice word, int64_t max, int64_t *number)
{
    int64_t value = 0;
    if (word.size == 0)
        return false;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        const int64_t digit = word.data[i] - '0';
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

enum err checkpoint_reader_init(struct checkpoint_reader *reader, struct slice text)
{
    struct slice line;
    int64_t number;
    *reader = (struct checkpoint_reader){.rest = text};
    if (!take_line(&reader->rest, &line) || !parse_number(line, INT32_MAX, &number))
        return ERR_MALFORMED;
    if (number != 0)
        return ERR_UNSUPPORTED;
    if (!take_line(&reader->rest, &line) || !parse_number(line, INT32_MAX, &number))
        return ERR_MALFORMED;
    reader->count = (uint32_t)number;
    return ERR_OK;
}

bool checkpoint_reader_next(struct checkpoint_reader *reader, bool has_topic,
                            struct checkpoint_entry *entry, enum err *err)
{
    struct slice line;
    struct slice word;
    int64_t number;
    *entry = (struct checkpoint_entry){0};
    if (!take_line(&reader->rest, &line)) {
        *err = reader->read_count == reader->count ? ERR_OK : ERR_MALFORMED;
        return false;
    }
    *err = ERR_MALFORMED;
    if (reader->read_count == reader->count || !take_last_word(&line, &word) ||
        !parse_number(word, INT64_MAX, &entry->offset))
        return false;
    word = line;
    if (has_topic && !take_last_word(&line, &word))
        return false;
    if (!parse_number(word, INT32_MAX, &number))
        return false;
    entry->number = (int32_t)number;
    if (has_topic)
        entry->topic = line;
    if (has_topic && line.size == 0)
        return false;
    reader->read_count++;
    *err = ERR_OK;
    return true;
}

static void put(struct checkpoint_writer *writer, int size)
{
    assert(size > 0 && (size_t)size < writer->capacity - writer->size);
    writer->size += (size_t)size;
}

void checkpoint_writer_init(struct checkpoint_writer *writer, char *text, size_t capacity,
                            uint32_t count)
{
    *writer = (struct checkpoint_writer){.text = text, .capacity = capacity};
    put(writer, snprintf(text, capacity, "0\n%" PRIu32 "\n", count));
}

void checkpoint_writer_add(struct checkpoint_writer *writer, struct checkpoint_entry entry)
{
    char *at = writer->text + writer->size;
    const size_t room = writer->capacity - writer->size;
    assert(entry.number >= 0 && entry.offset >= 0);
    if (slice_is_null(entry.topic))
        put(writer, snprintf(at, room, "%" PRId32 " %" PRId64 "\n", entry.number, entry.offset));
    else
        put(writer, snprintf(at, room, "%" SLICE_FORMAT " %" PRId32 " %" PRId64 "\n",
                             SLICE_ARGS(entry.topic), entry.number, entry.offset));
}
