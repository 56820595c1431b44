/* A link of a leader's whose other end does nothing but listen: for tests of what is put on it, and
 * in what portions. Both ends are on one machine.
 *
 * Memory: the node's heap, and a large buffer in place. Shard: the node's.
 */
#ifndef SIM_FAKE_LINK_H
#define SIM_FAKE_LINK_H

#include "server/keeper/quorum_port.h"

#include "sim/sim_node.h"

enum { fake_link_bytes_max = 32 << 20 };

struct fake_link {
    struct quorum_port near;
    struct quorum_port far;
    struct sim_node *node;
    struct quorum_link *link; /* The leader's; NULL: it is down. */
    struct quorum_link *other;
    const char *closed; /* Why. */
    size_t size;        /* Of all that ever came. */
    size_t taken;
    uint8_t bytes[fake_link_bytes_max];
};

/* Until both ends are up. */
void fake_link_open(struct fake_link *fake, struct sim_node *node, struct diag *diag);
void fake_link_close(struct fake_link *fake);

/* The next packet; lends its data. False: it has not come, or not whole. */
bool fake_link_next(struct fake_link *fake, struct zk_quorum_packet *packet);

#endif
