"""Our keeper on a data directory that Apache ZooKeeper wrote, after a clean stop and after kill -9, and back again."""

from harness import exchange


def case(t):
    exchange.hand_over(t, "apache", t.target, "stop")
    exchange.hand_over(t, "apache", t.target, "kill")
