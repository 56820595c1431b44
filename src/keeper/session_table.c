#include "keeper/session_table.h"

#include "base/assert.h"
#include "base/bytes.h"

/* What Apache's servers mix into the seed of a password. */
#define PASSWORD_SEED UINT64_C(0xb3415c00)

static struct session *session_of(const struct hash_link *link)
{
    return CONTAINER_OF(link, struct session, by_id);
}

static bool has_id(const struct hash_link *link, const void *key)
{
    const int64_t *id = key;
    return session_of(link)->id == *id;
}

static uint64_t hash_id(const struct session_table *table, int64_t id)
{
    return hash_u64((uint64_t)id, table->options.hash_seed);
}

enum err session_table_init(struct session_table *table, struct heap *heap,
                            struct session_table_options options, int64_t now_ms)
{
    assert(options.tick_ms > 0 && now_ms >= 0);
    *table = (struct session_table){
        .options = options, .heap = heap, .tick_now = now_ms / options.tick_ms};
    list_init(&table->due);
    table->wheel = heap_take(heap, session_wheel_slot_count * sizeof *table->wheel);
    if (table->wheel == NULL)
        return ERR_NO_MEMORY;
    for (int slot = 0; slot < session_wheel_slot_count; slot++)
        list_init(&table->wheel[slot]);
    return hash_table_init(&table->by_id, heap);
}

static void drop(struct session_table *table, struct session *session)
{
    list_remove(&session->link);
    hash_table_remove(&table->by_id, &session->by_id);
    heap_give(table->heap, session);
}

void session_table_deinit(struct session_table *table)
{
    uint64_t position = 0;
    struct session *session =
        table->by_id.heap == NULL ? NULL : session_table_next(table, &position, NULL);
    while (session != NULL) {
        struct session *next = session_table_next(table, &position, session);
        drop(table, session);
        session = next;
    }
    if (table->by_id.heap != NULL)
        hash_table_deinit(&table->by_id);
    if (table->heap != NULL)
        heap_give(table->heap, table->wheel);
    *table = (struct session_table){0};
}

struct session *session_table_find(const struct session_table *table, int64_t id)
{
    struct hash_link *link = hash_table_find(&table->by_id, hash_id(table, id), has_id, &id);
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

enum err session_table_open(struct session_table *table, int64_t id, int32_t timeout_ms,
                            int64_t now_ms)
{
    struct session *session = session_table_find(table, id);
    if (session != NULL) {
        session_table_touch(table, id, timeout_ms, now_ms);
        return ERR_OK;
    }
    session = heap_take_zeroed(table->heap, sizeof *session);
    if (session == NULL)
        return ERR_NO_MEMORY;
    session->id = id;
    session->timeout_ms = timeout_ms;
    hash_table_add(&table->by_id, &session->by_id, hash_id(table, id));
    schedule(table, session, timeout_ms, now_ms);
    return ERR_OK;
}

bool session_table_touch(struct session_table *table, int64_t id, int32_t timeout_ms,
                         int64_t now_ms)
{
    struct session *session = session_table_find(table, id);
    if (session == NULL || session->closing)
        return false;
    reschedule(table, session, timeout_ms, now_ms);
    return true;
}

enum code session_table_check(struct session_table *table, int64_t id, uint64_t owner)
{
    struct session *session = session_table_find(table, id);
    if (session == NULL || session->closing)
        return CODE_SESSION_EXPIRED;
    if (session->owner == 0)
        session->owner = owner;
    return session->owner == owner ? CODE_OK : CODE_SESSION_MOVED;
}

void session_table_set_owner(struct session_table *table, int64_t id, uint64_t owner)
{
    struct session *session = session_table_find(table, id);
    if (session != NULL)
        session->owner = owner;
}

void session_table_mark_closing(struct session_table *table, int64_t id)
{
    struct session *session = session_table_find(table, id);
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
    /* The table is asked for a neighbour, which it does not change. */
    struct hash_link *link =
        hash_table_next(&table->by_id, position,
                        previous == NULL ? NULL : (struct hash_link *)(uintptr_t)&previous->by_id);
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
