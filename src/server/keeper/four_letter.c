#define _POSIX_C_SOURCE 200809L
#include "server/keeper/four_letter.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/keeper/client_link.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* What Apache's 3.9 line says of itself, with our name where its commit stands. */
#define VERSION_TEXT "3.9.5-rookery, built on 2026-11-22 00:00 UTC"

/* Text that is counted first and then written. */
struct text {
    struct keeper_server *server;
    char *data; /* NULL: only counting. */
    size_t capacity;
    size_t size;
};

PRINTF_LIKE(2, 3) static void print(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t left = text->data == NULL ? 0 : text->capacity - text->size;
    const int size =
        vsnprintf(text->data == NULL ? NULL : text->data + text->size, left, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    text->size += (size_t)size;
}

/* ---- numbers that several words tell ---- */

static uint64_t outstanding_count(const struct keeper_server *server)
{
    return server->write_count + server->wait_count;
}

static uint64_t watch_count(const struct keeper_server *server)
{
    const struct watch_table *watches = &server->keeper.watches;
    return watches->watch_count[WATCH_KIND_DATA] + watches->watch_count[WATCH_KIND_CHILD];
}

struct folder_size {
    struct keeper_server *server;
    const char *path;
    const char *prefix;
    uint64_t bytes;
};

static void on_file(void *context, const char *name)
{
    struct folder_size *folder = context;
    char path[keeper_path_bytes_max];
    struct io_file_info info;
    const int size = snprintf(path, sizeof path, "%s/%s", folder->path, name);
    if (size < 0 || (size_t)size >= sizeof path)
        return;
    if (io_file_info(folder->server->shard->io, path, &info) == 0 && info.is_regular)
        folder->bytes += info.size_bytes;
}

static uint64_t folder_bytes(struct keeper_server *server, const char *path)
{
    struct folder_size folder = {.server = server, .path = path};
    (void)io_list_directory(server->shard->io, path, on_file, &folder);
    return folder.bytes;
}

/* ---- connections ---- */

static const char *op_code_text(int32_t type)
{
    switch (type) {
    case OP_PING: return "PING";
    case OP_CREATE_SESSION: return "SESS";
    case OP_MULTI: return "MULT";
    case OP_MULTI_READ: return "MLTR";
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_TTL:
    case OP_CREATE_CONTAINER: return "CREA";
    case OP_DELETE:
    case OP_DELETE_CONTAINER: return "DELE";
    case OP_SET_DATA: return "SETD";
    case OP_RECONFIG: return "RECO";
    case OP_SET_ACL: return "SETA";
    case OP_CLOSE_SESSION: return "CLOS";
    case OP_SYNC: return "SYNC";
    case OP_CHECK: return "CHEC";
    case OP_EXISTS: return "EXIS";
    case OP_GET_DATA: return "GETD";
    case OP_SET_WATCHES: return "SETW";
    case OP_SET_WATCHES2: return "STW2";
    case OP_ADD_WATCH: return "ADDW";
    case OP_GET_ACL: return "GETA";
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2: return "GETC";
    case OP_GET_ALL_CHILDREN_NUMBER: return "GETACN";
    case OP_CHECK_WATCHES: return "CHKW";
    case OP_REMOVE_WATCHES: return "REMW";
    case OP_WHO_AM_I: return "HOMI";
    case OP_GET_EPHEMERALS: return "GETE";
    }
    return "NA";
}

static void put_client(struct text *text, const struct client_link *client, bool is_brief)
{
    char address[io_address_text_max];
    const struct keeper_latency *latency = &client->latency;
    io_address_print(&client->net->peer, address, sizeof address);
    print(text, " /%s[%d](queued=%" PRIu32 ",recved=%" PRIu64 ",sent=%" PRIu64, address,
          client->phase == CLIENT_LINK_OPEN ? 1 : 0, client->outstanding_count,
          client->received_count, client->sent_count);
    if (!is_brief && client->phase == CLIENT_LINK_OPEN)
        print(text,
              ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%" PRId32 ",lcxid=0x%" PRIx32
              ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64 ",llat=%" PRIu64 ",minlat=%" PRIu64
              ",avglat=%" PRIu64 ",maxlat=%" PRIu64,
              (uint64_t)client->keeper.session_id, op_code_text(client->type_last),
              client->connected_at_ms, client->timeout_ms, (uint32_t)client->xid_last,
              (uint64_t)client->zxid_last, client->replied_at_ms, client->latency_last_ms,
              latency->min_ms, latency->total_ms / max_u64(latency->count, 1), latency->max_ms);
    print(text, ")\n");
}

static void put_clients(struct text *text, bool is_brief)
{
    list_each (link, &text->server->links) {
        const struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        if (client->net != NULL)
            put_client(text, client, is_brief);
    }
    print(text, "\n");
}

/* ---- words ---- */

static void put_ruok(struct text *text)
{
    print(text, "imok");
}

static void put_isro(struct text *text)
{
    print(text, "rw");
}

static void put_server(struct text *text)
{
    struct keeper_server *server = text->server;
    const struct keeper_latency *latency = &server->stats.latency;
    char average[keeper_latency_text_bytes];
    print(text, "Latency min/avg/max: %" PRIu64 "/%s/%" PRIu64 "\n", latency->min_ms,
          keeper_latency_print_average(latency, average), latency->max_ms);
    print(text, "Received: %" PRIu64 "\nSent: %" PRIu64 "\n", server->stats.received_count,
          server->stats.sent_count);
    print(text, "Connections: %" PRIu32 "\nOutstanding: %" PRIu64 "\n",
          net_connection_count(server->net), outstanding_count(server));
    print(text, "Zxid: 0x%" PRIx64 "\nMode: standalone\nNode count: %" PRIu64 "\n",
          (uint64_t)server->keeper.zxid_applied, keeper_znode_count(&server->keeper));
}

static void put_srvr(struct text *text)
{
    print(text, "Zookeeper version: " VERSION_TEXT "\n");
    put_server(text);
}

static void put_stat(struct text *text)
{
    print(text, "Zookeeper version: " VERSION_TEXT "\nClients:\n");
    put_clients(text, true);
    put_server(text);
}

static void put_cons(struct text *text)
{
    put_clients(text, false);
}

static void put_conf(struct text *text)
{
    struct keeper_server *server = text->server;
    const struct keeper_config *config = &server->config;
    print(text, "clientPort=%u\nsecureClientPort=-1\n", server->address.port);
    print(text, "dataDir=%s\ndataDirSize=%" PRIu64 "\n", server->snapshot_path,
          folder_bytes(server, server->snapshot_path));
    print(text, "dataLogDir=%s\ndataLogSize=%" PRIu64 "\n", server->journal_path,
          folder_bytes(server, server->journal_path));
    print(text, "tickTime=%" PRId64 "\nmaxClientCnxns=%" PRId64 "\n", config->tick_ms,
          config->connection_count_max_per_address);
    print(text, "minSessionTimeout=%" PRId32 "\nmaxSessionTimeout=%" PRId32 "\n",
          keeper_config_timeout_ms_min(config), keeper_config_timeout_ms_max(config));
    print(text, "clientPortListenBacklog=%" PRId64 "\nserverId=0\n", config->backlog);
}

static void put_envi(struct text *text)
{
    struct keeper_server *server = text->server;
    print(text, "Environment:\nzookeeper.version=" VERSION_TEXT "\n");
    print(text, "io.world=%s\n", server->shard->io->world->name);
    print(text, "os.memory.free=%zuMB\nos.memory.max=%zuMB\nos.memory.total=%zuMB\n",
          (server->shard->heap->limit_bytes - server->shard->heap->used_bytes) >> 20,
          server->shard->heap->limit_bytes >> 20, server->shard->heap->used_bytes >> 20);
}

static void put_dirs(struct text *text)
{
    print(text, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n",
          folder_bytes(text->server, text->server->snapshot_path),
          folder_bytes(text->server, text->server->journal_path));
}

static void put_crst(struct text *text)
{
    list_each (link, &text->server->links) {
        struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        client->received_count = 0;
        client->sent_count = 0;
        client->latency = (struct keeper_latency){0};
    }
    print(text, "Connection stats reset.\n");
}

static void put_srst(struct text *text)
{
    keeper_stats_reset(&text->server->stats);
    print(text, "Server stats reset.\n");
}

/* Like Apache's, these three know of data watches only. */
static void put_wchs(struct text *text)
{
    const struct watch_table *watches = &text->server->keeper.watches;
    print(text, "%" PRIu64 " connections watching %" PRIu64 " paths\nTotal watches:%" PRIu64 "\n",
          watches->watcher_count[WATCH_KIND_DATA], watches->paths[WATCH_KIND_DATA].count,
          watches->watch_count[WATCH_KIND_DATA]);
}

static const struct client_link *client_of(const struct watcher *watcher)
{
    const struct keeper_connection *connection =
        CONTAINER_OF(watcher, struct keeper_connection, watcher);
    return CONTAINER_OF(connection, struct client_link, keeper);
}

static void put_wchp(struct text *text)
{
    const struct watch_table *watches = &text->server->keeper.watches;
    uint64_t position = 0;
    struct watched_path *path = watch_table_next_path(watches, WATCH_KIND_DATA, &position, NULL);
    for (; path != NULL; path = watch_table_next_path(watches, WATCH_KIND_DATA, &position, path)) {
        print(text, "%.*s\n", (int)path->size, (const char *)path->bytes);
        list_each (link, &path->watches) {
            const struct watch *watch = CONTAINER_OF(link, struct watch, in_path);
            print(text, "\t0x%" PRIx64 "\n",
                  (uint64_t)client_of(watch->watcher)->keeper.session_id);
        }
    }
    print(text, "\n");
}

static void put_wchc(struct text *text)
{
    list_each (at, &text->server->links) {
        const struct client_link *client = CONTAINER_OF(at, struct client_link, link);
        if (client->keeper.watcher.watch_count[WATCH_KIND_DATA] == 0)
            continue;
        print(text, "0x%" PRIx64 "\n", (uint64_t)client->keeper.session_id);
        list_each (link, &client->keeper.watcher.watches) {
            const struct watch *watch = CONTAINER_OF(link, struct watch, in_watcher);
            if (watch->kind == WATCH_KIND_DATA)
                print(text, "\t%.*s\n", (int)watch->path->size, (const char *)watch->path->bytes);
        }
    }
    print(text, "\n");
}

static void put_owned_paths(struct text *text, const struct tree_owner *owner)
{
    if (owner == NULL)
        return;
    print(text, "0x%" PRIx64 ":\n", (uint64_t)owner->id);
    list_each (link, &owner->znodes) {
        const struct znode *znode = tree_owned(link);
        const size_t size = tree_path_bytes(znode);
        print(text, "\t");
        if (text->data != NULL) {
            assert(text->size + size < text->capacity);
            (void)tree_path_write(znode, (uint8_t *)text->data + text->size);
        }
        text->size += size;
        print(text, "\n");
    }
}

/* As Java prints a date: "Sun Nov 22 09:57:04 UTC 2026". */
static void print_date(struct text *text, int64_t wall_ms)
{
    char date[64];
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(date, sizeof date, "%a %b %d %H:%M:%S UTC %Y", &parts) == 0)
        return;
    print(text, "%s", date);
}

static int64_t wall_ms_of_tick(const struct keeper_server *server, int64_t tick)
{
    const int64_t from_now_ms = tick * server->config.tick_ms - keeper_server_now_ms(server);
    return io_wall_ms(server->shard->io) + from_now_ms;
}

/* What a walk over the sessions finds about one tick. */
struct tick_sessions {
    int64_t tick;   /* The earliest deadline behind the last one. */
    uint64_t count; /* Of sessions that end then. */
};

static struct tick_sessions sessions_behind(const struct session_table *sessions, int64_t tick)
{
    struct tick_sessions next = {.tick = INT64_MAX};
    uint64_t position = 0;
    struct session *session = session_table_next(sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(sessions, &position, session)) {
        if (session->deadline_tick <= tick || session->deadline_tick > next.tick)
            continue;
        next.count = session->deadline_tick < next.tick ? 1 : next.count + 1;
        next.tick = session->deadline_tick;
    }
    return next;
}

static void put_session_set(struct text *text, const struct tick_sessions *set)
{
    const struct session_table *sessions = &text->server->keeper.sessions;
    uint64_t position = 0;
    print(text, "%" PRIu64 " expire at ", set->count);
    print_date(text, wall_ms_of_tick(text->server, set->tick));
    print(text, ":\n");
    struct session *session = session_table_next(sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(sessions, &position, session))
        if (session->deadline_tick == set->tick)
            print(text, "\t0x%" PRIx64 "\n", (uint64_t)session->id);
}

/* Deadlines lie on ticks within the longest timeout, so there are few different ones. */
static void put_session_sets(struct text *text)
{
    const struct session_table *sessions = &text->server->keeper.sessions;
    uint64_t set_count = 0;
    struct tick_sessions set = sessions_behind(sessions, INT64_MIN);
    for (; set.count > 0; set = sessions_behind(sessions, set.tick))
        set_count++;
    print(text, "SessionTracker dump:\nSession Sets (%" PRIu64 ")/(%" PRIu64 "):\n", set_count,
          sessions->by_id.count);
    set = sessions_behind(sessions, INT64_MIN);
    for (; set.count > 0; set = sessions_behind(sessions, set.tick))
        put_session_set(text, &set);
}

static void put_ephemerals(struct text *text)
{
    const struct keeper *keeper = &text->server->keeper;
    uint64_t position = 0;
    print(text, "ephemeral nodes dump:\nSessions with Ephemerals (%" PRIu64 "):\n",
          keeper->tree.owners.count);
    struct session *session = session_table_next(&keeper->sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(&keeper->sessions, &position, session))
        put_owned_paths(text, tree_find_owner(&keeper->tree, session->id));
}

static void put_dump(struct text *text)
{
    const struct keeper_server *server = text->server;
    char address[io_address_text_max];
    put_session_sets(text);
    put_ephemerals(text);
    print(text, "Connections dump:\nConnections Sets (1)/(%" PRIu32 "):\n",
          net_connection_count(server->net));
    list_each (link, &server->links) {
        const struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        if (client->net != NULL)
            print(text, "\tip: /%s sessionId: 0x%" PRIx64 "\n",
                  io_address_print(&client->net->peer, address, sizeof address),
                  (uint64_t)client->keeper.session_id);
    }
}

static void put_latency(struct text *text, const char *name, const struct keeper_latency *latency)
{
    char average[keeper_latency_text_bytes];
    print(text, "zk_avg_%s\t%s\n", name, keeper_latency_print_average(latency, average));
    print(text, "zk_min_%s\t%" PRIu64 "\nzk_max_%s\t%" PRIu64 "\n", name, latency->min_ms, name,
          latency->max_ms);
    print(text, "zk_cnt_%s\t%" PRIu64 "\nzk_sum_%s\t%" PRIu64 "\n", name, latency->count, name,
          latency->total_ms);
}

static void put_gauges(struct text *text)
{
    struct keeper_server *server = text->server;
    const struct keeper *keeper = &server->keeper;
    const struct keeper_stats *stats = &server->stats;
    const struct {
        const char *name;
        uint64_t value;
    } gauges[] = {
        {"ephemerals_count", keeper->tree.ephemeral_count},
        {"num_alive_connections", net_connection_count(server->net)},
        {"outstanding_requests", outstanding_count(server)},
        {"znode_count", keeper_znode_count(&server->keeper)},
        {"global_sessions", keeper->sessions.by_id.count},
        {"local_sessions", 0},
        {"packets_sent", stats->sent_count},
        {"packets_received", stats->received_count},
        {"watch_count", watch_count(server)},
        {"auth_failed_count", stats->auth_failed_count},
        {"approximate_data_size", keeper->tree.data_bytes},
        {"uptime", (io_now_ns(server->shard->io) - server->started_at_ns) / 1000000},
        {"snap_count", stats->snapshot_count},
        {"stale_sessions_expired", stats->expired_session_count},
        {"connection_rejected", stats->rejected_connection_count},
        {"memory_used_bytes", server->shard->heap->used_bytes},
        {"memory_limit_bytes", server->shard->heap->limit_bytes},
        {"journal_writes", server->journal.write_count},
        {"journal_syncs", server->journal.sync_count},
    };
    for (size_t i = 0; i < ARRAY_COUNT(gauges); i++)
        print(text, "zk_%s\t%" PRIu64 "\n", gauges[i].name, gauges[i].value);
    print(text, "zk_last_client_response_size\t%" PRId64 "\n", stats->reply_bytes_last);
    print(text, "zk_max_client_response_size\t%" PRId64 "\n", stats->reply_bytes_max);
    print(text, "zk_min_client_response_size\t%" PRId64 "\n", stats->reply_bytes_min);
}

static void put_mntr(struct text *text)
{
    const struct keeper_stats *stats = &text->server->stats;
    char average[keeper_latency_text_bytes];
    print(text, "zk_version\t" VERSION_TEXT "\nzk_server_state\tstandalone\n");
    put_gauges(text);
    print(text, "zk_avg_latency\t%s\nzk_min_latency\t%" PRIu64 "\nzk_max_latency\t%" PRIu64 "\n",
          keeper_latency_print_average(&stats->latency, average), stats->latency.min_ms,
          stats->latency.max_ms);
    put_latency(text, "readlatency", &stats->read_latency);
    put_latency(text, "updatelatency", &stats->write_latency);
}

static void put_gtmk(struct text *text)
{
    print(text, "306");
}

static void put_nothing(struct text *text)
{
    (void)text;
}

static const struct word {
    const char *name;
    void (*put)(struct text *text);
} words[] = {
    {"ruok", put_ruok}, {"srvr", put_srvr}, {"stat", put_stat}, {"mntr", put_mntr},
    {"conf", put_conf}, {"isro", put_isro}, {"envi", put_envi}, {"cons", put_cons},
    {"dirs", put_dirs}, {"dump", put_dump}, {"crst", put_crst}, {"srst", put_srst},
    {"wchs", put_wchs}, {"gtmk", put_gtmk}, {"stmk", put_gtmk}, {"hash", put_nothing},
    {"wchp", put_wchp}, {"wchc", put_wchc},
};

static const struct word *find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (slice_equal_text(name, words[i].name))
            return &words[i];
    return NULL;
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
    if (keeper_config_allows_word(&text->server->config, name))
        word->put(text);
    else
        print(text, "%" SLICE_FORMAT " is not executed because it is not in the whitelist.\n",
              SLICE_ARGS(name));
}

struct net_message *four_letter_answer(struct keeper_server *server, struct slice name)
{
    struct text text = {.server = server};
    put(&text, name);
    /* Reset words count twice, so a digit more may come up in the second run. */
    const size_t capacity = text.size + 64;
    struct net_message *message = net_message_acquire(
        server->shard->heap, (struct net_message_options){.capacity = (uint32_t)capacity});
    if (message == NULL)
        return NULL;
    text = (struct text){.server = server, .data = (char *)message->data, .capacity = capacity};
    put(&text, name);
    message->size = (uint32_t)min_size(text.size, capacity - 1);
    return message;
}
