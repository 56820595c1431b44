/* The 16 bytes that name one life of a topic; all zero: none. */
#ifndef BROKER_TOPIC_ID_H
#define BROKER_TOPIC_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct topic_id {
    uint8_t bytes[16];
};

static inline bool topic_id_is_none(const struct topic_id *id)
{
    static const struct topic_id none;
    return memcmp(id->bytes, none.bytes, sizeof none.bytes) == 0;
}

static inline bool topic_id_equal(const struct topic_id *a, const struct topic_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* As Kafka prints them: base64 for URLs, without padding, 22 characters. */
enum { topic_id_text_bytes = 23 };

void topic_id_print(const struct topic_id *id, char text[topic_id_text_bytes]);

/* False: not 22 characters of that alphabet (or 24 with padding). */
bool topic_id_parse(struct topic_id *id, const char *text, size_t size);

#endif
