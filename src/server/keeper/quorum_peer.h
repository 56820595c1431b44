/* A server among others: it looks for a leader, leads or follows, and looks again.
 *
 *   draining --> looking --(elector)--> leading or learning --(zab: ZAB_LOOK)--> draining
 *
 * The decisions are zab's and fast_election's; this part carries them out: it is the driver between
 * the machines and the election port, the quorum port, the journal and the tree. Draining means
 * that what is logged and not committed is applied: the history of a server is its log.
 *
 * Memory: embedded; effects that wait, from the heap. Shard: the server's.
 */
#ifndef SERVER_KEEPER_QUORUM_PEER_H
#define SERVER_KEEPER_QUORUM_PEER_H

#include "server/keeper/elector.h"
#include "server/keeper/ensemble_file.h"
#include "server/keeper/epoch_files.h"
#include "server/keeper/keeper_server.h"
#include "server/keeper/learner_sync.h"
#include "server/keeper/quorum_port.h"
#include "zab/zab.h"

struct keeper_write;
struct keeper_write_request;
struct observer_master;
struct quorum_text;

enum { quorum_peer_address_bytes_max = 300 };

enum quorum_peer_phase {
    QUORUM_PEER_DRAINING, /* What is on its way to the disk comes to an end. */
    QUORUM_PEER_LOOKING,
    QUORUM_PEER_LEADING,
    QUORUM_PEER_LEARNING,
    QUORUM_PEER_STOPPED,
};

/* Whom a leader leads: the user of a link. */
struct quorum_learner {
    struct ensemble_learner facts;
    struct learner_sync sync;
    uint64_t sent_count_told; /* Of its link's. */
};

/* A ring of effects; after_write grows from the first to the last. */
struct quorum_held {
    struct zab_effect *items; /* [capacity] */
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* A power of two, or 0. */
};

struct quorum_peer {
    struct keeper_server *server;
    enum quorum_peer_phase phase;
    int64_t self_id;
    struct ensemble ensemble;      /* In force. */
    struct quorum_text *text;      /* It as servers tell each other, which has its hosts. */
    struct ensemble next;          /* Logged, and not yet in force. */
    struct quorum_text *next_text; /* NULL: there is none. */
    struct list texts;             /* Of quorum_text: those, and older ones that are in use. */
    int64_t heard_version; /* Learner: of the members that its leader has told of; 0: none. */
    uint64_t retire_at_ns; /* When a leader that shall not go on leaves; 0: it may. */
    struct ensemble_file file;
    char self_address[quorum_peer_address_bytes_max]; /* "host:port" of the election port. */
    struct elector elector;
    struct quorum_port port;
    bool is_port_open;
    struct zab zab;
    struct zab_effects effects;
    bool is_stepping; /* Effects are being carried out: events wait. */
    struct zab_event *events;
    uint32_t event_count;
    uint32_t event_capacity;

    struct epoch_files epochs;

    uint64_t ticket;         /* Of the last question whether we still lead. */
    uint64_t written_seq;    /* Writes of zab that are durable; */
    struct zab_effect write; /* and one that is no transaction, while it is under way, */
    bool has_write;          /* or waits for those before it. */
    bool is_write_started;
    uint64_t streamed_at_ns;      /* When bytes of the leader's snapshot came last. */
    struct quorum_held held_acks; /* Effects that wait for a write: ACKs, one for each of many, */
    struct quorum_held held;      /* and the few others, which do not wait for later ones. */

    uint64_t loss_line_ms; /* Leader: when it last wrote a line about a learner that is gone; */
    uint64_t loss_untold;  /* those without a line since then. */

    struct observer_master *master; /* NULL: no observer has been let in yet. */
    struct member_route leader_route;
    int64_t master_id;    /* Learner: whom it learns from, the leader or one that follows it. */
    uint64_t master_turn; /* Observer: who of the voters is tried next. */
    struct io_address leader_address; /* Where it was dialled last. */
    uint64_t dial_until_ms;
    bool is_leader_up;        /* It was reached once, or is ourselves. */
    const char *leave_reason; /* The role ends when the effects at hand are carried out. */
    uint64_t leader_link;     /* 0: none. */
    int64_t leader_id;        /* -1: none. */
    int64_t epoch;            /* Established; 0: not yet. */
    uint32_t failure_count;   /* Terms in a row that ended before they were established. */
    uint64_t dial_at_ms;      /* Not before. */
    uint32_t dial_count;      /* In this term. */
    struct io_op timer;
    bool is_timing;
    uint64_t looking_since_ns;
    uint64_t sync_since_ns; /* Learner: since it has the leader's epoch. */
    bool is_unavailable;    /* Nobody has been served ... */
    uint64_t unavailable_since_ns;
};

/* Joins the ensemble of server->config, behind keeper_load. Waits for names and ports: at start
 * only. ERR_BUSY: the election port is in use; ERR_NOT_FOUND: our own host is unknown; ERR_CORRUPT:
 * the epochs do not fit the log; ERR_NO_MEMORY, ERR_PERMISSION, ERR_IO; told by diag. */
MUST_CHECK enum err quorum_peer_start(struct quorum_peer **peer, struct keeper_server *server);

/* Gives up its role and closes its ports. What is in flight ends soon. */
void quorum_peer_stop(struct quorum_peer *peer);
bool quorum_peer_is_idle(const struct quorum_peer *peer);

/* Takes a stopped one. */
void quorum_peer_free(struct quorum_peer *peer);

/* ---- for the way of a write ---- */

/* Leader: a write was prepared and is in server->writes. */
void quorum_peer_propose(struct quorum_peer *peer, int64_t zxid);

/* Learner: sends it to the leader; also a sync, whose barrier was made before. */
void quorum_peer_forward(struct quorum_peer *peer, const struct keeper_write_request *request);

/* The journal has it for good. */
void quorum_peer_on_written(struct quorum_peer *peer, uint64_t write_seq);

/* No write is on its way. */
void quorum_peer_on_drained(struct quorum_peer *peer);

/* Leader: asks whether we still lead; keeper_write_confirm hears the answer, with this ticket or a
 * later one. */
uint64_t quorum_peer_ask(struct quorum_peer *peer);

/* Answers a learner's sync: all that was proposed before it is committed. A follower's, to an
 * observer: the leader says so. */
void quorum_peer_end_barrier(struct quorum_peer *peer, uint64_t link);

/* Who owns the sessions of a learner's clients, see session_table_check. */
static inline uint64_t quorum_peer_owner(uint64_t link)
{
    return link | UINT64_C(1) << 63;
}

/* ---- for clients ---- */

/* Learner: asks whether the session may go on here; client_session_on_revalidated answers. */
void quorum_peer_revalidate(struct quorum_peer *peer, int64_t session_id, int32_t timeout_ms);

/* ---- for its parts ---- */

/* Hands the event to zab and carries out what comes of it; while that is done already, later. */
void quorum_peer_post(struct quorum_peer *peer, const struct zab_event *event);

/* The packets that are not zab's: requests, revalidations, syncs. False: it is zab's. */
bool quorum_requests_take(struct quorum_peer *peer, struct quorum_link *link,
                          const struct zk_quorum_packet *packet);

/* Follower: what an observer's client asks for goes on to the leader: REQUEST, REVALIDATE. False:
 * it does not; what cannot closes the observer's link. */
bool quorum_requests_pass_on(struct quorum_peer *peer, struct quorum_link *observer,
                             const struct zk_quorum_packet *packet);

/* Learner: answers a ping with the sessions that have been heard of since the last one. Leader:
 * these sessions live. */
void quorum_requests_ping_back(struct quorum_peer *peer, uint64_t link, int64_t zxid);
void quorum_requests_touch(struct quorum_peer *peer, struct slice sessions);

/* --- the members, and how they change --- */

/* The own line of the members in force; as at the start, if they have none. */
const struct ensemble_member *quorum_peer_self(const struct quorum_peer *peer);

/* Those of the configuration. Waits for the disk: at start only. ERR_NO_MEMORY, ERR_IO. */
MUST_CHECK enum err quorum_reconfig_init(struct quorum_peer *peer);
void quorum_reconfig_deinit(struct quorum_peer *peer);

/* "host:port" of the own election port, as others dial it. Lends, until it is called again. */
struct slice quorum_reconfig_self_address(struct quorum_peer *peer);

/* /zookeeper/config tells of the members in force. */
void quorum_reconfig_show(struct quorum_peer *peer);

/* What a leader tells its learners of the members. Lends. */
struct slice quorum_reconfig_offer(const struct quorum_peer *peer);

/* Leader: what is asked for, as the text of the transaction zxid, in the server's arena, or why
 * not. */
enum code quorum_reconfig_judge(struct quorum_peer *peer, const struct zk_reconfig_request *request,
                                int64_t zxid, struct slice *text);

/* The text is about to be proposed, or logged: from now on it needs a quorum too. */
void quorum_reconfig_propose(struct quorum_peer *peer, struct slice text);

/* Without a role: what is logged and not in force is next. */
void quorum_reconfig_look(struct quorum_peer *peer);

/* It is committed, and who shall lead now: it is in force. */
void quorum_reconfig_activate(struct quorum_peer *peer, int64_t zxid, int64_t designated_id);

/* Leader: established; and, from time to time: whether it shall not go on. */
void quorum_reconfig_establish(struct quorum_peer *peer);
void quorum_reconfig_retire(struct quorum_peer *peer);

/* Looking: what another server has in force; in force here too, if it is newer. */
bool quorum_reconfig_adopt(struct quorum_peer *peer, struct slice text);

/* Learner: what its leader tells of the members, in force when it serves. False: it must not. */
void quorum_reconfig_hear(struct quorum_peer *peer, struct slice text);
MUST_CHECK bool quorum_reconfig_serve(struct quorum_peer *peer);

/* One effect of zab. */
void quorum_effect_carry_out(struct quorum_peer *peer, const struct zab_effect *effect);

/* The packet of a ZAB_SEND or ZAB_SEND_TXN. */
void quorum_effect_send(struct quorum_peer *peer, struct quorum_link *link,
                        const struct zab_effect *effect);

/* The user of the link of a learner is made, or none: then the link is closed; and goes. */
void quorum_peer_add_learner(struct quorum_peer *peer, struct quorum_link *link);
void quorum_peer_remove_learner(struct quorum_peer *peer, struct quorum_link *link);

/* A port with the limits of the peer's own. ERR_NO_MEMORY. */
MUST_CHECK enum err quorum_peer_init_port(struct quorum_peer *peer, struct quorum_port *port,
                                          struct quorum_port_handler handler);

/* Packets that waited for writes up to written_seq leave; and a write that waited starts. */
void quorum_effect_on_written(struct quorum_peer *peer);

/* What people see. A packet was sent, or has come; a role was looked for, found, taken, given up.
 */
void quorum_figures_on_sent(struct quorum_peer *peer, int32_t type);
void quorum_figures_on_packet(struct quorum_peer *peer, int32_t type);
void quorum_figures_on_look(struct quorum_peer *peer);
void quorum_figures_on_decided(struct quorum_peer *peer);
void quorum_figures_on_role(struct quorum_peer *peer, enum ensemble_role role);
void quorum_figures_on_role_end(struct quorum_peer *peer);

/* Leader: the facts of its learners are brought up to date. */
void quorum_figures_tell_learners(struct quorum_peer *peer);

/* The role has ended. */
void quorum_peer_leave(struct quorum_peer *peer, const char *reason);

#endif
