#include "keeper/snapshot_reader.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "keeper/path.h"
#include "keeper/quota.h"
#include "keeper/snapshot_writer.h"

enum {
    end_bytes = 5, /* The path "/" behind the last znode. */
    znode_bytes_usual = 256,
    quota_room_bytes_max = 2 << 20,
};

void snapshot_reader_init(struct snapshot_reader *reader, struct keeper *keeper,
                          struct arena *arena, int64_t zxid, int64_t now_ms)
{
    *reader = (struct snapshot_reader){
        .keeper = keeper, .arena = arena, .zxid = zxid, .now_ms = now_ms, .adler = 1};
}

void snapshot_reader_init_stream(struct snapshot_reader *reader, struct keeper *keeper,
                                 struct arena *arena, int64_t zxid, int64_t now_ms)
{
    snapshot_reader_init(reader, keeper, arena, zxid, now_ms);
    reader->is_stream = true;
    reader->phase = SNAPSHOT_READER_SESSION_COUNT;
}

void snapshot_reader_expect(struct snapshot_reader *reader, uint64_t file_bytes)
{
    slab_table_reserve(&reader->keeper->tree.by_path, file_bytes / znode_bytes_usual);
}

void snapshot_reader_deinit(struct snapshot_reader *reader)
{
    if (reader->keeper != NULL)
        heap_give(reader->keeper->heap, reader->carry);
    reader->carry = NULL;
}

static enum err refuse(struct snapshot_reader *reader, enum err err, const char *reason)
{
    reader->reason = reason;
    return err;
}

/* The bytes up to the front of input are read: they count in the seal. */
static void accept(struct snapshot_reader *reader, struct slice *input, size_t size)
{
    reader->adler = checksum_adler32(reader->adler, slice_of(input->data, size));
    reader->offset += size;
    *input = slice_skip(*input, size);
}

/* Decodes a record and accepts its bytes. ERR_TRUNCATED: more bytes are needed. */
static enum err decode(struct snapshot_reader *reader, const struct wire_record *record,
                       struct slice *input, void *out)
{
    arena_reset(reader->arena);
    struct slice rest = *input;
    const enum err err = wire_decode(record, 0, &rest, reader->arena, out);
    if (err == ERR_OK)
        accept(reader, input, input->size - rest.size);
    if (err == ERR_MALFORMED)
        return refuse(reader, err, "a length is impossible");
    if (err == ERR_LIMIT)
        return refuse(reader, ERR_NO_MEMORY, "an access list is too long");
    return err;
}

static enum err read_header(struct snapshot_reader *reader, struct slice *input)
{
    struct zk_snapshot_header header;
    const enum err err = decode(reader, &zk_snapshot_header_wire, input, &header);
    if (err != ERR_OK)
        return err;
    if (header.magic != SNAPSHOT_MAGIC)
        return refuse(reader, ERR_MALFORMED, "not a snapshot: the magic number is wrong");
    if (header.version != snapshot_version)
        return refuse(reader, ERR_UNSUPPORTED, "a snapshot of an unknown version");
    reader->phase = SNAPSHOT_READER_SESSION_COUNT;
    return ERR_OK;
}

static enum err read_count(struct snapshot_reader *reader, struct slice *input,
                           enum snapshot_reader_phase next)
{
    if (input->size < sizeof(int32_t))
        return ERR_TRUNCATED;
    reader->left = load_i32(input->data);
    if (reader->left < 0)
        return refuse(reader, ERR_MALFORMED, "a count is negative");
    accept(reader, input, sizeof(int32_t));
    reader->phase = next;
    return ERR_OK;
}

static enum err read_session(struct snapshot_reader *reader, struct slice *input)
{
    if (reader->left == 0) {
        reader->phase = SNAPSHOT_READER_ACL_COUNT;
        return ERR_OK;
    }
    struct zk_snapshot_session session;
    const enum err err = decode(reader, &zk_snapshot_session_wire, input, &session);
    if (err != ERR_OK)
        return err;
    reader->left--;
    if (session_table_open(&reader->keeper->sessions, session.session_id, session.timeout_ms,
                           reader->now_ms) != ERR_OK)
        return refuse(reader, ERR_NO_MEMORY, "no memory for a session");
    return ERR_OK;
}

static enum err read_acl(struct snapshot_reader *reader, struct slice *input)
{
    if (reader->left == 0) {
        reader->phase = SNAPSHOT_READER_ZNODES;
        return ERR_OK;
    }
    struct zk_snapshot_acl record;
    const enum err err = decode(reader, &zk_snapshot_acl_wire, input, &record);
    if (err != ERR_OK)
        return err;
    reader->left--;
    /* Ids only grow, so there must be room above. */
    if (record.acl_id > INT64_MAX / 2)
        return refuse(reader, ERR_CORRUPT, "the id of an access list is impossible");
    const struct acl_list list = {record.acl.items, record.acl.count < 0 ? 0 : record.acl.count};
    if (acl_table_load(&reader->keeper->tree.acls, record.acl_id, list) != ERR_OK)
        return refuse(reader, ERR_NO_MEMORY, "no memory for an access list");
    return ERR_OK;
}

/* --- znodes --- */

/* The list of that id. One that the file lacks was added while Apache's server wrote it, and replay
 * will set it; until then nobody may do anything. */
static struct acl_entry *acquire_acl(struct tree *tree, int64_t id)
{
    struct acl_entry *entry = acl_table_acquire_id(&tree->acls, id);
    if (entry != NULL)
        return entry;
    const struct zk_acl nothing = {0, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    return acl_table_acquire(&tree->acls, (struct acl_list){&nothing, 1});
}

/* A znode that exists already: built in, or twice in a file that Apache's server wrote while it was
 * deleted and created again. */
static enum err overwrite(struct snapshot_reader *reader, struct znode *znode,
                          const struct zk_snapshot_node *node, struct acl_entry *acl)
{
    struct tree *tree = &reader->keeper->tree;
    enum err err = tree_set_data(tree, znode, node->data);
    if (err == ERR_OK)
        err = tree_set_stat(tree, znode, &node->stat);
    if (err != ERR_OK)
        return err;
    tree_set_acl(tree, znode, acl_table_share(acl));
    tree_changed(tree, znode, znode == tree->root ? SLICE_LITERAL("/") : node->path);
    return ERR_OK;
}

static enum err add_znode(struct snapshot_reader *reader, const struct zk_snapshot_node *node,
                          struct acl_entry *acl)
{
    struct tree *tree = &reader->keeper->tree;
    struct znode *znode = tree_find(tree, node->path);
    if (znode != NULL && tree_owner_id(znode) == node->stat.ephemeral_owner)
        return overwrite(reader, znode, node, acl);
    if (znode == tree->root)
        return refuse(reader, ERR_CORRUPT, "the root has an owner");
    if (znode != NULL)
        tree_delete_subtree(tree, znode);
    struct znode *parent = tree_find(tree, path_parent(node->path));
    if (parent == NULL)
        return refuse(reader, ERR_CORRUPT, "a znode has no parent");
    const struct tree_create_options options = {
        .path = node->path,
        .data = node->data,
        .acl = acl_table_share(acl),
        .stat = &node->stat,
    };
    if (tree_create(tree, parent, &options) != NULL)
        return ERR_OK;
    acl_table_release(&tree->acls, acl);
    return ERR_NO_MEMORY;
}

static enum err load_znode(struct snapshot_reader *reader, const struct zk_snapshot_node *node)
{
    const bool is_root = node->path.data != NULL && node->path.size == 0;
    if (!is_root && (!path_is_sound(node->path) || node->path.size == 1 ||
                     node->path.size > tree_path_bytes_max))
        return refuse(reader, ERR_CORRUPT, "the path of a znode is impossible");
    struct tree *tree = &reader->keeper->tree;
    struct acl_entry *acl = acquire_acl(tree, node->acl_id);
    enum err err = acl == NULL ? ERR_NO_MEMORY : add_znode(reader, node, acl);
    acl_table_release(&tree->acls, acl);
    if (err == ERR_NO_MEMORY)
        return refuse(reader, err, "no memory for a znode");
    reader->znode_count += err == ERR_OK;
    const struct zk_stat_persisted *stat = &node->stat;
    reader->zxid_max = max_i64(reader->zxid_max, max_i64(stat->czxid, stat->mzxid));
    reader->zxid_max = max_i64(reader->zxid_max, stat->pzxid);
    return err;
}

static enum err read_znode(struct snapshot_reader *reader, struct slice *input)
{
    if (input->size < end_bytes)
        return ERR_TRUNCATED;
    if (load_i32(input->data) == 1 && input->data[4] == '/') {
        accept(reader, input, end_bytes);
        reader->phase = SNAPSHOT_READER_SEAL;
        return ERR_OK;
    }
    struct zk_snapshot_node node;
    const uint64_t offset = reader->offset;
    enum err err = decode(reader, &zk_snapshot_node_wire, input, &node);
    if (err == ERR_OK)
        err = load_znode(reader, &node);
    if (err != ERR_OK)
        reader->offset = offset;
    return err;
}

/* --- seals and the parts behind them --- */

static enum err read_seal(struct snapshot_reader *reader, struct slice *input)
{
    if (input->size < snapshot_seal_bytes)
        return ERR_TRUNCATED;
    if (load_u64(input->data) != reader->adler)
        return refuse(reader, ERR_CHECKSUM, "the checksum does not match");
    if (load_i32(input->data + 8) != 1 || input->data[12] != '/')
        return refuse(reader, ERR_MALFORMED, "the end mark is missing");
    accept(reader, input, snapshot_seal_bytes);
    return ERR_OK;
}

static enum err read_digest(struct snapshot_reader *reader, struct slice *input)
{
    reader->digest_zxid = load_i64(input->data);
    /* A digest of no transaction is none. */
    reader->has_digest =
        reader->digest_zxid > 0 && load_i32(input->data + 8) == snapshot_digest_version;
    reader->digest = load_u64(input->data + 12);
    accept(reader, input, snapshot_digest_bytes);
    return read_seal(reader, input);
}

/* Reads what it can; ERR_TRUNCATED: the rest of input needs more bytes. */
static enum err read_all(struct snapshot_reader *reader, struct slice *input)
{
    enum err err = ERR_OK;
    while (err == ERR_OK) {
        switch (reader->phase) {
        case SNAPSHOT_READER_HEADER: err = read_header(reader, input); break;
        case SNAPSHOT_READER_SESSION_COUNT:
            err = read_count(reader, input, SNAPSHOT_READER_SESSIONS);
            break;
        case SNAPSHOT_READER_SESSIONS: err = read_session(reader, input); break;
        case SNAPSHOT_READER_ACL_COUNT:
            err = read_count(reader, input, SNAPSHOT_READER_ACLS);
            break;
        case SNAPSHOT_READER_ACLS: err = read_acl(reader, input); break;
        case SNAPSHOT_READER_ZNODES: err = read_znode(reader, input); break;
        case SNAPSHOT_READER_SEAL:
            if (reader->is_stream)
                return ERR_TRUNCATED; /* What follows is not ours. */
            err = read_seal(reader, input);
            if (err == ERR_OK)
                reader->phase = SNAPSHOT_READER_TAIL;
            break;
        case SNAPSHOT_READER_TAIL: return ERR_TRUNCATED;
        }
    }
    return err;
}

/* Appends to the carry. */
static enum err carry(struct snapshot_reader *reader, struct slice bytes)
{
    const size_t size = reader->carry_size + bytes.size;
    if (size > snapshot_record_bytes_max)
        return refuse(reader, ERR_MALFORMED, "a record is impossibly long");
    if (size > reader->carry_capacity) {
        const size_t capacity = max_size(2 * reader->carry_capacity, size);
        uint8_t *bigger = heap_take(reader->keeper->heap, capacity);
        if (bigger == NULL)
            return refuse(reader, ERR_NO_MEMORY, "no memory for a record");
        if (reader->carry_size > 0)
            memcpy(bigger, reader->carry, reader->carry_size);
        heap_give(reader->keeper->heap, reader->carry);
        reader->carry = bigger;
        reader->carry_capacity = capacity;
    }
    if (bytes.size > 0)
        memcpy(reader->carry + reader->carry_size, bytes.data, bytes.size);
    reader->carry_size = size;
    return ERR_OK;
}

static enum err keep_rest(struct snapshot_reader *reader, struct slice rest)
{
    /* The rest may lie in the carry itself. */
    if (reader->carry_size > 0) {
        memmove(reader->carry, rest.data, rest.size);
        reader->carry_size = rest.size;
        return ERR_OK;
    }
    return carry(reader, rest);
}

enum err snapshot_reader_feed(struct snapshot_reader *reader, struct slice piece)
{
    if (reader->carry_size > 0) {
        const enum err err = carry(reader, piece);
        if (err != ERR_OK)
            return err;
        piece = slice_of(reader->carry, reader->carry_size);
    }
    const enum err err = read_all(reader, &piece);
    return err == ERR_TRUNCATED ? keep_rest(reader, piece) : err;
}

enum err snapshot_reader_feed_stream(struct snapshot_reader *reader, struct slice piece,
                                     size_t *used)
{
    assert(reader->is_stream && !snapshot_reader_is_at_end(reader));
    *used = piece.size;
    const enum err err = snapshot_reader_feed(reader, piece);
    if (err != ERR_OK || !snapshot_reader_is_at_end(reader))
        return err;
    /* What is left over came with this piece: no record was open before it. */
    *used = piece.size - reader->carry_size;
    reader->carry_size = 0;
    return ERR_OK;
}

/* The parts behind the znodes of a file. */
static enum err read_tail(struct snapshot_reader *reader)
{
    enum {
        digest_part = snapshot_digest_bytes + snapshot_seal_bytes,
        zxid_part = snapshot_zxid_bytes + snapshot_seal_bytes,
    };
    struct slice rest = slice_of(reader->carry, reader->carry_size);
    enum err err = ERR_OK;
    if (rest.size == digest_part || rest.size == digest_part + zxid_part)
        err = read_digest(reader, &rest);
    if (err == ERR_OK && rest.size == zxid_part) {
        reader->zxid_told = load_i64(rest.data);
        accept(reader, &rest, snapshot_zxid_bytes);
        err = read_seal(reader, &rest);
    }
    if (err == ERR_OK && rest.size > 0)
        return refuse(reader, ERR_MALFORMED, "there is something behind the end");
    return err;
}

enum err snapshot_reader_finish(struct snapshot_reader *reader)
{
    const enum snapshot_reader_phase last =
        reader->is_stream ? SNAPSHOT_READER_SEAL : SNAPSHOT_READER_TAIL;
    if (reader->phase != last)
        return refuse(reader, ERR_TRUNCATED, "the file ends too early");
    const enum err err = reader->is_stream ? ERR_OK : read_tail(reader);
    if (err != ERR_OK)
        return err;
    acl_table_purge(&reader->keeper->tree.acls);
    arena_reset(reader->arena);
    const size_t room_bytes = min_size(reader->arena->capacity / 2, quota_room_bytes_max);
    uint8_t *room = arena_take(reader->arena, room_bytes);
    if (room == NULL || quota_count_all(&reader->keeper->tree, room, room_bytes) != ERR_OK)
        return refuse(reader, ERR_NO_MEMORY, "no memory for the usage of a quota");
    reader->keeper->zxid_applied = reader->zxid;
    reader->keeper->zxid_prepared = reader->zxid;
    return ERR_OK;
}
