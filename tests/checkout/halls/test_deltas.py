"""Deltas: the vectors of the second implementation, and what a copy makes of messages that the way mangles."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.halls import deltas
from checkout.halls.deltas import Copy, Step, Version, coalesce, mark, put, read, version, write

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "deltas.json").read_text())
SEATS = 24
BASE = Version(3, 1_800_000_000_000, 0)
CHANGES = st.dictionaries(st.integers(0, SEATS - 1), st.sampled_from([0x00, 0x01, 0x13, 0xF5]), min_size=1)

Message = tuple[Version, str]


# ------------------------------------------------------------------------------------------- vectors
@pytest.mark.parametrize("case", VECTORS["coding"], ids=lambda case: case["text"][:40])
def test_a_delta_is_written_and_read_as_the_vectors_say(case: dict[str, Any]) -> None:
    """One canonical text for the same seats, and the same seats back."""
    told = dict(case["cells"])
    assert write(told) == case["text"]
    found = {
        seat: run.byte
        for run in read(case["text"], 1000)
        for seat in range(run.first, run.first + run.length)
    }
    assert found == told


@pytest.mark.parametrize("case", VECTORS["bad"], ids=lambda case: repr(case["text"][:40]))
def test_what_is_no_delta_of_the_hall_is_refused_whole(case: dict[str, Any]) -> None:
    """It changes nothing, not even the seats before the fault."""
    octets = bytearray(case["seats"])
    with pytest.raises(ValueError, match="is not"):
        put(octets, case["text"])
    assert octets == bytes(case["seats"])


@pytest.mark.parametrize("case", VECTORS["joined"], ids=lambda case: case["text"][:40])
def test_deltas_in_a_row_are_joined_as_the_vectors_say(case: dict[str, Any]) -> None:
    """The later one counts."""
    assert coalesce(case["texts"], case["seats"]) == case["text"]


@pytest.mark.parametrize("case", VECTORS["marks"], ids=lambda case: case["mark"])
def test_a_map_has_the_mark_of_the_vectors(case: dict[str, Any]) -> None:
    """CRC-32, eight digits."""
    assert mark(bytes.fromhex(case["octets"])) == case["mark"]


@pytest.mark.parametrize("case", VECTORS["follow"], ids=lambda case: case["name"])
def test_a_copy_follows_as_the_vectors_say(case: dict[str, Any]) -> None:
    """Every message means what it means in the browser (``js/deltas.test.mjs``)."""
    copy = Copy(bytearray.fromhex(case["snapshot"]), version(case["version"]))
    met = [_step(copy, message) for message in case["messages"]]

    assert [str(step) for step in met] == case["steps"]
    assert copy.octets.hex() == case["octets"]
    assert copy.lost == case["lost"]
    assert "end" not in case or str(copy.version) == case["end"]


def _step(copy: Copy, message: dict[str, str]) -> Step:
    at = version(message["id"])
    match message.get("event"):
        case "check":
            return copy.check(at, message["data"])
        case "reset":
            return copy.take(at, deltas.RESET)
        case _:
            return copy.take(at, message["data"])


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1:2", "1:2-", "1:2-3 ", " 1:2-3", "1:2-3\n", "-1:2-3", "1:2-3-4", "1:a-3", "1;2-3", "1:2-3:4",
        "١:2-3", "1" * 16 + ":2-3", "1:" + "2" * 17 + "-3", "1:2-" + "3" * 17, "x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_version_is_refused(text: str) -> None:
    """Digits of ASCII and two marks between them, nothing more."""
    with pytest.raises(ValueError, match="is not a version"):
        version(text)


def test_versions_have_the_order_of_numbers() -> None:
    """What is later is later, also where there are more digits."""
    texts = ["1:999-0", "1:1000-0", "1:1000-2", "1:1000-10", "2:1-0"]
    assert sorted(map(version, reversed(texts))) == [version(text) for text in texts]
    assert [str(version(text)) for text in texts] == texts


def test_no_change_is_no_delta() -> None:
    """Nobody is told that nothing happened."""
    with pytest.raises(ValueError, match="nothing changed"):
        write({})


# -------------------------------------------------------------------------------------- a mangled way
class Way:
    """A hall that changes, and a way that repeats, reorders and drops what it says."""

    def __init__(self, changes: list[dict[int, int]], seed: int) -> None:
        self.dice = random.Random(seed)
        self.octets = bytearray(SEATS)
        self.messages: list[Message] = []
        at = BASE
        for change in changes:
            # Several in one millisecond, and gaps.
            late_ms = self.dice.choice((0, 0, 1, 9))
            at = Version(at.epoch, at.ms + late_ms, at.sequence + 1 if late_ms == 0 else 0)
            put(self.octets, write(change))
            self.messages.append((at, write(change)))

    @property
    def end(self) -> Version:
        """Return the hall's version."""
        return self.messages[-1][0]

    def mangled(self, *, drops: bool) -> list[Message]:
        """Return what arrives."""
        arrived = [one for one in self.messages if not (drops and self.dice.random() < 0.2)]
        for _ in range(self.dice.randrange(4)):
            if arrived:
                arrived.insert(self.dice.randrange(len(arrived) + 1), self.dice.choice(arrived))
        if len(arrived) > 1 and self.dice.random() < 0.5:
            at = self.dice.randrange(len(arrived) - 1)
            arrived[at : at + 2] = reversed(arrived[at : at + 2])
        return arrived


class Unordered(Copy):
    """Mutant: takes whatever comes, in whatever order."""

    def take(self, version: Version, text: str) -> Step:
        """Skip the check of the order."""
        put(self.octets, text)
        self.version = max(self.version, version)
        return Step.NEXT


class Unmarked(Copy):
    """Mutant: does not compare the mark."""

    def check(self, version: Version, told: str) -> Step:
        """Believe everything."""
        del version, told
        return Step.KNOWN


def follow(changes: list[dict[int, int]], seed: int, kind: type[Copy] = Copy, *, drops: bool = True) -> None:
    """Follow a mangled way from an empty hall: a copy that is not lost is the hall's.

    What was lost is fetched anew, and then it is the hall's, too.
    """
    way = Way(changes, seed)
    copy = kind(bytearray(SEATS), BASE)
    for at, text in way.mangled(drops=drops):
        copy.take(at, text)
    if drops:
        copy.check(way.end, mark(way.octets))
    if copy.lost:
        copy = kind(bytearray(way.octets), way.end)
    assert copy.octets == way.octets


@given(st.lists(CHANGES, min_size=1, max_size=12), st.integers(0, 10**6), st.booleans())
def test_a_copy_is_the_hall_or_knows_that_it_is_lost(
    changes: list[dict[int, int]], seed: int, drops: bool
) -> None:
    """Rows 72 and 116: messages that come twice, out of order or not at all leave no copy wrong for good."""
    follow(changes, seed, drops=drops)


@pytest.mark.parametrize(("kind", "drops"), [(Unordered, False), (Unmarked, True)])
def test_the_test_above_notices_a_copy_that_believes_everything(kind: type[Copy], drops: bool) -> None:
    """Mutants: no check of the order, no check of the mark."""

    def follow_many() -> None:
        dice = random.Random(7)
        for seed in range(200):
            changes = [{dice.randrange(SEATS): dice.choice((0, 1, 0x13))} for _ in range(6)]
            follow(changes, seed, kind, drops=drops)

    with pytest.raises(AssertionError):
        follow_many()


@given(st.lists(CHANGES, min_size=1, max_size=8), st.integers(0, 7))
def test_a_joined_message_is_right_for_whoever_has_a_part_of_it(
    changes: list[dict[int, int]], had: int
) -> None:
    """A delta says what seats are, so one message for all is good for a copy that had taken the first few."""
    way = Way(changes, 1)
    copy = Copy(bytearray(SEATS), BASE)
    for at, text in way.messages[:had]:
        copy.take(at, text)
    step = copy.take(way.end, coalesce([text for _, text in way.messages], SEATS))

    assert step is (Step.NEXT if had < len(way.messages) else Step.KNOWN)
    assert copy.octets == way.octets


def test_a_copy_remembers_what_it_took_within_bounds() -> None:
    """What falls out of memory counts as one that was overtaken: the copy is lost, not wrong."""
    copy = Copy(bytearray(SEATS), BASE)
    for number in range(1, deltas.REMEMBERED + 2):
        assert copy.take(Version(3, BASE.ms, number), "0=01") is Step.NEXT

    assert len(copy.taken) == deltas.REMEMBERED
    assert copy.take(Version(3, BASE.ms, 2), "0=01") is Step.KNOWN
    assert copy.take(Version(3, BASE.ms, 1), "0=01") is Step.LOST
