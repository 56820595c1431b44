#include "server/keeper/session_clock.h"

uint64_t session_clock_ns(const struct session_clock *clock, uint64_t now_ns)
{
    return now_ns - clock->stood_still_ns;
}

uint64_t session_clock_tick(struct session_clock *clock, uint64_t due_ns, uint64_t now_ns,
                            uint64_t tick_ns)
{
    const uint64_t late_ns = now_ns > due_ns ? now_ns - due_ns : 0;
    const uint64_t stood_still_ns = late_ns / tick_ns * tick_ns;
    clock->stood_still_ns += stood_still_ns;
    return stood_still_ns;
}
