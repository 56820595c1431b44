/* Any packets, in any order, between any other events, to a leader and to a learner. The caller's
 * own part of the contract is kept: links that exist, zxids in order. */
#include "base/assert.h"
#include "base/bytes.h"
#include "zab/zab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { link_count = 4 };

struct player {
    struct zab zab;
    struct ensemble ensemble;
    struct zab_effects effects;
    uint64_t now_ms;
    uint64_t link_last;
    uint64_t links[link_count];   /* 0: none. */
    uint64_t syncing[link_count]; /* Links for which SYNCED is due. */
    uint64_t ticket;
    bool is_established;
    bool is_over;
};

static uint8_t take(struct slice *input)
{
    if (input->size == 0)
        return 0;
    const uint8_t byte = input->data[0];
    *input = slice_skip(*input, 1);
    return byte;
}

static void heed(struct player *player, const struct zab_effect *effect)
{
    switch ((int)effect->kind) {
    case ZAB_SYNC:
        for (uint32_t slot = 0; slot < link_count; slot++)
            if (player->links[slot] == effect->link)
                player->syncing[slot] = effect->link;
        break;
    case ZAB_ESTABLISH: player->is_established = true; break;
    case ZAB_DROP:
        for (uint32_t slot = 0; slot < link_count; slot++)
            if (player->links[slot] == effect->link)
                player->links[slot] = player->syncing[slot] = 0;
        break;
    case ZAB_LOOK: player->is_over = true; break;
    default: assert(effect->kind <= ZAB_LOOK);
    }
}

static void step(struct player *player, struct zab_event event)
{
    do {
        event.now_ms = player->now_ms;
        zab_step(&player->zab, &event, &player->effects);
        for (uint32_t at = 0; at < player->effects.count; at++)
            heed(player, &player->effects.items[at]);
        event = (struct zab_event){.kind = ZAB_EVENT_MORE};
    } while (player->effects.is_more);
}

/* Near the numbers that matter, or anything. */
static int64_t take_zxid(struct slice *input)
{
    const uint8_t high = take(input);
    const uint8_t low = take(input);
    if (high < 0xf0)
        return (int64_t)(high % 6) << 32 | low % 6;
    uint64_t zxid = (uint64_t)high << 56;
    for (int shift = 0; shift < 56; shift += 8)
        zxid |= (uint64_t)take(input) << shift;
    return (int64_t)zxid;
}

static void receive(struct player *player, uint64_t link, struct slice *input)
{
    struct zab_event event = {.kind = ZAB_EVENT_RECEIVE, .link = link};
    uint8_t copy[32];
    event.packet.type = (int8_t)take(input);
    event.packet.zxid = take_zxid(input);
    const uint8_t size = take(input);
    event.packet.has_data = size % 64 != 0;
    if (event.packet.has_data) {
        const size_t count = min_size(min_size(size % 64 - 1, sizeof copy), input->size);
        memcpy(copy, input->data, count);
        *input = slice_skip(*input, count);
        event.packet.data = slice_of(copy, count);
    }
    step(player, event);
}

static void link_up(struct player *player, uint32_t slot)
{
    if (player->links[slot] != 0)
        return;
    player->links[slot] = ++player->link_last;
    step(player, (struct zab_event){.kind = ZAB_EVENT_LINK_UP, .link = player->links[slot]});
}

static void play_once(struct player *player, struct slice *input)
{
    const uint8_t choice = take(input);
    const uint32_t slot = choice / 16 % link_count;
    const uint64_t link = player->links[slot];
    struct zab *zab = &player->zab;
    switch (choice % 16) {
    case 0: link_up(player, slot); break;
    case 1:
        player->links[slot] = player->syncing[slot] = 0;
        step(player, (struct zab_event){.kind = ZAB_EVENT_LINK_DOWN, .link = link});
        break;
    case 2:
        player->now_ms += take(input) * 20;
        step(player, (struct zab_event){.kind = ZAB_EVENT_TICK});
        break;
    case 3:
    case 4:
        step(player, (struct zab_event){.kind = ZAB_EVENT_WRITTEN, .write_seq = zab->write_issued});
        break;
    case 5:
        if (player->syncing[slot] != 0)
            step(player, (struct zab_event){.kind = ZAB_EVENT_SYNCED,
                                            .link = player->syncing[slot],
                                            .zxid = zab->leader.zxid_committed});
        player->syncing[slot] = 0;
        break;
    case 6:
        if (zab->role == ZAB_ROLE_LEADER && zab->leader.is_follower)
            step(player, (struct zab_event){.kind = ZAB_EVENT_COMMITTED,
                                            .commit = {.zxid = zab->leader.zxid_committed + 1,
                                                       .is_activating = slot == 0,
                                                       .designated_id = 2}});
        else if (zab->role == ZAB_ROLE_LEADER && player->is_established)
            step(player, (struct zab_event){.kind = ZAB_EVENT_PROPOSE,
                                            .zxid = zab->leader.zxid_proposed + 1});
        break;
    case 7:
        if (zab->role == ZAB_ROLE_LEADER && player->is_established)
            step(player, (struct zab_event){.kind = ZAB_EVENT_CONFIRM, .ticket = ++player->ticket});
        break;
    default: receive(player, link, input); break;
    }
}

static void play(enum zab_event_kind role, bool is_observer, struct slice input)
{
    static struct player player;
    const struct zab_options options = {
        .self_id = 1, .tick_ms = 100, .init_ticks = 10, .sync_ticks = 5, .txn_count_max = 1000};
    player = (struct player){.now_ms = 1000};
    ensemble_init(&player.ensemble);
    for (int64_t id = 1; id <= 3; id++) {
        const struct ensemble_member member = {
            .id = id, .is_voter = true, .group = -1, .weight = 1};
        const enum err err = ensemble_add(&player.ensemble, &member);
        assert(err == ERR_OK);
    }
    zab_init(&player.zab, options, &player.ensemble);
    struct zab_event event = {.kind = role};
    event.start.history = (struct zab_history){2, 2, INT64_C(2) << 32 | 3};
    event.start.leader_id = 2;
    event.start.is_observer = is_observer;
    event.start.zxid_committed = event.start.history.zxid_last;
    step(&player, event);
    while (input.size > 0 && !player.is_over)
        play_once(&player, &input);
    step(&player, (struct zab_event){.kind = ZAB_EVENT_STOP});
    assert(player.zab.role == ZAB_ROLE_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play(ZAB_EVENT_LEAD, false, slice_of(data, size));
    play(ZAB_EVENT_LEARN, false, slice_of(data, size));
    play(ZAB_EVENT_LEARN, true, slice_of(data, size));
    play(ZAB_EVENT_FEED, false, slice_of(data, size));
    return 0;
}
