#include "broker/record_facts.h"

const struct partition_config record_facts_any_topic = {.message_bytes_max = UINT32_MAX,
                                                        .is_log_append_time = true};

void record_facts_init(struct record_facts *facts)
{
    *facts = (struct record_facts){.timestamp_ms_min = INT64_MAX, .timestamp_ms_max = -1};
}

void record_facts_add_timestamp(struct record_facts *facts, int64_t timestamp_ms)
{
    if (timestamp_ms == -1)
        return;
    facts->timestamp_ms_min = min_i64(facts->timestamp_ms_min, timestamp_ms);
    facts->timestamp_ms_max = max_i64(facts->timestamp_ms_max, timestamp_ms);
}

/* What is neither too old at the least nor too new at the most. */
static bool are_timestamps_taken(const struct record_facts *facts, const struct record_rules *rules)
{
    if (facts->timestamp_ms_min == INT64_MAX)
        return true;
    return !record_rules_refuse_timestamp(rules, facts->timestamp_ms_min) &&
           !record_rules_refuse_timestamp(rules, facts->timestamp_ms_max);
}

bool record_facts_pass(const struct record_facts *facts, const struct record_rules *rules)
{
    const struct partition_config *config = rules->config;
    return facts->verdict.code == KAFKA_NONE && !facts->is_max_wrong &&
           facts->batch_bytes_max <= config->message_bytes_max &&
           !(facts->has_keyless && config->compacts) && are_timestamps_taken(facts, rules);
}
