"""Our elector in an ensemble of Apache's servers: it elects with them, joins the leader that it finds, wins by a longer history
and loses by a shorter one, and is found by servers of lower and of higher ids."""

import subprocess

from harness import places, probe, server

SETTINGS = {"initLimit": 40, "syncLimit": 120, "tickTime": 500, "standaloneEnabled": "false"}


class Ensemble:
    def __init__(self, t, name, count):
        self.t = t
        self.name = name
        self.members = {f"server.{n}": f"127.0.0.1:{t.port()}:{t.port()}" for n in range(1, count + 1)}
        self.apache = {}

    def start(self, n):
        """An Apache server, until it listens: without a quorum it serves nobody yet."""
        directory = self.t.directory / self.name / f"apache{n}"
        (directory / "data").mkdir(parents=True, exist_ok=True)
        (directory / "data" / "myid").write_text(f"{n}\n")
        self.apache[n] = server.keeper(self.t, "apache", f"apache{n}", directory, self.t.port(), **SETTINGS, **self.members)
        self.apache[n]._answers = lambda port: probe.words(port, "srvr") is not None
        self.apache[n].start()

    def elect(self, n, zxid=0, epoch=0):
        """Our elector as server n; its process."""
        program = places.TOP / "build/release/interop/keeper/election/elector"
        members = [f"{key}={value}" for key, value in self.members.items()]
        return self.t.spawn([program, n, zxid, epoch, *members], f"elector{n}")

    def mode(self, n):
        answer = probe.words(self.apache[n].port, "srvr") or ""
        return next((line.split()[1] for line in answer.splitlines() if line.startswith("Mode:")), "none")


def decision(process, timeout_s=30):
    role, leader, *_, epoch = process.next_line(timeout_s).split()
    return role, int(leader), int(epoch)


def case(t):
    subprocess.run(["make", "-s", "-C", places.TOP, "BUILD=release", "build/release/interop/keeper/election/elector"], check=True)

    e = Ensemble(t, "first", 3)
    e.start(1)
    ours = e.elect(3)
    t.equal(decision(ours), ("leading", 3, 0), "with one Apache server of a lower id, ours leads")
    ours.kill()

    e.start(2)
    t.wait_until(lambda: {e.mode(1), e.mode(2)} == {"leader", "follower"}, "Apache's two find each other once it is gone", 60)
    leader = 1 if e.mode(1) == "leader" else 2
    ours = e.elect(3, zxid=0x900000000, epoch=0)
    t.equal(decision(ours)[:2], ("following", leader), "ours comes late and follows, whatever its history")
    ours.kill()

    e.apache[leader].kill()
    other = 3 - leader
    ours = e.elect(3)
    t.equal(decision(ours)[:2], ("following", other), "ours has the higher id and the shorter history: it follows")
    ours.kill()
    ours = e.elect(3, zxid=0x900000000, epoch=9)
    t.equal(decision(ours), ("leading", 3, 9), "ours has the longer history: it leads")
    ours.kill()

    e = Ensemble(t, "second", 3)
    e.start(2)
    ours = e.elect(1)
    t.equal(decision(ours), ("following", 2, 0), "ours has the lower id: it is dialled back, and follows")
