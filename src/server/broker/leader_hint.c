#include "server/broker/leader_hint.h"

struct leader_hint leader_hint_of(const struct broker_server *server, struct slice topic,
                                  int32_t index)
{
    const struct partition *partition = partition_table_find(&server->partitions, topic, index);
    const struct metadata_partition *known =
        metadata_view_partition(control_metadata(server->control), topic, index);
    if (partition_is_led(partition))
        return (struct leader_hint){control_broker_id(server->control), partition->leader_epoch};
    if (partition != NULL && partition->followed != NULL && partition->followed->fetcher != NULL)
        return (struct leader_hint){partition->followed->fetcher->leader, partition->leader_epoch};
    if (known != NULL && known->leader_epoch >= 0)
        return (struct leader_hint){known->leader, known->leader_epoch};
    return (struct leader_hint){-1, -1};
}

bool leader_hint_place(const struct broker_server *server, int32_t broker_id, struct slice listener,
                       struct leader_place *place)
{
    const struct metadata_broker *broker =
        metadata_view_broker(control_metadata(server->control), broker_id);
    const struct broker_endpoint *endpoint =
        broker == NULL ? NULL : metadata_broker_endpoint(broker, listener);
    if (endpoint == NULL)
        return false;
    *place = (struct leader_place){
        .host = endpoint->host, .rack = broker->record.rack, .port = endpoint->port};
    return true;
}
