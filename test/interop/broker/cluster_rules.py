"""What a cluster of ours and Apache's refuses and allows: too few in sync, nobody in sync, an unclean election where a topic wants it;
nothing above the high watermark is seen; a topic is seen with all its partitions or none; replicas go to different racks, and a consumer reads in its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

from harness import places, tools
from harness.cluster import Cluster

OURS = places.target()
KINDS = (OURS, "apache", OURS)
FEW = "NOT_ENOUGH_REPLICAS"


def produce(t, c, topic, acks, *values):
    """What each was answered; the broker that leads is among those that are asked first."""
    return t.run(t.python_program("broker/programs/one_partition.py", "produce", c.addresses, topic, acks, *values), "produce", 90)


def watch(t, c, topic, rack=""):
    process = t.spawn(t.python_program("broker/programs/one_partition.py", "watch", c.addresses, topic, rack), "watch")
    process.wait_line(lambda line: line == "watching", 30, "a consumer that watches")
    return process


def read(process, value):
    """The broker that the record came from, once it is seen."""
    return int(process.wait_line(lambda line: line.split()[2:3] == [value], 60, f"the record {value}").split()[3])


def isr(c, topic):
    return c.znode(f"/brokers/topics/{topic}/partitions/0/state")["isr"]


def too_few(t, c, leader):
    """Two stand still: acks=all is refused, acks=1 is not; nobody sees what they lack while they count as in sync, nor while too few do."""
    what = f"led by {leader} ({c.kind(leader)})"
    others = [number for number in c.members if number != leader]
    one, two = f"one-{leader}", f"two-{leader}"
    c.make_controller(leader)
    c.create(one, {0: [leader, *others]}, min__insync__replicas=1)
    c.create(two, {0: [leader, *others]})
    watchers = {topic: watch(t, c, topic) for topic in (one, two)}
    for topic, watcher in watchers.items():
        t.equal(produce(t, c, topic, "all", "a"), ["offset 0"], f"{what}: {topic}: three in sync")
        read(watcher, "a")
    for number in others:
        c.freeze(number)
    for topic in watchers:
        t.equal(produce(t, c, topic, "1", "b"), ["offset 1"], f"{what}: {topic}: acks=1 while the followers stand still")
    read(watchers[one], "b")
    t.equal(isr(c, one), [leader], f"{what}: what one has is seen when one is in sync")
    c.wait_until(lambda: isr(c, two) == [leader], f"{what}: one is in sync")
    t.equal(produce(t, c, one, "all", "c"), ["offset 2"], f"{what}: one in sync is enough for {one}")
    read(watchers[one], "c")
    t.equal(produce(t, c, two, "all", "c"), [f"error {FEW}"], f"{what}: one in sync is too few for {two}")
    t.equal(produce(t, c, two, "1", "d"), ["offset 2"], f"{what}: acks=1 asks nobody")
    seen = len(watchers[two].lines)
    for number in others:
        c.thaw(number)
    t.equal(seen, 2, f"{what}: nothing is seen of {two} while too few are in sync")
    for value in ("b", "d"):
        read(watchers[two], value)
    t.check(len(isr(c, two)) > 1, f"{what}: it is seen when enough are in sync")
    c.wait_known()
    c.wait_in_sync()
    for topic, watcher in watchers.items():
        t.equal(produce(t, c, topic, "all", "e"), ["offset 3"], f"{what}: {topic}: three in sync again")
        read(watcher, "e")
        watcher.end()


def nobody_left(t, c, first, second):
    """The last one in sync dies: who lacks its record leads only where the topic allows it, and then the record is lost."""
    what = f"{second} ({c.kind(second)}) after {first} ({c.kind(first)})"
    third = next(number for number in c.members if number not in (first, second))
    c.make_controller(third)
    clean, unclean = f"clean-{first}-{second}", f"unclean-{first}-{second}"
    c.create(clean, {0: [first, second]}, min__insync__replicas=1)
    c.create(unclean, {0: [first, second]}, min__insync__replicas=1, unclean__leader__election__enable="true")
    for topic in (clean, unclean):
        t.equal(produce(t, c, topic, "all", "a", "b"), ["offset 0", "offset 1"], f"{what}: {topic} at first")
    c.kill(second)
    c.bury(second)
    c.wait_until(lambda: isr(c, clean) == isr(c, unclean) == [first], f"{what}: {second} is out of sync")
    for topic in (clean, unclean):
        t.equal(produce(t, c, topic, "all", "lost", "more"), ["offset 2", "offset 3"], f"{what}: {topic}: one in sync is enough")
    c.kill(first)
    c.bury(first)
    c.start(second)
    c.wait_until(lambda: c.leader(unclean, 0) == second, f"{what}: {unclean} has a leader")
    c.wait_until(lambda: c.leader(clean, 0) == -1, f"{what}: {clean} has none")
    t.equal(isr(c, clean), [first], f"{what}: {clean}: who has everything is in sync")
    t.equal(isr(c, unclean), [second], f"{what}: {unclean}: who leads is in sync")
    t.equal(produce(t, c, unclean, "all", "other"), ["offset 2"], f"{what}: {unclean} goes on where the new leader ends")
    c.start(first)
    c.wait_in_sync()
    t.equal(c.leader(clean, 0), first, f"{what}: {clean} is led by the one that has everything")
    for topic, values in ((clean, "a b lost more"), (unclean, "a b other")):
        for leader in (c.leader(topic, 0), *(number for number in (first, second) if number != c.leader(topic, 0))):
            lead(c, topic, leader)
            seen = t.run(["kcat", "-b", c.addresses, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q"], "kcat")
            t.equal(" ".join(seen), values, f"{what}: {topic} by {leader} ({c.kind(leader)})")


def lead(c, topic, number):
    """Makes it the leader by stopping the other one, when it does not lead yet."""
    old = c.leader(topic, 0)
    if old != number:
        c.stop(old)
        c.wait_until(lambda: c.leader(topic, 0) == number, f"{number} leads {topic}")
        c.start(old)
        c.wait_in_sync()


def whole(t, c, controller):
    """Who asks all the time sees the partitions that are made together appear together: a producer takes what it sees for all there are."""
    c.make_controller(controller)
    topic, seen, is_over = f"whole-by-{controller}", {}, threading.Event()

    def look(number):
        while True:
            was_over = is_over.is_set()
            seen.setdefault(number, set()).add(len(c.metadata(number, (topic,)).topics[topic][1]))
            if was_over:
                return

    with ThreadPoolExecutor() as pool:
        lookers = [pool.submit(look, number) for number in c.members]
        try:
            t.wait_until(lambda: len(seen) == len(c.members), "everybody looks")
            c.create(topic, partitions=100, factor=2)
            c.wait_until(lambda: all(len(c.partitions(topic, number)) == 100 for number in c.members), "all know the topic")
            tools.Tools(t, "kafka3", c.members[controller].server).run("topics", "--alter", "--topic", topic, "--partitions", "250")
            c.wait_until(lambda: all(len(c.partitions(topic, number)) == 250 for number in c.members), "all know all of it")
        finally:
            is_over.set()
        for looker in lookers:
            looker.result()
    for number, counts in sorted(seen.items()):
        t.check({0, 250} <= counts <= {0, 100, 250}, f"{number} ({c.kind(number)}) shows what {controller} ({c.kind(controller)}) makes", counts)


def racks(t, c):
    """Brokers 1 to 3 are in racks a, b, a: two replicas are never in one rack; a consumer reads in its own."""
    for controller in (1, 2):
        c.make_controller(controller)
        topic = f"spread-by-{controller}"
        c.create(topic, partitions=8, factor=2)
        for index, state in c.partitions(topic).items():
            t.check(2 in state.replicas, f"partition {index} by {controller} is in both racks", state)
    for leader, follower, rack in ((1, 2, "b"), (2, 1, "a"), (2, 3, "a")):
        topic = f"near-{leader}-{follower}"
        c.create(topic, {0: [leader, follower]})
        t.equal(produce(t, c, topic, "all", "x"), ["offset 0"], f"{topic}: the first record")
        watcher = watch(t, c, topic, rack)
        read(watcher, "x")
        count = [0]

        def is_near(topic=topic, watcher=watcher, count=count, follower=follower):
            count[0] += 1
            produce(t, c, topic, "all", f"x{count[0]}")
            return read(watcher, f"x{count[0]}") == follower

        t.wait_until(is_near, f"{topic}: a consumer in rack {rack} reads from {follower} ({c.kind(follower)})", 60)
        watcher.end()


def case(t):
    c = Cluster(t, KINDS, each={1: {"broker.rack": "a"}, 2: {"broker.rack": "b"}, 3: {"broker.rack": "a"}},
                replica__selector__class="org.apache.kafka.common.replica.RackAwareReplicaSelector")
    c.start()
    for leader in (1, 2):
        with t.part(f"too few for {leader}"):
            too_few(t, c, leader)
    for first, second in ((1, 2), (2, 1)):
        nobody_left(t, c, first, second)
    for controller in (1, 2):
        whole(t, c, controller)
    racks(t, c)
    c.stop_all()
    c.keeper.stop()
