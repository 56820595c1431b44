"""A load on the partitions of one topic by librdkafka, which goes on while brokers come and go.

    log_load.py BOOTSTRAP TOPIC PARTITIONS EVENTS RATE

Idempotent producers with acks=all that never give up, a group of two members and one reader of everything. What they are told is
written to the file EVENTS as harness/log_history.py parses it. Reads words, a line each: `count` is answered with the numbers of
records acknowledged, read by the reader and read by the group; `quiet` ends the producers and is answered `quiet` when every record is
acknowledged; `stop` ends the readers.
"""

import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

GROUP, ALONE = "readers", "reader"
CODECS = ("none", "gzip")
TURN_S = 0.02
COMMON = {"socket.timeout.ms": 10000, "socket.connection.setup.timeout.ms": 5000, "reconnect.backoff.max.ms": 500,
          "topic.metadata.refresh.interval.ms": 5000, "allow.auto.create.topics": False,
          # A broker that has just started knows no topic until the controller tells it: that is no news.
          "topic.metadata.propagation.max.ms": 600000,
          # By default, a client that has lost all brokers forgets those it knew, and a member of a group may then have nobody left to ask
          # for its coordinator: it connects to none again, and a commit never ends. It happens with Apache's brokers, too.
          "metadata.recovery.strategy": "none"}
COMMIT_S = 0.3
SHOWN = 10


class Writer:
    """The file of events; one line is written by one thread at a time."""

    def __init__(self, path):
        self._file = open(path, "w")
        self._lock = threading.Lock()

    def write(self, *words):
        with self._lock:
            print(*words, file=self._file)

    def close(self):
        self._file.close()


class Sender(threading.Thread):
    def __init__(self, load, number):
        self.who = f"librdkafka{number}"
        super().__init__(name=self.who, daemon=True)
        self.load = load
        self.next = [0] * load.partitions
        self.acked = 0
        self.producer = Producer({**COMMON, "bootstrap.servers": load.bootstrap, "client.id": self.who, "acks": "all",
                                  "enable.idempotence": True, "message.timeout.ms": 0, "request.timeout.ms": 10000,
                                  "linger.ms": 5, "compression.type": CODECS[number % len(CODECS)], "retry.backoff.ms": 100,
                                  "queue.buffering.max.messages": 1000000}, error_cb=self._on_error)

    def _on_error(self, error):
        if error.fatal():
            self.load.bad(f"{self.who}: {error}")

    def run(self):
        each = max(1, round(self.load.rate * TURN_S))
        while not self.load.quiet.is_set():
            try:
                for _ in range(each):
                    self._send()
            except KafkaException as error:
                self.load.bad(f"{self.who}: {error}")
                return
            self.producer.poll(0)
            self.load.quiet.wait(TURN_S)
        left = self.producer.flush(180)
        if left:
            self.load.bad(f"{self.who}: {left} records are not acknowledged")

    def _send(self):
        partition = sum(self.next) % self.load.partitions
        sequence = self.next[partition]
        self.next[partition] += 1

        def told(error, message):
            if error:
                self.load.bad(f"{self.who}: {sequence} of partition {partition}: {error}")
            else:
                self.acked += 1
                # A later record's acknowledgement covers those before it; where they are it does not say.
                offset = -1 if message.offset() is None else message.offset()
                self.load.events.write("A", self.who, partition, sequence, offset)

        value = f"{self.who} {sequence} {'x' * (sequence % 97)}"
        self.producer.produce(self.load.topic, value, partition=partition, on_delivery=told)


class Reader(threading.Thread):
    """A member of the group, or (when alone) one that has every partition for good, and commits nevertheless."""

    def __init__(self, load, name, group):
        super().__init__(name=name, daemon=True)
        self.load, self.who, self.group = load, name, group
        self.next = {}
        self.uncommitted = {}
        self.consumer = Consumer({**COMMON, "bootstrap.servers": load.bootstrap, "client.id": name, "group.id": group,
                                  "auto.offset.reset": "earliest", "enable.auto.commit": False, "check.crcs": True,
                                  "session.timeout.ms": 120000, "heartbeat.interval.ms": 500, "partition.assignment.strategy": "range",
                                  "fetch.wait.max.ms": 100, "fetch.error.backoff.ms": 100})
        if group == ALONE:
            everything = [TopicPartition(load.topic, partition, 0) for partition in range(load.partitions)]
            self.consumer.assign(everything)
            self._placed(self.consumer, everything)
        else:
            self.consumer.subscribe([load.topic], on_assign=self._placed, on_revoke=self._lost)

    def _placed(self, _consumer, partitions):
        for each in partitions:
            self.load.events.write("P", self.who, each.partition, time.monotonic_ns())

    def _lost(self, _consumer, partitions):
        for each in partitions:
            self.uncommitted.pop(each.partition, None)

    def run(self):
        last = 0
        while not self.load.stopping.is_set():
            message = self.consumer.poll(0.1)
            if message is not None and not message.error():
                producer, sequence = message.value().decode().split(" ")[:2]
                self.load.events.write("R", self.who, message.partition(), message.offset(), producer, sequence, time.monotonic_ns())
                self.next[message.partition()] = self.uncommitted[message.partition()] = message.offset() + 1
            if self.uncommitted and time.monotonic() - last > COMMIT_S:
                self._commit()
                last = time.monotonic()
        self.consumer.close()

    def _commit(self):
        tried = [TopicPartition(self.load.topic, partition, offset) for partition, offset in self.uncommitted.items()]
        for each in tried:
            self.load.events.write("T", self.who, each.partition, each.offset, time.monotonic_ns())
        try:
            done = self.consumer.commit(offsets=tried, asynchronous=False)
        except KafkaException as error:
            print(f"{self.who}: commit: {error}", file=sys.stderr)
            return
        for each in done:
            if each.error:
                print(f"{self.who}: commit: {each}", file=sys.stderr)
                continue
            self.load.events.write("C", self.who, each.partition, each.offset, time.monotonic_ns())
            if self.uncommitted.get(each.partition) == each.offset:
                del self.uncommitted[each.partition]


class Load:
    def __init__(self, bootstrap, topic, partitions, events, rate):
        self.bootstrap, self.topic, self.partitions, self.rate = bootstrap, topic, int(partitions), float(rate)
        self.events = Writer(events)
        self.quiet, self.stopping = threading.Event(), threading.Event()
        self.wrong_count = 0
        self.senders = [Sender(self, number) for number in range(2)]
        self.readers = [Reader(self, "alone", ALONE), Reader(self, "member1", GROUP), Reader(self, "member2", GROUP)]

    def bad(self, text):
        """At once: the load may hang, and nobody come to its end."""
        self.wrong_count += 1
        if self.wrong_count <= SHOWN:
            print(f"not ok {text}\n", end="", flush=True)

    def count(self):
        """What each kind has done; a record is counted once for the group, whoever of it has read it."""
        def read(group):
            positions = {}
            for reader in self.readers:
                if reader.group == group:
                    for partition, offset in list(reader.next.items()):
                        positions[partition] = max(offset, positions.get(partition, 0))
            return sum(positions.values())

        return sum(sender.acked for sender in self.senders), read(ALONE), read(GROUP)

    def run(self):
        for thread in (*self.readers, *self.senders):
            thread.start()
        print("running", flush=True)
        for line in sys.stdin:
            word = line.strip()
            if word == "count":
                print("count", *self.count(), flush=True)
            elif word == "quiet":
                self.quiet.set()
                for sender in self.senders:
                    sender.join()
                print("quiet", flush=True)
            elif word == "stop":
                break
        self.stopping.set()
        for reader in self.readers:
            reader.join(60)
        acked, alone, group = self.count()
        for reader in self.readers:
            if not reader.is_alive():
                continue
            if reader.group == GROUP and group >= acked:
                # After its coordinator went, librdkafka 2.16 may wait for one for ever, also with Apache's brokers alone.
                print(f"{reader.who} does not end, but the group has read everything", file=sys.stderr)
            else:
                self.bad(f"{reader.who} does not end")
        self.events.close()
        if self.wrong_count > SHOWN:
            print(f"not ok {self.wrong_count - SHOWN} more")
        print(f"figures {acked} acknowledged, {alone} read by one, {group} by the group", flush=True)


Load(*sys.argv[1:]).run()
