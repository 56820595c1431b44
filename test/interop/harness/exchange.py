"""Two keepers, one data directory: what one writes, the other serves, and Apache's dump tools read."""

import re

from . import server

COUNT = 2000
SNAP_COUNT = 500


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


def keeper_on(t, kind, name, data):
    made = server.keeper(t, kind, name, t.directory / name, t.port(), data=data, snapCount=SNAP_COUNT,
                         preAllocSize=1024)
    return made.start()


def hand_over(t, first, second, end):
    """`first` writes and ends by `end` ("stop" or "kill"); `second` serves the same tree, goes on, and hands back."""
    data = t.directory / f"data-{end}"
    name = f"{end}-{first}"
    one = keeper_on(t, first, f"{name}-1", data)
    tree(t, one, "write", 1, COUNT)
    holder = t.spawn(t.python_program("harness/tree.py", "hold", one.address), "holder")
    holder.wait_line(lambda line: line == "holding", 30, "ephemeral nodes")
    before = tree(t, one, "dump")
    t.equal(sum(map(is_ephemeral, before)), 5, f"{name}: the ephemeral nodes of the one living session")
    getattr(one, end)()
    t.say(f"{first} wrote {len(before)} znodes")
    check_files(t, data, first, clean=end == "stop")

    two = keeper_on(t, second, f"{name}-2", data)
    same(t, before, tree(t, two, "dump"), f"{name}: {second} on the files of {first}")
    tree(t, two, "write", 2, COUNT)
    holder.kill()
    between = tree(t, two, "dump")
    t.equal(sum(map(is_ephemeral, between)), 5, f"{name}: {second} keeps the session it found")
    getattr(two, end)()
    check_files(t, data, second, clean=end == "stop")

    three = keeper_on(t, first, f"{name}-3", data)
    same(t, between, tree(t, three, "dump"), f"{name}: {first} again, on the files of {second}")
    t.wait_until(lambda: not any(map(is_ephemeral, tree(t, three, "dump"))),
                 f"{name}: the killed client's session, found on disk, expires", 60)
    three.stop()


def check_files(t, data, kind, clean):
    """Apache's own tools read every file in the directory, and see what the writer meant."""
    def files(kind):
        return sorted((data / "version-2").glob(f"{kind}.*"), key=lambda path: int(path.suffix[1:], 16))

    logs, snapshots = files("log"), files("snapshot")
    t.check(logs and snapshots, f"{kind} wrote logs and snapshots", [path.name for path in logs + snapshots])
    seen = []
    for path in logs:
        lines = t.run(t.java("zookeeper", "org.apache.zookeeper.server.persistence.TxnLogToolkit", path), "log-dump")
        text = "\n".join(lines)
        t.check("CRC ERROR" not in text, f"{path.name} of {kind}: every checksum holds", text[:300])
        first = len(seen)
        seen += [int(zxid, 16) for zxid in re.findall(r"zxid (0x[0-9a-f]+) ", text)]
        t.check(len(seen) == first or int(path.name[4:], 16) == seen[first],
                f"{path.name} of {kind}: named by its first zxid")
    t.check(seen == sorted(set(seen)) and len(seen) > 0, f"logs of {kind}: the zxids ascend", len(seen))
    t.check(seen[-1] - seen[0] + 1 == len(seen), f"logs of {kind}: no zxid is missing", f"{len(seen)} up to {seen[-1]}")
    for path in snapshots[-2:] if clean else snapshots[-3:-1]:
        lines = t.run(t.java("zookeeper", "org.apache.zookeeper.server.SnapshotFormatter", path), "snapshot-dump")
        t.check(any(line.startswith("ZNode Details") for line in lines) and len(lines) > 100,
                f"{path.name} of {kind}: SnapshotFormatter reads it", lines[:3])
