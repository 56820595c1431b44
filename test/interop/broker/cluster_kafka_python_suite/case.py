"""kafka-python's own tests that need brokers, as its source distribution has them, against a cluster of three. Two things are changed.

Its topics have three replicas, not one. And a consumer is made when it knows its topics: it has waited for the answer to its first
Metadata request, and for that to one that names them. What the client does without that is in ../../README.md.
"""

import shutil

from harness import places, suite
from harness.cluster import Cluster
from harness.process import Failure
from harness.pytest_suite import Pytest

# What is changed: the file of the suite, what it says there once, and what it says here.
CHANGES = (
    ("fixtures.py", "transport='PLAINTEXT', replicas=1, partitions=4,", "transport='PLAINTEXT', replicas=3, partitions=4,"),
    ("conftest.py", "c = KafkaConsumer(*topics, **params)",
     "c = KafkaConsumer(*topics, **params); c.bootstrap(); c.bootstrap(refresh=True)"),
)


def copy_tests(t):
    """The suite, with what it lacks; the directory that holds its package `test`."""
    home = t.directory / "suite"
    shutil.copytree(places.CACHE / "source" / "kafka-python" / "test", home / "test")
    (home / "test" / "__init__.py").touch()
    shutil.copy(places.HERE / "broker/cluster_kafka_python_suite/service.py", home / "test")
    for name, theirs, ours in CHANGES:
        path = home / "test" / "integration" / name
        text = path.read_text()
        if text.count(theirs) != 1:
            raise Failure(f"{path} does not hold once: {theirs}")
        path.write_text(text.replace(theirs, ours))
    return home


def case(t):
    home = copy_tests(t)
    cluster = Cluster(t, [t.target] * 3, auto__create__topics__enable="true", num__partitions=4,
                      group__min__session__timeout__ms=1000)
    cluster.start()
    environment = {"PYTHONPATH": str(home), "KAFKA_URI": f"kafka://{cluster.address(1)}", "KAFKA_ROOT": str(home),
                   "KAFKA_VERSION": places.versions()["kafka3"], "TMPDIR": str(t.directory)}
    pytest = Pytest(t, environment, home / "test" / "integration", "test.integration")
    table = suite.Table(places.HERE / "broker/cluster_kafka_python_suite/tests")
    tests = pytest.tests()
    table.check_groups(t, sorted({group for group, _ in tests}))
    table.check_tests(t, {f"{group}#{test}" for group, test in tests})
    table.keep()
    table.check_results(t, pytest.results(table, 300))
    cluster.check_alive()
    cluster.wait_in_sync()
    cluster.stop_all()
