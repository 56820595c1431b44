"""Apache ZooKeeper's own tests of its Java client, as they ship, with our server where they start theirs."""

from harness import junit, places


def is_about_watches(group):
    return "Watch" in group


def case(t, is_wanted=lambda group: not is_about_watches(group)):
    here = places.HERE / "keeper/zookeeper_suite"
    found = junit.classes(junit.jar("zookeeper-tests", "zookeeper"), lambda name: name.endswith("Test"))
    junit.run(t, here / "tests", found, ["zookeeper-tests", "zookeeper"],
              ["keeper/zookeeper_suite/ClientBase.java", "keeper/zookeeper_suite/JMXEnv.java"], 420, is_wanted)
