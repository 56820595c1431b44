"""Sessions that only their own member knows (localSessionsEnabled), and what makes them sessions of all members: what a client sees of
them through a follower and through the leader, in ensembles of ours and Apache's mixed, beside Apache's alone."""

import contextlib
import http.client
import json
import re
import struct
import time

from harness import link, places, probe
from harness.ensemble import Ensemble
from harness.process import patient
from harness.zk import I, L, OPS, SESSION_MS, S as text, Z, connect_frame, create_body, multi, strings

FOLLOWER, OTHER, LEADER = 1, 2, 3
THROUGH = {FOLLOWER: "a follower", LEADER: "the leader"}
SILENT_MS = 2000
EPHEMERAL, SEQUENTIAL = 1, 3

# Each is asked of a session of its own, with the znode /a there; what it was told, and how many transactions it took.
REQUESTS = {
    "exists": ("exists", text("/a") + Z(1)),
    "getData": ("getData", text("/a") + Z(0)),
    "getEphemerals": ("getEphemerals", text("/")),
    "addWatch": ("addWatch", text("/a") + I(0)),
    "setWatches": ("setWatches", L(0) + strings("/a") + strings() + strings("/")),
    "sync": ("sync", text("/a")),
    "create": ("create", create_body("/b")),
    "create again": ("create", create_body("/a")),
    "createContainer": ("createContainer", create_body("/b", 4)),
    "createContainer with the flag of ephemerals": ("createContainer", create_body("/b", EPHEMERAL)),
    "createTTL": ("createTTL", link.create_ttl("/b", 1000)),
    "createTTL with the flag of ephemerals": ("createTTL", link.create_ttl("/b", 1000, EPHEMERAL)),
    "setData": ("setData", link.set_data("/a", "x")),
    "setACL": ("setACL", link.set_acl("/a", link.OPEN)),
    "delete": ("delete", link.versioned("/b")),
    "check": ("multi", multi((OPS["check"], link.versioned("/a")))),
    "reconfig": ("reconfig", 3 * text("") + L(-1)),
    "ephemeral": ("create", create_body("/b", EPHEMERAL)),
    "ephemeral with a number": ("create2", create_body("/b", SEQUENTIAL)),
    "ephemeral that is there": ("create", create_body("/a", EPHEMERAL)),
    "ephemeral without a parent": ("create", create_body("/c/d", EPHEMERAL)),
    "ephemeral with a bad path": ("create", create_body("b", EPHEMERAL)),
    "create with unknown flags": ("create", create_body("/b", 99)),
    "multi": ("multi", multi((OPS["create"], create_body("/b")), (OPS["setData"], link.set_data("/b", "x")))),
    "multi with an ephemeral": ("multi", multi((OPS["create"], create_body("/b")), (OPS["create"], create_body("/e", EPHEMERAL)))),
    "multi with an ephemeral that fails": ("multi", multi((OPS["create"], create_body("/e", EPHEMERAL)), (OPS["create"], create_body("/a")))),
    "multi with an ephemeral by createContainer": ("multi", multi((OPS["createContainer"], create_body("/e", EPHEMERAL)))),
    "multi with an ephemeral by createTTL": ("multi", multi((OPS["createTTL"], link.create_ttl("/e", 1000, EPHEMERAL)))),
    # What Apache's leader has begun to unpack before its client's session was looked at, it does not unpack again: it does
    # as much of it as it understood.
    "multi with unknown flags and an ephemeral": ("multi", multi((OPS["create"], create_body("/b", 99)),
                                                                 (OPS["create"], create_body("/e", EPHEMERAL)))),
    "multi cut short": ("multi", multi((OPS["create"], create_body("/e", EPHEMERAL)))[:-9]),
    "multi without parts": ("multi", multi()),
}


def start(t, kinds, name, upgrades):
    e = Ensemble(t, kinds, name=name, doors=True, localSessionsEnabled="true", localSessionsUpgradingEnabled=str(upgrades).lower())
    e.start_led_by(LEADER)
    return e

HALF_DONE = ("multi with unknown flags and an ephemeral", "multi cut short")


# What servers say of sessions.


def figures(e, number):
    """Of local sessions, and of those of all members."""
    said = dict(re.findall(r"zk_(local|global)_sessions\t(\d+)", probe.words(e.port(number), "mntr") or ""))
    return int(said.get("local", -1)), int(said.get("global", -1))


def dump(e, number):
    """Its lines about sessions, without ids and times, and without the times at which none ends any more."""
    said = (probe.words(e.port(number), "dump") or "").split("Connections dump")[0]
    said = re.sub(r"0 expire at .*\n", "", re.sub(r"Sets \(\d+\)", "Sets (N)", said))
    return re.sub(r"0x[0-9a-f]+", "ID", re.sub(r"(expire at ).*:", r"\1TIME:", said)).splitlines()


def page(e, number):
    """The same by the admin server: what is owned; and how many sessions end at one time, but of the leader: Apache's shows a local
    one only as long as none of the others was to end at that time."""
    connection = http.client.HTTPConnection("127.0.0.1", e.members[number].admin, timeout=patient(20))
    connection.request("GET", "/commands/dump")
    said = json.loads(connection.getresponse().read())
    connection.close()
    due = sorted(len(ids) for ids in said["expiry_time_to_session_ids"].values() if ids)
    return None if number == LEADER else due, sorted(said["session_id_to_ephemeral_paths"].values())


def zxid(e):
    """When all members have applied the same."""
    def same():
        seen = {e.zxid(number) for number in e.members}
        return seen.pop() if len(seen) == 1 else None

    return e.t.wait_until(same, f"{e.name}: zxids", 20)


def spent(e, act):
    """What it says, and how many transactions there were meanwhile."""
    before = zxid(e)
    told = act()
    return told, zxid(e) - before


# Sessions.


def connected(e, number, session=0, password=bytes(16), timeout_ms=SESSION_MS):
    """The link, with the timeout that it was granted; 0 says that there is no such session."""
    peer = link.Link(e.port(number))
    peer.socket.settimeout(patient(30))
    peer.send(connect_frame(timeout=timeout_ms, session=session, password=password))
    answer = peer.receive()
    _, peer.granted, peer.session = struct.unpack_from(">iiq", answer)
    peer.password = answer[20:36]
    return peer


def again(e, number, peer):
    return connected(e, number, peer.session, peer.password)


def is_there(e, path):
    """After a sync, as another client sees it through another member."""
    with contextlib.closing(connected(e, OTHER)) as peer:
        peer.ask(OPS["sync"], text(path))
        code = peer.ask(OPS["exists"], text(path) + Z(0))
        peer.ask(link.CLOSE)
        return code == 0


def answer(peer, name):
    op, body = REQUESTS[name]
    peer.request(OPS[op], body)
    seen = peer.reply()
    return seen and (seen[0], len(seen[1]), seen[1] if op == "multi" and seen[0] == 0 and len(seen[1]) < 60 else None)


def requests(t, e, number):
    """A request alone of each kind: what comes back, what it costs, what becomes of the session and its znodes."""
    told = {}
    for name in REQUESTS:
        peer = connected(e, number)
        before = figures(e, number)
        told[name] = spent(e, lambda: answer(peer, name))
        told[f"{name}: local sessions and others"] = [now - then for now, then in zip(figures(e, number), before)]
        told[f"{name}: the end of its session"] = spent(e, lambda: peer.ask(link.CLOSE))
        told[f"{name}: behind it"] = peer.is_closed()
        told[f"{name}: its znodes"] = [path for path in ("/b", "/e") if is_there(e, path)]
        with contextlib.closing(connected(e, LEADER)) as other:
            for path in ("/b", "/e"):
                other.ask(link.DELETE, link.versioned(path))
            other.ask(link.CLOSE)
    return told


def local_life(t, e, number):
    """A session that stays what it is."""
    told = {}
    (peer, told["a session's transactions"]) = spent(e, lambda: connected(e, number))
    told["the timeout"] = peer.granted
    told["whose id it has"] = peer.session >> 56
    told["figures of its member and of another"] = figures(e, number), figures(e, OTHER)
    told["dump"], told["the page dump"] = dump(e, number), page(e, number)
    peer.request(link.PING, b"", -2)
    told["ping"] = peer.reply()[0]
    told["ephemerals"] = peer.ask(OPS["getEphemerals"], text("/"))
    moved = again(e, number, peer)
    told["it moves to another connection"] = moved.granted, moved.session == peer.session, peer.is_closed()
    told["and writes"] = moved.ask(link.SET, link.set_data("/a", "y"))
    away = again(e, OTHER, moved)
    told["it moves to another member"] = away.granted, away.session, away.password, away.is_closed()
    told["meanwhile"] = moved.ask(link.SET, link.set_data("/a", "z"))
    told["its end"] = spent(e, lambda: (moved.ask(link.CLOSE), moved.is_closed()))
    told["when it has ended"] = again(e, number, moved).granted
    other = connected(e, number)
    wrong = connected(e, number, other.session, bytes(16))
    told["without its password"] = wrong.granted, wrong.is_closed()
    again(e, number, other).ask(link.CLOSE)  # Apache's has closed the owner's connection, too.
    return told


def pipelined(t, e, number):
    """All at once; then the session is everybody's, or was never."""
    told = {}
    peer = connected(e, number)
    for op, body in (("create", create_body("/p")), ("setData", link.set_data("/p", "1")), ("getData", text("/p") + Z(0)),
                     ("create", create_body("/p/e", EPHEMERAL)), ("getEphemerals", text("/")), ("sync", text("/p")),
                     ("exists", text("/p/e") + Z(0)), ("delete", link.versioned("/p/e")), ("delete", link.versioned("/p")),
                     ("exists", text("/p") + Z(0)), ("closeSession", b"")):
        peer.request(OPS[op], body)
    told["all at once"] = [peer.reply()[0] for _ in range(11)], peer.is_closed()
    return told


def expiry(t, e, number):
    """Nothing is heard of it any more."""
    began = time.monotonic()
    peer = connected(e, number, timeout_ms=SILENT_MS)
    closed, cost = spent(e, peer.is_closed)
    took = time.monotonic() - began
    return {"falling silent": (closed, cost, SILENT_MS / 1000 - 0.1 < took < SILENT_MS / 1000 + patient(20), again(e, number, peer).granted)}


def upgraded_life(t, e, number):
    """A session that has become everybody's."""
    told = {}
    peer = connected(e, number)
    before = [figures(e, member) for member in e.members]
    told["its first ephemeral"] = spent(e, lambda: peer.ask(link.CREATE, create_body("/u", EPHEMERAL)))
    told["its second"] = spent(e, lambda: peer.ask(link.CREATE, create_body("/v", EPHEMERAL)))
    e.wait_same_zxid()
    told["figures"] = [[now - then for now, then in zip(figures(e, member), was)] for member, was in zip(e.members, before)]
    told["dump with a session of all"], told["and the page"] = dump(e, number), page(e, number)
    peer.request(OPS["getData"], text("/u") + Z(0))
    owner = struct.unpack_from(">q", peer.reply()[1], 4 + 44)[0]
    told["the owner"] = owner == peer.session
    peer.request(OPS["getEphemerals"], text("/"))
    told["its ephemerals"] = peer.reply()
    away = again(e, OTHER, peer)
    told["a session of all moves"] = away.granted, away.session == peer.session
    told["and writes there"] = away.ask(link.SET, link.set_data("/u", "y"))
    back = again(e, number, away)
    told["and back"] = back.granted, back.ask(link.DELETE, link.versioned("/v"))
    told["the end of a session of all"] = spent(e, lambda: back.ask(link.CLOSE)), back.is_closed()
    told["its znode"] = is_there(e, "/u")
    silent = connected(e, number, timeout_ms=SILENT_MS)
    silent.ask(link.CREATE, create_body("/w", EPHEMERAL))
    told["it falls silent"] = silent.is_closed()
    told["and its znode"] = is_there(e, "/w"), again(e, OTHER, silent).granted
    return told


def without_leader(t, e):
    """The leader dies: local sessions end with it, the others go on."""
    told = {}
    local, upgraded = connected(e, FOLLOWER), connected(e, FOLLOWER)
    told["before"] = local.ask(link.CREATE, create_body("/x")), upgraded.ask(link.CREATE, create_body("/y", EPHEMERAL))
    e.kill(LEADER)
    told["connections"] = local.is_closed(), upgraded.is_closed()
    e.wait_serving(FOLLOWER, OTHER)
    told["sessions"] = again(e, FOLLOWER, local).granted, again(e, FOLLOWER, upgraded).granted > 0
    told["znodes"] = is_there(e, "/x"), is_there(e, "/y")
    return told


def of_member(t, e, number, upgrades):
    with contextlib.closing(connected(e, LEADER)) as peer:
        peer.ask(link.CREATE, create_body("/a"))
        peer.ask(link.CLOSE)
    told = {}
    for part in (requests, local_life, pipelined, expiry) + ((upgraded_life,) if upgrades else ()):
        told.update(part(t, e, number))
    return told


def told_by(t, kinds, name, upgrades):
    e = start(t, kinds, name, upgrades)
    told = {number: of_member(t, e, number, upgrades) for number in THROUGH}
    told["the end"] = without_leader(t, e) if upgrades else {}
    e.stop_all()
    return told


def compare(t, seen, expected, what, is_leader_ours):
    for number in expected:
        for name in expected[number]:
            other = FOLLOWER if number == LEADER and name in HALF_DONE and is_leader_ours else number
            t.equal(seen[number].get(name), expected[other][name], f"{what}, through {THROUGH.get(number, number)}: {name}")


def alone(t, kind, name):
    """A server without an ensemble has no use of the setting: its sessions are transactions."""
    keeper = t.keeper(kind, name, localSessionsEnabled="true", localSessionsUpgradingEnabled="true")
    peer = link.opened(keeper.port)
    code = peer.ask(link.CREATE, create_body("/e", EPHEMERAL))
    said = dict(re.findall(r"zk_(local|global)_sessions\t(\d+)", probe.words(keeper.port, "mntr")))
    return code, said, re.search("Zxid: (.*)", probe.words(keeper.port, "srvr")).group(1)


def case(t):
    ours, theirs = places.target(), "apache"
    with t.part("alone"):
        t.equal(alone(t, ours, "alone-ours"), alone(t, theirs, "alone-apache"), "alone")
    for upgrades in (True, False):
        what = "upgrading" if upgrades else "local"
        expected = told_by(t, [theirs] * 3, f"{what}-apache", upgrades)
        for name, kinds in (("ours", [ours] * 3), ("led", [ours, ours, theirs]), ("leading", [theirs, theirs, ours])):
            with t.part(f"{what}-{name}"):
                compare(t, told_by(t, kinds, f"{what}-{name}", upgrades), expected, f"{what}, {'/'.join(kinds)}", kinds[-1] == "rookery")
