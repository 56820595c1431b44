/* What every *_test.c includes: cmocka, with the headers that it wants in front of it. */
#ifndef TEST_UNIT_TEST_H
#define TEST_UNIT_TEST_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
