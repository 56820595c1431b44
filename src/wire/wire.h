/* Messages as tables: one decoder and one encoder walk what tools/wiregen makes of schema/.
 *
 * A record is a C struct and a table of its fields; a version says which fields are on the wire.
 *
 *      struct zk_get_data_request request;
 *      err = wire_decode(&zk_get_data_request_wire, 0, &input, &arena, &request);
 *
 * Strings and bytes are slices into the input. Arrays lie in the arena, behind a pointer and a
 * count; a count of -1 is a null array, a slice without data a null string. Fields that a version
 * lacks get their default.
 *
 * Untrusted counts and lengths are checked against the bytes that are left before any memory is
 * taken. Structs nest as deep as the schema does, which wiregen bounds, so the walk does too.
 *
 * Memory: arrays from the arena given. Shard: none, everything is an argument.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/prng.h"
#include "base/slice.h"

struct wire_uuid {
    uint8_t bytes[16];
};

enum wire_type {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_UINT16,
    WIRE_INT32,
    WIRE_UINT32,
    WIRE_INT64,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS,
    WIRE_RECORD
};

enum wire_encoding {
    WIRE_JUTE, /* ZooKeeper's. */
    WIRE_KAFKA /* Kafka's, with compact lengths and tagged fields in flexible versions. */
};

struct wire_record;

struct wire_field {
    const char *name;
    const struct wire_record *element; /* Of WIRE_RECORD. */
    int64_t default_value;
    uint32_t offset;
    uint32_t has_offset; /* Of a nullable struct's bool; else 0. */
    uint8_t type;        /* enum wire_type; of an array: of its items. */
    bool array;
    bool plain; /* Never in compact form. */
    bool default_null;
    int8_t since, until, null_since; /* Versions; null_since -1: never null. */
    int8_t tag;                      /* -1: not tagged. */
};

struct wire_record {
    const char *name;
    const struct wire_field *fields;
    uint32_t field_count;
    uint32_t size; /* Of the C struct. */
    uint8_t encoding;
    int8_t version_min, version_max, flexible_since;
};

/* A request and its reply, by the number that names them on the wire. */
struct wire_api {
    int16_t key;
    const char *name;
    const struct wire_record *request, *reply; /* NULL: no body. */
};

/* What an array field looks like in every struct. */
struct wire_array {
    void *items;
    int32_t count;
};

/* Of a bytes or records field that is sent from elsewhere (a file): the slice's data. */
extern const uint8_t wire_external[1];
#define WIRE_EXTERNAL wire_external

/* Where external bytes belong in the encoded message: before writer->data[position]. */
struct wire_cut {
    size_t position;
    size_t size;
};

/* Memory to encode into. With data NULL it only counts. Cuts are in the order of the message. */
struct wire_writer {
    uint8_t *data;
    size_t capacity;
    size_t used;
    size_t external_bytes;
    struct wire_cut *cuts;
    uint32_t cut_count;
    uint32_t cut_count_max;
};

static inline struct wire_writer wire_writer_of(void *memory, size_t capacity)
{
    return (struct wire_writer){.data = memory, .capacity = capacity};
}

static inline bool wire_is_flexible(const struct wire_record *record, int version)
{
    return version >= record->flexible_since;
}

/* Reads one record at the front of input and moves input behind it. out is a struct of the record;
 * its slices lend from input, its arrays from arena.
 * ERR_TRUNCATED: the bytes end too early. ERR_MALFORMED: a length, null, count or tag that the
 * format does not allow. ERR_LIMIT: the arena is full. After an error input and out are of no use.
 * The version must be one of the record's. */
MUST_CHECK enum err wire_decode(const struct wire_record *record, int version, struct slice *input,
                                struct arena *arena, void *out);

/* The same, and input must end with the record: ERR_MALFORMED if it does not. */
MUST_CHECK enum err wire_decode_all(const struct wire_record *record, int version,
                                    struct slice input, struct arena *arena, void *out);

/* Bytes of the record on the wire, external ones included. */
size_t wire_size(const struct wire_record *record, int version, const void *value);

/* Bytes that wire_encode writes: without external ones. */
size_t wire_size_inline(const struct wire_record *record, int version, const void *value);

/* Appends the record. The writer must have room (wire_size_inline tells) and room for the cuts:
 * asserted. A null where the version allows none is written as empty. */
void wire_encode(const struct wire_record *record, int version, const void *value,
                 struct wire_writer *writer);

/* Appends single values, big endian, for the frames around records. */
void wire_put_i32(struct wire_writer *writer, int32_t value);
void wire_put_i64(struct wire_writer *writer, int64_t value);
void wire_put_u8(struct wire_writer *writer, uint8_t value);
void wire_put_bytes(struct wire_writer *writer, struct slice bytes);

/* Every field of the struct at its default. */
void wire_set_defaults(const struct wire_record *record, void *out);

/* One line of text for people, cut at capacity; lends text, which ends with a zero byte. Bytes
 * show as their size. */
const char *wire_dump(const struct wire_record *record, int version, const void *value, char *text,
                      size_t capacity);

/* A random value that is valid in this version, for tests, fuzzers and the simulator; slices and
 * arrays from the arena. ERR_LIMIT: the arena is full. */
MUST_CHECK enum err wire_random(const struct wire_record *record, int version, struct prng *prng,
                                struct arena *arena, void *out);

#endif
