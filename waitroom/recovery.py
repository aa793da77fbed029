"""Recovery: what the line is after the store has lost it.

Three witnesses outlive the store: the journal (everything that was drained, at most about a second old),
the memory of the workers, and what visitors hold in their hands (tickets, signed status documents). ``plan``
puts the first two together into a new epoch of the same run; a visitor's ticket or document that proves
more is taken later, by the transition ``lift`` (``raise_to`` says how far).

The one danger is a number given twice. Nobody may know how many joined in the last moments, so numbers go
on after a **gap** that is larger than what can have been given unseen: 15 seconds of the recent rate of
joins, 1,024 at least. Whatever is jumped is void: published, skipped by the thresholds, and still the place
of whoever comes with a ticket for it, because a valid ticket of an older epoch fills its own empty slot. A gap
costs 16 bytes a number and nothing else, so it leans to the large side.

A number whose leaf the journal has is never made void, a threshold never goes back behind the journal,
and an epoch is used once. Not here: reading and writing (``journal_store``, ``store``), the order of the
steps (docs/recovery.md).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from waitroom.journal import Entry, Kind, NewEntry
from waitroom.lanes import Serving, at_most, highest
from waitroom.line import Line, Void, covered, joined_ranges
from waitroom.schedule import Phase

GAP_LEAST = 1024
GAP_MOST = 1 << 20
"""Sixteen megabytes of empty leaves; a rate that asks for more is a measuring error."""

GAP_S = 15
RATE_WINDOW_MS = 60_000
CLAIM_CHUNK = 65_536
"""Numbers in one bitmap of claimed numbers."""

OF_SESSIONS = frozenset({Kind.ADMITTED, Kind.BYPASSED, Kind.RENEWED, Kind.ENDED, Kind.LEFT})
_OF_THE_LINE = frozenset(
    {Kind.OPENED, Kind.PHASE, Kind.CALLED, Kind.FROZEN, Kind.DRAWN, Kind.RESTORED, Kind.VOIDED}
)


@dataclass(frozen=True, slots=True)
class Session:
    """An admission that the journal knows of; the number is None if only a renewal is left of it."""

    number: int | None
    until_ms: int
    lane: str


@dataclass(frozen=True, slots=True)
class RecoveryState:
    """What the journal knows of a room's last run.

    `extent` numbers have their leaves in the journal; `issued` is the highest count that any entry speaks
    of, `joins_per_s` the busiest second of the last minute in which there were joins. `unreadable` names
    entries with a field that could not be read: they are skipped, so that one bad entry never stands
    between a room and its recovery.
    """

    room: str
    run: str
    epoch: int
    phase: Phase
    phase_ms: int
    opening: str
    opened_ms: int
    commitment: str
    issued: int = 0
    extent: int = 0
    void: Void = ()
    serving: Serving = field(default_factory=Serving)
    frozen: int | None = None
    root: str = ""
    seed: str = ""
    proof: str = ""
    claimed: frozenset[int] = frozenset()
    left: frozenset[int] = frozenset()
    evicted: Mapping[int, str] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    joins_per_s: int = 0
    unreadable: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What somebody last saw of the line, maybe a while ago; `joins_per_s` is their recent rate (no gaps).

    `proof` is what was published with the seed of a draw, so that anybody can compute it again.
    """

    line: Line
    joins_per_s: int = 0
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Restoration:
    """The line as it goes on, and what the door gets back.

    `extent` leaves come from the journal. `claimed` numbers can never be claimed anew (`left` are among
    them), `sessions` are alive, `ended` are refused until their time. `evicted` are
    the numbers that an operator keeps from their turn, as the door stores them; '' where one was given back.
    """

    line: Line
    gap: int
    extent: int
    claimed: frozenset[int]
    left: frozenset[int]
    sessions: Mapping[str, Session]
    ended: Mapping[str, int]
    evicted: Mapping[int, str] = field(default_factory=dict)
    proof: str = ""


def gap(joins_per_s: int) -> int:
    """Return how many numbers to leave out for those that may have been given unseen."""
    return min(GAP_MOST, max(GAP_LEAST, GAP_S * joins_per_s))


def plan(
    state: RecoveryState | None, memories: Sequence[Memory], now_ms: int, *, numbers: Sequence[int] = ()
) -> Restoration | None:
    """Put the line together from its witnesses; None if the room was never opened.

    `numbers` are those of valid tickets of the run, if any were presented already. Epochs count on over
    runs, so the newest run is the one with the highest epoch.
    """
    lines = [memory.line for memory in memories]
    if state is None and not lines:
        return None
    epoch = max([line.epoch for line in lines] + ([state.epoch] if state else []))
    run = state.run if state and state.epoch == epoch else max(lines, key=lambda line: line.epoch).run
    known = state if state and state.run == run else None
    seen = sorted((line for line in lines if line.run == run), key=lambda line: (line.epoch, line.version))
    sources: list[RecoveryState | Line] = [*seen, *([known] if known else [])]

    extent = known.extent if known else 0
    room_left = gap(
        max([known.joins_per_s if known else 0] + [m.joins_per_s for m in memories if m.line.run == run])
    )
    frozen = next((source.frozen for source in reversed(sources) if source.frozen is not None), None)
    certain = max([extent, frozen or 0, *(source.issued for source in sources), *(n + 1 for n in numbers)])
    issued = certain + room_left
    void = joined_ranges([pair for source in sources for pair in source.void] + [(extent, issued)])
    serving = Serving()
    for source in sources:
        serving = highest(serving, source.serving)
    line = Line(
        run=run,
        epoch=epoch + 1,
        phase=max(sources, key=lambda source: source.phase_ms).phase,
        opening=sources[-1].opening,
        issued=issued,
        void=void,
        serving=at_most(serving, issued),
        joined_verified=max((line.joined_verified for line in seen), default=0),
        joined_suspect=max((line.joined_suspect for line in seen), default=0),
        frozen=frozen,
        root=_first(source.root for source in reversed(sources)),
        seed=_first(source.seed for source in reversed(sources)),
        commitment=_first(source.commitment for source in reversed(sources)),
        opened_ms=sources[-1].opened_ms,
        phase_ms=now_ms,
        last_ms=now_ms,
        shown_issued=issued,
        shown_ms=now_ms,
    )
    return Restoration(
        line=line,
        gap=room_left,
        extent=extent,
        claimed=known.claimed | known.left if known else frozenset(),
        left=known.left if known else frozenset(),
        sessions=(
            {sid: session for sid, session in state.sessions.items() if now_ms < session.until_ms}
            if state
            else {}
        ),
        ended={sid: until_ms for sid, until_ms in state.ended.items() if now_ms < until_ms} if state else {},
        evicted=known.evicted if known else {},
        proof=_first(
            [known.proof if known else "", *(m.proof for m in reversed(memories) if m.line.run == run)]
        ),
    )


def fell_back(line: Line | None, state: RecoveryState | None, memories: Sequence[Memory]) -> bool:
    """Tell whether the store knows less than a witness: it was wiped, or rolled back to an older file.

    A memory is compared by its count here; what else it knows shows in the line's version (``service``). The journal
    also tells thresholds and a freeze that the store has forgotten. Read the witnesses first and the line last, or a
    line that moved on meanwhile looks older than it is.
    """
    epoch = max([memory.line.epoch for memory in memories] + [state.epoch if state else 0])
    if line is None or line.epoch < epoch:
        return bool(epoch)
    known = [memory.line.issued for memory in memories if memory.line.run == line.run]
    if state and state.run == line.run:
        if highest(state.serving, line.serving) != line.serving or (
            state.frozen is not None and line.frozen is None
        ):
            return True
        known += [state.issued, state.extent]
    return line.issued < max(known, default=0)


def raise_to(issued: int, number: int, joins_per_s: int) -> int | None:
    """Return the count to ``lift`` to for a valid ticket's number; None if it tells nothing new.

    The ticket proves that numbers up to its own were given unseen, so the gap is left once more above it.
    """
    return None if number < issued else number + 1 + gap(joins_per_s)


def announcement(room: str, restoration: Restoration, why: str, now_ms: int) -> NewEntry:
    """Write down a restoration; it goes to the journal **before** the store.

    If the store is lost again at once, the next plan then begins above this one's numbers. Its name holds
    the epoch: of two workers that restore at the same moment, one is written down, and that one counts.
    """
    line = restoration.line
    return NewEntry(
        at_ms=now_ms,
        room=room,
        run=line.run,
        kind=Kind.RESTORED,
        body={
            "epoch": str(line.epoch),
            "phase": str(line.phase),
            "opening": line.opening,
            "opened_ms": str(line.opened_ms),
            "issued": str(line.issued),
            "void": json.dumps(line.void, separators=(",", ":")),
            "verified": str(line.serving.verified),
            "standard": str(line.serving.standard),
            "suspect": str(line.serving.suspect),
            "frozen": str(-1 if line.frozen is None else line.frozen),
            "root": line.root,
            "seed": line.seed,
            "commitment": line.commitment,
            "proof": restoration.proof,
            "gap": str(restoration.gap),
            "extent": str(restoration.extent),
            "why": why,
        },
        source=f"{room}:{line.run}:restored:{line.epoch}",
    )


def claimed_chunks(numbers: Iterable[int]) -> dict[int, bytes]:
    """Write numbers as bitmaps of ``CLAIM_CHUNK`` bits, by chunk, in the bit order of SETBIT."""
    chunks: dict[int, bytearray] = {}
    for number in numbers:
        bit = number % CLAIM_CHUNK
        octets = chunks.setdefault(number // CLAIM_CHUNK, bytearray(CLAIM_CHUNK // 8))
        octets[bit >> 3] |= 0x80 >> (bit & 7)
    return {chunk: bytes(octets) for chunk, octets in chunks.items()}


def fold(entries: Iterable[Entry]) -> RecoveryState | None:
    """Read a room's entries, in order, into what they say about its last run; None if there is none.

    How far the leaves reach (`extent`) is not told here: ``journal_store`` adds it.
    """
    reading: _Reading | None = None
    for entry in entries:
        if entry.kind is Kind.REMOVED:
            reading = None
        elif entry.kind is Kind.OPENED or (
            # The room's opening itself was lost with the store, and a worker's memory brought the run back.
            entry.kind is Kind.RESTORED and (reading is None or entry.run != reading.run)
        ):
            reading = _Reading(entry, reading)
        if reading is not None and (entry.run == reading.run or entry.kind in OF_SESSIONS):
            try:
                reading.take(entry)
            except (KeyError, TypeError, ValueError):
                reading.unreadable.append(entry.seq)
    return reading.state() if reading else None


class _Reading:
    """A run as far as its entries have been read."""

    def __init__(self, entry: Entry, before: "_Reading | None") -> None:
        self.room = entry.room
        self.run = entry.run
        self.opened_ms = entry.at_ms
        # Epochs count on over runs, and sessions outlive the run that they come from.
        self.epoch: int = before.epoch if before else 1
        self.sessions: dict[str, Session] = before.sessions if before else {}
        self.ended: dict[str, int] = before.ended if before else {}
        self.phase = Phase.SERVING
        self.phase_ms = entry.at_ms
        self.opening = ""
        self.texts = {"commitment": "", "root": "", "seed": "", "proof": ""}
        self.issued = 0
        self.ranges: list[tuple[int, int]] = []
        self.serving = Serving()
        self.frozen: int | None = None
        self.claimed: set[int] = set()
        self.left: set[int] = set()
        self.evicted: dict[int, str] = {}
        self.withheld: dict[str, int] = {}
        self.joined: dict[int, int] = {}
        self.unreadable: list[int] = []

    def take(self, entry: Entry) -> None:
        """Read one entry. Raises ValueError, KeyError or TypeError for a field that cannot be read."""
        body = entry.body
        if "epoch" in body:
            self.epoch = max(self.epoch, int(body["epoch"]))
        match entry.kind:
            case Kind.ADMITTED:
                if entry.run == self.run:
                    self.claimed.add(int(body["number"]))
                self._session(body, int(body["number"]))
            case Kind.RENEWED | Kind.BYPASSED:
                self._session(body, None)
            case Kind.ENDED:
                self._ended_for_good(body)
            case Kind.LEFT:
                if entry.run == self.run:
                    self.left.add(int(body["number"]))
                self._ended_for_good(body)
            case Kind.EVICTED:
                self._evicted(body)
            case Kind.REINSTATED:
                self._reinstated(body)
            case Kind.LEAVES:
                self._leaves(body, entry.at_ms)
            case kind if kind in _OF_THE_LINE:
                self._line(body, entry.at_ms)

    def _line(self, body: Mapping[str, str], at_ms: int) -> None:
        """Read what transitions of the line write; each names only what it changed."""
        if "phase" in body:
            self.phase, self.phase_ms = Phase(body["phase"]), at_ms
        self.opening = body.get("opening", self.opening)
        self.opened_ms = int(body.get("opened_ms", self.opened_ms))
        self.issued = max(self.issued, int(body.get("issued", 0)))
        self.serving = highest(
            self.serving,
            Serving(*(int(body.get(lane, 0)) for lane in Serving._fields)),
        )
        if int(body.get("frozen", -1)) >= 0:
            self.frozen = int(body["frozen"])
        for name in self.texts:
            self.texts[name] = body.get(name) or self.texts[name]
        for since, to in json.loads(body.get("void") or "[]"):
            self.ranges.append((int(since), int(to)))
            self.issued = max(self.issued, int(to))

    def _session(self, body: Mapping[str, str], number: int | None) -> None:
        """Read an admission or a renewal; a session that was ended stays ended."""
        sid, until_ms = body["sid"], int(body["until_ms"])
        if sid not in self.ended:
            before = self.sessions.get(sid, Session(number, 0, ""))
            lane = body.get("lane", before.lane)
            self.sessions[sid] = Session(before.number, max(until_ms, before.until_ms), lane)

    def _ended(self, body: Mapping[str, str]) -> None:
        sid, until_ms = body["sid"], int(body["until_ms"])
        self.sessions.pop(sid, None)
        self.ended[sid] = max(until_ms, self.ended.get(sid, 0))

    def _ended_for_good(self, body: Mapping[str, str]) -> None:
        """Read an end; a session that an eviction had taken before does not come back with its place."""
        self._ended(body)
        number = self.withheld.pop(body["sid"], None)
        if number is not None:
            self.evicted[number] = "0"

    def _evicted(self, body: Mapping[str, str]) -> None:
        self.evicted[int(body["number"])] = f"{int(body['until_ms'])} {body['sid']}" if body["sid"] else "0"
        if body["sid"]:
            self._ended(body)
            self.withheld[body["sid"]] = int(body["number"])

    def _reinstated(self, body: Mapping[str, str]) -> None:
        number, sid, until_ms = int(body["number"]), body["sid"], int(body["until_ms"])
        self.evicted[number] = ""
        self.withheld.pop(sid, None)
        if sid:
            self.ended.pop(sid, None)
            self.sessions[sid] = Session(number, until_ms, "")

    def _leaves(self, body: Mapping[str, str], at_ms: int) -> None:
        """Measure the rate of joins; the empty slots of a gap are none, or gaps would grow from gap to gap."""
        start, count = int(body["start"]), int(body["count"])
        joins = count - covered(joined_ranges(self.ranges), start, start + count)
        self.joined[at_ms // 1000] = self.joined.get(at_ms // 1000, 0) + joins
        oldest = (at_ms - RATE_WINDOW_MS) // 1000
        for second in [second for second in self.joined if second <= oldest]:
            del self.joined[second]

    def state(self) -> RecoveryState:
        """Return what was read."""
        return RecoveryState(
            room=self.room,
            run=self.run,
            epoch=self.epoch,
            phase=self.phase,
            phase_ms=self.phase_ms,
            opening=self.opening,
            opened_ms=self.opened_ms,
            commitment=self.texts["commitment"],
            issued=max([self.issued, *(number + 1 for used in (self.claimed, self.left) for number in used)]),
            void=joined_ranges(self.ranges),
            serving=self.serving,
            frozen=self.frozen,
            root=self.texts["root"],
            seed=self.texts["seed"],
            proof=self.texts["proof"],
            claimed=frozenset(self.claimed),
            left=frozenset(self.left),
            evicted=self.evicted,
            sessions=self.sessions,
            ended=self.ended,
            joins_per_s=max(self.joined.values(), default=0),
            unreadable=tuple(self.unreadable),
        )


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
