/* Where a reconfiguration is kept, beside zoo.cfg and under Apache's names:
 *
 *   zoo.cfg.bak             zoo.cfg as it was when it still had the server lines
 *   zoo.cfg.dynamic.next    members that were proposed, with their version
 *   zoo.cfg.dynamic.<hex>   members in force; the name says the version
 *   zoo.cfg                 rewritten to name that file with dynamicConfigFile
 *
 * Each is replaced so that after a power loss the old or the new one is there. zoo.cfg is read anew
 * each time, so what people wrote into it stays, comments too, but for the keys that are dropped.
 *
 * Memory: a struct in place; texts from the heap while it writes. Shard: one owner.
 */
#ifndef SERVER_KEEPER_ENSEMBLE_FILE_H
#define SERVER_KEEPER_ENSEMBLE_FILE_H

#include "journal/small_file.h"
#include "server/keeper/counted_text.h"
#include "server/keeper/keeper_config.h"

enum { ensemble_file_bytes_max = 256 * 1024 };

enum ensemble_file_step {
    ENSEMBLE_FILE_IDLE,
    ENSEMBLE_FILE_NEXT,
    ENSEMBLE_FILE_DYNAMIC,
    ENSEMBLE_FILE_OPEN,
    ENSEMBLE_FILE_READ,
    ENSEMBLE_FILE_CLOSE,
    ENSEMBLE_FILE_STATIC,
    ENSEMBLE_FILE_UNLINK,
};

struct ensemble_file {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    const char *path; /* Of zoo.cfg; NULL: there is none, so nothing is written. */
    int64_t self_id;
    enum ensemble_file_step step;
    struct small_file file;
    struct io_op op;
    int32_t handle;
    char other_path[keeper_path_bytes_max]; /* Of the dynamic file that is written. */
    char *text;                             /* Of the dynamic file. */
    uint8_t *zoo;                           /* Of zoo.cfg as it was read; */
    size_t zoo_size;
    int64_t read_error;
    char *zoo_edited;
    bool wants_next;
    bool wants_commit;
    struct ensemble next;
    struct ensemble commit;
    void (*done)(struct ensemble_file *file, enum err err); /* Idle again; NULL: nobody asks. */
};

/* Keeps io, heap, diag and config's texts. */
void ensemble_file_init(struct ensemble_file *file, struct io *io, struct heap *heap,
                        struct diag *diag, const struct keeper_config *config);

/* The members that were proposed, and those that are in force from now on. Their hosts are kept
 * until done. If it is still writing, this comes next; the newest wins. Failures are told by diag:
 * the server goes on, as the leader tells it of the members at its next start. */
void ensemble_file_propose(struct ensemble_file *file, const struct ensemble *ensemble);
void ensemble_file_commit(struct ensemble_file *file, const struct ensemble *ensemble);

static inline bool ensemble_file_is_idle(const struct ensemble_file *file)
{
    return file->step == ENSEMBLE_FILE_IDLE;
}

/* Once, at the start of an ensemble's server: zoo.cfg.bak, if reconfigurations are allowed and the
 * server lines stand in zoo.cfg. Waits for the disk. The reason of an error is a line of diag. */
MUST_CHECK enum err ensemble_file_backup(const struct keeper_config *config, struct io *io,
                                         struct diag *diag);

/* For the parts and tests: a dynamic file's text, its lines sorted, without a line end behind the
 * last. The caller gives it back to the heap. NULL: no memory. */
char *ensemble_file_print(const struct ensemble *ensemble, bool with_version, struct heap *heap);

/* For the parts and tests: zoo.cfg without server, group, weight and peerType lines and, if the
 * dynamic file has it, the client port. ERR_LIMIT, ERR_MALFORMED: what cannot be read. */
struct ensemble_file_edit {
    struct slice zoo;
    const char *dynamic_path;
    bool drops_client_port;
};
MUST_CHECK enum err ensemble_file_rewrite(const struct ensemble_file_edit *edit,
                                          struct counted_text *out);

#endif
