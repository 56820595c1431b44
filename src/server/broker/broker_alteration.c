#include "server/broker/broker_alteration.h"

#include "broker/broker_setting_rule.h"

#include <stdio.h>

enum { set_name_count_max = 4 }; /* What Scala prints as a Set, and not as a HashSet. */

static bool is_static(struct slice name)
{
    const struct broker_setting *setting = broker_setting_find(name);
    return setting != NULL && (!setting->is_dynamic || setting->is_sensitive) &&
           !broker_setting_needs_listener(name);
}

/* False: some names are, and the reason tells all of them. */
static bool has_none(const struct znode_config *config, bool (*is_wrong)(struct slice name),
                     const char *why, const char *kind, char *reason, size_t reason_size)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->count; i++)
        count += is_wrong(config->entries[i].name);
    if (count == 0)
        return true;
    const char *const set = count > set_name_count_max ? "HashSet" : kind;
    size_t size = (size_t)snprintf(reason, reason_size, "%s: %s(", why, set);
    const char *separator = "";
    for (uint32_t i = 0; i < config->count && size < reason_size; i++) {
        if (!is_wrong(config->entries[i].name))
            continue;
        size += (size_t)snprintf(reason + size, reason_size - size, "%s%" SLICE_FORMAT, separator,
                                 SLICE_ARGS(config->entries[i].name));
        separator = ", ";
    }
    if (size < reason_size)
        (void)snprintf(reason + size, reason_size - size, ")");
    return false;
}

static int64_t number_now(const struct config_store *store, const char *key)
{
    int64_t number = 0;
    struct slice value = config_store_value(store, key);
    const struct broker_setting *setting = broker_setting_find(slice_from_text(key));
    if (value.data == NULL && setting != NULL && setting->value_default != NULL)
        value = slice_from_text(setting->value_default);
    (void)!broker_setting_read_number(value, &number);
    return number;
}

/* Kafka changes a pool of threads by steps. */
static const char *check_thread_count(int64_t count, int64_t now)
{
    if (count == now)
        return NULL;
    if (count <= 0)
        return "at least 1";
    if (count < now / 2)
        return "at least half the current value";
    return count > now * 2 ? "not be greater than double the current value" : NULL;
}

static bool check_threads(const struct config_store *store, const char *key, int64_t count,
                          char *reason, size_t reason_size)
{
    const int64_t now = number_now(store, key);
    const char *why = check_thread_count(count, now);
    char current[32] = "";
    if (why == NULL)
        return true;
    if (count > 0)
        (void)snprintf(current, sizeof current, " %lld", (long long)now);
    (void)snprintf(reason, reason_size,
                   "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread "
                   "count update validation failed for %s=%lld, value should %s%s%s for "
                   "configuration Invalid dynamic configuration",
                   key, (long long)count, why[0] == 'a' ? "be " : "", why, current);
    return false;
}

/* What a value means beside the others. */
static bool check_meaning(const struct broker_alteration *alteration, const char *key,
                          int64_t number, char *reason, size_t reason_size)
{
    static const struct {
        const char *key;
        int64_t least;
        int64_t beside; /* The other value that it may have. */
        const char *why;
    } rows[] = {
        {"log.retention.ms", 1, -1, "unlimited (-1) or, equal or greater than 1"},
        {"log.roll.ms", 1, INT64_MIN, "greater than or equal to 1"},
        {"log.roll.jitter.ms", 0, INT64_MIN, "greater than or equal to 0"},
    };
    const struct slice name = slice_from_text(key);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (slice_equal_text(name, rows[i].key) && number < rows[i].least &&
            !(rows[i].beside != INT64_MIN && number < 0)) {
            (void)snprintf(reason, reason_size, "requirement failed: %s must be %s", key,
                           rows[i].why);
            return false;
        }
    if (slice_equal_text(name, "max.connections.per.ip") && number == 0 &&
        config_store_find(alteration->config, SLICE_LITERAL("max.connections.per.ip.overrides"))
                .size == 0) {
        (void)snprintf(reason, reason_size,
                       "requirement failed: %s can be set to zero only if "
                       "max.connections.per.ip.overrides property is set.",
                       key);
        return false;
    }
    if (slice_equal_text(name, "max.connection.creation.rate") && number == 0) {
        (void)snprintf(reason, reason_size,
                       "Invalid value org.apache.kafka.common.config.ConfigException: Invalid "
                       "%s 0 for configuration Invalid dynamic configuration",
                       key);
        return false;
    }
    return !broker_setting_is_thread_count(name) ||
           check_threads(alteration->store, key, number, reason, reason_size);
}

bool broker_alteration_check(const struct broker_alteration *alteration, char *reason,
                             size_t reason_size)
{
    const struct znode_config *config = alteration->config;
    if (!has_none(config, is_static, "Cannot update these configs dynamically", "Set", reason,
                  reason_size) ||
        !has_none(config, broker_setting_needs_listener,
                  "These security configs can be dynamically updated only per-listener using the "
                  "listener prefix",
                  "HashSet", reason, reason_size))
        return false;
    for (uint32_t i = 0; i < config->count; i++) {
        const struct topic_config_entry *entry = &config->entries[i];
        const struct broker_setting *setting = broker_setting_find(entry->name);
        if (setting != NULL && !broker_setting_check(setting, entry->value, reason, reason_size))
            return false;
    }
    if (alteration->is_default &&
        !has_none(config, broker_setting_is_per_broker,
                  "Cannot update these configs at default cluster level, broker id must be "
                  "specified",
                  "Set", reason, reason_size))
        return false;
    for (uint32_t i = 0; i < config->count; i++) {
        const struct topic_config_entry *entry = &config->entries[i];
        const struct broker_setting *setting = broker_setting_find(entry->name);
        int64_t number;
        if (setting != NULL && broker_setting_read_number(entry->value, &number) &&
            !check_meaning(alteration, setting->name, number, reason, reason_size))
            return false;
    }
    return true;
}
