"""Our broker leads, Apache's follow and one of them is the controller; beside it Apache's broker leads the same with the same followers, and is
told the same: who is in sync, what acks=all is answered, and what consumers may read are the same at every step. Then ours is killed, and one of
Apache's leads with everything that was acknowledged."""

import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from bad_input import FETCH, PRODUCE, Peer, batch, record, text  # noqa: E402

from harness import kafka_wire  # noqa: E402
from harness.cluster import Cluster  # noqa: E402

NONE, TIMED_OUT, NOT_ENOUGH = 0, 7, 19
OURS, SECOND, THIRD, THEIRS = 1, 2, 3, 4
TOPICS = {"ours": OURS, "theirs": THEIRS}
COUNT = 5  # Records of a batch.


def produce(port, topic, acks=-1, timeout_ms=120000, sequence=None):
    """(error, base offset) of one batch."""
    records = batch([record(offset_delta=i, value=b"v" * 100) for i in range(COUNT)])
    body = text(None) + struct.pack(">hii", acks, timeout_ms, 1) + text(topic) + struct.pack(">iii", 1, 0, len(records)) + records
    peer = Peer(port)
    reply = peer.ask(PRODUCE, 7, body)
    peer.close()
    at = 4 + 2 + len(topic) + 4 + 4
    return struct.unpack_from(">hq", reply, at)


def fetch(port, topic, offset=0, replica=-1, epoch=-1, rack="", version=11):
    """(error, high watermark, log start, preferred replica, offsets read) of one partition."""
    body = struct.pack(">iiiibii", replica, 0, 1, 50 << 20, 0, 0, -1) + struct.pack(">i", 1) + text(topic)
    body += struct.pack(">i", 1) + struct.pack(">iiqqi", 0, epoch, offset, -1, 50 << 20) + struct.pack(">i", 0)
    if version >= 11:
        body += text(rack)
    peer = Peer(port)
    reply = peer.ask(FETCH, version, body)
    peer.close()
    at = 4 + 2 + 4 + 4 + 2 + len(topic) + 4 + 4
    error, high, _stable, start, aborted = struct.unpack_from(">hqqqi", reply, at)
    at += 2 + 8 * 3 + 4 + max(aborted, 0) * 16
    preferred = -1
    if version >= 11:
        (preferred,) = struct.unpack_from(">i", reply, at)
        at += 4
    (size,) = struct.unpack_from(">i", reply, at)
    records, offsets = reply[at + 4:at + 4 + size], []
    while len(records) >= 61:
        base, length = struct.unpack_from(">qi", records)
        if 12 + length > len(records):
            break
        (last,) = struct.unpack_from(">i", records, 23)
        offsets += range(base, base + last + 1)
        records = records[12 + length:]
    return error, high, start, preferred, offsets


class Told:
    """What both leaders say, step by step."""

    def __init__(self, t, cluster):
        self.t, self.cluster = t, cluster

    def port(self, topic):
        return self.cluster.port(TOPICS[topic])

    def same(self, what, ask, expected=None):
        seen = {topic: ask(topic) for topic in TOPICS}
        self.t.equal(seen["ours"], seen["theirs"], f"{what}: ours answers as Apache's")
        if expected is not None:
            self.t.equal(seen["theirs"], expected, f"{what}: Apache's answers as it should")

    def produce(self, what, expected, **options):
        self.same(f"{what}: produce {options}", lambda topic: produce(self.port(topic), topic, **options), expected)

    def readable(self, what, end):
        # A leader looks at how far its followers are when they fetch, and when it is answered who is in sync; both may come later than news of it.
        self.cluster.wait_until(lambda: all(fetch(self.port(topic), topic)[1] >= end for topic in TOPICS), f"{what}: up to {end}")

        def ask(topic):
            error, high, start, preferred, offsets = fetch(self.port(topic), topic)
            return error, high, start, preferred, len(offsets), kafka_wire.offset_at(self.port(topic), topic, 0)

        self.same(f"{what}: what consumers read", ask, (NONE, end, 0, -1, end, (NONE, end)))

    def in_sync(self, what, *others):
        """Until both say so, and the controller too."""
        def agreed():
            return all(set(self.cluster.partitions(topic, number)[0].isr) == {leader, *others}
                       for topic, leader in TOPICS.items() for number in self.cluster.awake())

        self.cluster.wait_until(agreed, f"{what}: {others} are in sync with both")
        for topic, leader in TOPICS.items():
            self.t.equal(self.cluster.partitions(topic)[0].leader, leader, f"{what}: {topic} is led by {leader}")


def grow_and_shrink(cluster, told):
    told.in_sync("at first", SECOND, THIRD)
    told.produce("all in sync", (NONE, 0))
    told.produce("all in sync", (NONE, COUNT), acks=1)
    told.produce("all in sync", (NONE, 2 * COUNT))
    told.readable("all in sync", 3 * COUNT)

    cluster.freeze(THIRD)
    told.produce("a follower stands still", (TIMED_OUT, 3 * COUNT), timeout_ms=500)
    told.readable("a follower stands still", 3 * COUNT)
    told.in_sync("without one", SECOND)
    told.readable("without one", 4 * COUNT)
    told.produce("without one", (NONE, 4 * COUNT))
    told.readable("without one", 5 * COUNT)

    cluster.freeze(SECOND)
    told.produce("alone, but in sync", (NONE, 5 * COUNT), acks=1)
    told.in_sync("alone")
    told.produce("alone", (NOT_ENOUGH, -1))
    told.produce("alone", (NONE, 6 * COUNT), acks=1)
    told.readable("alone", 5 * COUNT)

    cluster.thaw(SECOND)
    told.in_sync("one is back", SECOND)
    told.readable("one is back", 7 * COUNT)
    told.produce("one is back", (NONE, 7 * COUNT))
    cluster.thaw(THIRD)
    told.in_sync("both are back", SECOND, THIRD)
    told.produce("both are back", (NONE, 8 * COUNT))
    told.readable("both are back", 9 * COUNT)


def strange_fetches(cluster, told):
    """Of replicas that are none, of other epochs, of consumers near followers."""
    epochs = {topic: cluster.partitions(topic)[0].epoch for topic in TOPICS}
    rows = {
        "no replica": {"replica": 99},
        "no replica, with an epoch": {"replica": 99, "epoch": 0},
        "the leader itself": {"replica": None},
        "an old epoch": {"epoch": -2},
        "an epoch to come": {"epoch": 1},
        "behind the end": {"offset": 1000},
        "a rack": {"rack": "here"},
        "before racks": {"version": 10},
    }
    for what, row in rows.items():
        def ask(topic, row=row):
            options = dict(row)
            if "epoch" in options:
                options["epoch"] = max(epochs[topic] + options["epoch"], 0)
            if "replica" in options and options["replica"] is None:
                options["replica"] = TOPICS[topic]
            return fetch(told.port(topic), topic, **options)

        told.same(what, ask)


def killed(t, cluster):
    """Apache's broker goes on with what ours has acknowledged."""
    cluster.kill(OURS)
    cluster.bury(OURS)
    cluster.wait_without(OURS, "ours")
    leader = cluster.leader("ours", 0)
    t.check(leader in (SECOND, THIRD), "one of Apache's leads", leader)
    port = cluster.port(leader)
    # Its high watermark moves on when its own follower has fetched from it.
    cluster.wait_until(lambda: fetch(port, "ours")[1] == 9 * COUNT, "everything acknowledged is in sync")
    error, high, _start, _preferred, offsets = fetch(port, "ours")
    t.equal((error, high, offsets), (NONE, 9 * COUNT, list(range(9 * COUNT))), "everything acknowledged is there, once")
    t.equal(produce(port, "ours"), (NONE, 9 * COUNT), "it takes more")


def case(t):
    cluster = Cluster(t, ("rookery", "apache", "apache", "apache"), keeper=t.keeper())
    cluster.start()
    cluster.make_controller(THEIRS)
    for topic, leader in TOPICS.items():
        cluster.create(topic, {0: [leader, SECOND, THIRD]}, min__insync__replicas=2)
    told = Told(t, cluster)
    grow_and_shrink(cluster, told)
    strange_fetches(cluster, told)
    killed(t, cluster)
    cluster.check_alive()
