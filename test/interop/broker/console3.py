"""Apache Kafka 3.9 on the command line: topics, configs, console producer and consumer, consumer groups."""

from harness import tools


def case(t):
    tools.case(t, "kafka3", tools.topics, tools.console)
