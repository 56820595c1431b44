/* What a broker does first in a keeper: it makes the chroot and the skeleton of znodes that every
 * Kafka broker makes, learns or makes the cluster's id, and gets itself a broker id if it has none.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_BOOTSTRAP_H
#define SERVER_BROKER_BOOTSTRAP_H

#include "base/uuid.h"
#include "server/broker/zk_session.h"

#include <stdalign.h>

enum { bootstrap_path_count = 17, bootstrap_cluster_id_size_max = 64 };

struct bootstrap_handler {
    void (*on_done)(void *context);
    void (*on_failed)(void *context, const char *reason);
    void *context;
};

struct bootstrap_options {
    struct zk_session *session;
    struct io *io;
    struct slice chroot;
    int32_t broker_id; /* -1: generate one. */
    int32_t broker_id_reserved_max;
};

struct bootstrap {
    struct bootstrap_options options;
    struct bootstrap_handler handler;
    int32_t broker_id;
    char cluster_id[bootstrap_cluster_id_size_max + 1];
    size_t chroot_cursor; /* The end of the part of the chroot that is being made. */
    uint32_t open_count;
    bool has_failed; /* A part of the skeleton has. */
    struct zk_request request;
    struct zk_request skeleton[bootstrap_path_count];
    alignas(16) uint8_t memory[512];
    char path[512];
};

void bootstrap_init(struct bootstrap *bootstrap, struct bootstrap_options options,
                    struct bootstrap_handler handler);

/* In the current session; a session that ends takes it along, and it is begun again in the next. */
void bootstrap_begin(struct bootstrap *bootstrap);

#endif
