"""A client of a keeper by hand: frames out, and what comes back in words that hold for any server."""

import socket
import struct

AUTH, SASL, PING, CLOSE = 100, 102, 11, -11
CREATE, DELETE, EXISTS, GET, SET, GET_ACL, SET_ACL = 1, 2, 3, 4, 5, 6, 7
MULTI, CREATE2, RECONFIG, CREATE_CONTAINER, CREATE_TTL, WHO_AM_I = 14, 15, 16, 19, 21, 107


def text(value):
    if value is None:
        return struct.pack(">i", -1)
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(value)) + value


def acl(*entries):
    """(perms, scheme, id)..."""
    return struct.pack(">i", len(entries)) + b"".join(
        struct.pack(">i", perms) + text(scheme) + text(name) for perms, scheme, name in entries)


OPEN = acl((31, "world", "anyone"))


def create(path, data=b"", flags=0, access=OPEN):
    return text(path) + text(data) + access + struct.pack(">i", flags)


def create_ttl(path, ttl, flags=5):
    return create(path, b"", flags) + struct.pack(">q", ttl)


def versioned(path, version=-1):
    return text(path) + struct.pack(">i", version)


def set_data(path, data, version=-1):
    return text(path) + text(data) + struct.pack(">i", version)


def set_acl(path, access, version=-1):
    return text(path) + access + struct.pack(">i", version)


def multi(*operations):
    """(opcode, body)..."""
    return b"".join(struct.pack(">i?i", op, False, -1) + body for op, body in operations) + \
        struct.pack(">i?i", -1, True, -1)


class Link:
    """One connection. Whatever it is asked for is None once the server has closed it."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session, self.password = 0, b"\0" * 16
        self.xid = 0

    def send(self, frame):
        try:
            self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        except OSError:
            pass

    def _read(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionError:
                return None
            if not part:
                return None
            data += part
        return data

    def receive(self):
        head = self._read(4)
        return None if head is None else self._read(struct.unpack(">i", head)[0])

    def connect(self, timeout_ms=30000):
        """The timeout that was granted."""
        self.send(struct.pack(">iqiq", 0, 0, timeout_ms, self.session) + text(self.password) + b"\0")
        reply = self.receive()
        if reply is None:
            return None
        granted, self.session = struct.unpack(">iq", reply[4:16])
        self.password = reply[20:36]
        return granted

    def request(self, opcode, body=b"", xid=None):
        self.xid += 1
        self.send(struct.pack(">ii", self.xid if xid is None else xid, opcode) + body)

    def reply(self):
        """(code, body)"""
        reply = self.receive()
        return None if reply is None else (struct.unpack(">i", reply[12:16])[0], reply[16:])

    def ask(self, opcode, body=b"", xid=None):
        """The code of the answer."""
        self.request(opcode, body, xid)
        reply = self.reply()
        return None if reply is None else reply[0]

    def authenticate(self, scheme, secret):
        return self.ask(AUTH, struct.pack(">i", 0) + text(scheme) + text(secret), -4)

    def is_closed(self):
        """Waits for the server's end of it."""
        return self.receive() is None

    def close(self):
        self.socket.close()


def opened(port, timeout_ms=30000):
    link = Link(port)
    link.connect(timeout_ms)
    return link


def word(port, name):
    """A four-letter word's answer."""
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        peer.sendall(name.encode())
        answer = b""
        while part := peer.recv(65536):
            answer += part
        return answer.decode()
