"""The rows of docs/compatibility.md that a client of one server can see: both servers must do what is written there."""

from harness.zk import B, I, S, acl, create_body

from scene import case, create, create_ttl, errors, exists, put, sync


@case()
def accepted_sasl(t):
    """Without a login Apache's server says success to whatever token; ours refuses."""
    link = t.open()
    ours, theirs = t.both(link, "sasl", B(b"token"))
    t.accepted("SASL", [e[3] for e in ours if e[0] == "reply"], [-115], errors(theirs), [0])
    link.drop()


@case()
def trap_41_accepted_create_session_by_a_client(t):
    """Operation -10: Apache's server makes the session anew, with a zxid, and answers as to a connect request."""
    t.may_drift = True
    link = t.open()
    ours, theirs = t.both(link, -10, I(30000), until_closed=False)
    t.accepted("createSession", errors(ours), [-6], [e[0] for e in theirs], ["reply"])
    t.need(theirs != ours, "Apache's takes it")
    link.drop()


@case()
def trap_40_accepted_delete_container_by_a_client(t):
    """Operation 20: Apache's server deletes a container without asking for permission."""
    t.may_drift = True
    root = t.make()
    link = t.open()
    link.ask("createContainer", create_body(root + "/c", 4, b"", acl((0, "world", "anyone"))))
    ours, theirs = t.both(link, "deleteContainer", B((root + "/c").encode()))
    t.accepted("deleteContainer", errors(ours), [-6], errors(theirs), [0])
    link.drop()


@case()
def accepted_long_access_lists(t):
    """Of more than 1024 entries."""
    root = t.make()
    link = t.open()
    entries = [acl(*[(31, "ip", f"10.{n // 256}.{n % 256}.1") for n in range(count)]) for count in (1024, 1025)]
    link.ask(*create(root + "/a", entries=entries[0]))
    ours, theirs = t.both(link, *create(root + "/b", entries=entries[1]))
    t.accepted("access lists", errors(ours), [-114], errors(theirs), [0])


@case()
def accepted_texts_come_back_as_they_were(t):
    """Apache's server reads and writes them as Java does; elsewhere the harness expects exactly that of Apache's."""
    link = t.open()
    for text, java in ((b"/\xff", "/\ufffd".encode()), ("/\U0001f600".encode(), b"/\xed\xa0\xbd\xed\xb8\x80")):
        link.add(*sync(text))
        link.flush()
        frames = [side.frame() for side in link.sides]
        for side in link.sides:
            side.pending.clear()
        t.accepted("texts", frames[0][20:], text, frames[1][20:], java)


@case()
def accepted_failed_auth_packets_are_counted(t):
    """In mntr; Apache's server counts failed TLS handshakes alone."""

    def count():
        return [
            int(dict(line.split("\t") for line in text.splitlines())["zk_auth_failed_count"])
            for text in t.twin.word(b"mntr")
        ]

    before = count()
    link = t.open()
    link.add("auth", I(0) + S("nosuch") + B(b"x"), xid=-4)
    link.gather("auth", until_closed=True)
    after = count()
    t.accepted("auth_failed_count", after[0] - before[0], 1, after[1] - before[1], 0)


def deadly(name, request, code, variant="default", prepare=()):
    """A request on which Apache's server ends."""

    @case(variant, f"accepted_{name}")
    def run(t):
        t.apache_ends = True
        link = t.open()
        for step in prepare:
            link.ask(*step)
        ours, theirs = t.both(link, *request)
        t.accepted(name, errors(ours), [code], theirs, [("closed",)])
        frames = t.both(link, *exists("/"))
        t.need(errors(frames[0]) == [0], "ours goes on")


Q = "/zookeeper/quota"
deadly("createTTL_without_the_flag_and_below_zero", create_ttl("/ttl", -1, flags=0), -8)
deadly("createTTL_without_the_flag_and_below_zero_extended", create_ttl("/ttl", -(1 << 63), flags=1), -8, "extended")
deadly("quota_on_the_root", create(Q + "/zookeeper_limits", b"count=1,bytes=1"), 0)
NONSENSE = [
    create("/q"),
    create(Q + "/q"),
    create(Q + "/q/zookeeper_limits", b"count=1,bytes=1"),
    create(Q + "/q/zookeeper_stats", b"count=0,bytes=0"),
    put(Q + "/q/zookeeper_stats", b"nonsense"),
]
deadly("quota_usage_that_is_no_text_of_a_quota", create("/q/a", b"x"), 0, "default", NONSENSE)


@case("quota", "accepted_quota_usage_that_is_no_text_of_a_quota_enforced")
def quota_usage_enforced(t):
    """With hard limits Apache's server reads it first, and refuses what it cannot judge."""
    t.may_drift = True
    link = t.open()
    for step in NONSENSE:
        link.ask(*step)
    ours, theirs = t.both(link, *create("/q/a", b"x"))
    t.accepted("a usage that is no text of a quota", errors(ours), [0], errors(theirs), [-5])
    link.drop()
