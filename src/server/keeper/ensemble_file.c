#include "server/keeper/ensemble_file.h"

#include "base/assert.h"
#include "server/properties.h"
#include "zab/ensemble_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    line_count_max = 3 * ensemble_member_count_max + 1, /* Server, group and weight lines. */
    entry_bytes_max = 64 * 1024,
};

/* ---- the dynamic file's text ---- */

static struct slice cut_line(struct slice *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    const size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
    const struct slice line = slice_of(rest->data, size);
    *rest = slice_skip(*rest, end == NULL ? size : size + 1);
    return line;
}

static bool is_before(struct slice a, struct slice b)
{
    const size_t size = a.size < b.size ? a.size : b.size;
    const int order = memcmp(a.data, b.data, size);
    return order < 0 || (order == 0 && a.size < b.size);
}

/* Lines in Java's order of texts, as Apache's servers write them. */
static uint32_t sort_lines(struct slice text, bool with_version, struct slice *lines)
{
    uint32_t count = 0;
    while (text.size > 0) {
        const struct slice line = cut_line(&text);
        if (!with_version && slice_starts_with(line, SLICE_LITERAL("version=")))
            continue;
        assert(count < line_count_max);
        uint32_t at = count++;
        for (; at > 0 && is_before(line, lines[at - 1]); at--)
            lines[at] = lines[at - 1];
        lines[at] = line;
    }
    return count;
}

char *ensemble_file_print(const struct ensemble *ensemble, bool with_version, struct heap *heap)
{
    struct slice lines[line_count_max];
    const size_t capacity = ensemble_text_print(ensemble, NULL, 0) + 1;
    char *source = heap_take(heap, capacity);
    struct counted_text text = {.data = heap_take(heap, capacity), .capacity = capacity};
    if (source != NULL && text.data != NULL) {
        const size_t size = ensemble_text_print(ensemble, source, capacity);
        const uint32_t count = sort_lines(slice_of(source, size), with_version, lines);
        text.data[0] = '\0';
        for (uint32_t index = 0; index < count; index++)
            counted_text_print(&text, "%s%" SLICE_FORMAT, index == 0 ? "" : "\n",
                               SLICE_ARGS(lines[index]));
    }
    if (source != NULL)
        heap_give(heap, source);
    else if (text.data != NULL)
        heap_give(heap, text.data);
    return source == NULL ? NULL : text.data;
}

/* ---- zoo.cfg's text ---- */

static bool is_dropped(struct slice key, bool drops_client_port)
{
    static const char *const prefixes[] = {"server.", "group.", "weight."};
    const struct slice prefix = SLICE_LITERAL("zookeeper.");
    if (slice_starts_with(key, prefix))
        key = slice_skip(key, prefix.size);
    for (size_t index = 0; index < ARRAY_COUNT(prefixes); index++)
        if (slice_starts_with(key, slice_from_text(prefixes[index])))
            return true;
    return slice_equal_text(key, "dynamicConfigFile") || slice_equal_text(key, "peerType") ||
           (drops_client_port &&
            (slice_equal_text(key, "clientPort") || slice_equal_text(key, "clientPortAddress")));
}

/* Natural lines from the start of text: the bytes that they take. */
static size_t bytes_of_lines(struct slice text, uint32_t count)
{
    size_t size = 0;
    for (; count > 0 && size < text.size; size++) {
        const bool is_pair =
            text.data[size] == '\r' && size + 1 < text.size && text.data[size + 1] == '\n';
        if (text.data[size] == '\n' || (text.data[size] == '\r' && !is_pair))
            count--;
    }
    return size;
}

enum err ensemble_file_rewrite(const struct ensemble_file_edit *edit, struct counted_text *out)
{
    struct properties properties;
    uint8_t buffer[entry_bytes_max];
    properties_init(&properties, edit->zoo);
    for (;;) {
        struct properties_entry entry;
        const struct slice before = properties.rest;
        const uint32_t line = properties.next_line;
        const enum err err = properties_next(&properties, buffer, sizeof buffer, &entry);
        if (err != ERR_OK)
            return err;
        const bool is_end = slice_is_null(entry.key);
        struct slice piece = slice_of(before.data, before.size - properties.rest.size);
        if (!is_end && is_dropped(entry.key, edit->drops_client_port))
            piece.size = bytes_of_lines(piece, properties.line - line);
        counted_text_add(out, piece);
        if (is_end)
            break;
    }
    const bool has_end = edit->zoo.size == 0 || edit->zoo.data[edit->zoo.size - 1] == '\n';
    counted_text_print(out, "%sdynamicConfigFile=%s\n", has_end ? "" : "\n", edit->dynamic_path);
    return ERR_OK;
}

/* ---- at start ---- */

enum err ensemble_file_backup(const struct keeper_config *config, struct io *io, struct diag *diag)
{
    char path[keeper_path_bytes_max];
    if (!config->is_ensemble || !config->reconfig_enabled || config->dynamic_file != NULL ||
        config->file_path == NULL)
        return ERR_OK;
    const int size = snprintf(path, sizeof path, "%s.bak", config->file_path);
    const int64_t result = size < 0 || (size_t)size + sizeof ".tmp" > sizeof path
                               ? -ENAMETOOLONG
                               : small_file_replace_wait(io, path, config->text);
    if (result == 0)
        return ERR_OK;
    diag_error(
        diag,
        "cannot write %s, which reconfigEnabled=true needs: %s; let this server's user write "
        "beside zoo.cfg, or set reconfigEnabled=false",
        path, err_text(err_from_errno((int)result)));
    return err_from_errno((int)result);
}

/* ---- while it runs ---- */

static void begin(struct ensemble_file *file);

static void give_back(struct ensemble_file *file)
{
    void *const blocks[] = {file->text, file->zoo, file->zoo_edited};
    for (size_t index = 0; index < ARRAY_COUNT(blocks); index++)
        if (blocks[index] != NULL)
            heap_give(file->heap, blocks[index]);
    file->text = NULL;
    file->zoo = NULL;
    file->zoo_edited = NULL;
}

static void end(struct ensemble_file *file, enum err err)
{
    if (err != ERR_OK)
        diag_error(
            file->diag,
            "the ensemble's members could not be written beside %s: %s; after a restart this "
            "server asks for older members first",
            file->path, err_text(err));
    give_back(file);
    file->step = ENSEMBLE_FILE_IDLE;
    if (file->wants_next || file->wants_commit)
        begin(file);
    else if (file->done != NULL)
        file->done(file, err);
}

static void submit(struct ensemble_file *file, enum ensemble_file_step step, struct io_op op)
{
    file->step = step;
    op.done = file->op.done;
    file->op = op;
    io_submit(file->io, &file->op);
}

static void replace(struct ensemble_file *file, enum ensemble_file_step step, const char *path,
                    const char *text)
{
    file->step = step;
    small_file_replace(&file->file, file->io, path, slice_from_text(text));
}

static void next_path(const struct ensemble_file *file, char *path)
{
    snprintf(path, keeper_path_bytes_max, "%s.dynamic.next", file->path);
}

static void begin(struct ensemble_file *file)
{
    const bool is_next = file->wants_next;
    const struct ensemble *ensemble = is_next ? &file->next : &file->commit;
    if (is_next)
        file->wants_next = false;
    else
        file->wants_commit = false;
    file->text = ensemble_file_print(ensemble, is_next, file->heap);
    if (file->text == NULL) {
        end(file, ERR_NO_MEMORY);
        return;
    }
    if (is_next)
        next_path(file, file->other_path);
    else
        snprintf(file->other_path, sizeof file->other_path, "%s.dynamic.%" PRIx64, file->path,
                 (uint64_t)ensemble->version);
    replace(file, is_next ? ENSEMBLE_FILE_NEXT : ENSEMBLE_FILE_DYNAMIC, file->other_path,
            file->text);
}

static void open_static(struct ensemble_file *file)
{
    file->zoo = heap_take(file->heap, ensemble_file_bytes_max);
    if (file->zoo == NULL) {
        end(file, ERR_NO_MEMORY);
        return;
    }
    file->zoo_size = 0;
    submit(file, ENSEMBLE_FILE_OPEN,
           (struct io_op){.kind = IO_OPEN,
                          .handle = io_handle_none,
                          .path = {.path = file->path, .flags = IO_OPEN_READ}});
}

static void read_static(struct ensemble_file *file)
{
    submit(file, ENSEMBLE_FILE_READ,
           (struct io_op){.kind = IO_READ,
                          .handle = file->handle,
                          .read = {.data = file->zoo + file->zoo_size,
                                   .size = ensemble_file_bytes_max - file->zoo_size,
                                   .offset = file->zoo_size}});
}

static void edit_static(struct ensemble_file *file)
{
    const struct ensemble_member *self = ensemble_find(&file->commit, file->self_id);
    const struct ensemble_file_edit edit = {.zoo = slice_of(file->zoo, file->zoo_size),
                                            .dynamic_path = file->other_path,
                                            .drops_client_port =
                                                self != NULL && self->client_port != 0};
    const size_t capacity = file->zoo_size + keeper_path_bytes_max + entry_bytes_max;
    struct counted_text text = {.data = heap_take_zeroed(file->heap, capacity),
                                .capacity = capacity};
    file->zoo_edited = text.data;
    enum err err = ERR_OK;
    if (text.data == NULL)
        err = ERR_NO_MEMORY;
    else if (file->read_error != 0)
        err = err_from_errno((int)file->read_error);
    else if (file->zoo_size == ensemble_file_bytes_max)
        err = ERR_LIMIT; /* Half of it must not replace the whole. */
    else
        err = ensemble_file_rewrite(&edit, &text);
    if (err != ERR_OK)
        end(file, err);
    else
        replace(file, ENSEMBLE_FILE_STATIC, file->path, file->zoo_edited);
}

static void unlink_next(struct ensemble_file *file)
{
    next_path(file, file->other_path);
    submit(file, ENSEMBLE_FILE_UNLINK,
           (struct io_op){
               .kind = IO_UNLINK, .handle = io_handle_none, .path = {.path = file->other_path}});
}

static void on_replaced(struct small_file *small, int64_t result)
{
    struct ensemble_file *file = CONTAINER_OF(small, struct ensemble_file, file);
    if (result < 0)
        end(file, err_from_errno((int)result));
    else if (file->step == ENSEMBLE_FILE_DYNAMIC)
        open_static(file);
    else if (file->step == ENSEMBLE_FILE_STATIC && file->next.version <= file->commit.version)
        unlink_next(file);
    else
        end(file, ERR_OK);
}

static void close_static(struct ensemble_file *file)
{
    submit(file, ENSEMBLE_FILE_CLOSE, (struct io_op){.kind = IO_CLOSE, .handle = file->handle});
}

static void on_step(struct io_op *op, int64_t result)
{
    struct ensemble_file *file = CONTAINER_OF(op, struct ensemble_file, op);
    switch (file->step) {
    case ENSEMBLE_FILE_OPEN:
        file->handle = (int32_t)result;
        if (result < 0)
            end(file, err_from_errno((int)result));
        else
            read_static(file);
        return;
    case ENSEMBLE_FILE_READ:
        file->read_error = min_i64(result, 0);
        file->zoo_size += result > 0 ? (size_t)result : 0;
        if (result > 0 && file->zoo_size < ensemble_file_bytes_max)
            read_static(file);
        else
            close_static(file);
        return;
    case ENSEMBLE_FILE_CLOSE: edit_static(file); return;
    case ENSEMBLE_FILE_UNLINK: end(file, ERR_OK); return; /* There may be none. */
    case ENSEMBLE_FILE_IDLE:
    case ENSEMBLE_FILE_NEXT:
    case ENSEMBLE_FILE_DYNAMIC:
    case ENSEMBLE_FILE_STATIC: break;
    }
    assert(false);
}

void ensemble_file_init(struct ensemble_file *file, struct io *io, struct heap *heap,
                        struct diag *diag, const struct keeper_config *config)
{
    *file = (struct ensemble_file){.io = io,
                                   .heap = heap,
                                   .diag = diag,
                                   .path = config->reconfig_enabled ? config->file_path : NULL,
                                   .self_id = config->self_id,
                                   .op.done = on_step,
                                   .file.done = on_replaced};
}

void ensemble_file_propose(struct ensemble_file *file, const struct ensemble *ensemble)
{
    file->next = *ensemble;
    file->wants_next = file->path != NULL;
    if (file->wants_next && ensemble_file_is_idle(file))
        begin(file);
}

void ensemble_file_commit(struct ensemble_file *file, const struct ensemble *ensemble)
{
    file->commit = *ensemble;
    file->wants_commit = file->path != NULL;
    if (file->wants_commit && ensemble_file_is_idle(file))
        begin(file);
}
