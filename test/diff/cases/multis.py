"""multi and multiRead: results, errors, roll-back, and what cannot be understood."""

from harness.zk import B, I, L, S, Z, acl, create_body, multi as body_of

from scene import (
    case,
    check,
    children,
    children2,
    container,
    create,
    create2,
    create_ttl,
    delete,
    exists,
    get,
    multi,
    multi_read,
    number,
    put,
    row,
    set_acl,
    sync,
)

NOBODY = acl((31, "ip", "10.1.2.3"))

row("multi_empty", lambda r: [multi(), exists(r)])
row(
    "multi_each_kind",
    lambda r: [
        multi(create(r + "/a")),
        multi(create2(r + "/b")),
        multi(put(r + "/a", b"x")),
        multi(check(r + "/a")),
        multi(delete(r + "/a")),
        multi(container(r + "/c")),
        multi(create_ttl(r + "/t", 1 << 39)),
    ],
    "extended",
)
row(
    "multi_ttl_without_extended_types",
    lambda r: [multi(create_ttl(r + "/t", 1000)), multi(create(r + "/a"), create_ttl(r + "/t", 1000))],
)
row(
    "multi_sees_itself",
    lambda r: [
        multi(
            create(r + "/a"),
            create(r + "/a/b"),
            put(r + "/a", b"1", 0),
            put(r + "/a", b"2", 1),
            check(r + "/a", 2),
            delete(r + "/a/b"),
            delete(r + "/a", 2),
            create(r + "/a"),
        ),
        exists(r + "/a"),
    ],
)
row("multi_first_fails", lambda r: [multi(delete(r + "/no"), create(r + "/a"))])
row("multi_last_fails", lambda r: [multi(create(r + "/a"), create(r + "/b"), delete(r + "/no"))])
row("multi_middle_fails", lambda r: [multi(create(r + "/a"), delete(r + "/no"), create(r + "/b"), put(r + "/no"))])
row("multi_two_fail", lambda r: [multi(delete(r + "/no"), delete(r + "/no"), put(r + "/no"))])
row(
    "multi_rolls_back_sequence",
    lambda r: [
        create(r + "/s-", flags=2),
        multi(create(r + "/s-", flags=2), create(r + "/s-", flags=2), delete(r + "/no")),
        create(r + "/s-", flags=2),
        exists(r),
    ],
)
row(
    "multi_rolls_back_versions",
    lambda r: [
        create(r + "/a"),
        multi(put(r + "/a"), put(r + "/a"), check(r + "/a", 9)),
        put(r + "/a", b"", 0),
        exists(r + "/a"),
    ],
)
row(
    "multi_rolls_back_deletes",
    lambda r: [
        create(r + "/a"),
        multi(delete(r + "/a"), create(r + "/x"), check(r + "/no")),
        delete(r + "/a"),
        exists(r),
    ],
)
row(
    "multi_rolls_back_child_counts",
    lambda r: [create(r + "/a"), multi(create(r + "/a/b"), check(r + "/no")), delete(r + "/a")],
)
row(
    "multi_same_twice",
    lambda r: [
        multi(create(r + "/a"), create(r + "/a")),
        multi(create(r + "/a"), delete(r + "/a"), create(r + "/a"), put(r + "/a", b"x", 0)),
    ],
)
row("multi_sequences", lambda r: [multi(*[create(r + "/s-", flags=2)] * 3, create2(r + "/e-", flags=3)), children(r)])
row("multi_ephemeral_parent", lambda r: [multi(create(r + "/e", flags=1), create(r + "/e/a"))])
row(
    "multi_parent_by_its_flags",
    lambda r: [multi(container(f"{r}/c{flags}", flags=flags), create(f"{r}/c{flags}/a")) for flags in (0, 1, 2, 3, 4)]
    + [multi(create_ttl(r + "/t", 1 << 39), create(r + "/t/a"))],
    "extended",
)
row("multi_check_versions", lambda r: [create(r + "/a")] + [multi(check(r + "/a", v)) for v in (-1, 0, 1, -2)])
row("multi_check_no_node", lambda r: [multi(check(r + "/no"))])
row("multi_check_no_auth", lambda r: [create(r + "/a", entries=NOBODY), multi(check(r + "/a"))])
row(
    "multi_check_of_built_in",
    lambda r: [multi(check("/")), multi(check("/zookeeper")), multi(check("/zookeeper/config"))],
)
row("multi_check_odd_path", lambda r: [multi(check(p)) for p in ("", "a", r + "/", "//", r + "/\0")])
row(
    "multi_no_auth",
    lambda r: [
        create(r + "/a", entries=NOBODY),
        multi(put(r + "/a")),
        multi(create(r + "/a/b")),
        multi(create(r + "/x"), put(r + "/a")),
    ],
)
row(
    "multi_invalid_acl",
    lambda r: [multi(create(r + "/a", entries=acl((31, "world", "me")))), multi(create(r + "/a", entries=acl()))],
)
row("multi_set_acl_is_no_part", lambda r: [multi(set_acl(r))])
row("multi_delete_container_is_no_part", lambda r: [("multi", body_of((20, B(r.encode()))))])
for name, part in {
    "getData": get,
    "getChildren": children,
    "getChildren2": children2,
    "exists": exists,
    "sync": sync,
}.items():
    row(
        f"multi_{name}_is_no_part",
        lambda r, p=part: [multi(p(r)) if p is sync else multi(p(r), p(r)), multi(create(r + "/a"), p(r))],
    )
row("multi_in_multi", lambda r: [("multi", body_of((14, b""))), ("multi", body_of((14, body_of())))])
row("multi_error_part", lambda r: [("multi", body_of((-1, I(3)))), ("multi", body_of((-1, I(0))))])
row(
    "multi_flags",
    lambda r: [multi(create(f"{r}/f{flags}", flags=flags)) for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 99)],
    "extended",
)
row(
    "multi_flags_without_extended_types",
    lambda r: [multi(create(f"{r}/f{flags}", flags=flags)) for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 99)],
)
row(
    "multi_flags_create2",
    lambda r: [multi(create2(f"{r}/f{flags}", flags=flags)) for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 99)],
    "extended",
)
row(
    "multi_flags_container",
    lambda r: [multi(container(f"{r}/f{flags}", flags=flags)) for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 99)],
    "extended",
)
row(
    "multi_flags_ttl",
    lambda r: [multi(create_ttl(f"{r}/f{flags}", 1 << 39, flags=flags)) for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 99)],
    "extended",
)
row(
    "multi_flags_behind_a_sound_part",
    lambda r: [multi(create(f"{r}/s{flags}"), create(f"{r}/f{flags}", flags=flags)) for flags in (-1, 5, 7)],
    "extended",
)
row(
    "multi_flags_behind_a_failed_part",
    lambda r: [multi(delete(r + "/no"), create(f"{r}/f{flags}", flags=flags)) for flags in (-1, 5, 7)],
    "extended",
)
row(
    "multi_null_path_behind_a_failed_part",
    lambda r: [multi(delete(r + "/no"), part) for part in (create(None), delete(None), put(None), check(None))],
)
row(
    "multi_null_acl_behind_bad_flags",
    lambda r: [("multi", body_of((1, create_body(r + "/a", 5)), (1, S(r + "/b") + B(b"") + I(-1) + I(0)))), exists(r)],
)
row(
    "multi_null_acl_and_bad_flags",
    lambda r: [
        ("multi", body_of((op, S(r + "/b") + B(b"") + I(-1) + I(flags)))) for op in (1, 15, 19) for flags in (5, 7, -1)
    ],
    "extended",
)
row(
    "multi_null_acl_before_a_cut_part",
    lambda r: [("multi", body_of((1, S(r + "/b") + B(b"") + I(-1) + I(0)), (2, b"\0"))), exists(r)],
)
row(
    "multi_null_acl_behind_a_null_path",
    lambda r: [("multi", body_of((2, S(None) + I(0)), (1, S(r + "/b") + B(b"") + I(-1) + I(0)))), exists(r)],
)
row(
    "multi_ttl_values",
    lambda r: [multi(create_ttl(f"{r}/t{at}", ttl)) for at, ttl in enumerate((-1, 0, 1 << 39, 1 << 40, -5))],
    "extended",
)
row(
    "multi_null_paths",
    lambda r: [
        multi(part) for part in (create(None), create2(None), container(None), delete(None), put(None), check(None))
    ],
)
row(
    "multi_null_path_behind_a_sound_part",
    lambda r: [multi(create(r + "/a"), part) for part in (create(None), delete(None), put(None), check(None))],
)
row("multi_null_path_of_ttl", lambda r: [multi(create_ttl(None, 1 << 39))], "extended")
row(
    "multi_null_acl_in_each",
    lambda r: [
        ("multi", body_of((op, S(r + "/a") + B(b"") + I(-1) + I(flags) + (L(1 << 39) if op == 21 else b""))))
        for op, flags in ((1, 0), (15, 0), (19, 4), (21, 5))
    ],
    "extended",
)
row(
    "multi_null_acl_behind_a_sound_part",
    lambda r: [("multi", body_of((1, create_body(r + "/a")), (1, S(r + "/b") + B(b"") + I(-1) + I(0))))],
)
row(
    "multi_null_data",
    lambda r: [multi(create(r + "/a", None)), multi(put(r + "/a", b"x"), put(r + "/a", None)), get(r + "/a")],
)
row("multi_without_end", lambda r: [("multi", body_of((1, create_body(r + "/a")))[:-9])])
row(
    "multi_end_of_other_kinds",
    lambda r: [
        ("multi", I(kind) + Z(done) + I(err))
        for kind, done, err in ((-1, 1, 0), (0, 1, -1), (1, 1, -1), (-1, 2, -1), (-1, 255, 5), (99, 1, 7))
    ],
)
row(
    "multi_more_behind_the_end",
    lambda r: [
        ("multi", body_of((1, create_body(r + "/a"))) + b"more"),
        ("multi", body_of() + body_of((1, create_body(r + "/b")))),
    ],
)
row(
    "multi_headers_with_errors",
    lambda r: [
        ("multi", I(1) + Z(0) + I(err) + create_body(f"{r}/a{err}") + I(-1) + Z(1) + I(-1)) for err in (0, 1, -101)
    ],
)
row(
    "multi_built_in",
    lambda r: [multi(delete(p)) for p in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")]
    + [multi(create("/"))],
)
row(
    "multi_large",
    lambda r: [
        multi(*[create(f"{r}/n{at}") for at in range(500)]),
        number(r),
        multi(*[delete(f"{r}/n{at}") for at in range(500)]),
    ],
)
row(
    "multi_pipelined_after_a_failure",
    lambda r: [
        multi(create(r + "/a"), delete(r + "/no")),
        create(r + "/a"),
        multi(put(r + "/a", b"", 0), put(r + "/a", b"", 0)),
        put(r + "/a", b"", 0),
        multi(check(r + "/a", 1), delete(r + "/a", 1)),
    ],
)
row(
    "multi_ephemerals",
    lambda r: [multi(create(r + "/e1", flags=1), create(r + "/e2", flags=1)), ("getEphemerals", S(r))],
)
row(
    "multi_quota_node",
    lambda r: [
        multi(
            create(f"/zookeeper/quota{r}"),
            create(f"/zookeeper/quota{r}/zookeeper_limits", b"count=1,bytes=-1"),
            create(f"/zookeeper/quota{r}/zookeeper_stats", b"count=0,bytes=0"),
        ),
        create(r + "/a"),
        get(f"/zookeeper/quota{r}/zookeeper_stats"),
        multi(
            delete(f"/zookeeper/quota{r}/zookeeper_stats"),
            delete(f"/zookeeper/quota{r}/zookeeper_limits"),
            delete(f"/zookeeper/quota{r}"),
        ),
    ],
)

row("multiRead_empty", lambda r: [multi_read()])
row(
    "multiRead_each_fails_alone",
    lambda r: [
        create(r + "/a", b"x"),
        create(r + "/p", entries=NOBODY),
        multi_read(
            get(r + "/a"),
            get(r + "/no"),
            get(r + "/p"),
            children(r + "/a"),
            children(r + "/no"),
            children(r + "/p"),
            get(r),
        ),
    ],
)
row(
    "multiRead_of_a_write",
    lambda r: [
        multi_read(get(r), create(r + "/a")),
        multi_read(create(r + "/a")),
        multi_read(delete(r)),
        multi_read(check(r)),
    ],
)
row("multiRead_of_other_reads", lambda r: [multi_read(p(r)) for p in (exists, children2)])
row(
    "multiRead_null_path",
    lambda r: [multi_read(get(None)), multi_read(get(r), get(None)), multi_read(children(None), get(r))],
)
row(
    "multiRead_writes_only",
    lambda r: [
        multi_read(create(r + "/a"), delete(r)),
        multi_read(put(r)),
        multi_read(create_ttl(r + "/t", 5)),
        multi_read(container(r + "/c")),
        ("multiRead", body_of((2, b"\0"))),
        ("multiRead", body_of((99, b""))),
        multi_read(create(None)),
        multi_read(delete(r), get(r)),
    ],
)
row("multiRead_null_path_before_a_cut_part", lambda r: [("multiRead", body_of((4, S(None) + Z(0)), (4, b"\0")))])
row(
    "multiRead_odd_paths",
    lambda r: [
        multi_read(*[get(p) for p in ("", "a", r + "/", "//", r + "/\0")], *[children(p) for p in ("", "a", r + "/")])
    ],
)
row(
    "multiRead_watch_flags_are_dropped",
    lambda r: [multi_read(get(r, 1), children(r, 1)), put(r, b"x"), create(r + "/a")],
)
row("multiRead_without_end", lambda r: [("multiRead", body_of((4, S(r) + Z(0)))[:-9])])
row("multiRead_more_behind_the_end", lambda r: [("multiRead", body_of((4, S(r) + Z(0))) + b"more")])
row(
    "multiRead_null_data",
    lambda r: [create(r + "/n", None), create(r + "/e", b""), multi_read(get(r + "/n"), get(r + "/e"))],
)
row("multiRead_large", lambda r: [create(r + "/a", bytes(1000)), multi_read(*[get(r + "/a"), children(r)] * 200)])


@case()
def multi_events_in_order(t):
    """Each part fires, all with the zxid of the whole."""
    root = t.make()
    watching, writing = t.open(), t.open()
    watching.ask("addWatch", S(root) + I(1))
    watching.ask(*children(root, 1))
    watching.ask(*exists(root + "/a", 1))
    writing.ask(
        *multi(
            create(root + "/a"),
            put(root + "/a", b"x"),
            create(root + "/a/b"),
            delete(root + "/a/b"),
            delete(root + "/a"),
        )
    )
    heard = t.fence()
    t.need(len([e for e in heard[0] if e[0] == "event"]) >= 5, "five events")


@case()
def multi_that_fails_fires_nothing(t):
    root = t.make()
    watching, writing = t.open(), t.open()
    watching.ask("addWatch", S(root) + I(1))
    writing.ask(*multi(create(root + "/a"), delete(root + "/no")))
    t.need(len(t.fence()[0]) == 1, "no events")


@case()
def multi_of_own_watches(t):
    """Events of the writer's own watches come before the reply."""
    root = t.make()
    link = t.open()
    link.ask("addWatch", S(root) + I(0))
    heard = link.ask(*multi(create(root + "/a"), put(root, b"x"), delete(root + "/a")))
    t.need([e[0] for e in heard] == ["event"] * 3 + ["reply"], "events, then the reply")
