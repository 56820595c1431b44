#include "server/broker/broker_alteration.h"

#include "test/unit_test.h"

enum { entry_count_max = 6, reason_bytes = 512 };

/* Of server.properties. */
static struct slice static_value(void *context, const char *key)
{
    (void)context;
    return strcmp(key, "num.io.threads") == 0 ? SLICE_LITERAL("4") : SLICE_NULL;
}

struct row {
    bool is_default;
    const char *pairs[2 * entry_count_max]; /* Names and values. */
    const char *reason;                     /* NULL: it is taken. */
};

static const char not_dynamic[] = "Cannot update these configs dynamically: Set(broker.id)";

static const struct row rows[] = {
    {false, {NULL}, NULL},
    {false, {"log.retention.ms", "1000"}, NULL},
    {false, {"nobody.knows.it", "7"}, NULL},
    {true, {"nobody.knows.it", "7"}, NULL},
    /* What a broker is started with. */
    {false, {"broker.id", "1"}, not_dynamic},
    {true, {"log.retention.ms", "1000", "broker.id", "1"}, not_dynamic},
    {false,
     {"log.retention.hours", "1", "broker.id", "1"},
     "Cannot update these configs dynamically: Set(log.retention.hours, broker.id)"},
    {true,
     {"broker.id", "1", "zookeeper.connect", "x", "log.dirs", "/x", "log.retention.hours", "1",
      "num.partitions", "1"},
     "Cannot update these configs dynamically: HashSet(broker.id, zookeeper.connect, log.dirs, "
     "log.retention.hours, num.partitions)"},
    /* What belongs to a listener, or to one broker. */
    {false,
     {"ssl.keystore.location", "/x"},
     "These security configs can be dynamically updated only per-listener using the listener "
     "prefix: HashSet(ssl.keystore.location)"},
    {true,
     {"listeners", "PLAINTEXT://:1"},
     "Cannot update these configs at default cluster level, broker id must be specified: "
     "Set(listeners)"},
    {false, {"listeners", "PLAINTEXT://:1"}, NULL},
    /* Values that cannot be. */
    {false, {"log.retention.ms", "x"}, ""},
    {false, {"log.segment.bytes", "1"}, ""},
    /* Values that mean nothing. */
    {false,
     {"log.retention.ms", "0"},
     "requirement failed: log.retention.ms must be unlimited (-1) or, equal or greater than 1"},
    {false, {"log.retention.ms", "-1"}, NULL},
    {false,
     {"log.roll.ms", "0"},
     "requirement failed: log.roll.ms must be greater than or equal to 1"},
    {false,
     {"log.roll.jitter.ms", "-1"},
     "requirement failed: log.roll.jitter.ms must be greater than or equal to 0"},
    {false,
     {"max.connections.per.ip", "0"},
     "requirement failed: max.connections.per.ip can be set to zero only if "
     "max.connections.per.ip.overrides property is set."},
    {false, {"max.connections.per.ip", "0", "max.connections.per.ip.overrides", "h:1"}, NULL},
    /* Threads, by steps from four. */
    {false, {"num.io.threads", "4"}, NULL},
    {false, {"num.io.threads", "8"}, NULL},
    {false, {"num.io.threads", "2"}, NULL},
    {false,
     {"num.io.threads", "9"},
     "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update "
     "validation failed for num.io.threads=9, value should not be greater than double the current "
     "value 4 for configuration Invalid dynamic configuration"},
    {false,
     {"num.io.threads", "1"},
     "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update "
     "validation failed for num.io.threads=1, value should be at least half the current value 4 "
     "for configuration Invalid dynamic configuration"},
};

struct fixture {
    struct heap heap;
    struct config_store store;
};

static void begin(struct fixture *fixture)
{
    heap_init(&fixture->heap,
              (struct heap_options){.limit_bytes = UINT64_C(1) << 24, .tracked = true});
    assert_int_equal(
        ERR_OK, config_store_init(&fixture->store, &fixture->heap,
                                  (struct config_store_options){.static_value = static_value}));
}

static void end(struct fixture *fixture)
{
    config_store_deinit(&fixture->store);
    heap_deinit(&fixture->heap);
}

static bool check(struct fixture *fixture, const struct row *row, char *reason)
{
    struct topic_config_entry entries[entry_count_max];
    struct znode_config config = {.entries = entries};
    for (size_t i = 0; i < entry_count_max && row->pairs[2 * i] != NULL; i++)
        entries[config.count++] =
            (struct topic_config_entry){.name = slice_from_text(row->pairs[2 * i]),
                                        .value = slice_from_text(row->pairs[2 * i + 1])};
    return broker_alteration_check(&(struct broker_alteration){.store = &fixture->store,
                                                               .config = &config,
                                                               .is_default = row->is_default},
                                   reason, reason_bytes);
}

static void says_what_apaches_broker_says(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char reason[reason_bytes] = "";
        const bool is_taken = check(&fixture, &rows[i], reason);
        if (is_taken != (rows[i].reason == NULL))
            fail_msg("row %zu: %s, %s", i, is_taken ? "taken" : "refused", reason);
        if (rows[i].reason != NULL && rows[i].reason[0] != 0)
            assert_string_equal(reason, rows[i].reason);
    }
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_apaches_broker_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
