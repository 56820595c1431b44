/* The load generators' clock and their histogram of latencies.
 *
 * Memory: one histogram of a fixed size, for the program.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

/* The clock that latencies are taken by. */
uint64_t latency_now_ns(void);

void latency_count(uint64_t nanoseconds);
uint64_t latency_counted(void);

/* In microseconds; share 1 is the longest, exactly. */
uint64_t latency_percentile(double share);

#endif
