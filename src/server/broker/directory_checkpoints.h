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
extern const char directory_log_starts[];      /* Where they are not the first segment's base. */
extern const char directory_high_watermarks[];
extern const char directory_clean_marker[];

/* Writes one of the first three anew; directory->checkpoints_writing counts those on their way.
 * ERR_NO_MEMORY. */
MUST_CHECK enum err directory_checkpoints_write(struct log_directory *directory, const char *name);

/* Recovery points and log starts, as one: checkpoint_begun counts up, checkpoint_ended follows when
 * both are written. Nothing happens while such a pair is on its way. ERR_NO_MEMORY. */
MUST_CHECK enum err directory_checkpoints_write_pair(struct log_directory *directory);

/* Both, waiting for the disk: at start only. ERR_NO_MEMORY, ERR_IO, ERR_NO_SPACE. */
MUST_CHECK enum err directory_checkpoints_write_pair_wait(struct log_directory *directory);

/* The same as the first for the marker. */
MUST_CHECK enum err directory_checkpoints_write_marker(struct log_directory *directory);

#endif
