#include "broker/controller_decision.h"

enum verdict { VERDICT_NOTHING, VERDICT_WRITE, VERDICT_ASK };

/* The state that a partition should have, in the making. */
struct plan {
    const struct controller *controller;
    const struct controller_partition *partition;
    struct controller_write *write;
    bool has_elected; /* Its leader was lost, or shuts down, and there is another. */
};

static bool is_live(const struct controller *controller, int32_t id)
{
    return controller_find_broker(controller, id) != NULL;
}

static bool is_in_isr(const struct controller_partition *partition, int32_t id)
{
    return controller_is_member(partition->isr, partition->isr_count, id);
}

/* Whether a reassignment has all it waits for: every replica of the target is in sync. */
static bool has_arrived(const struct controller_partition *partition)
{
    if (partition->move != CONTROLLER_MOVING || partition->partition_epoch < 0)
        return false;
    for (uint32_t index = 0; index < partition->replica_count; index++)
        if ((partition->removing >> index & 1) == 0 &&
            !is_in_isr(partition, partition->replicas[index]))
            return false;
    return true;
}

/* Whether the replica is one of the partition's after the write. */
static bool remains(const struct plan *plan, int32_t id)
{
    const struct controller_partition *partition = plan->partition;
    const bool is_leaving = plan->write->is_arrival || partition->move == CONTROLLER_MOVED;
    const uint64_t bit = controller_replica_bit(partition, id);
    return bit != 0 && !(is_leaving && (bit & partition->removing) != 0);
}

static bool can_lead(const struct plan *plan, int32_t id)
{
    return remains(plan, id) && controller_is_online(plan->controller, plan->partition, id);
}

/* The first that can lead, in the order of assignment; or nobody. */
static int32_t elect(const struct plan *plan, bool is_unclean)
{
    const struct controller_partition *partition = plan->partition;
    for (uint32_t index = 0; index < partition->replica_count; index++) {
        const int32_t id = partition->replicas[index];
        if (can_lead(plan, id) && (is_unclean || is_in_isr(partition, id)))
            return id;
    }
    return control_leader_none;
}

/* ---- the first state ---- */

static enum verdict plan_first(struct plan *plan)
{
    const struct controller_partition *partition = plan->partition;
    struct controller_write *write = plan->write;
    write->is_first = true;
    for (uint32_t index = 0; index < partition->replica_count; index++)
        if (can_lead(plan, partition->replicas[index]))
            write->isr[write->state.isr_count++] = partition->replicas[index];
    write->state.leader = write->isr[0];
    write->state.leader_epoch = 0;
    write->wants = partition->wants;
    return write->state.isr_count > 0 ? VERDICT_WRITE : VERDICT_NOTHING;
}

/* ---- later ones ---- */

/* The ISR without those who are away: they that can lead and the leader itself, else they that
 * live, else all as they are. */
static void plan_isr(struct plan *plan)
{
    const struct controller_partition *partition = plan->partition;
    struct controller_write *write = plan->write;
    for (int round = 0; round < 3 && write->state.isr_count == 0; round++)
        for (uint32_t index = 0; index < partition->isr_count && index < control_replica_count_max;
             index++) {
            const int32_t id = partition->isr[index];
            const bool is_kept = round == 0   ? can_lead(plan, id) || id == write->state.leader
                                 : round == 1 ? remains(plan, id) && is_live(plan->controller, id)
                                              : true;
            if (is_kept)
                write->isr[write->state.isr_count++] = id;
        }
}

/* Whether its leader does its work; one that shuts down does, as long as there is no other. */
static bool is_led(const struct plan *plan)
{
    const struct controller_partition *partition = plan->partition;
    const int32_t leader = partition->leader;
    return leader >= 0 && is_live(plan->controller, leader) && remains(plan, leader) &&
           (partition->offline & controller_replica_bit(partition, leader)) == 0;
}

static bool is_shutting_down(const struct plan *plan, int32_t id)
{
    const struct controller_broker *broker = controller_find_broker(plan->controller, id);
    return broker != NULL && broker->is_shutting_down;
}

/* Nobody of the ISR can lead: nobody does, or by choice one that has to recover. */
static enum verdict plan_unclean(struct plan *plan)
{
    const struct controller_topic *topic = plan->partition->topic;
    struct controller_write *write = plan->write;
    const bool is_wanted = (plan->partition->wants & CONTROLLER_WANT_UNCLEAN) != 0;
    const int32_t leader = elect(plan, true);
    if (leader < 0)
        return VERDICT_NOTHING;
    if (!is_wanted && topic->unclean == CONTROLLER_UNCLEAN_UNKNOWN)
        return VERDICT_ASK;
    if (!is_wanted && topic->unclean == CONTROLLER_CLEAN)
        return VERDICT_NOTHING;
    write->state.leader = leader;
    write->state.is_recovering = true;
    write->state.isr_count = 1;
    write->isr[0] = leader;
    plan->has_elected = true;
    return VERDICT_WRITE;
}

static enum verdict plan_leader(struct plan *plan)
{
    const struct controller_partition *partition = plan->partition;
    struct controller_write *write = plan->write;
    const bool has_leader = is_led(plan);
    write->state.leader = has_leader ? partition->leader : control_leader_none;
    if (!has_leader || is_shutting_down(plan, partition->leader)) {
        const int32_t leader = elect(plan, false);
        if (leader >= 0) {
            write->state.leader = leader;
            plan->has_elected = true;
        } else if (!has_leader) {
            return plan_unclean(plan);
        }
    } else if ((partition->wants & CONTROLLER_WANT_PREFERRED) != 0 &&
               can_lead(plan, partition->replicas[0]) &&
               is_in_isr(partition, partition->replicas[0])) {
        write->state.leader = partition->replicas[0];
    }
    return VERDICT_NOTHING;
}

/* As many as Apache's controller takes, which makes some of these changes one by one. */
static int32_t epochs_of(const struct plan *plan)
{
    const struct controller_partition *partition = plan->partition;
    const struct controller_write *write = plan->write;
    const bool is_new_assignment =
        write->is_arrival || (partition->wants & CONTROLLER_WANT_EPOCH) != 0;
    const bool is_lost = !is_live(plan->controller, partition->leader);
    if (plan->has_elected && (is_lost || !is_new_assignment))
        return 1;
    int32_t count = (int32_t)partition->isr_count - (int32_t)write->state.isr_count;
    if (is_new_assignment || (write->state.leader >= 0 && write->state.leader != partition->leader))
        count++;
    return count > 0 ? count : 1;
}

static bool has_same_isr(const struct controller_partition *partition,
                         const struct controller_write *write)
{
    return partition->isr_count == write->state.isr_count &&
           memcmp(partition->isr, write->isr, partition->isr_count * sizeof *write->isr) == 0;
}

static enum verdict plan_next(struct plan *plan)
{
    const struct controller_partition *partition = plan->partition;
    struct controller_write *write = plan->write;
    write->is_arrival = has_arrived(partition);
    write->state.is_recovering = partition->is_recovering;
    write->wants = partition->wants;
    enum verdict verdict = plan_leader(plan);
    if (verdict == VERDICT_ASK)
        return verdict;
    if (write->is_arrival && write->state.leader < 0) {
        /* None of the target lives: it is complete when one does. */
        write->is_arrival = false;
        write->state.isr_count = 0;
        verdict = plan_leader(plan);
    }
    if (write->state.isr_count == 0)
        plan_isr(plan);
    const bool is_change = write->is_arrival || (partition->wants & CONTROLLER_WANT_EPOCH) != 0 ||
                           write->state.leader != partition->leader ||
                           !has_same_isr(partition, write);
    write->state.leader_epoch = partition->leader_epoch + epochs_of(plan);
    return is_change ? VERDICT_WRITE : verdict;
}

static enum verdict plan_write(const struct controller *controller,
                               struct controller_partition *partition,
                               struct controller_write *write)
{
    struct plan plan = {.controller = controller, .partition = partition, .write = write};
    *write = (struct controller_write){.partition = partition};
    if (partition->replica_count == 0 || partition->is_writing ||
        partition->topic->deletion >= CONTROLLER_DELETION_STOPPING)
        return VERDICT_NOTHING;
    return partition->partition_epoch < 0 ? plan_first(&plan) : plan_next(&plan);
}

/* ---- partitions that are made together ---- */

static bool is_to_be_made(const struct controller_partition *partition)
{
    return partition->partition_epoch < 0 && list_linked(&partition->to_write);
}

static void hold(struct controller_partition *partition)
{
    partition->is_held = true;
    partition->topic->held_count++;
}

/* Once none of the topic's is being made, or can be at present, brokers hear of those that are. */
static void release_held(struct controller *controller, struct controller_topic *topic)
{
    if (topic->held_count == 0 || topic->making_count > 0)
        return;
    for (uint32_t index = 0; index < topic->partition_count; index++)
        if (is_to_be_made(topic->partitions[index]))
            return;
    for (uint32_t index = 0; index < topic->partition_count; index++) {
        struct controller_partition *partition = topic->partitions[index];
        if (!partition->is_held)
            continue;
        partition->is_held = false;
        controller_mark_ordered(controller, partition);
        partition->created_at = controller->change;
    }
    topic->held_count = 0;
}

/* ---- what is to be written ---- */

/* Whether it belongs into to_write; otherwise nothing is wanted of it any more. */
static bool needs_write(struct controller *controller, struct controller_partition *partition)
{
    struct controller_write write;
    switch (plan_write(controller, partition, &write)) {
    case VERDICT_WRITE: return true;
    case VERDICT_ASK:
        list_remove(&partition->topic->to_ask);
        list_push(&controller->to_ask, &partition->topic->to_ask);
        return false;
    case VERDICT_NOTHING:
        if (!partition->is_writing)
            partition->wants = 0;
        return false;
    }
    return false;
}

void controller_decision_consider(struct controller *controller,
                                  struct controller_partition *partition)
{
    list_remove(&partition->to_write);
    if (needs_write(controller, partition))
        list_push(&controller->to_write, &partition->to_write);
    else
        release_held(controller, partition->topic);
}

void controller_decision_check_leader(struct controller *controller,
                                      struct controller_partition *partition, int64_t state_zxid)
{
    const struct controller_broker *leader = controller_find_broker(controller, partition->leader);
    if (partition->replica_count < 2 || partition->leader < 0 ||
        (leader != NULL && leader->record.epoch <= state_zxid))
        return;
    partition->wants |= CONTROLLER_WANT_EPOCH;
    controller_decision_consider(controller, partition);
}

void controller_decision_consider_topic(struct controller *controller,
                                        struct controller_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        controller_decision_consider(controller, topic->partitions[index]);
}

void controller_decision_forget_unclean(struct controller *controller)
{
    list_each (link, &controller->topics)
        CONTAINER_OF(link, struct controller_topic, link)->unclean = CONTROLLER_UNCLEAN_UNKNOWN;
    controller->is_due = true;
}

void controller_decision_update(struct controller *controller)
{
    if (!controller->is_due)
        return;
    controller->is_due = false;
    list_each (link, &controller->topics)
        controller_decision_consider_topic(controller,
                                           CONTAINER_OF(link, struct controller_topic, link));
}

static void begin_write(struct controller_partition *partition, bool is_first)
{
    partition->is_writing = true;
    partition->is_making = is_first;
    partition->topic->making_count += is_first;
}

static void end_write(struct controller *controller, struct controller_partition *partition)
{
    partition->is_writing = false;
    partition->topic->making_count -= partition->is_making;
    partition->is_making = false;
    release_held(controller, partition->topic);
}

bool controller_decision_next(struct controller *controller, struct controller_write *write)
{
    while (!list_empty(&controller->to_write)) {
        struct controller_partition *partition =
            CONTAINER_OF(list_pop(&controller->to_write), struct controller_partition, to_write);
        if (!needs_write(controller, partition)) {
            release_held(controller, partition->topic);
            continue; /* The world has changed since. */
        }
        const enum verdict verdict = plan_write(controller, partition, write);
        assert(verdict == VERDICT_WRITE);
        write->state.topic = partition->topic->name;
        write->state.topic_id = partition->topic->id;
        write->state.index = partition->index;
        write->state.controller_epoch = controller->epoch;
        write->state.partition_epoch = partition->partition_epoch;
        write->state.isr = write->isr;
        begin_write(partition, write->is_first);
        return true;
    }
    return false;
}

/* ---- what has been written ---- */

/* The replicas that go are stopped at once; that their files are gone is not waited for. */
static void arrive(struct controller *controller, struct controller_partition *partition)
{
    for (uint32_t index = 0; index < partition->replica_count; index++) {
        const int32_t id = partition->replicas[index];
        if ((partition->removing >> index & 1) == 0 || !is_live(controller, id))
            continue;
        if (!controller_add_stop(controller, partition,
                                 (struct controller_stop){.broker_id = id, .deletes = true}))
            break; /* No memory: its files stay, as they do where a broker is away. */
    }
    partition->move = CONTROLLER_MOVED;
    partition->topic->has_moved = true;
}

void controller_decision_written(struct controller *controller,
                                 const struct controller_write *write, int32_t partition_epoch)
{
    struct controller_partition *partition = write->partition;
    const struct controller_broker *earlier = controller_find_broker(controller, partition->leader);
    assert(partition->is_writing);
    assert(write->state.isr_count <= max_u64(partition->replica_count, partition->isr_count));
    if (earlier != NULL && earlier->is_shutting_down && partition->leader != write->state.leader)
        partition->left_by = partition->leader;
    memcpy(partition->isr, write->isr, write->state.isr_count * sizeof *write->isr);
    partition->isr_count = write->state.isr_count;
    partition->leader = write->state.leader;
    partition->leader_epoch = write->state.leader_epoch;
    partition->controller_epoch = write->state.controller_epoch;
    partition->partition_epoch = partition_epoch;
    partition->is_recovering = write->state.is_recovering;
    partition->wants &= ~write->wants;
    if (write->is_first)
        hold(partition);
    else if (write->is_alteration)
        controller_mark_changed(controller, partition);
    else
        controller_mark_ordered(controller, partition);
    end_write(controller, partition);
    if (write->is_arrival && partition->move == CONTROLLER_MOVING)
        arrive(controller, partition);
    controller_decision_consider(controller, partition);
}

enum err controller_decision_found(struct controller *controller,
                                   struct controller_partition *partition,
                                   const struct partition_state *state)
{
    assert(partition->is_writing);
    const enum err err = controller_set_state(controller, partition, state);
    if (err != ERR_OK)
        return err;
    if (partition->is_making)
        hold(partition);
    controller_decision_not_written(controller, partition);
    return ERR_OK;
}

void controller_decision_not_written(struct controller *controller,
                                     struct controller_partition *partition)
{
    end_write(controller, partition);
    controller->is_due = true;
}

void controller_decision_refused(struct controller *controller,
                                 struct controller_partition *partition)
{
    end_write(controller, partition);
}

/* ---- controlled shutdown ---- */

static void shut_down(struct controller *controller, struct controller_partition *partition,
                      int32_t id)
{
    if (partition->replica_count < 2 || partition->partition_epoch < 0 ||
        partition->topic->deletion != CONTROLLER_KEPT || !controller_is_replica(partition, id))
        return;
    if (partition->leader != id &&
        !controller_add_stop(controller, partition, (struct controller_stop){.broker_id = id}))
        return; /* No memory: it stops by itself soon. */
    controller_decision_consider(controller, partition);
}

void controller_decision_shut_down(struct controller *controller, struct controller_broker *broker)
{
    broker->is_shutting_down = true;
    list_each (link, &controller->topics) {
        struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        for (uint32_t index = 0; index < topic->partition_count; index++)
            shut_down(controller, topic->partitions[index], broker->record.id);
    }
}

/* ---- rebalancing ---- */

/* Whether the broker should lead the partition and does not. */
static bool is_led_by_another(const struct controller_partition *partition, int32_t id)
{
    return partition->replica_count > 0 && partition->replicas[0] == id &&
           partition->partition_epoch >= 0 && partition->leader != id &&
           partition->topic->deletion == CONTROLLER_KEPT;
}

static void rebalance(struct controller *controller, int32_t id, uint32_t percent)
{
    uint64_t preferred_count = 0, other_count = 0;
    list_each (link, &controller->topics) {
        const struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        for (uint32_t index = 0; index < topic->partition_count; index++) {
            const struct controller_partition *partition = topic->partitions[index];
            preferred_count += partition->replica_count > 0 && partition->replicas[0] == id &&
                               topic->deletion == CONTROLLER_KEPT;
            other_count += is_led_by_another(partition, id);
        }
    }
    if (other_count * 100 <= preferred_count * percent)
        return;
    list_each (link, &controller->topics) {
        struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        for (uint32_t index = 0; index < topic->partition_count; index++)
            if (is_led_by_another(topic->partitions[index], id)) {
                topic->partitions[index]->wants |= CONTROLLER_WANT_PREFERRED;
                controller_decision_consider(controller, topic->partitions[index]);
            }
    }
}

void controller_decision_rebalance(struct controller *controller, uint32_t percent)
{
    if (controller->moving_count > 0)
        return;
    list_each (link, &controller->brokers)
        rebalance(controller, CONTAINER_OF(link, struct controller_broker, link)->record.id,
                  percent);
}
