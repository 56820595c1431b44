"""How a member that was away catches up: by DIFF from memory and from disk, by SNAP, by TRUNC; learners and leaders of either kind."""

import shutil

from . import link, places
from .ensemble import Ensemble

OURS = places.target()
THEIRS = "apache"

MEMORY_COUNT = 50
# Leaders keep 500 transactions in memory.
DISK_COUNT = 700

# What Apache's leader and Apache's learner say of each; the two whose words are known are asked, whoever they are.
WORDS = {
    "DIFF": (r"Sending DIFF", r"Getting a diff from the leader"),
    "TRUNC": (r"Sending TRUNC", r"Truncating log to get in sync with the leader"),
    "SNAP": (r"Sending snapshot", r"Getting a snapshot from leader"),
}


def check_way(t, e, what, way, learner):
    """Apache's members say by which way the learner was synchronised."""
    leader = e.leader()
    for number, words in zip((leader, learner), WORDS[way]):
        if e.kind(number).startswith("apache"):
            t.check(e.said(number, words), f"{what}: {number} ({e.kind(number)}) says {way}", f"no {words!r} in its log")


def check_member(t, e, what, learner, helper):
    """It holds the same, also from its disk, and a quorum with the leader alone."""
    e.check_same(what)
    e.restart(learner)
    e.check_same(f"{what}, restarted")
    e.kill(helper)
    with e.session(e.leader()) as session:
        session.create(f"/with-{learner}-alone")
    e.start(helper)
    e.check_same(f"{what}, in the end")


def ensemble(t, kinds, name, **settings):
    e = Ensemble(t, kinds, name=name, **settings)
    e.start_led_by(3)
    t.run(t.python_program("harness/tree.py", "write", e.address(3), 1, 200), f"{name}-write")
    e.wait_same_zxid()
    return e


def behind(t, kinds, way, count, name, wiped=False, **settings):
    """Member 1 is away for `count` writes, and comes back with its data or without."""
    e = ensemble(t, kinds, name, **settings)
    e.kill(1)
    with e.session(3) as session:
        session.create("/behind")
        t.equal(session.set_many("/behind", b"x" * 100, count), count, f"{name}: {count} writes without member 1")
    if wiped:
        shutil.rmtree(e.data(1))
    e.start(1)
    check_way(t, e, name, way, 1)
    check_member(t, e, name, 1, 2)
    e.stop_all()


def ahead(t, kinds, way, name, is_written_between):
    """Member 3 leads and logs what the others never see; they go on without it, and it comes back."""
    e = ensemble(t, kinds, name)
    session = e.open(3)
    session.create("/ahead", b"before")
    e.wait_same_zxid()
    e.freeze(1)
    e.freeze(2)
    session.request(link.SET, link.set_data("/ahead", b"never-committed"))
    e.wait_logged(3, b"never-committed")
    for number in (3, 1, 2):
        e.kill(number)
    e.start(1, 2)
    if is_written_between:
        with e.session(1) as writer:
            writer.create("/between")
    e.start(3)
    check_way(t, e, name, way, 3)
    for number in (1, 2, 3):
        with e.session(number) as reader:
            reader.sync()
            t.equal(reader.get("/ahead")[0], b"before", f"{name}: what had no quorum is nowhere, seen at {number}")
    check_member(t, e, name, 3, 1)
    e.stop_all()


def directions():
    """(learner, leader)"""
    return [(OURS, THEIRS), (THEIRS, OURS), (OURS, OURS)] if OURS != THEIRS else [(THEIRS, THEIRS), ("apache38", THEIRS)]


AWAY = (
    ("memory", "DIFF", MEMORY_COUNT, {}),
    ("disk", "DIFF", DISK_COUNT, {}),
    ("snap", "SNAP", DISK_COUNT, {"snapCount": 100}),
    ("off", "SNAP", DISK_COUNT, {"snapshotSizeFactor": -1}),
    ("new", "SNAP", MEMORY_COUNT, {"wiped": True, "snapCount": 100}),
)
AHEAD = (("trunc", "TRUNC", False), ("epoch", "SNAP", True))


def members_away(t, wanted_way):
    """All of AWAY that go this way, in all directions."""
    for learner, leader in directions():
        what = f"{learner}-of-{leader}"
        for name, way, count, options in AWAY:
            if way == wanted_way:
                with t.part(f"{name}-{what}"):
                    behind(t, (learner, leader, leader), way, count, f"{name}-{what}", **options)


def members_ahead(t):
    """All of AHEAD, in all directions."""
    for learner, leader in directions():
        what = f"{learner}-of-{leader}"
        for name, way, is_written_between in AHEAD:
            with t.part(f"{name}-{what}"):
                ahead(t, (leader, leader, learner), way, f"{name}-{what}", is_written_between)
