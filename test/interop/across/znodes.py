"""What our broker writes into a keeper is, znode by znode, what Apache's broker writes after the same work."""

import json
import re

from harness import kafka_wire, tools
from harness.zk import SESSION_MS

# Values that differ from run to run: ports, times, and the ids that servers draw.
SCRUB = (
    (re.compile(r'"port":\d+'), '"port":PORT'),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r'"timestamp":"\d+"'), '"timestamp":"TIME"'),
    (re.compile(r'"topic_id":"[-_A-Za-z0-9]{22}"'), '"topic_id":"ID"'),
    (re.compile(r'"id":"[-_A-Za-z0-9]{22}"'), '"id":"ID"'),
)


def is_led(port):
    """Whether the controller has done with what a start has it write."""
    topics = kafka_wire.metadata(port).topics
    return {"plain", "set", "__consumer_offsets"} <= set(topics) and all(state.leader >= 0 for _, states in topics.values() for state in states.values())


def written(t, kind, role):
    """{path: (text, is ephemeral, version of data, access list)} after a little of everything."""
    keeper = t.keeper("apache", name=f"keeper-{role}")
    broker = t.broker(keeper, kind, name=f"broker-{role}", offsets__topic__num__partitions=3,
                      zookeeper__session__timeout__ms=SESSION_MS)  # Who must register anew writes more often.
    tool = tools.Tools(t, "kafka3", broker)
    tool.run("topics", "--create", "--topic", "plain", "--partitions", "2")
    tool.run("topics", "--create", "--topic", "set", "--config", "retention.ms=60000", "--config", "max.message.bytes=9999")
    tool.run("topics", "--create", "--topic", "gone")
    tool.run("topics", "--alter", "--topic", "plain", "--partitions", "3")
    tool.run("topics", "--delete", "--topic", "gone")
    t.run([*t.python_program("broker/programs/confluent_client.py"), "produce", broker.address, "plain", "none", 0, 10],
          "produce")
    member = t.spawn(t.python_program("broker/programs/confluent_client.py", "member", broker.address, "plain", "g"), "g")
    member.wait_line(lambda line: line.startswith("rec"), 60, "record")
    member.close_input()
    member.wait(30)
    t.wait_until(lambda: "gone" not in tool.run("topics", "--list").split(), f"{role}: the topic goes")
    broker.restart()
    t.wait_until(lambda: is_led(broker.port), f"{role}: every partition has a leader again")
    lines = t.run(t.python_program("harness/tree.py", "dump", keeper.address), "dump")
    tree = {}
    for line in lines:
        path, data, *stat = line.split("\t")
        text = "null" if data == "null" else bytes.fromhex(data[1:]).decode("utf-8", "replace")
        tree[path] = text, stat[7] != "0", int(stat[4]), stat[-1]
    broker.stop()
    keeper.stop()
    return tree


def scrub(text):
    for pattern, name in SCRUB:
        text = pattern.sub(name, text)
    return text


def same_json(one, other):
    """Equal as text, or as JSON whatever the order of its keys."""
    if one == other:
        return True
    try:
        return json.loads(re.sub(r":(PORT)", r':"\1"', one)) == json.loads(re.sub(r":(PORT)", r':"\1"', other))
    except ValueError:
        return False


def case(t):
    theirs = written(t, "apache", "theirs")
    ours = written(t, t.target, "ours")
    t.check(len(theirs) > 40, "Apache's broker writes a tree", len(theirs))
    t.equal(sorted(set(theirs) - set(ours)), [], "no znode is missing")
    t.equal(sorted(set(ours) - set(theirs)), [], "no znode is too much")
    for path in sorted(set(ours) & set(theirs)):
        (their_text, their_life, their_version, their_acl), (text, life, version, acl) = theirs[path], ours[path]
        t.check(same_json(scrub(text), scrub(their_text)), f"{path}: the same data",
                f"Apache {their_text!r}, ours {text!r}")
        t.equal(life, their_life, f"{path}: ephemeral or not")
        t.equal(acl, their_acl, f"{path}: the same access list")
        if not path.startswith(("/controller", "/latest_producer_id_block")):
            t.equal(version, their_version, f"{path}: written as often")
