"""kafka-reassign-partitions moves replicas between two log directories of one broker, of ours and Apache's in turns, under load: there and
back; slowly enough to be seen, to be given up, and to outlive a broker that is killed; begun by one kind of broker and ended by the other."""

import json
import pathlib
import re

from harness import kafka_wire, log_load, places, tools
from harness.cluster import Cluster

OURS = places.target()
KINDS = (OURS, "apache", OURS)
MOVER = 1
DISKS = ("journals", "journals2")  # The first one is where the harness looks for logs.
BULK = 16 << 20  # SLOW lets a MiB pass in 11 s, the width of its windows: three minutes.
MARK = "rookery-takeover"  # A file of ours in a directory of Apache's.
SLOW, FAST = "1000", "100000000"
RATE = "replica.alter.log.dirs.io.max.bytes.per.second"


class Moves:
    def __init__(self, t, c):
        self.t, self.c = t, c
        self.count = 0

    def disk(self, which):
        return self.c.directory / f"broker{MOVER}" / DISKS[which]

    def tool(self, name, *words):
        return tools.Tools(self.t, "kafka3", self.c.members[self.c.wait_controller()].server).run(name, *words)

    def plan(self, topic, which):
        self.count += 1
        path = self.t.directory / f"plan-{self.count}.json"
        path.write_text(json.dumps({"version": 1, "partitions": [
            {"topic": topic, "partition": index, "replicas": list(state.replicas),
             "log_dirs": [str(self.disk(which)) if number == MOVER else "any" for number in state.replicas]}
            for index, state in self.c.partitions(topic).items()]}))
        return path

    def start(self, topic, which, *words):
        plan = self.plan(topic, which)
        said = self.tool("reassign", "--reassignment-json-file", plan, "--execute", *words)
        self.t.check("Successfully started moving log director" in said, f"{topic} starts to {DISKS[which]}", said)
        return plan

    def described(self, topic):
        """{(directory, partition): (is future, lag)} as the tool tells it."""
        text = self.tool("log-dirs", "--describe", "--broker-list", MOVER, "--topic-list", topic)
        seen = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
        return {(pathlib.Path(each["logDir"]).name, one["partition"]): (one["isFuture"], one["offsetLag"])
                for each in seen["brokers"][0]["logDirs"] for one in each["partitions"]}

    def lies(self, topic, which):
        """Whether its replicas lie there, with no copy left anywhere."""
        count = len(self.c.partitions(topic))
        names = {disk: [path.name for path in self.disk(disk).iterdir() if path.name.startswith(f"{topic}-")] for disk in (0, 1)}
        here = [name for name in names[which] if not name.endswith("-delete")]
        there = [name for name in names[1 - which] if not name.endswith("-delete")]
        return len(here) == count and not there and not any(name.endswith("-future") for name in here)

    def wait(self, topic, which, plan, what):
        self.c.wait_until(lambda: self.lies(topic, which), f"{what}: {topic} lies in {DISKS[which]}")
        said = self.tool("reassign", "--reassignment-json-file", plan, "--verify")
        count = len(self.c.partitions(topic))
        self.t.equal(len(re.findall(rf"Reassignment of replica {topic}-\d+-{MOVER} completed successfully", said)), count, f"{what}: --verify")

    def is_seen(self, topic, which, what):
        """A copy that is behind, in the other directory than the replica."""
        seen = self.described(topic)
        self.t.equal(seen[DISKS[1 - which], f"{topic}-0"], (False, 0), f"{what}: the replica is where it was")
        is_future, lag = seen[DISKS[which], f"{topic}-0"]
        self.t.check(is_future and lag > 0, f"{what}: a copy is behind", seen)


def fill(t, c, topic):
    c.create(topic, {0: [MOVER, 2, 3]})
    t.run(["kcat", "-b", c.addresses, "-P", "-t", topic, "-p", "0", "-X", "acks=all", "-X", "enable.idempotence=true"], "kcat",
          feed=("y" * 1023 + "\n") * (BULK >> 10))


def throttle(c, moves):
    """The tool moves at once what it has throttled, and who has not heard of the throttle by then begins without."""
    moves.tool("configs", "--alter", "--entity-type", "brokers", "--entity-name", MOVER, "--add-config", f"{RATE}={SLOW}")
    c.wait_until(lambda: kafka_wire.describe_broker(c.port(MOVER), MOVER).get(RATE) == SLOW, f"{MOVER} has heard of the throttle")


def slowly(t, c, moves, topic, become):
    """Given up at first; then the broker is killed on the way, or becomes the other kind."""
    what = f"{c.kind(MOVER)}, then {become}"
    throttle(c, moves)
    moves.start(topic, 1, "--replica-alter-log-dirs-throttle", SLOW)
    moves.is_seen(topic, 1, what)
    said = moves.tool("reassign", "--reassignment-json-file", moves.plan(topic, 0), "--execute")
    t.check("Successfully started moving log director" in said, f"{what}: back to where it is", said)
    c.wait_until(lambda: moves.lies(topic, 0), f"{what}: it is given up")

    moves.start(topic, 1, "--replica-alter-log-dirs-throttle", SLOW)
    moves.is_seen(topic, 1, what)
    if become == c.kind(MOVER):
        c.kill(MOVER)
        c.wait_without(MOVER, topic)
        c.start(MOVER)
    else:
        for copy in moves.disk(1).glob(f"{topic}-*-future"):
            (copy / MARK).write_text("as if it had been about to take its replica's place\n")
        c.swap(MOVER, become)
    c.wait_in_sync(topic)
    moves.is_seen(topic, 1, f"{what}: after the start")
    plan = moves.start(topic, 1, "--additional", "--replica-alter-log-dirs-throttle", FAST)
    moves.wait(topic, 1, plan, what)
    is_marked = (moves.disk(1) / f"{topic}-0" / MARK).exists()
    t.equal(is_marked, become == "apache", f"{what}: Apache's broker lets {MARK} alone, ours removes it")
    t.equal(c.znode(f"/config/brokers/{MOVER}")["config"], {}, f"{what}: --verify takes the throttle off")
    t.equal(c.ends(topic), {0: BULK >> 10}, f"{what}: all is there")
    moves.wait(topic, 0, moves.start(topic, 0), f"{what}: back")
    log_load.same_log(t, c, topic, 0, (MOVER, 2, 3))


def case(t):
    directories = ",".join(str(t.directory / "cluster" / f"broker{MOVER}" / name) for name in DISKS)
    c = Cluster(t, KINDS, each={MOVER: {"log.dirs": directories}})
    c.start()
    moves = Moves(t, c)
    load = log_load.LogLoad(t, c)
    fill(t, c, "bulk")
    moves.wait("bulk", 0, moves.start("bulk", 0), "at first")
    for become in (OURS, "apache", OURS):
        moves.wait(load.topic, 1, moves.start(load.topic, 1), f"under load, {c.kind(MOVER)}")
        load.wait_progress()
        slowly(t, c, moves, "bulk", become)
        load.wait_progress()
        moves.wait(load.topic, 0, moves.start(load.topic, 0), f"back under load, {c.kind(MOVER)}")
        load.wait_progress()
    load.finish()
    c.stop_all()
    c.keeper.stop()
