/* Feeds files, and folders of files, to a fuzzer's entry without libFuzzer: so that corpora run
 * under gcc and its sanitizers too.
 *
 *      build/debug/fuzz/src/wire/wire_fuzz test/corpus/wire_fuzz
 *
 * Each file is also run with a few of its bytes changed, and then some random bytes.
 */
#define _POSIX_C_SOURCE 200809L

#include "base/prng.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    input_bytes_max = 1 << 20,
    random_bytes_max = 1024,
    random_count = 5000,
    mutation_count = 100
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t input[input_bytes_max];

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    const size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    (void)LLVMFuzzerTestOneInput(input, size);
    struct prng prng;
    prng_init(&prng, size);
    for (int i = 0; i < mutation_count && size > 0; i++) {
        const size_t at = prng_below(&prng, size);
        const uint8_t old = input[at];
        input[at] = (uint8_t)prng_next(&prng);
        (void)LLVMFuzzerTestOneInput(input, size);
        if (prng_chance(&prng, 1, 2))
            input[at] = old;
    }
    return 1 + mutation_count;
}

/* The number of inputs that ran. */
static int run_path(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return run_file(path);
    int count = 0;
    char name[4096];
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] == '.')
            continue;
        const int length = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (length > 0 && (size_t)length < sizeof name)
            count += run_file(name);
    }
    closedir(directory);
    return count;
}

static int run_random(void)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < random_count; i++) {
        const size_t size = prng_below(&prng, random_bytes_max);
        for (size_t at = 0; at < size; at++)
            input[at] =
                (uint8_t)(prng_chance(&prng, 1, 2) ? prng_below(&prng, 8) : prng_next(&prng));
        (void)LLVMFuzzerTestOneInput(input, size);
    }
    return random_count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += run_path(argv[i]);
    count += run_random();
    printf("%d inputs\n", count);
    return 0;
}
