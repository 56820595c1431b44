#include "server/broker/replication_throttle.h"

#include "server/broker/broker_server.h"

static int64_t now_ms(const struct replication_throttle *throttle)
{
    return (int64_t)(io_now_ns(throttle->server->io) / 1000000);
}

enum err replication_throttle_init(struct replication_throttle *throttle,
                                   struct broker_server *server)
{
    const struct broker_config *config = server->config;
    const uint32_t measured_count = (uint32_t)config->replication_quota_window_count;
    const uint32_t count = replication_quota_window_count(measured_count);
    const int64_t window_ms = config->replication_quota_window_s * 1000;
    *throttle = (struct replication_throttle){.server = server};
    throttle->windows =
        heap_take_zeroed(server->heap, 2 * (size_t)count * sizeof *throttle->windows);
    if (throttle->windows == NULL)
        return ERR_NO_MEMORY;
    replication_quota_init(&throttle->leader, throttle->windows, measured_count, window_ms);
    replication_quota_init(&throttle->follower, throttle->windows + count, measured_count,
                           window_ms);
    return ERR_OK;
}

void replication_throttle_deinit(struct replication_throttle *throttle)
{
    if (throttle->server != NULL)
        heap_give(throttle->server->heap, throttle->windows);
}

void replication_throttle_set_rates(struct replication_throttle *throttle)
{
    const struct control *control = throttle->server->control;
    throttle->leader.bytes_per_s_max = control_dynamic_number(
        control, "leader.replication.throttled.rate", replication_quota_none);
    throttle->follower.bytes_per_s_max = control_dynamic_number(
        control, "follower.replication.throttled.rate", replication_quota_none);
}

void replication_throttle_configure(struct replication_throttle *throttle,
                                    struct partition *partition, const struct topic_config *config)
{
    const int32_t broker_id = control_broker_id(throttle->server->control);
    partition->is_throttled_leader =
        topic_config_throttles(config->leader_throttled_replicas, partition->index, broker_id);
    partition->is_throttled_follower =
        topic_config_throttles(config->follower_throttled_replicas, partition->index, broker_id);
}

bool replication_throttle_holds_follower(struct replication_throttle *throttle,
                                         const struct partition *partition, int32_t broker_id)
{
    return partition->is_throttled_leader && !replication_is_in_sync(partition, broker_id) &&
           replication_quota_wait_ms(&throttle->leader, now_ms(throttle)) > 0;
}

void replication_throttle_on_sent(struct replication_throttle *throttle, uint64_t bytes)
{
    replication_quota_record(&throttle->leader, bytes, now_ms(throttle));
}

int64_t replication_throttle_wait_ms(struct replication_throttle *throttle,
                                     const struct partition *partition)
{
    return partition->is_throttled_follower
               ? replication_quota_wait_ms(&throttle->follower, now_ms(throttle))
               : 0;
}

void replication_throttle_on_fetched(struct replication_throttle *throttle,
                                     const struct partition *partition, uint64_t bytes)
{
    if (partition->is_throttled_follower && bytes > 0)
        replication_quota_record(&throttle->follower, bytes, now_ms(throttle));
}
