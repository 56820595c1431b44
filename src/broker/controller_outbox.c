#include "broker/controller_outbox.h"

#include "broker/controller_decision.h"
#include "broker/kafka_error.h"

/* Walks the partitions of a message twice: first to measure, then to fill. */
struct filling {
    const struct controller *controller;
    const struct controller_broker *broker; /* The receiver. */
    enum control_message_kind kind;
    bool deletes;                    /* Which stops. */
    uint64_t since;                  /* Partitions that changed later. */
    struct control_message *message; /* NULL: measuring. */
    const struct controller_topic *topic_last;
    struct slice name_last; /* Of topic_last, in the message. */
    int32_t *ids;
    uint8_t *texts;
    uint32_t partition_count;
    size_t id_count;
    size_t text_size;
};

/* ---- which partitions ---- */

static bool needs_order(const struct filling *filling, const struct controller_partition *partition)
{
    const int32_t id = filling->broker->record.id;
    if (partition->ordered_at <= filling->since || partition->partition_epoch < 0 ||
        partition->is_held || partition->topic->deletion >= CONTROLLER_DELETION_STOPPING ||
        !controller_is_replica(partition, id))
        return false;
    /* While it shuts down it hears that others lead what it led; what it followed is stopped. */
    return !filling->broker->is_shutting_down || partition->left_by == id;
}

static bool needs_metadata(const struct filling *filling,
                           const struct controller_partition *partition)
{
    return partition->changed_at > filling->since && partition->replica_count > 0 &&
           ((partition->partition_epoch >= 0 && !partition->is_held) ||
            partition->topic->deletion >= CONTROLLER_DELETION_STOPPING);
}

static struct controller_stop *find_stop(const struct controller_partition *partition,
                                         const struct controller_broker *broker)
{
    for (uint32_t index = 0; index < partition->stop_count; index++) {
        struct controller_stop *stop = &partition->stops[index];
        if (stop->broker_id == broker->record.id && !stop->is_done && !stop->has_failed)
            return stop;
    }
    return NULL;
}

static bool needs_stop(const struct filling *filling, const struct controller_partition *partition)
{
    const struct controller_stop *stop = find_stop(partition, filling->broker);
    return stop != NULL && stop->deletes == filling->deletes;
}

static bool belongs(const struct filling *filling, const struct controller_partition *partition)
{
    switch (filling->kind) {
    case CONTROL_LEADER_AND_ISR: return needs_order(filling, partition);
    case CONTROL_UPDATE_METADATA: return needs_metadata(filling, partition);
    case CONTROL_STOP_REPLICA: return needs_stop(filling, partition);
    }
    return false;
}

/* ---- filling ---- */

static const int32_t *put_ids(struct filling *filling, const int32_t *ids, uint32_t count)
{
    int32_t *place = filling->ids;
    if (count > 0)
        memcpy(place, ids, count * sizeof *ids);
    filling->ids += count;
    return place;
}

/* The replicas whose bit is set. */
static const int32_t *put_some(struct filling *filling,
                               const struct controller_partition *partition, uint64_t bits,
                               uint32_t *count)
{
    int32_t *place = filling->ids;
    *count = 0;
    for (uint32_t index = 0; bits != 0 && index < partition->replica_count; index++)
        if ((bits >> index & 1) != 0)
            place[(*count)++] = partition->replicas[index];
    filling->ids += *count;
    return place;
}

static uint64_t all_bits(const struct controller_partition *partition)
{
    return partition->replica_count == 64 ? UINT64_MAX
                                          : (UINT64_C(1) << partition->replica_count) - 1;
}

static uint64_t offline_bits(const struct controller *controller,
                             const struct controller_partition *partition)
{
    uint64_t bits = 0;
    for (uint32_t index = 0; index < partition->replica_count; index++)
        if (!controller_is_online(controller, partition, partition->replicas[index]))
            bits |= UINT64_C(1) << index;
    return bits;
}

/* A broker that has not heard of the replica since it was made: it may choose any log directory. */
static bool is_new_for(const struct controller_broker *broker,
                       const struct controller_partition *partition)
{
    const uint64_t known = max_u64(broker->joined_at, broker->orders_told);
    const uint64_t bit = controller_replica_bit(partition, broker->record.id);
    return partition->created_at > known ||
           ((partition->adding & bit) != 0 && partition->added_at > known);
}

static void put_members(struct filling *filling, const struct controller_partition *partition,
                        struct partition_state *state)
{
    const bool has_moved = partition->move == CONTROLLER_MOVED;
    const uint64_t all = all_bits(partition) & (has_moved ? ~partition->removing : UINT64_MAX);
    state->replicas = put_some(filling, partition, all, &state->replica_count);
    state->isr = put_ids(filling, partition->isr, partition->isr_count);
    state->isr_count = partition->isr_count;
    if (!has_moved) {
        state->adding = put_some(filling, partition, partition->adding, &state->adding_count);
        state->removing = put_some(filling, partition, partition->removing, &state->removing_count);
    }
    if (filling->kind == CONTROL_UPDATE_METADATA)
        state->offline =
            put_some(filling, partition, all & offline_bits(filling->controller, partition),
                     &state->offline_count);
}

static void put_partition(struct filling *filling, const struct controller_partition *partition)
{
    const struct controller_topic *topic = partition->topic;
    const bool is_deleted = topic->deletion >= CONTROLLER_DELETION_STOPPING;
    const uint32_t index = filling->message->partition_count++;
    if (filling->topic_last != topic)
        filling->name_last = control_message_put_text(topic->name, &filling->texts);
    filling->topic_last = topic;
    struct partition_state *state = &filling->message->partitions[index];
    *state = (struct partition_state){
        .topic = filling->name_last,
        .topic_id = topic->id,
        .index = partition->index,
        .leader = is_deleted ? control_leader_deleted : partition->leader,
        .leader_epoch = is_deleted ? control_leader_epoch_deleted : partition->leader_epoch,
        .controller_epoch = partition->controller_epoch,
        .partition_epoch = partition->partition_epoch,
        .is_new = is_new_for(filling->broker, partition),
        .is_recovering = partition->is_recovering,
    };
    put_members(filling, partition, state);
    filling->message->delete_partition[index] = filling->deletes;
}

static void visit(struct filling *filling, const struct controller_partition *partition)
{
    if (!belongs(filling, partition))
        return;
    if (filling->message != NULL) {
        put_partition(filling, partition);
        return;
    }
    filling->partition_count++;
    filling->id_count += (size_t)partition->replica_count * 4 + partition->isr_count;
    filling->text_size += filling->topic_last == partition->topic ? 0 : partition->topic->name.size;
    filling->topic_last = partition->topic;
}

/* Topics stand in the order of their last change, so only those that matter are looked at. */
static void visit_changed(struct filling *filling)
{
    const struct list *head = &filling->controller->topics_by_change;
    for (const struct list *link = head->prev; link != head; link = link->prev) {
        const struct controller_topic *topic =
            CONTAINER_OF(link, const struct controller_topic, by_change);
        if (topic->changed_at <= filling->since)
            return;
        for (uint32_t index = 0; index < topic->partition_count; index++)
            visit(filling, topic->partitions[index]);
    }
}

static void visit_all(struct filling *filling)
{
    filling->topic_last = NULL;
    if (filling->kind != CONTROL_STOP_REPLICA) {
        visit_changed(filling);
        return;
    }
    list_each (link, &filling->controller->stopping)
        visit(filling, CONTAINER_OF(link, struct controller_partition, stopping));
}

/* ---- messages ---- */

static size_t brokers_size(const struct controller *controller)
{
    size_t size = 0;
    list_each (link, &controller->brokers)
        size += control_message_record_size(
            &CONTAINER_OF(link, struct controller_broker, link)->record);
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
        records[message->broker_count++] =
            control_message_copy_record(&broker->record, endpoints, texts);
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

/* The partitions have been measured. NULL: no memory. */
static struct controller_envelope *make(struct filling *filling)
{
    const struct controller *controller = filling->controller;
    const size_t records_size = controller->broker_count * sizeof(struct broker_record) +
                                endpoint_count_of(controller) * sizeof(struct broker_endpoint);
    const size_t states_size = filling->partition_count * sizeof(struct partition_state);
    const size_t size = sizeof(struct controller_envelope) + records_size + states_size +
                        filling->id_count * sizeof(int32_t) + filling->partition_count +
                        brokers_size(controller) + filling->text_size;
    struct controller_envelope *envelope = heap_take_zeroed(controller->heap, size);
    if (envelope == NULL)
        return NULL;
    struct control_message *message = &envelope->message;
    struct broker_record *records = (struct broker_record *)(envelope + 1);
    message->kind = filling->kind;
    message->controller_id = controller->broker_id;
    message->controller_epoch = controller->epoch;
    message->broker_epoch = filling->broker->record.epoch;
    message->partitions = (struct partition_state *)(void *)((uint8_t *)records + records_size);
    filling->ids = (int32_t *)(void *)((uint8_t *)message->partitions + states_size);
    message->delete_partition = (bool *)(filling->ids + filling->id_count);
    filling->texts = (uint8_t *)message->delete_partition + filling->partition_count;
    filling->message = message;
    put_brokers(controller, message, records, &filling->texts);
    if (filling->partition_count > 0)
        visit_all(filling);
    assert(message->partition_count == filling->partition_count);
    assert(filling->texts <= (uint8_t *)envelope + size);
    envelope->broker_id = filling->broker->record.id;
    envelope->change = controller->change;
    return envelope;
}

static enum err make_brokers(const struct controller *controller,
                             const struct controller_broker *broker,
                             struct controller_envelope **out)
{
    struct filling filling = {
        .controller = controller, .broker = broker, .kind = CONTROL_UPDATE_METADATA};
    const bool is_first = broker->metadata_told == 0;
    if (is_first)
        visit_all(&filling);
    *out = make(&filling);
    if (*out == NULL)
        return ERR_NO_MEMORY;
    (*out)->has_partitions = is_first;
    return ERR_OK;
}

/* *out stays NULL where no partition belongs into the message. */
static enum err make_partitions(const struct controller *controller,
                                const struct controller_broker *broker,
                                enum control_message_kind kind, bool deletes,
                                struct controller_envelope **out)
{
    struct filling filling = {
        .controller = controller,
        .broker = broker,
        .kind = kind,
        .deletes = deletes,
        .since = kind == CONTROL_UPDATE_METADATA ? broker->metadata_told
                 : broker->repeats_orders        ? 0
                                                 : broker->orders_told,
    };
    visit_all(&filling);
    if (filling.partition_count == 0)
        return ERR_OK;
    *out = make(&filling);
    if (*out == NULL)
        return ERR_NO_MEMORY;
    (*out)->has_partitions = true;
    (*out)->is_repeat = kind == CONTROL_LEADER_AND_ISR && broker->repeats_orders;
    return ERR_OK;
}

bool controller_outbox_is_empty(const struct controller *controller,
                                const struct controller_broker *broker)
{
    if (broker->brokers_told < controller->brokers_changed_at || broker->repeats_orders ||
        broker->orders_told < controller->orders_changed_at ||
        broker->metadata_told < controller->metadata_changed_at)
        return false;
    list_each (link, &controller->stopping)
        if (find_stop(CONTAINER_OF(link, struct controller_partition, stopping), broker) != NULL)
            return false;
    return true;
}

enum err controller_outbox_next(struct controller *controller, struct controller_broker *broker,
                                struct controller_envelope **out)
{
    enum err err = ERR_OK;
    *out = NULL;
    if (broker->brokers_told < controller->brokers_changed_at)
        return make_brokers(controller, broker, out);
    if (broker->orders_told < controller->orders_changed_at || broker->repeats_orders) {
        err = make_partitions(controller, broker, CONTROL_LEADER_AND_ISR, false, out);
        if (err != ERR_OK || *out != NULL)
            return err;
        broker->repeats_orders = false;
        broker->orders_told = controller->change;
    }
    if (broker->metadata_told < controller->metadata_changed_at) {
        err = make_partitions(controller, broker, CONTROL_UPDATE_METADATA, false, out);
        if (err != ERR_OK || *out != NULL)
            return err;
        broker->metadata_told = controller->change;
    }
    /* In old versions of the request all are deleted or none. */
    err = make_partitions(controller, broker, CONTROL_STOP_REPLICA, false, out);
    if (err != ERR_OK || *out != NULL)
        return err;
    return make_partitions(controller, broker, CONTROL_STOP_REPLICA, true, out);
}

/* ---- answers ---- */

static void learn_order(struct controller *controller, const struct controller_broker *broker,
                        struct controller_partition *partition, int16_t error)
{
    const uint64_t bit = controller_replica_bit(partition, broker->record.id);
    const uint64_t offline = partition->offline;
    if (error == KAFKA_KAFKA_STORAGE_ERROR)
        partition->offline |= bit;
    else if (error == KAFKA_NONE)
        partition->offline &= ~bit;
    if (partition->offline == offline)
        return;
    controller_mark_changed(controller, partition);
    controller_decision_consider(controller, partition);
}

static void learn_stop(struct controller *controller, const struct controller_broker *broker,
                       struct controller_partition *partition, bool has_deleted, int16_t error)
{
    struct controller_stop *stop = find_stop(partition, broker);
    if (stop == NULL || (stop->deletes && !has_deleted) || error == KAFKA_STALE_BROKER_EPOCH ||
        error == KAFKA_STALE_CONTROLLER_EPOCH)
        return;
    stop->is_done = error == KAFKA_NONE || !stop->deletes;
    stop->has_failed = !stop->is_done;
    controller_drop_stops(controller, partition);
}

void controller_outbox_answered(struct controller_broker *broker,
                                const struct controller_envelope *envelope)
{
    switch (envelope->message.kind) {
    case CONTROL_UPDATE_METADATA:
        broker->brokers_told = envelope->change;
        if (envelope->has_partitions)
            broker->metadata_told = envelope->change;
        return;
    case CONTROL_LEADER_AND_ISR:
        broker->orders_told = envelope->change;
        broker->repeats_orders = broker->repeats_orders && !envelope->is_repeat;
        return;
    case CONTROL_STOP_REPLICA: return;
    }
}

void controller_outbox_learn(struct controller *controller, const struct controller_broker *broker,
                             const struct controller_envelope *envelope,
                             struct controller_partition *partition, int16_t error)
{
    switch (envelope->message.kind) {
    case CONTROL_UPDATE_METADATA: return;
    case CONTROL_LEADER_AND_ISR: learn_order(controller, broker, partition, error); return;
    case CONTROL_STOP_REPLICA:
        learn_stop(controller, broker, partition, envelope->message.delete_partition[0], error);
        return;
    }
}

void controller_outbox_repeat(struct controller_broker *broker)
{
    broker->repeats_orders = true;
}
