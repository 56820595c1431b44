"""An Apache Kafka 3.9 broker in ZooKeeper mode on our keeper."""

from harness import across


def case(t):
    across.case(t, t.target, "apache")
