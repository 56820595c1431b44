"""Apache's Java client: every operation, every answer that is a no, watches, sessions, a restart in the middle."""


def case(t):
    keeper = t.keeper()
    victims = []

    def start_victim(path):
        """A client in a process of its own that makes an ephemeral node and is killed."""
        victim = t.spawn(t.java_program("keeper/java/Operations.java", "zookeeper", keeper.address, "victim", path),
                         "victim")
        victim.wait_line(lambda line: line.startswith("holding"), 30, "ephemeral node")
        victims.append(victim)

    t.drive(t.java_program("keeper/java/Operations.java", "zookeeper", keeper.address, "all"), "operations", {
        "restart": keeper.restart,
        "crash": lambda: (keeper.kill(), keeper.start(), None)[2],
        "victim": start_victim,
        "kill": lambda: (victims.pop().kill(), None)[1],
    })
    keeper.check_alive()
    keeper.stop()
