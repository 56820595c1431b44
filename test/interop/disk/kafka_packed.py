"""Our broker on committed offsets that Apache's broker has compressed (by gzip; its default is not to)."""

from disk.kafka import hand_over


def case(t):
    hand_over(t, "apache", t.target, "stop", offsets__topic__compression__codec=1)
