"""Apache Kafka 4.x's perf tests, latency test and verifiable clients."""

from harness import tools


def case(t):
    tools.case(t, "kafka4", tools.perf)
