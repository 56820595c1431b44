#include "shard/shard.h"

#include "shard/mailbox.h"

enum err shard_init(struct shard *shard, struct shard_options options)
{
    *shard = (struct shard){.name = options.name, .heap = &shard->own_heap};
    list_init(&shard->inboxes);
    heap_init(&shard->own_heap, (struct heap_options){.limit_bytes = options.heap_bytes_max});

    shard->diag = &shard->sink.diag;
    enum err err = diag_sink_init(&shard->sink,
                                  (struct diag_sink_options){.name = options.name,
                                                             .path = options.diag_path,
                                                             .format = options.diag_format,
                                                             .level_min = options.diag_level_min});
    if (err != ERR_OK) {
        diag_error(shard->diag, "cannot write to %s: %s", options.diag_path, err_text(err));
        return err;
    }
    err = io_create(&shard->io, shard->heap, shard->diag, options.io_choice);
    if (err != ERR_OK)
        diag_sink_deinit(&shard->sink);
    return err;
}

void shard_deinit(struct shard *shard)
{
    io_destroy(shard->io);
    diag_sink_deinit(&shard->sink);
    heap_deinit(&shard->own_heap);
}

static bool has_message(const struct shard *shard)
{
    list_each (link, &shard->inboxes)
        if (!mailbox_is_empty(mailbox_of_link(link)))
            return true;
    return false;
}

void shard_step(struct shard *shard, uint64_t wait_ns)
{
    io_run(shard->io, has_message(shard) ? 0 : wait_ns);
    shard_read(shard);
}

void shard_read(struct shard *shard)
{
    list_each_safe (link, after, &shard->inboxes)
        mailbox_read(mailbox_of_link(link));
}

void shard_run(struct shard *shard)
{
    while (!shard->stopping)
        shard_step(shard, UINT64_MAX);
}

void shard_stop(struct shard *shard)
{
    shard->stopping = true;
}

void shard_add_inbox(struct shard *shard, struct mailbox *mailbox)
{
    list_push(&shard->inboxes, mailbox_link(mailbox));
}
