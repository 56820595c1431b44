#include "broker/kafka_error.h"

const char *kafka_error_name(int16_t code)
{
    return error_code_name((enum error_code)code);
}
