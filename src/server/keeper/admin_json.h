/* JSON in the layout of Apache's admin server (Jackson's): two spaces for each object, a space in
 * front of the colon too, arrays on one line.
 *
 * Written here and not by jansson, which prints another layout and would build every answer in
 * memory beyond the heap's count first.
 *
 * Memory: the text's. Shard: none.
 */
#ifndef SERVER_KEEPER_ADMIN_JSON_H
#define SERVER_KEEPER_ADMIN_JSON_H

#include "server/keeper/counted_text.h"

#include <stdbool.h>

enum { admin_json_depth_max = 8 };

struct admin_json {
    struct counted_text *text;
    uint32_t depth;        /* Of objects and arrays that are open. */
    uint32_t object_depth; /* Of objects alone. */
    bool has_items[admin_json_depth_max];
    bool is_array[admin_json_depth_max];
    bool has_key; /* The next value is that of a key. */
};

void admin_json_init(struct admin_json *json, struct counted_text *text);

void admin_json_open_object(struct admin_json *json);
void admin_json_close_object(struct admin_json *json);
void admin_json_open_array(struct admin_json *json);
void admin_json_close_array(struct admin_json *json);

/* In an object, in front of each value. */
void admin_json_key(struct admin_json *json, struct slice key);

/* Bytes that are no UTF-8 become U+FFFD. */
void admin_json_text(struct admin_json *json, struct slice text);
void admin_json_int(struct admin_json *json, int64_t value);
/* What JSON has no number for is a text: "NaN". */
void admin_json_double(struct admin_json *json, double value);
void admin_json_bool(struct admin_json *json, bool value);
void admin_json_null(struct admin_json *json);

/* Key and value at once. */
void admin_json_put_text(struct admin_json *json, const char *key, const char *text);
void admin_json_put_int(struct admin_json *json, const char *key, int64_t value);
void admin_json_put_bool(struct admin_json *json, const char *key, bool value);

#endif
