#include "server/keeper/http_page.h"

/* Numbers may have a digit more in the second run. */
enum { slack_bytes = 256, status_server_error = 500 };

void http_page_answer(struct http_exchange *exchange, struct http_page *page)
{
    struct counted_text text = {0};
    page->put(page, &text);
    const size_t capacity = text.size + slack_bytes;
    struct net_message *message = text.size > http_page_bytes_max
                                      ? NULL
                                      : http_message_acquire(exchange->server, (uint32_t)capacity);
    if (message == NULL) {
        http_exchange_answer_empty(exchange, status_server_error, NULL);
        return;
    }
    text = (struct counted_text){.data = (char *)http_message_body(message), .capacity = capacity};
    page->put(page, &text);
    const struct http_answer answer = {.status = page->status,
                                       .content_type = page->content_type,
                                       .headers = page->headers,
                                       .size = min_size(text.size, capacity)};
    http_exchange_answer(exchange, message, &answer);
}
