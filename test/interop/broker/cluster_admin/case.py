"""What the admin tools of 3.9 and 4.x say of a cluster that is whole, of one without a broker and of one without two, beside what they
say of Apache's.

`RECORD=1 TARGET=apache test/interop/run broker/cluster_admin` writes expected.txt anew."""

import json
import os
import pathlib
import re

from harness import places, tools
from harness.cluster import Cluster

EXPECTED = pathlib.Path(__file__).with_name("expected.txt")
OURS = places.target()
# With TARGET=apache all are Apache's; the answers must be those.
KINDS = (OURS, "apache", OURS)
MASKS = (
    (r"TopicId: \S{22}", "TopicId: ID"),
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r'"logDir":"[^"]*"', '"logDir":"DIR"'),
    (r'"size":\d+', '"size":N'),
    (r"/[\w./-]*/plan-(\d)\.json", r"plan-\1.json"),
    (r"on cluster \S{22}", "on cluster ID"),
    (r"\s+", " "),
)


class Transcript:
    """Every command and what it said, a line each."""

    def __init__(self, t, c):
        self.t, self.c = t, c
        self.lines = []
        self.releases = {}

    def title(self, text):
        self.t.say(text)
        self.lines.append(f"# {text}")

    def run(self, release, tool, *words):
        toolbox = tools.Tools(self.t, release, self.c.members[self.c.awake()[0]].server)
        process = self.t.spawn(toolbox.at(tool, *words), f"{release}-{tool}")
        process.close_input()
        status = process.wait(60)
        self.lines.append(mask(f"$ {release} {tool} {' '.join(map(str, words))}: status {status}"))
        said = [mask(line) for line in process.lines if line.strip() and not line.startswith("\tat ")]
        self.lines += sorted(said) if tool in ("elect", "offsets", "groups") else said

    def both(self, tool, *words):
        for release in ("kafka3", "kafka4"):
            self.run(release, tool, *words)


def numbers(match):
    return match.group(1) + ",".join(sorted(match.group(2).split(",")))


def partitions(match):
    return match.group(1) + ", ".join(sorted(name for name in match.group(2).split(", ") if not name.startswith("__")))


def mask(line):
    if line.startswith("{") and '"brokers"' in line:
        return mask(log_dirs(json.loads(line)))
    for pattern, word in MASKS:
        line = re.sub(pattern, word, line)
    # The order of those in sync says nothing, nor that of partitions; who led __consumer_offsets, nobody knows.
    line = re.sub(r"(Isr: )([\d,]+)", numbers, line).strip()
    return re.sub(r"(for partitions )(.+)", partitions, line)


def log_dirs(seen):
    """The JSON of log-dirs in an order of its own."""
    for broker in seen["brokers"]:
        for each in broker["logDirs"]:
            each["partitions"].sort(key=lambda partition: partition["partition"])
    seen["brokers"].sort(key=lambda broker: broker["broker"])
    return " " + json.dumps(seen, separators=(",", ":"))


def described(seen):
    for option in ("--under-replicated-partitions", "--at-min-isr-partitions", "--under-min-isr-partitions", "--unavailable-partitions"):
        seen.run("kafka3", "topics", "--describe", "--exclude-internal", option)
    seen.both("topics", "--describe", "--exclude-internal")


def plan(t, number, *replicas):
    path = t.directory / f"plan-{number}.json"
    path.write_text(json.dumps({"version": 1, "partitions": [{"topic": "u", "partition": 0, "replicas": list(replicas)}]}))
    return path


def whole(t, c, seen):
    seen.title("all are there")
    described(seen)
    seen.both("offsets", "--topic", "t")
    seen.run("kafka3", "offsets", "--topic-partitions", "t:1,u:0", "--time", "earliest")
    seen.both("log-dirs", "--describe", "--topic-list", "t,u")
    seen.both("groups", "--describe", "--group", "g")
    seen.run("kafka3", "groups", "--list", "--state")
    seen.both("elect", "--election-type", "preferred", "--topic", "t", "--partition", "0")
    seen.both("reassign", "--list")
    seen.run("kafka3", "reassign", "--reassignment-json-file", plan(t, 1, 3, 2), "--execute")
    c.wait_until(lambda: list(c.partitions("u")[0].replicas) == [3, 2], "u has moved")
    c.wait_in_sync()
    c.wait_agreed("u")  # A tool asks any broker.
    seen.run("kafka3", "reassign", "--reassignment-json-file", plan(t, 1, 3, 2), "--verify")
    seen.run("kafka4", "reassign", "--reassignment-json-file", plan(t, 2, 3, 9), "--execute")
    seen.run("kafka3", "topics", "--alter", "--topic", "u", "--partitions", "2", "--replica-assignment", "0:1,2:1")
    c.wait_until(lambda: len(c.partitions("u")) == 2, "u has another partition")
    c.wait_in_sync()
    c.wait_agreed("u")
    seen.both("topics", "--describe", "--topic", "u")


def without_one(c, seen):
    c.kill(2)
    c.wait_without(2)
    seen.title("2 is gone")
    described(seen)
    seen.both("elect", "--election-type", "preferred", "--topic", "t", "--partition", "1")
    seen.run("kafka3", "elect", "--election-type", "unclean", "--topic", "t", "--partition", "1")
    seen.run("kafka3", "topics", "--create", "--topic", "v", "--partitions", "1", "--replication-factor", "3")


def without_two(c, seen):
    c.kill(3)
    c.bury(3)
    # 3 was the last of u's first partition: it stays in sync, and nobody leads.
    c.wait_until(lambda: c.partitions("u")[0].leader == -1 and all(3 not in state.isr for state in c.partitions("t").values()), "3 is gone")
    seen.title("2 and 3 are gone")
    described(seen)
    seen.both("elect", "--election-type", "unclean", "--topic", "u", "--partition", "0")
    seen.run("kafka3", "groups", "--describe", "--group", "g")


def back(c, seen):
    c.start(3)
    c.start(2)
    c.wait_in_sync()
    seen.title("all are back")
    seen.run("kafka3", "elect", "--election-type", "preferred", "--all-topic-partitions")
    c.wait_until(lambda: all(state.leader == state.replicas[0] for state in c.partitions("t").values()), "preferred leaders")
    c.wait_agreed("t", "u")
    described(seen)
    seen.both("offsets", "--topic", "t")
    seen.run("kafka3", "groups", "--describe", "--group", "g")


def case(t):
    c = Cluster(t, KINDS)
    c.start()
    c.make_controller(1)
    c.create_spread("t")
    c.create("u", {0: [1, 2]}, retention__ms=86400000)
    for partition in range(3):
        t.run(["kcat", "-b", c.address(1), "-P", "-t", "t", "-p", str(partition), "-X", "acks=all", "-X", "enable.idempotence=true"], "kcat",
              feed="x\n" * (partition + 5))
    c.commit("g", "t", {0: 1, 1: 2, 2: 7})
    seen = Transcript(t, c)
    whole(t, c, seen)
    without_one(c, seen)
    without_two(c, seen)
    back(c, seen)
    if os.environ.get("RECORD"):
        EXPECTED.write_text("".join(line + "\n" for line in seen.lines))
    compare(t, seen.lines, EXPECTED.read_text().splitlines())
    c.stop_all()
    c.keeper.stop()


def sections(lines):
    """{(title, command): what it said}"""
    found, title = {}, ""
    for line in lines:
        if line.startswith("# "):
            title = line
        elif line.startswith("$ "):
            found[title, line] = said = []
        else:
            said.append(line)
    return found


def compare(t, have, want):
    have, want = sections(have), sections(want)
    t.equal(list(have), list(want), "commands, and how they ended")
    for key in want:
        if key in have:
            t.equal(have[key], want[key], " ".join(key))
