"""A cluster of Apache's brokers becomes one of ours and one of Apache's again, broker by broker under load, on an ensemble."""

from harness import log_load, places
from harness.cluster import Cluster
from harness.ensemble import Ensemble

THEIRS = "apache"
OURS = places.target()


def roll(c, load, kind):
    """The controller last, as one does it by hand."""
    controller = c.controller()
    for number in sorted(c.members, key=lambda number: number == controller):
        c.swap(number, kind)
        c.wait_in_sync()
        c.elect_preferred(load.topic)
        load.wait_progress()
        c.check_alive()


def case(t):
    e = Ensemble(t, (OURS, OURS, OURS))
    e.start()
    c = Cluster(t, (THEIRS,) * 3, keeper=e)
    c.start()
    load = log_load.LogLoad(t, c)
    for kind in (OURS, THEIRS):
        roll(c, load, kind)
    load.finish()
    c.stop_all()
    for partition in range(load.partitions):
        log_load.check_epochs(t, c, load.topic, partition)
    e.stop_all()
