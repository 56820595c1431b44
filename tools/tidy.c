/* The style and layer checker: `tidy LAYERS FILE...` reads source files and says what breaks the
 * house.
 *
 * It fails on: an include that LAYERS does not allow, a banned call (with its replacement), an #if
 * outside base/ and io/, threads outside their three files, a goto to anything but `fail`, a
 * leftover mark, a vague name in a path. Then it shows, largest first, what a reader should look at
 * before a commit: long functions and files.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { file_bytes_max = 4 << 20, name_max = 64, layer_max = 32, finding_max = 4096 };

struct layer {
    char name[name_max];
    char allowed[256]; /* " base wire " */
};

struct size_finding {
    int size;
    char text[256];
};

static struct layer layers[layer_max];
static int layer_count;
static int error_count;
static struct size_finding size_findings[finding_max];
static int size_finding_count;

static const struct {
    const char *name;
    const char *instead;
} banned[] = {
    {"malloc", "heap_take, a pool or an arena"},
    {"calloc", "heap_take_zeroed"},
    {"realloc", "heap_resize"},
    {"free", "heap_give"},
    {"strcpy", "memcpy with a known size"},
    {"strcat", "snprintf"},
    {"strncpy", "memcpy with a known size"},
    {"sprintf", "snprintf"},
    {"vsprintf", "vsnprintf"},
    {"atoi", "a parser that can say no"},
    {"atol", "a parser that can say no"},
    {"strtok", "slices"},
    {"alloca", "an arena"},
    {"time", "io_wall_ms or an argument"},
    {"gettimeofday", "io_wall_ms or an argument"},
    {"clock_gettime", "io_now_ns or an argument"},
    {"rand", "struct prng or io_entropy"},
    {"random", "struct prng or io_entropy"},
    {"srand", "struct prng"},
};

/* Where the world itself is met; everything else goes through these. */
static const char *const may_call_anything[] = {
    "src/base/heap.c", "src/base/assert.c", "src/io/", "src/shard/", "tools/", "bench/", "test/",
};

static const char *const may_use_threads[] = {
    "src/shard/mailbox.c", "src/shard/thread.c", "src/io/io_uv.c", "_test.c", "test/", "bench/",
};

static const char *const vague_names[] = {"utils", "misc", "common", "helper"};

static void report(const char *path, int line, const char *what, const char *detail)
{
    printf("%s:%d: %s%s%s\n", path, line, what, detail[0] ? ": " : "", detail);
    error_count++;
}

static void note_size(int size, const char *path, int line, const char *what)
{
    if (size_finding_count == finding_max)
        return;
    struct size_finding *finding = &size_findings[size_finding_count++];
    finding->size = size;
    snprintf(finding->text, sizeof finding->text, "%s:%d: %s", path, line, what);
}

static bool matches_any(const char *path, const char *const *patterns, size_t count)
{
    for (size_t index = 0; index < count; index++)
        if (strstr(path, patterns[index]) != NULL)
            return true;
    return false;
}
#define MATCHES(path, patterns) matches_any(path, patterns, sizeof(patterns) / sizeof *(patterns))

static const struct layer *find_layer(const char *name, size_t size)
{
    for (int index = 0; index < layer_count; index++)
        if (strlen(layers[index].name) == size && memcmp(layers[index].name, name, size) == 0)
            return &layers[index];
    return NULL;
}

static void read_layers(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    char line[512];
    while (fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (line[0] == '#' || colon == NULL || layer_count == layer_max)
            continue;
        struct layer *layer = &layers[layer_count++];
        sscanf(line, "%63s", layer->name);
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(layer->allowed, sizeof layer->allowed, " %.200s ", colon + 1);
    }
    fclose(file);
}

/* Blanks comments and the insides of strings, keeping line ends, so that only code is judged. */
static void blank_text(char *code)
{
    enum { CODE, COMMENT, LINE_COMMENT, STRING, CHARACTER } state = CODE;
    for (char *at = code; *at != '\0'; at++) {
        if (*at == '\n') {
            if (state == LINE_COMMENT)
                state = CODE;
            continue;
        }
        if (state == CODE) {
            if (at[0] == '/' && at[1] == '*')
                state = COMMENT;
            else if (at[0] == '/' && at[1] == '/')
                state = LINE_COMMENT;
            else if (*at == '"')
                state = STRING;
            else if (*at == '\'')
                state = CHARACTER;
            if (state != CODE && state != STRING && state != CHARACTER)
                *at = ' ';
            continue;
        }
        const bool ends_comment = state == COMMENT && at[0] == '*' && at[1] == '/';
        if ((state == STRING || state == CHARACTER) && *at == '\\' && at[1] != '\n') {
            at[0] = at[1] = ' ';
            at++;
            continue;
        }
        if ((state == STRING && *at == '"') || (state == CHARACTER && *at == '\'')) {
            state = CODE;
            continue;
        }
        *at = ' ';
        if (ends_comment) {
            at[1] = ' ';
            at++;
            state = CODE;
        }
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Whether word stands at place as a whole word. */
static bool word_at(const char *line, const char *place, const char *word)
{
    return (place == line || !is_word(place[-1])) && !is_word(place[strlen(word)]);
}

static const char *find_word(const char *line, const char *word)
{
    for (const char *place = strstr(line, word); place != NULL; place = strstr(place + 1, word))
        if (word_at(line, place, word))
            return place;
    return NULL;
}

static bool is_call(const char *line, const char *word)
{
    const char *place = find_word(line, word);
    if (place == NULL || (place > line && (place[-1] == '.' || place[-1] == '>')))
        return false;
    place += strlen(word);
    return place[strspn(place, " ")] == '(';
}

/* "src/wire/decode.c" gives "wire". */
static const struct layer *layer_of_path(const char *path)
{
    const char *folder = strstr(path, "src/");
    if (folder == NULL)
        return NULL;
    folder += 4;
    return find_layer(folder, strcspn(folder, "/"));
}

static void check_include(const char *path, int number, const char *line)
{
    const char *quote = strchr(line, '"');
    const struct layer *own = layer_of_path(path);
    if (quote == NULL || own == NULL)
        return;
    const char *target = quote + 1;
    const size_t size = strcspn(target, "/\"");
    const bool is_test = strstr(path, "_test.c") != NULL || strstr(path, "_fuzz.c") != NULL;
    if (size == strlen(own->name) && memcmp(target, own->name, size) == 0)
        return;
    if (find_layer(target, size) == NULL) {
        if (!is_test)
            report(path, number, "production code includes from outside src/", line);
        return;
    }
    char spaced[name_max + 2];
    snprintf(spaced, sizeof spaced, " %.*s ", (int)size, target);
    if (!is_test && strstr(own->allowed, spaced) == NULL)
        report(path, number, "src/LAYERS does not allow", line);
}

static void check_directive(const char *path, int number, const char *code, const char *raw)
{
    const char *word = code + strspn(code, " ");
    if (strncmp(word, "#include", 8) == 0)
        check_include(path, number, raw);
    const bool conditional = strncmp(word, "#if", 3) == 0 || strncmp(word, "#elif", 5) == 0;
    const bool is_guard = strncmp(word, "#ifndef", 7) == 0 && strstr(word, "_H") != NULL;
    if (conditional && !is_guard && strstr(path, "src/") != NULL &&
        strstr(path, "src/base/") == NULL && strstr(path, "src/io/") == NULL)
        report(path, number, "#if outside base/ and io/", raw);
}

static void check_calls(const char *path, int number, const char *code)
{
    if (MATCHES(path, may_call_anything))
        return;
    for (size_t index = 0; index < sizeof banned / sizeof *banned; index++) {
        char detail[160];
        if (!is_call(code, banned[index].name))
            continue;
        snprintf(detail, sizeof detail, "%s; use %s", banned[index].name, banned[index].instead);
        report(path, number, "banned call", detail);
    }
}

static void check_line(const char *path, int number, const char *code, const char *raw)
{
    if (code[strspn(code, " ")] == '#')
        check_directive(path, number, code, raw);
    check_calls(path, number, code);
    const char *jump = find_word(code, "goto");
    if (jump != NULL && strncmp(jump, "goto fail;", 10) != 0)
        report(path, number, "goto is for `fail` only", "");
    if (!MATCHES(path, may_use_threads) &&
        (strstr(code, "pthread_") || find_word(code, "_Atomic") || find_word(code, "thread_local")))
        report(path, number, "threads belong in shard/mailbox.c, shard/thread.c, io/io_uv.c", "");
    if (strstr(raw, "FIX"
                    "ME") != NULL ||
        strstr(raw, "TO"
                    "DO") != NULL)
        report(path, number, "leftover mark", raw);
    if (strncmp(code, "typedef struct", 14) == 0 || strncmp(code, "typedef enum", 12) == 0)
        report(path, number, "no typedef for structs and enums", "");
    if (strchr(raw, '\t') != NULL)
        report(path, number, "a tab", "");
}

/* A function starts with a brace in column 0 and ends with one: clang-format sees to that. */
static void measure_functions(const char *path, int number, const char *code, int *start,
                              const char *previous, char *name)
{
    if (strcmp(code, "{") == 0) {
        *start = number;
        snprintf(name, name_max * 2, "%.100s", previous);
    }
    if (code[0] == '}' && *start > 0) {
        if (code[1] == '\0' && number - *start > 70)
            note_size(number - *start, path, *start, name);
        *start = 0;
    }
}

static void check_lines(const char *path, char *code, char *raw)
{
    int number = 0;
    int function_start = 0;
    char function_name[name_max * 2] = "";
    char previous[512] = "";
    while (*code != '\0') {
        number++;
        const size_t size = strcspn(code, "\n");
        const bool is_last = code[size] == '\0';
        code[size] = '\0';
        raw[size] = '\0';
        check_line(path, number, code, raw);
        measure_functions(path, number, code, &function_start, previous, function_name);
        if (code[0] != '\0' && code[0] != ' ')
            snprintf(previous, sizeof previous, "%s", code);
        if (is_last)
            break;
        code += size + 1;
        raw += size + 1;
    }
    const bool is_header = strcmp(path + strlen(path) - 2, ".h") == 0;
    if (number > (is_header ? 300 : 1000))
        note_size(number, path, 1, "long file");
}

static void check_file(const char *path)
{
    static char raw[file_bytes_max];
    static char code[file_bytes_max];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    const size_t size = fread(raw, 1, sizeof raw - 1, file);
    fclose(file);
    raw[size] = '\0';
    memcpy(code, raw, size + 1);
    blank_text(code);
    if (MATCHES(path, vague_names))
        report(path, 1, "a name that says nothing (utils, misc, common, helper)", "");
    check_lines(path, code, raw);
}

static int by_size(const void *a, const void *b)
{
    return ((const struct size_finding *)b)->size - ((const struct size_finding *)a)->size;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: tidy LAYERS FILE...\n");
        return 2;
    }
    read_layers(argv[1]);
    for (int index = 2; index < argc; index++)
        check_file(argv[index]);
    qsort(size_findings, (size_t)size_finding_count, sizeof *size_findings, by_size);
    for (int index = 0; index < size_finding_count && index < 20; index++)
        printf("long: %d lines: %s\n", size_findings[index].size, size_findings[index].text);
    printf("tidy: %d errors in %d files\n", error_count, argc - 2);
    return error_count > 0;
}
