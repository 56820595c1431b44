/* What a broker does when one of its log directories fails (KIP-112): the partitions there are
 * neither led nor followed any more, the controller is told, and the broker goes on with the
 * others.
 *
 * It happens from the loop: a failure is found in the middle of anything.
 *
 * Memory: its own. Shard: its server's.
 */
#ifndef SERVER_BROKER_DIRECTORY_LOSS_H
#define SERVER_BROKER_DIRECTORY_LOSS_H

#include "server/broker/delay_queue.h"

struct broker_server;

struct directory_loss {
    struct broker_server *server;
    struct delay delay;
};

void directory_loss_init(struct directory_loss *loss, struct broker_server *server);

/* A log directory is offline. Nothing happens before the control side is there: note it again then.
 */
void directory_loss_note(struct directory_loss *loss);

#endif
