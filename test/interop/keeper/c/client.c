// Apache's C client against a keeper: one check a line, `ok WHAT` or `not ok WHAT: detail`.
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define WAIT_MS 120000
#define SESSION_MS 300000 // Longer than a machine stands still.

// What a watcher was told last, and how often.
struct told {
    pthread_mutex_t lock;
    int count;
    int type;
    int state;
    char path[256];
};

static const char *address;

static void watch(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    struct told *told = context != NULL ? context : (struct told *)(void *)zoo_get_context(handle);
    pthread_mutex_lock(&told->lock);
    told->state = state;
    if (type != ZOO_SESSION_EVENT) {
        told->count++;
        told->type = type;
        snprintf(told->path, sizeof told->path, "%s", path);
    }
    pthread_mutex_unlock(&told->lock);
}

static void check(bool condition, const char *what, int seen)
{
    if (condition) {
        printf("ok %s\n", what);
    } else {
        printf("not ok %s: saw %d (%s)\n", what, seen, zerror(seen));
    }
    fflush(stdout);
}

static void equal(int seen, int expected, const char *what)
{
    check(seen == expected, what, seen);
}

static void nap(void)
{
    struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    nanosleep(&pause, NULL);
}

static bool is_told(struct told *told, int type, const char *path)
{
    bool seen = false;
    for (int i = 0; i < WAIT_MS / 10 && !seen; i++) {
        pthread_mutex_lock(&told->lock);
        seen = told->count == 1 && told->type == type && strcmp(told->path, path) == 0;
        pthread_mutex_unlock(&told->lock);
        if (!seen) {
            nap();
        }
    }
    told->count = 0;
    return seen;
}

static bool has_state(zhandle_t *handle, int state)
{
    for (int i = 0; i < WAIT_MS / 10; i++) {
        if (zoo_state(handle) == state) {
            return true;
        }
        nap();
    }
    return false;
}

static zhandle_t *connect_with(struct told *told, int timeout_ms)
{
    zhandle_t *handle = zookeeper_init(address, watch, timeout_ms, NULL, told, 0);
    if (handle == NULL || !has_state(handle, ZOO_CONNECTED_STATE)) {
        printf("not ok connect\n");
        exit(1);
    }
    return handle;
}

static void ask(const char *word)
{
    char line[64];
    printf("ask %s\n", word);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) {
        exit(1);
    }
}

static int make(zhandle_t *handle, const char *path, const char *data, int mode)
{
    char name[256];
    return zoo_create(handle, path, data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE, mode, name, sizeof name);
}

static void creates(zhandle_t *zk)
{
    char name[256];
    char data[64];
    int size = sizeof data;
    struct Stat stat;
    equal(make(zk, "/c", "one", ZOO_PERSISTENT), ZOK, "create persistent");
    equal(make(zk, "/c", "one", ZOO_PERSISTENT), ZNODEEXISTS, "create again");
    equal(make(zk, "/none/c", "", ZOO_PERSISTENT), ZNONODE, "create below nothing");
    equal(zoo_create(zk, "/c/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, name, sizeof name), ZOK,
          "create sequential");
    check(strcmp(name, "/c/s-0000000000") == 0, "the first sequence number", 0);
    equal(zoo_create2(zk, "/c/e-", "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, name, sizeof name, &stat),
          ZOK, "create2 ephemeral sequential");
    check(strcmp(name, "/c/e-0000000001") == 0 && stat.ephemeralOwner == zoo_client_id(zk)->client_id &&
              stat.dataLength == 1,
          "create2 answers name and stat", 0);
    equal(make(zk, "/c/e-0000000001/x", "", ZOO_PERSISTENT), ZNOCHILDRENFOREPHEMERALS, "create below an ephemeral");
    equal(zoo_get(zk, "/c", 0, data, &size, &stat), ZOK, "get");
    check(size == 3 && memcmp(data, "one", 3) == 0 && stat.numChildren == 2 && stat.version == 0, "get: data and stat",
          size);
    equal(zoo_create(zk, "/null", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, name, sizeof name), ZOK,
          "create without data");
    size = sizeof data;
    equal(zoo_get(zk, "/null", 0, data, &size, NULL), ZOK, "get no data");
    equal(size, -1, "no data stays no data");
}

static void changes(zhandle_t *zk)
{
    struct Stat stat;
    struct String_vector names;
    equal(zoo_set2(zk, "/c", "two!", 4, 0, &stat), ZOK, "set");
    check(stat.version == 1 && stat.dataLength == 4, "set: stat", stat.version);
    equal(zoo_set(zk, "/c", "x", 1, 0), ZBADVERSION, "set with an old version");
    equal(zoo_exists(zk, "/c", 0, &stat), ZOK, "exists");
    equal(zoo_exists(zk, "/none", 0, &stat), ZNONODE, "exists of nothing");
    equal(zoo_get_children(zk, "/c", 0, &names), ZOK, "get children");
    equal(names.count, 2, "two children");
    deallocate_String_vector(&names);
    equal(zoo_get_children2(zk, "/c", 0, &names, &stat), ZOK, "get children with stat");
    check(names.count == 2 && stat.cversion == 2, "children and cversion", stat.cversion);
    deallocate_String_vector(&names);
    equal(zoo_delete(zk, "/c", -1), ZNOTEMPTY, "delete with children");
    equal(zoo_delete(zk, "/c/s-0000000000", 3), ZBADVERSION, "delete with a wrong version");
    equal(zoo_delete(zk, "/c/s-0000000000", 0), ZOK, "delete");
    equal(zoo_delete(zk, "/c/s-0000000000", -1), ZNONODE, "delete again");
}

static void multis(zhandle_t *zk)
{
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    struct Stat stat;
    char name[64];
    zoo_create_op_init(&ops[0], "/multi", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, name, sizeof name);
    zoo_set_op_init(&ops[1], "/multi", "22", 2, 0, &stat);
    zoo_check_op_init(&ops[2], "/multi", 1);
    zoo_delete_op_init(&ops[3], "/multi", 1);
    equal(zoo_multi(zk, 4, ops, results), ZOK, "multi");
    check(strcmp(name, "/multi") == 0 && stat.version == 1, "multi: results", stat.version);
    equal(zoo_exists(zk, "/multi", 0, &stat), ZNONODE, "multi: all steps done");
    zoo_check_op_init(&ops[1], "/multi", 8);
    equal(zoo_multi(zk, 2, ops, results), ZBADVERSION, "multi: a failed check");
    equal(zoo_exists(zk, "/multi", 0, &stat), ZNONODE, "multi: nothing done");
}

static void watches(zhandle_t *zk, zhandle_t *other)
{
    struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct Stat stat;
    struct String_vector names;
    char data[64];
    int size = sizeof data;
    make(other, "/w", "", ZOO_PERSISTENT);
    equal(zoo_wexists(zk, "/w/a", watch, &told, &stat), ZNONODE, "wexists");
    make(other, "/w/a", "", ZOO_PERSISTENT);
    check(is_told(&told, ZOO_CREATED_EVENT, "/w/a"), "told of the creation", 0);
    zoo_wget(zk, "/w/a", watch, &told, data, &size, &stat);
    zoo_set(other, "/w/a", "1", 1, -1);
    check(is_told(&told, ZOO_CHANGED_EVENT, "/w/a"), "told of the change", 0);
    zoo_wget_children(zk, "/w", watch, &told, &names);
    deallocate_String_vector(&names);
    make(other, "/w/b", "", ZOO_PERSISTENT);
    check(is_told(&told, ZOO_CHILD_EVENT, "/w"), "told of the child", 0);
    zoo_wexists(zk, "/w/a", watch, &told, &stat);
    zoo_delete(other, "/w/a", -1);
    check(is_told(&told, ZOO_DELETED_EVENT, "/w/a"), "told of the deletion", 0);
}

static void authenticated(int rc, const void *context)
{
    *(volatile int *)(uintptr_t)context = rc;
}

static void acls(zhandle_t *zk, zhandle_t *other)
{
    volatile int rc = 1;
    char name[64];
    char data[64];
    int size = sizeof data;
    struct ACL_vector acl;
    struct Stat stat;
    zoo_add_auth(zk, "digest", "ada:lovelace", 12, authenticated, (const void *)(uintptr_t)&rc);
    for (int i = 0; i < WAIT_MS / 10 && rc == 1; i++) {
        nap();
    }
    equal(rc, ZOK, "add auth");
    equal(zoo_create(zk, "/acl", "s", 1, &ZOO_CREATOR_ALL_ACL, 0, name, sizeof name), ZOK, "create for its creator");
    equal(zoo_get(other, "/acl", 0, data, &size, NULL), ZNOAUTH, "another may not");
    equal(zoo_get_acl(zk, "/acl", &acl, &stat), ZOK, "get acl");
    check(acl.count == 1 && strncmp(acl.data[0].id.id, "ada:", 4) == 0, "the acl names its creator", acl.count);
    deallocate_ACL_vector(&acl);
    equal(zoo_set_acl(zk, "/acl", 0, &ZOO_OPEN_ACL_UNSAFE), ZOK, "set acl");
    equal(zoo_set_acl(zk, "/acl", 0, &ZOO_OPEN_ACL_UNSAFE), ZBADVERSION, "set acl with an old version");
    size = sizeof data;
    equal(zoo_get(other, "/acl", 0, data, &size, NULL), ZOK, "now another may");
}

static void synced(int rc, const char *path, const void *context)
{
    *(volatile int *)(uintptr_t)context = path != NULL ? rc : ZSYSTEMERROR;
}

static void syncs(zhandle_t *zk)
{
    volatile int rc = 1;
    zoo_async(zk, "/c", synced, (const void *)(uintptr_t)&rc);
    for (int i = 0; i < WAIT_MS / 10 && rc == 1; i++) {
        nap();
    }
    equal(rc, ZOK, "sync");
}

static void killed(zhandle_t *zk)
{
    struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct Stat stat;
    ask("victim /victim");
    equal(zoo_wexists(zk, "/victim", watch, &told, &stat), ZOK, "the victim's node");
    ask("kill");
    check(is_told(&told, ZOO_DELETED_EVENT, "/victim"), "the killed client's node goes", 0);
}

static void restarted(zhandle_t *zk, zhandle_t *other, struct told *session)
{
    struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct Stat stat;
    char data[64];
    int size = sizeof data;
    int64_t id = zoo_client_id(zk)->client_id;
    make(zk, "/r", "before", ZOO_PERSISTENT);
    make(zk, "/r/eph", "", ZOO_EPHEMERAL);
    zoo_wget(zk, "/r", watch, &told, data, &size, &stat);
    session->state = 0;
    ask("restart");
    for (int i = 0; i < WAIT_MS / 10 && session->state != ZOO_CONNECTED_STATE; i++) {
        nap();
    }
    equal(session->state, ZOO_CONNECTED_STATE, "reconnected");
    check(zoo_client_id(zk)->client_id == id, "the same session", 0);
    has_state(other, ZOO_CONNECTED_STATE);
    equal(zoo_exists(zk, "/r/eph", 0, &stat), ZOK, "the ephemeral node is there");
    check(stat.ephemeralOwner == id, "and is still ours", 0);
    check(told.count == 0, "no event without a change", told.count);
    while (zoo_set(other, "/r", "after", 5, -1) == ZCONNECTIONLOSS) {
        nap();
    }
    check(is_told(&told, ZOO_CHANGED_EVENT, "/r"), "the watch was set again", 0);
}

int main(int count, char **arguments)
{
    struct told session = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct told other_session = {.lock = PTHREAD_MUTEX_INITIALIZER};
    address = arguments[1];
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    if (count > 3) {
        zhandle_t *victim = connect_with(&session, 12000);
        make(victim, arguments[3], "", ZOO_EPHEMERAL);
        printf("holding %s\n", arguments[3]);
        fflush(stdout);
        pause();
    }
    zhandle_t *zk = connect_with(&session, SESSION_MS);
    zhandle_t *other = connect_with(&other_session, SESSION_MS);
    equal(zoo_recv_timeout(zk), SESSION_MS, "the session's timeout");
    creates(zk);
    changes(zk);
    multis(zk);
    watches(zk, other);
    acls(zk, other);
    syncs(zk);
    killed(zk);
    restarted(zk, other, &session);
    equal(zookeeper_close(zk), ZOK, "close");
    struct Stat stat;
    equal(zoo_exists(other, "/r/eph", 0, &stat), ZNONODE, "close takes the ephemeral node");
    zookeeper_close(other);
    return 0;
}
