"""The 65 traps of a reimplementation, by their numbers; each is something a plain one gets wrong.

Not here, because no client of one server on its own can see them: 12's data loss, 18 and 25 (what older servers left
on disk), 38 (followers), 43 and 47 (races with the disk), 55 (read-only servers), 57 to 64 (ensembles, the journal,
reconfiguration of an ensemble: test/interop/disk and the simulator), 7's followers and 51's replay. What one server
shows of 7, 12 and 51 is here; 40 and 41 are in accepted.py.
"""

import socket

from harness.zk import B, I, L, OPEN, S, acl, strings

from scene import (
    WHO,
    add_watch,
    case,
    check,
    check_watches,
    children,
    children2,
    container,
    create,
    create2,
    create_ttl,
    delete,
    ephemerals,
    errors,
    events,
    exists,
    get,
    get_acl,
    multi,
    number,
    put,
    remove_watches,
    row,
    set_acl,
    sync,
)
from twin import Connection

READ_ONLY = acl((1, "world", "anyone"))
NOBODY = acl((31, "ip", "10.1.2.3"))


row(
    "trap_01_cversion_counts_creates_and_deletes",
    lambda r: [
        create(r + "/a"),
        exists(r),
        create(r + "/b"),
        exists(r),
        delete(r + "/a"),
        exists(r),
        delete(r + "/b"),
        exists(r),
    ],
)
row(
    "trap_02_pzxid_moves_with_children_only",
    lambda r: [
        exists(r),
        create(r + "/a"),
        exists(r),
        put(r, b"x"),
        exists(r),
        set_acl(r),
        exists(r),
        delete(r + "/a"),
        exists(r),
    ],
)
row(
    "trap_03_sequence_is_the_count_of_creates",
    lambda r: [
        create(r + "/a-", flags=2),
        create(r + "/plain"),
        delete(r + "/plain"),
        create(r + "/b-", flags=3),
        delete(r + "/a-0000000000"),
        create(r + "/a-", flags=2),
    ],
)
row("trap_03_sequence_counts_failures_not", lambda r: [create(r + "/a"), create(r + "/a"), create(r + "/s", flags=2)])
row(
    "trap_04_sequential_names_may_be_empty",
    lambda r: [
        create(r + "/", flags=2),
        create(r + "/", flags=3),
        create(r + "/"),
        create(r + "//", flags=2),
        create(r + "/x/", flags=2),
    ],
)
row(
    "trap_05_pipelined_requests_see_each_other",
    lambda r: [
        create(r + "/a"),
        put(r + "/a", b"", 0),
        put(r + "/a", b"", 0),
        put(r + "/a", b"", 1),
        delete(r + "/a", 2),
        delete(r + "/a"),
    ],
)
row(
    "trap_06_version_minus_one_is_any",
    lambda r: [
        create(r + "/a"),
        put(r + "/a", b"", -1),
        set_acl(r + "/a", version=-1),
        multi(check(r + "/a", -1)),
        exists(r + "/a"),
        delete(r + "/a", -1),
    ],
)
row("trap_06_setACL_moves_aversion_only", lambda r: [exists(r), set_acl(r), exists(r), get_acl(r)])
row(
    "trap_07_mtime_is_the_transactions",
    lambda r: [create(r + "/a"), put(r + "/a", b"x"), exists(r + "/a"), create(r + "/a/b"), exists(r + "/a")],
)
row(
    "trap_08_failed_writes_use_a_zxid",
    lambda r: [
        create(r),
        exists(r),
        delete(r + "/no"),
        exists(r),
        put(r, b"", 99),
        exists(r),
        set_acl(r + "/no"),
        exists(r),
        exists(r + "/no"),
        get(r + "/no"),
        exists(r),
    ],
)
row(
    "trap_09_the_root",
    lambda r: [
        exists("/"),
        put("/", b"x"),
        exists("/"),
        put("/", None),
        set_acl("/"),
        get_acl("/"),
        delete("/"),
        create("/"),
        exists(""),
        get(""),
        put("", b""),
        delete(""),
    ],
)
row(
    "trap_10_children_of_zookeeper",
    lambda r: [
        create("/zookeeper" + r),
        create(f"/zookeeper{r}/x"),
        delete(f"/zookeeper{r}/x"),
        delete("/zookeeper" + r),
    ],
)
row(
    "trap_10_quota_usage_changes_without_a_version",
    lambda r: [
        create("/zookeeper/quota" + r),
        create(f"/zookeeper/quota{r}/zookeeper_limits", b"count=9,bytes=9"),
        create(f"/zookeeper/quota{r}/zookeeper_stats", b"count=0,bytes=0"),
        get(f"/zookeeper/quota{r}/zookeeper_stats"),
        create(r + "/a", b"x"),
        get(f"/zookeeper/quota{r}/zookeeper_stats"),
        put(r + "/a", b"xy"),
        get(f"/zookeeper/quota{r}/zookeeper_stats"),
        delete(f"/zookeeper/quota{r}/zookeeper_stats"),
        delete(f"/zookeeper/quota{r}/zookeeper_limits"),
        delete("/zookeeper/quota" + r),
    ],
)
row(
    "trap_11_reads_tell_the_last_zxid",
    lambda r: [
        create(r + "/a"),
        get(r),
        create(r + "/b"),
        get(r + "/a"),
        get(r + "/no"),
        sync(r),
        ("ping", b""),
        WHO,
        ephemerals("/"),
        number(r),
    ],
)


@case()
def trap_12_a_client_from_the_future_is_hung_up_on(t):
    zxid = t.twin.views[1].zxid
    for ahead in (1 << 20, 1 << 40, (1 << 63) - 1 - zxid):
        link = Connection(t.twin)
        link.connect(zxid=zxid + ahead)
        t.need(link.closed, "no answer")
        link.drop()


def in_order(name, rows_, variant="default", auth=None):
    row(
        name,
        lambda r: [create(r + "/e", flags=1), create(r + "/p", entries=READ_ONLY)] + [request for request in rows_(r)],
        variant,
        auth,
    )


in_order("trap_13_flags_before_all", lambda r: [create(None, flags=99), create("a", flags=-1, entries=acl())])
in_order(
    "trap_13_ttl_before_the_path",
    lambda r: [create_ttl(None, 0), create_ttl("", 1 << 41), create("bad", flags=5)],
    "extended",
)
in_order(
    "trap_13_ttl_needs_the_setting",
    lambda r: [
        create_ttl(None, 0),
        create_ttl(r + "/t", 1 << 41),
        create(r + "/t", flags=5),
        create(r + "/t", flags=6),
    ],
)
in_order(
    "trap_13_path_before_the_access_list", lambda r: [create("noslash", entries=acl()), create("/x\0", entries=acl())]
)
in_order(
    "trap_13_access_list_before_the_parent",
    lambda r: [create(r + "/no/a", entries=acl()), create(r + "//", entries=acl())],
)
in_order(
    "trap_13_parent_before_permission_and_path", lambda r: [create(r + "/no/.", entries=OPEN), create(r + "/no//a")]
)
in_order("trap_13_permission_before_the_path", lambda r: [create(r + "/p/."), create(r + "/p/")])
in_order("trap_13_path_before_existence", lambda r: [create(r + "/."), create(r + "/e/")])
in_order("trap_13_existence_before_ephemeral_parents", lambda r: [create(r + "/e"), create(r + "/e/a")])
row(
    "trap_14_the_operation_makes_the_kind",
    lambda r: [
        create(r + "/a", flags=4),
        create2(r + "/b", flags=4),
        container(r + "/c", flags=0),
        container(r + "/d", flags=1),
        exists(r + "/d"),
        multi(create(r + "/m", flags=4)),
        exists(r + "/m"),
        ephemerals("/"),
    ],
)
row(
    "trap_15_containers_and_ttl_nodes_have_children",
    lambda r: [
        container(r + "/c"),
        create(r + "/c/a"),
        create_ttl(r + "/t", 1 << 39),
        create(r + "/t/a"),
        create(r + "/e", flags=1),
        create(r + "/e/a"),
    ],
    "extended",
)
row(
    "trap_16_order_of_delete",
    lambda r: [
        delete("/"),
        delete("/zookeeper"),
        delete(r + "/no/a"),
        create(r + "/p"),
        create(r + "/p/a"),
        set_acl(r + "/p", READ_ONLY),
        delete(r + "/p/none", 9),
        delete(r + "/p/a", 9),
    ],
)
row(
    "trap_16_version_before_children",
    lambda r: [create(r + "/a"), create(r + "/a/b"), delete(r + "/a", 5), delete(r + "/a", 0)],
)
row("trap_16_the_parents_permission_counts", lambda r: [create(r + "/a", entries=NOBODY), delete(r + "/a")])


@case("reaper")
def trap_17_containers_are_reaped_when_they_were_used(t):
    root = t.make()
    link, watching = t.open(), t.open()
    link.ask(*container(root + "/never"))
    link.ask(*container(root + "/c"))
    link.ask(*create(root + "/c/a"))
    watching.ask(*exists(root + "/c", 1))
    link.ask(*delete(root + "/c/a"))
    watching.hear_event("the container's end")
    watching.ask(*children2(root))
    link.ask(*delete(root + "/never"))


@case("reaper")
def trap_17_ttl_nodes_are_reaped(t):
    root = t.make()
    link, watching = t.open(), t.open()
    link.ask(*create_ttl(root + "/kept", 600))
    link.ask(*create(root + "/kept/a"))
    link.ask(*create_ttl(root + "/t", 300, b"x"))
    watching.ask(*exists(root + "/t", 1))
    watching.hear_event("the znode's end")
    watching.ask(*children2(root))
    watching.ask(*exists(root + "/kept", 1))
    link.ask(*delete(root + "/kept/a"))
    watching.hear_event("the znode's end, now that it has no child")
    watching.ask(*children2(root))


@case("unused")
def trap_17_containers_never_used_are_reaped_by_the_setting(t):
    root = t.make()
    link, watching = t.open(), t.open()
    watching.ask(*exists(root + "/c", 1))
    link.ask(*container(root + "/c"))
    watching.hear_event("the container's birth")
    watching.ask(*exists(root + "/c", 1))
    watching.hear_event("the container's end")
    watching.ask(*children2(root))


row(
    "trap_19_order_of_setData",
    lambda r: [create(r + "/a", entries=READ_ONLY), put(r + "/a", b"", 9), put(r + "/no", b"", 9), put("bad", b"", 9)],
)
row(
    "trap_19_order_of_setACL",
    lambda r: [
        create(r + "/a", entries=READ_ONLY),
        set_acl(r + "/a", acl(), 9),
        set_acl(r + "/no", acl()),
        set_acl(r + "/a", OPEN, 9),
        set_acl("bad", acl()),
    ],
)


@case("quota")
def trap_19_quota_before_the_version(t):
    root = t.make()
    link = t.open()
    q = "/zookeeper/quota" + root
    for request in (
        create(q),
        create(q + "/zookeeper_limits", b"count=-1,bytes=-1=;byteHardLimit=3"),
        create(q + "/zookeeper_stats", b"count=0,bytes=0"),
        put(root, b"12345", 77),
        put(root, b"1", 77),
        put(root, b"1"),
        delete(q + "/zookeeper_stats"),
        delete(q + "/zookeeper_limits"),
        delete(q),
    ):
        link.ask(*request)


row(
    "trap_20_lists_that_are_refused",
    lambda r: [
        create(r + "/a", entries=e)
        for e in (
            acl(),
            I(-1),
            acl((31, "world", "me")),
            acl((31, "nosuch", "x")),
            acl((31, "auth", "")),
            acl((31, "digest", "u")),
        )
    ],
)
row(
    "trap_20_duplicates_go",
    lambda r: [
        create(r + "/a", entries=acl((31, "world", "anyone"), (1, "ip", "10.0.0.1"), (31, "world", "anyone"))),
        get_acl(r + "/a"),
    ],
)
row(
    "trap_20_perms_are_not_checked",
    lambda r: [
        create(r + "/a", entries=acl((-1, "world", "anyone"))),
        get_acl(r + "/a"),
        create(r + "/b", entries=acl((0, "world", "anyone"))),
    ],
)
row(
    "trap_20_auth_is_replaced",
    lambda r: [create(r + "/a", entries=acl((31, "auth", "ignored"))), get_acl(r + "/a")],
    auth=("digest", b"u:p"),
)


@case()
def trap_21_exists_waits_for_a_missing_node(t):
    root = t.make()
    link = t.open()
    for request in (exists(root + "/a", 1), get(root + "/b", 1), children(root + "/c", 1)):
        link.ask(*request)
    for name in "abc":
        link.ask(*create(f"{root}/{name}"))


row(
    "trap_22_exists_needs_read_only_of_what_exists",
    lambda r: [
        create(r + "/p", entries=NOBODY),
        exists(r + "/p"),
        exists(r + "/p/none"),
        get(r + "/p"),
        children(r + "/p"),
        number(r + "/p"),
        sync(r + "/p"),
        add_watch(r + "/p", 0),
        check_watches(r + "/p", 3),
        ephemerals(r + "/p"),
        WHO,
    ],
)
row(
    "trap_22_the_parents_permission_does_not_count",
    lambda r: [
        create(r + "/p"),
        create(r + "/p/a", b"x"),
        set_acl(r + "/p", NOBODY),
        get(r + "/p/a"),
        exists(r + "/p/a"),
        children(r + "/p/a"),
    ],
)


@case()
def trap_23_getACL_masks_digests_without_admin(t):
    root = t.make()
    owner, reader, admin = t.open(auth=("digest", b"u:p")), t.open(), t.open()
    owner.ask(*create(root + "/r", entries=acl((31, "auth", ""), (1, "world", "anyone"))))
    owner.ask(*create(root + "/a", entries=acl((31, "auth", ""), (16, "world", "anyone"))))
    owner.ask(*create(root + "/w", entries=acl((31, "auth", ""), (2, "world", "anyone"))))
    for link in (owner, reader, admin):
        for name in "raw":
            link.ask(*get_acl(f"{root}/{name}"))


row(
    "trap_24_number_of_all_children",
    lambda r: [
        number("/"),
        create(r + "/a"),
        create(r + "/a/b"),
        number("/"),
        number(r),
        number(r + "/a"),
        number("/zookeeper"),
    ],
)


@case("super")
def trap_26_super_and_ip_identities(t):
    root = t.make()
    link = t.open()
    link.ask(*WHO)
    for _ in range(2):
        t.auth(link, "digest", b"super:test")
        link.ask(*WHO)
    t.auth(link, "digest", b"super:wrong")
    link.ask(*WHO)
    link.ask(*create(root + "/a", entries=acl((31, "ip", "127.0.0.1"))))
    link.ask(*create(root + "/b", entries=acl((31, "auth", ""))))
    link.ask(*get_acl(root + "/b"))


row(
    "trap_27_digest_ids",
    lambda r: [
        create(f"{r}/{at}", entries=acl((31, "digest", text)))
        for at, text in enumerate(("u:h", "u", "u:", ":h", ":", "", "u:h:x", "u:h "))
    ],
)


@case()
def trap_27_digest_secrets_in_utf8(t):
    root = t.make()
    link = t.open(auth=("digest", "\u00fc:\u00df".encode()))
    link.ask(*create(root + "/a", entries=acl((31, "digest", "u:h"), (31, "world", "anyone"))))


@case()
def trap_28_events_come_before_the_reply(t):
    root = t.make()
    link, other = t.open(), t.open()
    link.ask(*get(root, 1))
    link.ask(*children(root, 1))
    heard = link.ask(*put(root))
    t.need([e[0] for e in heard] == ["event", "reply"], "event, reply")
    heard = link.ask(*create(root + "/a"))
    t.need([e[0] for e in heard] == ["event", "reply"], "event, reply")
    link.ask(*get(root, 1))
    other.ask(*put(root))
    heard = link.ask(*get(root))
    t.need([e[0] for e in heard] == ["event", "reply"], "event, reply")


@case()
def trap_29_order_of_create_and_delete(t):
    root = t.make()
    link = t.open()
    link.ask(*exists(root + "/a", 1))
    link.ask(*children(root, 1))
    heard = link.ask(*create(root + "/a"))
    t.need(events(heard) == [(1, (root + "/a").encode()), (4, root.encode())], "created, then the parent's children")
    for request in (get(root + "/a", 1), children(root + "/a", 1), children(root, 1)):
        link.ask(*request)
    heard = link.ask(*delete(root + "/a"))
    t.need(
        events(heard) == [(2, (root + "/a").encode()), (4, root.encode())], "deleted once, then the parent's children"
    )


@case()
def trap_30_setData_fires_always_setACL_never(t):
    root = t.make()
    link = t.open()
    link.ask(*put(root, b"same"))
    link.ask(*get(root, 1))
    t.need(not events(link.ask(*set_acl(root))), "nothing for an access list")
    t.need(len(events(link.ask(*put(root, b"same")))) == 1, "one for equal bytes")


@case()
def trap_30_close_fires_for_each_ephemeral(t):
    root = t.make()
    link, watching = t.open(), t.open()
    for at in range(3):
        link.ask(*create(f"{root}/{at}", flags=1))
        watching.ask(*exists(f"{root}/{at}", 1))
    watching.ask(*add_watch(root, 0))
    link.end()
    t.need(len(events(t.fence()[0])) == 6, "three ends, and three times the children")


@case()
def trap_31_a_multi_fires_in_order_with_one_zxid(t):
    root = t.make()
    link = t.open()
    link.ask(*add_watch(root, 1))
    heard = link.ask(*multi(create(root + "/a"), put(root + "/a"), create(root + "/b"), delete(root + "/a")))
    t.need([kind for kind, _ in events(heard)] == [1, 3, 1, 2], "in order")
    t.need(len({e[1] for e in heard if e[0] == "event"}) == 1, "one zxid")


@case()
def trap_32_a_filtered_watch_is_used_up(t):
    root = t.make()
    link, other = t.open(), t.open()
    other.ask(*get(root, 1))
    link.ask(*set_acl(root, acl((30, "world", "anyone"))))
    link.ask(*put(root))
    link.ask(*set_acl(root))
    link.ask(*put(root))
    t.need(not events(t.fence()[1]), "nothing is heard")


@case()
def trap_32_catching_up_is_not_filtered(t):
    root = t.make()
    link = t.open()
    link.ask(*create(root + "/a", entries=NOBODY))
    heard = link.ask("setWatches", L(0) + strings(root + "/a") + strings(root + "/a") + strings(root + "/a"), xid=-8)
    t.need(len(events(heard)) == 3, "all are heard")


@case()
def trap_33_setWatches(t):
    root = t.make()
    link = t.open()
    for name in ("old", "new"):
        link.ask(*create(f"{root}/{name}"))
    zxid = t.twin.views[1].zxid - t.twin.views[1].base
    link.ask(*put(root + "/new"))
    link.ask(*create(root + "/new/kid"))
    names = strings(root + "/old", root + "/new", root + "/gone")
    heard = link.ask("setWatches2", L(zxid) + names * 3 + names * 2, xid=-8)
    t.need(heard[-1][0] == "reply" and len(events(heard)) == 6, "events, then the reply")
    for request in (put(root + "/old"), create(root + "/old/kid"), create(root + "/gone")):
        link.ask(*request)


@case()
def trap_34_several_setWatches_in_a_row(t):
    root = t.make()
    link = t.open()
    for at in range(4):
        link.add("setWatches", L(1 << 40) + strings(root) + strings(f"{root}/{at}") + strings(root), xid=-8)
    link.add(*create(root + "/2"))
    link.gather("four times, and a create")


@case()
def trap_35_recursive_watches_walk_up_to_the_root(t):
    root = t.make()
    link = t.open()
    link.ask(*add_watch("/", 1))
    link.ask(*create(root + "/a"))
    link.ask(*create(root + "/a/b"))
    link.ask(*put("/", b""))
    link.ask(*delete(root + "/a/b"))
    link.ask(*remove_watches("/", 5))


for kind_ in (1, 2, 3, 4, 5, 0, 6):
    row(
        f"trap_36_type_{kind_}",
        lambda r, k=kind_: [
            get(r, 1),
            children(r, 1),
            add_watch(r, 0),
            add_watch(r, 1),
            check_watches(r, k),
            remove_watches(r, k),
        ]
        + [check_watches(r, other) for other in (1, 2, 3, 4, 5)],
    )


@case()
def trap_37_watches_live_with_the_connection(t):
    root = t.make()
    link = t.open()
    link.ask(*get(root, 1))
    link.ask(*get(root, 1))
    sessions = link.sessions
    link.drop()
    link, _ = t.twin.resume(sessions)
    t.need(not events(link.ask(*put(root))), "they are gone")


@case()
def trap_39_and_42_expiry_takes_the_ephemerals(t):
    root = t.make()
    link, watching = t.open(timeout=1000), t.open()
    for at in range(4):
        link.ask(*create(f"{root}/{at}", flags=1))
    watching.ask(*exists(root + "/0", 1))
    link.gather("its end", until_closed=True)
    link.drop()
    t.fence()
    t.dump(root)


@case()
def trap_42_close_counts_what_is_pending(t):
    root = t.make()
    link = t.open()
    link.ask(*create(root + "/committed", flags=1))
    for request in (create(root + "/pending", flags=1), delete(root + "/committed"), create(root + "/s-", flags=3)):
        link.add(*request)
    link.add("closeSession")
    link.gather("all at once", until_closed=True)
    t.dump(root)


@case()
def trap_44_the_old_connection_is_closed_first(t):
    root = t.make()
    link = t.open()
    link.ask(*get(root, 1))
    again, _ = t.twin.resume(link.sessions)
    t.need(link.gather("the old one", until_closed=True) == [("closed",)], "closed without a word")
    link.drop()
    t.need(not events(again.ask(*put(root))), "its watches have vanished")


@case()
def trap_45_the_newest_timeout_counts(t):
    """A session of a minute is resumed with one second, and expires by that."""
    root = t.make()
    link, watching = t.open(timeout=60000), t.open()
    link.ask(*create(root + "/e", flags=1))
    watching.ask(*exists(root + "/e", 1))
    again, _ = t.twin.resume(link.sessions, timeout=1000)
    link.drop()
    again.gather("its end", until_closed=True)
    again.drop()
    t.need(len(events(t.fence()[0])) == 1, "the ephemeral is gone")


@case()
def trap_46_a_moved_session_is_closed_silently(t):
    root = t.make()
    link = t.open()
    again, _ = t.twin.resume(link.sessions)
    link.add(*create(root + "/late"))
    t.need(link.gather("a write behind the move", until_closed=True) == [("closed",)], "no answer")
    link.drop()
    again.ask(*exists(root + "/late"))


@case()
def trap_48_reads_come_behind_own_writes(t):
    root = t.make()
    link = t.open()
    for at in range(50):
        link.add(*put(root, str(at).encode()))
        link.add(*get(root))
    heard = link.gather("writes and reads")
    t.need([e[4] for e in heard[1::2]] == [str(at).encode() for at in range(50)], "each read shows its write")


row("trap_49_empty_multi_uses_a_zxid", lambda r: [exists(r), multi(), exists(r)])
row("trap_49_header_of_a_failed_multi", lambda r: [multi(create(r + "/a"), delete(r + "/no")), exists(r + "/a")])
row(
    "trap_49_check_needs_read_and_existence",
    lambda r: [create(r + "/p", entries=NOBODY), multi(check(r + "/p")), multi(check(r + "/no")), multi(check(r, 5))],
)
row(
    "trap_50_a_multi_sees_itself",
    lambda r: [
        multi(create(r + "/a"), put(r + "/a", b"", 0), create(r + "/a/b"), delete(r + "/a/b"), check(r + "/a", 1))
    ],
)
row(
    "trap_50_rolls_back_the_parents_cversion",
    lambda r: [
        multi(create(r + "/s-", flags=2), create(r + "/s-", flags=2), check(r + "/no")),
        create(r + "/s-", flags=2),
        exists(r),
    ],
)
row(
    "trap_51_types_of_results",
    lambda r: [
        multi(
            create(r + "/a"), create2(r + "/b"), container(r + "/c"), put(r + "/a"), delete(r + "/b"), check(r + "/a")
        )
    ],
)
row(
    "trap_52_ttl_and_containers_answer_as_create2",
    lambda r: [multi(create_ttl(r + "/t", 1 << 39), container(r + "/c"), create(r + "/d", flags=4))],
    "extended",
)
row(
    "trap_53_undecodable_writes",
    lambda r: [
        create(r + "/a"),
        ("create", b"\0"),
        exists(r),
        ("delete", b""),
        ("setData", b"\0\0"),
        ("multi", b"\0"),
        exists(r),
        create(r + "/b"),
    ],
)


@case()
def trap_54_unknown_operations(t):
    link = t.open()
    link.add(77, b"")
    heard = link.gather("operation 77", until_closed=True)
    t.need(errors(heard) == [-6] and heard[-1] == ("closed",), "-6, closed")


@case()
def trap_54_bad_auth(t):
    link = t.open()
    link.add("auth", I(0) + S("nosuch") + B(b"x"), xid=-4)
    heard = link.gather("auth", until_closed=True)
    t.need(errors(heard) == [-115] and heard[-1] == ("closed",), "-115, closed")


@case()
def trap_54_oversize(t):
    link = t.open()
    link.raw(I(1 << 24) + b"abc")
    t.need(link.gather("16 MiB", until_closed=True) == [("closed",)], "closed without a word")


row("trap_56_sync_is_answered", lambda r: [sync(r), create(r + "/a"), sync(r + "/no"), sync("")])


@case()
def trap_65_words_behind_a_half_close(t):
    """The Java helper closes its half before it reads."""
    answers = []
    for address in t.twin.addresses:
        with socket.create_connection(address, timeout=15) as link:
            link.sendall(b"ruok")
            link.shutdown(socket.SHUT_WR)
            data = b""
            while part := link.recv(4096):
                data += part
        answers.append([data])
    t.twin.same("ruok", *answers)
    t.need(answers[0] == [b"imok"], "imok")
