#include "sim/sim_fleet.h"

#include "base/assert.h"
#include "sim/sim_net.h"

void sim_fleet_init(struct sim_fleet *fleet)
{
    assert(fleet->server_count > 0 && fleet->server_count <= sim_fleet_server_count_max);
    fleet->down_ns_max = 1000000000;
    fleet->crashing = fleet->sim->nodes[fleet->options->seed % fleet->server_count];
}

static bool is_over(const struct sim_fleet *fleet)
{
    return fleet->result->verdict != SIM_RIGHT;
}

static struct sim_node *node_of(const struct sim_fleet *fleet, uint32_t index)
{
    return fleet->sim->nodes[index];
}

/* ---- Down and up. ---- */

static void note_start(struct sim_fleet *fleet, const struct sim_node *node)
{
    const struct sim_workload_options *options = fleet->options;
    if (node != fleet->crashing || fleet->crashing_start_count++ != 1 ||
        options->crash_boundary == 0)
        return;
    fleet->boundaries_before = node->disk.boundary_count;
    if (options->crash_boundary_again > 0)
        sim_crash_at(fleet->crashing, options->crash_boundary_again, options->crash_loss);
}

void sim_fleet_start(struct sim_fleet *fleet, uint32_t index)
{
    fleet->revive_at_ns[index] = 0;
    fleet->events.start(fleet->events.context, index);
    note_start(fleet, node_of(fleet, index));
}

void sim_fleet_take_down(struct sim_fleet *fleet, uint32_t index, uint64_t down_ns)
{
    struct sim_node *node = node_of(fleet, index);
    sim_crash_at(node, 0, SIM_LOSS_ALL);
    if (sim_node_is_up(node))
        sim_node_kill(node);
    fleet->revive_at_ns[index] = fleet->sim->now_ns + down_ns;
}

void sim_fleet_lose_all_power(struct sim_fleet *fleet, enum sim_loss loss)
{
    for (uint32_t index = 0; index < fleet->server_count; index++) {
        sim_crash_at(node_of(fleet, index), 0, SIM_LOSS_ALL);
        sim_node_lose_power(node_of(fleet, index), loss);
    }
}

static void note_down(struct sim_fleet *fleet, uint32_t index)
{
    const struct sim_fleet_events *events = &fleet->events;
    struct sim_node *node = node_of(fleet, index);
    events->judge(events->context, index);
    const bool has_ended = node->end == SIM_NODE_FATAL || node->end == SIM_NODE_RETURNED;
    const bool must_lose_power =
        events->must_lose_power != NULL && events->must_lose_power(events->context, index);
    if (has_ended && (must_lose_power || prng_chance(fleet->prng, 1, 2)))
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
    fleet->revive_at_ns[index] =
        fleet->sim->now_ns + 1 + prng_below(fleet->prng, fleet->down_ns_max);
}

static void help(struct sim_fleet *fleet)
{
    for (uint32_t index = 0; index < fleet->server_count && !is_over(fleet); index++) {
        if (sim_node_is_up(node_of(fleet, index)) || fleet->is_stopping[index])
            continue;
        if (fleet->revive_at_ns[index] == 0)
            note_down(fleet, index);
        if (fleet->revive_at_ns[index] <= fleet->sim->now_ns || fleet->is_calm)
            sim_fleet_start(fleet, index);
    }
}

bool sim_fleet_needs_help(struct sim_fleet *fleet)
{
    fleet->events.look(fleet->events.context);
    if (is_over(fleet))
        return true;
    for (uint32_t index = 0; index < fleet->server_count; index++)
        if (!sim_node_is_up(node_of(fleet, index)) && fleet->revive_at_ns[index] == 0 &&
            !fleet->is_stopping[index])
            return true;
    return false;
}

bool sim_fleet_run_until(struct sim_fleet *fleet, uint64_t time_ns,
                         bool (*is_enough)(void *context))
{
    struct sim *sim = fleet->sim;
    const uint64_t end_ns = sim->now_ns + time_ns;
    while (!is_over(fleet)) {
        help(fleet);
        uint64_t until_ns = end_ns;
        for (uint32_t index = 0; index < fleet->server_count; index++)
            if (fleet->revive_at_ns[index] != 0)
                until_ns = min_u64(until_ns, fleet->revive_at_ns[index]);
        const bool is_done = sim_run(sim, until_ns, is_enough, fleet->events.context);
        if (is_done && !sim_fleet_needs_help(fleet))
            return true;
        if (!is_done && until_ns == end_ns)
            return false;
    }
    return false;
}

/* ---- The end of a story. ---- */

void sim_fleet_calm_down(struct sim_fleet *fleet)
{
    const struct sim_workload_options *options = fleet->options;
    fleet->is_calm = true;
    sim_net_heal(fleet->sim);
    fleet->sim->faults = sim_workload_calm();
    for (uint32_t index = 0; index < fleet->server_count; index++) {
        sim_crash_at(node_of(fleet, index), 0, SIM_LOSS_ALL);
        node_of(fleet, index)->disk.error_boundary = 0;
    }
    if (options->crash_boundary > 0)
        sim_crash_at(fleet->crashing, options->crash_boundary, options->crash_loss);
}

void sim_fleet_count_boundaries(const struct sim_fleet *fleet)
{
    const uint64_t count = fleet->crashing->disk.boundary_count;
    if (fleet->options->crash_boundary == 0)
        fleet->result->boundary_count = count;
    else if (fleet->crashing_start_count > 1)
        fleet->result->recovery_boundary_count = count - fleet->boundaries_before;
}
