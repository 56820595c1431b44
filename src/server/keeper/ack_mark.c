#include "server/keeper/ack_mark.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "journal/small_file.h"
#include "server/keeper/keeper_server.h"

#include <stdio.h>

/* A slot: magic 8 | checksum (CRC-32C of what follows) 4 | zero 4 | sequence 8 | zxid 8 */
enum { file_bytes = 2 * ack_mark_slot_stride, checked_from = 12 };

static const uint64_t magic = UINT64_C(0x524b41434b4d4152); /* "RKACKMAR" */

static void on_step(struct io_op *op, int64_t result);

static void path_of(const struct keeper_server *server, char path[keeper_path_bytes_max])
{
    snprintf(path, keeper_path_bytes_max, "%s/acknowledged", server->journal_path);
}

static void encode_slot(uint8_t slot[ack_mark_slot_bytes], uint64_t sequence, int64_t zxid)
{
    memset(slot, 0, ack_mark_slot_bytes);
    store_u64(slot, magic);
    store_u64(slot + 16, sequence);
    store_i64(slot + 24, zxid);
    store_u32(slot + 8, checksum_crc32c(
                            0, slice_of(slot + checked_from, ack_mark_slot_bytes - checked_from)));
}

static bool decode_slot(const uint8_t slot[ack_mark_slot_bytes], uint64_t *sequence, int64_t *zxid)
{
    const uint32_t checksum =
        checksum_crc32c(0, slice_of(slot + checked_from, ack_mark_slot_bytes - checked_from));
    *sequence = load_u64(slot + 16);
    *zxid = load_i64(slot + 24);
    return load_u64(slot) == magic && load_u32(slot + 8) == checksum;
}

static bool load(struct keeper_server *server, uint64_t *sequence_out, int64_t *zxid)
{
    char path[keeper_path_bytes_max];
    uint8_t file[file_bytes] = {0};
    path_of(server, path);
    if (small_file_read_wait(server->shard->io, path, file, sizeof file) < ack_mark_slot_bytes)
        return false;
    bool is_found = false;
    for (size_t i = 0; i < 2; i++) {
        uint64_t sequence;
        int64_t slot_zxid;
        if (!decode_slot(file + i * ack_mark_slot_stride, &sequence, &slot_zxid) ||
            (is_found && sequence < *sequence_out))
            continue;
        is_found = true;
        *sequence_out = sequence;
        *zxid = slot_zxid;
    }
    return is_found;
}

bool ack_mark_load(struct keeper_server *server, int64_t *zxid)
{
    uint64_t sequence;
    return load(server, &sequence, zxid);
}

static enum err fail_start(const struct keeper_server *server, const char *path, int64_t result)
{
    const enum err err = err_from_errno((int)result);
    diag_error(server->shard->diag, "cannot write %s: %s", path, err_text(err));
    return err;
}

static enum err make_file(struct keeper_server *server, const char *path, int64_t zxid)
{
    uint8_t file[file_bytes] = {0};
    encode_slot(file, 0, zxid);
    const int64_t replaced =
        small_file_replace_wait(server->shard->io, path, slice_of(file, sizeof file));
    return replaced < 0 ? fail_start(server, path, replaced) : ERR_OK;
}

enum err ack_mark_start(struct ack_mark *mark, struct keeper_server *server, int64_t zxid)
{
    char path[keeper_path_bytes_max];
    path_of(server, path);
    *mark = (struct ack_mark){.server = server, .handle = io_handle_none};
    mark->op.done = on_step;
    /* Always a new file: one that is ahead promises too much, and the bytes of one that is behind
     * may lie in the page cache only, after a sync that failed. */
    mark->zxid = zxid;
    const enum err err = make_file(server, path, zxid);
    if (err != ERR_OK)
        return err;
    struct io_op open = {.kind = IO_OPEN, .handle = io_handle_none};
    open.path.path = path;
    open.path.flags = IO_OPEN_WRITE;
    const int64_t handle = io_wait(server->shard->io, &open);
    if (handle < 0)
        return fail_start(server, path, handle);
    mark->handle = (int32_t)handle;
    return ERR_OK;
}

static void submit(struct ack_mark *mark, enum ack_mark_step step, enum io_kind kind)
{
    mark->step = step;
    mark->op.kind = kind;
    mark->op.handle = mark->handle;
    if (kind == IO_SYNC)
        mark->op.sync.is_brief = false; /* The place held something else. */
    io_submit(mark->server->shard->io, &mark->op);
}

static void write_slot(struct ack_mark *mark, int64_t zxid)
{
    mark->zxid = zxid;
    mark->sequence++;
    encode_slot(mark->slot, mark->sequence, zxid);
    mark->vector = (struct iovec){mark->slot, sizeof mark->slot};
    mark->op.write.vectors = &mark->vector;
    mark->op.write.vector_count = 1;
    mark->op.write.offset = mark->sequence % 2 * ack_mark_slot_stride;
    submit(mark, ACK_MARK_WRITE, IO_WRITE);
}

void ack_mark_advance(struct ack_mark *mark, int64_t zxid)
{
    if (mark->step != ACK_MARK_IDLE || mark->is_closing || mark->has_failed || zxid <= mark->zxid)
        return;
    write_slot(mark, zxid);
}

void ack_mark_lower(struct ack_mark *mark, int64_t zxid)
{
    assert(mark->step == ACK_MARK_IDLE && !mark->is_closing && zxid < mark->zxid);
    write_slot(mark, zxid);
}

void ack_mark_stop(struct ack_mark *mark)
{
    mark->is_closing = true;
    if (mark->step == ACK_MARK_IDLE && mark->handle != io_handle_none)
        submit(mark, ACK_MARK_CLOSE, IO_CLOSE);
}

static void on_step(struct io_op *op, int64_t result)
{
    struct ack_mark *mark = CONTAINER_OF(op, struct ack_mark, op);
    const enum ack_mark_step step = mark->step;
    mark->step = ACK_MARK_IDLE;
    if (step == ACK_MARK_CLOSE) {
        mark->handle = io_handle_none;
        keeper_server_pump_stop(mark->server);
        return;
    }
    if (result < 0 && !mark->has_failed) {
        mark->has_failed = true;
        diag_warn(mark->server->shard->diag,
                  "the file acknowledged cannot be written: %s; recovery will know less",
                  err_text(err_from_errno((int)result)));
    }
    if (step == ACK_MARK_WRITE && !mark->has_failed)
        submit(mark, ACK_MARK_SYNC, IO_SYNC);
    else if (mark->is_closing)
        ack_mark_stop(mark);
}
