/* Big-endian integers in memory: the byte order of both protocols and of their files. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap16(value);
}

static inline uint32_t load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap32(value);
}

static inline uint64_t load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return __builtin_bswap64(value);
}

static inline int16_t load_i16(const void *from)
{
    return (int16_t)load_u16(from);
}

static inline int32_t load_i32(const void *from)
{
    return (int32_t)load_u32(from);
}

static inline int64_t load_i64(const void *from)
{
    return (int64_t)load_u64(from);
}

static inline void store_u16(void *to, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(to, &value, sizeof value);
}

static inline void store_u32(void *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, sizeof value);
}

static inline void store_u64(void *to, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof value);
}

static inline void store_i16(void *to, int16_t value)
{
    store_u16(to, (uint16_t)value);
}

static inline void store_i32(void *to, int32_t value)
{
    store_u32(to, (uint32_t)value);
}

static inline void store_i64(void *to, int64_t value)
{
    store_u64(to, (uint64_t)value);
}

#endif
