"""A load on one topic of a cluster by librdkafka and by Apache's Java client, and the judgement of what it was told by what is on the
brokers' disks in the end."""

from . import log_history, segments
from .process import Failure
from .under_load import Program

GROUPS = {"alone": "reader", "member1": "readers", "member2": "readers", "javamember": "readers"}
RATE = 150


class Client(Program):
    """One of the two programs; it counts what several kinds of its clients have done."""

    def counts(self):
        self.process.send("count")
        line = self.process.wait_line(lambda line: line.startswith("count "), 30, "a count")
        return [int(word) for word in line.split()[1:]]

    def wrong(self):
        """What it has found to be wrong by now."""
        return [line.removeprefix("not ok ") for line in self.process.lines if line.startswith("not ok ")]

    def finish(self):
        self.end()
        for line in self.wrong():
            self.t.check(False, f"{self.name}: {line}")

    def quiet(self):
        self.process.send("quiet")
        self.process.wait_line(lambda line: line == "quiet", 200, "an end of what it sends")


class LogLoad:
    """Starts it on a topic that it makes; by default every partition has a replica on each broker, and every broker leads two."""

    def __init__(self, t, cluster, topic="load", assignment=None, with_java=True, rate=RATE):
        self.t, self.cluster, self.topic = t, cluster, topic
        if assignment is None:
            assignment = cluster.create_spread(topic, 2)
        else:
            cluster.create(topic, assignment)
        self.partitions = len(assignment)
        programs = {"librdkafka": t.python_program("broker/programs/log_load.py")}
        if with_java:
            programs["java"] = t.java_program("broker/java/LogLoad.java", "kafka3")
        self.events = [t.directory / f"{topic}-{name}.events" for name in programs]
        self.clients = [Client(t, f"{topic}-{name}", [*command, cluster.addresses, topic, self.partitions, events, rate])
                        for (name, command), events in zip(programs.items(), self.events)]
        self.wait_progress()

    def wait_progress(self, count=100, timeout_s=90):
        """Until each kind of client has got on by so many records since this was called."""
        wanted = {client: [seen + count for seen in client.counts()] for client in self.clients}

        def got_on():
            return all(seen >= want for client in self.clients for seen, want in zip(client.counts(), wanted[client]))

        try:
            self.cluster.wait_until(got_on, f"{self.topic} gets on by {count}", timeout_s)
        except Failure as failure:
            raise Failure(f"{failure}: {[(client.name, client.counts(), wanted[client], client.wrong()) for client in self.clients]}") from None

    def finish(self):
        """Ends it; every promise was kept."""
        for client in self.clients:
            client.quiet()
        ends = self.cluster.ends(self.topic)
        for group in sorted(set(GROUPS.values())):
            self._wait_committed(group, ends)
        for client in self.clients:
            client.finish()
        self.judge()

    def _wait_committed(self, group, ends):
        try:
            self.cluster.wait_until(lambda: self.cluster.committed(group, self.topic) == ends, f"{group} commits the ends of {self.topic}")
        except Failure as failure:
            raise Failure(f"{failure}: {self.cluster.committed(group, self.topic)} of {ends}") from None

    def judge(self):
        """What the clients were told, by the logs of the brokers that run; all of them are the same."""
        self.cluster.wait_in_sync(self.topic)
        logs = {partition: same_log(self.t, self.cluster, self.topic, partition, state.replicas)
                for partition, state in self.cluster.partitions(self.topic).items()}
        events = [event for path in self.events for event in log_history.parse(path.read_text().splitlines())]
        readers = {event.reader for event in events if isinstance(event, log_history.Placed)}
        wrong = log_history.check(events, {partition: placed(log) for partition, log in logs.items()},
                                  {reader: GROUPS[reader] for reader in readers})
        for line in wrong:
            self.t.check(False, f"{self.topic}: {line}")
        self.t.check(not wrong, f"{self.topic}: every promise was kept")
        epochs = sorted({batch.epoch for log in logs.values() for batch in log})
        self.t.say(f"{self.topic}: {len(events)} events, {sum(log[-1].last + 1 for log in logs.values() if log)} records, "
                   f"leader epochs {epochs[0]} to {epochs[-1]}")


def placed(log):
    """[(offset, producer, sequence)] of the batches of a load."""
    found = []
    for batch in log:
        for offset, value in segments.records(batch):
            producer, sequence = value.decode().split(" ")[:2]
            found.append((offset, producer, int(sequence)))
    return found


def same_log(t, cluster, topic, partition, numbers):
    """Waits until these brokers have the same bytes of a partition; the batches."""
    paths = {number: cluster.journals(number) / f"{topic}-{partition}" for number in numbers}

    def are_same():
        seen = {segments.raw(path) for path in paths.values()}
        return seen if len(seen) == 1 else None

    try:
        return segments.batches(t.wait_until(are_same, f"{topic}-{partition}: all replicas hold the same bytes", 30).pop())
    except Failure as failure:
        raise Failure(f"{failure}: {apart({number: segments.raw(path) for number, path in paths.items()})}") from None
    except segments.Damage as damage:
        raise Failure(f"{topic}-{partition}: {damage}") from None


def apart(logs):
    """Where logs that should be the same part: {broker: (batches, first other batch)}."""
    read = {}
    for number, data in logs.items():
        try:
            read[number] = segments.batches(data)
        except segments.Damage as damage:
            return f"broker {number}: {damage}"
    common = 0
    while all(len(log) > common for log in read.values()) and len({log[common] for log in read.values()}) == 1:
        common += 1
    return "; ".join(f"broker {number}: {len(log)} batches, behind {common} in common "
                     + (str(log[common]._replace(data=len(log[common].data))) if len(log) > common else "nothing")
                     for number, log in read.items())


def check_epochs(t, cluster, topic, partition):
    """Once all brokers are stopped: their checkpoints know where each leader's records begin."""
    for number in cluster.members:
        directory = cluster.journals(number) / f"{topic}-{partition}"
        first = {}
        for batch in segments.batches(segments.raw(directory)):
            first.setdefault(batch.epoch, batch.base)
        kept = dict(segments.epochs(directory))
        lost = {epoch: offset for epoch, offset in first.items() if kept.get(epoch) != offset}
        t.check(not lost, f"{topic}-{partition}: broker {number} ({cluster.kind(number)}) keeps the leaders' epochs",
                f"it keeps {kept}, the batches say {first}")
