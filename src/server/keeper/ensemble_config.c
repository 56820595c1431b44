#include "server/keeper/ensemble_config.h"

#include "base/assert.h"
#include "journal/small_file.h"
#include "zab/ensemble_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

enum {
    dynamic_file_bytes_max = 256 * 1024,
    myid_bytes_max = 256,
    host_bytes_max = 256,
    id_list_bytes_max = 400,
    extended_id_max = 254,  /* With extended znode types the highest byte means them. */
    emulating_id_max = 127, /* With emulate353TTLNodes the highest bit does. */
};

/* The lines of one file, on their way into config->ensemble. */
struct reading {
    struct keeper_config *config;
    struct diag *diag;
    enum err err;
};

static void set_error(struct reading *reading)
{
    reading->err = ERR_CONFIG;
}

/* ---- server lines ---- */

/* A server line; sorted by id before they become members. */
struct server_line {
    int64_t id;
    const struct config_entry *entry;
};

struct server_lines {
    uint32_t count;
    struct server_line lines[ensemble_member_count_max];
};

static uint32_t line_of(const struct keeper_config *config, int64_t id)
{
    int64_t entry_id;
    for (const struct config_entry *entry = config->servers; entry != NULL; entry = entry->next)
        if (ensemble_text_parse_id(slice_from_text(entry->key), &entry_id) && entry_id == id)
            return entry->line;
    return 0;
}

/* Whether the line is new; one that is there already, word by word, is only warned about. */
static bool is_new_line(struct reading *reading, const struct server_lines *lines, int64_t id,
                        const struct config_entry *entry)
{
    for (uint32_t index = 0; index < lines->count; index++) {
        const struct config_entry *other = lines->lines[index].entry;
        if (lines->lines[index].id != id)
            continue;
        if (strcmp(other->value, entry->value) == 0) {
            diag_warn(reading->diag, "%s:%u: server.%s stands in line %u already",
                      reading->config->members_file, entry->line, entry->key, other->line);
            return false;
        }
        diag_error(reading->diag,
                   "%s:%u: server.%s: line %u has the same id; give each member an id of its own",
                   reading->config->members_file, entry->line, entry->key, other->line);
        set_error(reading);
        return false;
    }
    return true;
}

static void sort_in(struct server_lines *lines, struct server_line line)
{
    uint32_t index = lines->count++;
    for (; index > 0 && lines->lines[index - 1].id > line.id; index--)
        lines->lines[index] = lines->lines[index - 1];
    lines->lines[index] = line;
}

static const char *check_member(const struct reading *reading, const struct config_entry *entry,
                                int64_t *id)
{
    struct ensemble_member member;
    if (!ensemble_text_parse_id(slice_from_text(entry->key), id))
        return "expected a number behind \"server.\", as in server.1";
    const char *reason = ensemble_text_parse_server(slice_from_text(entry->value), &member);
    if (reason == NULL && member.address_count > 1 && !reading->config->has_many_addresses)
        return "several addresses need multiAddress.enabled=true in zoo.cfg on all members";
    return reason;
}

static void read_server_line(struct reading *reading, struct server_lines *lines,
                             const struct config_entry *entry)
{
    int64_t id = 0;
    const char *reason = check_member(reading, entry, &id);
    if (reason != NULL) {
        diag_error(reading->diag,
                   "%s:%u: server.%s: %s, found \"%s\"; write a line such as "
                   "server.1=zoo1.example.com:2888:3888",
                   reading->config->members_file, entry->line, entry->key, reason, entry->value);
        set_error(reading);
        return;
    }
    if (!is_new_line(reading, lines, id, entry))
        return;
    if (lines->count < ensemble_member_count_max) {
        sort_in(lines, (struct server_line){id, entry});
        return;
    }
    diag_error(reading->diag, "%s:%u: server.%s: an ensemble has at most %d members; remove some",
               reading->config->members_file, entry->line, entry->key, ensemble_member_count_max);
    set_error(reading);
}

static void read_server_lines(struct reading *reading)
{
    struct ensemble *ensemble = &reading->config->ensemble;
    struct server_lines lines = {0};
    for (const struct config_entry *entry = reading->config->servers; entry != NULL;
         entry = entry->next)
        read_server_line(reading, &lines, entry);
    ensemble_init(ensemble);
    for (uint32_t index = 0; index < lines.count; index++) {
        struct ensemble_member member;
        const struct slice value = slice_from_text(lines.lines[index].entry->value);
        const char *reason = ensemble_text_parse_server(value, &member);
        member.id = lines.lines[index].id;
        assert(reason == NULL && ensemble_add(ensemble, &member) == ERR_OK);
    }
}

/* ---- groups and weights ---- */

static void
read_group_lines(struct reading *reading, const char *name, const struct config_entry *first,
                 const char *(*parse)(struct slice value, int64_t id, struct ensemble *ensemble))
{
    for (const struct config_entry *entry = first; entry != NULL; entry = entry->next) {
        int64_t id;
        const char *reason = "expected a number behind the dot, as in group.1 or weight.1";
        if (ensemble_text_parse_id(slice_from_text(entry->key), &id))
            reason = parse(slice_from_text(entry->value), id, &reading->config->ensemble);
        if (reason == NULL)
            continue;
        diag_error(reading->diag, "%s:%u: %s.%s: %s, found \"%s\"; correct or remove the line",
                   reading->config->members_file, entry->line, name, entry->key, reason,
                   entry->value);
        set_error(reading);
    }
}

static void check_groups(struct reading *reading)
{
    const struct keeper_config *config = reading->config;
    if (config->groups == NULL && config->weights == NULL)
        return;
    for (uint32_t index = 0; index < config->ensemble.member_count; index++) {
        const struct ensemble_member *member = &config->ensemble.members[index];
        if (!member->is_voter || member->group >= 0)
            continue;
        diag_error(reading->diag,
                   "%s:%u: server.%" PRId64 ": it is in no group, though there are group or weight "
                   "lines; add it to a line such as group.1=1:2:3, or remove all of those",
                   config->members_file, line_of(config, member->id), member->id);
        set_error(reading);
    }
}

/* ---- addresses ---- */

static bool is_same_text(struct slice a, struct slice b)
{
    return a.size == b.size && strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

/* A port that both use on one host; 0: none. */
static uint16_t shared_port(const struct ensemble_address *a, const struct ensemble_address *b)
{
    if (!is_same_text(a->host, b->host))
        return 0;
    if (a->quorum_port == b->quorum_port || a->quorum_port == b->election_port)
        return a->quorum_port;
    if (a->election_port == b->quorum_port || a->election_port == b->election_port)
        return a->election_port;
    return 0;
}

static void check_pair(struct reading *reading, const struct ensemble_member *a,
                       const struct ensemble_member *b)
{
    const struct keeper_config *config = reading->config;
    for (uint32_t i = 0; i < a->address_count; i++) {
        for (uint32_t j = 0; j < b->address_count; j++) {
            const uint16_t port = shared_port(&a->addresses[i], &b->addresses[j]);
            if (port == 0)
                continue;
            diag_error(reading->diag,
                       "%s:%u: server.%" PRId64 ": %" SLICE_FORMAT
                       ":%u is an address of server.%" PRId64
                       " in line %u too; give each member ports of its own",
                       config->members_file, line_of(config, b->id), b->id,
                       SLICE_ARGS(b->addresses[j].host), port, a->id, line_of(config, a->id));
            set_error(reading);
            return;
        }
    }
}

static void check_addresses(struct reading *reading)
{
    const struct ensemble *ensemble = &reading->config->ensemble;
    for (uint32_t b = 1; b < ensemble->member_count; b++)
        for (uint32_t a = 0; a < b; a++)
            check_pair(reading, &ensemble->members[a], &ensemble->members[b]);
}

/* ---- how many ---- */

static uint32_t voter_count(const struct ensemble *ensemble)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < ensemble->member_count; index++)
        count += ensemble->members[index].is_voter;
    return count;
}

static void complain_of_file(struct reading *reading, const char *reason)
{
    diag_error(reading->diag, "%s: %s", reading->config->members_file, reason);
    set_error(reading);
}

static void check_alone(struct reading *reading, uint32_t voters)
{
    const struct keeper_config *config = reading->config;
    if (voters < config->ensemble.member_count)
        complain_of_file(reading,
                         "server lines with :observer need an ensemble to observe; make at least "
                         "two of the members voters, or set standaloneEnabled=false");
    else if (voters == 1)
        diag_info(reading->diag,
                  "%s: there is one server line, so this server stands alone; "
                  "standaloneEnabled=false makes it an ensemble of one",
                  config->members_file);
}

static void check_count(struct reading *reading)
{
    struct keeper_config *config = reading->config;
    const uint32_t voters = voter_count(&config->ensemble);
    config->is_ensemble = !config->standalone_enabled || voters > 1;
    if (!config->is_ensemble)
        check_alone(reading, voters);
    else if (voters == 0)
        complain_of_file(reading,
                         "standaloneEnabled=false needs a server line of at least one voter; add "
                         "lines such as server.1=zoo1.example.com:2888:3888, or remove the key");
    else if (voters == 2)
        diag_warn(reading->diag,
                  "%s: two voters serve only while both are up; three go on without one",
                  config->members_file);
    else if (voters % 2 == 0)
        diag_warn(reading->diag,
                  "%s: %u voters go on without as many as %u do; an odd number is better",
                  config->members_file, voters, voters - 1);
}

static void need_limit(struct reading *reading, const char *key, int64_t value, int example)
{
    if (value != 0)
        return;
    diag_error(reading->diag, "%s: %s is missing, which an ensemble needs; add a line like %s=%d",
               reading->config->file_name, key, key, example);
    set_error(reading);
}

static void refuse_unserved(struct reading *reading, const char *key)
{
    diag_error(reading->diag,
               "%s: %s=true is not served yet, and without it members would trust anybody; remove "
               "the line if your network is private",
               reading->config->file_name, key);
    set_error(reading);
}

static void check_keys(struct reading *reading)
{
    const struct keeper_config *config = reading->config;
    if (!config->is_ensemble)
        return;
    need_limit(reading, "initLimit", config->init_limit_ticks, 10);
    need_limit(reading, "syncLimit", config->sync_limit_ticks, 5);
    if (config->quorum_tls)
        refuse_unserved(reading, "sslQuorum");
    if (config->quorum_sasl)
        refuse_unserved(reading, "quorum.auth.enableSasl");
    if (config->election_wait_ms_min > config->election_wait_ms_max) {
        diag_error(reading->diag,
                   "%s: fastleader.minNotificationInterval is above "
                   "fastleader.maxNotificationInterval; raise the latter",
                   config->file_name);
        set_error(reading);
    }
}

static enum err read_members(struct keeper_config *config, struct diag *diag)
{
    struct reading reading = {config, diag, ERR_OK};
    read_server_lines(&reading);
    if (reading.err != ERR_OK)
        return reading.err; /* What follows would only complain of what is missing. */
    read_group_lines(&reading, "group", config->groups, ensemble_text_parse_group);
    read_group_lines(&reading, "weight", config->weights, ensemble_text_parse_weight);
    if (reading.err == ERR_OK)
        check_groups(&reading);
    check_addresses(&reading);
    check_count(&reading);
    check_keys(&reading);
    return reading.err;
}

/* ---- zoo.cfg ---- */

static void refuse_static(struct reading *reading, const char *name,
                          const struct config_entry *entry)
{
    if (entry == NULL)
        return;
    diag_error(
        reading->diag,
        "%s:%u: %s.%s: with dynamicConfigFile such lines belong into %s; move them there, or "
        "remove the key dynamicConfigFile",
        reading->config->file_name, entry->line, name, entry->key, reading->config->dynamic_file);
    set_error(reading);
}

enum err ensemble_config_check(struct keeper_config *config, struct diag *diag)
{
    config->members_file = config->file_name;
    if (config->dynamic_file == NULL)
        return read_members(config, diag);
    struct reading reading = {config, diag, ERR_OK};
    config->members_file = config->dynamic_file;
    refuse_static(&reading, "server", config->servers);
    refuse_static(&reading, "group", config->groups);
    refuse_static(&reading, "weight", config->weights);
    return reading.err;
}

/* ---- dynamicConfigFile ---- */

struct dynamic_config {
    struct config_entry *servers;
    struct config_entry *groups;
    struct config_entry *weights;
    const char *version;
};

#define FIELD(name) .offset = offsetof(struct dynamic_config, name)

static const struct config_row dynamic_rows[] = {
    {"server.", CONFIG_GROUP, FIELD(servers)},
    {"group.", CONFIG_GROUP, FIELD(groups)},
    {"weight.", CONFIG_GROUP, FIELD(weights)},
    {"version", CONFIG_TEXT, FIELD(version)},
};

static const struct config_table dynamic_table = {.name = "dynamicConfigFile",
                                                  .rows = dynamic_rows,
                                                  .row_count = ARRAY_COUNT(dynamic_rows),
                                                  .is_closed = true};

static enum err tell_dynamic(struct diag *diag, const struct keeper_config *config, int64_t error)
{
    diag_error(
        diag,
        "%s: dynamicConfigFile: %s cannot be read: %s; correct the path, or write the server "
        "lines into the file",
        config->file_name, config->dynamic_file,
        error == -EFBIG ? "it is too long" : err_text(err_from_errno((int)error)));
    return ERR_CONFIG;
}

/* The zxid of the reconfiguration that wrote the file: what is behind the name's last dot, if that
 * is a number in hexadecimal. */
static int64_t version_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    int64_t version;
    return dot != NULL && ensemble_text_parse_version(slice_from_text(dot + 1), &version) ? version
                                                                                          : 0;
}

static enum err parse_dynamic(struct keeper_config *config, struct heap *heap, struct diag *diag,
                              struct slice text)
{
    struct dynamic_config dynamic = {0};
    const enum err err = config_load(&dynamic_table, &dynamic, heap, diag,
                                     (struct config_source){config->dynamic_file, text});
    if (err != ERR_OK)
        return err;
    if (dynamic.version != NULL) {
        diag_error(diag,
                   "%s: version=%s: the version is behind the last dot of the file's name, not in "
                   "it; remove the line",
                   config->dynamic_file, dynamic.version);
        return ERR_CONFIG;
    }
    config->servers = dynamic.servers;
    config->groups = dynamic.groups;
    config->weights = dynamic.weights;
    const enum err read = read_members(config, diag);
    config->ensemble.version = version_of(config->dynamic_file);
    return read;
}

static enum err load_dynamic(struct keeper_config *config, struct io *io, struct heap *heap,
                             struct diag *diag)
{
    uint8_t *text = heap_take(heap, dynamic_file_bytes_max);
    if (text == NULL)
        return ERR_NO_MEMORY;
    const int64_t size =
        small_file_read_wait(io, config->dynamic_file, text, dynamic_file_bytes_max);
    const enum err err = size < 0 ? tell_dynamic(diag, config, size)
                                  : parse_dynamic(config, heap, diag, slice_of(text, (size_t)size));
    heap_give(heap, text);
    return err;
}

/* ---- myid ---- */

static void print_ids(const struct ensemble *ensemble, char *text, size_t capacity)
{
    size_t size = 0;
    text[0] = '\0';
    for (uint32_t index = 0; index < ensemble->member_count && size < capacity; index++)
        size += (size_t)snprintf(text + size, capacity - size, "%s%" PRId64, index == 0 ? "" : ", ",
                                 ensemble->members[index].id);
}

/* The first line, without what is blank at its ends. */
static struct slice first_line(struct slice text)
{
    const uint8_t *end = text.size == 0 ? NULL : memchr(text.data, '\n', text.size);
    if (end != NULL)
        text.size = (size_t)(end - text.data);
    while (text.size > 0 && (text.data[text.size - 1] == '\r' || text.data[text.size - 1] == ' '))
        text.size--;
    return text;
}

static enum err parse_myid(struct keeper_config *config, struct diag *diag, struct slice text)
{
    const struct slice line = first_line(text);
    if (ensemble_text_parse_id(line, &config->self_id))
        return ERR_OK;
    diag_error(diag,
               "%s/myid:1: expected the id of this server, a number as in its server line, found "
               "%s%" SLICE_FORMAT "%s; write it there, as in: echo 1 > %s/myid",
               config->data_dir, line.size == 0 ? "nothing" : "\"", SLICE_ARGS(line),
               line.size == 0 ? "" : "\"", config->data_dir);
    config->self_id = -1;
    return ERR_CONFIG;
}

static enum err load_myid(struct keeper_config *config, struct io *io, struct diag *diag)
{
    char path[keeper_path_bytes_max];
    char text[myid_bytes_max];
    snprintf(path, sizeof path, "%s/myid", config->data_dir);
    const int64_t size = small_file_read_wait(io, path, text, sizeof text);
    if (size >= 0)
        return parse_myid(config, diag, slice_of(text, (size_t)size));
    if (size == -EFBIG)
        return parse_myid(config, diag, slice_of("a long text", 11));
    if (size == -ENOENT && !config->is_ensemble)
        return ERR_OK;
    char ids[id_list_bytes_max];
    print_ids(&config->ensemble, ids, sizeof ids);
    diag_error(diag,
               "%s: %s; it holds the id of this server, one of the server lines in %s (%s): write "
               "it there, as in: echo %" PRId64 " > %s",
               path, size == -ENOENT ? "this file is missing" : err_text(err_from_errno((int)size)),
               config->members_file, ids, config->ensemble.members[0].id, path);
    return ERR_CONFIG;
}

/* Sessions have the id in front: theirs must not look like the marks of TTL znodes. */
static enum err check_extended_id(const struct keeper_config *config, struct diag *diag)
{
    if (!config->extended_types_enabled)
        return ERR_OK;
    const int id_max = config->emulates_353_ttl ? emulating_id_max : extended_id_max;
    if (config->self_id <= id_max)
        return ERR_OK;
    diag_error(diag,
               "%s/myid:1: with %s=true an id is at most %d, found %" PRId64
               "; give this server another one",
               config->data_dir,
               config->emulates_353_ttl ? "emulate353TTLNodes" : "extendedTypesEnabled", id_max,
               config->self_id);
    return ERR_CONFIG;
}

static enum err check_myid(const struct keeper_config *config, struct diag *diag)
{
    if (!config->is_ensemble)
        return ERR_OK;
    if (ensemble_find(&config->ensemble, config->self_id) == NULL) {
        char ids[id_list_bytes_max];
        print_ids(&config->ensemble, ids, sizeof ids);
        diag_error(diag,
                   "%s/myid:1: there is no line server.%" PRId64
                   " in %s, only of %s; correct the id, or add the line on all members",
                   config->data_dir, config->self_id, config->members_file, ids);
        return ERR_CONFIG;
    }
    return check_extended_id(config, diag);
}

/* ---- what the own line says ---- */

static bool is_any_host(struct slice host)
{
    return host.size == 0 || slice_equal_text(host, "0.0.0.0") || slice_equal_text(host, "::");
}

static bool copy_host(struct slice host, char *text, size_t capacity)
{
    const int size = snprintf(text, capacity, "%" SLICE_FORMAT, SLICE_ARGS(host));
    return size >= 0 && (size_t)size < capacity;
}

static bool is_same_host(struct io *io, const char *fixed, struct slice host)
{
    char text[host_bytes_max];
    struct io_address a;
    struct io_address b;
    if (is_same_text(slice_from_text(fixed), host))
        return true;
    return copy_host(host, text, sizeof text) && io_resolve(io, fixed, 1, &a) == 0 &&
           io_resolve(io, text, 1, &b) == 0 && memcmp(&a, &b, sizeof a) == 0;
}

/* zoo.cfg may repeat the client address of the server line, and may not contradict it. */
static bool is_client_agreed(const struct keeper_config *config, struct io *io,
                             const struct ensemble_member *self)
{
    if (!config->has_client_port)
        return true;
    if (config->client_port != self->client_port)
        return false;
    return config->client_port_address == NULL ||
           is_any_host(slice_from_text(config->client_port_address)) ||
           is_same_host(io, config->client_port_address, self->client_host);
}

static enum err take_client_port(struct keeper_config *config, struct io *io, struct heap *heap,
                                 struct diag *diag, const struct ensemble_member *self)
{
    if (self->client_port == 0)
        return ERR_OK;
    if (!is_client_agreed(config, io, self)) {
        diag_error(diag,
                   "%s:%u: server.%" PRId64
                   ": the client address behind ; is not the one of clientPort and "
                   "clientPortAddress in %s; let both say the same, or remove those keys",
                   config->members_file, line_of(config, self->id), self->id, config->file_name);
        return ERR_CONFIG;
    }
    config->client_port = self->client_port;
    config->client_port_address = NULL;
    if (is_any_host(self->client_host))
        return ERR_OK;
    config->own_client_host = heap_take(heap, self->client_host.size + 1);
    if (config->own_client_host == NULL)
        return ERR_NO_MEMORY;
    memcpy(config->own_client_host, self->client_host.data, self->client_host.size);
    config->own_client_host[self->client_host.size] = '\0';
    config->client_port_address = config->own_client_host;
    return ERR_OK;
}

static void settle_peer_type(struct keeper_config *config, struct diag *diag,
                             const struct ensemble_member *self)
{
    const int64_t type = self->is_voter ? KEEPER_PEER_PARTICIPANT : KEEPER_PEER_OBSERVER;
    if (type != config->peer_type)
        diag_warn(diag, "%s:%u: server.%" PRId64 ": it is %s; peerType in %s says otherwise",
                  config->members_file, line_of(config, self->id), self->id,
                  self->is_voter ? "a voter" : "an observer", config->file_name);
    config->peer_type = type;
}

/* Clients and members cannot share a port. */
static enum err check_own_ports(const struct keeper_config *config, struct diag *diag,
                                const struct ensemble_member *self)
{
    /* Observers only dial it. */
    const int64_t master_port = self->is_voter ? config->observer_master_port : 0;
    if (config->is_ensemble && master_port > 0 && master_port == config->client_port) {
        diag_error(diag,
                   "%s: observerMasterPort=%" PRId64 " is for clients already; choose another",
                   config->file_name, master_port);
        return ERR_CONFIG;
    }
    for (uint32_t index = 0; config->is_ensemble && index < self->address_count; index++) {
        const struct ensemble_address *address = &self->addresses[index];
        if (master_port > 0 &&
            (master_port == address->quorum_port || master_port == address->election_port)) {
            diag_error(diag,
                       "%s: observerMasterPort=%" PRId64 " stands in the line server.%" PRId64
                       " already; choose another",
                       config->file_name, master_port, self->id);
            return ERR_CONFIG;
        }
        if (config->client_port != address->quorum_port &&
            config->client_port != address->election_port)
            continue;
        diag_error(diag,
                   "%s:%u: server.%" PRId64 ": port %" PRId64
                   " is for clients already; choose another one for the members",
                   config->members_file, line_of(config, self->id), self->id, config->client_port);
        return ERR_CONFIG;
    }
    return ERR_OK;
}

enum err ensemble_config_load(struct keeper_config *config, struct io *io, struct heap *heap,
                              struct diag *diag)
{
    enum err err = config->dynamic_file == NULL ? ERR_OK : load_dynamic(config, io, heap, diag);
    if (err != ERR_OK || config->ensemble.member_count == 0)
        return err;
    err = load_myid(config, io, diag);
    if (err == ERR_OK)
        err = check_myid(config, diag);
    const struct ensemble_member *self = ensemble_find(&config->ensemble, config->self_id);
    if (err != ERR_OK || self == NULL)
        return err;
    settle_peer_type(config, diag, self);
    err = take_client_port(config, io, heap, diag, self);
    return err == ERR_OK ? check_own_ports(config, diag, self) : err;
}

void ensemble_config_unload(struct keeper_config *config, struct heap *heap)
{
    heap_give(heap, config->own_client_host);
    if (config->dynamic_file == NULL)
        return; /* The lines are zoo.cfg's. */
    config_give_group(config->servers, heap);
    config_give_group(config->groups, heap);
    config_give_group(config->weights, heap);
}

/* ---- for who listens ---- */

const struct ensemble_member *ensemble_config_self(const struct keeper_config *config)
{
    return config->is_ensemble ? ensemble_find(&config->ensemble, config->self_id) : NULL;
}

static uint16_t port_of(const struct ensemble_member *self, enum ensemble_port port)
{
    const struct ensemble_address *address = &self->addresses[0];
    return port == ENSEMBLE_PORT_QUORUM ? address->quorum_port : address->election_port;
}

struct slice ensemble_config_host(const struct keeper_config *config,
                                  const struct ensemble_member *self)
{
    const bool is_any = config->listens_on_all_addresses || self->address_count > 1;
    return is_any ? SLICE_NULL : self->addresses[0].host;
}

struct slice ensemble_config_client_host(struct slice host)
{
    return is_any_host(host) ? SLICE_NULL : host;
}

enum err ensemble_config_address(const struct keeper_config *config,
                                 const struct ensemble_member *self, struct io *io,
                                 struct diag *diag, enum ensemble_port port,
                                 struct io_address *address)
{
    char text[host_bytes_max];
    const struct slice host = ensemble_config_host(config, self);
    if (copy_host(host, text, sizeof text) &&
        io_resolve(io, host.size == 0 ? NULL : text, port_of(self, port), address) == 0)
        return ERR_OK;
    diag_error(diag,
               "%s:%u: server.%" PRId64 ": the host %" SLICE_FORMAT
               " is unknown here; give a name or address of this machine, or set "
               "quorumListenOnAllIPs=true",
               config->members_file, line_of(config, self->id), self->id,
               SLICE_ARGS(self->addresses[0].host));
    return ERR_NOT_FOUND;
}

void ensemble_config_tell_busy(const struct keeper_config *config,
                               const struct ensemble_member *self, struct diag *diag,
                               enum ensemble_port port, enum err err)
{
    diag_error(diag,
               "%s:%u: server.%" PRId64 ": cannot listen on %" SLICE_FORMAT
               ":%u for %s: %s; is another server running, or is the address "
               "another machine's?",
               config->members_file, line_of(config, self->id), self->id,
               SLICE_ARGS(self->addresses[0].host), port_of(self, port),
               port == ENSEMBLE_PORT_QUORUM ? "followers" : "elections", err_text(err));
}
