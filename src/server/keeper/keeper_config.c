#include "server/keeper/keeper_config.h"

#include "base/assert.h"

#include <stdio.h>

enum { minute_ms = 60 * 1000, version_folder_number = 2 };

#define FIELD(name) .offset = offsetof(struct keeper_config, name)

static const struct config_row rows[] = {
    {"dataDir", CONFIG_TEXT, FIELD(data_dir), .doc = "Where snapshots and the journal are kept."},
    {"dataLogDir", CONFIG_TEXT, FIELD(data_log_dir),
     .doc = "Where the journal is kept; without it, in dataDir."},
    {"clientPort", CONFIG_INT, FIELD(client_port), .min = 0, .max = 65535, .value_default = "2181",
     .doc = "The port for clients. 0: one that the system chooses."},
    {"clientPortAddress", CONFIG_TEXT, FIELD(client_port_address),
     .doc = "The address to listen on; without it, all of them."},
    {"clientPortListenBacklog", CONFIG_INT, FIELD(backlog), .min = -1, .max = 65535,
     .value_default = "-1", .doc = "How many connections may wait to be accepted. -1: 1024."},
    {"tickTime", CONFIG_INT, FIELD(tick_ms), .min = 10, .max = 10 * minute_ms,
     .value_default = "3000", .unit = "ms", .doc = "The unit of time of sessions."},
    {"minSessionTimeout", CONFIG_INT, FIELD(session_timeout_ms_min), .min = -1, .max = INT32_MAX,
     .value_default = "-1", .unit = "ms",
     .doc = "The shortest session timeout that clients get. -1: two ticks."},
    {"maxSessionTimeout", CONFIG_INT, FIELD(session_timeout_ms_max), .min = -1, .max = INT32_MAX,
     .value_default = "-1", .unit = "ms",
     .doc = "The longest session timeout that clients get. -1: twenty ticks."},
    {"maxClientCnxns", CONFIG_INT, FIELD(connection_count_max_per_address), .min = 0,
     .max = INT32_MAX, .value_default = "60",
     .doc = "How many connections one address may have. 0: no limit."},
    {"maxCnxns", CONFIG_INT, FIELD(connection_count_max), .min = 0, .max = INT32_MAX,
     .value_default = "0", .doc = "How many connections there may be. 0: 50000."},
    {"nio.sessionlessCnxnTimeout", CONFIG_INT, FIELD(sessionless_timeout_ms), .min = 1,
     .max = INT32_MAX, .value_default = "10000", .unit = "ms",
     .doc = "How long a connection may stay without a session."},
    {"jute.maxbuffer", CONFIG_INT, FIELD(frame_bytes_max), .min = 1024, .max = 1 << 30,
     .value_default = "1048575", .unit = "bytes", .doc = "The longest request."},
    {"globalOutstandingLimit", CONFIG_INT, FIELD(outstanding_request_count_max), .min = 1,
     .max = INT32_MAX, .value_default = "1000",
     .doc = "Writes in progress before connections are no longer read."},

    {"snapCount", CONFIG_INT, FIELD(snapshot_txn_count), .min = 2, .max = INT32_MAX,
     .value_default = "100000", .unit = "transactions",
     .doc = "A snapshot is taken after half to all of so many transactions."},
    {"snapSizeLimitInKb", CONFIG_INT, FIELD(snapshot_journal_kib), .min = -1,
     .max = INT64_MAX / 2048, .value_default = "4194304", .unit = "KiB",
     .doc = "A snapshot is also taken after half to all of so much journal. 0 or less: no limit."},
    {"preAllocSize", CONFIG_INT, FIELD(allocate_kib), .min = 0, .max = 4 << 20,
     .value_default = "65536", .unit = "KiB", .doc = "The journal's files grow in such steps."},
    {"autopurge.snapRetainCount", CONFIG_INT, FIELD(purge_retain_count), .min = 0, .max = INT32_MAX,
     .value_default = "3", .doc = "Snapshots that purging keeps; at least 3."},
    {"autopurge.purgeInterval", CONFIG_INT, FIELD(purge_interval_h), .min = 0, .max = 24 * 365,
     .value_default = "0", .unit = "hours",
     .doc = "How often old snapshots and journals are removed. 0: never."},
    {"forceSync", CONFIG_BOOL, FIELD(force_sync), .value_default = "yes",
     .doc = "Whether a write is on disk before it is acknowledged. no risks losing writes."},
    {"snapshot.trust.empty", CONFIG_BOOL, FIELD(trust_empty_snapshot), .value_default = "false",
     .doc = "Start from a journal without any snapshot."},
    {"disk.reserveMb", CONFIG_INT, FIELD(disk_reserve_mib), .min = 0, .max = 1 << 20,
     .value_default = "64", .unit = "MiB",
     .doc = "Writes are refused when less than this is free. Ours, not Apache's."},

    {"4lw.commands.whitelist", CONFIG_TEXT, FIELD(words_whitelist), .value_default = "srvr",
     .doc = "Four-letter words that are answered, separated by commas, or *."},
    {"DigestAuthenticationProvider.superDigest", CONFIG_TEXT, FIELD(super_digest),
     .doc = "super:hash of the super user's password."},
    {"DigestAuthenticationProvider.enabled", CONFIG_BOOL, FIELD(digest_enabled),
     .value_default = "true", .doc = "Whether clients may authenticate with scheme digest."},
    {"skipACL", CONFIG_BOOL, FIELD(skip_acl), .value_default = "no",
     .doc = "Whether access lists are ignored."},
    {"enforceQuota", CONFIG_BOOL, FIELD(enforce_quota), .value_default = "false",
     .doc = "Whether hard quotas are enforced."},
    {"extendedTypesEnabled", CONFIG_BOOL, FIELD(extended_types_enabled), .value_default = "false",
     .doc = "Whether znodes may have a time to live."},
    {"znode.container.checkIntervalMs", CONFIG_INT, FIELD(container_check_interval_ms), .min = 10,
     .max = INT32_MAX, .value_default = "60000", .unit = "ms",
     .doc = "How often empty containers and expired znodes are looked for."},
    {"znode.container.maxPerMinute", CONFIG_INT, FIELD(container_count_max_per_minute), .min = 1,
     .max = minute_ms, .value_default = "10000",
     .doc = "How many containers and expired znodes are deleted in a minute."},

    {"memory.limitMb", CONFIG_INT, FIELD(memory_mib_max), .min = 16, .max = 1 << 20,
     .value_default = "1024", .unit = "MiB",
     .doc = "Memory for znodes, sessions, watches and requests. Ours, as the JVM's heap size."},
    {"sessions.limit", CONFIG_INT, FIELD(session_count_max), .min = 1, .max = INT32_MAX,
     .value_default = "1000000", .doc = "How many sessions there may be. Ours."},
    {"watches.limit", CONFIG_INT, FIELD(watch_count_max), .min = 1, .max = INT32_MAX,
     .value_default = "10000000", .doc = "How many watches there may be. Ours."},

    {"server.", CONFIG_GROUP, FIELD(servers), .doc = "The members of an ensemble."},
    {"group.", CONFIG_GROUP, FIELD(groups), .doc = "Groups of members."},
    {"weight.", CONFIG_GROUP, FIELD(weights), .doc = "Weights of members."},

    {"initLimit", CONFIG_INT, FIELD(init_limit_ticks), .min = 1, .max = INT32_MAX,
     .value_default = "10", .unit = "ticks",
     .doc = "How long members of an ensemble may take to connect to their leader."},
    {"syncLimit", CONFIG_INT, FIELD(sync_limit_ticks), .min = 1, .max = INT32_MAX,
     .value_default = "5", .unit = "ticks",
     .doc = "How far members of an ensemble may be behind their leader."},
    {"connectToLearnerMasterLimit", CONFIG_NOTHING, .doc = "only ensembles use it"},
    {"electionAlg", CONFIG_NOTHING, .doc = "only ensembles elect"},
    {"peerType", CONFIG_NOTHING, .doc = "only ensembles have observers"},
    {"syncEnabled", CONFIG_NOTHING, .doc = "only observers use it"},
    {"standaloneEnabled", CONFIG_NOTHING, .doc = "this server stands alone"},
    {"reconfigEnabled", CONFIG_NOTHING, .doc = "only ensembles can be reconfigured"},
    {"leaderServes", CONFIG_NOTHING, .doc = "only ensembles have a leader"},
    {"localSessionsEnabled", CONFIG_NOTHING, .doc = "all sessions are global"},
    {"localSessionsUpgradingEnabled", CONFIG_NOTHING, .doc = "all sessions are global"},
    {"admin.enableServer", CONFIG_NOTHING, .doc = "there is no admin server yet"},
    {"admin.serverPort", CONFIG_NOTHING, .doc = "there is no admin server yet"},
    {"admin.serverAddress", CONFIG_NOTHING, .doc = "there is no admin server yet"},
    {"admin.commandURL", CONFIG_NOTHING, .doc = "there is no admin server yet"},
    {"admin.idleTimeout", CONFIG_NOTHING, .doc = "there is no admin server yet"},
    {"serverCnxnFactory", CONFIG_NOTHING, .doc = "there is one way to serve connections"},
    {"metricsProvider.className", CONFIG_TEXT, FIELD(metrics_class_name),
     .value_default = "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
     .doc = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider serves /metrics."},
    {"metricsProvider.httpPort", CONFIG_NOTHING, .doc = "metrics are told by mntr"},
    {"metricsProvider.exportJvmInfo", CONFIG_NOTHING, .doc = "there is no JVM"},
    {"jvm.pause.monitor", CONFIG_NOTHING, .doc = "there is no JVM"},
    {"fsync.warningthresholdms", CONFIG_NOTHING, .doc = "syncs never stop the server"},
    {"commitLogCount", CONFIG_NOTHING, .doc = "only ensembles send transactions to learners"},
    {"snapshotSizeFactor", CONFIG_NOTHING, .doc = "only ensembles send transactions to learners"},
    {"maxResponseCacheSize", CONFIG_NOTHING, .doc = "replies are made without a cache"},
    {"maxGetChildrenResponseCacheSize", CONFIG_NOTHING, .doc = "replies are made without a cache"},
    {"snapshot.compression.method", CONFIG_NOTHING, .doc = "snapshots are written uncompressed"},
    {"digest.enabled", CONFIG_NOTHING, .doc = "snapshots always carry the digest"},
    {"audit.enable", CONFIG_NOTHING, .doc = "there is no audit trail yet"},
};

const struct config_table keeper_config_table = {
    .name = "zoo.cfg", .key_prefix = "zookeeper.", .rows = rows, .row_count = ARRAY_COUNT(rows)};

static bool is_too_long(const char *path)
{
    return path != NULL && strlen(path) > keeper_config_path_bytes_max;
}

/* What no single row can say. */
static enum err check(const struct keeper_config *config, struct diag *diag, const char *file_name)
{
    enum err err = ERR_OK;
    if (config->data_dir == NULL) {
        diag_error(diag, "%s: dataDir is missing; add a line like dataDir=/var/lib/zookeeper",
                   file_name);
        err = ERR_CONFIG;
    }
    if (is_too_long(config->data_dir) || is_too_long(config->data_log_dir)) {
        diag_error(diag, "%s: dataDir and dataLogDir have at most %d characters", file_name,
                   keeper_config_path_bytes_max);
        err = ERR_CONFIG;
    }
    if (config->servers != NULL && config->servers->next != NULL) {
        diag_error(diag,
                   "%s:%u: server.%s: ensembles are not supported yet; leave one server line or "
                   "none",
                   file_name, config->servers->next->line, config->servers->next->key);
        err = ERR_CONFIG;
    }
    if (keeper_config_timeout_ms_min(config) > keeper_config_timeout_ms_max(config)) {
        diag_error(diag, "%s: minSessionTimeout is above maxSessionTimeout; raise the latter",
                   file_name);
        err = ERR_CONFIG;
    }
    return err;
}

enum err keeper_config_load(struct keeper_config *config, struct heap *heap, struct diag *diag,
                            struct config_source source)
{
    *config = (struct keeper_config){0};
    enum err err = config_defaults(&keeper_config_table, config, heap);
    if (err == ERR_OK)
        err = config_load(&keeper_config_table, config, heap, diag, source);
    return err == ERR_OK ? check(config, diag, source.file_name) : err;
}

int32_t keeper_config_timeout_ms_min(const struct keeper_config *config)
{
    const int64_t value = config->session_timeout_ms_min;
    return (int32_t)min_i64(value == -1 ? 2 * config->tick_ms : value, INT32_MAX);
}

int32_t keeper_config_timeout_ms_max(const struct keeper_config *config)
{
    const int64_t value = config->session_timeout_ms_max;
    return (int32_t)min_i64(value == -1 ? 20 * config->tick_ms : value, INT32_MAX);
}

static const char *version_path(const char *folder, char *text, size_t capacity)
{
    const int size = snprintf(text, capacity, "%s/version-%d", folder, version_folder_number);
    assert(size > 0 && (size_t)size < capacity);
    return text;
}

const char *keeper_config_snapshot_path(const struct keeper_config *config, char *text,
                                        size_t capacity)
{
    return version_path(config->data_dir, text, capacity);
}

const char *keeper_config_journal_path(const struct keeper_config *config, char *text,
                                       size_t capacity)
{
    const char *folder = config->data_log_dir != NULL ? config->data_log_dir : config->data_dir;
    return version_path(folder, text, capacity);
}

bool keeper_config_has_prometheus(const struct keeper_config *config)
{
    return strcmp(config->metrics_class_name,
                  "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider") == 0;
}

bool keeper_config_allows_word(const struct keeper_config *config, struct slice word)
{
    const char *at = config->words_whitelist != NULL ? config->words_whitelist : "";
    while (*at != '\0') {
        at += strspn(at, ", \t");
        const size_t size = strcspn(at, ", \t");
        const struct slice allowed = slice_of(at, size);
        if (size > 0 && (slice_equal(allowed, word) || slice_equal_text(allowed, "*")))
            return true;
        at += size;
    }
    return false;
}
