/* Answers as frames: length, header, body, in one message for net.
 *
 * Memory: messages from the heap given; NULL: its limit is reached. Shard: stateless.
 */
#ifndef SERVER_KEEPER_REPLY_FRAME_H
#define SERVER_KEEPER_REPLY_FRAME_H

#include "keeper/keeper.h"
#include "net/net.h"
#include "wire/gen/zk.h"

/* A header alone, as for every code but zero. */
struct net_message *reply_frame_header(struct heap *heap, const struct zk_reply_header *header);

/* A header and the record, or without header (NULL) for the answer to a connect request. */
struct net_message *reply_frame_record(struct heap *heap, const struct zk_reply_header *header,
                                       const struct wire_record *record, int version,
                                       const void *value);

/* The answer to a read of the type. header->err is the reply's code. */
struct net_message *reply_frame_read(struct heap *heap, struct zk_reply_header *header,
                                     int32_t type, const struct keeper_reply *reply);

/* The answer to an applied write. */
struct net_message *reply_frame_write(struct heap *heap, struct zk_reply_header *header,
                                      int32_t type, const struct txn_result *result);

#endif
