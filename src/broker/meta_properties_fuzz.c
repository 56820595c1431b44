/* Any bytes as meta.properties, as the name of a directory, and as a topic id. */
#include "base/assert.h"
#include "broker/meta_properties.h"
#include "broker/partition_name.h"
#include "broker/topic_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meta_properties meta;
    struct meta_properties again;
    struct topic_id id;
    char text[meta_properties_text_bytes_max];
    if (meta_properties_decode(&meta, slice_of(data, size)) == ERR_OK) {
        const size_t text_size = meta_properties_encode(&meta, text, sizeof text);
        const enum err err = meta_properties_decode(&again, slice_of(text, text_size));
        assert(err == ERR_OK || err == ERR_MALFORMED);
    }
    const struct partition_name name = partition_name_parse(slice_of(data, size));
    assert(name.kind != PARTITION_NAME_LIVE || topic_name_is_valid(name.topic));
    if (topic_id_parse(&id, (const char *)data, size)) {
        char printed[topic_id_text_bytes];
        topic_id_print(&id, printed);
        assert(memcmp(printed, data, topic_id_text_bytes - 1) == 0);
    }
    return 0;
}
