"""Random operations from a seed: colliding paths, valid and invalid arguments, several sessions with watches.

A step depends on the seed alone and never on an answer, so any part of a run can be run again by itself. Within a step
one session sends a batch; then every other session is fenced. What Apache's threads do in no certain order is kept
apart: auth, which overtakes requests, goes alone; closing comes last; hard quotas, judged by what is committed, get
batches of one; see also is_racy.
"""

import collections
import random
import time

from harness.zk import B, I, L, OPEN, S, acl, strings

import scene
from twin import Difference, Twin

SLOTS = 6
TOP = "/r"
LEAVES = ("a", "b", "c", "d")
ODD_PATHS = (
    "/",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "",
    "a",
    "/r/",
    "//",
    "/r//a",
    "/r/.",
    "/r/..",
    "/r/\x01",
    "/r/\u4e2d",
    "/r/\ue000",
    "/nosuch",
    "/r/a/b/c/d/e/f",
    None,
)
ACLS = (
    acl((1, "world", "anyone")),
    acl((31, "auth", "")),
    acl((31, "digest", "u:x")),
    acl((31, "ip", "127.0.0.1")),
    acl((31, "ip", "127.0.0.0/8"), (1, "world", "anyone")),
    acl((31, "ip", "10.0.0.0/8")),
    acl((15, "world", "anyone")),
    acl((1, "world", "anyone"), (31, "auth", "")),
    acl((31, "world", "anyone"), (31, "world", "anyone")),
    acl((30, "world", "anyone")),
    acl((27, "world", "anyone"), (4, "auth", "x")),
)
BAD_ACLS = (
    I(0),
    I(-1),
    acl((31, "world", "me")),
    acl((31, "nosuch", "x")),
    acl((31, "digest", "nocolon")),
    acl((31, "ip", "1.2.3.4.5")),
    acl((31, None, "anyone")),
    acl((31, "world", None)),
    acl((31, "x509", "cn=a")),
)
LIMITS = (
    b"count=5,bytes=-1",
    b"count=-1,bytes=50",
    b"count=3,bytes=30",
    b"count=-1,bytes=-1=;byteHardLimit=60;countHardLimit=8",
    b"count=4,bytes=40=;byteHardLimit=100;countHardLimit=6",
    b"count=-1,bytes=-1",
)


class Dice:
    """Draws steps."""

    def __init__(self, seed, variant):
        self.random = random.Random(f"{seed} {variant}")
        self.batch_max = 1 if variant == "quota" else 48
        self.is_fragile = False
        self.sizes = (500, 1000) if variant == "small" else (3000, 20000)
        kinds = [
            (90, self.create),
            (60, self.delete),
            (50, self.exists),
            (60, self.get),
            (60, self.put),
            (15, self.get_acl),
            (12, self.set_acl),
            (30, self.children),
            (25, self.children2),
            (5, self.sync),
            (30, self.multi),
            (12, self.multi_read),
            (20, self.add_watch),
            (10, self.check_watches),
            (12, self.remove_watches),
            (12, self.set_watches),
            (6, self.ephemerals),
            (6, self.number),
            (3, self.who),
            (8, self.container),
            (8, self.ttl),
            (10, self.quota),
            (3, self.ping),
            (1, self.reconfig),
        ]
        self.kinds = [kind for _, kind in kinds]
        self.weights = [weight for weight, _ in kinds]

    # Arguments.

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def path(self):
        dice = self.random
        if dice.random() < 0.04:
            return dice.choice(ODD_PATHS)
        depth = dice.choice((0, 1, 1, 1, 2, 2, 2, 3))
        path = TOP + "".join("/" + dice.choice(LEAVES) for _ in range(depth))
        if dice.random() < 0.1:
            path += f"/s{dice.choice((0, 1, 1, 2, 3, 5, 8)):010d}"
        return path

    def entries(self):
        roll = self.random.random()
        if roll < 0.86:
            return OPEN
        return self.random.choice(ACLS) if roll < 0.97 else self.random.choice(BAD_ACLS)

    def data(self):
        roll = self.random.random()
        if roll < 0.1:
            return None
        if roll < 0.3:
            return b""
        return self.random.randbytes(self.random.choice((1, 3, 10, 40, 200) if roll < 0.99 else self.sizes))

    def version(self):
        return self.random.choice((-1, -1, -1, -1, 0, 0, 1, 2, 3, -2, 1 << 20))

    def flags(self):
        return self.random.choice(
            (0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, -1) if self.chance(90) else (99, 1 << 30)
        )

    def watch(self):
        return self.random.choice((0, 1, 1, 2))

    def sequence_or(self, path, flags):
        if path is not None and flags in (2, 3, 6) and self.chance(70):
            return path + self.random.choice(("/s", "/", "/a-"))
        return path

    # Requests.

    def create(self):
        flags = self.flags()
        path = self.sequence_or(self.path(), flags)
        return self.random.choice((scene.create, scene.create2))(path, self.data(), flags, self.entries())

    def container(self):
        flags = self.random.choice((4, 4, 4, 0, 1, 2, 7))
        self.is_fragile = self.is_fragile or flags == 1
        return scene.container(self.path(), self.data(), flags, self.entries())

    def ttl(self):
        """Not below zero without the flag: Apache's server ends on it."""
        flags = self.random.choice((5, 5, 5, 6, 6, 0, 1, 4, 9))
        ttl = abs if flags not in (5, 6) else int
        ttl = ttl(self.draw_ttl())
        return scene.create_ttl(self.sequence_or(self.path(), flags), ttl, self.data(), flags, self.entries())

    def draw_ttl(self):
        return self.random.choice((1 << 39, 1 << 39, (1 << 40) - 1, 1 << 40, 0, -1, 10_000_000_000))

    def delete(self):
        return scene.delete(self.path(), self.version())

    def exists(self):
        return scene.exists(self.path(), self.watch())

    def get(self):
        return scene.get(self.path(), self.watch())

    def put(self):
        return scene.put(self.path(), self.data(), self.version())

    def get_acl(self):
        return scene.get_acl(self.path())

    def set_acl(self):
        entries = OPEN if self.chance(50) else self.entries()
        return scene.set_acl(self.path(), entries, self.version())

    def children(self):
        return scene.children(self.path(), self.watch())

    def children2(self):
        return scene.children2(self.path(), self.watch())

    def sync(self):
        return scene.sync(self.path())

    def part(self):
        while True:
            op, body = self.draw_part()
            if self.is_fragile or self.is_sound(op, body):
                return op, body

    @staticmethod
    def is_sound(op, body):
        """Such a part fails by itself, if at all, and not the whole."""
        if body[:4] == I(-1):
            return False
        if op in ("create", "create2", "createContainer"):
            return body[-4:] in (I(0), I(1), I(2), I(3), I(4)) and body[-8:-4] != I(-1)
        return True

    def draw_part(self):
        return self.random.choice(
            (
                self.create,
                self.create,
                self.delete,
                self.put,
                self.put,
                self.container,
                self.ttl,
                lambda: scene.check(self.path(), self.version()),
            )
        )()

    def multi(self):
        self.is_fragile = self.chance(10)
        if self.is_fragile and self.chance(20):
            return scene.multi(self.part(), self.get())
        return scene.multi(*(self.part() for _ in range(self.random.choice((0, 1, 2, 2, 3, 4, 6)))))

    def multi_read(self):
        if self.chance(2):
            return scene.multi_read(self.get(), self.part())
        return scene.multi_read(
            *(self.random.choice((self.get, self.children))() for _ in range(self.random.randrange(5)))
        )

    def add_watch(self):
        return scene.add_watch(self.path(), self.random.choice((0, 0, 0, 1, 1, 1, 2, -1)))

    def check_watches(self):
        return scene.check_watches(self.path(), self.random.choice((1, 2, 3, 4, 5, 0, 6)))

    def remove_watches(self):
        return scene.remove_watches(self.path(), self.random.choice((1, 2, 3, 3, 4, 5, 0, 6)))

    def paths(self):
        return strings(*(self.path() for _ in range(self.random.choice((0, 0, 1, 2, 4))))) if self.chance(99) else I(-1)

    def set_watches(self):
        lists = [self.paths() for _ in range(5)]
        back = self.random.choice((0, 1, 5, 30, 1000, 1 << 40, -5))
        if self.chance(50):
            return "setWatches", lambda zxid: L(zxid - back) + b"".join(lists[:3])
        return "setWatches2", lambda zxid: L(zxid - back) + b"".join(lists)

    def ephemerals(self):
        return scene.ephemerals(self.random.choice(("/", "", " ", None, "/r/a", "/r", "/nosuch", self.path())))

    def number(self):
        return scene.number(self.path())

    def who(self):
        return scene.WHO

    def ping(self):
        return "ping", b""

    def quota(self):
        """Quota nodes come and go; their texts are always sound: Apache's server ends on others."""
        place = "/zookeeper/quota" + self.random.choice((TOP, TOP + "/a", TOP + "/a/b", TOP + "/b"))
        leaf = self.random.choice(("", "", "/zookeeper_limits", "/zookeeper_limits", "/zookeeper_stats"))
        data = self.random.choice(LIMITS) if leaf == "/zookeeper_limits" else b"count=0,bytes=0"
        roll = self.random.randrange(10)
        if roll < 5:
            return scene.create(place + leaf, data)
        if roll < 7 and leaf == "/zookeeper_limits":
            return scene.put(place + leaf, data, self.version())
        return scene.delete(place + leaf) if roll == 7 else scene.get(place + leaf)

    def reconfig(self):
        return scene.reconfig(self.random.choice((None, "", "server.1=a:1:2")), None, None, -1)

    def request(self):
        op, body = self.random.choices(self.kinds, self.weights)[0]()
        if not self.chance(2) or callable(body) or len(body) < 2 or op == "createTTL" or b"zookeeper_" in body:
            return op, body
        return op, self.spoil_multi(body) if op == "multi" else self.spoil(body)

    def spoil_multi(self, body):
        """Never into a createTTL without its flag, on which Apache's server ends."""
        self.is_fragile = True
        spoilt = self.spoil(body)
        return spoilt if I(21) not in spoilt else body

    def spoil(self, body):
        """Cut, longer, or with one byte changed."""
        roll = self.random.randrange(3)
        at = self.random.randrange(len(body))
        if roll == 0:
            return body[:at]
        if roll == 1:
            return body + self.random.randbytes(self.random.randrange(1, 9))
        return body[:at] + bytes([self.random.choice((0, 1, 0x7F, 0x80, 0xFF, body[at] ^ 1))]) + body[at + 1 :]

    def requests(self, count):
        batch = []
        for _ in range(count):
            batch.append(self.request())
            if self.is_racy(*batch[-1]):
                break
        return batch

    def is_racy(self, op, body):
        """Whether the next request may see its traces or not: those of a multi that broke on its way; a pending setACL,
        which shows when it is applied; a container with the flag of an ephemeral, which it is until then."""
        return (
            op == "setACL"
            or (op == "multi" and self.is_fragile)
            or (op == "createContainer" and body[-4:] in (I(1), I(3)))
        )

    # Steps: (kind, slot, details).

    def step(self):
        slot = self.random.randrange(SLOTS)
        roll = self.random.random()
        if roll < 0.955:
            count = self.random.choice((1, 1, 2, 5, 12, 30, 48))
            return "batch", slot, self.requests(min(count, self.batch_max))
        if roll < 0.97:
            secret = self.random.choice((b"u:p", b"v:q", b"super:test", b"u:p"))
            return "auth", slot, secret
        if roll < 0.978:
            return "end", slot, None
        if roll < 0.986:
            return "drop", slot, None
        if roll < 0.992:
            return "move", slot, None
        if roll < 0.994:
            return "refused", slot, self.random.choice((0, -1, 13, 23, 108, 9999))
        return ("sweep" if roll < 0.997 else "dump"), slot, None


class Player:
    """Plays steps on a twin; counts operations."""

    def __init__(self, twin):
        self.twin = twin
        self.slots = [None] * SLOTS
        self.count = 0
        self.codes = collections.Counter()  # Of Apache's replies; "event" for events.
        self.problem = None

    def summary(self):
        """What the answers were, so that one sees that not all of them were errors."""
        return ", ".join(f"{code}: {count}" for code, count in self.codes.most_common())

    def heard(self, frames):
        self.codes.update(frame[3] if frame[0] == "reply" else frame[0] for frame in frames)

    def connection(self, slot):
        link = self.slots[slot]
        if link is None or link.closed:
            if link is not None:
                link.drop()
            link = self.slots[slot] = self.twin.session()
            self.count += 1
        return link

    def play(self, step):
        kind, slot, details = step
        getattr(self, kind)(slot, details)

    def batch(self, slot, requests):
        link = self.connection(slot)
        for op, body in requests:
            link.add(op, body(self.twin.views[1].zxid) if callable(body) else body)
        self.count += len(requests)
        last_xid = link.xid
        try:
            self.heard(link.gather("batch"))
        except Difference as difference:
            xid = difference.theirs[1] if difference.theirs[0] == "reply" else 0
            at = len(requests) - 1 - (last_xid - xid)
            if 0 <= at < len(requests):
                difference.what += f", at {show_request(*requests[at])}"
            raise
        for frames in self.twin.fence(link):
            self.heard(frames[:-1])

    def auth(self, slot, secret):
        link = self.connection(slot)
        link.ask("auth", I(0) + S("digest") + B(secret), xid=-4)
        self.count += 1

    def end(self, slot, _):
        link = self.connection(slot)
        link.end()
        self.count += 1
        self.twin.fence()

    def drop(self, slot, _):
        """The connection breaks, and the client comes back."""
        link = self.connection(slot)
        sessions = link.sessions
        link.drop()
        self.slots[slot], _ = self.twin.resume(sessions)
        self.count += 1
        self.twin.fence()

    def move(self, slot, _):
        """The session appears on another connection; the first one is hung up on."""
        link = self.connection(slot)
        self.slots[slot], _ = self.twin.resume(link.sessions)
        link.gather("the connection whose session has moved", until_closed=True)
        link.drop()
        self.count += 1
        self.twin.fence()

    def refused(self, slot, op):
        link = self.connection(slot)
        sessions = link.sessions
        link.add(op, S("/r"))
        link.gather(f"operation {op}", until_closed=True)
        link.drop()
        self.slots[slot], _ = self.twin.resume(sessions)
        self.count += 2
        self.twin.fence()

    def _ask_all(self, link, requests):
        for op, body in requests:
            link.add(op, body)
        self.count += len(requests)
        return link.gather("the tree")

    def _tree(self, link):
        """All paths, parents first."""
        paths = [b"/"]
        for path in paths:
            heard = self._ask_all(link, [scene.children2(path), scene.get(path), scene.get_acl(path)])
            if heard and heard[-3][0] == "reply" and heard[-3][3] == 0:
                paths += [path.rstrip(b"/") + b"/" + name for name in heard[-3][4]]
        return paths

    def dump(self, slot, _):
        self._tree(self.connection(slot))

    def sweep(self, slot, _):
        """Deletes what it may, so that the tree stays small; opens what it may not read."""
        link = self.connection(slot)
        link.ask("auth", I(0) + S("digest") + B(b"super:test"), xid=-4)
        for path in reversed(self._tree(link)):
            if path not in (b"/", b"/zookeeper", b"/zookeeper/quota", b"/zookeeper/config"):
                self._ask_all(link, [scene.delete(path)])
        self.twin.fence(link)
        self._ask_all(link, [scene.create(TOP)] + [scene.create(f"{TOP}/{leaf}") for leaf in LEAVES])
        self.twin.fence(link)


def show_request(op, body):
    return f"{op} {'lists' if callable(body) else repr(body)}"[:240]


def show(step):
    kind, slot, details = step
    if kind != "batch":
        return f"slot {slot}: {kind} {details if details is not None else ''}"
    return f"slot {slot}: " + "\n        ".join(show_request(*request) for request in details)


def run(addresses, seed, count, variant, tell):
    """The player, which knows how many operations were the same and, in `problem`, what was not."""
    dice, player = Dice(seed, variant), Player(Twin(addresses))
    step, number, told = ("sweep", 0, None), 0, time.monotonic()
    try:
        while player.count < count:
            player.play(step)
            step = dice.step()
            number += 1
            if time.monotonic() - told > 30:
                told = time.monotonic()
                tell(f"{variant}: {player.count} operations")
    except Difference as difference:
        player.problem = f"step {number}, operation {player.count}: {difference}\n    the step: {show(step)}"
    player.twin.end()
    return player
