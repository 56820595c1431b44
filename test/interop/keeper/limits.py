"""The keeper at its limits, as a real process: many idle connections, a client that never reads, a full disk. Memory stays bounded, the answers are clear, others are served."""

import resource
import socket
import struct
import time

from harness import server
from harness.process import patient
from harness.zk import SESSION_MS

IDLE_COUNT = 10000


def connect(port, timeout_ms=SESSION_MS):
    peer = socket.create_connection(("127.0.0.1", port), patient(30))
    peer.sendall(struct.pack(">iiqiq", 45, 0, 0, timeout_ms, 0) + struct.pack(">i", 16) + b"\0" * 17)
    if len(peer.recv(41, socket.MSG_WAITALL)) != 41:
        raise OSError("no answer to the connect request")
    return peer


def send(peer, opcode, body):
    frame = struct.pack(">ii", 1, opcode) + body
    peer.sendall(struct.pack(">i", len(frame)) + frame)


def answer(peer):
    """The error code of a reply; None: the connection was closed."""
    head = b""
    while len(head) < 4:
        part = peer.recv(4 - len(head))
        if not part:
            return None
        head += part
    size = struct.unpack(">i", head)[0]
    reply = b""
    while len(reply) < size:
        part = peer.recv(size - len(reply))
        if not part:
            return None
        reply += part
    return struct.unpack(">i", reply[12:16])[0]


def ask(peer, opcode, body):
    send(peer, opcode, body)
    return answer(peer)


def text(value):
    return struct.pack(">i", len(value)) + value


def create(path, data):
    acl = struct.pack(">ii", 1, 31) + text(b"world") + text(b"anyone")
    return text(path) + text(data) + acl + struct.pack(">i", 0)


def exists(peer):
    return ask(peer, 3, text(b"/") + b"\0")


def a_server_that_stands_still(t):
    """Longer than a session's timeout: what clients sent meanwhile counts, and they get that time on top."""
    keeper = t.keeper(name="still", tickTime=500)
    talks, is_late, is_silent = (connect(keeper.port, 10000) for _ in range(3))
    keeper.freeze()
    time.sleep(12)
    send(talks, 3, text(b"/") + b"\0")
    keeper.thaw()
    t.equal(answer(talks), 0, "a client that has waited is answered")
    thawed = time.monotonic()
    while time.monotonic() < thawed + 1:  # Two ticks, at which sessions expire.
        exists(talks)
    t.equal(exists(talks), 0, "its session goes on")
    t.equal(exists(is_late), 0, "one that says something later is still there")
    is_silent.settimeout(patient(60))
    t.equal(is_silent.recv(1), b"", "one that says nothing is closed after a while")


def timed_ms(call):
    began = time.monotonic()
    call()
    return (time.monotonic() - began) * 1000


def many_idle_connections(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(IDLE_COUNT, hard - 200)
    t.check(count == IDLE_COUNT, "the system allows enough open files", f"only {hard}")
    keeper = t.keeper(name="idle", tickTime=2000)
    before = keeper.resident_mib()
    peers = [connect(keeper.port) for _ in range(count)]
    other = connect(keeper.port)
    took_ms = min(timed_ms(lambda: exists(other)) for _ in range(100))  # The others tell of the machine.
    after = keeper.resident_mib()
    t.say(f"{count} idle sessions: {before} to {after} MiB; a read takes {took_ms:.2f} ms")
    t.check(after - before < 60, "10,000 idle sessions take less than 60 MiB", after - before)
    t.check(took_ms < 100, "others are served at once", took_ms)
    for peer in peers:
        peer.close()
    t.wait_until(lambda: exists(other) == 0, "it serves after they have gone")
    other.close()
    keeper.stop()


def a_client_that_never_reads(t):
    keeper = t.keeper(name="deaf", tickTime=2000)
    peer = connect(keeper.port)
    other = connect(keeper.port)
    t.equal(ask(other, 1, create(b"/big", b"x" * 500000)), 0, "a large znode")
    peer.settimeout(1)
    body = struct.pack(">ii", 1, 4) + text(b"/big") + b"\0"
    frame = struct.pack(">i", len(body)) + body
    before = keeper.resident_mib()
    try:
        for _ in range(200000):
            peer.sendall(frame)
    except OSError:
        pass
    after = keeper.resident_mib()
    t.say(f"a client that never reads half a megabyte, many times: {before} to {after} MiB")
    t.check(after - before < 64, "what it does not read is not kept for it", after - before)
    t.equal(exists(other), 0, "others are served")
    peer.close()
    keeper.stop()


def a_full_disk(t):
    keeper = t.keeper(name="full", disk_mib=120, tickTime=2000, disk__reserveMb=16, preAllocSize=1024)
    peer = connect(keeper.port)
    code = 0
    created = 0
    while code == 0 and created < 4000:
        code = ask(peer, 1, create(b"/n%d" % created, b"x" * 50000))
        created += code == 0
    t.say(f"{created} znodes of 50 kB, then {code}")
    t.check(code not in (0, None), "writes are refused with an error before the disk is full", code)
    t.equal(exists(peer), 0, "reads go on")
    other = connect(keeper.port)
    t.equal(exists(other), 0, "a new session still opens")
    t.equal(ask(other, 2, text(b"/n0") + struct.pack(">i", -1)), 0, "a znode can be deleted")
    keeper.check_alive()
    keeper.stop()


def no_file_handle_left(t):
    """The limit is told at the start, and when it is reached; who is in is served, and so is the next one when some have gone."""
    keeper = server.keeper(t, t.target, "handles", t.directory / "handles", t.port(), tickTime=2000)
    keeper._command = ["prlimit", "--nofile=64:200", *keeper._command]
    keeper.start()
    said = keeper.process.path.with_suffix(".err")
    t.check("at most 200 files and connections can be open, and the configuration lets 50000 clients in" in said.read_text(),
            "the start tells the limit")
    first, peers = connect(keeper.port), []
    while len(peers) < 300 and "cannot accept" not in said.read_text():
        peers.append(socket.create_connection(("127.0.0.1", keeper.port), patient(30)))
        exists(first)
    t.check("LimitNOFILE of its unit" in said.read_text(), "it tells what to raise", len(peers))
    for peer in peers:
        peer.close()
    t.equal(exists(first), 0, "who is in is served")
    t.equal(exists(connect(keeper.port)), 0, "and another one when the others have gone")
    keeper.stop()


def case(t):
    if t.target == "apache":
        t.check(True, "these limits are ours")
        return
    a_server_that_stands_still(t)
    many_idle_connections(t)
    no_file_handle_left(t)
    a_client_that_never_reads(t)
    a_full_disk(t)
