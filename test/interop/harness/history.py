"""What clients saw of one znode that is only written with an expected version, and whether one register could have told it.

Each setData that succeeds makes the next version, so the versions are the order of the writes, and it must agree with everything
else that was seen: with real time, with the zxids, and with what each session had seen before.
"""

import collections

# kind: set, get; begin and end by one clock; version: what a set made, or a get saw; None where the set was answered BadVersion
# (`expected` is then what it wanted), or where no answer came.
Event = collections.namedtuple("Event", "client kind begin end outcome expected version zxid")
DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"


def check(events):
    """What is wrong, as lines; none when all is well."""
    wrong = []
    sets = {}
    for event in events:
        if event.kind == "set" and event.outcome == DONE:
            if event.version != event.expected + 1:
                wrong.append(f"a set that expected {event.expected} made version {event.version}")
            if event.version in sets:
                wrong.append(f"version {event.version} was made twice: {sets[event.version]} and {event}")
            sets[event.version] = event
    # A set that got no answer may have made its version, at any time since it began.
    maybe = collections.defaultdict(list)
    for event in events:
        if event.kind == "set" and event.outcome == UNKNOWN:
            maybe[event.expected + 1].append(event)
    wrong += _check_order(sets)
    wrong += _check_refusals(events, sets, maybe)
    wrong += _check_reads(events, sets, maybe)
    wrong += _check_sessions(events)
    return wrong


def _check_order(sets):
    """The versions ascend in real time, as do the zxids with the versions."""
    wrong = []
    latest = None
    for version in sorted(sets):
        event = sets[version]
        # `latest` is the set of a lower version that began last: had it begun after this one ended, they are the wrong way round.
        if latest is not None and latest.begin > event.end:
            wrong.append(f"version {event.version} ended before version {latest.version} began")
        if latest is None or event.begin > latest.begin:
            latest = event
    in_order = [sets[version] for version in sorted(sets)]
    for one, two in zip(in_order, in_order[1:]):
        if one.zxid >= two.zxid:
            wrong.append(f"version {one.version} has zxid 0x{one.zxid:x}, version {two.version} 0x{two.zxid:x}")
    return wrong


def _began(version, sets, maybe):
    """When the version can have come to be, at the earliest; None when nobody tried."""
    begins = [sets[version].begin] if version in sets else [event.begin for event in maybe.get(version, [])]
    return min(begins) if begins else None


def _check_refusals(events, sets, maybe):
    """BadVersion is wrong when the expected version was the current one all the time."""
    wrong = []
    for event in events:
        if event.outcome != REFUSED:
            continue
        is_certain = event.expected == 0 or (event.expected in sets and sets[event.expected].end < event.begin)
        successor = _began(event.expected + 1, sets, maybe)
        if is_certain and (successor is None or successor > event.end):
            wrong.append(f"{event} was refused while its version was the current one")
    return wrong


def _check_reads(events, sets, maybe):
    """Nobody reads what nobody has begun to write; nor, after a sync, what was old before."""
    wrong = []
    done = sorted((event.end, event.version) for event in sets.values())
    for event in events:
        if event.outcome != DONE or event.kind not in ("get", "synced"):
            continue
        if event.version > 0:
            began = _began(event.version, sets, maybe)
            if began is None or began > event.end:
                wrong.append(f"{event} reads a version that nobody was writing")
        if event.kind == "synced":
            newest = max((version for end, version in done if end < event.begin), default=0)
            if event.version < newest:
                wrong.append(f"{event} reads after a sync, and version {newest} was acknowledged before")
    return wrong


def _check_sessions(events):
    """What one client sees never goes back, whatever server it is connected to."""
    wrong = []
    seen = collections.defaultdict(int)
    for event in sorted(events, key=lambda event: event.end):
        if event.outcome != DONE:
            continue
        if event.version < seen[event.client]:
            wrong.append(f"{event}: this client has seen version {seen[event.client]} before")
        seen[event.client] = max(seen[event.client], event.version)
    return wrong
