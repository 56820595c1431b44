"""Coordinators that move between our brokers and Apache's: forty groups commit, each broker is killed, stopped and frozen in turn, and
no committed offset is lost; a group under load goes on while its coordinator dies again and again; a producer id outlives it all."""

from harness import log_load, places
from harness.cluster import Cluster

OURS = places.target()
KINDS = ("apache", OURS, "apache")
GROUPS = [f"group-{number}" for number in range(40)]


class Ledger:
    """What was acknowledged, by group."""

    def __init__(self, t, c, topic, partitions):
        self.t, self.c, self.topic = t, c, topic
        self.partitions = partitions
        self.round = 0
        self.wanted = {}

    def commit(self):
        self.round += 1
        for number, group in enumerate(GROUPS):
            offsets = {index: self.round * 1000 + number * 10 + index for index in range(self.partitions)}
            self.c.commit(group, self.topic, offsets)
            self.wanted[group] = offsets

    def check(self, what):
        coordinators = {}
        for group in GROUPS:
            self.t.equal(self.c.committed(group, self.topic), self.wanted[group], f"{what}: {group}")
            coordinators.setdefault(self.c.coordinator(group), []).append(group)
        self.t.say(f"{what}: coordinators {({number: len(groups) for number, groups in sorted(coordinators.items())})}")
        return coordinators


def away(t, c, ledger, number, deed):
    what = f"{deed} {number} ({c.kind(number)})"
    getattr(c, deed)(number)
    if deed == "freeze":
        c.bury(number)
    c.wait_without(number)
    seen = ledger.check(what)
    t.check(number not in seen, f"{what}: others coordinate", seen)
    ledger.commit()
    ledger.check(f"{what}: committed again")
    if deed == "freeze":
        c.thaw(number)
        c.wait_known()
    else:
        c.start(number)
    c.wait_in_sync()
    c.elect_preferred("__consumer_offsets")
    t.check(number in ledger.check(f"{number} is back"), f"{what}: it coordinates again")


def load_goes_on(t, c):
    load = log_load.LogLoad(t, c)
    for _ in range(3):
        number = c.coordinator("readers")
        c.kill(number)
        c.wait_without(number)
        load.wait_progress()
        t.say(f"{number} ({c.kind(number)}) coordinated, now {c.coordinator('readers')} does")
        c.start(number)
        c.wait_in_sync()
        load.wait_progress()
    load.finish()


def case(t):
    c = Cluster(t, KINDS)
    c.start()
    ledger = Ledger(t, c, "ledger", len(c.create_spread("ledger")))
    ledger.commit()
    t.check(set(ledger.check("at first")) == set(c.members), "every broker coordinates groups")
    for number, deed in ((1, "stop"), (2, "stop"), (2, "kill"), (3, "kill"), (2, "freeze"), (1, "freeze")):
        away(t, c, ledger, number, deed)
    load_goes_on(t, c)
    c.stop_all()
    c.start()
    ledger.check("after all were restarted")
    c.stop_all()
    c.keeper.stop()
