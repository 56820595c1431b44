"""The audit trail after the same work, line by line as Apache's; and the files of a long one."""

import re

from harness import places
from harness.link import (CHECK, CLOSE, CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE, MULTI, RECONFIG, SET, SET_ACL,
                          acl, create, create_ttl, multi, opened, set_acl, set_data, text, versioned)

HEAD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|ERROR) o\.a\.z\.a\.Slf4jAuditLogger: (.*)")


def work(port):
    """Changes of every kind, allowed and not."""
    link = opened(port)
    other = opened(port)
    other.authenticate("digest", "bob:word")
    other.authenticate("digest", "super:secret")
    for flags, name in enumerate(("/plain", "/ephemeral", "/plain-", "/ephemeral-", "/container")):
        link.ask(CREATE, create(name, b"data", flags))
    link.ask(CREATE2, create("/two"))
    link.ask(CREATE_CONTAINER, create("/container2", flags=4))
    link.ask(CREATE_TTL, create_ttl("/ttl", 10 ** 9))
    link.ask(CREATE_TTL, create_ttl("/ttl-", 10 ** 9, 6))
    link.ask(CREATE, create("/plain"))
    link.ask(CREATE, create("/missing/child", flags=1))
    link.ask(CREATE, create("/flags", flags=9))
    link.ask(CREATE, create("relative"))
    link.ask(CREATE, create("/list", access=acl()))
    other.ask(CREATE, create("/closed", access=acl((31, "auth", ""))))
    link.ask(CREATE, create("/closed/child"))
    other.ask(CREATE, create("/closed/child"))
    link.ask(SET, set_data("/plain", "new"))
    link.ask(SET, set_data("/plain", "new", 77))
    link.ask(SET, set_data("/missing", "new"))
    link.ask(SET_ACL, set_acl("/two", acl((31, "world", "anyone"), (5, "ip", "10.0.0.0/8"), (0, "digest", "a:b"))))
    link.ask(SET_ACL, set_acl("/two", acl((31, "nobody", "knows"))))
    link.ask(SET_ACL, set_acl("/missing", acl((9, "world", "anyone"))))
    link.ask(MULTI, multi((CREATE, create("/m", flags=0)), (CREATE, create("/m/s-", flags=2)), (SET, set_data("/m", "x")),
                          (CHECK, versioned("/m")), (CREATE_TTL, create_ttl("/m/ttl", 10 ** 9)), (DELETE, versioned("/plain")),
                          (CREATE, create("/m/e", flags=1)), (CREATE_CONTAINER, create("/m/c", flags=4))))
    link.ask(MULTI, multi((CREATE, create("/n")), (DELETE, versioned("/missing"))))
    link.ask(MULTI, multi())
    link.ask(RECONFIG, text("server.1=a:1:2") + text(None) + text(None) + b"\xff" * 8)
    link.ask(DELETE, versioned("/two", 77))
    link.ask(DELETE, versioned("/two"))
    link.ask(DELETE, versioned("/m"))
    link.ask(DELETE, versioned("/"))
    link.ask(CLOSE)
    other.ask(CLOSE)
    names = {f"0x{one.session:x}": f"SESSION{at}" for at, one in enumerate((link, other))}
    return names


def normal(line, names):
    """A line without its time, with names for sessions, and users in order."""
    found = HEAD.fullmatch(line)
    if not found:
        return f"no line of an audit trail: {line}"
    fields = []
    for field in found[2].split("\t"):
        key, _, value = field.partition("=")
        if key == "session":
            value = names.get(value, value)
        if key == "user":
            value = ",".join(sorted(value.split(",")))
        fields.append(f"{key}={value}")
    return f"{found[1]} " + "\t".join(fields)


def trail(t, kind, name):
    path = t.directory / f"{name}.log"
    properties = {"audit.file": path}
    settings = {"audit__enable": "true", "extendedTypesEnabled": "true",
                "DigestAuthenticationProvider__superDigest": "super:lK75jTNcA+U9vtVEw5vB51mj/w4="}
    if kind == "apache":
        properties["logback.configurationFile"] = places.HERE / "jars" / "logback_audit.xml"
    else:
        settings["audit__file"] = path
    keeper = t.keeper(kind=kind, name=name, properties=properties, **settings)
    names = work(keeper.port)
    keeper.stop()
    lines = [normal(line, names) for line in path.read_text().splitlines()]
    ends = [line for line in lines if "ephemeralZNodeDeletion" in line]
    # Apache's deletes a session's znodes in an order of its hash table.
    return [line for line in lines if line not in ends] + sorted(ends)


def same_lines(t):
    expected = trail(t, "apache", "apache")
    seen = trail(t, t.target, "keeper")
    t.check(len(expected) > 35, "Apache's has something to say", len(expected))
    for at, (want, have) in enumerate(zip(expected, seen)):
        t.equal(have, want, f"line {at}")
    t.equal(len(seen), len(expected), "as many lines")


def long_trails(t):
    """Files of a mebibyte are renamed; the oldest goes."""
    keeper = t.keeper(name="long", audit__enable="true", audit__fileSizeMb=1, audit__fileCount=2)
    link = opened(keeper.port)
    link.ask(CREATE, create("/a"))
    for _ in range(40):
        for _ in range(1000):
            link.request(SET, set_data("/a", "x"))
        for _ in range(1000):
            t.need(link.reply()[0] == 0, "every set is done")
    keeper.stop()
    data = keeper.directory / "data"
    files = sorted(path.name for path in data.glob("zookeeper_audit.log*"))
    t.equal(files, ["zookeeper_audit.log", "zookeeper_audit.log.1", "zookeeper_audit.log.2"], "the files")
    lines = [line for name in reversed(files) for line in (data / name).read_text().splitlines()]
    t.check(all(HEAD.fullmatch(line) for line in lines), "every line is whole")
    t.check(all((data / name).stat().st_size < 2 << 20 for name in files), "no file is much too large")
    t.check(lines[-1].endswith("operation=serverStop\tresult=invoked"), "the last line is the end", lines[-1])


def case(t):
    same_lines(t)
    if t.target == "rookery":
        long_trails(t)
