#include "keeper/snapshot_writer.h"

#include "base/assert.h"
#include "base/checksum.h"

/* --- sessions and access lists --- */

static struct zk_snapshot_acl record_of(const struct acl_entry *entry)
{
    struct zk_snapshot_acl record = {.acl_id = entry->id};
    record.acl.items = (struct zk_acl *)(uintptr_t)entry->list.items;
    record.acl.count = entry->list.count;
    return record;
}

static size_t lists_bytes(const struct keeper *keeper)
{
    size_t size = 2 * sizeof(int32_t) + keeper->sessions.by_id.count * 12;
    uint64_t position = 0;
    struct acl_entry *entry = NULL;
    while ((entry = acl_table_next(&keeper->tree.acls, &position, entry)) != NULL) {
        const struct zk_snapshot_acl record = record_of(entry);
        size += wire_size(&zk_snapshot_acl_wire, 0, &record);
    }
    return size;
}

static void encode_sessions(const struct keeper *keeper, struct wire_writer *out)
{
    wire_put_i32(out, (int32_t)keeper->sessions.by_id.count);
    uint64_t position = 0;
    struct session *session = NULL;
    while ((session = session_table_next(&keeper->sessions, &position, session)) != NULL) {
        wire_put_i64(out, session->id);
        wire_put_i32(out, session->timeout_ms);
    }
}

static void encode_acls(const struct keeper *keeper, struct wire_writer *out)
{
    /* The open list is built in. */
    wire_put_i32(out, (int32_t)(keeper->tree.acls.by_id.count - 1));
    uint64_t position = 0;
    struct acl_entry *entry = NULL;
    while ((entry = acl_table_next(&keeper->tree.acls, &position, entry)) != NULL) {
        const struct zk_snapshot_acl record = record_of(entry);
        wire_encode(&zk_snapshot_acl_wire, 0, &record, out);
    }
}

enum err snapshot_writer_init(struct snapshot_writer *writer, struct keeper *keeper)
{
    *writer = (struct snapshot_writer){
        .keeper = keeper,
        .zxid = keeper->zxid_applied,
        .acl_id_last = keeper->tree.acls.id_last,
        .adler = 1,
    };
    const size_t size = lists_bytes(keeper);
    writer->lists = (struct snapshot_block){.bytes = heap_take(keeper->heap, size), .size = size};
    if (writer->lists.bytes == NULL) {
        writer->keeper = NULL;
        return ERR_NO_MEMORY;
    }
    struct wire_writer out = wire_writer_of(writer->lists.bytes, size);
    encode_sessions(keeper, &out);
    encode_acls(keeper, &out);
    assert(out.used == size);
    tree_cursor_open(&keeper->tree, &writer->cursor);
    return ERR_OK;
}

enum err snapshot_writer_init_stream(struct snapshot_writer *writer, struct keeper *keeper)
{
    const enum err err = snapshot_writer_init(writer, keeper);
    writer->is_stream = true;
    writer->phase = SNAPSHOT_WRITER_LISTS;
    return err;
}

void snapshot_writer_hold_tail(struct snapshot_writer *writer)
{
    writer->is_tail_held = true;
    writer->zxid = INT64_MAX; /* Nothing is later than it. */
}

bool snapshot_writer_is_held(const struct snapshot_writer *writer)
{
    return writer->is_tail_held && writer->phase == SNAPSHOT_WRITER_TAIL;
}

void snapshot_writer_release_tail(struct snapshot_writer *writer)
{
    writer->is_tail_held = false;
    writer->zxid = writer->keeper->zxid_applied;
}

void snapshot_writer_deinit(struct snapshot_writer *writer)
{
    if (writer->keeper == NULL)
        return;
    tree_cursor_close(&writer->cursor);
    heap_give(writer->keeper->heap, writer->lists.bytes);
    heap_give(writer->keeper->heap, writer->spill.bytes);
    *writer = (struct snapshot_writer){0};
}

/* --- slices --- */

/* Moves what fits; true: the block is out. */
static bool move_block(struct snapshot_block *block, struct wire_writer *out)
{
    const size_t size = min_size(block->size - block->at, out->capacity - out->used);
    wire_put_bytes(out, slice_of(block->bytes + block->at, size));
    block->at += size;
    return block->at == block->size;
}

static size_t znode_record_bytes(const struct tree *tree, const struct znode *znode)
{
    const size_t path = znode == tree->root ? 0 : tree_path_bytes(tree, znode);
    const size_t data = tree_data(tree, znode).size;
    return 2 * sizeof(int32_t) + path + data + sizeof(int64_t) + tree_stat_disk_bytes;
}

static void encode_znode(const struct snapshot_writer *writer, const struct znode *znode,
                         struct wire_writer *out)
{
    const struct tree *tree = &writer->keeper->tree;
    const struct slice data = tree_data(tree, znode);
    const struct znode_more more = tree_more(tree, znode);
    /* The root is named by an empty string. */
    const size_t path_size = znode == tree->root ? 0 : tree_path_bytes(tree, znode);
    wire_put_i32(out, (int32_t)path_size);
    if (path_size > 0)
        tree_path_write(tree, znode, out->data + out->used);
    out->used += path_size;
    wire_put_i32(out, slice_is_null(data) ? -1 : (int32_t)data.size);
    wire_put_bytes(out, data);
    /* A list that came later is not in this snapshot; the journal will set it. An id that a reader
     * does not know could be mistaken for one that it gives out itself. */
    const int64_t acl_id = tree_acl(tree, znode)->id;
    wire_put_i64(out, acl_id <= writer->acl_id_last ? acl_id : (int64_t)acl_open_id);
    const struct zk_stat_persisted stat = {
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
    wire_encode(&zk_stat_persisted_wire, 0, &stat, out);
}

/* Encodes a record that no slice can hold. ERR_NO_MEMORY. */
static enum err spill(struct snapshot_writer *writer, const struct znode *znode)
{
    const size_t size = znode_record_bytes(&writer->keeper->tree, znode);
    uint8_t *bytes = heap_take(writer->keeper->heap, size);
    if (bytes == NULL)
        return ERR_NO_MEMORY;
    writer->spill = (struct snapshot_block){.bytes = bytes, .size = size};
    struct wire_writer out = wire_writer_of(bytes, size);
    encode_znode(writer, znode, &out);
    return ERR_OK;
}

static bool drain_spill(struct snapshot_writer *writer, struct wire_writer *out)
{
    if (writer->spill.bytes == NULL)
        return true;
    if (!move_block(&writer->spill, out))
        return false;
    heap_give(writer->keeper->heap, writer->spill.bytes);
    writer->spill = (struct snapshot_block){0};
    return true;
}

/* Goes on to the next phase when all znodes are out. */
static enum err write_znodes(struct snapshot_writer *writer, struct wire_writer *out)
{
    while (drain_spill(writer, out)) {
        const struct znode *znode = writer->cursor.next;
        if (znode == NULL) {
            writer->phase = SNAPSHOT_WRITER_TAIL;
            return ERR_OK;
        }
        if (znode->czxid > writer->zxid) {
            tree_cursor_next(&writer->cursor);
            continue;
        }
        const size_t size = znode_record_bytes(&writer->keeper->tree, znode);
        if (size > out->capacity - out->used) {
            if (out->used > 0)
                return ERR_OK; /* The next slice starts with it, as it is then. */
            const enum err err = spill(writer, znode);
            if (err != ERR_OK)
                return err;
        } else {
            encode_znode(writer, znode, out);
        }
        writer->znode_count++;
        tree_cursor_next(&writer->cursor);
    }
    return ERR_OK;
}

static void write_header(struct wire_writer *out)
{
    wire_put_i32(out, SNAPSHOT_MAGIC);
    wire_put_i32(out, snapshot_version);
    wire_put_i64(out, -1);
}

static void write_seal(struct snapshot_writer *writer, struct wire_writer *out, size_t *hashed)
{
    writer->adler =
        checksum_adler32(writer->adler, slice_of(out->data + *hashed, out->used - *hashed));
    *hashed = out->used;
    wire_put_i64(out, writer->adler);
    wire_put_i32(out, 1);
    wire_put_u8(out, '/');
}

/* The end of the znodes and what follows it; false: the slice is too full. */
static bool write_tail(struct snapshot_writer *writer, struct wire_writer *out, size_t *hashed)
{
    enum { end_bytes = 5 };
    const size_t size =
        end_bytes + 3 * snapshot_seal_bytes + snapshot_digest_bytes + snapshot_zxid_bytes;
    if (size > out->capacity - out->used)
        return false;
    const struct keeper *keeper = writer->keeper;
    wire_put_i32(out, 1);
    wire_put_u8(out, '/');
    if (writer->is_stream)
        return true;
    write_seal(writer, out, hashed);
    wire_put_i64(out, writer->is_inexact ? 0 : keeper->zxid_applied);
    wire_put_i32(out, snapshot_digest_version);
    /* Before the first transaction Apache's servers know of no digest. */
    wire_put_i64(out, keeper->zxid_applied == 0 ? 0 : (int64_t)keeper->tree.digest);
    write_seal(writer, out, hashed);
    wire_put_i64(out, keeper->zxid_applied);
    write_seal(writer, out, hashed);
    return true;
}

enum err snapshot_writer_next(struct snapshot_writer *writer, uint8_t *data, size_t capacity,
                              size_t *size)
{
    assert(capacity >= snapshot_slice_bytes_min);
    struct wire_writer out = wire_writer_of(data, capacity);
    size_t hashed = 0; /* Bytes of this slice that the checksum has seen. */
    enum err err = ERR_OK;
    if (writer->phase == SNAPSHOT_WRITER_HEADER) {
        write_header(&out);
        writer->phase = SNAPSHOT_WRITER_LISTS;
    }
    if (writer->phase == SNAPSHOT_WRITER_LISTS && move_block(&writer->lists, &out))
        writer->phase = SNAPSHOT_WRITER_ZNODES;
    if (writer->phase == SNAPSHOT_WRITER_ZNODES)
        err = write_znodes(writer, &out);
    if (err == ERR_OK && writer->phase == SNAPSHOT_WRITER_TAIL && !writer->is_tail_held &&
        write_tail(writer, &out, &hashed))
        writer->phase = SNAPSHOT_WRITER_DONE;
    writer->adler = checksum_adler32(writer->adler, slice_of(out.data + hashed, out.used - hashed));
    writer->bytes += out.used;
    *size = out.used;
    return err;
}
