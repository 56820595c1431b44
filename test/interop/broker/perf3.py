"""Apache Kafka 3.9's perf tests, latency test and verifiable clients."""

from harness import tools


def case(t):
    tools.case(t, "kafka3", tools.perf)
