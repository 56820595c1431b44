#define _POSIX_C_SOURCE 200809L
#include "server/keeper/admin_server.h"

#include "base/assert.h"
#include "server/keeper/admin_command.h"
#include "server/keeper/http_page.h"
#include "server/keeper/keeper_facts.h"

#include <stdio.h>
#include <strings.h>

enum {
    status_ok = 200,
    status_bad_request = 400,
    status_unauthorized = 401,
    status_forbidden = 403,
    status_not_found = 404,
    status_method_not_allowed = 405,
    status_too_many_requests = 429,
    status_service_unavailable = 503,
};

static const char json_type[] = "application/json";

/* ---- pages ---- */

struct error_page {
    struct http_page page;
    struct slice name;
    const char *error;
};

static void put_error(struct http_page *page, struct counted_text *text)
{
    const struct error_page *error = CONTAINER_OF(page, struct error_page, page);
    admin_command_put_error(error->name, error->error, text);
}

static void answer_error(struct http_exchange *exchange, uint16_t status, struct slice name,
                         const char *error, const char *headers)
{
    struct error_page page = {
        .page = {.status = status, .content_type = json_type, .headers = headers, .put = put_error},
        .name = name,
        .error = error};
    http_page_answer(exchange, &page.page);
}

void admin_server_answer_error(struct http_exchange *exchange, uint16_t status, const char *name,
                               const char *error, const char *headers)
{
    answer_error(exchange, status, slice_from_text(name), error, headers);
}

struct command_page {
    struct http_page page;
    const struct admin_command *command;
    struct admin_command_call call;
};

static void put_command(struct http_page *page, struct counted_text *text)
{
    struct command_page *command = CONTAINER_OF(page, struct command_page, page);
    admin_command_put(command->command, &command->call, text);
}

static void answer_command(struct admin_server *admin, struct http_exchange *exchange,
                           const struct admin_command *command)
{
    struct command_page page = {
        .page = {.status = status_ok, .content_type = json_type, .put = put_command},
        .command = command,
        .call = {.server = admin->server, .query = http_request_query(exchange->request)}};
    http_page_answer(exchange, &page.page);
}

struct index_page {
    struct http_page page;
    const char *url;
};

static void put_index(struct http_page *page, struct counted_text *text)
{
    const struct index_page *index_page = CONTAINER_OF(page, struct index_page, page);
    size_t count;
    const struct admin_command *commands = admin_command_table(&count);
    for (size_t index = 0; index < count; index++)
        counted_text_print(text, "<a href=\"%s/%s\">%s</a>\n<br/>\n", index_page->url,
                           commands[index].names[0], commands[index].names[0]);
}

static void answer_index(struct admin_server *admin, struct http_exchange *exchange)
{
    struct index_page page = {.page = {.status = status_ok, .put = put_index},
                              .url = admin->server->config.admin_url};
    http_page_answer(exchange, &page.page);
}

/* ---- who may ---- */

static struct acl_list root_acl(const struct keeper_server *server)
{
    const struct tree *tree = &server->keeper.tree;
    return tree_acl(tree, tree->root)->list;
}

static bool has_all_permissions(const struct keeper_server *server, struct acl_id_list identities)
{
    if (server->config.skip_acl || acl_is_super(identities))
        return true;
    for (int32_t permission = ACL_READ; permission <= ACL_ADMIN; permission *= 2)
        if (!acl_list_grants(root_acl(server), permission, identities))
            return false;
    return true;
}

/* "digest user:password" or "ip": the identities that it proves, the address for the latter alone.
 * CODE_AUTH_FAILED: none. */
static enum code authenticate(struct keeper_server *server, struct auth_set *identities,
                              struct slice authorization, struct acl_id_list *proved)
{
    const uint8_t *space = memchr(authorization.data, ' ', authorization.size);
    const size_t scheme_size =
        space == NULL ? authorization.size : (size_t)(space - authorization.data);
    const struct slice scheme = slice_of(authorization.data, scheme_size);
    struct slice secret = slice_skip(authorization, scheme_size + (space == NULL ? 0 : 1));
    while (secret.size > 0 && secret.data[secret.size - 1] == ' ')
        secret.size--;
    const bool is_address = slice_equal_text(scheme, "ip");
    const bool is_in_two_parts = memchr(secret.data, ' ', secret.size) == NULL;
    if (!is_in_two_parts || (secret.size == 0 && !is_address))
        return CODE_AUTH_FAILED;
    const enum code code = auth_set_add(identities, &server->keeper.slab,
                                        &server->keeper.options.auth, scheme, secret);
    const int32_t first = is_address ? 0 : 1; /* The set starts with the address. */
    *proved =
        (struct acl_id_list){identities->items + first, is_address ? 1 : identities->count - first};
    return code;
}

/* 200, 401 or 403. */
static uint16_t judge(struct keeper_server *server, const struct http_exchange *exchange,
                      struct slice authorization)
{
    char host[io_address_text_max];
    struct auth_set identities;
    struct acl_id_list proved;
    io_address_print_host(&exchange->peer, host, sizeof host);
    if (auth_set_init(&identities, &server->keeper.slab, slice_from_text(host)) != ERR_OK)
        return status_unauthorized;
    uint16_t status = status_unauthorized;
    if (authenticate(server, &identities, authorization, &proved) == CODE_OK)
        status = has_all_permissions(server, proved) ? status_ok : status_forbidden;
    auth_set_deinit(&identities, &server->keeper.slab);
    return status;
}

/* False: it is answered. */
static bool may_go_on(struct admin_server *admin, struct http_exchange *exchange, struct slice name)
{
    const struct slice authorization = http_request_header(exchange->request, "Authorization");
    if (slice_is_null(authorization)) {
        answer_error(exchange, status_unauthorized, name, "Auth info is missing for the command",
                     NULL);
        return false;
    }
    const uint16_t status = judge(admin->server, exchange, authorization);
    if (status != status_ok)
        answer_error(exchange, status, name,
                     status == status_forbidden ? "Not authorized" : "Not authenticated", NULL);
    return status == status_ok;
}

/* ---- requests ---- */

/* As Java's Boolean.parseBoolean: everything but "true" is false. */
static bool wants_stream(const struct http_exchange *exchange)
{
    const struct slice value = http_query_find(http_request_query(exchange->request), "streaming");
    return slice_is_null(value) ||
           (value.size == 4 && strncasecmp((const char *)value.data, "true", 4) == 0);
}

static void refuse_method(struct http_exchange *exchange)
{
    http_exchange_answer_empty(exchange, status_method_not_allowed, NULL);
}

static void run_snapshot(struct admin_server *admin, struct http_exchange *exchange,
                         struct slice name)
{
    if (!may_go_on(admin, exchange, name))
        return;
    if (exchange->method == HTTP_POST)
        refuse_method(exchange);
    else if (!admin->server->config.admin_snapshot_enabled)
        admin_server_answer_error(exchange, status_service_unavailable, "snapshot", NULL, NULL);
    else
        admin_snapshot_run(&admin->snapshot, exchange, wants_stream(exchange));
}

/* One that on_head did not let through. */
static void run_restore(struct admin_server *admin, struct http_exchange *exchange,
                        struct slice name)
{
    if (!may_go_on(admin, exchange, name))
        return;
    if (exchange->method != HTTP_POST) {
        refuse_method(exchange);
    } else if (!admin->server->config.admin_restore_enabled) {
        admin_server_answer_error(exchange, status_service_unavailable, "restore", NULL, NULL);
    } else {
        admin->server->stats.counts.restore_rate_limited_count++;
        admin_server_answer_error(exchange, status_too_many_requests, "restore", NULL, NULL);
    }
}

static void run_command(struct admin_server *admin, struct http_exchange *exchange,
                        struct slice name)
{
    const struct admin_command *command = admin_command_find(name);
    if (command == NULL) {
        char error[http_head_bytes_max + 32];
        snprintf(error, sizeof error, "Unknown command: %" SLICE_FORMAT, SLICE_ARGS(name));
        answer_error(exchange, status_ok, name, error, NULL);
        return;
    }
    if (!admin_command_is_answered(command, admin->server)) {
        answer_error(exchange, status_ok, name, keeper_facts_not_serving, NULL);
        return;
    }
    switch (command->kind) {
    case ADMIN_COMMAND_PAGE:
        if (exchange->method == HTTP_POST)
            refuse_method(exchange);
        else
            answer_command(admin, exchange, command);
        return;
    case ADMIN_COMMAND_SNAPSHOT: run_snapshot(admin, exchange, name); return;
    case ADMIN_COMMAND_RESTORE: run_restore(admin, exchange, name); return;
    }
}

/* Whether the path is one of ours, and the command's name in it, empty: none. */
static bool find_name(const struct admin_server *admin, struct slice path, struct slice *command)
{
    const struct slice url = slice_from_text(admin->server->config.admin_url);
    if (!slice_starts_with(path, url) || (path.size > url.size && path.data[url.size] != '/'))
        return false;
    *command = slice_skip(path, min_size(path.size, url.size + 1));
    return true;
}

static void route(struct admin_server *admin, struct http_exchange *exchange)
{
    char decoded[http_head_bytes_max];
    const struct slice path = http_decode(http_request_path(exchange->request), false, decoded);
    struct slice command;
    if (slice_is_null(path)) {
        http_exchange_answer_empty(exchange, status_bad_request, NULL);
        return;
    }
    if (!find_name(admin, path, &command))
        http_exchange_answer_empty(exchange, status_not_found, NULL);
    else if (command.size > 0)
        run_command(admin, exchange, command);
    else if (exchange->method == HTTP_POST)
        refuse_method(exchange);
    else
        answer_index(admin, exchange);
}

static void on_request(struct http_exchange *exchange, void *context)
{
    struct admin_server *admin = context;
    switch ((int)exchange->method) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_POST: route(admin, exchange); return;
    case HTTP_TRACE: http_exchange_answer_empty(exchange, status_forbidden, NULL); return;
    case HTTP_OPTIONS:
        http_exchange_answer_empty(exchange, status_ok,
                                   "Allow: GET, HEAD, POST, TRACE, OPTIONS\r\n");
        return;
    default: refuse_method(exchange); return;
    }
}

/* ---- bodies: those of restore ---- */

static bool is_restore(const struct admin_server *admin, const struct http_exchange *exchange)
{
    char decoded[http_head_bytes_max];
    const struct slice path = http_decode(http_request_path(exchange->request), false, decoded);
    struct slice name;
    if (exchange->method != HTTP_POST || slice_is_null(path) || !find_name(admin, path, &name))
        return false;
    const struct admin_command *command = admin_command_find(name);
    return command != NULL && command->kind == ADMIN_COMMAND_RESTORE;
}

/* What is refused here is answered by on_request. */
static bool on_head(struct http_exchange *exchange, void *context)
{
    struct admin_server *admin = context;
    if (!is_restore(admin, exchange) || !admin->server->config.admin_restore_enabled)
        return false;
    const struct slice authorization = http_request_header(exchange->request, "Authorization");
    if (slice_is_null(authorization) ||
        judge(admin->server, exchange, authorization) != status_ok ||
        !admin_restore_admit(&admin->restore))
        return false;
    admin_restore_begin(&admin->restore, exchange);
    return true;
}

static void on_body(struct http_exchange *exchange, enum http_body_event event, struct slice piece,
                    void *context)
{
    struct admin_server *admin = context;
    assert(exchange == admin->restore.exchange);
    admin_restore_on_body(&admin->restore, event, piece);
}

/* ---- life ---- */

void admin_server_init(struct admin_server *admin, struct keeper_server *server)
{
    *admin = (struct admin_server){.server = server};
    admin_snapshot_init(&admin->snapshot, server);
    admin_restore_init(&admin->restore, server);
}

static enum err resolve(struct admin_server *admin)
{
    const struct keeper_config *config = &admin->server->config;
    const int resolved = io_resolve(admin->server->shard->io, config->admin_address,
                                    (uint16_t)config->admin_port, &admin->address);
    return resolved < 0 ? err_from_errno(resolved) : ERR_OK;
}

static enum err listen(struct admin_server *admin)
{
    const struct keeper_server *server = admin->server;
    const uint32_t timeout_ms = (uint32_t)server->config.admin_idle_timeout_ms;
    return http_server_open(
        &admin->http, server->shard->io, server->shard->heap, server->shard->diag, &admin->address,
        (struct http_server_options){.connection_count_max = admin_server_connection_count_max,
                                     .idle_timeout_ms = timeout_ms,
                                     .request_timeout_ms = timeout_ms,
                                     .send_timeout_ms = admin_server_send_timeout_ms,
                                     .backlog = admin_server_backlog,
                                     .on_request = on_request,
                                     .on_head = on_head,
                                     .on_body = on_body,
                                     .context = admin});
}

static void tell(struct admin_server *admin, enum err err)
{
    const struct keeper_config *config = &admin->server->config;
    struct diag *diag = admin->server->shard->diag;
    char text[io_address_text_max];
    if (err == ERR_OK)
        diag_info(diag, "admin commands on http://%s%s",
                  io_address_print(&admin->address, text, sizeof text), config->admin_url);
    else
        diag_error(diag,
                   "no admin commands: cannot listen on admin.serverAddress %s, admin.serverPort "
                   "%lld: %s; choose others, or set admin.enableServer=false",
                   config->admin_address, (long long)config->admin_port, err_text(err));
}

void admin_server_open(struct admin_server *admin)
{
    if (!admin->server->config.admin_enabled)
        return;
    enum err err = resolve(admin);
    if (err == ERR_OK)
        err = listen(admin);
    admin->is_open = err == ERR_OK;
    admin->is_busy = err == ERR_BUSY;
    if (!admin->is_busy)
        tell(admin, err);
}

void admin_server_tick(struct admin_server *admin)
{
    if (!admin->is_busy)
        return;
    const enum err err = listen(admin);
    admin->is_open = err == ERR_OK;
    admin->is_busy = false;
    tell(admin, err);
}

void admin_server_close(struct admin_server *admin)
{
    if (admin->is_open)
        http_server_close(&admin->http);
    admin->is_open = false;
}
