"""Four-letter words: the same text, when versions, clocks, ports, paths and sizes are taken out.

Of envi and mntr, which are rows of docs/compatibility.md, is compared what they have in common.
"""

import re
import socket

from harness.zk import S

from scene import add_watch, case, children, create, exists, get

PLAIN = [
    (r"Zookeeper version: \S+, built on .*", "Zookeeper version: V"),
    (r"zookeeper.version=.*", "zookeeper.version=V"),
    (r"Latency min/avg/max: \d+/\d+\.\d+/\d+", "Latency L"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"(\w+[Ss]ize)[:=] ?\d+", r"\1 N"),
    (r"(clientPort)=\d+", r"\1=PORT"),
    (r"(data(Log)?Dir)=\S+/data/version-2", r"\1=DIRECTORY"),
    (r"queued=\d+", "queued=N"),
    (r"(est|lresp|llat|minlat|avglat|maxlat)=\d+", r"\1=T"),
    (r"expire at .*:", "expire at TIME:"),
    (r"datadir_size: \d+", "datadir_size: N"),
    (r"logdir_size: \d+", "logdir_size: N"),
]


def plain(twin, side, text, also=()):
    """The text of one server without what may differ."""
    for pattern, replacement in [*PLAIN, *also]:
        text = re.sub(pattern, replacement, text)
    view = twin.views[side]
    return re.sub(r"0x[0-9a-f]{13,16}", lambda match: str(view.sessions.get(int(match[0], 16), "unknown")), text)


def ask(t, word, also=(), lines=lambda text: text.split("\n")):
    said = t.twin.word(word)
    ours, theirs = [lines(plain(t.twin, side, text, also)) for side, text in enumerate(said)]
    return t.twin.equal(word.decode(), ours, theirs)


def blocks(text):
    """A heading and what is indented below it, in any order."""
    found, heading = {}, None
    for line in text.split("\n"):
        if line.startswith("\t"):
            found[heading].append(line)
        else:
            heading = line
            found.setdefault(heading, [])
    return sorted((heading, sorted(lines)) for heading, lines in found.items())


def crowd(t):
    """Sessions, ephemerals and watches of all kinds."""
    root = t.make()
    one, two = t.open(), t.open()
    for request in (
        create(root + "/a"),
        create(root + "/e", flags=1),
        get(root + "/a", 1),
        children(root, 1),
        add_watch(root, 0),
        add_watch(root + "/a", 1),
    ):
        one.ask(*request)
    for request in (exists(root + "/none", 1), get(root + "/a", 1), create(root + "/f", flags=1)):
        two.ask(*request)
    t.fence()


def word_case(word, **options):
    @case(name=f"word_{word}")
    def run(t):
        crowd(t)
        ask(t, word.encode(), **options)


# What was received and sent counts the questions of the start too, until srst.
COUNTS = [(r"(Received|Sent): \d+", r"\1: N")]
for word_ in ("ruok", "isro", "gtmk", "conf", "dirs", "wchs", "crst"):
    word_case(word_)
word_case("srvr", also=COUNTS)
word_case("stat", also=COUNTS, lines=lambda text: sorted(text.split("\n")))
word_case("cons", lines=lambda text: sorted(text.split("\n")))
word_case("wchc", lines=blocks)
word_case("wchp", lines=blocks)


@case()
def word_dump(t):
    """Which of the sets a session or a connection stands in is a matter of milliseconds; empty sets linger."""
    crowd(t)
    sets = [(r"Sets \(\d+\)", "Sets (N)"), (r"\d+ expire at TIME:\n", "")]
    ask(t, b"dump", also=sets, lines=lambda text: sorted(text.split("\n")))


@case()
def word_stmk_sets_what_gtmk_tells(t):
    before = t.twin.word(b"gtmk")[1]
    for mask in (0, 0xFFFF, 1 << 40, int(before)):
        t.twin.equal("stmk", *[[text] for text in t.twin.word(b"stmk", mask.to_bytes(8, "big"))])
        ask(t, b"gtmk")


@case()
def word_srvr_after_srst(t):
    link = t.open()
    t.fence()
    ask(t, b"srst")
    for _ in range(10):
        link.ask(*exists("/"))
    ask(t, b"srvr")


@case()
def word_cons_after_crst(t):
    link = t.open()
    ask(t, b"crst")
    for _ in range(3):
        link.ask(*exists("/"))
    ask(t, b"cons", lines=lambda text: sorted(text.split("\n")))


@case()
def word_cons_tells_the_last_operation(t):
    root = t.make()
    link = t.open()
    for request in (
        exists(root),
        get(root),
        create(root + "/a"),
        children(root),
        ("setData", S(root) + b"\0\0\0\0\xff\xff\xff\xff"),
        ("sync", S(root)),
        ("whoAmI", b""),
        ("getACL", S(root)),
        ("getEphemerals", S("/")),
        ("getAllChildrenNumber", S(root)),
        ("addWatch", S(root) + b"\0\0\0\0"),
        ("checkWatches", S(root) + b"\0\0\0\3"),
        ("removeWatches", S(root) + b"\0\0\0\3"),
        ("delete", S(root + "/a") + b"\xff\xff\xff\xff"),
    ):
        link.ask(*request)
        ask(t, b"cons", lines=lambda text: sorted(text.split("\n")))


@case()
def word_unknown(t):
    """Four letters that are no word are a length, and too long a one."""
    for word in (b"abcd", b"RUOK", b"help"):
        ask(t, word)


@case()
def word_inside_a_session_is_a_length(t):
    link = t.open()
    link.raw(b"ruok")
    link.gather("ruok", until_closed=True)


@case()
def word_with_more_behind_it(t):
    for word in (b"ruok\n", b"srst\r\n", b"ruokruok"):
        ask(t, word)


@case()
def word_byte_by_byte(t):
    answers = []
    for address in t.twin.addresses:
        with socket.create_connection(address, timeout=15) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            data = b""
            for byte in b"ruok":
                link.sendall(bytes([byte]))
            while part := link.recv(4096):
                data += part
        answers.append([data])
    t.twin.equal("ruok", *answers)


@case()
def word_mntr_has_what_clients_see(t):
    crowd(t)
    names = (
        "server_state",
        "ephemerals_count",
        "num_alive_connections",
        "outstanding_requests",
        "znode_count",
        "global_sessions",
        "local_sessions",
        "watch_count",
    )
    found = []
    for text in t.twin.word(b"mntr"):
        rows = dict(line.split("\t") for line in text.splitlines() if "\t" in line)
        found.append([(name, rows.get("zk_" + name)) for name in names])
    t.twin.equal("mntr", *found)


@case()
def word_envi_begins_alike(t):
    ours, theirs = [text.split("\n")[:2] for text in t.twin.word(b"envi")]
    t.twin.equal("envi", [plain(t.twin, 0, line) for line in ours], [plain(t.twin, 1, line) for line in theirs])


for word_ in (
    "ruok",
    "srvr",
    "wchs",
    "conf",
    "cons",
    "dump",
    "mntr",
    "stat",
    "isro",
    "envi",
    "gtmk",
    "stmk",
    "crst",
    "srst",
    "wchc",
    "wchp",
    "dirs",
    "hash",
):

    def whitelisted(t, word=word_):
        ask(t, word.encode(), also=COUNTS + [(r"watching \d+", "watching N"), (r"Node count: \d+", "Node count: N")])

    case("words", f"whitelist_{word_}")(whitelisted)
