#include "server/broker/file_queue.h"

struct file_request {
    struct list link;
    void (*done)(void *context, int64_t result);
    void *context;
    struct slice bytes; /* Behind path. */
    char path[];
};

void file_queue_init(struct file_queue *queue, struct io *io, struct heap *heap)
{
    *queue = (struct file_queue){.io = io, .heap = heap};
    list_init(&queue->waiting);
    for (uint32_t i = 0; i < file_queue_slots; i++)
        queue->slots[i].queue = queue;
}

static void pump(struct file_queue *queue);

static void on_replaced(struct small_file *file, int64_t result)
{
    struct file_slot *slot = CONTAINER_OF(file, struct file_slot, file);
    struct file_queue *queue = slot->queue;
    struct file_request *request = slot->request;
    slot->request = NULL;
    queue->count--;
    pump(queue);
    request->done(request->context, result);
    heap_give(queue->heap, request);
}

static void pump(struct file_queue *queue)
{
    for (uint32_t i = 0; i < file_queue_slots; i++) {
        struct file_slot *slot = &queue->slots[i];
        if (slot->request != NULL || list_empty(&queue->waiting))
            continue;
        slot->request = CONTAINER_OF(list_pop(&queue->waiting), struct file_request, link);
        slot->file.done = on_replaced;
        small_file_replace(&slot->file, queue->io, slot->request->path, slot->request->bytes);
    }
}

enum err file_queue_replace(struct file_queue *queue, const char *path, struct slice bytes,
                            void (*done)(void *context, int64_t result), void *context)
{
    const size_t path_size = strlen(path) + 1;
    struct file_request *request = heap_take(queue->heap, sizeof *request + path_size + bytes.size);
    if (request == NULL)
        return ERR_NO_MEMORY;
    uint8_t *copy = (uint8_t *)request->path + path_size;
    memcpy(request->path, path, path_size);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    request->bytes = slice_of(copy, bytes.size);
    request->done = done;
    request->context = context;
    list_push(&queue->waiting, &request->link);
    queue->count++;
    pump(queue);
    return ERR_OK;
}
