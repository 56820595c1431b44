"""kafka-reassign-partitions moves partitions between our brokers and Apache's under load: there and back, with a throttle that is seen,
timed and taken off, and given up half-way."""

import json
import re
import time

from harness import kafka_wire, log_load, places, segments, tools
from harness.cluster import Cluster
from harness.session import SEQUENTIAL

OURS = places.target()
KINDS = ("apache", OURS, "apache", OURS)
BULK = 3 << 20
# {topic: from whom to whom}: of each pair of brokers one keeps to the rate as leader and as follower, and the other's is lifted.
TIMED = {"ours-leads": (2, 1), "ours-follows": (1, 2), "theirs-leads": (3, 4), "theirs-follows": (4, 3)}
LIFTED = (1, 4)
RATE = 150_000
WINDOWS_S = 11  # Apache's leader may send at once what these take together, and then nothing until they are over.
CHUNK = 64 << 10  # What one fetch takes at once, at most.


class Moves:
    def __init__(self, t, c):
        self.t, self.c = t, c
        self.count = 0

    def plan(self, wanted):
        self.count += 1
        path = self.t.directory / f"plan-{self.count}.json"
        path.write_text(json.dumps({"version": 1, "partitions": [
            {"topic": topic, "partition": index, "replicas": replicas}
            for topic, assignment in wanted.items() for index, replicas in assignment.items()]}))
        return path

    def tools(self):
        broker = self.c.members[self.c.awake()[self.count % len(self.c.awake())]].server
        return tools.Tools(self.t, "kafka3", broker)

    def tool(self, *words):
        return self.tools().run("reassign", *words)

    def start(self, topic, assignment, *words):
        plan = self.plan({topic: assignment})
        said = self.tool("--reassignment-json-file", plan, "--execute", *words)
        self.t.check("Successfully started partition reassignment" in said, "it starts", said)
        return plan

    def wait(self, topic, assignment):
        def is_there():
            seen = self.c.partitions(topic)
            return all(list(seen[index].replicas) == replicas and set(seen[index].isr) == set(replicas) for index, replicas in assignment.items())

        self.c.wait_until(is_there, f"{topic} is {assignment}")
        self.c.wait_agreed(topic)

    def verify(self, plan, what):
        said = self.tool("--reassignment-json-file", plan, "--verify")
        self.t.check(re.search(r"Reassignment of partition \S+ is completed", said), f"{what}: --verify", said)
        self.t.check("is still in progress" not in said, f"{what}: nothing is in progress", said)

    def listed(self):
        return self.tool("--list")


def gone(t, c, topic, assignment, what):
    """Who has no replica any more gives up the log."""
    for number in c.members:
        for index, replicas in assignment.items():
            if number not in replicas:
                t.wait_until(lambda: not (c.journals(number) / f"{topic}-{index}").exists(),
                             f"{what}: {number} ({c.kind(number)}) gives up {topic}-{index}", 30)


def turned(assignment, by):
    return {index: [(number - 1 + by) % 4 + 1 for number in replicas] for index, replicas in assignment.items()}


def hold(c, topic):
    """Groups with every broker as coordinator that have committed."""
    held = {f"held-{number}": dict.fromkeys(range(4), 7 + number) for number in range(12)}
    for group, offsets in held.items():
        c.commit(group, topic, offsets)
    return held


def under_load(t, c, moves):
    """Every partition goes to every set of three of the four brokers, and to another leader each time."""
    assignment = {index: [(index + n) % 4 + 1 for n in range(3)] for index in range(4)}
    load = log_load.LogLoad(t, c, assignment=assignment)
    held = hold(c, load.topic)
    for by, controller in ((1, 1), (3, 2)):
        c.make_controller(controller)
        target = turned(assignment, by)
        plan = moves.start(load.topic, target)
        moves.wait(load.topic, target)
        t.say(f"moved, controller {controller} ({c.kind(controller)})")
        gone(t, c, load.topic, target, f"turned by {by}")
        moves.verify(plan, f"turned by {by}")
        load.wait_progress()
    # More replicas, and fewer.
    for target in ({0: [2, 1, 3, 4]}, {0: [4, 2, 1]}):
        moves.start(load.topic, target)
        moves.wait(load.topic, target)
        load.wait_progress()
    for group, offsets in held.items():
        t.equal(c.committed(group, load.topic), offsets, f"{group}: what it has committed stays, wherever the replicas go")
    load.finish()


def fill(t, c, topic):
    t.run(["kcat", "-b", c.address(1), "-P", "-t", topic, "-p", "0", "-X", "acks=all", "-X", "enable.idempotence=true",
           "-X", f"batch.size={CHUNK >> 2}"], "kcat", feed=("y" * 1023 + "\n") * (BULK >> 10))


def throttled(t, c, moves, controller):
    """Slower than anybody waits; the throttle is seen, then the move is given up, or let go."""
    what = f"throttled, controller {controller} ({c.kind(controller)})"
    c.make_controller(controller)
    topic = f"bulk-{controller}"
    c.create(topic, {0: [1, 2]})
    fill(t, c, topic)
    target, throttle = {0: [3, 4]}, {"leader.replication.throttled.replicas": "0:1,0:2", "follower.replication.throttled.replicas": "0:3,0:4"}
    throttle_first(c, {topic: throttle}, 1000)
    moves.start(topic, target, "--throttle", "1000")
    t.equal(c.znode(f"/config/topics/{topic}")["config"], throttle, f"{what}: the topic's")
    t.equal({number: c.znode(f"/config/brokers/{number}")["config"].get("follower.replication.throttled.rate") for number in c.members},
            dict.fromkeys(c.members, "1000"), f"{what}: the brokers'")
    said = moves.listed()
    t.check(re.search(rf"{topic}-0: replicas: 3,4,1,2\. adding: 3,4\. removing: 1,2\.", said), f"{what}: --list", said)
    c.wait_until(lambda: list(c.partitions(topic)[0].replicas) == [3, 4, 1, 2], f"{what}: all four have it")
    t.equal(sorted(c.partitions(topic)[0].isr), [1, 2], f"{what}: nobody new is in sync")

    plan = moves.plan({topic: target})
    said = moves.tool("--reassignment-json-file", plan, "--cancel")
    t.check(f"Successfully cancelled partition reassignment for: {topic}-0" in said, f"{what}: cancelled", said)
    moves.wait(topic, {0: [1, 2]})
    gone(t, c, topic, {0: [1, 2]}, what)
    t.check("No partition reassignments found" in moves.listed(), f"{what}: nothing is listed")
    t.equal(c.znode(f"/config/topics/{topic}")["config"], {}, f"{what}: the throttle is off")

    moves.start(topic, target, "--throttle", "1000")
    plan = moves.start(topic, target, "--throttle", "100000000", "--additional")
    moves.wait(topic, target)
    gone(t, c, topic, target, what)
    moves.verify(plan, what)
    t.equal(c.znode(f"/config/topics/{topic}")["config"], {}, f"{what}: the throttle is off in the end")
    t.equal(c.ends(topic), {0: BULK >> 10}, f"{what}: all is there")
    log_load.same_log(t, c, topic, 0, (3, 4))
    c.delete(topic)


def configure(c, kind, configs):
    """As old tools do it, {name: config}."""
    with c.keeper_session() as session:
        for name, config in configs.items():
            path, data = f"/config/{kind}/{name}", json.dumps({"version": 1, "config": config}).encode()
            if session.exists(path):
                session.set(path, data)
            else:
                session.create(path, data)
            change = json.dumps({"version": 2, "entity_path": f"{kind}/{name}"})
            session.create("/config/changes/config_change_", change.encode(), SEQUENTIAL)


def set_rates(c, rates):
    """{broker: rate}; all heed them, and what was configured before, as changes come one after the other."""
    configure(c, "brokers", {number: {f"{role}.replication.throttled.rate": str(rate) for role in ("leader", "follower")}
                             for number, rate in rates.items()})
    c.wait_until(lambda: all(kafka_wire.describe_broker(c.port(number), number).get("leader.replication.throttled.rate") == str(rate)
                             for number, rate in rates.items()), f"rates {rates}")


def throttle_first(c, topics, rate):
    """The tool moves what it has throttled at once, and who has not heard of the throttle by then begins without."""
    configure(c, "topics", topics)
    set_rates(c, dict.fromkeys(c.members, rate))


def timed(t, c, moves):
    """Nobody is faster than told, as machines may only be slower."""
    for topic, (leader, _mover) in TIMED.items():
        c.create(topic, {0: [leader]}, min__insync__replicas=1)
        fill(t, c, topic)
    throttle_first(c, {topic: {"min.insync.replicas": "1", "leader.replication.throttled.replicas": f"0:{leader}",
                               "follower.replication.throttled.replicas": f"0:{mover}"} for topic, (leader, mover) in TIMED.items()}, RATE)
    plan = moves.plan({topic: {0: [mover]} for topic, (_leader, mover) in TIMED.items()})
    process = t.spawn(moves.tools().at("reassign", "--reassignment-json-file", plan, "--execute", "--throttle", RATE), "reassign")
    began, took = {}, {}

    def watch():
        """Notes when each was last seen where it was, and when it is there."""
        for topic, (_leader, mover) in TIMED.items():
            now = time.monotonic()
            found = c.znode(f"/brokers/topics/{topic}")
            if found["partitions"] == {"0": [mover]}:
                took.setdefault(topic, time.monotonic() - began[topic])
            elif not found["adding_replicas"]:
                began[topic] = now
        return len(took) == len(TIMED)

    c.wait_until(lambda: watch() or not process.is_alive(), "the tool ends")
    t.equal(process.wait(60), 0, "timed: it was started")
    set_rates(c, dict.fromkeys(LIFTED, 10**9))
    c.wait_until(watch, "all have moved")
    for topic, (leader, mover) in TIMED.items():
        size = len(segments.raw(c.journals(mover) / f"{topic}-0"))
        is_ours = c.kind(leader if mover in LIFTED else mover) == "rookery"
        least = 0.8 * size / RATE if is_ours else (size - CHUNK) / RATE - WINDOWS_S
        what = f"{topic}: {size} bytes from {leader} ({c.kind(leader)}) to {mover} ({c.kind(mover)}) in {took[topic]:.1f} s, {least:.1f} at least"
        t.say(what)
        t.check(took[topic] >= least, f"timed: {topic} keeps to the rate", what)
    for topic, (_leader, mover) in TIMED.items():
        moves.wait(topic, {0: [mover]})  # The tool asks any broker.
    moves.verify(plan, "timed")
    t.equal([c.znode(f"/config/{kind}/{name}")["config"] for kind, names in (("topics", TIMED), ("brokers", c.members)) for name in names],
            [{"min.insync.replicas": "1"}] * len(TIMED) + [{}] * len(c.members), "timed: --verify takes the throttle off")


def case(t):
    c = Cluster(t, KINDS, replica__fetch__max__bytes=CHUNK)
    c.start()
    moves = Moves(t, c)
    under_load(t, c, moves)
    for controller in (1, 2):
        throttled(t, c, moves, controller)
    timed(t, c, moves)
    c.stop_all()
    c.keeper.stop()
