#include "net/net_timeout.h"

void net_timeout_init(struct net_timeout *timeout, uint32_t limit_ms)
{
    list_init(&timeout->members);
    timeout->limit_ns = (uint64_t)limit_ms * 1000000;
}

void net_timeout_link_init(struct net_timeout_link *member)
{
    list_init(&member->link);
}

void net_timeout_start(struct net_timeout *timeout, struct net_timeout_link *member,
                       uint64_t now_ns)
{
    if (timeout->limit_ns == 0)
        return;
    member->since_ns = now_ns;
    if (list_linked(&member->link))
        list_remove(&member->link);
    list_push(&timeout->members, &member->link);
}

void net_timeout_stop(struct net_timeout_link *member)
{
    if (list_linked(&member->link))
        list_remove(&member->link);
}

static struct net_timeout_link *first_of(const struct net_timeout *timeout)
{
    struct list *first = list_first(&timeout->members);
    return first == NULL ? NULL : CONTAINER_OF(first, struct net_timeout_link, link);
}

struct net_timeout_link *net_timeout_pop_due(struct net_timeout *timeout, uint64_t now_ns)
{
    if (net_timeout_next_ns(timeout) > now_ns)
        return NULL;
    struct net_timeout_link *first = first_of(timeout);
    net_timeout_stop(first);
    return first;
}

uint64_t net_timeout_next_ns(const struct net_timeout *timeout)
{
    const struct net_timeout_link *first = first_of(timeout);
    return first == NULL ? UINT64_MAX : first->since_ns + timeout->limit_ns;
}
