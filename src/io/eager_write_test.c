#define _GNU_SOURCE
#include "io/eager_write.h"

#include "test/unit_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const uint64_t ms = 1000000;

static bool may_write(const struct eager_write *eager, size_t size, uint64_t now_ns)
{
    static uint8_t bytes[1];
    struct iovec vectors[2] = {{bytes, size - 1}, {bytes, 1}};
    const struct io_op op = {.kind = IO_WRITE, .write = {.vectors = vectors, .vector_count = 2}};
    return eager_write_may(eager, &op, now_ns);
}

static void only_small_writes_are_made_at_once(void **state)
{
    (void)state;
    const struct eager_write eager = {0};
    assert_true(may_write(&eager, eager_write_bytes_max, 0));
    assert_false(may_write(&eager, eager_write_bytes_max + 1, 0));
    struct iovec vector = {"x", 1};
    struct io_op op = {.kind = IO_WRITE, .write = {.vectors = &vector, .vector_count = 1}};
    assert_true(eager_write_may(&eager, &op, 0));
    op.write.is_patient = true;
    assert_false(eager_write_may(&eager, &op, 0));
}

static void none_is_while_a_sync_is_in_flight(void **state)
{
    (void)state;
    struct eager_write eager = {.sync_count = 1};
    assert_false(may_write(&eager, 100, 0));
    eager.sync_count = 0;
    assert_true(may_write(&eager, 100, 0));
}

/* The loop waits for a slow disk once in each pause, and the pauses grow. */
static void a_slow_one_is_followed_by_a_pause(void **state)
{
    (void)state;
    struct eager_write eager = {0};
    uint64_t now = 5 * ms;
    eager_write_note(&eager, now, now + eager_write_slow_ns - 1);
    assert_true(may_write(&eager, 100, now));
    uint64_t pause = eager_write_pause_ns_min;
    for (int i = 0; i < 12; i++) {
        eager_write_note(&eager, now, now + eager_write_slow_ns);
        now += eager_write_slow_ns;
        assert_false(may_write(&eager, 100, now + pause - 1));
        assert_true(may_write(&eager, 100, now + pause));
        now += pause + 3 * ms;
        pause = min_u64(2 * pause, eager_write_pause_ns_max);
    }
    assert_int_equal(pause, eager_write_pause_ns_max);

    /* A disk that has kept up for as long as the last pause is trusted as at first. */
    now += 2 * eager_write_pause_ns_max;
    eager_write_note(&eager, now, now + eager_write_slow_ns);
    assert_true(may_write(&eager, 100, now + eager_write_slow_ns + eager_write_pause_ns_min));
}

static void what_is_written_is_in_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/eager_write_XXXXXX";
    const int handle = mkstemp(path);
    assert_true(handle >= 0);
    struct iovec vectors[2] = {{"one ", 4}, {"two", 3}};
    struct io_op op = {.kind = IO_WRITE,
                       .handle = handle,
                       .write = {.vectors = vectors, .vector_count = 2, .offset = 2}};
    struct eager_write eager = {0};
    assert_true(eager_write_try(&eager, &op));
    char bytes[16];
    assert_int_equal(pread(handle, bytes, sizeof bytes, 0), 9);
    assert_memory_equal(bytes, "\0\0one two", 9);
    close(handle);

    /* One that fails is left to the world. */
    op.handle = open(path, O_RDONLY);
    assert_false(eager_write_try(&eager, &op));
    close(op.handle);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_small_writes_are_made_at_once),
        cmocka_unit_test(none_is_while_a_sync_is_in_flight),
        cmocka_unit_test(a_slow_one_is_followed_by_a_pause),
        cmocka_unit_test(what_is_written_is_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
