"""Our broker follows two of Apache's, one of which is the controller: under load it is killed and comes back, its leader is killed, all of it is
taken away and brought back; records that only it has are taken back when another leads. In the end its log is the leaders' byte by byte, and
Apache's DumpLogSegments finds nothing wrong in it."""

import pathlib
import shutil
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "disk"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from bad_input import PRODUCE, Peer, batch, record, text  # noqa: E402
from kafka import dump  # noqa: E402

from harness import log_load, places  # noqa: E402
from harness.cluster import Cluster  # noqa: E402

DELETE_RECORDS = 21
OURS, SECOND, THIRD = 1, 2, 3
TOPIC, PARTED, DELETED = "followed", "parted", "deleted"
LIMIT_MS = 120000  # Of a request that waits for followers: longer than a machine stands still.
LONE = 40  # Batches that only our broker has.
# What it says when it cuts its log, and when it begins anew.
CUT = {"rookery": "truncated at offset {},", "apache": "Truncating to offset {}\n"}
ANEW = {"rookery": "begins anew at offset {}", "apache": "to the current leader's start offset {} "}


def produce(port, topic, count, acks, value):
    """count batches of one record each; the last one's answer."""
    peer = Peer(port)
    for number in range(count):
        records = batch([record(value=b"%s %d" % (value, number))])
        body = text(None) + struct.pack(">hii", acks, LIMIT_MS, 1) + text(topic) + struct.pack(">iii", 1, 0, len(records)) + records
        reply = peer.ask(PRODUCE, 7, body)
    peer.close()
    return struct.unpack_from(">hq", reply, 4 + 2 + len(topic) + 4 + 4)


def delete_records(port, topic, offset):
    """(log start, error)"""
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, 0, offset, LIMIT_MS)
    peer = Peer(port)
    reply = peer.ask(DELETE_RECORDS, 1, body)
    peer.close()
    return struct.unpack_from(">qh", reply, 4 + 4 + 2 + len(topic) + 4 + 4)


def comes_back(c, load):
    c.kill(OURS)
    c.wait_without(OURS)
    load.wait_progress()
    c.start(OURS)
    c.wait_in_sync()
    load.wait_progress()


def leader_dies(c, load, number):
    c.kill(number)
    c.wait_without(number)
    load.wait_progress()
    c.start(number)
    c.wait_in_sync()
    c.elect_preferred(TOPIC)
    load.wait_progress()


def begins_with_nothing(t, c, load):
    """All of its partitions are copied anew."""
    c.stop(OURS)
    c.wait_without(OURS)
    for path in c.journals(OURS).glob(f"{TOPIC}-*"):
        shutil.rmtree(path)
    (c.journals(OURS) / "rookery-synced").unlink(missing_ok=True)
    load.wait_progress()
    c.start(OURS)
    c.wait_in_sync()
    t.say("it has copied everything")


def parts(t, c):
    """It leads, its followers stand still, and what it took alone is not what the next leader takes."""
    c.create(PARTED, {0: [OURS, SECOND, THIRD]}, min__insync__replicas=1)
    t.equal(produce(c.port(OURS), PARTED, 5, -1, b"everybody"), (0, 4), "everybody has the first")
    for number in (SECOND, THIRD):
        c.freeze(number)
    t.equal(produce(c.port(OURS), PARTED, LONE, 1, b"lone"), (0, 4 + LONE), "it takes some alone")
    c.kill(OURS)
    for number in (SECOND, THIRD):
        c.thaw(number)
    c.wait_without(OURS, PARTED)
    leader = c.leader(PARTED, 0, SECOND)
    # A Fetch that was under way when they were frozen may have brought them some of it.
    error, last = produce(c.port(leader), PARTED, 10, -1, b"others")
    first = last - 9
    t.check(error == 0 and 5 <= first < 5 + LONE, "the next leader goes on where most were", (error, first))
    c.start(OURS)
    c.wait_in_sync(PARTED)
    c.wait_until(lambda: CUT[c.kind(OURS)].format(first) in c.log(OURS), "ours takes back what only it had", 20)
    log = log_load.same_log(t, c, PARTED, 0, (OURS, SECOND, THIRD))
    t.equal(len(log), first + 10, "all have the leader's log")


def starts_late(t, c):
    """Records were deleted while it was away: its log begins anew where the leader's does."""
    c.create(DELETED, {0: [SECOND, THIRD, OURS]}, min__insync__replicas=1, segment__bytes=1 << 14)
    produce(c.port(SECOND), DELETED, 20, -1, b"early")
    c.stop(OURS)
    c.wait_without(OURS, DELETED)
    produce(c.port(SECOND), DELETED, 300, -1, b"gone" * 50)
    t.equal(delete_records(c.port(SECOND), DELETED, 300), (300, 0), "the first 300 are deleted")
    c.start(OURS)
    c.wait_in_sync(DELETED)
    c.wait_until(lambda: ANEW[c.kind(OURS)].format(300) in c.log(OURS), "ours begins anew where the leader's log begins", 20)
    t.equal(produce(c.port(SECOND), DELETED, 5, -1, b"late"), (0, 324), "it goes on")


def case(t):
    # Longer than it takes to write while followers stand still: the leader is to die before it goes on without them.
    c = Cluster(t, (places.target(), "apache", "apache"), replica__lag__time__max__ms=60000)
    c.start(SECOND, THIRD)
    c.start(OURS)
    c.make_controller(SECOND)
    load = log_load.LogLoad(t, c, TOPIC, {0: [SECOND, THIRD, OURS], 1: [THIRD, SECOND, OURS]}, with_java=False)
    c.wait_in_sync()
    comes_back(c, load)
    leader_dies(c, load, THIRD)
    begins_with_nothing(t, c, load)
    load.finish()
    parts(t, c)
    starts_late(t, c)
    c.check_alive()
    for partition in range(2):
        log_load.same_log(t, c, TOPIC, partition, (OURS, SECOND, THIRD))
    c.stop_all()
    for partition in range(2):
        log_load.check_epochs(t, c, TOPIC, partition)
    dump(t, c.journals(OURS), "followed")
