"""kazoo against a keeper: one check a line, `ok WHAT` or `not ok WHAT: detail`."""

import sys
import threading
import time
import traceback

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (BadVersionError, NoAuthError, NodeExistsError, NoNodeError, NotEmptyError,
                              RolledBackError, NoChildrenForEphemeralsError)
from kazoo.recipe.barrier import Barrier, DoubleBarrier
from kazoo.recipe.cache import TreeCache
from kazoo.security import make_acl, make_digest_acl

ADDRESS = sys.argv[1]
WAIT_S = 120
SESSION_S = 300.0  # Longer than a machine stands still.


def connect(**options):
    client = KazooClient(hosts=ADDRESS, timeout=options.pop("timeout", SESSION_S), **options)
    client.start(timeout=WAIT_S)
    return client


def ask(word):
    print("ask " + word, flush=True)
    if not sys.stdin.readline():
        raise EOFError


def wait(condition, what):
    until = time.monotonic() + 2 * WAIT_S
    while not condition():
        assert time.monotonic() < until, what() if callable(what) else what
        time.sleep(0.02)


def raises(kind, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except kind:
        return
    raise AssertionError(f"{kind.__name__} expected")


TESTS = []


def test(function):
    TESTS.append(function)
    return function


@test
def operations(zk, other):
    zk.ensure_path("/kz/deep/er")
    assert zk.create("/kz/a", b"one") == "/kz/a"
    raises(NodeExistsError, zk.create, "/kz/a")
    raises(NoNodeError, zk.create, "/kz/none/a")
    path, stat = zk.create("/kz/b", b"two", include_data=True)
    assert (path, stat.version, stat.dataLength) == ("/kz/b", 0, 3)
    assert zk.create("/kz/s", sequence=True) == "/kz/s0000000003"
    assert zk.create("/kz/e", b"", ephemeral=True, sequence=True, include_data=True)[1].ephemeralOwner != 0
    data, stat = zk.get("/kz/a")
    assert data == b"one" and stat.version == 0
    assert zk.set("/kz/a", b"new", version=0).version == 1
    raises(BadVersionError, zk.set, "/kz/a", b"x", version=0)
    assert zk.exists("/kz/none") is None
    assert sorted(zk.get_children("/kz/deep")) == ["er"]
    children, stat = zk.get_children("/kz/deep", include_data=True)
    assert children == ["er"] and stat.numChildren == 1
    raises(NotEmptyError, zk.delete, "/kz/deep")
    raises(BadVersionError, zk.delete, "/kz/a", version=0)
    zk.delete("/kz/a", version=1)
    zk.delete("/kz/deep", recursive=True)
    assert zk.sync("/kz") == "/kz"
    raises(NoChildrenForEphemeralsError, zk.create, zk.create("/kz/leaf", ephemeral=True) + "/x")


@test
def acls(zk, other):
    zk.create("/acl", b"")
    owner = make_digest_acl("ada", "lovelace", all=True)
    zk.create("/acl/a", b"s", acl=[owner])
    raises(NoAuthError, zk.get, "/acl/a")
    zk.add_auth("digest", "ada:lovelace")
    assert zk.get("/acl/a")[0] == b"s"
    acls_seen, stat = zk.get_acls("/acl/a")
    assert acls_seen == [owner] and stat.aversion == 0
    zk.set_acls("/acl/a", [owner, make_acl("world", "anyone", read=True)], version=0)
    assert other.get("/acl/a")[0] == b"s"
    raises(NoAuthError, other.set, "/acl/a", b"x")
    zk.create("/acl/ip", b"i", acl=[make_acl("ip", "127.0.0.1", all=True)])
    assert other.get("/acl/ip")[0] == b"i"


@test
def transactions(zk, other):
    zk.create("/tx", b"")
    change = zk.transaction()
    change.check("/tx", 0)
    change.create("/tx/a", b"1")
    change.set_data("/tx/a", b"2")
    change.create("/tx/s", b"", sequence=True)
    change.delete("/tx/a", 1)
    results = change.commit()
    assert results[0] is True and results[1] == "/tx/a" and results[2].version == 1
    assert results[3] == "/tx/s0000000001" and results[4] is True, results
    change = zk.transaction()
    change.create("/tx/b")
    change.check("/tx", 9)
    change.create("/tx/c")
    results = change.commit()
    assert isinstance(results[0], RolledBackError) and isinstance(results[1], BadVersionError), results
    assert zk.exists("/tx/b") is None


@test
def watchers(zk, other):
    zk.create("/w", b"")
    seen, children = [], []
    zk.DataWatch("/w/d", lambda data, stat: seen.append(data))
    zk.ChildrenWatch("/w", children.append)
    other.create("/w/d", b"1")
    wait(lambda: seen[-1:] == [b"1"], lambda: f"DataWatch created: {seen}")
    other.set("/w/d", b"2")
    wait(lambda: seen[-1:] == [b"2"], lambda: f"DataWatch changed: {seen}")
    other.create("/w/e", b"1")
    wait(lambda: sorted(children[-1]) == ["d", "e"], lambda: f"ChildrenWatch: {children}")
    other.delete("/w/d")
    wait(lambda: seen[-1:] == [None] and children[-1] == ["e"], lambda: f"deleted: {seen} {children}")
    events = []
    zk.exists("/w/once", watch=events.append)
    other.create("/w/once")
    wait(lambda: len(events) == 1 and events[0].type == "CREATED", lambda: f"one event: {events}")


@test
def lock(zk, other):
    order = []
    first = zk.Lock("/lock", "first")
    second = other.Lock("/lock", "second")
    with first:
        assert second.acquire(blocking=False) is False
        assert first.contenders() == ["first"]
        waiter = threading.Thread(target=lambda: (second.acquire(), order.append("second"), second.release()))
        waiter.start()
        wait(lambda: first.contenders() == ["first", "second"], "two contenders")
        order.append("first")
    waiter.join(WAIT_S)
    assert order == ["first", "second"], order
    raises(Exception, other.Lock("/lock").acquire, timeout=0.2) if first.acquire() else None
    first.release()


@test
def read_write_lock(zk, other):
    read, again, write = zk.ReadLock("/rw"), other.ReadLock("/rw"), other.WriteLock("/rw")
    assert read.acquire() and again.acquire()
    assert write.acquire(blocking=False) is False
    read.release(), again.release()
    assert write.acquire(timeout=WAIT_S)
    write.release()


@test
def semaphore(zk, other):
    a, b, c = zk.Semaphore("/sem", max_leases=2), other.Semaphore("/sem", max_leases=2), zk.Semaphore("/sem", max_leases=2)
    assert a.acquire() and b.acquire() and c.acquire(blocking=False) is False
    a.release()
    assert c.acquire(timeout=WAIT_S)
    b.release(), c.release()


@test
def election(zk, other):
    led = []
    stop = threading.Event()
    first = zk.Election("/election", "first")
    second = other.Election("/election", "second")
    threads = [
        threading.Thread(target=first.run, args=(lambda: (led.append("first"), stop.wait(WAIT_S)),)),
        threading.Thread(target=second.run, args=(lambda: led.append("second"),)),
    ]
    threads[0].start()
    wait(lambda: led == ["first"], "a first leader")
    threads[1].start()
    wait(lambda: len(second.contenders()) == 2, "two contenders")
    stop.set()
    [thread.join(WAIT_S) for thread in threads]
    assert led == ["first", "second"], led


@test
def queues(zk, other):
    queue = zk.Queue("/queue")
    for i in range(20):
        queue.put(f"{i}".encode(), priority=100 - i)
    assert len(queue) == 20
    taken = [other.Queue("/queue").get() for _ in range(1)]
    taken += [queue.get() for _ in range(19)]
    assert taken == [f"{i}".encode() for i in reversed(range(20))], taken
    locking = zk.LockingQueue("/lqueue")
    locking.put_all([b"a", b"b"])
    assert locking.get(WAIT_S) == b"a" and locking.consume()
    theirs = other.LockingQueue("/lqueue")
    assert theirs.get(WAIT_S) == b"b" and theirs.consume()


@test
def barriers(zk, other):
    barrier = Barrier(zk, "/barrier")
    barrier.create()
    passed = []
    waiter = threading.Thread(target=lambda: passed.append(Barrier(other, "/barrier").wait(WAIT_S)))
    waiter.start()
    assert barrier.remove()
    waiter.join(WAIT_S)
    assert passed == [True], passed
    inside = []

    def both(client, name):
        double = DoubleBarrier(client, "/double", 2, name)
        double.enter()
        inside.append(name)
        double.leave()

    threads = [threading.Thread(target=both, args=pair) for pair in ((zk, "one"), (other, "two"))]
    [thread.start() for thread in threads]
    [thread.join(WAIT_S) for thread in threads]
    assert sorted(inside) == ["one", "two"], inside


@test
def party(zk, other):
    mine, theirs = zk.Party("/party", "zk"), other.ShallowParty("/shallow", "other")
    mine.join(), theirs.join()
    assert list(mine) == ["zk"] and list(theirs) == ["other"]
    late = other.Party("/party", "late")
    late.join()
    wait(lambda: sorted(mine) == ["late", "zk"], "two at the party")
    late.leave(), mine.leave(), theirs.leave()
    assert len(list(mine)) == 0


@test
def counter(zk, other):
    threads = [threading.Thread(target=add, args=(client,)) for client in (zk, other)]
    [thread.start() for thread in threads]
    [thread.join(3 * WAIT_S) for thread in threads]
    assert zk.Counter("/counter").value == 100, zk.Counter("/counter").value


def add(client):
    mine = client.Counter("/counter")
    for _ in range(50):
        mine += 1


@test
def partitioner(zk, other):
    shares = {}
    done = threading.Event()

    def share(client, name):
        mine = client.SetPartitioner("/parts", set=range(6), identifier=name, time_boundary=0.5)
        while not done.is_set() and not mine.failed:
            if mine.release:
                mine.release_set()
            elif mine.acquired:
                shares[name] = list(mine)
                time.sleep(0.02)
            elif mine.allocating:
                mine.wait_for_acquire(1)
        mine.finish()

    threads = [threading.Thread(target=share, args=pair) for pair in ((zk, "zk"), (other, "other"))]
    [thread.start() for thread in threads]
    try:
        wait(lambda: [len(s) for s in shares.values()] == [3, 3] and sorted(sum(shares.values(), [])) == [*range(6)],
             lambda: f"equal shares: {shares}")
    finally:
        done.set()
        [thread.join(WAIT_S) for thread in threads]


@test
def lease(zk, other):
    import datetime
    hour = datetime.timedelta(hours=1)
    assert zk.NonBlockingLease("/lease", hour, "zk")
    assert not other.NonBlockingLease("/lease", hour, "other")
    assert zk.MultiNonBlockingLease(2, "/leases", hour, "a")
    assert other.MultiNonBlockingLease(2, "/leases", hour, "b")
    assert not zk.MultiNonBlockingLease(2, "/leases", hour, "c")


@test
def tree_cache(zk, other):
    zk.ensure_path("/cache/a")
    cache = TreeCache(zk, "/cache")
    cache.start()
    wait(lambda: cache.get_children("/cache") is not None and "a" in cache.get_children("/cache"), "filled")
    other.create("/cache/a/b", b"deep")
    wait(lambda: cache.get_data("/cache/a/b") is not None and cache.get_data("/cache/a/b").data == b"deep", "grown")
    other.delete("/cache/a/b")
    wait(lambda: cache.get_data("/cache/a/b") is None, "shrunk")
    cache.close()


@test
def asynchronous(zk, other):
    zk.create("/async", b"")
    made = [zk.create_async(f"/async/{i}", b"x" * 100) for i in range(1000)]
    assert [m.get(timeout=WAIT_S) for m in made] == [f"/async/{i}" for i in range(1000)]
    assert len(zk.get_children("/async")) == 1000


@test
def words(zk, other):
    assert zk.server_version()[:1] == (3,), zk.server_version()
    assert zk.command(b"ruok") == "imok"


@test
def killed_client(zk, other):
    events = []
    ask("victim /victim")
    assert zk.exists("/victim", watch=events.append)
    ask("kill")
    wait(lambda: [e.type for e in events] == ["DELETED"], lambda: f"no deletion: {events}")


@test
def restart(zk, other):
    states = []
    zk.add_listener(states.append)
    zk.create("/r", b"")
    zk.create("/r/eph", b"", ephemeral=True)
    seen = []
    zk.DataWatch("/r", lambda data, stat: seen.append(data))
    lock = zk.Lock("/rlock", "me")
    lock.acquire()
    session = zk.client_id
    ask("restart")
    wait(lambda: states[-1:] == [KazooState.CONNECTED] and KazooState.SUSPENDED in states, lambda: f"reconnected: {states}")
    assert zk.client_id == session and KazooState.LOST not in states
    assert zk.exists("/r/eph").ephemeralOwner == session[0]
    wait(lambda: other.connected, "the other reconnects")
    other.retry(other.set, "/r", b"after")
    wait(lambda: seen[-1:] == [b"after"], lambda: f"the watch fires: {seen}")
    assert other.Lock("/rlock").acquire(blocking=False) is False
    lock.release()


def victim(path):
    zk = connect(timeout=12)
    zk.create(path, ephemeral=True)
    print("holding " + path, flush=True)
    time.sleep(3600)


def main():
    if sys.argv[2] == "victim":
        victim(sys.argv[3])
    wanted = sys.argv[2]
    zk, other = connect(), connect()
    for function in TESTS:
        if wanted not in ("all", function.__name__):
            continue
        try:
            function(zk, other)
            print("ok " + function.__name__, flush=True)
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[1].lineno
            print(f"not ok {function.__name__}: {error!r} at line {line}".replace("\n", " "), flush=True)
    zk.stop(), other.stop()
    zk.close(), other.close()


main()
