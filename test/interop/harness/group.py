"""The contract of every broker client library, told once.

A client is a program with three verbs:

    create BOOTSTRAP TOPIC PARTITIONS
        creates the topic with the library's own administration call.
    produce BOOTSTRAP TOPIC CODEC[,CODEC..] FIRST COUNT
        writes COUNT records with each codec, numbered on from FIRST, as records.expected() describes them, with
        acks=all and the idempotent producer where the library has one; ends when all are acknowledged.
    member BOOTSTRAP TOPIC GROUP
        joins the group, reads from its committed offsets or the beginning, commits what it printed, and says
            assigned <TAB> 0,1,2                                      after every rebalance
            rec <TAB> partition <TAB> offset <TAB> key <TAB> value <TAB> headers
        until its standard input ends; then it commits, leaves the group and says `bye`.
"""

import threading

from . import records
from .process import Failure

PARTITIONS = 4
TOPIC = "interop"
GROUP = "readers"
WAIT_S = 60


class Member:
    """One member of the group: its process, what it holds now, and what it has read."""

    def __init__(self, t, client, broker, name, seen, lock):
        self.name = name
        self.partitions = None
        self.places = []
        self.is_gone = False
        self._seen, self._lock = seen, lock
        self.process = t.spawn(client("member", broker.address, TOPIC, GROUP), name)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                line = self.process.next_line(3600)
            except Failure:
                return
            if line is None:
                return
            with self._lock:
                if line.startswith("rec\t"):
                    self.places.append(self._seen.read(line))
                elif line.startswith("assigned\t"):
                    self.partitions = {int(p) for p in line.split("\t")[1].split(",") if p}
                elif line == "bye":
                    self.is_gone = True

    def stop(self, t):
        """Ends its input; it must say goodbye and end well."""
        self.process.close_input()
        status = self.process.wait(WAIT_S)
        self._reader.join(5)
        t.check(status == 0 and self.is_gone, f"{self.name} leaves the group and ends", f"status {status}")


def scenario(t, client, codecs=records.CODECS, count=records.COUNT, **settings):
    """Creates, writes, reads in a group of two through a rebalance, restarts the broker, resumes, verifies."""
    keeper = t.keeper()
    broker = t.broker(keeper, **settings)
    seen = records.Seen()
    lock = threading.Lock()
    everything = set(range(PARTITIONS))

    def produce(codecs, first, count):
        last = seen.write(codecs, first, count)
        t.run(client("produce", broker.address, TOPIC, ",".join(codecs), first, count), "produce", timeout_s=WAIT_S)
        t.say(f"wrote {len(codecs)} x {count}")
        return last

    def member(name):
        return Member(t, client, broker, name, seen, lock)

    def all_read():
        return len(seen.lines) >= len(seen.written)

    t.run(client("create", broker.address, TOPIC, PARTITIONS), "create", timeout_s=WAIT_S)
    half = (len(codecs) + 1) // 2
    following = produce(codecs[:half], 0, count)

    one = member("one")
    t.wait_until(lambda: one.partitions == everything, "the only member has every partition", WAIT_S)
    t.wait_until(all_read, "the only member reads everything", WAIT_S)
    t.say("one member has read everything")

    two = member("two")
    t.wait_until(lambda: one.partitions is not None and two.partitions is not None
                 and len(one.partitions) == len(two.partitions) == PARTITIONS // 2
                 and one.partitions | two.partitions == everything, "two members share the partitions", WAIT_S)
    before = len(one.places)
    following = produce(codecs[half:], following, count)
    t.wait_until(all_read, "two members read everything", WAIT_S)
    t.check(len(one.places) > before and len(two.places) > 0, "both members read", f"{len(two.places)} by the second")
    t.say("two members have read everything")

    two.stop(t)
    t.wait_until(lambda: one.partitions == everything, "the member that stays has every partition", WAIT_S)
    broker.restart()
    following = produce(codecs[:1], following, 100)
    t.wait_until(all_read, "a member reads on after the broker's restart", WAIT_S)
    one.stop(t)
    committed = {p: max(o for q, o in seen.lines if q == p) for p in everything}

    broker.restart()
    following = produce(codecs, following, 100)
    three = member("three")
    t.wait_until(all_read, "a new member resumes", WAIT_S)
    early = [place for place in three.places if place[1] <= committed[place[0]]]
    t.check(not early, "nothing that was committed is read again", f"{len(early)} records, e.g. {early[:3]}")
    three.stop(t)
    seen.verify(t, "verify")
    t.say(f"{len(seen.lines)} records verified, {seen.repeats} of them read twice")
    broker.check_alive()
    broker.stop()
    keeper.stop()
