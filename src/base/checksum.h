/* The checksums of both systems' wires and disks. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include "base/slice.h"

/* CRC-32C (Castagnoli) as Kafka's record batches carry it. Start with previous = 0; going on with
 * the previous result checks parts as one whole. */
uint32_t checksum_crc32c(uint32_t previous, struct slice bytes);

/* CRC-32 as in zip; ZooKeeper's tree digest and Kafka's old messages. Start with 0. */
uint32_t checksum_crc32(uint32_t previous, struct slice bytes);

/* Adler-32 of ZooKeeper's transaction log and snapshots. Start with 1. */
uint32_t checksum_adler32(uint32_t previous, struct slice bytes);

enum { checksum_digest_bytes_max = 64 };

/* The digest of the bytes by an algorithm that OpenSSL knows by this name ("SHA1", "SHA-256"), for
 * ZooKeeper's digest ACLs. The size of what is in out. */
size_t checksum_digest(const char *algorithm, struct slice bytes,
                       uint8_t out[checksum_digest_bytes_max]);

#endif
