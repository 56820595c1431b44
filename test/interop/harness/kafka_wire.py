"""Kafka's requests, byte by byte, for what a case asks a broker again and again: who leads, who is in sync, where a log ends.

Knows nothing of our own encoder: it judges it. All in versions from before the compact formats, which Kafka 3.9 still serves.
"""

import collections
import socket
import struct

from .process import patient

LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, CREATE_TOPICS, DELETE_TOPICS, DESCRIBE_CONFIGS, ELECT_LEADERS = \
    2, 3, 8, 9, 10, 19, 20, 32, 43
CLIENT = b"interop"
NOT_CONTROLLER, ELECTION_NOT_NEEDED = 41, 84

Partition = collections.namedtuple("Partition", "error leader epoch replicas isr offline")
# topics: {name: (error, {partition: Partition})}
Metadata = collections.namedtuple("Metadata", "brokers controller cluster topics")

I8, I16, I32, I64 = (struct.Struct(f">{code}").pack for code in "bhiq")


def text(value):
    if value is None:
        return I16(-1)
    data = value.encode()
    return I16(len(data)) + data


def array(parts):
    parts = list(parts)
    return I32(len(parts)) + b"".join(parts)


class Reader:
    """Takes the fields of an answer one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def _take(self, code, size):
        (value,) = struct.unpack_from(code, self.data, self.at)
        self.at += size
        return value

    def i8(self):
        return self._take(">b", 1)

    def i16(self):
        return self._take(">h", 2)

    def i32(self):
        return self._take(">i", 4)

    def i64(self):
        return self._take(">q", 8)

    def text(self):
        size = self.i16()
        if size < 0:
            return None
        value = self.data[self.at : self.at + size].decode()
        self.at += size
        return value

    def array(self, one):
        return [one() for _ in range(self.i32())]


class Silent(OSError):
    """No answer: nobody listens, the connection was closed, or nothing came in time."""


def ask(port, api, version, body, timeout_s=patient(20)):
    """One request on a connection of its own; a Reader of the answer behind its header."""
    payload = struct.pack(">hhih", api, version, 7, len(CLIENT)) + CLIENT + body
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s) as peer:
            peer.settimeout(timeout_s)
            peer.sendall(I32(len(payload)) + payload)
            answer = _receive(peer, struct.unpack(">i", _receive(peer, 4))[0])
    except OSError as error:
        raise Silent(f"127.0.0.1:{port}: api {api}: {error}") from None
    reader = Reader(answer)
    if reader.i32() != 7:
        raise Silent(f"127.0.0.1:{port}: api {api}: the answer to another request")
    return reader


def _receive(peer, size):
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def metadata(port, topics=None, timeout_s=patient(20)):
    """What the broker knows of these topics, or of all; it creates none. Version 7."""
    wanted = I32(-1) if topics is None else array(map(text, topics))
    reader = ask(port, METADATA, 7, wanted + I8(0), timeout_s)
    reader.i32()
    brokers = {}
    for _ in range(reader.i32()):
        number, host, where, _rack = reader.i32(), reader.text(), reader.i32(), reader.text()
        brokers[number] = (host, where)
    cluster, controller = reader.text(), reader.i32()
    found = {}
    for _ in range(reader.i32()):
        error, name, _internal = reader.i16(), reader.text(), reader.i8()
        partitions = {}
        for _ in range(reader.i32()):
            code, index, leader, epoch = reader.i16(), reader.i32(), reader.i32(), reader.i32()
            replicas, isr, offline = (tuple(reader.array(reader.i32)) for _ in range(3))
            partitions[index] = Partition(code, leader, epoch, replicas, isr, offline)
        found[name] = (error, partitions)
    return Metadata(brokers, controller, cluster, found)


def create_topic(port, name, partitions=-1, factor=-1, assignment=None, configs=None, timeout_ms=patient(20000)):
    """The error and its text. assignment: {partition: [brokers]}. Version 2."""
    if assignment is not None:
        partitions = factor = -1
    body = text(name) + I32(partitions) + I16(factor)
    body += array(I32(index) + array(map(I32, brokers)) for index, brokers in sorted((assignment or {}).items()))
    body += array(text(key) + text(str(value)) for key, value in (configs or {}).items())
    reader = ask(port, CREATE_TOPICS, 2, array([body]) + I32(timeout_ms) + I8(0), timeout_ms / 1000 + 10)
    reader.i32()
    (answer,) = reader.array(lambda: (reader.text(), reader.i16(), reader.text()))
    return answer[1:]


def delete_topic(port, name, timeout_ms=patient(20000)):
    """The error. Version 1."""
    reader = ask(port, DELETE_TOPICS, 1, array([text(name)]) + I32(timeout_ms), timeout_ms / 1000 + 10)
    reader.i32()
    (answer,) = reader.array(lambda: (reader.text(), reader.i16()))
    return answer[1]


def elect_preferred(port, topic, partitions, timeout_ms=patient(20000)):
    """{partition: error}. Version 0, which knows preferred leaders only."""
    reader = ask(port, ELECT_LEADERS, 0, array([text(topic) + array(map(I32, partitions))]) + I32(timeout_ms), timeout_ms / 1000 + 10)
    reader.i32()
    seen = {}
    for _ in range(reader.i32()):
        reader.text()
        for _ in range(reader.i32()):
            index, error, _message = reader.i32(), reader.i16(), reader.text()
            seen[index] = error
    return seen


def describe_broker(port, number):
    """{name: value} of a broker's settings, told by itself. Version 0."""
    reader = ask(port, DESCRIBE_CONFIGS, 0, array([I8(4) + text(str(number)) + I32(-1)]))
    reader.i32(), reader.i32(), reader.i16(), reader.text(), reader.i8(), reader.text()
    return {name: value for name, value, *_ in reader.array(lambda: (reader.text(), reader.text(), reader.i8(), reader.i8(), reader.i8()))}


def find_coordinator(port, group):
    """(error, broker id) of a group's coordinator. Version 1."""
    reader = ask(port, FIND_COORDINATOR, 1, text(group) + I8(0))
    reader.i32()
    error, _message, number = reader.i16(), reader.text(), reader.i32()
    return error, number


def commit(port, group, topic, offsets):
    """{partition: error} of a commit by nobody's member, which a group without members allows. Version 2."""
    partitions = array(I32(index) + I64(offset) + text("") for index, offset in offsets.items())
    reader = ask(port, OFFSET_COMMIT, 2, text(group) + I32(-1) + text("") + I64(-1) + array([text(topic) + partitions]))
    (answer,) = reader.array(lambda: (reader.text(), reader.array(lambda: (reader.i32(), reader.i16()))))
    return dict(answer[1])


def committed(port, group, topic, partitions):
    """(error, {partition: offset}) by the group's coordinator; -1 where nothing was committed. Version 3."""
    reader = ask(port, OFFSET_FETCH, 3, text(group) + array([text(topic) + array(map(I32, partitions))]))
    reader.i32()
    offsets = {}
    for _ in range(reader.i32()):
        reader.text()
        for _ in range(reader.i32()):
            index, offset, _metadata, _error = reader.i32(), reader.i64(), reader.text(), reader.i16()
            offsets[index] = offset
    return reader.i16(), offsets


def offset_at(port, topic, partition, timestamp=-1):
    """(error, offset): the high watermark by -1, the log's start by -2. Version 1."""
    body = I32(-1) + array([text(topic) + array([I32(partition) + I64(timestamp)])])
    reader = ask(port, LIST_OFFSETS, 1, body)
    (answer,) = reader.array(lambda: (reader.text(), reader.array(lambda: (reader.i32(), reader.i16(), reader.i64(), reader.i64()))))
    _index, error, _time, offset = answer[1][0]
    return error, offset
