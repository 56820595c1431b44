"""Brokers of ours and Apache's with two log directories each, under either's controller: one directory of a broker fails, and what lies
there is led by others; the broker goes on with the other one, starts without the first, and takes it back."""

import json
import pathlib

from harness import places, tools
from harness.cluster import Cluster

OURS = places.target()
KINDS = (OURS, "apache", OURS)
DISKS = ("disk1", "disk2")
NOTICES = "/log_dir_event_notification"


def disk(c, number, which):
    return c.directory / f"broker{number}" / DISKS[which]


def held(c, number, which, topic):
    """The partitions of a topic that lie on a broker's directory."""
    names = (path.name for path in disk(c, number, which).iterdir())
    return {int(name.rsplit("-", 1)[1]) for name in names if name.rsplit("-", 1)[0] == topic}


def fail(path):
    """The directory is gone, and a file stands in its place: whatever is tried there fails."""
    path.rename(path.with_name(f"{path.name}-away"))
    path.write_text("no directory")


def mend(path):
    path.unlink()
    path.with_name(f"{path.name}-away").rename(path)


def is_contained(c, topic, victim, lost):
    """Whether all say so: the victim leads and follows what it has, and nothing else."""
    for number in c.awake():
        found = c.partitions(topic, number)
        for index, state in found.items():
            gone = {victim} if index in lost else set()
            if set(state.offline) != gone or set(state.isr) != set(state.replicas) - gone or state.leader in gone | {-1}:
                return False
    with c.keeper_session() as session:
        return not session.children(NOTICES)


def described(t, c, victim):
    """{directory: error} as the tool tells it of a broker."""
    toolbox = tools.Tools(t, "kafka3", c.members[c.wait_controller()].server)
    text = toolbox.run("log-dirs", "--describe", "--broker-list", victim)
    seen = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    return {pathlib.Path(each["logDir"]).name: each["error"] for each in seen["brokers"][0]["logDirs"]}


def write(t, c, topic, index, text):
    t.run(["kcat", "-b", c.addresses, "-P", "-t", topic, "-p", str(index), "-X", "acks=all", "-X", "enable.idempotence=true"], "kcat", feed=text)


def read(t, c, topic, index):
    return t.run(["kcat", "-b", c.addresses, "-C", "-t", topic, "-p", str(index), "-o", "beginning", "-e", "-q"], "kcat")


def lose(t, c, controller, victim):
    what = f"controller {controller} ({c.kind(controller)}), {victim} ({c.kind(victim)}) loses a directory"
    t.say(what)
    c.make_controller(controller)
    topic = f"t-{controller}-{victim}"
    c.create_spread(topic, per_broker=2)
    every = sorted(c.partitions(topic))
    lost, kept = held(c, victim, 0, topic), held(c, victim, 1, topic)
    t.equal(sorted(lost | kept), every, f"{what}: all partitions are there")
    t.check(len(lost) == len(kept), f"{what}: both directories have as many", (lost, kept))
    for index in every:
        write(t, c, topic, index, "a\n")
    fail(disk(c, victim, 0))
    c.wait_until(lambda: is_contained(c, topic, victim, lost), f"{what}: others lead")
    t.equal(sorted(name for name, error in described(t, c, victim).items() if error), [DISKS[0]], f"{what}: the tool names it")
    for index in every:
        write(t, c, topic, index, "b\n")
    c.restart(victim)
    c.wait_until(lambda: is_contained(c, topic, victim, lost), f"{what}: the same after a start")
    t.equal(held(c, victim, 1, topic), kept, f"{what}: no replica was begun anew elsewhere")
    c.create(f"{topic}-new", {0: [victim, *(number for number in c.members if number != victim)]})
    t.equal(held(c, victim, 1, f"{topic}-new"), {0}, f"{what}: a new one goes to the other directory")
    for index in every:
        write(t, c, topic, index, "c\n")
    c.stop(victim)
    mend(disk(c, victim, 0))
    c.start(victim)
    c.wait_in_sync()
    # Who leads since the victim stopped knows that all have the last record when they have fetched from it.
    c.wait_until(lambda: c.ends(topic) == dict.fromkeys(every, 3), f"{what}: all is there")
    for index in every:
        t.equal(read(t, c, topic, index), ["a", "b", "c"], f"{what}: partition {index}")


def case(t):
    directories = {number: ",".join(str(t.directory / "cluster" / f"broker{number}" / name) for name in DISKS)
                   for number in range(1, len(KINDS) + 1)}
    # Whatever is written to open files goes on: that a directory is gone is found when its checkpoints are written.
    c = Cluster(t, KINDS, each={number: {"log.dirs": text} for number, text in directories.items()},
                replica__high__watermark__checkpoint__interval__ms=1000, log__flush__offset__checkpoint__interval__ms=2000)
    c.start()
    for controller, victim in ((1, 2), (2, 3), (1, 1)):
        lose(t, c, controller, victim)
        c.check_alive()
    c.stop_all()
    c.keeper.stop()
