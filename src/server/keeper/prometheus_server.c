#include "server/keeper/prometheus_server.h"

#include "server/keeper/admin_server.h"
#include "server/keeper/http_page.h"
#include "server/keeper/metrics.h"

enum { status_ok = 200, status_forbidden = 403, status_not_found = 404, status_not_allowed = 405 };

struct metrics_page {
    struct http_page page;
    const struct keeper_server *server;
};

static void put_metrics(struct http_page *page, struct counted_text *text)
{
    metrics_put_page(CONTAINER_OF(page, struct metrics_page, page)->server, text);
}

static void answer_metrics(struct prometheus_server *prometheus, struct http_exchange *exchange)
{
    struct metrics_page page = {.page = {.status = status_ok,
                                         .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                         .put = put_metrics},
                                .server = prometheus->server};
    http_page_answer(exchange, &page.page);
}

static void on_request(struct http_exchange *exchange, void *context)
{
    const bool is_page = slice_equal_text(http_request_path(exchange->request), "/metrics");
    switch ((int)exchange->method) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_POST:
        if (is_page)
            answer_metrics(context, exchange);
        else
            http_exchange_answer_empty(exchange, status_not_found, NULL);
        return;
    case HTTP_TRACE: http_exchange_answer_empty(exchange, status_forbidden, NULL); return;
    default: http_exchange_answer_empty(exchange, status_not_allowed, NULL); return;
    }
}

static enum err listen(struct prometheus_server *prometheus)
{
    const struct keeper_server *server = prometheus->server;
    const struct keeper_config *config = &server->config;
    const int resolved = io_resolve(server->shard->io, config->metrics_host,
                                    (uint16_t)config->metrics_port, &prometheus->address);
    if (resolved < 0)
        return err_from_errno(resolved);
    return http_server_open(
        &prometheus->http, server->shard->io, server->shard->heap, server->shard->diag,
        &prometheus->address,
        (struct http_server_options){.connection_count_max = admin_server_connection_count_max,
                                     .idle_timeout_ms = (uint32_t)config->admin_idle_timeout_ms,
                                     .request_timeout_ms = (uint32_t)config->admin_idle_timeout_ms,
                                     .send_timeout_ms = admin_server_send_timeout_ms,
                                     .backlog = admin_server_backlog,
                                     .waits_for_port = true,
                                     .on_request = on_request,
                                     .context = prometheus});
}

enum err prometheus_server_open(struct prometheus_server *prometheus, struct keeper_server *server)
{
    *prometheus = (struct prometheus_server){.server = server};
    if (!keeper_config_has_prometheus(&server->config))
        return ERR_OK;
    char text[io_address_text_max];
    const enum err err = listen(prometheus);
    prometheus->is_open = err == ERR_OK;
    if (prometheus->is_open)
        diag_info(server->shard->diag, "metrics on http://%s/metrics",
                  io_address_print(&prometheus->address, text, sizeof text));
    else
        diag_error(server->shard->diag,
                   "cannot listen on metricsProvider.httpHost %s, metricsProvider.httpPort %lld: "
                   "%s; choose others, or leave metricsProvider.className out",
                   server->config.metrics_host, (long long)server->config.metrics_port,
                   err_text(err));
    return err;
}

void prometheus_server_close(struct prometheus_server *prometheus)
{
    if (prometheus->is_open)
        http_server_close(&prometheus->http);
    prometheus->is_open = false;
}
