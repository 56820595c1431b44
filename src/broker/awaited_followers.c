#include "broker/awaited_followers.h"

struct awaited_follower {
    struct list link;
    int32_t broker_id;
    uint64_t since_ms;    /* The latest of its replicas was added. */
    struct list replicas; /* struct replica, by awaited_link. */
};

static struct awaited_follower *follower_of(struct list *link)
{
    return CONTAINER_OF(link, struct awaited_follower, link);
}

void awaited_followers_init(struct awaited_followers *awaited, struct heap *heap)
{
    *awaited = (struct awaited_followers){.heap = heap};
    list_init(&awaited->followers);
    list_init(&awaited->parked);
}

void awaited_followers_deinit(struct awaited_followers *awaited)
{
    struct list *link;
    while ((link = list_pop(&awaited->followers)) != NULL) {
        struct awaited_follower *follower = follower_of(link);
        while (list_pop(&follower->replicas) != NULL)
            continue;
        heap_give(awaited->heap, follower);
    }
}

static struct awaited_follower *find(const struct awaited_followers *awaited, int32_t broker_id)
{
    list_each (link, &awaited->followers)
        if (follower_of(link)->broker_id == broker_id)
            return follower_of(link);
    return NULL;
}

/* NULL: no memory. */
static struct awaited_follower *find_or_make(struct awaited_followers *awaited, int32_t broker_id)
{
    struct awaited_follower *follower = find(awaited, broker_id);
    if (follower != NULL)
        return follower;
    follower = heap_take_zeroed(awaited->heap, sizeof *follower);
    if (follower == NULL)
        return NULL;
    follower->broker_id = broker_id;
    list_init(&follower->replicas);
    list_push(&awaited->followers, &follower->link);
    return follower;
}

static bool is_in_isr(const struct replica *replica)
{
    return replica->isr_place >= 0;
}

bool awaited_followers_add(struct awaited_followers *awaited, struct replica_set *set,
                           uint64_t now_ms)
{
    for (uint32_t i = 0; i < set->follower_count; i++) {
        struct replica *replica = &set->followers[i];
        if (!is_in_isr(replica))
            continue;
        struct awaited_follower *follower = find_or_make(awaited, replica->broker_id);
        if (follower == NULL) {
            awaited_followers_remove_all(set);
            return false;
        }
        follower->since_ms = now_ms;
        list_push(&follower->replicas, &replica->awaited_link);
    }
    return true;
}

void awaited_followers_remove(struct replica *replica)
{
    list_remove(&replica->awaited_link);
}

void awaited_followers_remove_all(struct replica_set *set)
{
    for (uint32_t i = 0; i < set->follower_count; i++)
        awaited_followers_remove(&set->followers[i]);
}

static void call(struct awaited_followers *awaited, int32_t broker_id)
{
    struct list others;
    struct list *link;
    list_init(&others);
    while ((link = list_pop(&awaited->parked)) != NULL) {
        struct parked_fetch *fetch = CONTAINER_OF(link, struct parked_fetch, link);
        if (fetch->broker_id == broker_id)
            fetch->call(fetch);
        else
            list_push(&others, link);
    }
    list_splice(&awaited->parked, &others);
}

void awaited_followers_call(struct awaited_followers *awaited, const struct replica_set *set)
{
    for (uint32_t i = 0; i < set->follower_count; i++)
        if (list_linked(&set->followers[i].awaited_link))
            call(awaited, set->followers[i].broker_id);
}

/* Those who have left the ISR since are found here. */
static bool is_awaited(struct awaited_follower *follower)
{
    struct list *link;
    while ((link = list_first(&follower->replicas)) != NULL) {
        if (is_in_isr(CONTAINER_OF(link, struct replica, awaited_link)))
            return true;
        list_remove(link);
    }
    return false;
}

uint64_t awaited_followers_wait_ms(struct awaited_followers *awaited, int32_t broker_id,
                                   uint64_t wait_ms, uint64_t now_ms)
{
    struct awaited_follower *follower = find(awaited, broker_id);
    if (follower == NULL || !is_awaited(follower))
        return wait_ms;
    const uint64_t so_far_ms = now_ms - follower->since_ms;
    return min_u64(wait_ms,
                   max_u64(awaited_followers_wait_ms_min, so_far_ms / awaited_followers_wait_part));
}

void awaited_followers_park(struct awaited_followers *awaited, struct parked_fetch *fetch)
{
    list_push(&awaited->parked, &fetch->link);
}
