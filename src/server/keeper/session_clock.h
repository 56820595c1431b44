/* The clock that sessions live by: it stands still while the server does.
 *
 * A server that gets no processor, whose disk blocks it, or whose machine is suspended cannot hear
 * its clients. What they sent meanwhile, or send as soon as they run again, must count before
 * anybody's session is over. So ticks that come late by one or more are not counted: every session
 * gets that time on top. A session may always live longer than its timeout, never shorter.
 *
 * It steps back when a tick comes late, and only then: from tick to tick it is monotonic. Whoever
 * ends a session, or needs a time that never steps back, takes the last tick's, or another clock.
 *
 * Memory: none. Shard: one owner.
 */
#ifndef SERVER_KEEPER_SESSION_CLOCK_H
#define SERVER_KEEPER_SESSION_CLOCK_H

#include <stdint.h>

struct session_clock {
    uint64_t stood_still_ns; /* Whole ticks: deadlines are whole ticks of both clocks. */
};

uint64_t session_clock_ns(const struct session_clock *clock, uint64_t now_ns);

/* The timer of a tick was due, and has come now. How long the clock stood still before, in ns. */
uint64_t session_clock_tick(struct session_clock *clock, uint64_t due_ns, uint64_t now_ns,
                            uint64_t tick_ns);

#endif
