"""Our broker on an Apache ZooKeeper 3.9."""

from harness import across


def case(t):
    across.case(t, "apache", t.target)
