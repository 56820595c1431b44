"""Settings of brokers that are changed while they run, beside Apache's: what is taken and what is refused, in which words, what is shown
afterwards with its sources, for one broker and for all, and that topics without settings of their own follow at once."""

import re

from harness import kafka_wire, places
from harness.zk import SESSION_MS

# Not asked: a topic's value after a broker's own setting is deleted. Apache's broker tells the deleted one, as if it were the default of all.
COMMANDS = """
set 0 log.retention.ms=1000000
set - log.retention.ms=2000000 log.segment.bytes=1000000
settle
show 0 log.retention.ms log.retention.hours log.segment.bytes
show - log.retention.ms log.segment.bytes
topic t retention.ms segment.bytes
delete 0 log.retention.ms
settle
show 0 log.retention.ms
set 0 zookeeper.connect=x
set 0 zookeeper.connect=x broker.id=3 log.retention.ms=5
set - log.retention.hours=7
set 0 no.such.setting=7
settle
show 0 no.such.setting
set - no.such.setting=8
settle
show - no.such.setting
delete 0 no.such.setting
delete - no.such.setting
set 0 log.segment.bytes=1
set 0 log.segment.bytes=x
set 0 log.segment.bytes=99999999999
set 0 message.max.bytes=-1
set 0 log.cleanup.policy=nonsense
set 0 log.cleanup.policy=compact,delete
append 0 log.cleanup.policy=delete
settle
show 0 log.cleanup.policy
delete 0 log.cleanup.policy
set 0 compression.type=nonsense
set 0 compression.type=lz4
settle
topic t compression.type
delete 0 compression.type
set 0 unclean.leader.election.enable=maybe
set - unclean.leader.election.enable=true
settle
topic t unclean.leader.election.enable
delete - unclean.leader.election.enable
set 0 min.insync.replicas=0
set - min.insync.replicas=2
settle
topic t min.insync.replicas
delete - min.insync.replicas
set 0 num.replica.fetchers=2
settle
show 0 num.replica.fetchers
set 0 num.replica.fetchers=0
set 0 num.replica.fetchers=100
delete 0 num.replica.fetchers
set 0 num.io.threads=100000
set 0 num.io.threads=5
settle
show 0 num.io.threads
delete 0 num.io.threads
set 0 max.connections=1000
settle
show 0 max.connections
set 0 max.connections=-1
set 0 max.connections.per.ip=0
set 0 max.connections.per.ip=100
set 0 max.connections.per.ip.overrides=127.0.0.1:200
delete 0 max.connections.per.ip.overrides
delete 0 max.connections.per.ip
delete 0 max.connections
set 0 max.connection.creation.rate=0
set 0 leader.replication.throttled.rate=1000
settle
show 0 leader.replication.throttled.rate
set 0 leader.replication.throttled.rate=-5
set 0 leader.replication.throttled.rate=x
delete 0 leader.replication.throttled.rate
set 0 replica.alter.log.dirs.io.max.bytes.per.second=77
settle
show 0 replica.alter.log.dirs.io.max.bytes.per.second
delete 0 replica.alter.log.dirs.io.max.bytes.per.second
set 0 producer.id.expiration.ms=100000
settle
show 0 producer.id.expiration.ms
set 0 producer.id.expiration.ms=0
delete 0 producer.id.expiration.ms
set - listeners=PLAINTEXT://127.0.0.1:1
set - ssl.keystore.location=/nowhere
set - advertised.listeners=PLAINTEXT://127.0.0.1:1
set 0 ssl.keystore.type=PKCS12
set 0 log.cleaner.threads=2
settle
show 0 log.cleaner.threads
delete 0 log.cleaner.threads
set 0 log.flush.interval.messages=1
settle
topic t flush.messages
delete 0 log.flush.interval.messages
set 0 log.roll.ms=0
set 0 log.roll.ms=3600000
settle
topic t segment.ms
delete 0 log.roll.ms
set 0 log.retention.bytes=100
settle
topic t retention.bytes
delete 0 log.retention.bytes
set 0 log.index.interval.bytes=-1
set 0 log.index.size.max.bytes=3
set 0 log.message.timestamp.type=Never
set 0 log.message.timestamp.after.max.ms=-1
set 0 log.message.timestamp.difference.max.ms=-1
set 0 background.threads=0
set 0 log.local.retention.ms=-3
set 0 log.segment.delete.delay.ms=-1
set 0 log.preallocate=2
settle
show -
""".strip().splitlines()

# Told with the place of an object in memory, or another number of the day.
MASKS = ((r"@[0-9a-f]+", "@X"), (r"127\.0\.0\.1:\d+", "HOST"), (r"PLAINTEXT://\S*", "LISTENER"))


def told(t, kind, role):
    keeper = t.keeper("apache", f"keeper-{role}")
    # Apache's broker never ends, nor answers, when its session expires in its start.
    broker = t.broker(keeper, kind, f"broker-{role}", zookeeper__session__timeout__ms=SESSION_MS)
    t.equal(kafka_wire.create_topic(broker.port, "t", 1, 1)[0], 0, f"{role}: a topic")
    lines = t.run(t.java_program("broker/java/BrokerConfigs.java", "kafka3", f"127.0.0.1:{broker.port}"), f"configs-{role}", 300,
                  feed="\n".join(COMMANDS) + "\n")
    broker.stop()
    keeper.stop()
    for pattern, text in MASKS:
        lines = [re.sub(pattern, text, line) for line in lines]
    return [line for line in lines if not line.startswith("SLF4J")]


def case(t):
    ours, theirs = told(t, places.target(), "ours"), told(t, "apache", "theirs")
    t.equal(len(ours), len(COMMANDS), "an answer to each")
    for command, one, other in zip(COMMANDS, ours, theirs, strict=True):
        t.equal(one, other, command)
