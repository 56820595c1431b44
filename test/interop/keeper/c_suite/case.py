"""Apache's own tests of its C client that need a server, as Debian's source package has them, against ours."""

import re

from harness import build, places, suite

TEST_S = 60


def tests_of(source):
    """GROUP and TEST of every test that the sources register."""
    found = []
    for path in sorted((source / "tests").glob("*.cc")):
        group = None
        for line in path.read_text(errors="replace").splitlines():
            if seen := re.match(r"\s*CPPUNIT_TEST_SUITE\((\w+)\)", line):
                group = seen[1]
            elif group and (seen := re.match(r"\s*CPPUNIT_TEST\((\w+)\)", line)):
                found.append((group, seen[1]))
    return found


def case(t):
    program, source = build.zookeeper_c_tests(places.HERE / "keeper/c_suite/server")
    table = suite.Table(places.HERE / "keeper/c_suite/tests")
    tests = tests_of(source)
    table.check_groups(t, sorted({group for group, _ in tests}))
    table.check_tests(t, {f"{group}#{test}" for group, test in tests})
    server = [places.rookery(), "keeper"]
    if t.target == "apache":
        server = places.java("zookeeper", "org.apache.zookeeper.server.quorum.QuorumPeerMain", properties=[
            "-Dzookeeper.extendedTypesEnabled=true", "-Dznode.container.checkIntervalMs=100"])
    environment = {"INTEROP_DIRECTORY": str(t.directory), "INTEROP_SERVER": " ".join(str(word) for word in server),
                   "INTEROP_PYTHON": "python3"}
    table.keep()
    left_out = table.skipped_tests()
    results = []
    for group, test in tests:
        if group in table.counts and f"{group}#{test}" not in left_out:
            lines = t.run([program, f"{group}::{test}"], test, TEST_S, None, environment)
            results.append((group, test, None if lines[-1:] == ["OK (1)"] else " | ".join(lines[-3:])))
    table.check_results(t, results)
