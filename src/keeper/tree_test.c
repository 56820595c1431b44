#include "base/prng.h"
#include "keeper/tree.h"
#include "test/unit_test.h"

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
    assert_true(slice_equal_text(tree_path_write(znode, path), "/a/b/c"));
    assert_true(slice_equal_text(tree_data(znode), "data"));
    assert_true(slice_is_null(tree_data(tree_find(&fixture->tree, SLICE_LITERAL("/a")))));
    assert_false(slice_is_null(tree_data(tree_find(&fixture->tree, SLICE_LITERAL("/a/b")))));
    assert_int_equal(tree_descendant_count(fixture->tree.root), 6);
    assert_int_equal(tree_descendant_count(tree_find(&fixture->tree, SLICE_LITERAL("/a"))), 2);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_tree_has_the_builtins_and_their_digest, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_whole_paths_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(digest_is_a_sum_that_goes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners_list_their_znodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cursor_sees_once_what_lives_all_along, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
