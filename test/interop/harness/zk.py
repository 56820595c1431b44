"""ZooKeeper's requests, byte by byte. Knows nothing of our own encoder: it judges it."""

import struct

PASSWORD = bytes(16)
TIMEOUT_MS = 60000
# Of a client that is to live, whether it pings or not: longer than a machine stands still.
SESSION_MS = 300_000

OPS = {"create": 1, "delete": 2, "exists": 3, "getData": 4, "setData": 5, "getACL": 6, "setACL": 7, "getChildren": 8,
       "sync": 9, "ping": 11, "getChildren2": 12, "check": 13, "multi": 14, "create2": 15, "reconfig": 16,
       "checkWatches": 17, "removeWatches": 18, "createContainer": 19, "deleteContainer": 20, "createTTL": 21,
       "multiRead": 22, "auth": 100, "setWatches": 101, "sasl": 102, "getEphemerals": 103,
       "getAllChildrenNumber": 104, "setWatches2": 105, "addWatch": 106, "whoAmI": 107, "closeSession": -11}
NAMES = {number: name for name, number in OPS.items()}

I = struct.Struct(">i").pack
L = struct.Struct(">q").pack


def B(data):
    return I(-1) if data is None else I(len(data)) + data


def S(text):
    return B(text.encode() if isinstance(text, str) else text)


def Z(flag):
    return bytes([flag])


def strings(*texts):
    return I(len(texts)) + b"".join(S(text) for text in texts)


def acl(*entries):
    """(perms, scheme, id)..."""
    return I(len(entries)) + b"".join(I(p) + S(s) + S(i) for p, s, i in entries)


OPEN = acl((31, "world", "anyone"))


def frame(payload):
    return I(len(payload)) + payload


def connect_frame(zxid=0, timeout=TIMEOUT_MS, session=0, password=PASSWORD, version=0, read_only=b"\0"):
    return I(version) + L(zxid) + I(timeout) + L(session) + B(password) + read_only


def multi(*parts):
    """(op, body)... of a multi or a multiRead."""
    return b"".join(I(op) + Z(0) + I(-1) + body for op, body in parts) + I(-1) + Z(1) + I(-1)


def create_body(path, flags=0, data=b"", entries=OPEN):
    return S(path) + B(data) + entries + I(flags)


class JavaRandom:
    """The generator from which Apache draws passwords: they follow from the session's id."""

    def __init__(self, seed):
        self.seed = (seed ^ 0x5DEECE66D) & ((1 << 48) - 1)

    def next_int(self):
        self.seed = (self.seed * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        return self.seed >> 16

    def bytes(self, count):
        out = b""
        while len(out) < count:
            out += (self.next_int() & 0xFFFFFFFF).to_bytes(4, "little")
        return out[:count]


def password_of(session):
    return JavaRandom(session ^ 0xB3415C00).bytes(16)
