#include "base/prng.h"
#include "keeper/tree.h"
#include "test/unit_test.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct heap heap;
    struct slab slab;
    struct tree tree;
    int64_t zxid;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 1 << 26});
    slab_init(&fixture.slab, &fixture.heap);
    assert_int_equal(tree_init(&fixture.tree, &fixture.heap, &fixture.slab,
                               (struct tree_options){.hash_seed = 5}),
                     ERR_OK);
    fixture.zxid = 0;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tree_deinit(&fixture->tree);
    slab_deinit(&fixture->slab);
    assert_int_equal(fixture->heap.block_count, 0);
    assert_int_equal(fixture->heap.used_bytes, 0);
    return 0;
}

static struct znode *add(struct fixture *fixture, const char *path, const char *data, int64_t owner)
{
    struct slice whole = slice_from_text(path);
    size_t slash = whole.size;
    while (whole.data[slash - 1] != '/')
        slash--;
    struct znode *parent = tree_find(&fixture->tree, slice_of(whole.data, slash - 1));
    assert_non_null(parent);
    return tree_create(&fixture->tree, parent,
                       &(struct tree_create_options){
                           .path = whole,
                           .data = data == NULL ? SLICE_NULL : slice_from_text(data),
                           .acl = acl_table_share(fixture->tree.acls.open),
                           .owner = owner,
                           .zxid = ++fixture->zxid,
                           .time_ms = 1000,
                       });
}

static void find(struct fixture *fixture, const char *path, bool expected)
{
    struct znode *znode = tree_find(&fixture->tree, slice_from_text(path));
    if ((znode != NULL) != expected)
        fail_msg("%s", path);
}

static void empty_tree_has_the_builtins_and_their_digest(void **state)
{
    struct fixture *fixture = *state;
    static const char *const builtins[] = {"/", "/zookeeper", "/zookeeper/quota",
                                           "/zookeeper/config"};
    for (size_t index = 0; index < ARRAY_COUNT(builtins); index++)
        find(fixture, builtins[index], true);
    assert_int_equal(fixture->tree.digest, 1371985504);
    struct zk_stat stat;
    tree_stat(&fixture->tree, fixture->tree.root, &stat);
    assert_int_equal(stat.cversion, -1);
    assert_int_equal(stat.num_children, 1);
    tree_stat(&fixture->tree, tree_find(&fixture->tree, SLICE_LITERAL("/zookeeper")), &stat);
    assert_int_equal(stat.cversion, -2);
    assert_int_equal(stat.num_children, 2);
}

static void only_whole_paths_are_found(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "/a", NULL, 0);
    add(fixture, "/a/b", "", 0);
    add(fixture, "/a/b/c", "data", 0);
    static const char *const missing[] = {"a",   "/a/",  "//a",      "/b",      "/a/b/",
                                          "b/c", "/b/c", "/a/b/c/d", "/aa/b/c", "/a//b"};
    for (size_t index = 0; index < ARRAY_COUNT(missing); index++)
        find(fixture, missing[index], false);
    struct znode *znode = tree_find(&fixture->tree, SLICE_LITERAL("/a/b/c"));
    uint8_t path[16];
    assert_true(slice_equal_text(tree_path_write(&fixture->tree, znode, path), "/a/b/c"));
    assert_true(slice_equal_text(tree_data(&fixture->tree, znode), "data"));
    assert_true(
        slice_is_null(tree_data(&fixture->tree, tree_find(&fixture->tree, SLICE_LITERAL("/a")))));
    assert_false(
        slice_is_null(tree_data(&fixture->tree, tree_find(&fixture->tree, SLICE_LITERAL("/a/b")))));
    assert_int_equal(tree_descendant_count(&fixture->tree, fixture->tree.root), 6);
    assert_int_equal(
        tree_descendant_count(&fixture->tree, tree_find(&fixture->tree, SLICE_LITERAL("/a"))), 2);
}

static void digest_is_a_sum_that_goes_back(void **state)
{
    struct fixture *fixture = *state;
    struct znode *znode = add(fixture, "/a", "x", 0);
    assert_int_not_equal(fixture->tree.digest, 1371985504);
    const uint64_t digest = fixture->tree.digest;
    assert_int_equal(tree_set_data(&fixture->tree, znode, SLICE_LITERAL("longer")), ERR_OK);
    tree_changed(&fixture->tree, znode, SLICE_LITERAL("/a"));
    assert_int_not_equal(fixture->tree.digest, digest);
    assert_int_equal(tree_set_data(&fixture->tree, znode, SLICE_LITERAL("x")), ERR_OK);
    tree_changed(&fixture->tree, znode, SLICE_LITERAL("/a"));
    assert_int_equal(fixture->tree.digest, digest);
    tree_delete(&fixture->tree, znode);
    add(fixture, "/zookeeper/quota/a", "not counted", 0);
    assert_int_equal(fixture->tree.digest, 1371985504);
}

static void owners_list_their_znodes(void **state)
{
    struct fixture *fixture = *state;
    struct znode *first = add(fixture, "/a", NULL, 77);
    add(fixture, "/b", NULL, 77);
    add(fixture, "/c", NULL, TREE_OWNER_CONTAINER_MARK);
    struct tree_owner *owner = tree_find_owner(&fixture->tree, 77);
    assert_int_equal(owner->znode_count, 2);
    assert_ptr_equal(tree_owned(owner->znodes.next), first);
    assert_int_equal(fixture->tree.ephemeral_count, 2);
    assert_int_equal(fixture->tree.containers.znode_count, 1);
    tree_delete(&fixture->tree, first);
    tree_delete(&fixture->tree, tree_find(&fixture->tree, SLICE_LITERAL("/b")));
    assert_null(tree_find_owner(&fixture->tree, 77));
    assert_int_equal(fixture->tree.ephemeral_count, 0);
}

enum { constant_count = 200, directory_count = 10 };

/* A session, 3.5.3's mark of 1000 ms, today's of 1000 ms, a kind nobody knows, a container's. */
static void kinds(struct fixture *fixture, bool extended, bool emulates, const char *expected)
{
    static const uint64_t owners[] = {UINT64_C(0x0100000000000001), UINT64_C(0x80000000000003e8),
                                      UINT64_C(0xff000000000003e8), UINT64_C(0xff000100000003e8),
                                      UINT64_C(0x8000000000000000)};
    fixture->tree.extended_types_enabled = extended;
    fixture->tree.emulates_353_ttl = emulates;
    for (size_t index = 0; index < ARRAY_COUNT(owners); index++) {
        const enum tree_owner_kind kind =
            tree_owner_kind_of(&fixture->tree, (int64_t)owners[index]);
        assert_int_equal("nsct"[kind], expected[index]);
    }
}

static void marks_are_read_as_the_settings_say(void **state)
{
    struct fixture *fixture = *state;
    assert_true(TREE_OWNER_SESSION == 1 && TREE_OWNER_CONTAINER == 2 && TREE_OWNER_TTL == 3);
    kinds(fixture, false, false, "ssssc");
    kinds(fixture, false, true, "ssssc");
    kinds(fixture, true, false, "sstsc");
    kinds(fixture, true, true, "stttc");
}

static void a_mark_of_353_makes_no_ephemeral(void **state)
{
    struct fixture *fixture = *state;
    fixture->tree.extended_types_enabled = true;
    fixture->tree.emulates_353_ttl = true;
    const int64_t mark = INT64_MIN | 1000;
    struct znode *znode = add(fixture, "/old", NULL, mark);
    assert_non_null(znode);
    assert_int_equal(fixture->tree.ttl_znodes.znode_count, 1);
    assert_int_equal(fixture->tree.ephemeral_count, 0);
    assert_null(tree_find_owner(&fixture->tree, mark));
    assert_int_equal(tree_ttl_ms(tree_owner_id(znode)), 1000);
    struct zk_stat stat;
    tree_stat(&fixture->tree, znode, &stat);
    assert_int_equal(stat.ephemeral_owner, 0);
    /* What does not fit today's layout is cut to it, as in Apache's server. */
    assert_int_equal(tree_ttl_ms(INT64_MIN | INT64_C(1) << 40 | 5), 5);
    tree_delete(&fixture->tree, znode);
    assert_int_equal(fixture->tree.ttl_znodes.znode_count, 0);
}

static void make_path(char path[64], char kind, int number)
{
    snprintf(path, 64, "/d%d/%c%d", number % directory_count, kind, number);
}

/* Notes a znode of the walk; false at its end. */
static bool see_next(struct tree_cursor *cursor, int seen[constant_count])
{
    const struct znode *znode = tree_cursor_next(cursor);
    if (znode != NULL && znode->name_size > 0 && znode->name[0] == 'k') {
        char number[16];
        snprintf(number, sizeof number, "%.*s", (int)znode->name_size - 1, &znode->name[1]);
        seen[strtol(number, NULL, 10)]++;
    }
    return znode != NULL;
}

static void create_or_delete(struct fixture *fixture, int number)
{
    char path[64];
    make_path(path, 'v', number);
    struct znode *victim = tree_find(&fixture->tree, slice_from_text(path));
    if (victim == NULL)
        add(fixture, path, NULL, 0);
    else
        tree_delete(&fixture->tree, victim);
}

static void cursor_sees_once_what_lives_all_along(void **state)
{
    struct fixture *fixture = *state;
    char path[64];
    for (int index = 0; index < directory_count; index++) {
        snprintf(path, sizeof path, "/d%d", index);
        add(fixture, path, NULL, 0);
    }
    for (int index = 0; index < constant_count; index++) {
        make_path(path, 'k', index);
        add(fixture, path, NULL, 0);
    }
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        int seen[constant_count] = {0};
        struct tree_cursor cursor;
        tree_cursor_open(&fixture->tree, &cursor);
        bool goes_on = true;
        while (goes_on) {
            create_or_delete(fixture, (int)prng_below(&prng, 100));
            if (prng_chance(&prng, 1, 2))
                goes_on = see_next(&cursor, seen);
        }
        tree_cursor_close(&cursor);
        for (int index = 0; index < constant_count; index++)
            assert_int_equal(seen[index], 1);
    }
}

/* Around the sizes where names and data move into blocks of their own, in all changes of size. */
static void names_and_data_of_all_sizes(void **state)
{
    struct fixture *fixture = *state;
    struct tree *tree = &fixture->tree;
    static const size_t names[] = {1, 253, 254, 255, 256, 1023, 70000};
    static const size_t sizes[] = {0, 1, 1019, 1020, 1021, 1024, 70000};
    static char path[70002];
    static uint8_t data[70000];
    memset(data, 'd', sizeof data);
    for (size_t index = 0; index < ARRAY_COUNT(names); index++) {
        path[0] = '/';
        memset(path + 1, 'n', names[index]);
        path[1 + names[index]] = '\0';
        struct znode *znode = add(fixture, path, NULL, index % 2 == 0 ? 0 : 77);
        assert_non_null(znode);
        assert_ptr_equal(tree_find(tree, slice_from_text(path)), znode);
        assert_int_equal(tree_path_bytes(tree, znode), 1 + names[index]);
        assert_int_equal(tree_owner_id(znode), index % 2 == 0 ? 0 : 77);
        for (size_t change = 0; change < ARRAY_COUNT(sizes) * ARRAY_COUNT(sizes); change++) {
            const size_t from = sizes[change / ARRAY_COUNT(sizes)];
            const size_t to = sizes[change % ARRAY_COUNT(sizes)];
            assert_int_equal(tree_set_data(tree, znode, slice_of(data, from)), ERR_OK);
            assert_int_equal(tree_set_data(tree, znode, slice_of(data, to)), ERR_OK);
            assert_true(slice_equal(tree_data(tree, znode), slice_of(data, to)));
            assert_false(slice_is_null(tree_data(tree, znode)));
        }
        assert_int_equal(tree_set_data(tree, znode, SLICE_NULL), ERR_OK);
        assert_true(slice_is_null(tree_data(tree, znode)));
        assert_true(slice_equal_text(tree_name(znode), path + 1));
    }
    tree_delete(tree, tree_find(tree, slice_from_text(path)));
    find(fixture, path, false);
}

static void encode_stat(const struct zk_stat_persisted *stat, uint8_t bytes[tree_stat_disk_bytes])
{
    struct wire_writer writer = wire_writer_of(bytes, tree_stat_disk_bytes);
    wire_encode(&zk_stat_persisted_wire, 0, stat, &writer);
    assert_int_equal(writer.used, tree_stat_disk_bytes);
}

/* A znode that had children once tells so; one that never had any looks as if it were new. */
static void a_snapshot_gives_back_all_of_a_stat(void **state)
{
    struct fixture *fixture = *state;
    struct tree *tree = &fixture->tree;
    static const struct zk_stat_persisted stats[] = {
        {.czxid = 5, .mzxid = 6, .ctime = -1, .mtime = INT32_MAX, .version = 3, .pzxid = 5},
        {.czxid = 5, .mzxid = INT64_MAX, .ctime = 1, .mtime = -5000, .version = -1, .pzxid = 9},
        {.czxid = -5, .mzxid = 6, .cversion = 4, .pzxid = -5},
        {.czxid = 5, .aversion = -1, .pzxid = 0, .ephemeral_owner = 77},
    };
    for (size_t index = 0; index < ARRAY_COUNT(stats); index++) {
        char path[8];
        snprintf(path, sizeof path, "/%zu", index);
        const struct znode *znode = tree_create(tree, tree->root,
                                                &(struct tree_create_options){
                                                    .path = slice_from_text(path),
                                                    .acl = acl_table_share(tree->acls.open),
                                                    .stat = &stats[index],
                                                });
        assert_non_null(znode);
        const struct znode_more more = tree_more(tree, znode);
        const struct zk_stat_persisted found = {
            .czxid = znode->czxid,
            .mzxid = znode->mzxid,
            .ctime = tree_ctime(znode),
            .mtime = tree_mtime(znode),
            .version = znode->version,
            .cversion = more.cversion,
            .aversion = more.aversion,
            .ephemeral_owner = tree_owner_id(znode),
            .pzxid = more.pzxid,
        };
        uint8_t bytes[2][tree_stat_disk_bytes];
        encode_stat(&found, bytes[0]);
        encode_stat(&stats[index], bytes[1]);
        assert_memory_equal(bytes[0], bytes[1], sizeof bytes[0]);
    }
    struct znode *znode = tree_find(tree, SLICE_LITERAL("/0"));
    tree_set_mtime(znode, INT64_MAX);
    assert_int_equal(tree_mtime(znode), (INT64_C(1) << 47) - 1);
    tree_set_mtime(znode, INT64_MIN);
    assert_int_equal(tree_mtime(znode), -(INT64_C(1) << 47) + 1);
    assert_int_equal(tree_ctime(znode), -1);
}

static void a_full_heap_leaves_the_tree_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct tree *tree = &fixture->tree;
    static uint8_t data[5000];
    memset(data, 'd', sizeof data);
    static char path[1002];
    memset(path, 'n', sizeof path - 1);
    path[0] = '/';
    struct acl_entry *acl = tree->acls.open;
    for (uint64_t references = acl->reference_count;; references++) {
        snprintf(path + 1, 7, "%06d", (int)references);
        path[7] = 'n';
        assert_int_equal(acl->reference_count, references);
        const struct tree_create_options options = {.path = slice_from_text(path),
                                                    .data = slice_of(data, sizeof data),
                                                    .acl = acl_table_share(acl)};
        const uint64_t count = tree->by_path.count;
        if (tree_create(tree, tree->root, &options) == NULL) {
            assert_int_equal(tree->by_path.count, count);
            acl_table_release(&tree->acls, acl);
            break;
        }
    }
    struct znode *znode = tree_find(tree, SLICE_LITERAL("/zookeeper"));
    assert_int_equal(tree_set_data(tree, znode, slice_of(data, sizeof data)), ERR_NO_MEMORY);
    assert_int_equal(tree_data(tree, znode).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_and_data_of_all_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_gives_back_all_of_a_stat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_heap_leaves_the_tree_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_tree_has_the_builtins_and_their_digest, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_whole_paths_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(digest_is_a_sum_that_goes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners_list_their_znodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(marks_are_read_as_the_settings_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mark_of_353_makes_no_ephemeral, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cursor_sees_once_what_lives_all_along, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
