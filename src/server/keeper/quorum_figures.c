/* What people see of a server's part in its ensemble: its learners, and how long things took. */
#include "server/keeper/observer_master.h"

enum { millisecond_ns = 1000000 };

static uint64_t now_ns(const struct quorum_peer *peer)
{
    return io_now_ns(peer->server->shard->io);
}

static struct keeper_counts *counts_of(struct quorum_peer *peer)
{
    return &peer->server->stats.counts;
}

static void add_since(const struct quorum_peer *peer, struct metric_summary *summary,
                      uint64_t since_ns)
{
    metric_summary_add(summary, (now_ns(peer) - since_ns) / millisecond_ns);
}

/* ---- roles ---- */

void quorum_figures_on_look(struct quorum_peer *peer)
{
    counts_of(peer)->looking_count++;
    peer->looking_since_ns = now_ns(peer);
    if (!peer->is_unavailable)
        peer->unavailable_since_ns = peer->looking_since_ns;
    peer->is_unavailable = true;
}

void quorum_figures_on_decided(struct quorum_peer *peer)
{
    if (ensemble_is_voter(&peer->ensemble, peer->self_id))
        add_since(peer, &peer->server->stats.summaries.election_time, peer->looking_since_ns);
}

void quorum_figures_on_role(struct quorum_peer *peer, enum ensemble_role role)
{
    struct keeper_summaries *summaries = &peer->server->stats.summaries;
    if (peer->is_unavailable) {
        add_since(peer, &summaries->unavailable_time, peer->unavailable_since_ns);
        if (role == ENSEMBLE_LEADER)
            add_since(peer, &summaries->leader_unavailable_time, peer->unavailable_since_ns);
    }
    peer->is_unavailable = false;
    if (role == ENSEMBLE_FOLLOWER)
        add_since(peer, &summaries->follower_sync_time, peer->sync_since_ns);
    else if (role == ENSEMBLE_OBSERVER)
        add_since(peer, &summaries->observer_sync_time, peer->sync_since_ns);
}

void quorum_figures_on_role_end(struct quorum_peer *peer)
{
    if (peer->phase == QUORUM_PEER_LEADING && peer->epoch == 0)
        counts_of(peer)->disloyal_voter_count++;
}

void quorum_figures_on_sent(struct quorum_peer *peer, int32_t type)
{
    if (peer->phase == QUORUM_PEER_LEARNING && type == ZAB_ACK_EPOCH)
        peer->sync_since_ns = now_ns(peer);
}

/* What comes before the server serves is counted by nobody. */
void quorum_figures_on_packet(struct quorum_peer *peer, int32_t type)
{
    if (peer->server->role != KEEPER_LEARNER)
        return;
    if (type == ZAB_PROPOSAL)
        counts_of(peer)->learner_proposal_count++;
    else if (type == ZAB_COMMIT || type == ZAB_INFORM)
        counts_of(peer)->learner_commit_count++;
}

/* ---- learners ---- */

/* Bytes are known, packets are not: by the mean of all that were sent. */
static uint64_t unsent_packets(const struct quorum_link *link, uint64_t bytes)
{
    if (bytes == 0 || link->sent_bytes == 0)
        return 0;
    const double mean_bytes = (double)link->sent_bytes / (double)link->sent_count;
    return 1 + (uint64_t)((double)bytes / mean_bytes);
}

static void tell_learner(struct quorum_peer *peer, struct quorum_link *link,
                         const struct zab_learner *learner)
{
    struct quorum_learner *known = link->user;
    struct ensemble_learner *facts = &known->facts;
    facts->id = learner->id;
    facts->is_voter = ensemble_is_voter(&peer->ensemble, learner->id);
    facts->is_observer = learner->is_observer;
    facts->is_synced = learner->phase == ZAB_LEARNER_UP_TO_DATE;
    facts->zxid_last = learner->is_observer ? learner->zxid_proposed : learner->zxid_acked;
    facts->queued_bytes = quorum_link_unsent_bytes(link);
    facts->queued_packet_count = unsent_packets(link, facts->queued_bytes);
    facts->sent_count += link->sent_count - known->sent_count_told;
    known->sent_count_told = link->sent_count;
    if (learner->phase >= ZAB_LEARNER_LEADER_ACKED)
        learner_sync_confirm(&known->sync);
}

static void tell_all(struct quorum_peer *peer, struct quorum_port *port,
                     const struct zab_leader *leader)
{
    for (uint32_t index = 0; index < leader->learner_count; index++) {
        struct quorum_link *link = quorum_port_find(port, leader->learners[index].link);
        if (link != NULL && link->user != NULL)
            tell_learner(peer, link, &leader->learners[index]);
    }
}

void quorum_figures_tell_learners(struct quorum_peer *peer)
{
    struct observer_master *master = peer->master;
    if (peer->phase == QUORUM_PEER_LEADING && peer->zab.role == ZAB_ROLE_LEADER &&
        peer->is_port_open)
        tell_all(peer, &peer->port, &peer->zab.leader);
    else if (peer->phase == QUORUM_PEER_LEARNING && master != NULL && master->is_open)
        tell_all(peer, &master->port, &master->zab.leader);
}
