#include "sim/sim_gates.h"

#include "base/assert.h"

enum { gate_heap_bytes = 256 << 20 };

static const uint64_t skipped_ns = 20000; /* How soon one that took no turn may take it. */

void sim_gates_start(struct sim_gates *gates, struct shard *shard, struct broker_server *server,
                     const struct broker_config *config)
{
    gates->broker = shard;
    if (gates->mail_count_max == 0)
        gates->mail_count_max = gate_mail_count_default;
    for (int64_t i = 1; i < config->shard_count; i++) {
        assert(gates->count < sim_gate_count_max);
        struct sim_gate *gate = &gates->gates[gates->count++];
        heap_init(&gate->heap,
                  (struct heap_options){.limit_bytes = gate_heap_bytes, .tracked = true});
        gate->shard = (struct shard){.name = "gate",
                                     .io = shard->io,
                                     .heap = gates->has_own_heaps ? &gate->heap : shard->heap,
                                     .diag = shard->diag};
        list_init(&gate->shard.inboxes);
        enum err err = gate_init(&gate->gate, &gate->shard, config, gates->mail_count_max);
        if (err == ERR_OK)
            err = gates_add(&server->gates, gate->gate);
        assert(err == ERR_OK);
    }
    if (gates->count == 0)
        return;
    uint64_t seed;
    io_entropy(shard->io, &seed, sizeof seed);
    prng_init(&gates->prng, seed);
    server->gates.passes_all = true;
}

/* The rounds of the first shard, with a turn for each of the others, or none. */
void sim_gates_step(struct sim_gates *gates, uint64_t wait_ns)
{
    bool has_skipped = false;
    for (uint32_t i = 0; i < gates->count; i++)
        has_skipped |= !mailbox_is_empty(gates->gates[i].gate->inbox);
    shard_step(gates->broker, has_skipped ? min_u64(wait_ns, skipped_ns) : wait_ns);
    for (uint32_t i = 0; i < gates->count; i++)
        if (prng_below(&gates->prng, 4) > 0)
            shard_read(&gates->gates[i].shard);
}

void sim_gates_end(struct sim_gates *gates)
{
    for (uint32_t i = 0; i < gates->count; i++) {
        assert(gates->gates[i].gate->is_stopped);
        gate_deinit(gates->gates[i].gate);
        gates->gates[i].gate = NULL;
    }
}

void sim_gates_deinit(struct sim_gates *gates)
{
    for (uint32_t i = 0; i < gates->count; i++) {
        assert(gates->gates[i].heap.block_count == 0);
        heap_deinit(&gates->gates[i].heap);
    }
    *gates = (struct sim_gates){0};
}
