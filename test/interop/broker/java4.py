"""Apache's Java client of Kafka 4.x: the contract of harness/group.py."""

from harness import group


def case(t):
    group.scenario(t, lambda *words: t.java_program("broker/java/Client.java", "kafka4", *words))
