/* What operators are told of a server, whether they ask by four-letter word or by HTTP.
 *
 * Memory: none. Shard: the server's.
 */
#ifndef SERVER_KEEPER_KEEPER_FACTS_H
#define SERVER_KEEPER_KEEPER_FACTS_H

#include "server/keeper/keeper_server.h"

struct client_link;

/* As Apache's 3.9 line says of itself, with our name where its commit stands. */
extern const char keeper_facts_version[];

/* What is answered while nobody is served. */
extern const char keeper_facts_not_serving[];

/* The members in force, and whether this server is one. */
const struct ensemble *keeper_facts_ensemble(const struct keeper_server *server);
const struct ensemble_member *keeper_facts_self(const struct keeper_server *server);
uint32_t keeper_facts_voter_count(const struct keeper_server *server);

/* "0.0.0.0:2181": where this server listens for clients, by the configuration's words. Lends text.
 */
const char *keeper_facts_client_address(const struct keeper_server *server, char *text,
                                        size_t capacity);

uint64_t keeper_facts_outstanding_count(const struct keeper_server *server);
uint64_t keeper_facts_watch_count(const struct keeper_server *server);
uint64_t keeper_facts_uptime_ms(const struct keeper_server *server);

/* Of the process, as far as the server knows: those of its start, and its connections. */
uint64_t keeper_facts_open_file_count(const struct keeper_server *server);

/* Bytes of the files in a folder. Meets the disk at once. */
uint64_t keeper_facts_folder_bytes(const struct keeper_server *server, const char *path);

/* "GETD"; "NA": of no request. */
const char *keeper_facts_op_text(int32_t type);

/* When the connection is closed unless it gives a sign of life, on the monotonic clock. As Apache's
 * servers do, looked at in steps of the sessionless timeout. */
int64_t keeper_facts_connection_expiry_ms(const struct client_link *client);

/* A time of the monotonic clock, on the wall clock. */
int64_t keeper_facts_wall_ms(const struct keeper_server *server, int64_t monotonic_ms);

/* Sessions end at ticks; what a walk over them finds about one. */
struct keeper_facts_expiry {
    int64_t tick;   /* The earliest deadline behind the last one. */
    uint64_t count; /* Of sessions that end then; 0: there is none. */
};

struct keeper_facts_expiry keeper_facts_next_expiry(const struct session_table *sessions,
                                                    int64_t tick);

/* The environment, in Apache's order: what there is no Java for is "<NA>". */
typedef void keeper_facts_on_variable(void *context, const char *name, const char *value);
void keeper_facts_each_variable(const struct keeper_server *server,
                                keeper_facts_on_variable *on_variable, void *context);

#endif
