"""go-zookeeper's own tests, as they ship, with our server where they start theirs.

One line is changed: their wait for a server asks srvr, and their parser of its answer knows the dates of ZooKeeper 3.6
only, not those that Apache's 3.9 and ours print.
"""

import re

from harness import build, places, suite

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
    found = [line for line in t.run([program, "-test.list", "."], "list") if line.startswith("Test")]
    table.check_groups(t, found)
    environment = {"ZOOKEEPER_BIN_PATH": str(server(t)), "INTEROP_SERVER": str(places.rookery()), "TMPDIR": str(t.directory)}
    wanted = "^(" + "|".join(table.counts) + ")$"
    lines = t.run([program, "-test.v", "-test.run", wanted, "-test.timeout", "200s"], "suite", 210, None, environment)
    results = []
    for line in lines:
        if seen := re.match(r"\s*--- (PASS|FAIL|SKIP): ([^/ ]+)(\S*)", line):
            results.append((seen[2], seen[3], None if seen[1] == "PASS" else seen[1]))
    table.check_results(t, results)
    t.equal(lines[-1:], ["PASS"], "the suite passes")
