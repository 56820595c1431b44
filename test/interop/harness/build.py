"""Builds the peers' programs with their own compilers, below build/interop, when their sources are newer."""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess

from . import places
from .process import Failure


def _run(command, directory=None):
    done = subprocess.run([str(word) for word in command], cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


class _Lock:
    """Two cases may want one program at the same time: the second waits for the first one's build."""

    def __enter__(self):
        places.BUILD.mkdir(parents=True, exist_ok=True)
        self._file = open(places.BUILD / "lock", "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self._file.close()


def _is_fresh(stamp, *sources):
    return stamp.exists() and all(s.stat().st_mtime < stamp.stat().st_mtime for s in sources)


def _place(source, suffix=""):
    return places.BUILD / (str(pathlib.Path(source).with_suffix("")).replace("/", "-") + suffix)


def java(source, jars):
    """Compiles one file against a class path; returns the directory of its classes."""
    classes = _place(source, f"-{jars}")
    stamp = classes / "stamp"
    jar_stamp = places.CACHE / "stamp" / f"jars-{jars}"
    with _Lock():
        if not _is_fresh(stamp, places.HERE / source, jar_stamp):
            shutil.rmtree(classes, ignore_errors=True)
            classes.mkdir(parents=True)
            _run(["javac", "-nowarn", "-proc:none", "-cp", places.class_path(jars), "-d", classes, places.HERE / source])
            stamp.touch()
    return classes


def java_sources(name, sources, jars):
    """Compiles some files together against some class paths; returns the directory of their classes."""
    classes = _place(name.replace("/", "-"), "-java")
    stamp = classes / "stamp"
    with _Lock():
        if not _is_fresh(stamp, *(places.HERE / source for source in sources),
                         *(places.CACHE / "stamp" / f"jars-{jar}" for jar in jars)):
            shutil.rmtree(classes, ignore_errors=True)
            classes.mkdir(parents=True)
            _run(["javac", "-nowarn", "-proc:none", "-cp", ":".join(places.class_path(jar) for jar in jars), "-d", classes,
                  *(places.HERE / source for source in sources)])
            stamp.touch()
    return classes


def go(source):
    """Builds one file inside the module that holds the Go peers; returns the program."""
    program = _place(source)
    with _Lock():
        if not _is_fresh(program, places.HERE / source, places.CACHE / "stamp" / "go"):
            home = places.CACHE / "go" / program.name
            home.mkdir(parents=True, exist_ok=True)
            shutil.copy(places.HERE / source, home / "main.go")
            _run([places.go(), "build", "-mod=mod", "-o", program, f"./{program.name}"], places.CACHE / "go")
    return program


def go_test(package):
    """Builds a Go peer's own tests; returns the program."""
    program = _place("go-test/" + package.replace(".", "-"))
    with _Lock():
        if not _is_fresh(program, places.CACHE / "stamp" / "go"):
            _run([places.go(), "test", "-mod=mod", "-c", "-o", program, package], places.CACHE / "go")
    return program


def go_package(package):
    """Builds a program that the Go peers ship; returns it."""
    program = _place("go-program/" + package.replace(".", "-"))
    with _Lock():
        if not _is_fresh(program, places.CACHE / "stamp" / "go"):
            _run([places.go(), "build", "-mod=mod", "-o", program, package], places.CACHE / "go")
    return program


def _go_source(package):
    """Where the source of a Go peer is."""
    return pathlib.Path(_run([places.go(), "list", "-mod=mod", "-m", "-f", "{{.Dir}}", package], places.CACHE / "go").strip())


def go_tests_of(package, files):
    """The tests in those files of a Go peer."""
    texts = [path.read_text() for path in sorted(_go_source(package).glob(files))]
    return [name for text in texts for name in re.findall(r"^func (Test\w+)\(t \*testing\.T\)", text, re.MULTILINE)]


def go_test_changed(package, file, old, new, tags=""):
    """The same as go_test with one change to one file of it, made in a copy."""
    program = _place("go-test/" + package.replace(".", "-") + "-changed")
    with _Lock():
        if not _is_fresh(program, places.CACHE / "stamp" / "go"):
            copy = program.parent / (program.name + "-source")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(_go_source(package), copy, copy_function=shutil.copyfile)
            for directory in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
                directory.chmod(0o755)
            text = (copy / file).read_text()
            if text.count(old) != 1:
                raise Failure(f"{package}: {file} does not hold once: {old}")
            (copy / file).write_text(text.replace(old, new))
            _run([places.go(), "test", f"-tags={tags}", "-c", "-o", program, "."], copy)
    return program


def c(source):
    """Builds one file against Apache's C client."""
    program = _place(source)
    with _Lock():
        if not _is_fresh(program, places.HERE / source):
            _run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-DTHREADED", "-o", program, places.HERE / source,
                  "-lzookeeper_mt", "-lpthread"])
    return program


def zookeeper_c_tests(server):
    """Builds the tests of Apache's C client from Debian's source; `server` starts and stops their server.

    Returns the program and the directory of its sources.
    """
    home = places.BUILD / "zookeeper-c-tests"
    source = home / "source" / "zookeeper-client" / "zookeeper-client-c"
    program = home / "build" / "zktest"
    with _Lock():
        if not _is_fresh(program, places.CACHE / "stamp" / "source-zookeeper", server):
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(places.CACHE / "source" / "zookeeper", home / "source", symlinks=True)
            shutil.copy(server, source / "tests" / "zkServer.sh")
            (source / "generated").mkdir(exist_ok=True)
            _run(places.java("zookeeper", "org.apache.jute.compiler.generated.Rcc", "-l", "c",
                             home / "source" / "zookeeper-jute/src/main/resources/zookeeper.jute"), source / "generated")
            _run(["cmake", "-S", source, "-B", program.parent, "-DWITH_OPENSSL=OFF", "-DWITH_CYRUS_SASL=OFF",
                  "-DCMAKE_POLICY_VERSION_MINIMUM=3.5", "-DCMAKE_C_FLAGS=-w", "-DCMAKE_CXX_FLAGS=-w -include time.h"])
            _run(["make", "-C", program.parent, "-j2", "zktest"])
    return program, source


def librdkafka_tests():
    """Builds librdkafka's tests from Debian's source; returns the program and the directory of its sources."""
    source = places.CACHE / "source" / "librdkafka"
    home = places.BUILD / "librdkafka-tests"
    program = home / "tests" / "test-runner"
    with _Lock():
        if not _is_fresh(program, places.CACHE / "stamp" / "source-librdkafka"):
            shutil.rmtree(home, ignore_errors=True)
            _run(["cmake", "-S", source, "-B", home, "-DRDKAFKA_BUILD_TESTS=ON", "-DRDKAFKA_BUILD_EXAMPLES=OFF", "-DWITH_CURL=OFF",
                  "-DWITH_SASL=OFF", "-DCMAKE_POLICY_VERSION_MINIMUM=3.5", "-DCMAKE_C_FLAGS=-w",
                  # Topics are named by __FILE__, which their own build has without a directory.
                  f"-DCMAKE_CXX_FLAGS=-w -DWITH_RAPIDJSON=1 -fmacro-prefix-map={source}/tests/= "
                  f"-fmacro-prefix-map={os.path.relpath(source, home / 'tests')}/tests/="])
            _run(["make", "-C", home, "-j2", "test-runner"])
    return program, source


def node(source):
    """Node finds packages beside the program that asks for them, so the program is copied there."""
    home = places.CACHE / "node" / _place(source, ".js").name
    with _Lock():
        if not _is_fresh(home, places.HERE / source):
            shutil.copy(places.HERE / source, home)
            home.touch()
    return ["node", home]
