"""kazoo: its own calls, its recipes, a restart under it, and ephemerals of a killed client."""


def case(t):
    keeper = t.keeper()
    victims = []

    def start_victim(path):
        victim = t.spawn(t.python_program("keeper/kazoo/client.py", keeper.address, "victim", path), "victim")
        victim.wait_line(lambda line: line.startswith("holding"), 30, "ephemeral node")
        victims.append(victim)

    t.drive(t.python_program("keeper/kazoo/client.py", keeper.address, "all"), "client", {
        "restart": lambda: (keeper.restart(), None)[1],
        "victim": start_victim,
        "kill": lambda: (victims.pop().kill(), None)[1],
    })
    keeper.check_alive()
    keeper.stop()
