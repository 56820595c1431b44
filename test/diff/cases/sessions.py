"""The handshake, and the life of sessions."""

import time

from harness import zk
from harness.zk import I, L, S, Z

from scene import WHO, add_watch, case, children, create, delete, ephemerals, errors, events, exists, get, multi, put

from twin import Connection, Difference


def connect_case(name, open_session=True, **options):
    @case(name=f"connect_{name}")
    def run(t):
        link = Connection(t.twin)
        link.connect(what=f"connect {options}", **options)
        if not link.closed:
            link.ask(*exists("/"))
            link.end()
        link.drop()


for name_, options_ in {
    "plain": {},
    "version_1": {"version": 1},
    "version_minus_1": {"version": -1},
    "version_max": {"version": 0x7FFFFFFF},
    "timeout_minus_1": {"timeout": -1},
    "timeout_0": {"timeout": 0},
    "timeout_1": {"timeout": 1},
    "timeout_999": {"timeout": 999},
    "timeout_1000": {"timeout": 1000},
    "timeout_1001": {"timeout": 1001},
    "timeout_60000": {"timeout": 60000},
    "timeout_60001": {"timeout": 60001},
    "timeout_max": {"timeout": 0x7FFFFFFF},
    "timeout_lowest": {"timeout": -0x80000000},
    "zxid_negative": {"zxid": -5},
    "zxid_lowest": {"zxid": -(1 << 63)},
    "password_null": {"password": None},
    "password_empty": {"password": b""},
    "password_15": {"password": bytes(15)},
    "password_17": {"password": bytes(17)},
    "password_1000": {"password": bytes(1000)},
    "without_read_only": {"read_only": b""},
    "read_only": {"read_only": b"\1"},
    "read_only_255": {"read_only": b"\xff"},
    "trailing_bytes": {"read_only": b"\0abc"},
    "unknown_session": {"session": 0x1234},
    "negative_session": {"session": -1},
    "session_without_password": {"session": 0x1234, "password": None},
    "unknown_session_without_read_only": {"session": 0x1234, "read_only": b""},
}.items():
    connect_case(name_, **options_)


@case()
def connect_zxid_ahead(t):
    link = Connection(t.twin)
    link.connect(zxid=1 << 50)
    t.need(link.closed, "no answer")
    link.drop()


@case()
def connect_zxid_just_ahead(t):
    t.make()
    zxid = t.twin.views[1].zxid - t.twin.views[1].base
    for ahead in (0, 5):  # The make's own session has been closed with one zxid more.
        link = Connection(t.twin)
        link.connect(zxid=zxid + ahead)
        if not link.closed:
            link.end()
        link.drop()


@case()
def connect_cut(t):
    whole = zk.connect_frame()
    for size in range(len(whole) - 1):
        link = Connection(t.twin)
        link.raw(zk.frame(whole[:size]))
        link.gather(f"{size} bytes of a connect request", until_closed=True)
        link.drop()


@case()
def connect_password_lengths(t):
    for length in (-2, -0x80000000, 0x7FFFFFFF, 100):
        link = Connection(t.twin)
        link.raw(zk.frame(I(0) + L(0) + I(30000) + L(0) + I(length) + bytes(17)))
        link.gather(f"a password of {length}", until_closed=True)
        link.drop()


@case()
def connect_foreign_protocols(t):
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x00", b"SSH-2.0-x\r\n"):
        link = Connection(t.twin)
        link.raw(data)
        link.gather(f"{data!r}", until_closed=True)
        link.drop()


@case()
def connect_frame_too_long(t):
    link = Connection(t.twin)
    link.raw(I(1048576))
    link.gather("too long", until_closed=True)
    link.drop()


@case()
def connect_byte_by_byte(t):
    link = Connection(t.twin)
    frame = zk.frame(zk.connect_frame())
    for byte in frame[:-1]:
        for side in link.sides:
            side.send(bytes([byte]))
    for side in link.sides:
        side.pending.append((0, "connect"))
        side.send(frame[-1:])
    heard = [link._hear_connect(side, False) for side in link.sides]
    t.twin.same("connect", *heard)
    for byte in zk.frame(I(1) + I(3) + S("/") + Z(0)):
        for side in link.sides:
            side.send(bytes([byte]))
    link.raw(b"", [(1, 3)])
    link.gather("exists")
    link.end()


@case()
def connect_twice(t):
    """On a living session it is a request of operation 0."""
    link = t.open()
    link.raw(zk.frame(zk.connect_frame()), [(0, 0)])
    link.gather("a second connect request", until_closed=True)


@case()
def connect_with_requests_behind(t):
    """Clients send auth and setWatches behind the connect request without waiting."""
    root = t.make()
    link = Connection(t.twin)
    more = zk.frame(I(1) + I(3) + S(root) + Z(0)) + zk.frame(I(2) + I(1) + zk.create_body(root + "/a"))
    for side in link.sides:
        side.pending.extend([(0, "connect"), (1, 3), (2, 1)])
        side.send(zk.frame(zk.connect_frame()) + more)
    heard = [link._hear_connect(side, False) for side in link.sides]
    t.twin.same("connect", *heard)
    link.gather("what came behind it")
    link.end()


def resume_case(name, password, **options):
    @case(name=f"resume_{name}")
    def run(t):
        root = t.make()
        link = t.open()
        link.ask(*create(root + "/e", flags=1))
        again = Connection(t.twin)
        again.connect(sessions=[(s, password(p)) for s, p in link.sessions], **options)
        if again.closed:
            link.ask(*exists(root + "/e"))
        else:
            link.gather("the first connection", until_closed=True)
            link.drop()
            again.ask(*exists(root + "/e"))
            again.ask(*ephemerals("/"))
            again.end()
        again.drop()


def stranger_case(name, password, **options):
    """docs/compatibility.md: at Apache's server a wrong password hangs up on the session's own connection."""

    @case(name=f"accepted_resume_{name}")
    def run(t):
        root = t.make()
        link = t.open()
        link.ask(*create(root + "/e", flags=1))
        sessions = link.sessions
        again = Connection(t.twin)
        again.connect(sessions=[(s, password(p)) for s, p in sessions], **options)
        t.need(again.closed, "the stranger is refused")
        again.drop()
        ours, theirs = t.both(link, *exists(root + "/e"))
        t.accepted("a stranger does not disturb a session", [e[0] for e in ours], ["reply"], theirs, [("closed",)])
        link.drop()
        back, _ = t.twin.resume(sessions)
        back.ask(*exists(root + "/e"))


resume_case("right", lambda p: p)
resume_case("other_timeout", lambda p: p, timeout=5000)
resume_case("timeout_0", lambda p: p, timeout=0)
resume_case("timeout_max", lambda p: p, timeout=0x7FFFFFFF)
resume_case("without_read_only", lambda p: p, read_only=b"")
resume_case("zxid_ahead", lambda p: p, zxid=1 << 50)
stranger_case("wrong_password", lambda p: bytes(16))
stranger_case("null_password", lambda p: None)
stranger_case("empty_password", lambda p: b"")
stranger_case("short_password", lambda p: p[:15])
stranger_case("long_password", lambda p: p + b"\0")
stranger_case("one_bit_wrong", lambda p: bytes([p[0] ^ 1]) + p[1:])
stranger_case("wrong_password_without_read_only", lambda p: bytes(16), read_only=b"")


@case()
def resume_after_a_break(t):
    root = t.make()
    link = t.open()
    link.ask(*create(root + "/e", flags=1))
    link.ask(*get(root, 1))
    sessions = link.sessions
    link.drop()
    again, _ = t.twin.resume(sessions)
    again.ask(*exists(root + "/e"))
    again.ask(*put(root))
    again.ask("checkWatches", S(root) + I(3))


@case()
def resume_three_times(t):
    link = t.open()
    for _ in range(3):
        again, _ = t.twin.resume(link.sessions)
        link.gather("the one before", until_closed=True)
        link.drop()
        link = again
    link.ask(*exists("/"))


@case()
def resume_of_a_closed_session(t):
    link = t.open()
    link.ask(*exists("/"))
    sessions = link.sessions
    link.end()
    again, heard = t.twin.resume(sessions)
    t.need(again.closed, "the session is gone")


@case()
def resume_of_an_expired_session(t):
    root = t.make()
    watching = t.open()
    link = t.open(timeout=1000)
    link.ask(*create(root + "/e", flags=1))
    watching.ask(*exists(root + "/e", 1))
    watching.ask(*children(root, 1))
    link.gather("the end of an idle session", until_closed=True)
    sessions = link.sessions
    link.drop()
    heard = t.fence()
    t.need(len(events(heard[0])) == 2, "the ephemeral is gone")
    again, _ = t.twin.resume(sessions)
    t.need(again.closed, "the session is gone")


@case()
def expiry_without_a_connection(t):
    """The connection breaks and nobody comes back: the watch on its ephemeral fires."""
    root = t.make()
    watching = t.open()
    link = t.open(timeout=1000)
    link.ask(*create(root + "/e", flags=1))
    watching.ask(*exists(root + "/e", 1))
    link.drop()
    watching.hear_event("the ephemeral's end")
    watching.ask(*exists(root + "/e"))


@case()
def expiry_frees_ephemerals_and_their_parents(t):
    root = t.make()
    watching = t.open()
    link = t.open(timeout=1000)
    link.ask(*create(root + "/p"))
    link.ask(*create(root + "/p/e", flags=1))
    watching.ask(*children(root + "/p", 1))
    watching.ask(*delete(root + "/p"))
    link.drop()
    watching.hear_event("the ephemeral's end")
    watching.ask(*exists(root + "/p"))
    watching.ask(*delete(root + "/p"))


def outlives_a_silent_one(t, turn):
    """A session that asks does. False: it could not ask in time, and what became of it says nothing."""
    root = t.make(turn)
    watchers = {name: t.open() for name in ("/alive", "/clock")}
    alive, clock = t.open(timeout=1500), t.open(timeout=1500)
    heard, gap_s = time.monotonic(), 0
    try:
        for link, (name, watcher) in zip((alive, clock), watchers.items()):
            link.ask(*create(root + name, flags=1))
            watcher.ask(*exists(root + name, 1))
        clock.drop()
        is_there = True
        while is_there:
            t.twin.pause()
            is_there = errors(alive.ask(*exists(root + "/clock"))) == [0]
            now = time.monotonic()
            heard, gap_s = now, max(gap_s, now - heard)
        alive.ask(*create(root + "/still", flags=1))
    except Difference:
        if max(gap_s, time.monotonic() - heard) < 0.75:
            raise
        alive.drop()
        for name, watcher in watchers.items():
            watcher.hear_event(f"the end of {name}")
        return False
    return True


@case()
def requests_keep_a_session(t):
    """Longer than its timeout: the other session's expiry is the clock."""
    turn = 0
    while not outlives_a_silent_one(t, turn):
        turn += 1


@case()
def closeSession_takes_ephemerals(t):
    root = t.make()
    watching, link = t.open(), t.open()
    for at in range(5):
        link.ask(*create(f"{root}/e{at}", flags=1))
    link.ask(*create(root + "/s-", flags=3))
    link.ask(*create(root + "/stays"))
    watching.ask(*add_watch(root, 1))
    watching.ask(*children(root, 1))
    link.end()
    heard = t.fence()
    t.need(len(events(heard[0])) >= 7, "every ephemeral's end is heard")
    t.dump(root)


@case()
def closeSession_with_own_watches(t):
    root = t.make()
    link = t.open()
    link.ask(*create(root + "/e", flags=1))
    link.ask(*exists(root + "/e", 1))
    link.ask(*children(root, 1))
    link.end()


@case()
def closeSession_with_a_body(t):
    link = t.open()
    link.add("closeSession", b"junk")
    link.gather("closeSession", until_closed=True)


@case()
def closeSession_behind_creates(t):
    root = t.make()
    link = t.open()
    for at in range(5):
        link.add(*create(f"{root}/e{at}", flags=1))
    link.add(*delete(f"{root}/e0"))
    link.add("closeSession")
    link.gather("creates, then closeSession", until_closed=True)
    t.dump(root)


@case()
def closeSession_behind_a_multi(t):
    root = t.make()
    link = t.open()
    link.add(*multi(create(root + "/e1", flags=1), create(root + "/e2", flags=1), delete(root + "/e1")))
    link.add("closeSession")
    link.gather("multi, then closeSession", until_closed=True)
    t.dump(root)


@case()
def ephemerals_are_the_sessions(t):
    root = t.make()
    one, two = t.open(), t.open()
    one.ask(*create(root + "/e", flags=1))
    two.ask(*ephemerals("/"))
    two.ask(*exists(root + "/e"))
    two.ask(*put(root + "/e", b"x"))
    two.ask(*delete(root + "/e"))
    two.ask(*create(root + "/e", flags=1))
    one.ask(*ephemerals("/"))
    one.end()
    two.ask(*exists(root + "/e"))


@case()
def ephemeral_replaced_by_a_plain_one(t):
    root = t.make()
    link = t.open()
    link.ask(*create(root + "/e", flags=1))
    link.ask(*delete(root + "/e"))
    link.ask(*create(root + "/e"))
    link.ask(*ephemerals("/"))
    link.end()
    t.dump(root)


@case()
def pipelined_in_one_packet(t):
    root = t.make()
    link = t.open()
    for request in (
        create(root + "/p"),
        put(root + "/p", b"x", 0),
        get(root + "/p"),
        ("ping", b""),
        ("sync", S(root)),
        delete(root + "/p", 1),
        exists(root + "/p"),
        delete(root + "/p"),
        WHO,
        create(root + "/s-", flags=2),
        children(root),
    ):
        link.add(*request)
    link.gather("eleven requests at once")


@case()
def pipelined_reads_between_writes(t):
    """Each read shows the writes before it and none behind it, and tells the zxid of then."""
    root = t.make()
    link = t.open()
    for at in range(200):
        link.add(*put(root, str(at).encode()))
        link.add(*get(root, at % 3 == 0))
        if at % 5 == 0:
            link.add(*create(f"{root}/n{at}"))
            link.add("getAllChildrenNumber", S(root))
    link.gather("many requests at once")


@case()
def pipelined_errors_keep_the_order(t):
    root = t.make()
    link = t.open()
    for at in range(50):
        link.add(*create(root + "/a"))
        link.add("create", b"\0")
        link.add("exists", b"\0")
        link.add("reconfig", b"")
        link.add(*delete(root + "/none"))
        link.add("ping", b"", xid=-2)
    link.gather("many errors at once")
