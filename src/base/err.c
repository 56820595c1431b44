#include "base/err.h"

#include "base/assert.h"
#include "base/macros.h"

#include <errno.h>

static const char *const texts[] = {
#define ERR_TEXT(name, text) text,
    ERR_LIST(ERR_TEXT)
#undef ERR_TEXT
};

const char *err_text(enum err err)
{
    assert((unsigned)err < ARRAY_COUNT(texts));
    return texts[err];
}

enum err err_from_errno(int negative_errno)
{
    assert(negative_errno <= 0);
    switch (-negative_errno) {
    case 0: return ERR_OK;
    case ENOMEM: return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE: return ERR_LIMIT;
    case ENOENT: return ERR_NOT_FOUND;
    case EEXIST: return ERR_EXISTS;
    case EBUSY:
    case EADDRINUSE: return ERR_BUSY;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTCONN: return ERR_CLOSED;
    case ETIMEDOUT: return ERR_TIMEOUT;
    case ECANCELED: return ERR_CANCELED;
    case ENOSPC:
    case EDQUOT: return ERR_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_PERMISSION;
    }
    return ERR_IO;
}
