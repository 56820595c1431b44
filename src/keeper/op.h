/* The operations of the ZooKeeper protocol: request types, and the types of transactions.
 *
 * The numbers are the protocol's and the disk format's.
 */
#ifndef KEEPER_OP_H
#define KEEPER_OP_H

#include <stdbool.h>
#include <stdint.h>

#define OP_LIST(X)                                                                                 \
    X(CREATE_SESSION, -10)                                                                         \
    X(CLOSE_SESSION, -11)                                                                          \
    X(ERROR, -1)                                                                                   \
    X(NOTIFICATION, 0)                                                                             \
    X(CREATE, 1)                                                                                   \
    X(DELETE, 2)                                                                                   \
    X(EXISTS, 3)                                                                                   \
    X(GET_DATA, 4)                                                                                 \
    X(SET_DATA, 5)                                                                                 \
    X(GET_ACL, 6)                                                                                  \
    X(SET_ACL, 7)                                                                                  \
    X(GET_CHILDREN, 8)                                                                             \
    X(SYNC, 9)                                                                                     \
    X(PING, 11)                                                                                    \
    X(GET_CHILDREN2, 12)                                                                           \
    X(CHECK, 13)                                                                                   \
    X(MULTI, 14)                                                                                   \
    X(CREATE2, 15)                                                                                 \
    X(RECONFIG, 16)                                                                                \
    X(CHECK_WATCHES, 17)                                                                           \
    X(REMOVE_WATCHES, 18)                                                                          \
    X(CREATE_CONTAINER, 19)                                                                        \
    X(DELETE_CONTAINER, 20)                                                                        \
    X(CREATE_TTL, 21)                                                                              \
    X(MULTI_READ, 22)                                                                              \
    X(AUTH, 100)                                                                                   \
    X(SET_WATCHES, 101)                                                                            \
    X(SASL, 102)                                                                                   \
    X(GET_EPHEMERALS, 103)                                                                         \
    X(GET_ALL_CHILDREN_NUMBER, 104)                                                                \
    X(SET_WATCHES2, 105)                                                                           \
    X(ADD_WATCH, 106)                                                                              \
    X(WHO_AM_I, 107)

enum op {
#define OP_NAME(name, number) OP_##name = (number),
    OP_LIST(OP_NAME)
#undef OP_NAME
};

/* What the core does with a request of a client. Sessions are created, and containers deleted, by
 * the server itself; Apache's servers also take these from clients, without any check. */
enum op_class {
    OP_CLASS_UNKNOWN, /* No such operation, or none for clients: answer unimplemented, close. */
    OP_CLASS_WRITE,   /* keeper_prepare makes a transaction of it. */
    OP_CLASS_READ,    /* keeper_read answers it. */
    OP_CLASS_SERVER,  /* Sync, ping, auth, sasl: the server's own. */
};

/* number is whatever the client sent. */
enum op_class op_class_of(int32_t number);

/* Lends: a constant name for people. */
const char *op_name(int32_t number);

#endif
