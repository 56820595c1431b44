#include "broker/topic_id.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void topic_id_print(const struct topic_id *id, char text[topic_id_text_bytes])
{
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    size_t at = 0;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        bits = bits << 8 | id->bytes[i];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            text[at++] = alphabet[bits >> (bit_count - 6) & 63];
    }
    text[at++] = alphabet[bits << (6 - bit_count) & 63];
    text[at] = 0;
}

bool topic_id_parse(struct topic_id *id, const char *text, size_t size)
{
    enum { chars = 22, chars_padded = 24 };
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    size_t out = 0;
    if (size == chars_padded && text[chars] == '=' && text[chars + 1] == '=')
        size = chars;
    if (size != chars)
        return false;
    for (size_t i = 0; i < size; i++) {
        const char *found = text[i] == 0 ? NULL : strchr(alphabet, text[i]);
        if (found == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(found - alphabet);
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            id->bytes[out++] = (uint8_t)(bits >> bit_count);
        }
    }
    return (bits & ((1U << bit_count) - 1)) == 0; /* One text for one id. */
}
