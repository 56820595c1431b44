/* The commands of the admin server: what Apache ZooKeeper 3.9's server answers to GET
 * /commands/<name>, as one table.
 *
 * Memory: none. Shard: the server's.
 */
#ifndef SERVER_KEEPER_ADMIN_COMMAND_H
#define SERVER_KEEPER_ADMIN_COMMAND_H

#include "server/keeper/admin_json.h"
#include "server/keeper/keeper_server.h"

enum { admin_command_name_count_max = 3, admin_command_error_bytes_max = 256 };

struct admin_command_call {
    struct keeper_server *server;
    struct slice query;                        /* Of the request, as it was sent. */
    char error[admin_command_error_bytes_max]; /* Filled in: it stands instead of fields. */
};

enum admin_command_kind {
    ADMIN_COMMAND_PAGE,     /* put answers it at once. */
    ADMIN_COMMAND_SNAPSHOT, /* The two of their own kind: they want an identity. */
    ADMIN_COMMAND_RESTORE,
};

struct admin_command {
    const char *names[admin_command_name_count_max]; /* The primary one first. */
    enum admin_command_kind kind;
    /* Puts the fields of its own into the object that is open; may be called twice. NULL: none. */
    void (*put)(struct admin_json *json, struct admin_command_call *call);
    bool is_always_answered; /* Also while nobody is served. */
};

/* The table, in the order of primary names. */
const struct admin_command *admin_command_table(size_t *count);

/* By any of its names. NULL: there is none. */
const struct admin_command *admin_command_find(struct slice name);

/* False: nobody is served now, so the answer is keeper_facts_not_serving. */
bool admin_command_is_answered(const struct admin_command *command,
                               const struct keeper_server *server);

/* The whole answer. */
void admin_command_put(const struct admin_command *command, struct admin_command_call *call,
                       struct counted_text *text);

/* The answer without fields, error NULL: none. */
void admin_command_put_error(struct slice name, const char *error, struct counted_text *text);

#endif
