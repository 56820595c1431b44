/* Any bytes as a path; what is valid must split into valid parents. */
#include "base/assert.h"
#include "keeper/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice path = slice_of(data, size);
    while (path_is_valid(path) && path.size > 1) {
        assert(path_last(path).size > 0);
        assert(path_is_under(path, path_parent(path)));
        path = path_parent(path);
        assert(path_is_valid(path));
    }
    return 0;
}
