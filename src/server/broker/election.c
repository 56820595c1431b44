#include "server/broker/election.h"

#include "broker/znode_json.h"

static const char controller_path[] = "/controller";
static const char epoch_path[] = "/controller_epoch";

static void look(struct election *election);
static void read_epoch(struct election *election);
static void on_watch(struct keeper_watch *watch, enum keeper_event_type type);

void election_init(struct election *election, struct election_options options,
                   struct election_handler handler)
{
    *election = (struct election){.options = options, .handler = handler, .controller_id = -1};
    election->watch.fired = on_watch;
}

void election_lose(struct election *election)
{
    const bool was_active = election->is_active;
    election->is_active = false;
    election->controller_id = -1;
    if (was_active)
        election->handler.on_deposed(election->handler.context);
}

void election_begin(struct election *election)
{
    election->is_running = false;
    election->is_dirty = false;
    look(election);
}

static struct election *election_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct election, request);
}

static void send(struct election *election,
                 void (*done)(struct zk_request *request, const struct keeper_result *result))
{
    election->is_running = true;
    election->request.done = done;
    zk_session_send(election->options.session, &election->request);
}

/* One round is over; if /controller changed meanwhile, there is another. */
static void rest(struct election *election)
{
    election->is_running = false;
    if (election->is_dirty) {
        election->is_dirty = false;
        look(election);
    }
}

static void on_watch(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct election *election = CONTAINER_OF(watch, struct election, watch);
    if (type == KEEPER_WATCH_ENDED)
        return;
    if (election->is_running)
        election->is_dirty = true;
    else
        look(election);
}

/* True: the session is over, nothing more to do in it. */
static bool is_over(struct election *election, const struct keeper_result *result)
{
    if (result->code == KEEPER_SESSION_EXPIRED)
        election->is_running = false;
    return result->code == KEEPER_SESSION_EXPIRED;
}

static void become_active(struct election *election, int32_t epoch_version)
{
    election->is_active = true;
    election->controller_id = election->options.broker_id;
    election->epoch_version = epoch_version;
    diag_info(election->options.diag, "this broker is the controller, epoch %d",
              (int)election->epoch);
    election->handler.on_elected(election->handler.context, election->epoch, epoch_version);
    rest(election);
}

static void on_leftover_deleted(struct zk_request *request, const struct keeper_result *result)
{
    /* Done, or gone by itself. */
    if (!is_over(election_of(request), result))
        look(election_of(request));
}

static void learn(struct election *election, int32_t controller_id)
{
    if (election->is_active && controller_id != election->options.broker_id)
        election_lose(election);
    const bool is_news = election->controller_id != controller_id;
    election->controller_id = controller_id;
    if (is_news && controller_id != election->options.broker_id)
        election->handler.on_other(election->handler.context, controller_id);
    rest(election);
}

static void on_controller_read(struct zk_request *request, const struct keeper_result *result)
{
    struct election *election = election_of(request);
    struct znode_controller controller;
    if (is_over(election, result))
        return;
    if (result->code == KEEPER_NO_NODE) {
        look(election);
        return;
    }
    if (result->code != KEEPER_OK ||
        znode_json_read_controller(result->data, &controller) != ERR_OK) {
        diag_error(election->options.diag, "/controller is not readable");
        rest(election);
        return;
    }
    if (controller.broker_id == election->options.broker_id && !election->is_active &&
        result->stat->ephemeral_owner != 0) {
        /* Of a former life of this broker, or of an attempt whose reply was lost: nobody acts on
         * it, as /brokers/ids/<id> is ours now. */
        request->kind = ZK_REQUEST_DELETE;
        request->version = result->stat->version;
        send(election, on_leftover_deleted);
        return;
    }
    learn(election, controller.broker_id);
}

static void on_claimed(struct zk_request *request, const struct keeper_result *result)
{
    struct election *election = election_of(request);
    if (is_over(election, result))
        return;
    if (result->code == KEEPER_OK)
        become_active(election, result->parts[1].stat->version);
    else
        look(election); /* Another was faster. */
}

static void claim(struct election *election, int32_t epoch, int32_t epoch_version)
{
    struct arena arena;
    arena_init(&arena, election->memory, sizeof election->memory);
    const struct znode_controller controller = {
        .broker_id = election->options.broker_id,
        .kraft_epoch = -1,
        .timestamp_ms = io_wall_ms(election->options.io),
    };
    election->epoch = epoch + 1;
    election->ops[0] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_CREATE,
        .path = controller_path,
        .data = znode_json_write_controller(&arena, &controller),
        .flags = KEEPER_EPHEMERAL,
    };
    election->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_SET_DATA,
        .path = epoch_path,
        .data = znode_json_write_number(&arena, election->epoch),
        .version = epoch_version,
    };
    election->request.kind = ZK_REQUEST_MULTI;
    election->request.ops = election->ops;
    election->request.op_count = 2;
    send(election, on_claimed);
}

static void on_epoch_created(struct zk_request *request, const struct keeper_result *result)
{
    struct election *election = election_of(request);
    if (!is_over(election, result))
        read_epoch(election);
}

static void on_epoch_read(struct zk_request *request, const struct keeper_result *result)
{
    struct election *election = election_of(request);
    int64_t epoch;
    if (is_over(election, result))
        return;
    if (result->code == KEEPER_NO_NODE) {
        request->kind = ZK_REQUEST_CREATE;
        request->data = SLICE_LITERAL("0");
        request->flags = KEEPER_PERSISTENT;
        send(election, on_epoch_created);
        return;
    }
    if (result->code != KEEPER_OK || znode_json_read_number(result->data, &epoch) != ERR_OK ||
        epoch < 0 || epoch >= INT32_MAX) {
        diag_error(election->options.diag, "/controller_epoch is not readable: no controller");
        rest(election);
        return;
    }
    claim(election, (int32_t)epoch, result->stat->version);
}

static void read_epoch(struct election *election)
{
    election->request.kind = ZK_REQUEST_GET_DATA;
    election->request.path = epoch_path;
    election->request.watch = NULL;
    send(election, on_epoch_read);
}

static void on_looked(struct zk_request *request, const struct keeper_result *result)
{
    struct election *election = election_of(request);
    if (is_over(election, result))
        return;
    if (result->code == KEEPER_OK) {
        request->kind = ZK_REQUEST_GET_DATA;
        request->watch = NULL;
        send(election, on_controller_read);
    } else if (result->code == KEEPER_NO_NODE) {
        election_lose(election);
        read_epoch(election);
    } else {
        diag_error(election->options.diag, "/controller: %s", keeper_code_name(result->code));
        rest(election);
    }
}

static void look(struct election *election)
{
    election->request.kind = ZK_REQUEST_EXISTS;
    election->request.path = controller_path;
    election->request.watch = &election->watch;
    send(election, on_looked);
}
