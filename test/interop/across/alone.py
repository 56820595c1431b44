"""`rookery` alone, in both of its io worlds: a keeper and a broker in one process, for clients of both."""

import pathlib
import signal

from harness import places, probe
from harness.process import Process
from harness.zk import SESSION_MS

RECORDS = "".join(f"key-{n}:value-{n}\n" for n in range(1000))


class Alone:
    """One process with two ports. With Apache as target: its two servers, for the same clients."""

    def __init__(self, t, world):
        self.t, self.world = t, world
        self.directory = t.directory / world
        self.directory.mkdir()
        self.keeper_port, self.broker_port = t.port(), t.port()
        self.keeper, self.broker = f"127.0.0.1:{self.keeper_port}", f"127.0.0.1:{self.broker_port}"
        self.starts = 0

    def start(self):
        self.starts += 1
        self.process = self.t.own(Process(
            [places.rookery(), "--io", self.world, "--data", self.directory / "data", "--keeper-port", self.keeper_port,
             "--broker-port", self.broker_port], self.directory, f"rookery-{self.starts}"))
        self.t.wait_until(lambda: probe.broker_answers(self.broker_port), "both answer", 20)
        said = "\n".join(pathlib.Path(self.directory / f"rookery-{self.starts}.{end}").read_text()
                         for end in ("out", "err"))
        for address in (self.keeper, self.broker):
            self.t.check(address in said, f"it says that it listens on {address}", said)
        self.t.check(str(self.directory / "data") in said, "it says where the data is", said)

    def end(self, number):
        self.process.child.send_signal(number)
        self.t.equal(self.process.wait(20), 0, f"signal {number} ends it cleanly")


class Apache:
    def __init__(self, t, world):
        keeper = t.keeper(name=f"keeper-{world}")
        self.servers = keeper, t.broker(keeper, name=f"broker-{world}")
        self.keeper, self.broker = (server.address for server in self.servers)

    def start(self):
        for server in self.servers:
            if not server.process.is_alive():
                server.start()

    def end(self, number):
        for server in reversed(self.servers):
            server.stop()


def case(t):
    for world in ("io_uring", "libuv"):
        alone = (Alone if t.target == "rookery" else Apache)(t, world)

        def kcat(*words, feed=None):
            return t.run(["kcat", "-b", alone.broker, "-m", "60", *words], "kcat", feed=feed)

        def zkcli(*words):
            return t.run(t.java("zookeeper", "org.apache.zookeeper.ZooKeeperMain", "-timeout", SESSION_MS, "-server", alone.keeper, *words),
                         "zkcli", feed="")

        def written():
            return sorted(kcat("-C", "-q", "-e", "-t", "first", "-f", "%k:%s\n"))

        alone.start()
        kcat("-P", "-t", "first", "-K:", "-X", "acks=all", "-X", "enable.idempotence=true", feed=RECORDS)
        zkcli("create", "/mine", "1")
        t.equal(written(), sorted(RECORDS.split()), f"{world}: every record is there")
        t.check("[0]" in zkcli("ls", "/brokers/ids"), f"{world}: the broker is registered in its keeper")
        for number in (signal.SIGTERM, signal.SIGINT):
            alone.end(number)
            alone.start()
            t.wait_until(lambda: any('topic "first"' in line for line in kcat("-L")), "the topic is known again")
            t.equal(written(), sorted(RECORDS.split()), f"{world}: every record is there after signal {number}")
            t.check("1" in zkcli("get", "/mine"), f"{world}: the znode is there after signal {number}")
        alone.end(signal.SIGTERM)
