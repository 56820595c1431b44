"""The records that every broker peer writes and reads: number in, record out; and what has been seen of them."""

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
COUNT = 10_000

NULL = "\\N"


def expected(number, codec):
    """The line that a member prints of record `number`: key, value and headers, tab separated.

    Every thousandth value is null. The headers are `number`, `codec` and `bytes` (00 ff), in this order, in hex.
    """
    value = NULL if number % 1000 == 999 else f"value-{number}-" + "x" * (number % 97)
    headers = f"number={str(number).encode().hex()};codec={codec.encode().hex()};bytes=00ff"
    return f"key-{number}\t{value}\t{headers}"


class Seen:
    """What members of one group have read of one topic."""

    def __init__(self):
        self.written = {}  # number: codec
        self.lines = {}  # (partition, offset): the record's line
        self.repeats = 0
        self.wrong = []

    def write(self, codecs, first, count):
        """Notes that `count` records a codec were written, numbered from `first` on."""
        for codec in codecs:
            for number in range(first, first + count):
                self.written[number] = codec
            first += count
        return first

    def read(self, line):
        """Takes one `rec` line of a member; returns its (partition, offset)."""
        _, partition, offset, rest = line.split("\t", 3)
        place = int(partition), int(offset)
        if place in self.lines:
            self.repeats += 1
            if self.lines[place] != rest:
                self.wrong.append(f"{place} changed: {self.lines[place]!r} then {rest!r}")
        self.lines[place] = rest
        return place

    def verify(self, t, name):
        """Every written record was read as it was written, and no partition has a hole."""
        wanted = {expected(number, codec) for number, codec in self.written.items()}
        got = list(self.lines.values())
        missing = wanted - set(got)
        strange = [line for line in got if line not in wanted]
        t.check(not missing, f"{name}: every record is there", f"{len(missing)} missing, e.g. {sorted(missing)[:1]}")
        t.check(not strange, f"{name}: every record is as it was written", f"{len(strange)} strange, e.g. {strange[:1]}")
        t.check(len(got) == len(wanted), f"{name}: no record was written twice", f"{len(got)} of {len(wanted)}")
        t.check(not self.wrong, f"{name}: a record read twice is the same", self.wrong[:1])
        offsets = {}
        for partition, offset in self.lines:
            offsets.setdefault(partition, set()).add(offset)
        for partition, seen in sorted(offsets.items()):
            t.check(seen == set(range(len(seen))), f"{name}: partition {partition} has no hole",
                    f"{len(seen)} offsets up to {max(seen)}")
