"""A load on an ensemble that goes on while its servers come and go, and in the end says what was broken of what it was promised.

Run by the Python that has kazoo:

    load.py ADDRESSES TIMEOUT_S SEED SYNC

SYNC is strong or weak: whether a read after a sync must see what was acknowledged before. A leader that was cut off or frozen answers
a sync before it knows that there is another one.

Reads words, a line each: `count` is answered with the number of acknowledged requests so far; `pause` with `paused` when nobody has a
request under way, until `resume`; `stop` ends the load and has every worker compare each server, asked alone, with what it was told.
Promises: no acknowledged write is lost, no session that pings is lost, no lock is held twice, and what one client sees never goes back.
"""

import random
import sys
import threading
import time

import history
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (BadVersionError, ConnectionClosedError, ConnectionLoss, NodeExistsError, OperationTimeoutError,
                              SessionExpiredError)
from kazoo.retry import KazooRetry
from process import patient

UNKNOWN = (ConnectionLoss, ConnectionClosedError, OperationTimeoutError, SessionExpiredError)
ROOT = "/load"
PACE_S = 0.02
NODE_COUNT = 40
START_S = patient(60)


class Worker:
    """A client with a session of its own, in a thread. `step` is one request or a few."""

    def __init__(self, load, number):
        self.load = load
        self.name = f"{type(self).__name__.lower()}{number}"
        self.dice = random.Random(f"{load.seed}-{self.name}")
        self.wrong = []
        self.acked = self.unknown = 0
        self.stalled_s = 0.0
        self.client = KazooClient(hosts=load.addresses, timeout=load.timeout_s,
                                  connection_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=1.5, max_delay=0.5))
        self.client.add_listener(self._on_state)
        self.client.start(timeout=START_S)
        self.session = self.client.client_id[0]
        self._zxid = 0
        self._last = time.monotonic()
        self.turn = threading.Lock()  # Held during a step, and while the load pauses.
        self.thread = threading.Thread(target=self._run, name=self.name)

    def _on_state(self, state):
        if state == KazooState.LOST and not self.load.is_over:
            self.bad(f"session 0x{self.session:x} is lost")

    def bad(self, text):
        self.wrong.append(text)

    def ask(self, call, *arguments, **options):
        """The result, or an exception: UNKNOWN when nobody can say whether it was done."""
        try:
            result = call(*arguments, **options)
        except UNKNOWN:
            self.unknown += 1
            raise
        self.acked += 1
        now = time.monotonic()
        self.stalled_s = max(self.stalled_s, now - self._last)
        self._last = now
        zxid = self.client.last_zxid
        if zxid < self._zxid:
            self.bad(f"session 0x{self.session:x}: zxid 0x{zxid:x} after 0x{self._zxid:x}")
        self._zxid = zxid
        return result

    def _run(self):
        while not self.load.stopping.is_set():
            try:
                with self.turn:
                    self.step()
            except UNKNOWN:
                pass
            except Exception as error:  # An answer that no promise allows.
                self.bad(f"{error!r}")
                return
            self.load.stopping.wait(PACE_S)

    def step(self):
        raise NotImplementedError

    def verify(self, client, where):
        """`client` is connected to one server alone, and has synced."""


class Writer(Worker):
    """Creates and sets nodes of its own; of each it knows the version that must be there."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.nodes = {}  # path: [version or None, requests without an answer since, data]

    def step(self):
        path = f"{ROOT}/{self.name}-{self.dice.randrange(NODE_COUNT)}"
        node = self.nodes.setdefault(path, [None, 0, b""])
        data = b"%d" % self.dice.randrange(1 << 60)
        try:
            if node[0] is None:
                try:
                    version = self.ask(self.client.create, path, data, include_data=True)[1].version
                except NodeExistsError:
                    if node[1] == 0:
                        self.bad(f"{path} is there before it was created")
                    version, data = 0, None
            else:
                version = self.ask(self.client.set, path, data).version
                if not node[0] < version <= node[0] + 1 + node[1]:
                    self.bad(f"{path} is set to version {version}, after {node[0]} and {node[1]} without an answer")
        except UNKNOWN:
            node[1] += 1
            raise
        self.nodes[path] = [version, 0, data]

    def verify(self, client, where):
        for path, (version, unknown, data) in self.nodes.items():
            if version is None:
                continue
            found = client.exists(path)
            if found is None:
                self.bad(f"{where}: {path} is lost")
            elif not version <= found.version <= version + unknown:
                self.bad(f"{where}: {path} has version {found.version}, not {version} (or {unknown} more)")
            elif unknown == 0 and data is not None and client.get(path)[0] != data:
                self.bad(f"{where}: {path} has other data than version {version}")


class Sequencer(Worker):
    def __init__(self, load, number):
        super().__init__(load, number)
        self.names = []

    def step(self):
        name = self.ask(self.client.create, f"{ROOT}/sequence/{self.name}-", b"", sequence=True).rsplit("/", 1)[1]
        if self.names and self.number(name) <= self.number(self.names[-1]):
            self.bad(f"{name} after {self.names[-1]}")
        self.names.append(name)

    @staticmethod
    def number(name):
        return int(name[-10:])

    def verify(self, client, where):
        found = client.get_children(f"{ROOT}/sequence")
        if len({self.number(name) for name in found}) < len(found):
            self.bad(f"{where}: a sequence number was given twice")
        own = {name for name in found if name.startswith(self.name + "-")}
        lost = set(self.names) - own
        if lost:
            self.bad(f"{where}: {len(lost)} sequential nodes are lost, e.g. {min(lost)}")
        if len(own) > len(self.names) + self.unknown:
            self.bad(f"{where}: {len(own)} sequential nodes, {len(self.names)} acknowledged, {self.unknown} unknown")


class Holder(Worker):
    """Ephemerals of a session that lives as long as the load."""

    def __init__(self, load, number):
        super().__init__(load, number)
        self.held = set()
        self.count = 0

    def step(self):
        if len(self.held) < NODE_COUNT:
            self.count += 1
            path = f"{ROOT}/{self.name}-{self.count}"
            self.ask(self.client.create, path, b"", ephemeral=True)
            self.held.add(path)
        else:
            path = self.dice.choice(sorted(self.held))
            self.held.discard(path)
            self.ask(self.client.delete, path)

    def verify(self, client, where):
        for path in self.held:
            found = client.exists(path)
            if found is None:
                self.bad(f"{where}: the ephemeral {path} is lost")
            elif found.ephemeralOwner != self.session:
                self.bad(f"{where}: the ephemeral {path} belongs to 0x{found.ephemeralOwner:x}, not 0x{self.session:x}")


class Register(Worker):
    """One of several that write one znode with expected versions, and read it."""

    PATH = f"{ROOT}/register"

    def __init__(self, load, number):
        super().__init__(load, number)
        self.known = 0

    def note(self, kind, begin, outcome, expected=None, stat=None):
        self.load.events.append(history.Event(self.name, kind, begin, time.monotonic(), outcome, expected,
                                              stat.version if stat else None, stat.mzxid if stat else None))

    def step(self):
        begin = time.monotonic()
        kind = self.dice.choice(("set", "set", "get", "synced"))
        expected = self.known if kind == "set" else None
        try:
            if kind == "set":
                stat = self.ask(self.client.set, self.PATH, b"%d" % (expected + 1), expected)
            else:
                if kind == "synced":
                    self.ask(self.client.sync, self.PATH)
                    kind = self.load.synced_kind
                stat = self.ask(self.client.get, self.PATH)[1]
        except BadVersionError:
            self.note(kind, begin, history.REFUSED, expected)
            stat = self.ask(self.client.get, self.PATH)[1]
            kind, begin = "get", time.monotonic()
        except UNKNOWN:
            self.note(kind, begin, history.UNKNOWN, expected)
            raise
        self.known = stat.version
        self.note(kind, begin, history.DONE, expected if kind == "set" else None, stat)

    def verify(self, client, where):
        version = client.exists(self.PATH).version
        newest = max((event.version for event in self.load.events if event.kind == "set" and event.outcome == history.DONE), default=0)
        if version < newest:
            self.bad(f"{where}: the register has version {version}, and {newest} was acknowledged")


class Locker(Worker):
    """Holds a lock and counts in a znode: nobody else may count between its reading and its writing."""

    PATH = f"{ROOT}/counter"

    def __init__(self, load, number):
        super().__init__(load, number)
        self.lock = self.client.Lock(f"{ROOT}/lock", self.name)
        self.counted = 0

    def step(self):
        if not self.lock.acquire(timeout=self.load.timeout_s * 4):
            self.bad("no lock")
            return
        try:
            holder, self.load.holder = self.load.holder, self.name
            if holder is not None:
                self.bad(f"the lock is held by {holder} already")
            _, stat = self.ask(self.client.get, self.PATH)
            self.ask(self.client.set, self.PATH, self.name.encode(), stat.version)
            self.counted += 1
        except BadVersionError:
            self.bad("somebody counted while the lock was held")
        finally:
            self.load.holder = None
            self.lock.release()

    def verify(self, client, where):
        counted = sum(worker.counted for worker in self.load.workers if isinstance(worker, Locker))
        unknown = sum(worker.unknown for worker in self.load.workers if isinstance(worker, Locker))
        version = client.exists(self.PATH).version
        if not counted <= version <= counted + unknown:
            self.bad(f"{where}: the counter is {version}, {counted} were acknowledged and {unknown} unknown")


class Load:
    def __init__(self, addresses, timeout_s, seed, sync):
        self.addresses = addresses
        self.timeout_s = float(timeout_s)
        self.seed = seed
        self.synced_kind = {"strong": "synced", "weak": "get"}[sync]
        self.stopping = threading.Event()
        self.is_over = False
        self.events = []
        self.holder = None
        self._prepare()
        kinds = (Writer, Writer, Sequencer, Sequencer, Holder, Holder, Register, Register, Register, Locker, Locker, Locker)
        self.workers = [kind(self, number) for number, kind in enumerate(kinds, 1)]

    def _prepare(self):
        client = KazooClient(hosts=self.addresses, timeout=self.timeout_s)
        client.start(timeout=START_S)
        for path in (ROOT, f"{ROOT}/sequence", f"{ROOT}/lock", Register.PATH, Locker.PATH):
            client.ensure_path(path)
        client.stop()
        client.close()

    def count(self):
        return sum(worker.acked for worker in self.workers)

    def run(self):
        for worker in self.workers:
            worker.thread.start()
        print("running", flush=True)
        for line in sys.stdin:
            word = line.strip()
            if word == "stop":
                break
            if word == "pause":
                for worker in self.workers:
                    worker.turn.acquire()
                print("paused", flush=True)
            elif word == "resume":
                for worker in self.workers:
                    worker.turn.release()
            else:
                print("count", self.count(), flush=True)
        self.stopping.set()
        for worker in self.workers:
            worker.thread.join(patient(60))
            if worker.thread.is_alive():
                worker.bad("is still waiting for an answer")

    def verify(self):
        """Members may elect again while they are asked, if the machine stood still: what has had no answer is asked once more."""
        for address in self.addresses.split(","):
            client = KazooClient(hosts=address, timeout=self.timeout_s)
            client.start(timeout=START_S)
            client.retry(client.sync, "/")
            for worker in self.workers:
                client.retry(worker.verify, client, address)
            client.stop()
            client.close()

    def report(self):
        for text in history.check(self.events):
            print(f"not ok register: {text}")
        print(f"ok register: {len(self.events)} events")
        for worker in self.workers:
            for text in worker.wrong:
                print(f"not ok {worker.name}: {text}")
            print(f"{'ok' if worker.acked > 0 else 'not ok'} {worker.name}: {worker.acked} acknowledged")
        print(f"figures {self.count()} acknowledged, {sum(worker.unknown for worker in self.workers)} unknown, "
              f"longest stall of a client {max(worker.stalled_s for worker in self.workers):.2f} s", flush=True)

    def close(self):
        self.is_over = True
        for worker in self.workers:
            worker.client.stop()
            worker.client.close()


if __name__ == "__main__":
    load = Load(*sys.argv[1:])
    load.run()
    load.verify()
    load.report()
    load.close()
