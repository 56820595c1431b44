#include "sim/raw_learner.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "keeper/txn_codec.h"

#include <stdio.h>

enum {
    election_port_number = 3888,
    quorum_port_number = 2888,
    protocol_version = 0x10000,
    round_ns = 1000000,
    introduction_bytes = 20,
    request_head_bytes = 16,
    request_bytes_max = 1 << 20,
    entry_type_offset = 28, /* Behind session, number, zxid and time. */
};

/* ---- what it says ---- */

static void say_packet(struct raw_learner *learner, struct zk_quorum_packet packet)
{
    if (learner->link != NULL)
        quorum_link_send(learner->link, &packet);
}

void raw_learner_say(struct raw_learner *learner, enum zab_packet_type type, int64_t zxid,
                     struct slice data)
{
    struct zk_quorum_packet packet = {.type = (int32_t)type, .zxid = zxid, .data = data};
    packet.identities.count = -1;
    say_packet(learner, packet);
}

void raw_learner_ack_proposals(struct raw_learner *learner)
{
    while (learner->zxid_acked < learner->zxid_proposed)
        raw_learner_say(learner, ZAB_ACK, ++learner->zxid_acked, SLICE_NULL);
}

void raw_learner_ack_leader(struct raw_learner *learner)
{
    raw_learner_say(learner, ZAB_ACK, learner->epoch << 32, SLICE_NULL);
}

void raw_learner_request(struct raw_learner *learner, int64_t session_id, int32_t type,
                         struct slice body)
{
    static uint8_t data[request_head_bytes + request_bytes_max];
    static struct zk_id anyone = {SLICE_LITERAL("ip"), SLICE_LITERAL("10.0.0.9")};
    struct zk_quorum_packet packet = {.type = ZAB_REQUEST, .zxid = -1};
    assert(body.size <= request_bytes_max);
    store_i64(data, session_id);
    store_i32(data + 8, 1);
    store_i32(data + 12, type);
    if (body.size > 0)
        memcpy(data + request_head_bytes, body.data, body.size);
    packet.data = slice_of(data, request_head_bytes + body.size);
    packet.identities.items = &anyone;
    packet.identities.count = 1;
    say_packet(learner, packet);
}

/* ---- what it hears ---- */

static void on_proposal(struct raw_learner *learner, const struct zk_quorum_packet *packet)
{
    assert(packet->data.size > entry_type_offset + 4);
    if (load_i32(packet->data.data + entry_type_offset) == OP_ERROR) {
        learner->error_count++;
        learner->error_last = load_i32(packet->data.data + txn_header_bytes);
    }
    learner->proposal_count++;
    if (learner->zxid_acked < packet->zxid - 1)
        learner->zxid_acked = packet->zxid - 1; /* The first of an epoch. */
    learner->zxid_proposed = packet->zxid;
    if (!learner->holds_acks)
        raw_learner_ack_proposals(learner);
}

static void on_new_leader(struct raw_learner *learner)
{
    learner->has_new_leader = true;
    learner->current_epoch = learner->epoch;
    if (!learner->holds_leader_ack)
        raw_learner_ack_leader(learner);
}

static void on_packet(void *context, struct quorum_link *link, struct zk_quorum_packet *packet)
{
    struct raw_learner *learner = context;
    uint8_t current_epoch[4];
    if (link != learner->link)
        return;
    store_i32(current_epoch, (int32_t)learner->current_epoch);
    switch (packet->type) {
    case ZAB_LEADER_INFO:
        learner->epoch = packet->zxid >> 32;
        raw_learner_say(learner, ZAB_ACK_EPOCH, learner->zxid_proposed,
                        slice_of(current_epoch, sizeof current_epoch));
        return;
    case ZAB_PROPOSAL: on_proposal(learner, packet); return;
    case ZAB_COMMIT: learner->commit_count++; return;
    case ZAB_NEW_LEADER: on_new_leader(learner); return;
    case ZAB_UP_TO_DATE:
        learner->is_up_to_date = true;
        fast_election_set_epoch(&learner->elector.election, learner->epoch);
        raw_learner_ack_leader(learner);
        return;
    case ZAB_PING:
        if (learner->is_up_to_date)
            raw_learner_say(learner, ZAB_PING, packet->zxid, SLICE_LITERAL(""));
        return;
    case ZAB_DIFF: return;
    default: assert(false && "the leader says what this learner does not expect");
    }
}

static void on_up(void *context, struct quorum_link *link)
{
    struct raw_learner *learner = context;
    uint8_t introduction[introduction_bytes];
    learner->link = link;
    learner->link_count++;
    learner->has_new_leader = learner->is_up_to_date = false;
    store_i64(introduction, learner->id);
    store_i32(introduction + 8, protocol_version);
    store_i64(introduction + 12, 0);
    raw_learner_say(learner, ZAB_FOLLOWER_INFO, learner->epoch << 32,
                    slice_of(introduction, sizeof introduction));
}

static size_t on_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    (void)context;
    (void)link;
    return bytes.size;
}

/* The leader may lead no more, or not listen yet. */
static void on_down(void *context, struct quorum_link *link, const char *reason)
{
    struct raw_learner *learner = context;
    (void)reason;
    if (learner->link == link || learner->link == NULL) {
        learner->link = NULL;
        learner->has_leader = false;
    }
}

/* ---- the process ---- */

static void dial(struct raw_learner *learner)
{
    struct io_address address;
    const int result =
        io_resolve(learner->node->io, learner->leader_host, quorum_port_number, &address);
    assert(result == 0);
    learner->has_leader = quorum_port_dial(&learner->port, &address) != NULL;
}

static void on_decided(void *context)
{
    struct raw_learner *learner = context;
    assert(learner->elector.election.state == ZAB_FOLLOWING);
    dial(learner);
}

static void open_ports(struct raw_learner *learner)
{
    struct sim_node *node = learner->node;
    struct io_address address;
    snprintf(learner->self_address, sizeof learner->self_address, "%s:%d", learner->host,
             (int)election_port_number);
    const int result = io_resolve(node->io, learner->host, election_port_number, &address);
    enum err err = elector_init(
        &learner->elector, node->io, &node->heap, node->diag,
        (struct elector_options){.election = {.self_id = learner->id,
                                              .wait_ms_min = 200,
                                              .wait_ms_max = 60000,
                                              .finalize_ms = 200},
                                 .self_address = slice_from_text(learner->self_address),
                                 .connect_timeout_ms = 5000},
        (struct elector_handler){.on_decided = on_decided, .context = learner});
    if (err == ERR_OK)
        err = elector_listen(&learner->elector, &address);
    if (err == ERR_OK)
        err =
            elector_set_ensemble(&learner->elector, learner->ensemble, SLICE_LITERAL("version=0"));
    if (err == ERR_OK)
        err = quorum_port_init(&learner->port, node->io, &node->heap, node->diag,
                               (struct quorum_port_options){.packet_bytes_max = 4 << 20,
                                                            .link_count_max = 4,
                                                            .connect_timeout_ms = 10000,
                                                            .unsent_bytes_max = 256 << 20},
                               (struct quorum_port_handler){.on_up = on_up,
                                                            .on_packet = on_packet,
                                                            .on_bytes = on_bytes,
                                                            .on_down = on_down,
                                                            .context = learner});
    assert(result == 0 && err == ERR_OK);
}

static void run(struct sim_node *node, void *argument)
{
    struct raw_learner *learner = argument;
    open_ports(learner);
    elector_look(&learner->elector, learner->zxid_proposed, learner->current_epoch);
    for (;;) {
        if (!learner->has_leader && learner->elector.election.state != ZAB_LOOKING)
            elector_look(&learner->elector, learner->zxid_proposed, learner->current_epoch);
        io_run(node->io, round_ns);
        if (learner->task != NULL)
            learner->task(learner);
        learner->task = NULL;
    }
}

void raw_learner_start(struct raw_learner *learner)
{
    learner->link = NULL;
    learner->has_leader = false;
    learner->task = NULL;
    sim_node_start(learner->node, run, learner);
}

static bool is_idle(void *context)
{
    const struct raw_learner *learner = context;
    return learner->task == NULL;
}

void raw_learner_do(struct raw_learner *learner, void (*task)(struct raw_learner *learner))
{
    learner->task = task;
    const bool is_done = sim_run(learner->node->sim, UINT64_MAX, is_idle, learner);
    assert(is_done);
}
