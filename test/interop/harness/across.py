"""A broker by one on a keeper by another: topics, records and groups, while either side is restarted and killed."""

import threading

from . import ensemble, group, places, records, tools

KILL_COUNT = 3


class Cluster:
    """A broker on a keeper or an ensemble, a writer and a reader that stay, and what must have been read in the end."""

    def __init__(self, t, address, broker_kind, name="broker"):
        self.t = t
        self.address = address
        self.broker = t.broker(address, broker_kind, name, zookeeper__session__timeout__ms=60000)
        self.tools = tools.Tools(t, "kafka3", self.broker)
        self.seen = records.Seen()
        self.next = 0
        self.member = None
        self.create(group.TOPIC, group.PARTITIONS)

    def client(self, *words):
        return self.t.java_program("broker/java/Client.java", "kafka4", *words)

    def create(self, topic, partitions):
        self.t.run(self.client("create", self.broker.address, topic, partitions), "create", 60)

    def join(self):
        self.member = group.Member(self.t, self.client, self.broker, "member", self.seen, threading.Lock())

    def work(self, what, codecs=("none", "lz4"), count=1000):
        """Writes, and waits until the member has read it."""
        first, self.next = self.next, self.seen.write(codecs, self.next, count)
        self.t.run(self.client("produce", self.broker.address, group.TOPIC, ",".join(codecs), first, count), "produce", 60)
        self.t.wait_until(lambda: len(self.seen.lines) >= len(self.seen.written), f"{what}: written and read", 60)

    def topics(self, what, name):
        """The controller's work: a topic comes, grows and goes."""
        self.create(name, 2)
        self.tools.run("topics", "--alter", "--topic", name, "--partitions", "3")
        text = self.tools.run("topics", "--describe", "--topic", name)
        self.t.check("PartitionCount: 3" in text and text.count("Leader: 0") == 3, f"{what}: topic {name}", text)
        self.tools.run("configs", "--entity-type", "topics", "--entity-name", name, "--describe")
        self.tools.run("topics", "--delete", "--topic", name)
        self.t.wait_until(lambda: name not in self.tools.run("topics", "--list").split(), f"{what}: {name} goes", 60)

    def registration(self):
        lines = self.t.run(self.t.python_program("harness/tree.py", "dump", self.address), "dump")
        return next((line for line in lines if line.startswith("/brokers/ids/0\t")), None)

    def wait_registered(self, what, gone=False):
        self.t.wait_until(lambda: (self.registration() is None) == gone, what, 60)


def case(t, keeper_kind, broker_kind):
    keeper = t.keeper(keeper_kind)
    cluster = Cluster(t, keeper.address, broker_kind)
    cluster.topics("at first", "first")
    cluster.join()
    cluster.work("at first", records.CODECS, 2000)

    keeper.restart()
    cluster.work("after the keeper's restart")
    cluster.topics("after the keeper's restart", "second")
    keeper.kill()
    cluster.work("while there is no keeper")
    keeper.start()
    cluster.wait_registered("after the keeper was killed: the broker is registered")
    cluster.topics("after the keeper was killed", "third")

    cluster.broker.restart()
    cluster.work("after the broker's restart")
    cluster.topics("after the broker's restart", "fourth")
    cluster.broker.kill()
    cluster.wait_registered("the killed broker's registration goes", gone=True)
    cluster.broker.start()
    cluster.work("after the broker was killed")
    cluster.topics("after the broker was killed", "fifth")

    # Frozen for longer than its session: when it wakes, the broker must register anew.
    cluster.broker.freeze()
    cluster.wait_registered("the frozen broker's registration goes", gone=True)
    cluster.broker.thaw()
    cluster.wait_registered("the broker that was frozen registers anew")
    cluster.work("after the broker's session expired")
    cluster.topics("after the broker's session expired", "sixth")

    cluster.broker.stop()
    keeper.restart()
    cluster.broker.start()
    cluster.work("after both were restarted")
    cluster.member.stop(t)
    cluster.seen.verify(t, "in the end")
    cluster.broker.check_alive()
    keeper.check_alive()
    cluster.broker.stop()
    keeper.stop()


def on_ensemble(t, broker):
    """A broker of this kind on an ensemble whose leader is killed again and again: topics, records and groups go on."""
    kinds = (places.target(), "apache", places.target())
    e = ensemble.Ensemble(t, kinds, name=f"under-{broker}")
    e.start_led_by(3)
    cluster = Cluster(t, e.addresses, broker, f"broker-{broker}")
    cluster.topics(f"{broker}: at first", "first")
    cluster.join()
    cluster.work(f"{broker}: at first")
    for number in range(KILL_COUNT):
        leader = e.leader()
        e.kill(leader)
        cluster.work(f"{broker}: while {leader} is gone")
        cluster.topics(f"{broker}: while {leader} is gone", f"without-{number}")
        e.start(leader)
        cluster.work(f"{broker}: with {leader} again")
    cluster.broker.kill()
    cluster.wait_registered(f"{broker}: the killed broker's registration goes", gone=True)
    e.kill(e.leader())
    cluster.broker.start()
    cluster.work(f"{broker}: started while two members are there")
    cluster.member.stop(t)
    cluster.seen.verify(t, f"{broker}: in the end")
    cluster.broker.stop()
    e.start(*(number for number in e.members if number not in e.up()))
    e.check_same(f"{broker}: in the end")
    e.stop_all()
