/* A 128-bit identifier as Kafka writes it: 16 bytes on the wire, 22 characters of URL-safe base64
 * in texts. All zero means "none".
 *
 * Memory: by value. Shard: any.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/macros.h"
#include "base/slice.h"

struct uuid {
    uint8_t bytes[16];
};

enum { uuid_text_size = 22 };

/* text gets uuid_text_size characters and an end mark. Lends text back. */
const char *uuid_print(struct uuid uuid, char text[uuid_text_size + 1]);

/* False: not 22 characters of URL-safe base64. */
MUST_CHECK bool uuid_parse(struct slice text, struct uuid *uuid);

/* A random (version 4) identifier from 16 unpredictable bytes. Its text never starts with '-', as
 * Kafka's never do: on a command line it would look like an option. False: draw again. */
MUST_CHECK bool uuid_from_entropy(const uint8_t entropy[16], struct uuid *uuid);

static inline bool uuid_is_zero(struct uuid uuid)
{
    static const struct uuid zero;
    return memcmp(uuid.bytes, zero.bytes, sizeof zero.bytes) == 0;
}

static inline bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

#endif
