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
    uint32_t partition;
    uint32_t record_count;
    uint64_t first_stamp;
    uint64_t stamp_step;
};

/* How many such records fill a batch of so many bytes. */
uint32_t kafka_record_count_for(size_t batch_bytes);

/* Creates the topic by asking for it, and waits until its partition 0 has a leader. False: the
 * connection is gone. */
bool kafka_await_topic(int handle, const char *topic);

/* With replicas and settings by the broker's choice. The error code, or -1: the connection is gone.
 */
int kafka_create_topic(int handle, const char *topic, uint32_t partition_count,
                       uint32_t replica_count);

/* What a broker knows of the cluster. */
struct kafka_view {
    int32_t controller;   /* -1: none. */
    uint32_t ready_count; /* Partitions with a leader and replica_count replicas in sync. */
};

/* The leaders of partitions 0 to partition_count - 1, -1: none. */
struct kafka_view kafka_ask_leaders(int handle, const char *topic, int32_t *leaders,
                                    uint32_t partition_count, uint32_t replica_count);

void kafka_send_produce(int handle, const char *topic, int acks,
                        struct kafka_batch_options options);

/* False: the connection is gone. An error code ends the program. */
bool kafka_take_produce_reply(int handle, int64_t *base_offset);

/* The error code, or -1: the connection is gone. */
int kafka_take_produce_code(int handle, int64_t *base_offset);

int64_t kafka_end_offset(int handle, const char *topic, uint32_t partition);

struct kafka_fetch_options {
    uint32_t partition;
    int64_t offset;
    uint32_t wait_ms_max;
    uint32_t bytes_max;
};

void kafka_send_fetch(int handle, const char *topic, struct kafka_fetch_options options);

/* Calls on_record, if there is one, for each whole record of the partition from offset on; the next
 * offset to fetch. */
int64_t kafka_take_fetch_reply(int handle, int64_t offset,
                               void (*on_record)(void *context, int64_t offset, uint64_t stamp),
                               void *context);

#endif
