"""Runs the directed cases of one variant, each on what the one before has left."""

import importlib
import pathlib
import shutil
import time
import traceback

from harness import zk
from harness.process import deadline
from harness.zk import I

import scene as scenes
import servers
from twin import XID_PING, Connection, Difference, Twin

ENDED = "a server has ended"
HERE = pathlib.Path(__file__).resolve().parent


def load():
    """All cases, by the files below cases/."""
    if not scenes.CASES:
        for path in sorted((HERE / "cases").glob("[a-z]*.py")):
            importlib.import_module(f"cases.{path.stem}")
        names = [row.name for row in scenes.CASES]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise SystemExit(f"diff: these names are given twice: {sorted(twice)}")
    return scenes.CASES


def chosen(names, variants):
    rows = [row for row in load() if not variants or row.variant in variants]
    return [row for row in rows if not names or any(name in row.name for name in names)]


def last_zxids(twin):
    """Each server's last zxid, asked by sessions that are compared with nothing."""
    probe = Connection(twin)
    seen = []
    for side in probe.sides:
        side.send(zk.frame(zk.connect_frame()))
        side.frame()
        side.send(zk.frame(I(XID_PING) + I(zk.OPS["ping"])))
        seen.append(int.from_bytes((side.frame() or bytes(16))[4:12], "big", signed=True))
        side.send(zk.frame(I(1) + I(zk.OPS["closeSession"])))
        while side.frame():
            pass
        side.close()
    return seen


def rebase(twin):
    """Whether both have used as many zxids; if not, they are compared from here on by their distance."""
    seen = last_zxids(twin)
    if seen[0] - twin.views[0].base == seen[1] - twin.views[1].base:
        return True
    for zxid, view in zip(seen, twin.views):
        view.base = zxid
    return False


def run_row(twin, row):
    """(the scene, None or what is wrong)."""
    scene = scenes.Scene(twin, row.name)
    problem = None
    try:
        row.run(scene)
        if not scene.apache_ends:
            scene.fence()
            for connection in list(twin.connections):
                connection.end()
    except Difference as difference:
        problem = str(difference)
    except Exception:  # A case that breaks is a case that fails.
        problem = traceback.format_exc()
    twin.end()
    if scene.apache_ends:
        return scene, problem
    try:
        if not rebase(twin) and not problem and not scene.may_drift:
            problem = "the servers have used different numbers of zxids"
    except OSError as error:
        problem = f"{ENDED}: {problem or error}"
    return scene, problem


def _await_end(pair, patience_s=20):
    """The kinds of the servers that have ended; one of them is about to, it takes no more connections."""
    until = deadline(patience_s)
    while time.monotonic() < until:
        dead = [server.kind for server in pair if not server.process.is_alive()]
        if dead:
            return dead
        time.sleep(0.05)
    return []


def _start_again(pair):
    for server in pair:
        server.kill()
        shutil.rmtree(server.directory / "data")
        server.start()
    return Twin(servers.addresses(pair))


def run(rows, pair, tell):
    """Runs the rows; the names of those that failed. A pair of which one has ended is started again, from nothing."""
    twin = Twin(servers.addresses(pair))
    failed = []
    for row in rows:
        scene, problem = run_row(twin, row)
        has_ended = scene.apache_ends or (problem or "").startswith(ENDED)
        ended = _await_end(pair) if has_ended else []
        if scene.apache_ends and ended != ["apache"]:
            problem = f"{problem or ''} ended: {ended}; documented: Apache's"
        if problem:
            failed.append(row.name)
            tell(f"NOT OK {row.name}: {problem}")
        if has_ended:
            twin = _start_again(pair)
    return failed
