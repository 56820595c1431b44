#include "server/broker/directory_loss.h"

#include "server/broker/broker_server.h"

static void lose_partitions(struct broker_server *server)
{
    uint64_t position = 0;
    struct partition *partition = NULL;
    uint32_t count = 0;
    while ((partition = partition_table_next(&server->partitions, &position, partition)) != NULL) {
        if (partition->store == NULL || partition_store_offline_reason(partition->store) == NULL)
            continue;
        control_drop_partition(server->control, partition->topic, partition->index);
        partition_table_lose(partition);
        count++;
    }
    if (count > 0)
        diag_error(server->diag, "%u partitions are offline with their log directory", count);
}

static void on_loss(struct delay *delay)
{
    struct directory_loss *loss = CONTAINER_OF(delay, struct directory_loss, delay);
    if (loss->server->state >= BROKER_STOPPING)
        return;
    lose_partitions(loss->server);
    replica_moves_on_loss(&loss->server->moves);
    control_report_loss(loss->server->control);
}

void directory_loss_init(struct directory_loss *loss, struct broker_server *server)
{
    *loss = (struct directory_loss){.server = server, .delay.expired = on_loss};
}

void directory_loss_note(struct directory_loss *loss)
{
    if (loss->server->control != NULL)
        delay_queue_add(&loss->server->delays, &loss->delay, 0);
}
