#include "broker/control_message.h"

struct slice control_message_put_text(struct slice text, uint8_t **place)
{
    if (text.data == NULL)
        return text;
    const struct slice copy = slice_of(*place, text.size);
    memcpy(*place, text.data, text.size);
    *place += text.size;
    return copy;
}

size_t control_message_record_size(const struct broker_record *record)
{
    size_t size = record->rack.size + record->endpoint_count * sizeof *record->endpoints;
    for (uint32_t index = 0; index < record->endpoint_count; index++)
        size += record->endpoints[index].host.size + record->endpoints[index].listener.size;
    return size;
}

struct broker_record control_message_copy_record(const struct broker_record *record,
                                                 struct broker_endpoint *endpoints, uint8_t **place)
{
    struct broker_record copy = *record;
    copy.endpoints = endpoints;
    copy.rack = control_message_put_text(record->rack, place);
    for (uint32_t index = 0; index < record->endpoint_count; index++) {
        endpoints[index] = record->endpoints[index];
        endpoints[index].listener =
            control_message_put_text(record->endpoints[index].listener, place);
        endpoints[index].host = control_message_put_text(record->endpoints[index].host, place);
    }
    return copy;
}
