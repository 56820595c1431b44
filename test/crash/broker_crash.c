/* kill -9 under load, again and again: what the broker acknowledged must be there after the
 * restart, once, in order.
 *
 *   broker_crash ROUNDS SEED PORT OUTPUT COMMAND...   (COMMAND starts a broker on PORT)
 *
 * In each round a producer keeps five batches with acks=all in flight, each record carrying the
 * next number; after a random number of acknowledgements the broker is killed. After the restart
 * the whole partition is read: offsets are dense from 0, every acknowledged record stands at the
 * offset that the acknowledgement named, and of each round an unbroken run from its first number is
 * there.
 */
#include "base/prng.h"
#include "test/crash/process.h"
#include "test/hand/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    in_flight_max = 5,
    records_per_batch = 7,
    record_count_max = 1 << 20,
    start_deadline_ms = 30000,
    connect_count_max = 100,
    round_shift = 32, /* A number is the round above, the count in the round below. */
};

static const char topic[] = "crash";

/* What was acknowledged, by offset: the number plus one; 0: nothing. */
static uint64_t acknowledged[record_count_max];
static int64_t acknowledged_end;

struct reading {
    int64_t next_offset;
    uint64_t next_number; /* Of the round being read. */
    uint64_t round;
};

/* The kernel may keep the listening socket of a killed process for a moment, so that a connection
 * is made to nobody: another one follows. */
static int connect_broker(pid_t pid, uint16_t port)
{
    for (int attempt = 0; attempt < connect_count_max; attempt++) {
        const int handle = process_connect(pid, port, start_deadline_ms);
        if (handle < 0)
            break;
        if (kafka_await_topic(handle, topic))
            return handle;
        close(handle);
    }
    process_fail("the broker did not come up on port %u", port);
}

static void note_acknowledged(int64_t base_offset, uint64_t first_number)
{
    if (base_offset < 0 || base_offset + records_per_batch > record_count_max)
        process_fail("an acknowledgement for offset %lld", (long long)base_offset);
    for (int index = 0; index < records_per_batch; index++)
        acknowledged[base_offset + index] = first_number + (uint64_t)index + 1;
    if (base_offset + records_per_batch > acknowledged_end)
        acknowledged_end = base_offset + records_per_batch;
}

static void send_batch(int handle, uint64_t number)
{
    kafka_send_produce(handle, topic, -1,
                       (struct kafka_batch_options){.record_count = records_per_batch,
                                                    .first_stamp = number,
                                                    .stamp_step = 1});
}

static void load_and_kill(pid_t pid, uint16_t port, uint64_t round, struct prng *prng)
{
    const int handle = connect_broker(pid, port);
    uint64_t sent = round << round_shift;
    uint64_t answered = sent;
    const uint64_t batches = prng_between(prng, 1, 400);
    for (int index = 0; index < in_flight_max; index++, sent += records_per_batch)
        send_batch(handle, sent);
    int64_t base_offset;
    for (uint64_t batch = 0; batch < batches; batch++, answered += records_per_batch) {
        if (!kafka_take_produce_reply(handle, &base_offset))
            process_fail("the broker closed the connection under load");
        note_acknowledged(base_offset, answered);
        send_batch(handle, sent);
        sent += records_per_batch;
    }
    process_kill(pid);
    for (; kafka_take_produce_reply(handle, &base_offset); answered += records_per_batch)
        note_acknowledged(base_offset, answered);
    close(handle);
}

static void check_record(void *context, int64_t offset, uint64_t number)
{
    struct reading *reading = context;
    if (offset != reading->next_offset)
        process_fail("offset %lld follows %lld", (long long)offset,
                     (long long)reading->next_offset - 1);
    reading->next_offset++;
    if (number >> round_shift != reading->round) {
        reading->round = number >> round_shift;
        reading->next_number = reading->round << round_shift;
    }
    if (number != reading->next_number)
        process_fail("offset %lld holds number %llx where %llx follows", (long long)offset,
                     (unsigned long long)number, (unsigned long long)reading->next_number);
    reading->next_number++;
    if (offset < record_count_max && acknowledged[offset] != 0 &&
        acknowledged[offset] != number + 1)
        process_fail("offset %lld was acknowledged for another record", (long long)offset);
}

static void check_all(int handle)
{
    struct reading reading = {.round = UINT64_MAX};
    const int64_t end = kafka_end_offset(handle, topic, 0);
    struct kafka_fetch_options fetch = {.wait_ms_max = 100, .bytes_max = 1 << 20};
    while (fetch.offset < end) {
        kafka_send_fetch(handle, topic, fetch);
        fetch.offset = kafka_take_fetch_reply(handle, fetch.offset, check_record, &reading);
    }
    if (reading.next_offset < acknowledged_end)
        process_fail("%lld records acknowledged, %lld there", (long long)acknowledged_end,
                     (long long)reading.next_offset);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        process_fail("usage: broker_crash ROUNDS SEED PORT OUTPUT COMMAND...");
    const unsigned rounds = (unsigned)strtoul(argv[1], NULL, 10);
    struct prng prng;
    prng_init(&prng, strtoull(argv[2], NULL, 10));
    const uint16_t port = (uint16_t)strtoul(argv[3], NULL, 10);
    const char *output = argv[4];

    pid_t pid = process_start(argv + 5, output);
    for (uint64_t round = 0; round < rounds; round++) {
        load_and_kill(pid, port, round, &prng);
        pid = process_start(argv + 5, output);
        const int handle = connect_broker(pid, port);
        check_all(handle);
        close(handle);
    }
    const int status = process_stop(pid);
    printf("%u kills, %lld records acknowledged and found, exit status %d\n", rounds,
           (long long)acknowledged_end, status);
    return 0;
}
