"""Apache Curator's own tests of its framework and recipes, as they ship, with our server where they start theirs."""

from harness import junit, places


def case(t):
    found = [name for stem in ("curator-framework", "curator-recipes")
             for name in junit.classes(junit.jar("curator-tests", stem), lambda name: name.startswith("Test"))]
    junit.run(t, places.HERE / "keeper/curator_suite/tests", found, ["curator-tests", "curator"],
              ["keeper/curator_suite/TestingServer.java"], 420)
