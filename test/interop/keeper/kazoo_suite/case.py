"""kazoo's own test suite, as it ships, with our server where it starts ZooKeeper, and more patience (patience.py)."""

from harness import places, suite
from harness.pytest_suite import Pytest


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


def is_about_handlers(group):
    """With gevent and with eventlet, most tests of the client are there again."""
    return group.startswith(("test_gevent_handler", "test_eventlet_handler"))


def case(t, is_wanted=lambda group: not is_about_handlers(group)):
    environment = {
        "PATH": f"{stand_in(t)}:/usr/local/bin:/usr/bin:/bin",
        "ZOOKEEPER_PATH": str(t.directory),
        "ZOOKEEPER_CLASSPATH": places.class_path("zookeeper"),
        "ZOOKEEPER_VERSION": places.versions()["zookeeper"],
        "ZOOKEEPER_CLUSTER_SIZE": "1",
        "ZOOKEEPER_PORT_OFFSET": str(t.port()),
        "TMPDIR": str(t.directory),
        "PYTHONPATH": str(places.HERE / "keeper/kazoo_suite"),
        "PYTEST_PLUGINS": "patience",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CI": "true",  # Asks for the test that the versions are those that the environment names.
    }
    home = next((places.CACHE / "venv/lib").glob("python3*/site-packages/kazoo/tests"))
    pytest = Pytest(t, environment, home, "kazoo.tests")
    table = suite.Table(places.HERE / "keeper/kazoo_suite/tests")
    tests = pytest.tests()
    table.check_groups(t, sorted({group for group, _ in tests}))
    table.check_tests(t, {f"{group}#{test}" for group, test in tests})
    table.keep(is_wanted)
    table.check_results(t, pytest.results(table, 420))
