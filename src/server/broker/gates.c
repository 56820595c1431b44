#include "server/broker/gates.h"

#include "base/assert.h"
#include "io/eager_write.h"
#include "server/broker/broker_server.h"
#include "server/broker/gate.h"

static const char stopping[] = "the broker stops";

void gates_init(struct gates *gates, struct broker_server *server)
{
    *gates = (struct gates){.server = server};
    list_init(&gates->visits);
}

/* ---- calls ---- */

static void release(struct gate_call *call)
{
    assert(call->use_count > 0);
    if (--call->use_count == 0)
        postbox_post(&call->desk->out, &call->end,
                     (struct mail){.subject = call, .kind = GATE_END});
}

void gates_answer(struct gate_call *call, struct net_message *message, const char *reason)
{
    assert(!call->is_answered && (message == NULL || reason == NULL));
    call->is_answered = true;
    call->message = message;
    call->reason = reason;
    call->use_count += message != NULL;
    postbox_post(&call->desk->out, &call->answer,
                 (struct mail){.subject = call, .kind = GATE_ANSWER});
}

void gates_end(struct gate_call *call)
{
    assert(call->is_answered);
    release(call);
}

static void refuse(struct gate_call *call, const char *reason)
{
    gates_answer(call, NULL, reason);
    gates_end(call);
}

static struct gate_visit *visit_of(struct broker_connection *connection)
{
    return CONTAINER_OF(connection, struct gate_visit, connection);
}

void gates_fail(struct broker_connection *connection)
{
    visit_of(connection)->is_failed = true;
}

static void begin(struct gate_visit *visit, struct gate_call *call)
{
    if (visit->is_failed)
        refuse(call, NULL);
    else if (visit->connection.server->state >= BROKER_STOPPING)
        refuse(call, stopping);
    else
        broker_request_begin_call(&visit->connection, call);
}

/* As a connection of the broker's own: one request at a time, and more if they are pipelined. */
static void take_turn(struct gate_visit *visit)
{
    if (visit->is_in_turn)
        return;
    visit->is_in_turn = true;
    while (visit->connection.hold_count == 0 && !list_empty(&visit->waiting))
        begin(visit, CONTAINER_OF(list_pop(&visit->waiting), struct gate_call, waiting_link));
    visit->is_in_turn = false;
}

void gates_go_on(struct broker_connection *connection)
{
    take_turn(visit_of(connection));
}

static void on_call(struct gate_desk *desk, struct gate_call *call)
{
    struct gate_visit *visit = call->visit;
    call->desk = desk;
    call->use_count = 1;
    call->is_answered = false;
    list_push(&visit->waiting, &call->waiting_link);
    take_turn(visit);
}

static void on_sent(struct gate_call *call)
{
    call->message->released = NULL;
    net_message_release(call->message);
    release(call);
}

/* ---- visits ---- */

static void on_left(struct gates *gates, struct gate_visit *visit)
{
    struct list *link;
    while ((link = list_pop(&visit->waiting)) != NULL)
        refuse(CONTAINER_OF(link, struct gate_call, waiting_link), NULL);
    broker_request_disconnect(&visit->connection);
    list_remove(&visit->connection.link);
    if (gates->server->net != NULL)
        net_forget(gates->server->net, &visit->socket.peer);
    heap_give(gates->server->heap, visit);
}

static void send_to_gate(struct gates *gates, struct gate_visit *visit)
{
    struct gate_desk *desk = &gates->desks[gates->next];
    gates->next = (gates->next + 1) % gates->count;
    visit->desk = desk;
    postbox_post(&desk->out, &visit->to_gate, (struct mail){.subject = visit, .kind = GATE_VISIT});
}

bool gates_take(struct gates *gates, const struct net_socket *socket)
{
    struct broker_server *server = gates->server;
    struct gate_visit *visit = heap_take_zeroed(server->heap, sizeof *visit);
    if (visit == NULL)
        return false;
    visit->socket = *socket;
    visit->connection.server = server;
    visit->connection.peer = socket->peer;
    visit->connection.listener_index = broker_server_listener(server, socket->local_port);
    list_init(&visit->connection.requests);
    list_init(&visit->waiting);
    list_push(&gates->visits, &visit->connection.link);
    if (gates->is_serving)
        send_to_gate(gates, visit);
    return true;
}

void gates_serve(struct gates *gates)
{
    gates->is_serving = true;
    list_each (link, &gates->visits)
        send_to_gate(gates, visit_of(CONTAINER_OF(link, struct broker_connection, link)));
}

/* ---- writes ---- */

/* Whether letters wait behind the one at hand. */
static bool is_behind(const struct gates *gates)
{
    for (uint32_t i = 0; i < gates->count; i++)
        if (mailbox_has_next(gates->desks[i].inbox))
            return true;
    return false;
}

static bool is_worth_it(const struct gates *gates, const struct io_op *op)
{
    if (gates->passes_all)
        return true;
    const uint64_t size = eager_write_size(op);
    return size >= gate_write_bytes_min && size <= eager_write_bytes_max && is_behind(gates);
}

/* The one with the fewest writes; of several the one that wrote last: it is awake. */
static struct gate_desk *least_busy(struct gates *gates)
{
    struct gate_desk *least = &gates->desks[gates->latest];
    for (uint32_t i = 0; i < gates->count; i++)
        if (gates->desks[i].write_count < least->write_count)
            least = &gates->desks[i];
    return least;
}

bool gates_pass_write(struct gates *gates, struct io_op *op)
{
    if (gates->count == 0 || gates->is_closing || !is_worth_it(gates, op))
        return false;
    struct gate_desk *desk = least_busy(gates);
    if (desk->write_count >= min_u64(gates->count, gate_write_count_max))
        return false;
    struct gate_write *write = CONTAINER_OF(list_pop(&desk->idle_writes), struct gate_write, link);
    desk->write_count++;
    write->desk = desk;
    write->original = op;
    write->op = (struct io_op){.kind = IO_WRITE, .handle = op->handle, .write = op->write};
    postbox_post(&desk->out, &write->to_gate, (struct mail){.subject = write, .kind = GATE_WRITE});
    return true;
}

static void on_written(struct gate_write *write)
{
    struct io_op *op = write->original;
    const int64_t result = write->result;
    assert(write->desk->write_count > 0);
    write->desk->write_count--;
    list_push_front(&write->desk->idle_writes, &write->link);
    op->done(op, result);
}

/* ---- life ---- */

static void on_gate_stopped(struct gate_desk *desk)
{
    struct gates *gates = desk->gates;
    assert(!desk->is_stopped && gates->running_count > 0);
    desk->is_stopped = true;
    if (--gates->running_count == 0)
        gates->closed(gates->closed_context);
}

static void on_mail(void *context, const void *message)
{
    struct gate_desk *desk = context;
    const struct mail *mail = message;
    desk->gates->latest = (uint32_t)(desk - desk->gates->desks);
    switch ((enum gate_mail_kind)mail->kind) {
    case GATE_CALL: on_call(desk, mail->subject); break;
    case GATE_SENT: on_sent(mail->subject); break;
    case GATE_LEFT: on_left(desk->gates, mail->subject); break;
    case GATE_WRITTEN: on_written(mail->subject); break;
    case GATE_STOPPED: on_gate_stopped(desk); break;
    case GATE_HELLO:
    case GATE_VISIT:
    case GATE_ANSWER:
    case GATE_END:
    case GATE_WRITE:
    case GATE_STOP:
    case GATE_CLOSE: assert(false && "not for the broker"); break;
    }
}

enum err gates_add(struct gates *gates, struct gate *gate)
{
    struct broker_server *server = gates->server;
    struct gate_desk *desk = &gates->desks[gates->count];
    assert(gates->count < gate_count_max);
    *desk = (struct gate_desk){.gate = gate, .gates = gates};
    list_init(&desk->idle_writes);
    desk->writes = heap_take_zeroed(server->heap, gate_write_count_max * sizeof *desk->writes);
    if (desk->writes == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < gate_write_count_max; i++)
        list_push(&desk->idle_writes, &desk->writes[i].link);
    const enum err err =
        mailbox_create(&desk->inbox, server->heap,
                       (struct mailbox_options){.message_size = sizeof(struct mail),
                                                .message_count_max = gate->mail_count_max,
                                                .reader = server->io,
                                                .on_message = on_mail,
                                                .context = desk});
    if (err != ERR_OK) {
        heap_give(server->heap, desk->writes);
        return err;
    }
    shard_add_inbox(server->shard, desk->inbox);
    postbox_init(&desk->out, server->io, gate->inbox);
    postbox_post(&desk->out, &desk->hello,
                 (struct mail){.subject = desk->inbox, .kind = GATE_HELLO});
    gates->count++;
    gates->running_count++;
    return ERR_OK;
}

void gates_stop(struct gates *gates)
{
    for (uint32_t i = 0; i < gates->count; i++)
        postbox_post(&gates->desks[i].out, &gates->desks[i].stop, (struct mail){.kind = GATE_STOP});
}

void gates_leave(struct gates *gates)
{
    list_each (link, &gates->visits)
        net_forget(gates->server->net,
                   &visit_of(CONTAINER_OF(link, struct broker_connection, link))->socket.peer);
}

void gates_close(struct gates *gates, void (*closed)(void *context), void *context)
{
    gates->closed = closed;
    gates->closed_context = context;
    gates->is_closing = true; /* No letter may follow the last one. */
    if (gates->running_count == 0) {
        closed(context);
        return;
    }
    if (!gates->is_serving) /* They close what has come before. */
        gates_serve(gates);
    for (uint32_t i = 0; i < gates->count; i++)
        postbox_post(&gates->desks[i].out, &gates->desks[i].close,
                     (struct mail){.kind = GATE_CLOSE});
}

void gates_deinit(struct gates *gates)
{
    for (uint32_t i = 0; i < gates->count; i++) {
        mailbox_destroy(gates->desks[i].inbox);
        heap_give(gates->server->heap, gates->desks[i].writes);
    }
    gates->count = 0;
}
