"""The servers of a case: a keeper or a broker, by us or by Apache, started from the same configuration file."""

import os
import signal
import time

from . import places, probe, zk
from .process import Failure, Process, patient

START_S = 120  # A JVM takes ten times as long where ten want the processor.
# The ZooKeeper that Kafka 3.9 brings along is a 3.8.
APACHE_JARS = {"apache": "zookeeper", "apache38": "kafka3"}
STOP_S = 30


class Server:
    """A server that can be started, stopped, killed and started again on the same port and directory."""

    def __init__(self, case, kind, name, directory, port, config, settings, command, answers):
        self.case = case
        self.kind = kind
        self.name = name
        self.directory = directory
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.config = directory / config
        self.settings = settings
        self.process = None
        self._command = command
        self._answers = answers
        self._starts = 0
        self.keeps_config = False  # It writes its configuration itself, once it has it.

    def start(self):
        """Starts it and returns when it answers."""
        return self.launch().wait_answer()

    def launch(self):
        """Starts it."""
        if not (self.keeps_config and self.config.exists()):
            self.config.write_text("".join(f"{key}={value}\n" for key, value in self.settings.items()))
        self._starts += 1
        self.process = Process([*self._command, self.config], self.directory, f"{self.name}-{self._starts}")
        self.case.own(self.process)
        return self

    def wait_answer(self):
        started = time.monotonic()
        while not self._answers(self.port):
            if not self.process.is_alive():
                raise Failure(f"{self.name} ({self.kind}) ended at start with status {self.process.wait(5)}: "
                              f"see {self.process.path.with_suffix('.err')}")
            if time.monotonic() - started > patient(START_S):
                raise Failure(f"{self.name} ({self.kind}) does not answer on {self.address} after {patient(START_S)} s")
            time.sleep(0.02)
        self.case.say(f"{self.name} ({self.kind}) answers on {self.address} "
                      f"after {time.monotonic() - started:.2f} s")
        return self

    def stop(self):
        """SIGTERM; it must end by itself. 0 or death by that very signal counts as clean."""
        self.process.child.terminate()
        status = self.process.wait(STOP_S)
        if status not in (0, -15, 143):
            raise Failure(f"{self.name} ({self.kind}) ended with status {status} on SIGTERM")
        self.case.say(f"{self.name} stopped")

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.case.say(f"{self.name} killed")

    def freeze(self):
        """SIGSTOP: it stands still when this returns, and its connections stay open."""
        self.process.child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.child.pid, os.WSTOPPED)  # A thread may run on for a while, without a processor for the signal.
        self.case.say(f"{self.name} frozen")

    def thaw(self):
        self.process.child.send_signal(signal.SIGCONT)
        self.case.say(f"{self.name} thawed")

    def restart(self):
        self.stop()
        return self.start()

    def resident_mib(self):
        """What the process holds in memory now."""
        with open(f"/proc/{self.process.child.pid}/status") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))

    def check_alive(self):
        if not self.process.is_alive():
            raise Failure(f"{self.name} ({self.kind}) died with status {self.process.wait(5)}: "
                          f"see {self.process.path.with_suffix('.err')}")


def on_small_disk(command, directory, mib):
    """The command with a disk of its own at `directory`, in name spaces of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    mount = f'mount -t tmpfs -o size={mib}m none "$0" && exec "$@"'
    return ["unshare", "-rm", "sh", "-c", mount, directory, *command]


def keeper(case, kind, name, directory, port, data=None, disk_mib=None, properties=None, doors=False, logs=None, **settings):
    """A keeper of `kind` (rookery, apache or apache38) on a data directory, its own by default.

    properties: what Apache's takes as system properties of Java.
    logs: how much Apache's says, by the name of a configuration in jars/; warnings, by default.
    doors: Apache's gets what its AdminServer and its page for Prometheus need.
    """
    config = {
        "tickTime": 500,
        "dataDir": data or directory / "data",
        "clientPort": port,
        "clientPortAddress": "127.0.0.1",
        "maxClientCnxns": 0,
        "maxSessionTimeout": zk.SESSION_MS,
        "admin.enableServer": "false",
        "4lw.commands.whitelist": "*",
        **{key.replace("__", "."): value for key, value in settings.items()},
    }

    if kind == "rookery":
        command = [places.rookery(), "keeper"]
    else:
        command = places.java(APACHE_JARS[kind], "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                              properties=[f"-D{key}={value}" for key, value in (properties or {}).items()],
                              classes=places.class_path("zookeeper_admin") if doors else None, logs=logs)
    directory.mkdir(parents=True, exist_ok=True)
    if disk_mib is not None:
        command = on_small_disk(command, directory / "data", disk_mib)
    return Server(case, kind, name, directory, port, "zoo.cfg", config, command, probe.keeper_answers)


def broker(case, kind, name, directory, port, zookeeper, broker_id=0, disk_mib=None, properties=(), logs=None, **settings):
    """A broker of `kind` (rookery or apache) on the keeper that answers at `zookeeper`.

    properties: what the JVM of Apache's is told beside; logs: how much it says, by the name of a configuration in jars/.
    """
    config = {
        "broker.id": broker_id,
        "listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": directory / "journals",
        "zookeeper.connect": zookeeper,
        "num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        **{key.replace("__", "."): value for key, value in settings.items()},
    }

    if kind == "rookery":
        command = [places.rookery(), "broker"]
    else:
        command = places.java("kafka3", "kafka.Kafka", properties=properties, logs=logs)
    directory.mkdir(parents=True, exist_ok=True)
    if disk_mib is not None:
        command = on_small_disk(command, directory / "journals", disk_mib)
    return Server(case, kind, name, directory, port, "server.properties", config, command, probe.broker_answers)
