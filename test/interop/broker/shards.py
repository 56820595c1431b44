"""A broker of three shards: producers of every compression and a group of readers at once, on connections of two gates, and restarts with
another number of shards and with one; then producers in a hurry, and a kill."""

from harness import records

WAIT_S = 60
PRODUCER_COUNT = 6
LINE_COUNT = 100_000
UNHURRIED = ("-X", "request.timeout.ms=120000", "-X", "socket.timeout.ms=120000")  # Nothing is sent twice: records are counted.


def hurry(t, broker, kcat):
    """More at once than the first shard has time for: gates write for it. What is acknowledged without a sync outlives the process."""
    written = set()
    producers = []
    for number in range(PRODUCER_COUNT):
        lines = [f"{number}-{n}-{'y' * 50}" for n in range(LINE_COUNT)]
        path = t.directory / f"lines-{number}"
        path.write_text("".join(f"{line}\n" for line in lines))
        producers.append(t.spawn([*kcat, "-P", "-t", "hurry", "-z", "none", "-X", "acks=1", *UNHURRIED, "-l", str(path)], "hurry"))
        written.update(lines)
    for producer in producers:
        t.equal(producer.wait(WAIT_S), 0, "every record is acknowledged")
    broker.kill()
    broker.start()
    lines = t.run([*kcat, "-C", "-q", "-e", "-o", "beginning", "-t", "hurry", "-f", "%s\n"], "read")
    t.equal(len(lines), len(written), "as many records as were acknowledged")
    t.check(set(lines) == written, "every record is as it was acknowledged")


def case(t):
    keeper = t.keeper()
    broker = t.broker(keeper, num__partitions=4, rookery__broker__shards=3)
    kcat = ["kcat", "-b", broker.address]
    group = [*kcat, "-G", "readers", "-E", "-u", "-q", "-f", "%k\t%s\n", "-X", "auto.offset.reset=earliest", "-X",
             "heartbeat.interval.ms=300", "-X", "session.timeout.ms=60000", "all"]
    written = set()

    def write(name):
        for codec in records.CODECS:
            lines = [f"{name}-{codec}-{n}:{'x' * (n % 97)}-{n}" for n in range(records.COUNT)]
            t.run([*kcat, "-P", "-t", "all", "-K:", "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true"], "write",
                  feed="".join(f"{line}\n" for line in lines))
            written.update(line.replace(":", "\t") for line in lines)

    def read():
        lines = t.run([*kcat, "-C", "-q", "-e", "-o", "beginning", "-t", "all", "-f", "%k\t%s\n"], "read")
        t.equal(len(lines), len(written), "as many records as were written")
        t.check(set(lines) == written, "every record is as it was written")

    write("first")
    readers = [t.spawn(group, f"reader {number}") for number in range(3)]
    write("second")
    t.wait_until(lambda: len({line for reader in readers for line in reader.lines}) == len(written), "the group reads everything", WAIT_S)
    read()
    for count in 1, 5:
        broker.settings["rookery.broker.shards"] = count
        broker.restart()
        write(f"with-{count}")
        read()
        t.wait_until(lambda: len({line for reader in readers for line in reader.lines}) == len(written), "the group reads on", WAIT_S)
    hurry(t, broker, kcat)
    for reader in readers:
        t.equal(reader.end(), 0, "kcat leaves its group and ends well")
    broker.check_alive()
    broker.stop()
    keeper.stop()
