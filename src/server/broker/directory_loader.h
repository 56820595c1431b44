/* Opens a log directory and loads what lies in it: lock, meta.properties, checkpoints, marks,
 * partitions. Waits for the disk: at start only.
 *
 * Memory: the largest checkpoint file and the loader's buffer, until return. Shard: one owner.
 */
#ifndef SERVER_BROKER_DIRECTORY_LOADER_H
#define SERVER_BROKER_DIRECTORY_LOADER_H

#include "base/err.h"
#include "base/macros.h"

struct log_directory;

/* As log_directory_open and log_directory_load. */
MUST_CHECK enum err directory_loader_open(struct log_directory *directory);
MUST_CHECK enum err directory_loader_load(struct log_directory *directory);

#endif
