"""What a directed case is made of: requests by name, and a root of its own in both trees."""

from harness import zk
from harness.zk import B, I, L, OPEN, S, Z

from twin import Difference

CASES = []


class Row:
    def __init__(self, name, variant, run):
        self.name, self.variant, self.run = name, variant, run


def case(variant="default", name=None):
    """A case told as a function of a `Scene`."""

    def note(function):
        CASES.append(Row(name or function.__name__, variant, function))
        return function

    return note


def _ask_at_once(link, requests):
    """But for what comes behind a setACL: whether the new list counts before it is applied is chance at Apache's."""
    for number, (op, body) in enumerate(requests, 1):
        link.add(op, body)
        if op == "setACL" or number == len(requests):
            link.gather(f"up to request {number} at once")


def row(name, requests, variant="default", auth=None):
    """A case that is a list of requests below the case's root: asked one by one, then again all at once."""

    def run(scene):
        for part, at_once in (("one", False), ("all", True)):
            root = scene.make(part)
            link = scene.open(auth=auth)
            made = requests(root)
            if at_once:
                _ask_at_once(link, made)
            else:
                for op, body in made:
                    link.ask(op, body)
            scene.fence()
            scene.dump(root)

    CASES.append(Row(name, variant, run))


# Requests: (op, body).


def create(path, data=b"", flags=0, entries=OPEN, op="create"):
    return op, zk.create_body(path, flags, data, entries)


def create2(path, data=b"", flags=0, entries=OPEN):
    return create(path, data, flags, entries, "create2")


def container(path, data=b"", flags=4, entries=OPEN):
    return create(path, data, flags, entries, "createContainer")


def create_ttl(path, ttl, data=b"", flags=5, entries=OPEN):
    return "createTTL", zk.create_body(path, flags, data, entries) + L(ttl)


def delete(path, version=-1):
    return "delete", S(path) + I(version)


def exists(path, watch=0):
    return "exists", S(path) + Z(watch)


def get(path, watch=0):
    return "getData", S(path) + Z(watch)


def put(path, data=b"", version=-1):
    return "setData", S(path) + B(data) + I(version)


def get_acl(path):
    return "getACL", S(path)


def set_acl(path, entries=OPEN, version=-1):
    return "setACL", S(path) + entries + I(version)


def children(path, watch=0):
    return "getChildren", S(path) + Z(watch)


def children2(path, watch=0):
    return "getChildren2", S(path) + Z(watch)


def sync(path):
    return "sync", S(path)


def check(path, version=-1):
    return "check", S(path) + I(version)


def number(path):
    return "getAllChildrenNumber", S(path)


def ephemerals(prefix):
    return "getEphemerals", S(prefix)


def add_watch(path, mode):
    return "addWatch", S(path) + I(mode)


def check_watches(path, kind):
    return "checkWatches", S(path) + I(kind)


def remove_watches(path, kind):
    return "removeWatches", S(path) + I(kind)


def multi(*parts, op="multi"):
    return op, zk.multi(*((zk.OPS.get(o, o), body) for o, body in parts))


def multi_read(*parts):
    return multi(*parts, op="multiRead")


def reconfig(joining=None, leaving=None, members=None, version=-1):
    return "reconfig", S(joining) + S(leaving) + S(members) + L(version)


WHO = ("whoAmI", b"")


class Scene:
    """A case while it runs."""

    def __init__(self, twin, name):
        self.twin = twin
        self.name = name
        self.root = "/" + name
        self.may_drift = False  # The servers use different numbers of zxids, as documented.
        self.apache_ends = False  # Apache's server does not survive the case, as documented.
        self.checks = 0

    def open(self, auth=None, **options):
        link = self.twin.session(**options)
        if auth:
            self.auth(link, *auth)
        return link

    def auth(self, link, scheme, secret):
        return link.ask("auth", I(0) + S(scheme) + B(secret), xid=-4)

    def make(self, part=None):
        """The case's root, or a part of it, made by a session of its own."""
        path = self.root if part is None else f"{self.root}-{part}"
        link = self.open()
        link.ask(*create(path))
        link.end()
        return path

    def fence(self):
        return self.twin.fence()

    def dump(self, *paths, auth=None):
        """All that can be read below the paths."""
        link = self.open(auth=auth)
        rest = list(paths)
        while rest:
            path = rest.pop()
            for request in (children2(path), get(path), get_acl(path)):
                link.add(*request)
            for entry in link.gather(f"dump of {path}")[:1]:
                if entry[0] == "reply" and entry[3] == 0 and entry[4] and isinstance(entry[4], list):
                    rest += [path.rstrip("/") + "/" + name.decode() for name in entry[4]]
        link.end()

    def need(self, holds, what):
        """What the case is about must have happened on both: it is no case otherwise."""
        self.checks += 1
        if not holds:
            raise AssertionError(f"the case shows nothing: {what}")

    def both(self, link, op, body=b"", xid=None, until_closed=False):
        """[what ours says, what Apache's says] to one request, not compared."""
        link.add(op, body, xid)
        link.flush()
        heard = [side.collect(until_closed) for side in link.sides]
        link.closed = any(side.closed for side in link.sides)
        return heard

    def accepted(self, what, ours, expected_ours, theirs, expected_theirs):
        """A row of docs/compatibility.md: both must do what is written there."""
        self.checks += 1
        if ours != expected_ours:
            raise Difference(f"accepted: {what}: ours is not as documented", ours, f"documented: {expected_ours}")
        if theirs != expected_theirs:
            raise Difference(
                f"accepted: {what}: Apache's is not as documented", f"documented: {expected_theirs}", theirs
            )


def errors(heard):
    """The codes of the replies."""
    return [entry[3] for entry in heard if entry[0] == "reply"]


def events(heard):
    return [(entry[3], entry[5]) for entry in heard if entry[0] == "event"]
