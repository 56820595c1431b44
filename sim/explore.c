/* The explorer's program: runs the ZAB machines of a small ensemble through everything that can
 * happen within bounds, and says how many states that are.
 *
 * Exit status: 0 all right, 1 a promise was broken, 2 wrong usage, 4 an assertion failed. On 1 and
 * 4 it prints the shortest path that leads there.
 */
#include "sim/explorer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: explore [--servers N] [--crashes N] [--transactions N] [--time-outs N] [--depth N]\n"
    "               [--states N] [--free-elections N]\n"
    "  --servers N       of the ensemble, all voters; 3 unless told, at most 5\n"
    "  --crashes N       in all, each with a restart; 1 unless told\n"
    "  --transactions N  in all; 1 unless told\n"
    "  --time-outs N     roles that are given up though they need not be; 0 unless told\n"
    "  --free-elections N  elections know nothing, whoever looks may lead; so many in all\n"
    "  --depth N         events in a row; no bound unless told\n"
    "  --states N        distinct ones; 20000000 unless told. A million takes about 25 MB, and\n"
    "                    what waits to be looked at some more\n";

static struct explorer explorer;

static void print_path(void)
{
    printf("the shortest path, of %u events:\n", explorer_path_count(&explorer));
    explorer_tell(&explorer);
}

/* The path ends in the same assertion, now with what leads there printed. */
static void on_abort(int signal_number)
{
    (void)signal_number;
    signal(SIGABRT, SIG_DFL);
    if (explorer.wrong == NULL) {
        explorer.wrong = "an assertion failed";
        print_path();
    }
    _exit(4);
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == 0;
}

static bool parse(int count, char **arguments, struct explorer_bounds *bounds)
{
    const struct {
        const char *name;
        uint32_t *number;
        uint32_t max;
    } flags[] = {
        {"--servers", &bounds->server_count, zab_cluster_server_count_max},
        {"--crashes", &bounds->crash_count, 8},
        {"--transactions", &bounds->transaction_count, 16},
        {"--time-outs", &bounds->time_out_count, 8},
        {"--free-elections", &bounds->free_election_count, 16},
        {"--depth", &bounds->depth_max, UINT32_MAX},
    };
    for (int at = 1; at < count; at += 2) {
        uint64_t number = 0;
        if (!parse_number(at + 1 < count ? arguments[at + 1] : NULL, &number))
            return false;
        bool is_known = strcmp(arguments[at], "--states") == 0;
        if (is_known)
            bounds->state_count_max = number;
        for (size_t index = 0; index < ARRAY_COUNT(flags) && !is_known; index++) {
            is_known = strcmp(arguments[at], flags[index].name) == 0;
            if (is_known && number > flags[index].max)
                return false;
            if (is_known)
                *flags[index].number = (uint32_t)number;
        }
        if (!is_known)
            return false;
    }
    return bounds->server_count > 0 && bounds->state_count_max > 0 &&
           bounds->state_count_max < UINT32_MAX;
}

int main(int count, char **arguments)
{
    struct explorer_bounds bounds = {
        .server_count = 3,
        .crash_count = 1,
        .transaction_count = 1,
        .depth_max = UINT32_MAX,
        .state_count_max = 20000000,
    };
    if (!parse(count, arguments, &bounds)) {
        fputs(usage, stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGABRT, on_abort);
    explorer_init(&explorer, bounds);
    explorer_run(&explorer);
    printf("%u servers, %u crashes, %u transactions, %u time-outs, %u free elections: %llu "
           "distinct states, "
           "%llu transitions, depth %u, %s\n",
           bounds.server_count, bounds.crash_count, bounds.transaction_count, bounds.time_out_count,
           bounds.free_election_count, (unsigned long long)explorer.state_count,
           (unsigned long long)explorer.transition_count, explorer.depth,
           explorer.wrong != NULL  ? "WRONG"
           : explorer.is_exhausted ? "exhausted"
                                   : "not exhausted");
    if (explorer.wrong != NULL) {
        printf("%s\n", explorer.wrong);
        print_path();
    }
    explorer_deinit(&explorer);
    return explorer.wrong != NULL ? 1 : 0;
}
