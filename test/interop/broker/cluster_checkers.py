"""What judges the clusters must be able to say no: broken histories, and logs that somebody else has written to or cut."""

from harness import log_history, log_load
from harness.cluster import Cluster
from harness.log_history import Acked, Committed, Placed, Read, Trying

GROUPS = {"a": "g", "b": "g"}
LOG = {0: [(0, "p", 0), (1, "q", 0), (2, "p", 1), (3, "q", 1)]}
ALONE = {"default__replication__factor": 1, "min__insync__replicas": 1, "offsets__topic__replication__factor": 1}


def reads(reader, first, last, time):
    return [Read(reader, 0, offset, *LOG[0][offset][1:], time) for offset in range(first, last)]


ALL = [Placed("a", 0, 1), *reads("a", 0, 4, 2)]

RIGHT = {
    "all is read and acknowledged": [*ALL, *(Acked(who, 0, number, offset) for offset, who, number in LOG[0])],
    "an acknowledgement that does not say where": [*ALL, Acked("p", 0, 1, -1)],
    "a record without an acknowledgement": [*ALL, Acked("p", 0, 0, 0)],
    "read again from what was committed": [Placed("a", 0, 1), *reads("a", 0, 3, 2), Trying("a", 0, 2, 3), Committed("a", 0, 2, 4),
                                           Placed("b", 0, 5), *reads("b", 2, 4, 6)],
    "a commit without an answer counts": [Placed("a", 0, 1), *reads("a", 0, 3, 2), Trying("a", 0, 3, 3), Placed("b", 0, 5),
                                          *reads("b", 3, 4, 6)],
    "a commit without an answer does not count": [Placed("a", 0, 1), *reads("a", 0, 3, 2), Trying("a", 0, 3, 3), Placed("b", 0, 5),
                                                  *reads("b", 0, 4, 6)],
    "a commit whose answer comes after the next one got it": [*ALL, Trying("a", 0, 2, 3), Placed("b", 0, 4), Committed("a", 0, 2, 5),
                                                              *reads("b", 0, 4, 6)],
    "it comes back": [*ALL, Placed("b", 0, 3), Placed("a", 0, 4), Trying("a", 0, 2, 5), Committed("a", 0, 2, 6)],
}
WRONG = {
    "an acknowledged record that is not there": [*ALL, Acked("p", 0, 2, 4)],
    "an acknowledged record that is nowhere": [*ALL, Acked("p", 0, 2, -1)],
    "an acknowledged record in another partition": [*ALL, Acked("p", 1, 0, 0)],
    "an acknowledged record somewhere else": [*ALL, Acked("p", 0, 0, 2)],
    "a record that is read and not there": [*ALL, Read("a", 0, 4, "p", 2, 3)],
    "another record is read": [*ALL, Placed("a", 0, 5), Read("a", 0, 1, "p", 1, 6)],
    "a gap": [Placed("a", 0, 1), *reads("a", 0, 1, 2), *reads("a", 2, 4, 2), Placed("b", 0, 3), *reads("b", 1, 2, 4)],
    "a reader goes back": [*ALL, *reads("a", 3, 4, 3)],
    "a committed offset is lost": [*ALL, Trying("a", 0, 4, 3), Committed("a", 0, 4, 4), Placed("b", 0, 5), *reads("b", 3, 4, 6)],
    "it is lost for who has committed": [*ALL, Trying("a", 0, 4, 3), Committed("a", 0, 4, 4), Placed("a", 0, 5), *reads("a", 0, 4, 6)],
    "begun behind what was committed": [Placed("a", 0, 1), *reads("a", 2, 4, 2), Placed("b", 0, 3), *reads("b", 0, 2, 4)],
    "a commit by who has lost the partition": [*ALL, Placed("b", 0, 3), Trying("a", 0, 4, 4), Committed("a", 0, 4, 5)],
    "not everything is read": [Placed("a", 0, 1), *reads("a", 0, 3, 2)],
}
WRONG_LOGS = {
    "a hole": [(0, "p", 0), (2, "p", 1)],
    "a record twice": [(0, "p", 0), (1, "p", 0)],
    "out of order": [(0, "p", 1), (1, "p", 0)],
    "a record is lost": [(0, "p", 0), (1, "p", 2)],
    "not from the beginning": [(1, "p", 0)],
}


def histories(t):
    for what, events in RIGHT.items():
        t.equal(log_history.check(events, LOG, GROUPS), [], f"a right history: {what}")
    for what, events in WRONG.items():
        t.check(log_history.check(events, LOG, GROUPS), f"a wrong history is found: {what}")
    for what, log in WRONG_LOGS.items():
        events = [Placed("a", 0, 1), *(Read("a", 0, *record, 2) for record in log)]
        t.check([line for line in log_history.check(events, {0: log}, {"a": "g"}) if line.startswith("partition 0")],
                f"a wrong log is found: {what}")


class Judge:
    """A case that only listens."""

    def __init__(self, t):
        self.t = t
        self.found = []

    def check(self, condition, what, _detail=""):
        if not condition:
            self.found.append(what)
        return condition

    def __getattr__(self, name):
        return getattr(self.t, name)


def case(t):
    histories(t)
    cluster = Cluster(t, (t.target,), **ALONE)
    cluster.start()
    load = log_load.LogLoad(t, cluster)
    load.wait_progress(300)
    load.finish()
    load.t = judge = Judge(t)

    # Somebody writes what a producer has written before.
    t.run(["kcat", "-b", cluster.address(1), "-P", "-t", "load", "-p", "0"], "kcat", feed="java 3 again\n")
    load.judge()
    t.check(any("doubled" in line for line in judge.found), "a record that is there twice is found", judge.found)
    t.check(any("has not read 1 records" in line for line in judge.found), "a record that nobody has read is found", judge.found)

    # Somebody cuts what was acknowledged.
    judge.found.clear()
    path = next((cluster.journals(1) / "load-1").glob("*.log"))
    log = log_load.segments.batches(path.read_bytes())
    path.write_bytes(b"".join(batch.data for batch in log[:-1]))
    load.judge()
    t.check(any("acknowledged and not there" in line for line in judge.found), "a lost record is found", judge.found)
    t.check(any("read and not there" in line for line in judge.found), "a record that was seen and is gone is found", judge.found)
    t.check("no batch at byte" in log_load.apart({1: b"x" * 100, 2: b""}), "bytes that are no log are found")
    cluster.kill(1)
