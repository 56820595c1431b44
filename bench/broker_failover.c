/* Kills the broker that leads a partition and says how long no acks=all was acknowledged.
 *
 *   broker_failover KEEPER_PORT PORTS PIDS TOPIC
 *
 * Each of the others is sent a record for partition 0 with acks=all, and anew 3 ms after each
 * refusal; the first acknowledgement from anywhere ends the program. Meanwhile the keeper is asked
 * for the dead broker's znode. Printed are the milliseconds from the kill to the acknowledgement,
 * and to when the znode was gone, which is the session timeout's share. PORTS and TOPIC as
 * broker_wire.h has them; PIDS in the same order.
 */
#include "bench/broker_wire.h"
#include "keeper_wire.h"
#include "test/crash/process.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    retry_ns = 3000000,
    poll_ms = 1,
    give_up_s = 120,
    keeper_error_no_node = -101,
};

static struct broker_wire wire;

struct probe {
    bool is_asking;
    uint64_t since_ns;
};

static pid_t pid_of(const char *pids, int32_t broker)
{
    for (; broker > 0 && pids != NULL; broker--) {
        pids = strchr(pids, ',');
        pids = pids == NULL ? NULL : pids + 1;
    }
    if (pids == NULL)
        process_fail("fewer pids than brokers");
    return (pid_t)strtol(pids, NULL, 10);
}

/* ---- the dead broker's znode ---- */

struct znode {
    int keeper;
    int32_t broker;
    bool is_asking;
    uint64_t since_ns;
    uint64_t gone_ns; /* 0: it is there. */
};

static void ask_znode(struct znode *znode)
{
    uint8_t frame[128];
    char path[32];
    snprintf(path, sizeof path, "/brokers/ids/%d", znode->broker);
    uint8_t *at = keeper_wire_begin(frame, 1, KEEPER_WIRE_GET_DATA);
    at = keeper_wire_put_text(at, path);
    *at++ = 0;
    keeper_wire_send(znode->keeper, frame, keeper_wire_end(frame, at));
    znode->is_asking = true;
}

static void look_at_znode(struct znode *znode, bool has_reply, uint64_t now)
{
    static uint8_t frame[keeper_wire_frame_bytes_max];
    if (has_reply) {
        keeper_wire_receive(znode->keeper, frame);
        if (load_i32(frame + 12) == keeper_error_no_node)
            znode->gone_ns = now;
        znode->is_asking = false;
        znode->since_ns = now;
    }
    if (znode->gone_ns == 0 && !znode->is_asking && now - znode->since_ns >= retry_ns)
        ask_znode(znode);
}

/* ---- the partition ---- */

/* Whether its record was acknowledged. */
static bool go_on(struct probe *probe, uint32_t broker, bool has_reply, uint64_t now)
{
    int64_t base_offset;
    if (probe->is_asking && has_reply) {
        probe->is_asking = false;
        probe->since_ns = now;
        const int code = kafka_take_produce_code(wire.handles[broker], &base_offset);
        if (code < 0)
            process_fail("a broker that was not killed closed the connection");
        return code == 0;
    }
    if (!probe->is_asking && now - probe->since_ns >= retry_ns) {
        probe->is_asking = true;
        kafka_send_produce(wire.handles[broker], wire.topic, -1,
                           (struct kafka_batch_options){.record_count = 1});
    }
    return false;
}

static void run(struct znode *znode, uint64_t start)
{
    const uint32_t dead = (uint32_t)znode->broker;
    struct probe probes[broker_wire_broker_count_max] = {0};
    struct pollfd polls[broker_wire_broker_count_max + 1];
    for (uint64_t now = start; now < start + give_up_s * UINT64_C(1000000000);) {
        for (uint32_t broker = 0; broker < wire.broker_count; broker++)
            polls[broker] =
                (struct pollfd){.fd = broker == dead ? -1 : wire.handles[broker], .events = POLLIN};
        polls[wire.broker_count] = (struct pollfd){.fd = znode->keeper, .events = POLLIN};
        if (poll(polls, wire.broker_count + 1, poll_ms) < 0)
            process_fail("poll failed");
        now = latency_now_ns();
        look_at_znode(znode, polls[wire.broker_count].revents != 0, now);
        for (uint32_t broker = 0; broker < wire.broker_count; broker++)
            if (broker != dead && go_on(&probes[broker], broker, polls[broker].revents != 0, now))
                return;
    }
    process_fail("no record was acknowledged in %d s", give_up_s);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        process_fail("usage: broker_failover KEEPER_PORT PORTS PIDS TOPIC");
    const int keeper = keeper_wire_open_session((uint16_t)strtoul(argv[1], NULL, 10), 0);
    broker_wire_open(&wire, argv[2], argv[4]);
    broker_wire_await(&wire);
    struct znode znode = {.keeper = keeper, .broker = wire.leaders[0]};
    const uint64_t start = latency_now_ns();
    if (kill(pid_of(argv[3], znode.broker), SIGKILL) != 0)
        process_fail("cannot kill broker %d", znode.broker);
    run(&znode, start);
    const uint64_t end = latency_now_ns();
    printf("broker %d ms %llu gone_ms %llu controller %s\n", znode.broker,
           (unsigned long long)(end - start) / 1000000,
           (unsigned long long)((znode.gone_ns > 0 ? znode.gone_ns : end) - start) / 1000000,
           wire.controller == znode.broker ? "yes" : "no");
    return 0;
}
