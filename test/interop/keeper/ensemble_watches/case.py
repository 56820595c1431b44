"""Apache's Java client sees every write to what it watches, in order, while the members that it is connected to are killed and replaced."""

from harness import places
from harness.ensemble import Ensemble
from harness.under_load import Program

OURS = places.target()
KINDS = (OURS, "apache", OURS) if OURS != "apache" else ("apache", "apache38", "apache")


def case(t):
    e = Ensemble(t, KINDS)
    e.start_led_by(3)
    watches = Program(t, "watches", t.java_program("keeper/ensemble_watches/Watches.java", "zookeeper", e.addresses))
    watches.wait_progress()
    for number in (1, 2, 3, e.leader()):
        e.kill(number)
        watches.wait_progress(20)
        e.start(number)
        watches.wait_progress(20)
    kinds = [e.kind(number) for number in e.members]
    for number, kind in zip(list(e.members), kinds[1:] + kinds[:1]):
        e.swap(number, kind)
        watches.wait_progress(20)
    e.check_alive()
    watches.finish()
    e.check_same("in the end")
    e.stop_all()
