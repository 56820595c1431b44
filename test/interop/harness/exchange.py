"""Two keepers, one data directory: what one writes, the other serves, and Apache's dump tools read."""

import json
import re

from . import server

COUNT = 2000
SNAP_COUNT = 500
# Sessions whose clients are gone: one outlives every server here, wherever the machine stands still; one ends soon.
LONG_SESSION_S = 1800
SHORT_SESSION_S = 20
# The last bytes of a whole snapshot.
SEAL = b"\0\0\0\1/"


def tree(t, keeper, verb, *words):
    return t.run(t.python_program("harness/tree.py", verb, keeper.address, *words), f"tree-{verb}", timeout_s=120)


def differences(before, after):
    return sorted(set(before) ^ set(after))


def same(t, before, after, what):
    t.check(len(before) > 100, f"{what}: there is a tree", len(before))
    apart = differences(before, after)
    t.check(not apart, f"{what}: the same tree", f"{len(apart)} lines differ, e.g. {apart[:4]}")


def is_ephemeral(line):
    return line.split("\t")[9] != "0"


def count_ephemerals(lines):
    return sum(map(is_ephemeral, lines))


def is_short(line):
    return line.startswith("/short")


def without_short(lines):
    return [line for line in lines if not is_short(line)]


def hold(t, keeper, path, seconds):
    """A client with ephemeral nodes below `path`."""
    holder = t.spawn(t.python_program("harness/tree.py", "hold", keeper.address, path, seconds), f"holder{path.replace('/', '-')}")
    holder.wait_line(lambda line: line == "holding", 30, "ephemeral nodes")
    return holder


def keeper_on(t, kind, name, data):
    made = server.keeper(t, kind, name, t.directory / name, t.port(), data=data, snapCount=SNAP_COUNT,
                         preAllocSize=1024, maxSessionTimeout=LONG_SESSION_S * 1000)
    return made.start()


def end_cleanly(t, keeper, data):
    """Apache's server does not wait at its end for a snapshot that it has begun."""
    t.wait_until(lambda: all(path.read_bytes().endswith(SEAL) for path in (data / "version-2").glob("snapshot.*")),
                 f"{keeper.name}: every snapshot is whole")
    keeper.stop()


def hand_over(t, first, second, end):
    """`first` writes and ends by `end` ("stop" or "kill"); `second` serves the same tree, goes on, and hands back."""
    data = t.directory / f"data-{end}"
    name = f"{end}-{first}"
    one = keeper_on(t, first, f"{name}-1", data)
    tree(t, one, "write", 1, COUNT)
    living = hold(t, one, "/long", LONG_SESSION_S)
    before = tree(t, one, "dump")
    t.equal(count_ephemerals(before), 5, f"{name}: the ephemeral nodes of the one living session")
    end_cleanly(t, one, data) if end == "stop" else one.kill()
    t.say(f"{first} wrote {len(before)} znodes")
    check_files(t, data, first, clean=end == "stop")

    two = keeper_on(t, second, f"{name}-2", data)
    same(t, before, tree(t, two, "dump"), f"{name}: {second} on the files of {first}")
    tree(t, two, "write", 2, COUNT)
    living.kill()
    dying = hold(t, two, "/short", SHORT_SESSION_S)
    between = tree(t, two, "dump")
    t.equal(count_ephemerals(without_short(between)), 5, f"{name}: {second} keeps the session it found")
    end_cleanly(t, two, data) if end == "stop" else two.kill()
    check_files(t, data, second, clean=end == "stop")
    if end == "stop":
        purge(t, data, second)

    three = keeper_on(t, first, f"{name}-3", data)
    dying.kill()  # Not before: its session is alive when the server ends.
    after = tree(t, three, "dump")
    same(t, without_short(between), without_short(after), f"{name}: {first} again, on the files of {second}")
    t.wait_until(lambda: not any(map(is_short, filter(is_ephemeral, tree(t, three, "dump")))),
                 f"{name}: the killed client's session, found on disk, expires", 60)
    t.equal(count_ephemerals(tree(t, three, "dump")), 5, f"{name}: and the other does not")
    three.stop()


def check_files(t, data, kind, clean):
    """Apache's own tools read every file in the directory, and see what the writer meant."""
    def files(kind):
        return sorted((data / "version-2").glob(f"{kind}.*"), key=lambda path: int(path.suffix[1:], 16))

    logs, snapshots = files("log"), files("snapshot")
    t.check(logs and snapshots, f"{kind} wrote logs and snapshots", [path.name for path in logs + snapshots])
    seen = []
    for path in logs:
        lines = t.run(t.java("zookeeper", "org.apache.zookeeper.server.persistence.TxnLogToolkit", "-d", path),
                      "log-dump")
        text = "\n".join(lines)
        t.check("CRC ERROR" not in text, f"{path.name} of {kind}: every checksum holds", text[:300])
        first = len(seen)
        seen += [int(zxid, 16) for zxid in re.findall(r"zxid (0x[0-9a-f]+) ", text)]
        t.check(len(seen) == first or int(path.name[4:], 16) == seen[first],
                f"{path.name} of {kind}: named by its first zxid")
    t.check(seen == sorted(set(seen)) and len(seen) > 0, f"logs of {kind}: the zxids ascend", len(seen))
    t.check(seen[-1] - seen[0] + 1 == len(seen), f"logs of {kind}: no zxid is missing", f"{len(seen)} up to {seen[-1]}")
    whole = snapshots[-2:] if clean else snapshots[-3:-1]
    counts = [check_snapshot(t, path, kind) for path in whole]
    if clean:
        check_tools(t, whole[-1], counts[-1], kind)
        compare_snapshots(t, whole, counts, kind)


def tool(t, name, *words):
    return t.run(t.java("zookeeper", f"org.apache.zookeeper.server.{name}", *words), name.rsplit(".", 1)[-1].lower())


def check_snapshot(t, path, kind):
    """How many znodes SnapshotFormatter sees."""
    lines = [line for line in tool(t, "SnapshotFormatter", path) if line.startswith("/")]
    t.check(len(lines) > 100, f"{path.name} of {kind}: SnapshotFormatter reads it", lines[:3])
    return len(lines)


def check_tools(t, path, count, kind):
    """SnapshotFormatter with data and as JSON, and SnapshotRecursiveSummary, see as many."""
    what = f"{path.name} of {kind}"
    full = tool(t, "SnapshotFormatter", "-d", path)
    t.equal(sum(line.startswith("/") for line in full), count, f"{what}: SnapshotFormatter -d sees as many")
    t.check(sum(bool(re.match(r"\s+data = .", line)) for line in full) > count / 2, f"{what}: with their data")
    tree = json.loads("".join(tool(t, "SnapshotFormatter", "-json", path)))
    t.equal(count_json(tree[3]), count, f"{what}: SnapshotFormatter -json sees as many")
    summary = "\n".join(tool(t, "SnapshotRecursiveSummary", path, "/", "1"))
    t.equal(re.findall(r"^ +children: (\d+)", summary, re.M)[:1], [str(count - 1)],
            f"{what}: SnapshotRecursiveSummary sees as many")


def count_json(node):
    """Znodes of a tree in which a parent is [itself, child, child ..]."""
    return 1 + sum(map(count_json, node[1:])) if isinstance(node, list) else 1


def compare_snapshots(t, pair, counts, kind):
    words = (f"-{side}" for side in "lr")
    lines = tool(t, "SnapshotComparer", *(word for two in zip(words, pair) for word in two), "-b", "1", "-n", "1")
    t.equal([int(line.split()[-1]) for line in lines if line.startswith("Node count:")], counts,
            f"SnapshotComparer reads {pair[0].name} and {pair[1].name} of {kind}")


def purge(t, data, kind):
    """PurgeTxnLog knows what is old among our files and what a start still needs."""
    before = {path.name for path in (data / "version-2").iterdir()}
    tool(t, "PurgeTxnLog", data, data, "-n", "3")
    after = {path.name for path in (data / "version-2").iterdir()}
    snapshots = sorted(int(name[9:], 16) for name in after if name.startswith("snapshot."))
    t.equal(len(snapshots), 3, f"PurgeTxnLog keeps three snapshots of {kind}")
    t.check(after < before and "log." in "".join(after), f"PurgeTxnLog removes files of {kind}", sorted(before - after))
