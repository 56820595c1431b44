/* The check of a Produce's records at the gate: structure, checksums and what is inside compressed
 * batches, in turns, so that the broker's shard need not touch the records.
 *
 * What a topic's settings have to say is noted as record_facts, and judged by the broker. So
 * nothing is refused here: where a check fails, or the facts do not suffice, the broker checks
 * again, as without gates, and finds the words.
 *
 * Memory: the call's. Shard: the gate's.
 */
#ifndef SERVER_BROKER_GATE_CHECK_H
#define SERVER_BROKER_GATE_CHECK_H

#include "server/broker/gate_call.h"

/* Checks what there is to check, now or in turns, and then posts the call. */
void gate_check_begin(struct gate_call *call);

/* Ends a check that is under way; the call is not posted. */
void gate_check_cancel(struct gate_call *call);

#endif
