#include "broker/error_code.h"

const char *error_code_name(enum error_code code)
{
    switch (code) {
#define KAFKA_ERROR_CASE(name, value)                                                              \
    case KAFKA_##name: return #name;
        KAFKA_ERROR_LIST(KAFKA_ERROR_CASE)
#undef KAFKA_ERROR_CASE
    }
    return "a code we do not know";
}
