"""Bad input at the keeper's client port: cases Z01 to Z20. Every answer is Apache ZooKeeper's own, or stands as a
difference in docs/compatibility.md; after each, the server serves others."""

import socket
import struct

from harness.framed import Framed

MAXBUFFER = 1048575
OK, NO_NODE, NO_AUTH, BAD_VERSION, NODE_EXISTS, NOT_EMPTY = 0, -101, -102, -103, -110, -111
NO_CHILDREN_FOR_EPHEMERALS, INVALID_ACL, AUTH_FAILED = -108, -114, -115
MARSHALLING, UNIMPLEMENTED, BAD_ARGUMENTS = -5, -6, -8
CLOSED = "closed"
CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, SET_ACL, GET_CHILDREN, PING, CHECK, MULTI = 1, 2, 3, 4, 5, 7, 8, 11, 13, 14
AUTH, SET_WATCHES = 100, 101
OPEN_ACL = [(31, b"world", b"anyone")]


def text(value):
    """A string or buffer of the wire; None is null, an int is a bare length."""
    if value is None:
        return struct.pack(">i", -1)
    if isinstance(value, int):
        return struct.pack(">i", value)
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(value)) + value


def acl_list(entries):
    return struct.pack(">i", len(entries)) + b"".join(
        struct.pack(">i", perms) + text(scheme) + text(who) for perms, scheme, who in entries)


def create(path, data=b"", acl=None, flags=0):
    return text(path) + text(data) + acl_list(OPEN_ACL if acl is None else acl) + struct.pack(">i", flags)


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


class Peer(Framed):
    def __init__(self, port, timeout_s=60):
        super().__init__(port, timeout_s)
        self.xid = 0

    def connect(self, timeout_ms=6000, session=0, password=b"\0" * 16, last_zxid=0, protocol=0, read_only=b"\0"):
        self.send(frame(struct.pack(">iqiq", protocol, last_zxid, timeout_ms, session) + text(password) + read_only))
        reply = self.receive()
        if reply is None:
            return CLOSED
        _, timeout, session, size = struct.unpack(">iiqi", reply[:20])
        self.session, self.password = session, reply[20:20 + size]
        return timeout

    def request(self, opcode, body, xid=None):
        """The error code, or CLOSED. The rest of the reply is in self.body."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send(frame(struct.pack(">ii", xid, opcode) + body))
        reply = self.receive()
        if reply is None:
            return CLOSED
        self.reply_xid, self.zxid, code = struct.unpack(">iqi", reply[:16])
        self.body = reply[16:]
        return code


def case(t):
    keeper = t.keeper(tickTime=2000, maxSessionTimeout=40000)
    port = keeper.port

    def fresh():
        peer = Peer(port)
        seen = peer.connect()
        t.need(seen == 6000, "a session opens", seen)
        return peer

    def serves(name):
        peer = fresh()
        t.equal(peer.request(EXISTS, text("/") + b"\0"), OK, f"{name}: others are served")
        peer.close()

    def raw(name, data, shut=False):
        """Bytes on a fresh connection; the server closes."""
        peer = Peer(port)
        peer.send(data)
        if shut:
            peer.socket.shutdown(socket.SHUT_WR)
        t.check(peer.is_closed(), f"{name}: closed")
        peer.close()
        serves(name)

    base = fresh()
    t.equal(base.request(CREATE, create("/bad")), OK, "a place to work")

    # Lengths of the first frame.
    raw("Z01 length -1", struct.pack(">i", -1))
    raw("Z02 length 2 GiB", struct.pack(">i", 0x7FFFFFFF))
    raw("Z03 length of the limit plus one", struct.pack(">i", MAXBUFFER + 1))
    raw("Z04 length 0", struct.pack(">i", 0), shut=True)

    peer = fresh()
    head = len(create("/bad/big", b"")) + 8
    t.equal(peer.request(CREATE, create("/bad/big", b"x" * (MAXBUFFER - head))), OK, "Z03 a request of just the limit")
    t.equal(peer.request(CREATE, create("/bad/big2", b"x" * (MAXBUFFER - head + 1))), CLOSED, "Z03 one byte more")
    serves("Z03")

    # A connect request cut anywhere.
    whole = frame(struct.pack(">iqiq", 0, 0, 6000, 0) + text(b"\0" * 16) + b"\0")
    for cut in range(len(whole)):
        peer = Peer(port)
        peer.send(whole[:cut])
        peer.close()
    serves("Z05")
    peer = Peer(port)
    for byte in whole:
        peer.send(bytes([byte]))
    t.check(peer.receive() is not None, "Z40 a connect request byte by byte")

    raw("Z06 HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    raw("Z06 TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 32)
    raw("Z06 SSH", b"SSH-2.0-OpenSSH_9.2\r\n")

    # Four-letter words.
    peer = Peer(port)
    for byte in b"srvr":
        peer.send(bytes([byte]))
    t.equal(peer.take(9), b"Zookeeper", "Z07 a word in four packets")
    serves("Z07")
    peer = Peer(port)
    peer.send(b"xyzw")
    peer.close()
    serves("Z07 unknown word")
    peer = fresh()
    peer.send(b"ruok")
    t.check(peer.is_closed(), "Z07 after the session's start a word is a length")

    # Connect requests.
    for protocol in (1, -1):
        t.equal(Peer(port).connect(protocol=protocol), 6000, f"Z08 protocol version {protocol}")
    t.equal(Peer(port).connect(timeout_ms=-1), 4000, "Z08 timeout -1 is clamped")
    t.equal(Peer(port).connect(timeout_ms=0), 4000, "Z08 timeout 0 is clamped")
    t.equal(Peer(port).connect(timeout_ms=0x7FFFFFFF), 40000, "Z08 the longest timeout is clamped")
    t.equal(Peer(port).connect(last_zxid=1 << 40), CLOSED, "Z08 a client that has seen more than we have")
    t.equal(Peer(port).connect(last_zxid=-5), 6000, "Z08 negative lastZxidSeen")
    t.equal(Peer(port).connect(session=0x1234, password=b"p" * 16), 0, "Z08 an unknown session is expired")
    t.equal(Peer(port).connect(session=base.session, password=b"w" * 16), 0, "Z08 a wrong password is an expired session")
    base = fresh()
    for size in (0, 15, 17):
        t.equal(Peer(port).connect(session=base.session, password=b"p" * size), 0, f"Z08 a password of {size} bytes")
        base = fresh()
    t.equal(Peer(port).connect(password=None), 6000, "Z08 a null password with a new session")
    t.equal(Peer(port).connect(read_only=b""), 6000, "Z08 an old client, without the read-only byte")
    t.equal(Peer(port).connect(read_only=b"\0junk"), 6000, "Z08 bytes behind the request")
    serves("Z08")

    # Two connections with one session.
    first = fresh()
    second = Peer(port)
    t.equal(second.connect(session=first.session, password=first.password), 6000, "Z09 a session moves")
    t.check(first.is_closed(), "Z09 the older connection is closed")
    t.equal(second.request(EXISTS, text("/") + b"\0"), OK, "Z09 the newer one serves")
    second.send(frame(struct.pack(">iqiq", 0, 0, 6000, 0) + text(b"\0" * 16) + b"\0"))
    second.close()
    serves("Z09")

    # Opcodes.
    for opcode in (0, -1, 9999):
        peer = fresh()
        t.equal(peer.request(opcode, b""), UNIMPLEMENTED, f"Z10 opcode {opcode}")
        t.check(peer.is_closed(), f"Z10 opcode {opcode}: closed")
    peer = fresh()
    t.equal(peer.request(CHECK, text("/bad") + struct.pack(">i", -1)), UNIMPLEMENTED, "Z10 check outside multi")
    serves("Z10")

    # Special and repeated xids.
    peer = fresh()
    t.equal(peer.request(PING, b"", xid=7), OK, "Z11 ping with an ordinary xid")
    for xid in (5, 5, 3, -1):
        t.equal(peer.request(EXISTS, text("/bad") + b"\0", xid=xid), OK, f"Z11 xid {xid}")
    t.equal(peer.reply_xid, -1, "Z11 the reply has the request's xid")

    # Paths.
    peer = fresh()
    t.equal(peer.request(CREATE, create(None)), MARSHALLING, "Z13 create with a null path")
    t.equal(peer.request(CREATE, create("/bad//b")), NO_NODE, "Z13 the parent is looked for before the path is judged")
    t.equal(peer.request(CREATE, create("/bad/../b")), NO_NODE, "Z13 /bad/.. is no znode")
    bad_paths = ["", "a", "/bad/", "//", "/.", "/..", "/bad\0", "/\x01", "/\x7f",
                 b"/\xed\xa0\x80", b"/\xef\xa3\xbf", b"/\xef\xbf\xb0"]
    for path in bad_paths:
        t.equal(peer.request(CREATE, create(path)), BAD_ARGUMENTS, f"Z13 create {path!r}")
    for path in (b"/\xc0\x80", b"/\xf8\x88\x80\x80\x80", b"/bad/tail\xe2\x82"):
        t.equal(peer.request(CREATE, create(path)), BAD_ARGUMENTS, f"Z13 create {path!r}, not UTF-8")
    for path in ("a", "/bad/"):
        t.equal(peer.request(EXISTS, text(path) + b"\0"), NO_NODE, f"Z13 exists {path!r}")
    t.equal(peer.request(EXISTS, text("") + b"\0"), OK, "Z13 the empty path is the root")
    serves("Z13")

    # Long paths.
    deep = "/bad" + "/d" * 100000
    t.equal(peer.request(CREATE, create(deep)), NO_NODE, "Z14 100,000 components")
    t.equal(peer.request(EXISTS, text("/" + "x" * 1000000) + b"\0"), NO_NODE, "Z14 a path of a megabyte")

    # Lengths inside a record.
    for name, body in (("beyond the end", text("/bad")[:4] + b"\x00"), ("-2", text(-2)), ("INT_MIN", text(-(1 << 31)))):
        peer = fresh()
        code = peer.request(GET_DATA, body)
        t.check(code in (MARSHALLING, CLOSED, NO_NODE), f"Z15 a string length {name}", code)
        serves("Z15")

    # ACLs.
    peer = fresh()
    t.equal(peer.request(CREATE, create("/bad/acl", acl=[])), INVALID_ACL, "Z16 an empty list")
    t.equal(peer.request(CREATE, create("/bad/acl", acl=[(31, b"none", b"x")])), INVALID_ACL, "Z16 an unknown scheme")
    t.equal(peer.request(CREATE, create("/bad/acl", acl=[(31, b"world", b"some")])), INVALID_ACL, "Z16 world:some")
    t.equal(peer.request(CREATE, create("/bad/acl", acl=[(31, b"digest", b"nocolon")])), INVALID_ACL, "Z16 digest:nocolon")
    t.equal(peer.request(CREATE, create("/bad/acl", acl=[(31, b"ip", b"300.1.1.1/99")])), INVALID_ACL, "Z16 ip 300.1.1.1/99")
    t.equal(peer.request(CREATE, create("/bad/acl", acl=[(31, b"ip", b"::1/129")])), INVALID_ACL, "Z16 ip ::1/129")
    t.equal(peer.request(CREATE, create("/bad/acl", acl=[(31, b"auth", b"")])), INVALID_ACL, "Z16 auth without an identity")
    t.equal(peer.request(CREATE, create("/bad/perms0", acl=[(0, b"world", b"anyone")])), OK, "Z16 no permission at all")
    t.equal(peer.request(CREATE, create("/bad/perms", acl=[(-1, b"world", b"anyone")])), OK, "Z16 every bit of permission")
    for count in (0x7FFFFFFF, 1 << 20):
        peer = fresh()
        body = text("/bad/many") + text(b"") + struct.pack(">i", count) + b"\0" * 20
        code = peer.request(CREATE, body)
        t.check(code in (MARSHALLING, CLOSED, INVALID_ACL), f"Z16 a count of {count}", code)
        serves("Z16")

    # Flags.
    peer = fresh()
    for flags in (-1, 7, 99):
        t.equal(peer.request(CREATE, create("/bad/flags", flags=flags)), BAD_ARGUMENTS, f"Z17 flags {flags}")

    # Below an ephemeral.
    t.equal(peer.request(CREATE, create("/bad/eph", flags=1)), OK, "Z18 an ephemeral")
    t.equal(peer.request(CREATE, create("/bad/eph/child")), NO_CHILDREN_FOR_EPHEMERALS, "Z18 a child of it")

    # Versions.
    for version in (-(1 << 31), -2, 0x7FFFFFFF):
        packed = struct.pack(">i", version)
        t.equal(peer.request(SET_DATA, text("/bad") + text(b"x") + packed), BAD_VERSION, f"Z19 setData version {version}")
        t.equal(peer.request(DELETE, text("/bad/perms0") + packed), BAD_VERSION, f"Z19 delete version {version}")
        t.equal(peer.request(SET_ACL, text("/bad") + acl_list(OPEN_ACL) + packed), BAD_VERSION, f"Z19 setACL version {version}")

    # The built-in znodes.
    any_version = struct.pack(">i", -1)
    for path in ("/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"):
        t.equal(peer.request(DELETE, text(path) + any_version), BAD_ARGUMENTS, f"Z20 delete {path}")
    t.equal(peer.request(SET_DATA, text("/") + text(b"root") + any_version), OK, "Z20 setData on /")
    t.equal(peer.request(SET_DATA, text("/zookeeper/config") + text(b"x") + any_version), NO_AUTH, "Z20 setData on config")
    t.equal(peer.request(DELETE, text("/bad") + any_version), NOT_EMPTY, "Z20 delete of a parent")

    # Authentication.
    peer = fresh()
    t.equal(peer.request(AUTH, struct.pack(">i", 0) + text("none") + text(b"x"), xid=-4), AUTH_FAILED, "Z26 an unknown scheme")
    t.check(peer.is_closed(), "Z26 an unknown scheme: closed")
    serves("Z26")

    # A client that pipelines and never reads.
    peer = Peer(port)
    peer.connect()
    peer.socket.settimeout(2)
    request = frame(struct.pack(">ii", 1, GET_DATA) + text("/bad/big") + b"\0")
    sent = 0
    try:
        while sent < 100000 * len(request):
            sent += peer.socket.send(request * 100)
    except OSError:
        pass
    t.check(keeper.resident_mib() < 900, "Z30 memory stays bounded with a client that never reads", keeper.resident_mib())
    serves("Z30")
    peer.close()

    # One byte at a time must work.
    peer = fresh()
    for byte in frame(struct.pack(">ii", 1, EXISTS) + text("/bad") + b"\0"):
        peer.send(bytes([byte]))
    t.check(peer.receive() is not None, "Z40 a request byte by byte")
    peer = fresh()
    t.equal(peer.request(EXISTS, text("/bad") + b"\x02"), OK, "Z37 a boolean of 2 is true")
    t.equal(peer.request(EXISTS, text("/bad") + b"\0trailing"), OK, "Z38 bytes behind the record")
