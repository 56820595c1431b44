/* The program `rookery`: flags in, one call out. */
#include "cli/broker_service.h"
#include "cli/keeper_service.h"
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define ROOKERY_VERSION "0.1.0"

enum {
    exit_ok = 0,
    exit_failed = 1,
    exit_invocation = 2, /* Also for a wrong configuration, as ZooKeeper has it. */
    config_heap_bytes_max = 64 << 20,
    config_file_bytes_max = 16 << 20,
    service_count_max = 2,
};

struct program {
    struct options options;
    struct heap heap; /* Of configurations; lives as long as the process. */
    struct diag_sink sink;
    struct keeper_service keeper;
    struct broker_service broker;
    struct service *services[service_count_max]; /* In the order of their start. */
    uint32_t service_count;
};

static enum err read_file(struct program *program, const char *path, struct slice *text)
{
    struct diag *diag = &program->sink.diag;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        diag_error(diag, "%s cannot be read: %s; give the path of an existing file", path,
                   strerror(errno));
        return ERR_CONFIG;
    }
    uint8_t *bytes = heap_take(&program->heap, config_file_bytes_max);
    const size_t size = bytes == NULL ? 0 : fread(bytes, 1, config_file_bytes_max, file);
    const bool failed = ferror(file) != 0;
    fclose(file);
    if (bytes == NULL || failed || size == config_file_bytes_max) {
        diag_error(diag, "%s cannot be read: it is a directory, larger than %d MiB, or damaged",
                   path, config_file_bytes_max >> 20);
        return ERR_CONFIG;
    }
    *text = slice_of(bytes, size);
    return ERR_OK;
}

static enum err add_keeper(struct program *program, struct config_source source)
{
    program->services[program->service_count++] = &program->keeper.service;
    return keeper_service_init(&program->keeper, &program->heap, &program->sink.diag, source);
}

static enum err add_broker(struct program *program, struct config_source source)
{
    program->services[program->service_count++] = &program->broker.service;
    return broker_service_init(&program->broker, &program->heap, &program->sink.diag, source);
}

static enum err add_from_file(struct program *program)
{
    struct config_source source = {.file_name = program->options.config_path};
    const enum err err = read_file(program, source.file_name, &source.text);
    if (err != ERR_OK)
        return err;
    return program->options.command == CLI_BROKER ? add_broker(program, source)
                                                  : add_keeper(program, source);
}

static enum err make_directory(struct program *program, const char *path)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return ERR_OK;
    diag_error(&program->sink.diag,
               "%s cannot be created: %s; choose another directory with --data", path,
               strerror(errno));
    return ERR_PERMISSION;
}

/* Both services with data in one directory, for clients on this machine only. */
static enum err add_embedded(struct program *program)
{
    const struct options *options = &program->options;
    static char keeper_text[2048];
    static char broker_text[4096];
    const int keeper_size =
        snprintf(keeper_text, sizeof keeper_text,
                 "dataDir=%s/keeper\nclientPort=%u\nclientPortAddress=127.0.0.1\n"
                 "tickTime=2000\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n"
                 "admin.enableServer=false\n",
                 options->data_path, options->keeper_port);
    const int broker_size =
        snprintf(broker_text, sizeof broker_text,
                 "broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:%u\nlog.dirs=%s/broker\n"
                 "zookeeper.connect=127.0.0.1:%u\noffsets.topic.replication.factor=1\n"
                 "group.initial.rebalance.delay.ms=0\n",
                 options->broker_port, options->data_path, options->keeper_port);
    if ((size_t)keeper_size >= sizeof keeper_text || (size_t)broker_size >= sizeof broker_text) {
        diag_error(&program->sink.diag, "the path after --data is longer than this program takes");
        return ERR_CONFIG;
    }
    const struct config_source keeper = {"(embedded keeper)",
                                         slice_of(keeper_text, (size_t)keeper_size)};
    const struct config_source broker = {"(embedded broker)",
                                         slice_of(broker_text, (size_t)broker_size)};
    enum err err = make_directory(program, options->data_path);
    if (err == ERR_OK)
        err = add_keeper(program, keeper);
    if (err == ERR_OK)
        err = add_broker(program, broker);
    return err;
}

static void tell_open_file_limit(struct program *program, uint64_t count_max)
{
    uint64_t connection_count_max = 0;
    for (uint32_t index = 0; index < program->service_count; index++)
        connection_count_max += program->services[index]->connection_count_max;
    struct diag *diag = &program->sink.diag;
    if (connection_count_max < count_max)
        diag_info(diag, "at most %" PRIu64 " files and connections can be open", count_max);
    else
        diag_warn(diag,
                  "at most %" PRIu64 " files and connections can be open, and the configuration "
                  "lets %" PRIu64 " clients in; raise the limit (ulimit -n, or LimitNOFILE of the "
                  "unit), or lower maxCnxns or max.connections",
                  count_max, connection_count_max);
}

/* Connections and segments are open files; the lower limit is for programs that use select. */
static void raise_open_file_limit(struct program *program)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    const struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised; /* Else the lower limit holds, and connections are shed at it. */
    for (uint32_t index = 0; index < program->service_count; index++)
        program->services[index]->handle_count_max = limit.rlim_cur;
    tell_open_file_limit(program, limit.rlim_cur);
}

/* The keeper is the first to start and the last to stop: the broker's last words go to it. */
static int run(struct program *program)
{
    thread_block_signals();
    raise_open_file_limit(program);
    int status = exit_ok;
    const struct service_options service = {
        .io_choice = program->options.io_choice,
        .diag_format = program->options.diag_format,
        .diag_level_min = program->options.diag_level_min,
    };
    for (uint32_t index = 0; index < program->service_count && status == exit_ok; index++)
        if (service_start(program->services[index], &program->heap, service) != ERR_OK)
            status = exit_failed;
    if (status == exit_ok) {
        thread_wait_for_signal();
        diag_info(&program->sink.diag, "stopping");
    }
    for (uint32_t index = program->service_count; index-- > 0;)
        service_stop(program->services[index]);
    return status;
}

static void print_line(void *context, const char *text)
{
    (void)context;
    puts(text);
}

static int print_docs(void)
{
    puts("# Settings\n\nPrinted by `rookery docs` from the tables that the program reads its files "
         "by.\n");
    config_print_docs(&keeper_config_table, print_line, NULL);
    puts("");
    config_print_docs(&broker_config_table, print_line, NULL);
    puts("");
    return exit_ok;
}

static int run_services(struct program *program)
{
    const enum err err =
        program->options.command == CLI_EMBEDDED ? add_embedded(program) : add_from_file(program);
    return err == ERR_OK ? run(program) : exit_invocation;
}

int main(int argc, char **argv)
{
    static struct program program;
    const char *complaint = NULL;
    heap_init(&program.heap,
              (struct heap_options){.limit_bytes = config_heap_bytes_max, .tracked = true});
    if (diag_sink_init(&program.sink, (struct diag_sink_options){.name = "rookery",
                                                                 .level_min = DIAG_INFO}) != ERR_OK)
        return exit_failed;
    if (options_parse(&program.options, argc, argv, &complaint) != ERR_OK) {
        fprintf(stderr, "rookery: %s is not understood\n\n%s", complaint, options_usage);
        return exit_invocation;
    }
    program.sink.format = program.options.diag_format;
    program.sink.diag.level_min = program.options.diag_level_min;
    switch (program.options.command) {
    case CLI_HELP: fputs(options_usage, stdout); return exit_ok;
    case CLI_VERSION: puts("rookery " ROOKERY_VERSION); return exit_ok;
    case CLI_DOCS: return print_docs();
    case CLI_EMBEDDED:
    case CLI_KEEPER:
    case CLI_BROKER: break;
    }
    return run_services(&program);
}
