"""Bad input to a cluster: what clients ask the controller for, what brokers alone may say to each other, and clients that are slow
or stand still: cases K46 to K54, as far as one broker cannot be asked (broker/answers, broker/bad_input). No topic changes by
any of it, and the cluster serves on. There are no quotas yet, nor TLS, ACLs and a metadata log: K48 and K50 are refused whole,
and of K52 and K55 there is nothing to ask."""

import contextlib
import struct

from harness import places
from harness.cluster import Cluster
from harness.kafka_wire import I8, I16, I32, I64, Silent, array, ask, text

NONE, STALE_CONTROLLER, INVALID_PARTITIONS, INVALID_FACTOR, INVALID_ASSIGNMENT, INVALID_CONFIG = 0, 11, 37, 38, 39, 40
NOT_CONTROLLER, INVALID_REQUEST, STALE_BROKER, CLOSED = 41, 42, 77, "closed"
PRODUCE, FETCH, LEADER_AND_ISR, STOP_REPLICA, UPDATE_METADATA, CREATE_TOPICS, INCREMENTAL_ALTER_CONFIGS = 0, 1, 4, 5, 6, 19, 44
ALTER_PARTITION = 56
# Of brokers and controllers that keep their state in a log of their own, and of access lists.
QUORUM = {"Vote": 52, "BeginQuorumEpoch": 53, "EndQuorumEpoch": 54, "DescribeQuorum": 55, "Envelope": 58, "FetchSnapshot": 59,
          "BrokerRegistration": 62, "BrokerHeartbeat": 63, "UnregisterBroker": 64, "ControllerRegistration": 70}
ACCESS = {"DescribeAcls": 29, "CreateAcls": 30, "DeleteAcls": 31}
TOPIC, TOPIC_CONFIG, BROKER_CONFIG = "steady", 2, 4
LARGE_BYTES, LARGE = 10 << 20, {"retention.ms": b"1", "leader.replication.throttled.replicas": b"1:2,"}
# Apache's broker makes such topics, or sets out to; of the last it says UNKNOWN_SERVER_ERROR.
APACHE_DIFFERS = ("10,000,000 partitions", "65,537 replicas", "65,537 times one broker", "no replicas", "partition -1")
IDLE_MS = 10000
SLOW, RECORD_BYTES, RECORDS = 20, 1_000_000, 30


def create(port, *topics, is_trial=False):
    """{name: error}; topics: (name, partitions, factor, {partition: [brokers]}, {setting: value}). Version 2."""
    bodies = [text(name) + I32(partitions) + I16(factor)
              + array(I32(index) + array(map(I32, brokers)) for index, brokers in assignment.items())
              + array(text(key) + text(value) for key, value in configs.items())
              for name, partitions, factor, assignment, configs in topics]
    reader = ask(port, CREATE_TOPICS, 2, array(bodies) + I32(60000) + I8(is_trial))
    reader.i32()
    return {name: error for name, error, _ in reader.array(lambda: (reader.text(), reader.i16(), reader.text()))}


def alter(port, *resources):
    """The errors; resources: (type, name, [(setting, operation, value)]). Version 0."""
    bodies = [I8(kind) + text(name) + array(text(key) + I8(operation) + text(value) for key, operation, value in configs)
              for kind, name, configs in resources]
    reader = ask(port, INCREMENTAL_ALTER_CONFIGS, 0, array(bodies) + I8(0))
    reader.i32()
    return [error for error, *_ in reader.array(lambda: (reader.i16(), reader.text(), reader.i8(), reader.text()))]


def compact(data):
    """Text or an array of the compact kind, whose length may be any."""
    size, out = len(data) + 1, b""
    while size >= 0x80:
        out += bytes([size & 0x7F | 0x80])
        size >>= 7
    return out + bytes([size]) + (data if isinstance(data, bytes) else b"".join(data))


def creations(t, c):
    controller = c.port(c.wait_controller())
    other = next(c.port(number) for number in c.members if c.port(number) != controller)
    wrong = [
        ("10,000,000 partitions", ("bad", 10 ** 7, 1, {}, {}), INVALID_PARTITIONS),
        ("more replicas than brokers", ("bad", 1, 4, {}, {}), INVALID_FACTOR),
        ("a broker twice in a partition", ("bad", -1, -1, {0: [1, 1]}, {}), INVALID_ASSIGNMENT),
        ("a broker twice among three", ("bad", -1, -1, {0: [1, 2, 3], 1: [2, 3, 2]}, {}), INVALID_ASSIGNMENT),
        ("65,537 replicas", ("bad", -1, -1, {0: range(65537)}, {}), INVALID_ASSIGNMENT),
        ("65,537 times one broker", ("bad", -1, -1, {0: [1] * 65537}, {}), INVALID_ASSIGNMENT),
        ("no replicas", ("bad", -1, -1, {0: []}, {}), INVALID_FACTOR),
        ("one replica and two", ("bad", -1, -1, {0: [1], 1: [1, 2]}, {}), INVALID_ASSIGNMENT),
        ("partition 1 alone", ("bad", -1, -1, {1: [1, 2, 3]}, {}), INVALID_ASSIGNMENT),
        ("partition -1", ("bad", -1, -1, {-1: [1, 2, 3]}, {}), INVALID_ASSIGNMENT),
        ("partition 2^31-1", ("bad", -1, -1, {0x7FFFFFFF: [1, 2, 3]}, {}), INVALID_ASSIGNMENT),
        ("a setting of a broker", ("bad", 1, 3, {}, {"listeners": "PLAINTEXT://:1"}), INVALID_CONFIG),
        ("more in sync than replicas can be", ("bad", 1, 3, {}, {"min.insync.replicas": "0"}), INVALID_CONFIG),
    ]
    for what, topic, code in wrong:
        if t.target == "apache" and what in APACHE_DIFFERS:
            continue
        with contextlib.suppress(Silent):
            t.equal(create(controller, topic), {"bad": code}, f"K46 {what}")
            t.equal(create(controller, topic, is_trial=True), {"bad": code}, f"K46 {what}, on trial")
            continue
        t.check(False, f"K46 {what}", "no answer")
    good = ("good", 1, 3, {}, {})
    t.equal(create(controller, ("bad", 0, 3, {}, {}), good, is_trial=True), {"bad": INVALID_PARTITIONS, "good": NONE}, "K46 good and bad, on trial")
    t.equal(create(controller, good, good), {"good": INVALID_REQUEST}, "K46 a topic twice in a request")
    t.equal(create(other, good), {"good": NOT_CONTROLLER}, "K46 at a broker that is not the controller")
    for number in c.members:
        t.equal(sorted(c.metadata(number).topics), [TOPIC], f"K46 {number} knows no topic more")


def settings(t, c):
    port = c.port(c.wait_controller())
    wrong = [
        ("an operation that is not there", (TOPIC_CONFIG, TOPIC, [("retention.ms", 4, "1")]), None),
        ("an operation of -1", (TOPIC_CONFIG, TOPIC, [("retention.ms", -1, "1")]), None),
        ("to append to a number", (TOPIC_CONFIG, TOPIC, [("retention.ms", 2, "1")]), INVALID_CONFIG),
        ("to take from a number", (TOPIC_CONFIG, TOPIC, [("retention.ms", 3, "1")]), INVALID_CONFIG),
        ("a setting twice", (TOPIC_CONFIG, TOPIC, [("retention.ms", 0, "1"), ("retention.ms", 0, "2")]), INVALID_REQUEST),
        ("a listener of a topic", (TOPIC_CONFIG, TOPIC, [("listeners", 0, "PLAINTEXT://:1")]), INVALID_CONFIG),
        ("32,767 digits", (TOPIC_CONFIG, TOPIC, [("retention.ms", 0, "9" * 32767)]), None),
        ("a broker that is text", (BROKER_CONFIG, "one", [("log.retention.ms", 0, "1")]), INVALID_REQUEST),
        ("a broker's id", (BROKER_CONFIG, str(c.controller()), [("broker.id", 0, "7")]), INVALID_REQUEST),
    ]
    for what, resource, code in wrong:
        seen = alter(port, resource)
        if code is None:  # Apache's broker fails with an error of its own making.
            t.check(seen != [NONE], f"K47 {what} is refused", seen)
        else:
            t.equal(seen, [code], f"K47 {what}")
    if t.target == "apache":
        return  # Its answers would be too long for it, and its keeper is asked again and again.
    for setting, value in LARGE.items():
        changes = [compact(setting.encode()) + I8(0) + compact(value * (LARGE_BYTES // len(value))) + b"\0"]
        body = b"\0" + compact([I8(TOPIC_CONFIG) + compact(TOPIC.encode()) + compact(changes) + b"\0"]) + I8(0) + b"\0"
        reader = ask(port, INCREMENTAL_ALTER_CONFIGS, 1, body)
        reader.at += 1 + 4 + 1  # The header's tags, the throttle time, one answer.
        t.equal(reader.i16(), INVALID_CONFIG, f"K47 {LARGE_BYTES} bytes of {setting}")


def is_refused(port, api, version=0):
    """Whether a request of an api that is not offered ends the connection."""
    try:
        ask(port, api, version, b"\0" * 64)
    except Silent:
        return True
    return False


def brokers_only(t, c):
    """What a client says in the name of a controller that is gone, or of a broker with another epoch."""
    number, other = c.awake()[0], c.awake()[1]
    port = c.port(number)
    partition = text(TOPIC) + I32(0) + I32(0) + I32(other) + I32(99) + array([I32(other)]) + I32(99) + array([I32(other)])
    said = {
        "LeaderAndIsr": (LEADER_AND_ISR, 1, I32(other) + I32(0) + array([partition + I8(0)]) + array([])),
        "StopReplica": (STOP_REPLICA, 0, I32(other) + I32(0) + I8(1) + array([text(TOPIC) + I32(0)])),
        "UpdateMetadata": (UPDATE_METADATA, 0, I32(other) + I32(0) + array([partition]) + array([I32(other) + text("127.0.0.1") + I32(1)])),
    }
    for name, (api, version, body) in said.items():
        t.equal(ask(port, api, version, body).i16(), STALE_CONTROLLER, f"K49 {name} in an older controller's name")
    for name, api in QUORUM.items():
        t.check(is_refused(port, api), f"K49, K50 {name} is not offered")
    if t.target != "apache":  # Who says that there are none.
        for name, api in ACCESS.items():
            t.check(is_refused(port, api), f"K48 {name} is not offered")

    controller = c.wait_controller()
    asked = b"\2" + (len(TOPIC) + 1).to_bytes() + TOPIC.encode() + b"\2" + I32(0) + I32(99) + b"\2" + I32(other) + I32(0) + b"\0\0"
    for name, where, code in (("from a broker of another time", controller, STALE_BROKER),
                              ("at a broker that is not the controller", next(n for n in c.members if n != controller), NOT_CONTROLLER)):
        # The header ends with an empty list of tags on both ways.
        reader = ask(c.port(where), ALTER_PARTITION, 0, b"\0" + I32(other) + I64(1) + asked + b"\0")
        reader.i8()
        reader.i32()
        t.equal(reader.i16(), code, f"K49 AlterPartition {name}")


def idle(t, c, bad):
    """The third broker closes what stands still."""
    peer = bad.Peer(c.port(3))
    t.check(peer.ask(bad.METADATA, 1, bad.metadata()) is not None, "K51 a new connection is served")
    t.check(peer.is_closed(), "K51 a connection that stands still is closed")
    t.check(peer.ask(bad.METADATA, 1, bad.metadata()) is None, "K51 what is sent on it then is not answered")
    t.check(bad.Peer(c.port(3)).ask(bad.METADATA, 1, bad.metadata()) is not None, "K51 another connection is served")


def fetch_body(topic, bytes_max):
    """Version 4."""
    return I32(-1) + I32(500) + I32(1) + I32(bytes_max) + I8(0) + array([text(topic) + array([I32(0) + I64(0) + I32(bytes_max)])])


def slow_consumers(t, c, bad):
    """Twenty that ask for 30 MB each and take it a byte at a time; others read at their pace, and the broker keeps what it has."""
    c.create("large", {0: [1, 2, 3]})
    producer = bad.Peer(c.port(1))
    data = bad.batch(records=[bad.record(value=bytes(RECORD_BYTES))])
    for _ in range(RECORDS):
        t.equal(producer.produce(data, topic="large"), NONE, "K53 a large record")
    server = c.members[1].server
    before = server.resident_mib()
    slow = [bad.Peer(c.port(1)) for _ in range(SLOW)]
    for peer in slow:
        request = struct.pack(">hhi", FETCH, 4, 1) + text("slow") + fetch_body("large", 100 << 20)
        peer.send(I32(len(request)) + request)
    sizes = [struct.unpack(">i", peer.take(4))[0] for peer in slow]
    t.check(min(sizes) > RECORDS * RECORD_BYTES, "K53 each is sent all of it", min(sizes))
    for _ in range(200):
        for peer in slow:
            peer.take(1)
    quick = bad.Peer(c.port(1))
    t.check(len(quick.ask(FETCH, 4, fetch_body("large", 100 << 20)) or b"") > RECORDS * RECORD_BYTES, "K53 another is served meanwhile")
    t.equal(producer.produce(data, topic="large"), NONE, "K53 and so is a producer")
    grown = server.resident_mib() - before
    t.check(grown < SLOW * RECORDS * RECORD_BYTES / (1 << 20) / 4, "K53 slow consumers cost less than a quarter of what they are sent", grown)
    for peer in slow:
        peer.close()


def splits(t, c, bad):
    """A request is one, wherever it is cut."""
    peer = bad.Peer(c.port(1))
    batch = bad.batch()
    body = text(None) + I16(-1) + I32(60000) + array([text(TOPIC) + array([I32(0) + I32(len(batch)) + batch])])
    for name, api, version, body in (("Produce", PRODUCE, 7, body), ("Fetch", FETCH, 4, fetch_body(TOPIC, 100))):
        request = struct.pack(">hhi", api, version, 1) + text("cut") + body
        data = I32(len(request)) + request
        answered = 0
        for cut in range(1, len(data)):
            peer.send(data[:cut])
            peer.send(data[cut:])
            answered += peer.receive() is not None
        if api == PRODUCE:
            produced = answered
        t.equal(answered, len(data) - 1, f"K54 {name} cut at each byte")
    t.equal(c.ends(TOPIC)[0], produced, "K54 each batch was written once")


def case(t):
    bad = places.load_case("broker/bad_input")
    c = Cluster(t, [t.target] * 3, each={3: {"connections__max__idle__ms": IDLE_MS}})
    c.start()
    c.create(TOPIC, {0: [1, 2, 3]})
    before = c.partitions(TOPIC)
    creations(t, c)
    settings(t, c)
    brokers_only(t, c)
    for number in c.members:
        t.equal(c.partitions(TOPIC, number), before, f"{number} says of {TOPIC} what it said before")
    idle(t, c, bad)
    slow_consumers(t, c, bad)
    splits(t, c, bad)
    c.check_alive()
    c.stop_all()
