"""Runs the JUnit classes of a fetched jar, with classes of ours in the place of those that start Apache's server."""

import collections
import concurrent.futures
import zipfile

from . import build, places, suite
from .process import Failure

# A class of tests; each of its tests has a limit of its own in java/Suite.java, which says its name.
CLASS_S = 300


def classes(jar, is_test):
    """The names of the top classes of a jar that hold tests, by the suite's own rule of naming."""
    with zipfile.ZipFile(jar) as archive:
        names = [name.removesuffix(".class").replace("/", ".") for name in archive.namelist() if name.endswith(".class")]
    return sorted(name for name in names if "$" not in name and is_test(name.rsplit(".", 1)[1]))


def jar(name, stem):
    """The one jar of a class path whose name starts so and which holds tests."""
    (found,) = (places.CACHE / "jars" / name).glob(f"{stem}-*-tests.jar")
    return found


class Junit:
    """One run of a suite: the class path, and the results of all its processes."""

    def __init__(self, t, table, jars, sources, properties):
        self.t = t
        self.table = table
        self.properties = properties
        self.results = []
        self.known = set()
        self.skips = t.directory / "skips"
        self.skips.write_text("\n".join(table.skipped_tests()))
        ours = build.java_sources(f"suite-{t.name}", ["java/Suite.java"], jars)
        if t.target == "rookery":
            ours = f"{build.java_sources(f'server-{t.name}', sources, jars)}:{ours}"
        self.class_path = ":".join([str(ours), *(places.class_path(name) for name in jars)])

    def run(self, together, alone, lane_count):
        """Runs classes in lane_count processes side by side, of which each takes the next one; those alone have one each."""
        queues = [collections.deque([group]) for group in alone] + [collections.deque(together)] * lane_count
        with concurrent.futures.ThreadPoolExecutor(lane_count) as pool:
            for lane in [pool.submit(self._run_lane, number, queue) for number, queue in enumerate(queues, 1)]:
                lane.result()
        for report in sorted(self.t.directory.glob("results-*")):
            self._read(report)

    def _run_lane(self, number, waiting):
        if not waiting:
            return
        report = self.t.directory / f"results-{number}"
        report.touch()
        command = ["java", *places.JVM_FLAGS, f"-Dlogback.configurationFile={places.HERE / 'jars' / 'logback.xml'}",
                   f"-Dinterop.server={places.rookery()}", f"-Dinterop.output={self.t.directory / f'server-{number}.out'}",
                   f"-Djava.io.tmpdir={self.t.directory}", f"-Dbuild.test.dir={self.t.directory}", *self.properties,
                   "-cp", self.class_path, "Suite", report, self.skips]
        process = self.t.spawn(command, f"suite-{number}")
        while True:
            try:
                group = waiting.popleft()
            except IndexError:
                break
            process.send(group)
            process.wait_line(lambda line: line == f"suite: {group} is done", CLASS_S, group)
        process.close_input()
        status = process.wait(30)
        if status != 0:
            raise Failure(f"{process.name}: status {status}, expected 0")

    def _read(self, report):
        for line in report.read_text().splitlines():
            word, name, detail = line.split("\t", 2)
            group, _, test = name.partition("#")
            if word == "known":
                self.known.add(name)
            else:
                self.results.append((group, f"{test} {detail}", None if word == "pass" else f"{word}: {detail}"))

    def check(self):
        self.table.check_tests(self.t, self.known)
        self.table.check_results(self.t, self.results)


def run(t, table_path, found, jars, sources, is_wanted=lambda group: True, lane_count=1, properties=()):
    """A suite, or the part of it that is wanted: the classes `found`, by the table.

    The tests that wait more than they work may share the machine: lane_count processes at a time.
    """
    table = suite.Table(table_path)
    table.check_groups(t, found)
    table.keep(is_wanted)
    junit = Junit(t, table, jars, sources, properties)
    junit.run(table.together(), table.alone, lane_count)
    junit.check()
