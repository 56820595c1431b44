"""What is watched, what fires, in which order, and what is left."""

from harness.zk import L, acl, strings

from scene import (
    add_watch,
    case,
    check_watches,
    children,
    children2,
    container,
    create,
    create2,
    delete,
    exists,
    get,
    multi,
    put,
    remove_watches,
    row,
    set_acl,
    sync,
)

NOBODY = acl((31, "ip", "10.1.2.3"))
STANDARD = {"exists": exists, "getData": get, "getChildren": children, "getChildren2": children2}
CHANGES = {
    "create_child": lambda p: create(p + "/x"),
    "create2_child": lambda p: create2(p + "/x"),
    "create_sequential_child": lambda p: create(p + "/x", flags=2),
    "container_child": lambda p: container(p + "/x"),
    "setData": lambda p: put(p, b"new"),
    "setData_equal": lambda p: put(p, b""),
    "setACL": lambda p: set_acl(p),
    "delete": delete,
    "delete_child": lambda p: delete(p + "/kid"),
    "setData_of_child": lambda p: put(p + "/kid", b"x"),
    "grandchild": lambda p: create(p + "/kid/x"),
    "failing_create": lambda p: create(p + "/kid"),
    "failing_setData": lambda p: put(p, b"", 99),
    "multi": lambda p: multi(create(p + "/x"), put(p, b"m"), delete(p + "/x")),
    "create_itself": create,
    "ephemeral_child": lambda p: create(p + "/x", flags=1),
    "failing_delete": lambda p: delete(p, 99),
    "sync": sync,
}


def watch_case(name, arm, change, kid=True, present=True):
    @case(name=name)
    def run(t):
        root = t.make()
        path = root + "/n"
        watching, writing = t.open(), t.open()
        if present:
            writing.ask(*create(path))
        if present and kid:
            writing.ask(*create(path + "/kid"))
        for request in arm(path):
            watching.ask(*request)
            writing.ask(*request)
        # Twice: what is left of the watch shows in the second time.
        for _ in range(2):
            writing.ask(*change(path))
            t.fence()
        for kind in (1, 2, 3, 4, 5):
            watching.ask(*check_watches(path, kind))


for read_name, read in STANDARD.items():
    for change_name, change_ in CHANGES.items():
        watch_case(
            f"watch_{read_name}_{change_name}", lambda p, f=read: [f(p, 1)], change_, kid=change_name != "delete"
        )
for mode_name, mode in {"persistent": 0, "recursive": 1}.items():
    for change_name, change_ in CHANGES.items():
        watch_case(
            f"watch_{mode_name}_{change_name}",
            lambda p, m=mode: [add_watch(p, m)],
            change_,
            kid=change_name != "delete",
        )
watch_case("watch_exists_of_nothing", lambda p: [exists(p, 1)], create, present=False)
watch_case("watch_getData_of_nothing", lambda p: [get(p, 1)], create, present=False)
watch_case("watch_getChildren_of_nothing", lambda p: [children(p, 1)], create, present=False)
watch_case("watch_persistent_of_nothing", lambda p: [add_watch(p, 0)], create, present=False)
watch_case("watch_recursive_of_nothing", lambda p: [add_watch(p, 1)], create, present=False)
watch_case("watch_recursive_of_nothing_below", lambda p: [add_watch(p, 1)], lambda p: create(p + "/x"), present=False)
watch_case(
    "watch_all_kinds_delete",
    lambda p: [exists(p, 1), children(p, 1), add_watch(p, 0), add_watch(p, 1)],
    delete,
    kid=False,
)
watch_case(
    "watch_all_kinds_create_child",
    lambda p: [exists(p, 1), children(p, 1), add_watch(p, 0), add_watch(p, 1)],
    lambda p: create(p + "/x"),
)
watch_case("watch_all_kinds_setData", lambda p: [get(p, 1), children(p, 1), add_watch(p, 0), add_watch(p, 1)], put)
watch_case("watch_data_and_child_delete", lambda p: [get(p, 1), children(p, 1)], delete, kid=False)
watch_case("watch_twice_the_same", lambda p: [get(p, 1), exists(p, 1), get(p, 1)], put)
watch_case("watch_persistent_twice", lambda p: [add_watch(p, 0), add_watch(p, 0)], put)
watch_case("watch_parent_and_node_delete", lambda p: [get(p, 1), children(p.rsplit("/", 1)[0], 1)], delete, kid=False)
watch_case(
    "watch_parent_recursive_and_node_delete",
    lambda p: [get(p, 1), add_watch(p.rsplit("/", 1)[0], 1)],
    delete,
    kid=False,
)
watch_case(
    "watch_parents_recursive",
    lambda p: [add_watch("/", 1), add_watch(p.rsplit("/", 1)[0], 1), add_watch(p, 1)],
    lambda p: create(p + "/x"),
)
watch_case("watch_root_persistent", lambda p: [add_watch("/", 0), children("/", 1)], lambda p: create(p + "/x"))
watch_case("watch_recursive_then_standard", lambda p: [add_watch(p, 1), get(p, 1)], put)
watch_case("watch_standard_then_persistent", lambda p: [get(p, 1), add_watch(p, 0)], put)
watch_case("watch_persistent_and_recursive", lambda p: [add_watch(p, 0), add_watch(p, 1)], lambda p: create(p + "/x"))

# Removing and checking, type by type, under every set of modes.

ARMED = {
    "data": lambda p: [get(p, 1)],
    "exists": lambda p: [exists(p, 1)],
    "child": lambda p: [children(p, 1)],
    "both": lambda p: [get(p, 1), children(p, 1)],
    "persistent": lambda p: [add_watch(p, 0)],
    "recursive": lambda p: [add_watch(p, 1)],
    "all": lambda p: [get(p, 1), children(p, 1), add_watch(p, 0), add_watch(p, 1)],
    "data_and_persistent": lambda p: [get(p, 1), add_watch(p, 0)],
    "child_and_recursive": lambda p: [children(p, 1), add_watch(p, 1)],
    "persistent_and_recursive": lambda p: [add_watch(p, 0), add_watch(p, 1)],
}
for armed_name, arm_ in ARMED.items():
    for type_name, kind_ in {"children": 1, "data": 2, "any": 3, "persistent": 4, "recursive": 5}.items():
        row(
            f"removeWatches_{type_name}_of_{armed_name}",
            lambda r, a=arm_, k=kind_: a(r)
            + [remove_watches(r, k)]
            + [check_watches(r, other) for other in (1, 2, 3, 4, 5)]
            + [put(r), create(r + "/x"), remove_watches(r, k), remove_watches(r, 3)],
        )
row("checkWatches_of_others", lambda r: [get(r, 1), check_watches(r + "/x", 3), check_watches("/", 3)])
row(
    "removeWatches_of_recursive_below",
    lambda r: [
        add_watch(r, 1),
        create(r + "/x"),
        remove_watches(r + "/x", 5),
        check_watches(r + "/x", 5),
        put(r + "/x"),
        remove_watches(r, 5),
        put(r + "/x"),
    ],
)


@case()
def watches_are_the_connections(t):
    """They vanish with it, and another session's are not touched."""
    root = t.make()
    one, two = t.open(), t.open()
    one.ask(*get(root, 1))
    two.ask(*get(root, 1))
    two.ask(*remove_watches(root, 3))
    moved, _ = t.twin.resume(one.sessions)
    one.gather("the first connection", until_closed=True)
    one.drop()
    moved.ask(*put(root))
    moved.ask(*check_watches(root, 3))
    t.need(not any(e[0] == "event" for heard in t.fence() for e in heard), "no events")


@case()
def watch_event_before_reply_of_read(t):
    """A read that shows a change comes behind its event."""
    root = t.make()
    one, two = t.open(), t.open()
    one.ask(*get(root, 1))
    two.ask(*put(root, b"new"))
    heard = one.ask(*get(root))
    t.need([e[0] for e in heard] == ["event", "reply"], "the event, then the reply")


@case()
def watch_own_change_before_reply(t):
    root = t.make()
    link = t.open()
    link.ask(*get(root, 1))
    link.ask(*children(root, 1))
    for request in (create(root + "/a"), put(root), children(root, 1), delete(root + "/a")):
        link.add(*request)
    link.gather("pipelined, with events between")


@case()
def watch_without_read_is_consumed_unheard(t):
    """A standard watch whose event may not be heard is gone all the same."""
    root = t.make()
    link, other = t.open(), t.open()
    link.ask(*create(root + "/a"))
    other.ask(*get(root + "/a", 1))
    link.ask(*set_acl(root + "/a", acl((31, "world", "anyone"))))
    link.ask(*set_acl(root + "/a", acl((30, "world", "anyone"))))
    link.ask(*put(root + "/a"))
    heard = t.fence()
    t.need(not any(e[0] == "event" for part in heard for e in part), "no event")
    other.ask(*check_watches(root + "/a", 2))
    link.ask(*set_acl(root + "/a"))
    link.ask(*put(root + "/a"))
    t.fence()


@case()
def watch_persistent_without_read_stays(t):
    root = t.make()
    link, other = t.open(), t.open()
    other.ask(*add_watch(root, 1))
    link.ask(*create(root + "/a", entries=acl((30, "world", "anyone"))))
    link.ask(*create(root + "/b"))
    link.ask(*delete(root + "/a"))
    t.fence()
    other.ask(*check_watches(root, 5))


@case()
def watch_delete_of_unreadable(t):
    root = t.make()
    link, other = t.open(), t.open()
    link.ask(*create(root + "/a"))
    for request in (get(root + "/a", 1), children(root, 1), children(root + "/a", 1)):
        other.ask(*request)
    link.ask(*set_acl(root + "/a", NOBODY))
    link.ask(*delete(root + "/a"))
    t.fence()


@case()
def watch_parent_unreadable(t):
    root = t.make()
    link, other = t.open(), t.open()
    other.ask(*children(root, 1))
    link.ask(*set_acl(root, acl((30, "world", "anyone"))))
    link.ask(*create(root + "/a"))
    t.fence()
    other.ask(*check_watches(root, 1))


# setWatches: what was missed.


def catch_up(name, op, lists, back=0):
    """lists: for each list, the kinds of paths in it. back: by how many zxids the client is behind."""

    @case(name=name)
    def run(t):
        root = t.make()
        link = t.open()
        link.ask(*create(root + "/old"))
        link.ask(*create(root + "/changed"))
        link.ask(*create(root + "/parent"))
        link.ask(*create(root + "/gone"))
        zxid = [view.zxid for view in t.twin.views][1] - t.twin.views[1].base
        link.ask(*put(root + "/changed", b"x"))
        link.ask(*create(root + "/parent/new"))
        link.ask(*delete(root + "/gone"))
        back_from = zxid - back
        paths = {kind: root + "/" + kind for kind in ("old", "changed", "parent", "gone", "never")}
        again = t.open()
        body = b"".join(strings(*(paths[kind] for kind in kinds)) for kinds in lists)
        again.ask(op, L(back_from) + body, xid=-8)
        for request in (
            put(paths["old"]),
            put(paths["changed"]),
            create(paths["parent"] + "/x"),
            create(paths["gone"]),
            create(paths["never"]),
            create(paths["gone"] + "/x"),
            put(paths["gone"]),
            delete(paths["never"]),
        ):
            link.ask(*request)
            t.fence()


ALL = ("old", "changed", "parent", "gone", "never")
for list_name, at_ in {"data": 0, "exist": 1, "child": 2}.items():
    for kind in ALL:
        catch_up(f"setWatches_{list_name}_{kind}", "setWatches", [(kind,) if at == at_ else () for at in range(3)])
    catch_up(
        f"setWatches_{list_name}_far_behind", "setWatches", [ALL if at == at_ else () for at in range(3)], back=1 << 30
    )
    catch_up(
        f"setWatches_{list_name}_ahead", "setWatches", [ALL if at == at_ else () for at in range(3)], back=-(1 << 30)
    )
catch_up("setWatches_all", "setWatches", [ALL, ALL, ALL])
for list_name, at_ in {"persistent": 3, "recursive": 4}.items():
    catch_up(f"setWatches2_{list_name}", "setWatches2", [ALL if at == at_ else () for at in range(5)])
catch_up("setWatches2_all", "setWatches2", [ALL] * 5)
catch_up("setWatches2_data_only", "setWatches2", [ALL, (), (), (), ()])


@case()
def setWatches_twice_in_a_row(t):
    """Java clients send long lists in several requests."""
    root = t.make()
    link = t.open()
    for part in range(3):
        link.add("setWatches", L(0) + strings(f"{root}/{part}") + strings() + strings(), xid=-8)
    heard = link.gather("three setWatches")
    t.need(len(heard) == 6, "three events and three replies")


@case()
def setWatches_of_unreadable_is_told(t):
    root = t.make()
    link, other = t.open(), t.open()
    link.ask(*create(root + "/a", entries=NOBODY))
    other.ask("setWatches", L(0) + strings(root + "/a") + strings(root + "/a") + strings(root + "/a"), xid=-8)
