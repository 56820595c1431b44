#include "broker/topic_config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"

enum { hour_ms = 3600000, minute_ms = 60000, value_size_max = 32768 };

static const char *const cleanup_choices[] = {"compact", "delete", NULL};
static const char *const compression_choices[] = {"uncompressed", "gzip",     "snappy", "lz4",
                                                  "zstd",         "producer", NULL};
static const char *const timestamp_choices[] = {"CreateTime", "LogAppendTime", NULL};

static const struct topic_config_row rows[] = {
    {.name = "cleanup.policy",
     .type = TOPIC_CONFIG_LIST,
     .value_default = "delete",
     .choices = cleanup_choices,
     .broker_keys = {{"log.cleanup.policy", 1}},
     .doc = "delete: drop old segments; compact: keep the last record of each key."},
    {.name = "compression.gzip.level",
     .type = TOPIC_CONFIG_INT,
     .min = -1,
     .max = 9,
     .value_default = "-1",
     .broker_keys = {{"compression.gzip.level", 1}},
     .doc = "Level used when the broker compresses with gzip.",
     .offset = offsetof(struct topic_config, compression_gzip_level)},
    {.name = "compression.lz4.level",
     .type = TOPIC_CONFIG_INT,
     .min = 1,
     .max = 17,
     .value_default = "9",
     .broker_keys = {{"compression.lz4.level", 1}},
     .doc = "Level used when the broker compresses with lz4.",
     .offset = offsetof(struct topic_config, compression_lz4_level)},
    {.name = "compression.type",
     .type = TOPIC_CONFIG_STRING,
     .value_default = "producer",
     .choices = compression_choices,
     .broker_keys = {{"compression.type", 1}},
     .doc = "How records are kept on disk; producer: as they came."},
    {.name = "compression.zstd.level",
     .type = TOPIC_CONFIG_INT,
     .min = -131072,
     .max = 22,
     .value_default = "3",
     .broker_keys = {{"compression.zstd.level", 1}},
     .doc = "Level used when the broker compresses with zstd.",
     .offset = offsetof(struct topic_config, compression_zstd_level)},
    {.name = "delete.retention.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "86400000",
     .broker_keys = {{"log.cleaner.delete.retention.ms", 1}},
     .doc = "How long a compacted topic keeps the marks of deleted keys.",
     .offset = offsetof(struct topic_config, delete_retention_ms)},
    {.name = "file.delete.delay.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "60000",
     .broker_keys = {{"log.segment.delete.delay.ms", 1}},
     .doc = "How long a dropped file stays on disk, for readers that still use it.",
     .offset = offsetof(struct topic_config, file_delete_delay_ms)},
    {.name = "flush.messages",
     .type = TOPIC_CONFIG_LONG,
     .min = 1,
     .max = INT64_MAX,
     .value_default = "9223372036854775807",
     .broker_keys = {{"log.flush.interval.messages", 1}},
     .doc =
         "Sync to disk after so many records, before the last of them is acknowledged. 1: always."
         " Set on a topic to the largest number: acks=all does not wait for the disk either.",
     .offset = offsetof(struct topic_config, flush_messages)},
    {.name = "flush.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "9223372036854775807",
     .broker_keys = {{"log.flush.interval.ms", 1}, {"log.flush.scheduler.interval.ms", 1}},
     .doc = "Sync to disk after so much time.",
     .offset = offsetof(struct topic_config, flush_ms)},
    {.name = "follower.replication.throttled.replicas",
     .type = TOPIC_CONFIG_LIST,
     .value_default = "",
     .doc = "Followers whose replication is slowed: partition:broker pairs, or *.",
     .offset = offsetof(struct topic_config, follower_throttled_replicas)},
    {.name = "index.interval.bytes",
     .type = TOPIC_CONFIG_INT,
     .max = INT32_MAX,
     .value_default = "4096",
     .broker_keys = {{"log.index.interval.bytes", 1}},
     .doc = "An index entry is written after so many bytes of records.",
     .offset = offsetof(struct topic_config, index_interval_bytes)},
    {.name = "leader.replication.throttled.replicas",
     .type = TOPIC_CONFIG_LIST,
     .value_default = "",
     .doc = "Leaders whose replication is slowed: partition:broker pairs, or *.",
     .offset = offsetof(struct topic_config, leader_throttled_replicas)},
    {.name = "local.retention.bytes",
     .type = TOPIC_CONFIG_LONG,
     .min = -2,
     .max = INT64_MAX,
     .value_default = "-2",
     .broker_keys = {{"log.local.retention.bytes", 1}},
     .doc = "Of a topic in remote storage: how many bytes also stay here; -2: retention.bytes.",
     .offset = offsetof(struct topic_config, local_retention_bytes)},
    {.name = "local.retention.ms",
     .type = TOPIC_CONFIG_LONG,
     .min = -2,
     .max = INT64_MAX,
     .value_default = "-2",
     .broker_keys = {{"log.local.retention.ms", 1}},
     .doc = "Of a topic in remote storage: how long records also stay here; -2: retention.ms.",
     .offset = offsetof(struct topic_config, local_retention_ms)},
    {.name = "max.compaction.lag.ms",
     .type = TOPIC_CONFIG_LONG,
     .min = 1,
     .max = INT64_MAX,
     .value_default = "9223372036854775807",
     .broker_keys = {{"log.cleaner.max.compaction.lag.ms", 1}},
     .doc = "A record is compacted at the latest after this time.",
     .offset = offsetof(struct topic_config, max_compaction_lag_ms)},
    {.name = "max.message.bytes",
     .type = TOPIC_CONFIG_INT,
     .max = INT32_MAX,
     .value_default = "1048588",
     .broker_keys = {{"message.max.bytes", 1}},
     .doc = "The largest batch of records that the topic takes.",
     .offset = offsetof(struct topic_config, message_bytes_max)},
    {.name = "message.downconversion.enable",
     .type = TOPIC_CONFIG_BOOLEAN,
     .value_default = "true",
     .broker_keys = {{"log.message.downconversion.enable", 1}},
     .doc = "Whether old clients get records in old formats.",
     .offset = offsetof(struct topic_config, message_downconversion_enable)},
    {.name = "message.format.version",
     .type = TOPIC_CONFIG_STRING,
     .value_default = "3.0-IV1",
     .broker_keys = {{"log.message.format.version", 1}},
     .doc = "Has no effect any more."},
    {.name = "message.timestamp.after.max.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "9223372036854775807",
     .broker_keys = {{"log.message.timestamp.after.max.ms", 1}},
     .doc = "How far a record's timestamp may lie in the future.",
     .offset = offsetof(struct topic_config, message_timestamp_after_max_ms)},
    {.name = "message.timestamp.before.max.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "9223372036854775807",
     .broker_keys = {{"log.message.timestamp.before.max.ms", 1}},
     .doc = "How far a record's timestamp may lie in the past.",
     .offset = offsetof(struct topic_config, message_timestamp_before_max_ms)},
    {.name = "message.timestamp.difference.max.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "9223372036854775807",
     .broker_keys = {{"log.message.timestamp.difference.max.ms", 1}},
     .doc = "Older name for both message.timestamp.before.max.ms and .after.max.ms.",
     .offset = offsetof(struct topic_config, message_timestamp_difference_max_ms)},
    {.name = "message.timestamp.type",
     .type = TOPIC_CONFIG_STRING,
     .value_default = "CreateTime",
     .choices = timestamp_choices,
     .broker_keys = {{"log.message.timestamp.type", 1}},
     .doc = "Whose clock gives the timestamp: the producer's or the broker's."},
    {.name = "min.cleanable.dirty.ratio",
     .type = TOPIC_CONFIG_DOUBLE,
     .max = 1,
     .value_default = "0.5",
     .broker_keys = {{"log.cleaner.min.cleanable.ratio", 1}},
     .doc = "Compact when this part of the log is not yet compacted.",
     .offset = offsetof(struct topic_config, min_cleanable_dirty_ratio)},
    {.name = "min.compaction.lag.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "0",
     .broker_keys = {{"log.cleaner.min.compaction.lag.ms", 1}},
     .doc = "A record stays uncompacted at least for this time.",
     .offset = offsetof(struct topic_config, min_compaction_lag_ms)},
    {.name = "min.insync.replicas",
     .type = TOPIC_CONFIG_INT,
     .min = 1,
     .max = INT32_MAX,
     .value_default = "1",
     .broker_keys = {{"min.insync.replicas", 1}},
     .doc = "How many replicas must be in sync for acks=all to be taken.",
     .offset = offsetof(struct topic_config, min_insync_replicas)},
    {.name = "preallocate",
     .type = TOPIC_CONFIG_BOOLEAN,
     .value_default = "false",
     .broker_keys = {{"log.preallocate", 1}},
     .doc = "Whether a new segment takes its whole size on disk at once.",
     .offset = offsetof(struct topic_config, preallocate)},
    {.name = "remote.log.copy.disable",
     .type = TOPIC_CONFIG_BOOLEAN,
     .value_default = "false",
     .doc = "Of a topic in remote storage: copy no more segments there.",
     .offset = offsetof(struct topic_config, remote_log_copy_disable)},
    {.name = "remote.log.delete.on.disable",
     .type = TOPIC_CONFIG_BOOLEAN,
     .value_default = "false",
     .doc = "Whether turning remote storage off deletes what lies there.",
     .offset = offsetof(struct topic_config, remote_log_delete_on_disable)},
    {.name = "remote.storage.enable",
     .type = TOPIC_CONFIG_BOOLEAN,
     .value_default = "false",
     .doc = "Remote storage, which this broker does not have.",
     .offset = offsetof(struct topic_config, remote_storage_enable)},
    {.name = "retention.bytes",
     .type = TOPIC_CONFIG_LONG,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .value_default = "-1",
     .broker_keys = {{"log.retention.bytes", 1}},
     .doc = "A partition larger than this drops its oldest segments; -1: no limit.",
     .offset = offsetof(struct topic_config, retention_bytes)},
    {.name = "retention.ms",
     .type = TOPIC_CONFIG_LONG,
     .min = -1,
     .max = INT64_MAX,
     .value_default = "604800000",
     .broker_keys = {{"log.retention.ms", 1},
                     {"log.retention.minutes", minute_ms},
                     {"log.retention.hours", hour_ms}},
     .doc = "Segments older than this are dropped; -1: no limit.",
     .offset = offsetof(struct topic_config, retention_ms)},
    {.name = "segment.bytes",
     .type = TOPIC_CONFIG_INT,
     .min = 14,
     .max = INT32_MAX,
     .value_default = "1073741824",
     .broker_keys = {{"log.segment.bytes", 1}},
     .doc = "A segment file is closed when it reaches this size.",
     .offset = offsetof(struct topic_config, segment_bytes)},
    {.name = "segment.index.bytes",
     .type = TOPIC_CONFIG_INT,
     .min = 4,
     .max = INT32_MAX,
     .value_default = "10485760",
     .broker_keys = {{"log.index.size.max.bytes", 1}},
     .doc = "A segment is closed when its index reaches this size.",
     .offset = offsetof(struct topic_config, segment_index_bytes)},
    {.name = "segment.jitter.ms",
     .type = TOPIC_CONFIG_LONG,
     .max = INT64_MAX,
     .value_default = "0",
     .broker_keys = {{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", hour_ms}},
     .doc = "segment.ms is shortened by up to this much at random.",
     .offset = offsetof(struct topic_config, segment_jitter_ms)},
    {.name = "segment.ms",
     .type = TOPIC_CONFIG_LONG,
     .min = 1,
     .max = INT64_MAX,
     .value_default = "604800000",
     .broker_keys = {{"log.roll.ms", 1}, {"log.roll.hours", hour_ms}},
     .doc = "A segment file is closed after this time, full or not.",
     .offset = offsetof(struct topic_config, segment_ms)},
    {.name = "unclean.leader.election.enable",
     .type = TOPIC_CONFIG_BOOLEAN,
     .value_default = "false",
     .broker_keys = {{"unclean.leader.election.enable", 1}},
     .doc = "Whether a replica outside the in-sync set may lead, losing records.",
     .offset = offsetof(struct topic_config, unclean_leader_election_enable)},
};

const uint32_t topic_config_row_count = ARRAY_COUNT(rows);

const struct topic_config_row *topic_config_row(uint32_t index)
{
    assert(index < ARRAY_COUNT(rows));
    return &rows[index];
}

const struct topic_config_row *topic_config_find(struct slice name)
{
    for (uint32_t index = 0; index < ARRAY_COUNT(rows); index++)
        if (slice_equal_text(name, rows[index].name))
            return &rows[index];
    return NULL;
}

static struct slice trim(struct slice text)
{
    while (text.size > 0 && text.data[0] <= ' ')
        text = slice_skip(text, 1);
    while (text.size > 0 && text.data[text.size - 1] <= ' ')
        text.size--;
    return text;
}

/* Cuts the first item of a comma-separated list off; false at the end. */
static bool next_item(struct slice *list, struct slice *item)
{
    if (list->data == NULL)
        return false;
    const uint8_t *comma = list->size == 0 ? NULL : memchr(list->data, ',', list->size);
    const size_t size = comma == NULL ? list->size : (size_t)(comma - list->data);
    *item = trim(slice_of(list->data, size));
    *list = comma == NULL ? SLICE_NULL : slice_skip(*list, size + 1);
    return true;
}

static bool parse_integer(struct slice value, int64_t *number)
{
    char text[32];
    value = trim(value);
    if (value.size == 0 || value.size >= sizeof text)
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    char *end;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] == ' ')
        return false;
    *number = parsed;
    return true;
}

static bool parse_double(struct slice value, double *number)
{
    char text[32];
    value = trim(value);
    if (value.size == 0 || value.size >= sizeof text)
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    for (size_t at = 0; at < value.size; at++)
        if (strchr("0123456789+-.eE", text[at]) == NULL)
            return false;
    char *end;
    *number = strtod(text, &end);
    return *end == '\0';
}

static bool equal_without_case(struct slice value, const char *text)
{
    return value.size == strlen(text) &&
           strncasecmp((const char *)value.data, text, value.size) == 0;
}

static bool parse_boolean(struct slice value, bool *flag)
{
    value = trim(value);
    if (value.data == NULL)
        return false;
    *flag = equal_without_case(value, "true");
    return *flag || equal_without_case(value, "false");
}

static bool is_choice(const char *const *choices, struct slice value)
{
    for (; *choices != NULL; choices++)
        if (slice_equal_text(value, *choices))
            return true;
    return false;
}

static bool check_list(const struct topic_config_row *row, struct slice value)
{
    struct slice item;
    if (row->choices == NULL || trim(value).size == 0)
        return true;
    while (next_item(&value, &item))
        if (!is_choice(row->choices, item))
            return false;
    return true;
}

static bool parse_pair(struct slice item, int64_t *partition, int64_t *broker_id)
{
    const uint8_t *colon = item.size == 0 ? NULL : memchr(item.data, ':', item.size);
    return colon != NULL &&
           parse_integer(slice_of(item.data, (size_t)(colon - item.data)), partition) &&
           parse_integer(slice_skip(item, (size_t)(colon - item.data) + 1), broker_id);
}

/* A throttled-replicas list is "*" or partition:broker pairs. */
static bool check_throttled(struct slice value)
{
    struct slice item;
    int64_t partition, broker_id;
    value = trim(value);
    if (value.size == 0 || slice_equal_text(value, "*"))
        return true;
    while (next_item(&value, &item))
        if (!parse_pair(item, &partition, &broker_id))
            return false;
    return true;
}

bool topic_config_throttles(struct slice replicas, int32_t partition, int32_t broker_id)
{
    struct slice item;
    int64_t named_partition, named_broker;
    if (slice_equal_text(trim(replicas), "*"))
        return true;
    while (next_item(&replicas, &item))
        if (parse_pair(item, &named_partition, &named_broker) && named_partition == partition &&
            named_broker == broker_id)
            return true;
    return false;
}

static bool is_fitting(const struct topic_config_row *row, struct slice value)
{
    int64_t number;
    double real;
    bool flag;
    switch (row->type) {
    case TOPIC_CONFIG_BOOLEAN: return parse_boolean(value, &flag);
    case TOPIC_CONFIG_INT:
    case TOPIC_CONFIG_LONG:
        return parse_integer(value, &number) && number >= row->min && number <= row->max &&
               !(number == 0 &&
                 row->offset == offsetof(struct topic_config, compression_gzip_level));
    case TOPIC_CONFIG_DOUBLE:
        return parse_double(value, &real) && real >= (double)row->min && real <= (double)row->max;
    case TOPIC_CONFIG_STRING: return row->choices == NULL || is_choice(row->choices, trim(value));
    case TOPIC_CONFIG_LIST:
        return row->choices == NULL ? check_throttled(value) : check_list(row, value);
    }
    return false;
}

static void print_expected(const struct topic_config_row *row, char *text, size_t size)
{
    switch (row->type) {
    case TOPIC_CONFIG_BOOLEAN: snprintf(text, size, "true or false"); return;
    case TOPIC_CONFIG_INT:
    case TOPIC_CONFIG_LONG:
        snprintf(text, size, "a number from %lld to %lld", (long long)row->min,
                 (long long)row->max);
        return;
    case TOPIC_CONFIG_DOUBLE:
        snprintf(text, size, "a number from %lld to %lld", (long long)row->min,
                 (long long)row->max);
        return;
    case TOPIC_CONFIG_STRING:
    case TOPIC_CONFIG_LIST: break;
    }
    size_t used =
        (size_t)snprintf(text, size, "%s", row->choices ? "one of" : "partition:broker, ... or *");
    for (const char *const *choice = row->choices; choice != NULL && *choice != NULL; choice++)
        if (used < size)
            used += (size_t)snprintf(text + used, size - used, " %s", *choice);
}

bool topic_config_check(const struct topic_config_row *row, struct slice value, char *reason,
                        size_t reason_size)
{
    if (value.data != NULL && value.size <= value_size_max && is_fitting(row, value))
        return true;
    char expected[128];
    print_expected(row, expected, sizeof expected);
    const struct slice shown = {value.data, min_size(value.size, 40)};
    snprintf(reason, reason_size,
             "Invalid value %" SLICE_FORMAT " for configuration %s: expected %s", SLICE_ARGS(shown),
             row->name, expected);
    return false;
}

/* A number of a broker key in the topic setting's unit. Negative numbers are marks, not amounts. */
static bool convert(int64_t number, int64_t unit, int64_t *converted)
{
    if (number < 0) {
        *converted = unit == 1 ? number : -1;
        return true;
    }
    return !__builtin_mul_overflow(number, unit, converted);
}

const struct topic_config_broker_key *
topic_config_broker_key(const struct topic_config_row *row,
                        const struct topic_config_source *source, struct slice *value)
{
    for (size_t index = 0; index < ARRAY_COUNT(row->broker_keys); index++) {
        const struct topic_config_broker_key *key = &row->broker_keys[index];
        if (key->key == NULL)
            break;
        *value = source->broker_value(source->context, key->key);
        if (value->data != NULL)
            return key;
    }
    return NULL;
}

struct slice topic_config_broker_default(const struct topic_config_row *row,
                                         const struct topic_config_source *source, char text[32])
{
    struct slice value;
    const struct topic_config_broker_key *key = topic_config_broker_key(row, source, &value);
    if (key == NULL)
        return slice_from_text(row->value_default);
    int64_t number;
    if (key->unit == 1)
        return value;
    if (!parse_integer(value, &number) || !convert(number, key->unit, &number))
        return slice_from_text(row->value_default);
    snprintf(text, 32, "%lld", (long long)number);
    return slice_from_text(text);
}

static void resolve_choice(struct topic_config *config, const struct topic_config_row *row,
                           struct slice value)
{
    struct slice item;
    if (row->choices == cleanup_choices) {
        config->cleanup_delete = false;
        config->cleanup_compact = false;
        while (next_item(&value, &item)) {
            config->cleanup_delete |= slice_equal_text(item, "delete");
            config->cleanup_compact |= slice_equal_text(item, "compact");
        }
    } else if (row->choices == timestamp_choices) {
        config->timestamp_is_append_time = slice_equal_text(trim(value), "LogAppendTime");
    } else if (row->choices == compression_choices) {
        int index = 0;
        while (!slice_equal_text(trim(value), compression_choices[index]))
            index++;
        config->compression = (enum topic_config_compression)index;
    }
}

/* The value fits the row. */
static void resolve_row(struct topic_config *config, const struct topic_config_row *row,
                        struct slice value)
{
    uint8_t *field = (uint8_t *)config + row->offset;
    int64_t number = 0;
    double real = 0;
    bool flag = false;
    switch (row->type) {
    case TOPIC_CONFIG_BOOLEAN:
        if (parse_boolean(value, &flag))
            memcpy(field, &flag, sizeof flag);
        return;
    case TOPIC_CONFIG_INT:
    case TOPIC_CONFIG_LONG:
        if (parse_integer(value, &number))
            memcpy(field, &number, sizeof number);
        return;
    case TOPIC_CONFIG_DOUBLE:
        if (parse_double(value, &real))
            memcpy(field, &real, sizeof real);
        return;
    case TOPIC_CONFIG_STRING: resolve_choice(config, row, value); return;
    case TOPIC_CONFIG_LIST:
        if (row->choices == NULL)
            memcpy(field, &value, sizeof value);
        else
            resolve_choice(config, row, value);
        return;
    }
}

uint32_t topic_config_resolve(struct topic_config *config, const struct topic_config_source *source,
                              const struct topic_config_entry *entries, uint32_t entry_count)
{
    char reason[8];
    memset(config, 0, sizeof *config);
    for (uint32_t index = 0; index < ARRAY_COUNT(rows); index++) {
        char text[32];
        const struct slice value = topic_config_broker_default(&rows[index], source, text);
        resolve_row(config, &rows[index], slice_from_text(rows[index].value_default));
        if (topic_config_check(&rows[index], value, reason, sizeof reason))
            resolve_row(config, &rows[index], value);
    }
    uint32_t left_out = 0;
    for (uint32_t index = 0; index < entry_count; index++) {
        const struct topic_config_row *row = topic_config_find(entries[index].name);
        if (row == NULL || !topic_config_check(row, entries[index].value, reason, sizeof reason)) {
            left_out++;
            continue;
        }
        resolve_row(config, row, entries[index].value);
        if (row->offset == offsetof(struct topic_config, flush_messages))
            config->is_sync_left_to_system = config->flush_messages == INT64_MAX;
    }
    /* The older setting holds where the newer ones were left alone. */
    if (config->message_timestamp_before_max_ms == INT64_MAX)
        config->message_timestamp_before_max_ms = config->message_timestamp_difference_max_ms;
    if (config->message_timestamp_after_max_ms == INT64_MAX)
        config->message_timestamp_after_max_ms = config->message_timestamp_difference_max_ms;
    return left_out;
}
