"""Apache Kafka 4.x on the command line: topics, configs, console producer and consumer, consumer groups."""

from harness import tools


def case(t):
    tools.case(t, "kafka4", tools.topics, tools.console)
