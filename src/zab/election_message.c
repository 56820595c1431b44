#include "zab/election_message.h"

#include "base/assert.h"
#include "base/bytes.h"

enum {
    shortest = 0, /* Versions of zk_election_notification. */
    with_epoch = 1,
    with_config = 2,
    with_epoch_bytes = 40,
    hello_version_single = -65536,  /* One address. */
    hello_version_several = -65535, /* Several, with | between. */
};

static int kind_of(size_t size)
{
    if (size < with_epoch_bytes)
        return shortest;
    return size == with_epoch_bytes ? with_epoch : with_config;
}

/* Records without arrays need no memory. */
static enum err decode(int kind, struct slice bytes, struct zk_election_notification *notification)
{
    struct arena none;
    arena_init(&none, NULL, 0);
    return wire_decode(&zk_election_notification_wire, kind, &bytes, &none, notification);
}

enum err election_message_decode(struct slice bytes, struct zk_election_notification *notification)
{
    const int kind = kind_of(bytes.size);
    if (kind == shortest && bytes.size != election_notification_bytes_min)
        return bytes.size < election_notification_bytes_min ? ERR_TRUNCATED : ERR_MALFORMED;
    const enum err err = decode(kind, bytes, notification);
    if (err != ERR_OK)
        return ERR_MALFORMED;
    if (kind == shortest) /* The leader's epoch is that of its last transaction. */
        notification->peer_epoch = notification->zxid >> 32;
    if (kind != with_config)
        notification->version = 0;
    if (notification->version < 2)
        notification->config = SLICE_NULL;
    return ERR_OK;
}

size_t election_message_bytes(const struct zk_election_notification *notification)
{
    return wire_size(&zk_election_notification_wire, with_config, notification);
}

void election_message_encode(const struct zk_election_notification *notification, uint8_t *out)
{
    struct wire_writer writer = wire_writer_of(out, election_message_bytes(notification));
    wire_encode(&zk_election_notification_wire, with_config, notification, &writer);
}

enum err election_hello_decode(const uint8_t *bytes, struct election_hello *hello)
{
    const int64_t version = load_i64(bytes);
    const int32_t address_bytes = load_i32(bytes + 16);
    if (version != hello_version_single && version != hello_version_several)
        return ERR_UNSUPPORTED;
    if (address_bytes <= 0 || address_bytes > election_hello_address_bytes_max)
        return ERR_MALFORMED;
    *hello = (struct election_hello){load_i64(bytes + 8), (uint32_t)address_bytes};
    return ERR_OK;
}

size_t election_hello_bytes(struct slice address)
{
    return election_hello_bytes_min + address.size;
}

void election_hello_encode(int64_t server_id, struct slice address, uint8_t *out)
{
    const struct zk_quorum_hello hello = {
        .protocol_version = hello_version_single, .server_id = server_id, .address = address};
    struct wire_writer writer = wire_writer_of(out, election_hello_bytes(address));
    wire_encode(&zk_quorum_hello_wire, 0, &hello, &writer);
}
