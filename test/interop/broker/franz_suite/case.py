"""franz-go's own tests of its client, as they ship, against one broker: pipelines of groups with every assignor,
regular expressions, pauses, new partitions, regressions."""

from harness import build, go_tests, places, suite

RECORDS = 20_000


def run(t, addresses, replicas):
    program = build.go_test("github.com/twmb/franz-go/pkg/kgo")
    environment = {"KGO_SEEDS": addresses, "KGO_TEST_RF": str(replicas), "KGO_TEST_RECORDS": str(RECORDS), "KGO_LOG_LEVEL": "none"}
    table = suite.Table(places.HERE / "broker/franz_suite/tests")
    table.check_groups(t, go_tests.names(t, program, environment))
    go_tests.check(t, program, table, 300, environment)


def case(t):
    keeper = t.keeper()
    broker = t.broker(keeper)
    run(t, broker.address, 1)
    broker.check_alive()
    broker.stop()
    keeper.stop()
