"""A suite of pytest's: what it holds, and what became of what a table (harness/suite.py) runs."""

import xml.etree.ElementTree as xml

from . import places


class Pytest:
    """The suite's tests, which pytest knows as FILE::CLASS::TEST or FILE::TEST; a group of the table is FILE or FILE.CLASS."""

    def __init__(self, t, environment, home, package):
        self.t = t
        self.environment = environment
        self.home = home  # The directory of the suite.
        self.package = package  # What Python calls it.

    def run(self, arguments, name, timeout_s):
        return self.t.run([places.CACHE / "venv/bin/python", "-W", "ignore", "-m", "pytest", "-q", "-W", "ignore", "-p",
                           "no:cacheprovider", "--rootdir", self.home, "--tb=short", *arguments],
                          name, timeout_s=timeout_s, status=None, env=self.environment)

    def tests(self):
        """All tests that there are, as (group, test)."""
        lines = [line for line in self.run(["--collect-only", self.home], "list", 60) if line.startswith("test_")]
        return [self._split(line) for line in lines]

    @staticmethod
    def _split(line):
        group, test = line.split("/")[-1].rsplit("::", 1)
        return group.replace(".py", "").replace("::", "."), test

    def name(self, group):
        """What pytest calls a group or, as GROUP#TEST, a test."""
        group, _, test = group.partition("#")
        file, _, rest = group.partition(".")
        return "::".join(part for part in (f"{file}.py", rest, test) if part)

    def results(self, table, timeout_s):
        """Runs what the table says."""
        report = self.t.directory / "report.xml"
        left_out = [f"--deselect={self.name(name)}" for name in table.skipped_tests()]
        wanted = [self.home / self.name(group) for group in table.counts]
        self.run([f"--junitxml={report}", *left_out, *wanted], "suite", timeout_s)
        self.t.need(report.exists(), "the suite ran")
        found = []
        for row in xml.parse(report).iter("testcase"):
            group = row.get("classname").split(f"{self.package}.")[-1]
            wrong = [f"{part.tag}: {part.get('message')}" for part in row if part.tag in ("failure", "error", "skipped")]
            found.append((group, row.get("name"), " | ".join(wrong) or None))
        return found
