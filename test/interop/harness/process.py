"""A child process whose output is kept in a file and can be waited for, line by line."""

import math
import os
import signal
import subprocess
import threading
import time

# Limits of waits are written as for a machine that has little else to do. A wait that is met ends at once, so that each gets
# this many times as long before something counts as missing.
PATIENCE = 4


class Failure(Exception):
    """The case cannot go on; the text says what was expected and what was seen."""


def patient(timeout_s):
    return timeout_s * PATIENCE


def deadline(timeout_s):
    """When a wait is given up that a quiet machine ends within timeout_s, on the monotonic clock."""
    return time.monotonic() + patient(timeout_s)


class Process:
    """One child. Standard output is read into `lines`; both outputs are kept in the case's directory.

    It dies with the case: every child stays in the case's process group, which the runner ends.
    """

    def __init__(self, command, directory, name, env=None, stdin=False):
        self.name = name
        self.path = directory / f"{name}.out"
        self.lines = []
        self._mark = 0
        self._changed = threading.Condition()
        self._ended = False
        self._errors = open(directory / f"{name}.err", "ab")
        self._output = open(self.path, "ab")
        self.child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=directory,
            env={**os.environ, **(env or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self.child.stdout:
            self._output.write(raw)
            self._output.flush()
            with self._changed:
                self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self):
        return self.child.pid

    def is_alive(self):
        return self.child.poll() is None

    def send(self, line):
        """Writes one line to its standard input."""
        self.child.stdin.write((line + "\n").encode())
        self.child.stdin.flush()

    def close_input(self):
        self.child.stdin.close()

    def next_line(self, timeout_s, until=math.inf):
        """The next line of output not yet taken, or None at its end. Failure when none comes in time, or `until` has passed."""
        if time.monotonic() > until:
            raise Failure(f"{self.name}: speaks, but does not end")
        return self._next_line(min(until, deadline(timeout_s)), f"silent for {patient(timeout_s)} s, or too late")

    def _next_line(self, until, complaint):
        with self._changed:
            while self._mark >= len(self.lines):
                if self._ended:
                    return None
                left = until - time.monotonic()
                if left <= 0:
                    raise Failure(f"{self.name}: {complaint}")
                self._changed.wait(left)
            self._mark += 1
            return self.lines[self._mark - 1]

    def wait_line(self, matches, timeout_s, what):
        """Takes lines until one satisfies `matches`, and returns it."""
        until = deadline(timeout_s)
        while True:
            line = self._next_line(until, f"no {what} within {patient(timeout_s)} s")
            if line is None:
                raise Failure(f"{self.name}: ended (status {self.wait(5)}) before {what}")
            if matches(line):
                return line

    def wait(self, timeout_s):
        """Its exit status, negative for a signal. Failure when it does not end in time."""
        try:
            status = self.child.wait(patient(timeout_s))
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: still running after {patient(timeout_s)} s") from None
        self._reader.join(patient(5))
        return status

    def end(self, grace_s=10):
        """SIGTERM, then SIGKILL after the grace. Its exit status."""
        if self.is_alive():
            self.child.terminate()
            try:
                self.child.wait(patient(grace_s))
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.wait(10)

    def kill(self):
        """SIGKILL: it gets no chance to say goodbye."""
        if self.is_alive():
            self.child.send_signal(signal.SIGKILL)
        return self.wait(10)
