/* The name of an error code that travels as a plain number; the codes stand in error_code.h.
 *
 * Memory: constants. Shard: any.
 */
#ifndef BROKER_KAFKA_ERROR_H
#define BROKER_KAFKA_ERROR_H

#include "broker/error_code.h"

#include <stdint.h>

/* Lends: "UNKNOWN_TOPIC_OR_PARTITION"; a text that says so for a number we do not know. */
const char *kafka_error_name(int16_t code);

#endif
