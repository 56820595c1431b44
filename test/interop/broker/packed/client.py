"""Produces compressed batches that are right and wrong, and asks for offsets by time."""

import gzip
import pathlib
import struct
import sys
import time

import lz4.frame
import snappy
import zstandard
from kafka.admin import KafkaAdminClient, NewTopic

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))
from broker.bad_input import INVALID_RECORD, MESSAGE_TOO_LARGE, NONE, Peer, crc32c, text, varint  # noqa: E402

ADDRESS, TARGET = sys.argv[1:3]
LIST_OFFSETS = 2
BASE_MS = int(time.time() - 7200) * 1000  # Not for retention to take, and all of it before now.
MAX_TIMESTAMP = -3
UNKNOWN_SERVER_ERROR = -1


def java_snappy(data):
    """Blocks of 32 KiB as Java's library frames them."""
    out = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)
    for at in range(0, len(data), 32768):
        block = snappy.compress(data[at:at + 32768])
        out += struct.pack(">i", len(block)) + block
    return out


CODECS = {
    "gzip": (1, gzip.compress),
    "snappy": (2, java_snappy),
    "bare snappy": (2, snappy.compress),
    "lz4": (3, lz4.frame.compress),
    "zstd": (4, zstandard.ZstdCompressor().compress),
}


def record(delta, key=b"k", value=b"v", step_ms=0):
    body = b"\0" + varint(step_ms * delta) + varint(delta)
    body += (varint(-1) if key is None else varint(len(key)) + key) + varint(len(value)) + value + b"\0"
    return varint(len(body)) + body


def batch(codec, records, count=None, packed=None, base_ms=BASE_MS, max_ms=None):
    number, pack = CODECS[codec]
    count = len(records) if count is None else count
    body = struct.pack(">hiqqqhii", number, count - 1, base_ms, max_ms or base_ms, -1, -1, -1, count)
    body += pack(b"".join(records)) if packed is None else packed
    rest = struct.pack(">ibI", 0, 2, crc32c(body)) + body
    return struct.pack(">qi", 0, len(rest)) + rest


def check(condition, what, detail=""):
    print(f"ok {what}" if condition else f"not ok {what}: {detail}", flush=True)


def equal(seen, expected, what):
    check(seen == expected, what, f"saw {seen}, expected {expected}")


def offset_at(peer, topic, timestamp):
    """Error, timestamp and offset of ListOffsets; version 7 knows MAX_TIMESTAMP."""
    compact = bytes([len(topic) + 1]) + topic.encode()
    body = struct.pack(">ib", -1, 0) + b"\2" + compact + b"\2" + struct.pack(">iiq", 0, -1, timestamp) + b"\0\0\0"
    peer.correlation += 1
    request = struct.pack(">hhi", LIST_OFFSETS, 7, peer.correlation) + text("packed") + b"\0" + body
    peer.send(struct.pack(">i", len(request)) + request)
    reply = peer.receive()
    at = 1 + 4 + 1 + len(compact) + 1 + 4  # Tags, throttle, counts, the name, the partition.
    return struct.unpack(">hqq", reply[at:at + 18])


def about_content(peer, topic):
    for codec in CODECS:
        good = [record(i) for i in range(3)]
        equal(peer.produce(batch(codec, good), topic), NONE, f"{topic}: {codec}")
        equal(peer.produce(batch(codec, good, count=4), topic), INVALID_RECORD,
              f"{topic}: {codec}, a record too few")
        equal(peer.produce(batch(codec, good, count=2), topic), INVALID_RECORD,
              f"{topic}: {codec}, a record too many")
        keyless = [record(0), record(1, key=None)]
        expected = INVALID_RECORD if topic == "compacted" else NONE
        equal(peer.produce(batch(codec, keyless), topic), expected, f"{topic}: {codec}, no key")
        code = peer.produce(batch(codec, good, packed=b"\x99" * 50), topic)
        check(code == (UNKNOWN_SERVER_ERROR if TARGET == "apache" else INVALID_RECORD),
              f"{topic}: {codec}, not what the codec writes", code)


def about_time(peer):
    for number, codec in enumerate(CODECS):
        base_ms = BASE_MS + 1000000 * number
        records = [record(i, value=b"x" * 100, step_ms=10) for i in range(500)]
        data = batch(codec, records, base_ms=base_ms, max_ms=base_ms + 4990)
        equal(peer.produce(data, "timed"), NONE, f"timed: {codec}")
    for number, codec in enumerate(CODECS):
        base_ms = BASE_MS + 1000000 * number
        for i in (0, 1, 250, 499):
            for early_ms in (0, 3) if i > 0 else (0,):
                seen = offset_at(peer, "timed", base_ms + 10 * i - early_ms)
                equal(seen, (0, base_ms + 10 * i, 1 + 500 * number + i), f"timed: {codec}, record {i}")
    last = len(CODECS) - 1
    equal(offset_at(peer, "timed", MAX_TIMESTAMP), (0, BASE_MS + 1000000 * last + 4990, 500 * last + 500),
          "timed: the largest timestamp")
    equal(offset_at(peer, "timed", BASE_MS + 10**9), (0, -1, -1), "timed: nothing is that late")


def about_size(peer):
    """100 MiB of a value in a batch of a few KiB."""
    huge = record(0, value=bytes(100 << 20))
    for codec in ("gzip", "zstd"):
        code = peer.produce(batch(codec, [huge]), "compacted")
        equal(code, NONE if TARGET == "apache" else MESSAGE_TOO_LARGE, f"compacted: {codec}, 100 MiB in a few KiB")


def main():
    admin = KafkaAdminClient(bootstrap_servers=ADDRESS, request_timeout_ms=120000, bootstrap_timeout_ms=120000)
    admin.create_topics([NewTopic("compacted", 1, 1, topic_configs={"cleanup.policy": "compact"}),
                         NewTopic("plain", 1, 1), NewTopic("timed", 1, 1)])
    peer = Peer(int(ADDRESS.split(":")[1]))
    for topic in ("compacted", "plain", "timed"):
        until = time.monotonic() + 80
        while peer.produce(batch("gzip", [record(0)], base_ms=1000), topic) != NONE and time.monotonic() < until:
            time.sleep(0.05)
    about_content(peer, "compacted")
    about_content(peer, "plain")
    about_size(peer)
    about_time(peer)
    admin.close()


main()
