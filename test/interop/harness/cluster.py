"""A cluster of brokers by us and by Apache on one keeper: started, stopped, killed, frozen and replaced one by one.

A broker is named by its id: 1, 2, .. Its kind may change between two starts, on the same log directory and the same port: that is
how a cluster is moved from one side's brokers to the other's. Whatever a case waits for is asked of the brokers (Metadata) or of
the keeper (znodes), never slept for.
"""

import contextlib
import json

from . import kafka_wire, server
from .kafka_wire import Silent
from .process import Failure
from .session import Refused, Session
from .zk import SESSION_MS

WAIT_S = 90
# Longer than a machine stands still: else leaders change, and who is in sync, without anybody's doing.
SETTINGS = {
    "zookeeper.session.timeout.ms": SESSION_MS,
    "zookeeper.connection.timeout.ms": 120000,
    "replica.lag.time.max.ms": 60000,
    "replica.fetch.backoff.ms": 200,
    "controlled.shutdown.retry.backoff.ms": 500,
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": 3,
    "offsets.topic.num.partitions": 5,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "auto.leader.rebalance.enable": "false",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    # What a JVM of 256 MiB has room for.
    "log.cleaner.dedupe.buffer.size": 2 << 20,
    "num.network.threads": 2,
    "num.io.threads": 4,
}
HEAP = ("-Xmx256m",)


class Member:
    """One broker, whatever it runs as at the moment."""

    def __init__(self, number, kind, port):
        self.number = number
        self.kind = kind
        self.port = port
        self.server = None
        self.is_wanted = False  # It was started, and neither stopped nor killed.
        self.is_frozen = False

    @property
    def is_up(self):
        return self.server is not None and self.server.process is not None and self.server.process.is_alive()


class Cluster:
    """Brokers 1, 2, .. of the given kinds (rookery, apache).

    keeper: a running keeper or ensemble; by default one is started, the one under test, or Apache's where `keeper` says so.
    settings: of every broker, as server.properties has them, with __ for a dot; each: {broker: its own}.
    """

    def __init__(self, t, kinds, keeper=None, name="cluster", each=None, **settings):
        self.t = t
        self.name = name
        self.directory = t.directory / name
        self.keeper = t.keeper(keeper, f"{name}-keeper") if keeper is None or isinstance(keeper, str) else keeper
        self.settings = {**SETTINGS, **{key.replace("__", "."): value for key, value in settings.items()}}
        self.each = each or {}
        self.members = {number: Member(number, kind, t.port()) for number, kind in enumerate(kinds, 1)}
        t.say(f"{name}: {self}")

    def __str__(self):
        return " ".join(f"{member.number}={member.kind}" for member in self.members.values())

    # One broker.

    def kind(self, number):
        return self.members[number].kind

    def port(self, number):
        return self.members[number].port

    def address(self, number):
        return f"127.0.0.1:{self.port(number)}"

    @property
    def addresses(self):
        return ",".join(self.address(number) for number in self.members)

    def journals(self, number):
        """Its log directory."""
        return self.directory / f"broker{number}" / "journals"

    def launch(self, number):
        """Starts one, and does not wait."""
        member = self.members[number]
        if member.server is None or member.server.kind != member.kind:
            where = getattr(self.keeper, "addresses", None) or self.keeper.address
            member.server = server.broker(self.t, member.kind, f"{self.name}-{number}-{member.kind}",
                                          self.directory / f"broker{number}", member.port, where, broker_id=number,
                                          properties=HEAP, logs="cluster", **{**self.settings, **self.each.get(number, {})})
        member.server.launch()
        member.is_wanted = True

    def start(self, *numbers):
        """Starts these brokers, or all, and waits until every running one knows them."""
        for number in numbers or self.members:
            self.launch(number)
        for number in numbers or self.members:
            self.members[number].server.wait_answer()
        self.wait_known()

    def stop(self, number):
        self._give_up(number)
        self.members[number].server.stop()

    def kill(self, number):
        self._give_up(number)
        self.members[number].server.kill()
        self.members[number].is_frozen = False

    def _give_up(self, number):
        self.members[number].server.check_alive()
        self.members[number].is_wanted = False

    def freeze(self, number):
        self.members[number].server.freeze()
        self.members[number].is_frozen = True

    def thaw(self, number):
        self.members[number].server.thaw()
        self.members[number].is_frozen = False

    def restart(self, number):
        self.stop(number)
        self.start(number)

    def swap(self, number, kind):
        """The broker goes on as another kind, on its log directory, under its id."""
        if self.members[number].is_up:
            self.stop(number)
        self.t.say(f"{self.name}: {number} was {self.kind(number)}, becomes {kind}")
        self.members[number].kind = kind
        self.start(number)

    def stop_all(self):
        """The controller last, so that each can hand over what it leads."""
        controller = self.controller()
        for number in sorted(self.up(), key=lambda number: number == controller):
            self.stop(number)

    def up(self):
        return [number for number, member in self.members.items() if member.is_up]

    def awake(self):
        return [number for number in self.up() if not self.members[number].is_frozen]

    def check_alive(self):
        """Nobody has ended by itself."""
        for member in self.members.values():
            if member.is_wanted:
                member.server.check_alive()

    def log(self, number):
        """What it has said since its last start."""
        return self.members[number].server.process.path.with_suffix(".err").read_text(errors="replace")

    def wait_until(self, condition, what, timeout_s=WAIT_S):
        """As the case's; nobody may end meanwhile, and a broker that does not answer has not said yes."""
        def holds():
            self.check_alive()
            try:
                return condition()
            except (Silent, Refused):
                return None

        return self.t.wait_until(holds, f"{self.name}: {what}", timeout_s)

    # What the keeper says.

    @contextlib.contextmanager
    def keeper_session(self):
        port = self.keeper.port if hasattr(self.keeper, "address") and not callable(self.keeper.address) \
            else self.keeper.port(self.keeper.up()[0])
        session = Session(port, SESSION_MS)
        self.t.wait_until(session.open, f"{self.name}: a session at the keeper", WAIT_S)
        try:
            yield session
        finally:
            session.end()

    def znode(self, path):
        """The JSON in a znode, or None where there is none."""
        with self.keeper_session() as session:
            try:
                return json.loads(session.get(path)[0])
            except Refused:
                return None

    def controller(self):
        """The id of the broker that holds /controller, or None."""
        found = self.znode("/controller")
        return found and found["brokerid"]

    def controller_epoch(self):
        return self.znode("/controller_epoch")

    def registered(self):
        """The ids that brokers have registered."""
        with self.keeper_session() as session:
            return sorted(map(int, session.children("/brokers/ids")))

    def wait_controller(self, *among):
        """Until one of these, or anybody, is controller, and every broker that is awake says so; its id."""
        def agreed():
            found = self.controller()
            if found is None or among and found not in among:
                return None
            return found if all(self.metadata(number, ()).controller == found for number in self.awake()) else None

        return self.wait_until(agreed, f"a controller{f' among {among}' if among else ''}")

    def make_controller(self, number):
        """As an operator moves it, by deleting /controller; the others stand still meanwhile, so that this one is elected."""
        if self.controller() == number:
            return
        others = [other for other in self.awake() if other != number]
        for other in others:
            self.freeze(other)
        try:
            with self.keeper_session() as session:
                with contextlib.suppress(Refused):
                    session.delete("/controller")
            self.t.wait_until(lambda: self.controller() == number, f"{self.name}: {number} becomes controller", WAIT_S)
        finally:
            for other in others:
                self.thaw(other)
        self.wait_controller(number)
        self.wait_known()

    def bury(self, number):
        """The session of a broker that was killed or frozen ends now, not only with its timeout: somebody else closes it."""
        with self.keeper_session() as session:
            stat = session.exists(f"/brokers/ids/{number}")
            if stat is not None:
                dead = Session(session.port, SESSION_MS, stat.owner)
                self.t.wait_until(dead.open, f"{self.name}: the session of {number} goes on here", WAIT_S)
                dead.end()
        self.wait_gone(number)

    def wait_gone(self, number):
        """Until the registration of a broker that was killed or frozen has gone with its session."""
        self.wait_until(lambda: number not in self.registered(), f"the registration of {number} goes")

    # What the brokers say.

    def metadata(self, number, topics=None):
        return kafka_wire.metadata(self.port(number), topics)

    def partitions(self, topic, number=None):
        """{partition: its state} as one broker tells it, the first that is awake if none is named."""
        error, found = self.metadata(number or self.awake()[0], (topic,)).topics[topic]
        return found if error == 0 else {}

    def leader(self, topic, partition, number=None):
        state = self.partitions(topic, number).get(partition)
        return state and state.leader  # None where the broker does not know the topic yet.

    def wait_known(self):
        """Until every broker that is awake knows all of them."""
        wanted = set(self.awake())
        self.wait_until(lambda: all(wanted <= set(self.metadata(number, ()).brokers) for number in wanted),
                        f"brokers {sorted(wanted)} know each other")

    def _wait_all_say(self, topics, is_so, what):
        """Until each broker that is awake says of each partition of these topics, or of all, what is wanted."""
        shown = {}

        def all_say():
            shown.clear()
            for number in self.awake():
                seen = self.metadata(number, topics or None).topics
                if not set(topics) <= set(seen):
                    return False
                for name, (error, partitions) in seen.items():
                    for index, state in partitions.items():
                        if error or not is_so(state):
                            shown[f"{name}-{index} at {number}"] = state
                    if error or not partitions:
                        shown[f"{name} at {number}"] = error
            return not shown

        try:
            self.wait_until(all_say, what)
        except Failure as failure:
            raise Failure(f"{failure}: {dict(list(shown.items())[:4])}") from None

    def wait_in_sync(self, *topics):
        """Until every replica of these topics, or of all, is in sync, and every broker says so."""
        self._wait_all_say(topics, lambda state: state.leader >= 0 and set(state.isr) == set(state.replicas), "every replica is in sync")

    def wait_without(self, number, *topics):
        """Until a broker that is gone leads nothing and is in sync nowhere; every partition has a leader."""
        if not self.members[number].is_up:
            self.bury(number)
        self._wait_all_say(topics, lambda state: state.leader >= 0 and number not in state.isr, f"{number} is in sync nowhere")

    def wait_agreed(self, *topics):
        """Until every broker that is awake says the same of these topics: leaders, epochs, replicas, those in sync."""
        def are_same():
            seen = [{name: self.metadata(number, topics).topics[name] for name in topics} for number in self.awake()]
            return all(each == seen[0] for each in seen)

        self.wait_until(are_same, f"all say the same of {topics}")

    # What the controller is told to do.

    def create(self, topic, assignment=None, partitions=-1, factor=-1, **configs):
        """A topic with these replicas, {partition: [brokers]}, the first of which leads, or with the controller's choice."""
        def created():
            error, message = kafka_wire.create_topic(self.port(self.wait_controller()), topic, partitions, factor, assignment,
                                                     {key.replace("__", "."): value for key, value in configs.items()})
            if error not in (0, kafka_wire.NOT_CONTROLLER):
                raise Failure(f"{self.name}: create {topic}: error {error} {message}")
            return error == 0

        self.wait_until(created, f"{topic} is created")
        self.wait_in_sync(topic)

    def create_spread(self, topic, per_broker=1, **configs):
        """A topic whose partitions are led by each broker in turn and followed by all others; partition p is led by p % N + 1."""
        numbers = list(self.members)
        assignment = {index: numbers[index % len(numbers):] + numbers[: index % len(numbers)]
                      for index in range(per_broker * len(numbers))}
        self.create(topic, assignment, **configs)
        return assignment

    def delete(self, topic):
        def deleted():
            return kafka_wire.delete_topic(self.port(self.wait_controller()), topic) == 0

        self.wait_until(deleted, f"{topic} is deleted")
        self.wait_until(lambda: all(topic not in self.metadata(number).topics for number in self.awake()), f"{topic} is gone")

    def elect_preferred(self, topic):
        """Every partition is led by its first replica again."""
        indices = sorted(self.partitions(topic))

        def elected():
            answers = kafka_wire.elect_preferred(self.port(self.wait_controller()), topic, indices)
            return set(answers.values()) <= {0, kafka_wire.ELECTION_NOT_NEEDED}

        self.wait_until(elected, f"{topic}: preferred leaders are elected")
        self._wait_all_say((topic,), lambda state: state.leader == state.replicas[0], f"{topic}: preferred leaders")

    # Groups.

    def coordinator(self, group):
        """The id of the broker that coordinates a group; waits for __consumer_offsets."""
        def found():
            error, number = kafka_wire.find_coordinator(self.port(self.awake()[0]), group)
            return number if error == 0 else None

        return self.wait_until(found, f"a coordinator of {group}")

    def commit(self, group, topic, offsets):
        """Commits for a group without members, and returns once its coordinator has acknowledged it."""
        def done():
            return not any(kafka_wire.commit(self.port(self.coordinator(group)), group, topic, offsets).values())

        self.wait_until(done, f"{group} commits")

    def committed(self, group, topic):
        """{partition: offset} by the group's coordinator."""
        def told():
            indices = sorted(self.partitions(topic))  # None, by a broker that has just started and does not know the topic yet.
            error, offsets = kafka_wire.committed(self.port(self.coordinator(group)), group, topic, indices)
            return offsets if error == 0 else None

        return self.wait_until(told, f"the committed offsets of {group}")

    def ends(self, topic):
        """{partition: high watermark} by the leaders."""
        def told():
            found = {}
            for index, state in self.partitions(topic).items():
                error, found[index] = kafka_wire.offset_at(self.port(state.leader), topic, index)
                if error:
                    return None
            return found

        return self.wait_until(told, f"the ends of {topic}")
