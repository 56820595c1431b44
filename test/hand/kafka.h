/* Kafka requests written by hand: a program that loads or kills a broker must not share its codec,
 * or it would share its bugs and its speed. Old, non-flexible versions only.
 *
 * Memory: one static frame for requests, one for replies. Every failure ends the program with a
 * reason.
 */
#ifndef TEST_HAND_KAFKA_H
#define TEST_HAND_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { kafka_record_value_bytes = 100, kafka_batch_header_bytes = 61 };

/* A batch of records with null keys and values of kafka_record_value_bytes; the value of record i
 * starts with the number first_stamp + i * stamp_step. */
struct kafka_batch_options {
    uint32_t record_count;
    uint64_t first_stamp;
    uint64_t stamp_step;
};

/* How many such records fill a batch of so many bytes. */
uint32_t kafka_record_count_for(size_t batch_bytes);

/* Creates the topic by asking for it, and waits until its partition 0 has a leader. False: the
 * connection is gone. */
bool kafka_await_topic(int handle, const char *topic);

void kafka_send_produce(int handle, const char *topic, int acks,
                        struct kafka_batch_options options);

/* False: the connection is gone. An error code ends the program. */
bool kafka_take_produce_reply(int handle, int64_t *base_offset);

/* The end of partition 0. */
int64_t kafka_end_offset(int handle, const char *topic);

struct kafka_fetch_options {
    int64_t offset;
    uint32_t wait_ms_max;
    uint32_t bytes_max;
};

void kafka_send_fetch(int handle, const char *topic, struct kafka_fetch_options options);

/* Calls on_record for each whole record of partition 0 from offset on; the next offset to fetch. */
int64_t kafka_take_fetch_reply(int handle, int64_t offset,
                               void (*on_record)(void *context, int64_t offset, uint64_t stamp),
                               void *context);

#endif
