"""Bad input at the broker's port: cases K01 to K24. Every answer is Apache Kafka's own, or stands as a difference in
docs/compatibility.md; after each, the broker serves others."""

import socket
import struct
import time

from harness.framed import Framed
from harness.process import patient

NONE, UNKNOWN_TOPIC, CORRUPT, INVALID_TOPIC, INVALID_ACKS = 0, 3, 2, 17, 21
UNSUPPORTED_VERSION, INVALID_REQUEST, INVALID_RECORD, UNSUPPORTED_COMPRESSION = 35, 42, 87, 76
INVALID_TIMESTAMP, MESSAGE_TOO_LARGE = 32, 10
CLOSED = "closed"
PRODUCE, FETCH, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 3, 18, 19
TOPIC = "bad"
NOW_MS = int(time.time() * 1000)  # What is a week old goes half a minute after a broker's start, when retention has its first look.


def text(value):
    if value is None:
        return struct.pack(">h", -1)
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">h", len(value)) + value


def crc32c(data):
    """Bit by bit: slow, and independent of everybody's."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def record(offset_delta=0, key=None, value=b"v", headers=b"\0", size=None):
    body = b"\0" + varint(0) + varint(offset_delta)
    body += varint(-1) if key is None else varint(len(key)) + key
    body += varint(len(value)) + value + headers
    return varint(len(body) if size is None else size) + body


def batch(records=None, count=None, magic=2, attributes=0, last_delta=None, length=None, base_offset=0, producer=-1,
          epoch=-1, sequence=-1, crc=None, first_time=NOW_MS, max_time=NOW_MS, tail=b""):
    records = [record()] if records is None else records
    count = len(records) if count is None else count
    last_delta = count - 1 if last_delta is None else last_delta
    body = struct.pack(">hiqqqhii", attributes, last_delta, first_time, max_time, producer, epoch, sequence, count)
    body += b"".join(records) + tail
    crc = crc32c(body) if crc is None else crc
    rest = struct.pack(">ibI", 0, magic, crc) + body
    return struct.pack(">qi", base_offset, len(rest) if length is None else length) + rest


class Peer(Framed):
    def __init__(self, port, timeout_s=patient(60)):
        super().__init__(port, timeout_s)
        self.correlation = 0

    def receive(self):
        """What follows the correlation id."""
        payload = super().receive()
        return None if payload is None else payload[4:]

    def ask(self, api, version, body, client=text("bad-input")):
        self.correlation += 1
        request = struct.pack(">hhi", api, version, self.correlation) + client + body
        self.send(struct.pack(">i", len(request)) + request)
        return self.receive()

    def produce_raw(self, records, topic=TOPIC, acks=-1, partition=0, version=7):
        body = text(None) + struct.pack(">hii", acks, 60000, 1) + text(topic) + struct.pack(">ii", 1, partition)
        body += struct.pack(">i", -1) if records is None else struct.pack(">i", len(records)) + records
        return self.ask(PRODUCE, version, body)

    def produce(self, records, topic=TOPIC, **options):
        """The partition's error code, or CLOSED."""
        reply = self.produce_raw(records, topic, **options)
        if reply is None:
            return CLOSED
        size = struct.unpack(">h", reply[4:6])[0]
        return struct.unpack(">h", reply[6 + size + 8:6 + size + 10])[0]


def metadata(*topics):
    return struct.pack(">i", len(topics)) + b"".join(text(topic) for topic in topics)


def case(t):
    keeper = t.keeper()
    broker = t.broker(keeper)
    port = broker.port

    def serves(name):
        peer = Peer(port)
        t.check(peer.ask(METADATA, 1, metadata()) is not None, f"{name}: others are served")
        peer.close()

    def raw(name, data, shut=False):
        peer = Peer(port)
        peer.send(data)
        if shut:
            peer.socket.shutdown(socket.SHUT_WR)
        t.check(peer.is_closed(), f"{name}: closed")
        peer.close()
        serves(name)

    def sized(payload):
        return struct.pack(">i", len(payload)) + payload

    peer = Peer(port)

    def has_leader():
        return peer.produce(batch()) == NONE

    peer.ask(METADATA, 1, metadata(TOPIC))
    t.wait_until(has_leader, "the topic gets a leader")

    # Lengths and headers.
    raw("K01 size -1", struct.pack(">i", -1))
    raw("K02 size 0", struct.pack(">i", 0), shut=True)
    raw("K03 size over the limit", struct.pack(">i", 104857601))
    raw("K04 TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 32)
    raw("K04 HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    raw("K06 a header of 6 bytes", sized(b"\0\3\0\1\0\0"))
    for api in (-1, 999, 32767):
        raw(f"K07 api key {api}", sized(struct.pack(">hhi", api, 0, 1) + text("x")))
    for version in (-1, 13, 32767):
        raw(f"K08 Metadata version {version}", sized(struct.pack(">hhi", METADATA, version, 1) + text("x") + b"\0" * 8))
    reply = Peer(port).ask(API_VERSIONS, 99, b"\0" + b"\1\1\0")
    t.equal(reply and struct.unpack(">h", reply[:2])[0], UNSUPPORTED_VERSION, "K08 ApiVersions version 99")
    t.check(reply and struct.unpack(">i", reply[2:6])[0] >= 1, "K08 the answer lists ApiVersions itself")
    raw("K10 client id of length -2", sized(struct.pack(">hhih", METADATA, 1, 1, -2)))
    raw("K10 client id longer than the frame", sized(struct.pack(">hhih", METADATA, 1, 1, 32767)))
    t.check(Peer(port).ask(METADATA, 1, metadata(), client=text(None)) is not None, "K10 null client id")
    t.check(Peer(port).ask(METADATA, 1, metadata(), client=text("a\nFATAL b\x1b[0m")) is not None,
            "K10 a client id with line ends and escapes")

    # Counts.
    for count in (0x7FFFFFFF, 1 << 24):
        raw(f"K15 Metadata for {count} topics", sized(struct.pack(">hhi", METADATA, 1, 1) + text("x")
                                                      + struct.pack(">i", count) + b"\0" * 10))
    t.check(Peer(port).ask(METADATA, 1, struct.pack(">i", -2)) is not None, "K15 a negative count is a null array")
    flexible = struct.pack(">hhi", METADATA, 9, 1) + text("x") + b"\0"
    raw("K17 a varint of 6 bytes", sized(flexible + b"\xff\xff\xff\xff\xff\x7f"))
    raw("K18 a compact string beyond the end", sized(flexible + b"\x02" + b"\xc8\x01" + b"short"))
    raw("K19 a tag beyond the end", sized(flexible + b"\x01" + b"\1\0\0" + b"\x01\x05\x7f"))

    # Produce.
    peer = Peer(port)
    for acks in (2, -2):
        t.equal(peer.produce(batch(), acks=acks), INVALID_ACKS, f"K21 acks {acks}")
    for topic in ("", ".", "..", "no/slash", "x" * 250, "nul\0"):
        t.equal(peer.produce(batch(), topic=topic), UNKNOWN_TOPIC, f"K21 topic {topic[:12]!r}")
    t.equal(peer.produce(batch(), partition=77), UNKNOWN_TOPIC, "K21 a partition that is not there")
    t.equal(peer.produce(batch(), partition=-1), UNKNOWN_TOPIC, "K21 partition -1")
    if t.target != "apache":  # Whose broker never answers this one.
        code = peer.produce(None)
        t.check(code in (CORRUPT, INVALID_RECORD, CLOSED), "K21 null records", code)
    serves("K21")

    peer = Peer(port)
    wrong = [
        ("wrong CRC", batch(crc=1), CORRUPT),
        ("magic -1", batch(magic=-1), CORRUPT),
        ("magic 3", batch(magic=3), CORRUPT),
        ("batch length 10", batch(length=10), CORRUPT),
        ("batch length negative", batch(length=-1), CORRUPT),
        ("batch length beyond the end", batch(length=1 << 20), INVALID_RECORD),
        ("count 0", batch(records=[], count=0, last_delta=0), INVALID_RECORD),
        ("count -1", batch(count=-1), INVALID_RECORD),
        ("count INT_MAX", batch(count=0x7FFFFFFF), INVALID_RECORD),
        ("last delta too high", batch(last_delta=5), INVALID_RECORD),
        ("last delta negative", batch(last_delta=-1), INVALID_RECORD),
        ("a control batch", batch(attributes=0x20), INVALID_RECORD),
        ("a producer id without sequence", batch(producer=5, epoch=0, sequence=-1), INVALID_RECORD),
        ("two batches", batch() + batch(), INVALID_RECORD),
        ("compression 5", batch(attributes=5), None),
        ("record length too long", batch(records=[record(size=99)]), INVALID_RECORD),
        ("record length negative", batch(records=[record(size=-5)]), INVALID_RECORD),
        ("header count -1", batch(records=[record(headers=varint(-1))]), INVALID_RECORD),
        ("header count beyond the end", batch(records=[record(headers=varint(1 << 20))]), INVALID_RECORD),
        ("null header key", batch(records=[record(headers=varint(1) + varint(-1) + varint(-1))]), INVALID_RECORD),
        ("offset deltas out of order", batch(records=[record(1), record(0)]), NONE),
        ("bytes behind the records", batch(tail=b"tail"), INVALID_RECORD),
    ]
    for name, data, expected in wrong:
        end = peer.produce(batch())
        t.equal(end, NONE, f"K23 before: {name}")
        code = peer.produce(data)
        if expected is None:
            t.check(code not in (NONE,), f"K23/K24 {name} is refused", code)
        else:
            t.equal(code, expected, f"K23/K24 {name}")
        if code == CLOSED:
            peer = Peer(port)
    serves("K23")
    t.equal(peer.produce(batch(base_offset=12345)), INVALID_RECORD, "K23 a base offset other than 0 from a client")

    # acks=0 has no reply; an error closes the connection.
    peer = Peer(port)
    body = text(None) + struct.pack(">hii", 0, 5000, 1) + text(TOPIC) + struct.pack(">ii", 1, 0)
    bad = batch(crc=1)
    request = struct.pack(">hhi", PRODUCE, 7, 1) + text("x") + body + struct.pack(">i", len(bad)) + bad
    peer.send(sized(request))
    t.check(peer.is_closed(), "K21 acks=0 with an error: closed")

    # Every split of a valid request works.
    peer = Peer(port)
    for byte in sized(struct.pack(">hhi", METADATA, 1, 9) + text("x") + metadata(TOPIC)):
        peer.send(bytes([byte]))
    t.check(peer.receive() is not None, "K54 a request byte by byte")

    # A client that pipelines and never reads.
    peer = Peer(port)
    peer.socket.settimeout(2)
    request = sized(struct.pack(">hhi", METADATA, 1, 1) + text("x") + struct.pack(">i", -1)) * 100
    sent = 0
    try:
        while sent < 1000 * len(request):
            sent += peer.socket.send(request)
    except OSError:
        pass
    t.check(broker.resident_mib() < 1500, "K12 memory stays bounded with a client that never reads", broker.resident_mib())
    serves("K12")
    peer.close()
    broker.check_alive()
