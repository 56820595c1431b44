/* The settings of a Kafka broker, all that 3.9 knows: what DescribeConfigs answers for a broker.
 *
 * What server.properties really does here is the config table of the server; this table lets tools
 * see every name they expect, with Kafka's default.
 *
 * Memory: constants. Shard: any.
 */
#ifndef BROKER_BROKER_SETTING_H
#define BROKER_BROKER_SETTING_H

#include "base/macros.h"
#include "base/slice.h"

/* The numbers of DescribeConfigs' ConfigType. */
enum broker_setting_type {
    BROKER_SETTING_BOOLEAN = 1,
    BROKER_SETTING_STRING = 2,
    BROKER_SETTING_INT = 3,
    BROKER_SETTING_SHORT = 4,
    BROKER_SETTING_LONG = 5,
    BROKER_SETTING_DOUBLE = 6,
    BROKER_SETTING_LIST = 7,
    BROKER_SETTING_CLASS = 8,
    BROKER_SETTING_PASSWORD = 9
};

struct broker_setting {
    const char *name;
    const char *value_default; /* NULL: none. */
    enum broker_setting_type type;
    bool is_dynamic; /* It may be changed while the broker runs. */
    bool is_sensitive;
};

/* The number of settings; they are in order of name. */
extern const uint32_t broker_setting_count;
const struct broker_setting *broker_setting_at(uint32_t index);

/* The setting with this name, or NULL. Finds those too that only exist while they are set in the
 * keeper: no file sets them, and they have no place in the order. */
const struct broker_setting *broker_setting_find(struct slice name);
bool broker_setting_is_listed(const struct broker_setting *setting);

#endif
