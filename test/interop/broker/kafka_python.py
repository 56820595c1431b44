"""kafka-python: the contract of harness/group.py."""

from harness import group


def case(t):
    group.scenario(t, lambda *words: t.python_program("broker/programs/kafka_python_client.py", *words))
