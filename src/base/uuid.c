#include "base/uuid.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int digit_value(uint8_t character)
{
    if (character >= 'A' && character <= 'Z')
        return character - 'A';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 26;
    if (character >= '0' && character <= '9')
        return character - '0' + 52;
    if (character == '-')
        return 62;
    return character == '_' ? 63 : -1;
}

const char *uuid_print(struct uuid uuid, char text[uuid_text_size + 1])
{
    uint32_t bits = 0;
    int bit_count = 0;
    size_t at = 0;
    for (size_t index = 0; index < sizeof uuid.bytes; index++) {
        bits = bits << 8 | uuid.bytes[index];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            text[at++] = alphabet[bits >> (bit_count - 6) & 63];
    }
    text[at++] = alphabet[bits << (6 - bit_count) & 63];
    text[at] = '\0';
    return text;
}

bool uuid_parse(struct slice text, struct uuid *uuid)
{
    if (text.size != uuid_text_size)
        return false;
    uint32_t bits = 0;
    int bit_count = 0;
    size_t at = 0;
    for (size_t index = 0; index < text.size; index++) {
        const int value = digit_value(text.data[index]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8 && at < sizeof uuid->bytes) {
            bit_count -= 8;
            uuid->bytes[at++] = (uint8_t)(bits >> bit_count);
        }
    }
    return true;
}

bool uuid_from_entropy(const uint8_t entropy[16], struct uuid *uuid)
{
    memcpy(uuid->bytes, entropy, sizeof uuid->bytes);
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | 0x40);
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
    return uuid->bytes[0] >> 2 != 62;
}
