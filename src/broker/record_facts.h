/* What was seen in the records of one partition of a Produce, as far as it depends on the topic
 * whether that is allowed: so they can be checked by who does not know the topic.
 *
 * Memory: its own. Shard: any.
 */
#ifndef BROKER_RECORD_FACTS_H
#define BROKER_RECORD_FACTS_H

#include "broker/record_validator.h"

struct record_facts {
    struct record_verdict verdict; /* Of all that does not depend on the topic. */
    int64_t timestamp_ms_min;      /* CreateTimes; INT64_MAX and -1: there are none. */
    int64_t timestamp_ms_max;
    uint32_t batch_bytes_max;
    bool is_max_wrong; /* A max timestamp is to be put right. */
    bool has_keyless;  /* A record without a key, or a batch that was carried unseen. */
};

/* Settings under which nothing is refused that some topic would take. */
extern const struct partition_config record_facts_any_topic;

void record_facts_init(struct record_facts *facts);

/* While the records are checked. -1: without a timestamp. */
void record_facts_add_timestamp(struct record_facts *facts, int64_t timestamp_ms);

/* Whether record_check would accept them under these rules. If not, it has the answer. */
bool record_facts_pass(const struct record_facts *facts, const struct record_rules *rules);

#endif
