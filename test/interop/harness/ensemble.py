"""An ensemble of keepers by us and by Apache: started, killed, frozen and replaced member by member, and compared.

A member is named by its id. Its kind may change between two starts, on the same data directory and the same ports: that is how
an ensemble is moved from one side's servers to the other's.
"""

import contextlib
import hashlib
import re

from . import probe, server
from .process import Failure
from .session import Closed, Session
from .zk import SESSION_MS

WAIT_S = 60
# A tick short enough for quick elections; limits long enough for a machine that stands still: else there are elections without anybody's doing.
SETTINGS = {"tickTime": 500, "initLimit": 120, "syncLimit": 120, "preAllocSize": 1024, "standaloneEnabled": "false"}


class Member:
    """One server of an ensemble, whatever it runs as at the moment."""

    def __init__(self, number, kind, is_observer, client, quorum, election):
        self.number = number
        self.kind = kind
        self.is_observer = is_observer
        self.port = client
        self.quorum = quorum
        self.election = election
        self.admin = None  # The port for admin commands, of an ensemble with doors.
        self.server = None
        self.is_wanted = False  # It was started, and neither stopped nor killed.
        self.is_frozen = False

    @property
    def is_up(self):
        return self.server is not None and self.server.process is not None and self.server.process.is_alive()

    def log(self):
        """What it has said since its last start."""
        return self.server.process.path.with_suffix(".err").read_text(errors="replace") if self.server else ""


class Ensemble:
    """Members 1, 2, .. of the given kinds, of which `observers` are ids that observe.

    ports: a function of (from id, to id, port) to the port that `from` is told for `to`; a proxy's, say.
    """

    def __init__(self, t, kinds, observers=(), name="ensemble", ports=None, **settings):
        self.t = t
        self.name = name
        self.directory = t.directory / name
        self.settings = {**SETTINGS, **settings}
        self.own_settings = {}  # By id: what one member alone is told.
        self._ports = ports or (lambda _from, _to, port: port)
        self._may_check_config = ports is None
        self.members = {number: Member(number, kind, number in observers, t.port(), t.port(), t.port())
                        for number, kind in enumerate(kinds, 1)}
        t.say(f"{name}: {self}")

    def __str__(self):
        return " ".join(f"{m.number}={m.kind}{' (observer)' if m.is_observer else ''}" for m in self.members.values())

    # One member.

    def data(self, number):
        return self.directory / f"member{number}" / "data"

    def kind(self, number):
        return self.members[number].kind

    def port(self, number):
        return self.members[number].port

    def address(self, number):
        return f"127.0.0.1:{self.port(number)}"

    @property
    def addresses(self):
        return ",".join(self.address(number) for number in self.members)

    def _lines(self, number):
        """The server lines as this member is told them: those of the others may lead through a proxy."""
        lines = {}
        for other in self.members.values():
            quorum, election = (port if other.number == number else self._ports(number, other.number, port)
                                for port in (other.quorum, other.election))
            lines[f"server.{other.number}"] = f"127.0.0.1:{quorum}:{election}{':observer' if other.is_observer else ''}"
        return lines

    def launch(self, number):
        """Starts one, and does not wait."""
        member = self.members[number]
        directory = self.directory / f"member{number}"
        self.data(number).mkdir(parents=True, exist_ok=True)
        (self.data(number) / "myid").write_text(f"{number}\n")
        if member.server is None or member.server.kind != member.kind:
            settings = {**self.settings, **self.own_settings.get(number, {}), **self._lines(number)}
            if member.is_observer:
                settings["peerType"] = "observer"
            if settings.get("doors"):
                member.admin = member.admin or self.t.port()
                settings.update({"admin.enableServer": "true", "admin.serverAddress": "127.0.0.1", "admin.serverPort": member.admin})
            member.server = server.keeper(self.t, member.kind, f"{self.name}-{number}-{member.kind}", directory, member.port,
                                          data=self.data(number), logs="quorum", **settings)
            member.server.keeps_config = settings.get("reconfigEnabled") == "true"
        member.server.launch()
        member.is_wanted = True

    def start(self, *numbers):
        """Starts these members, or all, and waits until they serve."""
        for number in numbers or self.members:
            self.launch(number)
        self.wait_serving(*(numbers or self.members))

    def start_led_by(self, leader):
        """Starts all of a fresh ensemble so that `leader` wins: first only it and lower ids that are enough for a quorum."""
        voters = [m.number for m in self.members.values() if not m.is_observer]
        lower = [number for number in voters if number < leader]
        first = [*lower[: len(voters) // 2], leader]
        if len(first) <= len(voters) // 2:
            raise Failure(f"{self.name}: {leader} cannot lead a fresh ensemble of {voters}")
        self.start(*first)
        self.t.equal(self.leader(), leader, f"{self.name}: {leader} leads")
        self.start(*(number for number in self.members if number not in first))

    def stop(self, number):
        self._give_up(number)
        self.members[number].server.stop()

    def _give_up(self, number):
        self.members[number].server.check_alive()
        self.members[number].is_wanted = False

    def check_alive(self):
        """Nobody has ended by itself."""
        for member in self.members.values():
            if member.is_wanted:
                member.server.check_alive()

    def kill(self, number):
        self._give_up(number)
        self.members[number].server.kill()
        self.members[number].is_frozen = False

    def freeze(self, number):
        self.members[number].server.freeze()
        self.members[number].is_frozen = True

    def thaw(self, number):
        self.members[number].server.thaw()
        self.members[number].is_frozen = False

    def restart(self, number):
        self.stop(number)
        self.start(number)

    def swap(self, number, kind):
        """The member goes on as another kind, on its data directory."""
        if self.members[number].is_up:
            self.stop(number)
        self.t.say(f"{self.name}: {number} was {self.kind(number)}, becomes {kind}")
        self.members[number].kind = kind
        self.start(number)

    def stop_all(self):
        """The followers first, so that nobody is elected on the way."""
        leader = self.leader()
        for number in sorted(self.up(), key=lambda number: number == leader):
            self.stop(number)

    # What they say.

    def up(self):
        return [number for number, member in self.members.items() if member.is_up]

    def srvr(self, number):
        """The lines `Name: value` of srvr, or {} from a member that does not serve."""
        if self.members[number].is_frozen:
            return {}
        answer = probe.words(self.port(number), "srvr") or ""
        return dict(re.findall(r"^([A-Z][\w /]+): (.*)$", answer, re.M))

    def mode(self, number):
        return self.srvr(number).get("Mode", "none")

    def zxid(self, number):
        return int(self.srvr(number).get("Zxid", "0x0"), 16)

    def leader(self):
        """The id of the member that leads, or None."""
        return next((number for number in self.up() if self.mode(number) == "leader"), None)

    def wait_leader(self, *among, timeout_s=WAIT_S):
        self.check_alive()
        return self.t.wait_until(lambda: next((number for number in among or self.up() if self.mode(number) == "leader"), None),
                                 f"{self.name}: a leader", timeout_s)

    def wait_serving(self, *numbers, timeout_s=WAIT_S):
        """Until these members serve, each as what it is configured to be."""
        def is_serving(number):
            self.members[number].server.check_alive()
            mode = self.mode(number)
            return mode == "observer" if self.members[number].is_observer else mode in ("leader", "follower")

        left = set(numbers or self.up())

        def all_serve():
            left.difference_update([number for number in left if is_serving(number)])
            return not left

        try:
            self.t.wait_until(all_serve, f"{self.name}: members serve", timeout_s)
        except Failure:
            raise Failure(f"{self.name}: members {sorted(left)} do not serve: "
                          + "; ".join(f"{n} {self.kind(n)} {self.mode(n)}" for n in self.members)) from None

    def wait_same_zxid(self, *numbers, timeout_s=WAIT_S):
        """Until these members, or all that run, have applied the same.

        A session is opened and closed first: in a new epoch in which nothing was written yet, the leader shows the epoch's first
        zxid and the others what they have logged.
        """
        self.check_alive()
        numbers = numbers or self.up()
        self.t.wait_until(lambda: self._writes(numbers[0]), f"{self.name}: a session through {numbers[0]} opens and ends", timeout_s)

        def zxids():
            return [self.zxid(number) for number in numbers]

        def are_same():
            seen = zxids()
            return seen[0] if seen[0] and len(set(seen)) == 1 and zxids() == seen else None

        try:
            return self.t.wait_until(are_same, "zxids", timeout_s)
        except Failure:
            raise Failure(f"{self.name}: the zxids stay apart: {[hex(zxid) for zxid in zxids()]} of {numbers}") from None

    # Clients.

    @contextlib.contextmanager
    def session(self, number, timeout_ms=SESSION_MS):
        with contextlib.closing(self.open(number, timeout_ms)) as opened:
            yield opened
            opened.end()

    def open(self, number, timeout_ms=SESSION_MS):
        """A session through this member; waits for a quorum."""
        made = Session(self.port(number), timeout_ms)
        self.t.wait_until(made.open, f"{self.name}: a session through {number}", WAIT_S)
        return made

    def _writes(self, number):
        """Opens and ends a session; False when there was an election meanwhile."""
        try:
            with self.session(number):
                return True
        except Closed:
            return False

    def move(self, session, number):
        """The session's client goes on through this member."""
        self.t.wait_until(lambda: session.move(self.port(number)), f"{self.name}: the session moves to {number}", WAIT_S)

    def dump(self, number):
        """Every znode with data, stat and access list, as a client of this member alone sees it after a sync."""
        return self.t.run(self.t.python_program("harness/tree.py", "dump", self.address(number)),
                          f"dump-{self.name}-{number}", timeout_s=120)

    @staticmethod
    def _config(lines):
        """/zookeeper/config is not replicated: each member writes its own, at its own time."""
        fields = next(line for line in lines if line.startswith("/zookeeper/config\t")).split("\t")
        return fields[1], fields[2:5], fields[6:]

    def _check_config(self, trees):
        """Behind a proxy each has its own ports in it."""
        first, *others = trees
        for number in others:
            self.t.check(self._config(trees[first]) == self._config(trees[number]),
                         f"{self.name}: {first} ({self.kind(first)}) and {number} ({self.kind(number)}) show the same /zookeeper/config",
                         f"{self._config(trees[first])} {self._config(trees[number])}")
        self._may_check_config = False  # Once is enough.

    def check_same(self, what, *numbers):
        """All members that run hold the same tree; returns it."""
        numbers = numbers or self.up()
        self.wait_same_zxid(*numbers)
        trees = {number: self.dump(number) for number in numbers}
        if self._may_check_config:
            self._check_config(trees)
        trees = {number: [line for line in tree if not line.startswith("/zookeeper/config\t")] for number, tree in trees.items()}
        first = trees[numbers[0]]
        for number in numbers[1:]:
            apart = sorted(set(first) ^ set(trees[number]))
            self.t.check(not apart, f"{self.name}: {what}: {numbers[0]} ({self.kind(numbers[0])}) and {number} "
                         f"({self.kind(number)}) hold the same tree", f"{len(apart)} lines differ, e.g. {apart[:4]}")
        digest = hashlib.sha256("\n".join(first).encode()).hexdigest()[:12]
        self.t.say(f"{self.name}: {what}: {len(first)} znodes, digest {digest}")
        return first

    def said(self, number, pattern):
        """Whether the member said this since its last start."""
        return re.search(pattern, self.members[number].log()) is not None

    def wait_logged(self, number, marker, timeout_s=WAIT_S):
        """Until a transaction that contains `marker` is in this member's log files."""
        def is_there():
            return any(marker in path.read_bytes() for path in (self.data(number) / "version-2").glob("log.*"))

        self.t.wait_until(is_there, f"{self.name}: {number} has logged {marker!r}", timeout_s)
