/* What the machine says of itself at start, for people: names, versions, limits.
 *
 * Read from /proc through io; where there is none (another system, the simulator), names are "<NA>"
 * and numbers zero.
 *
 * Memory: embedded. Shard: one owner.
 */
#ifndef SERVER_KEEPER_HOST_FACTS_H
#define SERVER_KEEPER_HOST_FACTS_H

#include "io/io.h"

enum { host_facts_text_bytes = 128 };

struct host_facts {
    char host_name[host_facts_text_bytes];
    char os_name[host_facts_text_bytes];
    char os_version[host_facts_text_bytes];
    char architecture[host_facts_text_bytes]; /* "amd64", as Java calls it. */
    uint64_t open_file_count;                 /* Of the process, when it was asked. */
    uint64_t open_file_count_max;
};

/* Waits for the disk, so at start only. */
void host_facts_load(struct host_facts *facts, struct io *io);

/* The soft limit of open files in the text of /proc/<pid>/limits; 0: it is not in there. */
uint64_t host_facts_parse_limit(struct slice text);

#endif
