/* The network between nodes: byte streams, cut anywhere, with a delay of their own in each
 * direction, that break, stall and end in every way TCP allows.
 *
 * Segments of one direction arrive in order. A blocked link holds them back (as retransmission
 * does) until it heals or the connection times out. A node that lost power says nothing: its peers
 * learn of it when they send and it is up again, or by their own timeouts.
 *
 * Memory: the world's heap; sockets stay until the world ends. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_NET_H
#define SIM_SIM_NET_H

#include "io/io.h"
#include "sim/sim.h"

struct sim_net;
struct sim_pending;
struct sim_socket;

enum { sim_port_first = 40000 };

struct sim_net *sim_net_make(struct sim *sim);

/* Takes over an operation on a socket. */
void sim_net_submit(struct sim_net *net, struct sim_pending *pending);

/* pending is called off: its socket no longer knows it. */
void sim_net_forget(struct sim_net *net, struct sim_pending *pending);

int32_t sim_net_listen(struct sim_net *net, struct sim_node *node, struct io_address *address,
                       uint32_t backlog);
void sim_net_shutdown(struct sim_net *net, struct sim_socket *socket);
int sim_net_resolve(struct sim_net *net, const char *host, uint16_t port, struct io_address *out);

/* The node's process is gone; silently if it lost power. */
void sim_net_end_node(struct sim_net *net, struct sim_node *node, bool silently);

/* The address of a node. */
struct io_address sim_net_address(uint32_t node_index, uint16_t port);

/* ---- Faults. ---- */

/* Nothing gets from one node to the other, in this direction, until healed. */
void sim_net_block(struct sim *sim, uint32_t from, uint32_t to);

/* Every link works again. */
void sim_net_heal(struct sim *sim);

/* Blocks all links between nodes of the set and the others, both ways. */
void sim_net_partition(struct sim *sim, uint32_t node_set);

/* Resets every connection of the node. */
void sim_net_reset(struct sim *sim, uint32_t node_index);

#endif
