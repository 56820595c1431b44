#include "sim/keeper_history.h"

#include "base/assert.h"

void keeper_history_init(struct keeper_history *history, struct heap *heap)
{
    *history = (struct keeper_history){.heap = heap};
}

/* Room for one more. */
static void *grow(struct heap *heap, void *items, uint32_t *capacity, size_t item_size)
{
    *capacity = *capacity == 0 ? 16 : 2 * *capacity;
    void *bigger = heap_resize(heap, items, *capacity * item_size);
    assert(bigger != NULL);
    return bigger;
}

static struct slice keep(struct heap *heap, struct slice bytes)
{
    uint8_t *kept = heap_take(heap, bytes.size + 1);
    assert(kept != NULL);
    if (bytes.size > 0)
        memcpy(kept, bytes.data, bytes.size);
    return slice_of(kept, bytes.size);
}

struct history_connection *keeper_history_dial(struct keeper_history *history, uint32_t client)
{
    struct history_connection *connection = heap_take_zeroed(history->heap, sizeof *connection);
    assert(connection != NULL);
    connection->client = client;
    connection->closed_ns = UINT64_MAX;
    if (history->connection_count == history->connection_capacity)
        history->connections =
            grow(history->heap, history->connections, &history->connection_capacity,
                 sizeof(struct history_connection *));
    history->connections[history->connection_count++] = connection;
    return connection;
}

void keeper_history_ask(struct keeper_history *history, struct history_connection *connection,
                        struct history_request request)
{
    if (connection->request_count == connection->request_capacity)
        connection->requests = grow(history->heap, connection->requests,
                                    &connection->request_capacity, sizeof *connection->requests);
    request.body = keep(history->heap, request.body);
    connection->requests[connection->request_count++] = request;
}

void keeper_history_hear(struct keeper_history *history, struct history_connection *connection,
                         struct history_frame frame)
{
    if (connection->frame_count == connection->frame_capacity)
        connection->frames = grow(history->heap, connection->frames, &connection->frame_capacity,
                                  sizeof *connection->frames);
    frame.body = keep(history->heap, frame.body);
    connection->frames[connection->frame_count++] = frame;
}

void keeper_history_start(struct keeper_history *history, int64_t zxid, uint64_t now_ns)
{
    assert(history->life_count < history_life_count_max);
    history->up_ns[history->life_count++] = now_ns;
    history->zxid_prepared = history->zxid_applied;
    keeper_history_note(history, (struct history_progress){zxid, zxid}, now_ns);
}

void keeper_history_note(struct keeper_history *history, struct history_progress progress,
                         uint64_t now_ns)
{
    assert(progress.zxid_prepared < history_zxid_count_max);
    while (history->zxid_prepared < progress.zxid_prepared)
        history->prepared_ns[++history->zxid_prepared] = now_ns;
    while (history->zxid_applied < progress.zxid_applied)
        history->applied_ns[++history->zxid_applied] = now_ns;
}
