"""A Go program of tests: what it holds, and the results of a run measured against a table (harness/suite.py)."""

import re

from .process import patient


def names(t, program, env=None):
    """All its tests."""
    return [line for line in t.run([program, "-test.list", "."], "list", env=env) if re.match("(Test|Fuzz)", line)]


def check(t, program, table, timeout_s, env=None):
    """Runs what the table says; each test and each of its parts counts."""
    table.keep()
    # A part of a test is TEST/PART, whose two halves are patterns of their own.
    left_out = ["/".join(f"^{re.escape(half)}$" for half in name.split("#")) for name in table.skipped_tests()]
    wanted = "^(" + "|".join(table.counts) + ")$"
    skipped = ["-test.skip", "|".join(left_out)] if left_out else []
    lines = t.run([program, "-test.v", "-test.run", wanted, *skipped, "-test.timeout", f"{patient(timeout_s) - 10}s"], "suite",
                  timeout_s, None, env)
    results = []
    for line in lines:
        if seen := re.match(r"\s*--- (PASS|FAIL|SKIP): ([^/ ]+)(\S*) \(([0-9.]+)s\)", line):
            results.append((seen[2], seen[3], None if seen[1] == "PASS" else seen[1]))
    table.check_results(t, results)
    t.equal(lines[-1:], ["PASS"], "the suite passes")
