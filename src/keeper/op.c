#include "keeper/op.h"

#include "base/macros.h"

struct op_row {
    int32_t number;
    const char *name;
};

static const struct op_row rows[] = {
#define OP_ROW(name, number) {(number), #name},
    OP_LIST(OP_ROW)
#undef OP_ROW
};

const char *op_name(int32_t number)
{
    for (size_t index = 0; index < ARRAY_COUNT(rows); index++)
        if (rows[index].number == number)
            return rows[index].name;
    return "UNKNOWN";
}

enum op_class op_class_of(int32_t number)
{
    switch ((enum op)number) {
    case OP_CLOSE_SESSION:
    case OP_CREATE:
    case OP_DELETE:
    case OP_SET_DATA:
    case OP_SET_ACL:
    case OP_MULTI:
    case OP_CREATE2:
    case OP_RECONFIG:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL: return OP_CLASS_WRITE;
    case OP_EXISTS:
    case OP_GET_DATA:
    case OP_GET_ACL:
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2:
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
    case OP_MULTI_READ:
    case OP_SET_WATCHES:
    case OP_GET_EPHEMERALS:
    case OP_GET_ALL_CHILDREN_NUMBER:
    case OP_SET_WATCHES2:
    case OP_ADD_WATCH:
    case OP_WHO_AM_I: return OP_CLASS_READ;
    case OP_SYNC:
    case OP_PING:
    case OP_AUTH:
    case OP_SASL: return OP_CLASS_SERVER;
    case OP_CREATE_SESSION:
    case OP_DELETE_CONTAINER:
    case OP_ERROR:
    case OP_NOTIFICATION:
    case OP_CHECK: break;
    }
    return OP_CLASS_UNKNOWN;
}
