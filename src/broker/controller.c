#include "broker/controller.h"

enum err controller_init(struct controller *controller, struct heap *heap,
                         struct controller_options options)
{
    *controller = (struct controller){
        .heap = heap,
        .hash_seed = options.hash_seed,
        .broker_id = options.broker_id,
        .epoch = options.epoch,
    };
    list_init(&controller->brokers);
    list_init(&controller->topics);
    list_init(&controller->to_write);
    list_init(&controller->changed);
    return hash_table_init(&controller->topics_by_name, heap);
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

static bool is_live(const struct controller *controller, int32_t id)
{
    return controller_find_broker(controller, id) != NULL;
}

static struct slice put_text(uint8_t **place, struct slice text)
{
    if (text.data == NULL)
        return text;
    const struct slice copy = slice_of(*place, text.size);
    memcpy(*place, text.data, text.size);
    *place += text.size;
    return copy;
}

static size_t record_size(const struct broker_record *record)
{
    size_t size = record->rack.size + record->endpoint_count * sizeof *record->endpoints;
    for (uint32_t index = 0; index < record->endpoint_count; index++)
        size += record->endpoints[index].host.size + record->endpoints[index].listener.size;
    return size;
}

/* A copy whose endpoints stand at endpoints and whose texts go to *place. */
static struct broker_record copy_record(const struct broker_record *record,
                                        struct broker_endpoint *endpoints, uint8_t **place)
{
    struct broker_record copy = *record;
    copy.endpoints = endpoints;
    copy.rack = put_text(place, record->rack);
    for (uint32_t index = 0; index < record->endpoint_count; index++) {
        endpoints[index] = record->endpoints[index];
        endpoints[index].listener = put_text(place, record->endpoints[index].listener);
        endpoints[index].host = put_text(place, record->endpoints[index].host);
    }
    return copy;
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

enum err controller_set_broker(struct controller *controller, const struct broker_record *record,
                               struct controller_broker **out)
{
    struct controller_broker *broker =
        heap_take_zeroed(controller->heap, sizeof *broker + record_size(record));
    if (broker == NULL)
        return ERR_NO_MEMORY;
    struct broker_endpoint *endpoints = (struct broker_endpoint *)(broker + 1);
    uint8_t *place = (uint8_t *)(endpoints + record->endpoint_count);
    broker->record = copy_record(record, endpoints, &place);
    broker->is_new = true;
    struct controller_broker *earlier = controller_find_broker(controller, record->id);
    if (earlier != NULL) {
        broker->user = earlier->user;
        broker->is_new = earlier->is_new || earlier->record.epoch != record->epoch;
        controller_remove_broker(controller, earlier);
    }
    insert_by_id(controller, broker);
    *out = broker;
    return ERR_OK;
}

void controller_remove_broker(struct controller *controller, struct controller_broker *broker)
{
    list_remove(&broker->link);
    controller->broker_count--;
    heap_give(controller->heap, broker);
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

static void drop_partition(struct controller *controller, struct controller_partition *partition)
{
    if (partition == NULL)
        return;
    list_remove(&partition->link);
    heap_give(controller->heap, partition->replicas);
    heap_give(controller->heap, partition);
}

void controller_remove_topic(struct controller *controller, struct controller_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        drop_partition(controller, topic->partitions[index]);
    hash_table_remove(&controller->topics_by_name, &topic->by_name);
    list_remove(&topic->link);
    controller->topic_count--;
    heap_give(controller->heap, topic->partitions);
    heap_give(controller->heap, topic);
}

static struct controller_topic *add_topic(struct controller *controller, struct slice name)
{
    struct controller_topic *topic = heap_take_zeroed(controller->heap, sizeof *topic + name.size);
    if (topic == NULL)
        return NULL;
    memcpy(topic + 1, name.data, name.size);
    topic->name = slice_of(topic + 1, name.size);
    hash_table_add(&controller->topics_by_name, &topic->by_name,
                   hash_bytes(name, controller->hash_seed));
    list_push(&controller->topics, &topic->link);
    controller->topic_count++;
    return topic;
}

static bool set_replicas(struct controller *controller, struct controller_partition *partition,
                         const struct znode_replicas *replicas)
{
    if (partition->replica_count == replicas->count &&
        (replicas->count == 0 ||
         memcmp(partition->replicas, replicas->ids, replicas->count * sizeof(int32_t)) == 0))
        return true;
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

static bool grow(struct controller *controller, struct controller_topic *topic, uint32_t count)
{
    if (count <= topic->partition_count)
        return true;
    struct controller_partition **partitions =
        heap_resize(controller->heap, topic->partitions, count * sizeof *partitions);
    if (partitions == NULL)
        return false;
    topic->partitions = partitions;
    for (; topic->partition_count < count; topic->partition_count++) {
        struct controller_partition *partition =
            heap_take_zeroed(controller->heap, sizeof *partition);
        if (partition == NULL)
            return false;
        *partition = (struct controller_partition){
            .topic = topic,
            .index = (int32_t)topic->partition_count,
            .leader = control_leader_none,
            .leader_epoch = -1,
            .partition_epoch = -1,
            .is_new = true,
        };
        list_init(&partition->link);
        partitions[topic->partition_count] = partition;
    }
    return true;
}

enum err controller_set_topic(struct controller *controller, struct slice name,
                              const struct znode_topic *znode, int32_t znode_version,
                              struct controller_topic **out)
{
    struct controller_topic *topic = controller_find_topic(controller, name);
    if (topic == NULL)
        topic = add_topic(controller, name);
    if (topic == NULL || !grow(controller, topic, znode->partition_count))
        return ERR_NO_MEMORY;
    topic->id = znode->id;
    topic->znode_version = znode_version;
    topic->has_reassignment = false;
    for (uint32_t index = 0; index < znode->partition_count; index++) {
        if (!set_replicas(controller, topic->partitions[index], &znode->partitions[index]))
            return ERR_NO_MEMORY;
        topic->has_reassignment |= znode->adding[index].count + znode->removing[index].count > 0;
    }
    *out = topic;
    return ERR_OK;
}

static void move_to(struct list *list, struct controller_partition *partition)
{
    list_remove(&partition->link);
    list_push(list, &partition->link);
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
    if (partition->replica_count == 0)
        return ERR_OK;
    if (!set_isr(controller, partition, state->isr, state->isr_count))
        return ERR_NO_MEMORY;
    partition->leader = state->leader;
    partition->leader_epoch = state->leader_epoch;
    partition->controller_epoch = state->controller_epoch;
    partition->partition_epoch = state->partition_epoch;
    partition->is_recovering = state->is_recovering;
    partition->is_writing = false;
    move_to(&controller->changed, partition);
    return ERR_OK;
}

/* ---- decisions ---- */

static uint32_t live_members(const struct controller *controller, const int32_t *ids,
                             uint32_t count, int32_t *live)
{
    uint32_t live_count = 0;
    for (uint32_t index = 0; index < count && live_count < control_replica_count_max; index++)
        if (is_live(controller, ids[index]))
            live[live_count++] = ids[index];
    return live_count;
}

static bool is_member(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t index = 0; index < count; index++)
        if (ids[index] == id)
            return true;
    return false;
}

/* The first live replica, in the order of assignment, that is in the ISR; or nobody. */
static int32_t elect(const struct controller *controller,
                     const struct controller_partition *partition)
{
    for (uint32_t index = 0; index < partition->replica_count; index++) {
        const int32_t id = partition->replicas[index];
        if (is_live(controller, id) && is_member(partition->isr, partition->isr_count, id))
            return id;
    }
    return control_leader_none;
}

static bool needs_write(const struct controller *controller,
                        const struct controller_partition *partition)
{
    int32_t live[control_replica_count_max];
    if (partition->replica_count == 0 || partition->is_writing ||
        partition->topic->deletion != CONTROLLER_KEPT)
        return false;
    if (partition->partition_epoch < 0)
        return live_members(controller, partition->replicas, partition->replica_count, live) > 0;
    if (!is_live(controller, partition->leader))
        return partition->leader != elect(controller, partition);
    const uint32_t live_count =
        live_members(controller, partition->isr, partition->isr_count, live);
    return live_count > 0 && live_count < partition->isr_count;
}

void controller_decide(struct controller *controller)
{
    list_each (link, &controller->topics) {
        struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        for (uint32_t index = 0; index < topic->partition_count; index++)
            if (needs_write(controller, topic->partitions[index]))
                move_to(&controller->to_write, topic->partitions[index]);
    }
}

/* The first state: the first live replica leads, all live ones are in sync. */
static void decide_first(const struct controller *controller, struct controller_write *write)
{
    const struct controller_partition *partition = write->partition;
    write->is_first = true;
    write->state.isr_count =
        live_members(controller, partition->replicas, partition->replica_count, write->isr);
    write->state.leader = write->isr[0];
    write->state.leader_epoch = 0;
}

static void decide_next(const struct controller *controller, struct controller_write *write)
{
    const struct controller_partition *partition = write->partition;
    const bool keeps_leader = is_live(controller, partition->leader);
    write->state.leader = keeps_leader ? partition->leader : elect(controller, partition);
    write->state.leader_epoch = partition->leader_epoch + 1;
    write->state.is_recovering = partition->is_recovering;
    write->state.isr_count =
        live_members(controller, partition->isr, partition->isr_count, write->isr);
    if (write->state.isr_count == 0) {
        /* Nobody in sync lives: the set is kept, so that one of it may lead again. */
        write->state.isr_count = (uint32_t)min_u64(partition->isr_count, control_replica_count_max);
        memcpy(write->isr, partition->isr, write->state.isr_count * sizeof *write->isr);
    }
}

bool controller_next_write(struct controller *controller, struct controller_write *write)
{
    while (!list_empty(&controller->to_write)) {
        struct controller_partition *partition =
            CONTAINER_OF(list_pop(&controller->to_write), struct controller_partition, link);
        if (!needs_write(controller, partition))
            continue; /* The world has changed since. */
        *write = (struct controller_write){.partition = partition};
        write->state = (struct partition_state){
            .topic = partition->topic->name,
            .topic_id = partition->topic->id,
            .index = partition->index,
            .controller_epoch = controller->epoch,
            .partition_epoch = partition->partition_epoch,
        };
        if (partition->partition_epoch < 0)
            decide_first(controller, write);
        else
            decide_next(controller, write);
        write->state.isr = write->isr;
        partition->is_writing = true;
        return true;
    }
    return false;
}

void controller_written(struct controller *controller, const struct controller_write *write,
                        int32_t partition_epoch)
{
    struct controller_partition *partition = write->partition;
    assert(partition->is_writing);
    assert(write->state.isr_count <= max_u64(partition->replica_count, partition->isr_count));
    memcpy(partition->isr, write->isr, write->state.isr_count * sizeof *write->isr);
    partition->isr_count = write->state.isr_count;
    partition->leader = write->state.leader;
    partition->leader_epoch = write->state.leader_epoch;
    partition->controller_epoch = write->state.controller_epoch;
    partition->partition_epoch = partition_epoch;
    partition->is_writing = false;
    move_to(&controller->changed, partition);
}

void controller_not_written(struct controller *controller, struct controller_partition *partition)
{
    (void)controller;
    partition->is_writing = false;
}

/* ---- messages ---- */

static bool is_for(const struct controller_message_options *options,
                   const struct controller_partition *partition)
{
    if (partition->replica_count == 0)
        return false;
    if (options->kind == CONTROL_UPDATE_METADATA)
        return options->scope == CONTROLLER_TOPIC || partition->partition_epoch >= 0;
    if (options->kind == CONTROL_LEADER_AND_ISR && partition->partition_epoch < 0)
        return false;
    return is_member(partition->replicas, partition->replica_count, options->broker->record.id);
}

/* Walks the partitions of a message twice: first to measure, then to fill. */
struct filling {
    const struct controller_message_options *options;
    struct control_message *message; /* NULL: measuring. */
    const struct controller_topic *topic_last;
    struct slice name_last; /* Of topic_last, in the message. */
    int32_t *ids;
    uint8_t *texts;
    uint32_t partition_count;
    size_t id_count;
    size_t text_size;
};

static const int32_t *put_ids(struct filling *filling, const int32_t *ids, uint32_t count)
{
    int32_t *place = filling->ids;
    if (count > 0)
        memcpy(place, ids, count * sizeof *ids);
    filling->ids += count;
    return place;
}

static void put_partition(struct filling *filling, const struct controller_partition *partition)
{
    const struct controller_topic *topic = partition->topic;
    const bool is_deleted = filling->options->scope == CONTROLLER_TOPIC;
    const uint32_t index = filling->message->partition_count++;
    if (filling->topic_last != topic)
        filling->name_last = put_text(&filling->texts, topic->name);
    filling->topic_last = topic;
    filling->message->partitions[index] = (struct partition_state){
        .topic = filling->name_last,
        .topic_id = topic->id,
        .index = partition->index,
        .leader = is_deleted ? control_leader_deleted : partition->leader,
        .leader_epoch = is_deleted ? control_leader_epoch_deleted : partition->leader_epoch,
        .controller_epoch = partition->controller_epoch,
        .partition_epoch = partition->partition_epoch,
        .replica_count = partition->replica_count,
        .isr_count = partition->isr_count,
        .replicas = put_ids(filling, partition->replicas, partition->replica_count),
        .isr = put_ids(filling, partition->isr, partition->isr_count),
        .is_new = partition->is_new,
        .is_recovering = partition->is_recovering,
    };
    filling->message->delete_partition[index] = is_deleted;
}

static void visit(struct filling *filling, const struct controller_partition *partition)
{
    if (!is_for(filling->options, partition))
        return;
    if (filling->message != NULL) {
        put_partition(filling, partition);
        return;
    }
    filling->partition_count++;
    filling->id_count += partition->replica_count + partition->isr_count;
    filling->text_size += filling->topic_last == partition->topic ? 0 : partition->topic->name.size;
    filling->topic_last = partition->topic;
}

static void visit_topic(struct filling *filling, const struct controller_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        visit(filling, topic->partitions[index]);
}

static void visit_all(struct filling *filling, const struct controller *controller)
{
    switch (filling->options->scope) {
    case CONTROLLER_CHANGED:
        list_each (link, &controller->changed)
            visit(filling, CONTAINER_OF(link, struct controller_partition, link));
        return;
    case CONTROLLER_ALL:
        list_each (link, &controller->topics) {
            const struct controller_topic *topic =
                CONTAINER_OF(link, struct controller_topic, link);
            if (topic->deletion == CONTROLLER_KEPT)
                visit_topic(filling, topic);
        }
        return;
    case CONTROLLER_TOPIC: visit_topic(filling, filling->options->topic); return;
    }
}

static size_t brokers_size(const struct controller *controller)
{
    size_t size = 0;
    list_each (link, &controller->brokers)
        size += record_size(&CONTAINER_OF(link, struct controller_broker, link)->record);
    return size;
}

/* Endpoints of all brokers stand behind the records, texts behind everything. */
static void put_brokers(const struct controller *controller, struct control_message *message,
                        struct broker_record *records, uint8_t **texts)
{
    struct broker_endpoint *endpoints =
        (struct broker_endpoint *)(records + controller->broker_count);
    message->brokers = records;
    list_each (link, &controller->brokers) {
        const struct controller_broker *broker = CONTAINER_OF(link, struct controller_broker, link);
        records[message->broker_count++] = copy_record(&broker->record, endpoints, texts);
        endpoints += broker->record.endpoint_count;
    }
}

static size_t endpoint_count_of(const struct controller *controller)
{
    size_t count = 0;
    list_each (link, &controller->brokers)
        count += CONTAINER_OF(link, struct controller_broker, link)->record.endpoint_count;
    return count;
}

struct controller_envelope *controller_message(const struct controller *controller,
                                               struct controller_message_options options)
{
    struct filling filling = {.options = &options};
    visit_all(&filling, controller);
    const size_t records_size = controller->broker_count * sizeof(struct broker_record) +
                                endpoint_count_of(controller) * sizeof(struct broker_endpoint);
    const size_t states_size = filling.partition_count * sizeof(struct partition_state);
    const size_t size = sizeof(struct controller_envelope) + records_size + states_size +
                        filling.id_count * sizeof(int32_t) + filling.partition_count +
                        brokers_size(controller) + filling.text_size;
    struct controller_envelope *envelope = heap_take_zeroed(controller->heap, size);
    if (envelope == NULL)
        return NULL;

    struct control_message *message = &envelope->message;
    list_init(&envelope->link);
    struct broker_record *records = (struct broker_record *)(envelope + 1);
    message->kind = options.kind;
    message->controller_id = controller->broker_id;
    message->controller_epoch = controller->epoch;
    message->broker_epoch = options.broker->record.epoch;
    message->partitions = (struct partition_state *)(void *)((uint8_t *)records + records_size);
    filling.ids = (int32_t *)(void *)((uint8_t *)message->partitions + states_size);
    message->delete_partition = (bool *)(filling.ids + filling.id_count);
    filling.texts = (uint8_t *)message->delete_partition + filling.partition_count;
    filling.message = message;
    filling.topic_last = NULL;
    put_brokers(controller, message, records, &filling.texts);
    visit_all(&filling, controller);
    assert(filling.texts <= (uint8_t *)envelope + size);
    return envelope;
}

void controller_forget_changes(struct controller *controller)
{
    while (!list_empty(&controller->changed)) {
        struct controller_partition *partition =
            CONTAINER_OF(list_pop(&controller->changed), struct controller_partition, link);
        partition->is_new = false;
    }
    list_each (link, &controller->brokers)
        CONTAINER_OF(link, struct controller_broker, link)->is_new = false;
}
