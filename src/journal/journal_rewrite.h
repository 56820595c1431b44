/* Writes bytes of a file again where they are, and syncs them, so that what can be read is what
 * will be there after a power loss.
 *
 * After a failed sync Linux takes the pages for clean: the process that asked has ended, but the
 * page cache goes on showing bytes that the kernel will never write, and the next sync says yes.
 * Whoever starts again without a restart of the machine must not build on bytes that nobody is
 * known to have synced; written once more they are dirty, and the sync means what it says.
 *
 * Memory: the caller's buffer. Shard: one owner.
 */
#ifndef JOURNAL_JOURNAL_REWRITE_H
#define JOURNAL_JOURNAL_REWRITE_H

#include "base/err.h"
#include "io/io.h"

/* From offset to the end of the file; pieces of the buffer's capacity that hold nothing but zeros
 * are left alone: they were never anything else in a file that only grows. Waits for the disk.
 * *size, if not NULL: bytes written. ERR_NOT_FOUND, ERR_PERMISSION, ERR_NO_SPACE, ERR_IO. */
MUST_CHECK enum err journal_rewrite_wait(struct io *io, const char *path, uint64_t offset,
                                         void *buffer, size_t capacity, uint64_t *size);

/* The same for a caller who syncs the file later, before anybody relies on it. */
MUST_CHECK enum err journal_rewrite_unsynced_wait(struct io *io, const char *path, uint64_t offset,
                                                  void *buffer, size_t capacity);

#endif
