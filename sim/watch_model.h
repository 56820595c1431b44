/* The watches of one connection, as an array that is searched from end to end.
 *
 * Memory: embedded. Shard: the simulator's thread.
 */
#ifndef SIM_WATCH_MODEL_H
#define SIM_WATCH_MODEL_H

#include "sim/keeper_model.h"

enum { watch_model_count_max = 256 };

/* What a watch is, as bits: several modes may lie on one path. */
enum { WATCH_MODEL_ONCE = 1, WATCH_MODEL_PERSISTENT = 2, WATCH_MODEL_RECURSIVE = 4 };

struct watch_model_row {
    char path[model_path_bytes];
    bool is_child; /* Waits for children; else for the znode itself. */
    uint32_t modes;
};

struct watch_model {
    struct watch_model_row rows[watch_model_count_max];
    uint32_t count;
};

void watch_model_add(struct watch_model *watches, const char *path, bool is_child, uint32_t modes);

/* Whether any of the modes is there; take removes them. */
bool watch_model_has(const struct watch_model *watches, const char *path, bool is_child,
                     uint32_t modes);
bool watch_model_take(struct watch_model *watches, const char *path, bool is_child, uint32_t modes);

/* Something happened: whether any watch waited for it. One-shot ones are gone then. */
bool watch_model_fire(struct watch_model *watches, const struct model_trigger *trigger);

#endif
