"""The controller of two Apache brokers: topics, elections, kills, controlled shutdown, reassignments, by what stands in the keeper.

Broker 1 is the one under test and the controller; with TARGET=apache it is Apache's, and the same numbers must come out.
"""

import json

from harness import kafka_wire
from harness.cluster import Cluster
from harness.process import Failure
from harness.tools import Tools


def state(cluster, topic, partition=0):
    found = cluster.znode(f"/brokers/topics/{topic}/partitions/{partition}/state")
    return found and (found["leader"], found["leader_epoch"], found["isr"])


def wait_state(t, cluster, topic, wanted, what, partition=0):
    seen = []

    def is_so():
        seen[:] = [state(cluster, topic, partition)]
        return seen[0] == wanted

    try:
        cluster.wait_until(is_so, what, 40)
    except Failure as failure:
        t.check(False, f"{what}: {topic}-{partition} wanted {wanted}", f"saw {seen}: {failure}")


def assigned(cluster, topic):
    found = cluster.znode(f"/brokers/topics/{topic}")
    return found and (found["partitions"], found["adding_replicas"], found["removing_replicas"])


def tool(t, cluster, name, *words):
    return Tools(t, "kafka3", cluster.members[1].server).run(name, *words)


def plan(t, topic, replicas):
    """A file that tells partition 0 of the topic these replicas."""
    path = t.directory / f"{topic}-{replicas}.json"
    path.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "replicas": replicas}]}))
    return path


def create_and_delete(t, cluster):
    tool(t, cluster, "topics", "--create", "--topic", "tool", "--replica-assignment", "2:3,3:2")
    wait_state(t, cluster, "tool", (2, 0, [2, 3]), "a topic by kafka-topics")
    wait_state(t, cluster, "tool", (3, 0, [3, 2]), "its other partition", 1)
    tool(t, cluster, "topics", "--alter", "--topic", "tool", "--partitions", "3", "--replica-assignment", "2:3,3:2,3:2")
    wait_state(t, cluster, "tool", (3, 0, [3, 2]), "a partition more", 2)
    cluster.wait_until(lambda: all(len(cluster.partitions("tool", number)) == 3 for number in cluster.awake()), "all know it")
    told = tool(t, cluster, "topics", "--describe", "--topic", "tool")
    t.check("PartitionCount: 3" in told and "Leader: 2" in told, "kafka-topics describes it", told)
    cluster.wait_agreed("tool")
    tool(t, cluster, "topics", "--delete", "--topic", "tool")
    cluster.wait_until(lambda: cluster.znode("/brokers/topics/tool") is None, "its znode goes")
    cluster.wait_until(lambda: all("tool" not in cluster.metadata(number).topics for number in cluster.awake()), "all forget it")
    for number in (2, 3):
        cluster.wait_until(lambda: not [path for path in cluster.journals(number).glob("tool-*") if not path.name.endswith("-delete")],
                           f"{number} deletes its files")


def dies(cluster, number):
    """At once for the controller, too: the sessions last for longer than a machine stands still, and nobody waits for their end."""
    cluster.kill(number)
    cluster.bury(number)


def kill(t, cluster):
    cluster.create("k", {0: [2, 3], 1: [3, 2]})
    dies(cluster, 2)
    wait_state(t, cluster, "k", (3, 1, [3]), "a killed leader is replaced")
    wait_state(t, cluster, "k", (3, 1, [3]), "a killed follower leaves the ISR", 1)
    dies(cluster, 3)
    wait_state(t, cluster, "k", (-1, 2, [3]), "nobody is left")
    cluster.start(2)
    wait_state(t, cluster, "k", (-1, 2, [3]), "who was not in sync does not lead")
    cluster.start(3)
    wait_state(t, cluster, "k", (3, 3, [3, 2]), "who was in sync leads, and the other comes in")
    cluster.wait_in_sync()  # Preferred leaders of all topics are elected next.
    cluster.wait_agreed("k")


def elections(t, cluster):
    before = state(cluster, "k")
    told = tool(t, cluster, "elect", "--election-type", "preferred", "--topic", "k", "--partition", "0")
    t.check("Successfully completed leader election (PREFERRED) for partitions k-0" in told, "kafka-leader-election", told)
    wait_state(t, cluster, "k", (2, before[1] + 1, before[2]), "the preferred replica leads")
    told = tool(t, cluster, "elect", "--election-type", "preferred", "--topic", "k", "--partition", "0")
    t.check("Valid replica already elected for partitions k-0" in told, "an election that is not needed", told)
    told = tool(t, cluster, "elect", "--election-type", "preferred", "--all-topic-partitions")
    t.check("rror" not in told, "all of them", told)
    with cluster.keeper_session() as session:
        session.create("/admin/preferred_replica_election", b'{"version":1,"partitions":[{"topic":"k","partition":1}]}')
    cluster.wait_until(lambda: cluster.znode("/admin/preferred_replica_election") is None, "an election by znode is heeded")


def unclean(t, cluster):
    cluster.create("u", {0: [2, 3]})
    dies(cluster, 3)
    wait_state(t, cluster, "u", (2, 1, [2]), "alone in the ISR")
    dies(cluster, 2)
    wait_state(t, cluster, "u", (-1, 2, [2]), "and gone")
    cluster.start(3)
    wait_state(t, cluster, "u", (-1, 2, [2]), "no unclean leader by itself")
    told = tool(t, cluster, "elect", "--election-type", "unclean", "--topic", "u", "--partition", "0")
    t.check("Successfully completed leader election (UNCLEAN) for partitions u-0" in told, "an unclean election", told)
    wait_state(t, cluster, "u", (3, 3, [3]), "it leads")
    cluster.start(2)
    wait_state(t, cluster, "u", (3, 3, [3, 2]), "the other comes in")
    cluster.create("v", {0: [2, 3]}, unclean__leader__election__enable="true")
    dies(cluster, 3)
    wait_state(t, cluster, "v", (2, 1, [2]), "alone in the ISR of a topic that allows it")
    dies(cluster, 2)
    wait_state(t, cluster, "v", (-1, 2, [2]), "and gone too")
    cluster.start(3)
    wait_state(t, cluster, "v", (3, 3, [3]), "an unclean leader by the topic's word")
    cluster.start(2)
    cluster.wait_in_sync("u", "v", "k")


def shutdown(t, cluster):
    cluster.create("s", {0: [2, 3], 1: [3, 2]})
    cluster.create("alone", {0: [2]})
    cluster.stop(2)
    wait_state(t, cluster, "s", (3, 1, [3]), "a broker that stops gives away what it leads")
    wait_state(t, cluster, "s", (3, 1, [3]), "and leaves ISRs", 1)
    wait_state(t, cluster, "alone", (-1, 1, [2]), "what nobody else has is without a leader")
    cluster.start(2)
    wait_state(t, cluster, "s", (3, 1, [3, 2]), "it comes in again")
    cluster.wait_in_sync("s")


def reassign(t, cluster):
    cluster.create("r", {0: [2]})
    moved = plan(t, "r", [3])
    tool(t, cluster, "reassign", "--reassignment-json-file", moved, "--execute")
    cluster.wait_until(lambda: assigned(cluster, "r") == ({"0": [3]}, {}, {}), "a replica moves from 2 to 3", 40)
    wait_state(t, cluster, "r", (3, 3, [3]), "as many epochs as steps")
    told = tool(t, cluster, "reassign", "--reassignment-json-file", moved, "--verify")
    t.check("Reassignment of partition r-0 is completed" in told, "kafka-reassign-partitions verifies it", told)
    cluster.wait_until(lambda: not [path for path in cluster.journals(2).glob("r-0*") if not path.name.endswith("-delete")],
                       "2 deletes its files")
    grown = plan(t, "r", [3, 2])
    tool(t, cluster, "reassign", "--reassignment-json-file", grown, "--execute")
    cluster.wait_until(lambda: assigned(cluster, "r") == ({"0": [3, 2]}, {}, {}), "a replica more", 40)
    wait_state(t, cluster, "r", (3, 5, [3, 2]), "and two epochs")
    # To a broker that is frozen: nothing moves, and it is called off.
    cluster.create("c", {0: [2]})
    cluster.freeze(3)
    away = plan(t, "c", [3])
    tool(t, cluster, "reassign", "--reassignment-json-file", away, "--execute")
    t.equal(assigned(cluster, "c"), ({"0": [3, 2]}, {"0": [3]}, {"0": [2]}), "a reassignment under way")
    told = tool(t, cluster, "reassign", "--list")
    t.check("c-0" in told and "adding: 3" in told and "removing: 2" in told, "it is listed", told)
    # To take off a throttle, Apache's tool asks each broker, and would wait for the one that stands still.
    tool(t, cluster, "reassign", "--reassignment-json-file", away, "--cancel", "--preserve-throttles")
    t.equal(assigned(cluster, "c"), ({"0": [2]}, {}, {}), "it is called off")
    cluster.thaw(3)
    cluster.wait_in_sync("c", "r")


def hand_over(t, cluster):
    for number in (2, 1, 3, 1):
        cluster.make_controller(number)
        cluster.wait_in_sync("s", "r")
        cluster.create(f"made-by-{number}-{cluster.controller_epoch()}", {0: [2, 3]})
        cluster.wait_agreed("s", "r")


def case(t):
    cluster = Cluster(t, [t.target, "apache", "apache"], offsets__topic__replication__factor=1, default__replication__factor=2,
                      min__insync__replicas=1, replica__lag__time__max__ms=300000)
    cluster.start(1)
    t.equal(cluster.wait_controller(), 1, "the one under test is the controller")
    cluster.start(2, 3)
    for part in (shutdown, reassign, hand_over, kill, elections, unclean, create_and_delete):
        t.say(part.__name__)
        part(t, cluster)
    t.equal(kafka_wire.metadata(cluster.port(2)).controller, 1, "and is it in the end")
    cluster.stop_all()
