/* Damage to a keeper's files, enumerated: each byte of them flipped, each length they can be cut
 * to, each file and each record missing. For every case the verdict is known before the server
 * starts: it serves exactly the state after some transaction, or it refuses and names the file.
 *
 * The journal:  log.5 [5..24]  log.19 [25..44]  log.2d [45..64 zeros]
 * Snapshots are plain, or packed by either method. Some lists of access name schemes of which this
 * server knows nothing: others wrote them.
 * The mark is at 64 (all is acknowledged), at 54, or missing, as in a directory of Apache's.
 */
#include "server/keeper/keeper_server.h"
#include "test/keeper_driver.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "keeper/snapshot_writer.h"
#include "server/keeper/snapshot_packer.h"
#include "sim/sim_node.h"

#include <malloc.h>
#include <snappy-c.h>

enum {
    file_bytes_max = 1 << 16,
    file_count = 9,
    zxid_first = 5,
    zxid_end = 65,
    zxids_per_file = 20,
    padding_bytes = 300,
    refused = -1,
    no_mark = 0,
    all_marked = zxid_end - 1,
    half_marked = 54,
};

enum file_index {
    LOG_5,
    LOG_19,
    LOG_2D,
    SNAPSHOT_4,
    SNAPSHOT_18,
    SNAPSHOT_2C,
    ACKNOWLEDGED,
    SNAPSHOT_2C_GZIP,
    SNAPSHOT_2C_SNAPPY,
};

static const char *const file_names[file_count] = {
    "log.5",       "log.19",       "log.2d",         "snapshot.4",        "snapshot.18",
    "snapshot.2c", "acknowledged", "snapshot.2c.gz", "snapshot.2c.snappy"};

struct file {
    bool is_there;
    size_t size;
    uint8_t bytes[file_bytes_max];
};

/* A directory as it goes to the disk. */
struct folder {
    struct file files[file_count];
};

struct built {
    struct folder folder;
    size_t record_at[zxid_end]; /* In its file. */
    size_t record_size[zxid_end];
    uint64_t digest[zxid_end]; /* Of the tree after it, */
    uint64_t access[zxid_end]; /* and of all lists of access, of which that one tells nothing. */
    int32_t session_count[zxid_end];
    uint64_t znode_count[zxid_end];
};

static struct built built;
static struct folder folder; /* Of the case at hand. */

static int file_of_zxid(int64_t zxid)
{
    return (int)((zxid - zxid_first) / zxids_per_file);
}

/* ---- building ---- */

static void append(struct file *file, const void *bytes, size_t size)
{
    assert_true(file->size + size <= sizeof file->bytes);
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
    file->is_there = true;
}

static void write_snapshot(struct keeper *keeper, struct file *file)
{
    struct snapshot_writer writer;
    size_t size = 1;
    assert_int_equal(ERR_OK, snapshot_writer_init(&writer, keeper));
    while (size > 0) {
        assert_int_equal(ERR_OK, snapshot_writer_next(&writer, file->bytes + file->size,
                                                      sizeof file->bytes - file->size, &size));
        file->size += size;
    }
    file->is_there = true;
    snapshot_writer_deinit(&writer);
}

static void pack_snapshot(struct file *file, enum recovery_compression method,
                          const struct file *plain)
{
    struct heap heap;
    struct snapshot_packer packer;
    struct slice input = slice_of(plain->bytes, plain->size);
    heap_init(&heap, (struct heap_options){.limit_bytes = 4 << 20});
    assert_int_equal(ERR_OK, snapshot_packer_init(&packer, &heap, method));
    while (!packer.is_done) {
        size_t size;
        snapshot_packer_next(&packer, &input, true, file->bytes + file->size,
                             sizeof file->bytes - file->size, &size);
        file->size += size;
    }
    snapshot_packer_deinit(&packer);
}

static uint64_t access_of(const struct keeper *keeper)
{
    const struct znode *root = tree_find(&keeper->tree, SLICE_LITERAL("/"));
    uint64_t sum = 0;
    for (const struct znode *at = root; at != NULL; at = tree_next_below(&keeper->tree, at, root)) {
        const struct acl_list list = tree_acl(&keeper->tree, at)->list;
        uint64_t hash = hash_bytes(tree_name(at), 1);
        for (int32_t index = 0; index < list.count; index++) {
            hash = hash_u64((uint32_t)list.items[index].perms, hash);
            hash = hash_bytes(list.items[index].id.scheme, hash);
            hash = hash_bytes(list.items[index].id.id, hash);
        }
        sum += hash;
    }
    return sum;
}

static void note_state(const struct keeper *keeper)
{
    const int64_t zxid = keeper->zxid_applied;
    built.digest[zxid] = keeper->tree.digest;
    built.access[zxid] = access_of(keeper);
    built.session_count[zxid] = (int32_t)keeper->sessions.by_id.count;
    built.znode_count[zxid] = keeper->tree.by_path.count;
}

/* Runs before the entry is applied. */
static void on_entry(struct driver *driver, struct slice entry)
{
    uint8_t record[4096];
    const int64_t zxid = driver->keeper.zxid_applied + 1;
    if (zxid > zxid_end)
        return;
    note_state(&driver->keeper);
    if (zxid == zxid_end)
        return;
    if (zxid == 25)
        write_snapshot(&driver->keeper, &built.folder.files[SNAPSHOT_18]);
    if (zxid == 45)
        write_snapshot(&driver->keeper, &built.folder.files[SNAPSHOT_2C]);
    struct file *file = &built.folder.files[file_of_zxid(zxid)];
    if (file->size == 0) {
        txn_codec_encode_file_header(file->bytes);
        file->size = txn_file_header_bytes;
    }
    assert_true(entry.size + 16 < sizeof record);
    memcpy(record + txn_record_head_bytes, entry.data, entry.size);
    txn_codec_seal_record(record, entry.size);
    built.record_at[zxid] = file->size;
    built.record_size[zxid] = txn_record_head_bytes + entry.size + txn_record_tail_bytes;
    append(file, record, built.record_size[zxid]);
}

#define ID(scheme, id)                                                                             \
    {                                                                                              \
        SLICE_LITERAL(scheme), SLICE_LITERAL(id)                                                   \
    }
static const struct zk_acl foreign_acl[] = {
    {ACL_ALL, ID("x509", "CN=ada,OU=keeper,O=rookery")},
    {ACL_READ | ACL_WRITE, ID("sasl", "ada/host.example@EXAMPLE.ORG")},
    {ACL_READ, ID("world", "anyone")},
};

/* As a server with such schemes writes it: here nobody could ask for them. */
static void set_foreign_acl(struct driver *driver, int client, const char *path,
                            struct acl_list list)
{
    struct zk_set_acl_request request = {.path = slice_from_text(path), .version = -1};
    request.acl.items = (struct zk_acl *)(uintptr_t)driver_open_acl;
    request.acl.count = 1;
    assert_int_equal(driver->queue_count, 0);
    assert_int_equal(driver_prepare(driver, client, OP_SET_ACL, &zk_set_acl_request_wire, &request),
                     CODE_OK);
    const int slot = driver->queue_first;
    struct slice entry;
    size_t size;
    struct txn txn;
    assert_int_equal(txn_codec_read_record(slice_of(driver->queue[slot], driver->queue_bytes[slot]),
                                           &entry, &size),
                     TXN_RECORD_OK);
    assert_int_equal(
        txn_codec_decode_entry(arena_copy(&driver->arena, entry), &driver->arena, &txn), ERR_OK);
    txn.op.acl = list;
    test_free(driver->queue[slot]);
    driver->queue_bytes[slot] = txn_codec_record_bytes(&txn);
    driver->queue[slot] = test_malloc(driver->queue_bytes[slot]);
    txn_codec_encode_record(&txn, driver->queue[slot]);
    assert_int_equal(driver_apply(driver), CODE_OK);
}

/* In turn: the first, the second, all of them. */
static void take_access_step(struct driver *driver, int client, int round)
{
    char path[32];
    snprintf(path, sizeof path, "/n%d", round * 10);
    const struct zk_acl *first = &foreign_acl[round % 3 % 2];
    const int32_t count = round % 3 == 2 ? ARRAY_COUNT(foreign_acl) : 1;
    set_foreign_acl(driver, client, path,
                    (struct acl_list){(struct zk_acl *)(uintptr_t)first, count});
}

/* One transaction of each kind in turn; the last step of ten makes two. */
static void take_step(struct driver *driver, int step)
{
    char path[32];
    const int client = step % driver_connection_count;
    snprintf(path, sizeof path, "/n%d", step % 10 < 4 ? step : step - step % 10 + 1);
    switch (step % 10) {
    case 0:
    case 1: driver_create(driver, client, path, 0); break;
    case 2: driver_create(driver, client, path, 1); break;
    case 3: driver_create(driver, client, path, 4); break;
    case 4: driver_set(driver, client, path, "other data", -1); break;
    case 5: take_access_step(driver, client, step / 10); break;
    case 6: driver_delete(driver, client, path, 7); break; /* Refused: a wrong version. */
    case 7: {
        struct driver_multi multi = driver_multi_begin(driver);
        driver_multi_create(&multi, OP_CREATE, "/m", 2);
        driver_multi_set(&multi, path, -1);
        driver_multi_write(&multi, client);
        break;
    }
    case 8: driver_delete(driver, client, path, -1); break;
    default:
        driver_close(driver, client);
        keeper_connection_deinit(&driver->keeper, &driver->clients[client].connection);
        driver_connect(driver, client);
        break;
    }
}

static void make_mark(struct file *file, int64_t zxid)
{
    uint8_t slot[32] = {0};
    store_u64(slot, UINT64_C(0x524b41434b4d4152));
    store_u64(slot + 16, 1);
    store_i64(slot + 24, zxid);
    store_u32(slot + 8, checksum_crc32c(0, slice_of(slot + 12, 20)));
    file->size = 0;
    append(file, slot, sizeof slot);
}

static int build(void **state)
{
    (void)state;
    static const uint8_t zeros[padding_bytes];
    static struct driver driver;
    driver_init(&driver, driver_options());
    driver.on_entry = on_entry;
    write_snapshot(&driver.keeper, &built.folder.files[SNAPSHOT_4]);
    for (int step = 0; driver.keeper.zxid_applied < zxid_end; step++) {
        arena_reset(&driver.arena);
        take_step(&driver, step);
    }
    driver_deinit(&driver);
    for (int index = LOG_5; index <= LOG_2D; index++)
        append(&built.folder.files[index], zeros, sizeof zeros);
    const struct file *plain = &built.folder.files[SNAPSHOT_2C];
    pack_snapshot(&built.folder.files[SNAPSHOT_2C_GZIP], RECOVERY_GZIP, plain);
    pack_snapshot(&built.folder.files[SNAPSHOT_2C_SNAPPY], RECOVERY_SNAPPY, plain);
    return 0;
}

/* ---- a server on the folder ---- */

struct listener {
    struct diag diag;
    char text[4096];
};

static void on_line(struct diag *diag, enum diag_level level, struct slice line)
{
    struct listener *listener = CONTAINER_OF(diag, struct listener, diag);
    const size_t used = strlen(listener->text);
    (void)level;
    snprintf(listener->text + used, sizeof listener->text - used, "%" SLICE_FORMAT "\n",
             SLICE_ARGS(line));
}

static struct listener listener;
static struct sim sim;

static void put_file(struct io *io, const char *path, const struct file *file)
{
    struct iovec vector = {(void *)(uintptr_t)file->bytes, file->size};
    struct io_op op = {.kind = IO_OPEN, .handle = io_handle_none};
    op.path.path = path;
    op.path.flags = IO_OPEN_WRITE | IO_OPEN_CREATE;
    const int64_t handle = io_wait(io, &op);
    assert_true(handle >= 0);
    op = (struct io_op){.kind = IO_WRITE, .handle = (int32_t)handle};
    op.write.vectors = &vector;
    op.write.vector_count = 1;
    if (file->size > 0)
        assert_int_equal(io_wait(io, &op), file->size);
    op = (struct io_op){.kind = IO_CLOSE, .handle = (int32_t)handle};
    assert_int_equal(io_wait(io, &op), 0);
}

static void make_directory(struct io *io, const char *path)
{
    struct io_op op = {.kind = IO_MKDIR, .handle = io_handle_none};
    op.path.path = path;
    const int64_t made = io_wait(io, &op);
    assert_true(made >= 0);
}

static void put_folder(struct io *io)
{
    char path[64];
    make_directory(io, "/data");
    make_directory(io, "/data/version-2");
    for (int index = 0; index < file_count; index++) {
        if (!folder.files[index].is_there)
            continue;
        snprintf(path, sizeof path, "/data/version-2/%s", file_names[index]);
        put_file(io, path, &folder.files[index]);
    }
}

static void start_world(void)
{
    sim_init(&sim, (struct sim_options){.seed = 1, .node_count = 1});
    listener = (struct listener){.diag = {.write = on_line, .level_min = DIAG_WARN}};
}

static struct keeper_server *start_server(struct sim_node *node, struct shard *shard,
                                          const char *more, enum err *err)
{
    static struct keeper_config config;
    char text[512];
    snprintf(text, sizeof text,
             "dataDir=/data\nclientPort=2181\ntickTime=2000\ndisk.reserveMb=0\n"
             "clientPortAddress=127.0.0.1\nmemory.limitMb=32\n%s",
             more);
    struct keeper_server *server;
    *shard = (struct shard){
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = &listener.diag};
    assert_int_equal(ERR_OK,
                     keeper_config_load(&config, &node->heap, &listener.diag,
                                        (struct config_source){"zoo.cfg", slice_from_text(text)}));
    *err = keeper_server_start(&server, shard, &config);
    return server;
}

/* The zxid of the state that is served, or refused. Whatever is served is that of built. */
static int64_t serve(uint64_t *mismatch_count)
{
    struct shard shard;
    enum err err;
    start_world();
    put_folder(sim.nodes[0]->io);
    const struct keeper_server *server = start_server(sim.nodes[0], &shard, "", &err);
    int64_t zxid = refused;
    if (err == ERR_OK) {
        const struct keeper *keeper = &server->keeper;
        zxid = keeper->zxid_applied;
        assert_in_range(zxid, 0, zxid_end - 1);
        assert_int_equal(keeper->tree.digest, built.digest[zxid]);
        assert_int_equal(access_of(keeper), built.access[zxid]);
        assert_int_equal(keeper->sessions.by_id.count, built.session_count[zxid]);
        assert_int_equal(keeper->tree.by_path.count, built.znode_count[zxid]);
        if (mismatch_count != NULL)
            *mismatch_count = server->stats.counts.digest_mismatch_count;
    } else {
        assert_int_equal(err, ERR_CORRUPT);
    }
    sim_deinit(&sim);
    return zxid;
}

/* ---- cases ---- */

/* Sound files: all snapshots, or only the oldest, so that the whole journal is read. */
static void lay_out(int64_t mark, bool has_all_snapshots)
{
    folder = built.folder;
    if (!has_all_snapshots)
        folder.files[SNAPSHOT_18].is_there = folder.files[SNAPSHOT_2C].is_there = false;
    if (mark != no_mark)
        make_mark(&folder.files[ACKNOWLEDGED], mark);
}

static void expect(int64_t expected, const char *named, const char *what, int file, size_t offset,
                   int64_t mark)
{
    const int64_t seen = serve(NULL);
    if (seen != expected)
        fail_msg("%s of %s at %zu, mark %d: expected %d, saw %d\n%s", what, file_names[file],
                 offset, (int)mark, (int)expected, (int)seen, listener.text);
    if (expected == refused && strstr(listener.text, named) == NULL)
        fail_msg("%s of %s at %zu, mark %d: does not name it:\n%s", what, file_names[file], offset,
                 (int)mark, listener.text);
}

/* Which transaction lies at an offset of a journal file; 0: none, this is header or padding. */
static int64_t zxid_at(int file, size_t offset)
{
    for (int64_t zxid = zxid_first; zxid < zxid_end; zxid++)
        if (file_of_zxid(zxid) == file && offset >= built.record_at[zxid] &&
            offset < built.record_at[zxid] + built.record_size[zxid])
            return zxid;
    return 0;
}

/* A record that cannot be read: what then is served. */
static int64_t verdict_of_lost(int64_t zxid, int64_t mark)
{
    if (mark != no_mark)
        return zxid > mark ? zxid - 1 : refused;
    return zxid == zxid_end - 1 ? zxid - 1 : refused;
}

static int64_t verdict_of_flip(int file, size_t offset, int64_t mark)
{
    enum { version_end = 8 };
    const int64_t zxid = zxid_at(file, offset);
    if (zxid != 0)
        return verdict_of_lost(zxid, mark);
    /* Nobody reads the database id, nor the padding behind the end. */
    return offset < version_end ? refused : zxid_end - 1;
}

static const int64_t marks[] = {all_marked, half_marked, no_mark};

static void each_byte_of_the_journal(void **state)
{
    (void)state;
    for (int file = LOG_5; file <= LOG_2D; file++) {
        for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
            lay_out(marks[i], false);
            for (size_t offset = 0; offset < folder.files[file].size; offset++) {
                folder.files[file].bytes[offset] ^= (uint8_t)(offset % 255 + 1);
                expect(verdict_of_flip(file, offset, marks[i]), file_names[file], "a flip", file,
                       offset, marks[i]);
                folder.files[file].bytes[offset] = built.folder.files[file].bytes[offset];
            }
        }
    }
}

/* The last transaction that is whole in the first size bytes of the file. */
static int64_t last_within(int file, size_t size)
{
    int64_t last = zxid_first + (int64_t)file * zxids_per_file - 1;
    for (int64_t zxid = last + 1; zxid < zxid_end && file_of_zxid(zxid) == file; zxid++)
        if (built.record_at[zxid] + built.record_size[zxid] <= size)
            last = zxid;
    return last;
}

static void each_length_of_the_journal(void **state)
{
    (void)state;
    for (int file = LOG_5; file <= LOG_2D; file++) {
        for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
            lay_out(marks[i], false);
            for (size_t size = 0; size < built.folder.files[file].size; size++) {
                const int64_t last = last_within(file, size);
                const int64_t whole = zxid_first + (int64_t)(file + 1) * zxids_per_file - 1;
                int64_t expected = last == whole ? zxid_end - 1 : refused;
                if (file == LOG_2D && last >= marks[i])
                    expected = last;
                folder.files[file].size = size;
                expect(expected, "version-2", "a cut", file, size, marks[i]);
            }
        }
    }
}

/* A record vanishes, is there twice, or changes places with the next. */
static void each_record_of_the_journal(void **state)
{
    (void)state;
    for (int64_t zxid = zxid_first; zxid < zxid_end; zxid++) {
        const int file = file_of_zxid(zxid);
        struct file *changed = &folder.files[file];
        const size_t at = built.record_at[zxid];
        const size_t size = built.record_size[zxid];
        for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
            lay_out(marks[i], false);
            memmove(changed->bytes + at, changed->bytes + at + size, changed->size - at - size);
            changed->size -= size;
            expect(verdict_of_lost(zxid, marks[i]), "version-2", "a missing record", file, at,
                   marks[i]);
            lay_out(marks[i], false);
            memset(changed->bytes + at, 0, size);
            expect(verdict_of_lost(zxid, marks[i]), "version-2", "a zeroed record", file, at,
                   marks[i]);
            lay_out(marks[i], false);
            memmove(changed->bytes + at + size, changed->bytes + at, changed->size - at);
            changed->size += size;
            expect(zxid_end - 1, "", "a record twice", file, at, marks[i]);
            if (zxid + 1 == zxid_end || file_of_zxid(zxid + 1) != file)
                continue;
            lay_out(marks[i], false);
            const size_t next_size = built.record_size[zxid + 1];
            memcpy(changed->bytes + at, built.folder.files[file].bytes + at + size, next_size);
            memcpy(changed->bytes + at + next_size, built.folder.files[file].bytes + at, size);
            expect(marks[i] != no_mark && zxid > marks[i] ? zxid - 1 : refused, file_names[file],
                   "an exchange", file, at, marks[i]);
        }
    }
}

static void each_file_missing_or_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        for (int file = LOG_5; file <= LOG_2D; file++) {
            const int64_t expected = file == LOG_2D && marks[i] == no_mark ? 44 : refused;
            lay_out(marks[i], false);
            folder.files[file].is_there = false;
            expect(expected, "version-2", "absence", file, 0, marks[i]);
            folder.files[file].is_there = true;
            folder.files[file].size = 0;
            expect(expected, "version-2", "emptiness", file, 0, marks[i]);
            /* The snapshots bridge a hole in what they hold. */
            lay_out(marks[i], true);
            folder.files[file].is_there = false;
            expect(file == LOG_2D ? expected : zxid_end - 1, "version-2", "absence", file, 1,
                   marks[i]);
        }
        lay_out(marks[i], false);
        folder.files[SNAPSHOT_4].is_there = false;
        expect(refused, "version-2", "absence", SNAPSHOT_4, 0, marks[i]);
        lay_out(marks[i], false);
        folder.files[LOG_5].is_there = folder.files[LOG_19].is_there = false;
        folder.files[LOG_2D].is_there = false;
        expect(marks[i] == no_mark ? 4 : refused, "version-2", "absence", LOG_5, 3, marks[i]);
    }
}

/* An older snapshot and the journal behind it give the same state. */
static void each_byte_and_length_of_a_snapshot(void **state)
{
    (void)state;
    lay_out(all_marked, true);
    struct file *file = &folder.files[SNAPSHOT_2C];
    for (size_t offset = 0; offset < file->size; offset++) {
        file->bytes[offset] ^= (uint8_t)(offset % 255 + 1);
        expect(zxid_end - 1, "", "a flip", SNAPSHOT_2C, offset, all_marked);
        file->bytes[offset] = built.folder.files[SNAPSHOT_2C].bytes[offset];
    }
    for (file->size = 0; file->size < built.folder.files[SNAPSHOT_2C].size; file->size++)
        expect(zxid_end - 1, "", "a cut", SNAPSHOT_2C, file->size, all_marked);
    /* Without an older one there is nothing to start from. */
    lay_out(all_marked, true);
    folder.files[SNAPSHOT_4].is_there = folder.files[SNAPSHOT_18].is_there = false;
    file->bytes[file->size / 2] ^= 1;
    expect(refused, "snapshot.2c", "a flip", SNAPSHOT_2C, file->size / 2, all_marked);
    /* The older one needs files that are gone. */
    lay_out(no_mark, true);
    folder.files[LOG_19].is_there = false;
    file->bytes[file->size / 2] ^= 1;
    expect(refused, "log.2d", "a flip", SNAPSHOT_2C, file->size / 2, no_mark);
}

/* What nobody asks the head of a packed file: when and where it was packed and how hard somebody
 * tried, or by which version of the format, apart from the one that it is compatible with. */
static bool is_told_to_nobody(int file, size_t offset)
{
    enum { time_at = 4, time_end = 10, version_at = 8, version_end = 12 };
    return file == SNAPSHOT_2C_GZIP ? offset >= time_at && offset < time_end
                                    : offset >= version_at && offset < version_end;
}

/* A copy from elsewhere may bring the same bytes, and snappy has no checksum of its own. */
static bool unpacks_alike(int file, size_t offset)
{
    static char plain[file_bytes_max];
    enum { block_at = snappy_head_bytes + snappy_length_bytes };
    const struct file *packed = &folder.files[file];
    const struct file *expected = &built.folder.files[SNAPSHOT_2C];
    size_t size = sizeof plain;
    if (file != SNAPSHOT_2C_SNAPPY || offset < snappy_head_bytes ||
        load_u32(packed->bytes + snappy_head_bytes) != packed->size - block_at)
        return false;
    return snappy_uncompress((const char *)packed->bytes + block_at, packed->size - block_at, plain,
                             &size) == SNAPPY_OK &&
           size == expected->size && memcmp(plain, expected->bytes, size) == 0;
}

static void lay_out_packed(int file, bool is_alone)
{
    lay_out(all_marked, true);
    folder.files[SNAPSHOT_2C].is_there = false;
    folder.files[file].is_there = true;
    if (is_alone)
        folder.files[SNAPSHOT_4].is_there = folder.files[SNAPSHOT_18].is_there = false;
}

/* An older snapshot stands in; without one there is nothing to start from. */
static void each_byte_and_length_of_a_packed_snapshot(void **state)
{
    (void)state;
    for (int file = SNAPSHOT_2C_GZIP; file <= SNAPSHOT_2C_SNAPPY; file++) {
        for (int is_alone = 0; is_alone <= 1; is_alone++) {
            lay_out_packed(file, is_alone);
            struct file *packed = &folder.files[file];
            const size_t size = packed->size;
            expect(zxid_end - 1, "", "nothing", file, 0, all_marked);
            for (size_t offset = 0; offset < size; offset++) {
                const uint8_t flip = (uint8_t)(offset % 255 + 1);
                packed->bytes[offset] ^= flip;
                const bool is_harmless =
                    !is_alone || is_told_to_nobody(file, offset) || unpacks_alike(file, offset);
                expect(is_harmless ? zxid_end - 1 : refused, file_names[file], "a flip", file,
                       offset, all_marked);
                packed->bytes[offset] ^= flip;
            }
            for (packed->size = 0; packed->size < size; packed->size++)
                expect(is_alone ? refused : zxid_end - 1, file_names[file], "a cut", file,
                       packed->size, all_marked);
        }
    }
}

/* Nothing is known to be acknowledged then, which makes the server more careful, not less. */
static void each_byte_and_length_of_the_mark(void **state)
{
    (void)state;
    lay_out(half_marked, false);
    struct file *file = &folder.files[ACKNOWLEDGED];
    const struct file sound = *file;
    for (size_t offset = 0; offset < file->size; offset++) {
        file->bytes[offset] ^= 0xff;
        expect(zxid_end - 1, "", "a flip", ACKNOWLEDGED, offset, half_marked);
        *file = sound;
    }
    for (file->size = 0; file->size < sound.size; file->size++)
        expect(zxid_end - 1, "", "a cut", ACKNOWLEDGED, file->size, half_marked);
}

/* A server that cuts nothing leaves a torn tail and goes on in the next file. */
static void a_torn_tail_that_the_next_file_continues(void **state)
{
    (void)state;
    static const int64_t some_marks[] = {no_mark, 10, 24, half_marked, all_marked};
    const struct file *source = &built.folder.files[LOG_2D];
    for (size_t i = 0; i < ARRAY_COUNT(some_marks); i++) {
        for (size_t size = 1; size < built.record_size[45]; size += 7) {
            lay_out(some_marks[i], false);
            folder.files[LOG_19].size -= padding_bytes;
            append(&folder.files[LOG_19], source->bytes + built.record_at[45], size);
            expect(zxid_end - 1, "", "a tail", LOG_19, size, some_marks[i]);
        }
    }
}

/* Puts digests behind the transactions from 55 on, as Apache's servers do. */
static void make_foreign(int64_t wrong_zxid, size_t *first_at)
{
    struct file *file = &folder.files[LOG_2D];
    const struct file *source = &built.folder.files[LOG_2D];
    file->size = built.record_at[half_marked + 1];
    for (int64_t zxid = half_marked + 1; zxid < zxid_end; zxid++) {
        uint8_t record[4096];
        const size_t size = built.record_size[zxid] - txn_record_head_bytes - txn_record_tail_bytes;
        uint8_t *end = record + txn_record_head_bytes + size;
        memcpy(record, source->bytes + built.record_at[zxid], txn_record_head_bytes + size);
        store_i32(end, 2);
        store_u64(end + 4, built.digest[zxid] + (zxid == wrong_zxid));
        txn_codec_seal_record(record, size + txn_digest_bytes);
        if (zxid == half_marked + 1)
            *first_at = file->size;
        append(file, record,
               txn_record_head_bytes + size + txn_digest_bytes + txn_record_tail_bytes);
    }
}

/* What another server acknowledged behind our mark is not ours to cut. */
static void damage_in_what_another_server_wrote_behind_the_mark(void **state)
{
    (void)state;
    size_t first_at;
    uint64_t mismatch_count = 0;
    lay_out(half_marked, false);
    make_foreign(0, &first_at);
    assert_int_equal(serve(&mismatch_count), zxid_end - 1);
    assert_int_equal(mismatch_count, 0);
    for (size_t offset = first_at; offset < first_at + 600; offset += 5) {
        folder.files[LOG_2D].bytes[offset] ^= 0x10;
        expect(refused, "log.2d", "a flip", LOG_2D, offset, half_marked);
        folder.files[LOG_2D].bytes[offset] ^= 0x10;
    }
}

/* The same for a whole record that is gone: the next one tells whose it was. */
static void a_hole_in_what_another_server_wrote_behind_the_mark(void **state)
{
    (void)state;
    size_t first_at;
    lay_out(half_marked, false);
    make_foreign(0, &first_at);
    struct file *file = &folder.files[LOG_2D];
    const size_t size = built.record_size[half_marked + 1] + txn_digest_bytes;
    memmove(file->bytes + first_at, file->bytes + first_at + size, file->size - first_at - size);
    file->size -= size;
    expect(refused, "log.2d", "a missing record", LOG_2D, first_at, half_marked);
}

static void a_wrong_digest_is_told_and_counted(void **state)
{
    (void)state;
    size_t first_at;
    uint64_t mismatch_count = 0;
    lay_out(half_marked, false);
    make_foreign(60, &first_at);
    assert_int_equal(serve(&mismatch_count), zxid_end - 1);
    assert_int_equal(mismatch_count, 1);
    assert_non_null(strstr(listener.text, "zxid 0x3c"));
}

/* A snapshot that was written while the tree changed, from 44 to 50: it holds parts of what the
 * journal must then have. */
static void a_snapshot_that_is_newer_than_the_journal(void **state)
{
    (void)state;
    for (int64_t zxid = 45; zxid < zxid_end; zxid++) {
        lay_out(no_mark, true);
        struct file *file = &folder.files[SNAPSHOT_2C];
        const size_t digest_at = file->size - 2 * 13 - 8 - 20;
        store_i64(file->bytes + digest_at, 50);
        store_u64(file->bytes + digest_at + 12, built.digest[50]);
        store_u64(file->bytes + digest_at + 20,
                  checksum_adler32(1, slice_of(file->bytes, digest_at + 20)));
        store_u64(file->bytes + file->size - 13,
                  checksum_adler32(1, slice_of(file->bytes, file->size - 13)));
        folder.files[LOG_2D].size = built.record_at[zxid];
        expect(zxid - 1 < 50 ? refused : zxid - 1, "snapshot.2c", "a cut", LOG_2D,
               folder.files[LOG_2D].size, no_mark);
    }
}

/* The server of a folder with something in it that is not as it should be. */
static void expect_refusal(const char *more, const char *misplaced, bool is_directory,
                           const char *named)
{
    struct shard shard;
    enum err err;
    start_world();
    struct io *io = sim.nodes[0]->io;
    put_folder(io);
    make_directory(io, "/journal");
    make_directory(io, "/journal/version-2");
    if (is_directory)
        make_directory(io, misplaced);
    else if (misplaced != NULL)
        put_file(io, misplaced, &built.folder.files[LOG_5]);
    start_server(sim.nodes[0], &shard, more, &err);
    assert_int_not_equal(err, ERR_OK);
    if (strstr(listener.text, named) == NULL)
        fail_msg("does not name %s:\n%s", named, listener.text);
    sim_deinit(&sim);
}

static void files_where_they_do_not_belong(void **state)
{
    (void)state;
    const char *const two = "dataLogDir=/journal\n";
    lay_out(no_mark, true);
    expect_refusal(two, NULL, false, "/data/version-2/log.");
    folder = (struct folder){0};
    expect_refusal(two, "/journal/version-2/snapshot.4", false, "/journal/version-2/snapshot.4");
    lay_out(no_mark, true);
    folder.files[LOG_19].is_there = false;
    expect_refusal("", "/data/version-2/log.19", true, "/data/version-2/log.19");
    expect_refusal("dataDir=/data/version-2/log.5\n", NULL, false, "/data/version-2/log.5");
}

/* The same kinds of damage in every file at random places, several at once: no verdict is known,
 * but what is served is always the state after a transaction that is not before the mark. */
static void damage_in_many_places(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 2000; round++) {
        const int64_t mark = marks[prng_below(&prng, ARRAY_COUNT(marks))];
        lay_out(mark, prng_chance(&prng, 1, 2));
        for (uint64_t count = 1 + prng_below(&prng, 4); count > 0; count--) {
            struct file *file = &folder.files[prng_below(&prng, ACKNOWLEDGED)];
            if (prng_chance(&prng, 1, 8))
                file->size = prng_below(&prng, file->size + 1);
            else if (file->size > 0)
                file->bytes[prng_below(&prng, file->size)] ^= (uint8_t)(1 + prng_below(&prng, 255));
        }
        const int64_t zxid = serve(NULL);
        if (zxid != refused && zxid < mark)
            fail_msg("round %d: serves %d, mark %d", round, (int)zxid, (int)mark);
    }
}

int main(void)
{
    /* Ten thousand servers start and end here: they get the same memory again and again. */
    mallopt(M_MMAP_THRESHOLD, 256 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_of_the_journal),
        cmocka_unit_test(each_length_of_the_journal),
        cmocka_unit_test(each_record_of_the_journal),
        cmocka_unit_test(each_file_missing_or_empty),
        cmocka_unit_test(each_byte_and_length_of_a_snapshot),
        cmocka_unit_test(each_byte_and_length_of_a_packed_snapshot),
        cmocka_unit_test(each_byte_and_length_of_the_mark),
        cmocka_unit_test(a_torn_tail_that_the_next_file_continues),
        cmocka_unit_test(damage_in_what_another_server_wrote_behind_the_mark),
        cmocka_unit_test(a_hole_in_what_another_server_wrote_behind_the_mark),
        cmocka_unit_test(a_wrong_digest_is_told_and_counted),
        cmocka_unit_test(a_snapshot_that_is_newer_than_the_journal),
        cmocka_unit_test(files_where_they_do_not_belong),
        cmocka_unit_test(damage_in_many_places),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}
