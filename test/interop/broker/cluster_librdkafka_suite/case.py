"""librdkafka's own tests that need brokers, as Debian's source package has them, against a cluster of three: in its quick
mode by default, whole with interop-all. Those that it calls local, most of them with its own mock of a cluster, are left out."""

import re

from harness import build, places, suite
from harness.cluster import Cluster

# What the tests call a scenario, and what its brokers are told.
SCENARIOS = {"default": "true", "noautocreate": "false"}
PARALLEL = 4
# One test is run by its parts, each by what the names of its subtests hold. The others need ACLs, and DescribeConsumerGroups races:
# it waits six seconds for the end of sessions of six seconds.
IN_PARTS = "0081_admin"
PARTS = ("CreateTopics", "DeleteTopics", "Partitions", "Configs", "DeleteGroups", "ListConsumerGroups", "Records", "Offsets")


def tests_of(source):
    """{test: its scenario} of those that need brokers."""
    table = (source / "tests" / "test.c").read_text().split("struct test tests[] = {")[1].split("{NULL}")[0]
    found = {}
    for name, flags, rest in re.findall(r"\b_TEST\((\w+),\s*([^,()]+)(.*?)(?=\b_TEST\(|$)", table, re.DOTALL):
        if "TEST_F_LOCAL" not in flags and "TEST_F_MANUAL" not in flags:
            scenario = re.search(r'\.scenario = "([^",]*)', rest)
            found[name] = scenario[1] if scenario else "default"
    return found


def tools(t):
    """A directory like that of Kafka's own distribution, as far as the tests run what is in it."""
    home = t.directory / "kafka"
    (home / "bin").mkdir(parents=True)
    script = home / "bin" / "kafka-topics.sh"
    command = " ".join(f"'{word}'" for word in places.java("kafka3", "org.apache.kafka.tools.TopicCommand"))
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
    return home


def lay_out(t, source):
    """Where the tests run: beside what they read of the sources."""
    (t.directory / "suite" / "tests").mkdir(parents=True)
    (t.directory / "suite" / "src").symlink_to(source / "src")


def run(t, program, home, cluster, scenario, names, part=None):
    """Results of these tests, as (test, what is counted, failure or None)."""
    config = t.directory / f"{scenario}.conf"
    # A step of two seconds outlives a machine that stands still for some; CI below would give a request less time than the client does.
    config.write_text(f"metadata.broker.list={cluster.addresses}\nbroker.address.family=v4\ntest.timeout.multiplier=5\n"
                      "request.timeout.ms=60000\n")
    environment = {"TESTS": ",".join(sorted({name.split("_")[0] for name in names})), "RDKAFKA_TEST_CONF": str(config),
                   "TEST_KAFKA_VERSION": places.versions()["kafka3"], "KAFKA_PATH": str(home), "BROKERS": cluster.addresses,
                   # Its word for slow machines: how long a step took is told, not judged.
                   "CI": "1", **({"SUBTESTS": part} if part else {})}
    quick = [] if places.wants_all() else ["-Q"]
    # It speaks on its standard error; after a failure there is no summary, as what the failed test has left does not end.
    lines = t.run(["sh", "-c", 'cd suite/tests && exec "$0" "$@" 2>&1', program, f"-p{PARALLEL}", "-L", "-E", "-s", scenario, *quick], scenario, 420, None,
                  environment)
    results, failed, passed_parts = [], None, 0
    for line in lines:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
        passed_parts += bool(re.search(r": PASS \([0-9.]+s\) \]$", plain))
        if seen := re.search(r"=== Test (\w+) (PASSED|SKIPPED) ===", plain):
            results.append((seen[1], part or scenario, None if seen[2] == "PASSED" else seen[2]))
        elif seen := re.match(r'### Test "(\w+)(.*" failed at .*)', plain):
            failed = seen[1], seen[2]
        elif failed:
            if failed[0] in names:
                results.append((failed[0], part or scenario, f"{failed[1]} {plain}"))
            failed = None
    if part:
        t.check(passed_parts > 0, f"{IN_PARTS}: there is a {part}")
    return results


def case(t):
    program, source = build.librdkafka_tests()
    table = suite.Table(places.HERE / "broker/cluster_librdkafka_suite/tests")
    tests = tests_of(source)
    table.check_groups(t, sorted(tests))
    table.keep()
    home = tools(t)
    lay_out(t, source)
    results = []
    for scenario, creates in SCENARIOS.items():
        wanted = [name for name in table.counts if tests.get(name) == scenario]
        cluster = Cluster(t, [t.target] * 3, name=scenario, num__partitions=4,
                          each={number: {"broker__rack": f"RACK{number}"} for number in (1, 2, 3)}, auto__create__topics__enable=creates,
                          # Else records of 1970, as some tests have, go with the first look, half a minute after a start.
                          log__retention__ms=-1,
                          replica__selector__class="org.apache.kafka.common.replica.RackAwareReplicaSelector")
        cluster.start()
        results += run(t, program, home, cluster, scenario, [name for name in wanted if name != IN_PARTS])
        if IN_PARTS in wanted:
            for part in PARTS:
                if f"{IN_PARTS}#{part}" in table.skipped_tests():
                    continue
                results += run(t, program, home, cluster, scenario, [IN_PARTS], part)
        cluster.check_alive()
        cluster.stop_all()
    table.check_results(t, results)
