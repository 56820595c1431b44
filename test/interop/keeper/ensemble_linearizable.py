"""sync.linearizable: our leader of Apache's followers answers a sync when they have said that they follow it, and not when it is alone.

Both sides' members are told; Apache's know no such key. The leader that is left alone believes in itself for longer than the others
do, so that there are two for a while: then a plain read at the old one is stale, as it would be at Apache's."""

import re

from harness import places, probe
from harness.ensemble import Ensemble
from harness.proxy import Proxy
from harness.session import Closed
from harness.zk import OPS, S as text

OURS = places.target()


def confirmed(e, number):
    return int(re.search(r"^zk_linearizable_sync_count\t(\d+)$", probe.words(e.port(number), "mntr"), re.M).group(1))


def through_all(t, e, value):
    """A sync and a read through each member."""
    for number in e.members:
        with e.session(number) as s:
            s.sync()
            t.equal(s.get("/a")[0], value, f"a read behind a sync through {number}")


def led_by_many(t, e):
    before = confirmed(e, 3) if OURS != "apache" else 0
    through_all(t, e, b"old")
    if OURS != "apache":
        t.equal(confirmed(e, 3) - before, 3, "syncs that the followers confirmed")


def left_alone(t, e, proxy):
    alone = e.open(3)
    proxy.isolate([3], [1, 2])
    with e.session(e.wait_leader(1, 2)) as s:
        s.set("/a", b"new")
    t.equal(alone.get("/a")[0], b"old", "a plain read at the old leader")
    try:
        alone.ask_full(OPS["sync"], text("/"), timeout_s=20)
        t.check(False, "the old leader answers a sync")
    except Closed as closed:
        t.say(f"no answer: {closed}")
    t.equal(e.mode(3), "leader", "the old leader still believes in itself")
    proxy.heal()
    alone.close()
    e.wait_serving()
    through_all(t, e, b"new")


def case(t):
    proxy = Proxy(t)
    e = Ensemble(t, ["apache", "apache", OURS], ports=proxy.port, syncLimit=100, **{"sync.linearizable": "true"})
    e.own_settings[3] = {"syncLimit": 1000}
    e.start_led_by(3)
    with e.session(1) as s:
        s.create("/a", b"old")
    led_by_many(t, e)
    if OURS != "apache":
        left_alone(t, e, proxy)
    e.check_same("at the end")
    e.stop_all()
