#include "server/broker/auto_topic.h"

#include "base/macros.h"

void auto_topic_init(struct auto_topic *topics, const struct broker_config *config)
{
    const struct slice segment_bytes = broker_config_value(config, "offsets.topic.segment.bytes");
    *topics = (struct auto_topic){.config = config};
    topics->offsets_configs[0] =
        (struct topic_config_entry){SLICE_LITERAL("cleanup.policy"), SLICE_LITERAL("compact")};
    topics->offsets_configs[1] =
        (struct topic_config_entry){SLICE_LITERAL("compression.type"), SLICE_LITERAL("producer")};
    topics->offsets_configs[2] = (struct topic_config_entry){
        SLICE_LITERAL("segment.bytes"),
        slice_is_null(segment_bytes) ? SLICE_LITERAL("104857600") : segment_bytes};
}

struct topic_create auto_topic_spec(const struct auto_topic *topics, struct slice name)
{
    struct topic_create spec = {.name = name, .partition_count = -1, .replication_factor = -1};
    if (slice_equal_text(name, "__consumer_offsets")) {
        spec.partition_count = (int32_t)topics->config->offsets_partition_count;
        spec.replication_factor = (int16_t)topics->config->offsets_replication_factor;
        spec.configs = topics->offsets_configs;
        spec.config_count = ARRAY_COUNT(topics->offsets_configs);
    }
    return spec;
}
