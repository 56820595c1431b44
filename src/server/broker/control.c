#include "server/broker/control.h"

#include <stdio.h>

#include "broker/controller_alteration.h"
#include "client/keeper_hosts.h"
#include "net/net.h"
#include "server/broker/bootstrap.h"
#include "server/broker/config_admin.h"
#include "server/broker/config_changes.h"
#include "server/broker/config_store.h"
#include "server/broker/controller_driver.h"
#include "server/broker/election.h"
#include "server/broker/log_dir_notice.h"
#include "server/broker/partition_admin.h"
#include "server/broker/producer_ids.h"
#include "server/broker/reassignment_job.h"
#include "server/broker/registration.h"
#include "server/broker/replica_agent.h"
#include "server/broker/roll_call.h"
#include "server/broker/topic_admin.h"

enum {
    endpoint_count_max = 16,
    stop_poll_ms = 5,
    stop_rounds_max = 400,
    ask_again_ms_first = 1000,
    ask_again_ms_max = 32000,
};

enum phase {
    PHASE_OPENING,     /* Until on_opened. */
    PHASE_OPENED,      /* Until control_register. */
    PHASE_REGISTERING, /* Until on_ready. */
    PHASE_READY,
    PHASE_STOPPING, /* Answers what waits. */
    PHASE_CLOSING   /* Closes the session. */
};

struct control {
    struct shard *shard;
    struct control_options options;
    const struct control_handler *handler;
    void *context;
    enum phase phase;
    bool has_failed;

    struct zk_session session;
    struct bootstrap bootstrap;
    struct config_store store;
    struct config_changes changes;
    struct metadata_view view;
    struct roll_call roll_call;
    struct replica_agent agent;
    struct registration registration;
    struct election election;
    bool is_electing; /* In this session. */
    struct controller_driver driver;
    struct producer_ids producer_ids;
    struct topic_admin topics;
    struct partition_admin partitions;
    struct config_admin configs;
    struct log_dir_notice notice;
    struct delay ask_again;
    uint32_t ask_again_ms; /* The next pause: the longer the more often, within a registration. */

    int32_t broker_id;
    int64_t broker_epoch;
    int64_t features_epoch;
    struct broker_endpoint endpoints[endpoint_count_max];
    struct broker_record record;
    struct keeper_watch feature_watch;
    struct zk_request feature_request;
    bool feature_is_read; /* A request is in flight. */
    struct io_op timer;   /* The limit for opening; later the pace of stopping. */
    bool timer_is_running;
    uint32_t stop_round;
};

static const char feature_path[] = "/feature";

static void fail(struct control *control, enum err err, const char *reason)
{
    if (control->has_failed || control->phase >= PHASE_STOPPING)
        return;
    control->has_failed = true;
    control->handler->on_failed(control->context, err, reason);
}

/* ---- features ---- */

static void read_feature(struct control *control)
{
    if (control->feature_is_read)
        return;
    control->feature_is_read = true;
    control->feature_request.kind = ZK_REQUEST_EXISTS;
    control->feature_request.path = feature_path;
    control->feature_request.watch = &control->feature_watch;
    zk_session_send(&control->session, &control->feature_request);
}

/* The epoch that clients see is the znode's version; the features in it are none that we know. */
static void on_feature(struct zk_request *request, const struct keeper_result *result)
{
    struct control *control = CONTAINER_OF(request, struct control, feature_request);
    control->feature_is_read = false;
    if (result->code == KEEPER_OK)
        control->features_epoch = result->stat->version;
}

static void on_feature_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    if (type != KEEPER_WATCH_ENDED)
        read_feature(CONTAINER_OF(watch, struct control, feature_watch));
}

/* ---- what the parts report ---- */

static void become_ready(struct control *control)
{
    if (control->phase != PHASE_REGISTERING)
        return;
    control->phase = PHASE_READY;
    control->handler->on_ready(control->context);
}

static void on_settled(void *context)
{
    become_ready(context);
}

static void on_driver_deposed(void *context)
{
    struct control *control = context;
    election_lose(&control->election);
}

static void on_driver_progress(void *context)
{
    struct control *control = context;
    partition_admin_advance(&control->partitions);
    topic_admin_advance(&control->topics);
}

static void on_reassignments(void *context, struct slice data, int32_t version)
{
    struct control *control = context;
    reassignment_job_read(&control->partitions, data, version);
}

static void on_elected(void *context, int32_t epoch, int32_t epoch_version)
{
    struct control *control = context;
    controller_driver_begin(&control->driver, epoch, epoch_version);
}

static void on_deposed(void *context)
{
    struct control *control = context;
    controller_driver_end(&control->driver);
}

static void on_other(void *context, int32_t controller_id)
{
    struct control *control = context;
    diag_info(control->shard->diag, "broker %d is the controller", (int)controller_id);
    become_ready(control);
}

static void on_registered(void *context, int64_t broker_epoch)
{
    struct control *control = context;
    control->broker_epoch = broker_epoch;
    control->ask_again_ms = ask_again_ms_first;
    control->agent.broker_epoch = broker_epoch;
    roll_call_begin(&control->roll_call);
    diag_info(control->shard->diag, "registered as broker %d, epoch %lld", (int)control->broker_id,
              (long long)broker_epoch);
    if (!control->is_electing)
        election_begin(&control->election);
    control->is_electing = true;
    log_dir_notice_send(&control->notice);
}

static void on_refused(void *context, const char *reason)
{
    fail(context, ERR_EXISTS, reason);
}

static void begin_registration(struct control *control)
{
    registration_begin(&control->registration, &control->record, io_wall_ms(control->shard->io));
}

static void on_topic_config(void *context, const struct config_store_topic *topic)
{
    struct control *control = context;
    control->handler->on_topic_config(control->context, topic->name, topic->partition_count,
                                      &topic->resolved);
}

static void on_broker_config(void *context)
{
    struct control *control = context;
    control->handler->on_broker_config(control->context);
    /* Whether leaders may be unclean is one of the topics' defaults. */
    controller_driver_reconsider(&control->driver);
}

static void stop_timer(struct control *control)
{
    if (control->timer_is_running)
        io_cancel(control->shard->io, &control->timer);
}

static void on_changes_loaded(void *context)
{
    struct control *control = context;
    if (control->phase != PHASE_OPENING)
        return;
    control->phase = PHASE_OPENED;
    stop_timer(control);
    control->handler->on_opened(control->context);
}

static void on_bootstrapped(void *context)
{
    struct control *control = context;
    const int32_t broker_id = control->bootstrap.broker_id;
    struct zk_session *session = &control->session;
    struct diag *diag = control->shard->diag;
    control->broker_id = broker_id;
    control->agent.options.broker_id = broker_id;
    control->driver.options.broker_id = broker_id;
    control->configs.options.broker_id = broker_id;
    registration_init(&control->registration,
                      (struct registration_options){session, diag, broker_id},
                      (struct registration_handler){on_registered, on_refused, control});
    election_init(&control->election,
                  (struct election_options){session, control->shard->io, diag, broker_id},
                  (struct election_handler){on_elected, on_deposed, on_other, control});
    producer_ids_init(&control->producer_ids, session, diag, broker_id);
    control->notice.options =
        (struct log_dir_notice_options){.session = session, .diag = diag, .broker_id = broker_id};
    read_feature(control);
    config_changes_begin(&control->changes, broker_id);
}

static void on_bootstrap_failed(void *context, const char *reason)
{
    fail(context, ERR_IO, reason);
}

static void on_session(void *context)
{
    struct control *control = context;
    switch (control->phase) {
    case PHASE_OPENING: bootstrap_begin(&control->bootstrap); return;
    case PHASE_OPENED:
    case PHASE_REGISTERING:
    case PHASE_READY:
        read_feature(control);
        config_changes_begin(&control->changes, control->broker_id);
        if (control->phase != PHASE_OPENED)
            begin_registration(control);
        return;
    case PHASE_STOPPING:
    case PHASE_CLOSING: return;
    }
}

static void on_expired(void *context)
{
    struct control *control = context;
    control->is_electing = false;
    if (control->phase != PHASE_OPENING)
        election_lose(&control->election);
}

static void on_session_stopped(void *context)
{
    struct control *control = context;
    control->handler->on_stopped(control->context);
}

/* ---- the timer ---- */

static void start_timer(struct control *control, uint64_t after_ms)
{
    if (control->timer_is_running)
        return;
    control->timer_is_running = true;
    control->timer.kind = IO_TIMER;
    control->timer.timer.deadline_ns = io_now_ns(control->shard->io) + after_ms * 1000000;
    io_submit(control->shard->io, &control->timer);
}

/* Everything that waits is answered first, then the session goes. */
static void go_on_stopping(struct control *control)
{
    const bool has_no_topics = topic_admin_stop(&control->topics);
    const bool is_idle = partition_admin_stop(&control->partitions) && has_no_topics;
    if (!is_idle && control->stop_round++ < stop_rounds_max) {
        start_timer(control, stop_poll_ms);
        return;
    }
    control->phase = PHASE_CLOSING;
    registration_end(&control->registration);
    if (control->session.client != NULL)
        zk_session_stop(&control->session);
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct control *control = CONTAINER_OF(op, struct control, timer);
    control->timer_is_running = false;
    if (control->phase == PHASE_STOPPING)
        go_on_stopping(control);
    else if (control->phase == PHASE_OPENING && result == 0)
        fail(control, ERR_TIMEOUT, "no keeper answers within zookeeper.connection.timeout.ms");
}

/* ---- life ---- */

static struct zk_session_handler session_handler_of(struct control *control)
{
    return (struct zk_session_handler){on_session, on_expired, on_session_stopped, control};
}

/* The controller asks for all replicas of a broker that says this. */
static void on_ask_again(struct delay *delay)
{
    control_report_loss(CONTAINER_OF(delay, struct control, ask_again));
}

static void ask_again(void *context)
{
    struct control *control = context;
    if (control->phase >= PHASE_STOPPING || delay_is_running(&control->ask_again))
        return;
    delay_queue_add(control->options.delays, &control->ask_again, control->ask_again_ms);
    control->ask_again_ms =
        (uint32_t)min_u64(2 * (uint64_t)control->ask_again_ms, ask_again_ms_max);
}

static enum err init_stores(struct control *control, uint64_t seed)
{
    struct shard *shard = control->shard;
    enum err err =
        config_store_init(&control->store, shard->heap,
                          (struct config_store_options){
                              .hash_seed = seed,
                              .static_value = control->options.static_value,
                              .static_value_context = control->options.static_value_context,
                          });
    if (err == ERR_OK)
        err = metadata_view_init(&control->view, shard->heap,
                                 (struct metadata_view_options){.hash_seed = seed});
    if (err == ERR_OK)
        err = replica_agent_init(&control->agent, (struct replica_agent_options){
                                                      .heap = shard->heap,
                                                      .diag = shard->diag,
                                                      .session = &control->session,
                                                      .store = &control->store,
                                                      .view = &control->view,
                                                      .handler = control->handler,
                                                      .handler_context = control->context,
                                                      .ask_again = ask_again,
                                                      .context = control,
                                                      .hash_seed = seed,
                                                  });
    return err;
}

static void init_followers(struct control *control, struct net *net, uint64_t seed)
{
    struct shard *shard = control->shard;
    const struct control_options *options = &control->options;
    roll_call_init(&control->roll_call, &control->view, &control->session, shard->diag);
    config_changes_init(&control->changes,
                        (struct config_changes_options){
                            .io = shard->io,
                            .heap = shard->heap,
                            .diag = shard->diag,
                            .session = &control->session,
                            .store = &control->store,
                        },
                        (struct config_changes_handler){on_changes_loaded, on_topic_config,
                                                        on_broker_config, control});
    controller_driver_init(
        &control->driver,
        (struct controller_driver_options){
            .io = shard->io,
            .net = net,
            .heap = shard->heap,
            .diag = shard->diag,
            .delays = options->delays,
            .session = &control->session,
            .store = &control->store,
            .agent = &control->agent,
            .inter_broker_listener = options->inter_broker_listener,
            .answer_timeout_ms = options->answer_timeout_ms,
            .imbalance_check_s =
                options->auto_leader_rebalance ? options->leader_imbalance_check_s : 0,
            .imbalance_percent = options->leader_imbalance_percent,
            .hash_seed = seed,
            .delete_topic_enable = options->delete_topic_enable,
        },
        (struct controller_driver_handler){on_settled, on_driver_deposed, on_driver_progress,
                                           on_reassignments, control});
    partition_admin_init(&control->partitions, (struct partition_admin){
                                                   .heap = shard->heap,
                                                   .diag = shard->diag,
                                                   .delays = options->delays,
                                                   .driver = &control->driver,
                                                   .view = &control->view,
                                               });
    topic_admin_init(&control->topics, (struct topic_admin_options){
                                           .io = shard->io,
                                           .heap = shard->heap,
                                           .diag = shard->diag,
                                           .session = &control->session,
                                           .store = &control->store,
                                           .view = &control->view,
                                           .driver = &control->driver,
                                           .partition_count = options->partition_count,
                                           .replication_factor = options->replication_factor,
                                           .told_wait_ms = options->told_wait_ms,
                                           .delete_topic_enable = options->delete_topic_enable,
                                       });
    config_admin_init(&control->configs, (struct config_admin_options){
                                             .io = shard->io,
                                             .heap = shard->heap,
                                             .diag = shard->diag,
                                             .session = &control->session,
                                             .store = &control->store,
                                             .view = &control->view,
                                         });
}

static enum err init_session(struct control *control, struct net *net)
{
    const struct control_options *options = &control->options;
    struct slice list, chroot;
    if (!keeper_hosts_split(slice_from_text(options->keeper_connect), &list, &chroot))
        return ERR_CONFIG;
    bootstrap_init(&control->bootstrap,
                   (struct bootstrap_options){
                       .session = &control->session,
                       .io = control->shard->io,
                       .chroot = chroot,
                       .broker_id = options->broker_id,
                       .broker_id_reserved_max = options->broker_id_reserved_max,
                   },
                   (struct bootstrap_handler){on_bootstrapped, on_bootstrap_failed, control});
    return zk_session_init(&control->session, control->shard->io, net, control->shard->heap,
                           control->shard->diag,
                           (struct keeper_client_options){
                               .connect = options->keeper_connect,
                               .session_timeout_ms = options->session_timeout_ms,
                           },
                           session_handler_of(control));
}

enum err control_init(struct control **out, struct shard *shard, struct net *net,
                      struct control_options options, const struct control_handler *handler,
                      void *context)
{
    struct control *control = heap_take_zeroed(shard->heap, sizeof *control);
    if (control == NULL)
        return ERR_NO_MEMORY;
    control->shard = shard;
    control->options = options;
    control->handler = handler;
    control->context = context;
    control->broker_id = options.broker_id;
    control->broker_epoch = -1;
    control->features_epoch = -1;
    control->timer.done = on_timer;
    control->ask_again.expired = on_ask_again;
    control->feature_request.done = on_feature;
    control->feature_watch.fired = on_feature_fired;

    uint64_t seed;
    io_entropy(shard->io, &seed, sizeof seed);
    enum err err = init_stores(control, seed);
    if (err == ERR_OK)
        err = init_session(control, net);
    if (err != ERR_OK) {
        control_deinit(control);
        return err;
    }
    init_followers(control, net, seed);
    *out = control;
    return ERR_OK;
}

void control_deinit(struct control *control)
{
    if (control == NULL)
        return;
    if (control->driver.options.heap != NULL)
        controller_driver_deinit(&control->driver);
    config_changes_deinit(&control->changes);
    replica_agent_deinit(&control->agent);
    metadata_view_deinit(&control->view);
    config_store_deinit(&control->store);
    if (control->session.client != NULL)
        zk_session_deinit(&control->session);
    heap_give(control->shard->heap, control);
}

void control_open(struct control *control)
{
    start_timer(control, control->options.connection_timeout_ms);
    zk_session_start(&control->session);
}

void control_register(struct control *control, const struct broker_endpoint *endpoints,
                      uint32_t endpoint_count)
{
    assert(control->phase == PHASE_OPENED);
    control->phase = PHASE_REGISTERING;
    if (endpoint_count > endpoint_count_max) {
        fail(control, ERR_LIMIT, "too many listeners");
        return;
    }
    memcpy(control->endpoints, endpoints, endpoint_count * sizeof *endpoints);
    control->record = (struct broker_record){
        .id = control->broker_id,
        .rack = control->options.rack,
        .endpoint_count = endpoint_count,
        .endpoints = control->endpoints,
    };
    if (control->session.session_id != 0)
        begin_registration(control); /* Else in the next session. */
}

void control_stop(struct control *control)
{
    if (control->phase >= PHASE_STOPPING)
        return;
    const bool was_opened = control->phase != PHASE_OPENING;
    control->phase = PHASE_STOPPING;
    if (was_opened)
        controller_driver_end(&control->driver);
    delay_queue_remove(control->options.delays, &control->ask_again);
    stop_timer(control);
    start_timer(control, 0);
}

struct slice control_cluster_id(const struct control *control)
{
    return slice_from_text(control->bootstrap.cluster_id);
}

int32_t control_broker_id(const struct control *control)
{
    return control->broker_id;
}

int64_t control_broker_epoch(const struct control *control)
{
    return control->broker_epoch;
}

bool control_is_controller(const struct control *control)
{
    return control->election.is_active;
}

int64_t control_features_epoch(const struct control *control)
{
    return control->features_epoch;
}

struct metadata_view *control_metadata(struct control *control)
{
    return &control->view;
}

void control_receive(struct control *control, struct replica_agent_delivery *delivery)
{
    replica_agent_receive(&control->agent, delivery);
}

void control_drop_partition(struct control *control, struct slice topic, int32_t index)
{
    replica_agent_drop(&control->agent, topic, index);
}

void control_report_loss(struct control *control)
{
    log_dir_notice_want(&control->notice);
    if (control->broker_epoch >= 0)
        log_dir_notice_send(&control->notice);
}

void control_create_topics(struct control *control, struct create_topics *request)
{
    topic_admin_create(&control->topics, request);
}

void control_delete_topics(struct control *control, struct delete_topics *request)
{
    topic_admin_delete(&control->topics, request);
}

void control_create_partitions(struct control *control, struct create_partitions *request)
{
    topic_admin_grow(&control->topics, request);
}

void control_alter_partitions(struct control *control, struct alter_partitions *request)
{
    isr_admin_alter(&control->partitions, request);
}

void control_elect_leaders(struct control *control, struct elect_leaders *request)
{
    election_admin_elect(&control->partitions, request);
}

void control_alter_reassignments(struct control *control, struct alter_reassignments *request)
{
    reassignment_admin_alter(&control->partitions, request);
}

int16_t control_each_reassignment(struct control *control,
                                  void (*each)(void *context,
                                               const struct reassignment_description *description),
                                  void *context)
{
    if (!partition_admin_is_controller(&control->partitions))
        return KAFKA_NOT_CONTROLLER;
    reassignment_admin_each(&control->partitions, each, context);
    return KAFKA_NONE;
}

void control_shut_down_broker(struct control *control, struct shut_down_broker *request)
{
    election_admin_shut_down(&control->partitions, request);
}

void control_alter_configs(struct control *control, struct alter_configs *request)
{
    config_admin_alter(&control->configs, request);
}

void control_describe_configs(struct control *control, struct describe_configs *request)
{
    config_admin_describe(&control->configs, request);
}

void control_take_producer_id(struct control *control, struct producer_id_request *request)
{
    producer_ids_take(&control->producer_ids, request);
}

void control_take_producer_block(struct control *control, struct producer_block_request *request)
{
    producer_ids_take_block(&control->producer_ids, request);
}

int16_t control_check_broker(const struct control *control, int32_t broker_id, int64_t broker_epoch)
{
    const struct controller *controller = &control->partitions.driver->controller;
    if (!partition_admin_is_controller(&control->partitions))
        return KAFKA_NOT_CONTROLLER;
    if (controller_find_broker(controller, broker_id) == NULL)
        return KAFKA_BROKER_ID_NOT_REGISTERED;
    return controller_alteration_check_broker(controller, broker_id, broker_epoch);
}

const struct topic_config *control_topic_config(const struct control *control, struct slice topic)
{
    return config_store_topic(&control->store, topic);
}

int64_t control_dynamic_number(const struct control *control, const char *key, int64_t otherwise)
{
    int64_t number;
    const struct slice value = config_store_dynamic(&control->store, key);
    return value.data != NULL && znode_json_read_number(value, &number) == ERR_OK ? number
                                                                                  : otherwise;
}
