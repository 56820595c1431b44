#include "keeper/ip_range.h"

#include "base/bytes.h"

/* A decimal number of at most max; a sign is allowed, as Java's Integer.parseInt allows it. */
static bool parse_number(struct slice text, int32_t max, int32_t *number)
{
    bool negative = false;
    if (text.size > 0 && (text.data[0] == '+' || text.data[0] == '-')) {
        negative = text.data[0] == '-';
        text = slice_skip(text, 1);
    }
    if (text.size == 0)
        return false;
    int32_t value = 0;
    for (size_t at = 0; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        value = value * 10 + (text.data[at] - '0');
        if (value > max)
            return false;
    }
    *number = value;
    return !negative || value == 0;
}

/* Cuts text at the first separator: what is before it is returned, text becomes what is behind, or
 * null if there is none. */
static struct slice cut(struct slice *text, char separator)
{
    const uint8_t *found = text->size == 0 ? NULL : memchr(text->data, separator, text->size);
    const struct slice whole = *text;
    if (found == NULL) {
        *text = SLICE_NULL;
        return whole;
    }
    const size_t size = (size_t)(found - whole.data);
    *text = slice_skip(whole, size + 1);
    return slice_of(whole.data, size);
}

static bool parse_v4(struct slice text, struct ip_range *range)
{
    int32_t count = 0;
    while (text.data != NULL) {
        int32_t octet;
        if (count == 4 || !parse_number(cut(&text, '.'), 255, &octet))
            return false;
        range->address[count++] = (uint8_t)octet;
    }
    range->address_bytes = 4;
    return count == 4;
}

static int32_t hex_digit(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

/* Groups of up to four hex digits between colons. The number of groups, or -1. */
static int32_t parse_groups(struct slice text, uint16_t groups[8])
{
    int32_t count = 0;
    while (text.data != NULL && (text.size > 0 || count > 0)) {
        const struct slice group = cut(&text, ':');
        if (count == 8 || group.size == 0 || group.size > 4)
            return -1;
        uint32_t value = 0;
        for (size_t at = 0; at < group.size; at++) {
            const int32_t digit = hex_digit(group.data[at]);
            if (digit < 0)
                return -1;
            value = value << 4 | (uint32_t)digit;
        }
        groups[count++] = (uint16_t)value;
    }
    return count;
}

static bool parse_v6(struct slice text, struct ip_range *range)
{
    struct slice head = text;
    struct slice tail = SLICE_NULL;
    for (size_t at = 0; at + 1 < text.size && tail.data == NULL; at++) {
        if (text.data[at] != ':' || text.data[at + 1] != ':')
            continue;
        head = slice_of(text.data, at);
        tail = slice_skip(text, at + 2);
    }
    uint16_t head_groups[8];
    uint16_t tail_groups[8];
    const int32_t head_count = parse_groups(head, head_groups);
    const int32_t tail_count = tail.data == NULL ? 0 : parse_groups(tail, tail_groups);
    if (head_count < 0 || tail_count < 0)
        return false;
    if (tail.data == NULL ? head_count != 8 : head_count + tail_count > 7)
        return false;

    memset(range->address, 0, sizeof range->address);
    for (int32_t index = 0; index < head_count; index++)
        store_u16(range->address + 2 * index, head_groups[index]);
    for (int32_t index = 0; index < tail_count; index++)
        store_u16(range->address + 16 - 2 * (tail_count - index), tail_groups[index]);
    range->address_bytes = 16;
    return true;
}

static bool parse_address(struct slice text, struct ip_range *range)
{
    return parse_v4(text, range) || parse_v6(text, range);
}

bool ip_range_parse(struct slice text, struct ip_range *range)
{
    *range = (struct ip_range){0};
    if (text.data == NULL)
        return false;
    const struct slice address = cut(&text, '/');
    if (!parse_address(address, range))
        return false;
    range->bits = range->address_bytes * 8;
    return text.data == NULL || parse_number(text, range->address_bytes * 8, &range->bits);
}

bool ip_range_has(const struct ip_range *range, struct slice host)
{
    struct ip_range single = {0};
    if (host.data == NULL || !parse_address(host, &single) ||
        single.address_bytes != range->address_bytes)
        return false;
    for (int32_t bit = 0; bit < range->bits; bit++) {
        const uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        if ((range->address[bit / 8] & mask) != (single.address[bit / 8] & mask))
            return false;
    }
    return true;
}
