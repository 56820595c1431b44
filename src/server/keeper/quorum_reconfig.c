/* How the members of an ensemble change while it runs.
 *
 *   asked --judged--> next: logged, and needs a quorum of both --committed--> in force
 *
 * What was logged and not known to be committed is next again after a restart: it stands in
 * /zookeeper/config with a version above that of the members in force. */
#include "server/keeper/quorum_peer.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "server/keeper/keeper_write.h"
#include "zab/ensemble_text.h"

struct quorum_text {
    struct list link; /* In peer->texts. */
    size_t size;
    char bytes[];
};

static struct keeper_server *server_of(const struct quorum_peer *peer)
{
    return peer->server;
}

static const struct ensemble *next_of(const struct quorum_peer *peer)
{
    return peer->next_text == NULL ? NULL : &peer->next;
}

/* ---- texts ---- */

static struct quorum_text *keep_text(struct quorum_peer *peer, struct slice text)
{
    struct keeper_server *server = server_of(peer);
    struct quorum_text *kept = heap_take(server->shard->heap, sizeof *kept + text.size);
    if (kept == NULL)
        io_fatal(server->shard->io, "no memory for the text of the members");
    list_init(&kept->link);
    kept->size = text.size;
    memcpy(kept->bytes, text.data, text.size);
    list_push(&peer->texts, &kept->link);
    return kept;
}

static struct slice slice_of_text(const struct quorum_text *text)
{
    return slice_of(text->bytes, text->size);
}

/* Of the others the file may still write the hosts. */
static void drop_texts(struct quorum_peer *peer)
{
    if (!ensemble_file_is_idle(&peer->file))
        return;
    list_each_safe (link, after, &peer->texts) {
        struct quorum_text *text = CONTAINER_OF(link, struct quorum_text, link);
        if (text == peer->text || text == peer->next_text)
            continue;
        list_remove(link);
        heap_give(server_of(peer)->shard->heap, text);
    }
}

/* A quorum that acknowledges a new leader decides about what was pending, too. */
struct slice quorum_reconfig_offer(const struct quorum_peer *peer)
{
    const bool decides = peer->next_text != NULL && peer->epoch == 0;
    return slice_of_text(decides ? peer->next_text : peer->text);
}

void quorum_reconfig_show(struct quorum_peer *peer)
{
    struct keeper_server *server = server_of(peer);
    const struct znode *znode = tree_find(&server->keeper.tree, SLICE_LITERAL("/zookeeper/config"));
    if (server->config.reconfig_enabled && znode != NULL && znode->mzxid > peer->ensemble.version)
        return; /* A reconfiguration that is yet to be in force. */
    if (keeper_set_config(&server->keeper, slice_of_text(peer->text), peer->ensemble.version,
                          io_wall_ms(server->shard->io)) != ERR_OK)
        io_fatal(server->shard->io, "no memory for the text of /zookeeper/config");
}

/* ---- our own addresses ---- */

struct slice quorum_reconfig_self_address(struct quorum_peer *peer)
{
    const struct ensemble_address *address = &quorum_peer_self(peer)->addresses[0];
    snprintf(peer->self_address, sizeof peer->self_address, "%" SLICE_FORMAT ":%u",
             SLICE_ARGS(address->host), address->election_port);
    return slice_from_text(peer->self_address);
}

/* The quorum port is for leaders, which open it when they are elected. */
static void move_ports(struct quorum_peer *peer, const struct ensemble_member *old,
                       const struct ensemble_member *self)
{
    struct keeper_server *server = server_of(peer);
    if (self == NULL)
        return;
    /* Who joins, or comes back, is where it was told to be: that may be elsewhere by now. */
    const uint16_t port = self->addresses[0].election_port;
    if (old == NULL || port != old->addresses[0].election_port ||
        self->address_count != old->address_count ||
        !slice_equal(self->addresses[0].host, old->addresses[0].host))
        elector_move(&peer->elector, quorum_reconfig_self_address(peer),
                     ensemble_config_host(&server->config, self), port);
    keeper_server_move_clients(server, self);
}

/* ---- who knows of it ---- */

/* zab, the elections, and what people see. */
static void tell_all(struct quorum_peer *peer)
{
    zab_set_ensembles(&peer->zab, &peer->ensemble, next_of(peer));
    elector_change(&peer->elector, &peer->ensemble, next_of(peer), slice_of_text(peer->text));
    server_of(peer)->ensemble.ensemble = &peer->ensemble;
    drop_texts(peer);
}

static void on_file_done(struct ensemble_file *file, enum err err)
{
    struct quorum_peer *peer = CONTAINER_OF(file, struct quorum_peer, file);
    (void)err; /* It has told it. */
    if (peer->phase == QUORUM_PEER_STOPPED)
        keeper_server_pump_stop(peer->server);
    else
        drop_texts(peer);
}

enum err quorum_reconfig_init(struct quorum_peer *peer)
{
    struct keeper_server *server = server_of(peer);
    struct heap *heap = server->shard->heap;
    list_init(&peer->texts);
    peer->ensemble = server->config.ensemble;
    ensemble_file_init(&peer->file, server->shard->io, heap, server->shard->diag, &server->config);
    peer->file.done = on_file_done;
    const size_t size = ensemble_text_print(&peer->ensemble, NULL, 0);
    char *text = heap_take(heap, size + 1);
    if (text == NULL)
        return ERR_NO_MEMORY;
    ensemble_text_print(&peer->ensemble, text, size + 1);
    peer->text = keep_text(peer, slice_of(text, size));
    heap_give(heap, text);
    server->ensemble.ensemble = &peer->ensemble;
    return server->config.reconfig_enabled
               ? ensemble_file_backup(&server->config, server->shard->io, server->shard->diag)
               : ERR_OK;
}

void quorum_reconfig_deinit(struct quorum_peer *peer)
{
    if (peer->text == NULL)
        return;
    peer->text = peer->next_text = NULL;
    drop_texts(peer);
}

/* ---- next ---- */

static void set_next(struct quorum_peer *peer, struct quorum_text *text)
{
    peer->next_text = NULL;
    if (text != NULL && ensemble_text_parse(slice_of_text(text), &peer->next) == ERR_OK)
        peer->next_text = text;
    else if (text != NULL)
        diag_warn(server_of(peer)->shard->diag, "the text of the new members cannot be read");
    tell_all(peer);
}

void quorum_reconfig_propose(struct quorum_peer *peer, struct slice text)
{
    if (!server_of(peer)->config.reconfig_enabled)
        return;
    set_next(peer, keep_text(peer, text));
    if (peer->next_text != NULL)
        ensemble_file_propose(&peer->file, &peer->next);
}

void quorum_reconfig_look(struct quorum_peer *peer)
{
    const struct keeper_server *server = server_of(peer);
    const struct tree *tree = &server->keeper.tree;
    const struct znode *znode = tree_find(tree, SLICE_LITERAL("/zookeeper/config"));
    assert(znode != NULL);
    peer->heard_version = 0;
    peer->retire_at_ns = 0;
    const bool has_next = server->config.reconfig_enabled && znode->mzxid > peer->ensemble.version;
    set_next(peer, has_next ? keep_text(peer, tree_data(tree, znode)) : NULL);
}

/* ---- in force ---- */

static bool is_same_address(const struct ensemble_member *a, const struct ensemble_member *b)
{
    return a != NULL && b != NULL && a->addresses[0].quorum_port == b->addresses[0].quorum_port &&
           slice_equal(a->addresses[0].host, b->addresses[0].host);
}

/* Whether we must look for a leader now: our part has changed, or the leader has. */
static bool is_major(const struct quorum_peer *peer, const struct ensemble *old,
                     int64_t designated_id)
{
    const int64_t leader_id = designated_id < 0 ? peer->leader_id : designated_id;
    if (ensemble_is_voter(old, peer->self_id) != ensemble_is_voter(&peer->ensemble, peer->self_id))
        return true;
    return leader_id != peer->leader_id || !ensemble_is_voter(&peer->ensemble, leader_id) ||
           !is_same_address(ensemble_find(old, leader_id),
                            ensemble_find(&peer->ensemble, leader_id));
}

/* The old hosts are still there: drop_texts comes last. */
static bool take_effect(struct quorum_peer *peer, int64_t designated_id)
{
    const struct ensemble old = peer->ensemble;
    assert(peer->next_text != NULL);
    peer->ensemble = peer->next;
    peer->text = peer->next_text;
    peer->next_text = NULL;
    const bool has_changed = is_major(peer, &old, designated_id);
    diag_info(server_of(peer)->shard->diag,
              "the members of version 0x%" PRIx64 " are in force: %u of them",
              (uint64_t)peer->ensemble.version, peer->ensemble.member_count);
    ensemble_file_commit(&peer->file, &peer->ensemble);
    move_ports(peer, ensemble_find(&old, peer->self_id),
               ensemble_find(&peer->ensemble, peer->self_id));
    tell_all(peer);
    return has_changed;
}

static const char has_changed_reason[] =
    "the members have changed, and with them who leads or votes";

/* Learners leave a leader that shall not go on by themselves, and it is alone soon. It must not
 * leave before they have heard of it. */
void quorum_reconfig_activate(struct quorum_peer *peer, int64_t zxid, int64_t designated_id)
{
    if (peer->next_text == NULL || peer->next.version != zxid)
        return;
    const bool has_changed = take_effect(peer, designated_id);
    if (has_changed && peer->phase == QUORUM_PEER_LEADING)
        peer->retire_at_ns = io_now_ns(server_of(peer)->shard->io) +
                             (uint64_t)server_of(peer)->config.tick_ms * UINT64_C(1000000);
    else if (has_changed)
        quorum_peer_leave(peer, has_changed_reason);
}

void quorum_reconfig_retire(struct quorum_peer *peer)
{
    if (peer->retire_at_ns != 0 && io_now_ns(server_of(peer)->shard->io) >= peer->retire_at_ns)
        quorum_peer_leave(peer, has_changed_reason);
}

/* A quorum of both has followed us up to the whole of our history. */
void quorum_reconfig_establish(struct quorum_peer *peer)
{
    if (peer->next_text != NULL && peer->phase == QUORUM_PEER_LEADING)
        quorum_reconfig_activate(peer, peer->next.version,
                                 ensemble_is_voter(&peer->next, peer->self_id) ? peer->self_id
                                                                               : INT64_MAX);
}

/* ---- a learner, and its leader's ---- */

/* As next, if it is newer than what is in force. */
static bool hear(struct quorum_peer *peer, struct slice text)
{
    struct ensemble heard;
    if (!server_of(peer)->config.reconfig_enabled || text.size <= 1 ||
        ensemble_text_parse(text, &heard) != ERR_OK || heard.version <= peer->ensemble.version)
        return false;
    set_next(peer, keep_text(peer, text));
    return true;
}

void quorum_reconfig_hear(struct quorum_peer *peer, struct slice text)
{
    if (hear(peer, text))
        peer->heard_version = peer->next.version;
}

bool quorum_reconfig_adopt(struct quorum_peer *peer, struct slice text)
{
    if (!hear(peer, text))
        return false;
    (void)take_effect(peer, -1);
    return true;
}

bool quorum_reconfig_serve(struct quorum_peer *peer)
{
    if (peer->next_text == NULL || peer->next.version != peer->heard_version ||
        !take_effect(peer, -1))
        return true;
    quorum_peer_leave(peer, has_changed_reason);
    return false;
}

/* ---- what is asked for ---- */

static struct slice cut(struct slice *rest, char separator)
{
    const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    const struct slice piece = at == NULL ? *rest : slice_of(rest->data, (size_t)(at - rest->data));
    *rest = at == NULL ? SLICE_NULL : slice_skip(*rest, piece.size + 1);
    return piece;
}

static void remove_member(struct ensemble *ensemble, int64_t id)
{
    uint32_t index = 0;
    while (index < ensemble->member_count && ensemble->members[index].id != id)
        index++;
    if (index == ensemble->member_count)
        return;
    ensemble->member_count--;
    for (; index < ensemble->member_count; index++)
        ensemble->members[index] = ensemble->members[index + 1];
}

static bool is_taken(const struct ensemble *ensemble, const struct ensemble_member *member)
{
    for (uint32_t index = 0; index < ensemble->member_count; index++) {
        const struct ensemble_member *other = &ensemble->members[index];
        if (other->id == member->id ||
            !slice_equal(other->addresses[0].host, member->addresses[0].host))
            continue;
        if (other->addresses[0].quorum_port == member->addresses[0].quorum_port ||
            other->addresses[0].election_port == member->addresses[0].election_port ||
            (other->client_port == member->client_port && other->client_port != 0))
            return true;
    }
    return false;
}

static enum code join(struct ensemble *ensemble, struct slice line)
{
    struct ensemble_member member;
    int64_t id;
    struct slice value = line;
    struct slice key = cut(&value, '=');
    const uint8_t *dot = memchr(key.data, '.', key.size);
    if (dot == NULL || slice_is_null(value) || value.size == 0)
        return CODE_BAD_ARGUMENTS;
    if (!ensemble_text_parse_id(slice_skip(key, (size_t)(dot - key.data) + 1), &id))
        return CODE_MARSHALLING_ERROR; /* Apache's servers do not expect that either. */
    if (ensemble_text_parse_server(value, &member) != NULL || member.client_port == 0)
        return CODE_BAD_ARGUMENTS;
    member.id = id;
    if (is_taken(ensemble, &member))
        return CODE_BAD_ARGUMENTS;
    remove_member(ensemble, id);
    return ensemble_add(ensemble, &member) == ERR_OK ? CODE_OK : CODE_BAD_ARGUMENTS;
}

/* Without the members that leave, and with those that join. */
static enum code change(struct ensemble *ensemble, const struct zk_reconfig_request *request)
{
    enum code code = ensemble->has_groups ? CODE_BAD_ARGUMENTS : CODE_OK;
    struct slice rest = request->leaving_servers;
    while (code == CODE_OK && rest.size > 0) {
        int64_t id;
        const struct slice piece = cut(&rest, ',');
        if (piece.size > 0 && !ensemble_text_parse_id(piece, &id))
            code = CODE_MARSHALLING_ERROR;
        else if (piece.size > 0)
            remove_member(ensemble, id);
    }
    rest = request->joining_servers;
    while (code == CODE_OK && rest.size > 0) {
        const struct slice piece = cut(&rest, ',');
        if (piece.size > 0)
            code = join(ensemble, piece);
    }
    return code;
}

static enum code replace(struct ensemble *ensemble, struct slice members, struct arena *arena)
{
    uint8_t *text = arena_take(arena, members.size + 1);
    if (text == NULL)
        return CODE_SYSTEM_ERROR;
    for (size_t at = 0; at < members.size; at++)
        text[at] = members.data[at] == ',' ? '\n' : members.data[at];
    return ensemble_text_parse(slice_of(text, members.size), ensemble) == ERR_OK
               ? CODE_OK
               : CODE_BAD_ARGUMENTS;
}

static void sort(struct ensemble *ensemble)
{
    for (uint32_t end = 1; end < ensemble->member_count; end++)
        for (uint32_t at = end; at > 0 && ensemble->members[at].id < ensemble->members[at - 1].id;
             at--) {
            const struct ensemble_member member = ensemble->members[at];
            ensemble->members[at] = ensemble->members[at - 1];
            ensemble->members[at - 1] = member;
        }
}

static uint32_t count_voters(const struct ensemble *ensemble)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < ensemble->member_count; index++)
        count += ensemble->members[index].is_voter;
    return count;
}

/* Followers of ours that are in step, and ourselves. */
static bool has_quorum(const struct quorum_peer *peer, const struct ensemble *ensemble)
{
    struct ensemble_set set = {0};
    const struct zab_leader *leader = &peer->zab.leader;
    ensemble_set_add(ensemble, &set, peer->self_id);
    for (uint32_t index = 0; index < leader->learner_count; index++)
        if (!leader->learners[index].is_observer &&
            leader->learners[index].phase == ZAB_LEARNER_UP_TO_DATE)
            ensemble_set_add(ensemble, &set, leader->learners[index].id);
    return ensemble_is_quorum(ensemble, set);
}

enum code quorum_reconfig_judge(struct quorum_peer *peer, const struct zk_reconfig_request *request,
                                int64_t zxid, struct slice *text)
{
    struct keeper_server *server = server_of(peer);
    struct ensemble wanted = peer->ensemble;
    if (peer->next_text != NULL || peer->retire_at_ns != 0)
        return CODE_RECONFIG_IN_PROGRESS;
    if (request->config_id != -1 && request->config_id != peer->ensemble.version)
        return CODE_BAD_VERSION;
    const enum code code = slice_is_null(request->new_members)
                               ? change(&wanted, request)
                               : replace(&wanted, request->new_members, &server->arena);
    if (code != CODE_OK)
        return code;
    if (count_voters(&wanted) < (server->config.standalone_enabled ? 2 : 1))
        return CODE_BAD_ARGUMENTS;
    if (!has_quorum(peer, &wanted))
        return CODE_NEW_CONFIG_NO_QUORUM;
    sort(&wanted);
    wanted.version = zxid;
    const size_t size = ensemble_text_print(&wanted, NULL, 0);
    char *out = arena_take(&server->arena, size + 1);
    if (out == NULL)
        return CODE_SYSTEM_ERROR;
    ensemble_text_print(&wanted, out, size + 1);
    *text = slice_of(out, size);
    return CODE_OK;
}
