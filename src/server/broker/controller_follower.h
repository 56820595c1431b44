/* What the controller's driver follows in the keeper: brokers, topics, and at the start of a term
 * the states of all partitions.
 *
 * Memory: the driver's heap. Shard: the driver's.
 */
#ifndef SERVER_BROKER_CONTROLLER_FOLLOWER_H
#define SERVER_BROKER_CONTROLLER_FOLLOWER_H

#include "server/broker/controller_channel.h"
#include "server/broker/controller_request.h"

enum { driver_topic_path_size = 272 }; /* "/brokers/topics/" and a name. */

/* A topic as the driver follows it; the controller's topic points to it. */
struct driver_topic {
    struct list all;  /* In driver.followed. */
    struct list link; /* In to_read, to_load or to_clear, or in none. */
    struct controller_driver *driver;
    struct controller_topic *topic; /* NULL: not read yet. */
    struct keeper_watch watch;
    struct keeper_watch config_watch;
    char *config_path; /* Of its settings, once they have been asked for. */
    struct slice name;
    uint32_t cursor; /* The next partition to load or to clear. */
    bool has_partitions_node;
    bool is_gone;    /* Its znode is not there. */
    bool is_written; /* A write of its znode is under way. */
    char path[driver_topic_path_size];
};

/* A broker as the driver follows it; the controller's broker points to it. */
struct driver_broker {
    struct controller_driver *driver;
    struct controller_channel *channel;
    struct keeper_watch watch;
    int32_t id;
    bool is_dirty;
    bool is_listed;
    char path[48];
};

/* Reads the children of /brokers/ids, and the brokers that are new or have changed. */
void controller_follower_list_brokers(struct controller_driver *driver);
/* Reads the children of /brokers/topics; new topics are in driver->to_read then. */
void controller_follower_list_topics(struct controller_driver *driver);

/* Fill the pipeline. */
void controller_follower_read_topics(struct controller_driver *driver);
void controller_follower_load_states(struct controller_driver *driver);

/* Reads the state of request->partition and ends its write. Takes request. */
void controller_follower_read_state(struct controller_request *request);

void controller_follower_drop_topic(struct driver_topic *topic);
void controller_follower_drop_broker(struct controller_driver *driver,
                                     struct controller_broker *broker);

/* Moves a topic into one of the driver's lists. */
void controller_follower_enqueue(struct list *queue, struct driver_topic *topic);

/* "<topic's path>/partitions/<index><end>" */
void controller_follower_print_path(char path[controller_request_path_size],
                                    const struct driver_topic *topic, int32_t index,
                                    const char *end);

/* A block for a topic's JSON to be read into. NULL: no memory. */
void *controller_follower_take_block(struct controller_driver *driver, struct slice data,
                                     struct arena *arena);

#endif
