"""A member without a leader that serves readers (readonlymode.enabled): whom it lets in, what it answers, what it says of itself and when it
ends, ours beside Apache's."""

import http.client
import json
import re
import struct
import time

from harness import link, places, probe
from harness.ensemble import Ensemble
from harness.process import patient
from harness.zk import L, OPS, SESSION_MS, S as text, connect_frame, create_body, multi

ALONE, LEADER = 1, 3
SILENT_MS = 10000
READ_ONLY, WRITER, OLD = b"\1", b"\0", b""
NEVER = (0, bytes(16))

# Behind a read-only session, which goes on.
REQUESTS = {
    "exists": ("exists", text("/a") + b"\1"),
    "exists of nothing": ("exists", text("/b") + b"\1"),
    "getData": ("getData", text("/a") + b"\1"),
    "getChildren": ("getChildren", text("/a") + b"\1"),
    "getACL": ("getACL", text("/a")),
    "multiRead": ("multiRead", multi((OPS["getData"], text("/a") + b"\0"))),
    "getEphemerals": ("getEphemerals", text("/")),
    "addWatch": ("addWatch", text("/a") + struct.pack(">i", 0)),
    "setWatches": ("setWatches", L(0) + 3 * struct.pack(">i", 0)),
    "create": ("create", create_body("/b")),
    "create of an ephemeral": ("create", create_body("/b", 1)),
    "create2": ("create2", create_body("/b")),
    "createContainer": ("createContainer", create_body("/b", 4)),
    "createTTL": ("createTTL", link.create_ttl("/b", 1000)),
    "delete": ("delete", link.versioned("/a")),
    "setData": ("setData", link.set_data("/a", "x")),
    "setACL": ("setACL", link.set_acl("/a", link.OPEN)),
    "multi": ("multi", multi((OPS["check"], link.versioned("/a")))),
    "reconfig": ("reconfig", 3 * text("") + L(-1)),
    "sync": ("sync", text("/a")),
    "setData of nothing": ("setData", b""),
}


def start(t, kind, name):
    """Of three members only the one that is ALONE is left."""
    switch = {"readonlymode.enabled": "true"}
    # Apache's has no use of read-only mode without local sessions.
    e = Ensemble(t, [kind] * 3, name=name, doors=True, properties=switch, **switch, localSessionsEnabled="true",
                 localSessionsUpgradingEnabled="true")
    e.start_led_by(LEADER)
    return e


def is_in(e, read_only, session=NEVER, zxid=0, timeout_ms=SESSION_MS):
    """The link, and the answer without what is the session's own; the link is None when there is none."""
    peer = link.Link(e.port(ALONE))
    peer.send(connect_frame(zxid=zxid, timeout=timeout_ms, session=session[0], password=session[1], read_only=read_only))
    answer = peer.receive()
    if answer is None:
        return None, "closed"
    version, timeout, peer.session = struct.unpack_from(">iiq", answer)
    peer.password = answer[20:36]
    return peer, (version, timeout, peer.session != 0, answer[36:])


def answer(peer, name):
    """Code and body, or what the reply says of the header; times and ids are left out."""
    op, body = REQUESTS[name]
    peer.request(OPS[op], body)
    reply = peer.receive()
    if reply is None:
        return "closed"
    xid, zxid, code = struct.unpack_from(">iqi", reply)
    size = len(reply) - 16
    return xid, zxid >> 32, code, size, reply[16:] if name in ("getChildren", "multi", "create") else None


def isolate(t, e):
    """A session of the time before; then the time until readers are served."""
    with e.session(ALONE) as session:
        session.create("/a", b"data")
        e.wait_same_zxid()
    peer = link.opened(e.port(ALONE))
    peer.ask(link.CREATE, link.create("/ephemeral", b"", 1))  # A session of all servers.
    session = peer.session, peer.password
    e.wait_same_zxid()
    began = time.monotonic()
    for number in (2, LEADER):
        e.kill(number)
    t.wait_until(lambda: probe.words(e.port(ALONE), "isro") == "ro", f"{e.name}: is read-only", 60)
    took = time.monotonic() - began
    t.check(1.5 < took < patient(30), f"{e.name}: it waits for a leader first", f"{took:.1f} s")
    t.check(peer.is_closed(), f"{e.name}: the connection of before is gone")
    return session


def handshakes(e, session):
    """Who is let in."""
    unknown = session[0] + 0x1000
    return {
        "a writer": is_in(e, WRITER)[1],
        "an old client": is_in(e, OLD)[1],
        "a reader that has seen more": is_in(e, READ_ONLY, zxid=1 << 60)[1],
        "a reader with a session of all servers": is_in(e, READ_ONLY, session)[1],
        "a reader with a session of nobody": is_in(e, READ_ONLY, (unknown, bytes(16)))[1],
        "a reader": is_in(e, READ_ONLY)[1],
    }


def life(e):
    """What becomes of a session."""
    told = {}
    peer, _ = is_in(e, READ_ONLY)
    for name in REQUESTS:
        told[name] = answer(peer, name)
    peer.request(link.PING, b"", -2)
    told["ping"] = peer.reply()
    again, told["it moves to another connection"] = is_in(e, READ_ONLY, (peer.session, peer.password))
    told["the first connection"] = peer.is_closed()
    again.request(link.CLOSE)
    told["close"] = again.reply()
    told["behind close"] = again.is_closed()
    told["it is gone"] = is_in(e, READ_ONLY, (peer.session, peer.password))[1]
    return told


def expiry(e):
    """Nothing is heard of it any more."""
    began = time.monotonic()
    peer, _ = is_in(e, READ_ONLY, timeout_ms=SILENT_MS)
    peer.socket.settimeout(patient(60))
    closed = peer.is_closed()
    took = time.monotonic() - began
    return closed, SILENT_MS / 1000 - 0.1 < took < SILENT_MS / 1000 + patient(30), is_in(e, READ_ONLY, (peer.session, peer.password))[1]


def said(e, word):
    return re.sub(r"\b\d+\b", "N", probe.words(e.port(ALONE), word) or "")


def check_words(t, ours, apache):
    for word in ("isro", "ruok"):
        t.equal(said(ours, word), said(apache, word), f"the word {word}")
    for word in ("srvr", "stat", "conf", "mntr"):
        seen, expected = ([line for line in said(e, word).splitlines()
                           if re.match("READ-ONLY|Mode|Node count|zk_server_state|zk_peer_state|membership|peerType|electionPort", line)]
                          for e in (ours, apache))
        t.equal(sorted(seen), sorted(expected), f"the word {word}")
    seen, expected = ({re.split(r"[:=\t]", line)[0] for word in ("srvr", "conf", "mntr") for line in said(e, word).splitlines()}
                      for e in (ours, apache))
    t.equal([sorted(seen - expected), sorted(name for name in expected - seen if not re.search("per_namespace|handler_qp", name))],
            [[], []], "the names in words")
    for e in (ours, apache):
        t.equal(is_read_only(e), True, f"{e.name}: the page is_read_only")


def is_read_only(e):
    connection = http.client.HTTPConnection("127.0.0.1", e.members[ALONE].admin, timeout=patient(20))
    connection.request("GET", "/commands/is_read_only")
    return json.loads(connection.getresponse().read())["read_only"]


def ends(t, e):
    """A leader is found."""
    peer, _ = is_in(e, READ_ONLY)
    e.launch(2)
    t.check(peer.is_closed(), f"{e.name}: a reader's connection is closed when there is a leader")
    e.wait_serving(ALONE, 2)
    t.equal(probe.words(e.port(ALONE), "isro"), "rw", f"{e.name}: it is not read-only any more")
    t.equal(is_in(e, READ_ONLY, (peer.session, peer.password))[1][2], False, f"{e.name}: nobody knows the reader's session")
    writer, seen = is_in(e, READ_ONLY)
    t.equal(seen[3], b"\0", f"{e.name}: a new session of a reader may write")
    t.equal(writer.ask(link.CREATE, link.create("/after")), 0, f"{e.name}: and does")


def case(t):
    ours, apache = start(t, places.target(), "ours"), start(t, "apache", "apache")
    sessions = {e: isolate(t, e) for e in (ours, apache)}
    seen, expected = (handshakes(e, sessions[e]) for e in (ours, apache))
    for name in expected:
        t.equal(seen[name], expected[name], f"who is let in: {name}")
    seen, expected = life(ours), life(apache)
    for name in expected:
        t.equal(seen[name], expected[name], f"a reader's session: {name}")
    t.equal(expiry(ours), expiry(apache), "a reader that falls silent")
    check_words(t, ours, apache)
    for e in (ours, apache):
        ends(t, e)
