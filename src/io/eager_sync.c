#include "io/eager_sync.h"

#include "base/macros.h"

/* The last one counts for an eighth. */
enum { average_shift = 3 };

bool eager_sync_may(const struct eager_sync *eager, uint64_t now_ns)
{
    return eager->usual_ns > 0 && eager->usual_ns <= eager_sync_usual_ns_max &&
           now_ns >= eager->resume_ns;
}

static void pause_until(struct eager_sync *eager, uint64_t resume_ns)
{
    eager->resume_ns = max_u64(eager->resume_ns, resume_ns);
}

void eager_sync_note_patient_write(struct eager_sync *eager, uint64_t now_ns)
{
    pause_until(eager, now_ns + eager_sync_patient_ns);
}

void eager_sync_note(struct eager_sync *eager, struct eager_sync_time time)
{
    const uint64_t took_ns = time.end_ns - time.begin_ns;
    if (eager->usual_ns == 0)
        eager->usual_ns = took_ns;
    else
        eager->usual_ns =
            eager->usual_ns - (eager->usual_ns >> average_shift) + (took_ns >> average_shift);
    if (time.is_by_loop && took_ns >= eager_sync_slow_ns)
        pause_until(eager, time.end_ns + eager_sync_pause_factor * took_ns);
}
