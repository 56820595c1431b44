#include "sim/sim.h"

#include "base/checksum.h"
#include "sim/sim_net.h"
#include "sim/sim_node.h"

#include <stdio.h>

enum { draw_factor_max = 20, event_capacity_first = 1024 };

static const size_t heap_limit_default = (size_t)2 << 30;

void sim_init(struct sim *sim, struct sim_options options)
{
    assert(options.node_count > 0 && options.node_count <= sim_node_count_max);
    *sim = (struct sim){.options = options, .faults = options.faults};
    if (sim->options.heap_limit_bytes == 0)
        sim->options.heap_limit_bytes = heap_limit_default;
    heap_init(&sim->heap,
              (struct heap_options){.limit_bytes = sim->options.heap_limit_bytes, .tracked = true});
    prng_init(&sim->prng, options.seed);
    sim->trace_hash = options.seed;
    sim->event_capacity = event_capacity_first;
    sim->events = heap_take(&sim->heap, sim->event_capacity * sizeof *sim->events);
    assert(sim->events != NULL);
    sim->net = sim_net_make(sim);
    for (uint32_t index = 0; index < options.node_count; index++)
        sim->nodes[index] = sim_node_make(sim, index);
}

void sim_deinit(struct sim *sim)
{
    for (uint32_t index = 0; index < sim->options.node_count; index++)
        sim_node_unmake(sim->nodes[index]);
    heap_deinit(&sim->heap);
}

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns;
    if (a->tiebreak != b->tiebreak)
        return a->tiebreak < b->tiebreak;
    return a->sequence < b->sequence;
}

void sim_schedule(struct sim *sim, uint64_t delay_ns, struct sim_event event)
{
    event.time_ns = sim->now_ns + delay_ns;
    event.tiebreak = prng_next(&sim->prng);
    event.sequence = sim->sequence++;
    if (event.node != NULL)
        event.incarnation = event.node->incarnation;
    if (sim->event_count == sim->event_capacity) {
        sim->event_capacity *= 2;
        sim->events =
            heap_resize(&sim->heap, sim->events, sim->event_capacity * sizeof *sim->events);
        assert(sim->events != NULL);
    }
    uint32_t index = sim->event_count++;
    while (index > 0 && is_before(&event, &sim->events[(index - 1) / 2])) {
        sim->events[index] = sim->events[(index - 1) / 2];
        index = (index - 1) / 2;
    }
    sim->events[index] = event;
}

static struct sim_event pop(struct sim *sim)
{
    const struct sim_event first = sim->events[0];
    const struct sim_event last = sim->events[--sim->event_count];
    uint32_t index = 0;
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= sim->event_count)
            break;
        if (child + 1 < sim->event_count && is_before(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (!is_before(&sim->events[child], &last))
            break;
        sim->events[index] = sim->events[child];
        index = child;
    }
    sim->events[index] = last;
    return first;
}

bool sim_step(struct sim *sim)
{
    assert(sim->running == NULL);
    if (sim->event_count == 0)
        return false;
    const struct sim_event event = pop(sim);
    assert(event.time_ns >= sim->now_ns);
    sim->now_ns = event.time_ns;
    sim->counters.elapsed_ns = event.time_ns;
    sim->counters.events++;
    if (event.node == NULL || event.node->incarnation == event.incarnation)
        event.happen(sim, &event);
    return true;
}

bool sim_run(struct sim *sim, uint64_t time_ns, bool (*is_enough)(void *context), void *context)
{
    while (is_enough == NULL || !is_enough(context)) {
        if (sim->event_count == 0 || sim->events[0].time_ns > time_ns) {
            sim->now_ns = max_u64(sim->now_ns, time_ns);
            return false;
        }
        sim_step(sim);
    }
    return true;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value;
    hash *= 0x9fb21c651e98df25u;
    return hash ^ (hash >> 32);
}

void sim_trace(struct sim *sim, uint64_t a, uint64_t b, uint64_t c)
{
    sim->trace_hash = mix(mix(mix(mix(sim->trace_hash, sim->now_ns), a), b), c);
}

void sim_trace_bytes(struct sim *sim, struct slice bytes)
{
    sim->trace_hash = mix(sim->trace_hash, checksum_crc32c(0, bytes));
}

/* Without floating point, so that every machine draws the same: the negated binary logarithm of a
 * uniform number, its whole part by counting zeros and the rest by a straight line. */
uint64_t sim_draw_ns(struct prng *prng, uint64_t mean_ns)
{
    if (mean_ns == 0)
        return 0;
    const uint64_t uniform = prng_next(prng) | 1;
    const uint64_t zeros = (uint64_t)__builtin_clzll(uniform);
    const uint64_t rest = (uniform << zeros) << 1 >> 48;       /* 0 to 65535 */
    const uint64_t log_65536 = (zeros << 16) + (65535 - rest); /* -log2(uniform) */
    const uint64_t natural_65536 = log_65536 * 45426 / 65536;  /* times ln 2 */
    const uint64_t drawn = mean_ns / 256 * natural_65536 / 256 + prng_below(prng, 256);
    return min_u64(drawn, mean_ns * draw_factor_max);
}

bool sim_draw(struct prng *prng, uint32_t per_million)
{
    return per_million > 0 && prng_chance(prng, per_million, 1000000);
}

void sim_note(struct sim *sim, const struct sim_node *node, struct slice line)
{
    char *text = sim->last_lines[sim->last_line_count++ % ARRAY_COUNT(sim->last_lines)];
    snprintf(text, sizeof sim->last_lines[0], "%12.6f %-8s %" SLICE_FORMAT,
             (double)sim->now_ns / 1e9, node == NULL ? "-" : node->name, SLICE_ARGS(line));
    if (sim->options.is_verbose)
        fprintf(stderr, "%s\n", text);
}

void sim_report(const struct sim *sim)
{
    const uint32_t count = sim->last_line_count;
    const uint32_t shown =
        count < ARRAY_COUNT(sim->last_lines) ? count : ARRAY_COUNT(sim->last_lines);
    fprintf(stderr, "seed %llu, time %.6f s, trace %016llx; the latest lines:\n",
            (unsigned long long)sim->options.seed, (double)sim->now_ns / 1e9,
            (unsigned long long)sim->trace_hash);
    for (uint32_t index = count - shown; index < count; index++)
        fprintf(stderr, "%s\n", sim->last_lines[index % ARRAY_COUNT(sim->last_lines)]);
}
