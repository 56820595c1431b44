"""Two servers that are told the same: every connection is a pair of connections, and what comes back must be equal.

The bytes of a request are the same for both, but for a session's id and password in a connect request. Replies are
collected when all that was sent has been answered (or the server has hung up), so nothing waits for a time to pass,
and a fence (a ping on every other connection) brings in the events that the servers owe them at that point.
"""

import collections
import socket
import struct
import time

from harness import zk
from harness.process import patient
from harness.zk import I

import answers

PATIENCE_S = patient(15)
XID_EVENT, XID_PING = -1, -2
CONNECT = "connect"


class Difference(Exception):
    """The servers have said different things."""

    def __init__(self, what, ours, theirs):
        super().__init__(what)
        self.what, self.ours, self.theirs = what, ours, theirs

    def __str__(self):
        return f"{self.what}\n    ours   {self.ours}\n    Apache {self.theirs}"


def first_difference(what, ours, theirs):
    for at, pair in enumerate(zip(ours, theirs)):
        if pair[0] != pair[1]:
            break
    else:
        at = min(len(ours), len(theirs))
    before = ours[max(0, at - 2) : at]
    raise Difference(
        f"{what}, frame {at}" + (f", behind {before}" if before else ""),
        ours[at] if at < len(ours) else "nothing",
        theirs[at] if at < len(theirs) else "nothing",
    )


class Socket:
    """A connection to one server."""

    def __init__(self, address, view):
        self.socket = socket.create_connection(address, timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.view = view
        self.pending = collections.deque()
        self.input = bytearray()
        self.closed = False
        self.session, self.password = 0, zk.PASSWORD

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # What it had said before is still to be read.

    def frame(self):
        """The next frame; None when there is none any more."""
        while True:
            if len(self.input) >= 4:
                size = int.from_bytes(self.input[:4], "big")
                if len(self.input) >= 4 + size:
                    frame = bytes(self.input[4 : 4 + size])
                    del self.input[: 4 + size]
                    return frame
            try:
                data = self.socket.recv(1 << 16)
            except socket.timeout:
                return b""
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return None
            self.input += data

    def said(self, frame):
        """The frame as a value that can be compared."""
        if len(frame) < 16:
            return ("short", frame.hex())
        head = self.pending[0] if self.pending else None
        xid = struct.unpack_from(">i", frame)[0]
        if head is not None and head[1] == CONNECT:
            self.pending.popleft()
            said, (self.session, self.password) = answers.connect(frame, self.view)
            return said
        if xid == XID_EVENT and len(frame) >= 28 and (head is None or head[0] != XID_EVENT):
            return answers.event(frame, self.view)
        if head is None:
            return ("unasked", frame.hex())
        self.pending.popleft()
        return answers.reply(head[1], frame, self.view)

    def collect(self, until_closed=False):
        """All that is said until everything is answered, or the connection is closed."""
        heard = []
        while (self.pending or until_closed) and not self.closed:
            frame = self.frame()
            if frame is None:
                heard.append(("closed",))
            elif frame == b"":
                heard.append(("silence",))
                self.pending.clear()
                break
            else:
                heard.append(self.said(frame))
        self.pending.clear()
        return heard

    def close(self):
        self.closed = True
        self.socket.close()


class Connection:
    """A pair of connections, one to each server, and one session on them."""

    def __init__(self, twin):
        self.twin = twin
        self.sides = [Socket(address, view) for address, view in zip(twin.addresses, twin.views)]
        self.output = bytearray()
        self.xid = 0
        self.closed = False

    # Telling.

    def raw(self, data, replies=()):
        """Bytes as they are; `replies`: (xid, op) of each answer that they should get."""
        self.output += data
        for side in self.sides:
            side.pending.extend(replies)
        return self

    def add(self, op, body=b"", xid=None):
        """A request; it goes out with the next `ask`."""
        op = zk.OPS.get(op, op)
        if xid is None:
            self.xid += 1
            xid = self.xid
        payload = I(xid) + I(op) + body
        return self.raw(zk.frame(payload), [(xid, op)])

    def flush(self):
        data, self.output = bytes(self.output), bytearray()
        if data:
            for side in self.sides:
                side.send(data)

    # Listening.

    def gather(self, what, until_closed=False):
        """Sends what was added, collects what both say, and returns it when it is the same."""
        self.flush()
        closing = any(op == zk.OPS["closeSession"] for _, op in self.sides[1].pending)
        ours, theirs = [side.collect(until_closed) for side in self.sides]
        self.closed = any(side.closed for side in self.sides)
        if closing:
            self.twin.unordered.update(entry[2] for entry in theirs if entry[0] == "reply")
        return self.twin.same(what, ours, theirs)

    def ask(self, op, body=b"", xid=None, what=None):
        """One request, and all that is said up to its answer."""
        self.add(op, body, xid)
        return self.gather(what or f"{zk.NAMES.get(op, op)} {body[:120]!r}")

    def hear_event(self, what):
        """Waits for the next frame, which nothing has asked for."""
        heard = []
        for side in self.sides:
            frame = side.frame()
            heard.append([("silence",) if frame == b"" else ("closed",) if frame is None else side.said(frame)])
        return self.twin.same(what, *heard)

    def connect(self, until_closed=False, what="connect", sessions=None, **options):
        """The handshake. `sessions`: the (id, password) to resume, one for each server."""
        zxid = options.pop("zxid", 0)
        for index, side in enumerate(self.sides):
            session, password = (0, zk.PASSWORD) if sessions is None else sessions[index]
            own = {"session": session, "password": password, **options}
            own["zxid"] = zxid + side.view.base if zxid > 0 else zxid
            side.send(zk.frame(zk.connect_frame(**own)))
            side.pending.append((0, CONNECT))
        # A session that is new gets the next number on both sides before the answers are compared.
        heard = []
        for side in self.sides:
            heard.append(self._hear_connect(side, until_closed))
        self.closed = any(side.closed for side in self.sides)
        return self.twin.same(what, *heard)

    def _hear_connect(self, side, until_closed):
        frame = side.frame()
        if not frame:
            side.pending.clear()
            return [("closed",) if frame is None else ("silence",)]
        if len(frame) >= 20:
            session = struct.unpack_from(">q", frame, 8)[0]
            if session != 0:
                side.view.sessions.setdefault(session, f"session {len(side.view.sessions) + 1}")
        heard = [side.said(frame)]
        return heard + side.collect(True) if until_closed or side.session == 0 else heard

    @property
    def sessions(self):
        return [(side.session, side.password) for side in self.sides]

    def end(self):
        """Closes the session, as a client does, and sees the server hang up."""
        if self.closed:
            self.drop()
            return []
        self.add("closeSession")
        heard = self.gather("closeSession", until_closed=True)
        self.drop()
        return heard

    def drop(self):
        """The connection breaks; the session lives on."""
        self.closed = True
        for side in self.sides:
            side.close()
        if self in self.twin.connections:
            self.twin.connections.remove(self)


class Twin:
    """The two servers. `connections` are those that a fence asks."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.views = [answers.View(keeps_text=True), answers.View(keeps_text=False)]
        self.connections = []
        self.unordered = set()  # Zxids of closed sessions: their znodes go in the order of a hash table.

    def same(self, what, ours, theirs):
        """Compares what was heard, frame by frame, and returns it."""
        return self.equal(what, self._in_order(ours), self._in_order(theirs))

    def equal(self, what, ours, theirs):
        """Compares two lists."""
        if ours != theirs:
            first_difference(what, ours, theirs)
        return theirs

    def _in_order(self, heard):
        if not self.unordered or not any(e[0] == "event" and e[1] in self.unordered for e in heard):
            return heard
        places = [at for at, e in enumerate(heard) if e[0] == "event" and e[1] in self.unordered]
        heard = list(heard)
        for at, entry in zip(places, sorted((heard[at] for at in places), key=repr)):
            heard[at] = entry
        return heard

    def session(self, timeout=zk.TIMEOUT_MS, **options):
        """A connection with a new session."""
        connection = Connection(self)
        connection.connect(timeout=timeout, **options)
        self.connections.append(connection)
        return connection

    def resume(self, sessions, timeout=zk.TIMEOUT_MS, **options):
        connection = Connection(self)
        heard = connection.connect(sessions=sessions, timeout=timeout, **options)
        if not connection.closed:
            self.connections.append(connection)
        return connection, heard

    def fence(self, apart=None, what="fence"):
        """What the other connections have been told meanwhile."""
        others = [c for c in self.connections if c is not apart and not c.closed]
        for connection in others:
            connection.add("ping", xid=XID_PING)
            connection.flush()
        return [connection.gather(f"{what}, connection {self.connections.index(connection)}") for connection in others]

    def pause(self):
        """Between two questions of a poll; nothing relies on its length."""
        time.sleep(0.1)

    def word(self, word, more=b""):
        """A four-letter word's answers: [ours, theirs] as text; not compared here."""
        said = []
        for address in self.addresses:
            with socket.create_connection(address, timeout=PATIENCE_S) as link:
                link.sendall(word + more)
                data = b""
                try:
                    while part := link.recv(1 << 16):
                        data += part
                except socket.timeout:
                    data += b"<silence>"
                except OSError:
                    data += b"<reset>"
            said.append(data.decode(errors="replace"))
        return said

    def end(self):
        for connection in list(self.connections):
            connection.drop()
