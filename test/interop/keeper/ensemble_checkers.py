"""What judges the ensembles must be able to say no: broken histories, and a load whose znodes somebody else changes."""

from harness import history
from harness.history import DONE, REFUSED, UNKNOWN, Event
from harness.session import Refused, Session
from harness.under_load import Load
from harness.zk import SESSION_MS


def put(begin, end, version, client="a", zxid=None):
    return Event(client, "set", begin, end, DONE, version - 1, version, zxid or version)


def get(begin, end, version, client="r", kind="get"):
    return Event(client, kind, begin, end, DONE, None, version, version)


def refused(begin, end, expected):
    return Event("x", "set", begin, end, REFUSED, expected, None, None)


def unknown(begin, end, expected):
    return Event("u", "set", begin, end, UNKNOWN, expected, None, None)


RIGHT = {
    "writes one after the other": [put(0, 1, 1), put(2, 3, 2), get(4, 5, 2)],
    "writes at the same time": [put(0, 9, 2), put(1, 8, 1, "b")],
    "an old value without a sync": [put(0, 1, 1), get(2, 3, 0)],
    "a value while it is written": [put(0, 9, 1), get(2, 3, 1)],
    "a write without an answer is there later": [unknown(0, 1, 0), get(5, 6, 1), put(7, 8, 2)],
    "a refusal after a write without an answer": [unknown(0, 1, 0), refused(5, 6, 0)],
}
WRONG = {
    "a version twice": [put(0, 1, 1), put(0, 1, 1, "b")],
    "versions against time": [put(0, 1, 2), put(2, 3, 1, "b")],
    "versions against time, a third between": [put(0, 1, 3), put(0, 9, 2, "c"), put(2, 3, 1, "b")],
    "zxids against versions": [put(0, 1, 1, zxid=7), put(2, 3, 2, zxid=6)],
    "a value that nobody wrote": [get(0, 1, 1)],
    "a value before it is written": [get(0, 1, 1), put(2, 3, 1)],
    "an old value after a sync": [put(0, 1, 1), get(2, 3, 0, kind="synced")],
    "a client that sees the past": [put(0, 1, 1), get(2, 3, 1), get(4, 5, 0)],
    "a client that does not see its own write": [put(0, 1, 1), get(2, 3, 0, "a")],
    "a refusal without a cause": [put(0, 1, 1), refused(2, 3, 1)],
}


def histories(t):
    for what, events in RIGHT.items():
        t.equal(history.check(events), [], f"a right history: {what}")
    for what, events in WRONG.items():
        t.check(history.check(events), f"a wrong history is found: {what}")


def vandalise(t, port):
    """Deletes and changes what the load counts on, while it goes on."""
    vandal = Session(port, SESSION_MS)
    t.need(vandal.open(), "a session")
    vandal.set("/load/counter", b"")
    vandal.set("/load/register", b"")
    names = [name for name in vandal.children("/load") if name.startswith(("writer", "holder"))]
    for path in [f"sequence/{name}" for name in vandal.children("/load/sequence")] + names:
        try:
            vandal.delete(f"/load/{path}")
        except Refused:
            pass  # The load was faster.
    vandal.end()


def case(t):
    histories(t)
    keeper = t.keeper()
    load = Load(t, keeper.address)
    load.wait_progress(500)
    t.equal(load.end(), [], "what a load says that nobody disturbs")
    keeper.stop()

    keeper = t.keeper(name="disturbed")
    load = Load(t, keeper.address)
    load.wait_progress(500)
    vandalise(t, keeper.port)
    broken = load.end()
    for who in ("writer", "sequencer", "holder", "register", "locker"):
        t.check(any(line.startswith(who) for line in broken), f"the load finds what was done to its {who}s", broken[:5])
    keeper.stop()
