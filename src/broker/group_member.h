/* Members of a group: their memory and their place in its lists. Nothing is decided here.
 *
 * Memory: the coordinator's heap. Shard: one owner.
 */
#ifndef BROKER_GROUP_MEMBER_H
#define BROKER_GROUP_MEMBER_H

#include "broker/group_coordinator.h"

struct group_member_spec {
    struct slice id;
    struct slice instance_id;
    struct slice client_id;
    struct slice client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
};

/* A new member at the end of the group; the first one leads it. NULL: no memory. Copies texts. */
struct group_member *group_member_add(struct group_coordinator *coordinator, struct group *group,
                                      const struct group_member_spec *spec,
                                      const struct group_protocol *protocols,
                                      uint32_t protocol_count);

/* Takes member, which has no tickets; the longest member leads if it led. */
void group_member_remove(struct group_coordinator *coordinator, struct group_member *member);

struct group_member *group_member_find(const struct group_coordinator *coordinator,
                                       const struct group *group, struct slice member_id);

/* False: no memory; nothing has changed. */
MUST_CHECK bool group_member_set_protocols(struct group_coordinator *coordinator,
                                           struct group_member *member,
                                           const struct group_protocol *protocols,
                                           uint32_t protocol_count);
MUST_CHECK bool group_member_set_assignment(struct group_coordinator *coordinator,
                                            struct group_member *member, struct slice assignment);

/* The member goes on under another id. */
MUST_CHECK bool group_member_rename(struct group_coordinator *coordinator,
                                    struct group_member *member, struct slice id);

/* A copy in a block of its own in place of the old one. */
MUST_CHECK bool group_text_set(struct heap *heap, struct slice *text, struct slice value);
void group_text_clear(struct heap *heap, struct slice *text);

#endif
