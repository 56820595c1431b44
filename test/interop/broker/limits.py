"""The broker at its limits, as a real process: many idle connections, a consumer that never reads, a full disk, a log
directory that vanishes. Memory stays bounded, the answers are clear, others are served."""

import pathlib
import resource
import shutil
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from bad_input import METADATA, NONE, Peer, batch, metadata, record  # noqa: E402

from harness.process import patient  # noqa: E402

IDLE_COUNT = 10000
STORAGE_ERROR = 56


def await_topic(t, port, topic):
    def has_leader():
        peer = Peer(port)
        peer.ask(METADATA, 1, metadata(topic))
        code = peer.produce(batch(), topic=topic)
        peer.close()
        return code == NONE

    t.wait_until(has_leader, f"{topic} gets a leader")


def serves(t, port, what):
    peer = Peer(port)
    t.check(peer.ask(METADATA, 1, metadata()) is not None, what)
    peer.close()


def fetch(topic, offset=0):
    body = struct.pack(">iiiibii", -1, 500, 1, 50 << 20, 0, 0, -1) + struct.pack(">i", 1) + struct.pack(
        ">h", len(topic)) + topic.encode() + struct.pack(">iiiqqi", 1, 0, -1, offset, -1, 50 << 20)
    body += struct.pack(">i", 0) + struct.pack(">h", 0)
    request = struct.pack(">hhi", 1, 11, 1) + struct.pack(">h", 1) + b"x" + body
    return struct.pack(">i", len(request)) + request


def many_idle_connections(t, broker):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = broker.resident_mib()
    peers = [socket.create_connection(("127.0.0.1", broker.port), patient(30)) for _ in range(IDLE_COUNT)]
    began = time.monotonic()
    serves(t, broker.port, "others are served beside idle connections")
    took_ms = (time.monotonic() - began) * 1000
    after = broker.resident_mib()
    t.say(f"{IDLE_COUNT} idle connections: {before} to {after} MiB; a request takes {took_ms:.2f} ms")
    t.check(after - before < 60, "10,000 idle connections take less than 60 MiB", after - before)
    for peer in peers:
        peer.close()


def a_consumer_that_never_reads(t, broker):
    await_topic(t, broker.port, "deaf")
    peer = Peer(broker.port)
    big = batch([record(value=b"x" * 500000)])
    for _ in range(40):
        t.need(peer.produce(big, topic="deaf") == NONE, "20 MB are produced")
    before = broker.resident_mib()
    deaf = Peer(broker.port)
    deaf.socket.settimeout(1)
    try:
        for _ in range(100000):
            deaf.socket.sendall(fetch("deaf"))
    except OSError:
        pass
    after = broker.resident_mib()
    t.say(f"a consumer that asks for 20 MB again and again and never reads: {before} to {after} MiB")
    t.check(after - before < 64, "what it does not read is not kept for it", after - before)
    serves(t, broker.port, "others are served beside it")
    deaf.close()


def a_full_disk(t, keeper):
    broker = t.broker(f"{keeper.address}/full", name="full", disk_mib=60)
    await_topic(t, broker.port, "full")
    peer = Peer(broker.port)
    big = batch([record(value=b"x" * 500000)])
    code = NONE
    count = 0
    while code == NONE and count < 500:
        code = peer.produce(big, topic="full")
        count += code == NONE
    t.say(f"{count} batches of 500 kB, then {code}")
    t.equal(code, STORAGE_ERROR, "produce is refused with KAFKA_STORAGE_ERROR")
    serves(t, broker.port, "metadata is served on a full disk")
    reader = Peer(broker.port)
    reader.send(fetch("full"))
    t.check(reader.receive() is not None, "reads go on")
    broker.check_alive()
    broker.stop()


def a_directory_that_vanishes(t, keeper):
    broker = t.broker(f"{keeper.address}/gone", name="gone")
    await_topic(t, broker.port, "gone")
    shutil.rmtree(broker.directory / "journals")
    peer = Peer(broker.port)
    peer.ask(METADATA, 1, metadata("after"))
    code = peer.produce(batch(), topic="after")
    t.say(f"produce to a new topic answers {code}")
    t.check(code not in (NONE,), "nothing new is promised without a directory", code)


def case(t):
    if t.target == "apache":
        t.check(True, "these limits are ours")
        return
    keeper = t.keeper()
    broker = t.broker(keeper)
    many_idle_connections(t, broker)
    a_consumer_that_never_reads(t, broker)
    a_full_disk(t, keeper)
    a_directory_that_vanishes(t, keeper)
