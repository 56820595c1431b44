#include "server/keeper/snapshot_intake.h"

#include "base/assert.h"
#include "server/keeper/client_link.h"
#include "server/keeper/keeper_load.h"
#include "server/keeper/keeper_server.h"

#include <inttypes.h>

enum { poll_ns = 2000000, millisecond_ns = 1000000 };

static const uint8_t signature[snapshot_intake_signature_bytes + 1] = "\0\0\0\012BenWasHere";

static void close_reader(struct snapshot_intake *intake)
{
    snapshot_reader_deinit(&intake->reader);
    intake->reader = (struct snapshot_reader){0};
}

static void finish(struct snapshot_intake *intake, enum err err)
{
    intake->step = SNAPSHOT_INTAKE_IDLE;
    intake->server->is_replacing = false;
    intake->done(intake->context, err);
}

/* ---- failure ---- */

static void on_reloaded(void *context, enum err err)
{
    struct snapshot_intake *intake = context;
    assert(err == ERR_OK); /* Nothing was to be cut. */
    finish(intake, intake->err);
}

static void fail(struct snapshot_intake *intake, enum err err, const char *reason)
{
    struct keeper_server *server = intake->server;
    diag_warn(server->shard->diag,
              "the leader's snapshot 0x%" PRIx64 " is given up after %" PRIu64
              " bytes: %s (%s); the old tree is loaded again",
              (uint64_t)intake->zxid, intake->bytes, err_text(err), reason);
    close_reader(intake);
    intake->err = err;
    intake->step = SNAPSHOT_INTAKE_RELOADING;
    tree_reload_start(server, TREE_RELOAD_ALL, on_reloaded, intake);
}

void snapshot_intake_cancel(struct snapshot_intake *intake)
{
    if (intake->step == SNAPSHOT_INTAKE_FEEDING)
        fail(intake, ERR_CANCELED, "the link is gone");
}

/* ---- writing ---- */

static void on_adopted(void *context, enum err err)
{
    struct snapshot_intake *intake = context;
    struct keeper_server *server = intake->server;
    assert(err == ERR_OK);
    diag_info(server->shard->diag,
              "took the leader's snapshot 0x%" PRIx64 ", %" PRIu64 " bytes, in %" PRIu64 " ms",
              (uint64_t)intake->zxid, intake->bytes,
              (io_now_ns(server->shard->io) - intake->started_at_ns) / millisecond_ns);
    finish(intake, ERR_OK);
}

static void on_poll(struct io_op *op, int64_t result);

static void poll(struct snapshot_intake *intake, enum snapshot_intake_step step)
{
    struct io *io = intake->server->shard->io;
    intake->step = step;
    intake->op = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_poll};
    intake->op.timer.deadline_ns = io_now_ns(io) + poll_ns;
    intake->is_waiting = true;
    io_submit(io, &intake->op);
}

static void write_file(struct snapshot_intake *intake)
{
    struct snapshot_task *task = &intake->server->snapshot;
    const enum err err = snapshot_task_write_taken(task);
    if (err != ERR_OK)
        fail(intake, err, "its file cannot be begun");
    else
        poll(intake, SNAPSHOT_INTAKE_WRITING);
}

static void on_written(struct snapshot_intake *intake)
{
    const struct snapshot_task *task = &intake->server->snapshot;
    if (task->error != 0) {
        fail(intake, err_from_errno((int)task->error), "its file cannot be written");
        return;
    }
    intake->step = SNAPSHOT_INTAKE_ADOPTING;
    tree_reload_adopt(intake->server, on_adopted, intake);
}

static void on_poll(struct io_op *op, int64_t result)
{
    struct snapshot_intake *intake = CONTAINER_OF(op, struct snapshot_intake, op);
    struct keeper_server *server = intake->server;
    (void)result;
    intake->is_waiting = false;
    if (server->phase == KEEPER_SERVER_STOPPING)
        keeper_server_pump_stop(server);
    else if (!snapshot_task_is_idle(&server->snapshot))
        poll(intake, intake->step);
    else if (intake->step == SNAPSHOT_INTAKE_QUIET)
        write_file(intake);
    else
        on_written(intake);
}

/* ---- feeding ---- */

static void on_whole(struct snapshot_intake *intake)
{
    const enum err err = snapshot_reader_finish(&intake->reader);
    if (err != ERR_OK) {
        fail(intake, err, intake->reader.reason);
        return;
    }
    close_reader(intake);
    poll(intake, SNAPSHOT_INTAKE_QUIET);
}

static size_t feed_signature(struct snapshot_intake *intake, struct slice bytes)
{
    const size_t wanted = snapshot_intake_signature_bytes - intake->signature_size;
    const size_t size = min_size(wanted, bytes.size);
    if (memcmp(bytes.data, signature + intake->signature_size, size) != 0) {
        fail(intake, ERR_MALFORMED, "its signature is wrong");
        return bytes.size;
    }
    intake->signature_size += size;
    intake->bytes += size;
    if (intake->signature_size == snapshot_intake_signature_bytes)
        on_whole(intake);
    return size;
}

size_t snapshot_intake_feed(struct snapshot_intake *intake, struct slice bytes)
{
    size_t used = 0;
    if (intake->step != SNAPSHOT_INTAKE_FEEDING)
        return intake->err != ERR_OK ? bytes.size : 0;
    if (!snapshot_reader_is_at_end(&intake->reader)) {
        const enum err err = snapshot_reader_feed_stream(&intake->reader, bytes, &used);
        if (err != ERR_OK) {
            fail(intake, err, intake->reader.reason);
            return bytes.size;
        }
        intake->bytes += used;
    }
    if (used == bytes.size)
        return used;
    return used + feed_signature(intake, slice_skip(bytes, used));
}

/* ---- start and end ---- */

void snapshot_intake_start(struct keeper_server *server, int64_t zxid,
                           void (*done)(void *context, enum err err), void *context)
{
    struct snapshot_intake *intake = &server->intake;
    assert(intake->step == SNAPSHOT_INTAKE_IDLE && list_empty(&server->writes));
    *intake = (struct snapshot_intake){.server = server,
                                       .step = SNAPSHOT_INTAKE_FEEDING,
                                       .zxid = zxid,
                                       .started_at_ns = io_now_ns(server->shard->io),
                                       .done = done,
                                       .context = context};
    server->is_replacing = true;
    snapshot_task_cancel(&server->snapshot); /* It looks at the tree. */
    client_link_forget_all(server, "the tree is replaced");
    keeper_deinit(&server->keeper);
    if (keeper_load_init_keeper(server) != ERR_OK)
        io_fatal(server->shard->io, "no memory for an empty tree, where there was a full one");
    snapshot_reader_init_stream(&intake->reader, &server->keeper, &server->arena, zxid,
                                keeper_server_now_ms(server));
}

void snapshot_intake_deinit(struct snapshot_intake *intake)
{
    close_reader(intake);
    intake->step = SNAPSHOT_INTAKE_IDLE;
}
