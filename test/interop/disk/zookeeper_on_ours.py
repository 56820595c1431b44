"""Apache ZooKeeper on a data directory that our keeper wrote, after a clean stop and after kill -9, and back again."""

from harness import exchange


def case(t):
    exchange.hand_over(t, t.target, "apache", "stop")
    exchange.hand_over(t, t.target, "apache", "kill")
