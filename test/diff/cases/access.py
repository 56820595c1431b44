"""Access lists, identities and what they may do."""

import re

from harness.zk import B, I, OPEN, S, acl

from scene import (
    WHO,
    add_watch,
    case,
    children,
    create,
    delete,
    errors,
    exists,
    get,
    get_acl,
    multi,
    number,
    put,
    row,
    set_acl,
    sync,
)

U_P = ("digest", b"u:p")
U_P_ID = "u:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="  # Not the hash of anything known.


def form(name, entries, variant="default", auth=None):
    """A list in create, in setACL and in a multi."""
    row(
        f"acl_{name}",
        lambda r: [
            create(r + "/c", entries=entries),
            get_acl(r + "/c"),
            create(r + "/s"),
            set_acl(r + "/s", entries),
            get_acl(r + "/s"),
            multi(create(r + "/m", entries=entries)),
            get_acl(r + "/m"),
            get(r + "/c"),
            put(r + "/c"),
            create(r + "/c/x"),
            delete(r + "/c/x"),
        ],
        variant,
        auth,
    )


for name_, entries_ in {
    "world_other": acl((31, "world", "other")),
    "world_empty": acl((31, "world", "")),
    "world_null": acl((31, "world", None)),
    "null_scheme": acl((31, None, "anyone")),
    "unknown_scheme": acl((31, "nosuch", "x")),
    "empty": acl(),
    "perms_zero": acl((0, "world", "anyone")),
    "perms_minus_one": acl((-1, "world", "anyone")),
    "perms_32": acl((32, "world", "anyone")),
    "perms_max": acl((2147483647, "world", "anyone")),
    "World": acl((31, "World", "anyone")),
    "anyone_upper": acl((31, "world", "Anyone")),
    "digest": acl((31, "digest", "u:hash")),
    "digest_no_colon": acl((31, "digest", "u")),
    "digest_two_colons": acl((31, "digest", "u:a:b")),
    "digest_empty_user": acl((31, "digest", ":h")),
    "digest_empty_hash": acl((31, "digest", "u:")),
    "digest_colon": acl((31, "digest", ":")),
    "digest_empty": acl((31, "digest", "")),
    "digest_null": acl((31, "digest", None)),
    "digest_spaces": acl((31, "digest", " u : h ")),
    "auth_without": acl((31, "auth", "")),
    "auth_id_without": acl((31, "auth", "u")),
    "auth_null_without": acl((31, "auth", None)),
    "x509": acl((31, "x509", "cn=a")),
    "sasl": acl((31, "sasl", "me")),
    "super": acl((31, "super", "")),
    "ensemble": acl((31, "ensemble", "x")),
    "ip_any": acl((31, "ip", "0.0.0.0/0")),
    "ip_own": acl((31, "ip", "127.0.0.1")),
    "ip_own_8": acl((31, "ip", "127.0.0.0/8")),
    "ip_own_32": acl((31, "ip", "127.0.0.1/32")),
    "ip_other": acl((31, "ip", "10.0.0.1")),
    "ip_unmasked": acl((31, "ip", "127.9.9.9/8")),
    "ip_7": acl((31, "ip", "126.0.0.0/7")),
    "ip_33": acl((31, "ip", "127.0.0.1/33")),
    "ip_minus": acl((31, "ip", "127.0.0.1/-1")),
    "ip_bits_text": acl((31, "ip", "127.0.0.1/x")),
    "ip_bits_empty": acl((31, "ip", "127.0.0.1/")),
    "ip_bits_plus": acl((31, "ip", "127.0.0.1/+8")),
    "ip_two_slashes": acl((31, "ip", "127.0.0.1/8/8")),
    "ip_bits_zeros": acl((31, "ip", "127.0.0.0/008")),
    "ip_slash_first": acl((31, "ip", "/8")),
    "ip_three_parts": acl((31, "ip", "127.0.1")),
    "ip_five_parts": acl((31, "ip", "1.2.3.4.5")),
    "ip_256": acl((31, "ip", "256.0.0.1")),
    "ip_negative": acl((31, "ip", "-1.0.0.1")),
    "ip_empty_part": acl((31, "ip", "127..0.1")),
    "ip_trailing_dot": acl((31, "ip", "127.0.0.1.")),
    "ip_leading_zeros": acl((31, "ip", "127.000.000.001")),
    "ip_spaces": acl((31, "ip", " 127.0.0.1")),
    "ip_hex": acl((31, "ip", "0x7f.0.0.1")),
    "ip_plus": acl((31, "ip", "+127.0.0.1")),
    "ip_name": acl((31, "ip", "localhost")),
    "ip_empty": acl((31, "ip", "")),
    "ip_null": acl((31, "ip", None)),
    "ip6_loopback": acl((31, "ip", "::1")),
    "ip6_128": acl((31, "ip", "::1/128")),
    "ip6_129": acl((31, "ip", "::1/129")),
    "ip6_0": acl((31, "ip", "::/0")),
    "ip6_any": acl((31, "ip", "::")),
    "ip6_full": acl((31, "ip", "2001:db8:0:0:0:0:0:1")),
    "ip6_short": acl((31, "ip", "2001:db8::1/64")),
    "ip6_upper": acl((31, "ip", "2001:DB8::A")),
    "ip6_mapped": acl((31, "ip", "::ffff:127.0.0.1")),
    "ip6_mapped_bits": acl((31, "ip", "::ffff:127.0.0.1/128")),
    "ip6_two_gaps": acl((31, "ip", "1::2::3")),
    "ip6_seven": acl((31, "ip", "1:2:3:4:5:6:7")),
    "ip6_nine": acl((31, "ip", "1:2:3:4:5:6:7:8:9")),
    "ip6_eight_and_gap": acl((31, "ip", "1:2:3:4:5:6:7::8")),
    "ip6_long_part": acl((31, "ip", "12345::1")),
    "ip6_zone": acl((31, "ip", "fe80::1%lo")),
    "ip6_bracket": acl((31, "ip", "[::1]")),
    "ip6_one_colon": acl((31, "ip", ":")),
    "ip6_colon_first": acl((31, "ip", ":1")),
    "ip6_g": acl((31, "ip", "g::1")),
    "duplicates": acl((31, "world", "anyone"), (31, "world", "anyone")),
    "same_id_two_perms": acl((1, "world", "anyone"), (31, "world", "anyone")),
    "order_kept": acl((1, "ip", "10.0.0.1"), (31, "world", "anyone"), (2, "ip", "10.0.0.2"), (1, "ip", "10.0.0.1")),
    "sound_then_bad": acl((31, "world", "anyone"), (31, "nosuch", "x")),
    "many": acl(*[(31, "ip", f"10.0.0.{n}") for n in range(200)], (31, "world", "anyone")),
}.items():
    form(name_, entries_)
for name_, entries_ in {
    "auth": acl((31, "auth", "")),
    "auth_id_ignored": acl((31, "auth", "other")),
    "auth_null": acl((31, "auth", None)),
    "auth_and_digest": acl((31, "auth", ""), (31, "digest", "u:x"), (1, "world", "anyone")),
    "auth_twice": acl((1, "auth", ""), (31, "auth", "")),
    "super_with_digest": acl((31, "super", "")),
}.items():
    form(f"authenticated_{name_}", entries_, auth=U_P)
for name_, entries_ in {
    "auth": acl((31, "auth", "")),
    "nobody": acl((31, "ip", "10.0.0.1")),
    "bad": acl((31, "nosuch", "x")),
    "digest": acl((1, "digest", "u:h")),
}.items():
    form(f"as_super_{name_}", entries_, "super", ("digest", b"super:test"))
for name_, entries_ in {
    "nobody": acl((31, "ip", "10.0.0.1")),
    "bad_world": acl((31, "world", "me")),
    "empty": acl(),
    "digest": acl((1, "digest", "u:h")),
    "auth": acl((31, "auth", "")),
    "bad_ip": acl((31, "ip", "x")),
}.items():
    form(f"skipACL_{name_}", entries_, "open")

OPERATIONS = {
    "exists": exists,
    "getData": get,
    "getChildren": children,
    "getACL": get_acl,
    "setData": put,
    "setACL": set_acl,
    "create": lambda p: create(p + "/new"),
    "delete_child": lambda p: delete(p + "/kid"),
    "delete": delete,
    "check": lambda p: multi(("check", S(p) + I(-1))),
    "getAllChildrenNumber": number,
    "sync": sync,
    "addWatch": lambda p: add_watch(p, 0),
}
for op_name, op_ in OPERATIONS.items():

    def permissions(t, op=op_):
        root = t.make()
        link = t.open()
        for bit in (0, 1, 2, 4, 8, 16, 31):
            path = f"{root}/p{bit}"
            link.ask(*create(path))
            link.ask(*create(path + "/kid"))
            link.ask(*set_acl(path, acl((bit, "world", "anyone"))))
            link.ask(*op(path))
        t.dump(root)

    case(name=f"permission_for_{op_name}")(permissions)

AUTHS = {
    "digest": ("digest", b"u:p"),
    "no_colon": ("digest", b"up"),
    "empty": ("digest", b""),
    "null": ("digest", None),
    "colon": ("digest", b":"),
    "empty_user": ("digest", b":p"),
    "empty_password": ("digest", b"u:"),
    "two_colons": ("digest", b"u:p:q"),
    "unknown": ("nosuch", b"x"),
    "null_scheme": (None, b"x"),
    "empty_scheme": ("", b"x"),
    "world": ("world", b"anyone"),
    "auth": ("auth", b""),
    "ip": ("ip", b"1.2.3.4"),
    "ip_own": ("ip", b"127.0.0.1"),
    "ip_empty": ("ip", b""),
    "super": ("super", b""),
    "sasl": ("sasl", b"x"),
    "x509": ("x509", b"x"),
    "Digest": ("Digest", b"u:p"),
    "long": ("digest", b"u" * 5000 + b":" + b"p" * 5000),
    "nul": ("digest", b"u\0:p"),
    "super_user_without_digest": ("digest", b"super:test"),
}
for auth_name, (scheme_, secret_) in AUTHS.items():

    def authenticate(t, scheme=scheme_, secret=secret_):
        root = t.make()
        link = t.open()
        link.add("auth", I(0) + S(scheme) + B(secret), xid=-4)
        heard = link.gather("auth")
        if errors(heard) == [0]:
            link.ask(*WHO)
            link.ask(*create(root + "/a", entries=acl((31, "auth", ""))))
            link.ask(*get_acl(root + "/a"))
        else:
            link.gather("the end", until_closed=True)
            link.drop()

    case(name=f"auth_{auth_name}")(authenticate)


@case()
def auth_types_are_ignored(t):
    for kind in (0, 1, -1, 100):
        link = t.open()
        link.ask("auth", I(kind) + S("digest") + B(b"u:p"), xid=-4)
        link.ask(*WHO)


@case()
def auth_malformed(t):
    whole = I(0) + S("digest") + B(b"u:p")
    for size in range(0, len(whole)):
        link = t.open()
        link.add("auth", whole[:size], xid=-4)
        link.gather(f"{size} bytes of auth", until_closed=True)
        link.drop()


@case()
def auth_trailing_bytes(t):
    link = t.open()
    link.ask("auth", I(0) + S("digest") + B(b"u:p") + b"more", xid=-4)
    link.ask(*WHO)


@case()
def auth_several_identities(t):
    root = t.make()
    link = t.open()
    for secret in (b"u:p", b"v:q", b"u:p", b"u:other"):
        t.auth(link, "digest", secret)
    link.ask(*WHO)
    link.ask(*create(root + "/a", entries=acl((31, "auth", ""))))
    link.ask(*get_acl(root + "/a"))
    other = t.open(auth=("digest", b"v:q"))
    other.ask(*get(root + "/a"))
    other.ask(*get_acl(root + "/a"))


@case()
def auth_belongs_to_the_connection(t):
    root = t.make()
    link = t.open(auth=U_P)
    link.ask(*create(root + "/a", b"x", entries=acl((31, "auth", ""))))
    moved, _ = t.twin.resume(link.sessions)
    link.gather("the first connection", until_closed=True)
    link.drop()
    moved.ask(*get(root + "/a"))
    t.auth(moved, *U_P)
    moved.ask(*get(root + "/a"))


@case("super")
def super_may_all(t):
    root = t.make()
    link, boss = t.open(), t.open()
    link.ask(*create(root + "/a", b"x", entries=acl((0, "world", "anyone"))))
    t.auth(boss, "digest", b"super:test")
    boss.ask(*WHO)
    for request in (
        get(root + "/a"),
        get_acl(root + "/a"),
        put(root + "/a"),
        create(root + "/a/b"),
        delete(root + "/a/b"),
        set_acl(root + "/a"),
        ("setData", S("/zookeeper/config") + B(b"") + I(-1)),
        delete("/zookeeper/config"),
        delete("/zookeeper"),
    ):
        boss.ask(*request)


@case("super")
def super_with_a_wrong_password(t):
    root = t.make()
    link = t.open()
    link.ask(*create(root + "/a", entries=acl((0, "world", "anyone"))))
    t.auth(link, "digest", b"super:wrong")
    link.ask(*WHO)
    link.ask(*get(root + "/a"))


@case()
def getACL_masks_digests(t):
    root = t.make()
    owner, other = t.open(auth=U_P), t.open()
    owner.ask(
        *create(
            root + "/a",
            entries=acl((1, "world", "anyone"), (31, "auth", ""), (1, "digest", "v:hash"), (1, "ip", "10.0.0.1")),
        )
    )
    owner.ask(*get_acl(root + "/a"))
    other.ask(*get_acl(root + "/a"))
    owner.ask(*create(root + "/b", entries=acl((17, "world", "anyone"), (31, "digest", "v:hash"))))
    other.ask(*get_acl(root + "/b"))


@case()
def first_match_does_not_end_the_list(t):
    root = t.make()
    link = t.open()
    link.ask(*create(root + "/a", entries=acl((1, "ip", "127.0.0.1"), (2, "world", "anyone"))))
    for request in (get(root + "/a"), put(root + "/a"), create(root + "/a/b")):
        link.ask(*request)


# Over IPv6: who the client is, and what lists let it in.

for name_, entries_ in {
    "own": acl((31, "ip", "::1")),
    "own_128": acl((31, "ip", "::1/128")),
    "own_127": acl((31, "ip", "::/127")),
    "own_64": acl((31, "ip", "::2/64")),
    "own_full": acl((31, "ip", "0:0:0:0:0:0:0:1")),
    "own_zeros": acl((31, "ip", "0000:0000:0000:0000:0000:0000:0000:0001")),
    "any": acl((31, "ip", "::/0")),
    "other": acl((31, "ip", "2001:db8::/32")),
    "next": acl((31, "ip", "::2/127")),
    "four": acl((31, "ip", "127.0.0.1")),
    "four_any": acl((31, "ip", "0.0.0.0/0")),
    "mapped": acl((31, "ip", "::ffff:127.0.0.1")),
    "dotted": acl((31, "ip", "::0.0.0.1")),
    "seven_bits": acl((31, "ip", "fe00::/7")),
}.items():
    form(f"over_ipv6_{name_}", entries_, "ipv6")


@case("ipv6")
def whoAmI_over_ipv6(t):
    link = t.open()
    link.ask(*WHO)
    t.auth(link, "digest", b"u:p")
    link.ask(*WHO)


@case("ipv6")
def words_over_ipv6(t):
    """An address in brackets or without."""
    t.open()
    for word in (b"cons", b"dump"):
        said = [re.sub(r":\d+", ":PORT", "\n".join(re.findall(r"/\S*1\]?:\d+", text))) for text in t.twin.word(word)]
        t.twin.equal(word.decode(), *[sorted(text.split("\n")) for text in said])


# Other settings of scheme digest.

for name_, entries_ in {
    "digest": acl((31, "digest", "u:h")),
    "world": OPEN,
    "auth": acl((31, "auth", "")),
    "ip": acl((31, "ip", "127.0.0.1")),
}.items():
    form(f"without_digest_{name_}", entries_, "nodigest")
    form(f"sha256_{name_}", entries_, "sha256", U_P)


@case("nodigest")
def auth_without_digest(t):
    link = t.open()
    link.add("auth", I(0) + S("digest") + B(b"u:p"), xid=-4)
    link.gather("auth", until_closed=True)


@case("sha256")
def auth_by_sha256(t):
    root = t.make()
    link, other = t.open(auth=U_P), t.open()
    link.ask(*WHO)
    link.ask(*create(root + "/a", b"x", entries=acl((31, "auth", ""), (1, "digest", "v:h"))))
    link.ask(*get_acl(root + "/a"))
    other.ask(*get(root + "/a"))
    t.auth(other, *U_P)
    other.ask(*get(root + "/a"))


# enforce.auth: nothing but auth before auth.

for name_, request_ in {
    "exists": exists("/"),
    "create": create("/x"),
    "ping": ("ping", b""),
    "sync": sync("/"),
    "whoAmI": WHO,
    "multi": multi(create("/x")),
    "addWatch": add_watch("/", 0),
    "closeSession": ("closeSession", b""),
    "sasl": ("sasl", B(b"x")),
    "unknown": (77, b""),
    "cut": ("create", b"\0"),
}.items():

    def unauthenticated(t, request=request_):
        link = t.open()
        link.add(*request)
        link.gather("before auth", until_closed=True)
        link.drop()
        link = t.open(auth=U_P)
        link.ask(*exists("/"))
        link.end()

    if name_ not in ("sasl", "ping"):
        case("enforced", f"enforced_auth_before_{name_}")(unauthenticated)


@case("enforced")
def enforced_auth_by_another_scheme(t):
    link = t.open()
    link.ask("auth", I(0) + S("ip") + B(b""), xid=-4)
    link.add(*exists("/"))
    link.gather("exists", until_closed=True)
    link.drop()


@case("enforced")
def enforced_auth_then_all_goes(t):
    link = t.open(auth=U_P)
    for request in (create("/enforced"), get("/enforced"), WHO, ("ping", b""), delete("/enforced")):
        link.ask(*request)
    link.end()
