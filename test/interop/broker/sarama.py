"""sarama: the contract of harness/group.py."""

from harness import group


def case(t):
    group.scenario(t, lambda *words: t.go_program("broker/programs/sarama_client.go", *words))
