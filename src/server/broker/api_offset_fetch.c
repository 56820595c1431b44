/* OffsetFetch: one group in the request itself up to version 7, a list of groups from 8 on. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum { version_top_error = 2, version_many = 8 };

/* The topics and partitions of both forms are the same but for their names in C. */
struct asked_group {
    struct slice group_id;
    bool is_all;
    const struct kafka_offset_fetch_request_topics *topics;
    const struct kafka_offset_fetch_request_groups_topics *many_topics;
    int32_t topic_count;
};

struct found_topic {
    struct slice name;
    struct kafka_offset_fetch_reply_groups_topics_partitions *partitions;
    int32_t partition_count;
};

struct found_group {
    enum error_code code;
    struct found_topic *topics;
    int32_t topic_count;
};

static struct kafka_offset_fetch_reply_groups_topics_partitions
found_offset(const struct group_service *service, const struct group *group, struct slice topic,
             int32_t partition, enum error_code code)
{
    const struct group_offset *offset =
        group == NULL ? NULL : group_offsets_find(&service->coordinator, group, topic, partition);
    struct kafka_offset_fetch_reply_groups_topics_partitions found = {.partition_index = partition,
                                                                      .committed_offset = -1,
                                                                      .committed_leader_epoch = -1,
                                                                      .metadata = SLICE_LITERAL(""),
                                                                      .error_code = (int16_t)code};
    if (offset == NULL)
        return found;
    found.committed_offset = offset->value.offset;
    found.committed_leader_epoch = offset->value.leader_epoch;
    found.metadata = offset->value.metadata;
    return found;
}

static bool find_asked(struct broker_request *request, const struct asked_group *asked,
                       const struct group *group, struct found_group *found)
{
    const struct group_service *service = &request->server->groups;
    found->topics =
        broker_request_take_array(request, (size_t)asked->topic_count, sizeof *found->topics);
    if (found->topics == NULL)
        return false;
    for (int32_t t = 0; t < asked->topic_count; t++) {
        struct found_topic *topic = &found->topics[t];
        const int32_t *indexes = NULL;
        if (asked->many_topics != NULL) {
            topic->name = asked->many_topics[t].name;
            topic->partition_count = asked->many_topics[t].partition_indexes.count;
            indexes = asked->many_topics[t].partition_indexes.items;
        } else {
            topic->name = asked->topics[t].name;
            topic->partition_count = asked->topics[t].partition_indexes.count;
            indexes = asked->topics[t].partition_indexes.items;
        }
        topic->partitions = broker_request_take_array(request, (size_t)topic->partition_count,
                                                      sizeof *topic->partitions);
        if (topic->partitions == NULL)
            return false;
        for (int32_t p = 0; p < topic->partition_count; p++)
            topic->partitions[p] =
                found_offset(service, group, topic->name, indexes[p], found->code);
    }
    found->topic_count = asked->topic_count;
    return true;
}

static struct found_topic *topic_of(struct found_group *found, struct slice name)
{
    for (int32_t t = found->topic_count - 1; t >= 0; t--)
        if (slice_equal(found->topics[t].name, name))
            return &found->topics[t];
    return NULL;
}

/* Everything that the group has. */
static bool find_all(struct broker_request *request, const struct group *group,
                     struct found_group *found)
{
    const struct group_service *service = &request->server->groups;
    const uint32_t count = group == NULL ? 0 : group->offset_count;
    struct kafka_offset_fetch_reply_groups_topics_partitions *room =
        broker_request_take_array(request, count, sizeof *room);
    found->topics = broker_request_take_array(request, count, sizeof *found->topics);
    if (room == NULL || found->topics == NULL)
        return false;
    if (group == NULL)
        return true;
    list_each (link, &group->offsets) {
        const struct group_offset *offset = CONTAINER_OF(link, struct group_offset, link);
        struct found_topic *topic = topic_of(found, offset->topic);
        if (topic == NULL) {
            topic = &found->topics[found->topic_count++];
            topic->name = offset->topic;
        }
        topic->partition_count++;
    }
    for (int32_t t = 0; t < found->topic_count; t++) {
        found->topics[t].partitions = room;
        room += found->topics[t].partition_count;
        found->topics[t].partition_count = 0;
    }
    list_each (link, &group->offsets) {
        const struct group_offset *offset = CONTAINER_OF(link, struct group_offset, link);
        struct found_topic *topic = topic_of(found, offset->topic);
        topic->partitions[topic->partition_count++] =
            found_offset(service, group, offset->topic, offset->partition, KAFKA_NONE);
    }
    return true;
}

static bool find(struct broker_request *request, const struct asked_group *asked,
                 struct found_group *found)
{
    const struct group_service *service = &request->server->groups;
    const struct group *group = NULL;
    *found = (struct found_group){.code = group_service_check(service, asked->group_id, false)};
    if (found->code == KAFKA_NONE)
        group = group_coordinator_find(&service->coordinator, asked->group_id);
    if (found->code != KAFKA_NONE && request->version >= version_top_error)
        return true; /* Said once, for the group. */
    return asked->is_all ? find_all(request, group, found)
                         : find_asked(request, asked, group, found);
}

static bool fill_single(struct broker_request *request, const struct found_group *found,
                        struct kafka_offset_fetch_reply *reply)
{
    reply->error_code = (int16_t)found->code;
    reply->topics.items =
        broker_request_take_array(request, (size_t)found->topic_count, sizeof *reply->topics.items);
    if (reply->topics.items == NULL)
        return false;
    for (int32_t t = 0; t < found->topic_count; t++) {
        const struct found_topic *from = &found->topics[t];
        struct kafka_offset_fetch_reply_topics *topic = &reply->topics.items[t];
        topic->name = from->name;
        topic->partitions.items = broker_request_take_array(request, (size_t)from->partition_count,
                                                            sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
        for (int32_t p = 0; p < from->partition_count; p++)
            topic->partitions.items[p] = (struct kafka_offset_fetch_reply_topics_partitions){
                .partition_index = from->partitions[p].partition_index,
                .committed_offset = from->partitions[p].committed_offset,
                .committed_leader_epoch = from->partitions[p].committed_leader_epoch,
                .metadata = from->partitions[p].metadata,
                .error_code = from->partitions[p].error_code};
        topic->partitions.count = from->partition_count;
    }
    reply->topics.count = found->topic_count;
    return true;
}

static bool fill_group(struct broker_request *request, struct slice group_id,
                       const struct found_group *found, struct kafka_offset_fetch_reply_groups *to)
{
    to->group_id = group_id;
    to->error_code = (int16_t)found->code;
    to->topics.items =
        broker_request_take_array(request, (size_t)found->topic_count, sizeof *to->topics.items);
    if (to->topics.items == NULL)
        return false;
    for (int32_t t = 0; t < found->topic_count; t++) {
        to->topics.items[t].name = found->topics[t].name;
        to->topics.items[t].partitions.items = found->topics[t].partitions;
        to->topics.items[t].partitions.count = found->topics[t].partition_count;
    }
    to->topics.count = found->topic_count;
    return true;
}

static bool fetch_single(struct broker_request *request, struct kafka_offset_fetch_reply *reply)
{
    const struct kafka_offset_fetch_request *body = request->body;
    struct found_group found;
    const struct asked_group asked = {.group_id = body->group_id,
                                      .is_all = body->topics.count < 0,
                                      .topics = body->topics.items,
                                      .topic_count = body->topics.count};
    return find(request, &asked, &found) && fill_single(request, &found, reply);
}

static bool fetch_many(struct broker_request *request, struct kafka_offset_fetch_reply *reply)
{
    const struct kafka_offset_fetch_request *body = request->body;
    reply->groups.items =
        broker_request_take_array(request, (size_t)body->groups.count, sizeof *reply->groups.items);
    if (reply->groups.items == NULL)
        return false;
    for (int32_t g = 0; g < body->groups.count; g++) {
        const struct kafka_offset_fetch_request_groups *group = &body->groups.items[g];
        struct found_group found;
        const struct asked_group asked = {.group_id = group->group_id,
                                          .is_all = group->topics.count < 0,
                                          .many_topics = group->topics.items,
                                          .topic_count = group->topics.count};
        if (!find(request, &asked, &found) ||
            !fill_group(request, group->group_id, &found, &reply->groups.items[g]))
            return false;
    }
    reply->groups.count = body->groups.count;
    return true;
}

void api_offset_fetch(struct broker_request *request)
{
    struct kafka_offset_fetch_reply reply = {0};
    const bool is_filled = request->version >= version_many ? fetch_many(request, &reply)
                                                            : fetch_single(request, &reply);
    if (is_filled)
        broker_request_reply(request, &reply);
    else
        broker_request_fail_memory(request);
}
