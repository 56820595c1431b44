/* Reassignments that a tool from before KIP-455 has written into /admin/reassign_partitions: they
 * are begun as if they had been asked for, and the znode is deleted when all have ended.
 *
 * Memory: counted heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_REASSIGNMENT_JOB_H
#define SERVER_BROKER_REASSIGNMENT_JOB_H

#include "server/broker/partition_admin.h"

/* What the znode holds, and its version. What is not readable is said in diag, and stays. */
void reassignment_job_read(struct partition_admin *admin, struct slice data, int32_t version);

#endif
