#include "server/broker/directory_sync.h"

#include "base/assert.h"

void directory_sync_init(struct directory_sync *sync, struct io *io, const char *path)
{
    *sync = (struct directory_sync){.io = io, .path = path, .handle = io_handle_none};
    list_init(&sync->waiting);
    list_init(&sync->syncing);
}

static void on_done(struct io_op *op, int64_t result);

static void submit(struct directory_sync *sync, enum directory_sync_step step, struct io_op op)
{
    sync->step = step;
    sync->op = op;
    sync->op.done = on_done;
    io_submit(sync->io, &sync->op);
}

static void start(struct directory_sync *sync)
{
    sync->result = 0;
    submit(sync, DIRECTORY_SYNC_OPEN,
           (struct io_op){.kind = IO_OPEN,
                          .handle = io_handle_none,
                          .path = {.path = sync->path, .flags = IO_OPEN_READ | IO_OPEN_DIRECTORY}});
}

static void finish(struct directory_sync *sync)
{
    const int64_t result = sync->result;
    struct list ended;
    list_init(&ended);
    list_splice(&ended, &sync->syncing);
    sync->step = DIRECTORY_SYNC_IDLE;
    if (!list_empty(&sync->waiting))
        start(sync);
    for (struct list *link = list_pop(&ended); link != NULL; link = list_pop(&ended)) {
        struct directory_sync_wait *wait = CONTAINER_OF(link, struct directory_sync_wait, link);
        wait->done(wait, result);
    }
}

static void on_done(struct io_op *op, int64_t result)
{
    struct directory_sync *sync = CONTAINER_OF(op, struct directory_sync, op);
    if (result < 0 && sync->result == 0 && sync->step != DIRECTORY_SYNC_CLOSE)
        sync->result = result;
    switch (sync->step) {
    case DIRECTORY_SYNC_IDLE: assert(false && "an operation ends that never began"); return;
    case DIRECTORY_SYNC_OPEN:
        list_splice(&sync->syncing, &sync->waiting); /* The sync covers all that is there by now. */
        if (result < 0) {
            finish(sync);
            return;
        }
        sync->handle = (int32_t)result;
        submit(sync, DIRECTORY_SYNC_SYNC, (struct io_op){.kind = IO_SYNC, .handle = sync->handle});
        return;
    case DIRECTORY_SYNC_SYNC:
        submit(sync, DIRECTORY_SYNC_CLOSE,
               (struct io_op){.kind = IO_CLOSE, .handle = sync->handle});
        return;
    case DIRECTORY_SYNC_CLOSE: finish(sync); return;
    }
}

void directory_sync_join(struct directory_sync *sync, struct directory_sync_wait *wait)
{
    list_push(&sync->waiting, &wait->link);
    if (sync->step == DIRECTORY_SYNC_IDLE)
        start(sync);
}
