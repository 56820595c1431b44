/* Counted text as the answer to an HTTP request.
 *
 * Memory: one message from the server's heap. Shard: one owner.
 */
#ifndef SERVER_KEEPER_HTTP_PAGE_H
#define SERVER_KEEPER_HTTP_PAGE_H

#include "net/http_server.h"
#include "server/keeper/counted_text.h"

/* A longer page is not made: it would hold up the server, and nobody reads it. */
enum { http_page_bytes_max = 256 << 20 };

struct http_page {
    uint16_t status;
    const char *content_type; /* NULL: none. */
    const char *headers;      /* As in struct http_answer. */
    /* Called twice: to count, and to write. */
    void (*put)(struct http_page *page, struct counted_text *text);
};

/* Takes exchange. 500 if there is no memory for the page. */
void http_page_answer(struct http_exchange *exchange, struct http_page *page);

#endif
