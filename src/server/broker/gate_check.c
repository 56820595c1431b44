#include "server/broker/gate_check.h"

#include "base/assert.h"
#include "server/broker/gate.h"
#include "wire/gen/kafka.h"

struct gate_check {
    struct list link; /* In the gate's checks. */
    struct gate_call *call;
    struct record_check check;
    struct record_facts *facts;
    uint32_t fact_count; /* Of partitions that are checked. */
    int32_t topic_index;
    int32_t partition_index;
    bool is_running; /* check is. */
};

static void begin_next(struct gate_check *check, struct slice records)
{
    struct gate *gate = check->call->gate;
    struct record_facts *facts = &check->facts[check->fact_count];
    const struct record_rules rules = {
        .config = &record_facts_any_topic,
        .produce_version = check->call->head.version,
        .packed = {.heap = gate->shard->heap,
                   .idle = &gate->unpackers,
                   .bytes_max = (uint64_t)gate->config->unpacked_batch_bytes_max},
        .facts = facts,
    };
    record_facts_init(facts);
    /* The frame is writable. */
    record_check_begin(&check->check, &rules, (uint8_t *)(uintptr_t)records.data, records.size);
    check->is_running = true;
}

/* False: others have their turn. */
static bool step(struct gate_check *check)
{
    const struct kafka_produce_request *body = check->call->head.body;
    for (; check->topic_index < body->topics.count; check->topic_index++) {
        const struct kafka_produce_request_topics *topic = &body->topics.items[check->topic_index];
        for (; check->partition_index < topic->partitions.count; check->partition_index++) {
            if (!check->is_running)
                begin_next(check, topic->partitions.items[check->partition_index].records);
            if (!record_check_step(&check->check))
                return false;
            check->is_running = false;
            check->facts[check->fact_count++].verdict = check->check.verdict;
        }
        check->partition_index = 0;
    }
    return true;
}

static void end(struct gate_check *check)
{
    struct gate_call *call = check->call;
    call->facts = check->facts;
    call->check = NULL;
    gate_post(call);
}

static void arm(struct gate *gate);

static void on_turn(struct io_op *op, int64_t result)
{
    struct gate *gate = CONTAINER_OF(op, struct gate, checks.turn);
    struct list round;
    (void)result;
    gate->checks.is_armed = false;
    list_init(&round);
    list_splice(&round, &gate->checks.calls);
    for (struct list *link = list_pop(&round); link != NULL; link = list_pop(&round)) {
        struct gate_check *check = CONTAINER_OF(link, struct gate_check, link);
        if (step(check))
            end(check);
        else
            list_push(&gate->checks.calls, link);
    }
    if (!list_empty(&gate->checks.calls))
        arm(gate);
    gate_end_if_over(gate);
}

static void arm(struct gate *gate)
{
    if (gate->checks.is_armed)
        return;
    gate->checks.is_armed = true;
    gate->checks.turn = (struct io_op){.kind = IO_TIMER, .done = on_turn};
    gate->checks.turn.timer.deadline_ns = io_next_round_ns(gate->shard->io);
    io_submit(gate->shard->io, &gate->checks.turn);
}

/* NULL: there is nothing to check, or no memory for it. */
static struct gate_check *take(struct gate_call *call)
{
    const struct kafka_produce_request *body = call->head.body;
    size_t count = 0;
    if (call->head.api_key != KAFKA_API_PRODUCE)
        return NULL;
    for (int32_t t = 0; t < body->topics.count; t++)
        count += (size_t)body->topics.items[t].partitions.count;
    struct gate_check *check = request_memory_take(&call->memory, sizeof *check);
    if (check == NULL)
        return NULL;
    check->call = call;
    check->facts = request_memory_take(&call->memory, count * sizeof *check->facts);
    return check->facts == NULL ? NULL : check;
}

void gate_check_begin(struct gate_call *call)
{
    struct gate_check *check = take(call);
    if (check == NULL) {
        gate_post(call);
        return;
    }
    call->check = check;
    if (step(check)) {
        end(check);
        return;
    }
    list_push(&call->gate->checks.calls, &check->link);
    arm(call->gate);
}

void gate_check_cancel(struct gate_call *call)
{
    struct gate_check *check = call->check;
    if (check->is_running)
        record_check_cancel(&check->check);
    list_remove(&check->link);
    call->check = NULL;
}
