"""The rhythm's summary: Python's and the browser's agree to the bit, and neither tells more than a rhythm."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from botguard.rhythm.summary import NAMES, Rhythm
from botguard.training.traces import DEVICES, FAMILIES, Trace, read_delbot
from tests.house.tree import ROOT
from waitroom.assets import assets

DELBOT = ROOT / "tests" / "data" / "delbot" / "delbot_circles.tgz"
SCRIPT = ROOT / "waitroom" / "static" / "rhythm.js"
REPLAY = """
import { readFileSync } from "node:fs";
const { Rhythm } = await import(process.argv[1]);
for (const trace of JSON.parse(readFileSync(0, "utf8"))) {
  const rhythm = new Rhythm();
  for (const [name, ...rest] of trace) rhythm[name](...rest);
  console.log(JSON.stringify({ ...rhythm.summary(), words: rhythm.words.join(" ") }));
}
"""


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    """Return four sessions of each device and family."""
    every = read_delbot(DELBOT)
    return [
        one for group in (*DEVICES, *FAMILIES) for one in [row for row in every if row.group == group][:4]
    ]


def in_python(events: Sequence[Sequence[object]]) -> dict[str, object]:
    """Return the summary and the words of these calls in Python."""
    rhythm = Rhythm()
    for name, *rest in events:
        if name == "move":
            t, x, y, coalesced, kind, trusted = rest
            rhythm.move(t, x, y, coalesced, kind, trusted=trusted)  # type: ignore[arg-type]
        elif name == "scroll":
            rhythm.scroll(wheel=bool(rest[0]))
        else:
            getattr(rhythm, str(name))(*rest)
    return {**rhythm.summary(), "words": " ".join(rhythm.words)}


def in_javascript(many: Sequence[Sequence[Sequence[object]]], script: str) -> list[dict[str, object]]:
    """Return the summaries of these calls by the browser's script, run by node."""
    node = shutil.which("node") or str(compute_driver_executable()[0])
    done = subprocess.run(
        [node, "--input-type=module", "-e", REPLAY, script],
        timeout=60,
        input=json.dumps(many),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def module(text: str, folder: Path) -> str:
    """Return the path of a module with this text, by whose name node knows what it is."""
    path = folder / "rhythm.mjs"
    path.write_text(text)
    return str(path)


def unlike(some: Sequence[dict[str, object]], others: Sequence[dict[str, object]]) -> set[str]:
    """Return the names of the sums that differ anywhere."""
    return {
        name
        for one, other in zip(some, others, strict=True)
        for name in one | other
        if one[name] != other[name]
    }


def calls(trace: Trace, number: int) -> list[list[object]]:
    """Return a session as calls: its moves, turned a little so that places are fractions, and other events between."""
    kind = ("mouse", "touch", "pen", "odd")[number % 4]
    shift = 0.37 * (number % 3)
    made: list[list[object]] = []
    for at, (t, x, y) in enumerate(trace.moves):
        made.append(["move", t, x + shift, y - shift / 3, at % 3, kind, at % 7 > 0])
        if at % 11 == 0:
            made += [["key", t], ["scroll", at % 2 == 0], ["press"], ["blur"]]
    return made


def test_python_and_the_browser_say_the_same(traces: list[Trace], tmp_path: Path) -> None:
    """All sums of forty sessions are equal, not nearly equal."""
    many = [calls(trace, number) for number, trace in enumerate(traces)]

    theirs = in_javascript(many, module(SCRIPT.read_text(), tmp_path))

    assert len(theirs) == len(traces) == 40
    assert unlike(theirs, [in_python(one) for one in many]) == set()
    assert list(theirs[0]) == [*NAMES, "words"]
    assert sum(len(str(one["words"]).split()) for one in theirs) > 20


def test_a_script_that_rounds_elsewhere_is_found(traces: list[Trace], tmp_path: Path) -> None:
    """The mutant: one sum of the browser's is grouped otherwise, and the comparison fails."""
    text = SCRIPT.read_text()
    mutant = text.replace("ux - 2 * vx + wx", "(ux - vx) - (vx - wx) * 1.0000001")
    assert mutant != text
    many = [calls(trace, number) for number, trace in enumerate(traces)]

    assert unlike(in_javascript(many, module(mutant, tmp_path)), [in_python(one) for one in many]) > {
        "g20_jerk",
        "g50_jerk",
    }


def test_nothing_but_a_rhythm_leaves_the_page(traces: list[Trace]) -> None:
    """A summary has the same size after ten moves and after thousands, and a shift of the page changes nothing."""
    long = Rhythm()
    for at, (_, x, y) in enumerate([move for trace in traces for move in trace.moves]):
        long.move(16.0 * at, x, y)
    moves = traces[8].moves
    here, there = Rhythm(), Rhythm()
    for t, x, y in moves:
        here.move(t, x, y)
        there.move(t + 4096, x + 512, y + 64)

    assert len(long.summary()) == len(NAMES)
    assert len(long.words) == 48
    ours, theirs = here.summary(), there.summary()
    assert [name for name in NAMES if abs(ours[name] - theirs[name]) > 1e-6] == []


def test_which_key_it_was_is_never_read() -> None:
    """The script takes no key, no code and no text of an event."""
    text = SCRIPT.read_text()

    assert not any(word in text for word in (".key)", "event.key", ".code", ".value", ".data", "textContent"))
    assert len(text.encode()) <= 10_000
    served = assets()
    assert sum(len(served[name].body) for name in ("rhythm.js", "settle.js")) <= 10_000


def test_events_out_of_order_and_at_the_same_moment_do_no_harm() -> None:
    """A clock that goes back, moves at one moment, and a page on which nothing moves."""
    rhythm = Rhythm()
    for at in range(40):
        rhythm.move(100.0, float(at), 0.0)
    rhythm.move(50.0, 3.0, 3.0)

    assert rhythm.summary()["moves"] == 41
    assert Rhythm().summary() == dict.fromkeys(NAMES, 0)
