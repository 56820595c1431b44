#include "server/broker/broker_api.h"

#include "wire/gen/kafka.h"

#define ROW(key_, name_, table_, version_max_)                                                     \
    [key_] = {.name = (name_),                                                                     \
              .handle = api_##table_,                                                              \
              .request = &kafka_##table_##_request_wire,                                           \
              .reply = &kafka_##table_##_reply_wire,                                               \
              .version_max = (version_max_)}

/* The last versions are those of Apache Kafka 3.9. */
const struct broker_api broker_apis[broker_api_key_count] = {
    [KAFKA_API_PRODUCE] = {.name = "Produce",
                           .handle = api_produce,
                           .request = &kafka_produce_request_wire,
                           .reply = &kafka_produce_reply_wire,
                           .version_max = 11,
                           .is_pipelined = true},
    ROW(KAFKA_API_FETCH, "Fetch", fetch, 17),
    ROW(KAFKA_API_LIST_OFFSETS, "ListOffsets", list_offsets, 9),
    ROW(KAFKA_API_METADATA, "Metadata", metadata, 12),
    ROW(KAFKA_API_LEADER_AND_ISR, "LeaderAndIsr", leader_and_isr, 7),
    ROW(KAFKA_API_STOP_REPLICA, "StopReplica", stop_replica, 4),
    ROW(KAFKA_API_UPDATE_METADATA, "UpdateMetadata", update_metadata, 8),
    ROW(KAFKA_API_OFFSET_COMMIT, "OffsetCommit", offset_commit, 9),
    ROW(KAFKA_API_OFFSET_FETCH, "OffsetFetch", offset_fetch, 9),
    ROW(KAFKA_API_FIND_COORDINATOR, "FindCoordinator", find_coordinator, 6),
    ROW(KAFKA_API_JOIN_GROUP, "JoinGroup", join_group, 9),
    ROW(KAFKA_API_HEARTBEAT, "Heartbeat", heartbeat, 4),
    ROW(KAFKA_API_LEAVE_GROUP, "LeaveGroup", leave_group, 5),
    ROW(KAFKA_API_SYNC_GROUP, "SyncGroup", sync_group, 5),
    ROW(KAFKA_API_DESCRIBE_GROUPS, "DescribeGroups", describe_groups, 5),
    ROW(KAFKA_API_LIST_GROUPS, "ListGroups", list_groups, 5),
    ROW(KAFKA_API_DELETE_GROUPS, "DeleteGroups", delete_groups, 2),
    ROW(KAFKA_API_OFFSET_DELETE, "OffsetDelete", offset_delete, 0),
    ROW(KAFKA_API_API_VERSIONS, "ApiVersions", api_versions, 4),
    ROW(KAFKA_API_CREATE_TOPICS, "CreateTopics", create_topics, 7),
    ROW(KAFKA_API_DELETE_TOPICS, "DeleteTopics", delete_topics, 6),
    ROW(KAFKA_API_CREATE_PARTITIONS, "CreatePartitions", create_partitions, 3),
    ROW(KAFKA_API_DESCRIBE_CLUSTER, "DescribeCluster", describe_cluster, 1),
    ROW(KAFKA_API_DESCRIBE_CONFIGS, "DescribeConfigs", describe_configs, 4),
    ROW(KAFKA_API_ALTER_CONFIGS, "AlterConfigs", alter_configs, 2),
    ROW(KAFKA_API_INCREMENTAL_ALTER_CONFIGS, "IncrementalAlterConfigs", incremental_alter_configs,
        1),
    ROW(KAFKA_API_INIT_PRODUCER_ID, "InitProducerId", init_producer_id, 5),
    ROW(KAFKA_API_DELETE_RECORDS, "DeleteRecords", delete_records, 2),
    ROW(KAFKA_API_OFFSET_FOR_LEADER_EPOCH, "OffsetForLeaderEpoch", offset_for_leader_epoch, 4),
    ROW(KAFKA_API_ALTER_REPLICA_LOG_DIRS, "AlterReplicaLogDirs", alter_replica_log_dirs, 2),
    ROW(KAFKA_API_DESCRIBE_LOG_DIRS, "DescribeLogDirs", describe_log_dirs, 4),
    ROW(KAFKA_API_ALTER_PARTITION, "AlterPartition", alter_partition, 3),
    ROW(KAFKA_API_ALLOCATE_PRODUCER_IDS, "AllocateProducerIds", allocate_producer_ids, 0),
    ROW(KAFKA_API_CONTROLLED_SHUTDOWN, "ControlledShutdown", controlled_shutdown, 3),
    ROW(KAFKA_API_ELECT_LEADERS, "ElectLeaders", elect_leaders, 2),
    ROW(KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, "AlterPartitionReassignments",
        alter_partition_reassignments, 0),
    ROW(KAFKA_API_LIST_PARTITION_REASSIGNMENTS, "ListPartitionReassignments",
        list_partition_reassignments, 0),
};

const struct broker_api *broker_api_find(int16_t key)
{
    if (key < 0 || key >= broker_api_key_count || broker_apis[key].handle == NULL)
        return NULL;
    return &broker_apis[key];
}
