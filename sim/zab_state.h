/* The state of a cluster of ZAB machines as a few hundred bytes, the same for states that differ
 * only in what cannot matter: for the explorer, which keeps and compares very many.
 *
 * - Time stands still, so there are no deadlines and nothing that only times an acknowledgement.
 * - Links are numbered anew, by who learns, who leads, and age; a leader's learners lie in the same
 *   order. It sends to each on a link of its own, so their order does not matter.
 * - Writes are numbered from the last durable one. Which one that was is forgotten.
 * - What a phase or a role does not read any more is left out.
 * Servers keep their identities. What was ever committed and who was established belong to the
 * state, as the checks read them.
 *
 * Memory: the caller's. Shard: any.
 */
#ifndef SIM_ZAB_STATE_H
#define SIM_ZAB_STATE_H

#include "sim/zab_cluster.h"

enum { zab_state_bytes_max = 8192, zab_state_epoch_max = 32 };

/* The size of what it wrote, at most zab_state_bytes_max. All servers are up and voters. */
uint32_t zab_state_write(struct zab_cluster *cluster, uint8_t *bytes);

/* Into a cluster that was initialised with the same options. Returns what it took from bytes. */
uint32_t zab_state_read(struct zab_cluster *cluster, const uint8_t *bytes);

#endif
