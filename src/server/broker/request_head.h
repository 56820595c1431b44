/* What a request's frame says: which api, in which version, and its body, decoded in place.
 *
 * Memory: the body's arrays lie in the memory given, its strings and bytes in the frame. Shard:
 * any.
 */
#ifndef SERVER_BROKER_REQUEST_HEAD_H
#define SERVER_BROKER_REQUEST_HEAD_H

#include "base/slice.h"
#include "server/broker/request_memory.h"

struct broker_api;

struct request_head {
    const struct broker_api *api;
    int16_t api_key;
    int16_t version;
    int32_t correlation_id;
    struct slice client_id; /* May be null. */
    const void *body;       /* The decoded struct of api->request; NULL: an unknown version. */
};

/* NULL, or the constant reason to close the connection; head->api may be NULL then. Keeps frame and
 * memory as long as the body is used. */
const char *request_head_read(struct request_head *head, struct request_memory *memory,
                              struct slice frame);

/* Whether the version is one that is served. The others are ApiVersions', which gets an answer. */
bool request_head_is_known(const struct request_head *head);

#endif
