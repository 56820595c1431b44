#include "broker/meta_properties.h"
#include "test/unit_test.h"

static void reads_what_apache_writes(void **state)
{
    (void)state;
    struct meta_properties meta;
    const char *text = "#\n#Sun Nov 22 09:00:00 UTC 2026\nbroker.id=3\nversion=0\n"
                       "directory.id=abc_-\ncluster.id=q1Sh-9_ISia_zwGINzRvyQ\\=\\=\n";
    assert_int_equal(meta_properties_decode(&meta, slice_from_text(text)), ERR_OK);
    assert_int_equal(meta.broker_id, 3);
    assert_string_equal(meta.cluster_id, "q1Sh-9_ISia_zwGINzRvyQ==");
    assert_string_equal(meta.directory_id, "abc_-");
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    struct meta_properties meta = {.broker_id = 7, .cluster_id = "abc", .directory_id = ""};
    struct meta_properties read;
    char text[meta_properties_text_bytes_max];
    const size_t size = meta_properties_encode(&meta, text, sizeof text);
    assert_int_equal(meta_properties_decode(&read, slice_of(text, size)), ERR_OK);
    assert_int_equal(read.broker_id, 7);
    assert_string_equal(read.cluster_id, "abc");
}

static void refuses_kraft_and_junk(void **state)
{
    (void)state;
    struct meta_properties meta;
    assert_int_equal(meta_properties_decode(&meta, SLICE_LITERAL("version=1\nnode.id=1\n")),
                     ERR_UNSUPPORTED);
    assert_int_equal(meta_properties_decode(&meta, SLICE_LITERAL("")), ERR_UNSUPPORTED);
    assert_int_equal(meta_properties_decode(&meta, SLICE_LITERAL("version=0\nbroker.id=x")),
                     ERR_MALFORMED);
    assert_int_equal(meta_properties_decode(&meta, SLICE_LITERAL("version=0\nbroker.id=")),
                     ERR_MALFORMED);
    char text[256] = "version=0\ncluster.id=";
    memset(text + 21, 'x', 100);
    assert_int_equal(meta_properties_decode(&meta, slice_of(text, 121)), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_what_apache_writes),
                                       cmocka_unit_test(reads_what_it_writes),
                                       cmocka_unit_test(refuses_kraft_and_junk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
