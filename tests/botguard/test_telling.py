"""What a page tells is believed where it can be true: every real rhythm is, and no poisoned one."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botguard import telling
from botguard.rhythm.summary import NAMES, VERSION, Rhythm
from botguard.telling import MOST, read
from botguard.training.traces import read_delbot
from kernel.errors import Refused
from tests.house.tree import ROOT

DELBOT = ROOT / "tests" / "data" / "delbot" / "delbot_circles.tgz"


def told(rhythm: Rhythm) -> dict[str, object]:
    """Tell a rhythm as the page does, through JSON."""
    given: dict[str, object] = json.loads(
        json.dumps({"version": VERSION, "sums": rhythm.summary(), "words": rhythm.words})
    )
    return given


def moved(moves: Sequence[tuple[float, float, float]]) -> Rhythm:
    """Give the rhythm of a movement."""
    rhythm = Rhythm()
    for t, x, y in moves:
        rhythm.move(t, x, y)
    return rhythm


@cache
def a_person() -> dict[str, object]:
    """Tell the rhythm of a recorded person who moved for a while."""
    trace = max((one for one in read_delbot(DELBOT) if not one.is_bot), key=lambda one: len(one.moves))
    return told(moved(trace.moves))


def with_sums(**changes: object) -> dict[str, object]:
    """Change some of the person's sums."""
    sums = a_person()["sums"]
    assert isinstance(sums, dict)
    return {**a_person(), "sums": {**sums, **changes}}


def without(name: str) -> dict[str, object]:
    """Leave one of the person's sums out."""
    sums = a_person()["sums"]
    assert isinstance(sums, dict)
    return {**a_person(), "sums": {other: value for other, value in sums.items() if other != name}}


BAD: Mapping[str, tuple[Callable[[], dict[str, object]], str]] = {
    "nothing": (dict, "must have version"),
    "something else as well": (lambda: {**a_person(), "trace": []}, "must have version"),
    "another version": (lambda: {**a_person(), "version": VERSION + 1}, "version must be"),
    "a version that is true": (lambda: {**a_person(), "version": True}, "version must be"),
    "sums as a list": (lambda: {**a_person(), "sums": [1] * len(NAMES)}, "each name once"),
    "a sum missing": (lambda: without("moves"), "each name once"),
    "a sum more": (lambda: with_sums(evil=1), "each name once"),
    "text for a number": (lambda: with_sums(moves="9"), "moves is no number"),
    "true for a number": (lambda: with_sums(untrusted=True), "untrusted is no number"),
    "null for a number": (lambda: with_sums(g50_jerk=None), "g50_jerk is no number"),
    "not a number": (lambda: with_sums(g50_jerk=nan), "g50_jerk is no number"),
    "infinite": (lambda: with_sums(g50_jerk=inf), "g50_jerk is no number"),
    "below zero": (lambda: with_sums(g20_change=-0.1), "g20_change is below zero"),
    "fewer than none": (lambda: with_sums(blurs=-1), "blurs is below zero"),
    "huge": (lambda: with_sums(keys=MOST + 1), "keys is too large"),
    "a whole number of many digits": (lambda: with_sums(keys=10**400), "keys is too large"),
    "half a press": (lambda: with_sums(presses=0.5), "presses is not whole"),
    "moves of no pointer": (lambda: with_sums(moves=MOST), "are not the moves"),
    "more steps than moves": (lambda: with_sums(steps=MOST), "steps is more than moves"),
    "more key pairs than keys": (lambda: with_sums(keys=1, key_pairs=2), "key_pairs is more than keys"),
    "more turns than steps": (lambda: with_sums(turn_0=MOST), "turn is more than steps"),
    "more looks than there was time for": (lambda: with_sums(g20_pairs=MOST), "g20_pairs is more than the steps"),
    "a mean change above one": (lambda: with_sums(g50_change=1e6), "g50_change is more than pairs"),
    "a lean beyond its turns": (lambda: with_sums(g100_sine=-1e6), "g100_sine is more than turns"),
    "squares below their sum": (lambda: with_sums(g50_change2=0.0), "g50_change2 is less than change"),
    "no circle": (lambda: with_sums(g50_cosine2=0.0, g50_sine2=0.0, g50_cosine=0.0, g50_sine=0.0), "are not the turns"),
    "more strokes than steps": (lambda: with_sums(strokes=MOST), "strokes are more"),
    "a stroke beyond itself": (lambda: with_sums(begin=1e6), "begin is more than strokes"),
    "stroke squares below their sum": (lambda: with_sums(straight2=0.0), "straight2 is less than straight"),
    "words as a text": (lambda: {**a_person(), "words": "0" * 16}, "words must be"),
    "too many words": (lambda: {**a_person(), "words": ["0" * 16] * 49}, "words must be"),
    "a long word": (lambda: {**a_person(), "words": ["0" * 17]}, "words must be"),
    "a word of another script": (lambda: {**a_person(), "words": ["０" * 16]}, "words must be"),
    "a word that is none": (lambda: {**a_person(), "words": [7]}, "words must be"),
    "words without a step": (lambda: {**told(Rhythm()), "words": ["0" * 16] * 4}, "words are more"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_poisoned_rhythm_is_refused_with_its_fault(name: str) -> None:
    """Not a number, below zero, huge, or impossible beside the other sums."""
    given, fault = BAD[name]

    with pytest.raises(Refused) as caught:
        read(given())

    assert caught.value.code == "rhythm-malformed"
    assert fault in str(caught.value)


def test_every_recorded_person_and_bot_is_believed() -> None:
    """What was counted by the page's own rules is never refused."""
    for trace in read_delbot(DELBOT):
        given = told(moved(trace.moves))
        assert len(read(given).sums) == len(NAMES)


PLACES = st.floats(-5000, 5000, allow_nan=False) | st.integers(-5000, 5000)
ACTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 8, 16, 16.7, 250, 251, 9000, -5]), PLACES, PLACES), max_size=60
)


@settings(max_examples=300)
@given(ACTS, st.integers(0, 5))
def test_whatever_a_hand_does_is_believed(acts: list[tuple[float, float, float]], keys: int) -> None:
    """Events in one moment, clocks that go back, jumps over the screen: the sums hold together."""
    rhythm, at = Rhythm(), 0.0
    for gap, x, y in acts:
        at += gap
        rhythm.move(at, x, y)
    for number in range(keys):
        rhythm.key(at + number * 90)

    assert read(told(rhythm)).sums["keys"] == keys


def test_the_mutant_that_bounds_nothing_takes_a_poisoned_rhythm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the sums not held against each other, a mean change of a million would reach the model."""
    monkeypatch.setattr(telling, "_impossible", lambda *_: iter(()))

    assert read(BAD["a mean change above one"][0]()).sums["g50_change"] == 1e6
