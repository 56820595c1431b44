#include "server/broker/broker_config.h"

#include "base/assert.h"
#include "server/properties.h"

#include <stdio.h>

#define AT(field) (uint16_t) offsetof(struct broker_config, field)

enum { entry_bytes_max = 64 * 1024, shard_memory_mib_min = 32 };

static const char *const selector_choices[] = {
    "org.apache.kafka.common.replica.LeaderSelector",
    "org.apache.kafka.common.replica.RackAwareReplicaSelector", NULL};
static const char *const acks_all_choices[] = {"durable", "written", NULL};
static const char *const protocol_choices[] = {"PLAINTEXT", NULL};

static const char runtime_doc[] = "The server sizes its threads and buffers itself.";
static const char threads_doc[] =
    "Threads are not divided that way here: see rookery.broker.shards.";
static const char jvm_doc[] = "Belongs to the Java runtime or to its metrics.";
static const char kraft_doc[] = "Belongs to KRaft; this broker keeps its state in a keeper.";

#define NUMBER(key_, field_, min_, max_, default_, unit_, doc_)                                    \
    {                                                                                              \
        .key = (key_), .type = CONFIG_INT, .offset = AT(field_), .min = (min_), .max = (max_),     \
        .value_default = (default_), .unit = (unit_), .doc = (doc_)                                \
    }
#define TEXT(key_, field_, default_, doc_)                                                         \
    {                                                                                              \
        .key = (key_), .type = CONFIG_TEXT, .offset = AT(field_), .value_default = (default_),     \
        .doc = (doc_)                                                                              \
    }
#define FLAG(key_, field_, default_, doc_)                                                         \
    {                                                                                              \
        .key = (key_), .type = CONFIG_BOOL, .offset = AT(field_), .value_default = (default_),     \
        .doc = (doc_)                                                                              \
    }
#define NOTHING(key_, doc_)                                                                        \
    {                                                                                              \
        .key = (key_), .type = CONFIG_NOTHING, .doc = (doc_)                                       \
    }
#define TOPIC_NUMBER(key_, min_, max_, unit_, doc_)                                                \
    {                                                                                              \
        .key = (key_), .type = CONFIG_INT, .offset = AT(topic_number), .min = (min_),              \
        .max = (max_), .unit = (unit_), .doc = (doc_)                                              \
    }
#define TOPIC_FLAG(key_, doc_)                                                                     \
    {                                                                                              \
        .key = (key_), .type = CONFIG_BOOL, .offset = AT(topic_flag), .doc = (doc_)                \
    }
#define TOPIC_TEXT(key_, doc_)                                                                     \
    {                                                                                              \
        .key = (key_), .type = CONFIG_TEXT, .offset = AT(topic_text), .doc = (doc_)                \
    }

static const struct config_row rows[] = {
    NUMBER("broker.id", broker_id, -1, INT32_MAX, "-1", NULL,
           "The number of this broker. -1: the keeper gives one out."),
    NUMBER("reserved.broker.max.id", broker_id_reserved_max, 0, INT32_MAX, "1000", NULL,
           "Broker ids that the keeper gives out are above this."),
    FLAG("broker.id.generation.enable", broker_id_generation, "true",
         "Whether the keeper may give out a broker id."),
    TEXT("broker.rack", rack, NULL, "The rack that this broker stands in."),

    TEXT("listeners", listeners_text, "PLAINTEXT://:9092",
         "Where to listen: NAME://host:port, separated by commas."),
    TEXT("advertised.listeners", advertised_listeners_text, NULL,
         "What clients are told to connect to; by default the listeners."),
    TEXT("listener.security.protocol.map", listener_protocol_map, NULL,
         "NAME:PROTOCOL pairs, for listeners with names of their own. PLAINTEXT only."),
    TEXT("inter.broker.listener.name", inter_broker_listener, NULL,
         "The listener that other brokers use."),
    {.key = "security.inter.broker.protocol",
     .type = CONFIG_CHOICE,
     .offset = AT(inter_broker_protocol),
     .value_default = "PLAINTEXT",
     .choices = protocol_choices,
     .doc = "What brokers speak with each other: the name of their listener, if"
            " inter.broker.listener.name says none."},
    NUMBER("request.timeout.ms", request_timeout_ms, 1, INT32_MAX, "30000", "ms",
           "How long a request to another broker may take."),
    NUMBER("controller.socket.timeout.ms", controller_socket_timeout_ms, 1, INT32_MAX, "30000",
           "ms", "How long a broker may take to answer the controller."),
    FLAG("controlled.shutdown.enable", controlled_shutdown, "true",
         "Whether others shall lead what this broker leads before it stops."),
    NUMBER("controlled.shutdown.max.retries", controlled_shutdown_tries_max, 1, INT32_MAX, "3",
           NULL, "How often the controller is asked for it."),
    NUMBER("controlled.shutdown.retry.backoff.ms", controlled_shutdown_backoff_ms, 0,
           INT64_MAX / 1000000, "5000", "ms", "The pause between two times."),
    FLAG("auto.leader.rebalance.enable", auto_leader_rebalance, "true",
         "Whether preferred replicas become leaders again by themselves."),
    NUMBER("leader.imbalance.check.interval.seconds", leader_imbalance_check_s, 1, INT32_MAX, "300",
           "s", "How often the controller looks for partitions that others lead."),
    NUMBER("leader.imbalance.per.broker.percentage", leader_imbalance_percent, 0, 100, "10", NULL,
           "How many of its partitions, in percent, a broker may be without until then."),
    NUMBER("rookery.topic.told.wait.ms", told_wait_ms, 0, 60000, "500", "ms",
           "How long the answer to a topic's creation, growth or deletion waits for other brokers"
           " that have not heard of it. Those that do not answer at all are not waited for."),
    NUMBER("socket.request.max.bytes", request_bytes_max, 1024, INT32_MAX, "104857600", "bytes",
           "A larger request closes its connection."),
    NUMBER("rookery.request.memory.max.bytes", request_memory_bytes_max, 1 << 20, INT32_MAX,
           "67108864", "bytes",
           "A request whose decoded form needs more memory closes its connection."),
    NUMBER(
        "rookery.unpacked.batch.max.bytes", unpacked_batch_bytes_max, 1 << 20, INT32_MAX,
        "67108864", "bytes",
        "A compressed batch that becomes larger is not looked into: it is taken as it is, but not"
        " for a compacted topic; offsets by time are those of its first record."),
    NUMBER("rookery.memory.max.mb", memory_mib_max, shard_memory_mib_min, 1 << 20, "2048", "MiB",
           "The most memory that the broker takes; it uses far less unless clients make it. Its"
           " shards have equal parts, of 32 MiB at least."),
    NUMBER("rookery.broker.shards", shard_count, 1, 64, "1", NULL,
           "Threads, each with a core to itself at best. With more than one, the first has the"
           " partitions, and the others have the clients' connections: they receive, decode, check"
           " records and send, and write for the first when it is behind."),
    NUMBER("max.connections", connection_count_max, 1, INT32_MAX, "100000", NULL,
           "Connections at a time."),
    NUMBER("max.connections.per.ip", connection_count_max_per_address, 0, INT32_MAX, "2147483647",
           NULL, "Connections at a time from one address."),
    NUMBER("connections.max.idle.ms", connection_idle_ms_max, -1, INT32_MAX, "600000", "ms",
           "A connection without a byte for so long is closed."),

    TEXT("zookeeper.connect", keeper_connect, NULL,
         "The keeper: host:port pairs separated by commas, with a chroot behind if wanted."),
    NUMBER("zookeeper.session.timeout.ms", keeper_session_timeout_ms, 100, INT32_MAX, "18000", "ms",
           "The keeper's session of this broker."),
    NUMBER("zookeeper.connection.timeout.ms", keeper_connection_timeout_ms, 1, INT32_MAX, "18000",
           "ms", "How long the start waits for the keeper."),

    TEXT("log.dirs", log_dirs, NULL, "Data directories, separated by commas."),
    TEXT("log.dir", log_dir, "/tmp/kafka-logs", "The data directory, if log.dirs is not set."),
    NUMBER("log.retention.check.interval.ms", retention_check_ms, 1, INT64_MAX, "300000", "ms",
           "How often old segments are looked for."),
    NUMBER("log.flush.offset.checkpoint.interval.ms", flush_checkpoint_ms, 1, INT64_MAX, "60000",
           "ms", "How often recovery points are written."),
    NUMBER("log.flush.start.offset.checkpoint.interval.ms", topic_number, 1, INT64_MAX, "60000",
           "ms", "Log start offsets are written together with recovery points."),
    NUMBER("replica.high.watermark.checkpoint.interval.ms", high_watermark_checkpoint_ms, 1,
           INT64_MAX, "5000", "ms", "How often high watermarks are written."),
    NUMBER("num.replica.fetchers", replica_fetcher_count, 1, 64, "1", NULL,
           "Connections to each leader that is followed."),
    NUMBER("replica.lag.time.max.ms", replica_lag_ms_max, 1, INT64_MAX / 2, "30000", "ms",
           "A follower that has not caught up with its leader for so long is not in sync."),
    {.key = "replica.selector.class",
     .type = CONFIG_CHOICE,
     .offset = AT(replica_selector),
     .value_default = "org.apache.kafka.common.replica.LeaderSelector",
     .choices = selector_choices,
     .doc = "Which replica consumers are sent to: the leader, or one in their rack."},
    NUMBER("replica.fetch.max.bytes", replica_fetch_bytes_max, 0, INT32_MAX, "1048576", "bytes",
           "What a follower asks for of each partition; a larger batch comes all the same."),
    NUMBER("replica.fetch.response.max.bytes", replica_fetch_reply_bytes_max, 0, INT32_MAX,
           "10485760", "bytes", "What a follower asks for in one fetch."),
    NUMBER("replica.fetch.wait.max.ms", replica_fetch_wait_ms_max, 0, INT32_MAX, "500", "ms",
           "How long the leader may wait for records. At most replica.socket.timeout.ms."),
    NUMBER("replica.fetch.min.bytes", replica_fetch_bytes_min, 0, INT32_MAX, "1", "bytes",
           "For how many bytes the leader waits."),
    NUMBER("replica.fetch.backoff.ms", replica_fetch_backoff_ms, 0, INT32_MAX, "1000", "ms",
           "How long a follower waits after a failure, at most: for a partition that its leader has"
           " refused it is 20 ms at first, and each time twice as long."),
    NUMBER("replica.socket.timeout.ms", replica_socket_timeout_ms, 1, INT32_MAX, "30000", "ms",
           "How long a leader may take to answer a follower."),
    NUMBER("replication.quota.window.num", replication_quota_window_count, 1, 1000, "11", NULL,
           "In how many windows the rate of throttled replicas is measured."),
    NUMBER("replication.quota.window.size.seconds", replication_quota_window_s, 1, 86400, "1", "s",
           "How long each of these windows is."),
    NUMBER("alter.log.dirs.replication.quota.window.num", move_quota_window_count, 1, 1000, "11",
           NULL, "In how many windows the rate of moves between log directories is measured."),
    NUMBER("alter.log.dirs.replication.quota.window.size.seconds", move_quota_window_s, 1, 86400,
           "1", "s", "How long each of these windows is."),
    NUMBER("producer.id.expiration.ms", producer_id_expiration_ms, 1, INT64_MAX, "86400000", "ms",
           "A producer that appends nothing for so long is forgotten."),
    NUMBER("rookery.open.files.max", open_file_count_max, 0, INT32_MAX, "0", NULL,
           "Segment files held open in each data directory, 16 or more. 0: half of what the process"
           " may open, shared by the data directories; the other half is for connections."),
    NUMBER("rookery.open.files.idle.ms", open_file_idle_ms, 1, INT64_MAX / 1000000, "300000", "ms",
           "A segment file that nobody has used for so long is closed."),
    {.key = "rookery.acks.all",
     .type = CONFIG_CHOICE,
     .offset = AT(acks_all),
     .value_default = "durable",
     .choices = acks_all_choices,
     .doc = "durable: acks=all waits for the disk. written: for the page cache, as Apache's does. A"
            " topic says otherwise by flush.messages."},

    NUMBER("num.partitions", partition_count, 1, INT32_MAX, "1", NULL,
           "Partitions of a topic that does not say."),
    NUMBER("default.replication.factor", replication_factor, 1, INT16_MAX, "1", NULL,
           "Replicas of a topic that does not say."),
    FLAG("auto.create.topics.enable", auto_create_topics, "true",
         "Whether asking for an unknown topic creates it."),
    FLAG("delete.topic.enable", delete_topic_enable, "true", "Whether topics may be deleted."),

    NUMBER("fetch.max.bytes", fetch_bytes_max, 1024, INT32_MAX, "57671680", "bytes",
           "The most that one fetch returns."),
    NUMBER("max.incremental.fetch.session.cache.slots", fetch_session_count_max, 0, INT32_MAX,
           "1000", NULL, "Fetch sessions at a time."),

    NUMBER("offsets.topic.num.partitions", offsets_partition_count, 1, INT32_MAX, "50", NULL,
           "Partitions of __consumer_offsets; never change it later."),
    NUMBER("offsets.topic.replication.factor", offsets_replication_factor, 1, INT16_MAX, "3", NULL,
           "Replicas of __consumer_offsets; its creation waits for so many brokers."),
    NUMBER("offsets.topic.segment.bytes", offsets_segment_bytes, 1, INT32_MAX, "104857600", "bytes",
           "Segments of __consumer_offsets."),
    NUMBER("offset.metadata.max.bytes", offsets_metadata_bytes_max, 0, INT32_MAX, "4096", "bytes",
           "The text that a client may keep with an offset."),
    NUMBER("offsets.retention.minutes", offsets_retention_minutes, 1, INT32_MAX, "10080", "minutes",
           "Offsets of a group that has been empty for so long are forgotten."),
    NUMBER("offsets.retention.check.interval.ms", offsets_retention_check_ms, 1, INT64_MAX,
           "600000", "ms", "How often old offsets are looked for."),
    NUMBER("offsets.commit.timeout.ms", offsets_commit_timeout_ms, 1, INT32_MAX, "5000", "ms",
           "How long an offset commit may take."),
    NUMBER("group.min.session.timeout.ms", group_session_timeout_ms_min, 0, INT32_MAX, "6000", "ms",
           "The shortest session timeout that a consumer may ask for."),
    NUMBER("group.max.session.timeout.ms", group_session_timeout_ms_max, 0, INT32_MAX, "1800000",
           "ms", "The longest session timeout that a consumer may ask for."),
    NUMBER("group.initial.rebalance.delay.ms", group_initial_rebalance_delay_ms, 0, INT32_MAX,
           "3000", "ms", "How long a new group waits for more members."),
    NUMBER("group.max.size", group_member_count_max, 1, INT32_MAX, "2147483647", NULL,
           "Members of one group."),
    NUMBER("transaction.max.timeout.ms", transaction_timeout_ms_max, 1, INT32_MAX, "900000", "ms",
           "The longest transaction timeout."),

    TOPIC_TEXT("log.cleanup.policy", "Default of cleanup.policy."),
    TOPIC_TEXT("compression.type", "Default of compression.type."),
    TOPIC_NUMBER("compression.gzip.level", -1, 9, NULL, "Default of compression.gzip.level."),
    TOPIC_NUMBER("compression.lz4.level", 1, 17, NULL, "Default of compression.lz4.level."),
    TOPIC_NUMBER("compression.zstd.level", -131072, 22, NULL, "Default of compression.zstd.level."),
    TOPIC_NUMBER("log.cleaner.delete.retention.ms", 0, INT64_MAX, "ms",
                 "Default of delete.retention.ms."),
    TOPIC_NUMBER("log.segment.delete.delay.ms", 0, INT64_MAX, "ms",
                 "Default of file.delete.delay.ms."),
    TOPIC_NUMBER("log.flush.interval.messages", 1, INT64_MAX, NULL, "Default of flush.messages."),
    TOPIC_NUMBER("log.flush.interval.ms", 0, INT64_MAX, "ms", "Default of flush.ms."),
    TOPIC_NUMBER("log.flush.scheduler.interval.ms", 0, INT64_MAX, "ms", "Default of flush.ms."),
    TOPIC_NUMBER("log.index.interval.bytes", 0, INT32_MAX, "bytes",
                 "Default of index.interval.bytes."),
    TOPIC_NUMBER("log.index.size.max.bytes", 4, INT32_MAX, "bytes",
                 "Default of segment.index.bytes."),
    TOPIC_NUMBER("log.local.retention.bytes", -2, INT64_MAX, "bytes",
                 "Default of local.retention.bytes."),
    TOPIC_NUMBER("log.local.retention.ms", -2, INT64_MAX, "ms", "Default of local.retention.ms."),
    TOPIC_NUMBER("log.cleaner.max.compaction.lag.ms", 1, INT64_MAX, "ms",
                 "Default of max.compaction.lag.ms."),
    TOPIC_NUMBER("log.cleaner.min.compaction.lag.ms", 0, INT64_MAX, "ms",
                 "Default of min.compaction.lag.ms."),
    TOPIC_TEXT("log.cleaner.min.cleanable.ratio", "Default of min.cleanable.dirty.ratio."),
    TOPIC_NUMBER("message.max.bytes", 0, INT32_MAX, "bytes", "Default of max.message.bytes."),
    TOPIC_FLAG("log.message.downconversion.enable", "Default of message.downconversion.enable."),
    TOPIC_TEXT("log.message.format.version", "Ignored, as by Apache's broker since 3.0."),
    TOPIC_NUMBER("log.message.timestamp.after.max.ms", 0, INT64_MAX, "ms",
                 "Default of message.timestamp.after.max.ms."),
    TOPIC_NUMBER("log.message.timestamp.before.max.ms", 0, INT64_MAX, "ms",
                 "Default of message.timestamp.before.max.ms."),
    TOPIC_NUMBER("log.message.timestamp.difference.max.ms", 0, INT64_MAX, "ms",
                 "Default of both message.timestamp limits."),
    TOPIC_TEXT("log.message.timestamp.type", "Default of message.timestamp.type."),
    TOPIC_NUMBER("min.insync.replicas", 1, INT32_MAX, NULL, "Default of min.insync.replicas."),
    TOPIC_FLAG("log.preallocate", "Default of preallocate."),
    TOPIC_NUMBER("log.retention.bytes", -1, INT64_MAX, "bytes", "Default of retention.bytes."),
    TOPIC_NUMBER("log.retention.ms", -1, INT64_MAX, "ms", "Default of retention.ms."),
    TOPIC_NUMBER("log.retention.minutes", -1, INT32_MAX, "minutes", "Default of retention.ms."),
    TOPIC_NUMBER("log.retention.hours", -1, INT32_MAX, "hours", "Default of retention.ms."),
    TOPIC_NUMBER("log.segment.bytes", 14, INT32_MAX, "bytes", "Default of segment.bytes."),
    TOPIC_NUMBER("log.roll.ms", 1, INT64_MAX, "ms", "Default of segment.ms."),
    TOPIC_NUMBER("log.roll.hours", 1, INT32_MAX, "hours", "Default of segment.ms."),
    TOPIC_NUMBER("log.roll.jitter.ms", 0, INT64_MAX, "ms", "Default of segment.jitter.ms."),
    TOPIC_NUMBER("log.roll.jitter.hours", 0, INT32_MAX, "hours", "Default of segment.jitter.ms."),
    TOPIC_FLAG("unclean.leader.election.enable", "Default of unclean.leader.election.enable."),

    {.key = "ssl.",
     .type = CONFIG_GROUP,
     .offset = AT(unsupported_security),
     .doc = "TLS is not served yet."},
    {.key = "sasl.",
     .type = CONFIG_GROUP,
     .offset = AT(unsupported_security),
     .doc = "SASL is not served yet."},
    NOTHING("num.network.threads", threads_doc),
    NOTHING("num.io.threads", threads_doc),
    NOTHING("background.threads", runtime_doc),
    NOTHING("num.recovery.threads.per.data.dir", runtime_doc),
    NOTHING("queued.max.requests", runtime_doc),
    NOTHING("socket.send.buffer.bytes", runtime_doc),
    NOTHING("socket.receive.buffer.bytes", runtime_doc),
    NOTHING("socket.listen.backlog.size", runtime_doc),
    NOTHING("zookeeper.max.in.flight.requests", runtime_doc),
    NOTHING("log.cleaner.", "Compaction is not done yet."),
    NOTHING("transaction.state.log.", "Transactions are not served yet."),
    NOTHING("replica.", runtime_doc),
    NOTHING("inter.broker.protocol.version", "Always 3.9."),
    NOTHING("offsets.load.buffer.size", runtime_doc),
    NOTHING("offsets.topic.compression.codec", "Offsets are not compressed."),
    NOTHING("quota.", "Quotas are not enforced yet."),
    NOTHING("metrics.", jvm_doc),
    NOTHING("metric.reporters", jvm_doc),
    NOTHING("kafka.metrics.", jvm_doc),
    NOTHING("auto.include.jmx.reporter", jvm_doc),
    NOTHING("group.consumer.", "The newer consumer protocol is not served yet."),
    NOTHING("group.coordinator.", runtime_doc),
    NOTHING("process.roles", kraft_doc),
    NOTHING("node.id", kraft_doc),
    NOTHING("controller.", kraft_doc),
};

const struct config_table broker_config_table = {
    .name = "server.properties", .rows = rows, .row_count = ARRAY_COUNT(rows)};

static const char *copy_text(struct heap *heap, struct slice text)
{
    char *copy = heap_take(heap, text.size + 1);
    if (copy == NULL)
        return NULL;
    if (text.size != 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static enum err keep_entries(struct broker_config *config, struct heap *heap, struct slice text,
                             uint8_t *buffer)
{
    struct properties properties;
    struct config_entry **last = &config->entries;
    properties_init(&properties, text);
    for (;;) {
        struct properties_entry entry;
        if (properties_next(&properties, buffer, entry_bytes_max, &entry) != ERR_OK)
            continue; /* config_load has said so. */
        if (slice_is_null(entry.key))
            return ERR_OK;
        struct config_entry *kept = heap_take_zeroed(heap, sizeof *kept);
        if (kept == NULL)
            return ERR_NO_MEMORY;
        kept->key = copy_text(heap, entry.key);
        kept->value = copy_text(heap, entry.value);
        kept->line = properties.line;
        if (kept->key == NULL || kept->value == NULL)
            return ERR_NO_MEMORY;
        *last = kept;
        last = &kept->next;
    }
}

struct slice broker_config_inter_broker_listener(const struct broker_config *config)
{
    const char *name = config->inter_broker_listener;
    if (name != NULL && name[0] != '\0')
        return slice_from_text(name);
    return slice_from_text(protocol_choices[config->inter_broker_protocol]);
}

struct slice broker_config_value(const struct broker_config *config, const char *key)
{
    struct slice value = SLICE_NULL;
    for (const struct config_entry *entry = config->entries; entry != NULL; entry = entry->next)
        if (strcmp(entry->key, key) == 0)
            value = slice_from_text(entry->value); /* The last one wins. */
    return value;
}

/* ---- lists of texts, and listeners ---- */

static struct slice trim(struct slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = slice_skip(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Cuts the next item off a list, trimmed; false: there is none. Empty items are left out. */
static bool next_item(struct slice *list, struct slice *item)
{
    while (list->size > 0) {
        const uint8_t *comma = memchr(list->data, ',', list->size);
        const size_t size = comma == NULL ? list->size : (size_t)(comma - list->data);
        *item = trim(slice_of(list->data, size));
        *list = slice_skip(*list, comma == NULL ? size : size + 1);
        if (item->size > 0)
            return true;
    }
    return false;
}

/* The part in front of the separator goes to *head, text keeps what is behind it. */
static bool split_at(struct slice *text, const char *separator, struct slice *head)
{
    const size_t length = strlen(separator);
    for (size_t at = 0; at + length <= text->size; at++) {
        if (memcmp(text->data + at, separator, length) == 0) {
            *head = slice_of(text->data, at);
            *text = slice_skip(*text, at + length);
            return true;
        }
    }
    return false;
}

static bool parse_port(struct slice text, uint16_t *port)
{
    uint32_t number = 0;
    if (text.size == 0 || text.size > 5)
        return false;
    for (size_t at = 0; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        number = number * 10 + (uint32_t)(text.data[at] - '0');
    }
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

/* "host:port", "[::1]:port" or ":port". */
static bool parse_place(struct slice text, struct slice *host, uint16_t *port)
{
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0 || !parse_port(slice_skip(text, colon), port))
        return false;
    *host = slice_of(text.data, colon - 1);
    if (host->size >= 2 && host->data[0] == '[' && host->data[host->size - 1] == ']')
        *host = slice_of(host->data + 1, host->size - 2);
    return true;
}

/* What listener.security.protocol.map says of a listener; by default a name is its protocol. */
static struct slice protocol_of(const struct broker_config *config, struct slice name)
{
    struct slice list =
        slice_from_text(config->listener_protocol_map ? config->listener_protocol_map : "");
    struct slice item;
    struct slice protocol = name;
    while (next_item(&list, &item)) {
        struct slice key;
        if (split_at(&item, ":", &key) && slice_equal(trim(key), name))
            protocol = trim(item);
    }
    return protocol;
}

struct listener_list {
    const char *file_name;
    uint32_t line; /* 0: not in the file. */
    const char *key;
    const char *text;
    struct broker_listener *listeners;
    uint32_t *count;
};

static enum err add_listener(struct broker_config *config, struct heap *heap, struct diag *diag,
                             const struct listener_list *list, struct slice item)
{
    struct slice name;
    struct slice host;
    uint16_t port;
    const struct slice whole = item;
    if (!split_at(&item, "://", &name) || !parse_place(item, &host, &port)) {
        diag_error(diag,
                   "%s:%u: %s: expected NAME://host:port, found \"%" SLICE_FORMAT
                   "\"; correct the line",
                   list->file_name, list->line, list->key, SLICE_ARGS(whole));
        return ERR_CONFIG;
    }
    const struct slice protocol = protocol_of(config, name);
    if (!slice_equal_text(protocol, "PLAINTEXT")) {
        diag_error(diag,
                   "%s:%u: %s: listener %" SLICE_FORMAT " uses %" SLICE_FORMAT
                   ", which is not served yet; only PLAINTEXT is",
                   list->file_name, list->line, list->key, SLICE_ARGS(name), SLICE_ARGS(protocol));
        return ERR_CONFIG;
    }
    if (*list->count == broker_listener_count_max) {
        diag_error(diag, "%s:%u: %s: more than %d listeners", list->file_name, list->line,
                   list->key, broker_listener_count_max);
        return ERR_CONFIG;
    }
    const struct broker_listener listener = {copy_text(heap, name), copy_text(heap, host), port};
    if (listener.name == NULL || listener.host == NULL)
        return ERR_NO_MEMORY;
    list->listeners[(*list->count)++] = listener;
    return ERR_OK;
}

static enum err read_listeners(struct broker_config *config, struct heap *heap, struct diag *diag,
                               struct listener_list list)
{
    struct slice rest = slice_from_text(list.text);
    struct slice item;
    enum err worst = ERR_OK;
    *list.count = 0;
    while (next_item(&rest, &item)) {
        const enum err err = add_listener(config, heap, diag, &list, item);
        if (err != ERR_OK)
            worst = err;
    }
    if (worst == ERR_OK && *list.count == 0) {
        diag_error(diag, "%s:%u: %s: expected at least one NAME://host:port", list.file_name,
                   list.line, list.key);
        worst = ERR_CONFIG;
    }
    return worst;
}

/* The last line of a key, the one that counts. */
static uint32_t line_of(const struct broker_config *config, const char *key)
{
    uint32_t line = 0;
    for (const struct config_entry *entry = config->entries; entry != NULL; entry = entry->next)
        if (strcmp(entry->key, key) == 0)
            line = entry->line;
    return line;
}

static enum err read_all_listeners(struct broker_config *config, struct heap *heap,
                                   struct diag *diag, const char *file_name)
{
    const char *advertised = config->advertised_listeners_text;
    const struct listener_list bound = {file_name,         line_of(config, "listeners"),
                                        "listeners",       config->listeners_text,
                                        config->listeners, &config->listener_count};
    const struct listener_list told = {
        file_name,
        line_of(config, "advertised.listeners"),
        "advertised.listeners",
        advertised != NULL && advertised[0] != '\0' ? advertised : config->listeners_text,
        config->advertised,
        &config->advertised_count};
    const enum err err = read_listeners(config, heap, diag, bound);
    return err != ERR_OK ? err : read_listeners(config, heap, diag, told);
}

static enum err read_log_dirs(struct broker_config *config, struct heap *heap, struct diag *diag)
{
    struct slice list = slice_from_text(config->log_dirs ? config->log_dirs : config->log_dir);
    struct slice item;
    config->log_dir_count = 0;
    while (next_item(&list, &item)) {
        if (config->log_dir_count == broker_log_dir_count_max) {
            diag_error(diag, "log.dirs: more than %d directories", broker_log_dir_count_max);
            return ERR_CONFIG;
        }
        const char *path = copy_text(heap, item);
        if (path == NULL)
            return ERR_NO_MEMORY;
        config->log_dir_paths[config->log_dir_count++] = path;
    }
    if (config->log_dir_count > 0)
        return ERR_OK;
    diag_error(diag, "log.dirs: expected at least one directory");
    return ERR_CONFIG;
}

static bool is_advertised(const struct broker_config *config, struct slice name)
{
    for (uint32_t i = 0; i < config->advertised_count; i++)
        if (slice_equal_text(name, config->advertised[i].name))
            return true;
    return false;
}

/* As Apache's broker has it: neither would ever work. */
static enum err check_inter_broker(const struct broker_config *config, struct diag *diag,
                                   const char *file_name)
{
    const struct slice listener = broker_config_inter_broker_listener(config);
    enum err err = ERR_OK;
    if (!is_advertised(config, listener)) {
        diag_error(diag,
                   "%s: inter.broker.listener.name: expected a listener of advertised.listeners, "
                   "found \"%" SLICE_FORMAT "\"",
                   file_name, SLICE_ARGS(listener));
        err = ERR_CONFIG;
    }
    if (config->replica_fetch_wait_ms_max > config->replica_socket_timeout_ms) {
        diag_error(diag,
                   "%s: replica.fetch.wait.max.ms is longer than replica.socket.timeout.ms: "
                   "every fetch would fail",
                   file_name);
        err = ERR_CONFIG;
    }
    return err;
}

static enum err check(const struct broker_config *config, struct diag *diag,
                      struct config_source source)
{
    enum err err = check_inter_broker(config, diag, source.file_name);
    for (const struct config_entry *entry = config->unsupported_security; entry != NULL;
         entry = entry->next) {
        diag_error(diag, "%s:%u: TLS and SASL are not served yet; remove the line",
                   source.file_name, entry->line);
        err = ERR_CONFIG;
    }
    if (config->keeper_connect == NULL || config->keeper_connect[0] == '\0') {
        diag_error(diag, "%s: zookeeper.connect is missing; expected host:port", source.file_name);
        err = ERR_CONFIG;
    }
    if (config->memory_mib_max / config->shard_count < shard_memory_mib_min) {
        diag_error(diag, "%s: rookery.memory.max.mb is too small for so many rookery.broker.shards",
                   source.file_name);
        err = ERR_CONFIG;
    }
    if (config->broker_id < 0 && !config->broker_id_generation) {
        diag_error(diag, "%s: broker.id is missing, and broker.id.generation.enable is false",
                   source.file_name);
        err = ERR_CONFIG;
    }
    return err;
}

enum err broker_config_init(struct broker_config *config, struct heap *heap, struct diag *diag,
                            struct config_source source)
{
    uint8_t *buffer = heap_take(heap, entry_bytes_max);
    if (buffer == NULL)
        return ERR_NO_MEMORY;
    enum err err = keep_entries(config, heap, source.text, buffer);
    heap_give(heap, buffer);
    if (err == ERR_OK)
        err = read_all_listeners(config, heap, diag, source.file_name);
    if (err == ERR_OK)
        err = read_log_dirs(config, heap, diag);
    if (err == ERR_OK)
        err = check(config, diag, source);
    return err;
}
