"""Curator's leader elections on an ensemble whose leader is killed again and again: clients notice a reconnect and nothing else.

KILLS is how often, 15 by default.
"""

import os

from harness import places
from harness.ensemble import Ensemble
from harness.under_load import Program

KILL_COUNT = 15


def case(t):
    e = Ensemble(t, [places.target()] * 3, name="leaders")
    e.start_led_by(2)
    leaders = Program(t, "leaders", t.java_program("keeper/ensemble_leaders/Leaders.java", "curator", e.addresses))
    leaders.wait_progress()
    for _ in range(int(os.environ.get("KILLS", KILL_COUNT))):
        victim = e.wait_leader()
        e.kill(victim)
        e.wait_leader()
        leaders.wait_progress()
        e.start(victim)
        leaders.wait_progress()
    e.check_alive()
    leaders.finish()
    e.check_same("in the end")
    e.stop_all()
