"""Ensembles of three, of our servers and Apache's in every split, led by either: writes, sessions, watches and ephemerals through
each member; the leader is killed and comes back; observers of either kind."""

from harness import members, places
from harness.ensemble import Ensemble

OURS = places.target()
THEIRS = "apache"

# Kinds by id, the last of which observes where there are four. The highest voter leads.
SPLITS = [
    (THEIRS, THEIRS, OURS),
    (OURS, THEIRS, THEIRS, OURS),
    (THEIRS, OURS, OURS, THEIRS),
    (OURS, OURS, THEIRS),
    (OURS, OURS, OURS, OURS),
]


def split(t, kinds):
    what = "-".join(kind[:1] for kind in kinds)
    e = Ensemble(t, kinds, observers=(4,), name=f"split-{what}")
    e.start_led_by(3)
    members.everything(t, e, what)
    e.check_same("at first")
    members.election(t, e, what)
    members.election(t, e, f"{what}-again")
    e.stop_all()
    e.start()
    e.check_same("after all were restarted")
    e.stop_all()


def case(t):
    for kinds in SPLITS if OURS != THEIRS else [(THEIRS, THEIRS, THEIRS), ("apache38", THEIRS, "apache38", THEIRS)]:
        with t.part(" ".join(kinds)):
            split(t, kinds)
