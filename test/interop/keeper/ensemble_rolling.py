"""An ensemble of Apache's servers becomes one of ours and one of Apache's again, member by member, under load."""

from harness import places
from harness.ensemble import Ensemble
from harness.under_load import Load

THEIRS = "apache"
OURS = places.target() if places.target() != THEIRS else "apache38"


def roll(e, load, kind):
    """The followers first and the leader last, as one does it by hand."""
    leader = e.leader()
    for number in sorted(e.members, key=lambda number: number == leader):
        e.swap(number, kind)
        load.wait_progress()
        e.check_alive()


def case(t):
    e = Ensemble(t, (THEIRS, THEIRS, THEIRS))
    e.start_led_by(3)
    t.run(t.python_program("harness/tree.py", "write", e.address(1), 7, 500), "write")
    load = Load(t, e.addresses)
    load.wait_progress()
    for kind in (OURS, THEIRS, OURS):
        roll(e, load, kind)
    load.finish()
    e.check_same("after the load")
    e.stop_all()
    e.start()
    e.check_same("after all were restarted")
    e.stop_all()
