"""Apache ZooKeeper's own tests of its Java client, as they ship, with our server where they start theirs."""

from harness import junit, places


def is_about_watches(group):
    return "Watch" in group


def is_about_the_rest(group):
    return not is_about_watches(group)


# The tests count ports up and try whether one is free, which that of a stopped server is: each case has a range of its own,
# below those of other cases.
PARTS = [is_about_the_rest, is_about_watches]
RANGE_COUNT = 8


def case(t, is_wanted=is_about_the_rest):
    here = places.HERE / "keeper/zookeeper_suite"
    found = junit.classes(junit.jar("zookeeper-tests", "zookeeper"), lambda name: name.endswith("Test"))
    junit.run(t, here / "tests", found, ["zookeeper-tests", "zookeeper"],
              ["keeper/zookeeper_suite/ClientBase.java", "keeper/zookeeper_suite/JMXEnv.java"], is_wanted,
              properties=[f"-Dtest.junit.threads={RANGE_COUNT}", f"-Dzookeeper.junit.threadid={1 + PARTS.index(is_wanted)}"])
