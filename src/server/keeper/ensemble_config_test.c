/* What a server finds in its files, on a real disk. */
#define _GNU_SOURCE
#include "server/keeper/ensemble_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/io_create.h"
#include "test/unit_test.h"

enum { path_bytes_max = 64, text_bytes_max = 4096 };

struct fixture {
    struct heap heap;
    struct diag diag;
    struct io *io;
    char directory[path_bytes_max];
    char said[text_bytes_max];
    struct keeper_config config;
};

/* One directory with what a server finds in it; NULL: the file is missing. */
struct case_files {
    const char *zoo;     /* Behind dataDir; @ stands for the directory. */
    const char *dynamic; /* @/zoo.dynamic.1f */
    const char *myid;
};

static void collect(struct diag *diag, enum diag_level level, struct slice line)
{
    struct fixture *fixture = CONTAINER_OF(diag, struct fixture, diag);
    const size_t used = strlen(fixture->said);
    (void)level;
    assert_true(used + line.size + 2 < sizeof fixture->said);
    memcpy(fixture->said + used, line.data, line.size);
    fixture->said[used + line.size] = '\n';
}

/* text with every @ replaced by the directory. */
static void expand(const struct fixture *fixture, const char *text, char *out)
{
    size_t size = 0;
    for (; *text != '\0'; text++) {
        const char *piece = *text == '@' ? fixture->directory : text;
        const size_t piece_size = *text == '@' ? strlen(piece) : 1;
        assert_true(size + piece_size < text_bytes_max);
        memcpy(out + size, piece, piece_size);
        size += piece_size;
    }
    out[size] = '\0';
}

static void path_of(const struct fixture *fixture, const char *name, char *path)
{
    snprintf(path, (size_t)path_bytes_max * 2, "%s/%s", fixture->directory, name);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[path_bytes_max * 2];
    if (text == NULL)
        return;
    path_of(fixture, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static enum err load(struct fixture *fixture, const struct case_files *files)
{
    char text[text_bytes_max];
    char head[text_bytes_max];
    *fixture = (struct fixture){.diag.write = collect, .directory = "/tmp/ensemble_config.XXXXXX"};
    heap_init(&fixture->heap, (struct heap_options){.limit_bytes = 16 << 20, .tracked = true});
    assert_non_null(mkdtemp(fixture->directory));
    assert_int_equal(io_create(&fixture->io, &fixture->heap, &fixture->diag, IO_CHOICE_AUTO),
                     ERR_OK);
    snprintf(head, sizeof head, "dataDir=@\n%s", files->zoo);
    expand(fixture, head, text);
    write_file(fixture, "zoo.dynamic.1f", files->dynamic);
    write_file(fixture, "myid", files->myid);
    enum err err = keeper_config_load(&fixture->config, &fixture->heap, &fixture->diag,
                                      (struct config_source){"zoo.cfg", slice_from_text(text)});
    if (err == ERR_OK)
        err = ensemble_config_load(&fixture->config, fixture->io, &fixture->heap, &fixture->diag);
    return err;
}

static void end(struct fixture *fixture)
{
    static const char *const names[] = {"zoo.dynamic.1f", "myid"};
    char path[path_bytes_max * 2];
    for (size_t index = 0; index < ARRAY_COUNT(names); index++) {
        path_of(fixture, names[index], path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(fixture->directory), 0);
    io_destroy(fixture->io);
    heap_deinit(&fixture->heap);
}

/* ---- what is wrong ---- */

#define LIMITS "initLimit=10\nsyncLimit=5\n"
#define THREE  LIMITS "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n"

static const struct {
    struct case_files files;
    const char *said; /* The whole line. */
} mistakes[] = {
    {{LIMITS "server.1=a\nserver.2=b:2888:3888\n", NULL, "1"},
     "zoo.cfg:4: server.1: expected host:quorumPort:electionPort, then :participant or :observer "
     "if wanted, then ;clientPort or ;clientHost:clientPort if wanted, found \"a\"; write a line "
     "such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.1=a:2888\n", NULL, "1"},
     "zoo.cfg:4: server.1: expected host:quorumPort:electionPort, then :participant or :observer "
     "if wanted, then ;clientPort or ;clientHost:clientPort if wanted, found \"a:2888\"; write a "
     "line such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.1=a:2888:388888\n", NULL, "1"},
     "zoo.cfg:4: server.1: a port is a number from 1 to 65535, found \"a:2888:388888\"; write a "
     "line such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.1=a:2888:x\n", NULL, "1"},
     "zoo.cfg:4: server.1: a port is a number from 1 to 65535, found \"a:2888:x\"; write a line "
     "such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.1=a:2888:2888\n", NULL, "1"},
     "zoo.cfg:4: server.1: the quorum port and the election port must differ, found "
     "\"a:2888:2888\"; write a line such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.1=a:1:2:boss\n", NULL, "1"},
     "zoo.cfg:4: server.1: expected participant or observer behind the ports, found "
     "\"a:1:2:boss\"; "
     "write a line such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.1=a:1:2;x\n", NULL, "1"},
     "zoo.cfg:4: server.1: behind the ; comes a client port from 1 to 65535, or host:port, found "
     "\"a:1:2;x\"; write a line such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.one=a:1:2\n", NULL, "1"},
     "zoo.cfg:4: server.one: expected a number behind \"server.\", as in server.1, found "
     "\"a:1:2\"; write a line such as server.1=zoo1.example.com:2888:3888"},
    {{LIMITS "server.1=a:1:2|b:1:2\n", NULL, "1"},
     "zoo.cfg:4: server.1: several addresses need multiAddress.enabled=true in zoo.cfg on all "
     "members, found \"a:1:2|b:1:2\"; write a line such as server.1=zoo1.example.com:2888:3888"},
    {{THREE "server.2=d:2888:3888\n", NULL, "1"},
     "zoo.cfg:7: server.2: line 5 has the same id; give each member an id of its own"},
    {{THREE "server.4=A:2889:2888\n", NULL, "1"},
     "zoo.cfg:7: server.4: A:2888 is an address of server.1 in line 4 too; give each member ports "
     "of its own"},
    {{"syncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n", NULL, "1"},
     "zoo.cfg: initLimit is missing, which an ensemble needs; add a line like initLimit=10"},
    {{"initLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n", NULL, "1"},
     "zoo.cfg: syncLimit is missing, which an ensemble needs; add a line like syncLimit=5"},
    {{"standaloneEnabled=false\n", NULL, NULL},
     "zoo.cfg: standaloneEnabled=false needs a server line of at least one voter; add lines such "
     "as server.1=zoo1.example.com:2888:3888, or remove the key"},
    {{"server.1=a:1:2\nserver.2=b:1:2:observer\n", NULL, "1"},
     "zoo.cfg: server lines with :observer need an ensemble to observe; make at least two of the "
     "members voters, or set standaloneEnabled=false"},
    {{THREE "group.1=1:2\n", NULL, "1"},
     "zoo.cfg:6: server.3: it is in no group, though there are group or weight lines; add it to a "
     "line such as group.1=1:2:3, or remove all of those"},
    {{THREE "group.1=1:2:3:4\n", NULL, "1"},
     "zoo.cfg:7: group.1: it names a member that has no server line, found \"1:2:3:4\"; correct or "
     "remove the line"},
    {{THREE "group.1=1:2:3\ngroup.2=3\n", NULL, "1"},
     "zoo.cfg:8: group.2: a member is in one group only, found \"3\"; correct or remove the line"},
    {{THREE "group.1=1:2:3\nweight.1=-1\n", NULL, "1"},
     "zoo.cfg:8: weight.1: expected a whole number, 0 or more, found \"-1\"; correct or remove the "
     "line"},
    {{THREE "sslQuorum=true\n", NULL, "1"},
     "zoo.cfg: sslQuorum=true is not served yet, and without it members would trust anybody; "
     "remove the line if your network is private"},
    {{THREE "quorum.auth.enableSasl=true\n", NULL, "1"},
     "zoo.cfg: quorum.auth.enableSasl=true is not served yet, and without it members would trust "
     "anybody; remove the line if your network is private"},
    {{THREE "electionAlg=0\n", NULL, "1"},
     "zoo.cfg:7: electionAlg: expected a whole number from 3 to 3, found \"0\"; correct the line, "
     "or remove it for the default 3"},
    {{THREE, NULL, NULL},
     "@/myid: this file is missing; it holds the id of this server, one of the server lines in "
     "zoo.cfg (1, 2, 3): write it there, as in: echo 1 > @/myid"},
    {{THREE, NULL, ""},
     "@/myid:1: expected the id of this server, a number as in its server line, found nothing; "
     "write it there, as in: echo 1 > @/myid"},
    {{THREE, NULL, "\n1\n"},
     "@/myid:1: expected the id of this server, a number as in its server line, found nothing; "
     "write it there, as in: echo 1 > @/myid"},
    {{THREE, NULL, "zoo1\n"},
     "@/myid:1: expected the id of this server, a number as in its server line, found \"zoo1\"; "
     "write it there, as in: echo 1 > @/myid"},
    {{"server.1=a:1:2\n", NULL, "zoo1\n"},
     "@/myid:1: expected the id of this server, a number as in its server line, found \"zoo1\"; "
     "write it there, as in: echo 1 > @/myid"},
    {{THREE, NULL, "4\n"},
     "@/myid:1: there is no line server.4 in zoo.cfg, only of 1, 2, 3; correct the id, or add the "
     "line on all members"},
    {{THREE "server.300=d:1:2\nextendedTypesEnabled=true\n", NULL, "300"},
     "@/myid:1: with extendedTypesEnabled=true an id is at most 254, found 300; give this server "
     "another one"},
    {{THREE "server.128=d:1:2\nextendedTypesEnabled=true\nemulate353TTLNodes=true\n", NULL, "128"},
     "@/myid:1: with emulate353TTLNodes=true an id is at most 127, found 128; give this server "
     "another one"},
    {{THREE "server.4=d:1:2;2182\nclientPort=2181\n", NULL, "4"},
     "zoo.cfg:7: server.4: the client address behind ; is not the one of clientPort and "
     "clientPortAddress in zoo.cfg; let both say the same, or remove those keys"},
    {{THREE "server.4=d:1:2;127.0.0.1:2181\nclientPort=2181\nclientPortAddress=127.0.0.2\n", NULL,
      "4"},
     "zoo.cfg:7: server.4: the client address behind ; is not the one of clientPort and "
     "clientPortAddress in zoo.cfg; let both say the same, or remove those keys"},
    {{THREE "clientPort=3888\n", NULL, "2"},
     "zoo.cfg:5: server.2: port 3888 is for clients already; choose another one for the members"},
    {{THREE "clientPort=2890\nobserverMasterPort=2890\n", NULL, "2"},
     "zoo.cfg: observerMasterPort=2890 is for clients already; choose another"},
    {{THREE "observerMasterPort=3888\n", NULL, "2"},
     "zoo.cfg: observerMasterPort=3888 stands in the line server.2 already; choose another"},
    {{LIMITS "server.1=a:1:2\ndynamicConfigFile=@/zoo.dynamic.1f\n", "server.1=a:1:2\n", "1"},
     "zoo.cfg:4: server.1: with dynamicConfigFile such lines belong into @/zoo.dynamic.1f; move "
     "them there, or remove the key dynamicConfigFile"},
    {{LIMITS "dynamicConfigFile=@/zoo.dynamic.1f\n", NULL, "1"},
     "zoo.cfg: dynamicConfigFile: @/zoo.dynamic.1f cannot be read: it does not exist; correct the "
     "path, or "
     "write the server lines into the file"},
    {{LIMITS "dynamicConfigFile=@/zoo.dynamic.1f\n", "server.1=a:1:2\nclientPort=1\n", "1"},
     "@/zoo.dynamic.1f:2: the key clientPort does not belong here; remove it"},
    {{LIMITS "dynamicConfigFile=@/zoo.dynamic.1f\n", "server.1=a:1:2\nversion=5\n", "1"},
     "@/zoo.dynamic.1f: version=5: the version is behind the last dot of the file's name, not in "
     "it; remove the line"},
    {{LIMITS "dynamicConfigFile=@/zoo.dynamic.1f\n", "server.1=a:1:2\nserver.2=a:1:3\n", "1"},
     "@/zoo.dynamic.1f:2: server.2: a:1 is an address of server.1 in line 1 too; give each member "
     "ports of its own"},
    {{"dynamicConfigFile=@/zoo.dynamic.1f\n", "server.1=a:1:2\nserver.2=b:1:3\n", "1"},
     "zoo.cfg: initLimit is missing, which an ensemble needs; add a line like initLimit=10"},
};

static void each_mistake_is_told(void **state)
{
    (void)state;
    for (size_t index = 0; index < ARRAY_COUNT(mistakes); index++) {
        struct fixture fixture;
        char expected[text_bytes_max];
        if (load(&fixture, &mistakes[index].files) != ERR_CONFIG)
            fail_msg("taken, instead of: %s", mistakes[index].said);
        expand(&fixture, mistakes[index].said, expected);
        strncat(expected, "\n", 2);
        if (strstr(fixture.said, expected) == NULL)
            fail_msg("expected: %s\n   said: %s", expected, fixture.said);
        end(&fixture);
    }
}

/* ---- what is right ---- */

static void an_ensemble_is_read(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct case_files files = {
        LIMITS "server.3=c:2888:3888:observer\nserver.10=d:2888:3888\nserver.2=b:2888:3888\n"
               "server.1=a:2888:3888;127.0.0.1:2182\nclientPortAddress=0.0.0.0\n",
        NULL, "1\n"};
    assert_int_equal(load(&fixture, &files), ERR_OK);
    const struct keeper_config *config = &fixture.config;
    assert_string_equal(fixture.said, "");
    assert_true(config->is_ensemble);
    assert_int_equal(config->self_id, 1);
    assert_int_equal(config->ensemble.member_count, 4);
    assert_int_equal(config->ensemble.members[2].id, 3);
    assert_int_equal(config->ensemble.members[3].id, 10);
    assert_int_equal(config->client_port, 2182);
    assert_string_equal(config->client_port_address, "127.0.0.1");
    assert_ptr_equal(ensemble_config_self(config), &config->ensemble.members[0]);
    end(&fixture);
}

static void a_dynamic_file_is_read(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct case_files files = {LIMITS "dynamicConfigFile=@/zoo.dynamic.1f\nclientPort=2181\n",
                                     "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2;2181\n"
                                     "group.1=1:2:3\nweight.2=0\n",
                                     "3"};
    assert_int_equal(load(&fixture, &files), ERR_OK);
    assert_string_equal(fixture.said, "");
    assert_true(fixture.config.is_ensemble);
    assert_int_equal(fixture.config.ensemble.version, 0x1f);
    assert_int_equal(fixture.config.ensemble.member_count, 3);
    assert_int_equal(ensemble_weight(&fixture.config.ensemble, 2), 0);
    assert_int_equal(ensemble_weight(&fixture.config.ensemble, 1), 1);
    assert_int_equal(fixture.config.client_port, 2181);
    assert_null(fixture.config.client_port_address);
    end(&fixture);
}

/* Whether it is an ensemble, and what is warned about. */
static const struct {
    struct case_files files;
    bool is_ensemble;
    int64_t client_port;
    const char *said;
} accepted[] = {
    {{"", NULL, NULL}, false, 2181, ""},
    {{"clientPort=5\n", NULL, "not read"}, false, 5, ""},
    {{"server.1=a:1:2;2182\n", NULL, "1"}, false, 2182, "zoo.cfg: there is one server line"},
    {{"server.1=a:1:2;2182\n", NULL, NULL}, false, 2181, "zoo.cfg: there is one server line"},
    {{"server.1=a:1:2;2182\n", NULL, "7"}, false, 2181, "zoo.cfg: there is one server line"},
    {{LIMITS "standaloneEnabled=false\nserver.1=a:1:2\n", NULL, "1"}, true, 2181, ""},
    {{LIMITS "server.1=a:1:2\nserver.2=b:1:2\n", NULL, "1"}, true, 2181, "zoo.cfg: two voters"},
    {{THREE "server.4=d:1:2\n", NULL, "1"}, true, 2181, "zoo.cfg: 4 voters go on"},
    {{THREE "server.4=d:1:2:observer\n", NULL, "1"}, true, 2181, ""},
    {{THREE "server.4=d:1:2:OBSERVER\n", NULL, "4"},
     true,
     2181,
     "zoo.cfg:7: server.4: it is an observer; peerType in zoo.cfg says otherwise"},
    {{THREE "server.4=d:1:2:observer\npeerType=observer\n", NULL, "4"}, true, 2181, ""},
    {{THREE "server.3=c:2888:3888\n", NULL, "1"},
     true,
     2181,
     "zoo.cfg:7: server.3 stands in line 6 already"},
    {{THREE "multiAddress.enabled=true\nserver.5=d:1:2|e:1:2\nserver.4=f:1:2\n", NULL, "5"},
     true,
     2181,
     ""},
};

static void what_may_be_is_taken(void **state)
{
    (void)state;
    for (size_t index = 0; index < ARRAY_COUNT(accepted); index++) {
        struct fixture fixture;
        if (load(&fixture, &accepted[index].files) != ERR_OK)
            fail_msg("%s: %s", accepted[index].files.zoo, fixture.said);
        if (strncmp(fixture.said, accepted[index].said, strlen(accepted[index].said)) != 0 ||
            (accepted[index].said[0] == '\0' && fixture.said[0] != '\0'))
            fail_msg("expected: %s\n   said: %s", accepted[index].said, fixture.said);
        assert_int_equal(fixture.config.is_ensemble, accepted[index].is_ensemble);
        assert_int_equal(fixture.config.client_port, accepted[index].client_port);
        end(&fixture);
    }
}

static void the_own_address_is_found(void **state)
{
    (void)state;
    struct fixture fixture;
    struct io_address address;
    const struct case_files known = {
        LIMITS "server.1=127.0.0.1:2888:3888\nserver.2=b:1:2\nserver.3=c:1:2", NULL, "1"};
    assert_int_equal(load(&fixture, &known), ERR_OK);
    assert_int_equal(ensemble_config_address(&fixture.config, ensemble_config_self(&fixture.config),
                                             fixture.io, &fixture.diag, ENSEMBLE_PORT_ELECTION,
                                             &address),
                     ERR_OK);
    assert_int_equal(address.port, 3888);
    ensemble_config_tell_busy(&fixture.config, ensemble_config_self(&fixture.config), &fixture.diag,
                              ENSEMBLE_PORT_QUORUM, ERR_BUSY);
    assert_string_equal(fixture.said,
                        "zoo.cfg:4: server.1: cannot listen on 127.0.0.1:2888 for followers: "
                        "somebody else holds it; is another server running, or is the address "
                        "another machine's?\n");
    end(&fixture);
    const struct case_files unknown = {
        LIMITS "server.1=no-such-host.invalid:1:2\nserver.2=b:1:2\nserver.3=c:1:2", NULL, "1"};
    assert_int_equal(load(&fixture, &unknown), ERR_OK);
    assert_int_equal(ensemble_config_address(&fixture.config, ensemble_config_self(&fixture.config),
                                             fixture.io, &fixture.diag, ENSEMBLE_PORT_QUORUM,
                                             &address),
                     ERR_NOT_FOUND);
    assert_string_equal(fixture.said,
                        "zoo.cfg:4: server.1: the host no-such-host.invalid is unknown here; give "
                        "a name or address of this machine, or set quorumListenOnAllIPs=true\n");
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_told),     cmocka_unit_test(an_ensemble_is_read),
        cmocka_unit_test(a_dynamic_file_is_read),   cmocka_unit_test(what_may_be_is_taken),
        cmocka_unit_test(the_own_address_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
