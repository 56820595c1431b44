#include "io/io_create.h"

#include "io/io_posix.h"
#include "io/io_uring.h"
#include "io/io_uv.h"

#include <string.h>

static enum err explain(struct diag *diag, const char *name, int error)
{
    if (error == 0)
        return ERR_OK;
    diag_error(diag, "cannot start io on %s: %s", name, strerror(-error));
    return err_from_errno(error);
}

enum err io_create(struct io **io, struct heap *heap, struct diag *diag, enum io_choice choice)
{
    io_posix_ignore_sigpipe();
    if (choice == IO_CHOICE_UV)
        return explain(diag, "libuv", io_uv_create(io, heap, diag));

    const int error = io_uring_world_create(io, heap, diag);
    if (error == 0 || choice == IO_CHOICE_URING)
        return explain(diag, "io_uring", error);
    diag_info(diag, "io_uring is not available (%s): using libuv", strerror(-error));
    return explain(diag, "libuv", io_uv_create(io, heap, diag));
}

void io_destroy(struct io *io)
{
    io->world->deinit(io);
}
