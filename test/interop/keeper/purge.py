"""autopurge: what Apache's leaves of a directory, ours leaves too: whole snapshots and broken ones, compressed ones, and journals."""

import gzip
import shutil

from harness.link import CREATE, create, opened

# As Apache's snappy streams and gzip files begin: purging looks no further.
SNAPPY = b"\x82SNAPPY\0" + bytes(40)


def fill(t, directory):
    """A directory with a dozen snapshots and journals, by Apache's server; the name of the newest snapshot."""
    keeper = t.keeper(kind="apache", name="filled", data=directory, snapCount=20, properties={"zookeeper.preAllocSize": 4})
    link = opened(keeper.port)
    for count in range(150):
        t.need(link.ask(CREATE, create(f"/n{count}", b"x" * 100)) == 0, "a znode is made")
    keeper.stop()


def numbers(directory, kind):
    found = [path.name for path in (directory / "version-2").iterdir() if path.name.startswith(kind + ".")]
    return sorted(found, key=lambda name: int(name.split(".")[1], 16))


def damage(directory):
    """The newest and the third snapshot lose their ends, the second and fourth are compressed."""
    folder = directory / "version-2"
    names = list(reversed(numbers(directory, "snapshot")))
    for at in (1, 3):
        path = folder / names[at]
        path.write_bytes(path.read_bytes()[:-3])
    (folder / (names[2] + ".gz")).write_bytes(gzip.compress((folder / names[2]).read_bytes()))
    (folder / names[2]).unlink()
    (folder / (names[4] + ".snappy")).write_bytes(SNAPPY)
    (folder / names[4]).unlink()


def of_those(directory, before):
    return sorted({path.name for path in (directory / "version-2").iterdir()} & set(before))


def judged(t, directory, before, retain):
    """By what Apache's server purges with, alone: as the server starts it may find the snapshot of this start already, or not yet."""
    t.run(t.java("zookeeper", "org.apache.zookeeper.server.PurgeTxnLog", directory, directory, "-n", retain), "purge")
    return of_those(directory, before)


def left(t, kind, directory, before, retain, expected):
    """The files that are left of those that were there. Apache's says when it has purged; of ours, as many as are expected are."""
    keeper = t.keeper(kind=kind, name=f"{kind}-{directory.name}", data=directory, logs="quorum", autopurge__purgeInterval=1,
                      autopurge__snapRetainCount=retain)

    def has_purged():
        return "Purge task completed" in keeper.process.path.with_suffix(".err").read_text() if kind == "apache" else \
            len(of_those(directory, before)) <= len(expected)

    t.wait_until(has_purged, f"the purge of {directory.name} has ended")
    keeper.stop()
    return of_those(directory, before)


def case(t):
    whole = t.directory / "whole"
    fill(t, whole)
    broken = t.directory / "broken"
    shutil.copytree(whole, broken)
    damage(broken)
    few = t.directory / "few"
    shutil.copytree(whole, few)
    for name in numbers(few, "snapshot")[:-2]:
        (few / "version-2" / name).unlink()
    for directory, retain in ((whole, 3), (whole, 5), (broken, 3), (few, 4)):
        before = [path.name for path in (directory / "version-2").iterdir()]
        t.need(len(numbers(directory, "log")) > 4, "there are journals to purge", before)
        theirs, ours = (t.directory / f"{directory.name}-{retain}-{whose}" for whose in ("theirs", "ours"))
        for copy in (theirs, ours):
            shutil.copytree(directory, copy)
        expected = judged(t, theirs, before, retain)
        t.say(f"{directory.name}, {retain} retained: {len(before)} files, then {expected}")
        t.check(len(expected) < len(before), "Apache's removes something")
        t.equal(left(t, t.target, ours, before, retain, expected), expected, f"what is left of {directory.name}, {retain} retained")
