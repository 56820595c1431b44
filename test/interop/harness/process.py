"""A child process whose output is kept in a file and can be waited for, line by line."""

import os
import signal
import subprocess
import threading
import time


class Failure(Exception):
    """The case cannot go on; the text says what was expected and what was seen."""


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

    def next_line(self, timeout_s):
        """The next line of output not yet taken, or None at its end. Failure when none comes in time."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while self._mark >= len(self.lines):
                if self._ended:
                    return None
                left = until - time.monotonic()
                if left <= 0:
                    raise Failure(f"{self.name}: silent for {timeout_s} s")
                self._changed.wait(left)
            self._mark += 1
            return self.lines[self._mark - 1]

    def wait_line(self, matches, timeout_s, what):
        """Takes lines until one satisfies `matches`, and returns it."""
        until = time.monotonic() + timeout_s
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise Failure(f"{self.name}: no {what} within {timeout_s} s")
            try:
                line = self.next_line(left)
            except Failure:
                raise Failure(f"{self.name}: no {what} within {timeout_s} s") from None
            if line is None:
                raise Failure(f"{self.name}: ended (status {self.wait(5)}) before {what}")
            if matches(line):
                return line

    def wait(self, timeout_s):
        """Its exit status, negative for a signal. Failure when it does not end in time."""
        try:
            status = self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: still running after {timeout_s} s") from None
        self._reader.join(5)
        return status

    def end(self, grace_s=10):
        """SIGTERM, then SIGKILL after the grace. Its exit status."""
        if self.is_alive():
            self.child.terminate()
            try:
                self.child.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.wait(10)

    def kill(self):
        """SIGKILL: it gets no chance to say goodbye."""
        if self.is_alive():
            self.child.send_signal(signal.SIGKILL)
        return self.wait(10)
