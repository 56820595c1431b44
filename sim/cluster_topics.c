#include "sim/cluster_topics.h"

#include <stdio.h>

enum { partition_count_min = 2, partition_count_max = 6, name_bytes = 16 };

struct making {
    struct create_topics request;
    struct topic_create topic;
    struct heap *heap;
    char name[name_bytes];
    int32_t broker_id;
    struct topic_assignment assignments[partition_count_max];
};

static struct slice print_name(uint32_t topic, char name[name_bytes])
{
    snprintf(name, name_bytes, "made-%u", topic);
    return slice_from_text(name);
}

static void on_made(struct create_topics *request)
{
    struct making *making = CONTAINER_OF(request, struct making, request);
    heap_give(making->heap, making);
}

void cluster_topics_make(struct cluster_topics *topics, uint32_t broker,
                         struct broker_server *server, struct prng *prng)
{
    const struct metadata_view *view = control_metadata(server->control);
    if (topics->count == cluster_topic_count_max || !control_is_controller(server->control))
        return;
    const uint32_t count = (uint32_t)prng_between(prng, partition_count_min, partition_count_max);
    struct making *making = heap_take_zeroed(server->heap, sizeof *making);
    assert(making != NULL);
    making->heap = server->heap;
    making->broker_id = (int32_t)server->config->broker_id;
    for (uint32_t index = 0; index < count; index++)
        making->assignments[index] = (struct topic_assignment){
            .partition = (int32_t)index, .broker_count = 1, .brokers = &making->broker_id};
    making->topic = (struct topic_create){.name = print_name(topics->count, making->name),
                                          .partition_count = -1,
                                          .replication_factor = -1,
                                          .assignment_count = count,
                                          .assignments = making->assignments};
    making->request =
        (struct create_topics){.topics = &making->topic, .topic_count = 1, .done = on_made};
    topics->made[topics->count++] =
        (struct cluster_topic_made){.maker = broker,
                                    .controller_epoch = view->controller_epoch,
                                    .partition_count = count,
                                    .is_judged = true};
    control_create_topics(server->control, &making->request);
}

static uint32_t count_known(const struct metadata_topic *topic)
{
    uint32_t count = 0;
    for (uint32_t index = 0; topic != NULL && index < topic->partition_count; index++)
        count += topic->partitions[index].leader_epoch >= 0;
    return count;
}

void cluster_topics_look(struct cluster_topics *topics, uint32_t broker,
                         const struct broker_server *server)
{
    const struct metadata_view *view = control_metadata(server->control);
    char name[name_bytes];
    for (uint32_t index = 0; index < topics->count; index++) {
        const struct cluster_topic_made *made = &topics->made[index];
        if (!made->is_judged || view->controller_epoch != made->controller_epoch)
            continue;
        const uint32_t known = count_known(metadata_view_topic(view, print_name(index, name)));
        if (known > 0 && known != made->partition_count)
            sim_workload_wrong(topics->result, topics->sim,
                               "made-%u on broker %u: %u of %u partitions are known", index,
                               broker + 1, known, made->partition_count);
    }
}

void cluster_topics_end_maker(struct cluster_topics *topics, uint32_t broker)
{
    for (uint32_t index = 0; index < topics->count; index++)
        if (topics->made[index].maker == broker)
            topics->made[index].is_judged = false;
}
