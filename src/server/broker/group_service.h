/* Groups and their offsets, kept in __consumer_offsets: what joins the pure coordinator, the log
 * and the clients.
 *
 * A group belongs to one partition of __consumer_offsets, by a hash of its id; the broker that
 * leads the partition coordinates the group, once it has read the partition from end to end. What
 * changes is appended first and holds when it has reached the log as acks=all has it.
 *
 * Memory: the server's heap. Shard: its server's.
 */
#ifndef SERVER_BROKER_GROUP_SERVICE_H
#define SERVER_BROKER_GROUP_SERVICE_H

#include "broker/group_coordinator.h"
#include "broker/group_record.h"
#include "server/broker/control.h"
#include "server/broker/delay_queue.h"
#include "server/broker/group_loader.h"
#include "server/broker/partition_table.h"
#include "server/broker/replication.h"

struct broker_server;

/* A partition of __consumer_offsets. */
struct group_home {
    struct list link; /* In the loader's queue. */
    struct partition *partition;
    int32_t index;
    bool is_led;
    bool is_loaded;
};

struct group_service {
    struct broker_server *server;
    struct group_coordinator coordinator;
    struct group_loader loader;
    struct group_home **homes; /* [home_count], by partition; NULL where nothing was ever led. */
    uint32_t home_count;
    struct delay tick; /* The coordinator's next deadline. */
    uint64_t tick_at_ms;
    struct delay expiry;         /* Of offsets. */
    struct create_topics create; /* Of __consumer_offsets. */
    struct topic_create topic;
    bool is_creating;
};

/* ERR_NO_MEMORY. */
MUST_CHECK enum err group_service_init(struct group_service *service, struct broker_server *server);
void group_service_start(struct group_service *service);
void group_service_deinit(struct group_service *service);

/* A partition of __consumer_offsets is led here now, or no longer. */
void group_service_on_leadership(struct group_service *service, struct partition *partition);

/* No group is coordinated here any more: whoever waits is told. */
void group_service_stop(struct group_service *service);

/* NONE: the group is coordinated here and known. NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS,
 * INVALID_GROUP_ID (null, or empty where has_members). */
enum error_code group_service_check(const struct group_service *service, struct slice group_id,
                                    bool has_members);

/* The partition is deleted, on all brokers: what groups have committed for it is forgotten. */
void group_service_forget(struct group_service *service, struct slice topic, int32_t partition);

/* The partition of __consumer_offsets that a group belongs to. */
int32_t group_service_partition_of(const struct group_service *service, struct slice group_id);

/* Makes __consumer_offsets, unless that is going on. */
void group_service_create_topic(struct group_service *service);

struct group_now group_service_now(const struct group_service *service);

/* After each call of the coordinator: its next deadline may have changed. */
void group_service_arm(struct group_service *service);

/* A batch on its way to the log. The caller fills batch and done. */
struct group_write {
    struct partition_append append;
    struct partition_commit commit;
    struct group_batch batch;
    struct group_service *service;
    /* With the code that clients of groups are to see; never within group_service_write. */
    void (*done)(struct group_write *write, enum error_code code);
    struct delay end; /* Of a write that could not begin, or that others take too long for. */
    enum error_code end_code;
};

/* Appends the batch to the group's partition. Keeps write until done; the batch is gone then. */
void group_service_write(struct group_service *service, struct slice group_id,
                         struct group_write *write);

#endif
