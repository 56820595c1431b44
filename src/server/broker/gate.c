#include "server/broker/gate.h"

#include "base/assert.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "server/broker/gate_check.h"

enum { free_count_max = 256 };

static const char stopping[] = "the broker stops";

/* ---- calls ---- */

static struct gate_call *acquire(struct gate *gate)
{
    struct list *link = list_pop(&gate->free);
    struct gate_call *call = NULL;
    if (link != NULL) {
        call = CONTAINER_OF(link, struct gate_call, link);
        gate->free_count--;
    } else {
        call = heap_take(gate->shard->heap, sizeof *call);
        if (call == NULL)
            return NULL;
    }
    memset(call, 0, offsetof(struct gate_call, first));
    list_init(&call->link);
    call->gate = gate;
    request_memory_init(
        &call->memory,
        (struct request_memory_options){.heap = gate->shard->heap,
                                        .bytes_max = (size_t)gate->config->request_memory_bytes_max,
                                        .first = call->first,
                                        .first_bytes = sizeof call->first});
    gate->call_count++;
    return call;
}

/* Nobody uses it any more. */
static void release(struct gate_call *call)
{
    struct gate *gate = call->gate;
    assert(call->reply == NULL && call->check == NULL && gate->call_count > 0);
    if (call->connection != NULL)
        list_remove(&call->link);
    if (call->buffer != NULL)
        net_buffer_release(call->buffer);
    request_memory_deinit(&call->memory);
    gate->call_count--;
    gate->lent_bytes -= call->frame_bytes;
    if (gate->free_count == free_count_max) {
        heap_give(gate->shard->heap, call);
    } else {
        list_push_front(&gate->free, &call->link);
        gate->free_count++;
    }
    gate_end_if_over(gate);
}

static void hold(struct gate_call *call)
{
    if (call->is_holding || call->connection == NULL)
        return;
    call->is_holding = true;
    call->connection->hold_count++;
}

static void let_go(struct gate_call *call)
{
    struct gate_connection *connection = call->connection;
    if (!call->is_holding || connection == NULL)
        return;
    call->is_holding = false;
    assert(connection->hold_count > 0);
    if (--connection->hold_count > 0 || !connection->is_paused)
        return;
    connection->is_paused = false;
    net_connection_resume(connection->net);
}

void gate_post(struct gate_call *call)
{
    const struct gate *gate = call->gate;
    call->visit = call->connection->visit;
    if (call->head.api->is_pipelined && gate->lent_bytes <= gate->lent_bytes_max)
        let_go(call);
    postbox_post(&call->gate->out, &call->to_broker,
                 (struct mail){.subject = call, .kind = GATE_CALL});
}

/* ---- frames ---- */

static void refuse(struct gate_call *call, struct net_connection *net, const char *fault)
{
    if (call->head.api != NULL)
        diag_info(call->gate->shard->diag, "%s version %d from client %" SLICE_FORMAT ": %s",
                  call->head.api->name, call->head.version, SLICE_ARGS(call->head.client_id),
                  fault);
    release(call);
    net_connection_close(net, fault, false);
}

/* Until it has been posted no other one may start; those that are not pipelined wait for their
 * answer. */
static void start(struct gate_call *call)
{
    struct gate_connection *connection = call->connection;
    hold(call);
    gate_check_begin(call);
    if (connection->hold_count > 0 && !connection->is_paused) {
        connection->is_paused = true;
        net_connection_pause(connection->net);
    }
}

static void on_frame(struct net_connection *net, uint8_t *data, size_t size)
{
    struct gate_connection *connection = net->user;
    struct gate_call *call = acquire(connection->gate);
    if (call == NULL) {
        net_connection_close(net, "no memory is left for a request", false);
        return;
    }
    const char *fault = request_head_read(&call->head, &call->memory, slice_of(data, size));
    if (fault == NULL) {
        call->reply = net_reply_reserve(net);
        if (call->reply == NULL)
            fault = "no memory is left for a reply";
    }
    if (fault != NULL) {
        refuse(call, net, fault);
        return;
    }
    call->buffer = net_connection_buffer(net);
    net_buffer_acquire(call->buffer);
    call->frame_bytes = size;
    connection->gate->lent_bytes += size;
    call->connection = connection;
    list_push(&connection->calls, &call->link);
    start(call);
}

/* ---- answers ---- */

/* The message has been sent or dropped. */
static void on_released(void *owner)
{
    struct gate_call *call = owner;
    postbox_post(&call->gate->out, &call->to_broker,
                 (struct mail){.subject = call, .kind = GATE_SENT});
}

static void on_answer(struct gate_call *call)
{
    struct gate_connection *connection = call->connection;
    struct net_reply *reply = call->reply;
    struct net_message *message = call->message;
    call->reply = NULL;
    let_go(call);
    if (call->reason != NULL && connection != NULL)
        net_connection_close(connection->net, call->reason, false);
    if (message == NULL) {
        net_reply_drop(reply);
        return;
    }
    message->released = on_released;
    message->owner = call;
    net_reply_send(reply, message);
}

/* ---- connections ---- */

static void leave(struct gate_visit *visit)
{
    struct gate *gate = visit->gate;
    assert(gate->visit_count > 0);
    gate->visit_count--;
    postbox_post(&gate->out, &visit->to_broker, (struct mail){.subject = visit, .kind = GATE_LEFT});
    gate_end_if_over(gate);
}

static bool on_open(struct net_connection *net)
{
    struct gate_visit *visit = net->user;
    struct gate *gate = visit->gate;
    struct gate_connection *connection = heap_take_zeroed(gate->shard->heap, sizeof *connection);
    if (connection == NULL) {
        leave(visit);
        return false;
    }
    connection->gate = gate;
    connection->net = net;
    connection->visit = visit;
    list_init(&connection->calls);
    list_push(&gate->connections, &connection->link);
    net->user = connection;
    return true;
}

static struct net_verdict on_length(struct net_connection *net, uint32_t length)
{
    const struct gate_connection *connection = net->user;
    return broker_server_judge_length(connection->gate->config, length);
}

static void on_raw(struct net_connection *net, struct slice bytes)
{
    (void)net;
    (void)bytes;
    assert(false && "raw bytes were never asked for");
}

/* The broker has those that were posted, and ends them. */
static void on_close(struct net_connection *net, const char *reason)
{
    struct gate_connection *connection = net->user;
    struct gate *gate = connection->gate;
    struct list *link;
    (void)reason;
    while ((link = list_pop(&connection->calls)) != NULL) {
        struct gate_call *call = CONTAINER_OF(link, struct gate_call, link);
        call->connection = NULL;
        if (call->check != NULL) {
            gate_check_cancel(call);
            net_reply_drop(call->reply);
            call->reply = NULL;
            release(call);
        }
    }
    list_remove(&connection->link);
    struct gate_visit *visit = connection->visit;
    heap_give(gate->shard->heap, connection);
    leave(visit);
}

static const struct net_handler handler = {.on_open = on_open,
                                           .on_length = on_length,
                                           .on_frame = on_frame,
                                           .on_raw = on_raw,
                                           .on_close = on_close};

static void on_socket_closed(struct io_op *op, int64_t result)
{
    (void)result;
    leave(CONTAINER_OF(op, struct gate_visit, close));
}

static void on_visit(struct gate *gate, struct gate_visit *visit)
{
    visit->gate = gate;
    gate->visit_count++;
    if (!gate->is_stopping && net_adopt(gate->net, &visit->socket, &handler, visit))
        return;
    visit->close =
        (struct io_op){.kind = IO_CLOSE, .handle = visit->socket.handle, .done = on_socket_closed};
    io_submit(gate->shard->io, &visit->close);
}

/* ---- writes ---- */

static void on_written(struct io_op *op, int64_t result)
{
    struct gate_write *write = CONTAINER_OF(op, struct gate_write, op);
    struct gate *gate = write->gate;
    assert(gate->write_count > 0);
    gate->write_count--;
    write->result = result;
    postbox_post(&gate->out, &write->to_broker,
                 (struct mail){.subject = write, .kind = GATE_WRITTEN});
    gate_end_if_over(gate);
}

static void on_write(struct gate *gate, struct gate_write *write)
{
    assert(!gate->is_stopped);
    gate->write_count++;
    write->gate = gate;
    write->op.done = on_written;
    io_submit(gate->shard->io, &write->op);
}

/* ---- life ---- */

static void on_hello(struct gate *gate, struct mailbox *mailbox)
{
    postbox_init(&gate->out, gate->shard->io, mailbox);
    gate->is_connected = true;
}

static void stop(struct gate *gate)
{
    gate->is_stopping = true;
    list_each_safe (link, after, &gate->connections)
        net_connection_close(CONTAINER_OF(link, struct gate_connection, link)->net, stopping, true);
}

static void close_all(struct gate *gate)
{
    struct net *net = gate->net;
    gate->is_stopping = true;
    gate->net = NULL;
    net_deinit(net);
    gate->is_closing = true;
    gate_end_if_over(gate);
}

void gate_end_if_over(struct gate *gate)
{
    if (!gate->is_closing || gate->is_stopped || gate->call_count > 0 || gate->visit_count > 0 ||
        gate->write_count > 0 || gate->checks.is_armed)
        return;
    gate->is_stopped = true;
    postbox_post(&gate->out, &gate->stopped_letter, (struct mail){.kind = GATE_STOPPED});
}

static void on_mail(void *context, const void *message)
{
    struct gate *gate = context;
    const struct mail *mail = message;
    switch ((enum gate_mail_kind)mail->kind) {
    case GATE_HELLO: on_hello(gate, mail->subject); break;
    case GATE_VISIT: on_visit(gate, mail->subject); break;
    case GATE_ANSWER: on_answer(mail->subject); break;
    case GATE_END: release(mail->subject); break;
    case GATE_WRITE: on_write(gate, mail->subject); break;
    case GATE_STOP: stop(gate); break;
    case GATE_CLOSE: close_all(gate); break;
    case GATE_CALL:
    case GATE_SENT:
    case GATE_LEFT:
    case GATE_WRITTEN:
    case GATE_STOPPED: assert(false && "not for a gate"); break;
    }
}

enum err gate_init(struct gate **out, struct shard *shard, const struct broker_config *config,
                   uint32_t mail_count_max)
{
    struct gate *gate = heap_take_zeroed(shard->heap, sizeof *gate);
    if (gate == NULL)
        return ERR_NO_MEMORY;
    gate->shard = shard;
    gate->config = config;
    gate->mail_count_max = mail_count_max;
    gate->lent_bytes_max = gate_lent_bytes_default;
    list_init(&gate->connections);
    list_init(&gate->free);
    list_init(&gate->checks.calls);
    enum err err = mailbox_create(&gate->inbox, shard->heap,
                                  (struct mailbox_options){.message_size = sizeof(struct mail),
                                                           .message_count_max = mail_count_max,
                                                           .reader = shard->io,
                                                           .on_message = on_mail,
                                                           .context = gate});
    if (err == ERR_OK)
        err = net_init(&gate->net, shard->io, shard->heap, shard->diag,
                       broker_server_net_options(config));
    if (err != ERR_OK) {
        gate_deinit(gate);
        return err;
    }
    shard_add_inbox(shard, gate->inbox);
    *out = gate;
    return ERR_OK;
}

void gate_deinit(struct gate *gate)
{
    struct list *link;
    if (gate == NULL)
        return;
    assert(gate->call_count == 0 && gate->visit_count == 0);
    if (gate->net != NULL)
        net_deinit(gate->net);
    while ((link = list_pop(&gate->free)) != NULL)
        heap_give(gate->shard->heap, CONTAINER_OF(link, struct gate_call, link));
    record_unpacker_idle_deinit(&gate->unpackers, gate->shard->heap);
    if (gate->inbox != NULL)
        mailbox_destroy(gate->inbox);
    heap_give(gate->shard->heap, gate);
}
