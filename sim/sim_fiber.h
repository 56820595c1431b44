/* A second stack on the same thread: what a simulated process runs on, so that it can wait in the
 * middle of a function, and die there.
 *
 * Memory: its stack, from the system, kept for the next start. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_FIBER_H
#define SIM_SIM_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

enum { sim_fiber_stack_bytes = 1 << 20 };

struct sim_fiber {
    ucontext_t context;
    ucontext_t caller;
    void *stack;
    const void *caller_stack; /* Known once the fiber runs; for the address sanitizer. */
    size_t caller_stack_size;
    void (*run)(void *argument);
    void *argument;
    bool is_alive;
};

/* Prepares run(argument), which sim_fiber_resume starts. An older run that was left is forgotten.
 */
void sim_fiber_start(struct sim_fiber *fiber, void (*run)(void *argument), void *argument);

/* Runs the fiber until it yields, ends or leaves. */
void sim_fiber_resume(struct sim_fiber *fiber);

/* Called on the fiber: back to whoever resumed it, until resumed again. */
void sim_fiber_yield(struct sim_fiber *fiber);

/* Called on the fiber: the same, for ever. */
_Noreturn void sim_fiber_leave(struct sim_fiber *fiber);

/* Gives back the stack. */
void sim_fiber_deinit(struct sim_fiber *fiber);

#endif
