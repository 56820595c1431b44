"""What the servers say, taken apart independently of our own decoder and freed of what may differ: times, session ids.

A `Server`'s view keeps what makes those comparable: a time is judged against the other times of the same server
(one zxid has one time), a session id becomes the number of the session in the order of its creation.
"""

import itertools
import re
import struct

from harness.zk import password_of

I = struct.Struct(">i")
STAT = struct.Struct(">qqqqiiiqiiq")
MULTI_READ = 22
HEADER = struct.Struct(">iqi")
MULTI_HEADER = struct.Struct(">ibi")


class Malformed(Exception):
    pass


# A surrogate in three bytes: one malformed character to Java, three to Python.
SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def java_text(raw):
    """What Apache's server makes of a string by reading and writing it: characters that are malformed are replaced, and
    those beyond 16 bits become two surrogates. Ours gives strings back as they came (docs/compatibility.md)."""
    if raw is None or raw.isascii():
        return raw
    text = SURROGATE.sub("\ufffd".encode(), raw).decode("utf-8", "replace")
    units = text.encode("utf-16-be")
    return "".join(chr(int.from_bytes(units[at : at + 2], "big")) for at in range(0, len(units), 2)).encode(
        "utf-8", "surrogatepass"
    )


class View:
    """One server's numbers."""

    def __init__(self, keeps_text):
        self.keeps_text = keeps_text  # Ours does, see java_text.
        self.base = 0  # Subtracted from zxids: 0 unless an earlier case has driven the servers apart.
        self.sessions = {}  # id: number
        self.times = {}  # zxid: the time of that transaction
        self.zxid = 0  # The last one that a reply told.

    def of_zxid(self, zxid):
        return zxid - self.base if zxid > 0 else zxid

    def of_session(self, session):
        return 0 if session == 0 else self.sessions.get(session, f"unknown {session:#x}")

    def of_time(self, zxid, time):
        """Whether the time is that of the transaction; what has no transaction has time 0 or the start's."""
        if zxid <= 0:
            return time == 0
        return self.times.setdefault(zxid, time) == time


class Reader:
    def __init__(self, body, view):
        self.body = body
        self.at = 0
        self.view = view

    def int(self):
        try:
            value = I.unpack_from(self.body, self.at)[0]
        except struct.error:
            raise Malformed from None
        self.at += 4
        return value

    def bytes(self):
        size = self.int()
        if size < 0:
            return None if size == -1 else f"length {size}"
        end = self.at + size
        if end > len(self.body):
            raise Malformed
        value = self.body[self.at : end]
        self.at = end
        return value

    def text(self):
        text = self.bytes()
        return java_text(text) if self.view.keeps_text and isinstance(text, bytes) else text

    def strings(self):
        count = self.int()
        return None if count == -1 else [self.text() for _ in range(count)]

    def set(self):
        """The order of these is the order of a hash table."""
        names = self.strings()
        return None if names is None else sorted(names)

    def stat(self):
        try:
            f = STAT.unpack_from(self.body, self.at)
        except struct.error:
            raise Malformed from None
        self.at += 68
        view = self.view
        czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, size, kids, pzxid = f
        timely = (view.of_time(czxid, ctime), view.of_time(mzxid, mtime))
        return (
            "stat",
            view.of_zxid(czxid),
            view.of_zxid(mzxid),
            view.of_zxid(pzxid),
            version,
            cversion,
            aversion,
            view.of_session(owner),
            size,
            kids,
        ) + (() if timely == (True, True) else ("times", timely))

    def acl(self):
        """The digest ids for which an `auth` entry stands come in the order of a hash table: neighbours are sorted."""
        count = self.int()
        if count == -1:
            return None
        entries = [(self.int(), self.text(), self.text()) for _ in range(count)]
        groups = itertools.groupby(
            entries,
            lambda entry: (
                entry[0],
                entry[1] in (b"digest", b"super"),
                entry[1] if entry[1] not in (b"digest", b"super") else b"",
            ),
        )
        return [entry for (_, sorts, _), group in groups for entry in (sorted(group, key=repr) if sorts else group)]

    def clients(self):
        count = self.int()
        return None if count == -1 else sorted((self.text() or b"null", self.text() or b"null") for _ in range(count))

    def results(self):
        found = []
        while True:
            try:
                kind, done, err = MULTI_HEADER.unpack_from(self.body, self.at)
            except struct.error:
                raise Malformed from None
            self.at += 9
            if done:
                return found + [("end", kind, done, err)]
            shape = RESULTS.get(kind)
            if shape is None:
                raise Malformed
            found.append((kind, err, *(getattr(self, part)() for part in shape)))


RESULTS = {
    1: ("text",),
    15: ("text", "stat"),
    2: (),
    13: (),
    5: ("stat",),
    8: ("set",),
    4: ("bytes", "stat"),
    -1: ("int",),
}
SHAPES = {
    1: ("text",),
    15: ("text", "stat"),
    19: ("text", "stat"),
    21: ("text", "stat"),
    3: ("stat",),
    4: ("bytes", "stat"),
    16: ("bytes", "stat"),
    5: ("stat",),
    7: ("stat",),
    6: ("acl", "stat"),
    8: ("set",),
    9: ("text",),
    12: ("set", "stat"),
    14: ("results",),
    22: ("results",),
    102: ("bytes",),
    103: ("set",),
    104: ("int",),
    106: ("int",),
    107: ("clients",),
}


def body(op, data, view):
    reader = Reader(data, view)
    try:
        found = tuple(getattr(reader, part)() for part in SHAPES.get(op, ()))
    except Malformed:
        return ("malformed", data.hex())
    rest = data[reader.at :]
    return found + (("trailing", rest.hex()),) if rest else found


def reply(op, frame, view):
    """(xid, zxid, err, body...) of the reply to an operation."""
    xid, zxid, err = HEADER.unpack_from(frame)
    if zxid > 0:
        view.zxid = zxid
    data = frame[16:]
    if err and not (data and op == MULTI_READ):  # Which tells what it has read before it failed.
        return ("reply", xid, view.of_zxid(zxid), err, data.hex())
    return ("reply", xid, view.of_zxid(zxid), err, *body(op, data, view))


def event(frame, view):
    xid, zxid, err = HEADER.unpack_from(frame)
    kind, state = struct.unpack_from(">ii", frame, 16)
    reader = Reader(frame, view)
    reader.at = 24
    path = reader.text()
    return ("event", view.of_zxid(zxid), err, kind, state, path, frame[reader.at :].hex())


def connect(frame, view):
    """What a connect response says, and (session, password)."""
    if len(frame) < 20:
        return ("connect malformed", frame.hex()), (0, b"")
    version, timeout, session, size = struct.unpack_from(">iiqi", frame)
    password = frame[20 : 20 + max(size, 0)]
    expected = bytes(16) if session == 0 else password_of(session)
    said = (
        "connected",
        version,
        timeout,
        view.of_session(session),
        size,
        "right password" if password == expected else "wrong password",
        frame[20 + max(size, 0) :].hex(),
    )
    return said, (session, password)
