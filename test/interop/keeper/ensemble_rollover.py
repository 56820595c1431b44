"""The zxids of an epoch run out under load, led by Apache's server and by ours: the next epoch goes on, and nobody notices more.

Apache's leader begins near the end by a setting of its own, for tests. That leaves a hole in the epoch which Apache's followers do not
mind, and ours take for a loss: they join behind it, by a snapshot. Ours is told that an epoch ends earlier (epoch.transactionsMax).
"""

from harness import places
from harness.ensemble import Ensemble
from harness.under_load import Load

OURS, THEIRS = places.target(), "apache"
COUNTER_MAX = 0xFFFFFFFF
LEFT = 2000


def epoch(e):
    return max(e.zxid(number) for number in e.up()) >> 32


def wait_near_end(t, e, leader):
    t.wait_until(lambda: e.zxid(leader) & COUNTER_MAX > COUNTER_MAX // 2, f"{e.name}: few zxids are left", 30)


def go_on(t, e, has_rolled):
    """Under load the epoch ends; then the new leader is killed, too."""
    load = Load(t, e.addresses, sync="weak")
    load.wait_progress()
    t.wait_until(has_rolled, f"{e.name}: the leader has run out of zxids", 60)
    t.wait_until(lambda: epoch(e) > 1, f"{e.name}: another epoch", 60)
    load.wait_progress(500)
    victim = e.wait_leader()
    e.kill(victim)
    load.wait_progress()
    return load, victim


def end(e, load, victim, number, setting):
    """While it is asked what is there, no other epoch of this member's may run out."""
    del e.members[number].server.settings[setting]
    e.start(victim)
    if number != victim:
        e.restart(number)
    load.wait_progress()
    e.check_alive()
    load.finish()
    e.check_same("in the end")
    e.stop_all()


def led_by_theirs(t):
    e = Ensemble(t, (THEIRS, THEIRS, OURS), name="apache-led")
    e.own_settings[2] = {"testingonly.initialZxid": COUNTER_MAX - LEFT, "forceSnapshotSync": "true"}
    e.start(1, 2)
    t.equal(e.leader(), 2, f"{e.name}: 2 leads")
    with e.session(1) as session:
        session.create("/behind-the-hole")
    wait_near_end(t, e, 2)
    e.start(3)
    end(e, *go_on(t, e, lambda: e.said(2, "rolled over")), 2, "testingonly.initialZxid")


def led_by_ours(t):
    e = Ensemble(t, (THEIRS, THEIRS, OURS), name="ours-leads")
    e.own_settings[3] = {"epoch.transactionsMax": LEFT}
    e.start_led_by(3)
    end(e, *go_on(t, e, lambda: e.said(3, "its epoch is full")), 3, "epoch.transactionsMax")


def case(t):
    led_by_theirs(t)
    if OURS != THEIRS:
        led_by_ours(t)
