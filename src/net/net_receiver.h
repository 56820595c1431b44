/* The bytes of one connection on their way in, cut into frames where they lie.
 *
 *      buffer:  [ parsed frames | length, part of a frame | room for more ]
 *                               ^ parsed                  ^ filled        ^ capacity
 *
 * A quiet connection holds a small buffer, a busy one a large one. A frame that does not fit moves,
 * as far as it has come, into a buffer of its own. That one grows with the bytes that arrive, to
 * the larger of net_receiver_step_bytes and twice what came, whatever length the frame declares.
 * Bytes move at most once otherwise, and frames that others still hold are left alone.
 *
 * It knows neither sockets nor protocols, so that it can be tested and fuzzed with plain bytes.
 *
 * Memory: one buffer from the pool. Shard: one owner.
 */
#ifndef NET_NET_RECEIVER_H
#define NET_NET_RECEIVER_H

#include "net/net.h"
#include "net/net_pool.h"

enum {
    net_receiver_quiet_bytes = 128, /* Of a quiet connection's buffer, headers and all. */
    net_receiver_step_bytes = 64 * 1024,
    net_receiver_length_bytes = 4,
};

struct net_receiver {
    struct net_pool *pool;
    struct net_buffer *buffer; /* NULL until the first net_receiver_reserve. */
    uint32_t filled;
    uint32_t parsed;
    uint32_t frame_length; /* Valid if has_length. */
    uint32_t raw_wanted;   /* Unframed: bytes that are awaited from `parsed` on. 0: any. */
    bool has_length;       /* The next frame's length has been judged. */
    bool is_busy;          /* The last bytes filled their room, or nearly. */
};

/* A run of bytes to receive into. */
struct net_room {
    uint8_t *data;
    size_t size;
};

/* Keeps pool. */
void net_receiver_init(struct net_receiver *receiver, struct net_pool *pool);
void net_receiver_deinit(struct net_receiver *receiver);

/* Makes room for the bytes to come; what is there must have been taken or judged. False: the heap's
 * limit is reached. */
MUST_CHECK bool net_receiver_reserve(struct net_receiver *receiver);

/* Lends: until the next call; never empty after a reserve. */
struct net_room net_receiver_room(const struct net_receiver *receiver);

/* size bytes have been put into the room. */
void net_receiver_add(struct net_receiver *receiver, size_t size);

/* True: the length of the next frame is there and has not been judged yet. */
MUST_CHECK bool net_receiver_read_length(const struct net_receiver *receiver, uint32_t *length);

/* The judgement: so many bytes are the next frame. */
void net_receiver_expect(struct net_receiver *receiver, uint32_t length);

/* True: the whole frame was there and is taken. Lends: as long as receiver->buffer is held. */
MUST_CHECK bool net_receiver_take_frame(struct net_receiver *receiver, struct net_room *frame);

/* All bytes that are there, frames or not. Lends: as long as receiver->buffer is held. */
struct slice net_receiver_take_all(struct net_receiver *receiver);

/* The same, if there are as many as are awaited; else nothing. */
struct slice net_receiver_take_raw(struct net_receiver *receiver);

/* The last size bytes of net_receiver_take_all were not wanted yet: until there are `wanted` bytes,
 * or, with 0, until they are taken again. */
void net_receiver_put_back(struct net_receiver *receiver, size_t size, size_t wanted);

/* Whatever is there is enough. */
void net_receiver_await_nothing(struct net_receiver *receiver);

/* Bytes that are there and not taken. */
uint32_t net_receiver_size(const struct net_receiver *receiver);

#endif
