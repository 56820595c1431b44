"""Observers that learn from a follower instead of the leader (observerMasterPort), each of them ours or Apache's: what goes in through one
member comes out of each other, sessions move and live, observers catch up, members leave, and operators are told who feeds whom."""

import http.client
import json
import re
import shutil
import struct

from harness import members, places, probe
from harness.ensemble import Ensemble
from harness.process import patient
from harness.session import bytes_at
from harness.zk import B, OPS, S as text

OURS, THEIRS = places.target(), "apache"
FOLLOWER, LEADER, OBSERVERS = 1, 2, (3, 4)

# Follower, leader, observers.
SPLITS = [
    (OURS, THEIRS, OURS, THEIRS),
    (THEIRS, OURS, OURS, THEIRS),
    (OURS, OURS, THEIRS, THEIRS),
    (THEIRS, THEIRS, OURS, OURS),
]


def page(e, number):
    """Whom it feeds, by its admin server: how many are in step, and who."""
    connection = http.client.HTTPConnection("127.0.0.1", e.members[number].admin, timeout=patient(20))
    connection.request("GET", "/commands/observers")
    said = json.loads(connection.getresponse().read())
    connection.close()
    return said["synced_observers"], sorted(row["sid"] for row in said["observers"])


def figure(e, number, name):
    found = re.search(rf"^zk_{name}\t(-?\d+)", probe.words(e.port(number), "mntr") or "", re.M)
    return int(found.group(1)) if found else None


def check_fed(t, e, observers, when):
    """By the follower, and not by the leader; both voters have one address here, so an observer may take the one for the other."""
    t.wait_until(lambda: page(e, FOLLOWER) == (len(observers), sorted(observers)), f"{e.name}: {when}: the follower feeds {observers}", 60)
    t.equal(page(e, LEADER), (0, []), f"{e.name}: {when}: the leader feeds nobody")
    t.equal([figure(e, number, "synced_observers") for number in (FOLLOWER, LEADER)], [len(observers), 0], f"{e.name}: {when}: metric")
    t.equal(figure(e, LEADER, "learners"), 1, f"{e.name}: {when}: the leader has one learner")
    for number in observers:
        t.check(figure(e, number, "observer_master_id") in (FOLLOWER, LEADER), f"{e.name}: {when}: {number} has a master")


def write(e, what, count):
    with e.session(LEADER) as session:
        session.create(f"/{what}")
        for index in range(count):
            session.create(f"/{what}/{index}", b"x" * 1000)


def catch_up(t, e):
    """What one lacks is sent, and to one that has nothing the whole tree."""
    first, second = OBSERVERS
    e.stop(first)
    e.stop(second)
    shutil.rmtree(e.data(second) / "version-2")
    write(e, "missed", 50)
    e.start(first, second)
    check_fed(t, e, OBSERVERS, "they caught up")
    e.check_same("they caught up")


def leave(t, e):
    """A reconfiguration comes to observers, too."""
    first, second = OBSERVERS
    with e.session(first) as session:
        code, reply = session.ask_full(OPS["reconfig"], B(None) + text(str(second)) + B(None) + struct.pack(">q", -1))
        t.need(code == 0, f"{e.name}: {second} leaves", code)
        told = bytes_at(reply)[0].decode()
    e.stop(second)

    def shown():
        with e.session(first) as session:
            session.sync()
            return session.get("/zookeeper/config")[0].decode()

    t.wait_until(lambda: sorted(shown().split("\n")) == sorted(told.split("\n")), f"{e.name}: {first} shows who is left", 30)
    t.check(f"server.{second}=" not in told, f"{e.name}: it is gone", told)
    e.wait_serving(first)
    write(e, "left", 5)
    e.check_same("one has left", FOLLOWER, LEADER, first)


def run(t, kinds):
    what = "-".join(kind[:1] for kind in kinds)
    e = Ensemble(t, kinds, observers=OBSERVERS, name=f"master-{what}", doors=True, reconfigEnabled="true", skipACL="yes",
                 observerMasterPort=t.port())
    e.start_led_by(LEADER)
    check_fed(t, e, OBSERVERS, "at first")
    members.everything(t, e, what)
    e.check_same("at first")
    catch_up(t, e)
    t.say(f"{e.name}: the follower is killed")
    e.kill(FOLLOWER)
    e.start(FOLLOWER)
    e.wait_serving()
    t.equal(e.leader(), LEADER, f"{e.name}: {LEADER} leads again")
    check_fed(t, e, OBSERVERS, "after the follower was killed")
    members.syncs(t, e, f"{what}-again")
    members.moves(t, e, f"{what}-again-moves")
    e.check_same("after the follower was killed")
    leave(t, e)
    e.stop_all()


def case(t):
    for kinds in SPLITS if OURS != THEIRS else SPLITS[:1]:
        with t.part(" ".join(kinds)):
            run(t, kinds)
