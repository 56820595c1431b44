/* kill -9 under load, again and again: what the keeper acknowledged must be there after the
 * restart.
 *
 *   keeper_crash ROUNDS SEED DIRECTORY COMMAND... (the word ZOO-CFG in COMMAND becomes the path of
 * a zoo.cfg)
 *
 * In each round a few sessions pipeline creates of /r<round>-<session>-<number>; after a random
 * number of replies the server is killed. After the restart, the nodes of a session must be an
 * unbroken run from 0 that holds every acknowledged one; the setData version of its counter must
 * not be below what was acknowledged; and the ephemeral node of a dead session must go.
 */
#include "base/bytes.h"
#include "base/prng.h"
#include "test/crash/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    session_count = 4,
    request_count = 400, /* Of one session and round. */
    start_deadline_ms = 30000,
    session_timeout_ms = 400,
    frame_bytes_max = 4096,
    error_no_node = -101,
};

enum opcode { OP_CREATE = 1, OP_EXISTS = 3, OP_SET_DATA = 5 };

struct session {
    int handle;
    uint32_t sent;
    uint32_t acknowledged;
};

static uint8_t *put_text(uint8_t *at, const char *text)
{
    const uint32_t size = (uint32_t)strlen(text);
    store_u32(at, size);
    memcpy(at + 4, text, size);
    return at + 4 + size;
}

static uint8_t *begin(uint8_t *frame, enum opcode opcode, const char *path)
{
    store_u32(frame + 4, 1);
    store_u32(frame + 8, opcode);
    return put_text(frame + 12, path);
}

static void end(int handle, uint8_t *frame, const uint8_t *at)
{
    store_u32(frame, (uint32_t)(at - frame) - 4);
    process_send(handle, frame, (size_t)(at - frame));
}

static void send_create(int handle, const char *path, bool ephemeral)
{
    uint8_t frame[frame_bytes_max];
    uint8_t *at = begin(frame, OP_CREATE, path);
    at = put_text(at, "data");
    store_u32(at, 1);
    store_u32(at + 4, 31);
    at = put_text(at + 8, "world");
    at = put_text(at, "anyone");
    store_u32(at, ephemeral ? 1 : 0);
    end(handle, frame, at + 4);
}

static void send_set(int handle, const char *path)
{
    uint8_t frame[frame_bytes_max];
    uint8_t *at = put_text(begin(frame, OP_SET_DATA, path), "value");
    store_i32(at, -1);
    end(handle, frame, at + 4);
}

static void send_exists(int handle, const char *path)
{
    uint8_t frame[frame_bytes_max];
    uint8_t *at = begin(frame, OP_EXISTS, path);
    *at = 0;
    end(handle, frame, at + 1);
}

struct reply {
    int32_t error;
    int32_t version; /* Of an exists that found the node. */
};

static bool receive_reply(int handle, struct reply *reply)
{
    uint8_t frame[frame_bytes_max];
    uint8_t head[4];
    if (!process_receive(handle, head, sizeof head))
        return false;
    const uint32_t size = load_u32(head);
    if (size < 16 || size > sizeof frame)
        process_fail("a reply of %u bytes", size);
    if (!process_receive(handle, frame, size))
        return false;
    reply->error = load_i32(frame + 12);
    reply->version = size >= 16 + 68 ? load_i32(frame + 16 + 32) : -1;
    return true;
}

/* An open port is not enough: Apache's server accepts before it serves. */
static bool is_serving(pid_t pid, uint16_t port)
{
    char answer[4096];
    const int handle = process_connect(pid, port, start_deadline_ms);
    if (handle < 0)
        process_fail("the server did not come up on port %u; its output is in server.out", port);
    process_send(handle, "srvr", 4);
    const ssize_t size = recv(handle, answer, sizeof answer - 1, MSG_WAITALL);
    close(handle);
    answer[size > 0 ? size : 0] = '\0';
    return strstr(answer, "Mode: ") != NULL;
}

static pid_t start_server(char *const command[], const char *output, uint16_t port)
{
    const pid_t pid = process_start(command, output);
    while (!is_serving(pid, port))
        continue;
    return pid;
}

static int open_session(pid_t pid, uint16_t port)
{
    const int handle = process_connect(pid, port, start_deadline_ms);
    if (handle < 0)
        process_fail("the server is gone; its output is in server.out");
    uint8_t request[49] = {0};
    store_u32(request, 45);
    store_u32(request + 16, session_timeout_ms);
    store_u32(request + 28, 16);
    process_send(handle, request, sizeof request);
    uint8_t reply[41];
    if (!process_receive(handle, reply, sizeof reply))
        process_fail("no answer to the connect request");
    return handle;
}

/* The node's version, or -1 if it is missing. */
static int32_t node_version(int handle, const char *path)
{
    struct reply reply;
    send_exists(handle, path);
    if (!receive_reply(handle, &reply))
        process_fail("connection lost while checking %s", path);
    if (reply.error == error_no_node)
        return -1;
    if (reply.error != 0)
        process_fail("exists %s: error %d", path, reply.error);
    return reply.version;
}

static const char *node_path(unsigned round, int session, uint32_t number)
{
    static char path[64];
    snprintf(path, sizeof path, "/r%u-%d-%u", round, session, number);
    return path;
}

static const char *named_path(const char *name, unsigned round, int session)
{
    static char path[64];
    snprintf(path, sizeof path, "/%s%u-%d", name, round, session);
    return path;
}

/* Odd requests set the counter, even ones create. */
static void send_load(struct session *session, unsigned round, int index)
{
    send_create(session->handle, named_path("ephemeral", round, index), true);
    send_create(session->handle, named_path("counter", round, index), false);
    for (uint32_t number = 0; number < request_count; number++) {
        if (number % 2 == 1)
            send_set(session->handle, named_path("counter", round, index));
        else
            send_create(session->handle, node_path(round, index, number / 2), false);
        session->sent++;
    }
}

static void take_reply(struct session *session, bool *gone)
{
    struct reply reply;
    *gone = !receive_reply(session->handle, &reply);
    if (*gone)
        return;
    if (reply.error != 0)
        process_fail("a write was refused with %d", reply.error);
    session->acknowledged++;
}

/* Two replies are for the ephemeral and the counter. */
static void load_and_kill(pid_t pid, uint16_t port, unsigned round, struct prng *prng,
                          struct session *sessions)
{
    for (int index = 0; index < session_count; index++) {
        sessions[index] = (struct session){.handle = open_session(pid, port)};
        send_load(&sessions[index], round, index);
    }
    const uint64_t replies = prng_between(prng, 3, session_count * (uint64_t)request_count / 2);
    bool gone = false;
    for (uint64_t count = 0; count < replies && !gone; count++)
        take_reply(&sessions[count % session_count], &gone);
    if (gone)
        process_fail("the server closed a connection under load");
    process_kill(pid);
    for (int index = 0; index < session_count; index++) {
        for (gone = false; !gone;)
            take_reply(&sessions[index], &gone);
        close(sessions[index].handle);
    }
}

static void check_session(int handle, unsigned round, int index, const struct session *session)
{
    const uint32_t acknowledged = session->acknowledged < 2 ? 0 : session->acknowledged - 2;
    const uint32_t creates = (acknowledged + 1) / 2;
    const int32_t sets = (int32_t)(acknowledged / 2);
    uint32_t present = 0;
    while (present < request_count / 2 &&
           node_version(handle, node_path(round, index, present)) >= 0)
        present++;
    if (present < creates)
        process_fail("round %u session %d: %u creates acknowledged, %u there", round, index,
                     creates, present);
    for (uint32_t number = present + 1; number < request_count / 2; number++)
        if (node_version(handle, node_path(round, index, number)) >= 0)
            process_fail("round %u session %d: node %u is there, %u is not", round, index, number,
                         present);
    const int32_t version = node_version(handle, named_path("counter", round, index));
    if (session->acknowledged >= 2 && version < sets)
        process_fail("round %u session %d: %d sets acknowledged, version %d", round, index, sets,
                     version);
}

/* Sessions outlive the server; the ephemerals go when the timeout has passed. */
static void await_ephemerals_gone(pid_t pid, uint16_t port, unsigned round)
{
    for (int index = 0; index < session_count; index++) {
        const int handle = open_session(pid, port);
        unsigned tries = 0;
        while (node_version(handle, named_path("ephemeral", round, index)) >= 0)
            if (++tries > 200000)
                process_fail("round %u: the ephemeral of a dead session stays", round);
        close(handle);
    }
}

static void write_config(const char *directory, uint16_t port, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/zoo.cfg", directory);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        process_fail("cannot write %s", path);
    fprintf(file,
            "dataDir=%s/data\nclientPort=%u\nclientPortAddress=127.0.0.1\ntickTime=100\n"
            "admin.enableServer=false\nsnapCount=500\nmaxClientCnxns=0\n",
            directory, port);
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        process_fail("usage: keeper_crash ROUNDS SEED DIRECTORY COMMAND...");
    const unsigned rounds = (unsigned)strtoul(argv[1], NULL, 10);
    struct prng prng;
    prng_init(&prng, strtoull(argv[2], NULL, 10));
    const char *directory = argv[3];
    mkdir(directory, 0755);
    const uint16_t port = process_free_port();
    char config[512], output[512];
    write_config(directory, port, config, sizeof config);
    snprintf(output, sizeof output, "%s/server.out", directory);
    for (int index = 4; index < argc; index++)
        if (strcmp(argv[index], "ZOO-CFG") == 0)
            argv[index] = config;

    struct session sessions[session_count];
    uint64_t acknowledged = 0;
    pid_t pid = start_server(argv + 4, output, port);
    for (unsigned round = 0; round < rounds; round++) {
        load_and_kill(pid, port, round, &prng, sessions);
        pid = start_server(argv + 4, output, port);
        const int handle = open_session(pid, port);
        for (int index = 0; index < session_count; index++) {
            check_session(handle, round, index, &sessions[index]);
            acknowledged += sessions[index].acknowledged;
        }
        close(handle);
        await_ephemerals_gone(pid, port, round);
    }
    const int status = process_stop(pid);
    printf("%u kills, %llu writes acknowledged and found, exit status %d\n", rounds,
           (unsigned long long)acknowledged, status);
    return 0;
}
