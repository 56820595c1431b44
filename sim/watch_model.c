#include "sim/watch_model.h"

#include "base/assert.h"

#include <stdio.h>

static struct watch_model_row *find(struct watch_model *watches, const char *path, bool is_child)
{
    for (uint32_t index = 0; index < watches->count; index++) {
        struct watch_model_row *row = &watches->rows[index];
        if (row->is_child == is_child && strcmp(row->path, path) == 0)
            return row;
    }
    return NULL;
}

void watch_model_add(struct watch_model *watches, const char *path, bool is_child, uint32_t modes)
{
    struct watch_model_row *row = find(watches, path, is_child);
    if (row == NULL) {
        assert(watches->count < watch_model_count_max);
        row = &watches->rows[watches->count++];
        *row = (struct watch_model_row){.is_child = is_child};
        snprintf(row->path, sizeof row->path, "%s", path);
    }
    row->modes |= modes;
}

bool watch_model_has(const struct watch_model *watches, const char *path, bool is_child,
                     uint32_t modes)
{
    const struct watch_model_row *row =
        find((struct watch_model *)(uintptr_t)watches, path, is_child);
    return row != NULL && (row->modes & modes) != 0;
}

bool watch_model_take(struct watch_model *watches, const char *path, bool is_child, uint32_t modes)
{
    struct watch_model_row *row = find(watches, path, is_child);
    if (row == NULL || (row->modes & modes) == 0)
        return false;
    row->modes &= ~modes;
    if (row->modes == 0)
        *row = watches->rows[--watches->count];
    return true;
}

/* Recursive watches lie among the data watches and hear of all that lies below, but never of
 * changed children. */
static bool is_heard_above(struct watch_model *watches, const char *path)
{
    char ancestor[model_path_bytes];
    snprintf(ancestor, sizeof ancestor, "%s", path);
    while (strcmp(ancestor, "/") != 0) {
        char parent[model_path_bytes];
        model_parent(ancestor, parent);
        memcpy(ancestor, parent, sizeof ancestor);
        if (watch_model_has(watches, ancestor, false, WATCH_MODEL_RECURSIVE))
            return true;
    }
    return false;
}

bool watch_model_fire(struct watch_model *watches, const struct model_trigger *trigger)
{
    const bool is_heard = find(watches, trigger->path, trigger->is_child) != NULL;
    (void)watch_model_take(watches, trigger->path, trigger->is_child, WATCH_MODEL_ONCE);
    return is_heard || (!trigger->is_child && is_heard_above(watches, trigger->path));
}
