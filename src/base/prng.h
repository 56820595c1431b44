/* Pseudo-random numbers from a seed: the same seed, the same numbers, on every machine.
 *
 * Not for secrets: those come from the io's entropy.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);

/* Below limit, which is above zero. */
uint64_t prng_below(struct prng *prng, uint64_t limit);

/* From low to high, both possible. */
uint64_t prng_between(struct prng *prng, uint64_t low, uint64_t high);

/* True numerator times out of denominator. */
bool prng_chance(struct prng *prng, uint64_t numerator, uint64_t denominator);

#endif
