"""The tests of broker/franz_suite against a cluster of three, with three replicas of everything."""

from harness import places
from harness.cluster import Cluster


def case(t):
    suite = places.load_case("broker/franz_suite")
    cluster = Cluster(t, [t.target] * 3)
    cluster.start()
    suite.run(t, cluster.addresses, 3)
    cluster.check_alive()
    cluster.wait_in_sync()
    cluster.stop_all()
