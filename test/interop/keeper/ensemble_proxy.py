"""Three members whose connections with each other go through a proxy with faults, under load.

One way round it is left: a member of a higher id that is dialled for elections dials back to the address that the dialler names itself."""

from harness import places
from harness.ensemble import Ensemble
from harness.proxy import Proxy
from harness.under_load import Load

OURS = places.target()
KINDS = [(OURS, "apache", OURS), ("apache", OURS, "apache")] if OURS != "apache" else [("apache", "apache38", "apache")]


class Weather:
    def __init__(self, t, kinds, name):
        self.t = t
        self.proxy = Proxy(t)
        self.e = Ensemble(t, kinds, name=name, ports=self.proxy.port, syncLimit=8,
                          initLimit=16)  # As long do followers try to reach a leader that has given up.
        self.e.start(1, 3)  # 3 leads, unless the machine stands still for longer than these limits.
        self.e.start(2)
        t.run(t.python_program("harness/tree.py", "write", self.e.address(1), 3, 300), "write")
        self.load = Load(t, self.e.addresses, sync="weak")
        self.load.wait_progress()
        t.check(self.proxy.passed(3, 1) > 1000 and self.proxy.passed(1, 3) > 1000, "what members say goes through the proxy")

    @property
    def all(self):
        return list(self.e.members)

    def rest(self, number):
        return [other for other in self.all if other != number]

    def every_route(self):
        return self.proxy.between(self.all, self.all)

    def clear(self, what):
        """All is well again, and everybody takes part."""
        self.proxy.heal()
        self.e.wait_serving()
        self.load.wait_progress()
        self.t.say(f"{what}: all is well again, {self.e.leader()} leads")


def slow(w):
    w.proxy.change(w.every_route(), delay_s=0.05)
    w.load.wait_progress()
    w.e.kill(1)
    w.e.start(1)
    w.load.wait_progress()
    w.clear("a delay of 50 ms each way")


def segments(w):
    """Handshake, catching up and an election, byte by byte."""
    # Apache's reads the addresses of whoever dials for an election by one read(), and takes a part for an error.
    apaches = [number for number in w.all if w.e.kind(number).startswith("apache")]
    w.proxy.change(w.proxy.between(w.all, apaches), is_first_whole=True)
    w.proxy.change(w.every_route(), is_segmented=True)
    w.load.wait_progress()
    w.e.kill(1)
    w.e.start(1)
    w.e.kill(w.e.leader())
    w.e.wait_leader()
    w.load.wait_progress()
    for number in w.all:
        if number not in w.e.up():
            w.e.start(number)
    w.clear("single bytes")


def resets(w):
    for _ in range(3):
        w.proxy.reset(w.every_route())
        w.load.wait_progress(30)
    w.clear("resets")


def refused(w):
    """The leader cannot be dialled, but dials the others for elections: it would win each, and be followed by nobody, with the highest id
    or with a proposal that the others lack. An ensemble of Apache's alone stood still then for 50 s, and so did one of both for 110 s."""
    if (leader := w.e.leader()) == max(w.all):
        w.e.stop(leader)
        w.e.wait_leader()
        w.e.start(leader)
    leader = w.e.leader()
    w.t.check(leader != max(w.all), f"{leader} leads, not the highest id")
    w.load.pause()
    w.e.wait_same_zxid()
    w.proxy.change(w.proxy.between(w.rest(leader), [leader]), is_refused=True)
    w.proxy.reset(w.proxy.between(w.rest(leader), [leader]))
    w.e.wait_leader(*w.rest(leader))
    w.load.resume()
    w.load.wait_progress(30)
    w.clear("a leader that cannot be dialled")


def black_hole(w):
    """The leader is alone, and does not know; the others elect another. Then a follower is alone."""
    leader = w.e.leader()
    w.proxy.isolate([leader], w.rest(leader))
    w.e.wait_leader(*w.rest(leader))
    w.load.wait_progress()
    w.t.wait_until(lambda: w.e.mode(leader) == "none", "a leader that is alone gives up", 30)
    w.clear("a leader alone")
    follower = next(number for number in w.all if number != w.e.leader())
    w.proxy.isolate([follower], w.rest(follower))
    w.t.wait_until(lambda: w.e.mode(follower) == "none", "a follower that is alone stops serving", 30)
    w.load.wait_progress()
    w.clear("a follower alone")


def one_way(w):
    leader = w.e.leader()
    follower = next(number for number in w.all if number != leader)
    for ends in (([leader], [follower]), ([follower], [leader])):
        w.proxy.cut(*ends)
        w.load.wait_progress()
        w.t.wait_until(lambda: w.e.mode(follower) == "none", f"cut from {ends[0]} to {ends[1]}: the follower stops serving", 30)
        w.clear(f"nothing from {ends[0]} to {ends[1]}")


def case(t):
    for kinds in KINDS:
        w = Weather(t, kinds, "-".join(kinds))
        for part in (slow, segments, resets, refused, black_hole, one_way):
            part(w)
        w.e.check_alive()
        w.load.finish()
        w.e.check_same("after the weather")
        w.e.stop_all()
