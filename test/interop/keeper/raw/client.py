"""Speaks ZooKeeper's protocol byte by byte and prints what comes back, one line a frame."""

import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))
from harness.zk import I, L, B, S, Z, NAMES, OPEN, PASSWORD, acl, connect_frame, create_body, multi, strings  # noqa: E402

HOST, PORT = sys.argv[1].split(":")
ONLY = sys.argv[2:]
QUIET_S = 0.4  # Nothing for so long, where silence is the answer.


class Link:
    def __init__(self):
        self.socket = socket.create_connection((HOST, int(PORT)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.zxid = 0
        self.session, self.password = 0, PASSWORD

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def frame(self, payload):
        self.raw(I(len(payload)) + payload)

    def request(self, xid, op, body=b""):
        self.frame(I(xid) + I(op) + body)

    def read(self, size):
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except socket.timeout:
                return None if not data else data
            except OSError:
                return b""
            if not more:
                return b""
            data += more
        return data

    def next(self, wait=120.0):
        """A frame; None: silence; b"": closed."""
        self.socket.settimeout(wait)
        head = self.read(4)
        if not head or len(head) < 4:
            return head
        return self.read(struct.unpack(">i", head)[0])

    def connect(self, **options):
        self.frame(connect_frame(**options))
        reply = self.next()
        if not reply:
            return reply
        version, timeout, session = struct.unpack(">iiq", reply[:16])
        size = struct.unpack(">i", reply[16:20])[0]
        self.session, self.password = session, reply[20:20 + size]
        return version, timeout, session != 0, size, reply[20 + size:].hex()

    def close(self):
        self.socket.close()


def opened(**options):
    link = Link()
    link.connect(**options)
    return link


def show_body(op, body):
    """Bodies with times and zxids taken out."""
    if not body:
        return ""
    if op in ("create", "sync"):
        return " " + body[4:].decode(errors="replace")
    if op in ("create2",):
        size = struct.unpack(">i", body[:4])[0]
        return " " + body[4:4 + size].decode(errors="replace") + show_stat(body[4 + size:])
    if op in ("stat",):
        return show_stat(body)
    if op in ("data",):
        size = struct.unpack(">i", body[:4])[0]
        data = body[4:4 + max(size, 0)]
        return f" {size}:{data[:20]!r}" + show_stat(body[4 + max(size, 0):])
    if op in ("names",):
        count = struct.unpack(">i", body[:4])[0]
        names, at = [], 4
        for _ in range(count):
            size = struct.unpack(">i", body[at:at + 4])[0]
            names.append(body[at + 4:at + 4 + size].decode(errors="replace"))
            at += 4 + size
        return f" {sorted(names)}" + (show_stat(body[at:]) if len(body) > at else "")
    if op == "acl":
        entries, rest = take_acl(body)
        return f" {entries}" + show_stat(rest)
    if op == "who":
        count, rest = struct.unpack(">i", body[:4])[0], body[4:]
        infos = []
        for _ in range(count):
            scheme, rest = take_string(rest)
            user, rest = take_string(rest)
            infos.append(f"{scheme}:{user}")
        return f" {sorted(infos)}"
    if op == "multi":
        return " " + ", ".join(show_results(body))
    return " " + body.hex()


def take_string(body):
    size = struct.unpack(">i", body[:4])[0]
    return (None, body[4:]) if size < 0 else (body[4:4 + size].decode(errors="replace"), body[4 + size:])


def take_acl(body):
    count, rest = struct.unpack(">i", body[:4])[0], body[4:]
    entries = []
    for _ in range(count):
        perms, rest = struct.unpack(">i", rest[:4])[0], rest[4:]
        scheme, rest = take_string(rest)
        name, rest = take_string(rest)
        entries.append((perms, scheme, name))
    return entries, rest


def show_results(body):
    """The results of a multi, one text each."""
    results = []
    while True:
        kind, done, err = struct.unpack(">ibi", body[:9])
        body = body[9:]
        if done or kind not in (1, 2, 4, 5, 8, 13, 15, -1):
            return results + [f"end {kind} {err}" + (f" and {len(body)} bytes" if body else "")]
        text = f"{kind}/{err}"
        if kind in (1, 15):
            path, body = take_string(body)
            text += f" {path}"
        if kind == 4:
            data, body = take_string(body)
            text += f" {data!r}"
        if kind == 8:
            names = struct.unpack(">i", body[:4])[0]
            body = body[4:]
            for _ in range(names):
                name, body = take_string(body)
                text += f" {name}"
        if kind in (4, 5, 15):
            text += show_stat(body[:68])
            body = body[68:]
        if kind == -1:
            text += f" {struct.unpack('>i', body[:4])[0]}"
            body = body[4:]
        results.append(text)


def show_stat(body):
    if len(body) != 68:
        return f" stat of {len(body)} bytes"
    f = struct.unpack(">qqqqiiiqiiq", body)
    return f" v{f[4]} c{f[5]} a{f[6]} eph={'yes' if f[7] else 'no'} len={f[8]} kids={f[9]} m={f[1] - f[0]} p={f[10] - f[0]}"


def show(link, op="", wait=30.0):
    reply = link.next(wait)
    if reply is None:
        print("  silence")
    elif reply == b"":
        print("  closed")
    elif len(reply) < 16:
        print("  short", reply.hex())
    else:
        xid, zxid, err = struct.unpack(">iqi", reply[:16])
        body = reply[16:]
        if xid == -1:
            kind, state, size = struct.unpack(">iii", body[:12])
            print(f"  event {kind} {state} {body[12:12 + size].decode(errors='replace')} zxid {'-1' if zxid == -1 else 'new'}")
        else:
            step = zxid - link.zxid if zxid and link.zxid else ("0" if zxid == 0 else "first")
            link.zxid = zxid or link.zxid
            print(f"  xid {xid} err {err} zxid {step}{show_body(op, body)}")
    return reply


def ask(link, op, body=b"", kind="", xid=7, note=""):
    print(f" {note or NAMES.get(op, op)}")
    link.request(xid, op, body)
    return show(link, kind)


def create(link, path, data=b"", flags=0, entries=OPEN, op=1, note=""):
    body = S(path) + B(data) + entries + I(flags)
    return ask(link, op, body, "create" if op == 1 else "create2", note=note or f"create {path!r} flags {flags}")


SCENES = []


def scene(function):
    SCENES.append(function)
    return function


# ---- lengths and the handshake ----


@scene
def first_length():
    for length in (-1, 0x7FFFFFFF, 1048576, 0):
        link = Link()
        print(f" length {length}")
        link.raw(I(length))
        show(link)
        link.close()


@scene
def longest_frame():
    link = opened()
    path = "/long"
    head = I(1) + I(1) + S(path)
    room = 1048575 - len(head) - 4 - len(OPEN) - 4
    print(" create of 1048575 bytes")
    link.raw(I(1048575) + head + I(room) + bytes(room) + OPEN + I(0))
    show(link, "create")
    print(" create of 1048576 bytes")
    link.raw(I(1048576) + head + I(room + 1) + bytes(room + 1) + OPEN + I(0))
    show(link)


@scene
def foreign_protocols():
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n"):
        link = Link()
        print(f" {data!r}")
        link.raw(data)
        show(link)
        link.close()


@scene
def words():
    for word in (b"ruok", b"srvrxyz", b"wchp", b"abcd"):
        link = Link()
        print(f" {word!r}")
        link.raw(word)
        link.socket.settimeout(120)
        data = b""
        try:
            while more := link.socket.recv(4096):
                data += more
            print("  closed behind", data.split(b"\n")[0][:20])
        except socket.timeout:
            print("  silence")
        except OSError:
            print("  reset")
        link.close()
    link = opened()
    print(" a word in a session is a length")
    link.raw(b"ruok")
    show(link)


@scene
def connect_variants():
    for note, options in {
        "plain": {}, "version 1": {"version": 1}, "version -1": {"version": -1}, "timeout -1": {"timeout": -1},
        "timeout 0": {"timeout": 0}, "timeout max": {"timeout": 0x7FFFFFFF}, "zxid negative": {"zxid": -5},
        "zxid far ahead": {"zxid": 1 << 50}, "password null": {"password": None}, "password empty": {"password": b""},
        "password of 15": {"password": bytes(15)}, "password of 17": {"password": bytes(17)},
        "no read-only byte": {"read_only": b""}, "read-only": {"read_only": b"\1"}, "read-only 255": {"read_only": b"\xff"},
        "trailing bytes": {"read_only": b"\0abc"}, "unknown session": {"session": 0x1234},
    }.items():
        link = Link()
        print(f" {note}: {link.connect(**options)!r}")
        link.close()


@scene
def connect_cut():
    whole = connect_frame()
    for size in (1, 8, 20, 28, 31, 40, 43):
        link = Link()
        print(f" {size} bytes of a connect request")
        link.frame(whole[:size])
        show(link)
        link.close()


@scene
def resume():
    first = opened()
    for note, password in (("wrong password", bytes(16)), ("password null", None), ("right", first.password)):
        link = Link()
        print(f" {note}: {link.connect(session=first.session, password=password)!r}")
        if note == "right":
            print("  the old connection:")
            show(first)
            ask(link, 3, S("/") + Z(0), "stat", note="exists on the new one")
        link.close()


@scene
def connect_twice():
    link = opened()
    print(" a connect request on a live session")
    link.frame(connect_frame())
    show(link)


# ---- operations ----


@scene
def operation_numbers():
    for op in (0, -1, 9999, 13, 10, 23, 108):
        link = opened()
        ask(link, op, S("/x") + I(1), note=f"operation {op}")
        show(link)
        link.close()


@scene
def special_xids():
    link = opened()
    for xid in (-2, -1, -4, -8, 0, 5, 5, 4, -100):
        ask(link, 3, S("/") + Z(0), "stat", xid=xid, note=f"exists with xid {xid}")
    ask(link, 11, b"", xid=9, note="ping with xid 9")
    ask(link, 11, b"junk", xid=-2, note="ping with a body")
    ask(link, 101, L(0) + I(0) * 3, xid=9, note="setWatches with xid 9")


@scene
def paths():
    link = opened()
    for path in (None, "", "a", "/a/", "//", "/a//b", "/.", "/..", "/a/../b", "/n\0ul", "/\x01", "/\x7f", "/\x9f",
                 b"/\xed\xa0\x80", "/\uf8ff", "/\ufff0", b"/\xc0\x80", b"/\xf8", b"/\xe2\x82", "/\u4e2d", b"/\xf0\x9f\x98\x80"):
        create(link, path)
        ask(link, 3, S(path) + Z(0), "stat", note=f"exists {path!r}")
        ask(link, 4, S(path) + Z(0), "data", note=f"getData {path!r}")
        ask(link, 2, S(path) + I(-1), note=f"delete {path!r}")
        ask(link, 5, S(path) + B(b"") + I(-1), "stat", note=f"setData {path!r}")


@scene
def sequential_paths():
    link = opened()
    create(link, "/seq")
    for path in ("/seq/", "/seq/a", "/seq/a-", "/seq"):
        create(link, path, flags=2)
    create(link, "/seq/x/", flags=2)
    create(link, "/seq/plain")
    ask(link, 2, S("/seq/plain") + I(-1))
    create(link, "/seq/a-", flags=2, op=15)
    ask(link, 12, S("/seq") + Z(0), "names")


@scene
def cut_bodies():
    link = opened()
    for op, body in ((1, S("/cut") + B(b"") + OPEN + I(0)), (2, S("/cut") + I(-1)), (5, S("/cut") + B(b"") + I(-1)),
                     (3, S("/cut") + Z(0)), (4, S("/cut") + Z(0)), (8, S("/cut") + Z(0)), (9, S("/cut")),
                     (14, I(1) + Z(0) + I(-1))):
        ask(link, op, body[:-1], note=f"{NAMES[op]} without its last byte")
    for size in (0x7FFFFFFF, -2, -0x80000000, 3):
        ask(link, 4, I(size) + b"/c", note=f"getData with a path of {size}")
        ask(link, 1, I(size) + b"/c", note=f"create with a path of {size}")
    ask(link, 3, S("/") + Z(0) + b"more", "stat", note="exists with trailing bytes")
    ask(link, 3, S("/") + Z(2), "stat", note="exists with a bool of 2")


@scene
def acl_lists():
    link = opened()
    cases = {
        "null": I(-1), "empty": I(0), "count -5": I(-5), "count 2^31-1": I(0x7FFFFFFF) + bytes(20),
        "null scheme": acl((31, None, "anyone")), "null id": acl((31, "world", None)),
        "unknown scheme": acl((31, "nosuch", "x")), "perms 0": acl((0, "world", "anyone")),
        "perms -1": acl((-1, "world", "anyone")), "world:other": acl((31, "world", "other")),
        "digest without colon": acl((31, "digest", "abc")), "digest": acl((31, "digest", "u:h")),
        "digest two colons": acl((31, "digest", "u:h:x")), "digest empty user": acl((31, "digest", ":h")),
        "digest empty hash": acl((31, "digest", "u:")),
        "ip bad": acl((31, "ip", "300.1.1.1/99")), "ip": acl((31, "ip", "127.0.0.1")), "ip bits": acl((31, "ip", "10.0.0.0/8")),
        "ip 33 bits": acl((31, "ip", "10.0.0.0/33")), "ip6": acl((31, "ip", "::1/128")), "ip6 129": acl((31, "ip", "::1/129")),
        "auth without": acl((31, "auth", "")), "x509": acl((31, "x509", "cn=a")), "super": acl((31, "super", "")),
        "twice the same": acl((31, "world", "anyone"), (31, "world", "anyone")),
        "two": acl((1, "world", "anyone"), (31, "ip", "127.0.0.1")),
    }
    for at, (note, entries) in enumerate(cases.items()):
        create(link, f"/acl{at}", entries=entries, note=f"create with acl {note}")
        ask(link, 6, S(f"/acl{at}"), "acl", note="getACL")


@scene
def flags():
    link = opened()
    for flag in (-1, 7, 99, 4, 5, 6):
        create(link, f"/flag{flag}", flags=flag)
        create(link, f"/flag2{flag}", flags=flag, op=15)
    for flag, ttl in ((5, 0), (5, -1), (5, 1 << 40), (5, 1000), (6, 1000), (0, 1000), (5, (1 << 40) + 1)):
        ask(link, 21, S(f"/ttl{flag}") + B(b"") + OPEN + I(flag) + L(ttl), note=f"createTTL flags {flag} ttl {ttl}")
    create(link, "/box", op=19, flags=4)
    create(link, "/box0", op=19, flags=0)
    create(link, "/box1", op=19, flags=1)
    ask(link, 3, S("/box1") + Z(0), "stat")


@scene
def ephemerals():
    link = opened()
    create(link, "/eph", flags=1)
    create(link, "/eph/child")
    create(link, "/eph")
    create(link, "/eph/child/deep")
    ask(link, 3, S("/eph") + Z(0), "stat")
    ask(link, 103, S("/"), "names")
    ask(link, 103, S("/nothing"), "names")
    ask(link, 103, S(None), "names")
    ask(link, -11, note="closeSession")
    show(link)
    other = opened()
    ask(other, 3, S("/eph") + Z(0), "stat")


@scene
def versions():
    link = opened()
    create(link, "/ver", b"one")
    for version in (-0x80000000, -2, 0x7FFFFFFF, 1, 0, 0, -1):
        ask(link, 5, S("/ver") + B(b"two") + I(version), "stat", note=f"setData version {version}")
    for version in (-2, 7, 0, 0, -1):
        ask(link, 7, S("/ver") + OPEN + I(version), "stat", note=f"setACL version {version}")
    for version in (-2, 0, 3):
        ask(link, 2, S("/ver") + I(version), note=f"delete version {version}")


@scene
def special_nodes():
    link = opened()
    for path in ("/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"):
        ask(link, 3, S(path) + Z(0), "stat", note=f"exists {path}")
        ask(link, 2, S(path) + I(-1), note=f"delete {path}")
        ask(link, 5, S(path) + B(b"x") + I(-1), "stat", note=f"setData {path}")
        ask(link, 6, S(path), "acl", note=f"getACL {path}")
        create(link, path)
    ask(link, 5, S("/") + B(b"") + I(-1), "stat", note="setData / back")
    create(link, "/zookeeper/own")
    create(link, "/zookeeper/own/deep")
    ask(link, 2, S("/zookeeper/own/deep") + I(-1))
    ask(link, 2, S("/zookeeper/own") + I(-1))
    ask(link, 16, S(None) + S(None) + S("server.1=a:1:2") + L(-1), note="reconfig")


@scene
def null_and_empty_data():
    link = opened()
    create(link, "/null", None)
    ask(link, 4, S("/null") + Z(0), "data")
    ask(link, 5, S("/null") + B(b"") + I(-1), "stat")
    ask(link, 4, S("/null") + Z(0), "data")
    ask(link, 5, S("/null") + B(None) + I(-1), "stat")
    ask(link, 4, S("/null") + Z(0), "data")


@scene
def multis():
    link = opened()
    ask(link, 14, multi(), "multi", note="empty")
    ask(link, 14, multi((1, create_body("/m")), (1, create_body("/m/a")), (5, S("/m") + B(b"x") + I(0)), (13, S("/m") + I(1)))[:-9]
        + I(2) + Z(0) + I(-1) + S("/m/a") + I(-1) + I(-1) + Z(1) + I(-1), "multi", note="five that work")
    ask(link, 14, multi((1, create_body("/m/s-", 2)), (2, S("/nope") + I(-1)), (1, create_body("/m/t"))), "multi", note="one fails")
    create(link, "/m/s-", flags=2)
    ask(link, 14, multi((1, create_body("/m/same")), (1, create_body("/m/same"))), "multi", note="the same twice")
    ask(link, 14, multi((13, S("/m") + I(9))), "multi", note="check fails")
    ask(link, 14, multi((13, S("/nope") + I(-1))), "multi", note="check of nothing")
    ask(link, 14, multi((4, S("/m") + Z(0))), "multi", note="a read inside")
    ask(link, 14, multi((14, b"")), "multi", note="a multi inside")
    ask(link, 14, multi((-1, I(3))), "multi", note="an error inside")
    ask(link, 14, multi((1, create_body("/m/q")))[:-9], "multi", note="no end")
    ask(link, 14, b"", "multi", note="nothing at all")
    ask(link, 22, multi((4, S("/nope") + Z(0)), (8, S("/m") + Z(1))), "multi", note="multiRead")
    ask(link, 22, multi((4, S("/m") + Z(0)), (1, create_body("/m/r"))), "multi", note="multiRead with a write")
    ask(link, 22, multi(), "multi", note="empty multiRead")
    ask(link, 8, S("/m") + Z(0), "names")


# ---- watches ----


@scene
def watch_order():
    link = opened()
    create(link, "/w")
    ask(link, 4, S("/w") + Z(1), "data", note="getData with a watch")
    ask(link, 8, S("/w") + Z(1), "names", note="getChildren with a watch")
    ask(link, 3, S("/w/a") + Z(1), "stat", note="exists with a watch on nothing")
    ask(link, 4, S("/w/none") + Z(1), "data", note="getData with a watch on nothing")
    print(" create /w/a")
    link.request(1, 1, create_body("/w/a"))
    for _ in range(3):
        show(link, "create")
    print(" create /w/none, without a watch")
    link.request(1, 1, create_body("/w/none"))
    show(link, "create")
    show(link, wait=QUIET_S)
    print(" setData /w twice: one event")
    for _ in range(2):
        link.request(1, 5, S("/w") + B(b"") + I(-1))
    for _ in range(3):
        show(link, "stat")
    ask(link, 4, S("/w/a") + Z(1), "data", note="data and child watch on one node")
    ask(link, 8, S("/w/a") + Z(1), "names")
    ask(link, 8, S("/w") + Z(1), "names")
    print(" delete it")
    link.request(1, 2, S("/w/a") + I(-1))
    for _ in range(3):
        show(link)
    show(link, wait=QUIET_S)


@scene
def set_watches():
    link = opened()
    create(link, "/sw")
    create(link, "/sw/a")
    zxid = link.zxid
    ask(link, 5, S("/sw/a") + B(b"x") + I(-1), "stat")
    create(link, "/sw/b")
    print(" setWatches")
    link.request(-8, 101, L(zxid) + strings("/sw/a", "/sw/gone", "/sw") + strings("/sw/b", "/sw/c") + strings("/sw", "/sw/gone", "/sw/a"))
    for _ in range(6):
        if (reply := show(link)) and reply[:4] == I(-8):
            break
    print(" what was armed fires")
    print(" create '/sw/c'")
    link.request(1, 1, create_body("/sw/c"))
    show(link)
    show(link, "create")
    ask(link, 101, L(1 << 60) + strings("/sw") + strings() + strings("/sw"), xid=-8, note="setWatches from the future")
    ask(link, 101, L(0) + I(-1) + I(-1) + I(-1), xid=-8, note="setWatches with null lists")
    ask(link, 101, L(0) + I(0x7FFFFFFF), xid=-8, note="setWatches with a huge count")
    link = opened()
    ask(link, 105, L(zxid) + strings() + strings() + strings() + strings("/sw") + strings("/sw"), xid=-8)
    print(" create '/sw/d'")
    link.request(1, 1, create_body("/sw/d"))
    show(link)
    show(link)
    show(link, "create")


@scene
def add_watch():
    link = opened()
    create(link, "/aw")
    for mode in (-1, 2, 3):
        ask(link, 106, S("/aw") + I(mode), note=f"addWatch mode {mode}")
    ask(link, 106, S("/aw") + I(0), note="addWatch persistent")
    ask(link, 106, S("/aw") + I(1), note="addWatch recursive")
    print(" create below it, change it, change below it")
    link.request(1, 1, create_body("/aw/a"))
    link.request(2, 5, S("/aw") + B(b"") + I(-1))
    link.request(3, 5, S("/aw/a") + B(b"") + I(-1))
    for kind in ("", "", "create", "", "stat", "", "stat"):
        show(link, kind)
    show(link, wait=QUIET_S)
    for kind in (0, 1, 2, 3, 4, 5, 6):
        ask(link, 17, S("/aw") + I(kind), note=f"checkWatches {kind}")
    for kind in (0, 6, 1, 2, 4, 4, 5, 5, 3):
        ask(link, 18, S("/aw") + I(kind), note=f"removeWatches {kind}")
    ask(link, 18, S("/none") + I(3), note="removeWatches of none")


# ---- identities ----


@scene
def auth():
    for note, scheme, secret in (("digest", "digest", b"u:p"), ("digest without colon", "digest", b"up"),
                                 ("digest empty", "digest", b""), ("digest null", "digest", None),
                                 ("unknown", "nosuch", b"x"), ("null scheme", None, b"x"), ("world", "world", b"anyone"),
                                 ("ip", "ip", b"1.2.3.4"), ("super", "super", b"")):
        link = opened()
        reply = ask(link, 100, I(0) + S(scheme) + B(secret), xid=-4, note=f"auth {note}")
        if struct.unpack(">i", reply[12:16])[0] == 0:
            ask(link, 107, kind="who", note="whoAmI")
        else:
            show(link)
        link.close()


@scene
def protected():
    owner = opened()
    ask(owner, 107, kind="who", note="whoAmI before")
    ask(owner, 100, I(0) + S("digest") + B(b"u:p"), xid=-4)
    ask(owner, 107, kind="who", note="whoAmI after")
    create(owner, "/own", b"secret", entries=acl((31, "auth", "")), note="create for auth")
    create(owner, "/read", b"open", entries=acl((31, "auth", ""), (1, "world", "anyone")), note="create readable")
    ask(owner, 6, S("/own"), "acl", note="getACL by the owner")
    stranger = opened()
    for path in ("/own", "/read"):
        ask(stranger, 4, S(path) + Z(0), "data", note=f"getData {path}")
        ask(stranger, 3, S(path) + Z(0), "stat", note=f"exists {path}")
        ask(stranger, 8, S(path) + Z(0), "names", note=f"getChildren {path}")
        ask(stranger, 6, S(path), "acl", note=f"getACL {path}")
        ask(stranger, 5, S(path) + B(b"") + I(-1), "stat", note=f"setData {path}")
        ask(stranger, 7, S(path) + OPEN + I(-1), "stat", note=f"setACL {path}")
        create(stranger, path + "/child")
        ask(stranger, 104, S(path), note=f"getAllChildrenNumber {path}")
        ask(stranger, 9, S(path), "sync", note=f"sync {path}")
    create(owner, "/own/child")
    ask(stranger, 2, S("/own/child") + I(-1), note="delete below")
    ask(stranger, 2, S("/read") + I(-1), note="delete itself")
    ask(owner, 4, S("/own") + Z(1), "data", note="watch it")


# ---- order and ends ----


@scene
def pipelined():
    link = opened()
    print(" create, setData, getData, delete, exists in one packet")
    parts = [(1, 1, create_body("/pipe")), (2, 5, S("/pipe") + B(b"x") + I(0)), (3, 4, S("/pipe") + Z(0)),
             (-2, 11, b""), (4, 9, S("/pipe")), (5, 2, S("/pipe") + I(1)), (6, 3, S("/pipe") + Z(0))]
    link.raw(b"".join(I(len(body) + 8) + I(xid) + I(op) + body for xid, op, body in parts))
    for kind in ("create", "stat", "data", "", "sync", "", "stat"):
        show(link, kind)


@scene
def one_byte_at_a_time():
    link = Link()
    frame = connect_frame()
    for byte in I(len(frame)) + frame:
        link.raw(bytes([byte]))
    print(" connected" if link.next() else " not connected")
    body = I(1) + I(3) + S("/") + Z(0)
    for byte in I(len(body)) + body:
        link.raw(bytes([byte]))
    show(link, "stat")


@scene
def closing():
    link = opened()
    print(" closeSession, then exists, in one packet")
    link.raw(I(8) + I(1) + I(-11) + I(14) + I(3) + I(3) + S("/") + Z(0))
    show(link)
    while link.next():  # Whether the second is answered is a matter of time.
        pass
    again = Link()
    print(f" the session is gone: {again.connect(session=link.session, password=link.password)!r}")


def await_server():
    """Apache's accepts connections before it serves."""
    for _ in range(100):
        link = Link()
        if link.connect():
            return
        time.sleep(0.1)


await_server()
for function in SCENES:
    if ONLY and function.__name__ not in ONLY:
        continue
    print(f"== {function.__name__}", flush=True)
    function()
