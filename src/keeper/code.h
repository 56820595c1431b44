/* The reply codes of the ZooKeeper protocol: what the server answers when the answer is no. */
#ifndef KEEPER_CODE_H
#define KEEPER_CODE_H

#define CODE_LIST(X)                                                                               \
    X(OK, 0)                                                                                       \
    X(SYSTEM_ERROR, -1)                                                                            \
    X(RUNTIME_INCONSISTENCY, -2)                                                                   \
    X(DATA_INCONSISTENCY, -3)                                                                      \
    X(CONNECTION_LOSS, -4)                                                                         \
    X(MARSHALLING_ERROR, -5)                                                                       \
    X(UNIMPLEMENTED, -6)                                                                           \
    X(OPERATION_TIMEOUT, -7)                                                                       \
    X(BAD_ARGUMENTS, -8)                                                                           \
    X(UNKNOWN_SESSION, -12)                                                                        \
    X(NEW_CONFIG_NO_QUORUM, -13)                                                                   \
    X(RECONFIG_IN_PROGRESS, -14)                                                                   \
    X(NO_NODE, -101)                                                                               \
    X(NO_AUTH, -102)                                                                               \
    X(BAD_VERSION, -103)                                                                           \
    X(NO_CHILDREN_FOR_EPHEMERALS, -108)                                                            \
    X(NODE_EXISTS, -110)                                                                           \
    X(NOT_EMPTY, -111)                                                                             \
    X(SESSION_EXPIRED, -112)                                                                       \
    X(INVALID_ACL, -114)                                                                           \
    X(AUTH_FAILED, -115)                                                                           \
    X(SESSION_MOVED, -118)                                                                         \
    X(NOT_READ_ONLY, -119)                                                                         \
    X(EPHEMERAL_ON_LOCAL_SESSION, -120)                                                            \
    X(NO_WATCHER, -121)                                                                            \
    X(RECONFIG_DISABLED, -123)                                                                     \
    X(SESSION_CLOSED_REQUIRE_AUTH, -124)                                                           \
    X(QUOTA_EXCEEDED, -125)                                                                        \
    X(THROTTLED_OP, -127)

enum code {
#define CODE_NAME(name, number) CODE_##name = (number),
    CODE_LIST(CODE_NAME)
#undef CODE_NAME
};

/* Lends: a constant name for people. */
const char *code_name(int code);

#endif
