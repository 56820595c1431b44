"""Runs the JUnit classes of a fetched jar, with classes of ours in the place of those that start Apache's server."""

import zipfile

from . import build, places, suite


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

    def __init__(self, t, table, jars, sources):
        self.t = t
        self.table = table
        self.results = []
        self.known = set()
        self.skips = t.directory / "skips"
        self.skips.write_text("\n".join(table.skipped_tests()))
        ours = build.java_sources(f"suite-{t.name}", ["java/Suite.java"], jars)
        if t.target == "rookery":
            ours = f"{build.java_sources(f'server-{t.name}', sources, jars)}:{ours}"
        self.class_path = ":".join([str(ours), *(places.class_path(name) for name in jars)])

    def run(self, groups, timeout_s, properties=()):
        """Runs classes in a process of their own."""
        number = len(list(self.t.directory.glob("results-*"))) + 1
        report = self.t.directory / f"results-{number}"
        report.touch()
        self.t.run(["java", *places.JVM_FLAGS, f"-Dlogback.configurationFile={places.HERE / 'jars' / 'logback.xml'}",
                    f"-Dinterop.server={places.rookery()}", f"-Dinterop.output={self.t.directory / 'server.out'}",
                    f"-Djava.io.tmpdir={self.t.directory}", f"-Dbuild.test.dir={self.t.directory}", *properties,
                    "-cp", self.class_path, "Suite", report, self.skips, *groups], "suite", timeout_s)
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


def run(t, table_path, found, jars, sources, timeout_s, is_wanted=lambda group: True):
    """A suite, or the part of it that is wanted: the classes `found`, by the table."""
    table = suite.Table(table_path)
    table.check_groups(t, found)
    table.keep(is_wanted)
    junit = Junit(t, table, jars, sources)
    junit.run(table.together(), timeout_s)
    for group in table.alone:
        junit.run([group], timeout_s)
    junit.check()
