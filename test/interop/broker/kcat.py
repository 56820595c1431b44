"""kcat: topics made by asking for them, every compression, keys and headers, a group of two, a restart in between."""

from harness import records

FORMAT = "%p\t%o\t%k\t%s\t%h\n"
WAIT_S = 60


def case(t):
    keeper = t.keeper()
    broker = t.broker(keeper, num__partitions=4)
    kcat = ["kcat", "-b", broker.address]

    def write(topic, first, count, codec):
        text = "".join(f"key-{n}:value-{n}-{'x' * (n % 97)}\n" for n in range(first, first + count))
        t.run([*kcat, "-P", "-t", topic, "-K:", "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true",
               "-H", f"codec={codec}", "-H", "who=kcat"], "write", feed=text)

    # Every compression into a topic of its own, which the first question about it makes.
    for codec in records.CODECS:
        write(f"topic-{codec}", 0, records.COUNT, codec)
        lines = t.run([*kcat, "-C", "-q", "-e", "-o", "beginning", "-t", f"topic-{codec}", "-f", FORMAT], "read")
        expected = {f"key-{n}\tvalue-{n}-{'x' * (n % 97)}\tcodec={codec},who=kcat" for n in range(records.COUNT)}
        t.equal(len(lines), records.COUNT, f"{codec}: as many records as were written")
        t.check({line.split("\t", 2)[2] for line in lines} == expected, f"{codec}: every record is as it was written")

    listing = "\n".join(t.run([*kcat, "-L"], "list"))
    t.check("1 brokers:" in listing and f"at {broker.address} (controller)" in listing, "the broker is listed", listing)
    for codec in records.CODECS:
        t.check(f'topic "topic-{codec}" with 4 partitions' in listing, f"topic-{codec} has the default partitions")
    offset = t.run([*kcat, "-Q", "-t", "topic-none:0:-1"], "query")
    t.check(int(offset[0].split()[-1]) > 2000, "the end of a partition by its time", offset)
    some = t.run([*kcat, "-C", "-q", "-t", "topic-zstd", "-p", "1", "-o", "-5", "-c", "5", "-f", "%o\n"], "last five")
    t.equal(len(some), 5, "the last five of a partition")

    # A group of two, a restart underneath, and one that resumes.
    group = [*kcat, "-G", "readers", "-E", "-u", "-q", "-f", FORMAT, "-X", "auto.offset.reset=earliest", "-X",
             "heartbeat.interval.ms=300", "-X", "session.timeout.ms=60000", "topic-none"]
    one = t.spawn(group, "one")
    t.wait_until(lambda: len(one.lines) == records.COUNT, "one member reads everything", WAIT_S)
    two = t.spawn(group, "two")
    first = records.COUNT

    def second_reads():
        nonlocal first
        write("topic-none", first, 200, "gzip")
        first += 200
        return two.lines

    t.wait_until(second_reads, "the second member reads", WAIT_S)
    t.wait_until(lambda: len({*one.lines, *two.lines}) == first, "both read everything", WAIT_S)
    two.end()
    broker.restart()
    write("topic-none", first, 200, "lz4")
    first += 200
    t.wait_until(lambda: len({*one.lines, *two.lines}) == first, "one reads on after the restart", WAIT_S)
    t.equal(one.end(), 0, "kcat leaves its group and ends well")
    write("topic-none", first, 200, "zstd")
    three = t.spawn(group, "three")
    t.wait_until(lambda: len(three.lines) >= 200, "a new member resumes", WAIT_S)
    t.equal(len(three.lines), 200, "nothing that was committed is read again")
    three.end()
    broker.check_alive()
    broker.stop()
    keeper.stop()
