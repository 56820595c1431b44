"""What acks=all waits for, topic by topic, by the words that Apache's tools know."""

from harness import tools

NEVER = "9223372036854775807"


def case(t):
    keeper = t.keeper()
    broker = t.broker(keeper)

    toolbox = tools.Tools(t, "kafka3", broker)

    def configs(*words):
        return toolbox.run("configs", "--entity-type", "topics", "--entity-name", "t", *words)

    def shown():
        return configs("--describe")

    def produce(what):
        lines = t.run(["kcat", "-b", broker.address, "-P", "-t", "t", "-X", "acks=all"], "kcat", feed="a\nb\n")
        t.check(not lines, what, lines)

    toolbox.run("topics", "--create", "--topic", "t", "--config", f"flush.messages={NEVER}")
    produce("acks=all on a topic that leaves syncing to the system")
    t.check(f"flush.messages={NEVER}" in shown(), "the tool shows what the topic says", shown())
    configs("--alter", "--add-config", "flush.messages=1")
    t.check("DYNAMIC_TOPIC_CONFIG:flush.messages=1" in shown(), "it can be altered", shown())
    produce("acks=all on a topic that syncs each record")
    configs("--alter", "--delete-config", "flush.messages")
    t.check("flush.messages" not in shown(), "and taken back", shown())
    broker.check_alive()
    broker.stop()
    keeper.stop()
