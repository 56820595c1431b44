#include "broker_wire.h"

#include "test/crash/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    patience_s = 180,
    pause_ns = 20000000,
    dial_pause_ns = 1000000,
    code_topic_exists = 36,
    code_timed_out = 7,
};

int broker_wire_dial(uint16_t port)
{
    const uint64_t start = latency_now_ns();
    while (latency_now_ns() < start + patience_s * UINT64_C(1000000000)) {
        const int handle = process_connect(getpid(), port, 1);
        if (handle >= 0)
            return handle;
        nanosleep(&(struct timespec){.tv_nsec = dial_pause_ns}, NULL);
    }
    process_fail("nobody answers on port %u", port);
}

static void read_topic(struct broker_wire *wire, const char *topic)
{
    const size_t size = strcspn(topic, ":");
    const char *counts = topic + size;
    if (size == 0 || size >= sizeof wire->topic)
        process_fail("a topic's name of %zu bytes", size);
    memcpy(wire->topic, topic, size);
    wire->partition_count = 1;
    wire->replica_count = 1;
    if (*counts != '\0' &&
        sscanf(counts, ":%u:%u", &wire->partition_count, &wire->replica_count) != 2)
        process_fail("expected NAME:PARTITIONS:REPLICAS, found %s", topic);
    if (wire->partition_count == 0 || wire->partition_count > broker_wire_partition_count_max)
        process_fail("%u partitions", wire->partition_count);
}

void broker_wire_open(struct broker_wire *wire, const char *ports, const char *topic)
{
    *wire = (struct broker_wire){.controller = -1};
    read_topic(wire, topic);
    for (const char *at = ports; at != NULL && wire->broker_count < broker_wire_broker_count_max;
         wire->broker_count++) {
        const uint16_t port = (uint16_t)strtoul(at, NULL, 10);
        wire->ports[wire->broker_count] = port;
        wire->handles[wire->broker_count] = broker_wire_dial(port);
        at = strchr(at, ',');
        at = at == NULL ? NULL : at + 1;
    }
}

/* Whether one of them was the controller, and has it. */
static bool create(struct broker_wire *wire)
{
    for (uint32_t broker = 0; broker < wire->broker_count; broker++) {
        const int code = kafka_create_topic(wire->handles[broker], wire->topic,
                                            wire->partition_count, wire->replica_count);
        if (code == 0 || code == code_topic_exists || code == code_timed_out)
            return true;
        if (code < 0)
            process_fail("the broker on port %u closed the connection", wire->ports[broker]);
    }
    return false; /* No controller yet, or fewer brokers than replicas. */
}

static bool is_ready(struct broker_wire *wire)
{
    for (uint32_t broker = 0; broker < wire->broker_count; broker++) {
        const struct kafka_view view =
            kafka_ask_leaders(wire->handles[broker], wire->topic, wire->leaders,
                              wire->partition_count, wire->replica_count);
        wire->controller = view.controller;
        if (view.controller < 0 || view.ready_count < wire->partition_count)
            return false;
    }
    return true;
}

void broker_wire_await(struct broker_wire *wire)
{
    const uint64_t start = latency_now_ns();
    bool is_created = false;
    while (latency_now_ns() < start + patience_s * UINT64_C(1000000000)) {
        is_created = is_created || create(wire);
        if (is_created && is_ready(wire))
            return;
        nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
    }
    process_fail("%s: not every partition has a leader and %u replicas in sync", wire->topic,
                 wire->replica_count);
}

int broker_wire_leader(const struct broker_wire *wire, uint32_t partition)
{
    const int32_t leader = wire->leaders[partition];
    if (leader < 0 || (uint32_t)leader >= wire->broker_count)
        process_fail("broker %d leads partition %u; its port was not told", leader, partition);
    return wire->handles[leader];
}
