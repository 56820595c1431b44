#include "net/net_inside.h"

enum {
    clock_ticks_per_limit = 8,
    clock_period_ms_min = 10,
    clock_period_ms_max = 500,
};

void net_keep(struct net *net)
{
    net->keeper_count++;
}

void net_release(struct net *net)
{
    assert(net->keeper_count > 0);
    if (--net->keeper_count > 0)
        return;
    assert(net->is_ending);
    net_address_table_deinit(&net->addresses);
    net_pool_end(net->pool);
    heap_give(net->heap, net);
}

/* The turn: a timer that is due at once runs when all that was ready in this round is done. */

static void on_turn(struct io_op *op, int64_t result)
{
    struct net *net = CONTAINER_OF(op, struct net, turn);
    (void)result;
    net->has_turn = false;
    for (struct list *link = list_pop(&net->wanting_turn); link != NULL;
         link = list_pop(&net->wanting_turn))
        net_connection_take_turn(CONTAINER_OF(link, struct net_connection_state, turn));
    net_release(net);
}

static void start_timer(struct net *net, struct io_op *op, uint64_t after_ns,
                        void (*done)(struct io_op *op, int64_t result))
{
    *op = (struct io_op){.kind = IO_TIMER, .done = done};
    op->timer.deadline_ns = io_now_ns(net->io) + after_ns;
    net_keep(net);
    io_submit(net->io, op);
}

void net_want_turn(struct net *net)
{
    if (net->has_turn)
        return;
    net->has_turn = true;
    start_timer(net, &net->turn, 0, on_turn);
}

/* The clock. */

static void end_due(struct net *net)
{
    const uint64_t now_ns = io_now_ns(net->io);
    struct net_timeout_link *due;
    while ((due = net_timeout_pop_due(&net->send, now_ns)) != NULL)
        net_connection_on_send_timeout(CONTAINER_OF(due, struct net_connection_state, send));
    while ((due = net_timeout_pop_due(&net->first_frame, now_ns)) != NULL) {
        net->unused_total++;
        net_connection_end(CONTAINER_OF(due, struct net_connection_state, first_frame),
                           "no whole request in time");
    }
    while ((due = net_timeout_pop_due(&net->idle, now_ns)) != NULL)
        net_connection_on_idle(CONTAINER_OF(due, struct net_connection_state, idle));
}

static void on_clock(struct io_op *op, int64_t result)
{
    struct net *net = CONTAINER_OF(op, struct net, clock);
    net->has_clock = false;
    if (result == 0 && !net->is_ending) {
        end_due(net);
        if (net->connection_count > 0)
            net_want_clock(net);
    }
    net_release(net);
}

void net_want_clock(struct net *net)
{
    if (net->has_clock || net->clock_period_ns == 0)
        return;
    net->has_clock = true;
    start_timer(net, &net->clock, net->clock_period_ns, on_clock);
}

static uint64_t pick_clock_period_ns(const struct net_options *options)
{
    const uint32_t limits_ms[] = {options->idle_timeout_ms, options->first_frame_timeout_ms,
                                  options->send_timeout_ms};
    uint64_t shortest_ms = UINT64_MAX;
    for (size_t index = 0; index < ARRAY_COUNT(limits_ms); index++)
        if (limits_ms[index] != 0)
            shortest_ms = min_u64(shortest_ms, limits_ms[index]);
    if (shortest_ms == UINT64_MAX)
        return 0;
    const uint64_t period_ms = min_u64(shortest_ms / clock_ticks_per_limit, clock_period_ms_max);
    return max_u64(period_ms, clock_period_ms_min) * 1000000;
}

/* Life. */

enum err net_init(struct net **out, struct io *io, struct heap *heap, struct diag *diag,
                  struct net_options options)
{
    assert(options.connection_count_max > 0 && options.open_reply_count_max > 0);
    assert(options.unsent_bytes_max > 0);
    struct net *net = heap_take_zeroed(heap, sizeof *net);
    if (net == NULL)
        return ERR_NO_MEMORY;
    *net = (struct net){.io = io, .heap = heap, .diag = diag, .options = options, .next_id = 1};
    net->keeper_count = 1;
    net->sender_options =
        (struct net_sender_options){.io = io, .heap = heap, .on_sent = net_connection_on_sent};
    net->clock_period_ns = pick_clock_period_ns(&options);
    list_init(&net->connections);
    list_init(&net->listeners);
    list_init(&net->wanting_turn);
    net_timeout_init(&net->idle, options.idle_timeout_ms);
    net_timeout_init(&net->first_frame, options.first_frame_timeout_ms);
    net_timeout_init(&net->send, options.send_timeout_ms);

    uint64_t seed;
    io_entropy(io, &seed, sizeof seed);
    net->pool = net_pool_make(heap, options.receive_bytes_first);
    const enum err err =
        net->pool == NULL ? ERR_NO_MEMORY : net_address_table_init(&net->addresses, heap, seed);
    if (err != ERR_OK) {
        if (net->pool != NULL)
            net_pool_end(net->pool);
        heap_give(heap, net);
        return err;
    }
    *out = net;
    return ERR_OK;
}

void net_listen_stop(struct net *net)
{
    list_each_safe (link, after, &net->listeners)
        net_listener_close(CONTAINER_OF(link, struct net_listener, link));
}

void net_deinit(struct net *net)
{
    net->is_ending = true;
    net_listen_stop(net);
    for (struct list *first = list_first(&net->connections); first != NULL;
         first = list_first(&net->connections))
        net_connection_end(CONTAINER_OF(first, struct net_connection_state, link),
                           "the server stops");
    if (net->has_clock)
        io_cancel(net->io, &net->clock);
    net_release(net);
}

uint32_t net_connection_count(const struct net *net)
{
    return net->connection_count;
}

uint64_t net_refused_count(const struct net *net)
{
    return net->refused_total;
}

uint64_t net_unused_count(const struct net *net)
{
    return net->unused_total;
}
