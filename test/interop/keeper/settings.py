"""The same settings, the same probes: our keeper and Apache's answer alike.

What Apache takes as a system property only is given to it so, and to ours as a key of zoo.cfg."""

import base64
import hashlib
import struct
import time
import zlib

from harness.link import (CLOSE, CREATE, CREATE_TTL, EXISTS, GET, GET_ACL, MULTI, PING, SET, SET_ACL, WHO_AM_I, Link, acl, create,
                          create_ttl, multi, opened, set_acl, set_data, text, versioned, word)
from harness.process import deadline

OK, THROTTLED, SEQUENTIAL = 0, -127, 2

SCENES = []


def scene(properties=(), log=(), **settings):
    """A function of a port that returns what it saw, with the settings it is about.

    log: the transactions that the server finds, each a body of a create of today and who is its session."""
    def add(function):
        SCENES.append((function.__name__, dict(properties), log, settings, function))
        return function
    return add


def digest(name, algorithm):
    return name.split(":")[0] + ":" + base64.b64encode(hashlib.new(algorithm, name.encode()).digest()).decode()


def acls(link, path):
    """The list of a znode, or the code."""
    link.request(GET_ACL, text(path))
    code, body = link.reply()
    if code != 0:
        return code
    count, at, found = struct.unpack(">i", body[:4])[0], 4, []
    for _ in range(count):
        perms, size = struct.unpack(">ii", body[at:at + 8])
        scheme, at = body[at + 8:at + 8 + size].decode(), at + 8 + size
        size = struct.unpack(">i", body[at:at + 4])[0]
        found.append((perms, scheme, body[at + 4:at + 4 + size].decode()))
        at += 4 + size
    return found


# What a server alone refuses.

RECONFIG = text("") + text("") + text("server.1=a:1:2") + struct.pack(">q", -1)


@scene()
def reconfig_is_disabled(port):
    return [opened(port).ask(16, RECONFIG)]


@scene(reconfigEnabled="true")
def reconfig_needs_an_ensemble(port):
    link = opened(port)
    return [link.ask(16, RECONFIG), link.ask(16, text(""))]


# Sizes.

@scene(properties={"jute.maxbuffer": 5000})
def longest_request(port):
    link = opened(port)
    frame_head = 8 + len(create("/a", b""))
    seen = [link.ask(CREATE, create("/a", b"x" * (5000 - frame_head)))]
    seen += [link.ask(CREATE, create("/b", b"x" * (5001 - frame_head)))]
    return seen


@scene(properties={"jute.maxbuffer": 5000}, jute__maxbuffer__extrasize=1024)
def a_string_is_no_longer_than_its_frame(port):
    """A length inside a request that is beyond both limits."""
    link = opened(port)
    body = struct.pack(">i", 7000) + b"/a"
    return [link.ask(CREATE, body), link.ask(EXISTS, text("/") + b"\0")]


@scene(largeRequestThreshold=1000, largeRequestMaxBytes=5000)
def large_requests(port):
    link = opened(port)
    seen = [link.ask(CREATE, create("/a", b"x" * 900)), link.ask(CREATE, create("/b", b"x" * 4000))]
    return seen + [link.ask(CREATE, create("/c", b"x" * 6000)), opened(port).ask(EXISTS, text("/b") + b"\0")]


# Counts.

def one_by_one(port):
    """Which of five connections get a session: Apache's counts one only a moment after it was accepted."""
    links, seen = [], []
    for _ in range(5):
        try:
            links.append(Link(port))
            seen.append(links[-1].connect() is not None)
        except OSError:  # It was closed faster than it was opened.
            seen.append(False)
    return seen

@scene(maxClientCnxns=3)
def connections_of_an_address(port):
    return one_by_one(port)


@scene(maxCnxns=3)
def connections_in_all(port):
    return one_by_one(port)


@scene(globalOutstandingLimit=1)
def everything_is_answered_in_order_at_the_limit(port):
    links = [opened(port) for _ in range(4)]
    for number, link in enumerate(links):
        for count in range(200):
            link.request(CREATE, create(f"/n{number}-{count}"))
    return [[link.reply()[0] for _ in range(200)] == [0] * 200 for link in links]


@scene(request_throttle_max_requests=1)
def everything_is_answered_in_order_behind_the_gate(port):
    links = [opened(port) for _ in range(4)]
    for number, link in enumerate(links):
        for count in range(100):
            link.request(CREATE, create(f"/n{number}-{count}"))
            link.request(EXISTS, text(f"/n{number}-{count}") + b"\0")
    return [[link.reply()[0] for _ in range(200)] == [0] * 200 for link in links]


@scene(request_throttle_max_requests=1, throttled_op_wait_time=1)
def what_waits_too_long_is_throttled(port):
    """How many is a matter of the disk and of the machine: of many at once some are not done, and one alone is, sooner or later."""
    link = opened(port)
    codes, until = set(), deadline(20)
    while codes != {OK, THROTTLED} and time.monotonic() < until:
        for count in (2000, 1):
            for _ in range(count):
                link.request(CREATE, create("/n-", b"x" * 500, SEQUENTIAL))
            codes |= {link.reply()[0] for _ in range(count)}
    link.request(PING, xid=-2)
    return [sorted(codes), link.reply()[0], link.ask(CLOSE)]


@scene(connection_throttle_tokens=3, connection_throttle_fill_time=1000000)
def sessions_at_once(port):
    links = [Link(port) for _ in range(5)]
    granted = [link.connect() is not None for link in links]
    first = links[0]
    first.close()
    again = Link(port)
    again.session, again.password = first.session, first.password
    return granted + [again.connect() is not None]


@scene(connection_throttle_tokens=2, connection_throttle_fill_time=1000000,
       connection_throttle_weight_enabled="true", connection_throttle_renew_session_weight=3)
def sessions_by_weight(port):
    """Six tokens: three for a new one, three for the same again."""
    link = opened(port)
    link.close()
    again = Link(port)
    again.session, again.password = link.session, link.password
    return [again.connect(), Link(port).connect()]


@scene(nio__sessionlessCnxnTimeout=5000)
def a_connection_without_a_session(port):
    return [Link(port).is_closed(), opened(port).ask(EXISTS, text("/") + b"\0")]


@scene(minSessionTimeout=5000, maxSessionTimeout=7000)
def session_timeouts(port):
    return [Link(port).connect(timeout_ms) for timeout_ms in (-1, 0, 4999, 5000, 6000, 7001, 2 ** 31 - 1)]


# Access.

@scene(enforce__auth__enabled="true", enforce__auth__schemes="digest, ensemble",
       authProvider__1="org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider", ensembleAuthName="one, two")
def enforced_authentication(port):
    seen = []
    for opcode, body in ((EXISTS, text("/") + b"\0"), (CREATE, create("/a")), (PING, b""), (CLOSE, b""), (WHO_AM_I, b"")):
        link = opened(port)
        link.request(opcode, body)
        reply = link.receive()
        seen.append((reply[4:].hex(), link.is_closed()))
    link = opened(port)
    seen += [link.authenticate("digest", "a:b"), link.ask(CREATE, create("/a"))]
    for name in ("one", "two", "", None, "three"):
        link = opened(port)
        seen.append((name, link.authenticate("ensemble", name)))
        if name:
            seen.append(link.ask(EXISTS, text("/") + b"\0"))
    return seen


@scene(DigestAuthenticationProvider__enabled="false")
def without_digest(port):
    link = opened(port)
    seen = [link.ask(CREATE, create("/a", access=acl((31, "digest", "a:b")))),
            link.ask(CREATE, create("/b", access=acl((31, "ip", "127.0.0.1"))))]
    return seen + [link.authenticate("digest", "a:b"), link.is_closed()]


@scene(DigestAuthenticationProvider__digestAlg="SHA-256",
       DigestAuthenticationProvider__superDigest=digest("super:secret", "sha256"))
def another_digest(port):
    link, root = opened(port), opened(port)
    seen = [link.authenticate("digest", "bob:word"),
            link.ask(CREATE, create("/a", access=acl((31, "auth", "")))), acls(link, "/a")]
    seen += [opened(port).ask(GET, text("/a") + b"\0"), root.authenticate("digest", "super:wrong"),
             root.ask(GET, text("/a") + b"\0"), root.authenticate("digest", "super:secret"),
             root.ask(GET, text("/a") + b"\0"), acls(root, "/a")]
    return seen


@scene(DigestAuthenticationProvider__superDigest=digest("super:secret", "sha1"))
def who_sees_hashes(port):
    link, other, root = opened(port), opened(port), opened(port)
    link.authenticate("digest", "bob:word")
    root.authenticate("digest", "super:secret")
    access = acl((31, "digest", digest("bob:word", "sha1")), (1, "world", "anyone"), (31, "ip", "10.0.0.0/8"),
                 (1, "ip", "::1/64"))
    return [link.ask(CREATE, create("/a", access=access)), acls(link, "/a"), acls(other, "/a"), acls(root, "/a"),
            other.ask(SET_ACL, set_acl("/a", access)), root.ask(SET_ACL, set_acl("/a", access))]


@scene()
def addresses(port):
    """Which expressions are taken, and whom of 127.0.0.1 they let in."""
    link, seen = opened(port), []
    expressions = ("127.0.0.1", "127.0.0.1/32", "127.0.0.0/8", "127.0.0.2", "127.0.0.2/31", "127.0.0.2/30", "10.0.0.0/0",
                   "127.0.0.1/33", "127.0.0.1/-1", "127.0.0.1/", "127.0.0.1/x", "127.0.0", "127.0.0.256", "127.1", "a.b.c.d", "",
                   "/", "/8", "::1", "::1/128", "::/0", "::1/129", "1::2::3", "fe80::1%eth0", "::ffff:127.0.0.1", "::ffff:7f00:1",
                   "2001:db8::/32", "2001:DB8:0:0:0:0:0:1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "+127.0.0.1", " 127.0.0.1",
                   "127.0.0.01", "0x7f.0.0.1", "127.0.0.1/+8", "127.0.0.1/8/8", "localhost")
    for at, expression in enumerate(expressions):
        code = link.ask(CREATE, create(f"/a{at}", access=acl((1, "ip", expression))))
        seen.append((expression, code, link.ask(GET, text(f"/a{at}") + b"\0")))
    return seen


@scene(skipACL="yes")
def skipped_lists(port):
    link, other = opened(port), opened(port)
    link.authenticate("digest", "bob:word")
    return [link.ask(CREATE, create("/a", access=acl((31, "auth", "")))), other.ask(GET, text("/a") + b"\0"),
            other.ask(SET, set_data("/a", "new")), other.ask(SET_ACL, set_acl("/a", acl((1, "digest", "x")))), acls(other, "/a")]


@scene(**{"4lw__commands__whitelist": "ruok, isro"})
def words(port):
    return [word(port, "ruok"), word(port, "isro"), word(port, "srvr").startswith("Zookeeper version"), word(port, "mntr")]


@scene(properties={"readonlymode.enabled": "true"}, **{"4lw__commands__whitelist": "ruok"})
def words_in_read_only_mode(port):
    return [word(port, "ruok"), word(port, "isro"), word(port, "conf")]


# Quotas.

@scene(enforceQuota="true")
def quotas(port):
    link = opened(port)
    seen = []

    def ask(*request):
        seen.append(link.ask(*request))

    def stats():
        link.request(GET, text("/zookeeper/quota/q/zookeeper_stats") + b"\0")
        body = link.reply()[1]
        seen.append(body[4:4 + struct.unpack(">i", body[:4])[0]])

    ask(CREATE, create("/q", b"12345"))
    ask(CREATE, create("/zookeeper/quota/q"))
    limits = "/zookeeper/quota/q/zookeeper_limits"
    ask(CREATE, create(limits, "count=2,bytes=10=;byteHardLimit=20;countHardLimit=4"))
    ask(CREATE, create("/zookeeper/quota/q/zookeeper_stats", "count=-1,bytes=-1"))
    stats()
    for name, data in (("a", b"123"), ("b", b"1"), ("c", b""), ("d", b"")):
        ask(CREATE, create("/q/" + name, data))
        stats()
    for data in (b"x" * 14, b"x" * 15, b"x" * 3, None):
        ask(SET, set_data("/q/a", data))
        stats()
    ask(MULTI, multi((2, versioned("/q/a")), (CREATE, create("/q/e")), (CREATE, create("/q/f"))))
    stats()
    ask(SET, set_data(limits, "count=1,bytes=1"))
    ask(CREATE, create("/q/g", b"soft limits only warn"))
    stats()
    return seen


@scene()
def quotas_that_are_not_enforced(port):
    link = opened(port)
    return [link.ask(CREATE, create("/q")), link.ask(CREATE, create("/zookeeper/quota/q")),
            link.ask(CREATE, create("/zookeeper/quota/q/zookeeper_limits", "count=1,bytes=1=;byteHardLimit=1;countHardLimit=1")),
            link.ask(CREATE, create("/zookeeper/quota/q/zookeeper_stats")), link.ask(CREATE, create("/q/a", b"12"))]


# Znodes with a time to live as 3.5.3 wrote them: their owner is the time with the highest bit set.

def old_ttl(path, owner):
    """A create of an ephemeral znode, by a session that is none."""
    return text(path) + text("") + acl((31, "world", "anyone")) + b"\1" + struct.pack(">i", 1), owner


def is_gone(link, path):
    """Waits until it is."""
    link.request(EXISTS, text(path) + b"\1")
    if link.reply()[0] == 0:
        link.receive()
    return link.ask(EXISTS, text(path) + b"\0")


OLD_LOG = (old_ttl("/short", 1 << 63 | 1), old_ttl("/long", 1 << 63 | 1 << 39), old_ttl("/cut", 1 << 63 | 1 << 59 | 1 << 40 | 1))


@scene(properties={"znode.container.checkIntervalMs": 100}, log=OLD_LOG, snapshot__trust__empty="true",
       extendedTypesEnabled="true", emulate353TTLNodes="true")
def ttl_of_353(port):
    link = opened(port)
    seen = [is_gone(link, "/short"), is_gone(link, "/cut")]
    link.request(EXISTS, text("/long") + b"\0")
    code, body = link.reply()
    return seen + [code, body[44:52], link.ask(CREATE, create("/long/child")), link.ask(CREATE_TTL, create_ttl("/t", 1 << 40)),
                   link.ask(CREATE_TTL, create_ttl("/t", (1 << 40) - 1)), link.ask(CREATE, create("/t/child"))]


@scene(log=OLD_LOG, snapshot__trust__empty="true", extendedTypesEnabled="true")
def ttl_of_353_that_nobody_asks_for(port):
    return [opened(port).ask(EXISTS, text(path) + b"\0") for path in ("/short", "/long", "/cut")]


def write_log(directory, log):
    """The transactions as the first file of a server that has no snapshot."""
    if not log:
        return
    directory.mkdir(parents=True)
    records = b""
    for zxid, (body, session) in enumerate(log, 1):
        entry = struct.pack(">Qiqqi", session, 0, zxid, 1, CREATE) + body
        records += struct.pack(">qi", zlib.adler32(entry), len(entry)) + entry + b"B"
    (directory / "log.1").write_bytes(b"ZKLG" + struct.pack(">iq", 2, 0) + records)


def normal(properties, settings):
    return {**{key.replace(".", "__"): value for key, value in properties.items()}, **settings}


def case(t):
    for name, properties, log, settings, probe in SCENES:
        for side in ("apache", "keeper"):
            write_log(t.directory / f"{side}-{name}" / "data" / "version-2", log)
        apache = t.keeper(kind="apache", name=f"apache-{name}", properties=properties, **settings)
        if t.target == "apache":
            ours = t.keeper(name=f"keeper-{name}", properties=properties, **settings)
        else:
            ours = t.keeper(name=f"keeper-{name}", **normal(properties, settings))
        expected, seen = probe(apache.port), probe(ours.port)
        t.say(f"{name}: {expected}")
        t.equal(seen, expected, name)
        ours.check_alive()
        apache.stop()
        ours.stop()
