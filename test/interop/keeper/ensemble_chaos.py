"""Five members of all kinds under load, while one or two of them, drawn by a seed, are killed, stopped, frozen and started again."""

import os
import random

from harness import places
from harness.ensemble import Ensemble
from harness.under_load import Load

OURS = places.target()
KINDS = (OURS, "apache", "apache38", OURS, "apache")
ROUND_COUNT = 14


class Chaos:
    def __init__(self, e, dice):
        self.e = e
        self.dice = dice
        self.down = []
        self.frozen = None

    def hurt(self):
        """One more member is away; the leader every other time."""
        healthy = [number for number in self.e.up() if number != self.frozen]
        leader = self.e.leader()
        victim = leader if leader in healthy and self.dice.random() < 0.5 else self.dice.choice(healthy)
        deed = self.dice.choice(("kill", "kill", "stop", "freeze") if self.frozen is None else ("kill", "stop"))
        getattr(self.e, deed)(victim)
        if deed == "freeze":
            self.frozen = victim
        else:
            self.down.append(victim)

    def heal(self):
        """One that is away comes back."""
        if self.frozen is not None:
            self.e.thaw(self.frozen)
            self.frozen = None
        elif self.down:
            self.e.launch(self.down.pop(self.dice.randrange(len(self.down))))

    def count(self):
        return len(self.down) + (self.frozen is not None)


def case(t):
    seed = int(os.environ.get("SEED", "1"))
    t.say(f"SEED={seed}")
    e = Ensemble(t, KINDS, syncLimit=8)
    e.start()
    load = Load(t, e.addresses, seed=seed, sync="weak")
    load.wait_progress()
    chaos = Chaos(e, random.Random(seed))
    for _ in range(ROUND_COUNT):
        if chaos.count() < 2 and (chaos.count() == 0 or chaos.dice.random() < 0.5):
            chaos.hurt()
        else:
            # Whoever came back last must take part before the next one goes: a quorum never depends on who still starts.
            chaos.heal()
            e.wait_serving(*(number for number in e.up() if number != chaos.frozen))
        load.wait_progress(60)
    while chaos.count():
        chaos.heal()
    e.wait_serving()
    load.wait_progress()
    e.check_alive()
    load.finish()
    e.check_same("after the chaos")
    e.stop_all()
    e.start()
    e.check_same("after all were restarted")
    e.stop_all()
