"""Rules: the plainest bots break one, no recorded person does."""

import pytest

from botguard.rhythm.summary import Rhythm
from botguard.rules import Plain, plain
from botguard.training.traces import Move, read_chromium, read_delbot
from tests.house.tree import ROOT


def broken(moves: list[Move], *, trusted: bool = True) -> list[Plain]:
    """Return the rules that a session breaks."""
    rhythm = Rhythm()
    for t, x, y in moves:
        rhythm.move(t, x, y, trusted=trusted)
    return plain(rhythm.summary())


def test_an_even_line_breaks_the_rules() -> None:
    """The same step again and again: steady, straight, the same."""
    line = [(16.0 * at, 3.0 * at, 2.0 * at) for at in range(100)]

    assert broken(line) == [Plain.STEADY, Plain.SAME_STEPS, Plain.STRAIGHT]
    assert broken(line[:30]) == []
    assert broken(line[:3], trusted=False) == [Plain.UNTRUSTED]


def test_no_recorded_person_breaks_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """955 sessions of people on six devices, none suspected; the mutant that is less patient suspects some."""
    people = [one for one in read_delbot(ROOT / "tests/data/delbot/delbot_circles.tgz") if not one.is_bot]

    assert {one.name: found for one in people if (found := broken(list(one.moves)))} == {}

    monkeypatch.setattr("botguard.rules.STEADY_CHANGE", 0.2)
    assert any(broken(list(one.moves)) for one in people)


def test_scripts_that_go_straight_in_chromium_are_found() -> None:
    """Nine of ten sessions of the script `linear`, recorded in a real Chromium, break a rule."""
    scripts = [
        one for one in read_chromium(ROOT / "tests/data/chromium_bots/bots.jsonl.gz") if one.group == "linear"
    ]

    found = [bool(broken(list(one.moves))) for one in scripts]

    assert sum(found) >= 0.9 * len(found)


def test_mouse_keys_of_a_system_break_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly straight along an axis and a diagonal, as no recorded person goes; the mutant takes them for a script."""
    right = [(16.0 * at, 3.0 * at, 300.0) for at in range(60)]
    down = [(2_000 + 16.0 * at, 180.0 + 3.0 * at, 300.0 + 3.0 * at) for at in range(60)]
    assert broken([*right, *down]) == []

    monkeypatch.setattr("botguard.rules.LEVEL_RATIO", 2.0)
    assert broken([*right, *down]) == [Plain.STEADY, Plain.SAME_STEPS, Plain.STRAIGHT]


def test_keys_along_diagonals_alone_break_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight and whole, at a pace that grows; a script goes so between pixels. The mutant knows no pixels."""
    keys, t, at = [], 0.0, 300.0
    for step in range(80):
        t, at = t + 1_000 / 60, at + min(1 + step // 4, 8)
        keys.append((t, at, at))
    assert broken(keys) == []
    assert broken([(t, x + 0.3, y + 0.7) for t, x, y in keys]) == [Plain.STRAIGHT]

    monkeypatch.setattr("botguard.rules.WHOLE_RATIO", 2.0)
    assert broken(keys) == [Plain.STRAIGHT]
