/* Finding a place in a partition's files when memory does not know it: through the index files,
 * then along the batch headers, with small reads that never hold up the loop.
 *
 *   read    offset    -> offset index -> headers -> an open handle -> done
 *   lookup  timestamp -> time index -> offset index -> headers -> records of one batch -> done
 *
 * Segments may go away between two steps (retention), so a scan names its segment by base offset
 * and looks it up again.
 *
 * Memory: 4 KiB and some; a pool of them in the log directory; others wait. Shard: one owner.
 */
#ifndef SERVER_BROKER_PARTITION_SCAN_H
#define SERVER_BROKER_PARTITION_SCAN_H

#include "broker/packed_records.h"
#include "journal/journal.h"
#include "server/broker/index_flush.h"
#include "server/broker/partition_store.h"

enum { scan_buffer_bytes = 4096 };

enum scan_step {
    SCAN_OPEN_INDEX,
    SCAN_READ_ENTRY,
    SCAN_READ_ENTRIES,
    SCAN_CLOSE_INDEX,
};

struct partition_scan {
    struct list link; /* In the directory's scans while in use. */
    struct partition_store *store;
    struct partition_read *read;     /* One of the two. */
    struct partition_lookup *lookup; /* */
    int64_t target_offset;
    int64_t target_timestamp_ms; /* Of a lookup. */
    int64_t base_offset;         /* Of the segment. */
    uint64_t position;           /* Where the next header is. */
    uint64_t batch_size;         /* Of the batch that was found; 0: not yet known. */
    bool is_from_start;          /* The index was of no use: from position 0 on. */
    /* The search in an index file. */
    enum scan_step step;
    bool is_time;
    uint32_t low; /* Entries in front of it are at or below the target. */
    uint32_t high;
    uint32_t file_count; /* Entries in the file. */
    int32_t handle;
    bool is_found;
    uint8_t entry[12]; /* The last one at or below the target. */
    struct io_op op;
    struct journal_read segment_read;
    struct journal_open open;
    struct journal_segment *file; /* That open is about. */
    uint8_t *batch;               /* A whole batch, from the heap. */
    struct packed_records packed; /* Open while the records of a compressed batch are read. */
    uint64_t got;                 /* Bytes of the batch, or of buffer: a read may be short. */
    uint8_t buffer[scan_buffer_bytes];
    char path[index_flush_path_bytes];
};

/* Both take scan, zeroed, until the request is done; that may be at once. */
void partition_scan_start_read(struct partition_scan *scan, struct partition_read *read);
void partition_scan_start_lookup(struct partition_scan *scan, struct partition_lookup *lookup);

#endif
