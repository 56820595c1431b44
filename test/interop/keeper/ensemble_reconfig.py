"""Members that leave, come back, stop voting, move and lose the lead while the ensemble runs: leaders and followers of either kind."""

import contextlib
import socket
import struct

from harness import places
from harness.ensemble import Ensemble
from harness.process import Failure
from harness.session import SEQUENTIAL, Session, bytes_at
from harness.zk import OPS, SESSION_MS, S

OURS, THEIRS = places.target(), "apache"
BAD_VERSION, BAD_ARGUMENTS, NO_QUORUM = -103, -8, -13


def line(e, number, role="participant"):
    member = e.members[number]
    return f"server.{number}=127.0.0.1:{member.quorum}:{member.election}:{role};127.0.0.1:{member.port}"


def ask(session, joining=None, leaving=None, members=None, version=-1):
    """The new text, or the code."""
    code, reply = session.ask_full(OPS["reconfig"], S(joining) + S(leaving) + S(members) + struct.pack(">q", version))
    return code if code else bytes_at(reply)[0].decode()


def change(t, e, through, what, **wanted):
    """Asks through a member, and waits until all that run show the same members."""
    with e.session(through) as session:
        text = ask(session, **wanted)
    t.check(isinstance(text, str), f"{e.name}: {what}", f"code {text}")
    if isinstance(text, str):
        wait_shown(t, e, text, what)
    return text


def shown(e, number):
    with e.session(number) as session:
        session.sync()
        return session.get("/zookeeper/config")[0].decode()


def lines(text):
    return sorted(text.split("\n"))


def wait_shown(t, e, text, what):
    for number in e.up():
        t.wait_until(lambda: lines(shown(e, number)) == lines(text), f"{e.name}: {what}: {number} ({e.kind(number)}) shows it", 30)


def refusals(t, e, number):
    """Codes that a client gets through this member."""
    with e.session(number) as session:
        where = f"{e.name}: through {number} ({e.kind(number)})"
        t.equal(ask(session, leaving="1", version=5), BAD_VERSION, f"{where}: another version")
        t.equal(ask(session, leaving="1,2,3"), BAD_ARGUMENTS, f"{where}: one voter left")
        if e.kind(e.leader()) == OURS:  # Apache's leader lets loopback addresses pass; with others it says the same.
            t.equal(ask(session, joining=line(e, 1).replace("server.1", "server.9")), BAD_ARGUMENTS, f"{where}: addresses of another")
        t.equal(ask(session, joining="server.9=127.0.0.1:1:2"), BAD_ARGUMENTS, f"{where}: no client port")
        t.equal(ask(session, joining="server.9"), BAD_ARGUMENTS, f"{where}: no server line")
        t.equal(ask(session, members="server.7=127.0.0.1:1:2;3,server.8=127.0.0.1:4:5;6"), NO_QUORUM, f"{where}: nobody is there")


def write(t, e, name):
    with e.session(e.leader()) as session:
        session.create(f"/{name}")
    e.check_same(name)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except ConnectionRefusedError:
        return False


def move(t, e, through, number):
    """Its port for clients and that for elections: the old ones close, and who is connected stays."""
    member = e.members[number]
    where = f"{e.name}: {number} ({e.kind(number)}) moves"
    session = e.open(number)
    old = member.port, member.election
    member.port, member.election = t.port(), t.port()
    change(t, e, through, f"{number} moves", joining=line(e, number))
    for port in old:
        t.wait_until(lambda: not listens(port), f"{where}: nobody listens where it was", 30)
    t.wait_until(lambda: listens(member.election), f"{where}: it listens for elections", 30)
    session.create(f"/moved-{number}")  # Over the connection of before.
    e.move(session, number)
    t.check(session.exists(f"/moved-{number}"), f"{where}: the session goes on at the new port")
    session.end()
    write(t, e, f"{number}-moved")


def move_lead(t, e):
    """A leader with another quorum port is another leader: there is an election, and nothing else."""
    first = e.leader()
    epoch = e.zxid(first) >> 32
    e.members[first].quorum = t.port()
    session = e.open(first)
    try:
        text = ask(session, joining=line(e, first))
        t.check(isinstance(text, str), f"{e.name}: the leader's quorum port changes", f"code {text}")
    except Failure:
        t.say(f"{e.name}: the leader did not wait to answer")
    session.close()

    def has_begun():
        leader = e.leader()
        try:
            with contextlib.closing(Session(e.port(leader), SESSION_MS)) as opened:
                return opened.open() and opened.create("/epoch", flags=SEQUENTIAL)[1].czxid >> 32 > epoch
        except (Failure, KeyError):  # Nobody leads, or the old one still does.
            return False

    t.wait_until(has_begun, f"{e.name}: a leader of another epoch", 60)
    e.wait_serving()
    write(t, e, "leads-elsewhere")


def run(t, kinds, name):
    e = Ensemble(t, kinds, name=name, reconfigEnabled="true", skipACL="yes", standaloneEnabled="true")
    e.start_led_by(4)
    for number in e.members:
        refusals(t, e, number)
    write(t, e, "before")

    change(t, e, 2, "1 leaves", leaving="1")
    write(t, e, "without-1")
    change(t, e, 3, "1 is back", joining=line(e, 1))
    e.wait_serving(1)
    write(t, e, "with-1")
    change(t, e, 4, "2 observes", joining=line(e, 2, "observer"))
    e.members[2].is_observer = True
    e.wait_serving()
    write(t, e, "2-observes")

    for number in (1, 3, 4):
        move(t, e, 4 if number == 1 else 1, number)

    t.say(f"{name}: all are stopped and read their members from their files")
    text = shown(e, 1)
    e.stop_all()
    e.start()
    wait_shown(t, e, text, "after a restart")
    write(t, e, "restarted")

    change(t, e, 3, "2 votes again", joining=line(e, 2))
    e.members[2].is_observer = False
    e.wait_serving()
    write(t, e, "2-votes")

    move_lead(t, e)

    first = e.leader()
    session = e.open(first)
    try:
        text = ask(session, leaving=str(first))
        t.check(isinstance(text, str), f"{name}: the leader is sent away", f"code {text}")
    except Failure:
        t.say(f"{name}: the old leader did not wait to answer")
    session.close()
    t.wait_until(lambda: e.leader() not in (None, first), f"{name}: another one leads", 60)
    e.stop(first)
    e.wait_serving()
    write(t, e, "another-leads")
    e.stop_all()


def case(t):
    for name, kinds in {"apache-led": (OURS, OURS, THEIRS, THEIRS), "ours-led": (OURS, THEIRS, THEIRS, OURS),
                        "ours-alone": (OURS, OURS, OURS, OURS)}.items():
        with t.part(name):
            run(t, kinds, name)
