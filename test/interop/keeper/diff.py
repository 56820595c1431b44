"""Our keeper and Apache's server told the same: all directed cases of test/diff, and a few thousand random operations."""

import sys

from harness import places

OPERATIONS = 20000
SEED = 1


def case(t):
    if t.target != "rookery":
        t.check(True, "Apache's server is the judge here")
        return
    sys.path.insert(0, str(places.TOP / "test" / "diff"))
    import campaign

    campaign.directed(t)
    campaign.random(t, SEED, OPERATIONS, ["all"])
