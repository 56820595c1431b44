"""Quotas: what they count, and what hard limits forbid. Judged by what is committed, so every request is awaited."""

from scene import case, container, create, create2, delete, exists, get, multi, put, set_acl

Q = "/zookeeper/quota"


def quota(root, limits=None, usage=b"count=0,bytes=0"):
    """The requests that set one."""
    parts, made = root.strip("/").split("/"), [Q]
    requests = []
    for part in parts:
        made.append(made[-1] + "/" + part)
        requests.append(create(made[-1]))
    if limits is not None:
        requests.append(create(made[-1] + "/zookeeper_limits", limits))
    if usage is not None:
        requests.append(create(made[-1] + "/zookeeper_stats", usage))
    return requests


def steps(name, requests, variant="quota"):
    """One by one, with the usage shown after each; the quota is taken away at the end."""

    def run(t):
        root = t.make()
        link = t.open()
        top = Q + root
        for request in requests(root):
            link.ask(*request)
            link.ask(*get(top + "/zookeeper_stats"))
        t.dump(root)
        t.dump(top)
        for path in (
            top + "/a/zookeeper_stats",
            top + "/a/zookeeper_limits",
            top + "/a",
            top + "/zookeeper_stats",
            top + "/zookeeper_limits",
            top,
        ):
            link.ask(*delete(path))

    for form in (variant, "default") if variant == "quota" else (variant,):
        case(form, name if form == variant else f"{name}_unenforced")(run)


HARD = b"count=-1,bytes=-1=;byteHardLimit=%d;countHardLimit=%d"

steps(
    "quota_counts",
    lambda r: quota(r, b"count=100,bytes=1000")
    + [
        create(r + "/a", b"12345"),
        create(r + "/a/b", b"x"),
        put(r + "/a", b"1"),
        put(r + "/a", None),
        delete(r + "/a/b"),
        create(r + "/e", b"abc", flags=1),
        container(r + "/c", b"d"),
        create2(r + "/s", b"zz", flags=2),
        put(r, b"itself"),
    ],
)
steps(
    "quota_count_hard",
    lambda r: quota(r, HARD % (-1, 3))
    + [create(f"{r}/n{at}") for at in range(5)]
    + [delete(r + "/n0"), create(r + "/n9"), put(r + "/n1", b"xxxx")],
)
steps(
    "quota_bytes_hard",
    lambda r: quota(r, HARD % (10, -1))
    + [
        create(r + "/a", b"12345"),
        create(r + "/b", b"12345"),
        create(r + "/c", b"1"),
        create(r + "/d"),
        put(r + "/a", b"1"),
        create(r + "/c", b"1234"),
        create(r + "/f", b"1"),
        put(r + "/b", b"123456"),
        put(r + "/b", None),
    ],
)
steps(
    "quota_both_hard",
    lambda r: quota(r, HARD % (10, 3))
    + [create(r + "/a", b"12345678901"), create(r + "/a", b"1"), create(r + "/b"), create(r + "/c")],
)
steps(
    "quota_soft_never_forbids",
    lambda r: quota(r, b"count=1,bytes=1") + [create(f"{r}/n{at}", b"xxx") for at in range(4)],
)
steps("quota_hard_zero", lambda r: quota(r, HARD % (0, 0)) + [create(r + "/a"), put(r, b"x"), put(r, b"")])
steps(
    "quota_at_the_limit",
    lambda r: quota(r, HARD % (4, 2))
    + [create(r + "/a", b"1234"), put(r + "/a", b"12345"), put(r + "/a", b"4321"), create(r + "/b")],
)
steps("quota_before_bad_version", lambda r: quota(r, HARD % (4, -1)) + [put(r, b"12345", 99), put(r, b"1", 99)])
steps("quota_after_exists", lambda r: quota(r, HARD % (-1, 1)) + [create(r + "/a"), create(r), create(r + "/no/a")])
steps(
    "quota_in_a_multi",
    lambda r: quota(r, HARD % (-1, 3))
    + [
        multi(create(r + "/a"), create(r + "/b")),
        multi(create(r + "/c")),
        multi(delete(r + "/a"), create(r + "/c")),
        multi(put(r, b"x"), create(r + "/d"), delete(r + "/b")),
    ],
)
steps(
    "quota_multi_goes_beyond",
    lambda r: quota(r, HARD % (-1, 2)) + [multi(*[create(f"{r}/n{at}") for at in range(5)]), create(r + "/x")],
)
steps(
    "quota_longest_prefix_wins",
    lambda r: [create(r + "/a")]
    + quota(r, HARD % (-1, 3))
    + [
        create(f"{Q}{r}/a"),
        create(f"{Q}{r}/a/zookeeper_limits", HARD % (-1, 2)),
        create(f"{Q}{r}/a/zookeeper_stats", b"count=0,bytes=0"),
        create(r + "/a/b"),
        get(f"{Q}{r}/a/zookeeper_stats"),
        create(r + "/a/c"),
        create(r + "/b"),
        create(r + "/c"),
        create(r + "/d"),
    ],
)
steps("quota_without_usage", lambda r: quota(r, HARD % (1, 1), None) + [create(r + "/a", b"xxxx"), create(r + "/b")])
steps("quota_without_limits", lambda r: quota(r, None) + [create(r + "/a", b"xxxx"), put(r + "/a", b"y")])
steps(
    "quota_usage_starts_with_what_is_there",
    lambda r: [create(r + "/a", b"123"), create(r + "/a/b", b"45")]
    + quota(r, b"count=9,bytes=9", b"count=77,bytes=77"),
)
steps(
    "quota_usage_created_with_null_data",
    lambda r: quota(r, b"count=9,bytes=9", None) + [create(f"{Q}{r}/zookeeper_stats", None), create(r + "/a", b"x")],
)
steps(
    "quota_limits_changed",
    lambda r: quota(r, HARD % (-1, 1))
    + [create(r + "/a"), put(f"{Q}{r}/zookeeper_limits", HARD % (-1, 2)), create(r + "/a"), create(r + "/b")],
)
steps(
    "quota_limits_deleted",
    lambda r: quota(r, HARD % (-1, 1))
    + [create(r + "/a"), delete(f"{Q}{r}/zookeeper_limits"), create(r + "/a"), create(r + "/b", b"x")],
)
steps("quota_usage_deleted", lambda r: quota(r, HARD % (-1, 1)) + [delete(f"{Q}{r}/zookeeper_stats"), create(r + "/a")])
steps(
    "quota_usage_set_by_hand",
    lambda r: quota(r, HARD % (-1, 5))
    + [
        put(f"{Q}{r}/zookeeper_stats", b"count=5,bytes=5"),
        create(r + "/a"),
        put(f"{Q}{r}/zookeeper_stats", b"count=0,bytes=0"),
        create(r + "/a"),
    ],
)
steps(
    "quota_usage_watch_and_stat",
    lambda r: quota(r, b"count=9,bytes=9")
    + [get(f"{Q}{r}/zookeeper_stats", 1), create(r + "/a", b"x"), exists(f"{Q}{r}/zookeeper_stats")],
)
steps(
    "quota_of_a_missing_node",
    lambda r: [
        create(f"{Q}{r}"),
        create(f"{Q}{r}/a"),
        create(f"{Q}{r}/a/zookeeper_limits", HARD % (-1, 1)),
        create(f"{Q}{r}/a/zookeeper_stats", b"count=0,bytes=0"),
        create(r + "/a"),
        create(r + "/a/b"),
        get(f"{Q}{r}/a/zookeeper_stats"),
    ],
)
steps("quota_count_includes_the_node", lambda r: quota(r, HARD % (-1, 1)) + [create(r + "/a")])
steps(
    "quota_delete_of_the_node",
    lambda r: [create(r + "/a", b"abc")]
    + [
        create(f"{Q}{r}"),
        create(f"{Q}{r}/a"),
        create(f"{Q}{r}/a/zookeeper_limits", b"count=9,bytes=9"),
        create(f"{Q}{r}/a/zookeeper_stats", b"count=0,bytes=0"),
        delete(r + "/a"),
        get(f"{Q}{r}/a/zookeeper_stats"),
        create(r + "/a", b"x"),
        get(f"{Q}{r}/a/zookeeper_stats"),
    ],
)
steps(
    "quota_neighbour_is_not_counted",
    lambda r: quota(r, b"count=9,bytes=9") + [create(r + "x", b"abc"), delete(r + "x")],
)
steps("quota_setACL_is_not_counted", lambda r: quota(r, HARD % (0, 0)) + [set_acl(r)])
for at_, text in enumerate(
    (
        b"count=5,bytes=5",
        b"count=5;bytes=5",
        b"bytes=5,count=5",
        b"count=5,bytes=-1",
        b"count=5",
        b"bytes=5",
        b"count=1,bytes=1=;byteHardLimit=3;countHardLimit=3",
        b"count=1,bytes=1;byteHardLimit=3;countHardLimit=3",
        b"count=-1,bytes=-1=;countHardLimit=2",
        b"count=-1,bytes=-1=;byteHardLimit=2",
        b"countHardLimit=2,byteHardLimit=100",
    )
):
    steps(
        f"quota_text_{at_}",
        lambda r, text=text: quota(r, text)
        + [create(r + "/a", b"x"), create(r + "/b", b"yy"), create(r + "/c", b"zzz")],
    )


@case("quota")
def quota_close_gives_back(t):
    root = t.make()
    link, other = t.open(), t.open()
    for request in quota(root, HARD % (-1, 3)):
        other.ask(*request)
    for at in range(3):
        link.ask(*create(f"{root}/e{at}", b"x", flags=1))
    other.ask(*create(root + "/a"))
    link.end()
    other.ask(*get(f"{Q}{root}/zookeeper_stats"))
    other.ask(*create(root + "/a"))
    other.ask(*get(f"{Q}{root}/zookeeper_stats"))
    for name in ("/zookeeper_stats", "/zookeeper_limits", ""):
        other.ask(*delete(Q + root + name))


@case("quota")
def quota_of_super_too(t):
    root = t.make()
    link = t.open(auth=("digest", b"u:p"))
    for request in quota(root, HARD % (-1, 1)):
        link.ask(*request)
    link.ask(*create(root + "/a"))
    for name in ("/zookeeper_stats", "/zookeeper_limits", ""):
        link.ask(*delete(Q + root + name))
