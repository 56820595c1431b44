/* For tests of workloads: seeds are right, and the same twice; and so is a power loss anywhere. */
#ifndef SIM_WORKLOAD_ASSERT_H
#define SIM_WORKLOAD_ASSERT_H

#include "test/unit_test.h"

#include "sim/workload.h"

static inline void assert_seeds(const struct sim_workload *workload, uint64_t first, uint64_t count)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        const struct sim_workload_options options = {
            .seed = seed, .steps = workload->steps, .is_swarm = true};
        const struct sim_workload_result result = workload->run(&options);
        if (result.verdict != SIM_RIGHT)
            fail_msg("%s seed %llu: %s", workload->name, (unsigned long long)seed, result.why);
        const struct sim_workload_result twin = workload->run(&options);
        assert_true(twin.trace_hash == result.trace_hash);
    }
}

static inline void assert_crash_points(const struct sim_workload *workload, uint64_t seed,
                                       bool is_deep)
{
    const struct sim_workload_options options = {.seed = seed, .steps = workload->steps};
    const struct sim_crash_report report = sim_workload_crash_points(workload, options, is_deep);
    if (report.result.verdict != SIM_RIGHT)
        fail_msg("%s seed %llu, boundary %llu, loss %d: %s", workload->name,
                 (unsigned long long)seed, (unsigned long long)report.options.crash_boundary,
                 (int)report.options.crash_loss, report.result.why);
    assert_in_range(report.boundary_count, 20, 100000);
}

#endif
