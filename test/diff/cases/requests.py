"""Each operation with each of its answers."""

from harness import zk
from harness.zk import OPEN, acl

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
    exists,
    get,
    get_acl,
    multi,
    multi_read,
    number,
    put,
    reconfig,
    remove_watches,
    row,
    set_acl,
    sync,
)

NOBODY = acl((31, "ip", "10.1.2.3"))
READ, WRITE, CREATE, DELETE, ADMIN = 1, 2, 4, 8, 16


def only(perms):
    return acl((perms, "world", "anyone"))


# create, in all its forms.

FORMS = {
    "create": create,
    "create2": create2,
    "createContainer": lambda path, data=b"", flags=4, entries=OPEN: container(path, data, flags, entries),
    "createTTL": lambda path, data=b"", flags=5, entries=OPEN: create_ttl(path, 1 << 39, data, flags, entries),
}
for name, form in FORMS.items():
    for variant in ("default", "extended"):
        tail = "" if variant == "default" else "_extended"
        row(f"{name}_ok{tail}", lambda r, f=form: [f(r + "/a"), f(r + "/b", b"data"), f(r + "/c", None)], variant)
    row(f"{name}_exists", lambda r, f=form: [f(r + "/a"), f(r + "/a"), f(r)], "extended")
    row(f"{name}_no_parent", lambda r, f=form: [f(r + "/no/a")], "extended")
    row(f"{name}_no_auth", lambda r, f=form: [create(r + "/a", entries=NOBODY), f(r + "/a/b")], "extended")
    row(f"{name}_below_ephemeral", lambda r, f=form: [create(r + "/e", flags=1), f(r + "/e/a")], "extended")
    row(
        f"{name}_exists_before_ephemeral_parent",
        lambda r, f=form: [create(r + "/e", flags=1), f(r + "/e/a"), f(r + "/e")],
        "extended",
    )
    row(f"{name}_invalid_acl", lambda r, f=form: [f(r + "/a", entries=acl((31, "world", "me")))], "extended")
    row(
        f"{name}_invalid_acl_before_no_parent",
        lambda r, f=form: [f(r + "/no/a", entries=acl((31, "world", "me")))],
        "extended",
    )
    row(
        f"{name}_invalid_path",
        lambda r, f=form: [
            f(p)
            for p in (
                r + "/",
                r + "//a",
                r + "/.",
                r + "/..",
                r + "/./a",
                "a",
                "",
                r + "/a\0b",
                r + "/\x01",
                r + "/\x7f",
                r + "/\ue000",
            )
        ],
        "extended",
    )
    row(f"{name}_null_path", lambda r, f=form: [f(None)], "extended")
    row(f"{name}_null_path_sequential", lambda r, f=form: [f(None, flags=2)], "extended")
    row(
        f"{name}_flags",
        lambda r, f=form: [
            f(f"{r}/f{flags}", flags=flags) for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 99, 1 << 31 - 1)
        ],
        "extended",
    )
    row(
        f"{name}_flags_without_extended_types",
        lambda r, f=form: [f(f"{r}/f{flags}", flags=flags) for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 99)],
    )
    row(
        f"{name}_sequential",
        lambda r, f=form: [
            f(p, flags=flags)
            for flags in (2, 3)
            for p in (r + "/", r + "/s", r + "/s", r + "/0000000003", r, r + "//", "/", r + "/./")
        ],
        "extended",
    )
    row(
        f"{name}_of_built_in",
        lambda r, f=form: [f(p) for p in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")],
        "extended",
    )

row(
    "createTTL_ttl",
    lambda r: [
        create_ttl(f"{r}/t{flags}.{at}", ttl, flags=flags)
        for flags in (0, 1, 2, 4, 5, 6)
        for at, ttl in enumerate(
            (*((-(1 << 63), -1) if flags >= 5 else ()), 0, 1, (1 << 40) - 1, 1 << 40, (1 << 63) - 1)
        )
    ],
    "extended",
)
row(
    "createTTL_ttl_without_extended_types",
    lambda r: [
        create_ttl(f"{r}/t{flags}.{at}", ttl, flags=flags)
        for flags in (0, 5, 6)
        for at, ttl in enumerate((*((-1,) if flags >= 5 else ()), 0, 1000, 1 << 40))
    ],
)
row(
    "createTTL_children",
    lambda r: [
        create_ttl(r + "/t", 1 << 39),
        create(r + "/t/a"),
        create(r + "/t/b", flags=1),
        delete(r + "/t"),
        delete(r + "/t/a"),
        delete(r + "/t/b"),
        delete(r + "/t"),
    ],
    "extended",
)
row(
    "createTTL_sequential_name",
    lambda r: [create_ttl(r + "/t-", 1 << 39, flags=6), create_ttl(r + "/", 1 << 39, flags=6)],
    "extended",
)
row(
    "createContainer_children",
    lambda r: [
        container(r + "/c"),
        create(r + "/c/a"),
        delete(r + "/c"),
        delete(r + "/c/a"),
        exists(r + "/c"),
        delete(r + "/c"),
    ],
)
row("create_deep", lambda r: [create(r + "/a" * depth) for depth in range(1, 40)])
row("create_long_name", lambda r: [create(r + "/" + "n" * 5000), create(r + "/" + "n" * 5000 + "/x"), children(r)])
row(
    "create_big_data",
    lambda r: [create(r + "/a", bytes(500000)), get(r + "/a"), put(r + "/a", bytes(900000)), exists(r + "/a")],
)
row(
    "create_unicode",
    lambda r: [
        create(r + "/\u4e2d\u6587"),
        create(r + "/\u00e9"),
        create(r + "/ "),
        create(r + "/\u00a0"),
        create(r + "/\ud7ff"),
        create(r + "/\uf900"),
        create(r + "/\uffef"),
        create(r + "/\ufff0"),
        create(r + "/\uffff"),
        children2(r),
    ],
)
row(
    "create_dots",
    lambda r: [create(r + p) for p in ("/...", "/.a", "/a.", "/..a", "/a..b", "/a/./b", "/a/..", "/.a/..b")],
)
row(
    "create_special_children",
    lambda r: [create(p) for p in (f"/zookeeper{r}", f"/zookeeper/quota{r}", f"/zookeeper/config{r}")]
    + [delete(p) for p in (f"/zookeeper{r}", f"/zookeeper/quota{r}", f"/zookeeper/config{r}")],
)

# delete.

row("delete_ok", lambda r: [create(r + "/a"), delete(r + "/a", 0), create(r + "/a"), delete(r + "/a")])
row("delete_no_node", lambda r: [delete(r + "/a"), delete(r + "/no/a"), delete("/nosuch")])
row(
    "delete_no_auth",
    lambda r: [create(r + "/p", entries=only(READ | CREATE | WRITE | ADMIN)), create(r + "/p/a"), delete(r + "/p/a")],
)
row("delete_no_auth_before_no_node", lambda r: [create(r + "/p", entries=only(READ | CREATE)), delete(r + "/p/none")])
row("delete_needs_nothing_of_the_node", lambda r: [create(r + "/a", entries=NOBODY), delete(r + "/a")])
row(
    "delete_bad_version", lambda r: [create(r + "/a")] + [delete(r + "/a", v) for v in (1, -2, 2147483647, -2147483648)]
)
row("delete_not_empty", lambda r: [create(r + "/a"), create(r + "/a/b"), delete(r + "/a"), delete(r + "/a", 0)])
row("delete_bad_version_before_not_empty", lambda r: [create(r + "/a"), create(r + "/a/b"), delete(r + "/a", 9)])
row("delete_special", lambda r: [delete(p) for p in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")])
row("delete_invalid_path", lambda r: [delete(p) for p in ("", "a", "/" + "a/", r + "//", r + "/.", "//", r + "/\0")])
row("delete_null_path", lambda r: [delete(None)])

# setData.

row(
    "setData_ok",
    lambda r: [
        create(r + "/a"),
        put(r + "/a", b"x"),
        put(r + "/a", b"x", 1),
        put(r + "/a", None, 2),
        put(r + "/a", b""),
        get(r + "/a"),
    ],
)
row("setData_no_node", lambda r: [put(r + "/a"), put(r + "/no/a")])
row("setData_no_auth", lambda r: [create(r + "/a", entries=only(READ | ADMIN)), put(r + "/a"), put(r + "/a", b"", 9)])
row(
    "setData_bad_version",
    lambda r: [create(r + "/a")] + [put(r + "/a", b"", v) for v in (1, -2, 2147483647, -2147483648)],
)
row("setData_invalid_path", lambda r: [put(p) for p in ("", "a", r + "/", r + "//a", r + "/.", r + "/\0")])
row("setData_null_path", lambda r: [put(None)])
row("setData_root", lambda r: [put("/", b"root"), get("/"), put("/", b"", 99), put("/", b"")])
row(
    "setData_built_in",
    lambda r: [put(p, b"x") for p in ("/zookeeper", "/zookeeper/quota", "/zookeeper/config")]
    + [get(p) for p in ("/zookeeper", "/zookeeper/quota", "/zookeeper/config")]
    + [put("/zookeeper"), put("/zookeeper/quota")],
)
row("setData_ephemeral", lambda r: [create(r + "/e", flags=1), put(r + "/e", b"x"), exists(r + "/e")])

# exists, getData, getChildren, getChildren2, getACL, getAllChildrenNumber, sync.

READS = {
    "exists": exists,
    "getData": get,
    "getChildren": children,
    "getChildren2": children2,
    "getACL": get_acl,
    "getAllChildrenNumber": number,
    "sync": sync,
}
for name, form in READS.items():
    row(
        f"{name}_ok",
        lambda r, f=form: [create(r + "/a", b"data"), create(r + "/a/b"), f(r + "/a"), f(r), f(r + "/a/b")],
    )
    row(f"{name}_no_node", lambda r, f=form: [f(r + "/a"), f("/nosuch")])
    row(f"{name}_no_auth", lambda r, f=form: [create(r + "/a", b"data", entries=NOBODY), f(r + "/a")])
    row(
        f"{name}_by_one_permission",
        lambda r, f=form: [
            step
            for perms in (0, 1, 2, 4, 8, 16, 30, 15, -1)
            for step in (create(f"{r}/p{perms}", entries=only(perms)), f(f"{r}/p{perms}"))
        ],
    )
    row(
        f"{name}_odd_path",
        lambda r, f=form: [
            f(p)
            for p in (
                "",
                "a",
                "/" + "nosuch/",
                r + "/",
                r + "//a",
                "//",
                r + "/.",
                r + "/..",
                r + "/a\0b",
                r + "/\x01",
                "/zookeeper/",
                b"\xff",
                b"/\xed\xa0\x80",
            )
        ],
    )
    row(f"{name}_null_path", lambda r, f=form: [f(None)])
    row(f"{name}_built_in", lambda r, f=form: [f(p) for p in ("/zookeeper", "/zookeeper/quota", "/zookeeper/config")])
row("getACL_of_root", lambda r: [get_acl("/")])
row("exists_of_root_shape", lambda r: [exists("/"), children2("/zookeeper")])

# setACL.

row(
    "setACL_ok",
    lambda r: [
        create(r + "/a"),
        set_acl(r + "/a", only(31)),
        set_acl(r + "/a", only(17), 1),
        get_acl(r + "/a"),
        exists(r + "/a"),
    ],
)
row("setACL_no_node", lambda r: [set_acl(r + "/a")])
row("setACL_no_auth", lambda r: [create(r + "/a", entries=only(15)), set_acl(r + "/a"), set_acl(r + "/a", version=9)])
row(
    "setACL_bad_version",
    lambda r: [create(r + "/a")] + [set_acl(r + "/a", version=v) for v in (1, -2, 2147483647, -2147483648, 0, 0)],
)
row(
    "setACL_invalid_acl",
    lambda r: [create(r + "/a"), set_acl(r + "/a", acl()), set_acl(r + "/a", acl((31, "world", "me")))],
)
row("setACL_invalid_acl_before_no_node", lambda r: [set_acl(r + "/none", acl())])
row("setACL_invalid_path", lambda r: [set_acl(p) for p in ("", "a", r + "/", r + "//a", r + "/\0")])
row("setACL_null_path", lambda r: [set_acl(None)])
row(
    "setACL_built_in",
    lambda r: [
        set_acl("/zookeeper/config"),
        get_acl("/zookeeper/config"),
        set_acl("/zookeeper", only(31)),
        get_acl("/zookeeper"),
    ],
)
row("setACL_of_root", lambda r: [set_acl("/", only(31)), get_acl("/"), exists("/")])

# check, multi, multiRead: more in multi.py.

row(
    "multi_ok",
    lambda r: [
        multi(create(r + "/m"), put(r + "/m", b"x"), check(r + "/m", 1), create2(r + "/m/a"), delete(r + "/m/a"))
    ],
)
row("multiRead_ok", lambda r: [create(r + "/m"), multi_read(get(r + "/m"), children(r), get(r + "/none"))])

# watches, for their codes: more in watches.py.

row("checkWatches_none", lambda r: [check_watches(r, kind) for kind in (1, 2, 3, 4, 5)])
row("checkWatches_types", lambda r: [check_watches(r, kind) for kind in (0, 6, -1, 99, -2147483648)])
row("checkWatches_null_path", lambda r: [check_watches(None, kind) for kind in (0, 1, 2, 3, 4, 5)])
row("removeWatches_none", lambda r: [remove_watches(r, kind) for kind in (1, 2, 3, 4, 5)])
row("removeWatches_types", lambda r: [remove_watches(r, kind) for kind in (0, 6, -1, 99, -2147483648)])
row("removeWatches_null_path", lambda r: [remove_watches(None, kind) for kind in (0, 1, 2, 3, 4, 5)])
row("addWatch_modes", lambda r: [add_watch(r, mode) for mode in (-1, 0, 1, 2, 3, 2147483647)])
row(
    "addWatch_null_path",
    lambda r: [add_watch(None, mode) for mode in (0, 1)]
    + [check_watches(None, k) for k in (3, 4, 5)]
    + [remove_watches(None, k) for k in (4, 5, 3)],
)
row("addWatch_odd_path", lambda r: [add_watch(p, 0) for p in ("", "a", r + "/", "//", r + "/\0", r + "/.")])
row(
    "addWatch_recursive_odd_path",
    lambda r: [add_watch(p, 1) for p in ("", "a", r + "/", "//", r + "/\0", r + "/.", "/")] + [create(r + "/x")],
)

# The session's own.

row(
    "getEphemerals_prefixes",
    lambda r: [create(r + "/e1", flags=1), create(r + "/e2", flags=1), create(r + "/p")]
    + [
        ephemerals(p)
        for p in ("/", "", " ", "  /  ", r, r + "/", r + "/e", r + "/e1", r + "/p", "/nosuch", "\t", "e", "/ ")
    ],
)
row("getEphemerals_null", lambda r: [create(r + "/e", flags=1), ephemerals(None)])
row("getEphemerals_none", lambda r: [ephemerals("/")])
row(
    "getAllChildrenNumber_counts",
    lambda r: [create(r + "/a"), create(r + "/a/b"), create(r + "/ab"), number(r), number(r + "/a"), number(r + "/ab")],
)
row("getAllChildrenNumber_of_root_moves_by_one", lambda r: [number("/"), create(r + "/a"), number("/")])
row("whoAmI_plain", lambda r: [WHO])
row("whoAmI_with_a_body", lambda r: [("whoAmI", b"junk")])
row("sync_paths", lambda r: [sync(p) for p in (r, r + "/none", "", "no slash", None)])
row("ping_is_answered_as_ping", lambda r: [("ping", b"")])


@case()
def ping_with_its_own_xid(t):
    link = t.open()
    for xid in (-2, 0, 9, -1):
        link.ask("ping", b"", xid=xid)


@case()
def ping_with_a_body(t):
    t.open().ask("ping", b"junk", xid=-2)


# reconfig, as a server without an ensemble answers it.

row(
    "reconfig_disabled",
    lambda r: [
        reconfig(),
        reconfig("server.1=a:1:2"),
        reconfig(None, "1"),
        reconfig(None, None, "server.1=a:1:2"),
        reconfig(version=0),
        reconfig("", "", ""),
    ],
)
row("reconfig_of_rights", lambda r: [reconfig(None, "1"), get("/zookeeper/config")], "super", ("digest", b"super:test"))


# Numbers that are no operations.


def unknown(number):
    @case(name=f"operation_{number}".replace("-", "minus_"))
    def run(t):
        root = t.make()
        link = t.open()
        link.add(number, b"\0\0\0\2/x\0")
        heard = link.gather(f"operation {number}", until_closed=True)
        t.need(("closed",) in heard, "the connection is closed")
        again, _ = t.twin.resume(link.sessions)
        again.ask(*exists(root))
        link.drop()


for number_ in (0, -1, -2, 10, 13, 23, 71, 99, 108, 109, 9999, 2147483647, -2147483648):
    unknown(number_)


@case()
def unknown_operation_without_a_body(t):
    link = t.open()
    link.add(42)
    link.gather("operation 42", until_closed=True)


@case()
def check_alone_is_refused(t):
    link = t.open()
    link.add(*check("/", -1))
    link.gather("check", until_closed=True)


# xids.


@case()
def xids_are_echoed(t):
    root = t.make()
    link = t.open()
    for xid in (0, 1, 5, 5, 4, -3, -5, -100, 2147483647, -2147483648):
        link.ask(*exists(root), xid=xid)
        link.ask(*create(root), xid=xid)


@case()
def special_xids_on_ordinary_requests(t):
    root = t.make()
    link = t.open()
    for xid in (-1, -2, -4, -8):
        link.ask(*exists(root), xid=xid)
        link.ask(*put(root), xid=xid)


@case()
def ordinary_xids_on_special_requests(t):
    link = t.open()
    link.ask("setWatches", zk.L(0) + zk.I(0) * 3, xid=9)
    link.ask("setWatches2", zk.L(0) + zk.I(0) * 5, xid=10)
    link.ask("auth", zk.I(0) + zk.S("digest") + zk.B(b"u:p"), xid=11)
