#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct alter_state {
    struct broker_request *request;
    struct alter_partitions alter;
    struct kafka_alter_partition_reply reply;
};

enum { id_since = 2, epochs_since = 3 };

static bool put_answer(struct alter_state *state, const struct partition_alter *alter,
                       struct kafka_alter_partition_reply_topics_partitions *answer)
{
    *answer = (struct kafka_alter_partition_reply_topics_partitions){
        .partition_index = alter->index, .error_code = alter->error_code};
    if (alter->error_code != KAFKA_NONE)
        return true;
    answer->leader_id = alter->leader_now;
    answer->leader_epoch = alter->leader_epoch_now;
    answer->leader_recovery_state = alter->leader_recovery_state_now;
    answer->partition_epoch = alter->partition_epoch_now;
    answer->isr.items =
        broker_request_take_array(state->request, alter->isr_count_now, sizeof *alter->isr_now);
    if (answer->isr.items == NULL)
        return false;
    memcpy(answer->isr.items, alter->isr_now, alter->isr_count_now * sizeof *alter->isr_now);
    answer->isr.count = (int32_t)alter->isr_count_now;
    return true;
}

static bool put_answers(struct alter_state *state)
{
    const struct kafka_alter_partition_request *body = state->request->body;
    const struct partition_alter *alter = state->alter.partitions;
    const size_t count = (size_t)body->topics.count;
    state->reply.topics.items =
        broker_request_take_array(state->request, count, sizeof *state->reply.topics.items);
    for (size_t t = 0; state->reply.topics.items != NULL && t < count; t++) {
        const struct kafka_alter_partition_request_topics *asked = &body->topics.items[t];
        struct kafka_alter_partition_reply_topics *topic = &state->reply.topics.items[t];
        topic->topic_name = asked->topic_name;
        topic->topic_id = asked->topic_id;
        topic->partitions.items = broker_request_take_array(
            state->request, (size_t)asked->partitions.count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
        topic->partitions.count = asked->partitions.count;
        for (int32_t i = 0; i < asked->partitions.count; i++)
            if (!put_answer(state, alter++, &topic->partitions.items[i]))
                return false;
    }
    state->reply.topics.count = body->topics.count;
    return state->reply.topics.items != NULL;
}

static void on_altered(struct alter_partitions *alter)
{
    struct alter_state *state = alter->user;
    state->reply.error_code = alter->error_code;
    if (alter->error_code != KAFKA_NONE || put_answers(state))
        broker_request_reply(state->request, &state->reply);
    else
        broker_request_fail_memory(state->request);
}

/* From version 3 on members come with their epochs. */
static bool fill_isr(struct broker_request *request,
                     const struct kafka_alter_partition_request_topics_partitions *asked,
                     struct partition_alter *alter)
{
    const int32_t count =
        request->version < epochs_since ? asked->new_isr.count : asked->new_isr_with_epochs.count;
    struct isr_member *isr = broker_request_take_array(request, (size_t)count, sizeof *isr);
    if (isr == NULL)
        return false;
    for (int32_t i = 0; i < count; i++)
        isr[i] = request->version < epochs_since
                     ? (struct isr_member){asked->new_isr.items[i], -1}
                     : (struct isr_member){asked->new_isr_with_epochs.items[i].broker_id,
                                           asked->new_isr_with_epochs.items[i].broker_epoch};
    alter->isr = isr;
    alter->isr_count = (uint32_t)count;
    return true;
}

static bool fill_topic(struct broker_request *request,
                       const struct kafka_alter_partition_request_topics *topic,
                       struct partition_alter *alters)
{
    for (int32_t i = 0; i < topic->partitions.count; i++) {
        const struct kafka_alter_partition_request_topics_partitions *asked =
            &topic->partitions.items[i];
        alters[i] = (struct partition_alter){
            .topic = request->version < id_since ? topic->topic_name : SLICE_NULL,
            .index = asked->partition_index,
            .leader_epoch = asked->leader_epoch,
            .partition_epoch = asked->partition_epoch,
            .leader_recovery_state = asked->leader_recovery_state,
        };
        memcpy(alters[i].topic_id.bytes, topic->topic_id.bytes, sizeof alters[i].topic_id.bytes);
        if (!fill_isr(request, asked, &alters[i]))
            return false;
    }
    return true;
}

static bool fill(struct alter_state *state)
{
    const struct kafka_alter_partition_request *body = state->request->body;
    size_t count = 0;
    for (int32_t t = 0; t < body->topics.count; t++)
        count += (size_t)body->topics.items[t].partitions.count;
    struct partition_alter *alters =
        broker_request_take_array(state->request, count, sizeof *alters);
    if (alters == NULL)
        return false;
    state->alter.partitions = alters;
    state->alter.partition_count = (uint32_t)count;
    for (int32_t t = 0; t < body->topics.count; t++) {
        if (!fill_topic(state->request, &body->topics.items[t], alters))
            return false;
        alters += body->topics.items[t].partitions.count;
    }
    return true;
}

void api_alter_partition(struct broker_request *request)
{
    const struct kafka_alter_partition_request *body = request->body;
    struct alter_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!fill(state)) {
        broker_request_fail_memory(request);
        return;
    }
    state->alter.broker_id = body->broker_id;
    state->alter.broker_epoch = body->broker_epoch;
    state->alter.version = request->version;
    state->alter.done = on_altered;
    state->alter.user = state;
    control_alter_partitions(request->server->control, &state->alter);
}
