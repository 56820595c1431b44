"""Where everything is: the tree, the cache of peers, the class paths, and which server is under test."""

import importlib.util
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent.parent
TOP = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("ROOKERY_INTEROP_CACHE") or TOP / "build" / "interop-cache").resolve()
BUILD = TOP / "build" / "interop"

# Small heaps and the first compiler only: these JVMs live for seconds.
JVM_FLAGS = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]


def target():
    """Who is under test: `rookery`, or `apache`, which shows that the cases themselves are right."""
    name = os.environ.get("TARGET", "rookery")
    if name not in ("rookery", "apache"):
        raise SystemExit(f"interop: TARGET={name}: expected rookery or apache")
    return name


def wants_all():
    """Whether what takes long is run, too."""
    return os.environ.get("ALL", "") not in ("", "0")


def rookery():
    """The program under test: $ROOKERY, or the newest build in the tree."""
    named = os.environ.get("ROOKERY")
    if named:
        return pathlib.Path(named).resolve()
    built = [p for p in (TOP / "build" / kind / "rookery" for kind in ("release", "debug")) if p.exists()]
    return max(built, key=lambda p: p.stat().st_mtime) if built else TOP / "build" / "release" / "rookery"


def versions():
    """The table `versions` as {name: version}."""
    lines = (HERE / "versions").read_text().splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {row[0]: row[1] for row in rows}


def go():
    """The Go that `install` fetched because the machine's is too old, else the machine's."""
    fetched = CACHE / "toolchain" / "bin" / "go"
    return fetched if fetched.exists() else "go"


def class_path(name):
    """A Java class path: `zookeeper`, `curator`, `kafka2`, `kafka3` or `kafka4`."""
    return f"{CACHE / 'jars' / name}/*"


def load_case(name):
    """The module of a case, for those that share its parts."""
    path = HERE / name / "case.py"
    if not path.exists():
        path = HERE / f"{name}.py"
    spec = importlib.util.spec_from_file_location("case", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def java(jars, main, *arguments, classes=None, properties=(), logs=None):
    """The command line that runs a Java class of a class path."""
    path = class_path(jars) if classes is None else f"{classes}:{class_path(jars)}"
    quiet = [
        f"-Dlogback.configurationFile={HERE / 'jars' / (logs or 'logback')}.xml",
        f"-Dlog4j.configuration=file:{HERE / 'jars' / (logs or 'log4j')}.properties",
    ]
    return ["java", *JVM_FLAGS, *quiet, *properties, "-cp", path, main, *[str(a) for a in arguments]]
