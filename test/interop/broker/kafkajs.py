"""kafkajs: the contract of harness/group.py."""

from harness import group


def case(t):
    group.scenario(t, lambda *words: t.node_program("broker/programs/kafkajs_client.js", *words))
