#include "sim/keeper_model.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

enum { PERM_READ = 1, PERM_WRITE = 2, PERM_CREATE = 4, PERM_DELETE = 8, PERM_ADMIN = 16 };

static const int64_t ttl_ms_max = (INT64_C(1) << 40) - 1;

/* ---- Texts. ---- */

void model_text(char *text, size_t capacity, struct slice bytes)
{
    const size_t size = bytes.size < capacity - 1 ? bytes.size : capacity - 1;
    if (size > 0)
        memcpy(text, bytes.data, size);
    text[size] = '\0';
}

/* Everything before the last slash; "/" for what lies under the root. */
void model_parent(const char *path, char parent[model_path_bytes])
{
    const char *slash = strrchr(path, '/');
    assert(slash != NULL);
    snprintf(parent, model_path_bytes, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool is_child_of(const char *path, const char *parent)
{
    char its_parent[model_path_bytes];
    model_parent(path, its_parent);
    return strcmp(path, "/") != 0 && strcmp(its_parent, parent) == 0;
}

/* No trailing slash, no empty, "." or ".." component. The workload sends no stranger characters. */
static bool is_valid(const char *path)
{
    if (path[0] != '/')
        return false;
    if (path[1] == '\0')
        return true;
    for (const char *at = path; *at == '/';) {
        const size_t size = strcspn(++at, "/");
        if (size == 0 || (at[0] == '.' && (size == 1 || (size == 2 && at[1] == '.'))))
            return false;
        at += size;
    }
    return true;
}

/* ---- The model's things. ---- */

static void *grow(struct heap *heap, void *items, uint32_t *capacity, size_t item_size)
{
    *capacity = *capacity == 0 ? 64 : 2 * *capacity;
    void *bigger = heap_resize(heap, items, *capacity * item_size);
    assert(bigger != NULL);
    return bigger;
}

static struct model_znode *find(const struct keeper_model *model, const char *path)
{
    for (uint32_t index = 0; index < model->znode_count; index++)
        if (strcmp(model->znodes[index].path, path) == 0)
            return &model->znodes[index];
    return NULL;
}

const struct model_znode *keeper_model_find(const struct keeper_model *model, const char *path)
{
    return find(model, path);
}

static int32_t count_children(const struct keeper_model *model, const char *path)
{
    int32_t count = 0;
    for (uint32_t index = 0; index < model->znode_count; index++)
        count += is_child_of(model->znodes[index].path, path);
    return count;
}

static struct zk_stat stat_of(const struct keeper_model *model, const struct model_znode *znode)
{
    const int32_t child_count = count_children(model, znode->path);
    return (struct zk_stat){
        .czxid = znode->czxid,
        .mzxid = znode->mzxid,
        .ctime = znode->ctime,
        .mtime = znode->mtime,
        .version = znode->version,
        .cversion = 2 * znode->creates - child_count,
        .aversion = znode->aversion,
        .ephemeral_owner = znode->kind == MODEL_EPHEMERAL ? znode->session_id : 0,
        .data_length = (int32_t)znode->data.size,
        .num_children = child_count,
        .pzxid = znode->pzxid,
    };
}

static struct model_znode *add_znode(struct keeper_model *model, const char *path)
{
    if (model->znode_count == model->znode_capacity)
        model->znodes =
            grow(model->heap, model->znodes, &model->znode_capacity, sizeof *model->znodes);
    struct model_znode *znode = &model->znodes[model->znode_count++];
    *znode = (struct model_znode){0};
    snprintf(znode->path, sizeof znode->path, "%s", path);
    return znode;
}

static void add_trigger(struct keeper_model *model, const struct model_trigger *trigger,
                        const char *path, const struct model_acl *acl)
{
    if (model->trigger_count == model->trigger_capacity)
        model->triggers =
            grow(model->heap, model->triggers, &model->trigger_capacity, sizeof *model->triggers);
    struct model_trigger *added = &model->triggers[model->trigger_count++];
    *added = *trigger;
    added->acl = *acl;
    snprintf(added->path, sizeof added->path, "%s", path);
}

static struct model_acl acl_of_world(int32_t perms)
{
    return (struct model_acl){.ids = {.items = {{"world", "anyone"}}, .count = 1},
                              .perms = {perms}};
}

void keeper_model_init(struct keeper_model *model, struct heap *heap, struct model_options options)
{
    static const char *const built_in[] = {"/", "/zookeeper", "/zookeeper/quota",
                                           "/zookeeper/config"};
    *model = (struct keeper_model){.heap = heap, .options = options};
    for (size_t index = 0; index < ARRAY_COUNT(built_in); index++) {
        struct model_znode *znode = add_znode(model, built_in[index]);
        znode->acl = acl_of_world(index == 3 ? PERM_READ : 31);
        znode->data = SLICE_LITERAL("");
    }
    model->znodes[3].aversion = -1; /* Its access list was set "at version -1", at birth. */
}

void keeper_model_deinit(struct keeper_model *model)
{
    heap_give(model->heap, model->znodes);
    heap_give(model->heap, model->sessions);
    heap_give(model->heap, model->triggers);
}

/* ---- Who may what. ---- */

static bool has_id(const struct model_ids *ids, const char *scheme, const char *id)
{
    for (uint32_t index = 0; index < ids->count; index++)
        if (strcmp(ids->items[index].scheme, scheme) == 0 &&
            (id == NULL || strcmp(ids->items[index].id, id) == 0))
            return true;
    return false;
}

static void add_id(struct model_ids *ids, const char *scheme, const char *id)
{
    if (has_id(ids, scheme, id))
        return;
    assert(ids->count < model_id_count_max);
    struct model_id *added = &ids->items[ids->count++];
    snprintf(added->scheme, sizeof added->scheme, "%s", scheme);
    snprintf(added->id, sizeof added->id, "%s", id);
}

static bool parse_address(const char *text, uint32_t *address, unsigned *bits)
{
    unsigned part[4];
    char end;
    *bits = 32;
    const int count =
        sscanf(text, "%u.%u.%u.%u/%u%c", &part[0], &part[1], &part[2], &part[3], bits, &end);
    if (count < 4 || count > 5 || *bits > 32)
        return false;
    *address = 0;
    for (int index = 0; index < 4; index++) {
        if (part[index] > 255)
            return false;
        *address = *address << 8 | part[index];
    }
    return true;
}

static bool is_in_range(const char *address_text, const char *range_text)
{
    uint32_t address, range;
    unsigned bits;
    if (!parse_address(address_text, &address, &bits) || !parse_address(range_text, &range, &bits))
        return false;
    return bits == 0 || (address ^ range) >> (32 - bits) == 0;
}

static bool matches(const struct model_id *entry, const struct model_ids *ids)
{
    if (strcmp(entry->scheme, "world") == 0)
        return true;
    if (strcmp(entry->scheme, "ip") != 0)
        return has_id(ids, entry->scheme, entry->id);
    for (uint32_t index = 0; index < ids->count; index++)
        if (strcmp(ids->items[index].scheme, "ip") == 0 &&
            is_in_range(ids->items[index].id, entry->id))
            return true;
    return false;
}

bool keeper_model_grants(const struct keeper_model *model, const struct model_acl *acl,
                         const struct model_ids *ids, int32_t perms)
{
    if (model->options.skip_acl || has_id(ids, "super", NULL))
        return true;
    for (uint32_t index = 0; index < acl->ids.count; index++)
        if ((acl->perms[index] & perms) != 0 && matches(&acl->ids.items[index], ids))
            return true;
    return false;
}

/* The users that the workload knows, with the hashes of their passwords. */
static const struct {
    const char *secret;
    const char *digest;
} users[] = {
    {"super:test", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="},
    {"ann:secret", "ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM="},
    {"bob:builder", "bob:4rsXV9JgUbFl9ZE40xENilxlRV8="},
};

bool keeper_model_authenticate(const struct keeper_model *model, struct slice scheme,
                               struct slice secret, struct model_ids *ids)
{
    if (slice_equal_text(scheme, "ip"))
        return true;
    for (size_t index = 0; index < ARRAY_COUNT(users); index++) {
        if (!slice_equal_text(scheme, "digest") || !slice_equal_text(secret, users[index].secret))
            continue;
        if (strcmp(users[index].digest, model->options.super_digest) == 0)
            add_id(ids, "super", "");
        add_id(ids, "digest", users[index].digest);
        return true;
    }
    return false;
}

/* One entry of a list that a client gave. False: there is no such identity. */
static bool fix_entry(const struct zk_acl *entry, const struct model_ids *ids,
                      struct model_acl *out)
{
    struct model_id id;
    uint32_t address;
    unsigned bits;
    MODEL_TEXT(id.scheme, entry->id.scheme);
    MODEL_TEXT(id.id, entry->id.id);
    if (strcmp(id.scheme, "auth") == 0) {
        bool is_anybody = false;
        for (uint32_t index = 0; index < ids->count; index++) {
            if (strcmp(ids->items[index].scheme, "digest") != 0)
                continue;
            is_anybody = true;
            assert(out->ids.count < model_id_count_max);
            out->perms[out->ids.count] = entry->perms;
            out->ids.items[out->ids.count++] = ids->items[index];
        }
        return is_anybody;
    }
    const char *colon = strchr(id.id, ':');
    const bool is_known = (strcmp(id.scheme, "world") == 0 && strcmp(id.id, "anyone") == 0) ||
                          (strcmp(id.scheme, "ip") == 0 && parse_address(id.id, &address, &bits)) ||
                          (strcmp(id.scheme, "digest") == 0 && colon != NULL && colon[1] != '\0' &&
                           strchr(colon + 1, ':') == NULL);
    assert(out->ids.count < model_id_count_max);
    out->perms[out->ids.count] = entry->perms;
    out->ids.items[out->ids.count++] = id;
    return is_known;
}

static bool is_repeated(const struct zk_acl *entries, int32_t index)
{
    for (int32_t before = 0; before < index; before++)
        if (entries[before].perms == entries[index].perms &&
            slice_equal(entries[before].id.scheme, entries[index].id.scheme) &&
            slice_equal(entries[before].id.id, entries[index].id.id))
            return true;
    return false;
}

static int32_t fix_acl(const struct zk_acl *entries, int32_t count, const struct model_ids *ids,
                       struct model_acl *out)
{
    *out = (struct model_acl){0};
    for (int32_t index = 0; index < count; index++)
        if (!is_repeated(entries, index) && !fix_entry(&entries[index], ids, out))
            return CODE_INVALID_ACL;
    return out->ids.count == 0 ? CODE_INVALID_ACL : CODE_OK;
}

/* ---- Sessions. ---- */

struct model_session *keeper_model_session(const struct keeper_model *model, int64_t session_id)
{
    for (uint32_t index = 0; index < model->session_count; index++)
        if (model->sessions[index].id == session_id)
            return &model->sessions[index];
    return NULL;
}

static int32_t check_session(const struct keeper_model *model, int64_t session_id)
{
    const struct model_session *session = keeper_model_session(model, session_id);
    return session == NULL || session->closed_zxid != 0 ? CODE_SESSION_EXPIRED : CODE_OK;
}

void keeper_model_open_session(struct keeper_model *model, int64_t session_id, int32_t timeout_ms,
                               int64_t zxid)
{
    if (model->session_count == model->session_capacity)
        model->sessions =
            grow(model->heap, model->sessions, &model->session_capacity, sizeof *model->sessions);
    model->sessions[model->session_count++] =
        (struct model_session){.id = session_id, .created_zxid = zxid, .timeout_ms = timeout_ms};
}

/* java.util.Random, seeded, its next 16 bytes: each number gives four, lowest first. */
void keeper_model_password(int64_t session_id, uint8_t password[16])
{
    const uint64_t mask = (UINT64_C(1) << 48) - 1;
    uint64_t seed = (((uint64_t)session_id ^ UINT64_C(0xb3415c00)) ^ UINT64_C(0x5deece66d)) & mask;
    for (int index = 0; index < 16; index++) {
        if (index % 4 == 0)
            seed = (seed * UINT64_C(0x5deece66d) + 0xb) & mask;
        password[index] = (uint8_t)(seed >> (16 + 8 * (index % 4)));
    }
}

/* ---- Changes. ---- */

static void trigger_parent(struct keeper_model *model, const char *path)
{
    char parent[model_path_bytes];
    model_parent(path, parent);
    add_trigger(
        model,
        &(struct model_trigger){.is_child = true, .is_first = true, .type = MODEL_CHILDREN_CHANGED},
        parent, &find(model, parent)->acl);
}

/* A change of the znode, decided when seen_zxid was applied. */
static void note_change(struct model_znode *znode, int64_t seen_zxid, int64_t zxid)
{
    if (znode->bereaved_zxid > seen_zxid)
        znode->bereaved_zxid = zxid;
}

static void note_change_of_parent(struct keeper_model *model, const char *path, int64_t seen_zxid,
                                  int64_t zxid)
{
    char parent[model_path_bytes];
    model_parent(path, parent);
    note_change(find(model, parent), seen_zxid, zxid);
}

static void remove_znode(struct keeper_model *model, struct model_znode *znode, int64_t zxid)
{
    const struct model_znode removed = *znode;
    char parent_path[model_path_bytes];
    *znode = model->znodes[--model->znode_count];
    model_parent(removed.path, parent_path);
    struct model_znode *parent = find(model, parent_path);
    parent->pzxid = zxid;
    parent->childless_zxid = zxid;
    add_trigger(model, &(struct model_trigger){.is_first = true, .type = MODEL_DELETED},
                removed.path, &removed.acl);
    add_trigger(model, &(struct model_trigger){.is_child = true, .type = MODEL_DELETED},
                removed.path, &removed.acl);
    trigger_parent(model, removed.path);
}

bool keeper_model_close_session(struct keeper_model *model, int64_t session_id,
                                struct wire_array paths, int64_t zxid)
{
    const struct slice *items = paths.items;
    model->trigger_count = 0;
    for (int32_t index = 0; index < paths.count; index++) {
        char path[model_path_bytes];
        char parent[model_path_bytes];
        MODEL_TEXT(path, items[index]);
        struct model_znode *znode = find(model, path);
        if (znode == NULL || znode->kind != MODEL_EPHEMERAL || znode->session_id != session_id)
            return false;
        remove_znode(model, znode, zxid);
        model_parent(path, parent);
        find(model, parent)->bereaved_zxid = zxid;
    }
    for (uint32_t index = 0; index < model->znode_count; index++)
        if (model->znodes[index].kind == MODEL_EPHEMERAL &&
            model->znodes[index].session_id == session_id)
            return false;
    struct model_session *session = keeper_model_session(model, session_id);
    if (session != NULL && session->closed_zxid == 0)
        session->closed_zxid = zxid;
    return true;
}

/* Whether it was left alone for so long, as far as the reaper could see. */
static bool is_older(const struct model_znode *znode, int64_t age_ms, const struct model_reap *reap)
{
    bool is_older = reap->time_ms - znode->mtime > age_ms;
    for (size_t index = 0; index < ARRAY_COUNT(znode->mtimes); index++)
        is_older |= znode->mzxid > reap->seen_zxid && znode->mtimes[index] != 0 &&
                    reap->time_ms - znode->mtimes[index] > age_ms;
    return is_older;
}

const char *keeper_model_reap(struct keeper_model *model, const struct model_reap *reap)
{
    struct model_znode *znode = find(model, reap->path);
    model->trigger_count = 0;
    if (znode == NULL)
        return "is not there";
    if (count_children(model, reap->path) > 0)
        return "has children";
    if (znode->kind != MODEL_CONTAINER && znode->kind != MODEL_TTL)
        return "is neither a container nor has it a time to live";
    const int64_t unused_ms_max = model->options.unused_ms_max;
    if (znode->kind == MODEL_CONTAINER && znode->creates == 0 &&
        (unused_ms_max == 0 || !is_older(znode, unused_ms_max, reap)))
        return "may wait for its first child";
    if (znode->kind == MODEL_TTL && !is_older(znode, znode->ttl_ms, reap))
        return "has time to live left";
    note_change_of_parent(model, reap->path, reap->seen_zxid, reap->zxid);
    remove_znode(model, znode, reap->zxid);
    return NULL;
}

/* ---- Requests that change one znode. ---- */

struct create {
    int32_t type; /* enum op */
    const struct zk_create_ttl_request *request;
    bool is_ephemeral, is_sequential, is_ttl;
};

/* What is wrong before anybody looks at the tree. */
static int32_t check_create(const struct keeper_model *model, const struct model_request *request,
                            const struct create *create, struct model_acl *acl)
{
    const int64_t ttl_ms = create->request->ttl_ms;
    if (create->request->flags < 0 || create->request->flags > 6)
        return CODE_BAD_ARGUMENTS;
    if (create->is_ttl && !model->options.has_ttl)
        return CODE_UNIMPLEMENTED;
    if (create->is_ttl ? ttl_ms <= 0 || ttl_ms > ttl_ms_max
                       : ttl_ms >= 0 || create->type == OP_CREATE_TTL)
        return CODE_BAD_ARGUMENTS;
    if (check_session(model, request->session_id) != CODE_OK)
        return CODE_SESSION_EXPIRED;
    if (memchr(create->request->path.data, '/', create->request->path.size) == NULL)
        return CODE_BAD_ARGUMENTS;
    return fix_acl(create->request->acl.items, create->request->acl.count, request->ids, acl);
}

static enum model_kind kind_of(const struct create *create)
{
    if (create->type == OP_CREATE_CONTAINER)
        return MODEL_CONTAINER;
    if (create->type == OP_CREATE_TTL)
        return MODEL_TTL;
    return create->is_ephemeral ? MODEL_EPHEMERAL : MODEL_PLAIN;
}

static void make_znode(struct keeper_model *model, const struct model_request *request,
                       const struct create *create, const struct model_acl *acl,
                       struct model_answer *answer)
{
    char parent_path[model_path_bytes];
    struct model_znode *znode = add_znode(model, answer->path);
    znode->data = create->request->data;
    znode->acl = *acl;
    znode->kind = kind_of(create);
    znode->session_id = request->session_id;
    znode->ttl_ms = create->request->ttl_ms;
    znode->czxid = znode->mzxid = znode->pzxid = znode->childless_zxid = request->zxid;
    znode->ctime = znode->mtime = request->time_ms;
    answer->stat = stat_of(model, znode);
    add_trigger(model, &(struct model_trigger){.is_first = true, .type = MODEL_CREATED},
                answer->path, acl);
    model_parent(answer->path, parent_path);
    struct model_znode *parent = find(model, parent_path);
    note_change(parent, request->applied_zxid, request->zxid);
    parent->creates++;
    parent->pzxid = request->zxid;
    trigger_parent(model, answer->path);
}

static int32_t do_create(struct keeper_model *model, const struct model_request *request,
                         const struct create *create, struct model_answer *answer)
{
    struct model_acl acl;
    char path[model_path_bytes];
    char parent_path[model_path_bytes];
    const int32_t code = check_create(model, request, create, &acl);
    if (code != CODE_OK)
        return code;
    MODEL_TEXT(path, create->request->path);
    model_parent(path, parent_path);
    const struct model_znode *parent = find(model, parent_path);
    if (parent == NULL)
        return CODE_NO_NODE;
    if (!keeper_model_grants(model, &parent->acl, request->ids, PERM_CREATE))
        return CODE_NO_AUTH;
    if (create->is_sequential)
        snprintf(path + strlen(path), sizeof path - strlen(path), "%010" PRId32, parent->creates);
    if (!is_valid(path))
        return CODE_BAD_ARGUMENTS;
    if (find(model, path) != NULL)
        return CODE_NODE_EXISTS;
    if (parent->kind == MODEL_EPHEMERAL)
        return CODE_NO_CHILDREN_FOR_EPHEMERALS;
    memcpy(answer->path, path, sizeof path);
    make_znode(model, request, create, &acl, answer);
    return CODE_OK;
}

static bool is_built_in(const char *path)
{
    return strcmp(path, "/") == 0 || strcmp(path, "/zookeeper") == 0 ||
           strcmp(path, "/zookeeper/quota") == 0 || strcmp(path, "/zookeeper/config") == 0;
}

static int32_t do_delete(struct keeper_model *model, const struct model_request *request,
                         const struct zk_delete_request *remove, int32_t logged_code)
{
    char path[model_path_bytes];
    char parent_path[model_path_bytes];
    MODEL_TEXT(path, remove->path);
    if (check_session(model, request->session_id) != CODE_OK)
        return CODE_SESSION_EXPIRED;
    if (strchr(path, '/') == NULL || is_built_in(path))
        return CODE_BAD_ARGUMENTS;
    model_parent(path, parent_path);
    const struct model_znode *parent = find(model, parent_path);
    if (parent == NULL)
        return CODE_NO_NODE;
    if (!keeper_model_grants(model, &parent->acl, request->ids, PERM_DELETE))
        return CODE_NO_AUTH;
    struct model_znode *znode = find(model, path);
    if (znode == NULL)
        return CODE_NO_NODE;
    if (remove->version != -1 && remove->version != znode->version)
        return CODE_BAD_VERSION;
    if (count_children(model, path) > 0)
        return CODE_NOT_EMPTY;
    /* While the end of its children's session is not applied yet, they may still be counted. */
    if (logged_code == CODE_NOT_EMPTY && znode->bereaved_zxid > request->applied_zxid)
        return CODE_NOT_EMPTY;
    note_change_of_parent(model, path, request->applied_zxid, request->zxid);
    remove_znode(model, znode, request->zxid);
    return CODE_OK;
}

static int32_t do_set_data(struct keeper_model *model, const struct model_request *request,
                           const struct zk_set_data_request *set, struct model_answer *answer)
{
    char path[model_path_bytes];
    MODEL_TEXT(path, set->path);
    if (check_session(model, request->session_id) != CODE_OK)
        return CODE_SESSION_EXPIRED;
    if (!is_valid(path))
        return CODE_BAD_ARGUMENTS;
    struct model_znode *znode = find(model, path);
    if (znode == NULL)
        return CODE_NO_NODE;
    if (!keeper_model_grants(model, &znode->acl, request->ids, PERM_WRITE))
        return CODE_NO_AUTH;
    if (set->version != -1 && set->version != znode->version)
        return CODE_BAD_VERSION;
    memmove(&znode->mtimes[1], &znode->mtimes[0], sizeof znode->mtimes - sizeof znode->mtimes[0]);
    znode->mtimes[0] = znode->mtime;
    znode->data = set->data;
    note_change(znode, request->applied_zxid, request->zxid);
    znode->version++;
    znode->mzxid = request->zxid;
    znode->mtime = request->time_ms;
    answer->stat = stat_of(model, znode);
    add_trigger(model, &(struct model_trigger){.is_first = true, .type = MODEL_CHANGED}, path,
                &znode->acl);
    return CODE_OK;
}

static int32_t do_set_acl(struct keeper_model *model, const struct model_request *request,
                          const struct zk_set_acl_request *set, struct model_answer *answer)
{
    char path[model_path_bytes];
    struct model_acl acl;
    MODEL_TEXT(path, set->path);
    if (check_session(model, request->session_id) != CODE_OK)
        return CODE_SESSION_EXPIRED;
    if (!is_valid(path))
        return CODE_BAD_ARGUMENTS;
    if (fix_acl(set->acl.items, set->acl.count, request->ids, &acl) != CODE_OK)
        return CODE_INVALID_ACL;
    struct model_znode *znode = find(model, path);
    if (znode == NULL)
        return CODE_NO_NODE;
    if (!keeper_model_grants(model, &znode->acl, request->ids, PERM_ADMIN))
        return CODE_NO_AUTH;
    if (set->version != -1 && set->version != znode->aversion)
        return CODE_BAD_VERSION;
    znode->acl = acl;
    note_change(znode, request->applied_zxid, request->zxid);
    znode->aversion++;
    answer->stat = stat_of(model, znode);
    return CODE_OK;
}

static int32_t do_check(const struct keeper_model *model, const struct model_request *request,
                        const struct zk_check_request *check)
{
    char path[model_path_bytes];
    MODEL_TEXT(path, check->path);
    if (check_session(model, request->session_id) != CODE_OK)
        return CODE_SESSION_EXPIRED;
    if (!is_valid(path))
        return CODE_BAD_ARGUMENTS;
    const struct model_znode *znode = find(model, path);
    if (znode == NULL)
        return CODE_NO_NODE;
    if (!keeper_model_grants(model, &znode->acl, request->ids, PERM_READ))
        return CODE_NO_AUTH;
    return check->version != -1 && check->version != znode->version ? CODE_BAD_VERSION : CODE_OK;
}

/* ---- Requests from their bytes. ---- */

/* What the workload sent can be decoded. */
static void decode(const struct wire_record *record, struct slice *input, void *out)
{
    static _Alignas(max_align_t) uint8_t memory[4096];
    static struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    const enum err err = wire_decode(record, 0, input, &arena, out);
    assert(err == ERR_OK);
}

static int32_t run_create(struct keeper_model *model, const struct model_request *request,
                          struct slice *input, bool is_part, struct model_answer *answer)
{
    struct zk_create_ttl_request wide;
    struct create create = {.type = answer->type, .request = &wide};
    if (answer->type == OP_CREATE_TTL) {
        decode(&zk_create_ttl_request_wire, input, &wide);
    } else {
        struct zk_create_request narrow;
        decode(&zk_create_request_wire, input, &narrow);
        wide = (struct zk_create_ttl_request){.path = narrow.path,
                                              .data = narrow.data,
                                              .acl = {narrow.acl.items, narrow.acl.count},
                                              .flags = narrow.flags,
                                              .ttl_ms = -1};
    }
    create.is_ephemeral = wide.flags == 1 || wide.flags == 3;
    create.is_sequential = wide.flags == 2 || wide.flags == 3 || wide.flags == 6;
    create.is_ttl = wide.flags == 5 || wide.flags == 6;
    /* In a multi the flags say what it is. */
    if (is_part && wide.flags == 4)
        create.type = OP_CREATE_CONTAINER;
    const int32_t code = do_create(model, request, &create, answer);
    answer->type = create.type;
    return code;
}

/* One operation; answer->type says which. */
static int32_t run_one(struct keeper_model *model, const struct model_request *request,
                       struct slice *input, uint32_t index, struct model_answer *answer)
{
    union {
        struct zk_delete_request remove;
        struct zk_set_data_request set_data;
        struct zk_set_acl_request set_acl;
        struct zk_check_request check;
    } as;
    switch (answer->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL: return run_create(model, request, input, request->type == OP_MULTI, answer);
    case OP_DELETE:
        decode(&zk_delete_request_wire, input, &as.remove);
        return do_delete(model, request, &as.remove, request->logged_codes[index]);
    case OP_SET_DATA:
        decode(&zk_set_data_request_wire, input, &as.set_data);
        return do_set_data(model, request, &as.set_data, answer);
    case OP_SET_ACL:
        decode(&zk_set_acl_request_wire, input, &as.set_acl);
        return do_set_acl(model, request, &as.set_acl, answer);
    case OP_CHECK:
        decode(&zk_check_request_wire, input, &as.check);
        return do_check(model, request, &as.check);
    case OP_RECONFIG: return CODE_RECONFIG_DISABLED;
    }
    assert(false && "the workload sends no such operation");
    return CODE_UNIMPLEMENTED;
}

/* All parts, or none: those before the failing one say 0, those behind it -2. */
static void run_multi(struct keeper_model *model, const struct model_request *request,
                      struct model_answers *answers)
{
    struct model_znode *before =
        heap_take(model->heap, model->znode_capacity * sizeof *model->znodes);
    assert(before != NULL);
    memcpy(before, model->znodes, model->znode_count * sizeof *before);
    const uint32_t count_before = model->znode_count;
    const uint32_t capacity_before = model->znode_capacity;
    struct slice input = request->body;
    int32_t failure = CODE_OK;
    for (;;) {
        struct zk_multi_header header;
        decode(&zk_multi_header_wire, &input, &header);
        if (header.done)
            break;
        assert(answers->count < model_part_count_max);
        struct model_answer *answer = &answers->items[answers->count];
        answer->type = header.type;
        const int32_t code = run_one(model, request, &input, answers->count, answer);
        answer->code = failure == CODE_OK ? code : CODE_RUNTIME_INCONSISTENCY;
        failure = failure == CODE_OK ? code : failure;
        answers->count++;
    }
    if (failure == CODE_OK) {
        heap_give(model->heap, before);
        return;
    }
    heap_give(model->heap, model->znodes);
    model->znodes = before;
    model->znode_count = count_before;
    model->znode_capacity = capacity_before;
    model->trigger_count = 0;
    for (uint32_t index = 0; index < answers->count; index++)
        answers->items[index].type = OP_ERROR;
}

void keeper_model_write(struct keeper_model *model, const struct model_request *request,
                        struct model_answers *answers)
{
    *answers = (struct model_answers){0};
    model->trigger_count = 0;
    if (request->type == OP_MULTI) {
        run_multi(model, request, answers);
        return;
    }
    struct slice input = request->body;
    answers->count = 1;
    answers->items[0].type = request->type;
    answers->items[0].code = run_one(model, request, &input, 0, &answers->items[0]);
    answers->code = answers->items[0].code;
}

/* ---- Reads. ---- */

static void add_name(struct model_answer *answer, const char *name)
{
    assert(answer->name_count < model_name_count_max);
    answer->names[answer->name_count++] = name;
}

static void list_children(const struct keeper_model *model, const char *path,
                          struct model_answer *answer)
{
    for (uint32_t index = 0; index < model->znode_count; index++)
        if (is_child_of(model->znodes[index].path, path))
            add_name(answer, strrchr(model->znodes[index].path, '/') + 1);
}

static void list_ephemerals(const struct keeper_model *model, int64_t session_id,
                            const char *prefix, struct model_answer *answer)
{
    for (uint32_t index = 0; index < model->znode_count; index++) {
        const struct model_znode *znode = &model->znodes[index];
        if (znode->kind == MODEL_EPHEMERAL && znode->session_id == session_id &&
            strncmp(znode->path, prefix, strlen(prefix)) == 0)
            add_name(answer, znode->path);
    }
}

static int32_t count_below(const struct keeper_model *model, const char *path)
{
    const size_t size = strcmp(path, "/") == 0 ? 0 : strlen(path);
    int32_t count = 0;
    for (uint32_t index = 0; index < model->znode_count; index++) {
        const char *other = model->znodes[index].path;
        count += strcmp(other, path) != 0 && strncmp(other, path, size) == 0 && other[size] == '/';
    }
    return count;
}

/* Without ADMIN nobody sees the hashes. */
static void redact(struct model_acl *acl)
{
    for (uint32_t index = 0; index < acl->ids.count; index++) {
        struct model_id *id = &acl->ids.items[index];
        char *colon = strchr(id->id, ':');
        if (strcmp(id->scheme, "digest") == 0 && colon != NULL)
            memcpy(colon, ":x", 3);
    }
}

void keeper_model_read(struct keeper_model *model, const struct model_request *request,
                       int32_t type, const char *path, struct model_answer *answer)
{
    *answer = (struct model_answer){.type = type};
    if (type == OP_GET_EPHEMERALS) {
        list_ephemerals(model, request->session_id, path, answer);
        return;
    }
    const struct model_znode *znode = find(model, path);
    const int32_t perms = type == OP_GET_ACL ? PERM_READ | PERM_ADMIN : PERM_READ;
    if (znode == NULL)
        answer->code = CODE_NO_NODE;
    else if (!keeper_model_grants(model, &znode->acl, request->ids, perms))
        answer->code = CODE_NO_AUTH;
    if (answer->code != CODE_OK)
        return;
    answer->stat = stat_of(model, znode);
    answer->data = znode->data;
    answer->acl = znode->acl;
    if (!keeper_model_grants(model, &znode->acl, request->ids, PERM_ADMIN))
        redact(&answer->acl);
    if (type == OP_GET_CHILDREN || type == OP_GET_CHILDREN2)
        list_children(model, path, answer);
    if (type == OP_GET_ALL_CHILDREN_NUMBER)
        answer->total = count_below(model, path);
}
