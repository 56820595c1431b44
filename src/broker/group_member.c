#include "broker/group_member.h"

struct member_key {
    const struct group *group;
    struct slice id;
};

static bool is_member(const struct hash_link *link, const void *key)
{
    const struct group_member *member = CONTAINER_OF(link, const struct group_member, hash);
    const struct member_key *wanted = key;
    return member->group == wanted->group && slice_equal(member->id, wanted->id);
}

static uint64_t hash_of(const struct group_coordinator *coordinator, const struct group *group,
                        struct slice member_id)
{
    return hash_u64(group->hash.hash, hash_bytes(member_id, coordinator->options.hash_seed));
}

/* ---- texts ---- */

bool group_text_set(struct heap *heap, struct slice *text, struct slice value)
{
    uint8_t *copy = NULL;
    if (!slice_is_null(value)) {
        copy = heap_take(heap, value.size + 1);
        if (copy == NULL)
            return false;
        if (value.size > 0)
            memcpy(copy, value.data, value.size);
    }
    group_text_clear(heap, text);
    *text = slice_of(copy, value.size);
    return true;
}

void group_text_clear(struct heap *heap, struct slice *text)
{
    heap_give(heap, (void *)(uintptr_t)text->data);
    *text = SLICE_NULL;
}

static struct slice put(uint8_t **at, struct slice text)
{
    if (slice_is_null(text))
        return SLICE_NULL;
    const struct slice copy = slice_of(*at, text.size);
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return copy;
}

/* Null stays null and empty stays empty: the block has one byte more than the texts. */
static bool set_texts(struct heap *heap, struct group_member *member,
                      const struct group_member_spec *spec)
{
    const size_t size =
        spec->id.size + spec->instance_id.size + spec->client_id.size + spec->client_host.size;
    uint8_t *at = heap_take(heap, size + 1);
    if (at == NULL)
        return false;
    void *const block = at;
    member->id = put(&at, spec->id);
    member->instance_id = put(&at, spec->instance_id);
    member->client_id = put(&at, spec->client_id);
    member->client_host = put(&at, spec->client_host);
    heap_give(heap, member->texts); /* Last: spec may lend from it. */
    member->texts = block;
    return true;
}

/* ---- members ---- */

bool group_member_set_protocols(struct group_coordinator *coordinator, struct group_member *member,
                                const struct group_protocol *protocols, uint32_t protocol_count)
{
    size_t size = protocol_count * sizeof *protocols + 1;
    for (uint32_t i = 0; i < protocol_count; i++)
        size += protocols[i].name.size + protocols[i].metadata.size;
    struct group_protocol *copy = heap_take(coordinator->heap, size);
    if (copy == NULL)
        return false;
    uint8_t *at = (uint8_t *)(copy + protocol_count);
    for (uint32_t i = 0; i < protocol_count; i++) {
        copy[i].name = put(&at, protocols[i].name);
        copy[i].metadata = put(&at, protocols[i].metadata);
    }
    heap_give(coordinator->heap, member->protocols);
    member->protocols = copy;
    member->protocol_count = protocol_count;
    return true;
}

bool group_member_set_assignment(struct group_coordinator *coordinator, struct group_member *member,
                                 struct slice assignment)
{
    return group_text_set(coordinator->heap, &member->assignment, assignment);
}

static void give_back(struct group_coordinator *coordinator, struct group_member *member)
{
    group_text_clear(coordinator->heap, &member->assignment);
    group_text_clear(coordinator->heap, &member->former_id);
    heap_give(coordinator->heap, member->protocols);
    heap_give(coordinator->heap, member->texts);
    heap_give(coordinator->heap, member);
}

struct group_member *group_member_add(struct group_coordinator *coordinator, struct group *group,
                                      const struct group_member_spec *spec,
                                      const struct group_protocol *protocols,
                                      uint32_t protocol_count)
{
    struct group_member *member = heap_take_zeroed(coordinator->heap, sizeof *member);
    if (member == NULL)
        return NULL;
    if (!set_texts(coordinator->heap, member, spec) ||
        !group_member_set_protocols(coordinator, member, protocols, protocol_count)) {
        give_back(coordinator, member);
        return NULL;
    }
    member->group = group;
    member->session_timeout_ms = spec->session_timeout_ms;
    member->rebalance_timeout_ms = spec->rebalance_timeout_ms;
    list_push(&group->members, &member->link);
    hash_table_add(&coordinator->members, &member->hash, hash_of(coordinator, group, member->id));
    group->member_count++;
    if (group->leader == NULL)
        group->leader = member;
    return member;
}

void group_member_remove(struct group_coordinator *coordinator, struct group_member *member)
{
    struct group *group = member->group;
    assert(member->join_ticket == NULL && member->sync_ticket == NULL);
    assert(group->member_count > 0);
    deadline_queue_remove(&coordinator->deadlines, &member->session.deadline);
    hash_table_remove(&coordinator->members, &member->hash);
    list_remove(&member->link);
    group->member_count--;
    group->owing_count -= member->owes_sync;
    if (group->leader == member)
        group->leader = group->member_count == 0
                            ? NULL
                            : CONTAINER_OF(group->members.next, struct group_member, link);
    give_back(coordinator, member);
}

struct group_member *group_member_find(const struct group_coordinator *coordinator,
                                       const struct group *group, struct slice member_id)
{
    const struct member_key key = {group, member_id};
    struct hash_link *link = hash_table_find(
        &coordinator->members, hash_of(coordinator, group, member_id), is_member, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct group_member, hash);
}

bool group_member_rename(struct group_coordinator *coordinator, struct group_member *member,
                         struct slice id)
{
    const struct group_member_spec spec = {.id = id,
                                           .instance_id = member->instance_id,
                                           .client_id = member->client_id,
                                           .client_host = member->client_host};
    if (!group_text_set(coordinator->heap, &member->former_id, member->id))
        return false;
    hash_table_remove(&coordinator->members, &member->hash);
    const bool is_renamed = set_texts(coordinator->heap, member, &spec);
    hash_table_add(&coordinator->members, &member->hash,
                   hash_of(coordinator, member->group, member->id));
    return is_renamed;
}
