#include "broker/broker_setting_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { value_size_max = 4096, shown_max = 100, choice_count_max = 8 };

struct rule {
    const char *name;
    int64_t least;
    int64_t most;
    const char *choices[choice_count_max]; /* Of texts and lists; then the others do not count. */
};

#define LEAST(name, least)                                                                         \
    {                                                                                              \
        name, least, INT64_MAX,                                                                    \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define RANGE(name, least, most)                                                                   \
    {                                                                                              \
        name, least, most,                                                                         \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

/* Those without a rule have any value of their type. */
static const struct rule rules[] = {
    LEAST("background.threads", 1),
    RANGE("compression.gzip.level", -1, 9),
    RANGE("compression.lz4.level", 1, 17),
    {"compression.type", 0, 0, {"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}},
    RANGE("compression.zstd.level", -131072, 22),
    LEAST("follower.replication.throttled.rate", 0),
    LEAST("leader.replication.throttled.rate", 0),
    LEAST("log.cleaner.backoff.ms", 0),
    LEAST("log.cleaner.delete.retention.ms", 0),
    LEAST("log.cleaner.io.buffer.size", 0),
    LEAST("log.cleaner.max.compaction.lag.ms", 1),
    RANGE("log.cleaner.min.cleanable.ratio", 0, 1),
    LEAST("log.cleaner.min.compaction.lag.ms", 0),
    LEAST("log.cleaner.threads", 0),
    {"log.cleanup.policy", 0, 0, {"compact", "delete"}},
    LEAST("log.flush.interval.messages", 1),
    LEAST("log.index.interval.bytes", 0),
    LEAST("log.index.size.max.bytes", 4),
    LEAST("log.local.retention.bytes", -2),
    LEAST("log.local.retention.ms", -2),
    LEAST("log.message.timestamp.after.max.ms", 0),
    LEAST("log.message.timestamp.before.max.ms", 0),
    LEAST("log.message.timestamp.difference.max.ms", 0),
    {"log.message.timestamp.type", 0, 0, {"CreateTime", "LogAppendTime"}},
    LEAST("log.segment.bytes", 14),
    LEAST("log.segment.delete.delay.ms", 0),
    LEAST("max.connection.creation.rate", 0),
    LEAST("max.connections", 0),
    LEAST("max.connections.per.ip", 0),
    LEAST("message.max.bytes", 0),
    LEAST("min.insync.replicas", 1),
    LEAST("num.io.threads", 1),
    LEAST("num.network.threads", 1),
    LEAST("num.recovery.threads.per.data.dir", 1),
    LEAST("producer.id.expiration.ms", 1),
    LEAST("remote.fetch.max.wait.ms", 1),
    LEAST("remote.log.index.file.cache.total.size.bytes", 1),
    LEAST("remote.log.manager.copy.max.bytes.per.second", 1),
    LEAST("remote.log.manager.fetch.max.bytes.per.second", 1),
    LEAST("replica.alter.log.dirs.io.max.bytes.per.second", 0),
};

static const struct rule *find_rule(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++)
        if (slice_equal_text(slice_from_text(name), rules[i].name))
            return &rules[i];
    return NULL;
}

static bool read_integer(const char *text, int64_t *number)
{
    char *end;
    errno = 0;
    const long long read = strtoll(text, &end, 10);
    *number = read;
    return errno == 0 && end != text && *end == '\0' && *text != ' ';
}

bool broker_setting_read_number(struct slice value, int64_t *number)
{
    char text[32];
    if (value.data == NULL || value.size >= sizeof text)
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    return read_integer(text, number);
}

static bool read_double(const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    return end != text && *end == '\0';
}

/* NULL: the text is of the type. */
static const char *misfit(enum broker_setting_type type, const char *text, double *number)
{
    int64_t integer = 0;
    const bool is_integer = read_integer(text, &integer);
    *number = (double)integer;
    switch (type) {
    case BROKER_SETTING_BOOLEAN:
        return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0
                   ? NULL
                   : "Expected value to be either true or false";
    case BROKER_SETTING_INT:
        return is_integer && integer >= INT32_MIN && integer <= INT32_MAX
                   ? NULL
                   : "Not a number of type INT";
    case BROKER_SETTING_SHORT:
        return is_integer && integer >= INT16_MIN && integer <= INT16_MAX
                   ? NULL
                   : "Not a number of type SHORT";
    case BROKER_SETTING_LONG: return is_integer ? NULL : "Not a number of type LONG";
    case BROKER_SETTING_DOUBLE:
        return read_double(text, number) ? NULL : "Not a number of type DOUBLE";
    case BROKER_SETTING_STRING:
    case BROKER_SETTING_LIST:
    case BROKER_SETTING_CLASS:
    case BROKER_SETTING_PASSWORD: return NULL;
    }
    return NULL;
}

static bool is_choice(const struct rule *rule, struct slice item)
{
    for (size_t i = 0; i < ARRAY_COUNT(rule->choices) && rule->choices[i] != NULL; i++)
        if (slice_equal_text(item, rule->choices[i]))
            return true;
    return false;
}

/* The first item that is none; null: all are. A text is a list of one. */
static struct slice find_wrong_item(const struct rule *rule, enum broker_setting_type type,
                                    struct slice value)
{
    while (value.size > 0 || type == BROKER_SETTING_STRING) {
        const uint8_t *comma =
            type == BROKER_SETTING_LIST ? memchr(value.data, ',', value.size) : NULL;
        const size_t size = comma == NULL ? value.size : (size_t)(comma - value.data);
        struct slice item = slice_of(value.data, size);
        while (item.size > 0 && item.data[0] == ' ')
            item = slice_skip(item, 1);
        while (item.size > 0 && item.data[item.size - 1] == ' ')
            item.size--;
        if (!is_choice(rule, item))
            return item;
        if (comma == NULL)
            break;
        value = slice_skip(value, size + 1);
    }
    return SLICE_NULL;
}

static void print_choices(const struct rule *rule, char *text, size_t capacity)
{
    size_t size = (size_t)snprintf(text, capacity, "String must be one of: %s", rule->choices[0]);
    for (size_t i = 1; i < ARRAY_COUNT(rule->choices) && rule->choices[i] != NULL; i++)
        size += (size_t)snprintf(text + size, capacity - size, ", %s", rule->choices[i]);
}

bool broker_setting_check(const struct broker_setting *setting, struct slice value, char *reason,
                          size_t reason_size)
{
    char text[value_size_max + 1];
    char wrong[160];
    struct slice shown = value;
    double number = 0;
    if (value.data == NULL || value.size > value_size_max) {
        snprintf(reason, reason_size, "The value of %s is longer than %d bytes", setting->name,
                 (int)value_size_max);
        return false;
    }
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    const struct rule *rule = find_rule(setting->name);
    const char *why = misfit(setting->type, text, &number);
    const bool has_choices = rule != NULL && rule->choices[0] != NULL;
    if (why == NULL && has_choices) {
        shown = find_wrong_item(rule, setting->type, value);
        print_choices(rule, wrong, sizeof wrong);
        why = shown.data == NULL ? NULL : wrong;
    } else if (why == NULL && rule != NULL && number < (double)rule->least) {
        snprintf(wrong, sizeof wrong, "Value must be at least %lld", (long long)rule->least);
        why = wrong;
    } else if (why == NULL && rule != NULL && number > (double)rule->most) {
        snprintf(wrong, sizeof wrong, "Value must be no more than %lld", (long long)rule->most);
        why = wrong;
    }
    if (why == NULL)
        return true;
    shown.size = min_size(shown.size, shown_max);
    snprintf(reason, reason_size, "Invalid value %" SLICE_FORMAT " for configuration %s: %s",
             SLICE_ARGS(shown), setting->name, why);
    return false;
}

static bool is_one_of(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal_text(name, names[i]))
            return true;
    return false;
}

bool broker_setting_is_per_broker(struct slice name)
{
    static const char *const names[] = {"advertised.listeners", "listener.security.protocol.map",
                                        "listeners", "principal.builder.class"};
    return slice_starts_with(name, SLICE_LITERAL("ssl.")) ||
           slice_starts_with(name, SLICE_LITERAL("sasl.")) ||
           slice_starts_with(name, SLICE_LITERAL("listener.name.")) ||
           is_one_of(name, names, ARRAY_COUNT(names));
}

bool broker_setting_needs_listener(struct slice name)
{
    static const char *const names[] = {"ssl.key.password",        "ssl.keystore.certificate.chain",
                                        "ssl.keystore.key",        "ssl.keystore.location",
                                        "ssl.keystore.password",   "ssl.keystore.type",
                                        "ssl.truststore.location", "ssl.truststore.password",
                                        "ssl.truststore.type",     "ssl.truststore.certificates"};
    return is_one_of(name, names, ARRAY_COUNT(names));
}

bool broker_setting_is_thread_count(struct slice name)
{
    static const char *const names[] = {"background.threads", "num.io.threads",
                                        "num.network.threads", "num.recovery.threads.per.data.dir",
                                        "num.replica.fetchers"};
    return is_one_of(name, names, ARRAY_COUNT(names));
}
