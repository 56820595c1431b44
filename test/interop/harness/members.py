"""What holds in an ensemble through every member that runs: writes, watches, sessions that move, ephemerals, elections.

Each is a function of a case, an ensemble, and a name of its own for its znodes.
"""

import collections
import time

from . import link
from .process import Failure
from .session import EPHEMERAL, SEQUENTIAL
from .zk import OPS, S as text

SILENT_MS = 10000


def writes(t, e, what):
    """Through each member, read back through each other after a sync; one sequence for all."""
    sessions = {number: e.open(number) for number in e.up()}
    root = f"/{what}"
    first = next(iter(sessions.values()))
    first.create(root)
    names = []
    for number, writer in sessions.items():
        writer.sync()
        path, made = writer.create(f"{root}/by{number}", b"v0")
        t.equal(made.version, 0, f"{what}: created through {number}")
        for version in (1, 2, 3):
            t.equal(writer.set(path, b"v%d" % version, version - 1).version, version, f"{what}: set through {number}")
        names += [writer.create(f"{root}/seq-", b"", SEQUENTIAL)[0] for _ in range(3)]
        for other, reader in sessions.items():
            reader.sync()
            data, stat = reader.get(path)
            t.equal((data, stat.version, stat.czxid), (b"v3", 3, made.czxid), f"{what}: written through {number}, read through {other}")
    t.check(names == sorted(names) and len(set(names)) == len(names), f"{what}: one sequence through all members", names)
    for session in sessions.values():
        session.end()


def syncs(t, e, what):
    """What was acknowledged through one member is read through each other after a sync, every time."""
    sessions = {number: e.open(number) for number in e.up()}
    next(iter(sessions.values())).create(f"/{what}")
    stale = collections.Counter()
    for turn in range(20):
        for number, writer in sessions.items():
            writer.sync()
            path, _ = writer.create(f"/{what}/{turn}-{number}")
            for other, reader in sessions.items():
                reader.sync()
                stale[number, other] += reader.exists(path) is None
    t.check(not +stale, f"{what}: a read after a sync is fresh", f"stale, of 20, by (written through, read through): {dict(+stale)}")
    for session in sessions.values():
        session.end()


def pipelines(t, e, what):
    """Writes and syncs that many clients send in one go are all answered, and answered in order, through each member."""
    sessions = [e.open(number) for number in e.up() for _ in range(3)]
    for index, session in enumerate(sessions):
        session.create(f"/{what}-{index}")
        for turn in range(50):
            session.request(OPS["setData"], link.set_data(f"/{what}-{index}", b"%d" % turn))
            session.request(OPS["sync"], text("/"))
    for index, session in enumerate(sessions):
        codes = [session.answer()[0] for _ in range(100)]
        t.check(set(codes) == {0}, f"{what}: {index}: all done", codes)
        t.equal(session.get(f"/{what}-{index}")[0], b"49", f"{what}: {index}: the last of its writes")
        session.end()


def fresh_sessions(t, e, what):
    """A session that has just been opened is known to the leader, through whatever member it came."""
    refused = collections.Counter()
    for turn in range(40):
        for number in e.up():
            opened = e.open(number)
            try:
                opened.create(f"/{what}-{turn}-{number}")
                opened.end()
            except Failure:
                refused[number] += 1
    t.check(not refused, f"{what}: the first write of a session is done", f"refused, of 40, by member: {dict(refused)}")


def watches(t, e, what):
    """A watch set through one member tells of a write through another, before the new value is read."""
    numbers = e.up()
    for watching, writing in zip(numbers, numbers[1:] + numbers[:1]):
        with e.session(watching) as reader, e.session(writing) as writer:
            path, _ = writer.create(f"/watch-{what}-{watching}", b"0")
            reader.sync()
            reader.get(path, watch=True)
            t.equal(reader.exists(f"{path}/x", watch=True), None, f"{what}: not there yet")
            reader.children(path, watch=True)
            writer.set(path, b"1")
            t.equal(reader.next_event(), ("changed", path), f"{what}: {watching} tells of a set through {writing}")
            writer.create(f"{path}/x")
            t.equal({reader.next_event(), reader.next_event()}, {("created", f"{path}/x"), ("children", path)},
                    f"{what}: {watching} tells of a create through {writing}")
            reader.get(path, watch=True)
            writer.delete(f"{path}/x")
            writer.delete(path)
            t.equal(reader.next_event(), ("deleted", path), f"{what}: {watching} tells of a delete through {writing}")


def missed_watch(t, e, what):
    """A client that reconnects to another member is told what it missed."""
    numbers = e.up()
    for left, joined in zip(numbers, numbers[1:] + numbers[:1]):
        with e.session(left) as reader, e.session(joined) as writer:
            path, _ = writer.create(f"/missed-{what}-{left}", b"0")
            reader.sync()
            reader.get(path, watch=True)
            reader.close()
            writer.set(path, b"1")
            e.move(reader, joined)
            reader.set_watches(data=[path])
            t.equal(reader.next_event(), ("changed", path), f"{what}: missed at {left}, told by {joined}")


def moves(t, e, what):
    """Ephemerals stay with a session that goes from member to member, and end with it."""
    numbers = e.up()
    traveller = e.open(numbers[0])
    path, stat = traveller.create(f"/traveller-{what}", b"", EPHEMERAL)
    t.equal(stat.owner, traveller.session, f"{what}: the owner of an ephemeral")
    for number in numbers[1:] + numbers[:1]:
        e.move(traveller, number)
        traveller.sync()
        t.equal(traveller.get(path)[1].owner, traveller.session, f"{what}: moved to {number}, the ephemeral is there")
        traveller.create(f"{path}-{number}", b"", EPHEMERAL)
    traveller.end()
    for number in numbers:
        with e.session(number) as reader:
            reader.sync()
            t.equal([name for name in reader.children("/") if name.startswith("traveller")], [], f"{what}: gone at {number}")


class Pinged:
    """A short session through each member, and for how long a server heard nothing of one, at most."""

    def __init__(self, e):
        self.heard, self.gap_s = time.monotonic(), 0
        self.sessions = {number: e.open(number, SILENT_MS) for number in e.up()}

    def ping(self):
        began = time.monotonic()
        for session in self.sessions.values():
            session.ping()
            session.sync()
        self.gap_s, self.heard = max(self.gap_s, time.monotonic() - self.heard), began

    def was_late(self):
        return max(self.gap_s, time.monotonic() - self.heard) > SILENT_MS / 1000 / 2


def expires(t, e, what):
    """The ephemerals of clients that fall silent go, and those of clients that ping stay."""
    turn = 0
    while not silent_go(t, e, f"{what}-{turn}"):
        t.say(f"{what}: the machine stood still, and nobody could ping: begun anew")
        turn += 1


def silent_go(t, e, what):
    """False when those that are to live could not ping in time, so that it says nothing what became of them."""
    pinged = Pinged(e)
    try:
        for number, session in pinged.sessions.items():
            session.create(f"/alive-{what}-{number}", b"", EPHEMERAL)
            silent = e.open(number, SILENT_MS)
            silent.create(f"/silent-{what}-{number}", b"", EPHEMERAL)
            silent.close()

        def are_gone():
            pinged.ping()
            return not any(session.exists(f"/silent-{what}-{number}") for number, session in pinged.sessions.items())

        t.wait_until(are_gone, f"{what}: the ephemerals of silent sessions go", 30)
        stay = {number: session.exists(f"/alive-{what}-{number}") is not None for number, session in pinged.sessions.items()}
        for session in pinged.sessions.values():
            session.end()
    except Failure:
        if pinged.was_late():
            return False
        raise
    if pinged.was_late():
        return False
    for number, stays in stay.items():
        t.check(stays, f"{what}: the ephemeral of a session of {number} that pings stays")
    return True


def election(t, e, what):
    """The leader is killed: sessions go on through the others, and it comes back as a follower."""
    leader = e.leader()
    rest = [number for number in e.up() if number != leader]
    orphan = e.open(leader)
    orphan.create(f"/orphan-{what}", b"", EPHEMERAL)
    e.kill(leader)
    new = e.wait_leader(*rest)
    t.check(new != leader, f"{what}: another leads", new)
    e.wait_serving(*rest)
    e.move(orphan, rest[0])
    orphan.sync()
    t.equal(orphan.exists(f"/orphan-{what}").owner, orphan.session, f"{what}: the ephemeral outlives the leader")
    writes(t, e, f"{what}-without-{leader}")
    e.start(leader)
    t.equal(e.leader(), new, f"{what}: who comes back does not take over")
    e.move(orphan, leader)
    orphan.set(f"/orphan-{what}", b"back")
    e.check_same(f"{what}: {leader} is back")
    orphan.end()


def everything(t, e, what):
    for part in (writes, syncs, pipelines, fresh_sessions, watches, missed_watch, moves, expires):
        try:
            part(t, e, f"{what}-{part.__name__}")
        except Failure as failure:  # The next part is worth a look nevertheless.
            t.check(False, f"{what}: {part.__name__}: {failure}")
