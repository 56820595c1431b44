"""Five members, of ours, of Apache's 3.9 and of its 3.8: what holds through each; two fail, then three; each becomes another kind."""

from harness import members, places
from harness.ensemble import Ensemble
from harness.session import Session
from harness.under_load import Load
from harness.zk import SESSION_MS

OURS = places.target()
KINDS = ("apache", "apache38", OURS, "apache38", OURS)


def no_quorum(t, e):
    """Without a quorum nobody serves, and with one again everybody does."""
    first, second, third = [number for number in e.members if number != e.leader()][:3]
    for number in (first, second):
        e.kill(number)
    members.writes(t, e, "three-of-five")
    e.kill(third)
    rest = e.up()
    t.wait_until(lambda: all(e.mode(number) == "none" for number in rest), "nobody serves without a quorum", 60)
    for number in rest:
        t.check(not Session(e.port(number), SESSION_MS).open(), f"{number} ({e.kind(number)}) opens no session without a quorum")
    e.start(first)
    members.writes(t, e, "three-again")
    e.start(second, third)
    e.check_same("five again")


def case(t):
    e = Ensemble(t, KINDS)
    e.start_led_by(5)
    members.everything(t, e, "five")
    no_quorum(t, e)
    load = Load(t, e.addresses)
    load.wait_progress()
    kinds = [e.kind(number) for number in e.members]
    for number, kind in zip(list(e.members), kinds[1:] + kinds[:1]):
        e.swap(number, kind)
        load.wait_progress()
    e.check_alive()
    load.finish()
    e.check_same("after each became another kind")
    e.stop_all()
