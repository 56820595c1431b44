"""What a case does with a program that goes on beside it, harness/load.py or another: starts it, waits until it gets on, and has it say
in the end what was broken."""


class Program:
    """Says `running`, answers `count`, and after `stop` says `not ok WHAT`, `ok WHAT` and `figures WHAT`."""

    def __init__(self, t, name, command):
        self.t = t
        self.name = name
        self.process = t.spawn(command, name)
        self.process.wait_line(lambda line: line == "running", 60, "a running load")

    def count(self):
        self.process.send("count")
        return int(self.process.wait_line(lambda line: line.startswith("count "), 30, "a count").split()[1])

    def wait_progress(self, count=100, timeout_s=60):
        """Until it counts so many more."""
        wanted = self.count() + count
        self.t.wait_until(lambda: self.count() >= wanted, f"{self.name} gets on by {count}", timeout_s)

    def end(self, timeout_s=180):
        """Stops it; the lines by which it says what was broken, having asked every server."""
        self.process.send("stop")
        broken = []
        while (line := self.process.next_line(timeout_s)) is not None:
            if line.startswith("not ok "):
                broken.append(line.removeprefix("not ok "))
            elif line.startswith("figures "):
                self.t.say(f"{self.name}: {line.removeprefix('figures ')}")
        status = self.process.wait(30)
        self.t.check(status == 0, f"{self.name} ends by itself", f"status {status}, see {self.process.path.with_suffix('.err')}")
        return broken

    def finish(self):
        """Every promise was kept."""
        for line in self.end():
            self.t.check(False, f"{self.name}: {line}")


class Load(Program):
    def __init__(self, t, addresses, timeout_s=100, seed=1, sync="strong"):
        super().__init__(t, "load", t.python_program("harness/load.py", addresses, timeout_s, seed, sync))

    def pause(self):
        """Until nothing is under way; no member gets a write before `resume`."""
        self.process.send("pause")
        self.process.wait_line(lambda line: line == "paused", 60, "a load at rest")

    def resume(self):
        self.process.send("resume")
