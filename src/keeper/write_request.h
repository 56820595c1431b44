/* A write as a client asks for it: alone, or as a part of a multi.
 *
 * Memory: slices of the request and of the arena. Shard: any.
 */
#ifndef KEEPER_WRITE_REQUEST_H
#define KEEPER_WRITE_REQUEST_H

#include "keeper/acl.h"

/* What the flags of a create mean. */
struct create_mode {
    bool ephemeral;
    bool sequential;
    bool container;
    bool ttl;
};

/* A create request of any kind. */
struct create_arguments {
    int32_t type; /* enum op */
    struct slice path;
    struct slice data;
    struct acl_list acl;
    int32_t flags;
    int64_t ttl_ms; /* -1: the request has none. */
};

struct write_request {
    int32_t type; /* enum op */
    union {
        struct create_arguments create;
        struct zk_delete_request delete;
        struct zk_set_data_request set_data;
        struct zk_set_acl_request set_acl;
        struct zk_check_request check;
        struct zk_delete_container_request delete_container;
    } as;
};

/* NULL: there are no such flags. */
const struct create_mode *create_mode_of(int32_t flags);

/* Takes the body of a request of request->type off input. CODE_MARSHALLING_ERROR;
 * CODE_SYSTEM_ERROR: the arena is full. */
MUST_CHECK enum code write_request_decode(struct write_request *request, struct slice *input,
                                          struct arena *arena);

/* The next part of a multi. False: there is none, or none that can be unpacked: *refusal says
 * which. *is_broken: one that breaks Apache's server while it unpacks the multi, before it has
 * taken a zxid. */
bool write_request_next_part(struct write_request *request, struct slice *input,
                             struct arena *arena, enum code *refusal, bool *is_broken);

/* Of a part of a multi. */
struct slice write_request_path(const struct write_request *request);

/* Whether a client's request of this type is to create an ephemeral, if it can be unpacked: whoever
 * asks for that needs a session that all servers know. As in Apache's servers, createContainer
 * never is, whatever its flags, createTTL only in a multi; and flags that nobody knows hide what
 * comes behind them. */
bool write_request_wants_ephemeral(int32_t type, struct slice body, struct arena *arena);

#endif
