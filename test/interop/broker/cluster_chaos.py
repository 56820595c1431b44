"""Brokers of either kind under load, drawn by a seed, are killed, stopped and frozen, and come back as the same kind or the other; in the
end all die at once."""

import os
import random

from harness import log_load, places
from harness.cluster import Cluster

OURS = places.target()
THEIRS = "apache"
SPLITS = ((OURS, THEIRS, OURS), (THEIRS, OURS, THEIRS), (OURS, OURS, THEIRS), (THEIRS, THEIRS, OURS))
ROUND_COUNT = 6


def hurt(t, c, dice):
    """One broker is away: the controller, the one that coordinates the group, or any."""
    victim = dice.choice((c.controller(), c.coordinator("readers"), dice.choice(list(c.members))))
    deed = dice.choice(("kill", "kill", "stop", "freeze", "doze"))
    t.say(f"{deed} {victim} ({c.kind(victim)}), the controller is {c.controller()}")
    (c.freeze if deed in ("freeze", "doze") else getattr(c, deed))(victim)
    if deed == "doze":
        return victim, deed  # It may wake before anybody misses it.
    if deed == "freeze":
        c.bury(victim)
    c.wait_without(victim)
    return victim, deed


def heal(c, dice, victim, deed):
    if deed in ("freeze", "doze"):
        c.thaw(victim)
    elif dice.random() < 0.4:
        c.swap(victim, THEIRS if c.kind(victim) == OURS else OURS)
    else:
        c.start(victim)
    c.wait_known()
    c.wait_controller()
    c.wait_in_sync()


def everybody_dies(t, c, dice):
    numbers = list(c.members)
    dice.shuffle(numbers)
    for number in numbers:
        c.kill(number)
    t.say("all are dead")
    for number in numbers:
        c.bury(number)
    dice.shuffle(numbers)
    for number in numbers:
        c.launch(number)
    for number in numbers:
        c.members[number].server.wait_answer()
    c.wait_known()
    c.wait_in_sync()


def case(t):
    seed = int(os.environ.get("SEED", "1"))
    t.say(f"SEED={seed}")
    dice = random.Random(seed)
    c = Cluster(t, SPLITS[(seed - 1) % len(SPLITS)])
    c.start()
    load = log_load.LogLoad(t, c)
    for _ in range(ROUND_COUNT):
        victim, deed = hurt(t, c, dice)
        # A controller that dozes is missed when its session ends, and nobody is taken out of sync before.
        load.wait_progress(60, 200 if deed == "doze" else 90)
        heal(c, dice, victim, deed)
        if dice.random() < 0.5:
            c.elect_preferred(load.topic)
        load.wait_progress(60)
    everybody_dies(t, c, dice)
    load.wait_progress()
    c.check_alive()
    load.finish()
    c.stop_all()
    for partition in range(load.partitions):
        log_load.check_epochs(t, c, load.topic, partition)
    c.keeper.stop()
