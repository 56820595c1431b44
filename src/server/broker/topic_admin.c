#include "server/broker/topic_admin.h"

#include <stdio.h>

#include "broker/partition_name.h"
#include "broker/replica_assignment.h"
#include "broker/topic_name.h"

enum {
    path_size = 320,
    poll_ms = 20,
    block_least = 4096,
    json_bytes_per_replica = 13, /* Digits, sign, comma. */
    json_bytes_per_partition = 16
};

static const char epoch_path[] = "/controller_epoch";
static const char topics_path[] = "/brokers/topics";

struct job;

/* The znodes of one topic on their way. */
struct topic_write {
    struct zk_request request;
    struct job *job;
    uint32_t index; /* Of the topic in the request. */
    struct keeper_multi_op ops[3];
    char path[path_size];
    char config_path[path_size];
    void *block; /* Assignment and JSON. */
    struct znode_topic znode;
};

/* One request: exactly one of the three pointers is set. */
struct job {
    struct list link; /* In waiting, or in none. */
    struct list open;
    struct topic_admin *admin;
    struct create_topics *create;
    struct delete_topics *deletion;
    struct create_partitions *growth;
    uint64_t deadline_ns;
    uint64_t told_deadline_ns; /* 0: it is not over here yet. */
    uint64_t told_change;      /* What the others are to be told. */
    uint32_t open_count;       /* Writes in flight. */
};

static void on_metadata(struct metadata_listener *listener);
static void on_timer(struct io_op *op, int64_t result);

void topic_admin_init(struct topic_admin *admin, struct topic_admin_options options)
{
    *admin = (struct topic_admin){.options = options};
    list_init(&admin->waiting);
    list_init(&admin->open);
    admin->listener.changed = on_metadata;
    admin->timer.done = on_timer;
    metadata_view_listen(options.view, &admin->listener);
}

/* ---- the ends of jobs ---- */

static void finish(struct job *job)
{
    struct create_topics *create = job->create;
    struct delete_topics *deletion = job->deletion;
    struct create_partitions *growth = job->growth;
    list_remove(&job->link);
    list_remove(&job->open);
    heap_give(job->admin->options.heap, job);
    if (create != NULL)
        create->done(create);
    else if (deletion != NULL)
        deletion->done(deletion);
    else
        growth->done(growth);
}

/* Whether every partition of the topic has a leader that is known here. */
static bool is_led(const struct topic_admin *admin, struct slice name, uint32_t partition_count)
{
    const struct metadata_topic *topic = metadata_view_topic(admin->options.view, name);
    if (topic == NULL || topic->partition_count < partition_count)
        return false;
    for (uint32_t index = 0; index < partition_count; index++)
        if (topic->partitions[index].leader < 0)
            return false;
    return true;
}

/* Where the error of item index of the job stands. */
static int16_t *code_of(const struct job *job, uint32_t index)
{
    return job->create != NULL     ? &job->create->topics[index].error_code
           : job->deletion != NULL ? &job->deletion->topics[index].error_code
                                   : &job->growth->topics[index].error_code;
}

/* Whether item index of the job is as it was asked to be, or cannot be. */
static bool is_over(const struct job *job, uint32_t index)
{
    const struct topic_admin *admin = job->admin;
    if (*code_of(job, index) != KAFKA_NONE)
        return true;
    if (job->create != NULL) {
        const struct topic_create *topic = &job->create->topics[index];
        return is_led(admin, topic->name, (uint32_t)topic->partition_count_made);
    }
    if (job->deletion != NULL)
        return metadata_view_topic(admin->options.view, job->deletion->topics[index].name) == NULL;
    const struct topic_grow *topic = &job->growth->topics[index];
    return is_led(admin, topic->name, (uint32_t)topic->partition_count);
}

static uint32_t count_of(const struct job *job)
{
    if (job->create != NULL)
        return job->create->topic_count;
    return job->deletion != NULL ? job->deletion->topic_count : job->growth->topic_count;
}

static bool is_validation(const struct job *job)
{
    return (job->create != NULL && job->create->validate_only) ||
           (job->growth != NULL && job->growth->validate_only);
}

static bool is_all_over(const struct job *job)
{
    if (is_validation(job))
        return true;
    for (uint32_t index = 0; index < count_of(job); index++)
        if (!is_over(job, index))
            return false;
    return true;
}

static bool has_changed_anything(const struct job *job)
{
    if (is_validation(job))
        return false;
    for (uint32_t index = 0; index < count_of(job); index++)
        if (*code_of(job, index) == KAFKA_NONE)
            return true;
    return false;
}

/* Everything is as it was asked to be, as this broker sees it. Apache's controller reaches itself
 * the way it reaches the others; ours knows before them. */
static bool have_others_heard(struct job *job, uint64_t now_ns)
{
    const struct topic_admin *admin = job->admin;
    const struct controller_driver *driver = admin->options.driver;
    if (!has_changed_anything(job))
        return true;
    if (job->told_deadline_ns == 0) {
        const uint64_t wait_ns = (uint64_t)admin->options.told_wait_ms * 1000000;
        job->told_deadline_ns = min_u64(now_ns + wait_ns, job->deadline_ns);
        job->told_change = driver->controller.metadata_changed_at;
    }
    return now_ns >= job->told_deadline_ns || controller_driver_has_told(driver, job->told_change);
}

static void mark_late(struct job *job)
{
    for (uint32_t index = 0; index < count_of(job); index++)
        if (!is_over(job, index))
            *code_of(job, index) = KAFKA_REQUEST_TIMED_OUT;
}

static void start_timer(struct topic_admin *admin)
{
    if (admin->timer_is_running)
        return;
    admin->timer_is_running = true;
    admin->timer.kind = IO_TIMER;
    admin->timer.timer.deadline_ns = io_now_ns(admin->options.io) + (uint64_t)poll_ms * 1000000;
    io_submit(admin->options.io, &admin->timer);
}

static void check_waiting(struct topic_admin *admin)
{
    const uint64_t now_ns = io_now_ns(admin->options.io);
    list_each_safe (link, after, &admin->waiting) {
        struct job *job = CONTAINER_OF(link, struct job, link);
        if (is_all_over(job)) {
            if (admin->is_stopping || have_others_heard(job, now_ns))
                finish(job);
        } else if (now_ns >= job->deadline_ns || admin->is_stopping) {
            mark_late(job);
            finish(job);
        }
    }
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct topic_admin *admin = CONTAINER_OF(op, struct topic_admin, timer);
    (void)result;
    admin->timer_is_running = false;
    check_waiting(admin);
    if (!list_empty(&admin->waiting))
        start_timer(admin);
}

/* Answers leave from the timer, which is never inside the call that brought a request. */
static void on_metadata(struct metadata_listener *listener)
{
    check_waiting(CONTAINER_OF(listener, struct topic_admin, listener));
}

void topic_admin_advance(struct topic_admin *admin)
{
    check_waiting(admin);
}

static void wait_for_view(struct job *job)
{
    list_push(&job->admin->waiting, &job->link);
    start_timer(job->admin);
}

static void close_one(struct job *job)
{
    assert(job->open_count > 0);
    if (--job->open_count == 0)
        wait_for_view(job);
}

/* NULL: no memory. */
static struct job *open_job(struct topic_admin *admin, int32_t timeout_ms)
{
    struct job *job = heap_take_zeroed(admin->options.heap, sizeof *job);
    if (job == NULL)
        return NULL;
    job->admin = admin;
    job->deadline_ns = io_now_ns(admin->options.io) + (uint64_t)max_i64(timeout_ms, 0) * 1000000;
    job->open_count = 1; /* Held while its writes are started. */
    list_init(&job->link);
    list_push(&admin->open, &job->open);
    return job;
}

bool topic_admin_stop(struct topic_admin *admin)
{
    admin->is_stopping = true;
    check_waiting(admin);
    if (admin->timer_is_running)
        io_cancel(admin->options.io, &admin->timer);
    return list_empty(&admin->open) && !admin->timer_is_running;
}

/* ---- writes ---- */

static struct topic_write *open_write(struct job *job, uint32_t index, struct slice name)
{
    struct topic_write *write = heap_take_zeroed(job->admin->options.heap, sizeof *write);
    if (write == NULL)
        return NULL;
    write->job = job;
    write->index = index;
    write->request.path = write->path;
    snprintf(write->path, sizeof write->path, "/brokers/topics/%" SLICE_FORMAT, SLICE_ARGS(name));
    snprintf(write->config_path, sizeof write->config_path, "/config/topics/%" SLICE_FORMAT,
             SLICE_ARGS(name));
    job->open_count++;
    return write;
}

static void close_write(struct topic_write *write)
{
    struct job *job = write->job;
    heap_give(job->admin->options.heap, write->block);
    heap_give(job->admin->options.heap, write);
    close_one(job);
}

static void send(struct topic_write *write, enum zk_request_kind kind,
                 void (*done)(struct zk_request *request, const struct keeper_result *result))
{
    write->request.kind = kind;
    write->request.done = done;
    zk_session_send(write->job->admin->options.session, &write->request);
}

static bool is_controller(const struct topic_admin *admin)
{
    return admin->options.driver->is_active && !admin->options.driver->is_draining &&
           !admin->is_stopping;
}

/* Under the check of the controller's epoch; a topic that any broker may make, under one that never
 * fails. */
static void send_checked(struct topic_write *write, uint32_t op_count,
                         void (*done)(struct zk_request *request,
                                      const struct keeper_result *result))
{
    const struct job *job = write->job;
    const bool is_ours = is_controller(job->admin);
    write->ops[0] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_CHECK,
        .path = is_ours ? epoch_path : topics_path,
        .version = is_ours ? job->admin->options.driver->epoch_version : keeper_any_version,
    };
    write->request.ops = write->ops;
    write->request.op_count = op_count;
    send(write, ZK_REQUEST_MULTI, done);
}

static struct topic_write *write_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct topic_write, request);
}

/* What a keeper's refusal is to a client. */
static int16_t error_of(const struct keeper_result *result)
{
    if (result->part_count > 0 && result->parts[0].code == KEEPER_BAD_VERSION)
        return KAFKA_NOT_CONTROLLER;
    if (result->code == KEEPER_SESSION_EXPIRED)
        return KAFKA_NOT_CONTROLLER;
    return KAFKA_UNKNOWN_SERVER_ERROR;
}

/* ---- assignment ---- */

/* The live brokers, in an array from the heap; NULL: no memory. */
static struct replica_assignment_broker *list_brokers(const struct topic_admin *admin,
                                                      uint32_t *count)
{
    struct replica_assignment_broker *brokers = heap_take_zeroed(
        admin->options.heap, (admin->options.view->broker_count + 1) * sizeof *brokers);
    *count = 0;
    if (brokers == NULL)
        return NULL;
    metadata_view_each_broker(broker, admin->options.view) brokers[(*count)++] =
        (struct replica_assignment_broker){.id = broker->record.id, .rack = broker->record.rack};
    return brokers;
}

/* The block of a write: the replicas of the znode and room for its JSON. */
static bool take_block(struct topic_write *write, uint32_t partition_count, uint64_t replica_count,
                       struct arena *arena)
{
    const uint64_t size =
        block_least +
        partition_count *
            (sizeof(struct znode_replicas) + sizeof(void *) + json_bytes_per_partition) +
        replica_count * (sizeof(int32_t) + json_bytes_per_replica) + partition_count * 32u;
    write->block = heap_take(write->job->admin->options.heap, size);
    if (write->block == NULL)
        return false;
    arena_init(arena, write->block, size);
    write->znode.partition_count = partition_count;
    write->znode.partitions =
        arena_take_array(arena, partition_count, sizeof *write->znode.partitions);
    return write->znode.partitions != NULL;
}

static uint32_t random_below(const struct topic_admin *admin, uint32_t limit)
{
    uint32_t value;
    io_entropy(admin->options.io, &value, sizeof value);
    return value % limit;
}

static int16_t assignment_error(enum err err, char *reason, uint32_t wanted, uint32_t broker_count)
{
    if (err == ERR_LIMIT) {
        snprintf(reason, control_reason_size,
                 "Replication factor: %u larger than available brokers: %u.", (unsigned)wanted,
                 (unsigned)broker_count);
        return KAFKA_INVALID_REPLICATION_FACTOR;
    }
    snprintf(reason, control_reason_size,
             "Not all brokers have rack information for replica rack aware assignment.");
    return KAFKA_INVALID_REPLICATION_FACTOR;
}

/* Kafka's own assignment of partitions [first, first + count) into the znode. */
static int16_t assign(struct topic_write *write, struct arena *arena,
                      struct replica_assignment_options options, char *reason)
{
    struct topic_admin *admin = write->job->admin;
    uint32_t broker_count;
    struct replica_assignment_broker *brokers = list_brokers(admin, &broker_count);
    int32_t *ids = arena_take_array(
        arena, (size_t)options.partition_count * options.replication_factor, sizeof *ids);
    if (brokers == NULL || ids == NULL) {
        heap_give(admin->options.heap, brokers);
        return KAFKA_UNKNOWN_SERVER_ERROR;
    }
    const enum err err = replica_assignment_make(brokers, broker_count, options, ids);
    heap_give(admin->options.heap, brokers);
    if (err != ERR_OK)
        return assignment_error(err, reason, options.replication_factor, broker_count);
    for (uint32_t index = 0; index < options.partition_count; index++)
        write->znode.partitions[options.first_partition + index] = (struct znode_replicas){
            options.replication_factor, ids + (size_t)index * options.replication_factor};
    return KAFKA_NONE;
}

static bool has_duplicates(const int32_t *ids, uint32_t count)
{
    for (uint32_t index = 1; index < count; index++)
        for (uint32_t before = 0; before < index; before++)
            if (ids[index] == ids[before])
                return true;
    return false;
}

/* One partition's replicas as the client wants them. */
static int16_t check_assignment(const struct topic_assignment *assignment, uint32_t replica_count,
                                char *reason)
{
    if (assignment->broker_count == 0 || assignment->broker_count > control_replica_count_max ||
        assignment->broker_count != replica_count) {
        snprintf(reason, control_reason_size,
                 "All partitions should have the same number of replicas");
        return KAFKA_INVALID_REPLICA_ASSIGNMENT;
    }
    if (has_duplicates(assignment->brokers, assignment->broker_count)) {
        snprintf(reason, control_reason_size, "Duplicate replica assignment found for partition %d",
                 (int)assignment->partition);
        return KAFKA_INVALID_REPLICA_ASSIGNMENT;
    }
    for (uint32_t index = 0; index < assignment->broker_count; index++)
        if (assignment->brokers[index] < 0) {
            snprintf(reason, control_reason_size, "Broker id %d is not one",
                     (int)assignment->brokers[index]);
            return KAFKA_INVALID_REPLICA_ASSIGNMENT;
        }
    return KAFKA_NONE;
}

static bool copy_replicas(struct arena *arena, const struct topic_assignment *assignment,
                          struct znode_replicas *replicas)
{
    replicas->ids = arena_take_array(arena, assignment->broker_count, sizeof *replicas->ids);
    if (replicas->ids == NULL)
        return false;
    memcpy(replicas->ids, assignment->brokers, assignment->broker_count * sizeof *replicas->ids);
    replicas->count = assignment->broker_count;
    return true;
}

/* ---- create ---- */

static int16_t check_configs(const struct topic_create *topic, char *reason)
{
    for (uint32_t index = 0; index < topic->config_count; index++) {
        const struct topic_config_entry *entry = &topic->configs[index];
        const struct topic_config_row *row = topic_config_find(entry->name);
        if (entry->value.data == NULL) {
            snprintf(reason, control_reason_size,
                     "Null value not supported for topic configs: %" SLICE_FORMAT,
                     SLICE_ARGS(entry->name));
            return KAFKA_INVALID_CONFIG;
        }
        if (row == NULL) {
            snprintf(reason, control_reason_size, "Unknown topic config name: %" SLICE_FORMAT,
                     SLICE_ARGS(entry->name));
            return KAFKA_INVALID_CONFIG;
        }
        if (!topic_config_check(row, entry->value, reason, control_reason_size))
            return KAFKA_INVALID_CONFIG;
    }
    return KAFKA_NONE;
}

static int16_t check_name(const struct topic_admin *admin, struct slice name, char *reason)
{
    if (!topic_name_check(name, reason, control_reason_size))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    if (metadata_view_topic(admin->options.view, name) != NULL ||
        controller_driver_is_deleting(admin->options.driver, name)) {
        snprintf(reason, control_reason_size, "Topic '%" SLICE_FORMAT "' already exists.",
                 SLICE_ARGS(name));
        return KAFKA_TOPIC_ALREADY_EXISTS;
    }
    metadata_view_each_topic(topic, admin->options.view) if (topic_name_collides(name, topic->name))
    {
        snprintf(reason, control_reason_size, "Topic '%.*s' collides with existing topics: %.*s",
                 (int)min_size(name.size, 60), (const char *)name.data,
                 (int)min_size(topic->name.size, 60), (const char *)topic->name.data);
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    }
    return KAFKA_NONE;
}

static bool is_named_twice(const struct create_topics *request, uint32_t index)
{
    for (uint32_t other = 0; other < request->topic_count; other++)
        if (other != index && slice_equal(request->topics[other].name, request->topics[index].name))
            return true;
    return false;
}

static int16_t check_sizes(const struct topic_admin *admin, struct topic_create *topic)
{
    const bool has_sizes = topic->partition_count != -1 || topic->replication_factor != -1;
    if (topic->assignment_count > 0 && has_sizes) {
        snprintf(topic->reason, sizeof topic->reason,
                 "Both numPartitions or replicationFactor and replicasAssignments were set. Both "
                 "cannot be used at the same time.");
        return KAFKA_INVALID_REQUEST;
    }
    const int32_t partitions =
        topic->partition_count == -1 ? admin->options.partition_count : topic->partition_count;
    const int16_t factor = topic->replication_factor == -1 ? admin->options.replication_factor
                                                           : topic->replication_factor;
    topic->partition_count_made =
        topic->assignment_count > 0 ? (int32_t)topic->assignment_count : partitions;
    topic->replication_factor_made =
        topic->assignment_count > 0 ? (int16_t)topic->assignments[0].broker_count : factor;
    if (topic->partition_count_made <= 0 ||
        topic->partition_count_made > control_partition_count_max) {
        snprintf(topic->reason, sizeof topic->reason,
                 "Number of partitions must be larger than 0.");
        return KAFKA_INVALID_PARTITIONS;
    }
    if (topic->replication_factor_made <= 0 ||
        topic->replication_factor_made > control_replica_count_max) {
        snprintf(topic->reason, sizeof topic->reason, "Replication factor must be larger than 0.");
        return KAFKA_INVALID_REPLICATION_FACTOR;
    }
    return KAFKA_NONE;
}

/* The client's assignment must name partitions 0 to n-1, each once. */
static int16_t take_assignments(struct topic_write *write, struct arena *arena,
                                struct topic_create *topic)
{
    for (uint32_t index = 0; index < topic->assignment_count; index++) {
        const struct topic_assignment *assignment = &topic->assignments[index];
        const int16_t code =
            check_assignment(assignment, topic->assignments[0].broker_count, topic->reason);
        if (code != KAFKA_NONE)
            return code;
        if (assignment->partition < 0 || assignment->partition >= topic->partition_count_made ||
            write->znode.partitions[assignment->partition].count > 0) {
            snprintf(topic->reason, sizeof topic->reason,
                     "partitions should be a consecutive 0-based integer sequence");
            return KAFKA_INVALID_REPLICA_ASSIGNMENT;
        }
        if (!copy_replicas(arena, assignment, &write->znode.partitions[assignment->partition]))
            return KAFKA_UNKNOWN_SERVER_ERROR;
    }
    return KAFKA_NONE;
}

static struct topic_create *created_of(struct topic_write *write)
{
    return &write->job->create->topics[write->index];
}

static void on_same_name_read(struct zk_request *request, const struct keeper_result *result)
{
    struct topic_write *write = write_of(request);
    struct topic_create *topic = created_of(write);
    uint8_t memory[64];
    const struct slice id = slice_from_text(uuid_print(write->znode.id, (char *)memory));
    /* Ours, if the reply to the first attempt was lost: then it carries our id. */
    bool is_ours = false;
    for (size_t at = 0; result->code == KEEPER_OK && at + id.size <= result->data.size; at++)
        is_ours |= memcmp(result->data.data + at, id.data, id.size) == 0;
    if (!is_ours) {
        topic->error_code = KAFKA_TOPIC_ALREADY_EXISTS;
        snprintf(topic->reason, sizeof topic->reason, "Topic '%" SLICE_FORMAT "' already exists.",
                 SLICE_ARGS(topic->name));
    }
    close_write(write);
}

static void on_created(struct zk_request *request, const struct keeper_result *result)
{
    struct topic_write *write = write_of(request);
    if (result->code == KEEPER_NODE_EXISTS && result->parts[1].code == KEEPER_NODE_EXISTS &&
        write->ops[1].kind == KEEPER_MULTI_CREATE) {
        /* Settings are left over from an earlier topic of this name, or were made in advance. */
        write->ops[1].kind = KEEPER_MULTI_SET_DATA;
        write->ops[1].version = keeper_any_version;
        send_checked(write, 3, on_created);
        return;
    }
    if (result->code == KEEPER_NODE_EXISTS) {
        write->request.watch = NULL;
        send(write, ZK_REQUEST_GET_DATA, on_same_name_read);
        return;
    }
    if (result->code != KEEPER_OK)
        created_of(write)->error_code = error_of(result);
    close_write(write);
}

/* Settings first: who follows the topics' znodes reads them at once. */
static int16_t write_topic(struct topic_write *write, struct arena *arena,
                           const struct topic_create *topic)
{
    uint8_t entropy[16];
    do
        io_entropy(write->job->admin->options.io, entropy, sizeof entropy);
    while (!uuid_from_entropy(entropy, &write->znode.id));
    const struct znode_config config = {
        .count = topic->config_count,
        .entries = (struct topic_config_entry *)topic->configs,
    };
    write->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_CREATE,
        .path = write->config_path,
        .data = znode_json_write_config(arena, &config),
    };
    write->ops[2] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_CREATE,
        .path = write->path,
        .data = znode_json_write_topic(arena, &write->znode),
    };
    if (write->ops[1].data.data == NULL || write->ops[2].data.data == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    return KAFKA_NONE;
}

static size_t config_bytes(const struct topic_create *topic)
{
    size_t size = 0;
    for (uint32_t index = 0; index < topic->config_count; index++)
        size += 16 + 2 * (topic->configs[index].name.size + topic->configs[index].value.size);
    return size;
}

static int16_t start_create(struct job *job, uint32_t index)
{
    struct topic_create *topic = &job->create->topics[index];
    int16_t code = check_name(job->admin, topic->name, topic->reason);
    if (code == KAFKA_NONE)
        code = check_sizes(job->admin, topic);
    if (code == KAFKA_NONE)
        code = check_configs(topic, topic->reason);
    if (code != KAFKA_NONE)
        return code;
    struct topic_write *write = open_write(job, index, topic->name);
    if (write == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    struct arena arena;
    const uint32_t count = (uint32_t)topic->partition_count_made;
    const uint32_t factor = (uint32_t)topic->replication_factor_made;
    /* The settings' text counts as replicas: both are a few bytes each. */
    if (!take_block(write, count, (uint64_t)count * factor + config_bytes(topic) / 8, &arena))
        code = KAFKA_UNKNOWN_SERVER_ERROR;
    else if (topic->assignment_count > 0)
        code = take_assignments(write, &arena, topic);
    else
        code = assign(write, &arena,
                      (struct replica_assignment_options){
                          .partition_count = count,
                          .replication_factor = factor,
                          .start_index = random_below(job->admin, 1 << 16),
                          .shift = random_below(job->admin, 1 << 16),
                      },
                      topic->reason);
    if (code == KAFKA_NONE)
        code = write_topic(write, &arena, topic);
    if (code != KAFKA_NONE || job->create->validate_only) {
        close_write(write);
        return code;
    }
    topic->id = write->znode.id;
    send_checked(write, 3, on_created);
    return KAFKA_NONE;
}

static void reset_create(struct create_topics *request, int16_t error_code)
{
    for (uint32_t index = 0; index < request->topic_count; index++) {
        struct topic_create *topic = &request->topics[index];
        topic->error_code = error_code;
        topic->reason[0] = '\0';
        topic->id = (struct uuid){{0}};
        topic->partition_count_made = -1;
        topic->replication_factor_made = -1;
    }
}

void topic_admin_create(struct topic_admin *admin, struct create_topics *request)
{
    struct job *job = open_job(admin, request->timeout_ms);
    reset_create(request, job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE);
    if (job == NULL) {
        request->done(request); /* There is no memory to do it later. */
        return;
    }
    job->create = request;
    for (uint32_t index = 0; index < request->topic_count; index++) {
        struct topic_create *topic = &request->topics[index];
        const bool may_create =
            !admin->is_stopping && (request->by_any_broker || is_controller(admin));
        int16_t code = KAFKA_NOT_CONTROLLER;
        if (may_create && is_named_twice(request, index)) {
            snprintf(topic->reason, sizeof topic->reason, "Duplicate topic name.");
            code = KAFKA_INVALID_REQUEST;
        } else if (may_create) {
            code = start_create(job, index);
        }
        if (code != KAFKA_NONE)
            topic->error_code = code;
    }
    close_one(job);
}

/* ---- delete ---- */

static void on_marked(struct zk_request *request, const struct keeper_result *result)
{
    struct topic_write *write = write_of(request);
    struct topic_delete *topic = &write->job->deletion->topics[write->index];
    if (result->code != KEEPER_OK && result->code != KEEPER_NODE_EXISTS)
        topic->error_code = error_of(result);
    close_write(write);
}

static int16_t start_delete(struct job *job, uint32_t index)
{
    struct topic_delete *topic = &job->deletion->topics[index];
    const struct metadata_view *view = job->admin->options.view;
    const bool is_by_id = topic->name.data == NULL;
    _Static_assert(sizeof topic->name_text > topic_name_size_max, "any topic's name fits");
    const struct metadata_topic *known = is_by_id ? metadata_view_topic_by_id(view, topic->id)
                                                  : metadata_view_topic(view, topic->name);
    if (known == NULL)
        return is_by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (!job->admin->options.delete_topic_enable) {
        snprintf(topic->reason, sizeof topic->reason, "Topic deletion is disabled.");
        return KAFKA_TOPIC_DELETION_DISABLED;
    }
    topic->id = known->id;
    struct topic_write *write = open_write(job, index, known->name);
    if (write == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    if (is_by_id) { /* The view forgets the name with the topic. */
        memcpy(topic->name_text, known->name.data, known->name.size);
        topic->name = slice_of(topic->name_text, known->name.size);
    }
    snprintf(write->path, sizeof write->path, "/admin/delete_topics/%" SLICE_FORMAT,
             SLICE_ARGS(known->name));
    write->request.flags = KEEPER_PERSISTENT;
    send(write, ZK_REQUEST_CREATE, on_marked);
    return KAFKA_NONE;
}

void topic_admin_delete(struct topic_admin *admin, struct delete_topics *request)
{
    struct job *job = open_job(admin, request->timeout_ms);
    for (uint32_t index = 0; index < request->topic_count; index++) {
        request->topics[index].error_code = job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
        request->topics[index].reason[0] = '\0';
    }
    if (job == NULL) {
        request->done(request);
        return;
    }
    job->deletion = request;
    for (uint32_t index = 0; index < request->topic_count; index++) {
        const int16_t code = is_controller(admin) ? start_delete(job, index) : KAFKA_NOT_CONTROLLER;
        if (code != KAFKA_NONE)
            request->topics[index].error_code = code;
    }
    close_one(job);
}

/* ---- grow ---- */

static struct topic_grow *grown_of(struct topic_write *write)
{
    return &write->job->growth->topics[write->index];
}

static void on_grown(struct zk_request *request, const struct keeper_result *result)
{
    struct topic_write *write = write_of(request);
    /* A changed version is a race with another change, or our own write whose reply was lost: what
     * the metadata shows in time decides. */
    const bool is_race = result->code == KEEPER_BAD_VERSION && result->parts[0].code == KEEPER_OK;
    if (result->code != KEEPER_OK && !is_race)
        grown_of(write)->error_code = error_of(result);
    close_write(write);
}

static int16_t check_growth(const struct topic_grow *topic, const struct znode_topic *znode,
                            char *reason)
{
    const uint32_t now = znode->partition_count;
    for (uint32_t index = 0; index < now; index++)
        if (znode->adding[index].count + znode->removing[index].count > 0) {
            snprintf(reason, control_reason_size, "The topic is being reassigned.");
            return KAFKA_REASSIGNMENT_IN_PROGRESS;
        }
    if (topic->partition_count <= 0 || (uint32_t)topic->partition_count < now) {
        snprintf(reason, control_reason_size,
                 "Topic currently has %u partitions, which is higher than the requested %d.",
                 (unsigned)now, (int)topic->partition_count);
        return KAFKA_INVALID_PARTITIONS;
    }
    if ((uint32_t)topic->partition_count == now) {
        snprintf(reason, control_reason_size, "Topic already has %u partitions.", (unsigned)now);
        return KAFKA_INVALID_PARTITIONS;
    }
    if (topic->partition_count > control_partition_count_max) {
        snprintf(reason, control_reason_size, "At most %d partitions are possible.",
                 (int)control_partition_count_max);
        return KAFKA_INVALID_PARTITIONS;
    }
    const uint32_t more = (uint32_t)topic->partition_count - now;
    if (topic->assignment_count > 0 && topic->assignment_count != more) {
        snprintf(reason, control_reason_size,
                 "Increasing the number of partitions by %u but %u assignments provided.",
                 (unsigned)more, (unsigned)topic->assignment_count);
        return KAFKA_INVALID_REPLICA_ASSIGNMENT;
    }
    return KAFKA_NONE;
}

static int16_t take_growth(struct topic_write *write, struct arena *arena, struct topic_grow *topic,
                           uint32_t first, uint32_t factor)
{
    for (uint32_t index = 0; index < topic->assignment_count; index++) {
        const struct topic_assignment *assignment = &topic->assignments[index];
        const int16_t code = check_assignment(assignment, factor, topic->reason);
        if (code != KAFKA_NONE)
            return code;
        for (uint32_t broker = 0; broker < assignment->broker_count; broker++)
            if (metadata_view_broker(write->job->admin->options.view,
                                     assignment->brokers[broker]) == NULL) {
                snprintf(topic->reason, sizeof topic->reason,
                         "Unknown broker(s) in replica assignment: %d.",
                         (int)assignment->brokers[broker]);
                return KAFKA_INVALID_REPLICA_ASSIGNMENT;
            }
        if (!copy_replicas(arena, assignment, &write->znode.partitions[first + index]))
            return KAFKA_UNKNOWN_SERVER_ERROR;
    }
    return KAFKA_NONE;
}

/* The place of the topic's first leader among the brokers: new partitions go on from there. */
static uint32_t start_index(const struct topic_admin *admin, int32_t first_leader)
{
    uint32_t index = 0;
    metadata_view_each_broker(broker, admin->options.view)
    {
        if (broker->record.id == first_leader)
            return index;
        index++;
    }
    return 0;
}

static int16_t plan_growth(struct topic_write *write, const struct znode_topic *now,
                           int32_t version)
{
    struct topic_grow *topic = grown_of(write);
    struct arena arena;
    int16_t code = check_growth(topic, now, topic->reason);
    if (code != KAFKA_NONE)
        return code;
    const uint32_t first = now->partition_count;
    const uint32_t count = (uint32_t)topic->partition_count;
    const uint32_t factor = now->partitions[0].count;
    if (!take_block(write, count, (uint64_t)count * max_u64(factor, control_replica_count_max),
                    &arena))
        return KAFKA_UNKNOWN_SERVER_ERROR;
    memcpy(write->znode.partitions, now->partitions, first * sizeof *now->partitions);
    const uint32_t start =
        start_index(write->job->admin, factor > 0 ? now->partitions[0].ids[0] : 0);
    if (topic->assignment_count > 0)
        code = take_growth(write, &arena, topic, first, factor);
    else
        code = assign(write, &arena,
                      (struct replica_assignment_options){
                          .partition_count = count - first,
                          .first_partition = first,
                          .replication_factor = factor,
                          .start_index = start,
                          .shift = start,
                      },
                      topic->reason);
    if (code != KAFKA_NONE)
        return code;
    write->znode.id = now->id;
    write->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_SET_DATA,
        .path = write->path,
        .data = znode_json_write_topic(&arena, &write->znode),
        .version = version,
    };
    return write->ops[1].data.data == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
}

static int16_t deny_unknown(struct topic_grow *topic)
{
    snprintf(topic->reason, sizeof topic->reason, "The topic '%.*s' does not exist.",
             (int)min_size(topic->name.size, 100), (const char *)topic->name.data);
    return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static void on_topic_read(struct zk_request *request, const struct keeper_result *result)
{
    struct topic_write *write = write_of(request);
    struct topic_grow *topic = grown_of(write);
    struct topic_admin *admin = write->job->admin;
    struct znode_topic znode;
    struct arena arena;
    if (result->code != KEEPER_OK) {
        topic->error_code = result->code == KEEPER_NO_NODE ? deny_unknown(topic) : error_of(result);
        close_write(write);
        return;
    }
    const size_t size = result->data.size * 24 + block_least;
    void *memory = heap_take(admin->options.heap, size);
    arena_init(&arena, memory, memory == NULL ? 0 : size);
    int16_t code = KAFKA_UNKNOWN_SERVER_ERROR;
    if (znode_json_read_topic(result->data, &arena, &znode) == ERR_OK)
        code = plan_growth(write, &znode, result->stat->version);
    heap_give(admin->options.heap, memory);
    topic->error_code = code;
    if (code != KAFKA_NONE || write->job->growth->validate_only)
        close_write(write);
    else
        send_checked(write, 2, on_grown);
}

/* The keeper says whether there is such a topic: the view may not have one that was just made. */
static int16_t start_growth(struct job *job, uint32_t index)
{
    struct topic_grow *topic = &job->growth->topics[index];
    struct topic_admin *admin = job->admin;
    if (!topic_name_is_valid(topic->name))
        return deny_unknown(topic);
    if (controller_driver_is_deleting(admin->options.driver, topic->name))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    struct topic_write *write = open_write(job, index, topic->name);
    if (write == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    write->request.watch = NULL;
    send(write, ZK_REQUEST_GET_DATA, on_topic_read);
    return KAFKA_NONE;
}

void topic_admin_grow(struct topic_admin *admin, struct create_partitions *request)
{
    struct job *job = open_job(admin, request->timeout_ms);
    for (uint32_t index = 0; index < request->topic_count; index++) {
        request->topics[index].error_code = job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
        request->topics[index].reason[0] = '\0';
    }
    if (job == NULL) {
        request->done(request);
        return;
    }
    job->growth = request;
    for (uint32_t index = 0; index < request->topic_count; index++) {
        const int16_t code = is_controller(admin) ? start_growth(job, index) : KAFKA_NOT_CONTROLLER;
        if (code != KAFKA_NONE)
            request->topics[index].error_code = code;
    }
    close_one(job);
}
