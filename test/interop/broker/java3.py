"""Apache's Java client of Kafka 3.9: the contract of harness/group.py."""

from harness import group


def case(t):
    group.scenario(t, lambda *words: t.java_program("broker/java/Client.java", "kafka3", *words))
