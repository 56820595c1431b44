/* What the world can do to us: the error values that functions return.
 *
 * The answers of the two protocols ("no such znode", "not leader") are not errors: they are reply
 * codes and travel as data. A failed assertion is our bug and aborts.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/macros.h"

#define ERR_LIST(X)                                                                                \
    X(OK, "no error")                                                                              \
    X(NO_MEMORY, "out of the memory given to this part")                                           \
    X(LIMIT, "a configured limit is reached")                                                      \
    X(MALFORMED, "the bytes do not follow the format")                                             \
    X(TRUNCATED, "the bytes end too early")                                                        \
    X(UNSUPPORTED, "a version or feature we do not know")                                          \
    X(CHECKSUM, "the checksum does not match")                                                     \
    X(CORRUPT, "damage where none may be")                                                         \
    X(NOT_FOUND, "it does not exist")                                                              \
    X(EXISTS, "it exists already")                                                                 \
    X(BUSY, "somebody else holds it")                                                              \
    X(CLOSED, "the other side is gone")                                                            \
    X(TIMEOUT, "it took too long")                                                                 \
    X(CANCELED, "it was called off")                                                               \
    X(NO_SPACE, "the disk is full")                                                                \
    X(PERMISSION, "the operating system does not allow it")                                        \
    X(IO, "the operating system reports an input or output error")                                 \
    X(CONFIG, "the configuration is wrong")                                                        \
    X(EXPIRED, "the session has expired")

enum err {
#define ERR_NAME(name, text) ERR_##name,
    ERR_LIST(ERR_NAME)
#undef ERR_NAME
};

/* Lends: a constant text for people. */
const char *err_text(enum err err);

/* The nearest value for a negative errno, as io reports it. */
enum err err_from_errno(int negative_errno);

#endif
