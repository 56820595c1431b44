/* Asks a broker many questions, in every version, and prints each answer as one line. */
#include "base/bytes.h"
#include "wire/gen/kafka.h"

#include <arpa/inet.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { frame_bytes_max = 1 << 20, arena_bytes = 1 << 20, patience_s = 80 };

static int handle = -1;
static uint16_t port;
static int32_t correlation_id;
static uint8_t frame[frame_bytes_max];
static uint8_t reply_bytes[frame_bytes_max];
static char text[frame_bytes_max];
static alignas(16) uint8_t arena_memory[arena_bytes];
static alignas(16) uint8_t reply_struct[1 << 16];
static struct arena keep; /* Arrays of requests. */
static alignas(16) uint8_t keep_memory[1 << 22];

#define S(text_) SLICE_LITERAL(text_)

static void dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval patience = {.tv_sec = patience_s};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    handle = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(handle, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        exit(1);
    }
}

static bool read_all(uint8_t *to, size_t size)
{
    while (size > 0) {
        const ssize_t n = recv(handle, to, size, 0);
        if (n <= 0)
            return false;
        to += n;
        size -= (size_t)n;
    }
    return true;
}

static const struct wire_api *api_of(int key)
{
    for (uint32_t i = 0; i < kafka_api_count; i++)
        if (kafka_apis[i].key == key)
            return &kafka_apis[i];
    abort();
}

/* The reply's struct, or NULL: the connection was closed. */
static const void *ask(const char *name, int key, int version, const void *body)
{
    const struct wire_api *api = api_of(key);
    const struct kafka_request_header header = {.api_key = (int16_t)key,
                                                .api_version = (int16_t)version,
                                                .correlation_id = ++correlation_id,
                                                .client_id = S("asker")};
    if (handle < 0)
        dial();
    struct wire_writer writer = wire_writer_of(frame + 4, sizeof frame - 4);
    wire_encode(&kafka_request_header_wire, wire_is_flexible(api->request, version) ? 2 : 1,
                &header, &writer);
    wire_encode(api->request, version, body, &writer);
    store_u32(frame, (uint32_t)writer.used);
    uint8_t size_bytes[4];
    printf("%s %s v%d: ", name, api->name, version);
    if (send(handle, frame, writer.used + 4, 0) < 0 || !read_all(size_bytes, 4)) {
        printf("CLOSED\n");
        close(handle);
        handle = -1;
        return NULL;
    }
    const size_t size = load_u32(size_bytes);
    if (size > sizeof reply_bytes || !read_all(reply_bytes, size))
        exit(1);
    const bool flexible = wire_is_flexible(api->reply, version) && key != 18;
    struct slice rest = slice_of(reply_bytes, size);
    rest = slice_skip(rest, flexible ? 5 : 4);
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    const enum err err = wire_decode_all(api->reply, version, rest, &arena, reply_struct);
    if (err != ERR_OK)
        printf("UNDECODABLE %s\n", err_text(err));
    else
        printf("%s\n", wire_dump(api->reply, version, reply_struct, text, sizeof text));
    fflush(stdout);
    return reply_struct;
}

static void *one(const void *item, size_t size)
{
    void *copy = arena_take(&keep, size);
    memcpy(copy, item, size);
    return copy;
}
#define ONE(field, ...)                                                                            \
    (field).items = one(&(__typeof__(*(field).items))__VA_ARGS__, sizeof *(field).items),          \
    (field).count = 1
#define MANY(field, n, ...)                                                                        \
    (field).items = one((__typeof__(*(field).items)[])__VA_ARGS__, (n) * sizeof *(field).items),   \
    (field).count = (n)

static void every(const char *name, int key, int low, int high, const void *body)
{
    for (int version = low; version <= high; version++)
        ask(name, key, version, body);
}

/* ---- what is waited for ---- */

static const void *ask_quietly(int key, int version, const void *body)
{
    fflush(stdout);
    const int saved = dup(1);
    FILE *null = freopen("/dev/null", "w", stdout);
    (void)null;
    const void *reply = ask("", key, version, body);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    return reply;
}

static void await(bool (*is_so)(void))
{
    const time_t began = time(NULL);
    while (!is_so() && time(NULL) - began < patience_s)
        usleep(20000);
}

static bool are_topics_led(void)
{
    struct kafka_metadata_request body = {.topics.count = -1};
    const struct kafka_metadata_reply *reply = ask_quietly(3, 5, &body);
    if (reply == NULL || reply->topics.count == 0)
        return false;
    for (int32_t i = 0; i < reply->topics.count; i++)
        for (int32_t j = 0; j < reply->topics.items[i].partitions.count; j++)
            if (reply->topics.items[i].partitions.items[j].error_code != 0)
                return false;
    return true;
}

static bool is_setting_known(void)
{
    struct kafka_describe_configs_request body = {0};
    ONE(body.resources, {.resource_type = 2, .resource_name = S("a")});
    ONE(body.resources.items[0].configuration_keys, S("retention.ms"));
    const struct kafka_describe_configs_reply *reply = ask_quietly(32, 1, &body);
    return reply != NULL && reply->results.items[0].configs.count == 1
        && slice_equal_text(reply->results.items[0].configs.items[0].value, "100000");
}

/* Who coordinates the group is known, and has loaded it. */
static bool is_group_served(void)
{
    const struct kafka_find_coordinator_request find = {.key = S("g")};
    const struct kafka_find_coordinator_reply *found = ask_quietly(10, 3, &find);
    if (found == NULL || found->error_code != 0)
        return false;
    const struct kafka_heartbeat_request beat = {.group_id = S("g"), .member_id = S("x")};
    const struct kafka_heartbeat_reply *heard = ask_quietly(12, 0, &beat);
    return heard != NULL && (heard->error_code < 14 || heard->error_code > 16);
}

/* ---- questions ---- */

static const char long_name[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

static void create(const char *name, int low, int high,
                   struct kafka_create_topics_request_topics topic, bool validate_only)
{
    struct kafka_create_topics_request body = {.timeout_ms = 60000, .validate_only = validate_only};
    ONE(body.topics, {0});
    body.topics.items[0] = topic;
    every(name, 19, low, high, &body);
}

static void about_topics(void)
{
    struct kafka_create_topics_request_topics t = {
        .name = S("a"), .num_partitions = 2, .replication_factor = 1};
    create("create", 7, 7, t, false);
    await(are_topics_led);
    create("again", 0, 7, t, false);
    create("validate-existing", 1, 7, t, true);
    t.name = S("b");
    create("validate", 1, 7, t, true);
    t.num_partitions = 0;
    create("partitions 0", 0, 7, t, false);
    t.num_partitions = -2;
    create("partitions -2", 4, 5, t, false);
    t.num_partitions = -1;
    t.replication_factor = -1;
    create("defaults", 2, 3, t, true);
    create("defaults", 4, 7, t, true);
    t.num_partitions = 1;
    t.replication_factor = 0;
    create("factor 0", 4, 7, t, false);
    t.replication_factor = 3;
    create("factor 3", 4, 7, t, false);
    t.replication_factor = 32767;
    create("factor 32767", 7, 7, t, false);
    t.replication_factor = 1;
    const struct slice names[] = {S(""),    S("."),   S(".."),
                                  S("a/b"), S("a b"), slice_from_text(long_name)};
    for (int i = 0; i < 6; i++) {
        t.name = names[i];
        create("name", 5, 5, t, false);
    }
    t.name = S("with.dot");
    create("dot", 5, 5, t, false);
    t.name = S("with_dot");
    create("collides", 5, 5, t, false);
    t.name = S("c");
    ONE(t.configs, {.name = S("no.such.config"), .value = S("1")});
    create("config unknown", 5, 5, t, false);
    ONE(t.configs, {.name = S("retention.ms"), .value = S("abc")});
    create("config bad", 5, 5, t, false);
    ONE(t.configs, {.name = S("retention.ms"), .value = S("-5")});
    create("config low", 5, 5, t, false);
    ONE(t.configs, {.name = S("retention.ms"), .value = SLICE_NULL});
    create("config null", 5, 5, t, false);
    MANY(t.configs, 2,
         {{.name = S("retention.ms"), .value = S("1000")},
          {.name = S("cleanup.policy"), .value = S("compact,delete")}});
    create("config good", 7, 7, t, true);
    t.configs.count = 0;
    ONE(t.assignments, {.partition_index = 0});
    MANY(t.assignments.items[0].broker_ids, 1, {0});
    create("both", 5, 5, t, false);
    t.num_partitions = -1;
    t.replication_factor = -1;
    create("assigned", 5, 5, t, true);
    MANY(t.assignments.items[0].broker_ids, 2, {0, 0});
    create("assigned twice", 5, 5, t, false);
    MANY(t.assignments.items[0].broker_ids, 1, {77});
    create("assigned nobody", 5, 5, t, false);
    t.assignments.items[0].partition_index = 3;
    create("assigned gap", 5, 5, t, false);
    struct kafka_create_topics_request body = {.timeout_ms = 60000};
    MANY(body.topics, 3,
         {{.name = S("twice"), .num_partitions = 1, .replication_factor = 1},
          {.name = S("once"), .num_partitions = 1, .replication_factor = 1},
          {.name = S("twice"), .num_partitions = 1, .replication_factor = 1}});
    ask("twice", 19, 5, &body);
}

static void metadata(const char *name, int low, int high, struct slice topic, bool create_it)
{
    struct kafka_metadata_request body = {.allow_auto_topic_creation = create_it};
    ONE(body.topics, {.name = topic});
    every(name, 3, low, high, &body);
}

static void about_metadata(void)
{
    struct kafka_metadata_request body = {.allow_auto_topic_creation = false};
    await(are_topics_led);
    metadata("topic a", 0, 12, S("a"), true);
    body.topics.count = -1;
    every("all", 3, 1, 12, &body);
    body.topics.count = 0;
    every("none", 3, 1, 12, &body);
    metadata("unknown", 4, 12, S("unknown"), false);
    metadata("slash", 4, 12, S("a/b"), true);
    metadata("empty", 4, 12, S(""), true);
    metadata("dots", 4, 12, S(".."), false);
    metadata("long", 4, 5, slice_from_text(long_name), true);
    body.include_cluster_authorized_operations = true;
    body.include_topic_authorized_operations = true;
    MANY(body.topics, 2, {{.name = S("a")}, {.name = S("a")}});
    every("operations", 3, 8, 12, &body);
    ONE(body.topics, {.name = SLICE_NULL, .topic_id = {{1, 2, 3}}});
    ask("unknown id", 3, 12, &body);
    ask("id too early", 3, 10, &body);
    ONE(body.topics, {.name = SLICE_NULL});
    ask("no name no id", 3, 12, &body);
    ONE(body.topics, {.name = S("a"), .topic_id = {{1, 2, 3}}});
    ask("name and id", 3, 12, &body);
    metadata("internal", 4, 4, S("__transaction_state"), false);
}

static void grow(const char *name, struct kafka_create_partitions_request_topics topic,
                 bool validate)
{
    struct kafka_create_partitions_request body = {.timeout_ms = 60000, .validate_only = validate};
    ONE(body.topics, {0});
    body.topics.items[0] = topic;
    every(name, 37, 0, 3, &body);
}

static void about_partitions(void)
{
    grow("unknown",
         (struct kafka_create_partitions_request_topics){
             .name = S("nope"), .count = 3, .assignments = {.count = -1}},
         false);
    grow("same",
         (struct kafka_create_partitions_request_topics){
             .name = S("a"), .count = 2, .assignments = {.count = -1}},
         false);
    grow("fewer",
         (struct kafka_create_partitions_request_topics){
             .name = S("a"), .count = 1, .assignments = {.count = -1}},
         false);
    grow("zero",
         (struct kafka_create_partitions_request_topics){
             .name = S("a"), .count = 0, .assignments = {.count = -1}},
         false);
    grow("validate",
         (struct kafka_create_partitions_request_topics){
             .name = S("a"), .count = 4, .assignments = {.count = -1}},
         true);
    struct kafka_create_partitions_request_topics t = {.name = S("a"), .count = 3};
    ONE(t.assignments, {0});
    MANY(t.assignments.items[0].broker_ids, 1, {55});
    grow("nobody", t, true);
    MANY(t.assignments.items[0].broker_ids, 2, {0, 0});
    grow("doubled", t, true);
    t.count = 5;
    grow("too few assignments", t, true);
}

static void about_deletion(void)
{
    struct kafka_delete_topics_request body = {.timeout_ms = 60000};
    MANY(body.topic_names, 2, {S("nope"), S("nope")});
    every("unknown", 20, 0, 5, &body);
    ONE(body.topics, {.name = S("nope")});
    ask("unknown", 20, 6, &body);
    ONE(body.topics, {.name = SLICE_NULL, .topic_id = {{9}}});
    ask("unknown id", 20, 6, &body);
    ONE(body.topics, {.name = S("a"), .topic_id = {{9}}});
    ask("both", 20, 6, &body);
    ONE(body.topics, {.name = SLICE_NULL});
    ask("neither", 20, 6, &body);
}

static void describe(const char *name, int low, int high, int8_t type, struct slice resource,
                     struct slice key)
{
    struct kafka_describe_configs_request body = {.include_synonyms = true};
    ONE(body.resources, {.resource_type = type, .resource_name = resource});
    body.resources.items[0].configuration_keys.count = -1;
    if (!slice_is_null(key))
        MANY(body.resources.items[0].configuration_keys, 1, {key});
    every(name, 32, low, high, &body);
}

static void incremental(const char *name, int8_t type, struct slice resource, struct slice key,
                        int8_t op, struct slice value, bool validate_only)
{
    struct kafka_incremental_alter_configs_request body = {.validate_only = validate_only};
    ONE(body.resources, {.resource_type = type, .resource_name = resource});
    ONE(body.resources.items[0].configs, {.name = key, .config_operation = op, .value = value});
    every(name, 44, 0, 1, &body);
}

static void about_configs(void)
{
    describe("topic", 0, 4, 2, S("a"), S("retention.ms"));
    describe("topic", 4, 4, 2, S("a"), SLICE_NULL);
    describe("unknown topic", 0, 4, 2, S("nope"), SLICE_NULL);
    describe("bad topic", 4, 4, 2, S("a/b"), SLICE_NULL);
    describe("unknown key", 4, 4, 2, S("a"), S("nope"));
    describe("broker", 4, 4, 4, S("0"), S("num.partitions"));
    describe("broker", 4, 4, 4, S("0"), S("log.retention.ms"));
    describe("broker", 4, 4, 4, S("0"), S("log.retention.hours"));
    describe("other broker", 4, 4, 4, S("5"), SLICE_NULL);
    describe("no broker", 4, 4, 4, S("x"), SLICE_NULL);
    describe("default broker", 4, 4, 4, S(""), SLICE_NULL);
    describe("type 99", 4, 4, 99, S("x"), SLICE_NULL);
    incremental("unknown topic", 2, S("nope"), S("retention.ms"), 0, S("1"), false);
    incremental("unknown key", 2, S("a"), S("nope"), 0, S("1"), false);
    incremental("bad value", 2, S("a"), S("retention.ms"), 0, S("x"), false);
    incremental("low", 2, S("a"), S("retention.ms"), 0, S("-2"), false);
    incremental("null value", 2, S("a"), S("retention.ms"), 0, SLICE_NULL, false);
    incremental("op 9", 2, S("a"), S("retention.ms"), 9, S("1"), false);
    incremental("append number", 2, S("a"), S("retention.ms"), 2, S("1"), false);
    incremental("append", 2, S("a"), S("cleanup.policy"), 2, S("compact"), true);
    incremental("append bad", 2, S("a"), S("cleanup.policy"), 2, S("nope"), true);
    incremental("set", 2, S("a"), S("retention.ms"), 0, S("100000"), false);
    await(is_setting_known);
    describe("set topic", 0, 4, 2, S("a"), S("retention.ms"));
    incremental("delete", 2, S("a"), S("retention.ms"), 1, SLICE_NULL, false);
    incremental("delete twice", 2, S("a"), S("retention.ms"), 1, SLICE_NULL, false);
    incremental("broker static", 4, S("0"), S("broker.id"), 0, S("9"), false);
    incremental("other broker", 4, S("9"), S("log.retention.ms"), 0, S("9"), false);
    incremental("no broker", 4, S("x"), S("log.retention.ms"), 0, S("9"), false);
    incremental("type 77", 77, S("x"), S("y"), 0, S("9"), false);
    struct kafka_alter_configs_request body = {.validate_only = true};
    ONE(body.resources, {.resource_type = 2, .resource_name = S("a")});
    ONE(body.resources.items[0].configs, {.name = S("retention.ms"), .value = S("5")});
    every("alter", 33, 0, 2, &body);
    ONE(body.resources.items[0].configs, {.name = S("retention.ms"), .value = SLICE_NULL});
    every("alter null", 33, 0, 2, &body);
    ONE(body.resources.items[0].configs, {.name = S("nope"), .value = S("5")});
    every("alter unknown", 33, 0, 2, &body);
}

static void offsets(const char *name, int low, int high, struct slice topic, int32_t partition,
                    int32_t epoch, int64_t timestamp)
{
    struct kafka_list_offsets_request body = {.replica_id = -1};
    ONE(body.topics, {.name = topic});
    ONE(body.topics.items[0].partitions, {.partition_index = partition,
                                          .current_leader_epoch = epoch,
                                          .timestamp = timestamp,
                                          .max_num_offsets = 1});
    every(name, 2, low, high, &body);
}

static void about_offsets(void)
{
    for (int64_t timestamp = -7; timestamp <= 0; timestamp++)
        offsets("time", 0, 9, S("a"), 0, -1, timestamp);
    offsets("unknown", 0, 9, S("nope"), 0, -1, -1);
    offsets("partition 99", 0, 9, S("a"), 99, -1, -1);
    offsets("epoch 9", 3, 9, S("a"), 0, 9, -1);
    offsets("epoch 0", 3, 9, S("a"), 0, 0, -1);
    struct kafka_offset_for_leader_epoch_request body = {.replica_id = -1};
    for (int32_t epoch = -2; epoch <= 5; epoch++) {
        ONE(body.topics, {.topic = S("a")});
        ONE(body.topics.items[0].partitions,
            {.partition = 0, .current_leader_epoch = -1, .leader_epoch = epoch});
        every("epoch end", 23, 0, 4, &body);
    }
    ONE(body.topics.items[0].partitions, {.partition = 0, .current_leader_epoch = 7});
    every("epoch fenced", 23, 2, 4, &body);
    ONE(body.topics, {.topic = S("nope")});
    ONE(body.topics.items[0].partitions, {.partition = 0, .current_leader_epoch = -1});
    every("epoch unknown", 23, 0, 4, &body);
    struct kafka_delete_records_request del = {.timeout_ms = 60000};
    const int64_t points[] = {-1, -2, 0, 5};
    for (int i = 0; i < 4; i++) {
        ONE(del.topics, {.name = S("a")});
        ONE(del.topics.items[0].partitions, {.partition_index = 0, .offset = points[i]});
        every("delete records", 21, 0, 2, &del);
    }
    ONE(del.topics, {.name = S("nope")});
    ONE(del.topics.items[0].partitions, {.partition_index = 0});
    every("delete records unknown", 21, 0, 2, &del);
}

static void fetch(const char *name, int low, int high, struct slice topic, int32_t partition,
                  int64_t offset, int32_t session, int32_t epoch)
{
    struct kafka_fetch_request body = {.replica_id = -1,
                                       .replica_state = {.replica_id = -1, .replica_epoch = -1},
                                       .max_bytes = 1000,
                                       .session_id = session,
                                       .session_epoch = epoch,
                                       .rack_id = S("")};
    ONE(body.topics, {.topic = topic, .topic_id = {{5}}});
    ONE(body.topics.items[0].partitions, {.partition = partition,
                                          .current_leader_epoch = -1,
                                          .fetch_offset = offset,
                                          .last_fetched_epoch = -1,
                                          .log_start_offset = -1,
                                          .partition_max_bytes = 1000,
                                          .high_watermark = INT64_MAX});
    every(name, 1, low, high, &body);
}

static void about_fetch(void)
{
    fetch("empty", 0, 12, S("a"), 0, 0, 0, -1);
    fetch("beyond", 0, 12, S("a"), 0, 5, 0, -1);
    fetch("below", 0, 12, S("a"), 0, -1, 0, -1);
    fetch("unknown", 0, 12, S("nope"), 0, 0, 0, -1);
    fetch("unknown id", 13, 17, S("nope"), 0, 0, 0, -1);
    fetch("partition 9", 0, 12, S("a"), 9, 0, 0, -1);
    fetch("no session", 7, 17, S("a"), 0, 0, 77, 5);
}

static void about_produce(void)
{
    struct kafka_produce_request body = {
        .acks = 1, .timeout_ms = 1000, .transactional_id = SLICE_NULL};
    ONE(body.topics, {.name = S("a")});
    ONE(body.topics.items[0].partitions, {.index = 0, .records = SLICE_NULL});
    ONE(body.topics.items[0].partitions, {.index = 0, .records = S("")});
    ONE(body.topics.items[0].partitions, {.index = 9, .records = S("")});
    every("partition 9", 0, 3, 11, &body);
    ONE(body.topics, {.name = S("nope")});
    ONE(body.topics.items[0].partitions, {.index = 0, .records = S("")});
    every("unknown", 0, 3, 11, &body);
    body.acks = 5;
    every("acks 5", 0, 3, 11, &body);
    body.acks = 1;
    body.topics.count = 0;
    every("nothing", 0, 3, 11, &body);
}

static void about_groups(void)
{
    struct kafka_find_coordinator_request find = {.key = S("g")};
    ONE(find.coordinator_keys, S("g"));
    await(is_group_served);
    every("group", 10, 0, 6, &find);
    find.key_type = 7;
    every("type 7", 10, 1, 6, &find);
    struct kafka_join_group_request join = {.group_id = S("g"),
                                            .session_timeout_ms = 10000,
                                            .rebalance_timeout_ms = 10000,
                                            .member_id = S(""),
                                            .protocol_type = S("consumer"),
                                            .group_instance_id = SLICE_NULL,
                                            .reason = SLICE_NULL};
    ONE(join.protocols, {.name = S("range"), .metadata = S("m")});
    join.group_id = S("");
    every("no group", 11, 0, 9, &join);
    join.group_id = S("g");
    join.session_timeout_ms = 1;
    every("short session", 11, 0, 9, &join);
    join.session_timeout_ms = 10000;
    join.member_id = S("stranger");
    every("stranger", 11, 0, 9, &join);
    join.member_id = S("");
    join.protocols.count = 0;
    every("no protocols", 11, 0, 9, &join);
    join.protocols.count = 1;
    join.protocol_type = S("");
    every("no type", 11, 0, 9, &join);
    join.protocol_type = S("consumer");
    every("id required", 11, 4, 9, &join);
    struct kafka_sync_group_request sync = {.group_id = S("g"),
                                            .generation_id = 1,
                                            .member_id = S("x"),
                                            .group_instance_id = SLICE_NULL};
    every("stranger", 14, 0, 5, &sync);
    sync.group_id = S("");
    every("no group", 14, 0, 5, &sync);
    sync.group_id = S("other");
    every("other group", 14, 0, 5, &sync);
    struct kafka_heartbeat_request beat = {.group_id = S("g"),
                                           .generation_id = 1,
                                           .member_id = S("x"),
                                           .group_instance_id = SLICE_NULL};
    every("stranger", 12, 0, 4, &beat);
    beat.group_id = S("");
    every("no group", 12, 0, 4, &beat);
    struct kafka_leave_group_request leave = {.group_id = S("g"), .member_id = S("x")};
    ONE(leave.members, {.member_id = S("x"), .group_instance_id = SLICE_NULL});
    every("stranger", 13, 0, 5, &leave);
    ONE(leave.members, {.member_id = S(""), .group_instance_id = S("inst")});
    every("instance", 13, 3, 5, &leave);
    leave.group_id = S("other");
    every("other group", 13, 0, 5, &leave);
    leave.group_id = S("");
    every("no group", 13, 0, 5, &leave);
    struct kafka_offset_commit_request commit = {.group_id = S("g"),
                                                 .generation_id = 5,
                                                 .member_id = S("x"),
                                                 .retention_time_ms = -1,
                                                 .group_instance_id = SLICE_NULL};
    ONE(commit.topics, {.name = S("a")});
    MANY(commit.topics.items[0].partitions, 2,
         {{.partition_index = 0,
           .committed_offset = 1,
           .committed_leader_epoch = -1,
           .commit_timestamp = -1,
           .committed_metadata = S("m")},
          {.partition_index = 9,
           .committed_offset = 1,
           .committed_leader_epoch = -1,
           .commit_timestamp = -1,
           .committed_metadata = SLICE_NULL}});
    every("stranger", 8, 1, 9, &commit);
    commit.group_id = S("unheard");
    every("no such group", 8, 1, 9, &commit);
    commit.generation_id = -1;
    commit.member_id = S("");
    every("simple", 8, 1, 9, &commit);
    struct kafka_offset_fetch_request fetch_body = {.group_id = S("unheard")};
    ONE(fetch_body.groups, {.group_id = S("unheard"), .member_id = SLICE_NULL, .member_epoch = -1});
    fetch_body.groups.items[0].topics.count = -1;
    fetch_body.topics.count = -1;
    every("all", 9, 2, 9, &fetch_body);
    ONE(fetch_body.topics, {.name = S("a")});
    MANY(fetch_body.topics.items[0].partition_indexes, 3, {0, 1, 77});
    ONE(fetch_body.groups.items[0].topics, {.name = S("a")});
    MANY(fetch_body.groups.items[0].topics.items[0].partition_indexes, 3, {0, 1, 77});
    every("some", 9, 1, 9, &fetch_body);
    fetch_body.group_id = S("");
    fetch_body.groups.items[0].group_id = S("never");
    every("nobody", 9, 1, 9, &fetch_body);
    struct kafka_describe_groups_request describe_body = {.include_authorized_operations = true};
    MANY(describe_body.groups, 3, {S("unheard"), S("never"), S("")});
    every("groups", 15, 0, 5, &describe_body);
    struct kafka_list_groups_request list = {0};
    every("groups", 16, 0, 5, &list);
    MANY(list.states_filter, 1, {S("empty")});
    every("empty", 16, 4, 5, &list);
    MANY(list.states_filter, 1, {S("nonsense")});
    every("nonsense", 16, 4, 5, &list);
    MANY(list.types_filter, 1, {S("nonsense")});
    list.states_filter.count = 0;
    every("type nonsense", 16, 5, 5, &list);
    struct kafka_offset_delete_request offset_delete = {.group_id = S("never")};
    ONE(offset_delete.topics, {.name = S("a")});
    MANY(offset_delete.topics.items[0].partitions, 2, {{0}, {55}});
    every("never", 47, 0, 0, &offset_delete);
    offset_delete.group_id = S("unheard");
    every("unheard", 47, 0, 0, &offset_delete);
    struct kafka_delete_groups_request delete_groups = {0};
    MANY(delete_groups.groups_names, 3, {S("unheard"), S("never"), S("")});
    every("delete", 42, 0, 2, &delete_groups);
}

static void about_the_rest(void)
{
    struct kafka_api_versions_request versions = {.client_software_name = S("bad name"),
                                                  .client_software_version = S("1")};
    every("bad name", 18, 3, 4, &versions);
    struct kafka_describe_cluster_request cluster = {.endpoint_type = 1,
                                                     .include_cluster_authorized_operations = true};
    every("cluster", 60, 0, 1, &cluster);
    cluster.endpoint_type = 2;
    every("controllers", 60, 1, 1, &cluster);
    struct kafka_init_producer_id_request init = {.transactional_id = SLICE_NULL,
                                                  .transaction_timeout_ms = 1000,
                                                  .producer_id = -1,
                                                  .producer_epoch = -1};
    every("id", 22, 0, 5, &init);
    struct kafka_describe_log_dirs_request dirs = {0};
    ONE(dirs.topics, {.topic = S("a")});
    MANY(dirs.topics.items[0].partitions, 2, {0, 44});
    every("dirs", 35, 0, 4, &dirs);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    port = (uint16_t)strtol(argv[1], NULL, 10);
    arena_init(&keep, keep_memory, sizeof keep_memory);
    about_topics();
    about_metadata();
    about_partitions();
    about_deletion();
    about_configs();
    about_offsets();
    about_fetch();
    about_produce();
    about_groups();
    about_the_rest();
    return 0;
}
