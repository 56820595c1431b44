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

/* SHA-1 of the bytes, 20 bytes out: ZooKeeper's digest ACLs. */
void checksum_sha1(struct slice bytes, uint8_t out[20]);

#endif
