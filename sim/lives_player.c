#include "sim/lives_player.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "broker/error_code.h"
#include "sim/broker_player.h"
#include "sim/sim_broker_client.h"
#include "sim/sim_keeper_client.h"
#include "sim/sim_net.h"

enum {
    batch_bytes_max = 4096,
    last_batch_count = 5,
    produce_version = 7,
    fetch_version_by_name = 12,
    fetch_version_by_id = 13,
    metadata_version = 12,
    producer_id_version = 1,
    create_version = 7,
    delete_version = 6,
    coordinator_version = 3,
    commit_version = 8,
    offset_fetch_version = 7,
    request_timeout_ms = 10000,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t answer_ns_max = 20000000000;
static const struct slice group = SLICE_LITERAL("lives");

/* What a broker said of the topic. */
struct sight {
    int32_t controller_id;
    struct uuid id; /* Zero: there is none. */
    int32_t partition_count;
    int32_t leaders[topic_lives_partition_count_max];
    int32_t leader_epochs[topic_lives_partition_count_max];
};

struct player {
    struct lives_stage *stage;
    struct topic_lives *lives;
    struct prng *prng;
    struct sim_node *node;
    struct sim_broker_client client;
    struct sight sight;
    struct uuid known_id; /* The latest life, and the latest leader epochs that were told of it. */
    int32_t known_epochs[topic_lives_partition_count_max];
    int64_t producer_id; /* -1: none. */
    int16_t producer_epoch;
    int32_t sequences[topic_lives_partition_count_max];
    int64_t offsets[topic_lives_partition_count_max]; /* Of a reader, ... */
    struct uuid offsets_id;                           /* ... in this life. */
    uint8_t batch[batch_bytes_max];
};

#define WRONG(player, ...)                                                                         \
    sim_workload_wrong((player)->lives->result, (player)->lives->sim, __VA_ARGS__)

static bool is_over(const struct player *player)
{
    return player->lives->result->verdict != SIM_RIGHT;
}

bool lives_stage_is_finished(const struct lives_stage *stage)
{
    return stage->is_last_life && stage->finished_count == lives_producer_count;
}

static struct player *make_player(struct sim_node *node, void *argument)
{
    struct lives_stage *stage = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->stage = stage;
    player->lives = stage->lives;
    player->prng = &stage->prng;
    player->node = node;
    player->producer_id = -1;
    sim_broker_client_init(&player->client, node->io, &node->heap);
    return player;
}

static void rest(struct player *player, uint64_t time_ns)
{
    sim_link_sleep(&player->client.link, time_ns);
}

/* ---- Asking. ---- */

static bool dial(struct player *player, uint32_t broker)
{
    sim_link_close(&player->client.link);
    return broker < player->lives->broker_count &&
           sim_link_open(
               &player->client.link,
               sim_net_address(player->lives->first_broker_node + broker, broker_player_port),
               5 * ns_per_s);
}

static bool dial_id(struct player *player, int32_t id)
{
    return dial(player, (uint32_t)(id - player->stage->first_broker_id));
}

static bool dial_any(struct player *player)
{
    return dial(player, (uint32_t)prng_below(player->prng, player->lives->broker_count));
}

#define ASK(player, key, version, name, request, reply)                                            \
    sim_broker_client_ask(&(player)->client,                                                       \
                          &(struct sim_broker_ask){key, version, &kafka_##name##_request_wire,     \
                                                   request, &kafka_##name##_reply_wire, reply,     \
                                                   answer_ns_max})

/* As clients do: a broker that is cut off may still name, or be, the leader of an earlier epoch. */
static void forget_outdated(struct player *player)
{
    struct sight *sight = &player->sight;
    if (!uuid_equal(player->known_id, sight->id))
        memset(player->known_epochs, 0xff, sizeof player->known_epochs);
    player->known_id = sight->id;
    for (int32_t i = 0; i < topic_lives_partition_count_max; i++) {
        if (sight->leader_epochs[i] < player->known_epochs[i])
            sight->leaders[i] = -1;
        else
            player->known_epochs[i] = sight->leader_epochs[i];
    }
}

/* Of the broker at the other end. False: it does not say. */
static bool look(struct player *player)
{
    struct kafka_metadata_request_topics topic = {.name = topic_lives_name()};
    struct kafka_metadata_request request = {.allow_auto_topic_creation = false};
    struct kafka_metadata_reply reply;
    struct sight *sight = &player->sight;
    request.topics.items = &topic;
    request.topics.count = 1;
    if (!ASK(player, KAFKA_API_METADATA, metadata_version, metadata, &request, &reply) ||
        reply.topics.count != 1)
        return false;
    const struct kafka_metadata_reply_topics *found = &reply.topics.items[0];
    *sight = (struct sight){.controller_id = reply.controller_id};
    if (found->error_code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION)
        return true;
    memcpy(sight->id.bytes, found->topic_id.bytes, sizeof sight->id.bytes);
    sight->partition_count = found->partitions.count;
    for (int32_t i = 0; i < topic_lives_partition_count_max; i++)
        sight->leaders[i] = -1;
    for (int32_t i = 0; i < found->partitions.count; i++) {
        const struct kafka_metadata_reply_topics_partitions *partition =
            &found->partitions.items[i];
        if (partition->partition_index >= topic_lives_partition_count_max)
            WRONG(player, "the topic has a partition %d", partition->partition_index);
        else
            sight->leaders[partition->partition_index] = partition->leader_id;
        if (partition->partition_index < topic_lives_partition_count_max)
            sight->leader_epochs[partition->partition_index] = partition->leader_epoch;
    }
    forget_outdated(player);
    return true;
}

/* Asks any broker, and goes to the leader of a partition. False: there is none. */
static bool reach_leader(struct player *player, int32_t partition)
{
    return dial_any(player) && look(player) && partition < player->sight.partition_count &&
           player->sight.leaders[partition] >= 0 &&
           dial_id(player, player->sight.leaders[partition]);
}

static bool reach_controller(struct player *player)
{
    return dial_any(player) && look(player) && dial_id(player, player->sight.controller_id);
}

static bool reach_coordinator(struct player *player)
{
    const struct kafka_find_coordinator_request request = {.key = group};
    struct kafka_find_coordinator_reply reply;
    return dial_any(player) &&
           ASK(player, KAFKA_API_FIND_COORDINATOR, coordinator_version, find_coordinator, &request,
               &reply) &&
           reply.error_code == KAFKA_NONE && dial_id(player, reply.node_id);
}

/* ---- The operator. ---- */

static void create(struct player *player)
{
    const struct kafka_create_topics_request_topics topic = {
        .name = topic_lives_name(),
        .num_partitions = (int32_t)prng_between(player->prng, 1, topic_lives_partition_count_max),
        .replication_factor = 3};
    struct kafka_create_topics_request request = {.timeout_ms = request_timeout_ms};
    struct kafka_create_topics_reply reply;
    request.topics.items = (struct kafka_create_topics_request_topics *)&topic;
    request.topics.count = 1;
    if (reach_controller(player))
        (void)ASK(player, KAFKA_API_CREATE_TOPICS, create_version, create_topics, &request, &reply);
}

static void order_deletion(struct player *player, struct uuid id)
{
    struct kafka_delete_topics_request_topics topic = {.name = SLICE_NULL};
    struct kafka_delete_topics_request request = {.timeout_ms = request_timeout_ms};
    struct kafka_delete_topics_reply reply;
    if (prng_chance(player->prng, 1, 2))
        topic.name = topic_lives_name();
    else
        memcpy(topic.topic_id.bytes, id.bytes, sizeof id.bytes);
    request.topics.items = &topic;
    request.topics.count = 1;
    if (reach_controller(player) && uuid_equal(player->sight.id, id))
        (void)ASK(player, KAFKA_API_DELETE_TOPICS, delete_version, delete_topics, &request, &reply);
}

/* Whether some broker knows another life than this one: a broker that lags behind may know an
 * earlier one, which is taken for none. */
static bool is_there(struct player *player, struct uuid last)
{
    return dial_any(player) && look(player) && !uuid_is_zero(player->sight.id) &&
           !uuid_equal(player->sight.id, last) &&
           topic_lives_find(player->lives, player->sight.id) == player->lives->life_count;
}

static bool is_gone(struct player *player, struct uuid id)
{
    return dial_any(player) && look(player) && !uuid_equal(player->sight.id, id);
}

void lives_play_operator(struct sim_node *node, void *argument)
{
    struct player *player = make_player(node, argument);
    struct lives_stage *stage = player->stage;
    struct uuid last = {.bytes = {0}};
    while (!is_over(player)) {
        const bool is_last =
            stage->is_ending || player->lives->life_count >= topic_life_count_max - 2;
        while (!is_over(player) && !is_there(player, last)) {
            if (!uuid_is_zero(last) && uuid_equal(player->sight.id, last))
                order_deletion(player, last); /* Who said that it was gone had never heard of it. */
            else
                create(player);
            rest(player, prng_below(player->prng, 200 * ns_per_ms));
        }
        if (is_last)
            break;
        const struct uuid id = player->sight.id;
        rest(player, prng_below(player->prng, stage->pause_ns_max));
        while (!is_over(player) && !is_gone(player, id)) {
            order_deletion(player, id);
            rest(player, prng_below(player->prng, 200 * ns_per_ms));
        }
        last = id;
    }
    stage->is_last_life = true;
    sim_link_close(&player->client.link);
}

/* ---- Producers. ---- */

static bool get_producer_id(struct player *player)
{
    const struct kafka_init_producer_id_request request = {.transactional_id = SLICE_NULL,
                                                           .transaction_timeout_ms = 60000};
    struct kafka_init_producer_id_reply reply;
    if (player->producer_id >= 0)
        return true;
    if (!dial_any(player) ||
        !ASK(player, KAFKA_API_INIT_PRODUCER_ID, producer_id_version, init_producer_id, &request,
             &reply) ||
        reply.error_code != KAFKA_NONE)
        return false;
    player->producer_id = reply.producer_id;
    player->producer_epoch = reply.producer_epoch;
    memset(player->sequences, 0, sizeof player->sequences);
    return true;
}

static struct slice write_batch(struct player *player, uint32_t number, int32_t partition)
{
    struct record_batch_writer writer;
    record_batch_writer_init(&writer, player->batch, sizeof player->batch,
                             io_wall_ms(player->node->io));
    const struct slice bytes = topic_lives_write_batch(player->lives, number, &writer);
    store_i64(player->batch + 43, player->producer_id);
    store_i16(player->batch + 51, player->producer_epoch);
    store_i32(player->batch + 53, player->sequences[partition]);
    store_u32(player->batch + 17, checksum_crc32c(0, slice_skip(bytes, record_batch_crc_from)));
    return bytes;
}

/* The answer's code; false: there is none. */
static bool produce(struct player *player, uint32_t number, int32_t index, int16_t *code,
                    int64_t *offset)
{
    struct kafka_produce_request_topics_partitions partition = {
        .index = index, .records = write_batch(player, number, index)};
    struct kafka_produce_request_topics topic = {.name = topic_lives_name()};
    struct kafka_produce_request request = {.acks = -1, .timeout_ms = request_timeout_ms};
    struct kafka_produce_reply reply;
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    request.topics.items = &topic;
    request.topics.count = 1;
    topic_lives_on_send(player->lives, number);
    if (!ASK(player, KAFKA_API_PRODUCE, produce_version, produce, &request, &reply) ||
        reply.topics.count != 1 || reply.topics.items[0].partitions.count != 1)
        return false;
    *code = reply.topics.items[0].partitions.items[0].error_code;
    *offset = reply.topics.items[0].partitions.items[0].base_offset;
    return true;
}

static bool may_be_sent_again(int16_t code)
{
    return code == KAFKA_NOT_LEADER_OR_FOLLOWER || code == KAFKA_LEADER_NOT_AVAILABLE ||
           code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == KAFKA_KAFKA_STORAGE_ERROR ||
           code == KAFKA_NOT_ENOUGH_REPLICAS || code == KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
           code == KAFKA_REQUEST_TIMED_OUT;
}

/* One batch, again and again. False: it is given up, as its partition is not there. */
static bool deliver(struct player *player, uint32_t number, int32_t partition)
{
    bool is_there = player->client.link.handle != io_handle_none;
    while (!is_over(player)) {
        int16_t code = KAFKA_REQUEST_TIMED_OUT;
        int64_t offset;
        if (!is_there && !reach_leader(player, partition)) {
            if (player->sight.partition_count > 0 && partition >= player->sight.partition_count)
                return false;
            rest(player, 100 * ns_per_ms);
            continue;
        }
        is_there = produce(player, number, partition, &code, &offset) && code == KAFKA_NONE;
        if (is_there) {
            topic_lives_on_ack(player->lives, number, offset);
            return true;
        }
        if (!may_be_sent_again(code) && !player->lives->promises_nothing)
            WRONG(player, "batch %u of lives-%d is answered %d", number, partition, code);
        sim_link_close(&player->client.link);
        rest(player, prng_below(player->prng, 100 * ns_per_ms));
    }
    return false;
}

static void send_one(struct player *player)
{
    const int32_t partition =
        (int32_t)prng_below(player->prng, (uint64_t)max_i64(1, player->sight.partition_count));
    const struct uuid id = player->sight.id;
    while (!is_over(player) && !get_producer_id(player))
        rest(player, 100 * ns_per_ms);
    const uint32_t number = topic_lives_add_batch(player->lives, player->prng, partition);
    if (number == UINT32_MAX)
        return;
    if (deliver(player, number, partition))
        player->sequences[partition] += (int32_t)player->lives->batches[number].record_count;
    else
        player->producer_id = -1; /* Another one has no gap. */
    if (!uuid_equal(id, player->sight.id) && prng_chance(player->prng, 1, 2))
        player->producer_id = -1;
    if (prng_chance(player->prng, 1, 2)) /* It may lead the other partition, or not. */
        sim_link_close(&player->client.link);
}

void lives_play_producer(struct sim_node *node, void *argument)
{
    struct player *player = make_player(node, argument);
    struct lives_stage *stage = player->stage;
    uint32_t left = last_batch_count;
    while (!is_over(player) && left > 0) {
        left -= stage->is_last_life;
        send_one(player);
        if (prng_chance(player->prng, 1, 3))
            rest(player, prng_below(player->prng, 500 * ns_per_ms));
    }
    stage->finished_count++;
    sim_link_close(&player->client.link);
}

/* ---- Reading. ---- */

struct reading {
    int32_t partition;
    bool is_by_id; /* Else by name: then which life it is may be open. */
    bool has_session;
    int32_t session_id;
    int32_t session_epoch;
    bool is_end;
};

static void take_records(struct player *player, const struct reading *reading, uint32_t life,
                         const struct kafka_fetch_reply_topics_partitions *answer)
{
    int64_t *offset = &player->offsets[reading->partition];
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, answer->records);
    while (record_batch_walk_next(&walk, &err) && !is_over(player)) {
        if (life > 0)
            topic_lives_judge(player->lives, life, reading->partition, &walk, *offset);
        *offset = record_batch_last_offset(&walk.batch) + 1;
    }
    if (life > 0 && answer->error_code == KAFKA_NONE)
        topic_lives_judge_end(player->lives, life, reading->partition, answer->high_watermark);
}

/* Whatever is there at the offset. False: nothing is answered, or not that. */
static bool fetch(struct player *player, struct reading *reading)
{
    struct topic_lives *lives = player->lives;
    const uint32_t latest = lives->life_count;
    int64_t *offset = &player->offsets[reading->partition];
    struct kafka_fetch_request_topics_partitions partition = {
        .partition = reading->partition,
        .current_leader_epoch = player->sight.leader_epochs[reading->partition],
        .fetch_offset = *offset,
        .last_fetched_epoch = -1,
        .log_start_offset = -1,
        .partition_max_bytes = (int32_t)prng_between(player->prng, 100, 20000),
    };
    struct kafka_fetch_request_topics topic = {.topic = topic_lives_name()};
    struct kafka_fetch_request request = {.replica_id = -1,
                                          .max_wait_ms = 10,
                                          .min_bytes = 1,
                                          .max_bytes = 1 << 20,
                                          .session_id = reading->session_id,
                                          .session_epoch =
                                              reading->has_session ? reading->session_epoch : -1,
                                          .rack_id = SLICE_LITERAL("")};
    struct kafka_fetch_reply reply;
    memcpy(topic.topic_id.bytes, player->sight.id.bytes, sizeof topic.topic_id.bytes);
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    request.topics.items = &topic;
    request.topics.count = 1;
    const int16_t version = reading->is_by_id ? fetch_version_by_id : fetch_version_by_name;
    reading->is_end = false;
    if (!ASK(player, KAFKA_API_FETCH, version, fetch, &request, &reply) ||
        reply.error_code != KAFKA_NONE)
        return false;
    reading->session_id = reply.session_id;
    reading->session_epoch++;
    reading->has_session &= reply.session_id != 0;
    if (reply.topics.count != 1 || reply.topics.items[0].partitions.count != 1)
        return reading->has_session; /* Nothing new. */
    const struct kafka_fetch_reply_topics_partitions *answer =
        &reply.topics.items[0].partitions.items[0];
    if (answer->error_code == KAFKA_OFFSET_OUT_OF_RANGE) {
        *offset = 0;
        return true;
    }
    if (answer->error_code != KAFKA_NONE)
        return false;
    uint32_t life = topic_lives_find(lives, player->sight.id);
    if (!reading->is_by_id)
        life = lives->life_count == latest ? latest : 0;
    take_records(player, reading, life, answer);
    reading->is_end = *offset >= answer->high_watermark;
    return true;
}

/* What the group has may be of an earlier life: it goes with the topic, unless it was on its way.
 */
static void ask_group(struct player *player, int32_t index)
{
    struct kafka_offset_fetch_request_topics topic = {.name = topic_lives_name()};
    struct kafka_offset_fetch_request request = {.group_id = group};
    struct kafka_offset_fetch_reply reply;
    topic.partition_indexes.items = &index;
    topic.partition_indexes.count = 1;
    request.topics.items = &topic;
    request.topics.count = 1;
    if (reach_coordinator(player) &&
        ASK(player, KAFKA_API_OFFSET_FETCH, offset_fetch_version, offset_fetch, &request, &reply) &&
        reply.error_code == KAFKA_NONE && reply.topics.count == 1 &&
        reply.topics.items[0].partitions.count == 1)
        player->offsets[index] =
            max_i64(0, reply.topics.items[0].partitions.items[0].committed_offset);
}

static void tell_group(struct player *player, int32_t index)
{
    struct kafka_offset_commit_request_topics_partitions partition = {.partition_index = index,
                                                                      .committed_offset =
                                                                          player->offsets[index],
                                                                      .committed_leader_epoch = -1};
    struct kafka_offset_commit_request_topics topic = {.name = topic_lives_name()};
    struct kafka_offset_commit_request request = {
        .group_id = group, .generation_id = -1, .member_id = SLICE_LITERAL("")};
    struct kafka_offset_commit_reply reply;
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    request.topics.items = &topic;
    request.topics.count = 1;
    if (reach_coordinator(player))
        (void)ASK(player, KAFKA_API_OFFSET_COMMIT, commit_version, offset_commit, &request, &reply);
}

static void read_some(struct player *player)
{
    struct prng *prng = player->prng;
    struct reading reading = {.partition =
                                  (int32_t)prng_below(prng, topic_lives_partition_count_max),
                              .is_by_id = prng_chance(prng, 2, 3),
                              .has_session = prng_chance(prng, 1, 2)};
    uint64_t rounds = prng_between(prng, 1, prng_chance(prng, 1, 4) ? 100 : 10);
    if (prng_chance(prng, 1, 4))
        ask_group(player, reading.partition);
    if (!reach_leader(player, reading.partition))
        return;
    if (!uuid_equal(player->offsets_id, player->sight.id) && prng_chance(prng, 3, 4))
        memset(player->offsets, 0, sizeof player->offsets);
    player->offsets_id = player->sight.id;
    while (rounds-- > 0 && !is_over(player) && fetch(player, &reading))
        if (reading.is_end)
            rest(player, prng_below(prng, 100 * ns_per_ms));
    if (prng_chance(prng, 1, 2))
        tell_group(player, reading.partition);
}

void lives_play_reader(struct sim_node *node, void *argument)
{
    struct player *player = make_player(node, argument);
    while (!is_over(player)) {
        read_some(player);
        rest(player, prng_below(player->prng, 300 * ns_per_ms));
    }
    sim_link_close(&player->client.link);
}

/* From the beginning to its end, which a follower may not know yet. */
static void scan_partition(struct player *player, int32_t index)
{
    struct reading reading = {.partition = index, .is_by_id = true};
    player->offsets[index] = 0;
    sim_link_close(&player->client.link);
    while (!is_over(player) && !reading.is_end)
        if (player->client.link.handle == io_handle_none || !fetch(player, &reading))
            if (!reach_leader(player, index))
                rest(player, 100 * ns_per_ms);
}

void lives_play_scan(struct sim_node *node, void *argument)
{
    struct player *player = make_player(node, argument);
    while (!is_over(player) &&
           (!dial_any(player) || !look(player) || player->sight.partition_count == 0))
        rest(player, 100 * ns_per_ms);
    const int32_t count = player->sight.partition_count;
    topic_lives_begin_scan(player->lives);
    for (int32_t index = 0; index < count; index++)
        scan_partition(player, index);
    if (!is_over(player))
        topic_lives_end_scan(player->lives);
    player->stage->is_done = true;
    sim_link_close(&player->client.link);
}

/* ---- The end. ---- */

/* Whether a znode has this child; also if it cannot be asked. */
static bool has_child(struct sim_keeper_client *client, const char *path, struct slice name)
{
    const struct zk_get_children_request request = {.path = slice_from_text(path)};
    struct sim_keeper_reply reply;
    struct zk_get_children_reply children;
    if (sim_keeper_client_send(client, ZK_OP_GET_CHILDREN, &zk_get_children_request_wire,
                               &request) == 0 ||
        !sim_keeper_client_receive(client, &reply, answer_ns_max) || reply.code != 0 ||
        !sim_keeper_client_decode(client, &zk_get_children_reply_wire, reply.body, &children))
        return true;
    for (int32_t i = 0; i < children.children.count; i++)
        if (slice_equal(children.children.items[i], name))
            return true;
    return false;
}

/* What the keeper still has of the topic; NULL: nothing. */
static const char *ask_keeper(struct player *player)
{
    static const char *const paths[] = {"/admin/delete_topics", "/brokers/topics",
                                        "/config/topics"};
    struct sim_keeper_client client;
    const char *found = NULL;
    sim_keeper_client_init(&client, player->node->io, &player->node->heap);
    if (sim_keeper_client_connect(&client, sim_net_address(0, 2181), 4000) != SIM_KEEPER_NEW)
        found = "the keeper";
    for (uint32_t i = 0; found == NULL && i < ARRAY_COUNT(paths); i++)
        if (has_child(&client, paths[i], topic_lives_name()))
            found = paths[i];
    sim_link_close(&client.link);
    return found;
}

static bool is_known_to(struct player *player, uint32_t broker)
{
    return !dial(player, broker) || !look(player) || !uuid_is_zero(player->sight.id);
}

/* Of partitions that the last life does not have the group may have kept offsets: its coordinator
 * heard of their deletion while it was loading, or lost its power before it was in the log. */
static const char *find_rest(struct player *player, int32_t partition_count)
{
    for (uint32_t broker = 0; broker < player->lives->broker_count; broker++)
        if (is_known_to(player, broker))
            return "a broker's Metadata";
    for (int32_t index = 0; index < partition_count; index++) {
        player->offsets[index] = INT64_MAX;
        ask_group(player, index);
        if (player->offsets[index] != 0)
            return "the group's offsets";
    }
    return ask_keeper(player);
}

/* The group's coordinator has loaded it: one that hears of the deletion before keeps the offsets,
 * as Apache's do. */
static bool is_coordinated(struct player *player)
{
    player->offsets[0] = INT64_MAX;
    ask_group(player, 0);
    return player->offsets[0] != INT64_MAX;
}

void lives_play_end(struct sim_node *node, void *argument)
{
    struct player *player = make_player(node, argument);
    struct lives_stage *stage = player->stage;
    stage->awaited = "any broker";
    while (!is_over(player) && (!dial_any(player) || !look(player)))
        rest(player, 100 * ns_per_ms);
    stage->awaited = "the group's coordinator";
    while (!is_over(player) && !is_coordinated(player))
        rest(player, 100 * ns_per_ms);
    const struct sight last = player->sight;
    while (!is_over(player) && !is_gone(player, last.id)) {
        order_deletion(player, last.id);
        rest(player, 100 * ns_per_ms);
    }
    do {
        stage->awaited = find_rest(player, last.partition_count);
        rest(player, ns_per_s);
    } while (!is_over(player) && stage->awaited != NULL);
    stage->is_done = true;
    sim_link_close(&player->client.link);
}
