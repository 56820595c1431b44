"""Bodies that cannot be understood, of every operation."""

from harness.zk import B, I, L, OPEN, S, Z, acl, create_body, multi, strings

from scene import case, create, exists, get, row

SOUND = {
    "create": create_body("/mal", 0, b"data"),
    "create2": create_body("/mal", 0, b"data"),
    "createContainer": create_body("/mal", 4, b"data"),
    "createTTL": create_body("/mal", 5, b"data") + L(1 << 39),
    "delete": S("/mal") + I(-1),
    "exists": S("/mal") + Z(0),
    "getData": S("/mal") + Z(0),
    "setData": S("/mal") + B(b"data") + I(-1),
    "getACL": S("/mal"),
    "setACL": S("/mal") + OPEN + I(-1),
    "getChildren": S("/mal") + Z(0),
    "getChildren2": S("/mal") + Z(0),
    "sync": S("/mal"),
    "multi": multi((1, create_body("/mal")), (13, S("/mal") + I(-1))),
    "multiRead": multi((4, S("/mal") + Z(0)), (8, S("/mal") + Z(0))),
    "reconfig": S(None) + S(None) + S("server.1=a:1:2") + L(-1),
    "checkWatches": S("/mal") + I(3),
    "removeWatches": S("/mal") + I(3),
    "setWatches": L(0) + strings("/mal") + strings("/mal") + strings("/mal"),
    "setWatches2": L(0) + strings("/mal") * 5,
    "getEphemerals": S("/mal"),
    "getAllChildrenNumber": S("/mal"),
    "addWatch": S("/mal") + I(0),
}
LENGTHS = {
    "negative": -2,
    "lowest": -0x80000000,
    "huge": 0x7FFFFFFF,
    "above_the_limit": 1048576 * 3,
    "beyond_the_end": 100000,
}


def cut(body):
    """Every length that is too short; of long ones a few."""
    return [body[:size] for size in (range(len(body)) if len(body) < 40 else range(0, len(body), 7))] + [body[:-1]]


for name_, body_ in SOUND.items():
    row(f"malformed_{name_}_cut", lambda r, n=name_, b=body_: [(n, part) for part in cut(b)])
    row(f"malformed_{name_}_empty", lambda r, n=name_: [(n, b"")])
    row(
        f"malformed_{name_}_trailing_bytes",
        lambda r, n=name_, b=body_: [(n, b + b"more"), (n, b + I(-1)), (n, b + bytes(100))],
    )
    for length_name, length in LENGTHS.items():
        at = 8 if name_ in ("setWatches", "setWatches2") else 9 if name_ in ("multi", "multiRead") else 0
        row(
            f"malformed_{name_}_length_{length_name}",
            lambda r, n=name_, b=body_, size=length, at=at: [(n, b[:at] + I(size) + b[at + 4 :])],
        )
    if name_ not in ("reconfig",):
        first = 12 if name_ in ("setWatches", "setWatches2") else 9 if name_ in ("multi", "multiRead") else 0
        for text_name, text in {
            "invalid": b"\xff\xfe",
            "overlong": b"/\xc0\x80",
            "surrogate": b"/\xed\xa0\x80",
            "cut": b"/\xe4\xb8",
            "beyond": b"/\xf5\x80\x80\x80",
            "astral": "/\U0001f600".encode(),
        }.items():
            row(
                f"malformed_{name_}_utf8_{text_name}",
                lambda r, n=name_, b=body_, t=text, f=first: (
                    [(n, b[:f] + B(t) + b[f + 8 :])] if b[f : f + 4] == I(4) else [(n, b)]
                ),
            )

ACLS = {
    "null": I(-1),
    "negative": I(-5),
    "huge": I(0x7FFFFFFF),
    "more_than_there_are": I(3) + I(31) + S("world") + S("anyone"),
    "null_scheme": acl((31, None, "anyone")),
    "null_id": acl((31, "world", None)),
    "empty_scheme": acl((31, "", "anyone")),
}
for acl_name, entries_ in ACLS.items():
    row(f"malformed_acl_{acl_name}_in_create", lambda r, e=entries_: [("create", S(r + "/x") + B(b"") + e + I(0))])
    row(f"malformed_acl_{acl_name}_in_setACL", lambda r, e=entries_: [("setACL", S(r) + e + I(-1))])
    row(
        f"malformed_acl_{acl_name}_in_multi",
        lambda r, e=entries_: [("multi", multi((1, S(r + "/x") + B(b"") + e + I(0))))],
    )

for data_name, size_ in LENGTHS.items():
    row(
        f"malformed_data_length_{data_name}_in_create",
        lambda r, s=size_: [("create", S(r + "/x") + I(s) + b"data" + OPEN + I(0))],
    )
    row(
        f"malformed_data_length_{data_name}_in_setData", lambda r, s=size_: [("setData", S(r) + I(s) + b"data" + I(-1))]
    )

for count_name, count_ in {"null": -1, "negative": -2, "huge": 0x7FFFFFFF, "more_than_there_are": 4}.items():
    for op_, lists in (("setWatches", 3), ("setWatches2", 5)):
        for which in range(lists):
            row(
                f"malformed_{op_}_list_{which}_{count_name}",
                lambda r, o=op_, n=lists, w=which, c=count_: [
                    (o, L(0) + b"".join(I(c) if at == w else strings(r) for at in range(n)))
                ],
            )
for op_, lists in (("setWatches", 3), ("setWatches2", 5)):
    for which in range(lists):
        row(
            f"malformed_{op_}_null_path_in_list_{which}",
            lambda r, o=op_, n=lists, w=which: [
                (o, L(0) + b"".join(strings(None) if at == w else strings() for at in range(n)))
            ],
        )
        row(
            f"malformed_{op_}_null_path_between_in_list_{which}",
            lambda r, o=op_, n=lists, w=which: [
                (o, L(0) + b"".join(strings(r, None, r + "/x") if at == w else strings() for at in range(n))),
                create(r + "/x"),
            ],
        )

row("malformed_bool_of_two", lambda r: [("exists", S(r) + Z(2)), ("getData", S(r) + Z(255)), create(r + "/x")])


@case()
def malformed_header_cut(t):
    for size in range(8):
        link = t.open()
        link.raw(I(size) + bytes(size))
        link.gather(f"a request of {size} bytes", until_closed=True)
        link.drop()


@case()
def malformed_length_negative(t):
    for length in (-1, -2, -0x80000000):
        link = t.open()
        link.raw(I(length))
        link.gather(f"length {length}", until_closed=True)
        link.drop()


@case()
def malformed_length_above_the_limit(t):
    for length in (1048576, 0x7FFFFFFF):
        link = t.open()
        link.raw(I(length))
        link.gather(f"length {length}", until_closed=True)
        link.drop()


@case("small")
def small_frames(t):
    """jute.maxbuffer=4096: the longest request, and one byte more."""
    root = t.make()
    for size in (4095, 4096):
        link = t.open()
        head = S(root + f"/n{size}")
        room = size - 8 - len(head) - 4 - len(OPEN) - 4
        link.ask("create", head + B(bytes(room)) + OPEN + I(0))
    link.raw(I(4097) + bytes(4097))
    link.gather("4097 bytes", until_closed=True)
    link.drop()
    t.dump(root)


row(
    "small_strings",
    lambda r: [
        ("create", S(r + "/" + "x" * 3000) + B(b"") + OPEN + I(0)),
        ("create", S(r + "/x") + I(4096) + bytes(3000)),
        ("create", S(r + "/x") + I(5000) + bytes(3000)),
        ("create", S(r + "/x") + I(9000) + bytes(3000)),
        ("exists", I(5000) + bytes(3000)),
        ("exists", I(9000) + bytes(3000)),
    ],
    "small",
)
row(
    "small_reply_may_be_larger",
    lambda r: [create(r + "/" + "n" * 3000 + str(at)) for at in range(4)] + [("getChildren", S(r) + Z(0))],
    "small",
)
row(
    "small_multi_result_grows",
    lambda r: [
        create(r + "/a", bytes(3000)),
        get(r + "/a"),
        ("multiRead", multi(*[(4, S(r + "/a") + Z(0))] * 10)),
        exists(r + "/a"),
    ],
    "small",
)
