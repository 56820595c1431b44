/* Changes of the ISR on their way to the controller: AlterPartition.
 *
 * Partitions wait here for their turn; whatever waits goes in one request, and one request is in
 * flight at a time. The controller is asked directly where it is this broker itself. An answer
 * that says nothing about a partition, or an error for the whole request (another controller, a
 * lost connection), puts it back: it is asked again, less and less often, until there is an answer
 * or an order of the controller has made the change pointless. A broker without a session is told
 * STALE_BROKER_EPOCH until it has registered anew.
 *
 * This is KIP-497, the only way from the protocol of 2.7 on. Before that, leaders wrote the state's
 * znode and /isr_change_notification themselves, which is left out.
 *
 * Memory: the request in flight, from the heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_ISR_CHANGES_H
#define SERVER_BROKER_ISR_CHANGES_H

#include "server/broker/broker_link.h"
#include "server/broker/delay_queue.h"

struct broker_server;
struct isr_batch;
struct partition;

enum {
    isr_changes_batch_max = 1000, /* Partitions in one request. */
    isr_changes_again_ms = 50, /* After an error of the whole request; twice as long each time, */
    isr_changes_again_ms_max = 1000
};

struct isr_changes {
    struct broker_server *server;
    struct list waiting; /* Partitions, by change_link. */
    struct isr_batch *batch;
    struct delay again;
    uint32_t again_ms;       /* How long the next wait takes. */
    int16_t trouble_told;    /* Why it was asked again last. */
    struct broker_link link; /* To the controller. */
    bool has_link;
    bool is_stopped;
};

void isr_changes_init(struct isr_changes *changes, struct broker_server *server);
void isr_changes_stop(struct isr_changes *changes);

/* The partition's replica set has a change under way: it will be asked for. */
void isr_changes_add(struct isr_changes *changes, struct partition *partition);

#endif
