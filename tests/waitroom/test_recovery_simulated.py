"""A line that loses its store again and again, while people join, leave for lunch, and come back.

A small model of the whole: the pure transitions as the store, the real journal rules as the journal, workers
who remember or were restarted. Its assumptions are those of docs/recovery.md: a drain is at most a second
late, and no more join in that second than the gap covers. Then nobody loses a place and no number is
given twice. The mutants at the end show that the model can tell.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom import recovery
from waitroom.journal import GENESIS, Entry, Kind, NewEntry, chain
from waitroom.lanes import Lane, Serving
from waitroom.line import Joined, Line, call, covered, is_void, join, lift
from waitroom.recovery import (
    Memory,
    RecoveryState,
    Restoration,
    announcement,
    fell_back,
    fold,
    plan,
    raise_to,
)
from waitroom.schedule import Phase

RUN = "0011223344556677"
EMPTY = b""
MOST_JOINS = 1000
"""In a second, hence unseen; the least gap covers them."""


@dataclass(frozen=True)
class Fan:
    """Somebody with a ticket; the leaf is what the ticket says."""

    number: int
    epoch: int
    leaf: bytes


@dataclass
class Model:
    """Store, journal, workers and fans."""

    now_ms: int = 1000
    line: Line | None = None
    leaves: list[bytes] = field(default_factory=list)
    stream: list[NewEntry] = field(default_factory=list)
    saved: tuple[Line | None, list[bytes], list[NewEntry]] = (None, [], [])
    chain: list[Entry] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    fans: list[Fan] = field(default_factory=list)
    unseen: int = 0
    faults: list[str] = field(default_factory=list)
    plan: Callable[[RecoveryState | None, list[Memory], int], Restoration | None] = plan

    def __post_init__(self) -> None:
        self.line = Line(RUN, opened_ms=self.now_ms, phase_ms=self.now_ms)
        self._act(Kind.OPENED, epoch="1", opening="always", phase="serving")

    # What happens ---------------------------------------------------------------------------------

    def joins(self, count: int) -> None:
        """People join one after another; the worker remembers, the store may save a copy meanwhile."""
        self._mend()
        assert self.line is not None
        count = min(count, MOST_JOINS - self.unseen)
        self.line, joined = join(self.line, RUN, count, Lane.STANDARD, None, self.now_ms)
        assert isinstance(joined, Joined)
        self.unseen += count
        for number in joined.numbers:
            leaf = b"leaf %d" % len(self.fans)
            self.leaves += [EMPTY] * (number + 1 - len(self.leaves))
            self.leaves[number] = leaf
            self.fans.append(Fan(number, self.line.epoch, leaf))
        self.memories = [*self.memories[-2:], Memory(self.line)]

    def calls(self, share: float) -> None:
        """The pace calls more."""
        self._mend()
        assert self.line is not None
        wanted = round(self.line.issued * share)
        self.line, _ = call(
            self.line, RUN, self.line.tick_slot + 1, Serving(wanted, wanted, wanted), 60, self.now_ms
        )
        serving = {lane: str(value) for lane, value in self.line.serving._asdict().items()}
        self._act(Kind.CALLED, epoch=str(self.line.epoch), **serving)

    def drains(self) -> None:
        """Acts and leaves reach the journal."""
        if self.line is None:
            return
        self._record(*self.stream)
        self.stream = []
        if len(self.kept) < self.line.issued:
            start, count = len(self.kept), self.line.issued - len(self.kept)
            self.kept += (self.leaves + [EMPTY] * count)[start : self.line.issued]
            self._record(self._new(Kind.LEAVES, start=str(start), count=str(count)))
        self.unseen = 0

    def saves(self) -> None:
        """The store writes its file; a crash brings it back to here."""
        self.saved = (self.line, list(self.leaves), list(self.stream))

    def wipes(self) -> None:
        """The store comes back empty."""
        self.line, self.leaves, self.stream = None, [], []
        self.saves()

    def rolls_back(self) -> None:
        """The store comes back as of its last file. A worker that saw the last joins is still there."""
        if self.memories and self.memories[-1].line == self.line:
            self.line, self.leaves, self.stream = self.saved[0], list(self.saved[1]), list(self.saved[2])

    def restarts(self) -> None:
        """All workers are new and remember nothing."""
        self.memories = []

    def returns(self, share: float) -> None:
        """Somebody comes back with a ticket."""
        self._mend()
        if self.fans:
            self._look_up(self.fans[round((len(self.fans) - 1) * share)])

    # What is checked --------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """Let everybody come back in the end, and look whether all stand where they stood."""
        self._mend()
        numbers = [fan.number for fan in self.fans]
        if len(set(numbers)) != len(numbers):
            self.faults.append("a number was given twice")
        for fan in self.fans:
            self._look_up(fan)
        return self.faults

    def _look_up(self, fan: Fan) -> None:
        assert self.line is not None
        target = raise_to(self.line.issued, fan.number, 0)
        if target is not None:
            self.line, _ = lift(self.line, RUN, target, Serving(), self.now_ms)
        self.leaves += [EMPTY] * (fan.number + 1 - len(self.leaves))
        slot = self.leaves[fan.number]
        if slot == EMPTY and fan.epoch < self.line.epoch and is_void(self.line.void, fan.number):
            self.leaves[fan.number] = slot = fan.leaf
        if slot != fan.leaf:
            self.faults.append(f"number {fan.number} is not its holder's any more")

    # How it is put back -----------------------------------------------------------------------------

    def _mend(self) -> None:
        state = self._state()
        if not fell_back(self.line, state, self.memories):
            return
        before = state.serving if state else Serving()
        if self.line is not None:
            # Rolled back: what the store still has goes to the journal first.
            self.drains()
            self.memories.append(Memory(self.line))
            state = self._state()
        restoration = self.plan(state, self.memories, self.now_ms)
        assert restoration is not None
        self._record(announcement("main", restoration, "", self.now_ms))
        put = self.kept[: restoration.extent]
        self.leaves = put + self.leaves[len(put) :]
        self.line = restoration.line
        self._act(
            Kind.RESTORED, epoch=str(self.line.epoch), issued=str(self.line.issued), phase=Phase.SERVING
        )
        if any(new < old for new, old in zip(self.line.serving, before, strict=True)):
            self.faults.append("a threshold went back")
        lost = self.line.issued - len(put)
        if covered(self.line.void, len(put), self.line.issued) != lost:
            self.faults.append("a lost slot is not void")

    def _state(self) -> RecoveryState | None:
        state = fold(self.chain)
        return state and replace(state, extent=len(self.kept))

    def _new(self, kind: Kind, **body: str) -> NewEntry:
        return NewEntry(self.now_ms, "main", RUN, kind, body)

    def _act(self, kind: Kind, **body: str) -> None:
        self.stream.append(self._new(kind, **body))

    def _record(self, *entries: NewEntry) -> None:
        head = (self.chain[-1].seq, self.chain[-1].hash) if self.chain else (0, GENESIS)
        self.chain += chain(entries, *head)


Step = tuple[str, float]
NAMES = ("joins", "calls", "drains", "saves", "wipes", "rolls_back", "restarts", "returns")


def faults_of(steps: list[Step], **rules: Any) -> list[str]:
    """Run the steps and tell what went wrong; `rules` replaces single rules by mutants."""
    model = Model(**rules)
    model.drains()
    for name, share in steps:
        match name:
            case "joins":
                model.joins(round(share * MOST_JOINS))
            case "calls" | "returns":
                getattr(model, name)(share)
            case _:
                getattr(model, name)()
        model.now_ms += 300
        if model.unseen == MOST_JOINS:
            model.drains()
    return model.check()


def walk(seed: int) -> list[Step]:
    """Draw steps by chance, losses included."""
    chance = random.Random(seed)
    return [(chance.choice(NAMES), chance.choice([0.0, 0.003, 0.2, 1.0])) for _ in range(40)]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from([0.0, 0.001, 0.003, 0.3, 1.0])), max_size=30
    )
)
def test_nobody_loses_a_place_whatever_is_lost(steps: list[Step]) -> None:
    """No number twice, every ticket stands, thresholds never go back behind the journal."""
    assert faults_of(steps) == []


def test_long_walks_find_nothing() -> None:
    """The same by chance, with longer histories than Hypothesis likes to make."""
    assert [faults_of(walk(seed)) for seed in range(60)] == [[]] * 60


def _no_void(state: RecoveryState | None, memories: list[Memory], now_ms: int) -> Restoration | None:
    restoration = plan(state, memories, now_ms)
    return restoration and replace(restoration, line=replace(restoration.line, void=()))


def _journal_only(state: RecoveryState | None, _memories: list[Memory], now_ms: int) -> Restoration | None:
    bare = state and replace(state, issued=0, serving=Serving(), extent=0)
    return plan(bare, [], now_ms)


def _same_epoch(state: RecoveryState | None, memories: list[Memory], now_ms: int) -> Restoration | None:
    restoration = plan(state, memories, now_ms)
    return restoration and replace(
        restoration, line=replace(restoration.line, epoch=restoration.line.epoch - 1)
    )


@pytest.mark.parametrize(
    ("mutant", "fault"),
    [
        (_no_void, "a lost slot is not void"),
        (_journal_only, "a threshold went back"),
        (_journal_only, "a number was given twice"),
        (_same_epoch, "is not its holder's any more"),
    ],
)
def test_a_spoilt_plan_is_caught(mutant: object, fault: str) -> None:
    """No void range, witnesses not asked, an epoch used twice: each shows within sixty walks."""
    assert any(fault in text for seed in range(60) for text in faults_of(walk(seed), plan=mutant))


def test_a_plan_without_a_gap_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going on right where the witnesses end gives numbers twice."""
    monkeypatch.setattr(recovery, "gap", lambda _joins_per_s: 0)

    assert any("given twice" in text for seed in range(60) for text in faults_of(walk(seed)))
