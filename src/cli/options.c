#include "cli/options.h"

#include "base/macros.h"
#include "base/slice.h"

const char options_usage[] =
    "usage: rookery [OPTIONS]                     a keeper and a broker in one process, for trying "
    "out\n"
    "       rookery [OPTIONS] keeper ZOO.CFG      the coordination service, with Apache's zoo.cfg\n"
    "       rookery [OPTIONS] broker SERVER.PROPERTIES\n"
    "                                             the message log, with Apache's "
    "server.properties\n"
    "       rookery docs                          every setting of both files, as Markdown\n"
    "       rookery version\n"
    "       rookery help\n"
    "\n"
    "options:\n"
    "  --data DIRECTORY    where both keep their data (default ./rookery-data)\n"
    "  --keeper-port PORT  on 127.0.0.1 (default 2181)\n"
    "  --broker-port PORT  on 127.0.0.1 (default 9092)\n"
    "  --io WORLD          auto, io_uring or libuv (default auto: io_uring where permitted)\n"
    "  --diag FORMAT       text or json: the lines on standard error (default text)\n"
    "  --diag-level LEVEL  debug, info, warn or error: the lowest that is told (default info)\n";

static bool is(const char *word, const char *expected)
{
    return strcmp(word, expected) == 0;
}

static enum err parse_port(const char *text, uint16_t *port)
{
    uint32_t number = 0;
    const size_t size = strlen(text);
    for (size_t at = 0; at < size; at++) {
        if (text[at] < '0' || text[at] > '9')
            return ERR_CONFIG;
        number = number * 10 + (uint32_t)(text[at] - '0');
        if (number > UINT16_MAX)
            return ERR_CONFIG;
    }
    *port = (uint16_t)number;
    return number > 0 ? ERR_OK : ERR_CONFIG;
}

/* The index of text among names, which NULL ends. */
static enum err parse_name(const char *text, const char *const *names, uint32_t *choice)
{
    for (uint32_t index = 0; names[index] != NULL; index++) {
        if (is(text, names[index])) {
            *choice = index;
            return ERR_OK;
        }
    }
    return ERR_CONFIG;
}

static enum err parse_world(const char *text, enum io_choice *choice)
{
    static const char *const names[] = {
        [IO_CHOICE_AUTO] = "auto", [IO_CHOICE_URING] = "io_uring", [IO_CHOICE_UV] = "libuv", NULL};
    uint32_t index = 0;
    const enum err err = parse_name(text, names, &index);
    *choice = (enum io_choice)index;
    return err;
}

static enum err parse_format(const char *text, enum diag_format *format)
{
    static const char *const names[] = {[DIAG_TEXT] = "text", [DIAG_JSON] = "json", NULL};
    uint32_t index = 0;
    const enum err err = parse_name(text, names, &index);
    *format = (enum diag_format)index;
    return err;
}

static enum err parse_level(const char *text, enum diag_level *level)
{
    static const char *const names[] = {[DIAG_DEBUG] = "debug",
                                        [DIAG_INFO] = "info",
                                        [DIAG_WARN] = "warn",
                                        [DIAG_ERROR] = "error",
                                        NULL};
    uint32_t index = 0;
    const enum err err = parse_name(text, names, &index);
    *level = (enum diag_level)index;
    return err;
}

static enum err parse_flag(struct options *options, const char *flag, const char *value)
{
    if (is(flag, "--data")) {
        options->data_path = value;
        return ERR_OK;
    }
    if (is(flag, "--keeper-port"))
        return parse_port(value, &options->keeper_port);
    if (is(flag, "--broker-port"))
        return parse_port(value, &options->broker_port);
    if (is(flag, "--diag"))
        return parse_format(value, &options->diag_format);
    if (is(flag, "--diag-level"))
        return parse_level(value, &options->diag_level_min);
    return parse_world(value, &options->io_choice);
}

static bool is_flag(const char *word)
{
    return is(word, "--data") || is(word, "--keeper-port") || is(word, "--broker-port") ||
           is(word, "--io") || is(word, "--diag") || is(word, "--diag-level");
}

static enum err parse_command(struct options *options, const char *word)
{
    static const struct {
        const char *word;
        enum cli_command command;
    } commands[] = {{"keeper", CLI_KEEPER},    {"broker", CLI_BROKER}, {"docs", CLI_DOCS},
                    {"version", CLI_VERSION},  {"help", CLI_HELP},     {"--help", CLI_HELP},
                    {"--version", CLI_VERSION}};
    for (uint32_t index = 0; index < ARRAY_COUNT(commands); index++) {
        if (is(word, commands[index].word)) {
            options->command = commands[index].command;
            return ERR_OK;
        }
    }
    return ERR_CONFIG;
}

static bool takes_config(enum cli_command command)
{
    return command == CLI_KEEPER || command == CLI_BROKER;
}

enum err options_parse(struct options *options, int argc, char **argv, const char **complaint)
{
    *options = (struct options){.data_path = "rookery-data",
                                .keeper_port = 2181,
                                .broker_port = 9092,
                                .diag_level_min = DIAG_INFO};
    for (int index = 1; index < argc; index++) {
        *complaint = argv[index];
        enum err err = ERR_CONFIG;
        if (is_flag(argv[index])) {
            if (index + 1 < argc) {
                err = parse_flag(options, argv[index], argv[index + 1]);
                index++;
            }
        } else if (options->command == CLI_EMBEDDED) {
            err = parse_command(options, argv[index]);
        } else if (takes_config(options->command) && options->config_path == NULL) {
            options->config_path = argv[index];
            err = ERR_OK;
        }
        if (err != ERR_OK)
            return err;
    }
    *complaint = "the path of the configuration file is missing";
    return takes_config(options->command) && options->config_path == NULL ? ERR_CONFIG : ERR_OK;
}
