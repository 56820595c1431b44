"""franz-go's own tests of its client, as they ship, against one broker: pipelines of groups with every assignor,
regular expressions, pauses, new partitions, regressions. Transactions are not asked for."""

from harness import build

RECORDS = 20_000


def case(t):
    program = build.go_test("github.com/twmb/franz-go/pkg/kgo")
    keeper = t.keeper()
    broker = t.broker(keeper)
    environment = {"KGO_SEEDS": broker.address, "KGO_TEST_RF": "1", "KGO_TEST_RECORDS": str(RECORDS),
                   "KGO_LOG_LEVEL": "none"}
    lines = t.run([program, "-test.v", "-test.skip", "TestTxnEtl|SCRAM", "-test.timeout", "200s"], "suite",
                  timeout_s=210, status=None, env=environment)
    for line in lines:
        words = line.split()
        if words[:2] == ["---", "FAIL:"]:
            t.check(False, words[2])
        elif words[:2] == ["---", "PASS:"]:
            t.check(True, words[2])
    t.check(lines[-1:] == ["PASS"], "the suite passes", lines[-3:])
    t.check(t.passed > 30, "its tests ran", t.passed)
    broker.check_alive()
    broker.stop()
    keeper.stop()
