#include "latency.h"

#include <time.h>

enum { bucket_count = 4096 }; /* 64 per power of two of microseconds. */

static uint64_t buckets[bucket_count];
static uint64_t longest_ns;
static uint64_t counted;

uint64_t latency_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Six bits of mantissa under the exponent: an error of at most 1.6 %. */
static unsigned bucket_of(uint64_t microseconds)
{
    if (microseconds < 64)
        return (unsigned)microseconds;
    const unsigned exponent = 63 - (unsigned)__builtin_clzll(microseconds);
    const unsigned bucket = (exponent - 5) * 64 + (unsigned)((microseconds >> (exponent - 6)) & 63);
    return bucket < bucket_count ? bucket : bucket_count - 1;
}

static uint64_t bucket_start(unsigned bucket)
{
    if (bucket < 64)
        return bucket;
    const unsigned exponent = bucket / 64 + 5;
    return (uint64_t)(64 + bucket % 64) << (exponent - 6);
}

void latency_count(uint64_t nanoseconds)
{
    buckets[bucket_of(nanoseconds / 1000)]++;
    counted++;
    if (nanoseconds > longest_ns)
        longest_ns = nanoseconds;
}

uint64_t latency_counted(void)
{
    return counted;
}

uint64_t latency_percentile(double share)
{
    uint64_t seen = 0;
    if (share >= 1)
        return longest_ns / 1000;
    for (unsigned bucket = 0; bucket < bucket_count; bucket++) {
        seen += buckets[bucket];
        if ((double)seen >= share * (double)counted)
            return bucket_start(bucket);
    }
    return 0;
}
