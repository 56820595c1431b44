/* What servers say to each other on their election ports, as bytes.
 *
 *   dialler: hello, then   [length][notification] [length][notification] ...   both ways
 *
 * Notifications came in three lengths over the years; all are read, the newest is written.
 *
 * Memory: none; slices lend from the bytes that were decoded.
 */
#ifndef ZAB_ELECTION_MESSAGE_H
#define ZAB_ELECTION_MESSAGE_H

#include "base/err.h"
#include "wire/gen/zk.h"

enum {
    election_message_bytes_max = 512 * 1024,
    election_hello_address_bytes_max = 2048,
    election_hello_bytes_min = 20, /* Without its address. */
    election_notification_bytes_min = 28,
};

/* ERR_TRUNCATED: shorter than the shortest kind. ERR_MALFORMED: its configuration is not within the
 * message. */
MUST_CHECK enum err election_message_decode(struct slice bytes,
                                            struct zk_election_notification *notification);

/* How long it will be; and writes it, without a length in front. */
size_t election_message_bytes(const struct zk_election_notification *notification);
void election_message_encode(const struct zk_election_notification *notification, uint8_t *out);

/* The first election_hello_bytes_min bytes of a hello: who dials, and how many bytes of address
 * follow. ERR_UNSUPPORTED: a version that is not known, such as the bare id of servers before 3.5.
 * ERR_MALFORMED: the address has no sane length. */
struct election_hello {
    int64_t server_id;
    uint32_t address_bytes;
};
MUST_CHECK enum err election_hello_decode(const uint8_t *bytes, struct election_hello *hello);

/* address: "host:port" of our own election port. */
size_t election_hello_bytes(struct slice address);
void election_hello_encode(int64_t server_id, struct slice address, uint8_t *out);

#endif
