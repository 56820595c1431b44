"""One data directory with 100,000 znodes of all kinds goes Apache, ours, Apache, ours, Apache: after clean stops and
after kill -9 of either side under load, with the journal in a directory of its own and packed snapshots of both sides."""

import re

from harness import server

COUNT = 100_000
SESSIONS = 3
SUPER = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="  # of super:test
EPHEMERALS = 30 * SESSIONS

# Who serves, how its snapshots are packed, how it ends.
STEPS = (("apache", "gz", "stop"), ("ours", "snappy", "kill"), ("apache", "snappy", "kill"), ("ours", "gz", "stop"),
         ("apache", "", "stop"))


def znodes(t, *words):
    return t.java_program("disk/many/Znodes.java", "zookeeper", *words)


def dump(t, keeper, name):
    """Path to line, of every znode that the super user sees."""
    path = t.directory / f"{name}.txt"
    t.run(znodes(t, "dump", keeper.address, path), "dump", timeout_s=120)
    return dict(line.split("\t", 1) for line in path.read_text(encoding="utf-8").split("\n") if line)


def is_news(number, path):
    """Whether a server's own step changes it: its writes, the load on the one before, and what lies above both."""
    own = f"/tree/{number}"
    return path in ("/", "/tree", "/zookeeper/quota/tree") or path.startswith(("/load", own, f"/zookeeper/quota{own}"))


def same(t, before, after, what, is_passed_over):
    apart = [path for path in sorted(before.keys() | after.keys())
             if before.get(path) != after.get(path) and not is_passed_over(path)]
    t.check(not apart, f"{what}: the same {len(before)} znodes",
            f"{len(apart)} differ, e.g. {[(path, before.get(path), after.get(path)) for path in apart[:2]]}")


def kill_under_load(t, keeper):
    """Kills the server while a client writes; the paths it acknowledged."""
    load = t.spawn(znodes(t, "load", keeper.address), "load")
    load.wait_line(lambda line: line.startswith("acked"), 30, "a write under load")
    t.wait_until(lambda: len(load.lines) > 3000, "writes under load", 60)
    keeper.kill()
    load.kill()
    return [line.removeprefix("acked ") for line in load.lines if line.startswith("acked ")]


def complaints(keeper):
    """What a server says against the digests or checksums that it read."""
    text = "".join(keeper.process.path.with_suffix(suffix).read_text(errors="replace") for suffix in (".out", ".err"))
    return re.findall(r"(?i)^.*(?:digest.{0,60}(?:mismatch|not match)|crc|is damaged|is torn|digest is).*$", text, re.M)


def check_snapshots(t, data, kind, packed):
    suffix = f".{packed}" if packed else ""
    names = [path.name for path in (data / "version-2").glob("snapshot.*")]
    t.check(any(re.fullmatch(rf"snapshot\.[0-9a-f]+{suffix}", name) for name in names),
            f"{kind} packs its snapshots: {packed or 'not'}", names)


def case(t):
    data, journal = t.directory / "data", t.directory / "journal"
    port = t.port()
    before, acked, holder = None, [], None
    for number, (kind, packed, end) in enumerate(STEPS):
        kind = t.target if kind == "ours" else kind
        name = f"{number}-{kind}"
        keeper = server.keeper(t, kind, name, t.directory / name, port, data=data, dataLogDir=journal, snapCount=30000,
                               extendedTypesEnabled="true", snapshot__compression__method=packed,
                               DigestAuthenticationProvider__superDigest=SUPER).start()
        if before is None:
            made = t.run(znodes(t, "write", keeper.address, COUNT, 0), "write", timeout_s=120)[-1]
            t.check(int(made.removeprefix("made ")) > COUNT * 0.99, "almost all znodes are made", made)
            holder = t.spawn(znodes(t, "hold", keeper.address, SESSIONS), "holder")
            holder.wait_line(lambda line: line == "holding", 60, "sessions with ephemerals")
        else:
            holder.send("check")
            t.equal(holder.next_line(30), f"own {EPHEMERALS}", f"{name}: the sessions live on with what they own")
            t.run(znodes(t, "write", keeper.address, 2000, number), "write")
        seen = dump(t, keeper, name)
        if before is not None:
            same(t, before, seen, name, lambda path: is_news(number, path))
            t.check(set(acked) <= seen.keys(), f"{name}: all {len(acked)} acknowledged under load are there",
                    sorted(set(acked) - seen.keys())[:3])
        before = seen
        t.check(len(before) > COUNT * 0.97, f"{name}: there is a tree", len(before))
        acked = kill_under_load(t, keeper) if end == "kill" else []
        if end == "stop":
            keeper.stop()
        t.equal(complaints(keeper), [], f"{name}: finds nothing wrong in the files")
        check_snapshots(t, data, name, packed)
