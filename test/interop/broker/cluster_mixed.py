"""Clusters of three, of our brokers and Apache's in every split, on either's keeper, with a controller and leaders of either: topics
come and go, producers and groups go on while each broker is killed and comes back."""

from harness import log_load, places
from harness.cluster import Cluster

OURS = places.target()
THEIRS = "apache"

# The kinds of brokers 1 to 3, and the keeper's.
SPLITS = [
    ((OURS, THEIRS, THEIRS), OURS),
    ((THEIRS, OURS, OURS), THEIRS),
    ((OURS, OURS, OURS), OURS),
]


def topics(t, c, what):
    """The controller's work: a topic with replicas as told, and one with its own choice; both are what they should be, and go."""
    assignment = c.create_spread(f"{what}-told")
    c.wait_agreed(f"{what}-told")
    for index, state in c.partitions(f"{what}-told").items():
        t.equal((state.leader, list(state.replicas)), (assignment[index][0], assignment[index]), f"{what}: partition {index}")
    c.create(f"{what}-chosen", partitions=6, factor=2)
    c.wait_agreed(f"{what}-chosen")
    chosen = c.partitions(f"{what}-chosen")
    t.equal(sorted(state.leader for state in chosen.values()), [1, 1, 2, 2, 3, 3], f"{what}: leaders are spread")
    t.equal(sorted(number for state in chosen.values() for number in state.replicas), [1] * 4 + [2] * 4 + [3] * 4, f"{what}: replicas are spread")
    for name in ("told", "chosen"):
        c.delete(f"{what}-{name}")
    for number in c.members:
        t.wait_until(lambda number=number: not [path.name for path in c.journals(number).glob(f"{what}-*") if not path.name.endswith("-delete")],
                     f"{what}: broker {number} gives up its logs", 30)


def one_dies(t, c, load, number):
    c.kill(number)
    c.wait_without(number)
    t.say(f"without {number} ({c.kind(number)})")
    load.wait_progress()
    c.start(number)
    c.wait_in_sync()
    load.wait_progress()


def split(t, kinds, keeper):
    what = "-".join(kind[:1] for kind in kinds)
    c = Cluster(t, kinds, keeper=keeper, name=f"split-{what}")
    c.start()
    load = log_load.LogLoad(t, c, f"load-{what}")
    for number in {kind: number for number, kind in enumerate(kinds, 1)}.values():
        c.make_controller(number)
        t.say(f"controller {number} ({c.kind(number)})")
        topics(t, c, f"{what}-{number}")
        one_dies(t, c, load, number)
        c.elect_preferred(load.topic)
        load.wait_progress()
    load.finish()
    committed = c.committed("readers", load.topic)
    c.stop_all()
    for partition in range(load.partitions):
        log_load.check_epochs(t, c, load.topic, partition)
    c.start()
    c.wait_in_sync()
    t.equal(c.committed("readers", load.topic), committed, f"{what}: what was committed is there after all were restarted")
    load.judge()
    c.stop_all()
    c.keeper.stop()


def case(t):
    for kinds, keeper in SPLITS if OURS != THEIRS else [((THEIRS,) * 3, THEIRS)]:
        with t.part(" ".join(kinds)):
            split(t, kinds, keeper)
