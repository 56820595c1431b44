/* What zoo.cfg says, as the keeper server wants it.
 *
 * Keys, defaults and meanings are Apache ZooKeeper's; each is one row of the table.
 *
 * Memory: texts from the heap given to keeper_config_load. Shard: none.
 */
#ifndef SERVER_KEEPER_CONFIG_H
#define SERVER_KEEPER_CONFIG_H

#include "io/io.h"
#include "server/config.h"
#include "zab/ensemble.h"

enum {
    keeper_config_path_bytes_max = 900, /* Of the configured folders. */
    keeper_folder_bytes_max = 920,      /* With version-2. */
    keeper_path_bytes_max = 1024,       /* Of any file below them. */
};

/* In the order of the choices of peerType. */
enum keeper_peer_type { KEEPER_PEER_PARTICIPANT, KEEPER_PEER_OBSERVER };
/* In the order of the providers' names in keeper_config.c. */
enum keeper_metrics_provider {
    KEEPER_METRICS_DEFAULT,
    KEEPER_METRICS_NULL,
    KEEPER_METRICS_PROMETHEUS
};

struct keeper_config {
    struct slice text; /* The file as it was read. */

    /* Where. */
    const char *data_dir;
    const char *data_log_dir;        /* NULL: data_dir. */
    int64_t client_port;             /* 2181 where the file names none. */
    const char *client_port_address; /* NULL: every address. */
    int64_t backlog;

    /* Sessions and connections. */
    int64_t tick_ms;
    int64_t session_timeout_ms_min; /* -1: two ticks. */
    int64_t session_timeout_ms_max; /* -1: twenty ticks. */
    int64_t connection_count_max;   /* 0: no limit of its own. */
    int64_t connection_count_max_per_address;
    int64_t sessionless_timeout_ms;
    int64_t frame_bytes_max;
    int64_t record_extra_bytes_max; /* -1: frame_bytes_max. */
    int64_t outstanding_request_count_max;
    int64_t large_request_bytes_min; /* Below 0: no request is large. */
    int64_t large_requests_bytes_max;

    /* Requests that wait before they are begun. */
    int64_t throttle_request_count_max; /* 0: none waits. */
    int64_t throttled_wait_ms_max;      /* 0: no limit. */
    bool throttle_drops_stale;
    bool stale_by_latency;

    /* Sessions that are opened or renewed; see connection_throttle. */
    int64_t connection_tokens; /* 0: no limit. */
    int64_t connection_fill_ms;
    int64_t connection_fill_count;
    int64_t connection_freeze_ms; /* -1: nothing is dropped by chance. */
    double connection_drop_increase;
    double connection_drop_decrease;
    double connection_decrease_ratio;
    bool connection_has_weights;
    int64_t connection_weight_new;
    int64_t connection_weight_renewed;
    int64_t connection_weight_local;

    /* Disk. */
    int64_t snapshot_txn_count;
    int64_t snapshot_journal_kib;
    int64_t snapshot_compression; /* enum recovery_compression */
    int64_t allocate_kib;
    int64_t journal_file_kib_max; /* 0 or less: no limit. */
    int64_t purge_retain_count;
    int64_t purge_interval_h; /* 0 or less: never. */
    bool force_sync;
    int64_t sync_warning_ms;
    bool trust_empty_snapshot;
    bool creates_folders;
    bool trust_partial_snapshot;
    int64_t disk_reserve_mib;
    int64_t commit_cache_count; /* See txn_cache; below 500: 500. */
    int64_t commit_cache_kib_max;
    double snapshot_size_factor; /* Below 0: the journal is never read for a learner. */
    bool forces_snapshot;

    /* Access. */
    const char *words_whitelist;
    bool read_only_mode;
    const char *super_digest;
    int64_t digest_algorithm; /* See keeper_config_digest_name. */
    bool skip_acl;
    bool digest_enabled;
    struct config_entry *auth_providers;
    bool ensemble_enabled; /* Scheme ensemble: the provider is among auth_providers. */
    const char *ensemble_names;
    bool enforces_auth;
    bool enforces_sasl;
    const char *enforced_schemes; /* NULL unless enforces_auth. */
    bool enforce_quota;
    bool extended_types_enabled;
    bool emulates_353_ttl;
    int64_t container_check_interval_ms;
    int64_t container_count_max_per_minute;
    int64_t container_unused_ms_max; /* 0: no limit. */

    /* The audit trail. */
    bool audits;
    const char *audit_file; /* NULL: zookeeper_audit.log in data_dir. */
    int64_t audit_file_mib_max;
    int64_t audit_file_count_max;
    const char *process_user; /* Not from the file: who runs the server; NULL: not known. */

    /* Doors for operators. */
    bool admin_enabled;
    const char *admin_address;
    int64_t admin_port;
    const char *admin_url; /* Starts with a slash, ends without one. */
    int64_t admin_idle_timeout_ms;
    bool admin_snapshot_enabled;
    bool admin_restore_enabled;
    int64_t admin_limiter_interval; /* Microseconds. */
    int64_t metrics_provider;       /* enum keeper_metrics_provider */
    const char *metrics_host;
    int64_t metrics_port;

    /* Memory. */
    int64_t memory_mib_max;
    int64_t session_count_max;
    int64_t watch_count_max;
    int64_t namespace_count_max;

    /* Ensembles, as the file says. */
    int64_t init_limit_ticks; /* 0: not given, which only a server that stands alone may. */
    int64_t sync_limit_ticks;
    int64_t epoch_txn_count_max;
    int64_t connect_limit_ticks; /* 0: init_limit_ticks. */
    int64_t connect_timeout_ms;  /* Of election connections. */
    int64_t election_algorithm;
    int64_t election_bind_try_count; /* 0: without end. */
    int64_t election_wait_ms_min;
    int64_t election_wait_ms_max;
    bool listens_on_all_addresses;
    bool leader_serves;
    bool sync_is_linearizable;
    bool observer_syncs;
    int64_t observer_master_port; /* 0 or less: observers learn from the leader. */
    bool local_sessions_enabled;
    bool local_sessions_upgrade; /* Before they create an ephemeral. */
    bool standalone_enabled;
    bool reconfig_enabled;
    bool has_many_addresses; /* multiAddress.enabled */
    bool quorum_tls;
    bool quorum_sasl;
    int64_t peer_type;            /* enum keeper_peer_type; the server line decides. */
    struct config_entry *servers; /* server.N lines. */
    struct config_entry *groups;
    struct config_entry *weights;
    const char *dynamic_file;

    /* Ensembles, as ensemble_config finds. */
    const char *file_name;    /* Of zoo.cfg. */
    const char *file_path;    /* Not from the file: absolute; NULL: there is no file to rewrite. */
    const char *members_file; /* Where the server lines are: zoo.cfg or dynamicConfigFile. */
    bool has_client_port;     /* zoo.cfg names one. */
    bool is_ensemble;         /* Apache's "distributed": this server never stands alone. */
    int64_t self_id;          /* dataDir/myid; -1: there is none. */
    struct ensemble ensemble; /* By id. Hosts lend from the heap. */
    char *own_client_host;    /* Of the own server line; NULL: it has none, or means all. */
    int64_t secure_port;      /* 0: none. */
};

extern const struct config_table keeper_config_table;

/* The defaults, overlaid with the text of file_name (which may be empty); keeps file_name. What
 * lies in other files is read by ensemble_config_load. ERR_CONFIG: diag has the reasons;
 * ERR_NO_MEMORY.
 */
MUST_CHECK enum err keeper_config_load(struct keeper_config *config, struct heap *heap,
                                       struct diag *diag, struct config_source source);

/* The limits of session timeouts, computed from the tick where the file says nothing. */
/* Whether a new session is known to this server alone; one that stands alone has no others. */
static inline bool keeper_config_opens_local_sessions(const struct keeper_config *config)
{
    return config->is_ensemble && config->local_sessions_enabled;
}

int32_t keeper_config_timeout_ms_min(const struct keeper_config *config);
int32_t keeper_config_timeout_ms_max(const struct keeper_config *config);

/* The directories "version-2" of snapshots and of the journal; lends text. */
const char *keeper_config_snapshot_path(const struct keeper_config *config, char *text,
                                        size_t capacity);
const char *keeper_config_journal_path(const struct keeper_config *config, char *text,
                                       size_t capacity);

/* Whether metricsProvider.className asks for the Prometheus page. */
bool keeper_config_has_prometheus(const struct keeper_config *config);

/* How many bytes a string, a buffer or a transaction may have: jute.maxbuffer and its extra. */
int32_t keeper_config_record_bytes_max(const struct keeper_config *config);

/* The algorithm of scheme digest; lends a constant. */
const char *keeper_config_digest_name(const struct keeper_config *config);

/* Whether clients must prove an identity of one of enforced_schemes, and this is one. */
bool keeper_config_enforces_scheme(const struct keeper_config *config, struct slice scheme);

/* Whether a client may expect this ensemble: any, if no names are given. */
bool keeper_config_has_ensemble(const struct keeper_config *config, struct slice name);

/* Whether the word ("srvr") is answered: srvr always, isro in read-only mode, and what
 * 4lw.commands.whitelist allows. */
bool keeper_config_allows_word(const struct keeper_config *config, struct slice word);

#endif
