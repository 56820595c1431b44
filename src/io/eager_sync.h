/* Whether a brief IO_SYNC is made by the loop itself, or handed to a thread of the world.
 *
 * A sync of some KiB takes a good disk a hundred microseconds. Handing it over and back wakes two
 * threads, which takes as long again when the machine is otherwise idle; and when one write is on
 * its way at a time, nobody gains by the hand-over, because the loop has nothing else to do. So the
 * world keeps a brief sync (io_op.sync.is_brief) until a round of the loop has brought nothing, at
 * most for eager_sync_round_max rounds, so that what was to be sent is on its way. If the loop is
 * idle then, it syncs by itself, but only while
 *
 *   - syncs usually take the disk no longer than eager_sync_usual_ns_max, whoever makes them,
 *   - no other sync is in flight, and nothing patient (io_op.write.is_patient: a snapshot) was
 *     written for eager_sync_patient_ns: journalling file systems make a sync wait for such data,
 *   - the loop has not waited for a slow one for a while: a hundred times as long as it took. So a
 *     disk that stalls takes no more than a hundredth of the loop's time.
 *
 * Memory: none. Shard: one owner.
 */
#ifndef IO_EAGER_SYNC_H
#define IO_EAGER_SYNC_H

#include <stdbool.h>
#include <stdint.h>

enum {
    eager_sync_round_max = 3,
    eager_sync_usual_ns_max = 400000,
    eager_sync_slow_ns = 2000000,
    eager_sync_pause_factor = 100,
    eager_sync_patient_ns = 1000000000,
};

struct eager_sync {
    uint64_t usual_ns;  /* How long the last ones took, on average; 0: there was none. */
    uint64_t resume_ns; /* None is made by the loop before. */
};

/* A patient write is about to be made. */
void eager_sync_note_patient_write(struct eager_sync *eager, uint64_t now_ns);

/* Whether an idle loop may make a sync by itself now. */
bool eager_sync_may(const struct eager_sync *eager, uint64_t now_ns);

struct eager_sync_time {
    uint64_t begin_ns;
    uint64_t end_ns;
    bool is_by_loop;
};

/* A brief sync has ended. */
void eager_sync_note(struct eager_sync *eager, struct eager_sync_time time);

#endif
