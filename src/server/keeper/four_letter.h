/* The four-letter words of ZooKeeper's operators: ruok, srvr, stat, mntr, conf and others, answered
 * as text on a connection that has no session.
 *
 * Memory: one message from the shard's heap. Shard: the server's.
 */
#ifndef SERVER_KEEPER_FOUR_LETTER_H
#define SERVER_KEEPER_FOUR_LETTER_H

#include "server/keeper/keeper_server.h"

struct client_link;

/* Whether the first four bytes of a connection, as a number, are a word. */
bool four_letter_is_word(uint32_t number);

/* The answer to the word. NULL: no memory. */
struct net_message *four_letter_answer(struct keeper_server *server, struct slice word);

#endif
