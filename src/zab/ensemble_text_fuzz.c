/* Any bytes as a configuration: what is taken prints, and comes back the same. */
#include "base/assert.h"
#include "zab/ensemble_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ensemble ensemble, again;
    static char printed[1 << 16], reprinted[1 << 16];
    struct ensemble_member member;
    if (size == 0)
        return 0;
    (void)!ensemble_text_parse_server(slice_of(data, size), &member);
    if (ensemble_text_parse(slice_of(data, size), &ensemble) != ERR_OK)
        return 0;
    const size_t printed_size = ensemble_text_print(&ensemble, printed, sizeof printed);
    if (printed_size >= sizeof printed)
        return 0;
    const enum err err = ensemble_text_parse(slice_of(printed, printed_size), &again);
    assert(err == ERR_OK);
    const size_t reprinted_size = ensemble_text_print(&again, reprinted, sizeof reprinted);
    assert(reprinted_size == printed_size && memcmp(printed, reprinted, printed_size) == 0);
    return 0;
}
