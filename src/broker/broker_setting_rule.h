/* Which values settings of a broker may have that change while it runs, and in whose hands they
 * are.
 *
 *   name                  least   most   one of
 *   log.segment.bytes     14
 *   compression.type                     uncompressed zstd lz4 snappy gzip producer
 *
 * The rules are those of Kafka 3.9, and its words: tools show them.
 *
 * Memory: constants. Shard: any.
 */
#ifndef BROKER_BROKER_SETTING_RULE_H
#define BROKER_BROKER_SETTING_RULE_H

#include "broker/broker_setting.h"

/* False: the setting cannot have the value; reason gets a sentence for people. */
MUST_CHECK bool broker_setting_check(const struct broker_setting *setting, struct slice value,
                                     char *reason, size_t reason_size);

/* Those of one broker alone, never of all: listeners and what belongs to them. */
bool broker_setting_is_per_broker(struct slice name);

/* Those that Kafka takes for one listener only, by a prefix that names it. */
bool broker_setting_needs_listener(struct slice name);

/* The numbers of threads, which may at most be doubled or halved. */
bool broker_setting_is_thread_count(struct slice name);

/* Of a number of type INT or LONG. */
bool broker_setting_read_number(struct slice value, int64_t *number);

#endif
