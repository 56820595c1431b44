/* The four-letter words of ZooKeeper's operators: ruok, srvr, stat, mntr, conf and others, answered
 * as text on a connection that has no session.
 *
 * Memory: one message from the shard's heap. Shard: the server's.
 */
#ifndef SERVER_KEEPER_FOUR_LETTER_H
#define SERVER_KEEPER_FOUR_LETTER_H

#include "server/keeper/keeper_server.h"

struct client_link;

/* A longer answer is not made: it would hold up the server, and nobody reads it. */
enum { four_letter_answer_bytes_max = 256 << 20 };

/* Whether the first four bytes of a connection, as a number, are a word. */
bool four_letter_is_word(uint32_t number);

/* Whether the trace mask follows the word: eight bytes. */
enum { four_letter_mask_bytes = 8 };
bool four_letter_has_mask(const struct keeper_server *server, uint32_t number);

/* The answer to the word. NULL: no memory, or it is too long. */
struct net_message *four_letter_answer(struct keeper_server *server, struct slice word);

#endif
