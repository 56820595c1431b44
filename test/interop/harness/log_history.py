"""What producers and consumers were told of the partitions of one topic, and whether the logs that are there in the end allow it.

Promises: every acknowledged record is there, once, in the order in which its producer sent it, at the offset that it was told; a
consumer sees no gap and nothing that is not there in the end; a committed offset is not lost, and who has lost a partition to
another member commits it no more.
"""

import collections

# Of a producer: its record `sequence` of this partition was acknowledged at this offset; -1: it was not told where.
Acked = collections.namedtuple("Acked", "producer partition sequence offset")
# Of a reader, in its own order; times of one clock.
Placed = collections.namedtuple("Placed", "reader partition time")  # It got the partition.
Read = collections.namedtuple("Read", "reader partition offset producer sequence time")
Trying = collections.namedtuple("Trying", "reader partition offset time")  # It is about to commit.
Committed = collections.namedtuple("Committed", "reader partition offset time")

KINDS = {"A": Acked, "P": Placed, "R": Read, "T": Trying, "C": Committed}
NAMES = ("reader", "producer")
EXAMPLES = 3


def parse(lines):
    """The events that programs have written down, a line each: a letter, and the fields in order."""
    events = []
    for line in lines:
        letter, *words = line.split()
        kind = KINDS[letter]
        events.append(kind(*(word if name in NAMES else int(word) for name, word in zip(kind._fields, words, strict=True))))
    return events


def check(events, logs, groups):
    """What is wrong, as lines.

    logs: {partition: [(offset, producer, sequence)]} as they lie on disk. groups: {reader: group}.
    """
    places = {partition: {offset: rest for offset, *rest in log} for partition, log in logs.items()}
    wrong = []
    for partition, log in sorted(logs.items()):
        wrong += _check_log(partition, log)
    wrong += _check_acked(events, places)
    wrong += _check_reads(events, places)
    wrong += _check_gaps(events)
    wrong += _check_commits(events, groups)
    wrong += _check_fenced(events, groups)
    wrong += _check_complete(events, places, groups)
    return wrong


def _some(what, found):
    """One line for many of a kind."""
    return [f"{what}: {len(found)} times, e.g. {'; '.join(found[:EXAMPLES])}"] if found else []


def _check_log(partition, log):
    """No offset is missing, and of each producer every record is there once, in its order."""
    holes, turns = [], []
    following, sequences = 0, collections.defaultdict(int)
    for offset, producer, sequence in log:
        if offset != following:
            holes.append(f"offset {offset} where {following} follows")
        following = offset + 1
        if sequence != sequences[producer]:
            turns.append(f"{producer}'s {sequence} at offset {offset} where {sequences[producer]} follows")
        sequences[producer] = sequence + 1
    return _some(f"partition {partition}: holes", holes) + _some(f"partition {partition}: lost, doubled or out of order", turns)


def _check_acked(events, places):
    lost = []
    everywhere = {(partition, *record) for partition, log in places.items() for record in log.values()}
    for event in events:
        if not isinstance(event, Acked):
            continue
        if event.offset >= 0:
            there = places.get(event.partition, {}).get(event.offset)
            if there != [event.producer, event.sequence]:
                lost.append(f"{event}, there is {there}")
        elif (event.partition, event.producer, event.sequence) not in everywhere:
            lost.append(f"{event}, it is nowhere")
    return _some("acknowledged and not there", lost)


def _check_reads(events, places):
    """A record that somebody has seen stays: it was below the high watermark."""
    gone = []
    for event in events:
        if isinstance(event, Read):
            there = places.get(event.partition, {}).get(event.offset)
            if there != [event.producer, event.sequence]:
                gone.append(f"{event}, there is {there}")
    return _some("read and not there", gone)


def _check_gaps(events):
    """Since it got the partition, a reader sees one offset after the other."""
    gaps, following = [], {}
    for event in events:
        if isinstance(event, Placed):
            following.pop((event.reader, event.partition), None)
        elif isinstance(event, Read):
            key = event.reader, event.partition
            if following.get(key, event.offset) != event.offset:
                gaps.append(f"{event} where {following[key]} follows")
            following[key] = event.offset + 1
    return _some("read with a gap or again", gaps)


def _by_time(events, groups):
    """The events of readers by (group, partition), in order of time."""
    found = collections.defaultdict(list)
    for event in events:
        if isinstance(event, (Placed, Read, Trying, Committed)):
            found[groups[event.reader], event.partition].append(event)
    return {key: sorted(some, key=lambda event: event.time) for key, some in found.items()}


def _check_commits(events, groups):
    """Who gets a partition goes on where the group has committed: not before what was acknowledged, not after what anybody tried."""
    early, late = [], []
    for (group, _partition), some in _by_time(events, groups).items():
        tried, done, begins = 0, 0, {}
        for event in some:
            if isinstance(event, Trying):
                tried = max(tried, event.offset)
            elif isinstance(event, Committed):
                done = max(done, event.offset)
            elif isinstance(event, Placed):
                begins[event.reader] = done
            elif event.reader in begins:
                least = begins.pop(event.reader)
                if event.offset < least:
                    early.append(f"{group}: {event} though {least} was committed")
                if event.offset > tried:
                    late.append(f"{group}: {event} though nobody has committed more than {tried}")
    return _some("a committed offset is lost", early) + _some("begun behind what was committed", late)


def _check_fenced(events, groups):
    """A member commits nothing of a partition that another one has got since."""
    zombies = []
    for (group, _partition), some in _by_time(events, groups).items():
        owner, late = None, {}
        for event in some:
            if isinstance(event, Placed):
                owner = event.reader
                late.pop(owner, None)
            elif isinstance(event, Trying) and event.reader != owner and owner is not None:
                late[event.reader] = owner
            elif isinstance(event, Trying):
                late.pop(event.reader, None)
            elif isinstance(event, Committed) and event.reader in late:
                zombies.append(f"{group}: {event} while {late[event.reader]} has it")
    return _some("committed by one who has lost the partition", zombies)


def _check_complete(events, places, groups):
    """In the end each group has read everything."""
    seen = collections.defaultdict(set)
    for event in events:
        if isinstance(event, Read):
            seen[groups[event.reader]].add((event.partition, event.offset))
    everything = {(partition, offset) for partition, log in places.items() for offset in log}
    return [f"{group} has not read {len(everything - seen[group])} records, e.g. {sorted(everything - seen[group])[:EXAMPLES]}"
            for group in sorted(set(groups.values())) if everything - seen[group]]
