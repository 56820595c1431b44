"""Somebody's own test suite: the table of what runs and what does not, and the results measured against it.

A table has a line for each group of tests (a class, say), and for each that is not run:

    run  GROUP COUNT             COUNT tests of it run, and all pass
    alone GROUP COUNT            the same, in a process of its own: it sets what lasts as long as the process
    skip GROUP REASON            none of it runs; GROUP may be a pattern
    skip GROUP#TEST REASON       this test of a group that runs is left out

What is in neither list fails the case, as does a line that names nothing, or a count that is not met.
"""

import collections
import fnmatch


class Table:
    def __init__(self, path):
        self.counts = {}
        self.alone = []
        self.skips = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            if len(words) < 3 or words[0] not in ("run", "alone", "skip"):
                raise SystemExit(f"{path}:{number}: expected run, alone or skip, a name, and a count or reason")
            if words[0] == "skip":
                self.skips[words[1]] = words[2]
                continue
            self.counts[words[1]] = int(words[2])
            if words[0] == "alone":
                self.alone.append(words[1])

    def keep(self, is_wanted):
        """Leaves the groups that another case runs to it."""
        self.counts = {group: count for group, count in self.counts.items() if is_wanted(group)}
        self.alone = [group for group in self.alone if is_wanted(group)]
        self.skips = {name: reason for name, reason in self.skips.items()
                      if "#" not in name or is_wanted(name.split("#")[0])}

    def together(self):
        return [group for group in self.counts if group not in self.alone]

    def skipped_tests(self):
        """GROUP#TEST of each test that is left out of a group that runs."""
        return [name for name in self.skips if "#" in name]

    def _is_skipped(self, group):
        return any("#" not in name and fnmatch.fnmatchcase(group, name) for name in self.skips)

    def check_groups(self, t, groups):
        """Every group that there is has a line, and every line has a group."""
        for group in groups:
            t.check((group in self.counts) != self._is_skipped(group), f"{group} is either run or skipped")
        for group in self.counts:
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
              f"{len(self.skips)} lines of the table say what did not, and why")
