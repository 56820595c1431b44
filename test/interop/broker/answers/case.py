"""The same questions to our broker and to Apache's, in every version of every api: the answers must be the same but for
the words of error messages, the order of lists, ids and times.

`RECORD=1 TARGET=apache test/interop/run broker/answers` writes expected.txt anew."""

import os
import pathlib
import re
import subprocess

from harness import places

EXPECTED = pathlib.Path(__file__).with_name("expected.txt")

MASKS = (
    (r'error_message="[^"]+"', "error_message=TEXT"),
    (r"topic_id=[0-9a-f]{32}", "topic_id=ID"),
    (r'cluster_id="[^"]+"', "cluster_id=ID"),
    (r'member_id="asker-[^"]*"', "member_id=ID"),
    (r"(\W)port=\d+", r"\1port=PORT"),
    (r'log_dir="[^"]*"', "log_dir=DIR"),
    (r"(total|usable)_bytes=-?\d+", r"\1_bytes=N"),
    (r"error_code=(0|14) producer_id=-?\d+ producer_epoch=-?\d+", "error_code=0 or 14, producer id and epoch"),
)

# Where we differ, and why.
DIFFERENT = (
    ("validate create_topics", "no settings are listed for a topic that is not made"),
    ("defaults create_topics", "the same"),
    ("assigned create_topics", "the same"),
    ("config good create_topics", "the same"),
    ("assigned gap create_topics", "faults are found in another order"),
    ("no name no id metadata", "Apache's broker fails: UNKNOWN_SERVER_ERROR"),
    ("neither delete_topics", "Apache's broker answers TOPIC_AUTHORIZATION_FAILED, without any ACL"),
    ("op 9 incremental_alter_configs", "Apache's broker fails: UNKNOWN_SERVER_ERROR"),
    ("unknown topic describe_configs", "we say why"),
    ("epoch end offset_for_leader_epoch", "Apache's broker finds an end of epoch -2"),
)


def sources():
    """The codec and its tables; nothing else is needed."""
    subprocess.run(["make", "-s", "-C", places.TOP, "gen"], check=True, stdout=subprocess.DEVNULL)
    found = [p for folder in ("src/base", "src/wire") for p in sorted((places.TOP / folder).glob("*.c"))
             if not p.stem.endswith(("_test", "_fuzz"))]
    return found + sorted((places.TOP / "build/gen/wire/gen").glob("*.c"))


def split_items(text):
    """The items of "{..} {..} word word", each with what it holds."""
    items, depth, begin = [], 0, 0
    for at, letter in enumerate(text):
        depth += letter in "[{"
        depth -= letter in "]}"
        if letter == " " and depth == 0:
            items.append(text[begin:at])
            begin = at + 1
    return items + [text[begin:]]


def sort_lists(text):
    """Lists in the order of their items' text: Apache's come out of hash tables."""
    out, at = "", 0
    while at < len(text):
        if text[at] != "[":
            out += text[at]
            at += 1
            continue
        depth, end = 1, at + 1
        while depth > 0:
            depth += (text[end] == "[") - (text[end] == "]")
            end += 1
        inside = sort_lists(text[at + 1:end - 1])
        out += "[" + " ".join(sorted(split_items(inside))) + "]"
        at = end
    return out


def mask(line):
    for pattern, word in MASKS:
        line = re.sub(pattern, word, line)
    return sort_lists(line)


def case(t):
    keeper = t.keeper()
    broker = t.broker(keeper)
    program = t.directory / "questions"
    t.run(["cc", "-std=gnu17", "-I", places.TOP / "src", "-I", places.TOP / "build/gen", "-o", program,
           places.HERE / "broker/answers/questions.c", *sources(), "-lisal", "-lz", "-lcrypto"], "compiler")
    seen = [mask(line) for line in t.run([program, str(broker.port)], "questions", timeout_s=200)]
    if os.environ.get("RECORD"):
        EXPECTED.write_text("".join(line + "\n" for line in seen))
    expected = EXPECTED.read_text().splitlines()
    t.equal(len(seen), len(expected), "number of answers")
    for want, have in zip(expected, seen):
        if t.target == "rookery" and any(want.startswith(words) for words, _ in DIFFERENT):
            continue
        t.equal(have, want, want.split(":")[0])
    broker.check_alive()
    broker.stop()
    keeper.stop()
