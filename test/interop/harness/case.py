"""What a case is handed: a directory, ports, servers, the peers' programs, and a way to say what holds and what does not."""

import contextlib
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import time

from . import build, places, server
from .process import Failure, Process, deadline, patient

# Below the range from which the system takes the ports of outgoing connections, and above those that suites take by themselves.
PORT_FIRST, PORT_LAST = 23000, 31999


class Case:
    """One case while it runs. A check that fails is noted and the case goes on; `Failure` ends it."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.target = places.target()
        self.passed = 0
        self.failures = []
        self._processes = []
        self._counts = {}
        self._held = {}
        self._began = time.monotonic()

    # Words.

    def say(self, text):
        print(f"{time.monotonic() - self._began:7.2f}  {text}", flush=True)

    def check(self, condition, what, detail=""):
        """Notes that `what` holds, or that it does not."""
        if condition:
            self.passed += 1
        else:
            self.failures.append(what)
            self.say(f"NOT OK {what}" + (f": {detail}" if detail != "" else ""))
        return bool(condition)

    def equal(self, seen, expected, what):
        return self.check(seen == expected, what, f"expected {expected!r}, saw {seen!r}")

    def need(self, condition, what, detail=""):
        """A check without which the rest makes no sense."""
        if not self.check(condition, what, detail):
            raise Failure(what)

    def wait_until(self, condition, what, timeout_s=20):
        """Polls until the condition holds, and returns what it returned."""
        until = deadline(timeout_s)
        while time.monotonic() < until:
            value = condition()
            if value:
                self.passed += 1
                return value
            time.sleep(0.05)
        raise Failure(f"{what}: not within {patient(timeout_s)} s")

    @contextlib.contextmanager
    def part(self, what):
        """A part that does not keep others from being tried when it fails; what it has started ends with it."""
        first = len(self._processes)
        try:
            yield
        except Failure as failure:
            self.check(False, f"{what}: {failure}")
        finally:
            for process in reversed(self._processes[first:]):
                if process.is_alive():
                    process.kill()

    # Servers.

    def port(self):
        """A port that stays this case's, also while its server is down.

        A socket that is bound and does not listen holds it: another case cannot bind it, as it takes it to be in use; servers can,
        as they allow the address to be used again.
        """
        for _ in range(1000):
            port = random.randint(PORT_FIRST, PORT_LAST)
            if port in self._held:
                continue
            holder = socket.socket()
            try:
                holder.bind(("127.0.0.1", port))
            except OSError:
                holder.close()
                continue
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held[port] = holder
            return port
        raise Failure("no free port")

    def keeper(self, kind=None, name="keeper", **settings):
        """A running keeper: the one under test, unless `kind` says whose."""
        return server.keeper(self, kind or self.target, name, self.directory / name, self.port(), **settings).start()

    def broker(self, keeper, kind=None, name="broker", **settings):
        """A running broker on a running keeper: the one under test, unless `kind` says whose."""
        address = keeper if isinstance(keeper, str) else keeper.address
        return server.broker(self, kind or self.target, name, self.directory / name, self.port(), address,
                             **settings).start()

    # Programs.

    def own(self, process):
        self._processes.append(process)
        return process

    def _name(self, name):
        self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name}-{self._counts[name]}"

    def spawn(self, command, name, env=None, stdin=True):
        """Starts a peer's program."""
        return self.own(Process(command, self.directory, self._name(name), env, stdin))

    def run(self, command, name, timeout_s=60, status=0, env=None, feed=None):
        """Runs a program to its end and returns its lines of output. Another status than `status` is a Failure."""
        process = self.spawn(command, name, env)
        try:
            if feed is not None:
                process.child.stdin.write(feed.encode() if isinstance(feed, str) else feed)
            process.close_input()
        except BrokenPipeError:
            pass
        seen = process.wait(timeout_s)
        if status is not None and seen != status:
            raise Failure(f"{process.name}: status {seen}, expected {status}: "
                          f"{' | '.join(process.lines[-5:])} {tail(process.path.with_suffix('.err'))}")
        return process.lines

    def drive(self, command, name, answers=None, timeout_s=120, silent_s=60):
        """Runs a program of checks to its end.

        It says `ok WHAT` or `not ok WHAT`, and may ask for help: `ask WORD` calls answers[WORD]() and
        writes one line back when that is done.
        """
        process = self.spawn(command, name)
        until = deadline(timeout_s)
        before = self.passed
        while (line := process.next_line(silent_s, until)) is not None:
            if line.startswith("ok "):
                self.passed += 1
            elif line.startswith("not ok "):
                self.check(False, line.removeprefix("not ok "))
            elif line.startswith("ask "):
                word, *rest = line.removeprefix("ask ").split(" ")
                answer = (answers or {})[word](*rest)
                process.send(str(answer) if answer is not None else "done")
        status = process.wait(20)
        self.check(status == 0, f"{name} ends with status 0", f"saw {status} {tail(process.path.with_suffix('.err'))}")
        self.say(f"{name}: {self.passed - before} checks passed")
        self.check(self.passed > before + 1, f"{name} checked something")

    # The peers' languages. Each takes a source below test/interop and returns a command line.

    def java(self, jars, main, *arguments):
        """A class of a fetched class path."""
        return places.java(jars, main, *arguments)

    def java_program(self, source, jars, *arguments):
        classes = build.java(source, jars)
        return places.java(jars, pathlib.Path(source).stem, *arguments, classes=classes)

    def python_program(self, source, *arguments):
        return [places.CACHE / "venv" / "bin" / "python", "-u", places.HERE / source, *arguments]

    def node_program(self, source, *arguments):
        return [*build.node(source), *arguments]

    def go_program(self, source, *arguments):
        return [build.go(source), *arguments]

    def c_program(self, source, *arguments):
        return [build.c(source), *arguments]

    # The end.

    def finish(self):
        """Ends what is left, peers before servers, and says whether the case passed."""
        for process in reversed(self._processes):
            process.end(grace_s=5)
        return not self.failures and self.passed > 0


def tail(path, count=3):
    """The last lines of a file, in one line."""
    try:
        return " | ".join(path.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""


def execute(name, directory):
    """Runs one case in this process; True when it passed."""
    module = places.load_case(name)
    case = Case(name, directory)
    try:
        module.case(case)
    except Failure as failure:
        case.check(False, str(failure))
    except Exception as error:  # A bug of the case is a failure like any other, with its trace.
        import traceback

        traceback.print_exc(file=sys.stdout)
        case.check(False, f"the case itself: {error!r}")
    passed = case.finish()
    case.say(f"{case.passed} checks passed, {len(case.failures)} failed")
    return passed
