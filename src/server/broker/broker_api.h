/* What this broker serves: one row for each api, which dispatch, version checks and ApiVersions all
 * read.
 *
 * Memory: constant. Shard: any.
 */
#ifndef SERVER_BROKER_BROKER_API_H
#define SERVER_BROKER_BROKER_API_H

#include "broker/group_coordinator.h"
#include "server/broker/broker_request.h"

enum { broker_api_key_count = 76 };

/* By key; rows without a handler are not served. */
extern const struct broker_api broker_apis[broker_api_key_count];

/* The row, or NULL: not served. */
const struct broker_api *broker_api_find(int16_t key);

/* The handlers, one file each: api_<name>.c. */
void api_produce(struct broker_request *request);
void api_fetch(struct broker_request *request);
void api_list_offsets(struct broker_request *request);
void api_metadata(struct broker_request *request);
void api_api_versions(struct broker_request *request);
void api_create_topics(struct broker_request *request);
void api_delete_topics(struct broker_request *request);
void api_create_partitions(struct broker_request *request);
void api_find_coordinator(struct broker_request *request);
void api_join_group(struct broker_request *request);
void api_sync_group(struct broker_request *request);
void api_heartbeat(struct broker_request *request);
void api_leave_group(struct broker_request *request);
void api_offset_commit(struct broker_request *request);
void api_offset_fetch(struct broker_request *request);
void api_describe_groups(struct broker_request *request);
void api_list_groups(struct broker_request *request);
void api_delete_groups(struct broker_request *request);
void api_offset_delete(struct broker_request *request);
void api_describe_configs(struct broker_request *request);
void api_alter_configs(struct broker_request *request);
void api_incremental_alter_configs(struct broker_request *request);
void api_describe_cluster(struct broker_request *request);
void api_init_producer_id(struct broker_request *request);
void api_allocate_producer_ids(struct broker_request *request);
void api_delete_records(struct broker_request *request);
void api_offset_for_leader_epoch(struct broker_request *request);
void api_alter_replica_log_dirs(struct broker_request *request);
void api_describe_log_dirs(struct broker_request *request);
void api_alter_partition(struct broker_request *request);
void api_controlled_shutdown(struct broker_request *request);
void api_elect_leaders(struct broker_request *request);
void api_alter_partition_reassignments(struct broker_request *request);
void api_list_partition_reassignments(struct broker_request *request);
void api_leader_and_isr(struct broker_request *request);
void api_stop_replica(struct broker_request *request);
void api_update_metadata(struct broker_request *request);

/* The answers to requests that waited in a group; ticket is the request. */
void api_join_group_reply(void *ticket, const struct group_joined *joined);
void api_sync_group_reply(void *ticket, const struct group_synced *synced);

/* The answer to an ApiVersions request of a version that we do not know. */
void api_api_versions_unknown(struct broker_request *request);

#endif
