/* What ZooKeeper's tree, access lists and sessions do, too simple to be wrong: an array of znodes
 * that is searched from end to end, and a multi that works on a copy of everything.
 *
 * Written from the protocol's documented semantics. It knows nothing of src/keeper/ but the numbers
 * of operations and codes, and does one request after the other, in the order of the transaction
 * log.
 *
 * Memory: the heap given; data of znodes are slices of the requests, which must stay. Shard: the
 * simulator's thread.
 */
#ifndef SIM_KEEPER_MODEL_H
#define SIM_KEEPER_MODEL_H

#include "base/heap.h"
#include "keeper/code.h"
#include "keeper/op.h"
#include "wire/gen/zk.h"

enum {
    model_path_bytes = 96,
    model_id_count_max = 12,
    model_part_count_max = 8,
    model_name_count_max = 1024,
};

struct model_id {
    char scheme[12];
    char id[52];
};

/* Who somebody is. */
struct model_ids {
    struct model_id items[model_id_count_max];
    uint32_t count;
};

struct model_acl {
    struct model_ids ids;
    int32_t perms[model_id_count_max];
};

enum model_kind { MODEL_PLAIN, MODEL_EPHEMERAL, MODEL_CONTAINER, MODEL_TTL };

struct model_znode {
    char path[model_path_bytes];
    struct slice data;
    struct model_acl acl;
    enum model_kind kind;
    int64_t session_id; /* EPHEMERAL */
    int64_t ttl_ms;     /* TTL */
    int64_t czxid, mzxid, pzxid, ctime, mtime;
    int64_t mtimes[4]; /* The latest ones before, latest first. */
    int32_t version, aversion;
    int32_t creates;        /* Of children, ever: the next sequential number. */
    int64_t bereaved_zxid;  /* The latest end of a session that took a child, or change that was
                             * decided while that was not applied: it counts the child still. */
    int64_t childless_zxid; /* When the latest child went; as of its own creation. */
};

struct model_session {
    int64_t id;
    int64_t created_zxid;
    int64_t closed_zxid; /* 0: open. */
    int32_t timeout_ms;
};

enum model_event {
    MODEL_CREATED = 1,
    MODEL_DELETED = 2,
    MODEL_CHANGED = 3,
    MODEL_CHILDREN_CHANGED = 4
};

/* Something that watches may have waited for. */
struct model_trigger {
    bool is_child; /* Of child watches; else of data watches. */
    bool is_first; /* A new change: whoever was told of the one before may be told of this. */
    enum model_event type;
    char path[model_path_bytes];
    struct model_acl acl; /* Who may hear of it. */
};

struct model_options {
    bool skip_acl;
    bool has_ttl;
    int64_t unused_ms_max; /* Of containers that never had a child; 0: no limit. */
    int32_t timeout_ms_min;
    int32_t timeout_ms_max;
    const char *super_digest;
};

struct keeper_model {
    struct heap *heap;
    struct model_options options;
    struct model_znode *znodes;
    uint32_t znode_count;
    uint32_t znode_capacity;
    struct model_session *sessions;
    uint32_t session_count;
    uint32_t session_capacity;
    struct model_trigger *triggers; /* Of the latest write. */
    uint32_t trigger_count;
    uint32_t trigger_capacity;
};

struct model_request {
    int64_t session_id;
    int32_t type; /* enum op */
    struct slice body;
    const struct model_ids *ids;
    int64_t zxid; /* Of a write. */
    int64_t time_ms;
    int64_t applied_zxid; /* What was applied, at least, when it was prepared. */
    /* What the log says of each part, for the one case where the protocol leaves it open. */
    const int32_t *logged_codes;
};

struct model_answer {
    int32_t type; /* Of the part; OP_ERROR: it failed. */
    int32_t code;
    char path[model_path_bytes];
    struct zk_stat stat;
    struct slice data;
    struct model_acl acl;
    int32_t total;
    const char *names[model_name_count_max];
    uint32_t name_count;
};

/* Of a write: one answer, or one for each part of a multi. */
struct model_answers {
    int32_t code; /* Of the whole. */
    uint32_t count;
    struct model_answer items[model_part_count_max];
};

void keeper_model_init(struct keeper_model *model, struct heap *heap, struct model_options options);
void keeper_model_deinit(struct keeper_model *model);

/* A write of a client, as transaction request->zxid; afterwards model->triggers say what happened.
 */
void keeper_model_write(struct keeper_model *model, const struct model_request *request,
                        struct model_answers *answers);

/* The server's own writes. */
void keeper_model_open_session(struct keeper_model *model, int64_t session_id, int32_t timeout_ms,
                               int64_t zxid);
/* paths: the order in which its ephemerals go. False: they are not exactly those. */
MUST_CHECK bool keeper_model_close_session(struct keeper_model *model, int64_t session_id,
                                           struct wire_array paths, int64_t zxid);
/* NULL: it may be reaped, and was; else why it may not. What was set after seen_zxid may have been
 * prepared and not applied when the reaper looked. */
struct model_reap {
    const char *path;
    int64_t zxid;
    int64_t seen_zxid;
    int64_t time_ms;
};
const char *keeper_model_reap(struct keeper_model *model, const struct model_reap *reap);

/* exists, get_data, get_acl, get_children*, get_all_children_number, get_ephemerals. type and path
 * are the request's. */
void keeper_model_read(struct keeper_model *model, const struct model_request *request,
                       int32_t type, const char *path, struct model_answer *answer);

/* Lends. NULL: there is none. */
const struct model_znode *keeper_model_find(const struct keeper_model *model, const char *path);
struct model_session *keeper_model_session(const struct keeper_model *model, int64_t session_id);

/* Whether the list gives one of the permissions to one of the identities. */
bool keeper_model_grants(const struct keeper_model *model, const struct model_acl *acl,
                         const struct model_ids *ids, int32_t perms);

/* An auth packet: adds what it proves. False: it fails. */
bool keeper_model_authenticate(const struct keeper_model *model, struct slice scheme,
                               struct slice secret, struct model_ids *ids);

/* The password of a session: 16 bytes of Java's generator. */
void keeper_model_password(int64_t session_id, uint8_t password[16]);

/* The text of a slice that fits; longer ones are cut. */
void model_text(char *text, size_t capacity, struct slice bytes);
#define MODEL_TEXT(text, bytes) model_text((text), sizeof(text), (bytes))

void model_parent(const char *path, char parent[model_path_bytes]);

#endif
