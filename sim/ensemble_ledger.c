#include "sim/ensemble_ledger.h"

#include "base/bytes.h"
#include "server/keeper/quorum_peer.h"

#include <stdlib.h>
#include <string.h>

enum { entry_zxid_offset = 12 }; /* Behind the session and its number. */

#define WRONG(ledger, ...) sim_workload_wrong((ledger)->result, (ledger)->sim, __VA_ARGS__)

void ensemble_ledger_init(struct ensemble_ledger *ledger, struct sim *sim,
                          struct sim_workload_result *result, uint32_t voter_count)
{
    *ledger = (struct ensemble_ledger){.sim = sim, .result = result, .voter_count = voter_count};
    ledger->entries = heap_take(&sim->heap, ensemble_entry_count_max * sizeof *ledger->entries);
    assert(ledger->entries != NULL);
    ledger->entries[0] = (struct ensemble_entry){.before = -1, .is_committed = true};
    ledger->count = 1;
}

static uint64_t hash_of(struct slice bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t at = 0; at < bytes.size; at++)
        hash = (hash ^ bytes.data[at]) * UINT64_C(0x100000001b3);
    return hash == 0 ? 1 : hash;
}

/* ---- entries ---- */

/* Of the first entry that is not below zxid. */
static uint32_t place_of(const struct ensemble_ledger *ledger, int64_t zxid)
{
    uint32_t low = 0;
    uint32_t high = ledger->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (ledger->entries[middle].zxid < zxid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct ensemble_entry *entry_of(struct ensemble_ledger *ledger, int64_t zxid)
{
    const uint32_t place = place_of(ledger, zxid);
    struct ensemble_entry *entry = &ledger->entries[place];
    if (place < ledger->count && entry->zxid == zxid)
        return entry;
    assert(ledger->count < ensemble_entry_count_max);
    memmove(entry + 1, entry, (ledger->count - place) * sizeof *entry);
    ledger->count++;
    *entry = (struct ensemble_entry){.zxid = zxid,
                                     .before = (uint32_t)zxid > 1 ? zxid - 1 : INT64_C(-1)};
    return entry;
}

static void note_txn(struct ensemble_ledger *ledger, uint32_t index, int64_t before,
                     const struct txn_cache_entry *txn)
{
    struct ensemble_entry *entry = entry_of(ledger, txn->zxid);
    const uint64_t hash = hash_of(txn->bytes);
    if (entry->before == -1)
        entry->before = before;
    if (entry->hash == 0)
        entry->hash = hash;
    if (entry->before != before)
        WRONG(ledger, "node%u applies %llx behind %llx, another did behind %llx", index,
              (unsigned long long)txn->zxid, (unsigned long long)before,
              (unsigned long long)entry->before);
    else if (entry->hash != hash)
        WRONG(ledger, "node%u applies another transaction %llx than others", index,
              (unsigned long long)txn->zxid);
}

/* All that was applied since we looked last. */
static void follow(struct ensemble_ledger *ledger, uint32_t index,
                   const struct keeper_server *server)
{
    const int64_t zxid = server->keeper.zxid_applied;
    const struct ensemble_view *view = &ledger->views[index];
    struct txn_cache_entry txn;
    int64_t at = view->zxid;
    if (zxid < at || at < server->cache.zxid_before)
        at = server->cache.zxid_before;
    while (at < zxid && txn_cache_next(&server->cache, at, &txn)) {
        note_txn(ledger, index, at, &txn);
        at = txn.zxid;
    }
    (void)entry_of(ledger, zxid);
}

/* Of a server that serves: before that, a snapshot of its leader may contain more than its zxid. */
static void judge_tree(struct ensemble_ledger *ledger, uint32_t index,
                       const struct keeper_server *server)
{
    const int64_t zxid = server->keeper.zxid_applied;
    struct ensemble_entry *entry = entry_of(ledger, zxid);
    if (!entry->has_digest)
        entry->digest = server->keeper.tree.digest;
    entry->has_digest = true;
    if (entry->digest != server->keeper.tree.digest)
        WRONG(ledger, "node%u has another tree at %llx than others", index,
              (unsigned long long)zxid);
}

/* ---- disks ---- */

static struct sim_inode *find_durable(struct sim_inode *folder, const char *name)
{
    if (folder == NULL)
        return NULL;
    list_each (link, &folder->durable_entries) {
        struct sim_entry *entry = CONTAINER_OF(link, struct sim_entry, link);
        if (strcmp(entry->name, name) == 0)
            return entry->inode;
    }
    return NULL;
}

/* The log where zxid belongs. */
static struct sim_inode *find_log(const struct sim_disk *disk, int64_t zxid)
{
    struct sim_inode *folder = find_durable(find_durable(disk->root, "keeper"), "version-2");
    struct sim_inode *found = NULL;
    int64_t found_zxid = -1;
    if (folder == NULL)
        return NULL;
    list_each (link, &folder->durable_entries) {
        struct sim_entry *entry = CONTAINER_OF(link, struct sim_entry, link);
        if (strncmp(entry->name, "log.", 4) != 0)
            continue;
        const int64_t base = (int64_t)strtoull(entry->name + 4, NULL, 16);
        if (base <= zxid && base > found_zxid) {
            found = entry->inode;
            found_zxid = base;
        }
    }
    return found;
}

static bool contains(const struct sim_bytes *bytes, struct slice part)
{
    uint64_t at = 0;
    while (at + part.size <= bytes->size) {
        const uint8_t *found =
            memchr(bytes->data + at, part.data[0], (size_t)(bytes->size - at - part.size + 1));
        if (found == NULL)
            return false;
        if (memcmp(found, part.data, part.size) == 0)
            return true;
        at = (uint64_t)(found - bytes->data) + 1;
    }
    return false;
}

/* A snapshot that contains it. */
static bool has_snapshot(const struct sim_disk *disk, int64_t zxid)
{
    struct sim_inode *folder = find_durable(find_durable(disk->root, "keeper"), "version-2");
    if (folder == NULL)
        return false;
    list_each (link, &folder->durable_entries) {
        struct sim_entry *entry = CONTAINER_OF(link, struct sim_entry, link);
        if (strncmp(entry->name, "snapshot.", 9) == 0 &&
            (int64_t)strtoull(entry->name + 9, NULL, 16) >= zxid)
            return true;
    }
    return false;
}

static uint32_t count_durable(const struct ensemble_ledger *ledger,
                              const struct txn_cache_entry *txn)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < ledger->voter_count; index++) {
        const struct sim_disk *disk = &ledger->sim->nodes[index]->disk;
        const struct sim_inode *log = find_log(disk, txn->zxid);
        count +=
            (log != NULL && contains(&log->durable, txn->bytes)) || has_snapshot(disk, txn->zxid);
    }
    return count;
}

static void judge_quorum(struct ensemble_ledger *ledger, const struct txn_cache_entry *txn,
                         const char *what)
{
    const uint32_t count = count_durable(ledger, txn);
    if (count <= ledger->voter_count / 2)
        WRONG(ledger, "%s %llx, which is durable on %u of %u servers", what,
              (unsigned long long)txn->zxid, count, ledger->voter_count);
}

/* What is proposed in an epoch, when the first server that serves has applied it. */
static void judge_new(struct ensemble_ledger *ledger, const struct keeper_server *server)
{
    struct txn_cache_entry txn;
    int64_t at = max_i64(ledger->zxid_committed, server->peer->epoch << 32);
    while (at < server->keeper.zxid_applied && txn_cache_next(&server->cache, at, &txn)) {
        at = txn.zxid;
        judge_quorum(ledger, &txn, "somebody applies");
    }
}

/* ---- what is committed ---- */

/* An old one. Behind a gap in what we know, anything may lie. */
static bool was_committed(struct ensemble_ledger *ledger, int64_t zxid)
{
    uint32_t place = place_of(ledger, zxid);
    if (place < ledger->count && ledger->entries[place].zxid == zxid &&
        ledger->entries[place].is_committed)
        return true;
    while (place < ledger->count && !ledger->entries[place].is_committed)
        place++;
    return place < ledger->count && ledger->entries[place].before == -1;
}

static void commit(struct ensemble_ledger *ledger, uint32_t index, int64_t zxid)
{
    int64_t at = zxid;
    if (zxid <= ledger->zxid_committed) {
        if (!was_committed(ledger, zxid))
            WRONG(ledger, "node%u serves what was never committed: %llx", index,
                  (unsigned long long)zxid);
        return;
    }
    while (at > ledger->zxid_committed) {
        struct ensemble_entry *entry = entry_of(ledger, at);
        entry->is_committed = true;
        at = entry->before == -1 ? ledger->zxid_committed : entry->before;
    }
    if (at != ledger->zxid_committed)
        WRONG(ledger, "node%u serves %llx, whose history does not have %llx, which was committed",
              index, (unsigned long long)zxid, (unsigned long long)ledger->zxid_committed);
    ledger->zxid_committed = zxid;
}

/* The last transaction in a log as a power loss would leave it; 0: none. */
static int64_t last_durable(const struct sim_inode *log)
{
    struct slice rest = slice_of(log->durable.data, (size_t)log->durable.size);
    struct slice entry;
    size_t size;
    int64_t zxid = 0;
    if (rest.size < txn_file_header_bytes)
        return 0;
    rest = slice_skip(rest, txn_file_header_bytes);
    while (txn_codec_read_record(rest, &entry, &size) == TXN_RECORD_OK) {
        zxid = load_i64(entry.data + entry_zxid_offset);
        rest = slice_skip(rest, size);
    }
    return zxid;
}

/* What was cut off is on the disk no more. */
static void judge_cut_disk(struct ensemble_ledger *ledger, uint32_t index,
                           const struct keeper_server *server)
{
    const struct sim_inode *log =
        find_log(&ledger->sim->nodes[index]->disk, server->keeper.zxid_applied);
    const int64_t zxid = log == NULL ? 0 : last_durable(log);
    if (list_empty(&server->writes) && zxid > server->keeper.zxid_applied)
        WRONG(ledger, "node%u cuts back to %llx, and its disk goes on to %llx", index,
              (unsigned long long)server->keeper.zxid_applied, (unsigned long long)zxid);
}

/* Behind the learner's own end nothing was committed that it knows of; what its leader's epoch
 * committed meanwhile, others have. */
static void judge_cut(struct ensemble_ledger *ledger, uint32_t index,
                      const struct keeper_server *server)
{
    int64_t at = ledger->views[index].zxid;
    while (at > 0 && !entry_of(ledger, at)->is_committed)
        at = entry_of(ledger, at)->before;
    if (at > server->keeper.zxid_applied &&
        at >> 32 < server->peer->epochs.values[EPOCH_FILE_ACCEPTED])
        WRONG(ledger, "node%u cuts back to %llx, behind %llx, which was committed", index,
              (unsigned long long)server->keeper.zxid_applied, (unsigned long long)at);
}

/* ---- what servers say of each other ---- */

/* Why a role or a link may end although all servers are in the right: the world's faults, and what
 * the protocol provides for servers that differ. */
static bool is_no_fault(const char *reason)
{
    static const char *const reasons[] = {
        "the link to the leader is lost",
        "the leader is silent",
        "the leader was not reached",
        "the leader's epoch is older than one that was accepted",
        "the leader's snapshot does not go on",
        "its history could not be made ours",
        "the quorum of learners is lost",
        "no quorum has come along in time",
        "its epoch is full",
        "a member has accepted a later epoch",
        "it has accepted a later epoch than ours",
        "it knows more than we do",
        "it has connected anew",
        "it does not acknowledge proposals in time",
        "it is silent",
        "no memory",
        "the peer ",
        "the connection",
        "the other side is gone",
        "idle for too long",
        "no whole request in time",
    };
    for (size_t at = 0; at < ARRAY_COUNT(reasons); at++)
        if (strncmp(reason, reasons[at], strlen(reasons[at])) == 0)
            return true;
    return false;
}

/* Of a learner that its leader is lost to, and of a leader that a learner is. */
static void judge_lines(struct ensemble_ledger *ledger)
{
    static const char *const marks[] = {" no longer: ", " is gone: "};
    const struct sim *sim = ledger->sim;
    for (; ledger->line_count < sim->last_line_count; ledger->line_count++) {
        const char *line = sim->last_lines[ledger->line_count % ARRAY_COUNT(sim->last_lines)];
        for (size_t at = 0; at < ARRAY_COUNT(marks); at++) {
            const char *reason = strstr(line, marks[at]);
            if (reason != NULL && !is_no_fault(reason + strlen(marks[at])))
                WRONG(ledger, "a server finds fault with another one: %s", line);
        }
    }
}

/* ---- roles ---- */

static int64_t durable_epoch(const struct ensemble_ledger *ledger, uint32_t index, const char *path)
{
    const struct slice text = sim_disk_peek_durable(&ledger->sim->nodes[index]->disk, path);
    char digits[16] = {0};
    if (text.size > 0)
        memcpy(digits, text.data, min_size(text.size, sizeof digits - 1));
    return strtoll(digits, NULL, 10);
}

static void judge_epoch(struct ensemble_ledger *ledger, uint32_t index, int64_t epoch,
                        const char *path)
{
    uint32_t count = 0;
    for (uint32_t other = 0; other < ledger->voter_count; other++)
        count += durable_epoch(ledger, other, path) >= epoch;
    if (count <= ledger->voter_count / 2)
        WRONG(ledger, "node%u leads on to epoch %lld, which is in %s of %u of %u servers", index,
              (long long)epoch, path, count, ledger->voter_count);
}

static void judge_acceptance(struct ensemble_ledger *ledger, uint32_t index,
                             const struct keeper_server *server)
{
    struct ensemble_view *view = &ledger->views[index];
    const struct zab *zab = &server->peer->zab;
    if (server->peer->phase != QUORUM_PEER_LEADING || zab->role != ZAB_ROLE_LEADER ||
        zab->leader.phase < ZAB_LEADER_SYNCHRONISATION || view->accepted_epoch == zab->leader.epoch)
        return;
    view->accepted_epoch = zab->leader.epoch;
    judge_epoch(ledger, index, view->accepted_epoch, "/keeper/version-2/acceptedEpoch");
}

static void judge_leader(struct ensemble_ledger *ledger, uint32_t index,
                         const struct keeper_server *server)
{
    struct ensemble_view *view = &ledger->views[index];
    const int64_t epoch = server->peer->epoch;
    assert(epoch > 0 && epoch < ensemble_epoch_count_max);
    if (view->led_epoch == epoch)
        return;
    if (ledger->leaders[epoch] != 0)
        WRONG(ledger, "node%u leads epoch %lld, as node%u did", index, (long long)epoch,
              ledger->leaders[epoch] - 1);
    ledger->leaders[epoch] = index + 1;
    view->led_epoch = epoch;
    judge_epoch(ledger, index, epoch, "/keeper/version-2/currentEpoch");
    struct txn_cache_entry txn;
    const int64_t zxid = server->keeper.zxid_applied;
    if (txn_cache_next(&server->cache, zxid - 1, &txn) && txn.zxid == zxid)
        judge_quorum(ledger, &txn, "an epoch begins with");
    if (server->keeper.zxid_applied < ledger->zxid_committed)
        WRONG(ledger, "node%u leads epoch %lld with %llx, but %llx is committed", index,
              (long long)epoch, (unsigned long long)server->keeper.zxid_applied,
              (unsigned long long)ledger->zxid_committed);
}

static void judge_epochs(struct ensemble_ledger *ledger, uint32_t index,
                         const struct keeper_server *server)
{
    for (int kind = 0; kind < 2; kind++) {
        int64_t *latest = &ledger->views[index].epochs[kind];
        const int64_t epoch = server->peer->epochs.values[kind];
        if (epoch < *latest)
            WRONG(ledger, "node%u's %s epoch goes from %lld to %lld", index,
                  kind == EPOCH_FILE_ACCEPTED ? "accepted" : "current", (long long)*latest,
                  (long long)epoch);
        *latest = epoch;
    }
}

void ensemble_ledger_look(struct ensemble_ledger *ledger, uint32_t index,
                          const struct keeper_server *server)
{
    struct ensemble_view *view = &ledger->views[index];
    const uint32_t incarnation = ledger->sim->nodes[index]->incarnation;
    const int64_t zxid = server->keeper.zxid_applied;
    const bool serves = server->is_serving && server->role != KEEPER_LOOKING;
    if (server->is_replacing || server->phase != KEEPER_SERVER_SERVING)
        return;
    if (incarnation != view->incarnation) {
        view->incarnation = incarnation;
        view->zxid = -1;
        view->led_epoch = 0;
        view->accepted_epoch = 0;
    }
    judge_epochs(ledger, index, server);
    judge_acceptance(ledger, index, server);
    judge_lines(ledger);
    if (zxid < view->zxid) {
        judge_cut(ledger, index, server);
        judge_cut_disk(ledger, index, server);
    }
    if (serves && server->role == KEEPER_LEADER)
        judge_leader(ledger, index, server);
    if (zxid != view->zxid)
        follow(ledger, index, server);
    if (serves && (zxid != view->zxid || !view->serves))
        judge_tree(ledger, index, server);
    view->zxid = zxid;
    view->serves = serves;
    if (serves && zxid != ledger->zxid_committed) {
        judge_new(ledger, server);
        commit(ledger, index, zxid);
    }
}
