#include "keeper/session_table.h"

#include "base/assert.h"
#include "base/bytes.h"

/* What Apache's servers mix into the seed of a password. */
#define PASSWORD_SEED UINT64_C(0xb3415c00)

static struct session *session_of(const struct slab_link *link)
{
    return CONTAINER_OF(link, struct session, by_id);
}

static bool has_id(const struct slab_link *link, const void *key)
{
    const int64_t *id = key;
    return session_of(link)->id == *id;
}

static uint64_t hash_id(const struct session_table *table, int64_t id)
{
    return hash_u64((uint64_t)id, table->options.hash_seed);
}

enum err session_table_init(struct session_table *table, struct slab *slab,
                            struct session_table_options options, int64_t now_ms)
{
    assert(options.tick_ms > 0 && now_ms >= 0);
    *table = (struct session_table){
        .options = options, .slab = slab, .tick_now = now_ms / options.tick_ms};
    list_init(&table->due);
    list_init(&table->promises);
    table->wheel = heap_take(slab->heap, session_wheel_slot_count * sizeof *table->wheel);
    if (table->wheel == NULL)
        return ERR_NO_MEMORY;
    for (int slot = 0; slot < session_wheel_slot_count; slot++)
        list_init(&table->wheel[slot]);
    return slab_table_init(&table->by_id, slab);
}

static void drop(struct session_table *table, struct session *session)
{
    list_remove(&session->link);
    slab_table_remove(&table->by_id, &session->by_id);
    slab_give(table->slab, session, sizeof *session);
}

/* NULL: none. Few are open at a time, and only who is not found elsewhere is sought here. */
static struct session_promise *find_promise(const struct session_table *table, int64_t id)
{
    list_each (link, &table->promises) {
        struct session_promise *promise = CONTAINER_OF(link, struct session_promise, link);
        if (promise->id == id)
            return promise;
    }
    return NULL;
}

static void drop_promise(struct session_table *table, struct session_promise *promise)
{
    list_remove(&promise->link);
    heap_give(table->slab->heap, promise);
    table->promise_count--;
}

bool session_table_promise(struct session_table *table, int64_t id, uint64_t owner)
{
    struct session_promise *promise = heap_take(table->slab->heap, sizeof *promise);
    if (promise == NULL)
        return false;
    *promise = (struct session_promise){.id = id, .owner = owner};
    list_init(&promise->link);
    list_push(&table->promises, &promise->link);
    table->promise_count++;
    return true;
}

void session_table_drop_promise(struct session_table *table, int64_t id)
{
    struct session_promise *promise = find_promise(table, id);
    if (promise != NULL)
        drop_promise(table, promise);
}

void session_table_drop_promises(struct session_table *table)
{
    list_each_safe (link, after, &table->promises)
        drop_promise(table, CONTAINER_OF(link, struct session_promise, link));
}

void session_table_close_all(struct session_table *table)
{
    uint64_t position = 0;
    struct session *session =
        table->by_id.slab == NULL ? NULL : session_table_next(table, &position, NULL);
    while (session != NULL) {
        struct session *next = session_table_next(table, &position, session);
        drop(table, session);
        session = next;
    }
}

void session_table_deinit(struct session_table *table)
{
    if (table->promise_count > 0)
        session_table_drop_promises(table);
    session_table_close_all(table);
    if (table->by_id.slab != NULL)
        slab_table_deinit(&table->by_id);
    if (table->slab != NULL)
        heap_give(table->slab->heap, table->wheel);
    *table = (struct session_table){0};
}

void session_table_move(struct session_table *table, struct session_table *from, struct slab *slab)
{
    *table = *from;
    table->slab = slab;
    table->by_id.slab = slab;
    list_move(&table->due, &from->due);
    list_move(&table->promises, &from->promises);
    *from = (struct session_table){0};
}

struct session *session_table_find(const struct session_table *table, int64_t id)
{
    struct slab_link *link = slab_table_find(&table->by_id, hash_id(table, id), has_id, &id);
    return link == NULL ? NULL : session_of(link);
}

/* Puts the session where its deadline is: the end of the tick that timeout_ms from now falls in. */
static void schedule(struct session_table *table, struct session *session, int32_t timeout_ms,
                     int64_t now_ms)
{
    /* A snapshot may hold any number. */
    const int64_t deadline_ms = now_ms + max_i64(timeout_ms, 0);
    session->deadline_tick = deadline_ms / table->options.tick_ms + 1;
    const int64_t slot =
        max_i64(session->deadline_tick, table->tick_now) % session_wheel_slot_count;
    list_push(&table->wheel[slot], &session->link);
}

static void reschedule(struct session_table *table, struct session *session, int32_t timeout_ms,
                       int64_t now_ms)
{
    list_remove(&session->link);
    schedule(table, session, timeout_ms, now_ms);
}

static void keep_promise(struct session_table *table, struct session *session)
{
    struct session_promise *promise = find_promise(table, session->id);
    if (promise == NULL)
        return;
    session->owner = promise->owner;
    if (promise->closing)
        session_table_mark_closing(table, session->id);
    drop_promise(table, promise);
}

enum err session_table_open(struct session_table *table, int64_t id, int32_t timeout_ms,
                            int64_t now_ms)
{
    struct session *session = session_table_find(table, id);
    if (session != NULL) {
        session_table_touch(table, id, timeout_ms, now_ms);
        return ERR_OK;
    }
    session = slab_take(table->slab, sizeof *session);
    if (session == NULL)
        return ERR_NO_MEMORY;
    *session = (struct session){.id = id, .timeout_ms = timeout_ms};
    list_init(&session->link);
    slab_table_add(&table->by_id, &session->by_id, hash_id(table, id));
    schedule(table, session, timeout_ms, now_ms);
    keep_promise(table, session);
    return ERR_OK;
}

bool session_table_has(const struct session_table *table, int64_t id)
{
    return session_table_find(table, id) != NULL || find_promise(table, id) != NULL;
}

bool session_table_lives(const struct session_table *table, int64_t id)
{
    const struct session *session = session_table_find(table, id);
    const struct session_promise *promise = session == NULL ? find_promise(table, id) : NULL;
    return session != NULL ? !session->closing : promise != NULL && !promise->closing;
}

bool session_table_touch(struct session_table *table, int64_t id, int32_t timeout_ms,
                         int64_t now_ms)
{
    struct session *session = session_table_find(table, id);
    if (session == NULL || session->closing)
        return session_table_lives(table, id); /* What is promised has no deadline yet. */
    reschedule(table, session, timeout_ms, now_ms);
    return true;
}

enum code session_table_check(struct session_table *table, int64_t id, uint64_t owner)
{
    struct session *session = session_table_find(table, id);
    struct session_promise *promise = session == NULL ? find_promise(table, id) : NULL;
    if (session == NULL && promise == NULL)
        return CODE_SESSION_EXPIRED;
    if (session != NULL ? session->closing : promise->closing)
        return CODE_SESSION_EXPIRED;
    uint64_t *owned_by = session != NULL ? &session->owner : &promise->owner;
    if (*owned_by == 0)
        *owned_by = owner;
    return *owned_by == owner ? CODE_OK : CODE_SESSION_MOVED;
}

void session_table_set_owner(struct session_table *table, int64_t id, uint64_t owner)
{
    struct session *session = session_table_find(table, id);
    struct session_promise *promise = session == NULL ? find_promise(table, id) : NULL;
    if (session != NULL)
        session->owner = owner;
    else if (promise != NULL)
        promise->owner = owner;
}

void session_table_mark_closing(struct session_table *table, int64_t id)
{
    struct session *session = session_table_find(table, id);
    struct session_promise *promise = session == NULL ? find_promise(table, id) : NULL;
    if (promise != NULL)
        promise->closing = true;
    if (session == NULL)
        return;
    session->closing = true;
    list_remove(&session->link);
}

/* Moves the members of a slot that are due at tick to table->due; the others are laps away. */
static void collect_due(struct session_table *table, int64_t slot, int64_t tick)
{
    struct list *members = &table->wheel[slot % session_wheel_slot_count];
    list_each_safe (link, after, members) {
        struct session *session = CONTAINER_OF(link, struct session, link);
        if (session->deadline_tick > tick)
            continue;
        list_remove(link);
        list_push(&table->due, link);
    }
}

struct session *session_table_expire_next(struct session_table *table, int64_t now_ms)
{
    const int64_t tick_target = now_ms / table->options.tick_ms;
    if (tick_target > table->tick_now) {
        /* After a long pause one lap visits every slot. */
        const int64_t first = max_i64(table->tick_now, tick_target - session_wheel_slot_count + 1);
        for (int64_t tick = first; tick <= tick_target; tick++)
            collect_due(table, tick, tick_target);
        table->tick_now = tick_target;
    }
    struct list *link = list_pop(&table->due);
    if (link == NULL)
        return NULL;
    struct session *session = CONTAINER_OF(link, struct session, link);
    assert(!session->closing && session->deadline_tick <= tick_target);
    session->closing = true;
    return session;
}

bool session_table_close(struct session_table *table, int64_t id)
{
    struct session *session = session_table_find(table, id);
    if (session != NULL)
        drop(table, session);
    return session != NULL;
}

void session_table_renew_all(struct session_table *table, int64_t now_ms)
{
    uint64_t position = 0;
    struct session *session = session_table_next(table, &position, NULL);
    for (; session != NULL; session = session_table_next(table, &position, session)) {
        session->closing = false;
        session->owner = 0;
        reschedule(table, session, session->timeout_ms, now_ms);
    }
}

struct session *session_table_next(const struct session_table *table, uint64_t *position,
                                   const struct session *previous)
{
    const struct slab_link *link =
        slab_table_next(&table->by_id, position, previous == NULL ? NULL : &previous->by_id);
    return link == NULL ? NULL : session_of(link);
}

int64_t session_id_first(uint8_t server_id, int64_t clock_ms)
{
    /* Five bytes of the clock below one of the server; two bytes are left for counting. */
    const uint64_t clock = ((uint64_t)clock_ms << 24) >> 8;
    uint64_t id = clock | (uint64_t)server_id << 56;
    /* This one marks containers. */
    if (id == (uint64_t)INT64_MIN)
        id++;
    return (int64_t)id;
}

/* One step of the generator in Java's Random: 48 bits of state, the upper 32 are the number. */
static uint32_t next_number(uint64_t *state)
{
    *state = (*state * UINT64_C(0x5deece66d) + 0xb) & ((UINT64_C(1) << 48) - 1);
    return (uint32_t)(*state >> 16);
}

void session_password(int64_t id, uint8_t password[session_password_bytes])
{
    const uint64_t seed = (uint64_t)id ^ PASSWORD_SEED;
    uint64_t state = (seed ^ UINT64_C(0x5deece66d)) & ((UINT64_C(1) << 48) - 1);
    for (int at = 0; at < session_password_bytes; at += 4) {
        /* Each number gives its bytes from the lowest. */
        const uint32_t number = next_number(&state);
        for (int byte = 0; byte < 4; byte++)
            password[at + byte] = (uint8_t)(number >> 8 * byte);
    }
}
