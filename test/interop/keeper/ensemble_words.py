"""What operators are told by a leader, a follower, an observer and a member that looks for a leader: four-letter words, admin pages and
metrics of an ensemble of ours beside those of Apache's, after the same work."""

import http.client
import json
import re

from harness import places, probe
from harness.ensemble import Ensemble
from harness.process import patient

OBSERVER, LEADER, FOLLOWER = 4, 3, 1
ROLES = {LEADER: "leader", FOLLOWER: "follower", OBSERVER: "observer"}
PAGES = "leader voting_view zabstate observers obsr is_read_only ruok server_stats stats configuration monitor orst".split()

# Each learner or first part of a path on its own: ours has no such sets.
SETS = re.compile(r"(ack_latency|learner_handler_qp_(size|time_ms)|per_namespace)$")

# Ours leaves out the digest of the tree, which proposals need not carry.
DIGEST_BYTES = 12

# Equal in number after the same work. What depends on who came first is not here.
STABLE = """znode_count ephemerals_count global_sessions watch_count quorum_size learners synced_followers synced_observers
synced_non_voting_followers pending_syncs max_proposal_size min_proposal_size last_proposal_size proposal_count commit_count
revalidate_count connection_revalidate_count learner_proposal_received_count learner_commit_received_count looking_count
quit_leading_due_to_disloyal_voter cnt_election_time cnt_unavailable_time cnt_leader_unavailable_time cnt_follower_sync_time
cnt_observer_sync_time cnt_proposal_latency cnt_proposal_ack_creation_latency cnt_quorum_ack_latency
cnt_commit_propagation_latency""".split()


def fetch(e, number, name):
    """The page as JSON, or the status of one that is none."""
    connection = http.client.HTTPConnection("127.0.0.1", e.members[number].admin, timeout=patient(20))
    connection.request("GET", f"/commands/{name}")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return json.loads(body) if body.startswith(b"{") else answer.status


def plain(e, value):
    """Without what is a member's own: ports, times and folders."""
    text = json.dumps(value) if not isinstance(value, str) else value
    for member in e.members.values():
        for what in ("port", "quorum", "election", "admin"):
            text = re.sub(rf"\b{getattr(member, what)}\b", f"{what}{member.number}", text)
    return text.replace(str(e.directory), "DIRECTORY").replace(e.members[1].kind, "KIND")


def words(e, number, word):
    return plain(e, probe.words(e.port(number), word) or "")


def names(text):
    """The lines of a word without their values."""
    return sorted(re.split(r"[:=\t]", line)[0] for line in text.splitlines() if line and not line.startswith(" /"))


def shape(value):
    """A page with the kinds of its values."""
    if isinstance(value, dict):
        return {key: shape(below) for key, below in value.items()}
    if isinstance(value, list):
        return [shape(below) for below in value]
    return type(value).__name__


def monitor(e, number):
    return {key: value for key, value in fetch(e, number, "monitor").items()
            if not SETS.search(key) and not re.match("jvm_(?!pause)|process_", key)}


def work(t, e):
    """Through each member, by a session that moves."""
    with e.session(FOLLOWER) as session:
        for number in e.members:
            e.move(session, number)
            session.create(f"/n{number}", b"x" * 100 * number)
            session.set(f"/n{number}", b"y")
            session.sync()
    e.wait_same_zxid()
    # The proposals are in step; what the leader has heard of its learners is so after the next ping.
    t.wait_until(lambda: all(row["last_zxid"] == e.zxid(LEADER) for row in fetch(e, LEADER, "observers")["observers"]), "observers", 20)


def start(t, kind, name):
    e = Ensemble(t, [kind] * 4, observers=(OBSERVER,), name=name, doors=True)
    e.start_led_by(LEADER)
    work(t, e)
    return e


def check_words(t, ours, apache, number, role):
    for word in ("srvr", "stat", "mntr", "conf", "envi", "wchs", "dirs"):
        seen, expected = (names(words(e, number, word)) for e in (ours, apache))
        if word == "mntr":
            seen, expected = ([name for name in found if not SETS.search(name)] for found in (seen, expected))
        if word == "envi":
            seen = [name for name in seen if name != "io.world"]
        t.equal([sorted(set(seen) - set(expected)), sorted(set(expected) - set(seen))], [[], []], f"{role}: the word {word}: names")
    for word in ("conf", "isro", "ruok"):
        seen, expected = (re.sub(r"(DirSize|LogSize)=\d+", r"\1=N", words(e, number, word)) for e in (ours, apache))
        t.equal(seen, expected, f"{role}: the word {word}")
    for key in ("Mode", "Node count"):
        t.equal(*(e.srvr(number).get(key) for e in (ours, apache)), f"{role}: srvr: {key}")
    seen, expected = ([int(size) for size in e.srvr(number).get("Proposal sizes last/min/max", "").split("/") if size]
                      for e in (ours, apache))
    t.equal([size + DIGEST_BYTES for size in seen], expected, f"{role}: srvr: sizes of proposals")
    for word in ("stat", "mntr"):
        seen, expected = (re.findall(r"Mode: \w+|zk_(?:server|peer)_state\t.*|zk_observer_master_id\t.*", words(e, number, word))
                          for e in (ours, apache))
        t.equal(sorted(seen), sorted(expected), f"{role}: {word}: what it is")


def config(e, number):
    """What /zookeeper/config shows through this member."""
    with e.session(number) as session:
        data, stat = session.get("/zookeeper/config")
    return plain(e, data.decode()), stat.czxid, stat.mzxid, stat.ctime, stat.version, stat.cversion, stat.aversion, stat.pzxid


def check_pages(t, ours, apache, number, role):
    for name in PAGES:
        if name == "monitor":
            continue
        seen, expected = (fetch(e, number, name) for e in (ours, apache))
        t.equal(shape(seen), shape(expected), f"{role}: the page {name}: names and kinds")
    for name in ("leader", "voting_view", "zabstate"):
        t.equal(*(plain(e, fetch(e, number, name)) for e in (ours, apache)), f"{role}: the page {name}")
    for e in (ours, apache):  # orst has set it to -1, until the next ping.
        t.wait_until(lambda: all(row["last_zxid"] > 0 for row in fetch(e, number, "observers")["observers"]), f"{role}: pinged", 20)
    for row, expected in zip(*(fetch(e, number, "observers")["observers"] for e in (ours, apache))):
        for key in ("sid", "queued_packets", "last_zxid"):
            t.equal(row[key], expected[key], f"{role}: observers: {key}")


def check_metrics(t, ours, apache, number, role):
    seen, expected = monitor(ours, number), monitor(apache, number)
    t.equal([sorted(set(seen) - set(expected)), sorted(set(expected) - set(seen))], [[], []], f"{role}: monitor: names")
    for name in STABLE:
        digest_bytes = DIGEST_BYTES if name.endswith("proposal_size") and name in seen else 0
        t.equal((seen.get(name) or 0) + digest_bytes, expected.get(name) or 0, f"{role}: monitor: {name}")
    # By snapshot or not is for the leader to choose.
    t.equal(*(found["snap_count"] + found["diff_count"] for found in (seen, expected)), f"{role}: learners that were brought in step")
    t.equal(*(found["cnt_inflight_snap_count"] + found["cnt_inflight_diff_count"] for found in (seen, expected)),
            f"{role}: synchronisations counted")


def check_looking(t, ours, apache):
    """Alone among three."""
    for e in (ours, apache):
        for number in e.members:
            if number != FOLLOWER:
                e.kill(number)
        t.wait_until(lambda: "not currently serving" in (probe.words(e.port(FOLLOWER), "srvr") or ""), f"{e.name}: looks", 60)
    for word in ("srvr", "stat", "mntr", "isro", "ruok", "conf", "cons", "dump", "wchs", "hash"):
        t.equal(words(ours, FOLLOWER, word), words(apache, FOLLOWER, word), f"looking: the word {word}")
    for name in PAGES:
        if name == "monitor":
            continue  # Apache's answers with status 500.
        t.equal(*(plain(e, fetch(e, FOLLOWER, name)) for e in (ours, apache)), f"looking: the page {name}")


def case(t):
    ours, apache = start(t, places.target(), "ours"), start(t, "apache", "apache")
    for number, role in ROLES.items():
        with t.part(role):
            check_words(t, ours, apache, number, role)
            check_pages(t, ours, apache, number, role)
            check_metrics(t, ours, apache, number, role)
    for number, role in ROLES.items():  # Sessions of its own would be counted.
        t.equal(config(ours, number), config(apache, number), f"{role}: /zookeeper/config")
    with t.part("looking"):
        check_looking(t, ours, apache)
