#include "keeper/recovery.h"

#include "base/assert.h"

#include <stdio.h>

/* A hexadecimal number without sign or prefix that fills the text. */
static bool parse_hex(struct slice text, int64_t *number)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 16)
        return false;
    for (size_t at = 0; at < text.size; at++) {
        const uint8_t digit = text.data[at];
        if (digit >= '0' && digit <= '9')
            value = value << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = value << 4 | (uint64_t)(digit - 'a' + 10);
        else
            return false;
    }
    *number = (int64_t)value;
    return value <= INT64_MAX;
}

static bool cut_suffix(struct slice *text, const char *suffix)
{
    const size_t size = strlen(suffix);
    if (text->size < size || memcmp(text->data + text->size - size, suffix, size) != 0)
        return false;
    text->size -= size;
    return true;
}

struct recovery_file recovery_file_of(struct slice name)
{
    struct recovery_file file = {.kind = RECOVERY_FILE_OTHER};
    const struct slice journal = SLICE_LITERAL("log.");
    const struct slice snapshot = SLICE_LITERAL("snapshot.");
    if (slice_starts_with(name, journal)) {
        if (parse_hex(slice_skip(name, journal.size), &file.zxid))
            file.kind = RECOVERY_FILE_JOURNAL;
    } else if (slice_starts_with(name, snapshot)) {
        struct slice number = slice_skip(name, snapshot.size);
        if (cut_suffix(&number, ".gz"))
            file.compression = RECOVERY_GZIP;
        else if (cut_suffix(&number, ".snappy"))
            file.compression = RECOVERY_SNAPPY;
        if (parse_hex(number, &file.zxid))
            file.kind = RECOVERY_FILE_SNAPSHOT;
    }
    return file;
}

struct slice recovery_file_name(enum recovery_file_kind kind, int64_t zxid,
                                uint8_t out[recovery_name_bytes_max])
{
    assert(kind != RECOVERY_FILE_OTHER);
    const int size =
        snprintf((char *)out, recovery_name_bytes_max, "%s.%llx",
                 kind == RECOVERY_FILE_JOURNAL ? "log" : "snapshot", (unsigned long long)zxid);
    assert(size > 0 && size < recovery_name_bytes_max);
    return slice_of(out, (size_t)size);
}

const char *recovery_suffix(enum recovery_compression compression)
{
    switch (compression) {
    case RECOVERY_PLAIN: return "";
    case RECOVERY_GZIP: return ".gz";
    case RECOVERY_SNAPPY: return ".snappy";
    }
    return "";
}

/* Snapshots come before journal files, the newest first; journal files the oldest first. */
static bool goes_before(const struct recovery_file *a, const struct recovery_file *b)
{
    if (a->kind != b->kind)
        return a->kind == RECOVERY_FILE_SNAPSHOT;
    return a->kind == RECOVERY_FILE_SNAPSHOT ? a->zxid > b->zxid : a->zxid < b->zxid;
}

void recovery_sort(struct recovery_file *files, int32_t count)
{
    /* Directories that nobody purges hold thousands of files, and most listings are nearly in
     * order: Shell's gaps do well on both. */
    for (int32_t gap = count / 2; gap > 0; gap /= 2) {
        for (int32_t index = gap; index < count; index++) {
            const struct recovery_file file = files[index];
            int32_t at = index;
            for (; at >= gap && goes_before(&file, &files[at - gap]); at -= gap)
                files[at] = files[at - gap];
            files[at] = file;
        }
    }
}

bool recovery_snapshot_looks_whole(uint64_t size, struct slice tail)
{
    static const uint8_t mark[] = {0, 0, 0, 1, '/'};
    return size >= 10 && tail.size == sizeof mark && memcmp(tail.data, mark, sizeof mark) == 0;
}

static bool is_unacknowledged(const struct recovery_stop *stop)
{
    return stop->zxid_last >= stop->zxid_synced;
}

/* Without a mark only the end of the last file is taken for torn. */
static enum recovery_verdict judge_torn(const struct recovery_stop *stop)
{
    if (stop->is_continued)
        return RECOVERY_GO_ON;
    const bool is_tail = stop->is_last_file && !stop->is_followed;
    return is_unacknowledged(stop) && (is_tail || stop->knows_synced) ? RECOVERY_CUT
                                                                      : RECOVERY_REFUSE;
}

static enum recovery_verdict judge_empty_file(const struct recovery_stop *stop)
{
    if (!is_unacknowledged(stop))
        return RECOVERY_REFUSE;
    if (stop->is_last_file)
        return RECOVERY_DELETE;
    return stop->knows_synced ? RECOVERY_CUT : RECOVERY_REFUSE;
}

enum recovery_verdict recovery_judge_stop(const struct recovery_stop *stop)
{
    if (stop->is_empty_file)
        return judge_empty_file(stop);
    switch (stop->verdict) {
    case TXN_RECORD_END:
        /* Zeros up to the end are preallocated room; anything behind them was written. */
        if (!stop->rest_is_zero)
            return judge_torn(stop);
        return stop->is_last_file && !is_unacknowledged(stop) ? RECOVERY_REFUSE : RECOVERY_GO_ON;
    case TXN_RECORD_MORE:
    case TXN_RECORD_NO_MARK:
    case TXN_RECORD_CHECKSUM:
    case TXN_RECORD_IMPOSSIBLE: return judge_torn(stop);
    case TXN_RECORD_OK: break;
    }
    assert(stop->verdict != TXN_RECORD_OK);
    return RECOVERY_REFUSE;
}

enum recovery_verdict recovery_judge_hole(const struct recovery_stop *stop)
{
    return stop->knows_synced && is_unacknowledged(stop) ? RECOVERY_CUT : RECOVERY_REFUSE;
}

enum err recovery_check_zxid(int64_t previous_zxid, int64_t zxid)
{
    if (previous_zxid < 0)
        return ERR_OK;
    if (zxid == previous_zxid)
        return ERR_EXISTS;
    const bool starts_epoch = zxid >> 32 > previous_zxid >> 32 && (uint32_t)zxid == 1;
    return zxid == previous_zxid + 1 || starts_epoch ? ERR_OK : ERR_CORRUPT;
}

enum recovery_verdict recovery_judge_empty(const struct recovery_empty *empty)
{
    if (empty->has_snapshots)
        return RECOVERY_REFUSE;
    return empty->has_records && !empty->trust_empty_snapshot ? RECOVERY_REFUSE : RECOVERY_GO_ON;
}
