"""kazoo's own test suite, as it ships, with our server where it starts ZooKeeper."""

import re

from harness import places

# What this suite asks of servers that Rookery is not yet: TLS and SASL, reconfiguration, read-only members of an
# ensemble. The last name is a test of a client with many hosts, which fails against a single server of anyone.
NOT_ASKED = ("SSL", "Sasl", "SASL", "Reconfig", "ReadOnly", "test_update_host_list")
MODULES = ("barrier", "cache", "client", "connection", "counter", "election", "lease", "lock", "partitioner", "party",
           "queue", "watchers")


def stand_in(t):
    """The suite runs `java .. zoo.cfg`; this `java` starts the server under test with that file."""
    directory = t.directory / "bin"
    directory.mkdir()
    if t.target == "rookery":
        command = f'exec {places.rookery()} keeper "$config"'
    else:
        flags = " ".join(places.JVM_FLAGS)
        command = f'PATH=${{PATH#*:}} exec java {flags} -Dzookeeper.admin.enableServer=false "$@"'
    script = directory / "java"
    script.write_text(f"#!/bin/sh\nfor config; do :; done\n{command}\n")
    script.chmod(0o755)
    return directory


def case(t):
    environment = {
        "PATH": f"{stand_in(t)}:/usr/local/bin:/usr/bin:/bin",
        "ZOOKEEPER_PATH": str(t.directory),
        "ZOOKEEPER_CLASSPATH": places.class_path("zookeeper"),
        "ZOOKEEPER_VERSION": places.versions()["zookeeper"],
        "ZOOKEEPER_CLUSTER_SIZE": "1",
        "ZOOKEEPER_PORT_OFFSET": str(t.port()),
        "TMPDIR": str(t.directory),
    }
    lines = t.run([places.CACHE / "venv/bin/python", "-W", "ignore", "-m", "pytest", "-q", "-W", "ignore", "-p",
                   "no:cacheprovider", "--tb=short", "-rf", "-k", " and ".join(f"not {name}" for name in NOT_ASKED),
                   "--pyargs", *(f"kazoo.tests.test_{name}" for name in MODULES)],
                  "suite", timeout_s=420, status=None, env=environment)
    for line in lines:
        if line.startswith(("FAILED ", "ERROR ")):
            t.check(False, line.split("/")[-1])
    counts = re.findall(r"(\d+) passed", "\n".join(lines[-40:]))
    t.need(counts, "the suite ran", lines[-3:])
    t.check(int(counts[-1]) > 200, "most of its tests ran", counts)
    t.passed += int(counts[-1])
