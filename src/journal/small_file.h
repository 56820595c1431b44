/* Replaces a small file so that after a power loss it holds either the old or the new bytes:
 * <path>.tmp is written and synced, renamed over path, and the directory synced.
 *
 * For checkpoints, epochs, meta data. Any failure but a full disk is reported, never repeated.
 *
 * Memory: the caller's struct and bytes. Shard: one owner.
 */
#ifndef JOURNAL_SMALL_FILE_H
#define JOURNAL_SMALL_FILE_H

#include "base/err.h"
#include "io/io.h"

enum { small_file_path_bytes_max = 1024 };

enum small_file_step {
    SMALL_FILE_CREATE,
    SMALL_FILE_WRITE,
    SMALL_FILE_SYNC,
    SMALL_FILE_CLOSE,
    SMALL_FILE_RENAME,
    SMALL_FILE_OPEN_DIRECTORY,
    SMALL_FILE_SYNC_DIRECTORY,
    SMALL_FILE_CLOSE_DIRECTORY,
};

/* The caller sets done. */
struct small_file {
    struct io *io;
    struct io_op op;
    struct iovec vector;
    struct slice bytes;
    enum small_file_step step;
    int32_t handle;
    int64_t error; /* The first failure, a negative errno. */
    char path[small_file_path_bytes_max];
    char path_temporary[small_file_path_bytes_max];
    char path_directory[small_file_path_bytes_max];
    /* 0, or a negative errno with the old file still there. */
    void (*done)(struct small_file *file, int64_t result);
};

/* Takes file and keeps bytes until done. path is copied; it has a directory in front. */
void small_file_replace(struct small_file *file, struct io *io, const char *path,
                        struct slice bytes);

/* The same, waiting for the disk: at start and in tools only. 0 or a negative errno. */
MUST_CHECK int64_t small_file_replace_wait(struct io *io, const char *path, struct slice bytes);

/* The file's bytes into buffer, waiting for the disk. The count, or a negative errno: -ENOENT,
 * -EFBIG (longer than capacity). */
MUST_CHECK int64_t small_file_read_wait(struct io *io, const char *path, void *buffer,
                                        size_t capacity);

/* A directory and its durable entry in the one above, waiting for the disk; those above it must
 * exist. 0 (also if it existed) or a negative errno. */
MUST_CHECK int64_t small_file_make_directory_wait(struct io *io, const char *path);

/* What the directory shows survives a power loss; waiting for the disk. 0 or a negative errno. */
MUST_CHECK int64_t small_file_sync_directory_wait(struct io *io, const char *path);

#endif
