/* A gate: connections of clients on a shard of their own. It frames and decodes requests, checks
 * the records of a Produce, sends what the broker answers, and makes writes for it; it decides
 * nothing.
 *
 *   net --> gate --> mailbox --> gates (the broker's shard)
 *
 * What is read and not yet answered is limited for each connection, as without gates; above that it
 * is not read. Where frames of more than lent_bytes_max are with the broker, because its disk or
 * its shard is behind, each connection waits for the answer to its last one.
 *
 * Memory: the shard's heap: frames and decoded requests until the broker is done with them. Shard:
 * its own.
 */
#ifndef SERVER_BROKER_GATE_H
#define SERVER_BROKER_GATE_H

#include "broker/record_unpacker.h"
#include "server/broker/broker_config.h"
#include "server/broker/gate_call.h"
#include "shard/shard.h"

enum { gate_mail_count_default = 4096, gate_lent_bytes_default = 16 << 20 };

struct gate_connection {
    struct list link; /* In the gate's connections. */
    struct list calls;
    struct gate *gate;
    struct net_connection *net;
    struct gate_visit *visit;
    uint32_t hold_count; /* Of calls that let no other one start. */
    bool is_paused;
};

/* Checks that take more than one turn. */
struct gate_checks {
    struct list calls;
    struct io_op turn;
    bool is_armed;
};

struct gate {
    struct shard *shard;
    const struct broker_config *config;
    struct net *net; /* NULL once closed. */
    struct mailbox *inbox;
    uint32_t mail_count_max; /* Of each of the two mailboxes. */
    struct postbox out;
    struct list connections;
    struct list free; /* Calls. */
    uint32_t free_count;
    uint32_t call_count; /* Not ended. */
    uint64_t lent_bytes; /* Of their frames. */
    uint64_t lent_bytes_max;
    uint32_t visit_count; /* Not left. */
    uint32_t write_count; /* Of the broker's, in flight. */
    struct gate_checks checks;
    struct record_unpacker_idle unpackers;
    struct letter stopped_letter;
    bool is_connected; /* The broker has said hello. */
    bool is_stopping;
    bool is_closing;
    bool is_stopped; /* Nothing of the broker's is here any more. */
};

/* On the shard's thread. Keeps shard and config. mail_count_max: a power of two. ERR_NO_MEMORY. */
MUST_CHECK enum err gate_init(struct gate **gate, struct shard *shard,
                              const struct broker_config *config, uint32_t mail_count_max);

/* When it is stopped, or was never added to a broker, and its mailbox is not used. NULL is allowed.
 */
void gate_deinit(struct gate *gate);

/* ---- For gate_check. ---- */

/* Its records are checked: it goes to the broker. */
void gate_post(struct gate_call *call);

/* Something has ended that the end may have waited for. */
void gate_end_if_over(struct gate *gate);

#endif
