#include "sim/fake_link.h"

#include "base/assert.h"
#include "wire/wire.h"

enum { port_number = 2888, rounds_after = 20, round_ns = 1000000 };

static void on_near_up(void *context, struct quorum_link *link)
{
    ((struct fake_link *)context)->link = link;
}

static void on_near_down(void *context, struct quorum_link *link, const char *reason)
{
    struct fake_link *fake = context;
    (void)link;
    fake->link = NULL;
    fake->closed = reason;
}

static void on_packet(void *context, struct quorum_link *link, struct zk_quorum_packet *packet)
{
    (void)context;
    (void)link;
    (void)packet;
    assert(link == NULL); /* The other end is silent, and hears bytes only. */
}

static size_t on_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    struct fake_link *fake = context;
    (void)link;
    assert(fake->size + bytes.size <= fake_link_bytes_max);
    memcpy(fake->bytes + fake->size, bytes.data, bytes.size);
    fake->size += bytes.size;
    return bytes.size;
}

static void on_far_up(void *context, struct quorum_link *link)
{
    ((struct fake_link *)context)->other = link;
    quorum_link_set_raw(link, true);
}

static void on_far_down(void *context, struct quorum_link *link, const char *reason)
{
    (void)link;
    (void)reason;
    ((struct fake_link *)context)->other = NULL;
}

static void open_port(struct fake_link *fake, struct quorum_port *port, struct diag *diag,
                      struct quorum_port_handler handler)
{
    const struct quorum_port_options options = {.packet_bytes_max = 4 << 20,
                                                .link_count_max = 4,
                                                .connect_timeout_ms = 1 << 30,
                                                .unsent_bytes_max = 8 << 20};
    handler.on_packet = on_packet;
    handler.on_bytes = on_bytes;
    handler.context = fake;
    const enum err err =
        quorum_port_init(port, fake->node->io, &fake->node->heap, diag, options, handler);
    assert(err == ERR_OK);
}

void fake_link_open(struct fake_link *fake, struct sim_node *node, struct diag *diag)
{
    struct io_address address;
    fake->node = node;
    fake->link = fake->other = NULL;
    fake->closed = NULL;
    fake->size = fake->taken = 0;
    open_port(fake, &fake->near, diag,
              (struct quorum_port_handler){.on_up = on_near_up, .on_down = on_near_down});
    open_port(fake, &fake->far, diag,
              (struct quorum_port_handler){.on_up = on_far_up, .on_down = on_far_down});
    const int resolved = io_resolve(node->io, "127.0.0.1", port_number, &address);
    const enum err err = quorum_port_listen(&fake->near, &address);
    assert(resolved >= 0 && err == ERR_OK);
    const struct quorum_link *dialled = quorum_port_dial(&fake->far, &address);
    assert(dialled != NULL);
    while (fake->link == NULL || fake->other == NULL)
        io_run(node->io, UINT64_MAX);
}

void fake_link_close(struct fake_link *fake)
{
    quorum_port_deinit(&fake->near);
    quorum_port_deinit(&fake->far);
    for (int i = 0; i < rounds_after; i++)
        io_run(fake->node->io, round_ns);
}

bool fake_link_next(struct fake_link *fake, struct zk_quorum_packet *packet)
{
    static _Alignas(16) uint8_t memory[4096];
    struct arena arena;
    struct slice rest = slice_of(fake->bytes + fake->taken, fake->size - fake->taken);
    const size_t before = rest.size;
    arena_init(&arena, memory, sizeof memory);
    if (before == 0 || wire_decode(&zk_quorum_packet_wire, 0, &rest, &arena, packet) != ERR_OK)
        return false;
    fake->taken += before - rest.size;
    return true;
}
