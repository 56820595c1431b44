"""The operators' doors of our keeper beside those of Apache's: admin commands, four-letter words, mntr, the page for Prometheus, and
snapshots by HTTP from either into the other."""

import http.client
import json
import re
import shutil

from harness import exchange, probe, server
from harness.process import patient

PROVIDER = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider"
AUTHORIZATION = {"Authorization": "digest ada:secret"}

COMMANDS = """configuration conf config connections cons dirs get_trace_mask gtmk hash initial_configuration icfg is_read_only
isro last_snapshot lsnp leader lead observer_connection_stat_reset orst observers obsr ruok server_stats srvr stats stat voting_view
watch_summary wchs watches wchc watches_by_path wchp zabstate""".split()

# What Jackson makes of a Java bean, or of a hash table, has another order in each run.
UNORDERED = "server_stats srvr stats stat watches wchc watches_by_path wchp".split()

# Equal in number, not only in kind, after the same work.
STABLE = """approximate_data_size auth_failed_count bytes_received_count connection_drop_probability connection_rejected
connection_request_count ephemerals_count global_sessions last_client_response_size local_sessions max_client_response_size
min_client_response_size num_alive_connections outstanding_requests packets_received packets_sent response_bytes snap_count
snapshot_error_count stale_sessions_expired unrecoverable_error_count watch_bytes watch_count znode_count cnt_readlatency cnt_updatelatency
cnt_propagation_latency sum_node_changed_watch_count max_node_changed_watch_count cnt_node_created_watch_count
cnt_node_deleted_watch_count cnt_node_children_watch_count cnt_sync_processor_queue_and_flush_time_ms restore_error_count""".split()

# The same, of the start.
AT_START = """cnt_dbinittime cnt_snapshottime cnt_startup_snap_load_time cnt_startup_txns_loaded cnt_startup_txns_load_time
sum_startup_txns_loaded""".split()


# What Apache counts for each namespace, and ours does not.
LEFT_OUT = re.compile("(read|write)_per_namespace")


class Door:
    """A keeper with its admin port, and a client on it."""

    def __init__(self, t, kind, name, **settings):
        self.kind = kind
        self.port = t.port()
        self.keeper = server.keeper(t, kind, name, t.directory / name, t.port(), admin__enableServer="true",
                                    admin__serverAddress="127.0.0.1", admin__serverPort=self.port, doors=True, enforceQuota="true",
                                    **settings).start()

    def fetch(self, path, method="GET", headers=None, body=None, port=None):
        """(status, headers, body) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=patient(20))
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        seen = answer.status, {key: value for key, value in answer.getheaders()}, answer.read()
        connection.close()
        return seen

    def command(self, name, **arguments):
        status, headers, body = self.fetch(f"/commands/{name}", **arguments)
        return status, headers.get("Content-Type"), body.decode()

    def client(self, t):
        client = t.spawn(t.python_program("keeper/admin/client.py", self.keeper.address), f"client-{self.kind}")
        client.wait_line(lambda line: line == "ready", 30, "its traces")
        return client


def skeleton(text):
    """An answer without what its numbers and texts are."""
    text = re.sub(r'(: |\[ |, )"(?:[^"\\]|\\.)*"', r'\1"s"', text)
    text = re.sub(r'"\d+" :', '"0" :', text)
    return re.sub(r"-?\d+(\.\d+)?(E\d+)?", lambda number: "0.0" if number[1] else "0", text)


def check_commands(t, ours, apache):
    for name in COMMANDS:
        (a_status, a_type, a_body), (o_status, o_type, o_body) = apache.command(name), ours.command(name)
        t.equal((o_status, o_type), (a_status, a_type), f"{name}: status and type")
        seen, expected = skeleton(o_body), skeleton(a_body)
        if name in UNORDERED:
            seen, expected = [sorted(line.rstrip(",") for line in text.splitlines()) for text in (seen, expected)]
        t.equal(seen, expected, f"{name}: layout, names and their order")
        assert json.loads(a_body)["command"] == json.loads(o_body)["command"]

    for name in ("ruok", "isro", "lead", "obsr", "orst", "voting_view", "wchs", "zabstate", "gtmk", "none", "RUOK", "ruok/", "a%20%22b",
                 "stmk", "stmk?traceMask=5", "gtmk", "stmk?traceMask=9223372036854775808", "stmk?traceMask=-1", "stmk?traceMask=306",
                 "crst", "connection_stat_reset"):
        t.equal(ours.command(name), apache.command(name), f"{name}: the whole answer")

    def paths(door, name, key):
        return sorted(sorted(found) for found in json.loads(door.command(name)[2])[key].values())

    t.equal(paths(ours, "watches", "session_id_to_watched_paths"), paths(apache, "watches", "session_id_to_watched_paths"), "watches")
    t.equal(*[sorted(json.loads(door.command("wchp")[2])["path_to_session_ids"]) for door in (ours, apache)], "watches_by_path")
    dumps = [json.loads(door.command("dump")[2]) for door in (ours, apache)]
    t.equal(*[[list(dump), list(dump["session_id_to_ephemeral_paths"].values())] for dump in dumps], "dump: ephemeral nodes")
    # Whether two end at one time depends on when they were heard of.
    t.equal(*[sum(map(len, dump["expiry_time_to_session_ids"].values())) for dump in dumps], "dump: sessions by expiry")
    environments = [json.loads(door.command("envi")[2]) for door in (ours, apache)]
    t.equal([key for key in environments[0] if key != "io.world"], list(environments[1]), "environment: names and their order")
    t.equal(json.loads(ours.command("icfg")[2])["initial_configuration"], ours.keeper.config.read_text(), "initial_configuration")
    t.equal(ours.fetch("/commands")[::2], apache.fetch("/commands")[::2], "the list of commands")


def check_requests(t, ours, apache):
    """What is no plain GET."""
    for method, path in (("TRACE", "/commands/ruok"), ("PUT", "/commands/ruok"), ("DELETE", "/commands"), ("HEAD", "/commands/ruok"),
                         ("OPTIONS", "/commands/ruok")):
        answers = [door.fetch(path, method) for door in (ours, apache)]
        t.equal(*[(status, headers.get("Allow"), body) for status, headers, body in answers], f"{method} {path}")
    for path in ("/", "/commandsx", "/command"):
        t.equal(ours.fetch(path)[0], apache.fetch(path)[0], f"GET {path}")
    for name in ("snapshot", "snap", "restore", "rest"):
        for text in (None, "digest", "digest a b", "none a:b", "", "ip 1 2"):
            headers = None if text is None else {"Authorization": text}
            for method in ("GET", "POST"):
                answers = [door.command(name, method=method, headers=headers) for door in (ours, apache)]
                t.equal(*answers, f"{method} {name} as {text!r}")


def monitor(door):
    values = json.loads(door.command("monitor")[2])
    return {key: value for key, value in values.items() if not LEFT_OUT.search(key)}


def quotas(values):
    return {key: value for key, value in values.items() if "quota" in key}


def kinds(values):
    return {key: type(value).__name__ for key, value in values.items()}


def check_monitor(t, ours, apache):
    seen, expected = monitor(ours), monitor(apache)
    t.equal(sorted(set(seen) ^ set(expected)), [], "monitor: names")
    t.equal(kinds(seen), kinds(expected), "monitor: whole numbers and others")
    for name in STABLE:
        t.equal(seen[name], expected[name], f"monitor: {name}")

    t.equal(quotas(seen), quotas(expected), "monitor: quotas")
    t.equal(len(quotas(expected)), 2 * 4 + 2 + 2, "monitor: quotas of three namespaces, two of which refused something")

    def mntr(door):
        lines = probe.words(door.keeper.port, "mntr").splitlines()
        return dict(line.split("\t") for line in lines if not LEFT_OUT.search(line))

    t.equal(sorted(set(mntr(ours)) ^ set(mntr(apache))), [], "mntr: names")
    t.equal(quotas(mntr(ours)), quotas(mntr(apache)), "mntr: quotas")


def check_reset(t, ours, apache):
    """Counters begin again, the rest stays."""
    for door in (ours, apache):
        door.command("srst")
    seen, expected = quotas(monitor(ours)), quotas(monitor(apache))
    t.equal(seen, expected, "monitor after srst: quotas")
    t.equal([value for key, value in seen.items() if "exceeded" in key], [0, 0], "monitor after srst: no more refusals")


def check_words(t, ours, apache):
    def lines(door, word):
        text = probe.words(door.keeper.port, word)
        text = re.sub(r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]+ \S+ \d{4}", "DATE", text.replace(str(door.keeper.directory), ""))
        text = re.sub(r"^\d+ expire at DATE:\n", "", text, flags=re.M)  # How many there are depends on when clients were heard of.
        return re.sub(r"0x[0-9a-f]+|(?<![a-z])\d[\d.]*", "N", text).splitlines()

    for word in ("conf", "wchs", "dirs", "srvr", "gtmk", "ruok", "isro", "crst"):
        t.equal(lines(ours, word)[1 if word == "srvr" else 0:], lines(apache, word)[1 if word == "srvr" else 0:], f"the word {word}")
    for word in ("cons", "dump", "stat", "wchc", "wchp"):
        t.equal(sorted(lines(ours, word)[1 if word == "stat" else 0:]), sorted(lines(apache, word)[1 if word == "stat" else 0:]),
                f"the word {word}")
    names = [[line.split("=")[0] for line in probe.words(door.keeper.port, "envi").splitlines()] for door in (ours, apache)]
    t.equal([name for name in names[0] if name != "io.world"], names[1], "the word envi: names and their order")
    for door in (ours, apache):
        t.equal(probe.words(door.keeper.port, "stmk" + "\0" * 6 + "\1\2"), "258", f"stmk ({door.kind})")
        t.equal(probe.words(door.keeper.port, "gtmk"), "258", f"gtmk after it ({door.kind})")


def check_hash(t, doors, clients):
    """Every 128th zxid of the same transactions, also after the journal was replayed."""
    def zxids(door):
        return [line.split(":")[0] for line in probe.words(door.keeper.port, "hash").splitlines()]

    def digests(door):
        return [(row["zxid"], row["digest"]) for row in json.loads(door.command("hash")[2])["digests"]]

    for client in clients:
        client.send("write")
        client.wait_line(lambda line: line == "written", 60, "its writes")
    t.equal(zxids(doors[0]), ["80", "100"], "hash: which")
    t.equal(zxids(doors[1]), ["80", "100"], "hash: which (apache)")
    t.equal(skeleton(doors[0].command("hash")[2]), skeleton(doors[1].command("hash")[2]), "hash: layout")
    before = digests(doors[0])
    doors[0].keeper.kill()
    doors[0].keeper.start()
    t.equal(digests(doors[0]), before, "hash: the same after the journal was replayed")


def page(door, port):
    """{name: kind} and {sample: value} of a page for Prometheus."""
    status, headers, body = door.fetch("/metrics", port=port)
    lines = [line for line in body.decode().splitlines() if not re.match(r"(# \S+ )?(jvm_(?!pause)|process_)", line)]
    types = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#") and not LEFT_OUT.search(line))
    return (status, headers["Content-Type"]), types, samples


def check_prometheus(t):
    ports = {"ours": t.port(), "apache": t.port()}
    doors = [Door(t, kind, f"{name}-prometheus", metricsProvider__className=PROVIDER, metricsProvider__httpHost="127.0.0.1",
                  metricsProvider__httpPort=ports[name]) for name, kind in (("ours", t.target), ("apache", "apache"))]
    clients = [door.client(t) for door in doors]
    ours, apache = [page(door, port) for door, port in zip(doors, ports.values())]
    t.equal(ours[0], apache[0], "/metrics: status and type")
    t.equal(sorted(set(ours[1].items()) ^ set(apache[1].items())), [], "/metrics: names and kinds")
    t.equal(sorted(set(ours[2]) ^ set(apache[2])), [], "/metrics: samples and labels")
    t.equal(quotas(ours[2]), quotas(apache[2]), "/metrics: quotas")
    seen, expected = [{key: value for key, value in monitor(door).items() if not re.match("jvm_(?!pause)|process_", key)} for door in doors]
    t.equal(sorted(set(seen) ^ set(expected)), [], "monitor with Prometheus: names")
    t.equal(quotas(seen), quotas(expected), "monitor with Prometheus: quotas")
    for name in STABLE:
        if name in expected and name not in ("packets_received", "packets_sent", "bytes_received_count"):
            t.equal(seen[name], expected[name], f"monitor with Prometheus: {name}")
    for client, door in zip(clients, doors):
        client.close_input()
        client.wait(20)
        door.keeper.stop()


def check_snapshots(t, ours, apache):
    """From ours into a running Apache by its restore, and from Apache's into a folder of ours."""
    exchange.tree(t, ours.keeper, "write", 1, 500)
    status, headers, body = ours.fetch("/commands/snapshot", headers=AUTHORIZATION)
    t.equal((status, headers["Content-Type"], headers["snapshot_size"]), (200, "application/octet-stream", str(len(body))),
            "a snapshot of ours")
    status, _, answer = apache.fetch("/commands/restore", "POST", AUTHORIZATION, body)
    t.equal(status, 200, "Apache restores it")
    t.equal(hex(json.loads(answer)["last_zxid"]), headers["last_zxid"], "at its zxid")
    exchange.same(t, exchange.tree(t, ours.keeper, "dump"), exchange.tree(t, apache.keeper, "dump"), "ours restored into Apache")

    exchange.tree(t, apache.keeper, "write", 2, 500)
    status, headers, body = apache.fetch("/commands/snapshot", headers=AUTHORIZATION)
    t.equal(status, 200, "a snapshot of Apache's")
    data = t.directory / "from-apache" / "version-2"
    data.mkdir(parents=True)
    (data / f"snapshot.{headers['last_zxid'][2:]}").write_bytes(body)
    third = server.keeper(t, t.target, "third", t.directory / "third", t.port(), data=data.parent).start()
    exchange.same(t, exchange.tree(t, apache.keeper, "dump"), exchange.tree(t, third, "dump"), "Apache's started by ours")
    third.stop()
    shutil.rmtree(data)


def snapshot(t, door):
    status, _, body = door.fetch("/commands/snapshot", headers=AUTHORIZATION)
    t.equal(status, 200, f"a snapshot of {door.keeper.name}")
    return body


def restore(door, body, headers=None):
    status, headers, answer = door.fetch("/commands/restore", "POST", {**AUTHORIZATION, **(headers or {})}, body)
    return status, headers.get("Content-Type"), json.loads(answer)


def check_streaming(t, doors):
    for asked in ("false", "no", "FALSE", "", "true", "TRUE"):
        answers = [door.fetch(f"/commands/snapshot?streaming={asked}", headers=AUTHORIZATION) for door in doors]
        t.equal(*[(status, found.get("Content-Type"), asked.lower() == "true" or body, found.get("last_zxid", "")[:2],
                   "snapshot_size" in found) for status, found, body in answers], f"a snapshot with streaming={asked}")


def check_bad_bodies(t, doors, body):
    """Each is refused by both, and the tree stays."""
    before = [exchange.tree(t, door.keeper, "dump") for door in doors]
    middle = len(body) // 2
    for what, bad in (("nothing", b""), ("garbage", b"garbage" * 30000), ("half of it", body[:middle]), ("all but the end", body[:-30]),
                      ("another byte in the middle", body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:]),
                      ("another seal", body[:-10] + bytes([body[-10] ^ 1]) + body[-9:])):
        answers = [restore(door, bad) for door in doors]
        t.equal(*answers, f"restore of {what}")
        t.equal(answers[0][0], 500, f"restore of {what}: refused")
    for door, tree in zip(doors, before):
        exchange.same(t, tree, exchange.tree(t, door.keeper, "dump"), f"{door.kind} after bad bodies")
        t.check(monitor(door)["restore_error_count"] >= 6, f"{door.kind}: counts them")


def check_restore(t):
    """Snapshots of either restored by the other, at a lower and at a higher zxid than its own; what ours restored is there after kill -9,
    and for Apache's server on the same folder."""
    doors = [Door(t, kind, f"restore-{kind}", admin__rateLimiterIntervalInMS=1) for kind in (t.target, "apache")]
    ours, apache = doors
    exchange.tree(t, ours.keeper, "write", 1, 700)
    exchange.tree(t, apache.keeper, "write", 2, 300)
    first = {door: snapshot(t, door) for door in doors}
    trees = {door: exchange.tree(t, door.keeper, "dump") for door in doors}
    check_streaming(t, doors)
    check_bad_bodies(t, doors, first[apache])

    exchange.tree(t, ours.keeper, "write", 3, 100)  # To be forgotten.
    status, kind, answer = restore(ours, first[apache])
    t.equal((status, kind), (200, "application/json"), "Apache's snapshot restored into ours")
    exchange.same(t, trees[apache], exchange.tree(t, ours.keeper, "dump"), "Apache's snapshot restored into ours")
    t.equal(restore(apache, first[apache]), (status, kind, answer), "Apache answers the same to its own")
    t.equal(restore(apache, first[ours])[0], 200, "our snapshot restored into Apache")
    exchange.same(t, trees[ours], exchange.tree(t, apache.keeper, "dump"), "our snapshot restored into Apache")

    ours.keeper.kill()
    ours.keeper.start()
    exchange.same(t, trees[apache], exchange.tree(t, ours.keeper, "dump"), "what was restored, after kill -9")
    exchange.tree(t, ours.keeper, "write", 4, 200)
    t.equal(restore(ours, first[ours], {"Expect": "100-continue"})[0], 200, "our own snapshot restored")
    exchange.same(t, trees[ours], exchange.tree(t, ours.keeper, "dump"), "our own snapshot restored")
    exchange.tree(t, ours.keeper, "write", 5, 200)
    last = exchange.tree(t, ours.keeper, "dump")
    ours.keeper.kill()
    heir = server.keeper(t, "apache", "restore-heir", t.directory / "restore-heir", t.port(),
                         data=ours.keeper.settings["dataDir"]).start()
    exchange.same(t, last, exchange.tree(t, heir, "dump"), "Apache's server on the folder behind two restores")
    heir.stop()
    apache.keeper.stop()


def case(t):
    check_restore(t)
    ours, apache = Door(t, t.target, "ours"), Door(t, "apache", "apache")
    started = [monitor(door) for door in (ours, apache)]
    for name in AT_START:
        t.equal(started[0][name], started[1][name], f"monitor after the start: {name}")
    for door in (ours, apache):
        door.command("srst")  # How often a server was asked whether it is there is not its own doing.
    clients = [door.client(t) for door in (ours, apache)]
    check_monitor(t, ours, apache)
    check_commands(t, ours, apache)
    check_requests(t, ours, apache)
    check_words(t, ours, apache)
    check_reset(t, ours, apache)
    check_hash(t, (ours, apache), clients)
    for client in clients:
        client.kill()
    check_snapshots(t, ours, apache)
    ours.keeper.stop()
    apache.keeper.stop()
    check_prometheus(t)
