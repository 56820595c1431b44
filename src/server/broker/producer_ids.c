#include "server/broker/producer_ids.h"

#include "broker/znode_json.h"

static const char block_path[] = "/latest_producer_id_block";

static void reserve(struct producer_ids *ids);

void producer_ids_init(struct producer_ids *ids, struct zk_session *session, struct diag *diag,
                       int32_t broker_id)
{
    *ids = (struct producer_ids){
        .session = session, .diag = diag, .broker_id = broker_id, .block_last = -1};
    list_init(&ids->waiting);
    list_init(&ids->blocks);
}

static void answer_all(struct producer_ids *ids, int16_t error_code)
{
    while (!list_empty(&ids->waiting) &&
           (error_code != KAFKA_NONE || ids->next <= ids->block_last)) {
        struct producer_id_request *request =
            CONTAINER_OF(list_pop(&ids->waiting), struct producer_id_request, link);
        const int64_t id = error_code == KAFKA_NONE ? ids->next++ : -1;
        request->done(request, error_code, id);
    }
}

static void reserve_what_is_wanted(struct producer_ids *ids)
{
    if (ids->is_reserving)
        return; /* By whom was answered just now. */
    if (!list_empty(&ids->blocks))
        ids->block = CONTAINER_OF(list_pop(&ids->blocks), struct producer_block_request, link);
    else if (list_empty(&ids->waiting))
        return;
    reserve(ids);
}

static void finish(struct producer_ids *ids, int16_t error_code)
{
    struct producer_block_request *block = ids->block;
    ids->is_reserving = false;
    ids->block = NULL;
    if (error_code != KAFKA_NONE)
        diag_warn(ids->diag, "no block of producer ids: %s", kafka_error_name(error_code));
    if (block != NULL)
        block->done(block, error_code, error_code == KAFKA_NONE ? ids->wanted_first : -1);
    else
        answer_all(ids, error_code);
    reserve_what_is_wanted(ids);
}

static void use_block(struct producer_ids *ids)
{
    if (ids->block == NULL) {
        ids->next = ids->wanted_first;
        ids->block_last = ids->wanted_first + producer_id_block_size - 1;
    }
    finish(ids, KAFKA_NONE);
}

static int32_t owner_of_block(const struct producer_ids *ids)
{
    return ids->block == NULL ? ids->broker_id : ids->block->broker_id;
}

static struct producer_ids *ids_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct producer_ids, request);
}

static void on_reserved(struct zk_request *request, const struct keeper_result *result)
{
    struct producer_ids *ids = ids_of(request);
    if (result->code == KEEPER_OK)
        use_block(ids);
    else if (result->code == KEEPER_BAD_VERSION)
        reserve(ids); /* Another broker was faster, or our own write has landed unseen. */
    else
        finish(ids, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
}

static void on_read(struct zk_request *request, const struct keeper_result *result)
{
    struct producer_ids *ids = ids_of(request);
    struct znode_producer_ids block = {.broker_id = -1, .first = -1, .last = -1};
    if (result->code != KEEPER_OK) {
        finish(ids, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
        return;
    }
    if (result->data.size > 0 && znode_json_read_producer_ids(result->data, &block) != ERR_OK) {
        diag_error(ids->diag, "%s is not readable", block_path);
        finish(ids, KAFKA_UNKNOWN_SERVER_ERROR);
        return;
    }
    if (ids->wanted_first >= 0 && block.broker_id == owner_of_block(ids) &&
        block.first == ids->wanted_first) {
        use_block(ids); /* The reply to our write was lost. */
        return;
    }
    struct arena arena;
    arena_init(&arena, ids->memory, sizeof ids->memory);
    ids->wanted_first = block.last + 1;
    const struct znode_producer_ids wanted = {
        .broker_id = owner_of_block(ids),
        .first = ids->wanted_first,
        .last = ids->wanted_first + producer_id_block_size - 1,
    };
    request->kind = ZK_REQUEST_SET_DATA;
    request->data = znode_json_write_producer_ids(&arena, &wanted);
    request->version = result->stat->version;
    request->done = on_reserved;
    zk_session_send(ids->session, request);
}

static void reserve(struct producer_ids *ids)
{
    if (!ids->is_reserving)
        ids->wanted_first = -1;
    ids->is_reserving = true;
    ids->request.kind = ZK_REQUEST_GET_DATA;
    ids->request.path = block_path;
    ids->request.watch = NULL;
    ids->request.done = on_read;
    zk_session_send(ids->session, &ids->request);
}

void producer_ids_take(struct producer_ids *ids, struct producer_id_request *request)
{
    list_push(&ids->waiting, &request->link);
    if (!ids->is_reserving && ids->next > ids->block_last)
        reserve(ids);
    else if (!ids->is_reserving)
        answer_all(ids, KAFKA_NONE);
}

void producer_ids_take_block(struct producer_ids *ids, struct producer_block_request *request)
{
    list_push(&ids->blocks, &request->link);
    reserve_what_is_wanted(ids);
}
