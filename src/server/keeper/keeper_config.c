#include "server/keeper/keeper_config.h"

#include "base/assert.h"
#include "server/keeper/ensemble_config.h"
#include "zab/zab.h"

#include <stdio.h>

enum {
    minute_ms = 60 * 1000,
    version_folder_number = 2,
    client_port_default = 2181,
    retain_count_min = 3,
    record_extra_bytes_min = 1024,
};

#define FIELD(name) .offset = offsetof(struct keeper_config, name)

/* A key of Apache's that is accepted and changes nothing, with the reason. */
#define NOTHING(key_, why)                                                                         \
    {                                                                                              \
        .key = (key_), .type = CONFIG_NOTHING, .doc = (why)                                        \
    }

/* Java's names, which are OpenSSL's too. */
static const char *const digest_names[] = {"SHA1",     "SHA-224",  "SHA-256",  "SHA-384",
                                           "SHA-512",  "SHA3-224", "SHA3-256", "SHA3-384",
                                           "SHA3-512", "MD5",      NULL};
/* In the order of enum recovery_compression. */
static const char *const compressions[] = {"", "gz", "snappy", NULL};

/* In the order of enum keeper_peer_type. */
static const char *const peer_types[] = {"participant", "observer", NULL};

/* In the order of enum keeper_metrics_provider. */
static const char *const metrics_providers[] = {
    "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
    "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider", NULL};

static const struct config_row rows[] = {
    {"dataDir", CONFIG_TEXT, FIELD(data_dir), .doc = "Where snapshots and the journal are kept."},
    {"dataLogDir", CONFIG_TEXT, FIELD(data_log_dir),
     .doc = "Where the journal is kept; without it, in dataDir."},
    {"clientPort", CONFIG_INT, FIELD(client_port), .min = -1, .max = 65535, .value_default = "-1",
     .doc = "The port for clients. -1: 2181. 0: one that the system chooses."},
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
     .value_default = "0",
     .doc = "How many connections there may be; more are closed. 0: 50000; more must wait."},
    {"nio.sessionlessCnxnTimeout", CONFIG_INT, FIELD(sessionless_timeout_ms), .min = 1,
     .max = INT32_MAX, .value_default = "10000", .unit = "ms",
     .doc = "How long a connection may stay without a session."},
    {"jute.maxbuffer", CONFIG_INT, FIELD(frame_bytes_max), .min = 1024, .max = 1 << 30,
     .value_default = "1048575", .unit = "bytes", .doc = "The longest request."},
    {"jute.maxbuffer.extrasize", CONFIG_INT, FIELD(record_extra_bytes_max), .min = -1,
     .max = 1 << 30, .value_default = "-1", .unit = "bytes",
     .doc = "How much longer than a request a transaction may be, at least 1024. -1: as "
            "jute.maxbuffer."},
    {"globalOutstandingLimit", CONFIG_INT, FIELD(outstanding_request_count_max), .min = 1,
     .max = INT32_MAX, .value_default = "1000",
     .doc = "With more requests in progress, connections that wait for a reply are not read."},
    {"largeRequestThreshold", CONFIG_INT, FIELD(large_request_bytes_min), .min = INT32_MIN,
     .max = INT32_MAX, .value_default = "-1", .unit = "bytes",
     .doc = "A longer request is a large one. Below 0: none is."},
    {"largeRequestMaxBytes", CONFIG_INT, FIELD(large_requests_bytes_max), .min = 0,
     .max = INT32_MAX, .value_default = "104857600", .unit = "bytes",
     .doc = "All large requests in progress together; one more closes its connection."},
    {"request_throttle_max_requests", CONFIG_INT, FIELD(throttle_request_count_max), .min = 0,
     .max = INT32_MAX, .value_default = "0",
     .doc = "With so many requests in progress, further ones wait in order. 0: no limit."},
    {"request_throttle_drop_stale", CONFIG_BOOL, FIELD(throttle_drops_stale),
     .value_default = "true", .doc = "Whether stale requests that wait end their connection."},
    NOTHING("request_stale_connection_check",
            "nobody can be answered on a connection that is gone"),
    {"request_stale_latency_check", CONFIG_BOOL, FIELD(stale_by_latency), .value_default = "false",
     .doc = "A request that waits longer than its session's timeout is stale."},
    {"throttled_op_wait_time", CONFIG_INT, FIELD(throttled_wait_ms_max), .min = 0, .max = INT32_MAX,
     .value_default = "0", .unit = "ms",
     .doc = "A request that waited longer is answered THROTTLEDOP. 0: no limit."},
    {"connection_throttle_tokens", CONFIG_INT, FIELD(connection_tokens), .min = 0, .max = INT32_MAX,
     .value_default = "0",
     .doc = "Sessions that may be opened or renewed at once; more are closed. 0: no limit."},
    {"connection_throttle_fill_time", CONFIG_INT, FIELD(connection_fill_ms), .min = 1,
     .max = INT32_MAX, .value_default = "1", .unit = "ms", .doc = "How often tokens come back."},
    {"connection_throttle_fill_count", CONFIG_INT, FIELD(connection_fill_count), .min = 0,
     .max = INT32_MAX, .value_default = "1", .doc = "How many tokens come back each time."},
    {"connection_throttle_freeze_time", CONFIG_INT, FIELD(connection_freeze_ms), .min = -1,
     .max = INT32_MAX, .value_default = "-1", .unit = "ms",
     .doc = "How often the chance of dropping is looked at. -1: nothing is dropped by chance."},
    {"connection_throttle_drop_increase", CONFIG_RATIO, FIELD(connection_drop_increase),
     .value_default = "0.02", .doc = "The chance grows by this while no token is left."},
    {"connection_throttle_drop_decrease", CONFIG_RATIO, FIELD(connection_drop_decrease),
     .value_default = "0.002", .doc = "The chance falls by this while tokens are left."},
    {"connection_throttle_decrease_ratio", CONFIG_RATIO, FIELD(connection_decrease_ratio),
     .value_default = "0", .doc = "The part of the tokens below whose use the chance falls."},
    {"connection_throttle_weight_enabled", CONFIG_BOOL, FIELD(connection_has_weights),
     .value_default = "false", .doc = "Whether sessions take as many tokens as their weight."},
    {"connection_throttle_global_session_weight", CONFIG_INT, FIELD(connection_weight_new),
     .min = INT32_MIN, .max = 1000, .value_default = "3",
     .doc = "Tokens of a new session. 0 or less: 3."},
    {"connection_throttle_renew_session_weight", CONFIG_INT, FIELD(connection_weight_renewed),
     .min = INT32_MIN, .max = 1000, .value_default = "2",
     .doc = "Tokens of a session that comes back. 0 or less: 2."},
    {"connection_throttle_local_session_weight", CONFIG_INT, FIELD(connection_weight_local),
     .min = INT32_MIN, .max = 1000, .value_default = "1",
     .doc = "Tokens of a local session: the other weights are at least this. 0 or less: 1."},
    NOTHING("clientTcpKeepAlive", "the system probes every idle connection"),

    {"snapCount", CONFIG_INT, FIELD(snapshot_txn_count), .min = 2, .max = INT32_MAX,
     .value_default = "100000", .unit = "transactions",
     .doc = "A snapshot is taken after half to all of so many transactions."},
    {"snapSizeLimitInKb", CONFIG_INT, FIELD(snapshot_journal_kib), .min = -1,
     .max = INT64_MAX / 2048, .value_default = "4194304", .unit = "KiB",
     .doc = "A snapshot is also taken after half to all of so much journal. 0 or less: no limit."},
    {"preAllocSize", CONFIG_INT, FIELD(allocate_kib), .min = 0, .max = 4 << 20,
     .value_default = "65536", .unit = "KiB", .doc = "The journal's files grow in such steps."},
    {"txnLogSizeLimitInKb", CONFIG_INT, FIELD(journal_file_kib_max), .min = -1,
     .max = INT64_MAX / 2048, .value_default = "-1", .unit = "KiB",
     .doc = "A journal file that is larger is followed by the next one. 0 or less: no limit."},
    {"autopurge.snapRetainCount", CONFIG_INT, FIELD(purge_retain_count), .min = 0, .max = INT32_MAX,
     .value_default = "3", .doc = "Snapshots that purging keeps; at least 3."},
    {"autopurge.purgeInterval", CONFIG_INT, FIELD(purge_interval_h), .min = INT32_MIN,
     .max = 24 * 365, .value_default = "0", .unit = "hours",
     .doc = "How often old snapshots and journals are removed, first at the start. 0 or less: "
            "never."},
    {"forceSync", CONFIG_YES_NO, FIELD(force_sync), .value_default = "yes",
     .doc = "Whether a write is on disk before it is acknowledged. no risks losing writes."},
    {"fsync.warningthresholdms", CONFIG_INT, FIELD(sync_warning_ms), .min = 0, .max = INT32_MAX,
     .value_default = "1000", .unit = "ms",
     .doc = "A sync of the journal that takes longer is told."},
    {"snapshot.compression.method", CONFIG_CHOICE, FIELD(snapshot_compression), .value_default = "",
     .choices = compressions,
     .doc = "How snapshots are packed: gz, snappy, or not at all. Any of them is read."},
    {"snapshot.trust.empty", CONFIG_BOOL, FIELD(trust_empty_snapshot), .value_default = "false",
     .doc = "Start from a journal without any snapshot."},
    {"datadir.autocreate", CONFIG_BOOL, FIELD(creates_folders), .value_default = "true",
     .doc = "Whether missing data directories are made; otherwise the start fails."},
    {"snapshot.trust.partial", CONFIG_BOOL, FIELD(trust_partial_snapshot), .value_default = "false",
     .doc = "Start from a snapshot though the journal that it was taken beside is missing. Ours, "
            "not Apache's."},
    {"disk.reserveMb", CONFIG_INT, FIELD(disk_reserve_mib), .min = 0, .max = 1 << 20,
     .value_default = "64", .unit = "MiB",
     .doc = "Writes are refused when less than this is free. Ours, not Apache's."},
    {"commitLogCount", CONFIG_INT, FIELD(commit_cache_count), .min = INT32_MIN, .max = 1 << 24,
     .value_default = "500",
     .doc = "Committed transactions that are kept in memory for members of an ensemble that were "
            "away; at least 500."},
    {"commitLog.limitKb", CONFIG_INT, FIELD(commit_cache_kib_max), .min = 64, .max = 1 << 22,
     .value_default = "16384", .unit = "KiB",
     .doc = "And so many bytes of them. Ours, not Apache's."},
    {"snapshotSizeFactor", CONFIG_RATIO, FIELD(snapshot_size_factor), .min = -1, .max = 1 << 20,
     .value_default = "0.33",
     .doc = "A member that lacks more is sent a snapshot rather than the journal: the journal's "
            "size compared with the newest snapshot's. 0: no limit; below 0: always a snapshot."},
    {"forceSnapshotSync", CONFIG_BOOL, FIELD(forces_snapshot), .value_default = "false",
     .doc = "Whether every member that connects is sent a snapshot; for tests."},

    {"4lw.commands.whitelist", CONFIG_TEXT, FIELD(words_whitelist), .value_default = "srvr",
     .doc = "Four-letter words that are answered, separated by commas, or *."},
    {"readonlymode.enabled", CONFIG_BOOL, FIELD(read_only_mode), .value_default = "false",
     .doc = "Allows the word isro. A member of an ensemble without a leader serves clients that "
            "said that reading is enough for them, after 2 s or tickTime, the longer one."},
    {"DigestAuthenticationProvider.superDigest", CONFIG_TEXT, FIELD(super_digest),
     .doc = "super:hash of the super user's password."},
    {"DigestAuthenticationProvider.enabled", CONFIG_BOOL, FIELD(digest_enabled),
     .value_default = "true", .doc = "Whether clients may authenticate with scheme digest."},
    {"DigestAuthenticationProvider.digestAlg", CONFIG_CHOICE, FIELD(digest_algorithm),
     .choices = digest_names, .value_default = "SHA1",
     .doc = "How scheme digest hashes passwords. Access lists hold hashes: never change it later."},
    {"authProvider.", CONFIG_GROUP, FIELD(auth_providers),
     .doc = "Classes of Apache's. Those for ip, digest and ensemble are built in; the others are "
            "not served yet, which a warning says."},
    {"ensembleAuthName", CONFIG_TEXT, FIELD(ensemble_names),
     .doc = "With authProvider of ensemble: names that clients may expect, separated by commas."},
    {"enforce.auth.enabled", CONFIG_BOOL, FIELD(enforces_auth), .value_default = "false",
     .doc = "Whether clients must authenticate before any other request."},
    {"enforce.auth.schemes", CONFIG_TEXT, FIELD(enforced_schemes),
     .doc = "Schemes of which clients must use one, separated by commas: digest, ip."},
    {"sessionRequireClientSASLAuth", CONFIG_BOOL, FIELD(enforces_sasl), .value_default = "false",
     .doc = "As enforce.auth with scheme sasl, which is not served yet: true is an error."},
    {"skipACL", CONFIG_YES_NO, FIELD(skip_acl), .value_default = "no",
     .doc = "Whether access lists are ignored."},
    {"enforceQuota", CONFIG_BOOL, FIELD(enforce_quota), .value_default = "false",
     .doc = "Whether hard quotas are enforced, and soft ones warned about."},
    {"extendedTypesEnabled", CONFIG_BOOL, FIELD(extended_types_enabled), .value_default = "false",
     .doc = "Whether znodes may have a time to live."},
    {"emulate353TTLNodes", CONFIG_BOOL, FIELD(emulates_353_ttl), .value_default = "false",
     .doc = "With extendedTypesEnabled: whether znodes with a time to live as 3.5.3 wrote them are "
            "known as such. Ids of servers are at most 127 then."},
    {"znode.container.checkIntervalMs", CONFIG_INT, FIELD(container_check_interval_ms), .min = 1,
     .max = INT32_MAX, .value_default = "60000", .unit = "ms",
     .doc = "How often empty containers and expired znodes are looked for."},
    {"znode.container.maxPerMinute", CONFIG_INT, FIELD(container_count_max_per_minute), .min = 1,
     .max = minute_ms, .value_default = "10000",
     .doc = "How many containers and expired znodes are deleted in a minute."},
    {"znode.container.maxNeverUsedIntervalMs", CONFIG_INT, FIELD(container_unused_ms_max), .min = 0,
     .max = INT64_MAX, .value_default = "0", .unit = "ms",
     .doc = "A container that never had a child is deleted after this. 0: never."},

    {"admin.enableServer", CONFIG_BOOL, FIELD(admin_enabled), .value_default = "true",
     .doc = "Whether admin commands are served over HTTP."},
    {"admin.serverAddress", CONFIG_TEXT, FIELD(admin_address), .value_default = "0.0.0.0",
     .doc = "The address for them."},
    {"admin.serverPort", CONFIG_INT, FIELD(admin_port), .min = 0, .max = 65535,
     .value_default = "8080", .doc = "The port for them. 0: one that the system chooses."},
    {"admin.commandURL", CONFIG_TEXT, FIELD(admin_url), .value_default = "/commands",
     .doc = "The path in front of each of them."},
    {"admin.idleTimeout", CONFIG_INT, FIELD(admin_idle_timeout_ms), .min = 1, .max = INT32_MAX,
     .value_default = "30000", .unit = "ms",
     .doc = "How long their connections may be silent, and how long a request may take to come."},
    {"admin.snapshot.enabled", CONFIG_BOOL, FIELD(admin_snapshot_enabled), .value_default = "true",
     .doc = "Whether the command snapshot is served."},
    {"admin.restore.enabled", CONFIG_BOOL, FIELD(admin_restore_enabled), .value_default = "true",
     .doc = "Whether the command restore is served."},
    {"admin.rateLimiterIntervalInMS", CONFIG_INT, FIELD(admin_limiter_interval), .min = 0,
     .max = INT32_MAX, .value_default = "300000", .unit = "us",
     .doc = "How far snapshots by command are apart; microseconds, as in Apache's server, and "
            "milliseconds for restores."},
    {"admin.httpVersion", CONFIG_NOTHING, .doc = "HTTP/1.1 and 1.0 are served"},
    {"metricsProvider.className", CONFIG_CHOICE, FIELD(metrics_provider),
     .choices = metrics_providers,
     .value_default = "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
     .doc = "That for Prometheus serves /metrics; the other two are the same here."},
    {"metricsProvider.httpHost", CONFIG_TEXT, FIELD(metrics_host), .value_default = "0.0.0.0",
     .doc = "The address for /metrics."},
    {"metricsProvider.httpPort", CONFIG_INT, FIELD(metrics_port), .min = 0, .max = 65535,
     .value_default = "7000", .doc = "The port for /metrics. 0: one that the system chooses."},
    {"metricsProvider.exportJvmInfo", CONFIG_NOTHING, .doc = "there is no JVM"},
    {"metricsProvider.numWorkerThreads", CONFIG_NOTHING, .doc = "measuring needs no thread"},
    {"metricsProvider.maxQueueSize", CONFIG_NOTHING, .doc = "measuring needs no thread"},
    {"metricsProvider.workerShutdownTimeoutMs", CONFIG_NOTHING, .doc = "measuring needs no thread"},

    {"memory.limitMb", CONFIG_INT, FIELD(memory_mib_max), .min = 16, .max = 1 << 20,
     .value_default = "1024", .unit = "MiB",
     .doc = "Memory for znodes, sessions, watches and requests. Ours, as the JVM's heap size."},
    {"sessions.limit", CONFIG_INT, FIELD(session_count_max), .min = 1, .max = INT32_MAX,
     .value_default = "1000000", .doc = "How many sessions there may be. Ours."},
    {"watches.limit", CONFIG_INT, FIELD(watch_count_max), .min = 1, .max = INT32_MAX,
     .value_default = "10000000", .doc = "How many watches there may be. Ours."},
    {"metrics.namespaces.limit", CONFIG_INT, FIELD(namespace_count_max), .min = 0, .max = 100000,
     .value_default = "1000",
     .doc = "How many first parts of paths have a counter of their own. Ours."},

    {"audit.enable", CONFIG_BOOL, FIELD(audits), .value_default = "false",
     .doc = "Whether an audit trail of changes is written."},
    {"audit.file", CONFIG_TEXT, FIELD(audit_file),
     .doc = "The file that it goes to; without it, zookeeper_audit.log in dataDir. Ours."},
    {"audit.fileSizeMb", CONFIG_INT, FIELD(audit_file_mib_max), .min = 1, .max = 1 << 20,
     .value_default = "10", .unit = "MiB",
     .doc = "A larger audit file is renamed to FILE.1, FILE.1 to FILE.2, and so on. Ours."},
    {"audit.fileCount", CONFIG_INT, FIELD(audit_file_count_max), .min = 1, .max = 1000,
     .value_default = "10", .doc = "Renamed audit files that are kept. Ours."},

    {"server.", CONFIG_GROUP, FIELD(servers),
     .doc =
         "A member of an ensemble, by its id: host:quorumPort:electionPort, then :participant or "
         ":observer if wanted, then ;clientPort or ;clientHost:clientPort if wanted."},
    {"group.", CONFIG_GROUP, FIELD(groups),
     .doc = "Members that form a group, such as 1:2:3. With groups, every voter is in one."},
    {"weight.", CONFIG_GROUP, FIELD(weights),
     .doc = "The weight of a member in its group; 1 without such a line."},

    {"initLimit", CONFIG_INT, FIELD(init_limit_ticks), .min = 1, .max = INT32_MAX, .unit = "ticks",
     .doc = "How long members of an ensemble may take to reach their leader and to catch up. "
            "Ensembles need it."},
    {"syncLimit", CONFIG_INT, FIELD(sync_limit_ticks), .min = 1, .max = INT32_MAX, .unit = "ticks",
     .doc = "How long members of an ensemble may be silent. Ensembles need it."},
    {"connectToLearnerMasterLimit", CONFIG_INT, FIELD(connect_limit_ticks), .min = 0,
     .max = INT32_MAX, .value_default = "0", .unit = "ticks",
     .doc = "How long connecting to the leader may take. 0: initLimit."},
    {"epoch.transactionsMax", CONFIG_INT, FIELD(epoch_txn_count_max), .min = 1,
     .max = ZAB_EPOCH_TXN_COUNT_MAX, .value_default = "4293918719", .unit = "transactions",
     .doc = "A leader with so many in its epoch makes room for another, whose epoch is new: zxids "
            "count them in 32 bits. Ours, not Apache's."},
    {"dynamicConfigFile", CONFIG_TEXT, FIELD(dynamic_file),
     .doc = "The file with the server, group and weight lines, which then may not be in zoo.cfg."},
    {"peerType", CONFIG_CHOICE, FIELD(peer_type), .choices = peer_types,
     .value_default = "participant",
     .doc = "Whether this server votes. Its server line decides; a warning says if they differ."},
    {"electionAlg", CONFIG_INT, FIELD(election_algorithm), .min = 3, .max = 3, .value_default = "3",
     .doc = "How a leader is elected: there is one way."},
    {"electionPortBindRetry", CONFIG_INT, FIELD(election_bind_try_count), .min = 0,
     .max = INT32_MAX, .value_default = "3",
     .doc = "How often listening on the election port is tried. 0: without end."},
    {"cnxTimeout", CONFIG_INT, FIELD(connect_timeout_ms), .min = 1, .max = INT32_MAX,
     .value_default = "5000", .unit = "ms",
     .doc = "How long connecting to another member for an election may take."},
    {"fastleader.minNotificationInterval", CONFIG_INT, FIELD(election_wait_ms_min), .min = 1,
     .max = INT32_MAX, .value_default = "200", .unit = "ms",
     .doc = "How long an election waits for words first."},
    {"fastleader.maxNotificationInterval", CONFIG_INT, FIELD(election_wait_ms_max), .min = 1,
     .max = INT32_MAX, .value_default = "60000", .unit = "ms",
     .doc = "And at most, as each wait is twice as long as the one before."},
    {"quorumListenOnAllIPs", CONFIG_BOOL, FIELD(listens_on_all_addresses), .value_default = "false",
     .doc = "Whether the quorum and election ports are opened on all addresses instead of the one "
            "in the server line. A server line with several addresses does the same, with the "
            "ports of the first."},
    {"leaderServes", CONFIG_YES_NO, FIELD(leader_serves), .value_default = "yes",
     .doc = "Whether a leader serves clients."},
    {"sync.linearizable", CONFIG_BOOL, FIELD(sync_is_linearizable), .value_default = "false",
     .doc =
         "Whether a leader answers a sync only when a quorum has said, after the sync came, that "
         "it follows, so that a read behind it is linearizable. Ours; every member that may "
         "lead needs it, and Apache's have no such thing."},
    {"syncEnabled", CONFIG_BOOL, FIELD(observer_syncs), .value_default = "true",
     .doc = "Whether an observer writes a journal."},
    {"observer.syncEnabled", CONFIG_BOOL, FIELD(observer_syncs), .value_default = "true",
     .doc = "The same."},
    {"observerMasterPort", CONFIG_INT, FIELD(observer_master_port), .min = INT32_MIN, .max = 65535,
     .value_default = "0",
     .doc =
         "Observers learn from followers, on this port of each, instead of from the leader. 0 or "
         "less: they do not."},
    {"localSessionsEnabled", CONFIG_BOOL, FIELD(local_sessions_enabled), .value_default = "false",
     .doc = "Whether a new session is known to its member of the ensemble alone."},
    {"localSessionsUpgradingEnabled", CONFIG_BOOL, FIELD(local_sessions_upgrade),
     .value_default = "false",
     .doc = "Whether such a session becomes one of all members before it creates an ephemeral, "
            "which it may not otherwise."},
    {"standaloneEnabled", CONFIG_BOOL, FIELD(standalone_enabled), .value_default = "true",
     .doc = "Whether a single voter stands alone instead of being an ensemble of one."},
    {"reconfigEnabled", CONFIG_BOOL, FIELD(reconfig_enabled), .value_default = "false",
     .doc = "Whether members may be changed while the ensemble runs."},
    {"multiAddress.enabled", CONFIG_BOOL, FIELD(has_many_addresses), .value_default = "false",
     .doc = "Whether a server line may have several addresses, with | between."},
    {"sslQuorum", CONFIG_BOOL, FIELD(quorum_tls), .value_default = "false",
     .doc = "Whether members speak TLS with each other, which is not served yet: an error in an "
            "ensemble."},
    {"quorum.auth.enableSasl", CONFIG_BOOL, FIELD(quorum_sasl), .value_default = "false",
     .doc = "Whether members prove who they are, which is not served yet: an error in an "
            "ensemble."},
    {"secureClientPort", CONFIG_INT, FIELD(secure_port), .min = 0, .max = 65535,
     .value_default = "0",
     .doc =
         "The port for TLS, which is not served yet: a warning, and an error without clientPort."},
    NOTHING("db.autocreate", "a member without data always joins with an empty tree"),
    NOTHING("observerMaster.sizeLimit",
            "a follower keeps nothing apart for observers: what commitLog.limitKb bounds is for "
            "all that learn"),
    NOTHING("leader.maxConcurrentSnapSyncs",
            "how many learners are synchronised at once is not limited yet"),
    NOTHING("leader.maxConcurrentDiffSyncs",
            "how many learners are synchronised at once is not limited yet"),
    NOTHING("leader.maxTimeToWaitForEpoch", "a new leader waits for initLimit"),
    NOTHING("leader.ackLoggingFrequency", "acknowledgements are not logged"),
    NOTHING("leader.nodelay", "small packets are never held back"),
    NOTHING("follower.nodelay", "small packets are never held back"),
    NOTHING("leader.closeSocketAsync", "closing a socket does not wait"),
    NOTHING("learner.closeSocketAsync", "closing a socket does not wait"),
    NOTHING("learner.asyncSending", "sending does not wait"),
    NOTHING("leaderConnectDelayDuringRetryMs", "the pause between tries is not set by it yet"),
    NOTHING("follower.skipLearnerRequestToNextProcessor", "there is no chain of processors"),
    NOTHING("forward_learner_requests_to_commit_processor_disabled",
            "there is no chain of processors"),
    NOTHING("messageTracker.BufferSize", "packets are not kept for diagnosis"),
    NOTHING("messageTracker.Enabled", "packets are not kept for diagnosis"),
    NOTHING("quorumCnxnTimeoutMs", "silent election connections are left to the system"),
    NOTHING("quorum.", "SASL between members is not served yet"),
    NOTHING("multiAddress.reachabilityCheckEnabled", "addresses of a member are tried in order"),
    NOTHING("multiAddress.reachabilityCheckTimeoutMs", "addresses of a member are tried in order"),
    NOTHING("oraclePath", "the oracle of ensembles of two is not asked yet"),
    NOTHING("tcpKeepAlive", "silent election connections are left to the system"),
    NOTHING("portUnification", "TLS is not served yet"),
    NOTHING("sslQuorumReloadCertFiles", "TLS is not served yet"),
    NOTHING("enableEagerACLCheck", "access is checked by the leader"),
    NOTHING("test.allowDiscontinuousProposals", "it is for tests of Apache's server"),
    NOTHING("observer.election.DelayMs", "observers do not wait before they look for a leader"),
    NOTHING("observer.reconnectDelayMs", "observers do not wait before they reconnect"),
    NOTHING("admin.", "TLS is not served yet"),
    NOTHING("metricsProvider.", "TLS is not served yet"),
    NOTHING("serverCnxnFactory", "there is one way to serve connections"),
    NOTHING("nio.numSelectorThreads", "a shard is one thread, with buffers of its own"),
    NOTHING("nio.numWorkerThreads", "a shard is one thread, with buffers of its own"),
    NOTHING("nio.directBufferBytes", "a shard is one thread, with buffers of its own"),
    NOTHING("intBufferStartingSizeBytes", "a shard is one thread, with buffers of its own"),
    NOTHING("commitProcessor.numWorkerThreads", "requests do not go from thread to thread"),
    NOTHING("commitProcessor.maxReadBatchSize", "requests do not go from thread to thread"),
    NOTHING("commitProcessor.maxCommitBatchSize", "requests do not go from thread to thread"),
    NOTHING("nio.shutdownTimeout", "a stop does not wait for threads"),
    NOTHING("commitProcessor.shutdownTimeout", "a stop does not wait for threads"),
    NOTHING("request_throttler.shutdownTimeout", "a stop does not wait for threads"),
    NOTHING("netty.advancedFlowControl.enabled", "a connection is not read while it does not read"),
    NOTHING("request_throttle_stall_time", "requests go on as soon as there is room"),
    NOTHING("maxBatchSize", "what arrives while one group is synced is the next"),
    NOTHING("flushDelay", "what arrives while one group is synced is the next"),
    NOTHING("maxWriteQueuePollTime", "what arrives while one group is synced is the next"),
    NOTHING("jvm.pause.monitor", "there is no JVM"),
    NOTHING("jvm.pause.info-threshold.ms", "there is no JVM"),
    NOTHING("jvm.pause.warn-threshold.ms", "there is no JVM"),
    NOTHING("jvm.pause.sleep.time.ms", "there is no JVM"),
    NOTHING("jmx.log4j.disable", "there is no JVM"),
    NOTHING("jmx.log4j.mbean", "there is no JVM"),
    NOTHING("audit.impl.class", "there is no JVM"),
    NOTHING("maxResponseCacheSize", "replies are made without a cache"),
    NOTHING("maxGetChildrenResponseCacheSize", "replies are made without a cache"),
    NOTHING("bitHashCacheSize", "watches need no cache"),
    NOTHING("watchManagerName", "there is one kind of watch table"),
    NOTHING("watcherCleanThreadsNum", "there is one kind of watch table"),
    NOTHING("watcherCleanThreshold", "there is one kind of watch table"),
    NOTHING("watcherCleanIntervalInSeconds", "there is one kind of watch table"),
    NOTHING("maxInProcessingDeadWatchers", "there is one kind of watch table"),
    NOTHING("pathStats.", "requests are not counted by path"),
    {"digest.enabled", CONFIG_NOTHING, .doc = "snapshots always carry the digest"},
    NOTHING("closeSessionTxn.enabled", "closing a session always lists its znodes"),
    NOTHING("serializeLastProcessedZxid.enabled", "snapshots always carry it"),
    NOTHING("testingonly.initialZxid", "zxids go on from what is on disk"),
    NOTHING("secureClientPortAddress", "TLS is not served yet"),
    NOTHING("ssl.", "TLS is not served yet"),
    NOTHING("client.portUnification", "TLS is not served yet"),
    NOTHING("client.certReload", "TLS is not served yet"),
    NOTHING("fips-mode", "TLS is not served yet"),
    NOTHING("netty.server.outstandingHandshake.limit", "TLS is not served yet"),
    NOTHING("netty.server.earlyDropSecureConnectionHandshakes", "TLS is not served yet"),
    NOTHING("X509AuthenticationProvider.superUser", "TLS is not served yet"),
    NOTHING("superUser", "SASL is not served yet"),
    NOTHING("superUser.", "SASL is not served yet"),
    NOTHING("SASLAuthenticationProvider.superPassword", "SASL is not served yet"),
    NOTHING("allowSaslFailedClients", "SASL is not served yet"),
    NOTHING("letAnySaslUserDoX", "SASL is not served yet"),
    NOTHING("sasl.serverconfig", "SASL is not served yet"),
    NOTHING("kerberos.", "SASL is not served yet"),
    NOTHING("requireKerberosConfig", "SASL is not served yet"),
    NOTHING("security.auth_to_local", "SASL is not served yet"),
    NOTHING("kinit", "SASL is not served yet"),
    NOTHING("java.security.auth.login.config", "SASL is not served yet"),
    NOTHING("IPAuthenticationProvider.usexforwardedfor",
            "clients are known by the address they connect from"),
    NOTHING("controllerPort", "there is no controller for fault tests"),
    NOTHING("client.secure", "only clients use it"),
    NOTHING("clientCnxnSocket", "only clients use it"),
    NOTHING("disableAutoWatchReset", "only clients use it"),
    NOTHING("request.timeout", "only clients use it"),
    NOTHING("sasl.client", "only clients use it"),
    NOTHING("sasl.client.", "only clients use it"),
    NOTHING("sasl.clientconfig", "only clients use it"),
};

const struct config_table keeper_config_table = {
    .name = "zoo.cfg", .key_prefix = "zookeeper.", .rows = rows, .row_count = ARRAY_COUNT(rows)};

static bool is_too_long(const char *path)
{
    return path != NULL && strlen(path) > keeper_config_path_bytes_max;
}

/* ---- what no single row can say ---- */

/* Walks the entries of a list with commas, blanks around them cut. False: at its end. */
static bool next_entry(const char **list, struct slice *entry)
{
    while (*list != NULL && **list != '\0') {
        *list += strspn(*list, ", \t");
        size_t size = strcspn(*list, ",");
        const char *start = *list;
        *list += size;
        while (size > 0 && (start[size - 1] == ' ' || start[size - 1] == '\t'))
            size--;
        *entry = slice_of(start, size);
        if (size > 0)
            return true;
    }
    return false;
}

static bool list_has(const char *list, struct slice wanted)
{
    struct slice entry;
    while (next_entry(&list, &entry))
        if (slice_equal(entry, wanted))
            return true;
    return false;
}

struct judge {
    struct diag *diag;
    const char *file_name;
    enum err err;
};

static void check_places(const struct keeper_config *config, struct judge *judge)
{
    if (config->data_dir == NULL) {
        diag_error(judge->diag,
                   "%s: dataDir is missing; add a line like dataDir=/var/lib/zookeeper",
                   judge->file_name);
        judge->err = ERR_CONFIG;
    }
    if (is_too_long(config->data_dir) || is_too_long(config->data_log_dir) ||
        is_too_long(config->audit_file)) {
        diag_error(judge->diag, "%s: dataDir, dataLogDir and audit.file have at most %d characters",
                   judge->file_name, keeper_config_path_bytes_max);
        judge->err = ERR_CONFIG;
    }
    if (config->secure_port == 0)
        return;
    if (config->client_port != -1) {
        diag_warn(judge->diag, "%s: secureClientPort does nothing here: TLS is not served yet",
                  judge->file_name);
        return;
    }
    diag_error(judge->diag,
               "%s: secureClientPort without clientPort: TLS is not served yet; set clientPort to "
               "serve clients in the clear",
               judge->file_name);
    judge->err = ERR_CONFIG;
}

/* What Apache's server sets right by itself, it says so and so do we. */
static void check_ranges(struct keeper_config *config, struct judge *judge)
{
    if (keeper_config_timeout_ms_min(config) > keeper_config_timeout_ms_max(config)) {
        diag_error(judge->diag,
                   "%s: minSessionTimeout is above maxSessionTimeout; raise the latter",
                   judge->file_name);
        judge->err = ERR_CONFIG;
    }
    if (config->purge_retain_count < retain_count_min) {
        diag_warn(judge->diag, "%s: autopurge.snapRetainCount: %d are kept, not %lld",
                  judge->file_name, retain_count_min, (long long)config->purge_retain_count);
        config->purge_retain_count = retain_count_min;
    }
}

/* The classes of Apache's that stand for a scheme here, and those that do not yet. */
static void add_providers(struct keeper_config *config, struct judge *judge)
{
    static const char package[] = "org.apache.zookeeper.server.auth.";
    for (const struct config_entry *entry = config->auth_providers; entry != NULL;
         entry = entry->next) {
        const struct slice class = slice_from_text(entry->value);
        const struct slice name = slice_starts_with(class, slice_from_text(package))
                                      ? slice_skip(class, sizeof package - 1)
                                      : SLICE_LITERAL("");
        if (slice_equal_text(name, "IPAuthenticationProvider"))
            continue;
        if (slice_equal_text(name, "DigestAuthenticationProvider"))
            config->digest_enabled = true;
        else if (slice_equal_text(name, "EnsembleAuthenticationProvider"))
            config->ensemble_enabled = true;
        else
            diag_warn(judge->diag,
                      "%s:%u: authProvider.%s: %s is not served here; clients that use its scheme "
                      "get AUTHFAILED",
                      judge->file_name, entry->line, entry->key, entry->value);
    }
}

static bool is_provided(const struct keeper_config *config, struct slice scheme)
{
    return slice_equal_text(scheme, "ip") ||
           (slice_equal_text(scheme, "digest") && config->digest_enabled) ||
           (slice_equal_text(scheme, "ensemble") && config->ensemble_enabled);
}

static void check_enforced(struct keeper_config *config, struct judge *judge)
{
    if (config->enforces_sasl) {
        config->enforces_auth = true;
        config->enforced_schemes = "sasl";
    }
    if (!config->enforces_auth) {
        config->enforced_schemes = NULL;
        return;
    }
    const char *list = config->enforced_schemes;
    struct slice scheme;
    bool has_scheme = false;
    while (next_entry(&list, &scheme)) {
        has_scheme = true;
        if (is_provided(config, scheme))
            continue;
        diag_error(judge->diag,
                   "%s: %s: the scheme %" SLICE_FORMAT
                   " is not served here, so nobody could connect; remove it",
                   judge->file_name,
                   config->enforces_sasl ? "sessionRequireClientSASLAuth" : "enforce.auth.schemes",
                   SLICE_ARGS(scheme));
        judge->err = ERR_CONFIG;
    }
    if (has_scheme)
        return;
    diag_error(judge->diag, "%s: enforce.auth.enabled needs enforce.auth.schemes, such as digest",
               judge->file_name);
    judge->err = ERR_CONFIG;
}

static void check_admin(const struct keeper_config *config, struct judge *judge)
{
    const char *url = config->admin_url;
    if (url[0] == '/' && url[strlen(url) - 1] != '/')
        return;
    diag_error(
        judge->diag,
        "%s: admin.commandURL is %s; it has to start with / and not to end so, like /commands",
        judge->file_name, url);
    judge->err = ERR_CONFIG;
}

static enum err check(struct keeper_config *config, struct diag *diag, const char *file_name)
{
    struct judge judge = {.diag = diag, .file_name = file_name};
    check_places(config, &judge);
    check_admin(config, &judge);
    check_ranges(config, &judge);
    add_providers(config, &judge);
    check_enforced(config, &judge);
    config->has_client_port = config->client_port != -1;
    if (!config->has_client_port)
        config->client_port = client_port_default;
    const enum err err = ensemble_config_check(config, diag);
    return judge.err == ERR_OK ? err : judge.err;
}

enum err keeper_config_load(struct keeper_config *config, struct heap *heap, struct diag *diag,
                            struct config_source source)
{
    *config = (struct keeper_config){.file_name = source.file_name, .self_id = -1};
    uint8_t *text = heap_take(heap, source.text.size + 1);
    if (text == NULL)
        return ERR_NO_MEMORY;
    if (source.text.size > 0)
        memcpy(text, source.text.data, source.text.size);
    config->text = slice_of(text, source.text.size);
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
    return config->metrics_provider == KEEPER_METRICS_PROMETHEUS;
}

int32_t keeper_config_record_bytes_max(const struct keeper_config *config)
{
    const int64_t extra = config->record_extra_bytes_max == -1 ? config->frame_bytes_max
                                                               : config->record_extra_bytes_max;
    return (int32_t)min_i64(config->frame_bytes_max + max_i64(extra, record_extra_bytes_min),
                            INT32_MAX);
}

const char *keeper_config_digest_name(const struct keeper_config *config)
{
    return digest_names[config->digest_algorithm];
}

bool keeper_config_enforces_scheme(const struct keeper_config *config, struct slice scheme)
{
    return list_has(config->enforced_schemes, scheme);
}

bool keeper_config_has_ensemble(const struct keeper_config *config, struct slice name)
{
    return name.size == 0 || config->ensemble_names == NULL ||
           list_has(config->ensemble_names, name);
}

bool keeper_config_allows_word(const struct keeper_config *config, struct slice word)
{
    return slice_equal_text(word, "srvr") ||
           (config->read_only_mode && slice_equal_text(word, "isro")) ||
           list_has(config->words_whitelist, word) ||
           list_has(config->words_whitelist, SLICE_LITERAL("*"));
}
