/* A ZooKeeper client that is written straight down, for workloads: what it is told stays in its
 * fields for the oracle to judge.
 *
 * It knows frames, sessions and xids, and checks nothing.
 *
 * Memory: the node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_KEEPER_CLIENT_H
#define SIM_SIM_KEEPER_CLIENT_H

#include "sim/sim_link.h"
#include "wire/gen/zk.h"

enum sim_keeper_connect {
    SIM_KEEPER_FAILED,
    SIM_KEEPER_NEW,
    SIM_KEEPER_RESUMED,
    SIM_KEEPER_EXPIRED
};

struct sim_keeper_client {
    struct sim_link link;
    struct heap *heap;
    struct arena arena; /* Of the latest reply. */
    uint8_t *frame;     /* Of the request at hand. */
    int64_t session_id; /* 0: none. */
    uint8_t password[16];
    int32_t timeout_ms;
    bool may_read_only;   /* It says that reading is enough for it, */
    bool is_at_read_only; /* and is told that it gets no more. */
    int64_t last_zxid;
    int32_t xid;
    /* Sees each request, from its header on, before it leaves. May be NULL. */
    void (*on_request)(void *context, struct slice request);
    void *context;
};

enum { sim_keeper_frame_bytes = 1 << 16 };

struct sim_keeper_reply {
    int32_t xid; /* -1: an event. */
    int64_t zxid;
    int32_t code;
    struct slice body; /* Lends: until the next call. */
};

void sim_keeper_client_init(struct sim_keeper_client *client, struct io *io, struct heap *heap);

/* Dials, and resumes the session it has, or asks for a new one. EXPIRED: the session is gone; it is
 * forgotten, dial again for a new one. */
enum sim_keeper_connect sim_keeper_client_connect(struct sim_keeper_client *client,
                                                  struct io_address address, int32_t timeout_ms);

/* One request; its xid, or 0: the connection is broken. record NULL: no body. */
int32_t sim_keeper_client_send(struct sim_keeper_client *client, int32_t type,
                               const struct wire_record *record, const void *value);

/* The same with an xid that says what it is: a ping (-2), an auth packet (-4), watches (-8). */
int32_t sim_keeper_client_send_as(struct sim_keeper_client *client, int32_t xid, int32_t type,
                                  const struct wire_record *record, const void *value);

/* A multi, or a multi_read, of parts. */
struct sim_keeper_part {
    int32_t type;
    const struct wire_record *record;
    const void *value;
};
int32_t sim_keeper_client_send_multi(struct sim_keeper_client *client, int32_t type,
                                     const struct sim_keeper_part *parts, uint32_t part_count);

/* The next reply or event. False: nothing in time, or the connection is broken. */
bool sim_keeper_client_receive(struct sim_keeper_client *client, struct sim_keeper_reply *reply,
                               uint64_t timeout_ns);

/* The body of a reply. False: it is not such a record. */
MUST_CHECK bool sim_keeper_client_decode(struct sim_keeper_client *client,
                                         const struct wire_record *record, struct slice body,
                                         void *out);

#endif
