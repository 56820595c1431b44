#include "zab/ensemble_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

static const char server_form[] =
    "expected host:quorumPort:electionPort, then :participant or :observer if wanted, then "
    ";clientPort or ;clientHost:clientPort if wanted";

/* ---- pieces of text ---- */

/* What is before the next separator; rest begins behind it, and is null if there was none. */
static struct slice cut(struct slice *rest, char separator)
{
    const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    const struct slice piece = at == NULL ? *rest : slice_of(rest->data, (size_t)(at - rest->data));
    *rest = at == NULL ? SLICE_NULL : slice_skip(*rest, piece.size + 1);
    return piece;
}

static struct slice trim(struct slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = slice_skip(text, 1);
    while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]) != NULL &&
           text.data[text.size - 1] != '\0')
        text.size--;
    return text;
}

static bool parse_number(struct slice text, int64_t max, int64_t *number)
{
    *number = 0;
    if (text.size == 0)
        return false;
    for (size_t at = 0; at < text.size; at++) {
        const int64_t digit = text.data[at] - '0';
        if (digit < 0 || digit > 9 || *number > (max - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

static bool parse_hex(struct slice text, int64_t *number)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 16)
        return false;
    for (size_t at = 0; at < text.size; at++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = text.data[at] == '\0' ? NULL : strchr(digits, text.data[at]);
        if (digit == NULL)
            return false;
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *number = (int64_t)value;
    return true;
}

static bool parse_port(struct slice text, uint16_t *port)
{
    int64_t number;
    if (!parse_number(text, UINT16_MAX, &number) || number == 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Whether it may be a host at all: the resolver decides. */
static bool is_host(struct slice text)
{
    for (size_t at = 0; at < text.size; at++)
        if (text.data[at] <= ' ' || strchr("[]|;=", text.data[at]) != NULL)
            return false;
    return text.size > 0;
}

/* "host:" or "[host]:" at the front. */
static bool parse_host(struct slice *rest, struct slice *host)
{
    if (rest->size > 0 && rest->data[0] == '[') {
        *rest = slice_skip(*rest, 1);
        *host = cut(rest, ']');
        return is_host(*host) && rest->size > 0 && slice_equal_text(cut(rest, ':'), "");
    }
    *host = cut(rest, ':');
    return is_host(*host) && rest->size > 0;
}

/* Case does not matter, as in Apache's server. */
static bool is_word(struct slice text, const char *word)
{
    if (text.size != strlen(word))
        return false;
    for (size_t at = 0; at < text.size; at++)
        if ((text.data[at] | 0x20) != (uint8_t)word[at])
            return false;
    return true;
}

/* ---- a server line ---- */

static const char *parse_address(struct slice text, struct ensemble_address *address,
                                 struct slice *role)
{
    struct slice rest = text;
    if (!parse_host(&rest, &address->host))
        return server_form;
    const struct slice quorum_port = trim(cut(&rest, ':'));
    const struct slice election_port = trim(cut(&rest, ':'));
    if (quorum_port.size == 0 || election_port.size == 0)
        return server_form;
    if (!parse_port(quorum_port, &address->quorum_port) ||
        !parse_port(election_port, &address->election_port))
        return "a port is a number from 1 to 65535";
    if (address->quorum_port == address->election_port)
        return "the quorum port and the election port must differ";
    if (!slice_is_null(rest))
        *role = trim(rest);
    return NULL;
}

static const char *parse_addresses(struct slice text, struct ensemble_member *member,
                                   struct slice *role)
{
    struct slice rest = text;
    while (!slice_is_null(rest)) {
        if (member->address_count == ensemble_address_count_max)
            return "a member has at most 4 addresses";
        struct ensemble_address *address = &member->addresses[member->address_count++];
        const char *reason = parse_address(trim(cut(&rest, '|')), address, role);
        if (reason != NULL)
            return reason;
    }
    return member->address_count == 0 ? server_form : NULL;
}

static bool parse_client(struct slice text, struct ensemble_member *member)
{
    struct slice rest = trim(text);
    if (parse_port(rest, &member->client_port))
        return true;
    return parse_host(&rest, &member->client_host) && parse_port(rest, &member->client_port);
}

const char *ensemble_text_parse_server(struct slice value, struct ensemble_member *member)
{
    struct slice rest = trim(value);
    struct slice role = SLICE_NULL;
    *member = (struct ensemble_member){.is_voter = true, .group = -1, .weight = 1};
    const char *reason = parse_addresses(trim(cut(&rest, ';')), member, &role);
    if (reason != NULL)
        return reason;
    if (!slice_is_null(rest) && !parse_client(rest, member))
        return "behind the ; comes a client port from 1 to 65535, or host:port";
    member->is_voter = !is_word(role, "observer");
    if (member->is_voter && !slice_is_null(role) && !is_word(role, "participant"))
        return "expected participant or observer behind the ports";
    return NULL;
}

/* ---- a whole text ---- */

static struct ensemble_member *find(struct ensemble *ensemble, int64_t id)
{
    for (uint32_t index = 0; index < ensemble->member_count; index++)
        if (ensemble->members[index].id == id)
            return &ensemble->members[index];
    return NULL;
}

const char *ensemble_text_parse_group(struct slice value, int64_t group, struct ensemble *ensemble)
{
    for (struct slice rest = value; !slice_is_null(rest);) {
        int64_t id;
        if (!parse_number(trim(cut(&rest, ':')), INT64_MAX, &id))
            return "expected ids of members with : between, such as 1:2:3";
        struct ensemble_member *member = find(ensemble, id);
        if (member == NULL)
            return "it names a member that has no server line";
        if (member->group >= 0)
            return "a member is in one group only";
        member->group = group;
        ensemble->has_groups = true;
    }
    return NULL;
}

const char *ensemble_text_parse_weight(struct slice value, int64_t id, struct ensemble *ensemble)
{
    struct ensemble_member *member = find(ensemble, id);
    if (member == NULL)
        return "no member with this id has a server line";
    if (!parse_number(trim(value), INT32_MAX, &member->weight))
        return "expected a whole number, 0 or more";
    return NULL;
}

bool ensemble_text_parse_id(struct slice text, int64_t *id)
{
    return parse_number(trim(text), INT64_MAX, id);
}

bool ensemble_text_parse_version(struct slice text, int64_t *version)
{
    return parse_hex(text, version);
}

static enum err parse_member(struct slice value, int64_t id, struct ensemble *ensemble)
{
    struct ensemble_member member;
    if (ensemble_text_parse_server(value, &member) != NULL)
        return ERR_MALFORMED;
    member.id = id;
    const enum err err = ensemble_add(ensemble, &member);
    return err == ERR_EXISTS ? ERR_MALFORMED : err;
}

/* Groups and weights name members, so all the members come first. */
static enum err parse_lines(struct slice text, struct ensemble *ensemble, bool is_member_turn)
{
    enum err err = ERR_OK;
    for (struct slice rest = text; !slice_is_null(rest) && err == ERR_OK;) {
        int64_t number;
        struct slice value = trim(cut(&rest, '\n'));
        struct slice key = trim(cut(&value, '='));
        const struct slice name = cut(&key, '.');
        const bool is_numbered = parse_number(key, INT64_MAX, &number);
        value = trim(value);
        if (slice_equal_text(name, "server"))
            err = !is_numbered     ? ERR_MALFORMED
                  : is_member_turn ? parse_member(value, number, ensemble)
                                   : ERR_OK;
        else if (is_member_turn)
            continue;
        else if (slice_equal_text(name, "group"))
            err = is_numbered && ensemble_text_parse_group(value, number, ensemble) == NULL
                      ? ERR_OK
                      : ERR_MALFORMED;
        else if (slice_equal_text(name, "weight"))
            err = is_numbered && ensemble_text_parse_weight(value, number, ensemble) == NULL
                      ? ERR_OK
                      : ERR_MALFORMED;
        else if (slice_equal_text(name, "version"))
            err = parse_hex(value, &ensemble->version) ? ERR_OK : ERR_MALFORMED;
    }
    return err;
}

enum err ensemble_text_parse(struct slice text, struct ensemble *ensemble)
{
    ensemble_init(ensemble);
    const enum err err = parse_lines(text, ensemble, true);
    return err == ERR_OK ? parse_lines(text, ensemble, false) : err;
}

/* ---- printing ---- */

struct output {
    char *out;
    size_t capacity;
    size_t size;
};

PRINTF_LIKE(2, 3) static void print(struct output *output, const char *format, ...)
{
    const size_t room = output->size < output->capacity ? output->capacity - output->size : 0;
    va_list arguments;
    va_start(arguments, format);
    const int size =
        vsnprintf(room == 0 ? NULL : output->out + output->size, room, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    output->size += (size_t)size;
}

static void print_host(struct output *output, struct slice host)
{
    const bool has_colon = memchr(host.data, ':', host.size) != NULL;
    print(output, has_colon ? "[%" SLICE_FORMAT "]" : "%" SLICE_FORMAT, SLICE_ARGS(host));
}

static void print_member(struct output *output, const struct ensemble_member *member)
{
    print(output, "server.%" PRId64 "=", member->id);
    for (uint32_t index = 0; index < member->address_count; index++) {
        const struct ensemble_address *address = &member->addresses[index];
        print(output, "%s", index == 0 ? "" : "|");
        print_host(output, address->host);
        print(output, ":%u:%u", address->quorum_port, address->election_port);
    }
    print(output, member->is_voter ? ":participant" : ":observer");
    if (member->client_port != 0) {
        print(output, ";");
        print_host(output,
                   member->client_host.size == 0 ? SLICE_LITERAL("0.0.0.0") : member->client_host);
        print(output, ":%u", member->client_port);
    }
    print(output, "\n");
}

static void print_groups(struct output *output, const struct ensemble *ensemble)
{
    for (uint32_t first = 0; first < ensemble->member_count; first++) {
        const int64_t group = ensemble->members[first].group;
        if (!ensemble_is_first_of_group(ensemble, first))
            continue;
        print(output, "group.%" PRId64 "=", group);
        for (uint32_t index = first; index < ensemble->member_count; index++)
            if (ensemble->members[index].group == group)
                print(output, "%s%" PRId64, index == first ? "" : ":", ensemble->members[index].id);
        print(output, "\n");
    }
    for (uint32_t index = 0; index < ensemble->member_count; index++)
        print(output, "weight.%" PRId64 "=%" PRId64 "\n", ensemble->members[index].id,
              ensemble->members[index].weight);
}

size_t ensemble_text_print(const struct ensemble *ensemble, char *out, size_t capacity)
{
    struct output output = {.out = out, .capacity = out == NULL ? 0 : capacity};
    for (uint32_t index = 0; index < ensemble->member_count; index++)
        print_member(&output, &ensemble->members[index]);
    if (ensemble->has_groups)
        print_groups(&output, ensemble);
    print(&output, "version=%" PRIx64, (uint64_t)ensemble->version);
    return output.size;
}
