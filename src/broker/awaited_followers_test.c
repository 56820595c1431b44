#include "broker/awaited_followers.h"

#include "test/unit_test.h"

enum { leader_id = 1, follower_count = 3, wait_ms = 500 };

struct waiting {
    struct parked_fetch fetch;
    uint32_t call_count;
};

struct fixture {
    struct heap heap;
    struct awaited_followers awaited;
    struct replica_set *sets[2];
};

static struct fixture fixture;

/* Brokers 2 and 3 are in sync, 4 is not. */
static void begin(void)
{
    static const int32_t replicas[] = {leader_id, 2, 3, 4};
    const struct partition_state state = {.leader = leader_id,
                                          .replicas = replicas,
                                          .replica_count = 4,
                                          .isr = replicas,
                                          .isr_count = 3};
    fixture = (struct fixture){0};
    heap_init(&fixture.heap,
              (struct heap_options){.limit_bytes = UINT64_C(1) << 20, .tracked = true});
    awaited_followers_init(&fixture.awaited, &fixture.heap);
    for (size_t i = 0; i < ARRAY_COUNT(fixture.sets); i++) {
        fixture.sets[i] = heap_take(&fixture.heap, replica_set_bytes(&state));
        replica_set_init(fixture.sets[i], &state,
                         (struct replica_set_start){.broker_id = leader_id});
    }
}

static void end(void)
{
    awaited_followers_deinit(&fixture.awaited);
    for (size_t i = 0; i < ARRAY_COUNT(fixture.sets); i++)
        heap_give(&fixture.heap, fixture.sets[i]);
    assert_int_equal(0, fixture.heap.used_bytes);
    heap_deinit(&fixture.heap);
}

static void add(size_t set, uint64_t now_ms)
{
    assert_true(awaited_followers_add(&fixture.awaited, fixture.sets[set], now_ms));
}

static void remove_from(size_t set, int32_t broker_id)
{
    awaited_followers_remove(replica_set_find(fixture.sets[set], broker_id));
}

static uint64_t wait_of(int32_t broker_id, uint64_t now_ms)
{
    return awaited_followers_wait_ms(&fixture.awaited, broker_id, wait_ms, now_ms);
}

static void on_call(struct parked_fetch *fetch)
{
    CONTAINER_OF(fetch, struct waiting, fetch)->call_count++;
}

static void park(struct waiting *waiting, int32_t broker_id)
{
    *waiting = (struct waiting){.fetch = {.broker_id = broker_id, .call = on_call}};
    awaited_followers_park(&fixture.awaited, &waiting->fetch);
}

static void a_follower_waits_longer_and_longer_until_it_has_fetched_everything(void **state)
{
    (void)state;
    begin();
    assert_int_equal(wait_ms, wait_of(2, 100));
    add(0, 100);
    add(1, 200);
    assert_int_equal(awaited_followers_wait_ms_min, wait_of(2, 200));
    assert_int_equal(awaited_followers_wait_ms_min, wait_of(3, 200));
    assert_int_equal(wait_ms, wait_of(4, 200)); /* It is not in sync. */
    assert_int_equal(wait_ms, wait_of(7, 200));
    assert_int_equal(25, wait_of(2, 300));
    assert_int_equal(250, wait_of(2, 1200));
    assert_int_equal(wait_ms, wait_of(2, 9200));
    assert_int_equal(3, awaited_followers_wait_ms(&fixture.awaited, 2, 3, 300));
    remove_from(0, 2);
    remove_from(0, 2);
    assert_int_equal(25, wait_of(2, 300));
    remove_from(1, 2);
    assert_int_equal(wait_ms, wait_of(2, 300));
    assert_int_equal(25, wait_of(3, 300));
    awaited_followers_remove_all(fixture.sets[0]);
    awaited_followers_remove_all(fixture.sets[1]);
    assert_int_equal(wait_ms, wait_of(3, 300));
    end();
}

static void who_has_left_the_isr_is_awaited_no_longer(void **state)
{
    (void)state;
    begin();
    add(0, 0);
    replica_set_find(fixture.sets[0], 2)->isr_place = -1;
    assert_int_equal(wait_ms, wait_of(2, 0));
    assert_int_equal(awaited_followers_wait_ms_min, wait_of(3, 0));
    end();
}

static void fetches_of_the_awaited_are_called_once(void **state)
{
    struct waiting waiting[5];
    (void)state;
    begin();
    park(&waiting[0], 4);
    park(&waiting[1], 2);
    park(&waiting[2], 3);
    park(&waiting[3], 2);
    park(&waiting[4], 7);
    awaited_followers_call(&fixture.awaited, fixture.sets[0]);
    for (size_t i = 0; i < ARRAY_COUNT(waiting); i++)
        assert_int_equal(0, waiting[i].call_count);
    add(0, 0);
    remove_from(0, 3);
    awaited_followers_call(&fixture.awaited, fixture.sets[0]);
    for (size_t i = 0; i < ARRAY_COUNT(waiting); i++)
        assert_int_equal(i % 2, waiting[i].call_count);
    list_remove(&waiting[4].fetch.link); /* It ends by itself. */
    add(1, 0);
    awaited_followers_call(&fixture.awaited, fixture.sets[1]);
    assert_int_equal(0, waiting[0].call_count);
    assert_int_equal(1, waiting[1].call_count);
    assert_int_equal(1, waiting[2].call_count);
    assert_int_equal(0, waiting[4].call_count);
    end();
}

static void without_memory_nobody_is_awaited(void **state)
{
    (void)state;
    begin();
    fixture.heap.limit_bytes = fixture.heap.used_bytes + 128; /* For one follower. */
    assert_false(awaited_followers_add(&fixture.awaited, fixture.sets[0], 0));
    assert_int_equal(wait_ms, wait_of(2, 0));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_waits_longer_and_longer_until_it_has_fetched_everything),
        cmocka_unit_test(who_has_left_the_isr_is_awaited_no_longer),
        cmocka_unit_test(fetches_of_the_awaited_are_called_once),
        cmocka_unit_test(without_memory_nobody_is_awaited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
