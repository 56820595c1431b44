/* The bytes of one connection on their way out: messages in order, coalesced into as few operations
 * as their cuts allow.
 *
 *      messages: [ data ] [ data | cut | data ] [ data | cut ] [ data ]
 *      ops:      IO_SEND_FILE .......... IO_SEND_FILE ........ IO_SEND
 *
 * One operation is in flight at a time.
 *
 * Memory: one block from the heap while an operation is in flight. Shard: one owner.
 */
#ifndef NET_NET_SENDER_H
#define NET_NET_SENDER_H

#include "net/net.h"

enum {
    net_sender_op_bytes_max = 1 << 20,
    net_sender_vector_count_max = 48,
    net_sender_block_bytes = 8192, /* Of the message that small pieces share. */
};

struct net_sending;

struct net_sender;

struct net_sender_options {
    struct io *io;
    struct heap *heap;
    /* An operation has ended: bytes or a negative errno. */
    void (*on_sent)(struct net_sender *sender, int64_t result);
};

struct net_sender {
    const struct net_sender_options *options; /* One for many. */
    struct list messages;        /* Of struct net_message; the first may be partly sent. */
    uint32_t first_position;     /* Bytes of the first message's data already sent. */
    uint32_t first_cut_index;    /* Its cuts already sent, and of the next one */
    uint64_t first_cut_sent;     /* so many bytes. */
    uint64_t unsent_bytes;       /* Cuts too. */
    uint64_t sent_bytes;         /* By operations that have ended. */
    struct net_sending *sending; /* NULL: no operation is in flight. */
};

/* Keeps options. */
void net_sender_init(struct net_sender *sender, const struct net_sender_options *options);

/* Takes message: behind all others. */
void net_sender_add(struct net_sender *sender, struct net_message *message);

/* Room for size bytes, above zero, behind all others, in the last message if it has room; the
 * caller fills it before anything else happens. NULL: the heap's limit is reached. */
uint8_t *net_sender_extend(struct net_sender *sender, size_t size);

/* Starts an operation if none is in flight and there is something to send. False: the heap's limit
 * is reached. */
MUST_CHECK bool net_sender_flush(struct net_sender *sender, int32_t handle);

/* Bytes that the peer's end has taken so far, those of the operation in flight too. */
uint64_t net_sender_progress(const struct net_sender *sender);

/* Everything was sent. */
bool net_sender_is_empty(const struct net_sender *sender);

/* Drops all messages, once no operation is in flight. */
void net_sender_clear(struct net_sender *sender);

#endif
