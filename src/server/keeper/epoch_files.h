/* The two epochs that a member of an ensemble must not forget, as Apache's servers keep them: the
 * files acceptedEpoch and currentEpoch beside the snapshots, a decimal number each.
 *
 *   acceptedEpoch: of the newest leader that was promised to.   Durable before ACKEPOCH leaves.
 *   currentEpoch:  of the newest leader whose history is ours.  Durable before NEWLEADER is acked.
 *
 * A file is replaced as a whole: .tmp, sync, rename, sync of the folder.
 *
 * Memory: embedded. Shard: the server's.
 */
#ifndef SERVER_KEEPER_EPOCH_FILES_H
#define SERVER_KEEPER_EPOCH_FILES_H

#include "base/diag.h"
#include "journal/small_file.h"

enum epoch_file_kind { EPOCH_FILE_ACCEPTED, EPOCH_FILE_CURRENT, epoch_file_count };

enum { epoch_files_queue_max = 8, epoch_files_text_bytes = 24 };

struct epoch_files_write {
    enum epoch_file_kind kind;
    int64_t value;
    void (*done)(void *context);
    void *context;
};

struct epoch_files {
    struct io *io;
    struct diag *diag;
    const char *folder;
    int64_t values[epoch_file_count];                      /* As they are on the disk, durably. */
    struct epoch_files_write queue[epoch_files_queue_max]; /* The first one is in flight. */
    uint32_t queue_count;
    struct small_file file;
    char text[epoch_files_text_bytes];
};

/* Reads both files, or makes them, and judges them by zxid_last, the last transaction that is
 * logged. Waits for the disk: at start only. Keeps io, diag and folder. ERR_CORRUPT: they
 * contradict each other or the log; ERR_PERMISSION, ERR_NO_SPACE, ERR_IO; told by diag. */
MUST_CHECK enum err epoch_files_load(struct epoch_files *files, struct io *io, struct diag *diag,
                                     const char *folder, int64_t zxid_last);

/* done runs when the value is durable, never from within. Writes end in the order they were asked
 * for; at most epoch_files_queue_max at a time. A failure is io_fatal. done may write again. */
void epoch_files_write(struct epoch_files *files, struct epoch_files_write write);

static inline bool epoch_files_is_idle(const struct epoch_files *files)
{
    return files->queue_count == 0;
}

#endif
