"""An Apache Kafka 3.9 broker on an ensemble whose leader is killed again and again."""

from harness import across


def case(t):
    across.on_ensemble(t, "apache")
