/* Producer ids: taken from blocks of a thousand, which brokers reserve one after the other in
 * /latest_producer_id_block. Apache's brokers have the controller reserve theirs.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_PRODUCER_IDS_H
#define SERVER_BROKER_PRODUCER_IDS_H

#include "server/broker/control.h"
#include "server/broker/zk_session.h"

#include <stdalign.h>

struct producer_ids {
    struct zk_session *session;
    struct diag *diag;
    int32_t broker_id;
    int64_t next;       /* The first not given away. */
    int64_t block_last; /* Below next: no block. */
    int64_t wanted_first;
    struct list waiting; /* producer_id_request */
    struct list blocks;  /* producer_block_request, whole blocks for other brokers. */
    struct producer_block_request *block; /* That the reservation under way is for; or null. */
    bool is_reserving;
    struct zk_request request;
    alignas(16) uint8_t memory[256];
};

void producer_ids_init(struct producer_ids *ids, struct zk_session *session, struct diag *diag,
                       int32_t broker_id);
void producer_ids_take(struct producer_ids *ids, struct producer_id_request *request);

/* One block after the other: two for one broker at a time could not be told apart. */
void producer_ids_take_block(struct producer_ids *ids, struct producer_block_request *request);

#endif
