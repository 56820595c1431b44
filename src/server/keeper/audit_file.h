/* The file that an audit trail goes to, one line each, renamed when it is large:
 *
 *      FILE -> FILE.1 -> FILE.2 -> ... -> FILE.count, which is overwritten
 *
 * Lines gather while one write is in flight. They are not synced: a trail is for people, and no
 * client waits for it. A disk that refuses loses lines, which a diag line says; while many wait the
 * links are not read.
 *
 * Memory: what waits, from the shard's heap. Shard: the server's.
 */
#ifndef SERVER_KEEPER_AUDIT_FILE_H
#define SERVER_KEEPER_AUDIT_FILE_H

#include "base/heap.h"
#include "io/io.h"
#include "server/keeper/keeper_config.h"

struct keeper_server;

enum {
    audit_file_waiting_bytes_max = 4 << 20, /* More and links are not read. */
    audit_file_path_bytes_max = keeper_path_bytes_max + 16,
};

enum audit_file_step {
    AUDIT_FILE_IDLE,
    AUDIT_FILE_WRITE,
    AUDIT_FILE_CLOSE,  /* Before the renames, or at the end. */
    AUDIT_FILE_RENAME, /* The file with rename_index becomes the next one. */
    AUDIT_FILE_OPEN,
};

struct audit_text {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};

struct audit_file {
    struct keeper_server *server;
    struct io_op op;
    struct iovec vector;
    enum audit_file_step step;
    struct audit_text waiting;
    struct audit_text writing; /* In flight. */
    uint64_t size;             /* Of the file. */
    uint64_t size_max;
    int32_t handle;
    int32_t count_max;
    int32_t rename_index;
    bool is_stopping;
    bool has_failed; /* Some lines are lost; told once, until it goes well again. */
    char path[keeper_path_bytes_max];
    char path_from[audit_file_path_bytes_max];
    char path_to[audit_file_path_bytes_max];
};

/* Opens the file, behind what it holds. Waits for the disk: at start only. Keeps server. Without
 * audit.enable: does nothing. The reason of an error is a line of diag: ERR_PERMISSION,
 * ERR_NOT_FOUND, ERR_NO_SPACE, ERR_IO. */
MUST_CHECK enum err audit_file_start(struct audit_file *file, struct keeper_server *server);

/* Whether lines are wanted. */
bool audit_file_is_open(const struct audit_file *file);

/* One line, which has no end yet. */
void audit_file_write(struct audit_file *file, struct slice line);

/* Whether so much waits that links should not be read. */
bool audit_file_is_saturated(const struct audit_file *file);

/* Closes it behind what waits; the server's stop is pumped when that is done. */
void audit_file_stop(struct audit_file *file);

bool audit_file_is_stopped(const struct audit_file *file);

/* Gives back the memory of a stopped file. */
void audit_file_deinit(struct audit_file *file);

#endif
