#include "server/broker/broker_server.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "journal/small_file.h"

enum {
    tick_ms = 1000,
    bind_again_ms = 50,
    bind_attempts_max = 60,
    receive_bytes_first = 64 * 1024,
    open_reply_count_max = 64,
    unsent_bytes_max = 64 << 20,
    send_timeout_ms = 60000,
    first_frame_timeout_ms = 60000,
    backlog = 1024,
};

static const char no_directory[] = "every log directory is offline";

/* ---- connections ---- */

uint32_t broker_server_listener(const struct broker_server *server, uint16_t port)
{
    for (uint32_t i = 0; i < server->config->listener_count; i++)
        if (server->bound[i].port == port)
            return i;
    return 0;
}

/* Connections that come before the broker is registered wait; Apache's broker lets them wait in the
 * backlog. */
static bool on_open(struct net_connection *net)
{
    struct broker_server *server = net->user;
    struct broker_connection *connection;
    if (server->state >= BROKER_STOPPING)
        return false;
    connection = heap_take_zeroed(server->heap, sizeof *connection);
    if (connection == NULL)
        return false;
    connection->server = server;
    connection->net = net;
    connection->peer = net->peer;
    connection->listener_index = broker_server_listener(server, net->local_port);
    list_init(&connection->requests);
    list_push(&server->connections, &connection->link);
    net->user = connection;
    if (server->state != BROKER_SERVING)
        net_connection_pause(net);
    return true;
}

struct net_verdict broker_server_judge_length(const struct broker_config *config, uint32_t length)
{
    if (length > (uint64_t)config->request_bytes_max)
        return (struct net_verdict){.kind = NET_REFUSE, .reason = "the request is too large"};
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static struct net_verdict on_length(struct net_connection *net, uint32_t length)
{
    const struct broker_connection *connection = net->user;
    return broker_server_judge_length(connection->server->config, length);
}

static void on_frame(struct net_connection *net, uint8_t *data, size_t size)
{
    broker_request_begin(net->user, data, size);
}

static void on_raw(struct net_connection *net, struct slice bytes)
{
    (void)net;
    (void)bytes;
    assert(false && "raw bytes were never asked for");
}

static void on_close(struct net_connection *net, const char *reason)
{
    struct broker_connection *connection = net->user;
    (void)reason;
    if (connection->is_gone != NULL)
        *connection->is_gone = true;
    list_remove(&connection->link);
    broker_request_disconnect(connection);
    heap_give(connection->server->heap, connection);
}

static const struct net_handler handler = {.on_open = on_open,
                                           .on_length = on_length,
                                           .on_frame = on_frame,
                                           .on_raw = on_raw,
                                           .on_close = on_close};

/* With gates: they have the connections. */
static bool on_socket(void *user, const struct net_socket *socket)
{
    struct broker_server *server = user;
    return gates_take(&server->gates, socket);
}

static const struct net_handler passing_handler = {.on_socket = on_socket};

/* ---- partitions ---- */

static enum error_code check_partition(const struct broker_server *server,
                                       const struct partition *partition,
                                       struct broker_partition_name name)
{
    if (partition == NULL || !partition->is_hosted || partition->store == NULL) {
        const struct metadata_partition *known =
            metadata_view_partition(control_metadata(server->control), name.topic, name.index);
        return known != NULL && known->leader_epoch >= 0 ? KAFKA_NOT_LEADER_OR_FOLLOWER
                                                         : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (partition_store_offline_reason(partition->store) != NULL)
        return KAFKA_KAFKA_STORAGE_ERROR;
    if (name.leader_epoch >= 0 && name.leader_epoch < partition->leader_epoch)
        return KAFKA_FENCED_LEADER_EPOCH;
    if (name.leader_epoch > partition->leader_epoch)
        return KAFKA_UNKNOWN_LEADER_EPOCH;
    return name.may_follow || partition->is_leader ? KAFKA_NONE : KAFKA_NOT_LEADER_OR_FOLLOWER;
}

struct partition *broker_server_partition(const struct broker_server *server,
                                          struct broker_partition_name name, enum error_code *code)
{
    struct partition *partition = partition_table_find(&server->partitions, name.topic, name.index);
    *code = check_partition(server, partition, name);
    return *code == KAFKA_NONE ? partition : NULL;
}

struct partition *broker_server_leader(const struct broker_server *server, struct slice topic,
                                       int32_t index, int32_t leader_epoch, enum error_code *code)
{
    return broker_server_partition(server,
                                   (struct broker_partition_name){.topic = topic,
                                                                  .index = index,
                                                                  .leader_epoch = leader_epoch},
                                   code);
}

enum partition_durability broker_server_acks_all(const struct broker_server *server,
                                                 const struct partition_store *store)
{
    const bool is_durable = server->config->acks_all == BROKER_ACKS_DURABLE &&
                            !partition_store_config(store)->is_sync_left_to_system;
    return is_durable ? PARTITION_DURABLE : PARTITION_WRITTEN;
}

struct slice broker_server_topic_name(const struct broker_server *server, const void *topic_id)
{
    struct uuid id;
    memcpy(id.bytes, topic_id, sizeof id.bytes);
    const struct metadata_topic *topic =
        metadata_view_topic_by_id(control_metadata(server->control), id);
    return topic == NULL ? SLICE_NULL : topic->name;
}

/* Before the cluster has said what holds for a topic, nothing of it may be deleted. */
static struct partition_config config_at_load(void *context, struct slice topic, int32_t partition)
{
    struct partition_config config = partition_config_default();
    (void)context;
    (void)topic;
    (void)partition;
    config.retention_ms = -1;
    config.retention_bytes = -1;
    return config;
}

static void on_progress(void *context, struct partition_store *store)
{
    struct broker_server *server = context;
    struct partition *partition = partition_store_user(store);
    if (partition == NULL)
        return;
    replication_on_progress(&server->replication, partition);
    replica_fetchers_on_progress(partition);
}

static void on_written(void *context, struct partition_store *store)
{
    struct partition *partition = partition_store_user(store);
    (void)context;
    if (partition == NULL)
        return;
    partition_wake_list(&partition->replica_waiters);
    partition_wake_list(&partition->news_waiters);
}

static void on_offline(void *context, struct log_directory *directory, const char *reason)
{
    struct broker_server *server = context;
    (void)directory;
    (void)reason;
    directory_loss_note(&server->loss);
}

static bool on_lead(void *context, struct partition *partition, const struct partition_state *state)
{
    struct broker_server *server = context;
    return replication_lead(&server->replication, partition, state);
}

static bool on_follow(void *context, struct partition *partition,
                      const struct partition_state *state)
{
    struct broker_server *server = context;
    return replica_fetchers_follow(&server->fetchers, partition, state);
}

static void on_unfollow(void *context, struct partition *partition)
{
    (void)context;
    replica_fetchers_leave(partition);
}

static void on_leadership(void *context, struct partition *partition)
{
    struct broker_server *server = context;
    if (partition->is_leader)
        replication_begin_to_lead(&server->replication, partition);
    else
        replication_leave(&server->replication, partition);
    group_service_on_leadership(&server->groups, partition);
    if (partition->is_hosted)
        replica_moves_resume(&server->moves, partition);
}

static void on_deletion(void *context, struct partition *partition)
{
    struct broker_server *server = context;
    replica_moves_drop(&server->moves, partition);
}

static void on_config(void *context, struct partition *partition, const struct topic_config *config)
{
    struct broker_server *server = context;
    replication_throttle_configure(&server->throttle, partition, config);
    replica_fetchers_throttle(partition);
}

/* Of the disk, not of what stands on it. */
static bool is_loss(enum err err)
{
    return err == ERR_IO || err == ERR_PERMISSION || err == ERR_NOT_FOUND || err == ERR_NO_SPACE;
}

/* While a sync is in flight the world hands writes to a worker, as it may make a writer wait. */
static bool pass_write(struct journal_disk *disk, struct io_op *op)
{
    const struct log_directory *directory = disk->options.user;
    struct broker_server *server = directory->events.context;
    return disk->sync_count == 0 && gates_pass_write(&server->gates, op);
}

/* A directory that cannot be read does not keep the broker from using the others. */
static enum err open_directory(struct broker_server *server, const char *path)
{
    const struct broker_config *config = server->config;
    struct log_directory_options options = log_directory_options_default(path);
    options.flush_checkpoint_ms = config->flush_checkpoint_ms;
    options.high_watermark_checkpoint_ms = config->high_watermark_checkpoint_ms;
    options.retention_check_ms = config->retention_check_ms;
    options.producer_id_expiration_ms = config->producer_id_expiration_ms;
    if (config->open_file_count_max > 0)
        options.open_file_count_max = (uint32_t)max_i64(config->open_file_count_max, 16);
    options.open_file_idle_ms = config->open_file_idle_ms;
    options.unpacked_batch_bytes_max = (uint64_t)config->unpacked_batch_bytes_max;
    options.pass_write = config->shard_count > 1 ? pass_write : NULL;
    const struct log_directory_events events = {.context = server,
                                                .config_of = config_at_load,
                                                .on_progress = on_progress,
                                                .on_written = on_written,
                                                .on_offline = on_offline};
    struct log_directory *directory = NULL;
    enum err err =
        log_directory_init(&directory, server->io, server->heap, server->diag, options, events);
    if (err != ERR_OK)
        return err;
    partition_table_add_directory(&server->partitions, directory);
    err = log_directory_open(directory);
    if (err == ERR_OK)
        err = log_directory_load(directory);
    if (!is_loss(err))
        return err;
    log_directory_fail(directory, err_text(err));
    return ERR_OK;
}

/* ---- start ---- */

static void stop_now(struct broker_server *server);

static void on_failed_and_stopped(void *context)
{
    struct broker_server *server = context;
    shard_stop(server->shard);
}

static void fail(struct broker_server *server, enum err err, const char *reason)
{
    if (server->state >= BROKER_STOPPING)
        return;
    diag_error(server->diag, "the broker stops: %s", reason);
    server->failure = err;
    if (server->departure.has_begun)
        stop_now(server);
    else
        broker_server_stop(server, on_failed_and_stopped, server);
}

/* What other machines may call us, where a listener names no host. */
static void find_host_name(struct broker_server *server)
{
    char *name = server->host_name;
    const int64_t size = small_file_read_wait(server->io, "/proc/sys/kernel/hostname", name, 255);
    size_t length = size > 0 ? (size_t)size : 0;
    while (length > 0 && (uint8_t)name[length - 1] <= ' ')
        length--;
    name[length] = '\0';
    if (length == 0)
        memcpy(name, "localhost", sizeof "localhost");
}

static enum err resolve_listeners(struct broker_server *server)
{
    const struct broker_config *config = server->config;
    for (uint32_t i = 0; i < config->listener_count; i++) {
        const struct broker_listener *listener = &config->listeners[i];
        const int error = io_resolve(server->io, listener->host, listener->port, &server->bound[i]);
        if (error < 0) {
            diag_error(server->diag, "listeners: the host %s has no address: %s", listener->host,
                       err_text(err_from_errno(error)));
            return ERR_CONFIG;
        }
    }
    return ERR_OK;
}

/* Binds those that are not bound yet. */
static enum err bind_listeners(struct broker_server *server)
{
    const struct broker_config *config = server->config;
    for (; server->bound_count < config->listener_count; server->bound_count++) {
        struct io_address *address = &server->bound[server->bound_count];
        const enum err err = net_listen(
            server->net, address, server->gates.count > 0 ? &passing_handler : &handler, server);
        if (err != ERR_OK) {
            char text[io_address_text_max];
            io_address_print(address, text, sizeof text);
            if (err != ERR_BUSY || server->bind_attempts == 0)
                diag_warn(server->diag, "listeners: cannot listen on %s: %s", text, err_text(err));
            return err;
        }
    }
    return ERR_OK;
}

/* The port that the listener of this name was bound to. */
static uint16_t bound_port(const struct broker_server *server, const char *name)
{
    for (uint32_t i = 0; i < server->config->listener_count; i++)
        if (strcmp(server->config->listeners[i].name, name) == 0)
            return server->bound[i].port;
    return server->bound[0].port;
}

static void make_endpoints(struct broker_server *server)
{
    const struct broker_config *config = server->config;
    for (uint32_t i = 0; i < config->advertised_count; i++) {
        const struct broker_listener *listener = &config->advertised[i];
        const bool has_host = listener->host[0] != '\0' && strcmp(listener->host, "0.0.0.0") != 0;
        server->endpoints[i] = (struct broker_endpoint){
            .listener = slice_from_text(listener->name),
            .host = slice_from_text(has_host ? listener->host : server->host_name),
            .port = listener->port != 0 ? listener->port : bound_port(server, listener->name),
            .security = CONTROL_PLAINTEXT};
    }
    server->endpoint_count = config->advertised_count;
}

static void serve(struct broker_server *server);

static void on_bind_again(struct delay *delay)
{
    serve(CONTAINER_OF(delay, struct broker_server, bind_again));
}

/* Binds the listeners, then registers. The kernel may hold the port of a killed process for a
 * moment after its end: that is waited for. */
static void serve(struct broker_server *server)
{
    const enum err err = bind_listeners(server);
    if (server->state != BROKER_OPENING)
        return;
    if (err == ERR_BUSY && server->bind_attempts++ < bind_attempts_max) {
        server->bind_again.expired = on_bind_again;
        delay_queue_add(&server->delays, &server->bind_again, bind_again_ms);
        return;
    }
    if (err != ERR_OK) {
        fail(server, err, "a listener cannot be bound");
        return;
    }
    make_endpoints(server);
    server->state = BROKER_REGISTERING;
    control_register(server->control, server->endpoints, server->endpoint_count);
}

static bool has_directory_online(const struct broker_server *server)
{
    for (uint32_t i = 0; i < server->partitions.directory_count; i++)
        if (!log_directory_is_offline(server->partitions.directories[i]))
            return true;
    return false;
}

static void on_identified(void *context, enum err err)
{
    struct broker_server *server = context;
    assert(server->unidentified_count > 0);
    server->unidentified_count--;
    if (err == ERR_OK && !has_directory_online(server))
        err = ERR_IO;
    if (err == ERR_IO)
        fail(server, err, no_directory);
    else if (err != ERR_OK)
        fail(server, err, "a log directory belongs to another broker or cluster");
    if (err != ERR_OK || server->unidentified_count > 0 || server->state != BROKER_OPENING)
        return;
    serve(server);
}

/* That a replica leaves this broker is no reason: its partition lives on elsewhere. */
static void on_partition_gone(void *context, struct slice topic, int32_t index)
{
    struct broker_server *server = context;
    group_service_forget(&server->groups, topic, index);
}

static void on_opened(void *context)
{
    struct broker_server *server = context;
    metadata_view_tell_gone(control_metadata(server->control), on_partition_gone, server);
    const struct partition_table *table = &server->partitions;
    char cluster_id[64];
    const struct slice id = control_cluster_id(server->control);
    const size_t size = min_size(id.size, sizeof cluster_id - 1);
    memcpy(cluster_id, id.data, size);
    cluster_id[size] = '\0';
    const struct log_directory_identity identity = {
        .cluster_id = cluster_id, .broker_id = control_broker_id(server->control)};
    for (uint32_t i = 0; i < table->directory_count; i++)
        server->unidentified_count += !log_directory_is_offline(table->directories[i]);
    if (server->unidentified_count < table->directory_count)
        directory_loss_note(&server->loss);
    if (server->unidentified_count == 0)
        fail(server, ERR_IO, no_directory);
    for (uint32_t i = 0; i < table->directory_count; i++)
        if (!log_directory_is_offline(table->directories[i]))
            log_directory_identify(table->directories[i], identity, on_identified, server);
}

/* A broker that can store nothing ends, as Apache's does, so that somebody notices. */
static void on_tick(struct delay *delay)
{
    struct broker_server *server = CONTAINER_OF(delay, struct broker_server, tick);
    for (uint32_t i = 0; i < server->partitions.directory_count; i++)
        log_directory_tick(server->partitions.directories[i]);
    delay_queue_add(&server->delays, &server->tick, tick_ms);
    if (!has_directory_online(server))
        fail(server, ERR_IO, no_directory);
}

static void on_ready(void *context)
{
    struct broker_server *server = context;
    if (server->state != BROKER_REGISTERING)
        return;
    server->state = BROKER_SERVING;
    for (uint32_t i = 0; i < server->config->listener_count; i++) {
        char text[io_address_text_max];
        io_address_print(&server->bound[i], text, sizeof text);
        diag_info(server->diag, "broker %d of cluster %" SLICE_FORMAT " listens on %s",
                  control_broker_id(server->control),
                  SLICE_ARGS(control_cluster_id(server->control)), text);
    }
    server->tick.expired = on_tick;
    delay_queue_add(&server->delays, &server->tick, tick_ms);
    replication_start(&server->replication);
    list_each_safe (link, after, &server->connections)
        net_connection_resume(CONTAINER_OF(link, struct broker_connection, link)->net);
    gates_serve(&server->gates);
}

static void on_partition(void *context, struct partition_change *change)
{
    struct broker_server *server = context;
    partition_table_change(&server->partitions, change);
}

static void on_topic_config(void *context, struct slice topic, uint32_t partition_count,
                            const struct topic_config *config)
{
    struct broker_server *server = context;
    partition_table_configure(&server->partitions, topic, partition_count, config);
}

/* In the words of the net, where 0 is no limit. */
static uint32_t address_limit(int64_t per_address)
{
    return per_address == INT32_MAX ? 0 : (uint32_t)per_address;
}

/* What changes while the broker runs, beside the defaults of topics. */
static void apply_limits(struct broker_server *server)
{
    const struct broker_config *config = server->config;
    const struct control *control = server->control;
    const int64_t per_address = control_dynamic_number(control, "max.connections.per.ip",
                                                       config->connection_count_max_per_address);
    const int64_t count =
        control_dynamic_number(control, "max.connections", config->connection_count_max);
    const int64_t expiration_ms = control_dynamic_number(control, "producer.id.expiration.ms",
                                                         config->producer_id_expiration_ms);
    net_limit_connections(server->net, (struct net_connection_limits){
                                           .count_max = (uint32_t)max_i64(count, 1),
                                           .count_max_per_address = address_limit(per_address)});
    for (uint32_t i = 0; i < server->partitions.directory_count; i++)
        log_directory_expire_producers_after(server->partitions.directories[i], expiration_ms);
}

static void on_broker_config(void *context)
{
    struct broker_server *server = context;
    apply_limits(server);
    replication_throttle_set_rates(&server->throttle);
    replica_moves_set_rate(&server->moves);
}

static void on_control_failed(void *context, enum err err, const char *reason)
{
    fail(context, err, reason);
}

static void on_control_stopped(void *context);

static const struct control_handler control_events = {.on_opened = on_opened,
                                                      .on_ready = on_ready,
                                                      .on_partition = on_partition,
                                                      .on_topic_config = on_topic_config,
                                                      .on_broker_config = on_broker_config,
                                                      .on_failed = on_control_failed,
                                                      .on_stopped = on_control_stopped};

static struct slice static_value(void *context, const char *key)
{
    const struct broker_server *server = context;
    return broker_config_value(server->config, key);
}

static struct control_options control_options_of(struct broker_server *server)
{
    const struct broker_config *config = server->config;
    return (struct control_options){
        .keeper_connect = config->keeper_connect,
        .session_timeout_ms = (uint32_t)config->keeper_session_timeout_ms,
        .connection_timeout_ms = (uint32_t)config->keeper_connection_timeout_ms,
        .broker_id = (int32_t)config->broker_id,
        .broker_id_reserved_max = (int32_t)config->broker_id_reserved_max,
        .rack = config->rack == NULL ? SLICE_NULL : slice_from_text(config->rack),
        .partition_count = (int32_t)config->partition_count,
        .replication_factor = (int16_t)config->replication_factor,
        .delete_topic_enable = config->delete_topic_enable,
        .delays = &server->delays,
        .inter_broker_listener = broker_config_inter_broker_listener(config),
        .answer_timeout_ms = (uint32_t)config->controller_socket_timeout_ms,
        .auto_leader_rebalance = config->auto_leader_rebalance,
        .leader_imbalance_check_s = (uint32_t)config->leader_imbalance_check_s,
        .told_wait_ms = (uint32_t)config->told_wait_ms,
        .leader_imbalance_percent = (uint32_t)config->leader_imbalance_percent,
        .static_value = static_value,
        .static_value_context = server};
}

struct net_options broker_server_net_options(const struct broker_config *config)
{
    const int64_t idle_ms = config->connection_idle_ms_max;
    return (struct net_options){.connection_count_max = (uint32_t)config->connection_count_max,
                                .connection_count_max_per_address =
                                    address_limit(config->connection_count_max_per_address),
                                .receive_bytes_first = receive_bytes_first,
                                .open_reply_count_max = open_reply_count_max,
                                .unsent_bytes_max = unsent_bytes_max,
                                .idle_timeout_ms = idle_ms < 0 ? 0 : (uint32_t)idle_ms,
                                .first_frame_timeout_ms = first_frame_timeout_ms,
                                .send_timeout_ms = send_timeout_ms,
                                .backlog = backlog};
}

static enum err open_directories(struct broker_server *server)
{
    for (uint32_t i = 0; i < server->config->log_dir_count; i++) {
        const enum err err = open_directory(server, server->config->log_dir_paths[i]);
        if (err != ERR_OK)
            return err;
    }
    if (has_directory_online(server))
        return replica_moves_recover(&server->moves);
    diag_error(server->diag, "%s", no_directory);
    return ERR_IO;
}

static enum err init(struct broker_server *server)
{
    const struct broker_config *config = server->config;
    const struct partition_table_events events = {.context = server,
                                                  .on_lead = on_lead,
                                                  .on_follow = on_follow,
                                                  .on_unfollow = on_unfollow,
                                                  .on_leadership = on_leadership,
                                                  .on_deletion = on_deletion,
                                                  .on_config = on_config};
    list_init(&server->connections);
    broker_request_pool_init(&server->requests);
    gates_init(&server->gates, server);
    delay_queue_init(&server->delays, server->io);
    replication_init(&server->replication, server);
    directory_loss_init(&server->loss, server);
    auto_topic_init(&server->auto_topics, config);
    io_entropy(server->io, &server->hash_seed, sizeof server->hash_seed);
    find_host_name(server);
    enum err err =
        fetch_session_cache_init(&server->fetch_sessions, server->heap,
                                 (struct fetch_session_options){
                                     .session_count_max = (uint32_t)config->fetch_session_count_max,
                                     .hash_seed = server->hash_seed});
    if (err == ERR_OK)
        err = partition_table_init(&server->partitions, server->heap, server->diag,
                                   server->hash_seed, events);
    if (err == ERR_OK)
        err = replica_fetchers_init(&server->fetchers, server);
    if (err == ERR_OK)
        err = replication_throttle_init(&server->throttle, server);
    if (err == ERR_OK)
        err = replica_moves_init(&server->moves, server);
    if (err == ERR_OK)
        err = group_service_init(&server->groups, server);
    if (err == ERR_OK)
        err = resolve_listeners(server);
    if (err == ERR_OK)
        err = open_directories(server);
    if (err == ERR_OK)
        err = net_init(&server->net, server->io, server->heap, server->diag,
                       broker_server_net_options(config));
    if (err == ERR_OK)
        err = control_init(&server->control, server->shard, server->net, control_options_of(server),
                           &control_events, server);
    return err;
}

static void on_given_up(void *context, enum err err)
{
    (void)err; /* The start has failed anyway. */
    (*(uint32_t *)context)--;
}

/* A load begins to write, whether it comes to its end or not. */
static void close_directories_wait(struct broker_server *server)
{
    uint32_t open_count = server->partitions.directory_count;
    for (uint32_t i = 0; i < server->partitions.directory_count; i++)
        log_directory_close(server->partitions.directories[i], on_given_up, &open_count);
    while (open_count > 0)
        io_run(server->io, UINT64_MAX);
}

enum err broker_server_start(struct broker_server **out, struct shard *shard,
                             const struct broker_config *config)
{
    struct broker_server *server = heap_take_zeroed(shard->heap, sizeof *server);
    if (server == NULL)
        return ERR_NO_MEMORY;
    server->shard = shard;
    server->io = shard->io;
    server->heap = shard->heap;
    server->diag = shard->diag;
    server->config = config;
    const enum err err = init(server);
    if (err != ERR_OK) {
        close_directories_wait(server);
        broker_server_deinit(server);
        return err;
    }
    control_open(server->control);
    *out = server;
    return ERR_OK;
}

/* ---- stop ---- */

static void on_delays_stopped(struct delay_queue *delays)
{
    struct broker_server *server = CONTAINER_OF(delays, struct broker_server, delays);
    server->state = BROKER_STOPPED;
    server->stopped(server->stopped_context);
}

static void on_directory_closed(void *context, enum err err)
{
    struct broker_server *server = context;
    if (err != ERR_OK)
        diag_error(server->diag, "a log directory was not closed cleanly: %s", err_text(err));
    assert(server->busy_directory_count > 0);
    if (--server->busy_directory_count == 0)
        delay_queue_stop(&server->delays, on_delays_stopped);
}

/* No request is left. */
static void on_gates_closed(void *context)
{
    struct broker_server *server = context;
    struct partition_table *table = &server->partitions;
    server->busy_directory_count = table->directory_count;
    for (uint32_t i = 0; i < table->directory_count; i++)
        log_directory_close(table->directories[i], on_directory_closed, server);
}

static void on_control_stopped(void *context)
{
    struct broker_server *server = context;
    assert(server->state == BROKER_STOPPING);
    server->state = BROKER_CLOSING;
    gates_leave(&server->gates);
    net_deinit(server->net);
    server->net = NULL;
    if (server->gates.count > 0)
        group_service_stop(&server->groups); /* Gates wait for every request. */
    gates_close(&server->gates, on_gates_closed, server);
}

static void stop_now(struct broker_server *server)
{
    server->state = BROKER_STOPPING;
    departure_cancel(&server->departure);
    replication_stop(&server->replication);
    replica_fetchers_stop(&server->fetchers);
    replica_moves_stop(&server->moves);
    if (server->net != NULL)
        net_listen_stop(server->net);
    gates_stop(&server->gates);
    list_each_safe (link, after, &server->connections)
        net_connection_close(CONTAINER_OF(link, struct broker_connection, link)->net,
                             "the broker stops", true);
    control_stop(server->control);
}

static void on_departed(struct departure *departure)
{
    if (departure->server->state == BROKER_SERVING)
        stop_now(departure->server);
}

/* A broker that serves is served until others lead what it leads. */
void broker_server_stop(struct broker_server *server, void (*stopped)(void *context), void *context)
{
    server->stopped = stopped; /* Whoever asks last is told. */
    server->stopped_context = context;
    if (server->state == BROKER_STOPPED)
        stopped(context);
    if (server->state >= BROKER_STOPPING || server->departure.has_begun)
        return;
    if (server->state == BROKER_SERVING && server->failure == ERR_OK &&
        server->config->controlled_shutdown)
        departure_begin(&server->departure, server, on_departed);
    else
        stop_now(server);
}

void broker_server_deinit(struct broker_server *server)
{
    if (server == NULL)
        return;
    group_service_deinit(&server->groups);
    gates_deinit(&server->gates);
    if (server->control != NULL)
        control_deinit(server->control);
    if (server->net != NULL)
        net_deinit(server->net);
    for (uint32_t i = 0; i < server->partitions.directory_count; i++)
        log_directory_deinit(server->partitions.directories[i]);
    replica_fetchers_deinit(&server->fetchers);
    replication_throttle_deinit(&server->throttle);
    replica_moves_deinit(&server->moves);
    fetch_session_cache_deinit(&server->fetch_sessions); /* It waits at partitions. */
    replication_deinit(&server->replication);
    partition_table_deinit(&server->partitions);
    broker_request_pool_deinit(&server->requests, server->heap);
    record_unpacker_idle_deinit(&server->unpackers, server->heap);
    heap_give(server->heap, server);
}
