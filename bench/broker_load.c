/* Loads a Kafka broker: one partition, batches of fixed records.
 *
 *   broker_load PORT TOPIC produce ACKS SECONDS                 as fast as it goes, five requests
 * in flight broker_load PORT TOPIC latency ACKS SECONDS RECORDS_PER_S   a fixed rate; from send to
 * arrival at a consumer
 *
 * Batches hold 100-byte records: as many as fit 16 KiB for produce, one for latency.
 */
#include "test/crash/process.h"
#include "test/hand/kafka.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    batch_bytes = 16 * 1024,
    in_flight_max = 5,
    sample_count_max = 4 << 20,
    warm_up_share = 5, /* A fifth of the time is not counted. */
    fetch_wait_ms = 500,
    fetch_bytes = 4 << 20,
    connect_deadline_ms = 5000,
};

struct latencies {
    uint32_t us[sample_count_max];
    size_t count;
    bool counted;
};

static struct latencies latencies;
static const char *topic;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int dial(uint16_t port)
{
    const int handle = process_connect(getpid(), port, connect_deadline_ms);
    if (handle < 0)
        process_fail("nobody answers on port %u", port);
    return handle;
}

static void take_produce_reply(int handle)
{
    int64_t base_offset;
    if (!kafka_take_produce_reply(handle, &base_offset))
        process_fail("the broker closed the connection");
}

static void run_produce(int handle, int acks, double seconds)
{
    const uint64_t start = now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    const struct kafka_batch_options batch = {.record_count = kafka_record_count_for(batch_bytes)};
    uint64_t records = 0;
    int in_flight = 0;
    uint64_t now = start;
    while (now < start + (uint64_t)(seconds * 1e9)) {
        kafka_send_produce(handle, topic, acks, batch);
        in_flight += acks != 0;
        if (in_flight == in_flight_max) {
            take_produce_reply(handle);
            in_flight--;
        }
        now = now_ns();
        records += now >= counted_from ? batch.record_count : 0;
    }
    for (; in_flight > 0; in_flight--)
        take_produce_reply(handle);
    const double counted = (double)(now_ns() - counted_from) / 1e9;
    printf("records %llu seconds %.2f per_second %.0f\n", (unsigned long long)records, counted,
           (double)records / counted);
}

static void note_arrival(void *context, int64_t offset, uint64_t stamp)
{
    struct latencies *noted = context;
    (void)offset;
    if (noted->counted && noted->count < sample_count_max)
        noted->us[noted->count++] = (uint32_t)((now_ns() - stamp) / 1000);
}

static int by_value(const void *a, const void *b)
{
    const uint32_t first = *(const uint32_t *)a;
    const uint32_t second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

static void print_latencies(struct latencies *noted)
{
    if (noted->count == 0)
        process_fail("no record arrived");
    qsort(noted->us, noted->count, sizeof *noted->us, by_value);
    printf("records %zu p50_us %u p99_us %u p999_us %u max_us %u\n", noted->count,
           noted->us[noted->count / 2], noted->us[noted->count * 99 / 100],
           noted->us[noted->count * 999 / 1000], noted->us[noted->count - 1]);
}

static void run_latency(int producer, int consumer, int acks, double seconds, double rate)
{
    struct kafka_fetch_options fetch = {.offset = kafka_end_offset(consumer, topic),
                                        .wait_ms_max = fetch_wait_ms,
                                        .bytes_max = fetch_bytes};
    kafka_send_fetch(consumer, topic, fetch);
    const uint64_t start = now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    uint64_t sent = 0;
    for (uint64_t now = start; now < start + (uint64_t)(seconds * 1e9); now = now_ns()) {
        for (; sent < (uint64_t)((double)(now - start) / 1e9 * rate); sent++)
            kafka_send_produce(
                producer, topic, acks,
                (struct kafka_batch_options){.record_count = 1, .first_stamp = now_ns()});
        struct pollfd handles[2] = {{.fd = producer, .events = POLLIN},
                                    {.fd = consumer, .events = POLLIN}};
        const struct timespec wait = {.tv_nsec = 50000};
        if (ppoll(handles, 2, &wait, NULL) < 0)
            process_fail("poll failed");
        if (handles[0].revents != 0)
            take_produce_reply(producer);
        if (handles[1].revents == 0)
            continue;
        latencies.counted = now >= counted_from;
        fetch.offset = kafka_take_fetch_reply(consumer, fetch.offset, note_arrival, &latencies);
        kafka_send_fetch(consumer, topic, fetch);
    }
    print_latencies(&latencies);
}

int main(int argc, char **argv)
{
    if (argc < 6 || (strcmp(argv[3], "latency") == 0 && argc < 7))
        process_fail("usage: broker_load PORT TOPIC produce|latency ACKS SECONDS [RATE]");
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    topic = argv[2];
    const int acks = (int)strtol(argv[4], NULL, 10);
    const double seconds = strtod(argv[5], NULL);
    const int handle = dial(port);
    if (!kafka_await_topic(handle, topic))
        process_fail("the broker closed the connection");
    if (strcmp(argv[3], "latency") == 0)
        run_latency(handle, dial(port), acks, seconds, strtod(argv[6], NULL));
    else
        run_produce(handle, acks, seconds);
    return 0;
}
