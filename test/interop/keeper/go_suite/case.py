"""go-zookeeper's own tests, as they ship, with our server where they start theirs.

One line is changed: their wait for a server asks srvr, and their parser of its answer knows the dates of ZooKeeper 3.6
only, not those that Apache's 3.9 and ours print.
"""

from harness import build, go_tests, places, suite

WAIT = "_, ok := FLWSrvr(serverAddrs, time.Second)"
WAIT_HERE = 'answer, _ := fourLetterWord(serverAddrs[0], "srvr", time.Second); ok := strings.Contains(string(answer), "Mode:")'


def server(t):
    """The directory whose zkServer.sh starts the server under test."""
    if t.target == "rookery":
        return places.HERE / "keeper/go_suite"
    directory = t.directory / "bin"
    directory.mkdir()
    command = " ".join(places.java("zookeeper", "org.apache.zookeeper.server.quorum.QuorumPeerMain"))
    (directory / "zkServer.sh").write_text(
        f'#!/bin/sh\nset -f\nexec {command.replace("java ", "java $SERVER_JVMFLAGS ", 1)} "$2"\n')
    (directory / "zkServer.sh").chmod(0o755)
    return directory


def case(t):
    program = build.go_test_changed("github.com/go-zookeeper/zk", "server_help_test.go", WAIT, WAIT_HERE)
    table = suite.Table(places.HERE / "keeper/go_suite/tests")
    environment = {"ZOOKEEPER_BIN_PATH": str(server(t)), "INTEROP_SERVER": str(places.rookery()), "TMPDIR": str(t.directory)}
    table.check_groups(t, go_tests.names(t, program, environment))
    go_tests.check(t, program, table, 210, environment)
