#include "server/broker/metadata_view.h"

#include "broker/topic_name.h"

enum err metadata_view_init(struct metadata_view *view, struct heap *heap,
                            struct metadata_view_options options)
{
    memset(view, 0, sizeof *view);
    view->heap = heap;
    view->hash_seed = options.hash_seed;
    view->controller_id = -1;
    list_init(&view->topics);
    list_init(&view->brokers);
    list_init(&view->listeners);
    const enum err err = hash_table_init(&view->topics_by_name, heap);
    return err != ERR_OK ? err : hash_table_init(&view->topics_by_id, heap);
}

static void drop_topic(struct metadata_view *view, struct metadata_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        heap_give(view->heap, topic->partitions[index].replicas);
    hash_table_remove(&view->topics_by_name, &topic->by_name);
    if (!uuid_is_zero(topic->id))
        hash_table_remove(&view->topics_by_id, &topic->by_id);
    list_remove(&topic->link);
    view->topic_count--;
    view->partition_count -= topic->partition_count;
    heap_give(view->heap, topic->partitions);
    heap_give(view->heap, topic);
}

static void drop_broker(struct metadata_view *view, struct metadata_broker *broker)
{
    list_remove(&broker->link);
    view->broker_count--;
    heap_give(view->heap, broker);
}

void metadata_view_deinit(struct metadata_view *view)
{
    if (view->heap == NULL)
        return;
    while (!list_empty(&view->topics))
        drop_topic(view, CONTAINER_OF(list_first(&view->topics), struct metadata_topic, link));
    while (!list_empty(&view->brokers))
        drop_broker(view, CONTAINER_OF(list_first(&view->brokers), struct metadata_broker, link));
    hash_table_deinit(&view->topics_by_name);
    hash_table_deinit(&view->topics_by_id);
    view->heap = NULL;
}

static bool has_name(const struct hash_link *link, const void *key)
{
    const struct metadata_topic *topic = CONTAINER_OF(link, struct metadata_topic, by_name);
    return slice_equal(topic->name, *(const struct slice *)key);
}

static bool has_id(const struct hash_link *link, const void *key)
{
    const struct metadata_topic *topic = CONTAINER_OF(link, struct metadata_topic, by_id);
    return uuid_equal(topic->id, *(const struct uuid *)key);
}

static uint64_t hash_of_id(const struct metadata_view *view, struct uuid id)
{
    return hash_bytes(slice_of(id.bytes, sizeof id.bytes), view->hash_seed);
}

struct metadata_topic *metadata_view_topic(const struct metadata_view *view, struct slice name)
{
    struct hash_link *link =
        hash_table_find(&view->topics_by_name, hash_bytes(name, view->hash_seed), has_name, &name);
    return link == NULL ? NULL : CONTAINER_OF(link, struct metadata_topic, by_name);
}

struct metadata_topic *metadata_view_topic_by_id(const struct metadata_view *view, struct uuid id)
{
    struct hash_link *link =
        hash_table_find(&view->topics_by_id, hash_of_id(view, id), has_id, &id);
    return link == NULL ? NULL : CONTAINER_OF(link, struct metadata_topic, by_id);
}

struct metadata_partition *metadata_view_partition(const struct metadata_view *view,
                                                   struct slice topic, int32_t index)
{
    const struct metadata_topic *found = metadata_view_topic(view, topic);
    if (found == NULL || index < 0 || (uint32_t)index >= found->partition_count)
        return NULL;
    struct metadata_partition *partition = &found->partitions[index];
    return partition->replica_count == 0 ? NULL : partition;
}

struct metadata_broker *metadata_view_broker(const struct metadata_view *view, int32_t id)
{
    metadata_view_each_broker(broker, view) if (broker->record.id == id) return broker;
    return NULL;
}

const struct broker_endpoint *metadata_broker_endpoint(const struct metadata_broker *broker,
                                                       struct slice listener)
{
    for (uint32_t index = 0; index < broker->record.endpoint_count; index++)
        if (slice_equal(broker->endpoints[index].listener, listener))
            return &broker->endpoints[index];
    return NULL;
}

struct metadata_topic *metadata_view_next_topic(const struct metadata_view *view,
                                                const struct metadata_topic *topic)
{
    struct list *next = topic == NULL ? view->topics.next : topic->link.next;
    return next == &view->topics ? NULL : CONTAINER_OF(next, struct metadata_topic, link);
}

struct metadata_broker *metadata_view_next_broker(const struct metadata_view *view,
                                                  const struct metadata_broker *broker)
{
    struct list *next = broker == NULL ? view->brokers.next : broker->link.next;
    return next == &view->brokers ? NULL : CONTAINER_OF(next, struct metadata_broker, link);
}

void metadata_view_listen(struct metadata_view *view, struct metadata_listener *listener)
{
    list_push(&view->listeners, &listener->link);
}

void metadata_view_unlisten(struct metadata_view *view, struct metadata_listener *listener)
{
    (void)view;
    list_remove(&listener->link);
}

static struct metadata_topic *add_topic(struct metadata_view *view,
                                        const struct partition_state *state)
{
    struct metadata_topic *topic = heap_take_zeroed(view->heap, sizeof *topic + state->topic.size);
    if (topic == NULL)
        return NULL;
    memcpy(topic + 1, state->topic.data, state->topic.size);
    topic->name = slice_of(topic + 1, state->topic.size);
    topic->is_internal = topic_name_is_internal(topic->name);
    hash_table_add(&view->topics_by_name, &topic->by_name,
                   hash_bytes(topic->name, view->hash_seed));
    list_push(&view->topics, &topic->link);
    view->topic_count++;
    return topic;
}

static void learn_id(struct metadata_view *view, struct metadata_topic *topic, struct uuid id)
{
    if (uuid_is_zero(id) || uuid_equal(id, topic->id))
        return;
    assert(uuid_is_zero(topic->id));
    topic->id = id;
    hash_table_add(&view->topics_by_id, &topic->by_id, hash_of_id(view, id));
}

static bool grow(struct metadata_view *view, struct metadata_topic *topic, uint32_t count)
{
    if (count <= topic->partition_count)
        return true;
    struct metadata_partition *partitions =
        heap_resize(view->heap, topic->partitions, count * sizeof *partitions);
    if (partitions == NULL)
        return false;
    for (uint32_t index = topic->partition_count; index < count; index++)
        partitions[index] = (struct metadata_partition){
            .leader = control_leader_none, .leader_epoch = -1, .partition_epoch = -1};
    view->partition_count += count - topic->partition_count;
    topic->partitions = partitions;
    topic->partition_count = count;
    return true;
}

static bool set_partition(struct metadata_view *view, struct metadata_topic *topic,
                          const struct partition_state *state)
{
    const uint32_t index = (uint32_t)state->index;
    const uint32_t count = state->replica_count + state->isr_count + state->offline_count;
    if (!grow(view, topic, index + 1))
        return false;
    int32_t *ids = heap_take(view->heap, max_size(count, 1) * sizeof *ids);
    if (ids == NULL)
        return false;
    if (state->replica_count > 0)
        memcpy(ids, state->replicas, state->replica_count * sizeof *ids);
    if (state->isr_count > 0)
        memcpy(ids + state->replica_count, state->isr, state->isr_count * sizeof *ids);
    int32_t *offline = ids + state->replica_count + state->isr_count;
    if (state->offline_count > 0)
        memcpy(offline, state->offline, state->offline_count * sizeof *ids);
    struct metadata_partition *partition = &topic->partitions[index];
    heap_give(view->heap, partition->replicas);
    *partition = (struct metadata_partition){
        .leader = state->leader,
        .leader_epoch = state->leader_epoch,
        .controller_epoch = state->controller_epoch,
        .partition_epoch = state->partition_epoch,
        .replica_count = state->replica_count,
        .isr_count = state->isr_count,
        .replicas = ids,
        .isr = ids + state->replica_count,
        .offline_count = state->offline_count,
        .offline = offline,
    };
    return true;
}

void metadata_view_tell_gone(struct metadata_view *view, metadata_partition_gone *gone,
                             void *context)
{
    view->partition_gone = gone;
    view->partition_gone_context = context;
}

static void tell_gone(struct metadata_view *view, struct slice topic, int32_t index)
{
    if (view->partition_gone != NULL)
        view->partition_gone(view->partition_gone_context, topic, index);
}

static void end_topic(struct metadata_view *view, struct metadata_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        tell_gone(view, topic->name, (int32_t)index);
    drop_topic(view, topic);
}

static bool update_partition(struct metadata_view *view, const struct partition_state *state)
{
    struct metadata_topic *topic = metadata_view_topic(view, state->topic);
    if (state->leader == control_leader_deleted) {
        /* The topic goes as a whole: the controller names all of its partitions. */
        tell_gone(view, state->topic, state->index);
        if (topic != NULL)
            drop_topic(view, topic);
        return true;
    }
    if (state->index < 0 || state->index >= control_partition_count_max)
        return true;
    if (topic != NULL && !uuid_is_zero(topic->id) && !uuid_is_zero(state->topic_id) &&
        !uuid_equal(topic->id, state->topic_id)) {
        end_topic(view, topic); /* Deleted and made again while we did not hear of it. */
        topic = NULL;
    }
    if (topic == NULL)
        topic = add_topic(view, state);
    if (topic == NULL)
        return false;
    topic->is_doubted = false;
    learn_id(view, topic, state->topic_id);
    return set_partition(view, topic, state);
}

static struct slice copy_text(uint8_t **place, struct slice text)
{
    if (text.data == NULL)
        return text;
    const struct slice copy = slice_of(*place, text.size);
    memcpy(*place, text.data, text.size);
    *place += text.size;
    return copy;
}

/* One block: the broker, its endpoints, its texts. */
static struct metadata_broker *copy_broker(struct heap *heap, const struct broker_record *record)
{
    const size_t endpoints_size = record->endpoint_count * sizeof(struct broker_endpoint);
    size_t text_size = record->rack.size;
    for (uint32_t index = 0; index < record->endpoint_count; index++)
        text_size += record->endpoints[index].host.size + record->endpoints[index].listener.size;
    struct metadata_broker *broker = heap_take(heap, sizeof *broker + endpoints_size + text_size);
    if (broker == NULL)
        return NULL;

    uint8_t *place = (uint8_t *)(broker + 1) + endpoints_size;
    broker->record = *record;
    broker->endpoints = (struct broker_endpoint *)(broker + 1);
    broker->record.endpoints = broker->endpoints;
    broker->record.rack = copy_text(&place, record->rack);
    for (uint32_t index = 0; index < record->endpoint_count; index++) {
        broker->endpoints[index] = record->endpoints[index];
        broker->endpoints[index].listener = copy_text(&place, record->endpoints[index].listener);
        broker->endpoints[index].host = copy_text(&place, record->endpoints[index].host);
    }
    return broker;
}

static void insert_by_id(struct list *brokers, struct metadata_broker *broker)
{
    struct list *place = brokers;
    list_each (link, brokers) {
        if (CONTAINER_OF(link, struct metadata_broker, link)->record.id > broker->record.id)
            break;
        place = link;
    }
    list_insert_after(place, &broker->link);
}

/* The list is the whole truth each time: who is not on it is gone. */
static bool replace_brokers(struct metadata_view *view, const struct control_message *message)
{
    struct list fresh;
    bool is_complete = true;
    list_init(&fresh);
    for (uint32_t index = 0; index < message->broker_count; index++) {
        struct metadata_broker *broker = copy_broker(view->heap, &message->brokers[index]);
        if (broker == NULL)
            is_complete = false;
        else
            insert_by_id(&fresh, broker);
    }
    while (!list_empty(&view->brokers))
        drop_broker(view, CONTAINER_OF(list_first(&view->brokers), struct metadata_broker, link));
    list_each (link, &fresh)
        view->broker_count++;
    list_splice(&view->brokers, &fresh);
    return is_complete;
}

static void tell_listeners(struct metadata_view *view)
{
    view->change_count++;
    list_each_safe (link, after, &view->listeners) {
        struct metadata_listener *listener = CONTAINER_OF(link, struct metadata_listener, link);
        listener->changed(listener);
    }
}

enum err metadata_view_update(struct metadata_view *view, const struct control_message *message)
{
    assert(message->kind == CONTROL_UPDATE_METADATA);
    bool is_complete = replace_brokers(view, message);
    view->controller_id = message->controller_id;
    view->controller_epoch = message->controller_epoch;
    for (uint32_t index = 0; index < message->partition_count; index++)
        is_complete &= update_partition(view, &message->partitions[index]);
    tell_listeners(view);
    return is_complete ? ERR_OK : ERR_NO_MEMORY;
}

void metadata_view_doubt(struct metadata_view *view)
{
    metadata_view_each_topic(topic, view) topic->is_doubted = true;
}

void metadata_view_vouch(struct metadata_view *view, struct slice name)
{
    struct metadata_topic *topic = metadata_view_topic(view, name);
    if (topic != NULL)
        topic->is_doubted = false;
}

uint32_t metadata_view_end_doubted(struct metadata_view *view)
{
    uint32_t count = 0;
    list_each_safe (link, after, &view->topics) {
        struct metadata_topic *topic = CONTAINER_OF(link, struct metadata_topic, link);
        if (!topic->is_doubted)
            continue;
        end_topic(view, topic);
        count++;
    }
    if (count > 0)
        tell_listeners(view);
    return count;
}
