"""The two servers, started with the same settings."""

from harness import places, probe, server

VARIANTS = {
    "default": {},
    "extended": {"extendedTypesEnabled": "true"},
    "quota": {"enforceQuota": "true"},
    "open": {"skipACL": "yes"},
    "small": {"jute.maxbuffer": 4096},
    "super": {"DigestAuthenticationProvider.superDigest": "super:D/InIHSb7yEEbrWz8b9l71RjZJU="},
    "words": {"4lw.commands.whitelist": "ruok, srvr,wchs"},
    "nodigest": {"DigestAuthenticationProvider.enabled": "false"},
    "sha256": {"DigestAuthenticationProvider.digestAlg": "SHA-256"},
    "enforced": {"enforce.auth.enabled": "true", "enforce.auth.schemes": "digest"},
    "unused": {"znode.container.checkIntervalMs": 100, "znode.container.maxNeverUsedIntervalMs": 300},
    "ipv6": {"clientPortAddress": "::1"},
    "reaper": {"extendedTypesEnabled": "true", "znode.container.checkIntervalMs": 100},
    "all": {
        "extendedTypesEnabled": "true",
        "DigestAuthenticationProvider.superDigest": "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
    },
}
# Nothing is reaped meanwhile: that would be a matter of time.
NEVER_MS = 2_000_000_000
# Those that Apache takes from zoo.cfg; all others are Java system properties, most of them below `zookeeper.`.
FILE_KEYS = ("4lw.commands.whitelist", "clientPortAddress")


def property_of(key, value):
    bare = key.startswith("znode.") or key.startswith("jute.")
    return f"-D{key}={value}" if bare else f"-Dzookeeper.{key}={value}"


def start(case, variant, purpose):
    """[ours, Apache's], answering, each in a directory of its own."""
    return [_start_one(case, kind, f"{purpose}-{variant}-{kind}", VARIANTS[variant]) for kind in ("rookery", "apache")]


def _start_one(case, kind, name, settings):
    directory = case.directory / name
    directory.mkdir(parents=True, exist_ok=True)
    port = case.port()
    config = {
        "tickTime": 500,
        "dataDir": directory / "data",
        "clientPort": port,
        "clientPortAddress": "127.0.0.1",
        "maxClientCnxns": 0,
        "maxSessionTimeout": 60000,
        "admin.enableServer": "false",
        "4lw.commands.whitelist": "*",
        "preAllocSize": 1024,
    }
    settings = {"forceSync": "no", "znode.container.checkIntervalMs": NEVER_MS, **settings}
    if kind == "rookery":
        config.update(settings)
        command = [places.rookery(), "keeper"]
    else:
        config.update({key: value for key, value in settings.items() if key in FILE_KEYS})
        properties = [property_of(key, value) for key, value in settings.items() if key not in FILE_KEYS]
        command = places.java("zookeeper", "org.apache.zookeeper.server.quorum.QuorumPeerMain", properties=properties)

    def answers(at):
        return probe.keeper_answers(at, config["clientPortAddress"])

    return server.Server(case, kind, name, directory, port, "zoo.cfg", config, command, answers).start()


def addresses(pair):
    return [(server.settings["clientPortAddress"], server.port) for server in pair]
