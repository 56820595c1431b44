"""A partition's log as it lies on disk: the batches of all its segments, and the records in them."""

import collections
import struct
import zlib

HEADER = struct.Struct(">qiiBIhiqqqhii")
LENGTH_END = 12  # Behind the base offset and the length, which do not count themselves.
MAGIC = 2
CONTROL = 0x20
CODECS = {0: lambda data: data, 1: lambda data: zlib.decompress(data, 31)}

# epoch: the leader's; data: all bytes of the batch.
Batch = collections.namedtuple("Batch", "base last epoch attributes producer producer_epoch sequence count data")


class Damage(Exception):
    """The bytes are no log."""


def raw(directory):
    """The bytes of all segments, one after the other."""
    return b"".join(path.read_bytes() for path in sorted(directory.glob("*.log")))


def batches(data):
    found, at = [], 0
    while at < len(data):
        if at + HEADER.size > len(data):
            raise Damage(f"{len(data) - at} bytes are left behind offset {found[-1].last if found else 'none'}")
        base, length, epoch, magic, _crc, attributes, delta, _first, _last, producer, producer_epoch, sequence, count = \
            HEADER.unpack_from(data, at)
        if magic != MAGIC or at + LENGTH_END + length > len(data):
            raise Damage(f"no batch at byte {at}: offset {base}, magic {magic}, {length} bytes of {len(data) - at}")
        end = at + LENGTH_END + length
        found.append(Batch(base, base + delta, epoch, attributes, producer, producer_epoch, sequence, count, data[at:end]))
        at = end
    return found


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def records(batch):
    """[(offset, value)]; control batches have none."""
    if batch.attributes & CONTROL:
        return []
    data, at, found = CODECS[batch.attributes & 7](batch.data[HEADER.size :]), 0, []
    for _ in range(batch.count):
        size, at = _varint(data, at)
        end = at + size
        at += 1
        _time, at = _varint(data, at)
        delta, at = _varint(data, at)
        length, at = _varint(data, at)
        at += max(length, 0)
        length, at = _varint(data, at)
        found.append((batch.base + delta, data[at : at + length] if length >= 0 else None))
        at = end
    return found


def epochs(directory):
    """[(leader epoch, first offset)] of the checkpoint beside the segments."""
    lines = (directory / "leader-epoch-checkpoint").read_text().splitlines()
    return [tuple(map(int, line.split())) for line in lines[2:]]
