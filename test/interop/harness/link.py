"""A client of a keeper by hand: one connection, and what comes back on it."""

import socket
import struct

from .framed import Framed
from .process import patient
from .zk import OPEN, OPS, SESSION_MS, S as text, acl, connect_frame, create_body, frame, multi

AUTH, PING, CLOSE = OPS["auth"], OPS["ping"], OPS["closeSession"]
CREATE, DELETE, EXISTS, GET, SET = OPS["create"], OPS["delete"], OPS["exists"], OPS["getData"], OPS["setData"]
GET_ACL, SET_ACL, CHECK, MULTI, RECONFIG = OPS["getACL"], OPS["setACL"], OPS["check"], OPS["multi"], OPS["reconfig"]
CREATE2, CREATE_CONTAINER, CREATE_TTL, WHO_AM_I = OPS["create2"], OPS["createContainer"], OPS["createTTL"], OPS["whoAmI"]


def create(path, data=b"", flags=0, access=OPEN):
    return create_body(path, flags, data.encode() if isinstance(data, str) else data, access)


def create_ttl(path, ttl, flags=5):
    return create(path, b"", flags) + struct.pack(">q", ttl)


def versioned(path, version=-1):
    return text(path) + struct.pack(">i", version)


def set_data(path, data, version=-1):
    return text(path) + text(data) + struct.pack(">i", version)


def set_acl(path, access, version=-1):
    return text(path) + access + struct.pack(">i", version)


class Link(Framed):
    def __init__(self, port, host="127.0.0.1"):
        super().__init__(port, patient(30), host)
        self.session, self.password = 0, b"\0" * 16
        self.xid = 0

    def send(self, payload):
        super().send(frame(payload))

    def connect(self, timeout_ms=SESSION_MS):
        """The timeout that was granted."""
        self.send(connect_frame(timeout=timeout_ms, session=self.session, password=self.password))
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


def opened(port, timeout_ms=SESSION_MS):
    link = Link(port)
    link.connect(timeout_ms)
    return link


def word(port, name):
    """A four-letter word's answer."""
    with socket.create_connection(("127.0.0.1", port), patient(10)) as peer:
        peer.sendall(name.encode())
        answer = b""
        while part := peer.recv(65536):
            answer += part
        return answer.decode()
