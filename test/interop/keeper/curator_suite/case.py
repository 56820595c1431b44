"""Apache Curator's own tests of its client, framework and recipes, as they ship, with our server where they start theirs.

Three cases share them: this one has what is not a recipe, curator_locks_suite locks and leaders, curator_recipes_suite
the other recipes. Most tests wait for sessions to expire and for clients to come back, so several run side by side.
"""

from harness import junit, places

LANE_COUNT = 4


def part(group):
    """Which case runs a class."""
    if ".recipes." not in group:
        return "curator_suite"
    return "curator_locks_suite" if ".leader." in group or ".locks." in group else "curator_recipes_suite"


def case(t, name="curator_suite"):
    found = [name for stem in ("curator-client", "curator-framework", "curator-recipes")
             for name in junit.classes(junit.jar("curator-tests", stem), lambda name: name.startswith(("Test", "BasicTests")))]
    junit.run(t, places.HERE / "keeper/curator_suite/tests", found, ["curator-tests", "curator"],
              ["keeper/curator_suite/TestingZooKeeperServer.java"], lambda group: part(group) == name, LANE_COUNT)
