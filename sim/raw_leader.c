#include "sim/raw_leader.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdio.h>

enum {
    election_port_number = 3888,
    quorum_port_number = 2888,
    protocol_version = 0x10000,
    round_ns = 1000000,
};

void raw_leader_say(struct raw_leader *leader, enum zab_packet_type type, int64_t zxid,
                    struct slice data)
{
    struct zk_quorum_packet packet = {.type = (int32_t)type, .zxid = zxid, .data = data};
    packet.identities.count = -1;
    if (leader->link != NULL)
        quorum_link_send(leader->link, &packet);
}

void raw_leader_say_bytes(struct raw_leader *leader, struct slice bytes)
{
    if (leader->link != NULL)
        quorum_link_send_raw(leader->link, bytes);
}

bool raw_leader_has_heard(const struct raw_leader *leader, enum zab_packet_type type, int64_t zxid)
{
    for (uint32_t index = 0; index < leader->heard_count; index++)
        if (leader->heard[index].type == (int32_t)type && leader->heard[index].zxid == zxid)
            return true;
    return false;
}

/* ---- the link ---- */

static void on_up(void *context, struct quorum_link *link)
{
    struct raw_leader *leader = context;
    leader->link = link;
    leader->link_count++;
}

static void on_packet(void *context, struct quorum_link *link, struct zk_quorum_packet *packet)
{
    struct raw_leader *leader = context;
    struct raw_leader_word word = {.type = packet->type, .zxid = packet->zxid};
    uint8_t version[4];
    if (link != leader->link)
        return;
    if (packet->type == ZAB_FOLLOWER_INFO)
        word.epoch = packet->zxid >> 32;
    if (packet->type == ZAB_ACK_EPOCH)
        word.epoch = load_i32(packet->data.data);
    assert(leader->heard_count < raw_leader_heard_max);
    leader->heard[leader->heard_count++] = word;
    store_i32(version, protocol_version);
    if (packet->type == ZAB_FOLLOWER_INFO)
        raw_leader_say(leader, ZAB_LEADER_INFO, leader->epoch << 32,
                       slice_of(version, sizeof version));
    else if (packet->type == ZAB_ACK_EPOCH && leader->on_epoch_acked != NULL)
        leader->on_epoch_acked(leader, packet->zxid);
}

static size_t on_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    (void)context;
    (void)link;
    return bytes.size;
}

static void on_down(void *context, struct quorum_link *link, const char *reason)
{
    struct raw_leader *leader = context;
    (void)reason;
    if (leader->link == link)
        leader->link = NULL;
}

/* ---- the process ---- */

static void on_decided(void *context)
{
    const struct raw_leader *leader = context;
    assert(leader->elector.election.state == ZAB_LEADING);
}

static struct io_address address_of(struct raw_leader *leader, uint16_t port)
{
    struct io_address address;
    const int result = io_resolve(leader->node->io, leader->host, port, &address);
    assert(result == 0);
    return address;
}

/* Its history is the best there is. */
static void be_elected(struct raw_leader *leader)
{
    struct sim_node *node = leader->node;
    struct io_address address = address_of(leader, election_port_number);
    snprintf(leader->self_address, sizeof leader->self_address, "%s:%d", leader->host,
             (int)election_port_number);
    enum err err =
        elector_init(&leader->elector, node->io, &node->heap, node->diag,
                     (struct elector_options){.election = {.self_id = leader->id,
                                                           .wait_ms_min = 200,
                                                           .wait_ms_max = 60000,
                                                           .finalize_ms = 200},
                                              .self_address = slice_from_text(leader->self_address),
                                              .connect_timeout_ms = 5000},
                     (struct elector_handler){.on_decided = on_decided, .context = leader});
    if (err == ERR_OK)
        err = elector_listen(&leader->elector, &address);
    if (err == ERR_OK)
        err = elector_set_ensemble(&leader->elector, leader->ensemble, SLICE_LITERAL("version=0"));
    assert(err == ERR_OK);
    elector_look(&leader->elector, ((leader->epoch - 1) << 32) + INT32_MAX, leader->epoch - 1);
}

static void listen(struct raw_leader *leader)
{
    struct sim_node *node = leader->node;
    struct io_address address = address_of(leader, quorum_port_number);
    enum err err = quorum_port_init(&leader->port, node->io, &node->heap, node->diag,
                                    (struct quorum_port_options){.packet_bytes_max = 4 << 20,
                                                                 .link_count_max = 16,
                                                                 .connect_timeout_ms = 10000,
                                                                 .unsent_bytes_max = 8 << 20},
                                    (struct quorum_port_handler){.on_up = on_up,
                                                                 .on_packet = on_packet,
                                                                 .on_bytes = on_bytes,
                                                                 .on_down = on_down,
                                                                 .context = leader});
    if (err == ERR_OK)
        err = quorum_port_listen(&leader->port, &address);
    assert(err == ERR_OK);
}

static void run(struct sim_node *node, void *argument)
{
    struct raw_leader *leader = argument;
    be_elected(leader);
    listen(leader);
    for (;;) {
        io_run(node->io, round_ns);
        if (leader->task != NULL)
            leader->task(leader);
        leader->task = NULL;
    }
}

void raw_leader_start(struct raw_leader *leader, int64_t epoch)
{
    leader->epoch = epoch;
    leader->link = NULL;
    leader->link_count = 0;
    leader->heard_count = 0;
    leader->task = NULL;
    sim_node_start(leader->node, run, leader);
}

static bool is_idle(void *context)
{
    const struct raw_leader *leader = context;
    return leader->task == NULL;
}

void raw_leader_do(struct raw_leader *leader, void (*task)(struct raw_leader *leader))
{
    leader->task = task;
    const bool is_done = sim_run(leader->node->sim, UINT64_MAX, is_idle, leader);
    assert(is_done);
}
