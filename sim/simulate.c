/* The simulator's program: plays a workload from a seed, or many, and says what became of it.
 *
 * Exit status: 0 all right, 1 a promise was broken, 2 wrong usage, 3 stuck, 4 a crash of our own
 * (an assertion or a fatal end that nobody ordered).
 */
#include "sim/workload.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct choice {
    uint64_t seed;
    uint64_t seed_count;
    uint32_t steps;
    const char *workload;
    bool is_twin;
    bool is_crash_points;
    bool is_deep;
    bool is_calm;
    bool is_verbose;
    bool is_traced;
};

static const char usage[] =
    "usage: simulate [--seed N] [--seeds COUNT] [--workload NAME] [--steps N] [--twin]\n"
    "                [--crash-points] [--deep] [--calm] [--verbose] [--trace]\n"
    "  --seed N        the seed, 1 unless told\n"
    "  --seeds COUNT   this many seeds from there on\n"
    "  --workload NAME one of those below; all of them unless told\n"
    "  --steps N       length of the story\n"
    "  --twin          each seed twice: the trace hashes must be equal\n"
    "  --crash-points  power loss at every disk operation, in every way; no other faults\n"
    "  --deep          with --crash-points: and once more during the recovery\n"
    "  --calm          no faults\n"
    "  --verbose       diag lines of the nodes as they come\n"
    "  --trace         every completed operation\n";

static uint64_t current_seed;
static const char *current_workload = "-";

/* An assertion failed: the seed must not be lost. */
static void on_abort(int number)
{
    char line[160];
    const int size =
        snprintf(line, sizeof line, "crash: replay with: simulate --workload %s --seed %llu\n",
                 current_workload, (unsigned long long)current_seed);
    const ssize_t written = write(STDERR_FILENO, line, (size_t)size);
    (void)written;
    (void)number;
    _exit(4);
}

static int exit_status(enum sim_verdict verdict)
{
    switch (verdict) {
    case SIM_RIGHT: return 0;
    case SIM_WRONG: return 1;
    case SIM_STUCK: return 3;
    case SIM_CRASHED: return 4;
    }
    return 4;
}

static const char *verdict_text(enum sim_verdict verdict)
{
    static const char *const texts[] = {[SIM_RIGHT] = "right",
                                        [SIM_WRONG] = "WRONG",
                                        [SIM_STUCK] = "STUCK",
                                        [SIM_CRASHED] = "CRASH"};
    return texts[verdict];
}

static void print_result(const char *name, uint64_t seed, const struct sim_workload_result *result)
{
    const struct sim_counters *counters = &result->counters;
    printf("%s seed %llu: %s trace %016llx events %llu operations %llu starts %llu kills %llu "
           "power losses %llu lost %llu torn %llu disk errors %llu connections %llu resets %llu\n",
           name, (unsigned long long)seed, verdict_text(result->verdict),
           (unsigned long long)result->trace_hash, (unsigned long long)counters->events,
           (unsigned long long)counters->operations, (unsigned long long)counters->starts,
           (unsigned long long)counters->kills, (unsigned long long)counters->power_losses,
           (unsigned long long)counters->changes_lost, (unsigned long long)counters->writes_torn,
           (unsigned long long)counters->disk_errors, (unsigned long long)counters->connections,
           (unsigned long long)counters->resets);
    if (result->verdict != SIM_RIGHT)
        printf("%s seed %llu: %s\n", name, (unsigned long long)seed, result->why);
}

static struct sim_workload_options options_of(const struct choice *choice,
                                              const struct sim_workload *workload, uint64_t seed)
{
    return (struct sim_workload_options){
        .seed = seed,
        .steps = choice->steps == 0 ? workload->steps : choice->steps,
        .is_swarm = !choice->is_calm && !choice->is_crash_points,
        .is_verbose = choice->is_verbose,
        .is_traced = choice->is_traced,
    };
}

static int run_seed(const struct choice *choice, const struct sim_workload *workload, uint64_t seed,
                    uint64_t *elapsed_ns)
{
    const struct sim_workload_options options = options_of(choice, workload, seed);
    const struct sim_workload_result result = workload->run(&options);
    *elapsed_ns += result.counters.elapsed_ns;
    if (choice->seed_count <= 20 || result.verdict != SIM_RIGHT)
        print_result(workload->name, seed, &result);
    if (result.verdict != SIM_RIGHT || !choice->is_twin)
        return exit_status(result.verdict);
    const struct sim_workload_result twin = workload->run(&options);
    if (twin.trace_hash == result.trace_hash)
        return 0;
    printf("%s seed %llu: WRONG: its twin ran differently, trace %016llx\n", workload->name,
           (unsigned long long)seed, (unsigned long long)twin.trace_hash);
    return 1;
}

static int run_crash_points(const struct choice *choice, const struct sim_workload *workload,
                            uint64_t seed)
{
    const struct sim_crash_report report =
        sim_workload_crash_points(workload, options_of(choice, workload, seed), choice->is_deep);
    printf("%s seed %llu: %s %llu boundaries, %llu runs\n", workload->name,
           (unsigned long long)seed, verdict_text(report.result.verdict),
           (unsigned long long)report.boundary_count, (unsigned long long)report.run_count);
    if (report.result.verdict != SIM_RIGHT)
        printf("%s seed %llu: boundary %llu loss %d again %llu: %s\n", workload->name,
               (unsigned long long)seed, (unsigned long long)report.options.crash_boundary,
               (int)report.options.crash_loss,
               (unsigned long long)report.options.crash_boundary_again, report.result.why);
    return exit_status(report.result.verdict);
}

static int run_workload(const struct choice *choice, const struct sim_workload *workload)
{
    uint64_t elapsed_ns = 0;
    current_workload = workload->name;
    for (uint64_t seed = choice->seed; seed < choice->seed + choice->seed_count; seed++) {
        current_seed = seed;
        const int status = choice->is_crash_points ? run_crash_points(choice, workload, seed)
                                                   : run_seed(choice, workload, seed, &elapsed_ns);
        if (status != 0)
            return status;
    }
    if (!choice->is_crash_points)
        printf("%s: %llu seeds right, %.1f hours\n", workload->name,
               (unsigned long long)choice->seed_count, (double)elapsed_ns / 3600e9);
    return 0;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == 0;
}

static bool parse_flag(const char *name, struct choice *choice)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"--twin", &choice->is_twin},       {"--crash-points", &choice->is_crash_points},
        {"--deep", &choice->is_deep},       {"--calm", &choice->is_calm},
        {"--verbose", &choice->is_verbose}, {"--trace", &choice->is_traced},
    };
    for (size_t index = 0; index < ARRAY_COUNT(flags); index++) {
        if (strcmp(name, flags[index].name) == 0) {
            *flags[index].flag = true;
            return true;
        }
    }
    return false;
}

static bool parse(int count, char **arguments, struct choice *choice)
{
    for (int index = 1; index < count; index++) {
        const char *name = arguments[index];
        uint64_t number = 0;
        if (parse_flag(name, choice))
            continue;
        const char *value = ++index < count ? arguments[index] : NULL;
        if (strcmp(name, "--workload") == 0 && value != NULL) {
            choice->workload = value;
            continue;
        }
        if (!parse_number(value, &number))
            return false;
        if (strcmp(name, "--seed") == 0)
            choice->seed = number;
        else if (strcmp(name, "--seeds") == 0)
            choice->seed_count = number;
        else if (strcmp(name, "--steps") == 0)
            choice->steps = (uint32_t)number;
        else
            return false;
    }
    return choice->workload == NULL || sim_workload_find(choice->workload) != NULL;
}

int main(int count, char **arguments)
{
    struct choice choice = {.seed = 1, .seed_count = 1};
    if (!parse(count, arguments, &choice)) {
        fputs(usage, stderr);
        fputs("workloads:", stderr);
        for (const struct sim_workload *const *at = sim_workload_all(); *at != NULL; at++)
            fprintf(stderr, " %s", (*at)->name);
        fputs("\n", stderr);
        return 2;
    }
    signal(SIGABRT, on_abort);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (const struct sim_workload *const *at = sim_workload_all(); *at != NULL; at++) {
        if (choice.workload != NULL && strcmp(choice.workload, (*at)->name) != 0)
            continue;
        const int status = run_workload(&choice, *at);
        if (status != 0)
            return status;
    }
    return 0;
}
