/* The keeper client's messages: requests encoded into frames, replies decoded into results.
 *
 * Requests get the chroot in front of their paths, results lose it.
 *
 * Memory: each frame is one message from the heap; results from an arena. Shard: none.
 */
#ifndef CLIENT_KEEPER_MESSAGE_H
#define CLIENT_KEEPER_MESSAGE_H

#include "base/arena.h"
#include "client/keeper_client.h"
#include "net/net.h"
#include "wire/wire.h"

enum {
    keeper_message_path_size_max = 8192, /* With the chroot. */
    keeper_message_header_size = 12      /* Length, xid, type. */
};

/* The numbers that stand for an xid in messages that are not requests of a caller. */
enum keeper_message_xid {
    KEEPER_XID_EVENT = -1,
    KEEPER_XID_PING = -2,
    KEEPER_XID_AUTH = -4,
    KEEPER_XID_SET_WATCHES = -8
};

/* A path with the chroot in front. */
struct keeper_message_path {
    uint8_t text[keeper_message_path_size_max];
    size_t size;
};

/* Null: too long. Lends: from place. */
struct slice keeper_message_join(struct keeper_message_path *place, struct slice chroot,
                                 const char *path);

/* Without the chroot; the chroot itself becomes "/". A path outside comes back as it is. */
struct slice keeper_message_strip(struct slice chroot, struct slice path);

/* A frame with header and one record; record NULL: the header alone. NULL: no memory. */
struct net_message *keeper_message_make(struct heap *heap, int32_t type,
                                        const struct wire_record *record, const void *value);

/* NULL: no memory, or a path is too long. */
struct net_message *keeper_message_multi(struct heap *heap, struct slice chroot,
                                         const struct keeper_multi_op *ops, uint32_t op_count);

/* The frame of a connect request has no header. */
struct net_message *keeper_message_connect(struct heap *heap, const void *connect_request);

/* Everybody may do everything. */
extern const struct zk_acl keeper_message_open_acl;

/* Whose reply it is. */
struct keeper_message_reply {
    int32_t type;
    int32_t part_count; /* Of a multi. */
    struct slice chroot;
};

/* How much arena the decoding of a body may need at most. */
size_t keeper_message_arena_size(int32_t type, size_t body_size);

/* Fills result, whose code is set, from the body that follows a reply's header. ERR_MALFORMED and
 * wire_decode's other errors: it is not a reply of this type. */
MUST_CHECK enum err keeper_message_decode(struct keeper_message_reply reply, struct slice body,
                                          struct arena *arena, struct keeper_result *result);

#endif
