/* Assertions that stay on in every build.
 *
 * A failed assertion is our own bug: it prints the expression and the place, then aborts.
 * Restarting is safe by design. Bytes from outside are never asserted on.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#define assert(condition)                                                                          \
    ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__, __func__))

_Noreturn void assert_failed(const char *expression, const char *file, int line,
                             const char *function);

#endif
