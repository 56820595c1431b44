/* Somebody who waits for news of a partition: a link in one of its lists, and what to call.
 *
 * Memory: a field of whoever waits. Shard: the partition's.
 */
#ifndef BROKER_PARTITION_WAITER_H
#define BROKER_PARTITION_WAITER_H

#include "base/list.h"

struct partition_waiter {
    struct list link;
    /* There is news. May be called again and again until the waiter removes itself. */
    void (*wake)(struct partition_waiter *waiter);
};

#endif
