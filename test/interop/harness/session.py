"""A session by hand, whose client moves between the servers of an ensemble as the test says, and keeps what it was told.

It checks on the way what every client may count on: the zxids of its replies never go back.
"""

import collections
import struct

from . import link
from .process import Failure, patient
from .zk import OPS, S as text, connect_frame, password_of, strings

EVENT_XID, PING_XID, SET_WATCHES_XID = -1, -2, -8
ANSWER_S = patient(30)
PERSISTENT, SEQUENTIAL, EPHEMERAL = 0, 2, 1
EVENTS = {1: "created", 2: "deleted", 3: "changed", 4: "children"}

Stat = collections.namedtuple("Stat", "czxid mzxid ctime mtime version cversion aversion owner length children pzxid")
STAT = struct.Struct(">qqqqiiiqiiq")


class Closed(Failure):
    """The server has closed the connection; whether the request was done is unknown."""


class Refused(Failure):
    """The answer is an error code."""

    def __init__(self, code, what):
        super().__init__(f"{what}: code {code}")
        self.code = code


def stat_at(body, at=0):
    return Stat(*STAT.unpack_from(body, at))


def bytes_at(body, at=0):
    """(bytes or None, the offset behind them)"""
    (size,) = struct.unpack_from(">i", body, at)
    return (None, at + 4) if size < 0 else (body[at + 4 : at + 4 + size], at + 4 + size)


class Session(link.Link):
    def __init__(self, port, timeout_ms, session=0):
        """session: the id of one that somebody else has opened, and that goes on here."""
        self.port = port
        self.timeout_ms = timeout_ms
        self.session, self._password = session, password_of(session) if session else bytes(16)
        self.zxid = 0
        self.socket = None
        self.xid = 0
        self.events = []

    # Connections.

    def open(self):
        """Connects, or reconnects; False when the server does not let it in now. Failure when the session is gone."""
        self.close()
        wanted = self.session
        try:
            link.Link.__init__(self, self.port)
        except OSError:
            return False
        finally:
            self.session = wanted
        return self._connect()

    def _connect(self):
        wanted, password = self.session, self._password
        self.password = password
        self.send(connect_frame(self.zxid, self.timeout_ms, wanted, password))
        reply = self._receive_or_none()
        if reply is None:
            return False
        granted, session = struct.unpack(">iq", reply[4:16])
        if granted <= 0:
            raise Failure(f"session 0x{wanted:x} has expired")
        if wanted and session != wanted:
            raise Failure(f"session 0x{wanted:x} became 0x{session:x}")
        self.session, self._password = session, reply[20:36]
        return True

    def _receive_or_none(self):
        try:
            return self.receive()
        except TimeoutError:
            return None

    def move(self, port):
        """Goes on through another server."""
        self.port = port
        return self.open()

    def close(self):
        """Leaves the connection, not the session."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def end(self):
        """closeSession."""
        self.ask_full(link.CLOSE)
        self.close()

    # Requests.

    def _next_frame(self, timeout_s):
        """(xid, zxid, code, body) of what comes next; an event is put aside, and is None."""
        self.socket.settimeout(timeout_s)
        try:
            reply = self.receive()
        except TimeoutError:
            raise Closed(f"127.0.0.1:{self.port}: nothing within {timeout_s} s") from None
        if reply is None:
            raise Closed(f"127.0.0.1:{self.port}: closed the connection")
        xid, zxid, code = struct.unpack_from(">iqi", reply)
        if xid != EVENT_XID:
            return xid, zxid, code, reply[16:]
        kind, _ = struct.unpack_from(">ii", reply, 16)
        path, _ = bytes_at(reply, 24)
        self.events.append((EVENTS.get(kind, kind), path.decode()))
        return None

    def next_event(self, timeout_s=ANSWER_S):
        """The next event, while no request waits for its answer: (kind, path)."""
        while not self.events:
            if self._next_frame(timeout_s) is not None:
                raise Failure(f"127.0.0.1:{self.port}: an answer that nobody asked for")
        return self.events.pop(0)

    def ask_full(self, opcode, body=b"", xid=None, timeout_s=ANSWER_S):
        """(code, body)"""
        self.request(opcode, body, xid)
        return self.answer(xid, timeout_s)

    def answer(self, xid=None, timeout_s=ANSWER_S):
        """The answer to the oldest request that has none."""
        while (frame := self._next_frame(timeout_s)) is None:
            pass
        seen, zxid, code, body = frame
        if xid is not None and seen != xid:
            raise Failure(f"a reply with xid {seen}, expected {xid}")
        if zxid > 0:
            if zxid < self.zxid:
                raise Failure(f"session 0x{self.session:x}: zxid 0x{zxid:x} after 0x{self.zxid:x}")
            self.zxid = zxid
        return code, body

    def _done(self, name, body):
        code, reply = self.ask_full(OPS[name], body)
        if code != 0:
            raise Refused(code, name)
        return reply

    def create(self, path, data=b"", flags=PERSISTENT):
        """The path it got, and its stat."""
        reply = self._done("create2", link.create(path, data, flags))
        made, at = bytes_at(reply)
        return made.decode(), stat_at(reply, at)

    def set(self, path, data, version=-1):
        return stat_at(self._done("setData", link.set_data(path, data, version)))

    def delete(self, path, version=-1):
        self._done("delete", link.versioned(path, version))

    def get(self, path, watch=False):
        reply = self._done("getData", text(path) + bytes([watch]))
        data, at = bytes_at(reply)
        return data, stat_at(reply, at)

    def exists(self, path, watch=False):
        """Its stat, or None."""
        code, reply = self.ask_full(OPS["exists"], text(path) + bytes([watch]))
        if code not in (0, -101):
            raise Refused(code, "exists")
        return stat_at(reply) if code == 0 else None

    def children(self, path, watch=False):
        reply = self._done("getChildren", text(path) + bytes([watch]))
        (count,), at, names = struct.unpack_from(">i", reply), 4, []
        for _ in range(count):
            name, at = bytes_at(reply, at)
            names.append(name.decode())
        return sorted(names)

    def sync(self, path="/"):
        self._done("sync", text(path))

    def ping(self):
        self.ask_full(OPS["ping"], xid=PING_XID)

    def set_watches(self, data=(), exist=(), child=()):
        """What clients send after they have reconnected."""
        body = struct.pack(">q", self.zxid) + strings(*data) + strings(*exist) + strings(*child)
        code, _ = self.ask_full(OPS["setWatches"], body, SET_WATCHES_XID)
        if code != 0:
            raise Refused(code, "setWatches")

    def set_many(self, path, data, count):
        """`count` writes in one go, answered in order; the version of the last."""
        body = link.set_data(path, data)
        for _ in range(count):
            self.request(OPS["setData"], body)
        version = None
        for _ in range(count):
            code, reply = self.answer()
            if code != 0:
                raise Refused(code, "setData")
            version = stat_at(reply).version
        return version
