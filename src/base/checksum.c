#include "base/checksum.h"

#include "base/assert.h"
#include "base/macros.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>

/* ISA-L takes an int of bytes; longer input goes in parts. */
enum { part_bytes = 1 << 30 };

uint32_t checksum_crc32c(uint32_t previous, struct slice bytes)
{
    uint32_t crc = ~previous;
    while (bytes.size > 0) {
        const size_t size = min_size(bytes.size, part_bytes);
        /* ISA-L's prototype lacks a const; it does not write. */
        crc = crc32_iscsi((unsigned char *)(uintptr_t)bytes.data, (int)size, crc);
        bytes = slice_skip(bytes, size);
    }
    return ~crc;
}

uint32_t checksum_crc32(uint32_t previous, struct slice bytes)
{
    return crc32_gzip_refl(previous, bytes.data, bytes.size);
}

uint32_t checksum_adler32(uint32_t previous, struct slice bytes)
{
    return isal_adler32(previous, bytes.data, bytes.size);
}

size_t checksum_digest(const char *algorithm, struct slice bytes,
                       uint8_t out[checksum_digest_bytes_max])
{
    size_t size = 0;
    const int ok = EVP_Q_digest(NULL, algorithm, NULL, bytes.data, bytes.size, out, &size);
    assert(ok == 1 && size > 0 && size <= checksum_digest_bytes_max);
    return size;
}
