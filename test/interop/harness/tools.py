"""Apache Kafka's command-line tools of one release, as operators type them: topics, console, groups, configs, perf."""

import re

from . import records
from .process import Failure

WAIT_S = 60

# Where a tool's class stands, by release; what is not named here stands where 3.9 has it.
CLASSES = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "configs": "kafka.admin.ConfigCommand",
    "versions": "kafka.admin.BrokerApiVersionsCommand",
    "cluster": "kafka.tools.ClusterTool",
    "offsets": "org.apache.kafka.tools.GetOffsetShell",
    "reassign": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "elect": "org.apache.kafka.tools.LeaderElectionCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "console-producer": "kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "producer-perf": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf": "org.apache.kafka.tools.ConsumerPerformance",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "e2e-latency": "kafka.tools.EndToEndLatency",
}
CLASSES_4 = {
    "versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
}

# What 4.x calls the options that 3.9 calls --property and --consumer-property.
OPTIONS_4 = {"reader": "--reader-property", "formatter": "--formatter-property", "consumer": "--command-property"}
OPTIONS = {"reader": "--property", "formatter": "--property", "consumer": "--consumer-property"}


# Tools that give up a request, or ask once more for what may have been done, after less than a machine may stand still; by which option
# they are told these limits.
PATIENT = {**dict.fromkeys(("topics", "groups", "configs", "offsets", "reassign", "log-dirs"), "--command-config"), "elect": "--admin.config"}
PATIENT_4 = {**PATIENT, "elect": "--command-config"}
LIMITS = "request.timeout.ms=60000\ndefault.api.timeout.ms=180000\n"
MORE = {"groups": ("--timeout", "180000")}


class Tools:
    def __init__(self, t, release, broker):
        self.t, self.release, self.broker = t, release, broker
        self.classes = CLASSES if release == "kafka3" else {**CLASSES, **CLASSES_4}
        self.options = OPTIONS if release == "kafka3" else OPTIONS_4
        self.patient = PATIENT if release == "kafka3" else PATIENT_4
        self.limits = t.directory / "tools.properties"
        self.limits.write_text(LIMITS)

    def command(self, tool, *words):
        return self.t.java(self.release, self.classes[tool], *words)

    def at(self, tool, *words):
        """The command line of a tool that is told the broker by --bootstrap-server."""
        limits = (self.patient[tool], self.limits) if tool in self.patient else ()
        return self.command(tool, "--bootstrap-server", self.broker.address, *limits, *MORE.get(tool, ()), *words)

    def run(self, tool, *words, status=0, feed=None):
        return "\n".join(self.t.run(self.at(tool, *words), tool, WAIT_S, status, feed=feed))

    def errors(self, tool, *words):
        """Runs a tool that must fail; returns all it said."""
        process = self.t.spawn(self.at(tool, *words), tool)
        process.close_input()
        if process.wait(WAIT_S) == 0:
            raise Failure(f"{tool} {' '.join(map(str, words))} should have failed")
        return "\n".join(process.lines) + process.path.with_suffix(".err").read_text(errors="replace")


def line(number, codec):
    """What the console consumer prints of a record: headers, key and value."""
    return f"number:{number},codec:{codec}\tkey-{number}\tvalue-{number}-{'x' * (number % 97)}"


def write(tools, topic, first, count, codec):
    text = "".join(line(n, codec) + "\n" for n in range(first, first + count))
    # By itself it waits for a second and a half for an answer, tries three times more, and then goes on without the records.
    tools.run("console-producer", "--topic", topic, "--compression-codec", codec, "--request-required-acks", "all",
              "--request-timeout-ms", "60000",
              tools.options["reader"], "parse.headers=true", tools.options["reader"], "parse.key=true", feed=text)


def reader(tools, topic, group, *words):
    shown = [f"print.{what}=true" for what in ("partition", "offset", "headers", "key")]
    properties = [word for name in shown for word in (tools.options["formatter"], name)]
    return tools.at("console-consumer", "--topic", topic, "--group", group, "--from-beginning", *properties,
                    tools.options["consumer"], "heartbeat.interval.ms=300",
                    tools.options["consumer"], "session.timeout.ms=120000", *words)


def topics(t, tools):
    tools.run("topics", "--create", "--topic", "one", "--partitions", "3")
    tools.run("topics", "--create", "--topic", "two", "--config", "retention.ms=86400000")
    t.check("already exists" in tools.errors("topics", "--create", "--topic", "one"), "topics: one name, one topic")
    t.check("InvalidReplicationFactor" in tools.errors("topics", "--create", "--topic", "x", "--replication-factor", "2"),
            "topics: one broker cannot keep two replicas")
    t.check("InvalidTopic" in tools.errors("topics", "--create", "--topic", "x y"), "topics: no spaces in a name")
    t.equal(tools.run("topics", "--list").split(), ["one", "two"], "topics: list")
    tools.run("topics", "--alter", "--topic", "one", "--partitions", "4")
    text = tools.run("topics", "--describe", "--topic", "one")
    t.check(re.search(r"PartitionCount: 4\s+ReplicationFactor: 1", text), "topics: describe after more partitions", text)
    t.check(len(re.findall(r"Leader: 0\s+Replicas: 0\s+Isr: 0", text)) == 4, "topics: leaders", text)
    t.check("InvalidPartitions" in tools.errors("topics", "--alter", "--topic", "one", "--partitions", "2"),
            "topics: partitions only grow")
    text = tools.run("configs", "--entity-type", "topics", "--entity-name", "two", "--describe")
    t.check("retention.ms=86400000" in text, "configs: what a topic was made with", text)
    text = tools.run("configs", "--entity-type", "brokers", "--entity-name", "0", "--describe", "--all")
    t.check("log.retention.hours=168" in text, "configs: a broker's retention is seven days", text[:300])
    tools.run("topics", "--delete", "--topic", "two")
    t.wait_until(lambda: tools.run("topics", "--list").split() == ["one"], "topics: delete", WAIT_S)
    text = tools.run("versions")
    t.check("Produce(0):" in text and "Fetch(1):" in text, "broker-api-versions", text[:300])
    text = "\n".join(t.run(tools.command("cluster", "cluster-id", "--bootstrap-server", tools.broker.address), "cluster"))
    t.check(re.search(r"Cluster ID: \S{22}", text), "cluster-id", text)


def console(t, tools):
    """Every compression through the console; a group of two, a restart, and one that resumes."""
    tools.run("topics", "--create", "--topic", "console", "--partitions", "4")
    first, written = 0, []
    for codec in records.CODECS:
        write(tools, "console", first, records.COUNT, codec)
        written += [line(n, codec) for n in range(first, first + records.COUNT)]
        first += records.COUNT
    t.say(f"wrote {first}")
    text = tools.run("offsets", "--topic", "console")
    t.equal(sum(int(row.split(":")[2]) for row in text.split()), first, "offsets: the ends of all partitions")
    rows = [row for row in tools.run("offsets", "--topic", "console", "--time", "-2").split()]
    t.equal([row.split(":")[2] for row in rows], ["0"] * 4, "offsets: the beginnings of all partitions")

    seen = {}

    def read(*members):
        """Takes what the members have printed; the number of records seen by then."""
        for member in members:
            while member.taken < len(member.lines):
                partition, offset, rest = member.lines[member.taken].split("\t", 2)
                place = partition, offset
                t.check(seen.get(place, rest) == rest, "a record read twice is the same") if place in seen else None
                seen[place] = rest
                member.taken += 1
        return len(seen)

    def member(name):
        process = t.spawn(reader(tools, "console", "readers"), name)
        process.taken = 0
        return process

    one = member("one")
    t.wait_until(lambda: read(one) == len(written), "one member reads everything", WAIT_S)
    two = member("two")
    t.wait_until(lambda: len(held(tools)) == 2, "two members hold partitions", WAIT_S)
    write(tools, "console", first, records.COUNT, "zstd")
    written += [line(n, "zstd") for n in range(first, first + records.COUNT)]
    first += records.COUNT
    t.wait_until(lambda: read(one, two) == len(written), "two members read everything", WAIT_S)
    t.check(two.taken > 0, "the second member reads")
    t.check(two.end() in (0, 143), "the second member ends")
    t.say("two members have read everything")

    described(t, tools, first)
    tools.broker.restart()
    write(tools, "console", first, 100, "none")
    written += [line(n, "none") for n in range(first, first + 100)]
    first += 100
    t.wait_until(lambda: read(one) == len(written), "one reads on after the restart", WAIT_S)
    one.end()
    write(tools, "console", first, 100, "lz4")
    written += [line(n, "lz4") for n in range(first, first + 100)]
    three = member("three")
    t.wait_until(lambda: read(three) == len(written), "a new member resumes", WAIT_S)
    t.equal(len(three.lines), 100, "nothing that was committed is read again")
    t.check(sorted(seen.values()) == sorted(written), "every record is as it was written")
    three.end()
    reset(t, tools)


def held(tools):
    """The members of the group that hold partitions, by the groups tool."""
    process = tools.t.spawn(tools.at("groups", "--describe", "--group", "readers", "--members"), "groups")
    process.close_input()
    process.wait(WAIT_S)
    rows = [row.split() for row in process.lines if row.startswith("readers")]
    return [row for row in rows if int(row[4]) > 0]


def described(t, tools, total):
    t.check("readers" in tools.run("groups", "--list").split(), "groups: list")
    t.wait_until(lambda: re.search(r"readers\s+Stable", tools.run("groups", "--list", "--state")), "groups: its state in the list", WAIT_S)
    text = tools.run("groups", "--describe", "--group", "readers", "--state")
    t.check(re.search(r"range\s+Stable\s+\d", text), "groups: state and assignor", text)

    def rows():
        text = tools.run("groups", "--describe", "--group", "readers")
        return [row.split() for row in text.splitlines() if row.startswith("readers")]

    t.wait_until(lambda: sum(int(row[3]) for row in rows() if row[3].isdigit()) == total,
                 "groups: the committed offsets are the ends", 20)
    seen = rows()
    t.check(all(row[3] == row[4] and row[5] == "0" for row in seen), "groups: no lag", seen)
    process = t.spawn(tools.at("groups", "--describe", "--group", "nobody"), "groups")
    process.close_input()
    process.wait(WAIT_S)
    text = "\n".join(process.lines) + process.path.with_suffix(".err").read_text()
    t.check("does not exist" in text, "groups: one that nobody knows", text)


def reset(t, tools):
    """Offsets of an empty group are moved by the tool."""
    def is_empty():
        return "Empty" in tools.run("groups", "--describe", "--group", "readers", "--state")

    t.wait_until(is_empty, "groups: empty when all have left", WAIT_S)
    text = tools.run("groups", "--group", "readers", "--topic", "console", "--reset-offsets", "--to-offset", "7",
                     "--execute")
    t.equal(len(re.findall(r"readers\s+console\s+\d\s+7", text)), 4, "groups: reset offsets")
    text = tools.run("groups", "--describe", "--group", "readers")
    t.equal(len(re.findall(r"readers\s+console\s+\d\s+7\s", text)), 4, "groups: the reset offsets are there")


def perf(t, tools):
    """The perf tests and the verifiable clients: what they count is what they were told to do."""
    tools.run("topics", "--create", "--topic", "perf", "--partitions", "2")
    for acks, codec in (("1", "none"), ("all", "lz4"), ("0", "gzip")):
        lines = t.run(tools.command("producer-perf", "--topic", "perf", "--num-records", "100000", "--record-size", "100",
                                    "--throughput", "-1", "--producer-props", f"bootstrap.servers={tools.broker.address}",
                                    f"acks={acks}", f"compression.type={codec}", "enable.idempotence=false"),
                      "producer-perf", WAIT_S)
        t.check("100000 records sent" in lines[-1], f"producer-perf: acks={acks} {codec}", lines[-1])
        t.say(lines[-1])
    lines = t.run(tools.at("consumer-perf", "--topic", "perf", "--messages", "300000", "--group", "perf",
                           "--timeout", "120000"), "consumer-perf", WAIT_S)
    columns = [column.strip() for column in lines[-1].split(",")]
    t.check(int(columns[4]) >= 300000, "consumer-perf: every record", lines[-1])
    t.say(lines[-1])
    lines = t.run(tools.command("e2e-latency", *(
        [tools.broker.address, "e2e", "2000", "all", "100"] if tools.release == "kafka3" else
        ["--bootstrap-server", tools.broker.address, "--topic", "e2e", "--num-records", "2000",
         "--producer-acks", "all", "--record-size", "100"])), "e2e-latency", WAIT_S)
    t.check(any(row.startswith("Avg latency") for row in lines), "e2e-latency", lines[-3:])
    t.say(lines[-1])
    # It tries nothing twice.
    lines = t.run(tools.at("verifiable-producer", "--topic", "verify", "--max-messages", "5000", "--acks", "-1",
                           "--producer.config", tools.limits),
                  "verifiable-producer", WAIT_S)
    t.check('"acked":5000' in lines[-1], "verifiable-producer", lines[-1])
    lines = t.run(tools.at("verifiable-consumer", "--topic", "verify", "--group-id", "verify", "--max-messages", "5000",
                           "--reset-policy", "earliest"), "verifiable-consumer", WAIT_S)
    counts = [int(n) for row in lines if "records_consumed" in row for n in re.findall(r'"count":(\d+),"part', row)]
    t.equal(sum(counts), 5000, "verifiable-consumer")


def case(t, release, *parts):
    keeper = t.keeper()
    broker = t.broker(keeper)
    tools = Tools(t, release, broker)
    for part in parts:
        part(t, tools)
        broker.check_alive()
    broker.stop()
    keeper.stop()
