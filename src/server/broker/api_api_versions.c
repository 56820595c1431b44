#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

static bool is_alphanumeric(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

/* Letters, digits, '-' and '.', the last two not at the ends. */
static bool is_software_name(struct slice name)
{
    if (name.size == 0 || !is_alphanumeric(name.data[0]) ||
        !is_alphanumeric(name.data[name.size - 1]))
        return false;
    for (size_t at = 0; at < name.size; at++)
        if (!is_alphanumeric(name.data[at]) && name.data[at] != '-' && name.data[at] != '.')
            return false;
    return true;
}

static struct kafka_api_versions_reply_api_keys key_row(int16_t key)
{
    return (struct kafka_api_versions_reply_api_keys){
        .api_key = key, .min_version = 0, .max_version = broker_apis[key].version_max};
}

void api_api_versions(struct broker_request *request)
{
    const struct kafka_api_versions_request *body = request->body;
    struct kafka_api_versions_reply_api_keys rows[broker_api_key_count];
    struct kafka_api_versions_reply reply = {.finalized_features_epoch =
                                                 control_features_epoch(request->server->control)};
    reply.api_keys.items = rows;
    for (int16_t key = 0; key < broker_api_key_count; key++)
        if (broker_api_find(key) != NULL)
            rows[reply.api_keys.count++] = key_row(key);
    if (request->version >= 3 && (!is_software_name(body->client_software_name) ||
                                  !is_software_name(body->client_software_version))) {
        reply.error_code = KAFKA_INVALID_REQUEST;
        reply.api_keys.count = 0;
        reply.finalized_features_epoch = -1;
    }
    broker_request_reply(request, &reply);
}

/* A client that is newer than us learns from this, in the oldest format, what to ask instead. */
void api_api_versions_unknown(struct broker_request *request)
{
    struct kafka_api_versions_reply_api_keys row = key_row(KAFKA_API_API_VERSIONS);
    struct kafka_api_versions_reply reply = {.error_code = KAFKA_UNSUPPORTED_VERSION,
                                             .finalized_features_epoch = -1};
    reply.api_keys.items = &row;
    reply.api_keys.count = 1;
    request->version = 0;
    broker_request_reply(request, &reply);
}
