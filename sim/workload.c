#include "sim/workload.h"

#include <stdarg.h>
#include <stdio.h>

static const struct sim_workload *const workloads[] = {
    &workload_journal, &workload_keeper,  &workload_ensemble,  &workload_model,
    &workload_broker,  &workload_cluster, &workload_partition, NULL};

const struct sim_workload *const *sim_workload_all(void)
{
    return workloads;
}

const struct sim_workload *sim_workload_find(const char *name)
{
    for (const struct sim_workload *const *at = workloads; *at != NULL; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

void sim_workload_wrong(struct sim_workload_result *result, const struct sim *sim,
                        const char *format, ...)
{
    if (result->verdict != SIM_RIGHT)
        return;
    result->verdict = SIM_WRONG;
    const int size =
        snprintf(result->why, sizeof result->why, "at %.6f s: ", (double)sim->now_ns / 1e9);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->why + size, sizeof result->why - (size_t)size, format, arguments);
    va_end(arguments);
}

void sim_workload_stuck(struct sim_workload_result *result, const char *why)
{
    if (result->verdict != SIM_RIGHT)
        return;
    result->verdict = SIM_STUCK;
    snprintf(result->why, sizeof result->why, "%s", why);
}

struct sim_faults sim_workload_calm(void)
{
    return (struct sim_faults){
        .delay_ns_min = 50000,
        .delay_ns_mean = 100000,
        .disk_ns_mean = 20000,
        .sync_ns_mean = 300000,
    };
}

static struct sim_faults draw_faults(struct prng *prng)
{
    struct sim_faults faults = {
        .delay_ns_min = prng_below(prng, 1000000),
        .delay_ns_mean = prng_between(prng, 100000, 20000000),
        .disk_ns_mean = prng_between(prng, 10000, 2000000),
        .sync_ns_mean = prng_between(prng, 100000, 20000000),
        .file_sync_keeps_entry = prng_chance(prng, 1, 2),
        .sync_error_reverts = prng_chance(prng, 1, 2),
    };
    if (prng_chance(prng, 1, 2))
        faults.segment_bytes_max = (uint32_t)prng_between(prng, 1, 3000);
    if (prng_chance(prng, 1, 2))
        faults.send_buffer_bytes = (uint32_t)prng_between(prng, 500, 100000);
    if (prng_chance(prng, 1, 2))
        faults.reset_per_million = (uint32_t)prng_between(prng, 10, 2000);
    if (prng_chance(prng, 1, 2))
        faults.refuse_per_million = (uint32_t)prng_between(prng, 1000, 200000);
    if (prng_chance(prng, 1, 2))
        faults.stall_per_million = (uint32_t)prng_between(prng, 10, 3000);
    if (prng_chance(prng, 1, 2))
        faults.short_read_per_million = (uint32_t)prng_between(prng, 1000, 500000);
    if (prng_chance(prng, 1, 2))
        faults.clock_drift_ppm_max = (uint32_t)prng_between(prng, 1, 500);
    if (prng_chance(prng, 1, 4))
        faults.sync_error_per_million = (uint32_t)prng_between(prng, 100, 5000);
    if (prng_chance(prng, 1, 4))
        faults.write_error_per_million = (uint32_t)prng_between(prng, 100, 5000);
    return faults;
}

void sim_workload_begin(struct sim *sim, const struct sim_workload_options *options,
                        struct prng *prng, uint32_t node_count)
{
    sim_init(sim, (struct sim_options){
                      .seed = options->seed,
                      .node_count = node_count,
                      .faults = options->is_swarm ? draw_faults(prng) : sim_workload_calm(),
                      .is_verbose = options->is_verbose,
                      .is_traced = options->is_traced,
                  });
}

void sim_workload_end(struct sim *sim, struct sim_workload_result *result)
{
    if (result->verdict != SIM_RIGHT)
        sim_report(sim);
    result->trace_hash = sim->trace_hash;
    result->counters = sim->counters;
    sim_deinit(sim);
}

struct sim_crash_report sim_workload_crash_points(const struct sim_workload *workload,
                                                  struct sim_workload_options options, bool is_deep)
{
    struct sim_crash_report report = {.options = options};
    report.result = workload->run(&report.options);
    report.boundary_count = report.result.boundary_count;
    report.run_count = 1;
    for (uint64_t boundary = 1; boundary <= report.boundary_count; boundary++) {
        for (int loss = 0; loss < sim_loss_count; loss++) {
            report.options.crash_boundary = boundary;
            report.options.crash_loss = (enum sim_loss)loss;
            report.options.crash_boundary_again = 0;
            report.result = workload->run(&report.options);
            report.run_count++;
            const uint64_t again_count = report.result.recovery_boundary_count;
            if (report.result.verdict == SIM_RIGHT && is_deep && again_count > 0) {
                report.options.crash_boundary_again = 1 + (boundary + (uint64_t)loss) % again_count;
                report.result = workload->run(&report.options);
                report.run_count++;
            }
            if (report.result.verdict != SIM_RIGHT)
                return report;
        }
    }
    return report;
}
