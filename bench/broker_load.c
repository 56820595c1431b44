/* Loads a Kafka broker or a cluster with batches of 100-byte records.
 *
 *   broker_load PORTS TOPIC produce ACKS SECONDS
 *   broker_load PORTS TOPIC latency ACKS SECONDS RECORDS_PER_S [BATCH_BYTES]
 *   broker_load PORTS TOPIC fill MIB
 *   broker_load PORTS TOPIC read TIMES [BYTES]
 *   broker_load PORTS TOPIC first
 *   broker_load PORTS TOPIC await
 *
 * - produce: as fast as it goes: batches of 16 KiB, five requests in flight at each broker,
 *   partitions in turns
 * - latency: at a fixed rate; from when a record was due to its arrival at a consumer. A batch
 *   leaves when its last record is due; without BATCH_BYTES it is one record
 * - fill: so much into the topic, acks=all
 * - read: partition 0 from its beginning to its end, so much a fetch (1 MiB)
 * - first: until a record in the last partition is acknowledged by the first broker; nothing else
 *   is asked
 * - await: until all replicas are in sync
 *
 * PORTS and TOPIC as broker_wire.h has them.
 */
#include "bench/broker_wire.h"
#include "test/crash/process.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    batch_bytes = 16 * 1024,
    in_flight_max = 5,
    warm_up_share = 5, /* A fifth of the time is not counted. */
    fetch_wait_ms = 500,
    fetch_bytes = 4 << 20,
    read_bytes = 1 << 20, /* What a Java consumer asks for of a partition. */
    consumer_count_max = 64,
    retry_ns = 1000000,
};

static struct broker_wire wire;

static double seconds_since(uint64_t start)
{
    return (double)(latency_now_ns() - start) / 1e9;
}

static void take_produce_reply(int handle)
{
    int64_t base_offset;
    if (!kafka_take_produce_reply(handle, &base_offset))
        process_fail("the broker closed the connection");
}

/* ---- as fast as it goes ---- */

struct flood {
    uint32_t partition;
    uint32_t in_flight[broker_wire_broker_count_max];
    struct kafka_batch_options batch;
    int acks;
};

static void take_one(struct flood *flood, uint32_t broker)
{
    take_produce_reply(wire.handles[broker]);
    flood->in_flight[broker]--;
}

/* The replies that are there; waits for one if must_wait. */
static void take_replies(struct flood *flood, bool must_wait)
{
    struct pollfd polls[broker_wire_broker_count_max];
    for (uint32_t broker = 0; broker < wire.broker_count; broker++)
        polls[broker] = (struct pollfd){
            .fd = flood->in_flight[broker] > 0 ? wire.handles[broker] : -1, .events = POLLIN};
    if (poll(polls, wire.broker_count, must_wait ? -1 : 0) < 0)
        process_fail("poll failed");
    for (uint32_t broker = 0; broker < wire.broker_count; broker++)
        if (polls[broker].revents != 0)
            take_one(flood, broker);
}

/* To the next partition in turn whose leader has room; false: none has. */
static bool send_next(struct flood *flood)
{
    const uint32_t tries =
        wire.partition_count < wire.broker_count * 2 ? wire.partition_count : wire.broker_count * 2;
    for (uint32_t attempt = 0; attempt < tries; attempt++) {
        const uint32_t partition = flood->partition;
        flood->partition = (partition + 1) % wire.partition_count;
        const int handle = broker_wire_leader(&wire, partition);
        uint32_t *in_flight = &flood->in_flight[wire.leaders[partition]];
        if (*in_flight == in_flight_max)
            continue;
        flood->batch.partition = partition;
        kafka_send_produce(handle, wire.topic, flood->acks, flood->batch);
        *in_flight += flood->acks != 0;
        return true;
    }
    return false;
}

static void take_rest(struct flood *flood)
{
    for (uint32_t broker = 0; broker < wire.broker_count; broker++)
        while (flood->in_flight[broker] > 0)
            take_one(flood, broker);
}

static void run_produce(int acks, double seconds)
{
    struct flood flood = {.acks = acks,
                          .batch = {.record_count = kafka_record_count_for(batch_bytes)}};
    const uint64_t start = latency_now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    uint64_t records = 0;
    uint64_t all = 0;
    for (uint64_t now = start; now < start + (uint64_t)(seconds * 1e9); now = latency_now_ns()) {
        const bool is_sent = send_next(&flood);
        take_replies(&flood, !is_sent);
        all += is_sent ? flood.batch.record_count : 0;
        records += is_sent && now >= counted_from ? flood.batch.record_count : 0;
    }
    take_rest(&flood);
    const double counted = seconds_since(counted_from);
    printf("records %llu seconds %.2f per_second %.0f all %llu\n", (unsigned long long)records,
           counted, (double)records / counted, (unsigned long long)all);
}

static void run_fill(uint64_t mib)
{
    struct flood flood = {.acks = -1,
                          .batch = {.record_count = kafka_record_count_for(batch_bytes)}};
    const uint64_t start = latency_now_ns();
    for (uint64_t sent = 0; sent < mib << 20;) {
        const bool is_sent = send_next(&flood);
        take_replies(&flood, !is_sent);
        sent += is_sent ? batch_bytes : 0;
    }
    take_rest(&flood);
    printf("seconds %.2f\n", seconds_since(start));
}

/* ---- at a fixed rate ---- */

struct consumer {
    int handle;
    struct kafka_fetch_options fetch;
    bool is_counted;
};

static void note_arrival(void *context, int64_t offset, uint64_t due_ns)
{
    const struct consumer *consumer = context;
    (void)offset;
    if (consumer->is_counted)
        latency_count(latency_now_ns() - due_ns);
}

static void open_consumers(struct consumer *consumers)
{
    if (wire.partition_count > consumer_count_max)
        process_fail("%u consumers", wire.partition_count);
    for (uint32_t partition = 0; partition < wire.partition_count; partition++) {
        const int handle = broker_wire_dial(wire.ports[wire.leaders[partition]]);
        consumers[partition] =
            (struct consumer){.handle = handle,
                              .fetch = {.partition = partition,
                                        .offset = kafka_end_offset(handle, wire.topic, partition),
                                        .wait_ms_max = fetch_wait_ms,
                                        .bytes_max = fetch_bytes}};
        kafka_send_fetch(handle, wire.topic, consumers[partition].fetch);
    }
}

static void take_records(struct consumer *consumer, bool is_counted)
{
    consumer->is_counted = is_counted;
    consumer->fetch.offset =
        kafka_take_fetch_reply(consumer->handle, consumer->fetch.offset, note_arrival, consumer);
    kafka_send_fetch(consumer->handle, wire.topic, consumer->fetch);
}

static void wait_and_take(struct consumer *consumers, bool is_counted)
{
    struct pollfd polls[broker_wire_broker_count_max + consumer_count_max];
    struct pollfd *arrivals = polls + wire.broker_count;
    for (uint32_t broker = 0; broker < wire.broker_count; broker++)
        polls[broker] = (struct pollfd){.fd = wire.handles[broker], .events = POLLIN};
    for (uint32_t partition = 0; partition < wire.partition_count; partition++)
        arrivals[partition] = (struct pollfd){.fd = consumers[partition].handle, .events = POLLIN};
    const struct timespec wait = {.tv_nsec = 50000};
    if (ppoll(polls, wire.broker_count + wire.partition_count, &wait, NULL) < 0)
        process_fail("poll failed");
    for (uint32_t broker = 0; broker < wire.broker_count; broker++)
        if (polls[broker].revents != 0)
            take_produce_reply(wire.handles[broker]);
    for (uint32_t partition = 0; partition < wire.partition_count; partition++)
        if (arrivals[partition].revents != 0)
            take_records(&consumers[partition], is_counted);
}

static void run_latency(int acks, double seconds, double rate, uint32_t records_per_batch)
{
    static struct consumer consumers[consumer_count_max];
    const uint64_t step_ns = (uint64_t)(1e9 / rate);
    open_consumers(consumers);
    const uint64_t start = latency_now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    const uint64_t end = start + (uint64_t)(seconds * 1e9);
    uint64_t batch_count = 0;
    for (uint64_t now = start; now < end; now = latency_now_ns()) {
        for (;; batch_count++) {
            const uint64_t first_due = start + batch_count * records_per_batch * step_ns;
            const uint32_t partition = (uint32_t)(batch_count % wire.partition_count);
            if (first_due + (records_per_batch - 1) * step_ns > now)
                break;
            kafka_send_produce(broker_wire_leader(&wire, partition), wire.topic, acks,
                               (struct kafka_batch_options){.partition = partition,
                                                            .record_count = records_per_batch,
                                                            .first_stamp = first_due,
                                                            .stamp_step = step_ns});
        }
        wait_and_take(consumers, now >= counted_from);
    }
    if (latency_counted() == 0)
        process_fail("no record arrived");
    printf("records %llu p50_us %llu p99_us %llu p999_us %llu max_us %llu\n",
           (unsigned long long)latency_counted(), (unsigned long long)latency_percentile(0.5),
           (unsigned long long)latency_percentile(0.99),
           (unsigned long long)latency_percentile(0.999),
           (unsigned long long)latency_percentile(1));
}

/* ---- catching up ---- */

static void run_read(unsigned times, uint32_t bytes_max)
{
    const int handle = broker_wire_leader(&wire, 0);
    const int64_t end = kafka_end_offset(handle, wire.topic, 0);
    const uint64_t start = latency_now_ns();
    for (unsigned round = 0; round < times; round++) {
        struct kafka_fetch_options fetch = {.wait_ms_max = fetch_wait_ms, .bytes_max = bytes_max};
        while (fetch.offset < end) {
            kafka_send_fetch(handle, wire.topic, fetch);
            fetch.offset = kafka_take_fetch_reply(handle, fetch.offset, NULL, NULL);
        }
    }
    printf("leader %d records %lld seconds %.3f\n", wire.leaders[0], (long long)end * times,
           seconds_since(start));
}

/* ---- the first answer ---- */

static void run_first(void)
{
    const struct kafka_batch_options batch = {.partition = wire.partition_count - 1,
                                              .record_count = 1};
    for (;;) {
        int64_t base_offset;
        kafka_send_produce(wire.handles[0], wire.topic, 1, batch);
        const int code = kafka_take_produce_code(wire.handles[0], &base_offset);
        if (code == 0)
            return;
        if (code < 0)
            process_fail("the broker closed the connection");
        nanosleep(&(struct timespec){.tv_nsec = retry_ns}, NULL);
    }
}

static bool run(const char *mode, int argc, char **rest)
{
    if (strcmp(mode, "first") == 0) {
        run_first();
        return true;
    }
    const uint64_t start = latency_now_ns();
    broker_wire_await(&wire);
    if (strcmp(mode, "await") == 0 && argc == 0)
        printf("seconds %.3f\n", seconds_since(start));
    else if (strcmp(mode, "produce") == 0 && argc == 2)
        run_produce((int)strtol(rest[0], NULL, 10), strtod(rest[1], NULL));
    else if (strcmp(mode, "latency") == 0 && (argc == 3 || argc == 4))
        run_latency((int)strtol(rest[0], NULL, 10), strtod(rest[1], NULL), strtod(rest[2], NULL),
                    argc == 4 ? kafka_record_count_for(strtoul(rest[3], NULL, 10)) : 1);
    else if (strcmp(mode, "fill") == 0 && argc == 1)
        run_fill(strtoull(rest[0], NULL, 10));
    else if (strcmp(mode, "read") == 0 && (argc == 1 || argc == 2))
        run_read((unsigned)strtoul(rest[0], NULL, 10),
                 argc == 2 ? (uint32_t)strtoul(rest[1], NULL, 10) : read_bytes);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        process_fail("usage: broker_load PORTS TOPIC produce|latency|fill|read|first|await ..");
    broker_wire_open(&wire, argv[1], argv[2]);
    if (!run(argv[3], argc - 4, argv + 4))
        process_fail("%s: what is behind it is not understood", argv[3]);
    return 0;
}
