"""sarama's functional tests, as they ship, against five brokers behind toxiproxy, which is what they are written for.

One thing is changed: they dial fixed ports, and here they are told which are free. What they ask docker for, a broker that
stops and starts, the case does.
"""

import json
import socket
import threading
import urllib.request

from harness import build, go_tests, places, suite
from harness.cluster import Cluster
from harness.process import Failure

SARAMA = "github.com/IBM/sarama"
ADDRESS = 'fmt.Sprintf("127.0.0.1:%d", 29090+i))'
ADDRESS_HERE = 'strings.Split(os.Getenv("INTEROP_BROKERS"), ",")[i-1])'
BROKERS = 5
NAMES = "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT"


class Docker:
    """Carries out `stop kafka-2` and `start kafka-2` for the tests' docker."""

    def __init__(self, t, cluster):
        self.t = t
        self.cluster = cluster
        self.path = t.directory / "docker.socket"
        self.done = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            with self._socket.accept()[0] as peer:
                words = peer.makefile().readline().split()
                try:
                    {"stop": self.cluster.stop, "start": self.cluster.start}[words[0]](int(words[1].removeprefix("kafka-")))
                    self.done.append(words[0])
                    peer.sendall(b"done")
                except (Failure, KeyError, ValueError, IndexError) as error:
                    self.t.check(False, f"docker {' '.join(words)}", error)


def start_proxy(t, cluster, fronts):
    """toxiproxy with a proxy kafkaN before each broker; the address that it is told things at."""
    config = t.directory / "toxiproxy.json"
    config.write_text(json.dumps([{"name": f"kafka{number}", "listen": f"127.0.0.1:{fronts[number]}", "enabled": True,
                                   "upstream": f"127.0.0.1:{cluster.outside[number]}"} for number in fronts]))
    port = t.port()
    t.spawn([build.go_package("github.com/Shopify/toxiproxy/v2/cmd/server"), "-host", "127.0.0.1", "-port", port, "-config", config],
            "toxiproxy")
    address = f"http://127.0.0.1:{port}"

    def is_there():
        try:
            return len(json.load(urllib.request.urlopen(f"{address}/proxies", timeout=5))) == BROKERS
        except OSError:
            return False

    t.wait_until(is_there, "toxiproxy answers")
    return address


def start_cluster(t, fronts):
    """Clients are told the proxies' ports; brokers reach each other without them."""
    cluster = Cluster(t, [t.target] * BROKERS,
                      replica__selector__class="org.apache.kafka.common.replica.RackAwareReplicaSelector",
                      listener__security__protocol__map=NAMES, inter__broker__listener__name="INSIDE")
    cluster.outside = {number: t.port() for number in fronts}
    cluster.each = {number: {
        "broker__rack": number,
        "listeners": f"INSIDE://{cluster.address(number)},OUTSIDE://127.0.0.1:{cluster.outside[number]}",
        "advertised__listeners": f"INSIDE://{cluster.address(number)},OUTSIDE://127.0.0.1:{fronts[number]}"} for number in fronts}
    cluster.start()
    return cluster


def case(t):
    program = build.go_test_changed(SARAMA, "functional_test.go", ADDRESS, ADDRESS_HERE, tags="functional")
    table = suite.Table(places.HERE / "broker/cluster_sarama_suite/tests")
    table.check_groups(t, build.go_tests_of(SARAMA, "functional_*_test.go"))
    fronts = {number: t.port() for number in range(1, BROKERS + 1)}
    cluster = start_cluster(t, fronts)
    docker = Docker(t, cluster)
    environment = {"TOXIPROXY_ADDR": start_proxy(t, cluster, fronts), "KAFKA_VERSION": places.versions()["kafka3"],
                   "INTEROP_BROKERS": ",".join(f"127.0.0.1:{port}" for port in fronts.values()),
                   "INTEROP_SOCKET": str(docker.path), "PATH": f"{places.HERE / 'broker/cluster_sarama_suite'}:/usr/bin:/bin"}
    go_tests.check(t, program, table, 400, environment)
    t.equal(docker.done.count("stop"), docker.done.count("start"), "brokers that stopped have started")
    cluster.check_alive()
    cluster.wait_in_sync()
    cluster.stop_all()
