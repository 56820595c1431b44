"""Our tables against the classes that Apache's clients are made with: random messages of every api and version are
decoded and encoded again there, and come back byte for byte."""

import subprocess

from harness import places


def sources():
    """The codec and its tables; nothing else is needed."""
    subprocess.run(["make", "-s", "-C", places.TOP, "gen"], check=True, stdout=subprocess.DEVNULL)
    found = [p for folder in ("src/base", "src/wire") for p in sorted((places.TOP / folder).glob("*.c"))
             if not p.stem.endswith(("_test", "_fuzz"))]
    return found + sorted((places.TOP / "build/gen/wire/gen").glob("*.c"))


def case(t):
    program = t.directory / "random_messages"
    t.run(["cc", "-std=c17", "-I", places.TOP / "src", "-I", places.TOP / "build/gen", "-o", program,
           places.HERE / "broker/wire/random_messages.c", *sources(), "-lisal", "-lz", "-lcrypto"], "compiler")
    messages = "\n".join(t.run([program], "messages")) + "\n"
    for jars, at_least in (("kafka3", 4000), ("kafka4", 3500)):
        lines = t.run(t.java_program("broker/wire/RoundTrip.java", jars), jars, feed=messages)
        for line in lines:
            if line.startswith("fault"):
                t.check(False, f"{jars}: a message comes back as it was", line[:300])
        t.check(int(lines[-1].split()[1]) >= at_least, f"{jars}: {lines[-1]}")
