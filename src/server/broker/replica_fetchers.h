/* The follower's side of replication: what this broker follows is fetched from its leaders and
 * copied into its stores.
 *
 *   partition_table (FOLLOW) --> struct followed --> a replica_fetcher for its leader
 *
 *   followed:  WAITING --> FETCHING <--> PAUSED                  after an error, or too fast
 *                              `--> ASKING (ListOffsets) --.     our end is not within the leader's
 * log
 *                              `--> CUTTING <--------------'     our end is not the leader's
 *                              `--> FAILED                       until the controller speaks again
 *
 *   fetcher:   Fetch, one at a time, in a session (KIP-227): the request names what has changed,
 * the reply what there is; records are appended from the receive buffer; when all of them are as
 * durable as acks=all promises, the next Fetch says so.
 *
 * So an idle partition costs nothing, and one that is stuck does not hold up others.
 *
 * Memory: some 400 bytes for each followed partition, one struct for each leader and fetcher.
 * Shard: one owner.
 */
#ifndef SERVER_BROKER_REPLICA_FETCHERS_H
#define SERVER_BROKER_REPLICA_FETCHERS_H

#include "server/broker/broker_link.h"
#include "server/broker/delay_queue.h"
#include "server/broker/partition_store.h"
#include "server/broker/partition_table.h"

struct broker_server;
struct replica_fetcher;

enum followed_state {
    FOLLOWED_WAITING, /* For appends of the time before, or a truncation. */
    FOLLOWED_FETCHING,
    FOLLOWED_PAUSED, /* After an error, or held back by its quota. */
    FOLLOWED_ASKING,
    FOLLOWED_CUTTING,
    FOLLOWED_FAILED
};

/* One partition that is followed, or was and still has something in flight. */
struct followed {
    struct list link;       /* In its fetcher's members; alone once it is gone. */
    struct hash_link by_id; /* In fetchers->by_id, if its topic has one. */
    struct list change_link;
    struct list forget_link;
    struct list throttle_link; /* In its fetcher's throttled. */
    struct replica_fetcher *fetcher;
    struct partition *partition; /* NULL: it is not followed any more. */
    struct partition_store *store;
    struct slice topic; /* Behind this struct. */
    struct uuid topic_id;
    int32_t index;
    int32_t leader_epoch;
    int32_t sent_leader_epoch; /* In the session. */
    int64_t sent_log_start_offset;
    enum followed_state state;
    bool in_session;     /* The leader knows of it. */
    bool is_appending;   /* append is in flight. */
    uint32_t hold_count; /* What of it is in flight or in the fetcher's forgotten. */
    int16_t last_code;   /* Of the last diag line. */
    struct delay delay;
    uint64_t pause_ms; /* The last one since the leader's last good answer; 0: there was none. */
    int64_t leader_high_watermark; /* followed_unheard: it has not said yet. */
    int64_t leader_log_start_offset;
    struct partition_append append;
};

/* What partitions of one leader have met in one reply: one diag line for all of them. */
struct fetch_trouble {
    uint32_t count;
    int16_t code;
    const char *what;
    const char *then;
    const struct followed *first;
};

/* What is fetched over one connection from one leader. */
struct replica_fetcher {
    struct list link; /* In fetchers->list. */
    struct replica_fetchers *fetchers;
    int32_t leader;
    uint32_t number;
    struct broker_link peer;
    struct link_request request;
    struct delay pause;
    struct list members;
    struct list changed;     /* To be named in the next request: FETCHING. */
    struct list forgotten;   /* To be named as forgotten. */
    struct list spent;       /* Gone, and named so in the request that is under way. */
    struct list throttled;   /* Members that the quota may hold back. */
    uint32_t nameless_count; /* Members of topics without an id. */
    uint32_t fetching_count;
    uint32_t forgotten_count;
    bool is_sent;
    bool sends_ids;         /* The session goes by topic ids. */
    uint32_t refused_count; /* Sessions that the leader did not take, in a row. */
    int32_t session_id;
    int32_t session_epoch; /* 0: all partitions are named. */
    struct broker_link_reply *reply;
    uint32_t append_count; /* Of the reply, in flight. */
    bool is_reading;       /* A reply: troubles gather. */
    struct fetch_trouble trouble;
    void *scratch; /* The arrays of the request. */
};

struct replica_fetchers {
    struct broker_server *server;
    struct list list;
    struct hash_table by_id; /* What is followed, by topic id and index. */
    bool is_stopping;
};

/* ERR_NO_MEMORY. Keeps server, whose heap, seed and config are there. */
MUST_CHECK enum err replica_fetchers_init(struct replica_fetchers *fetchers,
                                          struct broker_server *server);

/* Nothing is fetched any more; before the net and the delays end. */
void replica_fetchers_stop(struct replica_fetchers *fetchers);
void replica_fetchers_deinit(struct replica_fetchers *fetchers);

/* Follows the leader that state names, from now on; none: waits for the controller. False: no
 * memory. */
MUST_CHECK bool replica_fetchers_follow(struct replica_fetchers *fetchers,
                                        struct partition *partition,
                                        const struct partition_state *state);

/* The partition is not followed any more: led, stopped or deleted. */
void replica_fetchers_leave(struct partition *partition);

/* Something of the store has moved. */
void replica_fetchers_on_progress(struct partition *partition);

/* Whether the quota of followers counts for the partition has been decided anew. */
void replica_fetchers_throttle(struct partition *partition);

/* ---- Between the two files. ---- */

/* Below every high watermark: an append of the epoch before may end now. */
static const int64_t followed_unheard = -1;
enum {
    followed_frozen_ms = 10
}; /* Before it is tried again while another store takes its place. */

/* Goes on fetching, if nothing is in the way. */
void followed_activate(struct followed *followed);
/* Not before so much time has passed. */
void followed_hold(struct followed *followed, int64_t wait_ms);
/* Not before the back-off is over. */
void followed_pause(struct followed *followed, int16_t code, const char *what);
void followed_fail(struct followed *followed, int16_t code, const char *what);
void followed_cut(struct followed *followed, int64_t offset, bool begins_anew);
void followed_ask(struct followed *followed);
/* Says what has gathered. */
void replica_fetcher_tell(struct replica_fetcher *fetcher);
/* NULL: it is not followed. */
struct followed *replica_fetchers_find(const struct replica_fetchers *fetchers,
                                       const uint8_t topic_id[16], int32_t index);
/* What was in flight has ended; gives back one that is gone. */
void followed_release(struct followed *followed);

void replica_fetcher_init(struct replica_fetcher *fetcher, struct replica_fetchers *fetchers,
                          int32_t leader, uint32_t number);
void replica_fetcher_close(struct replica_fetcher *fetcher);
/* A member may be fetched from now on, or has changed; or may not. */
void replica_fetcher_add(struct replica_fetcher *fetcher, struct followed *followed);
/* The leader is told where our log begins, for DeleteRecords. */
void replica_fetcher_note_start(struct followed *followed);
void replica_fetcher_remove(struct replica_fetcher *fetcher, struct followed *followed);
void replica_fetcher_pump(struct replica_fetcher *fetcher);

#endif
