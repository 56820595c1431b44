"""Apache Kafka 3.9 on a log directory that our broker wrote, and back again; Apache's DumpLogSegments on every file."""

import re

from harness import group, records, server

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def client(t):
    return lambda *words: t.java_program("broker/java/Client.java", "kafka3", *words)


def produce(t, broker, seen, first, count):
    last = seen.write(CODECS, first, count)
    t.run(client(t)("produce", broker.address, group.TOPIC, ",".join(CODECS), first, count), "produce", 60)
    return last


def dump(t, journals, kind):
    """Every segment and index of the topic and of the offsets topic, read by Apache's tool."""
    found = 0
    for partition in sorted(journals.iterdir()):
        files = sorted(str(p) for p in partition.glob("*") if p.suffix in (".log", ".index", ".timeindex", ".snapshot"))
        if not partition.is_dir() or not any(f.endswith(".log") and (partition / f).stat().st_size for f in files):
            continue
        offsets = ["--offsets-decoder"] if partition.name.startswith("__consumer_offsets") else []
        lines = t.run(t.java("kafka3", "kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", *offsets,
                             "--files", ",".join(files)), "dump-log", 60)
        text = "\n".join(lines)
        t.check("isvalid: false" not in text and "ound invalid" not in text and "mismatch" not in text.lower(),
                f"{kind}: DumpLogSegments finds nothing wrong in {partition.name}",
                [line for line in lines if "alse" in line or "nvalid" in line or "ismatch" in line][:3])
        found += len(re.findall(r"^\| offset:", text, re.M))
    t.check(found > 0, f"{kind}: DumpLogSegments finds records", found)


def hand_over(t, first, second, end, **settings):
    """`first` writes, commits and ends by `end`; `second` serves all of it, resumes the group, goes on, hands back."""
    keeper = t.keeper("apache", name=f"keeper-{end}")
    directory = t.directory / f"broker-{end}"
    journals = directory / "journals"
    port = t.port()
    seen = records.Seen()

    def start(kind):
        made = server.broker(t, kind, f"{kind}-{end}", directory, port, keeper.address, log__segment__bytes=300_000,
                             offsets__topic__num__partitions=3, zookeeper__session__timeout__ms=60000, **settings)
        return made.start()

    def read(broker, what):
        import threading
        member = group.Member(t, client(t), broker, "member", seen, threading.Lock())
        t.wait_until(lambda: len(seen.lines) >= len(seen.written), f"{what}: reads everything", 60)
        member.stop(t)

    def finish(broker):
        getattr(broker, end)()
        dump(t, journals, broker.kind) if end == "stop" else None
        if end == "kill":
            t.wait_until(lambda: "/brokers/ids/0" not in "\n".join(
                line.split("\t")[0] for line in
                t.run(t.python_program("harness/tree.py", "dump", keeper.address), "znodes")), "the session goes", 30)

    one = start(first)
    t.run(client(t)("create", one.address, group.TOPIC, group.PARTITIONS), "create")
    following = produce(t, one, seen, 0, 4000)
    read(one, f"{end}: {first}")
    following = produce(t, one, seen, following, 200)
    finish(one)

    two = start(second)
    read(two, f"{end}: {second} after {first}")
    t.equal(seen.repeats, 0, f"{end}: {second} knows what was committed at {first}")
    following = produce(t, two, seen, following, 2000)
    finish(two)

    three = start(first)
    read(three, f"{end}: {first} after {second}")
    t.equal(seen.repeats, 0, f"{end}: {first} knows what was committed at {second}")
    seen.verify(t, end)
    three.stop()
    keeper.stop()


def case(t):
    hand_over(t, t.target, "apache", "stop")
    hand_over(t, t.target, "apache", "kill")
