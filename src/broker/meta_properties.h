/* meta.properties of a log directory: which broker of which cluster it belongs to.
 *
 * Java Properties text: version=0, broker.id, cluster.id, sometimes directory.id; comment lines
 * begin with # or !. Version 1 belongs to KRaft and is refused, never rewritten.
 *
 * Memory: its own. Shard: any.
 */
#ifndef BROKER_META_PROPERTIES_H
#define BROKER_META_PROPERTIES_H

#include "base/err.h"
#include "base/macros.h"
#include "base/slice.h"

#include <stdbool.h>

enum { meta_properties_id_bytes = 64, meta_properties_text_bytes_max = 1024 };

struct meta_properties {
    int32_t broker_id;                           /* -1: not said. */
    char cluster_id[meta_properties_id_bytes];   /* Empty: not said. */
    char directory_id[meta_properties_id_bytes]; /* Empty: not said. */
};

/* ERR_UNSUPPORTED: a version other than 0, or none; ERR_MALFORMED: a broker id that is no number,
 * an id that is too long. Unknown keys are ignored. */
MUST_CHECK enum err meta_properties_decode(struct meta_properties *meta, struct slice text);

/* Returns the size of the text, at most meta_properties_text_bytes_max. */
size_t meta_properties_encode(const struct meta_properties *meta, char *text, size_t capacity);

#endif
