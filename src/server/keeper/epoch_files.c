#include "server/keeper/epoch_files.h"

#include "base/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const names[epoch_file_count] = {"acceptedEpoch", "currentEpoch"};

static void path_of(const struct epoch_files *files, const char *name, const char *suffix,
                    char path[small_file_path_bytes_max])
{
    snprintf(path, small_file_path_bytes_max, "%s/%s%s", files->folder, name, suffix);
}

/* ---- at start ---- */

/* A number alone, perhaps with the end of its line. */
static bool parse(struct slice text, int64_t *value)
{
    const bool has_line_end = text.size > 0 && text.data[text.size - 1] == '\n';
    const size_t size = text.size - has_line_end;
    int64_t parsed = 0;
    if (size == 0 || size > 10) /* An epoch is the upper half of a zxid. */
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        parsed = parsed * 10 + (text.data[i] - '0');
    }
    *value = parsed;
    return parsed <= INT32_MAX;
}

/* What a file says. ERR_NOT_FOUND: there is none; ERR_MALFORMED: no number; ERR_IO, .. */
static enum err read_value(const struct epoch_files *files, const char *path, int64_t *value)
{
    uint8_t text[epoch_files_text_bytes];
    const int64_t size = small_file_read_wait(files->io, path, text, sizeof text);
    if (size == -EFBIG)
        return ERR_MALFORMED;
    if (size < 0)
        return err_from_errno((int)size);
    return parse(slice_of(text, (size_t)size), value) ? ERR_OK : ERR_MALFORMED;
}

static enum err write_wait(struct epoch_files *files, enum epoch_file_kind kind, int64_t value)
{
    char path[small_file_path_bytes_max];
    path_of(files, names[kind], "", path);
    snprintf(files->text, sizeof files->text, "%" PRId64, value);
    const int64_t written = small_file_replace_wait(files->io, path, slice_from_text(files->text));
    if (written < 0) {
        const enum err err = err_from_errno((int)written);
        diag_error(files->diag, "cannot write %s: %s", path, err_text(err));
        return err;
    }
    files->values[kind] = value;
    return ERR_OK;
}

/* *is_there: the file is; otherwise its value is epoch_default, not yet written. */
static enum err load_one(struct epoch_files *files, enum epoch_file_kind kind,
                         int64_t epoch_default, bool *is_there)
{
    char path[small_file_path_bytes_max];
    path_of(files, names[kind], "", path);
    enum err err = read_value(files, path, &files->values[kind]);
    *is_there = err == ERR_OK;
    if (err == ERR_NOT_FOUND) {
        files->values[kind] = epoch_default;
        return ERR_OK;
    }
    if (err == ERR_MALFORMED) {
        diag_error(files->diag,
                   "%s does not hold a number; restore it from a backup, or empty this server's "
                   "data folder to let it fetch everything from the ensemble",
                   path);
        return ERR_CORRUPT;
    }
    if (err != ERR_OK)
        diag_error(files->diag, "cannot read %s: %s", path, err_text(err));
    return err;
}

/* Transactions of a later epoch than currentEpoch: a learner was interrupted when it had logged
 * what its leader sent, and before it had written that epoch. If it was writing it, .tmp says so.
 * If it was not, what it logged is the beginning of a later epoch's history, and counts as that
 * much; acceptedEpoch shows that the learner did mean to follow so late a leader. */
static enum err raise_current(struct epoch_files *files, int64_t epoch)
{
    const int64_t accepted = files->values[EPOCH_FILE_ACCEPTED];
    char path[small_file_path_bytes_max];
    int64_t value;
    path_of(files, names[EPOCH_FILE_CURRENT], ".tmp", path);
    const bool has_temporary = read_value(files, path, &value) == ERR_OK && value >= epoch;
    if (!has_temporary || value > accepted)
        value = epoch;
    if (value <= accepted) {
        diag_info(files->diag,
                  "the last synchronisation was interrupted: the current epoch is %" PRId64 " now",
                  value);
        return write_wait(files, EPOCH_FILE_CURRENT, value);
    }
    path_of(files, names[EPOCH_FILE_CURRENT], "", path);
    diag_error(files->diag,
               "%s says epoch %" PRId64 ", but there are transactions of epoch %" PRId64
               "; these files are not of one time: restore the whole folder from a backup, or "
               "empty it to let this server fetch everything from the ensemble",
               path, files->values[EPOCH_FILE_CURRENT], epoch);
    return ERR_CORRUPT;
}

static enum err judge(struct epoch_files *files)
{
    const int64_t accepted = files->values[EPOCH_FILE_ACCEPTED];
    const int64_t current = files->values[EPOCH_FILE_CURRENT];
    if (accepted >= current)
        return ERR_OK;
    diag_error(files->diag,
               "%s/%s says %" PRId64 ", less than the %" PRId64
               " of %s; these files are not of one time: restore the whole folder from a "
               "backup, or empty it to let this server fetch everything from the ensemble",
               files->folder, names[EPOCH_FILE_ACCEPTED], accepted, current,
               names[EPOCH_FILE_CURRENT]);
    return ERR_CORRUPT;
}

enum err epoch_files_load(struct epoch_files *files, struct io *io, struct diag *diag,
                          const char *folder, int64_t zxid_last)
{
    const int64_t epoch = (int64_t)((uint64_t)max_i64(zxid_last, 0) >> 32);
    bool has[epoch_file_count] = {false};
    *files = (struct epoch_files){.io = io, .diag = diag, .folder = folder};
    enum err err = load_one(files, EPOCH_FILE_CURRENT, epoch, &has[EPOCH_FILE_CURRENT]);
    if (err == ERR_OK)
        err = load_one(files, EPOCH_FILE_ACCEPTED, epoch, &has[EPOCH_FILE_ACCEPTED]);
    if (err == ERR_OK && epoch > files->values[EPOCH_FILE_CURRENT])
        err = raise_current(files, epoch);
    if (err == ERR_OK)
        err = judge(files);
    for (int kind = 0; kind < epoch_file_count && err == ERR_OK; kind++)
        if (!has[kind])
            err = write_wait(files, (enum epoch_file_kind)kind, files->values[kind]);
    return err;
}

/* ---- later ---- */

static void start_first(struct epoch_files *files);

static void on_written(struct small_file *file, int64_t result)
{
    struct epoch_files *files = CONTAINER_OF(file, struct epoch_files, file);
    const struct epoch_files_write write = files->queue[0];
    if (result < 0)
        io_fatal(files->io, "%s cannot be written durably: %s; is the disk full or failing?",
                 file->path, err_text(err_from_errno((int)result)));
    files->values[write.kind] = write.value;
    files->queue_count--;
    memmove(files->queue, files->queue + 1, files->queue_count * sizeof *files->queue);
    if (files->queue_count > 0)
        start_first(files);
    write.done(write.context);
}

static void start_first(struct epoch_files *files)
{
    const struct epoch_files_write *write = &files->queue[0];
    char path[small_file_path_bytes_max];
    path_of(files, names[write->kind], "", path);
    snprintf(files->text, sizeof files->text, "%" PRId64, write->value);
    files->file.done = on_written;
    small_file_replace(&files->file, files->io, path, slice_from_text(files->text));
}

void epoch_files_write(struct epoch_files *files, struct epoch_files_write write)
{
    assert(files->queue_count < epoch_files_queue_max);
    files->queue[files->queue_count++] = write;
    if (files->queue_count == 1)
        start_first(files);
}
