/* The words behind `rookery` on a command line.
 *
 * Memory: refers to argv. Shard: none.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/err.h"
#include "io/io_create.h"
#include "shard/diag_sink.h"

enum cli_command { CLI_EMBEDDED, CLI_KEEPER, CLI_BROKER, CLI_DOCS, CLI_VERSION, CLI_HELP };

struct options {
    enum cli_command command;
    enum io_choice io_choice;
    enum diag_format diag_format;
    enum diag_level diag_level_min;
    const char *config_path; /* CLI_KEEPER, CLI_BROKER. */
    const char *data_path;   /* CLI_EMBEDDED. */
    uint16_t keeper_port;    /* CLI_EMBEDDED. */
    uint16_t broker_port;    /* CLI_EMBEDDED. */
};

extern const char options_usage[];

/* ERR_CONFIG: *complaint names the word that is wrong; it lends a static or an argv text. */
MUST_CHECK enum err options_parse(struct options *options, int argc, char **argv,
                                  const char **complaint);

#endif
