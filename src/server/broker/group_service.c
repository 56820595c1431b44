#include "server/broker/group_service.h"

#include "broker/group_hash.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"

enum {
    ns_per_ms = 1000000,
    expired_count_max = 1000, /* Offsets of one group that are forgotten in one batch. */
};

static const char topic_name[] = "__consumer_offsets";

struct group_now group_service_now(const struct group_service *service)
{
    return (struct group_now){.ms = io_now_ns(service->server->io) / ns_per_ms,
                              .wall_ms = io_wall_ms(service->server->io)};
}

/* ---- where a group lives ---- */

int32_t group_service_partition_of(const struct group_service *service, struct slice group_id)
{
    const struct broker_server *server = service->server;
    const struct metadata_topic *topic =
        metadata_view_topic(control_metadata(server->control), slice_from_text(topic_name));
    const int64_t count =
        topic == NULL ? server->config->offsets_partition_count : topic->partition_count;
    return group_hash_partition(group_id, (int32_t)count);
}

static struct group_home *home_of(const struct group_service *service, struct slice group_id)
{
    const uint32_t index = (uint32_t)group_service_partition_of(service, group_id);
    return index < service->home_count ? service->homes[index] : NULL;
}

enum error_code group_service_check(const struct group_service *service, struct slice group_id,
                                    bool has_members)
{
    if (slice_is_null(group_id) || (has_members && group_id.size == 0))
        return KAFKA_INVALID_GROUP_ID;
    const struct group_home *home = home_of(service, group_id);
    if (home == NULL || !home->is_led)
        return KAFKA_NOT_COORDINATOR;
    return home->is_loaded ? KAFKA_NONE : KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
}

static struct group_home *take_home(struct group_service *service, struct partition *partition)
{
    struct heap *heap = service->server->heap;
    const uint32_t index = (uint32_t)partition->index;
    if (index >= service->home_count) {
        const uint32_t count = index + 1;
        struct group_home **homes =
            heap_resize(heap, service->homes, count * sizeof(struct group_home *));
        if (homes == NULL)
            return NULL;
        for (uint32_t i = service->home_count; i < count; i++)
            homes[i] = NULL;
        service->homes = homes;
        service->home_count = count;
    }
    if (service->homes[index] == NULL) {
        struct group_home *home = heap_take_zeroed(heap, sizeof *home);
        if (home == NULL)
            return NULL;
        list_init(&home->link);
        home->index = partition->index;
        service->homes[index] = home;
    }
    return service->homes[index];
}

/* Another broker coordinates these groups now, or nobody does. */
static void drop_groups(struct group_service *service, int32_t partition)
{
    struct group_coordinator *coordinator = &service->coordinator;
    list_each_safe (link, after, &coordinator->all) {
        struct group *group = CONTAINER_OF(link, struct group, link);
        if (group_service_partition_of(service, group->id) == partition)
            group_coordinator_drop(coordinator, group, KAFKA_NOT_COORDINATOR);
    }
    group_service_arm(service);
}

static void leave_home(struct group_service *service, struct group_home *home)
{
    home->is_led = false;
    home->is_loaded = false;
    group_loader_remove(&service->loader, home);
    drop_groups(service, home->index);
}

void group_service_stop(struct group_service *service)
{
    for (uint32_t i = 0; i < service->home_count; i++)
        if (service->homes[i] != NULL && service->homes[i]->is_led)
            leave_home(service, service->homes[i]);
}

void group_service_on_leadership(struct group_service *service, struct partition *partition)
{
    const bool is_led = partition_is_led(partition);
    if (!slice_equal_text(partition->topic, topic_name))
        return;
    struct group_home *home = take_home(service, partition);
    if (home == NULL) {
        diag_error(service->server->diag, "%s-%d: no memory is left to load it", topic_name,
                   partition->index);
        return;
    }
    if (home->is_led == is_led)
        return; /* A new epoch of the same leader. */
    home->partition = partition;
    if (!is_led) {
        leave_home(service, home);
        return;
    }
    home->is_led = true;
    home->is_loaded = false;
    group_loader_add(&service->loader, home);
}

/* ---- the topic ---- */

static void on_topic_created(struct create_topics *create)
{
    struct group_service *service = create->user;
    const struct topic_create *topic = &create->topics[0];
    service->is_creating = false;
    if (topic->error_code != KAFKA_NONE && topic->error_code != KAFKA_TOPIC_ALREADY_EXISTS &&
        topic->error_code != KAFKA_REQUEST_TIMED_OUT)
        diag_warn(service->server->diag, "%s cannot be created: %s: %s", topic_name,
                  kafka_error_name(topic->error_code), topic->reason);
}

void group_service_create_topic(struct group_service *service)
{
    if (service->is_creating)
        return;
    service->is_creating = true;
    service->topic = auto_topic_spec(&service->server->auto_topics, slice_from_text(topic_name));
    service->create = (struct create_topics){.topics = &service->topic,
                                             .topic_count = 1,
                                             .by_any_broker = true,
                                             .done = on_topic_created,
                                             .user = service};
    control_create_topics(service->server->control, &service->create);
}

/* ---- writes ---- */

/* What the log says, as clients of groups know it. */
static enum error_code translate(enum error_code code)
{
    static const struct {
        enum error_code from;
        enum error_code to;
    } rows[] = {
        {KAFKA_UNKNOWN_TOPIC_OR_PARTITION, KAFKA_COORDINATOR_NOT_AVAILABLE},
        {KAFKA_NOT_ENOUGH_REPLICAS, KAFKA_COORDINATOR_NOT_AVAILABLE},
        {KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND, KAFKA_COORDINATOR_NOT_AVAILABLE},
        {KAFKA_THROTTLING_QUOTA_EXCEEDED, KAFKA_COORDINATOR_NOT_AVAILABLE},
        {KAFKA_NOT_LEADER_OR_FOLLOWER, KAFKA_NOT_COORDINATOR},
        {KAFKA_KAFKA_STORAGE_ERROR, KAFKA_NOT_COORDINATOR},
        {KAFKA_MESSAGE_TOO_LARGE, KAFKA_INVALID_COMMIT_OFFSET_SIZE},
        {KAFKA_RECORD_LIST_TOO_LARGE, KAFKA_INVALID_COMMIT_OFFSET_SIZE},
        {KAFKA_INVALID_FETCH_SIZE, KAFKA_INVALID_COMMIT_OFFSET_SIZE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].from == code)
            return rows[i].to;
    return code;
}

static void end_write(struct group_write *write, enum error_code code)
{
    delay_queue_remove(&write->service->server->delays, &write->end);
    group_batch_deinit(&write->batch);
    write->done(write, translate(code));
}

static void on_commit(struct partition_commit *commit, enum error_code code)
{
    end_write(CONTAINER_OF(commit, struct group_write, commit), code);
}

static void on_end(struct delay *delay)
{
    struct group_write *write = CONTAINER_OF(delay, struct group_write, end);
    list_remove(&write->commit.link);
    end_write(write, write->end_code);
}

static void end_later(struct group_write *write, enum error_code code, int64_t wait_ms)
{
    write->end.expired = on_end;
    write->end_code = code;
    delay_queue_add(&write->service->server->delays, &write->end, (uint64_t)wait_ms);
}

/* It is in the log here; what is committed is in the log of every replica in sync. */
static void on_written(struct partition_append *append, enum error_code code)
{
    struct group_write *write = CONTAINER_OF(append, struct group_write, append);
    write->commit.offset = append->last_offset + 1;
    if (code == KAFKA_NONE && !replication_await(append->store, &write->commit, &code))
        end_later(write, KAFKA_REQUEST_TIMED_OUT,
                  write->service->server->config->offsets_commit_timeout_ms);
    else
        end_write(write, code);
}

static enum error_code begin_write(struct group_service *service, struct slice group_id,
                                   struct group_write *write)
{
    const struct group_home *home = home_of(service, group_id);
    const struct slice batch = group_batch_finish(&write->batch);
    if (home == NULL || !home->is_led || !partition_is_led(home->partition))
        return KAFKA_NOT_LEADER_OR_FOLLOWER;
    if (slice_is_null(batch))
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct partition_store *store = home->partition->store;
    replication_begin(home->partition, &write->commit, on_commit);
    if (replication_is_short(home->partition))
        return KAFKA_NOT_ENOUGH_REPLICAS;
    if (batch.size > partition_store_config(store)->message_bytes_max)
        return KAFKA_MESSAGE_TOO_LARGE;
    write->append =
        (struct partition_append){.data = write->batch.writer.data,
                                  .size = (uint32_t)batch.size,
                                  .durability = broker_server_acks_all(service->server, store),
                                  .done = on_written};
    return partition_store_append(store, &write->append);
}

void group_service_write(struct group_service *service, struct slice group_id,
                         struct group_write *write)
{
    write->service = service;
    write->end = (struct delay){0};
    list_init(&write->commit.link);
    const enum error_code code = begin_write(service, group_id, write);
    if (code != KAFKA_NONE)
        end_later(write, code, 0);
}

/* ---- the coordinator's effects ---- */

struct store_write {
    struct group_write write;
    uint32_t store_number;
    struct slice group_id; /* Behind this struct. */
};

static void on_group_stored(struct group_write *write, enum error_code code)
{
    struct store_write *stored = CONTAINER_OF(write, struct store_write, write);
    struct group_service *service = write->service;
    struct group *group = group_coordinator_find(&service->coordinator, stored->group_id);
    if (code == KAFKA_REQUEST_TIMED_OUT)
        code = KAFKA_REBALANCE_IN_PROGRESS;
    if (group != NULL)
        group_coordinator_stored(&service->coordinator, group, stored->store_number, code,
                                 group_service_now(service));
    heap_give(service->server->heap, stored);
    group_service_arm(service);
}

static void on_store(void *context, struct group *group, uint32_t store_number)
{
    struct group_service *service = context;
    struct heap *heap = service->server->heap;
    struct store_write *stored = heap_take_zeroed(heap, sizeof *stored + group->id.size);
    if (stored == NULL) {
        group->is_storing = false; /* The leader's next SyncGroup tries again. */
        return;
    }
    if (group->id.size > 0)
        memcpy(stored + 1, group->id.data, group->id.size);
    stored->group_id = slice_of(stored + 1, group->id.size);
    stored->store_number = store_number;
    stored->write.done = on_group_stored;
    group_batch_init(&stored->write.batch, heap, io_wall_ms(service->server->io));
    group_batch_add_group(&stored->write.batch, group);
    group_service_write(service, stored->group_id, &stored->write);
}

static void on_join_done(void *context, void *ticket, const struct group_joined *joined)
{
    (void)context;
    api_join_group_reply(ticket, joined);
}

static void on_sync_done(void *context, void *ticket, const struct group_synced *synced)
{
    (void)context;
    api_sync_group_reply(ticket, synced);
}

/* ---- time ---- */

static void on_tick(struct delay *delay)
{
    struct group_service *service = CONTAINER_OF(delay, struct group_service, tick);
    service->tick_at_ms = UINT64_MAX;
    group_coordinator_tick(&service->coordinator, group_service_now(service));
    group_service_arm(service);
}

void group_service_arm(struct group_service *service)
{
    const uint64_t next_ms = group_coordinator_next_ms(&service->coordinator);
    const uint64_t now_ms = io_now_ns(service->server->io) / ns_per_ms;
    if (next_ms >= service->tick_at_ms)
        return; /* The tick comes early enough, and arms anew. */
    service->tick_at_ms = next_ms;
    /* One more, for the part of a millisecond that was cut off. */
    delay_queue_add(&service->server->delays, &service->tick,
                    next_ms > now_ms ? next_ms - now_ms + 1 : 0);
}

/* ---- expiry ---- */

static void on_tombstones_written(struct group_write *write, enum error_code code)
{
    if (code != KAFKA_NONE)
        diag_warn(write->service->server->diag, "old offsets were not removed from the log: %s",
                  error_code_name(code));
    heap_give(write->service->server->heap, write);
}

/* A write for tombstones that nobody waits for; NULL: no memory. */
static struct group_write *new_tombstones(struct group_service *service)
{
    struct heap *heap = service->server->heap;
    struct group_write *write = heap_take_zeroed(heap, sizeof *write);
    if (write == NULL)
        return NULL;
    write->done = on_tombstones_written;
    group_batch_init(&write->batch, heap, io_wall_ms(service->server->io));
    return write;
}

void group_service_forget(struct group_service *service, struct slice topic, int32_t partition)
{
    struct group_coordinator *coordinator = &service->coordinator;
    list_each (link, &coordinator->all) {
        struct group *group = CONTAINER_OF(link, struct group, link);
        struct group_offset *offset = group_offsets_find(coordinator, group, topic, partition);
        if (offset == NULL)
            continue;
        struct group_write *write = new_tombstones(service);
        if (write != NULL) {
            group_batch_add_offset(&write->batch, group->id, topic, partition, NULL);
            group_service_write(service, group->id, write);
        }
        group_offsets_remove(coordinator, offset);
    }
}

/* Forgets what is too old; the tombstones tell the log. A failed write is repaired by the next
 * load, which finds the offsets old again. */
static void expire_group(struct group_service *service, struct group *group, int64_t retention_ms)
{
    struct group_coordinator *coordinator = &service->coordinator;
    const int64_t now_ms = io_wall_ms(service->server->io);
    uint32_t count = 0;
    struct group_write *write = new_tombstones(service);
    if (write == NULL)
        return;
    list_each_safe (link, after, &group->offsets) {
        struct group_offset *offset = CONTAINER_OF(link, struct group_offset, link);
        if (count == expired_count_max || !group_offsets_is_expired(offset, retention_ms, now_ms))
            continue;
        group_batch_add_offset(&write->batch, group->id, offset->topic, offset->partition, NULL);
        group_offsets_remove(coordinator, offset);
        count++;
    }
    const bool is_over =
        group->state == GROUP_EMPTY && group->offset_count == 0 && group->pending_count == 0;
    if (is_over && group->generation > 0)
        group_batch_add_group_tombstone(&write->batch, group->id);
    if (count > 0 || (is_over && group->generation > 0)) {
        group_service_write(service, group->id, write);
    } else {
        group_batch_deinit(&write->batch);
        heap_give(service->server->heap, write);
    }
    if (is_over)
        group_coordinator_drop(coordinator, group, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static bool has_something_to_expire(const struct group *group, int64_t retention_ms, int64_t now_ms)
{
    list_each (link, &group->offsets) {
        if (group_offsets_is_expired(CONTAINER_OF(link, struct group_offset, link), retention_ms,
                                     now_ms))
            return true;
    }
    return group->state == GROUP_EMPTY && group->offset_count == 0 && group->pending_count == 0;
}

static void on_expiry(struct delay *delay)
{
    struct group_service *service = CONTAINER_OF(delay, struct group_service, expiry);
    const struct broker_config *config = service->server->config;
    const int64_t retention_ms = config->offsets_retention_minutes * 60000;
    const int64_t now_ms = io_wall_ms(service->server->io);
    list_each_safe (link, after, &service->coordinator.all) {
        struct group *group = CONTAINER_OF(link, struct group, link);
        if (group_service_check(service, group->id, false) == KAFKA_NONE &&
            has_something_to_expire(group, retention_ms, now_ms))
            expire_group(service, group, retention_ms);
    }
    delay_queue_add(&service->server->delays, &service->expiry,
                    (uint64_t)config->offsets_retention_check_ms);
}

/* ---- life ---- */

enum err group_service_init(struct group_service *service, struct broker_server *server)
{
    const struct broker_config *config = server->config;
    const struct group_coordinator_options options = {
        .session_timeout_ms_min = (int32_t)config->group_session_timeout_ms_min,
        .session_timeout_ms_max = (int32_t)config->group_session_timeout_ms_max,
        .initial_rebalance_delay_ms = (int32_t)config->group_initial_rebalance_delay_ms,
        .member_count_max = (uint32_t)config->group_member_count_max,
        .hash_seed = server->hash_seed};
    const struct group_effects effects = {.context = service,
                                          .join_done = on_join_done,
                                          .sync_done = on_sync_done,
                                          .store = on_store};
    *service = (struct group_service){.server = server, .tick_at_ms = UINT64_MAX};
    service->tick.expired = on_tick;
    service->expiry.expired = on_expiry;
    group_loader_init(&service->loader, service);
    return group_coordinator_init(&service->coordinator, server->heap, options, effects);
}

void group_service_start(struct group_service *service)
{
    delay_queue_add(&service->server->delays, &service->expiry,
                    (uint64_t)service->server->config->offsets_retention_check_ms);
    group_service_arm(service);
}

void group_service_deinit(struct group_service *service)
{
    if (service->server == NULL)
        return;
    struct heap *heap = service->server->heap;
    group_coordinator_deinit(&service->coordinator);
    group_loader_deinit(&service->loader);
    for (uint32_t i = 0; i < service->home_count; i++)
        heap_give(heap, service->homes[i]);
    heap_give(heap, service->homes);
}
