"""Somebody's own test suite: the table of what runs and what does not, and the results measured against it.

A table has a line for each group of tests (a class, say), and for each that is not run:

    run  GROUP COUNT             COUNT tests of it run, and all pass
    alone GROUP COUNT            the same, in a process of its own: it sets, or needs unset, what lasts as long as that
    slow GROUP COUNT REASON      as run, but only where all is asked for, as `make interop-all` does: it takes long, or is touchy
    slow GROUP#TEST COUNT REASON this test of a group that runs is COUNT more of them then, and left out else
    skip GROUP REASON            none of it runs; GROUP may be a pattern
    skip GROUP#TEST REASON       this test of a group that runs is left out

What is in neither list fails the case, as does a line that names nothing, or a count that is not met.
"""

import collections
import fnmatch

from . import places


class Table:
    def __init__(self, path):
        self.counts = {}
        self.alone = []
        self.slow = {}
        self.skips = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            if len(words) < 3 or words[0] not in ("run", "alone", "slow", "skip"):
                raise SystemExit(f"{path}:{number}: expected run, alone, slow or skip, a name, and a count or reason")
            if words[0] == "skip":
                self.skips[words[1]] = words[2]
                continue
            if words[0] == "slow":
                self.slow[words[1]] = int(words[2].split()[0])
                continue
            self.counts[words[1]] = int(words[2])
            if words[0] == "alone":
                self.alone.append(words[1])

    def keep(self, is_wanted=lambda group: True):
        """Leaves the groups that another case runs to it, and what takes long to those who want all."""
        if places.wants_all():
            for name, count in self.slow.items():
                group = name.split("#")[0]
                self.counts[group] = self.counts.get(group, 0) + count
            self.slow = {}
        self.counts = {group: count for group, count in self.counts.items() if is_wanted(group)}
        self.alone = [group for group in self.alone if is_wanted(group)]
        self.slow = {name: count for name, count in self.slow.items() if is_wanted(name.split("#")[0])}
        self.skips = {name: reason for name, reason in self.skips.items()
                      if "#" not in name or is_wanted(name.split("#")[0])}

    def together(self):
        return [group for group in self.counts if group not in self.alone]

    def skipped_tests(self):
        """GROUP#TEST of each test that is left out of a group that runs."""
        return [name for name in [*self.skips, *self.slow] if "#" in name]

    def _is_skipped(self, group):
        return any("#" not in name and fnmatch.fnmatchcase(group, name) for name in self.skips)

    def check_groups(self, t, groups):
        """Every group that there is has a line, and every line has a group."""
        for group in groups:
            t.check((group in self.counts or group in self.slow) != self._is_skipped(group),
                    f"{group} is either run or skipped")
        for group in {*self.counts, *(name.split("#")[0] for name in self.slow)}:
            t.check(group in groups, f"{group}, which the table runs, is in the suite")
        for name in self.skips:
            if "#" not in name:
                t.check(fnmatch.filter(groups, name), f"{name}, which the table skips, is in the suite")

    def check_tests(self, t, tests):
        """Every test that the table leaves out is among GROUP#TEST of all that there are."""
        for name in self.skipped_tests():
            t.check(name in tests, f"{name}, which the table skips, is in the suite")

    def check_results(self, t, results):
        """`results` are (group, test, failure or None) of all tests that ran."""
        seen = collections.Counter()
        for group, test, failure in results:
            seen[group] += 1
            t.check(failure is None, f"{group} {test}", failure)
        for group in sorted({*self.counts, *seen}):
            t.equal(seen[group], self.counts.get(group, 0), f"{group}: tests that ran")
        t.say(f"{sum(seen.values())} tests of {len(seen)} groups ran; "
              f"{len(self.skips)} lines of the table say what did not, and why; {len(self.slow)} are left to interop-all")
