#include "broker/znode_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[4 << 20];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct znode_broker broker;
    struct znode_controller controller;
    struct znode_topic topic;
    struct znode_config config;
    struct znode_feature feature;
    struct znode_producer_ids ids;
    struct znode_partition_names names;
    struct znode_reassignments moves;
    int32_t broker_id;
    struct partition_state partition = {0};
    struct slice text;
    const struct slice input = slice_of(data, size);
    arena_init(&arena, memory, sizeof memory);
    (void)!znode_json_read_broker(input, &arena, &broker);
    (void)!znode_json_read_controller(input, &controller);
    if (znode_json_read_topic(input, &arena, &topic) == ERR_OK)
        (void)znode_json_write_topic(&arena, &topic);
    if (znode_json_read_config(input, &arena, &config) == ERR_OK)
        (void)znode_json_write_config(&arena, &config);
    (void)!znode_json_read_feature(input, &feature);
    (void)!znode_json_read_producer_ids(input, &ids);
    (void)!znode_json_read_partition_names(input, &arena, &names);
    (void)!znode_json_read_partition(input, &arena, &partition);
    (void)!znode_json_read_log_dir_event(input, &broker_id);
    if (znode_json_read_reassignments(input, &arena, &moves) == ERR_OK)
        (void)znode_json_write_reassignments(&arena, &moves);
    (void)!znode_json_read_cluster_id(input, &arena, &text);
    (void)!znode_json_read_config_change(input, &arena, &text);
    return 0;
}
