/* The three offset checkpoints of a log directory, and the marker of a clean end.
 *
 * Memory: the text of a file while it is made and written. Shard: one owner.
 */
#ifndef SERVER_BROKER_DIRECTORY_CHECKPOINTS_H
#define SERVER_BROKER_DIRECTORY_CHECKPOINTS_H

#include "base/err.h"
#include "base/macros.h"

struct log_directory;

extern const char directory_recovery_points[]; /* Below them all is on the disk. */
extern const char directory_log_starts[];      /* Of the logs that do not begin at 0. */
extern const char directory_high_watermarks[];
extern const char directory_clean_marker[];

/* Writes the high watermarks; directory->checkpoints_writing counts the files on their way, of
 * which there must be none. ERR_NO_MEMORY. */
MUST_CHECK enum err directory_checkpoints_write_high_watermarks(struct log_directory *directory);

/* Recovery points, log starts and high watermarks, as one set: checkpoint_begun counts up, now or
 * when high watermarks that are on their way alone are written; checkpoint_ended follows when all
 * are. Nothing happens while such a set is on its way. ERR_NO_MEMORY. */
MUST_CHECK enum err directory_checkpoints_write_set(struct log_directory *directory);

/* All three checkpoints, waiting for the disk: at start only. ERR_NO_MEMORY, ERR_IO, ERR_NO_SPACE.
 */
MUST_CHECK enum err directory_checkpoints_write_all_wait(struct log_directory *directory);

/* ERR_NO_MEMORY. */
MUST_CHECK enum err directory_checkpoints_write_marker(struct log_directory *directory);

#endif
