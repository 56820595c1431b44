#include "zab/election_message.h"

#include "base/bytes.h"
#include "test/unit_test.h"

static const struct zk_election_notification notification = {
    .state = 2,
    .leader = 3,
    .zxid = 0x700000005,
    .election_epoch = 9,
    .peer_epoch = 8,
    .version = 2,
    .config = {(const uint8_t *)"version=0", 9},
};

static void a_notification_comes_back_as_it_went(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct zk_election_notification read;
    const size_t size = election_message_bytes(&notification);
    assert_int_equal(size, 44 + 9);
    election_message_encode(&notification, bytes);
    assert_int_equal(election_message_decode(slice_of(bytes, size), &read), ERR_OK);
    assert_int_equal(read.state, 2);
    assert_int_equal(read.leader, 3);
    assert_int_equal(read.zxid, 0x700000005);
    assert_int_equal(read.election_epoch, 9);
    assert_int_equal(read.peer_epoch, 8);
    assert_int_equal(read.version, 2);
    assert_true(slice_equal_text(read.config, "version=0"));
}

static void older_kinds_are_read(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct zk_election_notification read;
    election_message_encode(&notification, bytes);
    assert_int_equal(election_message_decode(slice_of(bytes, 28), &read), ERR_OK);
    assert_int_equal(read.peer_epoch, 7); /* Of the zxid. */
    assert_int_equal(read.version, 0);
    assert_int_equal(election_message_decode(slice_of(bytes, 40), &read), ERR_OK);
    assert_int_equal(read.peer_epoch, 8);
    assert_int_equal(read.version, 0);
    assert_true(slice_is_null(read.config));
}

static void what_is_cut_or_boasts_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct zk_election_notification read;
    const size_t size = election_message_bytes(&notification);
    election_message_encode(&notification, bytes);
    for (size_t cut = 0; cut < size; cut++)
        if (cut != 28 && cut != 40)
            assert_int_equal(election_message_decode(slice_of(bytes, cut), &read),
                             cut < 28 ? ERR_TRUNCATED : ERR_MALFORMED);
    store_i32(bytes + 40, -7);
    assert_int_equal(election_message_decode(slice_of(bytes, size), &read), ERR_MALFORMED);
    store_i32(bytes + 40, 10);
    assert_int_equal(election_message_decode(slice_of(bytes, size), &read), ERR_MALFORMED);
}

static void a_hello_says_who_dials(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct election_hello hello;
    const struct slice address = SLICE_LITERAL("127.0.0.1:3888");
    assert_int_equal(election_hello_bytes(address), 34);
    election_hello_encode(5, address, bytes);
    assert_int_equal(election_hello_decode(bytes, &hello), ERR_OK);
    assert_int_equal(hello.server_id, 5);
    assert_int_equal(hello.address_bytes, 14);
    assert_memory_equal(bytes + 20, address.data, address.size);
    store_i32(bytes + 16, 2049);
    assert_int_equal(election_hello_decode(bytes, &hello), ERR_MALFORMED);
    store_i32(bytes + 16, 0);
    assert_int_equal(election_hello_decode(bytes, &hello), ERR_MALFORMED);
    store_i64(bytes, 5);
    assert_int_equal(election_hello_decode(bytes, &hello), ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notification_comes_back_as_it_went),
        cmocka_unit_test(older_kinds_are_read),
        cmocka_unit_test(what_is_cut_or_boasts_is_refused),
        cmocka_unit_test(a_hello_says_who_dials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
