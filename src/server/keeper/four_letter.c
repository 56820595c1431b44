#define _POSIX_C_SOURCE 200809L
#include "server/keeper/four_letter.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/keeper/client_link.h"
#include "server/keeper/keeper_facts.h"
#include "server/keeper/metrics.h"
#include "zab/ensemble_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

/* An answer on its way. */
struct text {
    struct counted_text out;
    struct keeper_server *server;
};

/* ---- connections ---- */

static void put_session_of(struct text *text, const struct client_link *client)
{
    const struct keeper_latency *latency = &client->latency;
    counted_text_print(&text->out, ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%" PRId32,
                       (uint64_t)client->keeper.session_id, keeper_facts_op_text(client->type_last),
                       client->connected_at_ms, client->timeout_ms);
    if (client->xid_last >= 0)
        counted_text_print(&text->out, ",lcxid=0x%" PRIx32, (uint32_t)client->xid_last);
    counted_text_print(&text->out,
                       ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64 ",llat=%" PRIu64 ",minlat=%" PRIu64
                       ",avglat=%" PRIu64 ",maxlat=%" PRIu64,
                       (uint64_t)client->zxid_last, client->replied_at_ms,
                       (uint64_t)client->latency_last_ms, (uint64_t)latency->min_ms,
                       latency->total_ms / max_u64(latency->count, 1), (uint64_t)latency->max_ms);
}

static void put_client(struct text *text, const struct client_link *client, bool is_brief)
{
    char address[io_address_text_max];
    io_address_print(&client->net->peer, address, sizeof address);
    counted_text_print(&text->out, " /%s[%d](queued=%" PRIu32 ",recved=%" PRIu64 ",sent=%" PRIu64,
                       address, client->phase == CLIENT_LINK_OPEN ? 1 : 0,
                       client->outstanding_count, client->received_count, client->sent_count);
    if (!is_brief && client->phase == CLIENT_LINK_OPEN)
        put_session_of(text, client);
    counted_text_print(&text->out, ")\n");
}

static void put_clients(struct text *text, bool is_brief)
{
    list_each (link, &text->server->links) {
        const struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        if (client->net != NULL)
            put_client(text, client, is_brief);
    }
    counted_text_print(&text->out, "\n");
}

/* A leader may serve no clients. */
static bool is_serving(const struct keeper_server *server)
{
    return server->is_serving && ensemble_facts_is_serving(&server->ensemble);
}

/* ---- words ---- */

static void put_ruok(struct text *text)
{
    counted_text_print(&text->out, "imok");
}

static void put_isro(struct text *text)
{
    const char *mode = text->server->ensemble.role == ENSEMBLE_READ_ONLY ? "ro" : "rw";
    counted_text_print(&text->out, "%s", is_serving(text->server) ? mode : "null");
}

static void put_server(struct text *text)
{
    struct keeper_server *server = text->server;
    const struct keeper_latency *latency = &server->stats.latency;
    char average[keeper_latency_text_bytes];
    counted_text_print(&text->out, "Latency min/avg/max: %" PRIu64 "/%s/%" PRIu64 "\n",
                       (uint64_t)latency->min_ms, keeper_latency_print_average(latency, average),
                       (uint64_t)latency->max_ms);
    counted_text_print(&text->out, "Received: %" PRIu64 "\nSent: %" PRIu64 "\n",
                       server->stats.received_count, server->stats.sent_count);
    counted_text_print(&text->out, "Connections: %" PRIu32 "\nOutstanding: %" PRIu64 "\n",
                       net_connection_count(server->net), keeper_facts_outstanding_count(server));
    counted_text_print(&text->out, "Zxid: 0x%" PRIx64 "\nMode: %s\nNode count: %" PRIu64 "\n",
                       (uint64_t)server->keeper.zxid_applied,
                       ensemble_facts_mode(&server->ensemble), keeper_znode_count(&server->keeper));
    if (server->ensemble.role == ENSEMBLE_LEADER)
        counted_text_print(
            &text->out, "Proposal sizes last/min/max: %" PRId64 "/%" PRId64 "/%" PRId64 "\n",
            server->ensemble.proposal_bytes_last, server->ensemble.proposal_bytes_min,
            server->ensemble.proposal_bytes_max);
}

static void put_version(struct text *text)
{
    counted_text_print(&text->out, "Zookeeper version: %s\n", keeper_facts_version);
    if (text->server->ensemble.role == ENSEMBLE_READ_ONLY)
        counted_text_print(&text->out, "READ-ONLY mode; serving only read-only clients\n");
}

static void put_srvr(struct text *text)
{
    put_version(text);
    put_server(text);
}

static void put_stat(struct text *text)
{
    put_version(text);
    counted_text_print(&text->out, "Clients:\n");
    put_clients(text, true);
    put_server(text);
}

static void put_cons(struct text *text)
{
    put_clients(text, false);
}

static void put_membership(struct text *text)
{
    const struct ensemble *ensemble = keeper_facts_ensemble(text->server);
    struct counted_text *out = &text->out;
    const bool has_room = out->data != NULL && out->size < out->capacity;
    counted_text_print(out, "membership: \n");
    out->size += ensemble_text_print(ensemble, has_room ? out->data + out->size : NULL,
                                     has_room ? out->capacity - out->size : 0);
}

static void put_conf_of_ensemble(struct text *text)
{
    const struct keeper_config *config = &text->server->config;
    const struct ensemble_member *self = keeper_facts_self(text->server);
    const struct ensemble_address *address = self == NULL ? NULL : &self->addresses[0];
    counted_text_print(&text->out, "initLimit=%" PRId64 "\nsyncLimit=%" PRId64 "\n",
                       config->init_limit_ticks, config->sync_limit_ticks);
    counted_text_print(&text->out, "electionAlg=%" PRId64 "\nelectionPort=%u\nquorumPort=%u\n",
                       config->election_algorithm, address == NULL ? 0 : address->election_port,
                       address == NULL ? 0 : address->quorum_port);
    counted_text_print(&text->out, "peerType=%d\n",
                       config->peer_type == KEEPER_PEER_OBSERVER ? 1 : 0);
    if (text->server->ensemble.role != ENSEMBLE_READ_ONLY)
        put_membership(text);
}

static void put_conf(struct text *text)
{
    struct keeper_server *server = text->server;
    const struct keeper_config *config = &server->config;
    counted_text_print(&text->out, "clientPort=%u\nsecureClientPort=-1\n", server->address.port);
    counted_text_print(&text->out, "dataDir=%s\ndataDirSize=%" PRIu64 "\n", server->snapshot_path,
                       keeper_facts_folder_bytes(server, server->snapshot_path));
    counted_text_print(&text->out, "dataLogDir=%s\ndataLogSize=%" PRIu64 "\n", server->journal_path,
                       keeper_facts_folder_bytes(server, server->journal_path));
    counted_text_print(&text->out, "tickTime=%" PRId64 "\nmaxClientCnxns=%" PRId64 "\n",
                       config->tick_ms, config->connection_count_max_per_address);
    counted_text_print(&text->out, "minSessionTimeout=%" PRId32 "\nmaxSessionTimeout=%" PRId32 "\n",
                       keeper_config_timeout_ms_min(config), keeper_config_timeout_ms_max(config));
    counted_text_print(&text->out, "clientPortListenBacklog=%" PRId64 "\nserverId=%" PRId64 "\n",
                       config->backlog, config->is_ensemble ? config->self_id : 0);
    if (config->is_ensemble)
        put_conf_of_ensemble(text);
}

static void put_variable(void *context, const char *name, const char *value)
{
    struct text *text = context;
    counted_text_print(&text->out, "%s=%s\n", name, value);
}

static void put_envi(struct text *text)
{
    counted_text_print(&text->out, "Environment:\n");
    keeper_facts_each_variable(text->server, put_variable, text);
}

static void put_dirs(struct text *text)
{
    counted_text_print(&text->out, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n",
                       keeper_facts_folder_bytes(text->server, text->server->snapshot_path),
                       keeper_facts_folder_bytes(text->server, text->server->journal_path));
}

static void put_crst(struct text *text)
{
    client_link_reset_stats(text->server);
    counted_text_print(&text->out, "Connection stats reset.\n");
}

static void put_srst(struct text *text)
{
    keeper_server_reset_stats(text->server);
    counted_text_print(&text->out, "Server stats reset.\n");
}

/* Like Apache's, these three know of data watches only. */
static void put_wchs(struct text *text)
{
    const struct watch_table *watches = &text->server->keeper.watches;
    counted_text_print(
        &text->out,
        "%" PRIu64 " connections watching %" PRIu64 " paths\nTotal watches:%" PRIu64 "\n",
        watches->watcher_count[WATCH_KIND_DATA], watches->paths[WATCH_KIND_DATA].count,
        watches->watch_count[WATCH_KIND_DATA]);
}

static void put_wchp(struct text *text)
{
    const struct watch_table *watches = &text->server->keeper.watches;
    uint64_t position = 0;
    struct watched_path *path = watch_table_next_path(watches, WATCH_KIND_DATA, &position, NULL);
    for (; path != NULL; path = watch_table_next_path(watches, WATCH_KIND_DATA, &position, path)) {
        counted_text_print(&text->out, "%.*s\n", (int)path->size, (const char *)path->bytes);
        list_each (link, &path->watches) {
            const struct watch *watch = CONTAINER_OF(link, struct watch, in_path);
            counted_text_print(&text->out, "\t0x%" PRIx64 "\n",
                               (uint64_t)client_link_of_watcher(watch->watcher)->keeper.session_id);
        }
    }
    counted_text_print(&text->out, "\n");
}

static void put_wchc(struct text *text)
{
    list_each (at, &text->server->links) {
        const struct client_link *client = CONTAINER_OF(at, struct client_link, link);
        if (client->keeper.watcher.watch_count[WATCH_KIND_DATA] == 0)
            continue;
        counted_text_print(&text->out, "0x%" PRIx64 "\n", (uint64_t)client->keeper.session_id);
        list_each (link, &client->keeper.watcher.watches) {
            const struct watch *watch = CONTAINER_OF(link, struct watch, in_watcher);
            if (watch->kind == WATCH_KIND_DATA)
                counted_text_print(&text->out, "\t%.*s\n", (int)watch->path->size,
                                   (const char *)watch->path->bytes);
        }
    }
    counted_text_print(&text->out, "\n");
}

static void put_owned_paths(struct text *text, const struct tree *tree,
                            const struct tree_owner *owner)
{
    if (owner == NULL)
        return;
    counted_text_print(&text->out, "0x%" PRIx64 ":\n", (uint64_t)owner->id);
    list_each (link, &owner->znodes) {
        const struct znode *znode = tree_owned(link);
        const size_t size = tree_path_bytes(tree, znode);
        counted_text_print(&text->out, "\t");
        if (text->out.data != NULL) {
            assert(text->out.size + size < text->out.capacity);
            (void)tree_path_write(tree, znode, (uint8_t *)text->out.data + text->out.size);
        }
        text->out.size += size;
        counted_text_print(&text->out, "\n");
    }
}

/* As Java prints a date: "Sun Nov 22 09:57:04 UTC 2026". */
static void put_date(struct text *text, int64_t wall_ms)
{
    char date[64];
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(date, sizeof date, "%a %b %d %H:%M:%S UTC %Y", &parts) == 0)
        return;
    counted_text_print(&text->out, "%s", date);
}

static void put_session_set(struct text *text, const struct session_table *sessions,
                            const struct keeper_facts_expiry *set)
{
    uint64_t position = 0;
    counted_text_print(&text->out, "%" PRIu64 " expire at ", set->count);
    put_date(text, keeper_facts_wall_ms(text->server, set->tick * text->server->config.tick_ms));
    counted_text_print(&text->out, ":\n");
    struct session *session = session_table_next(sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(sessions, &position, session))
        if (session->deadline_tick == set->tick)
            counted_text_print(&text->out, "\t0x%" PRIx64 "\n", (uint64_t)session->id);
}

/* Deadlines lie on ticks within the longest timeout, so there are few different ones. */
static void put_session_sets(struct text *text, const struct session_table *sessions)
{
    uint64_t set_count = 0;
    struct keeper_facts_expiry set = keeper_facts_next_expiry(sessions, INT64_MIN);
    for (; set.count > 0; set = keeper_facts_next_expiry(sessions, set.tick))
        set_count++;
    counted_text_print(&text->out, "Session Sets (%" PRIu64 ")/(%" PRIu64 "):\n", set_count,
                       sessions->by_id.count);
    set = keeper_facts_next_expiry(sessions, INT64_MIN);
    for (; set.count > 0; set = keeper_facts_next_expiry(sessions, set.tick))
        put_session_set(text, sessions, &set);
}

static int compare_ids(const void *left, const void *right)
{
    const int64_t one = *(const int64_t *)left;
    const int64_t other = *(const int64_t *)right;
    return one < other ? -1 : one > other;
}

/* Those of all servers, by id, of a server that does not expire them. Without memory the text, that
 * would need more, could not be had either. */
static void put_sessions(struct text *text, const struct session_table *sessions)
{
    struct heap *heap = text->server->shard->heap;
    const uint64_t count = sessions->by_id.count;
    int64_t *ids = count == 0 ? NULL : heap_take(heap, count * sizeof *ids);
    uint64_t index = 0;
    uint64_t position = 0;
    counted_text_print(&text->out, "Global Sessions(%" PRIu64 "):\n", count);
    if (ids == NULL)
        return;
    struct session *session = session_table_next(sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(sessions, &position, session))
        ids[index++] = session->id;
    qsort(ids, count, sizeof *ids, compare_ids);
    for (index = 0; index < count; index++)
        counted_text_print(&text->out, "0x%" PRIx64 "\t%" PRId32 "ms\n", (uint64_t)ids[index],
                           session_table_find(sessions, ids[index])->timeout_ms);
    heap_give(heap, ids);
}

static void put_tracker(struct text *text)
{
    const struct keeper_server *server = text->server;
    const bool has_local = keeper_config_opens_local_sessions(&server->config);
    counted_text_print(&text->out, "SessionTracker dump:\n");
    if (has_local) {
        counted_text_print(&text->out, "Local ");
        put_session_sets(text, &server->keeper.local_sessions);
    }
    if (!keeper_server_decides(server)) {
        put_sessions(text, &server->keeper.sessions);
        return;
    }
    counted_text_print(&text->out, "%s", has_local ? "Global " : "");
    put_session_sets(text, &server->keeper.sessions);
}

static void put_ephemerals(struct text *text)
{
    const struct keeper *keeper = &text->server->keeper;
    uint64_t position = 0;
    counted_text_print(&text->out,
                       "ephemeral nodes dump:\nSessions with Ephemerals (%" PRIu64 "):\n",
                       keeper->tree.owners.count);
    struct session *session = session_table_next(&keeper->sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(&keeper->sessions, &position, session))
        put_owned_paths(text, &keeper->tree, tree_find_owner(&keeper->tree, session->id));
}

/* What a walk over the connections finds about one time. */
struct connection_set {
    int64_t expiry_ms; /* The earliest one behind the last. */
    uint64_t count;
};

static struct connection_set connections_behind(const struct keeper_server *server,
                                                int64_t expiry_ms)
{
    struct connection_set next = {.expiry_ms = INT64_MAX};
    list_each (link, &server->links) {
        const struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        const int64_t at_ms = keeper_facts_connection_expiry_ms(client);
        if (client->net == NULL || at_ms <= expiry_ms || at_ms > next.expiry_ms)
            continue;
        next.count = at_ms < next.expiry_ms ? 1 : next.count + 1;
        next.expiry_ms = at_ms;
    }
    return next;
}

static void put_connection_set(struct text *text, const struct connection_set *set)
{
    char address[io_address_text_max];
    counted_text_print(&text->out, "%" PRIu64 " expire at ", set->count);
    put_date(text, keeper_facts_wall_ms(text->server, set->expiry_ms));
    counted_text_print(&text->out, ":\n");
    list_each (link, &text->server->links) {
        const struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        if (client->net != NULL && keeper_facts_connection_expiry_ms(client) == set->expiry_ms)
            counted_text_print(&text->out, "\tip: /%s sessionId: 0x%" PRIx64 "\n",
                               io_address_print(&client->net->peer, address, sizeof address),
                               (uint64_t)client->keeper.session_id);
    }
}

static void put_connection_sets(struct text *text)
{
    const struct keeper_server *server = text->server;
    uint64_t set_count = 0;
    struct connection_set set = connections_behind(server, INT64_MIN);
    for (; set.count > 0; set = connections_behind(server, set.expiry_ms))
        set_count++;
    counted_text_print(&text->out,
                       "Connections dump:\nConnections Sets (%" PRIu64 ")/(%" PRIu32 "):\n",
                       set_count, net_connection_count(server->net));
    set = connections_behind(server, INT64_MIN);
    for (; set.count > 0; set = connections_behind(server, set.expiry_ms))
        put_connection_set(text, &set);
}

static void put_dump(struct text *text)
{
    put_tracker(text);
    put_ephemerals(text);
    put_connection_sets(text);
}

struct mntr {
    struct metric_visitor visitor;
    struct text *text;
};

static void put_sample(struct metric_visitor *visitor, const struct metric_sample *sample)
{
    struct mntr *mntr = CONTAINER_OF(visitor, struct mntr, visitor);
    char value[counted_text_double_bytes];
    counted_text_print(&mntr->text->out, "zk_%s\t%s\n", sample->name,
                       metrics_print_value(sample, value));
}

static void put_mntr(struct text *text)
{
    struct mntr mntr = {.visitor.on_sample = put_sample, .text = text};
    const struct ensemble_facts *ensemble = &text->server->ensemble;
    counted_text_print(&text->out, "zk_version\t%s\nzk_server_state\t%s\n", keeper_facts_version,
                       ensemble_facts_mode(ensemble));
    if (ensemble->role != ENSEMBLE_ALONE && ensemble->role != ENSEMBLE_READ_ONLY)
        counted_text_print(&text->out, "zk_peer_state\t%s\n", ensemble_facts_peer_state(ensemble));
    if (ensemble->role == ENSEMBLE_OBSERVER)
        counted_text_print(&text->out, "zk_observer_master_id\t%" PRId64 "\n", ensemble->leader_id);
    metrics_visit(text->server, &mntr.visitor);
}

static void put_hash(struct text *text)
{
    const struct digest_log *digests = &text->server->digests;
    for (uint64_t index = 0; index < digest_log_count(digests); index++) {
        const struct digest_log_entry *entry = digest_log_at(digests, index);
        counted_text_print(&text->out, "%" PRIx64 ": %" PRId64 "\n", (uint64_t)entry->zxid,
                           (int64_t)entry->digest);
    }
}

static void put_gtmk(struct text *text)
{
    counted_text_print(&text->out, "%" PRId64, text->server->trace_mask);
}

/* Also while nobody is served. */
enum word_need { ALWAYS, SERVING };

static const struct word {
    const char *name;
    void (*put)(struct text *text);
    enum word_need need;
} words[] = {
    {"ruok", put_ruok, ALWAYS},  {"srvr", put_srvr, SERVING}, {"stat", put_stat, SERVING},
    {"mntr", put_mntr, SERVING}, {"conf", put_conf, SERVING}, {"isro", put_isro, ALWAYS},
    {"envi", put_envi, ALWAYS},  {"cons", put_cons, SERVING}, {"dirs", put_dirs, SERVING},
    {"dump", put_dump, SERVING}, {"crst", put_crst, SERVING}, {"srst", put_srst, SERVING},
    {"wchs", put_wchs, SERVING}, {"gtmk", put_gtmk, ALWAYS},  {"stmk", put_gtmk, ALWAYS},
    {"hash", put_hash, SERVING}, {"wchp", put_wchp, SERVING}, {"wchc", put_wchc, SERVING},
};

static const struct word *find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (slice_equal_text(name, words[i].name))
            return &words[i];
    return NULL;
}

bool four_letter_has_mask(const struct keeper_server *server, uint32_t number)
{
    const struct slice name = SLICE_LITERAL("stmk");
    return number == load_u32(name.data) && keeper_config_allows_word(&server->config, name);
}

bool four_letter_is_word(uint32_t number)
{
    uint8_t name[4];
    store_u32(name, number);
    return find(slice_of(name, sizeof name)) != NULL;
}

static void put(struct text *text, struct slice name)
{
    const struct word *word = find(name);
    if (word == NULL)
        return;
    const bool is_allowed = keeper_config_allows_word(&text->server->config, name);
    const bool can_answer = word->need == ALWAYS || is_serving(text->server);
    if (is_allowed && can_answer)
        word->put(text);
    else if (is_allowed) /* That hash ends without a line end is Apache's way. */
        counted_text_print(&text->out, "%s%s", keeper_facts_not_serving,
                           word->put == put_hash ? "" : "\n");
    else
        counted_text_print(
            &text->out, "%" SLICE_FORMAT " is not executed because it is not in the whitelist.\n",
            SLICE_ARGS(name));
}

struct net_message *four_letter_answer(struct keeper_server *server, struct slice name)
{
    struct text text = {.server = server};
    put(&text, name);
    if (text.out.size > four_letter_answer_bytes_max)
        return NULL;
    /* Reset words count twice, so a digit more may come up in the second run. */
    const size_t capacity = text.out.size + 64;
    struct net_message *message = net_message_acquire(
        server->shard->heap, (struct net_message_options){.capacity = (uint32_t)capacity});
    if (message == NULL)
        return NULL;
    text.out = (struct counted_text){.data = (char *)message->data, .capacity = capacity};
    put(&text, name);
    message->size = (uint32_t)min_size(text.out.size, capacity - 1);
    return message;
}
