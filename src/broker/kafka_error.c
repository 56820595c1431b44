#include "broker/kafka_error.h"

const char *kafka_error_name(int16_t code)
{
#define KAFKA_ERROR_CASE(name, number)                                                             \
    case number: return #name;
    switch (code) {
        KAFKA_ERROR_LIST(KAFKA_ERROR_CASE)
    }
#undef KAFKA_ERROR_CASE
    return "UNKNOWN";
}
