/* Transactions as bytes: the entries of the transaction journal and of proposals.
 *
 * An entry is header and body; the journal frames it with a checksum in front and an end mark
 * behind:   checksum 8 (Adler-32) | size 4 | entry | 'B'
 * A journal file is 16 bytes of header, then records, then zeros or the end of the file.
 *
 * Memory: the caller's. Shard: stateless.
 */
#ifndef KEEPER_TXN_CODEC_H
#define KEEPER_TXN_CODEC_H

#include "keeper/txn.h"

enum {
    txn_file_header_bytes = 16,
    txn_record_head_bytes = 12,
    txn_record_tail_bytes = 1,
    txn_header_bytes = 32,
    txn_digest_bytes = 12,
    txn_entry_bytes_max = 1 << 28, /* No record that we believe is longer. */
};

/* The size of the entry. */
size_t txn_codec_entry_bytes(const struct txn *txn);

/* Writes txn_codec_entry_bytes(txn) bytes. */
void txn_codec_encode_entry(const struct txn *txn, uint8_t *out);

/* Lends: slices of entry, and arena memory. ERR_MALFORMED, ERR_TRUNCATED, ERR_UNSUPPORTED: a type
 * that we do not know. ERR_NO_MEMORY: the arena is full. */
MUST_CHECK enum err txn_codec_decode_entry(struct slice entry, struct arena *arena,
                                           struct txn *txn);

/* The size of the record, and the record: head, entry, tail. */
size_t txn_codec_record_bytes(const struct txn *txn);
void txn_codec_encode_record(const struct txn *txn, uint8_t *out);

/* Around an entry that is already at out + txn_record_head_bytes. */
void txn_codec_seal_record(uint8_t *out, size_t entry_size);

enum txn_record_verdict {
    TXN_RECORD_OK,
    TXN_RECORD_END,        /* The file ends here, or its preallocated zeros begin. */
    TXN_RECORD_MORE,       /* Cut: bytes are missing. */
    TXN_RECORD_NO_MARK,    /* The end mark is missing: a partial write. */
    TXN_RECORD_CHECKSUM,   /* The bytes are not those that were written. */
    TXN_RECORD_IMPOSSIBLE, /* The size is negative or beyond txn_entry_bytes_max. */
};

/* Looks at the record that starts at bytes. TXN_RECORD_OK: *entry is lent of bytes, *size is the
 * whole record's. TXN_RECORD_MORE: *size is what the whole record needs, as far as that is known.
 */
enum txn_record_verdict txn_codec_read_record(struct slice bytes, struct slice *entry,
                                              size_t *size);

void txn_codec_encode_file_header(uint8_t out[txn_file_header_bytes]);

/* ERR_TRUNCATED. ERR_MALFORMED: another magic, or version 0, which there never was: a header that
 * was cut in the middle. ERR_UNSUPPORTED: another version. */
MUST_CHECK enum err txn_codec_check_file_header(struct slice bytes);

#endif
