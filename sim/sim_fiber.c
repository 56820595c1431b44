/* For the flags of mmap. */
#define _DEFAULT_SOURCE 1

#include "sim/sim_fiber.h"

#include "base/assert.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The address sanitizer wants to know of every change of stacks; in other builds they are null. */
extern void __sanitizer_start_switch_fiber(void **fake_stack, const void *stack, size_t size)
    __attribute__((weak));
extern void __sanitizer_finish_switch_fiber(void *fake_stack, const void **stack, size_t *size)
    __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *memory, size_t size)
    __attribute__((weak));

static void announce_switch(void **fake_stack, const void *stack, size_t size)
{
    if (__sanitizer_start_switch_fiber != NULL)
        __sanitizer_start_switch_fiber(fake_stack, stack, size);
}

static void announce_arrival(void *fake_stack, const void **stack, size_t *size)
{
    if (__sanitizer_finish_switch_fiber != NULL)
        __sanitizer_finish_switch_fiber(fake_stack, stack, size);
}

/* makecontext passes ints only: the pointer comes in two halves. */
static void enter(unsigned int low, unsigned int high)
{
    struct sim_fiber *fiber = (struct sim_fiber *)(uintptr_t)((uint64_t)low | (uint64_t)high << 32);
    announce_arrival(NULL, &fiber->caller_stack, &fiber->caller_stack_size);
    fiber->run(fiber->argument);
    sim_fiber_leave(fiber);
}

void sim_fiber_start(struct sim_fiber *fiber, void (*run)(void *argument), void *argument)
{
    if (fiber->stack == NULL) {
        fiber->stack = mmap(NULL, sim_fiber_stack_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert(fiber->stack != MAP_FAILED);
    }
    /* What a run that was left in the middle has poisoned. */
    if (__asan_unpoison_memory_region != NULL)
        __asan_unpoison_memory_region(fiber->stack, sim_fiber_stack_bytes);

    const int result = getcontext(&fiber->context);
    assert(result == 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = sim_fiber_stack_bytes;
    fiber->context.uc_link = NULL;
    fiber->run = run;
    fiber->argument = argument;
    fiber->is_alive = true;
    const uint64_t pointer = (uint64_t)(uintptr_t)fiber;
    makecontext(&fiber->context, (void (*)(void))(uintptr_t)enter, 2, (unsigned int)pointer,
                (unsigned int)(pointer >> 32));
}

void sim_fiber_resume(struct sim_fiber *fiber)
{
    void *fake_stack = NULL;
    assert(fiber->is_alive);
    announce_switch(&fake_stack, fiber->stack, sim_fiber_stack_bytes);
    const int result = swapcontext(&fiber->caller, &fiber->context);
    assert(result == 0);
    announce_arrival(fake_stack, NULL, NULL);
}

void sim_fiber_yield(struct sim_fiber *fiber)
{
    void *fake_stack = NULL;
    announce_switch(&fake_stack, fiber->caller_stack, fiber->caller_stack_size);
    const int result = swapcontext(&fiber->context, &fiber->caller);
    assert(result == 0);
    announce_arrival(fake_stack, &fiber->caller_stack, &fiber->caller_stack_size);
}

_Noreturn void sim_fiber_leave(struct sim_fiber *fiber)
{
    fiber->is_alive = false;
    announce_switch(NULL, fiber->caller_stack, fiber->caller_stack_size);
    setcontext(&fiber->caller);
    abort();
}

void sim_fiber_deinit(struct sim_fiber *fiber)
{
    if (fiber->stack == NULL)
        return;
    const int result = munmap(fiber->stack, sim_fiber_stack_bytes);
    assert(result == 0);
    fiber->stack = NULL;
}
