"""The Go client: every operation, watches, auth, a restart in the middle, and ephemerals of a killed client."""


def case(t):
    keeper = t.keeper()
    victims = []

    def start_victim(path):
        victim = t.spawn(t.go_program("keeper/go/client.go", keeper.address, "victim", path), "victim")
        victim.wait_line(lambda line: line.startswith("holding"), 30, "ephemeral node")
        victims.append(victim)

    t.drive(t.go_program("keeper/go/client.go", keeper.address), "client", {
        "restart": lambda: (keeper.restart(), None)[1],
        "victim": start_victim,
        "kill": lambda: (victims.pop().kill(), None)[1],
    })
    keeper.check_alive()
    keeper.stop()
