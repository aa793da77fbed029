"""The line: numbers given in the order of asking, and the thresholds up to which they are called.

One line serves one run (one opening) of a room. Its state is a counter, three thresholds and, where
there was a draw, a seed: the places themselves are in the visitors' hands (``ticket``). Every function
below is one transition. The file of the same name in ``lua/`` does the same in the store, with the same
result words; ``tests/waitroom/test_line_agrees.py`` proves that the two agree on a real server.

Void ranges are numbers that nobody was given (the safety gap after a lost store). They are half-open,
sorted and never overlap. Not here: how many to call (``admission.pace``), when phases change
(``schedule``), what a rank means to a visitor (``standing``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kernel.clock import later
from waitroom.census import Asked, one_in, round_ms, round_of
from waitroom.lanes import Lane, Serving, at_most, highest, ordered
from waitroom.schedule import CHANGES, Phase
from waitroom.wait import poll_cap_s

Void = tuple[tuple[int, int], ...]

CHUNK = 65_536
"""Leaves in one string of the store; created at full length, because growing strings waste memory."""

LEAF_BYTES = 16


@dataclass(frozen=True, slots=True)
class Line:
    """What the store knows of a run. `version` grows with every change that the public can see."""

    run: str
    epoch: int = 1
    version: int = 1
    phase: Phase = Phase.SERVING
    opening: str = "always"
    issued: int = 0
    void: Void = ()
    serving: Serving = field(default_factory=Serving)
    joined_verified: int = 0
    joined_suspect: int = 0
    frozen: int | None = None
    root: str = ""
    seed: str = ""
    commitment: str = ""
    opened_ms: int = 0
    phase_ms: int = 0
    last_ms: int = 0
    tick_slot: int = 0
    shown_issued: int = 0
    shown_ms: int = 0
    plan_per_minute: int = 0

    @property
    def waiting(self) -> int:
        """Count numbers not yet called in the standard lane, void ones left out."""
        called = self.serving.standard
        return self.issued - called - covered(self.axis_void, called, self.issued)

    @property
    def waits_for_draw(self) -> bool:
        """Tell whether a draw was promised and has not been held yet."""
        return self.phase is Phase.GATHERING and self.commitment != "" and self.seed == ""

    @property
    def axis_void(self) -> Void:
        """Void ranges as they stand on the rank axis: below the freeze, ranks are not numbers."""
        since = self.frozen or 0
        return tuple((max(start, since), stop) for start, stop in self.void if stop > since)

    @property
    def shown_waiting(self) -> int:
        """The same as of the last tick: what the status document says, alike in every worker."""
        called = self.serving.standard
        return max(0, self.shown_issued - called - covered(self.axis_void, called, self.shown_issued))


@dataclass(frozen=True, slots=True)
class Opened:
    """A new run began."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Somebody else was faster; look again before deciding again."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Numbers for the first joins of the batch, in its order; the rest found the room full."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """The room takes nobody in this phase."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Called:
    """The thresholds as they now stand."""

    serving: Serving


@dataclass(frozen=True, slots=True)
class Late:
    """This slot of time was already decided."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The draw is over these numbers: all below `count`."""

    count: int


@dataclass(frozen=True, slots=True)
class Done:
    """The change is in force."""


JOINABLE = frozenset({Phase.GATHERING, Phase.SERVING})
TICKING = frozenset({Phase.GATHERING, Phase.SERVING})


def covered(void: Void, start: int, stop: int) -> int:
    """Count the void numbers in [start, stop)."""
    return sum(max(0, min(stop, to) - max(start, since)) for since, to in void)


def is_void(void: Void, number: int) -> bool:
    """Tell whether nobody was given this number in the ordinary way."""
    return any(since <= number < to for since, to in void)


def without_void(leaves: bytes, start: int, void: Void) -> bytes:
    """Return leaves, the first of which is that of number `start`, with zero bytes in all void slots."""
    shown = bytearray(leaves)
    stop = start + len(leaves) // LEAF_BYTES
    for since, to in void:
        first, last = max(since, start), min(to, stop)
        if first < last:
            shown[(first - start) * LEAF_BYTES : (last - start) * LEAF_BYTES] = bytes(
                (last - first) * LEAF_BYTES
            )
    return bytes(shown)


def skip_void(void: Void, rank: int) -> int:
    """Jump to the end of the void range that `rank` stands in, if any."""
    for since, to in void:
        if since <= rank < to:
            return to
    return rank


def open_run(
    line: Line | None, seen: str, run: str, opening: str, phase: Phase, commitment: str, now_ms: int
) -> tuple[Line | None, Opened | Stale]:
    """Begin a new run if the run that the caller saw (`seen`, '' for none) is still the current one.

    The epoch goes on counting over runs, so that documents of two runs never share (epoch, version).
    """
    if (line.run if line else "") != seen:
        return line, Stale()
    epoch = line.epoch + 1 if line else 1
    now_ms = max(now_ms, line.last_ms) if line else now_ms
    return (
        Line(
            run=run,
            epoch=epoch,
            opening=opening,
            phase=phase,
            commitment=commitment,
            opened_ms=now_ms,
            phase_ms=now_ms,
            last_ms=now_ms,
            shown_ms=now_ms,
        ),
        Opened(),
    )


def turn(line: Line, run: str, before: Phase, after: Phase, now_ms: int) -> tuple[Line, Done | Stale]:
    """Change the phase from `before` to `after`, once. Raises ValueError for a change not in the table."""
    if after not in CHANGES[before]:
        message = f"a room never goes from {before} to {after}"
        raise ValueError(message)
    if line.run != run or line.phase is not before:
        return line, Stale()
    now_ms = max(now_ms, line.last_ms)
    return replace(line, phase=after, phase_ms=now_ms, last_ms=now_ms, version=line.version + 1), Done()


def join(
    line: Line, run: str, count: int, lane: Lane, max_waiting: int | None, now_ms: int
) -> tuple[Line, Joined | Closed | Stale]:
    """Give the next numbers to a batch; beyond `max_waiting` the tail of the batch gets none.

    Repeats (same idempotency key, same batch id) are answered by the store from what it remembers and
    never come here.
    """
    if line.run != run:
        return line, Stale()
    if line.phase not in JOINABLE:
        return line, Closed(line.phase)
    room_left = count if max_waiting is None else max(0, min(count, max_waiting - line.waiting))
    numbers = tuple(range(line.issued, line.issued + room_left))
    if not numbers:
        return line, Joined(())
    line = replace(
        line,
        issued=line.issued + room_left,
        joined_verified=line.joined_verified + (room_left if lane is Lane.VERIFIED else 0),
        joined_suspect=line.joined_suspect + (room_left if lane is Lane.SUSPECT else 0),
        last_ms=max(now_ms, line.last_ms),
    )
    return line, Joined(numbers)


def freeze(line: Line, run: str, now_ms: int) -> tuple[Line, Frozen | Stale]:
    """Close the draw: all numbers given so far take part. A repeat gives the same count again."""
    if line.run != run or (line.phase is not Phase.GATHERING and line.frozen is None):
        return line, Stale()
    if line.frozen is not None:
        return line, Frozen(line.frozen)
    now_ms = max(now_ms, line.last_ms)
    return replace(line, frozen=line.issued, last_ms=now_ms, version=line.version + 1), Frozen(line.issued)


def attest(line: Line, run: str, root: str, now_ms: int) -> tuple[Line, Done | Stale]:
    """Publish the Merkle root of the frozen leaves; it is set once."""
    if line.run != run or line.frozen is None or line.root not in {"", root}:
        return line, Stale()
    if line.root == root:
        return line, Done()
    return replace(line, root=root, last_ms=max(now_ms, line.last_ms), version=line.version + 1), Done()


def draw(line: Line, run: str, root: str, seed: str, now_ms: int) -> tuple[Line, Done | Stale]:
    """Set the seed of the permutation, once, and only over the root that was published before."""
    if line.run != run or not line.root or line.root != root or line.seed not in {"", seed}:
        return line, Stale()
    if line.seed == seed:
        return line, Done()
    return replace(line, seed=seed, last_ms=max(now_ms, line.last_ms), version=line.version + 1), Done()


def call(
    line: Line, run: str, slot: int, serving: Serving, plan_per_minute: int, now_ms: int
) -> tuple[Line, Called | Late | Stale]:
    """Advance the thresholds for one slot of time, and show how many have joined by now.

    Thresholds never go back, never pass the last number given, keep the order of the lanes and jump
    over void ranges; while the room gathers they stay. Only the first caller of a slot moves anything. Here alone
    the line believes a clock that was set back: its slots begin anew, and so does the history of calls.
    """
    if line.run != run or line.phase not in TICKING:
        return line, Stale()
    set_back = later(now_ms, line.last_ms) < line.last_ms
    if slot <= line.tick_slot and not set_back:
        return line, Late()
    wanted = line.serving
    if line.phase is Phase.SERVING:
        wanted = highest(at_most(ordered(serving), line.issued), line.serving)
        wanted = ordered(Serving(*(skip_void(line.axis_void, value) for value in wanted)))
    now_ms = later(now_ms, line.last_ms)
    line = replace(line, tick_slot=slot, last_ms=now_ms)
    shown = line.serving, line.plan_per_minute, line.shown_issued
    if set_back or (wanted, plan_per_minute, line.issued) != shown:
        line = replace(
            line,
            serving=wanted,
            plan_per_minute=plan_per_minute,
            shown_issued=line.issued,
            shown_ms=now_ms,
            version=line.version + 1,
        )
    return line, Called(wanted)


def lift(line: Line, run: str, issued: int, serving: Serving, now_ms: int) -> tuple[Line, Done | Stale]:
    """Raise the counter and the thresholds to what a witness proves (a ticket, a signed document).

    The numbers that are jumped become void: whoever holds one fills their own slot when they come.
    """
    if line.run != run:
        return line, Stale()
    void = line.void
    if issued > line.issued:
        void = joined_ranges((*void, (line.issued, issued)))
    top = max(issued, line.issued)
    lifted = highest(at_most(ordered(serving), top), line.serving)
    if top == line.issued and lifted == line.serving:
        return line, Done()
    return (
        replace(
            line,
            issued=top,
            void=void,
            serving=lifted,
            last_ms=max(now_ms, line.last_ms),
            version=line.version + 1,
        ),
        Done(),
    )


def clear(line: Line | None, run: str, epoch: int) -> tuple[Line | None, Done | Stale]:
    """Take the line of an earlier run away, so that `run` can be put back in the new `epoch`.

    A store came back with the file of an earlier opening. Numbers begin anew with each run, so its leaves and used
    numbers would take the places of this one's fans.
    """
    earlier = line is not None and line.run != run and line.epoch < epoch
    return (None, Done()) if earlier else (line, Stale())


def joined_ranges(ranges: Sequence[tuple[int, int]]) -> Void:
    """Sort ranges and merge those that touch or overlap; empty ones vanish."""
    merged: list[tuple[int, int]] = []
    for since, to in sorted(pair for pair in ranges if pair[0] < pair[1]):
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], to))
        else:
            merged.append((since, to))
    return tuple(merged)


def asked_of(line: Line | None) -> Asked | None:
    """Tell which round of the census is on, from what the public is shown; None where nobody waits by rank."""
    if (
        line is None
        or line.phase not in TICKING
        or not line.shown_issued
        or (line.commitment and not line.seed)
    ):
        return None
    cap_s = poll_cap_s(line.shown_waiting)
    return Asked(round_of(line.shown_ms, cap_s), round_ms(cap_s), one_in(line.shown_issued))


def rank_of(line: Line, number: int, drawn: int | None) -> int | None:
    """Return the rank of a number; None while a draw that includes it is still to come.

    `drawn` is ``P(number)``, computed by the caller for drawn numbers. A void slot at the freeze has no
    drawn rank: its holder heads the late arrivals, at rank N.
    """
    if line.frozen is None:
        return None if line.commitment else number
    if number >= line.frozen:
        return number
    if is_void(line.void, number):
        return line.frozen
    return drawn if line.seed else None
