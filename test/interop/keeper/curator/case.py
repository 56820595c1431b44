"""Curator's recipes between two clients, with a restart while locks and leaders are held."""


def case(t):
    keeper = t.keeper()
    t.drive(t.java_program("keeper/curator/Recipes.java", "curator", keeper.address), "recipes", {
        "restart": lambda: (keeper.restart(), None)[1],
    })
    keeper.check_alive()
    keeper.stop()
