"""Bytes by hand: bad input, odd input and order, against the transcript of Apache's own server.

`RECORD=1 TARGET=apache test/interop/run keeper/raw` writes expected.txt anew."""

import os
import pathlib

EXPECTED = pathlib.Path(__file__).with_name("expected.txt")


def scenes(lines):
    """Transcript lines by the scene they belong to."""
    found, scene = {}, None
    for line in lines:
        if line.startswith("== "):
            scene = found.setdefault(line, [])
        elif scene is not None:
            scene.append(line)
    return found


def case(t):
    keeper = t.keeper(tickTime=2000, maxSessionTimeout=60000, **{"4lw__commands__whitelist": "ruok,srvr"})
    seen = t.run(t.python_program("keeper/raw/client.py", keeper.address), "client", timeout_s=200)
    if os.environ.get("RECORD"):
        EXPECTED.write_text("".join(line + "\n" for line in seen))
    want, have = scenes(EXPECTED.read_text().splitlines()), scenes(seen)
    t.equal(sorted(have), sorted(want), "the scenes are the same")
    for scene, lines in want.items():
        for at, (expected, line) in enumerate(zip(lines, have.get(scene, []))):
            if not t.equal(line, expected, f"{scene.strip('= ')}, {lines[at - 1].strip() if at else ''}"):
                break
        t.equal(len(have.get(scene, [])), len(lines), f"{scene.strip('= ')}: number of lines")
    keeper.check_alive()
    keeper.stop()
