#include "broker/controller.h"

enum err controller_init(struct controller *controller, struct heap *heap,
                         struct controller_options options)
{
    *controller = (struct controller){
        .heap = heap,
        .hash_seed = options.hash_seed,
        .broker_id = options.broker_id,
        .epoch = options.epoch,
        .change = 1,
        .brokers_changed_at = 1,
    };
    list_init(&controller->brokers);
    list_init(&controller->topics);
    list_init(&controller->topics_by_change);
    list_init(&controller->to_write);
    list_init(&controller->stopping);
    list_init(&controller->to_ask);
    enum err err = hash_table_init(&controller->topics_by_name, heap);
    if (err == ERR_OK)
        err = hash_table_init(&controller->topics_by_id, heap);
    return err;
}

void controller_deinit(struct controller *controller)
{
    if (controller->heap == NULL)
        return;
    while (!list_empty(&controller->topics))
        controller_remove_topic(controller, CONTAINER_OF(list_first(&controller->topics),
                                                         struct controller_topic, link));
    while (!list_empty(&controller->brokers))
        controller_remove_broker(controller, CONTAINER_OF(list_first(&controller->brokers),
                                                          struct controller_broker, link));
    hash_table_deinit(&controller->topics_by_name);
    hash_table_deinit(&controller->topics_by_id);
    controller->heap = NULL;
}

/* ---- facts: brokers ---- */

struct controller_broker *controller_find_broker(const struct controller *controller, int32_t id)
{
    list_each (link, &controller->brokers) {
        struct controller_broker *broker = CONTAINER_OF(link, struct controller_broker, link);
        if (broker->record.id == id)
            return broker;
    }
    return NULL;
}

static void insert_by_id(struct controller *controller, struct controller_broker *broker)
{
    struct list *place = &controller->brokers;
    list_each (link, &controller->brokers) {
        if (CONTAINER_OF(link, struct controller_broker, link)->record.id > broker->record.id)
            break;
        place = link;
    }
    list_insert_after(place, &broker->link);
    controller->broker_count++;
}

/* A replica that could not be deleted gets another chance. */
static void retry_stops(struct controller *controller, int32_t broker_id)
{
    list_each (link, &controller->stopping) {
        struct controller_partition *partition =
            CONTAINER_OF(link, struct controller_partition, stopping);
        for (uint32_t index = 0; index < partition->stop_count; index++)
            if (partition->stops[index].broker_id == broker_id)
                partition->stops[index].has_failed = false;
    }
}

enum err controller_set_broker(struct controller *controller, const struct broker_record *record,
                               struct controller_broker **out)
{
    struct controller_broker *broker =
        heap_take_zeroed(controller->heap, sizeof *broker + control_message_record_size(record));
    if (broker == NULL)
        return ERR_NO_MEMORY;
    struct broker_endpoint *endpoints = (struct broker_endpoint *)(broker + 1);
    uint8_t *place = (uint8_t *)(endpoints + record->endpoint_count);
    broker->record = control_message_copy_record(record, endpoints, &place);
    controller->brokers_changed_at = ++controller->change;
    broker->joined_at = controller->change;
    struct controller_broker *earlier = controller_find_broker(controller, record->id);
    if (earlier != NULL) {
        assert(earlier->record.epoch == record->epoch);
        broker->is_shutting_down = earlier->is_shutting_down;
        broker->repeats_orders = earlier->repeats_orders;
        broker->joined_at = earlier->joined_at;
        broker->brokers_told = earlier->brokers_told;
        broker->orders_told = earlier->orders_told;
        broker->metadata_told = earlier->metadata_told;
        broker->user = earlier->user;
        list_remove(&earlier->link);
        controller->broker_count--;
        heap_give(controller->heap, earlier);
    } else {
        controller->is_due = true;
        retry_stops(controller, record->id);
    }
    insert_by_id(controller, broker);
    *out = broker;
    return ERR_OK;
}

/* Its log directories are taken for whole when it comes again. */
static void forget_offline(struct controller *controller, int32_t broker_id)
{
    list_each (link, &controller->topics) {
        struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        for (uint32_t index = 0; index < topic->partition_count; index++) {
            struct controller_partition *partition = topic->partitions[index];
            if (partition->offline != 0)
                partition->offline &= ~controller_replica_bit(partition, broker_id);
            if (partition->left_by == broker_id)
                partition->left_by = control_leader_none;
            controller_drop_stops(controller, partition);
        }
    }
}

/* What it leads it leads on, when it comes back before somebody else was found, in another leader
 * epoch: it may have lost what it had not synced and others had copied. */
static void end_epochs(struct controller *controller, int32_t id)
{
    list_each (link, &controller->topics) {
        const struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        for (uint32_t index = 0; index < topic->partition_count; index++)
            if (topic->partitions[index]->leader == id &&
                topic->partitions[index]->replica_count > 1)
                topic->partitions[index]->wants |= CONTROLLER_WANT_EPOCH;
    }
}

void controller_remove_broker(struct controller *controller, struct controller_broker *broker)
{
    const int32_t id = broker->record.id;
    list_remove(&broker->link);
    controller->broker_count--;
    heap_give(controller->heap, broker);
    controller->brokers_changed_at = ++controller->change;
    controller->is_due = true;
    forget_offline(controller, id);
    end_epochs(controller, id);
}

/* ---- facts: topics ---- */

static bool has_name(const struct hash_link *link, const void *key)
{
    return slice_equal(CONTAINER_OF(link, struct controller_topic, by_name)->name,
                       *(const struct slice *)key);
}

struct controller_topic *controller_find_topic(const struct controller *controller,
                                               struct slice name)
{
    struct hash_link *link = hash_table_find(
        &controller->topics_by_name, hash_bytes(name, controller->hash_seed), has_name, &name);
    return link == NULL ? NULL : CONTAINER_OF(link, struct controller_topic, by_name);
}

static bool has_id(const struct hash_link *link, const void *key)
{
    return uuid_equal(CONTAINER_OF(link, struct controller_topic, by_id)->id,
                      *(const struct uuid *)key);
}

static uint64_t hash_of_id(const struct controller *controller, struct uuid id)
{
    return hash_bytes(slice_of(id.bytes, sizeof id.bytes), controller->hash_seed);
}

struct controller_topic *controller_find_topic_by_id(const struct controller *controller,
                                                     struct uuid id)
{
    struct hash_link *link =
        hash_table_find(&controller->topics_by_id, hash_of_id(controller, id), has_id, &id);
    return link == NULL ? NULL : CONTAINER_OF(link, struct controller_topic, by_id);
}

struct controller_partition *controller_find_partition(const struct controller_topic *topic,
                                                       int32_t index)
{
    if (topic == NULL || index < 0 || (uint32_t)index >= topic->partition_count ||
        topic->partitions[index]->replica_count == 0)
        return NULL;
    return topic->partitions[index];
}

static void set_move(struct controller *controller, struct controller_partition *partition,
                     enum controller_move move)
{
    controller->moving_count -= partition->move != CONTROLLER_STAYS;
    controller->moving_count += move != CONTROLLER_STAYS;
    partition->move = move;
}

static void drop_partition(struct controller *controller, struct controller_partition *partition)
{
    set_move(controller, partition, CONTROLLER_STAYS);
    list_remove(&partition->to_write);
    list_remove(&partition->stopping);
    heap_give(controller->heap, partition->stops);
    heap_give(controller->heap, partition->replicas);
    heap_give(controller->heap, partition);
    controller->partition_count--;
}

void controller_remove_topic(struct controller *controller, struct controller_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        drop_partition(controller, topic->partitions[index]);
    hash_table_remove(&controller->topics_by_name, &topic->by_name);
    hash_table_remove(&controller->topics_by_id, &topic->by_id);
    list_remove(&topic->link);
    list_remove(&topic->by_change);
    list_remove(&topic->to_ask);
    controller->topic_count--;
    heap_give(controller->heap, topic->partitions);
    heap_give(controller->heap, topic);
}

static struct controller_topic *add_topic(struct controller *controller, struct slice name,
                                          struct uuid id)
{
    struct controller_topic *topic = heap_take_zeroed(controller->heap, sizeof *topic + name.size);
    if (topic == NULL)
        return NULL;
    memcpy(topic + 1, name.data, name.size);
    topic->name = slice_of(topic + 1, name.size);
    topic->id = id;
    list_init(&topic->to_ask);
    hash_table_add(&controller->topics_by_name, &topic->by_name,
                   hash_bytes(name, controller->hash_seed));
    hash_table_add(&controller->topics_by_id, &topic->by_id, hash_of_id(controller, id));
    list_push(&controller->topics, &topic->link);
    list_push(&controller->topics_by_change, &topic->by_change);
    controller->topic_count++;
    return topic;
}

static bool has_same_ids(const struct controller_partition *partition,
                         const struct znode_replicas *replicas)
{
    return partition->replica_count == replicas->count &&
           (replicas->count == 0 ||
            memcmp(partition->replicas, replicas->ids, replicas->count * sizeof(int32_t)) == 0);
}

static bool set_replicas(struct controller *controller, struct controller_partition *partition,
                         const struct znode_replicas *replicas)
{
    const size_t room = max_size(replicas->count, partition->isr_count);
    int32_t *block = heap_take(controller->heap, (replicas->count + room + 1) * sizeof *block);
    if (block == NULL)
        return false;
    if (replicas->count > 0)
        memcpy(block, replicas->ids, replicas->count * sizeof *block);
    if (partition->isr_count > 0)
        memcpy(block + replicas->count, partition->isr, partition->isr_count * sizeof *block);
    heap_give(controller->heap, partition->replicas);
    partition->replicas = block;
    partition->replica_count = replicas->count;
    partition->isr = block + replicas->count;
    return true;
}

/* The bits of some of the replicas. */
static uint64_t bits_of(const struct znode_replicas *replicas, const struct znode_replicas *some)
{
    uint64_t bits = 0;
    for (uint32_t index = 0; index < replicas->count; index++)
        if (controller_is_member(some->ids, some->count, replicas->ids[index]))
            bits |= UINT64_C(1) << index;
    return bits;
}

/* Replicas that an assignment no longer names; those that were moved away are stopped already. */
static bool stop_unneeded(struct controller *controller, struct controller_partition *partition,
                          const struct znode_replicas *replicas)
{
    for (uint32_t index = 0; index < partition->replica_count; index++) {
        const int32_t id = partition->replicas[index];
        if (!controller_is_replica(partition, id) || partition->partition_epoch < 0 ||
            controller_is_member(replicas->ids, replicas->count, id) ||
            controller_find_broker(controller, id) == NULL)
            continue;
        if (!controller_add_stop(controller, partition,
                                 (struct controller_stop){.broker_id = id, .deletes = true}))
            return false;
    }
    return true;
}

/* The offline bits in the order of other replicas. */
static uint64_t remap_offline(const struct controller_partition *partition,
                              const struct znode_replicas *replicas)
{
    uint64_t bits = 0;
    for (uint32_t index = 0; index < replicas->count; index++)
        if ((partition->offline & controller_replica_bit(partition, replicas->ids[index])) != 0)
            bits |= UINT64_C(1) << index;
    return bits;
}

/* A replica that is wanted again is not stopped any more. */
static void take_back_stops(struct controller *controller, struct controller_partition *partition)
{
    for (uint32_t index = 0; index < partition->stop_count; index++)
        if (controller_replica_bit(partition, partition->stops[index].broker_id) != 0)
            partition->stops[index].is_done = true;
    controller_drop_stops(controller, partition);
}

/* A finished reassignment is told to everybody, any other change needs another leader epoch. */
static bool set_assignment(struct controller *controller, struct controller_partition *partition,
                           const struct znode_topic *znode, uint32_t index)
{
    const struct znode_replicas *replicas = &znode->partitions[index];
    const uint64_t adding = bits_of(replicas, &znode->adding[index]);
    const uint64_t removing = bits_of(replicas, &znode->removing[index]);
    const bool is_same = has_same_ids(partition, replicas);
    if (is_same && adding == partition->adding && removing == partition->removing)
        return true;
    const bool has_arrived = partition->move == CONTROLLER_MOVED && (adding | removing) == 0;
    const bool is_known = partition->replica_count > 0;
    const uint64_t offline = remap_offline(partition, replicas);
    if (!is_same && (!stop_unneeded(controller, partition, replicas) ||
                     !set_replicas(controller, partition, replicas)))
        return false;
    partition->adding = adding;
    partition->removing = removing;
    partition->offline = offline;
    take_back_stops(controller, partition);
    set_move(controller, partition,
             (adding | removing) == 0 ? CONTROLLER_STAYS : CONTROLLER_MOVING);
    controller_mark_changed(controller, partition);
    partition->added_at = controller->change;
    if (!has_arrived && (is_known || (adding | removing) != 0))
        partition->wants |= CONTROLLER_WANT_EPOCH;
    return true;
}

static struct controller_partition *add_partition(struct controller *controller,
                                                  struct controller_topic *topic)
{
    struct controller_partition *partition = heap_take_zeroed(controller->heap, sizeof *partition);
    if (partition == NULL)
        return NULL;
    *partition = (struct controller_partition){
        .topic = topic,
        .index = (int32_t)topic->partition_count,
        .leader = control_leader_none,
        .leader_epoch = -1,
        .partition_epoch = -1,
        .left_by = control_leader_none,
    };
    list_init(&partition->to_write);
    list_init(&partition->stopping);
    controller->partition_count++;
    return partition;
}

static bool grow(struct controller *controller, struct controller_topic *topic, uint32_t count)
{
    if (count <= topic->partition_count)
        return true;
    struct controller_partition **partitions =
        heap_resize(controller->heap, topic->partitions, count * sizeof *partitions);
    if (partitions == NULL)
        return false;
    topic->partitions = partitions;
    while (topic->partition_count < count) {
        struct controller_partition *partition = add_partition(controller, topic);
        if (partition == NULL)
            return false;
        partitions[topic->partition_count++] = partition;
    }
    return true;
}

static void set_id(struct controller *controller, struct controller_topic *topic, struct uuid id)
{
    if (uuid_equal(topic->id, id))
        return;
    hash_table_remove(&controller->topics_by_id, &topic->by_id);
    topic->id = id;
    hash_table_add(&controller->topics_by_id, &topic->by_id, hash_of_id(controller, id));
}

static bool wants_write(const struct controller_partition *partition)
{
    return partition->replica_count > 0 && !partition->is_writing &&
           (partition->partition_epoch < 0 || partition->wants != 0);
}

/* False: no memory. */
static bool set_partitions(struct controller *controller, struct controller_topic *topic,
                           const struct znode_topic *znode)
{
    if (!grow(controller, topic, znode->partition_count))
        return false;
    topic->has_moved = false;
    for (uint32_t index = 0; index < znode->partition_count; index++) {
        struct controller_partition *partition = topic->partitions[index];
        if (!set_assignment(controller, partition, znode, index))
            return false;
        topic->has_moved |= partition->move == CONTROLLER_MOVED;
        if (wants_write(partition)) {
            list_remove(&partition->to_write);
            list_push(&controller->to_write, &partition->to_write);
        }
    }
    return true;
}

enum err controller_set_topic(struct controller *controller, struct slice name,
                              const struct znode_topic *znode, int32_t znode_version,
                              struct controller_topic **out)
{
    struct controller_topic *known = controller_find_topic(controller, name);
    struct controller_topic *topic = known != NULL ? known : add_topic(controller, name, znode->id);
    if (topic == NULL)
        return ERR_NO_MEMORY;
    if (!set_partitions(controller, topic, znode)) {
        if (known == NULL)
            controller_remove_topic(controller, topic);
        return ERR_NO_MEMORY;
    }
    set_id(controller, topic, znode->id);
    topic->znode_version = znode_version;
    *out = topic;
    return ERR_OK;
}

/* ---- facts: partitions ---- */

uint64_t controller_replica_bit(const struct controller_partition *partition, int32_t id)
{
    for (uint32_t index = 0; index < partition->replica_count; index++)
        if (partition->replicas[index] == id)
            return UINT64_C(1) << index;
    return 0;
}

bool controller_is_online(const struct controller *controller,
                          const struct controller_partition *partition, int32_t id)
{
    const struct controller_broker *broker = controller_find_broker(controller, id);
    return broker != NULL && !broker->is_shutting_down &&
           (partition->offline == 0 ||
            (partition->offline & controller_replica_bit(partition, id)) == 0);
}

/* The block has room for an ISR as long as the replicas, or as the one before. */
static bool set_isr(struct controller *controller, struct controller_partition *partition,
                    const int32_t *isr, uint32_t count)
{
    if (count > partition->replica_count && count > partition->isr_count) {
        int32_t *block =
            heap_take(controller->heap, (partition->replica_count + count + 1) * sizeof *block);
        if (block == NULL)
            return false;
        memcpy(block, partition->replicas, partition->replica_count * sizeof *block);
        heap_give(controller->heap, partition->replicas);
        partition->replicas = block;
        partition->isr = block + partition->replica_count;
    }
    if (count > 0)
        memcpy(partition->isr, isr, count * sizeof *isr);
    partition->isr_count = count;
    return true;
}

enum err controller_set_state(struct controller *controller, struct controller_partition *partition,
                              const struct partition_state *state)
{
    if (partition->replica_count == 0 || state->partition_epoch == partition->partition_epoch)
        return ERR_OK;
    if (!set_isr(controller, partition, state->isr, state->isr_count))
        return ERR_NO_MEMORY;
    const bool is_news =
        partition->partition_epoch < 0 || partition->leader_epoch != state->leader_epoch;
    partition->leader = state->leader;
    partition->leader_epoch = state->leader_epoch;
    partition->controller_epoch = state->controller_epoch;
    partition->partition_epoch = state->partition_epoch;
    partition->is_recovering = state->is_recovering;
    controller_mark_changed(controller, partition);
    if (is_news)
        controller_mark_ordered(controller, partition);
    list_remove(&partition->to_write); /* Whoever decides looks at it again. */
    list_push(&controller->to_write, &partition->to_write);
    return ERR_OK;
}

/* ---- changes ---- */

static void mark_topic(struct controller *controller, struct controller_topic *topic)
{
    topic->changed_at = controller->change;
    list_remove(&topic->by_change);
    list_push(&controller->topics_by_change, &topic->by_change);
}

void controller_mark_ordered(struct controller *controller, struct controller_partition *partition)
{
    controller_mark_changed(controller, partition);
    partition->ordered_at = controller->change;
    controller->orders_changed_at = controller->change;
}

void controller_mark_changed(struct controller *controller, struct controller_partition *partition)
{
    partition->changed_at = ++controller->change;
    controller->metadata_changed_at = controller->change;
    mark_topic(controller, partition->topic);
}

static struct controller_stop *find_stop(const struct controller_partition *partition, int32_t id)
{
    for (uint32_t index = 0; index < partition->stop_count; index++)
        if (partition->stops[index].broker_id == id)
            return &partition->stops[index];
    return NULL;
}

bool controller_add_stop(struct controller *controller, struct controller_partition *partition,
                         struct controller_stop stop)
{
    struct controller_stop *known = find_stop(partition, stop.broker_id);
    if (known != NULL && (known->deletes || !stop.deletes))
        return true;
    if (known == NULL) {
        struct controller_stop *stops = heap_resize(controller->heap, partition->stops,
                                                    (partition->stop_count + 1) * sizeof *stops);
        if (stops == NULL)
            return false;
        partition->stops = stops;
        known = &stops[partition->stop_count++];
    }
    *known = stop;
    list_remove(&partition->stopping);
    list_push(&controller->stopping, &partition->stopping);
    return true;
}

void controller_drop_stops(struct controller *controller, struct controller_partition *partition)
{
    if (partition->stop_count == 0 || partition->topic->deletion >= CONTROLLER_DELETION_STOPPING)
        return;
    uint32_t kept = 0;
    for (uint32_t index = 0; index < partition->stop_count; index++) {
        const struct controller_stop *stop = &partition->stops[index];
        if (!stop->is_done && controller_find_broker(controller, stop->broker_id) != NULL)
            partition->stops[kept++] = *stop;
    }
    partition->stop_count = kept;
    if (kept == 0)
        list_remove(&partition->stopping);
}
