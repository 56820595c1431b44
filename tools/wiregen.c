/* Reads schema files and writes C structs and constant tables for them, and no code: the decoder
 * and the encoder of src/wire/ walk the tables.
 *
 *      wiregen OUTDIR FILE.wire...
 *
 * schema/zookeeper.wire gives zk.h and zk.c; schema/kafka/produce.wire gives kafka_produce.h and
 * .c; kafka.h and kafka.c hold what spans the files of one protocol. docs/formats.md has the
 * grammar. A file is rewritten only when its content changes, so that make rebuilds little; what
 * an earlier run left behind and no schema makes any more is removed.
 */
#define _POSIX_C_SOURCE 200809L

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    name_bytes_max = 120,
    line_bytes_max = 512,
    record_count_max = 4096,
    field_count_max = 16384,
    api_count_max = 512,
    file_count_max = 256,
    nesting_max = 8,
    token_count_max = 12,
    output_bytes_max = 4 << 20,
    version_none = -1,
    version_last = 127,
    record_none = -1
};

struct field {
    char name[name_bytes_max];
    char type[name_bytes_max]; /* Empty: an anonymous struct. */
    int element;               /* Record index of a struct type. */
    int line;
    int next;
    bool array;
    bool plain;
    bool default_null;
    int since, until, null_since, tag;
    long long default_value;
};

struct record {
    char name[2 * name_bytes_max]; /* With the protocol's prefix. */
    int file;
    int line;
    int first, last; /* Fields. */
    int version_min, version_max, flexible_since;
    bool is_type;
    bool is_part; /* An anonymous struct inside another record. */
    bool emitted;
};

struct api {
    char name[name_bytes_max];
    int file;
    int key;
    int request, reply;
};

struct file {
    char path[1024];
    char stem[name_bytes_max];   /* "kafka_produce" */
    char prefix[name_bytes_max]; /* "kafka" */
    bool jute;
};

static struct record records[record_count_max];
static struct field fields[field_count_max];
static struct api apis[api_count_max];
static struct file files[file_count_max];
static int record_count, field_count, api_count, file_count, written_count;
static char *written[2 * file_count_max];
static char output[output_bytes_max];
static size_t output_size;
static int line_number;

_Noreturn static void fail(const char *path, int line, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%d: ", path, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

_Noreturn static void fail_here(const char *text, const char *what)
{
    fail(files[file_count - 1].path, line_number, "%s%s%s", text, what[0] ? ": " : "", what);
}

static void copy_name(char *to, size_t capacity, const char *from)
{
    const int size = snprintf(to, capacity, "%s", from);
    if (size < 0 || (size_t)size >= capacity)
        fail_here("the name is too long", from);
}

static void check_name(const char *name)
{
    static const char *const keywords[] = {
        "bool",   "char",     "const",  "default", "double", "enum",   "float",  "int",    "long",
        "inline", "register", "return", "short",   "signed", "static", "struct", "switch", "union"};
    if (!islower((unsigned char)name[0]))
        fail_here("a name starts with a small letter", name);
    for (const char *at = name; *at != '\0'; at++)
        if (!islower((unsigned char)*at) && !isdigit((unsigned char)*at) && *at != '_')
            fail_here("a name has small letters, digits and _ only", name);
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(keywords[i], name) == 0)
            fail_here("a C keyword cannot be a name", name);
}

static int parse_int(const char *text, int low, int high)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < low || value > high)
        fail_here("a number was expected here", text);
    return (int)value;
}

/* "3+", "0-2" or "5". */
static void parse_versions(const char *text, int *since, int *until)
{
    char low[16];
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits >= sizeof low)
        fail_here("versions look like 3+ or 0-2 or 5", text);
    memcpy(low, text, digits);
    low[digits] = '\0';
    *since = parse_int(low, 0, version_last);
    if (text[digits] == '\0')
        *until = *since;
    else if (strcmp(text + digits, "+") == 0)
        *until = version_last;
    else if (text[digits] == '-')
        *until = parse_int(text + digits + 1, *since, version_last);
    else
        fail_here("versions look like 3+ or 0-2 or 5", text);
}

static int record_add(const char *name)
{
    const int file = file_count - 1;
    if (record_count == record_count_max)
        fail_here("too many records", "");
    struct record *record = &records[record_count];
    *record = (struct record){.file = file, .line = line_number, .first = -1, .last = -1};
    record->version_max = files[file].jute ? 0 : version_last;
    record->flexible_since = version_none;
    if (snprintf(record->name, sizeof record->name, "%s_%s", files[file].prefix, name) >=
        (int)sizeof record->name)
        fail_here("the name is too long", name);
    for (int i = 0; i < record_count; i++)
        if (strcmp(records[i].name, record->name) == 0)
            fail_here("this record exists already", record->name);
    return record_count++;
}

static void field_link(int record, int field)
{
    for (int i = records[record].first; i >= 0; i = fields[i].next) {
        if (strcmp(fields[i].name, fields[field].name) == 0)
            fail_here("this field exists already", fields[field].name);
        if (fields[i].tag >= 0 && fields[i].tag == fields[field].tag)
            fail_here("this tag exists already", fields[field].name);
    }
    fields[field].next = -1;
    if (records[record].first < 0)
        records[record].first = field;
    else
        fields[records[record].last].next = field;
    records[record].last = field;
}

/* Cuts "name?3+" into its name and the first version in which it may be null. */
static void parse_nullable(char *token, int *null_since)
{
    char *mark = strchr(token, '?');
    if (mark == NULL)
        return;
    int until = version_last;
    *null_since = 0;
    if (mark[1] != '\0')
        parse_versions(mark + 1, null_since, &until);
    if (until != version_last)
        fail_here("nullable versions look like ?3+", token);
    *mark = '\0';
}

static void parse_default(struct field *field, const char *text)
{
    char *end;
    field->default_null = strcmp(text, "null") == 0;
    if (field->default_null)
        return;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        field->default_value = text[0] == 't';
        return;
    }
    field->default_value = strtoll(text, &end, 0);
    if (end == text || *end != '\0')
        fail_here("a default is a number, true, false or null", text);
}

static void parse_extras(struct field *field, char **tokens, int count)
{
    for (int i = 0; i < count; i++) {
        if (isdigit((unsigned char)tokens[i][0]))
            parse_versions(tokens[i], &field->since, &field->until);
        else if (strcmp(tokens[i], "plain") == 0)
            field->plain = true;
        else if (strcmp(tokens[i], "tag") == 0 && i + 1 < count)
            field->tag = parse_int(tokens[++i], 0, version_last);
        else if (strcmp(tokens[i], "=") == 0 && i + 1 < count)
            parse_default(field, tokens[++i]);
        else if (tokens[i][0] == '=' && tokens[i][1] != '\0')
            parse_default(field, tokens[i] + 1);
        else
            fail_here("versions, tag N, plain or = default were expected here", tokens[i]);
    }
}

static bool is_type_token(const char *token)
{
    return isalpha((unsigned char)token[0]) && strcmp(token, "tag") != 0 &&
           strcmp(token, "plain") != 0;
}

/* A field line of the record parent; returns the record that deeper lines belong to. */
static int parse_field(int parent, char **tokens, int count)
{
    if (field_count == field_count_max)
        fail_here("too many fields", "");
    struct field *field = &fields[field_count];
    *field = (struct field){.element = record_none, .line = line_number};
    field->until = version_last;
    field->null_since = version_none;
    field->tag = -1;

    parse_nullable(tokens[0], &field->null_since);
    char *brackets = strstr(tokens[0], "[]");
    if (brackets != NULL) {
        if (brackets[2] != '\0')
            fail_here("[] ends a name", tokens[0]);
        *brackets = '\0';
        field->array = true;
    }
    check_name(tokens[0]);
    copy_name(field->name, sizeof field->name, tokens[0]);

    int used = 1;
    if (count > 1 && is_type_token(tokens[1])) {
        parse_nullable(tokens[1], &field->null_since);
        copy_name(field->type, sizeof field->type, tokens[1]);
        used = 2;
    }
    parse_extras(field, tokens + used, count - used);
    field_link(parent, field_count++);
    if (field->type[0] != '\0')
        return record_none;

    char name[3 * name_bytes_max];
    const size_t prefix = strlen(files[file_count - 1].prefix) + 1;
    snprintf(name, sizeof name, "%s_%s", records[parent].name + prefix, field->name);
    field->element = record_add(name);
    records[field->element].is_part = true;
    return field->element;
}

/* "0-11 flexible 9+" */
static void parse_record_versions(struct record *record, char **tokens, int count)
{
    int at = 0;
    if (at < count && isdigit((unsigned char)tokens[at][0])) {
        parse_versions(tokens[at++], &record->version_min, &record->version_max);
        if (record->version_max == version_last)
            fail_here("a record names its last version", "");
    }
    if (at + 1 < count && strcmp(tokens[at], "flexible") == 0) {
        int until;
        if (strcmp(tokens[at + 1], "none") != 0)
            parse_versions(tokens[at + 1], &record->flexible_since, &until);
        at += 2;
    }
    if (at != count)
        fail_here("versions and flexible N+ were expected here", tokens[at]);
}

static void parse_side(int *side, const char *suffix, char **tokens, int count, int *current)
{
    char name[2 * name_bytes_max];
    if (api_count == 0 || apis[api_count - 1].file != file_count - 1)
        fail_here("an op or api line comes before this", suffix);
    if (*side != record_none)
        fail_here("given twice", suffix);
    snprintf(name, sizeof name, "%s_%s", apis[api_count - 1].name, suffix);
    *current = *side = record_add(name);
    if (files[file_count - 1].jute && count > 1)
        fail_here("versions belong to kafka", tokens[1]);
    if (!files[file_count - 1].jute && count == 1)
        fail_here("versions are missing", suffix);
    parse_record_versions(&records[*current], tokens + 1, count - 1);
}

/* A line without indentation; sets the record that indented lines belong to. */
static void parse_head(char **tokens, int count, int *current)
{
    *current = record_none;
    if ((strcmp(tokens[0], "op") == 0 || strcmp(tokens[0], "api") == 0) && count == 3) {
        if (api_count == api_count_max)
            fail_here("too many apis", "");
        struct api *api = &apis[api_count++];
        *api = (struct api){.file = file_count - 1, .request = record_none, .reply = record_none};
        api->key = parse_int(tokens[1], -1000, 10000);
        check_name(tokens[2]);
        copy_name(api->name, sizeof api->name, tokens[2]);
    } else if (strcmp(tokens[0], "request") == 0) {
        parse_side(&apis[api_count > 0 ? api_count - 1 : 0].request, "request", tokens, count,
                   current);
    } else if (strcmp(tokens[0], "reply") == 0) {
        parse_side(&apis[api_count > 0 ? api_count - 1 : 0].reply, "reply", tokens, count, current);
    } else if (strcmp(tokens[0], "type") == 0 && count == 2) {
        check_name(tokens[1]);
        *current = record_add(tokens[1]);
        records[*current].is_type = true;
    } else if (strcmp(tokens[0], "record") == 0 && count >= 2) {
        check_name(tokens[1]);
        *current = record_add(tokens[1]);
        parse_record_versions(&records[*current], tokens + 2, count - 2);
    } else {
        fail_here("op N name, api N name, type name, record name, request or reply was expected",
                  tokens[0]);
    }
}

static int split(char *line, char **tokens)
{
    int count = 0;
    for (char *token = strtok(line, " "); token != NULL; token = strtok(NULL, " ")) {
        if (count == token_count_max)
            fail_here("too many words in this line", "");
        tokens[count++] = token;
    }
    return count;
}

static void parse_line(char *line, int *stack)
{
    line[strcspn(line, "#\r\n")] = '\0';
    if (strchr(line, '\t') != NULL)
        fail_here("indentation is by four spaces, not tabs", "");
    const size_t spaces = strspn(line, " ");
    if (line[spaces] == '\0')
        return;
    const size_t level = spaces / 4;
    if (spaces % 4 != 0)
        fail_here("indentation is by four spaces", "");
    if (level > nesting_max)
        fail_here("nested too deep", "");

    char *tokens[token_count_max];
    const int count = split(line, tokens);
    if (level == 0)
        parse_head(tokens, count, &stack[0]);
    else if (stack[level - 1] == record_none)
        fail_here("nothing here that could have this field", tokens[0]);
    else
        stack[level] = parse_field(stack[level - 1], tokens, count);
    for (size_t deeper = level + 1; deeper <= nesting_max; deeper++)
        stack[deeper] = record_none;
}

/* schema/kafka/produce.wire: protocol kafka. schema/zookeeper.wire: protocol zk. */
static void file_begin(const char *path)
{
    if (file_count == file_count_max)
        fail(path, 0, "too many schema files");
    struct file *file = &files[file_count++];
    line_number = 0;
    copy_name(file->path, sizeof file->path, path);
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strstr(name, ".wire");
    if (dot == NULL || dot[5] != '\0')
        fail(path, 0, "a schema file is named *.wire");
    if (strcmp(name, "zookeeper.wire") == 0) {
        copy_name(file->prefix, sizeof file->prefix, "zk");
        copy_name(file->stem, sizeof file->stem, "zk");
        file->jute = true;
        return;
    }
    const char *folder = slash;
    while (folder != NULL && folder > path && folder[-1] != '/')
        folder--;
    if (folder == NULL || strncmp(folder, "kafka/", 6) != 0)
        fail(path, 0, "expected schema/zookeeper.wire or schema/kafka/*.wire");
    copy_name(file->prefix, sizeof file->prefix, "kafka");
    snprintf(file->stem, sizeof file->stem, "kafka_%.*s", (int)(dot - name), name);
}

static void parse_file(const char *path)
{
    char line[line_bytes_max];
    int stack[nesting_max + 1];
    file_begin(path);
    for (int i = 0; i <= nesting_max; i++)
        stack[i] = record_none;
    FILE *stream = fopen(path, "r");
    if (stream == NULL)
        fail(path, 0, "cannot open");
    while (fgets(line, sizeof line, stream) != NULL) {
        line_number++;
        if (strchr(line, '\n') == NULL && !feof(stream))
            fail_here("the line is too long", "");
        parse_line(line, stack);
    }
    fclose(stream);
}

/* ---- names to types ---- */

struct type_name {
    const char *schema, *c, *table;
};

static const struct type_name type_names[] = {
    {"bool", "bool", "WIRE_BOOL"},
    {"int8", "int8_t", "WIRE_INT8"},
    {"int16", "int16_t", "WIRE_INT16"},
    {"uint16", "uint16_t", "WIRE_UINT16"},
    {"int32", "int32_t", "WIRE_INT32"},
    {"uint32", "uint32_t", "WIRE_UINT32"},
    {"int64", "int64_t", "WIRE_INT64"},
    {"float64", "double", "WIRE_FLOAT64"},
    {"uuid", "struct wire_uuid", "WIRE_UUID"},
    {"string", "struct slice", "WIRE_STRING"},
    {"bytes", "struct slice", "WIRE_BYTES"},
    {"records", "struct slice", "WIRE_RECORDS"},
};

static const struct type_name *primitive_find(const char *schema)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++)
        if (strcmp(type_names[i].schema, schema) == 0)
            return &type_names[i];
    return NULL;
}

static bool is_run(const char *type)
{
    return strcmp(type, "string") == 0 || strcmp(type, "bytes") == 0 ||
           strcmp(type, "records") == 0;
}

static int type_find(int file, const char *type)
{
    char name[2 * name_bytes_max];
    snprintf(name, sizeof name, "%s_%s", files[file].prefix, type);
    for (int i = 0; i < record_count; i++)
        if (records[i].is_type && strcmp(records[i].name, name) == 0)
            return i;
    return record_none;
}

static void resolve_field(const struct record *record, struct field *field)
{
    const char *path = files[record->file].path;
    if (field->type[0] != '\0' && primitive_find(field->type) == NULL) {
        field->element = type_find(record->file, field->type);
        if (field->element == record_none)
            fail(path, field->line, "no such type: %s", field->type);
    }
    if (field->type[0] == '\0' && records[field->element].first < 0)
        fail(path, field->line, "%s has neither a type nor fields", field->name);
    if (field->null_since != version_none && !field->array && field->element == record_none &&
        !is_run(field->type))
        fail(path, field->line, "%s cannot be null", field->type);
    if (field->plain && strcmp(field->type, "string") != 0)
        fail(path, field->line, "plain belongs to strings");
    if (field->tag >= 0 && files[record->file].jute)
        fail(path, field->line, "tags belong to kafka");
}

/* How deep the structs under a record are nested; fails on a type that contains itself. */
static int depth_of(int index, int depth)
{
    int deepest = depth;
    if (depth > nesting_max)
        fail(files[records[index].file].path, records[index].line, "nested too deep, or in itself");
    for (int i = records[index].first; i >= 0; i = fields[i].next) {
        if (fields[i].element == record_none)
            continue;
        const int below = depth_of(fields[i].element, depth + 1);
        deepest = below > deepest ? below : deepest;
    }
    return deepest;
}

static void resolve(void)
{
    for (int i = 0; i < record_count; i++)
        for (int at = records[i].first; at >= 0; at = fields[at].next)
            resolve_field(&records[i], &fields[at]);
    for (int i = 0; i < record_count; i++)
        depth_of(i, 0);
}

/* ---- output ---- */

__attribute__((format(printf, 1, 2))) static void emit(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size =
        vsnprintf(output + output_size, sizeof output - output_size, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof output - output_size)
        fail("wiregen", 0, "the output is too large");
    output_size += (size_t)size;
}

static bool is_current(const char *path)
{
    static char old[output_bytes_max];
    FILE *stream = fopen(path, "r");
    if (stream == NULL)
        return false;
    const size_t size = fread(old, 1, sizeof old, stream);
    fclose(stream);
    return size == output_size && memcmp(old, output, size) == 0;
}

static void output_end(const char *folder, const char *stem, const char *suffix)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s%s", folder, stem, suffix);
    written[written_count] = strdup(path + strlen(folder) + 1);
    if (written[written_count++] == NULL)
        fail(path, 0, "out of memory");
    if (!is_current(path)) {
        FILE *stream = fopen(path, "w");
        if (stream == NULL || fwrite(output, 1, output_size, stream) != output_size ||
            fclose(stream) != 0)
            fail(path, 0, "cannot write");
    }
    output_size = 0;
}

static void emit_member(const struct field *field)
{
    const struct type_name *primitive = primitive_find(field->type);
    char type[3 * name_bytes_max];
    if (primitive != NULL)
        snprintf(type, sizeof type, "%s", primitive->c);
    else
        snprintf(type, sizeof type, "struct %s", records[field->element].name);
    if (field->array)
        emit("    struct {\n        %s *items;\n        int32_t count;\n    } %s;\n", type,
             field->name);
    else
        emit("    %s %s;\n", type, field->name);
    if (field->element != record_none && !field->array && field->null_since != version_none)
        emit("    bool has_%s;\n", field->name);
}

/* Structs of a file, each after the ones that it contains. */
static void emit_struct(int index, int file)
{
    struct record *record = &records[index];
    if (record->emitted || record->file != file)
        return;
    record->emitted = true;
    for (int i = record->first; i >= 0; i = fields[i].next)
        if (fields[i].element != record_none)
            emit_struct(fields[i].element, file);
    emit("struct %s {\n", record->name);
    for (int i = record->first; i >= 0; i = fields[i].next)
        emit_member(&fields[i]);
    if (record->first < 0)
        emit("    uint8_t nothing; /* The message is empty. */\n");
    emit("};\n");
    if (!record->is_part)
        emit("extern const struct wire_record %s_wire;\n", record->name);
    emit("\n");
}

/* The other files of the protocol whose types this one uses. */
static void emit_includes(int file)
{
    bool used[file_count_max] = {false};
    for (int i = 0; i < record_count; i++)
        for (int at = records[i].first; at >= 0 && records[i].file == file; at = fields[at].next)
            if (fields[at].element != record_none)
                used[records[fields[at].element].file] = true;
    for (int i = 0; i < file_count; i++)
        if (used[i] && i != file)
            emit("#include \"wire/gen/%s.h\"\n", files[i].stem);
}

static void emit_header(int file)
{
    emit("/* Made by tools/wiregen from %s. */\n", files[file].path);
    emit("#ifndef WIRE_GEN_%s_H\n#define WIRE_GEN_%s_H\n\n", files[file].stem, files[file].stem);
    emit("#include \"wire/wire.h\"\n");
    emit_includes(file);
    emit("\n");
    for (int i = 0; i < record_count; i++)
        emit_struct(i, file);
}

static void emit_field(const struct record *record, const struct field *field)
{
    const struct type_name *primitive = primitive_find(field->type);
    const bool has =
        field->element != record_none && !field->array && field->null_since != version_none;
    emit("    {.name = \"%s\", .type = %s, .offset = offsetof(struct %s, %s), .since = %d, "
         ".until = %d, .null_since = %d, .tag = %d",
         field->name, primitive != NULL ? primitive->table : "WIRE_RECORD", record->name,
         field->name, field->since, field->until, field->null_since, field->tag);
    if (has)
        emit(", .has_offset = offsetof(struct %s, has_%s)", record->name, field->name);
    if (field->element != record_none)
        emit(", .element = &%s_wire", records[field->element].name);
    if (field->array)
        emit(", .array = true");
    if (field->plain)
        emit(", .plain = true");
    if (field->default_null || (field->null_since == 0 && !field->array && is_run(field->type)))
        emit(", .default_null = true");
    if (field->default_value != 0)
        emit(", .default_value = INT64_C(%lld)", field->default_value);
    emit("},\n");
}

static void emit_table(int index, int file)
{
    struct record *record = &records[index];
    if (record->emitted || record->file != file)
        return;
    record->emitted = true;
    for (int i = record->first; i >= 0; i = fields[i].next)
        if (fields[i].element != record_none)
            emit_table(fields[i].element, file);
    if (record->first >= 0) {
        emit("static const struct wire_field %s_fields[] = {\n", record->name);
        for (int i = record->first; i >= 0; i = fields[i].next)
            emit_field(record, &fields[i]);
        emit("};\n");
    }
    emit("%sconst struct wire_record %s_wire = {.name = \"%s\"", record->is_part ? "static " : "",
         record->name, record->name);
    if (record->first >= 0)
        emit(", .fields = %s_fields, .field_count = ARRAY_COUNT(%s_fields)", record->name,
             record->name);
    emit(", .size = sizeof(struct %s), .encoding = %s, .version_min = %d, .version_max = %d, "
         ".flexible_since = %d};\n\n",
         record->name, files[file].jute ? "WIRE_JUTE" : "WIRE_KAFKA", record->version_min,
         record->version_max,
         record->flexible_since == version_none ? version_last : record->flexible_since);
}

static void emit_source(const char *folder, int file)
{
    emit("/* Made by tools/wiregen from %s. */\n", files[file].path);
    emit("#include \"wire/gen/%s.h\"\n\n#include \"base/macros.h\"\n\n", files[file].stem);
    for (int i = 0; i < record_count; i++)
        records[i].emitted = false;
    for (int i = 0; i < record_count; i++)
        emit_table(i, file);
    if (!files[file].jute)
        output_end(folder, files[file].stem, ".c");
}

static void emit_upper(const char *text)
{
    for (; *text != '\0'; text++)
        emit("%c", toupper((unsigned char)*text));
}

/* What spans a protocol: the enum of its apis and the array of them and of all records. */
static void emit_index_header(const char *prefix)
{
    emit("enum %s_%s {\n", prefix, strcmp(prefix, "zk") == 0 ? "op" : "api");
    for (int i = 0; i < api_count; i++) {
        if (strcmp(files[apis[i].file].prefix, prefix) != 0)
            continue;
        emit("    ");
        emit_upper(prefix);
        emit(strcmp(prefix, "zk") == 0 ? "_OP_" : "_API_");
        emit_upper(apis[i].name);
        emit(" = %d,\n", apis[i].key);
    }
    emit("};\n\n/* Every api, in the order of the schema; every table that stands alone. */\n");
    emit("extern const struct wire_api %s_apis[];\nextern const uint32_t %s_api_count;\n", prefix,
         prefix);
    emit("extern const struct wire_record *const %s_records[];\n"
         "extern const uint32_t %s_record_count;\n\n#endif\n",
         prefix, prefix);
}

static void emit_index_source(const char *prefix)
{
    emit("const struct wire_api %s_apis[] = {\n", prefix);
    for (int i = 0; i < api_count; i++) {
        if (strcmp(files[apis[i].file].prefix, prefix) != 0)
            continue;
        emit("    {.key = %d, .name = \"%s\"", apis[i].key, apis[i].name);
        if (apis[i].request != record_none)
            emit(", .request = &%s_wire", records[apis[i].request].name);
        if (apis[i].reply != record_none)
            emit(", .reply = &%s_wire", records[apis[i].reply].name);
        emit("},\n");
    }
    emit("};\nconst uint32_t %s_api_count = ARRAY_COUNT(%s_apis);\n\n", prefix, prefix);
    emit("const struct wire_record *const %s_records[] = {\n", prefix);
    for (int i = 0; i < record_count; i++)
        if (!records[i].is_part && strcmp(files[records[i].file].prefix, prefix) == 0)
            emit("    &%s_wire,\n", records[i].name);
    emit("};\nconst uint32_t %s_record_count = ARRAY_COUNT(%s_records);\n", prefix, prefix);
}

static void emit_kafka_index(const char *folder)
{
    emit("/* Made by tools/wiregen from schema/kafka. */\n#ifndef WIRE_GEN_kafka_H\n"
         "#define WIRE_GEN_kafka_H\n\n");
    for (int i = 0; i < file_count; i++)
        if (!files[i].jute)
            emit("#include \"wire/gen/%s.h\"\n", files[i].stem);
    emit("\n");
    emit_index_header("kafka");
    output_end(folder, "kafka", ".h");
    emit("/* Made by tools/wiregen from schema/kafka. */\n#include \"wire/gen/kafka.h\"\n\n"
         "#include \"base/macros.h\"\n\n");
    emit_index_source("kafka");
    output_end(folder, "kafka", ".c");
}

static void emit_file(const char *folder, int file)
{
    emit_header(file);
    if (files[file].jute)
        emit_index_header("zk");
    else
        emit("#endif\n");
    output_end(folder, files[file].stem, ".h");
    emit_source(folder, file);
    if (files[file].jute) {
        emit_index_source("zk");
        output_end(folder, files[file].stem, ".c");
    }
}

static void remove_stale(const char *folder)
{
    char path[2048];
    DIR *directory = opendir(folder);
    if (directory == NULL)
        fail(folder, 0, "cannot list the folder");
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        const size_t size = strlen(entry->d_name);
        bool stale = size > 2 && (strcmp(entry->d_name + size - 2, ".h") == 0 ||
                                  strcmp(entry->d_name + size - 2, ".c") == 0);
        for (int i = 0; i < written_count; i++)
            stale = stale && strcmp(written[i], entry->d_name) != 0;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stale)
            unlink(path);
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        fail("wiregen", 0, "usage: wiregen OUTDIR FILE.wire...");
    bool kafka = false;
    for (int i = 2; i < argc; i++)
        parse_file(argv[i]);
    resolve();
    for (int file = 0; file < file_count; file++) {
        emit_file(argv[1], file);
        kafka = kafka || !files[file].jute;
    }
    if (kafka && api_count > 0)
        emit_kafka_index(argv[1]);
    remove_stale(argv[1]);
    return 0;
}
